package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

func newKey(t testing.TB, name string, scopes ...string) api.Key {
	t.Helper()
	key, err := api.NewKey(name, scopes)
	require.NoError(t, err)
	return key
}

func keysOf(t testing.TB, name string) []config.APIKey {
	t.Helper()
	return []config.APIKey{newKey(t, name).Setting}
}

func TestNewKey(t *testing.T) {
	t.Run("Should make a key that works, and another one each time", func(t *testing.T) {
		a, b := newKey(t, "ci", config.ScopeRead, config.ScopeWrite), newKey(t, "ci")
		assert.NotEqual(t, a.Token, b.Token)
		assert.Regexp(t, `^csk_[A-Za-z0-9_-]{43}$`, a.Token)
		assert.Equal(t, []string{config.ScopeRead}, b.Setting.Scopes)
		assert.NotContains(t, a.YAML()+a.Variable(), a.Token)
		assert.Equal(t, `  - { name: "ci", sha256: "`+a.Setting.SHA256+`", scopes: [workflow.schedule:read, workflow.schedule:write] }`, a.YAML())
		parsed, err := config.ParseAPIKey(strings.TrimPrefix(a.Variable(), "SCHEDULES_API_KEYS="))
		require.NoError(t, err)
		assert.Equal(t, a.Setting, parsed)
	})
	for name, args := range map[string][]string{
		"a name with a colon": {"a:b"}, "no name": {""}, "an unknown scope": {"ci", "admin"}, "a name with a new line": {"a\nb"},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			_, err := api.NewKey(args[0], args[1:])
			assert.Error(t, err)
		})
	}
}

func TestAPIKeys(t *testing.T) {
	reader, writer := newKey(t, "dashboard", config.ScopeRead), newKey(t, "ci", config.ScopeWrite)
	upper := writer.Setting
	upper.SHA256 = strings.ToUpper(upper.SHA256)
	r := newRig(t, func(o *api.Options) {
		o.Settings.APIKeys = []config.APIKey{reader.Setting, upper}
		o.Settings.Listen = "0.0.0.0:8080"
	})
	for _, test := range []struct {
		name          string
		authorization []string
		read, write   int
		challenge     string
	}{
		{"a key that may read", []string{"Bearer " + reader.Token}, 200, 403, `error="insufficient_scope", scope="workflow.schedule:write"`},
		{"a key that may write", []string{"Bearer " + writer.Token}, 403, 204, `error="insufficient_scope", scope="workflow.schedule:read"`},
		{"a scheme in small letters", []string{"bearer  " + reader.Token}, 200, 403, ""},
		{"nothing", nil, 401, 401, `Bearer realm="schedules"`},
		{"an unknown key", []string{"Bearer " + newKey(t, "x").Token}, 401, 401, `error="invalid_token"`},
		{"half a key", []string{"Bearer " + reader.Token[:20]}, 401, 401, `error="invalid_token"`},
		{"the hash instead of the key", []string{"Bearer " + reader.Setting.SHA256}, 401, 401, `error="invalid_token"`},
		{"a key and more", []string{"Bearer " + reader.Token + " x"}, 401, 401, `error="invalid_token"`},
		{"no token", []string{"Bearer "}, 401, 401, `error="invalid_token"`},
		{"another scheme", []string{"Basic " + reader.Token}, 401, 401, `error="invalid_token"`},
		{"two headers", []string{"Bearer " + reader.Token, "Bearer " + reader.Token}, 401, 401, `error="invalid_token"`},
		{"a token like a JWT", []string{"Bearer a.b.c"}, 401, 401, `error="invalid_token"`},
	} {
		t.Run("Should judge "+test.name, func(t *testing.T) {
			for method, want := range map[string]int{http.MethodGet: test.read, http.MethodHead: test.read, http.MethodDelete: test.write} {
				request := newRequest(t, method, daily, "")
				request.Host = "schedules.example.com"
				request.Header["Authorization"] = test.authorization
				a := r.send(t, request)
				assert.Equal(t, want, a.StatusCode, "%s %s", method, a.body)
				if want < 400 {
					continue
				}
				challenge := a.Header.Get("WWW-Authenticate")
				assert.True(t, strings.HasPrefix(challenge, `Bearer realm="schedules"`), challenge)
				if method == http.MethodGet && want == test.read || want == http.StatusUnauthorized {
					assert.Contains(t, challenge, test.challenge)
				}
				if method != http.MethodHead {
					slug, problem := a.problem(t)
					assert.Equal(t, map[int]string{401: "unauthorized", 403: "missing-scope"}[want], slug)
					assert.NotContains(t, problem["detail"], "csk_")
				}
			}
		})
	}
	t.Run("Should send no error code to who sent no key", func(t *testing.T) {
		assert.Equal(t, `Bearer realm="schedules"`, r.call(t, http.MethodGet, daily, "").Header.Get("WWW-Authenticate"))
	})
	t.Run("Should name the key's owner as the actor", func(t *testing.T) {
		assert.Equal(t, http.StatusNoContent,
			r.call(t, http.MethodDelete, daily, "", "Authorization", "Bearer "+writer.Token).StatusCode)
		assert.Equal(t, "ci", r.manager.last.Actor)
	})
	t.Run("Should leave probes and the description open", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz", "/api/v0/openapi.yaml", "/api/v0/docs", "/api/v0/docs/start.js"} {
			assert.Equal(t, http.StatusOK, r.call(t, http.MethodGet, path, "").StatusCode, path)
		}
	})
	t.Run("Should keep keys out of the log", func(t *testing.T) {
		assert.NotContains(t, r.log.String(), reader.Token)
		assert.NotContains(t, r.log.String(), "csk_")
	})
	t.Run("Should check the key before it looks at the request", func(t *testing.T) {
		assert.Equal(t, http.StatusUnauthorized, r.call(t, http.MethodPut, daily, "{").StatusCode)
	})
}

