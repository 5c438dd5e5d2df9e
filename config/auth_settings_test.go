package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestAPIKeySettings(t *testing.T) {
	hashA, hashB := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	want := []config.APIKey{
		{Name: "ci", SHA256: hashA, Scopes: []string{config.ScopeRead, config.ScopeWrite}},
		{Name: "dash@example.com", SHA256: hashB, Scopes: []string{config.ScopeRead}},
	}
	text := "ci:" + hashA + ":workflow.schedule:read+workflow.schedule:write, dash@example.com:" + hashB + ":workflow.schedule:read"
	file := "api_keys:\n  - {name: ci, sha256: \"" + hashA + "\", scopes: [workflow.schedule:read, workflow.schedule:write]}\n" +
		"  - {name: dash@example.com, sha256: \"" + hashB + "\", scopes: [\"workflow.schedule:read\"]}\n"
	for name, load := range map[string]func(t *testing.T) (config.Settings, error){
		"the file": func(t *testing.T) (config.Settings, error) { return loadSettings(t, file, nil) },
		"a variable": func(t *testing.T) (config.Settings, error) {
			return loadSettings(t, "", []string{"SCHEDULES_API_KEYS=" + text})
		},
		"a flag": func(t *testing.T) (config.Settings, error) { return loadSettings(t, "", nil, "--api-keys="+text) },
	} {
		t.Run("Should read keys from "+name, func(t *testing.T) {
			got, err := load(t)
			require.NoError(t, err)
			assert.Equal(t, want, got.APIKeys)
			assert.True(t, got.HasAuth())
		})
	}
	for name, test := range map[string]struct{ file, variable, want string }{
		"a key in the hash's place": {"", "csk_secret", "name:sha256:scope+scope"},
		"a short hash":              {"", "ci:abc:workflow.schedule:read", `key "ci": sha256 is 64 hex digits`},
		"no scope":                  {"", "ci:" + hashA + ":", `unknown scope ""`},
		"an unknown scope":          {"", "ci:" + hashA + ":admin", `unknown scope "admin"; the scopes are workflow.schedule:read`},
		"a name with a space":       {"", "c i:" + hashA + ":workflow.schedule:read", `name "c i"`},
		"a name twice":              {"", "ci:" + hashA + ":workflow.schedule:read,ci:" + hashB + ":workflow.schedule:read", `two keys have the name "ci"`},
		"a hash twice":              {"", "a:" + hashA + ":workflow.schedule:read,b:" + strings.ToUpper(hashA) + ":workflow.schedule:read", "hash of another key"},
		"an unknown field":          {"api_keys: [{name: ci, sha265: x}]", "", "sha265"},
		"a scope list left out":     {"api_keys: [{name: ci, sha256: \"" + hashA + "\"}]", "", "give it scopes"},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			var environ []string
			if test.variable != "" {
				environ = []string{"SCHEDULES_API_KEYS=" + test.variable}
			}
			_, err := loadSettings(t, test.file, environ)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.NotContains(t, err.Error(), "csk_secret")
		})
	}
}

func TestAPISettings(t *testing.T) {
	const jwt = "jwt_issuer: https://id.example\njwt_audience: schedules\njwt_jwks_url: "
	for name, test := range map[string]struct{ file, want string }{
		"a listen address without a port":     {"listen: 127.0.0.1", "write host:port"},
		"a negative rate":                     {"rate_limit: -1", "rate_limit -1: use 0 (no limit) or more"},
		"a proxy by name":                     {"trusted_proxies: [proxy]", `"proxy": write an address or a range`},
		"half of the JWT settings":            {"jwt_issuer: https://id.example", "go together"},
		"keys over plain HTTP":                {jwt + "http://id.example/jwks", "write an https URL"},
		"keys at an address with a password":  {jwt + "https://u:p@id.example/jwks", "without a password"},
		"keys from a file":                    {jwt + "file:///etc/passwd", "write an https URL"},
		"a signature by a shared secret":      {jwt + "https://id.example/jwks\njwt_algorithms: [HS256]", `"HS256": use RS256`},
		"no signature":                        {jwt + "https://id.example/jwks\njwt_algorithms: [none]", `"none": use RS256`},
		"no algorithm":                        {jwt + "https://id.example/jwks\njwt_algorithms: []", "name at least one"},
		"a process that does nothing":         {"api: false\nworker: false", "leave one on"},
		"an address that only looks loopback": {jwt + "http://127.0.0.1.evil.example/jwks", "write an https URL"},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			_, err := loadSettings(t, test.file, nil)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
		})
	}
	t.Run("Should take keys over HTTP from loopback", func(t *testing.T) {
		for _, host := range []string{"localhost", "127.0.0.1:9", "[::1]:9"} {
			settings, err := loadSettings(t, jwt+"http://"+host+"/jwks", nil)
			require.NoError(t, err)
			assert.True(t, settings.HasJWT())
			assert.Equal(t, []string{"RS256", "ES256"}, settings.JWTAlgorithms)
		}
	})
	t.Run("Should read lists from variables", func(t *testing.T) {
		settings, err := loadSettings(t, "", []string{"SCHEDULES_TRUSTED_PROXIES=10.0.0.7/8, ::1", "SCHEDULES_JWT_ALGORITHMS=EdDSA"})
		require.NoError(t, err)
		assert.Equal(t, []string{"EdDSA"}, settings.JWTAlgorithms)
		proxies, err := settings.Proxies()
		require.NoError(t, err)
		assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, proxies)
	})
}
