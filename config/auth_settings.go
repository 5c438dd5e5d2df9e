package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
)

// addAPIFlags defines the flags of the API's settings.
func addAPIFlags(flags *pflag.FlagSet, d Settings) {
	flags.String("listen", d.Listen, "host:port of the API; without keys or JWTs only loopback")
	flags.String("metrics-listen", d.MetricsListen, "host:port of its own for /metrics, which the API serves too")
	flags.String("pprof-listen", d.PprofListen, "loopback host:port for the Go runtime's profiles, below /debug/pprof/")
	flags.Int("rate-limit", d.RateLimit, "requests a minute that a client of the API may send (0: no limit)")
	flags.StringSlice("trusted-proxies", nil, "addresses and ranges whose X-Forwarded-For names the client")
	flags.StringSlice("api-keys", nil, "keys that the API accepts, each as name:sha256:scope+scope (schedules api-key new)")
	flags.String("jwt-issuer", d.JWTIssuer, "issuer of the OIDC tokens that the API accepts")
	flags.String("jwt-audience", d.JWTAudience, "audience that the tokens must name")
	flags.String("jwt-jwks-url", d.JWTJWKSURL, "where the issuer publishes its keys")
	flags.StringSlice("jwt-algorithms", d.JWTAlgorithms, "accepted signature algorithms")
}

// The scopes that an API key or a token can have. Neither implies the other.
const (
	ScopeRead  = "workflow.schedule:read"
	ScopeWrite = "workflow.schedule:write"
)

// Scopes lists every scope in the order that documentation and error messages use.
func Scopes() []string { return []string{ScopeRead, ScopeWrite} }

// APIKey is one key that the API accepts. Of the key itself only its hash is kept.
type APIKey struct {
	// Name is who uses the key: it stands in logs, in the reconciler's history and in schedules' notes.
	Name string `koanf:"name"`
	// SHA256 is the hash of the key in 64 hex digits.
	SHA256 string `koanf:"sha256"`
	// Scopes are what the key may do.
	Scopes []string `koanf:"scopes"`
}

// String is the form that variables and flags use: name:sha256:scope+scope.
func (k APIKey) String() string {
	return k.Name + ":" + k.SHA256 + ":" + strings.Join(k.Scopes, "+")
}

// ParseAPIKey reads the form of String. Its errors do not repeat the text, which may be a key that
// was pasted in the hash's place.
func ParseAPIKey(text string) (APIKey, error) {
	parts := strings.SplitN(strings.TrimSpace(text), ":", 3)
	if len(parts) != 3 {
		return APIKey{}, errors.New("write an API key as name:sha256:scope+scope; `schedules api-key new` prints one")
	}
	return APIKey{Name: parts[0], SHA256: parts[1], Scopes: strings.Split(parts[2], "+")}, nil
}

// Validate checks one key.
func (k APIKey) Validate() error {
	switch hash, err := hex.DecodeString(k.SHA256); {
	case !isPrincipal(k.Name):
		return fmt.Errorf("api_keys: name %q: use 1 to 63 letters, digits and . _ - @, a letter or digit first", k.Name)
	case err != nil || len(hash) != 32:
		return fmt.Errorf("api_keys: key %q: sha256 is 64 hex digits; `schedules api-key new` prints it", k.Name)
	case len(k.Scopes) == 0:
		return fmt.Errorf("api_keys: key %q: give it scopes: %s", k.Name, strings.Join(Scopes(), ", "))
	}
	for _, scope := range k.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("api_keys: key %q: unknown scope %q; the scopes are %s", k.Name, scope, strings.Join(Scopes(), ", "))
		}
	}
	return nil
}