func TestOpenOnLoopbackOnly(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		addrs := map[string][]netip.Addr{
			"localhost": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
			"both":      {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.7")},
			"box":       {netip.MustParseAddr("10.0.0.7")},
			"nobody":    {},
		}
		if list, ok := addrs[host]; ok {
			return list, nil
		}
		return nil, errors.New("no such host")
	}
	for listen, open := range map[string]bool{
		"127.0.0.1:8080": true, "127.8.8.8:8080": true, "[::1]:8080": true, "localhost:8080": true, "[::ffff:127.0.0.1]:0": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "10.0.0.7:8080": false, "box:8080": false, "both:8080": false,
		"nobody:8080": false, "unknown:8080": false,
	} {
		options := func() api.Options {
			settings := config.DefaultSettings()
			settings.Listen = listen
			return api.Options{Manager: newMemory(), Settings: settings, Logger: slog.New(slog.DiscardHandler), LookupHost: lookup}
		}
		t.Run("Should judge "+listen+" without authentication", func(t *testing.T) {
			server, err := api.New(options())
			if open {
				require.NoError(t, err)
				server.Close()
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), "loopback")
			assert.Contains(t, err.Error(), "127.0.0.1")
		})
		t.Run("Should take "+listen+" with authentication", func(t *testing.T) {
			with := options()
			with.Settings.APIKeys = keysOf(t, "ci")
			server, err := api.New(with)
			require.NoError(t, err)
			server.Close()
		})
	}
	for name, change := range map[string]func(*config.Settings){
		"an address without a port": func(s *config.Settings) { s.Listen = "127.0.0.1" },
		"a hash that is none": func(s *config.Settings) {
			s.APIKeys = []config.APIKey{{Name: "a", SHA256: "x", Scopes: config.Scopes()}}
		},
		"a wrong proxy":     func(s *config.Settings) { s.TrustedProxies = []string{"proxy.local"} },
		"a negative rate":   func(s *config.Settings) { s.RateLimit = -1 },
		"half a JWT set-up": func(s *config.Settings) { s.JWTIssuer = "https://id.example" },
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			settings := config.DefaultSettings()
			change(&settings)
			_, err := api.New(api.Options{Manager: newMemory(), Settings: settings, Logger: slog.New(slog.DiscardHandler)})
			assert.Error(t, err)
		})
	}
}

func TestHost(t *testing.T) {
	open := newRig(t)
	closed := newRig(t, func(o *api.Options) { o.Settings.APIKeys = keysOf(t, "ci") })
	for host, own := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST:1": true, "127.0.0.1:8080": true, "[::1]:8080": true, "[::1]": true,
		"": false, "evil.example": false, "evil.example:8080": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"10.0.0.7": false, "0.0.0.0:8080": false, "[::]:80": false,
	} {
		t.Run("Should judge host "+host, func(t *testing.T) {
			request := newRequest(t, http.MethodGet, daily, "")
			request.Host = host
			a := open.send(t, request)
			if own {
				assert.Equal(t, http.StatusOK, a.StatusCode)
			} else {
				slug, _ := a.problem(t)
				assert.Equal(t, "foreign-host", slug)
			}
			probe := newRequest(t, http.MethodGet, "/healthz", "")
			probe.Host = host
			assert.Equal(t, http.StatusOK, open.send(t, probe).StatusCode, "probes call by address")
			request.Host = host
			assert.Equal(t, http.StatusUnauthorized, closed.send(t, request).StatusCode, "a key is proof enough")
		})
	}
}

func TestKeyInSettings(t *testing.T) {
	key := newKey(t, "ci", config.ScopeRead, config.ScopeWrite)
	load := func(t *testing.T, file string, environ ...string) config.Settings {
		t.Helper()
		t.Chdir(t.TempDir())
		require.NoError(t, os.WriteFile("schedules.yaml", []byte(file), 0o600))
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config.AddFlags(flags)
		settings, err := config.LoadSettings(flags, environ)
		require.NoError(t, err)
		return settings
	}
	t.Run("Should be read from the file as printed", func(t *testing.T) {
		assert.Equal(t, []config.APIKey{key.Setting}, load(t, "api_keys:\n"+key.YAML()+"\n").APIKeys)
	})
	t.Run("Should be read from the variable as printed", func(t *testing.T) {
		assert.Equal(t, []config.APIKey{key.Setting}, load(t, "", key.Variable()).APIKeys)
	})
}
