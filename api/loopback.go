package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// lookupTimeout ends the look-up of the listen address's name.
const lookupTimeout = 5 * time.Second

// requireLoopback refuses an address on which others than this machine's users could reach an API
// without authentication. A name counts as loopback when all its addresses are.
func requireLoopback(listen string, lookup func(ctx context.Context, host string) ([]netip.Addr, error)) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen %q: write host:port, such as 127.0.0.1:8080", listen)
	}
	refused := fmt.Errorf("listen %q is not loopback, and nobody is asked for a key: set api_keys "+
		"(`schedules api-key new`) or jwt_issuer, jwt_audience and jwt_jwks_url, or listen on 127.0.0.1", listen)
	if host == "" {
		return refused // all addresses
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Unmap().IsLoopback() {
			return nil
		}
		return refused
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	addrs, err := lookup(ctx, host)
	if err != nil {
		return fmt.Errorf("listen %q: the name cannot be looked up, so that it may not be loopback: write 127.0.0.1: %w", listen, err)
	}
	if len(addrs) == 0 {
		return refused
	}
	for _, addr := range addrs {
		if !addr.Unmap().IsLoopback() {
			return refused
		}
	}
	return nil
}

// checkHost refuses requests that name another host than this machine. A web page whose name was made to
// point here (DNS rebinding) could otherwise call an API without authentication through a browser.
func checkHost(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback() {
		return nil
	}
	return newProblem(kindForeignHost(), "without authentication the API answers only to localhost, 127.0.0.1 and [::1]; "+
		"call it by such a name, or configure authentication")
}