func isPrincipal(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$`).MatchString(name)
}

// jwtAlgorithms are the signatures that an OIDC provider makes with a private key. Those made with a
// shared secret (HS*) and none are never accepted: whoever can read the public key could make them.
func jwtAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// HasJWT reports whether the API accepts OIDC tokens.
func (s Settings) HasJWT() bool { return s.JWTIssuer != "" }

// HasAuth reports whether the API asks for a key or a token at all.
func (s Settings) HasAuth() bool { return len(s.APIKeys) > 0 || s.HasJWT() }

// Proxies are the parsed TrustedProxies. Settings that LoadSettings returned have no wrong ones.
func (s Settings) Proxies() ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(s.TrustedProxies))
	for _, text := range s.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q: write an address or a range such as 10.0.0.0/8", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// ValidateAPI checks the settings of the API.
func (s Settings) ValidateAPI() error {
	var problems []error
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || port == "" {
		problems = append(problems, fmt.Errorf("listen %q: write host:port, such as 127.0.0.1:8080", s.Listen))
	}
	if _, port, err := net.SplitHostPort(s.MetricsListen); s.MetricsListen != "" && (err != nil || port == "") {
		problems = append(problems, fmt.Errorf("metrics_listen %q: write host:port, such as 127.0.0.1:9090", s.MetricsListen))
	}
	if s.PprofListen != "" && !isLoopback(s.PprofListen) {
		problems = append(problems, fmt.Errorf("pprof_listen %q: write a loopback address with its port, such as 127.0.0.1:6060; "+
			"profiles are for nobody else", s.PprofListen))
	}
	if s.RateLimit < 0 {
		problems = append(problems, fmt.Errorf("rate_limit %d: use 0 (no limit) or more requests a minute", s.RateLimit))
	}
	_, err := s.Proxies()
	return errors.Join(append(problems, err, s.validateKeys(), s.validateJWT())...)
}

// isLoopback reports whether an address, host:port, is one that only this machine reaches. A name is not looked up.
func isLoopback(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (s Settings) validateKeys() error {
	var problems []error
	names, hashes := map[string]bool{}, map[string]bool{}
	for _, key := range s.APIKeys {
		hash := strings.ToLower(key.SHA256)
		switch err := key.Validate(); {
		case err != nil:
			problems = append(problems, err)
		case names[key.Name]:
			problems = append(problems, fmt.Errorf("api_keys: two keys have the name %q: rename one", key.Name))
		case hashes[hash]:
			problems = append(problems, fmt.Errorf("api_keys: key %q has the hash of another key: remove one", key.Name))
		}
		names[key.Name], hashes[hash] = true, true
	}
	return errors.Join(problems...)
}

func (s Settings) validateJWT() error {
	var problems []error
	if given := s.JWTIssuer != "" || s.JWTAudience != "" || s.JWTJWKSURL != ""; given &&
		(s.JWTIssuer == "" || s.JWTAudience == "" || s.JWTJWKSURL == "") {
		problems = append(problems, errors.New("jwt_issuer, jwt_audience and jwt_jwks_url go together: set all three or none"))
	}
	if s.JWTJWKSURL != "" && !isKeySource(s.JWTJWKSURL) {
		problems = append(problems, errors.New("jwt_jwks_url: write an https URL without a password; http is for loopback only"))
	}
	for _, algorithm := range s.JWTAlgorithms {
		if !slices.Contains(jwtAlgorithms(), algorithm) {
			problems = append(problems, fmt.Errorf("jwt_algorithms: %q: use %s", algorithm, strings.Join(jwtAlgorithms(), ", ")))
		}
	}
	if s.HasJWT() && len(s.JWTAlgorithms) == 0 {
		problems = append(problems, errors.New("jwt_algorithms: name at least one, such as RS256"))
	}
	return errors.Join(problems...)
}

// isKeySource reports whether public keys from the URL can be believed: who could change them on the
// way could sign tokens.
func isKeySource(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// listHook reads lists and API keys from the text of a variable or flag: entries with commas between.
func listHook() mapstructure.DecodeHookFuncType {
	return func(from, to reflect.Type, value any) (any, error) {
		text, ok := value.(string)
		switch {
		case !ok || from.Kind() != reflect.String:
			return value, nil
		case to == reflect.TypeFor[APIKey]():
			return ParseAPIKey(text)
		case to.Kind() != reflect.Slice:
			return value, nil
		}
		entries := []string{}
		for entry := range strings.SplitSeq(text, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
		return entries, nil
	}
}
