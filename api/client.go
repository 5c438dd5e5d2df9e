package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the peers whose X-Forwarded-For is believed.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the address that the request comes from: the peer, or, where the peer is a trusted proxy, the
// rightmost address of X-Forwarded-For that is none. What stands further left anybody could have written.
func (p proxies) client(r *http.Request) netip.Addr {
	addr := peer(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // the nearest address that we know
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

// peer is the zero address where there is none, as in some tests.
func peer(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// clientKey is what the rate limit counts an address under. An IPv6 client commonly owns a /64.
func clientKey(addr netip.Addr) string {
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return "peer:" + prefix.String()
		}
	}
	return "peer:" + addr.String()
}
