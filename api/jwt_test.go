package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

// issuer is an OIDC provider on loopback.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    map[string]any // public, by key ID
	use     jwkset.USE
	fetched atomic.Int64
	broken  atomic.Bool
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{keys: map[string]any{}}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.fetched.Add(1)
	if i.broken.Load() {
		http.Error(w, "away", http.StatusBadGateway)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	storage := jwkset.NewMemoryStorage()
	for id, key := range i.keys {
		jwk, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id, USE: i.use}})
		if err == nil {
			err = storage.KeyWrite(r.Context(), jwk)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	set, err := storage.JSONPublic(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(set)
}

// publish makes these the issuer's only keys.
func (i *issuer) publish(keys map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

// token is a good token of alice who may read, changed by change.
func token(t testing.TB, method jwt.SigningMethod, key any, kid string, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": "https://id.example", "aud": "schedules", "sub": "alice", "scope": "openid " + config.ScopeRead,
		"iat": noon().Add(-time.Minute).Unix(), "exp": noon().Add(time.Hour).Unix(),
	}
	if change != nil {
		change(claims)
	}
	unsigned := jwt.NewWithClaims(method, claims)
	if kid != "" {
		unsigned.Header["kid"] = kid
	}
	signed, err := unsigned.SignedString(key)
	require.NoError(t, err)
	return signed
}

func newJWTRig(t testing.TB, i *issuer, adjust ...func(*api.Options)) *rig {
	t.Helper()
	return newRig(t, append([]func(*api.Options){func(o *api.Options) {
		o.Now = noon
		o.Settings.JWTIssuer, o.Settings.JWTAudience, o.Settings.JWTJWKSURL = "https://id.example", "schedules", i.URL
	}}, adjust...)...)
}

func (r *rig) get(t testing.TB, token string) answer {
	t.Helper()
	return r.call(t, http.MethodGet, daily, "", "Authorization", "Bearer "+token)
}

func TestJWT(t *testing.T) {
	key, other := rsaKey(t), rsaKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	i := newIssuer(t)
	i.publish(map[string]any{"k1": key.Public(), "ec": ec.Public()})
	r := newJWTRig(t, i)
	rs := func(change func(jwt.MapClaims)) string { return token(t, jwt.SigningMethodRS256, key, "k1", change) }
	set := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[name] = value }
	}
	parts := strings.Split(rs(nil), ".")
	good := rs(nil)
	for _, test := range []struct {
		name, token string
		want        int
		detail      string
	}{
		{"a good one", good, 200, ""},
		{"one signed with ES256", token(t, jwt.SigningMethodES256, ec, "ec", nil), 200, ""},
		{"one without a key ID", token(t, jwt.SigningMethodRS256, key, "", nil), 200, ""},
		{"scopes as a list", rs(set("scope", []string{config.ScopeRead})), 200, ""},
		{"scopes as scp", rs(func(c jwt.MapClaims) { delete(c, "scope"); c["scp"] = []string{config.ScopeRead} }), 200, ""},
		{"several audiences", rs(set("aud", []string{"x", "schedules"})), 200, ""},
		{"one that expired a little ago", rs(set("exp", noon().Add(-20*time.Second).Unix())), 200, ""},
		{"one that expired", rs(set("exp", noon().Add(-time.Minute).Unix())), 401, "has expired"},
		{"one that never expires", rs(func(c jwt.MapClaims) { delete(c, "exp") }), 401, "lacks a claim"},
		{"one from the future", rs(set("nbf", noon().Add(time.Hour).Unix())), 401, "not valid yet"},
		{"one issued in the future", rs(set("iat", noon().Add(time.Hour).Unix())), 401, "not valid yet"},
		{"another issuer", rs(set("iss", "https://evil.example")), 401, "another issuer"},
		{"no issuer", rs(func(c jwt.MapClaims) { delete(c, "iss") }), 401, ""},
		{"another audience", rs(set("aud", "billing")), 401, "another audience"},
		{"no audience", rs(func(c jwt.MapClaims) { delete(c, "aud") }), 401, ""},
		{"no subject", rs(func(c jwt.MapClaims) { delete(c, "sub") }), 401, "no subject"},
		{"a scope of numbers", rs(set("scope", 7)), 401, ""},
		{"no scope", rs(func(c jwt.MapClaims) { delete(c, "scope") }), 403, config.ScopeRead},
		{"a longer scope", rs(set("scope", config.ScopeRead+":all x"+config.ScopeRead)), 403, config.ScopeRead},
		{"a scope to write", rs(set("scope", config.ScopeWrite)), 403, config.ScopeRead},
		{"another's signature", token(t, jwt.SigningMethodRS256, other, "k1", nil), 401, "signature"},
		{"an algorithm that is not allowed", token(t, jwt.SigningMethodRS512, key, "k1", nil), 401, ""},
		{"no signature", token(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", nil), 401, ""},
		{"a signature that was cut off", parts[0] + "." + parts[1] + ".", 401, ""},
		{"HS256 with the public key", token(t, jwt.SigningMethodHS256, publicPEM, "k1", nil), 401, ""},
		{"HS256 with the public key's bytes", token(t, jwt.SigningMethodHS256, public, "k1", nil), 401, ""},
		{"the key of another algorithm", token(t, jwt.SigningMethodRS256, key, "ec", nil), 401, ""},
		{"other claims below the signature", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2], 401, ""},
		{"no JWT", "a.b.c", 401, ""},
		{"empty parts", "..", 401, ""},
	} {
		t.Run("Should judge "+test.name, func(t *testing.T) {
			a := r.get(t, test.token)
			require.Equal(t, test.want, a.StatusCode, "%s", a.body)
			if test.want == http.StatusOK {
				return
			}
			_, problem := a.problem(t)
			assert.Contains(t, problem["detail"], test.detail)
			assert.NotContains(t, string(a.body), i.URL)
		})
	}
	t.Run("Should name the subject as the actor, fit for a note", func(t *testing.T) {
		long := rs(func(c jwt.MapClaims) {
			c["scope"] = config.ScopeWrite
			c["sub"] = "al\nice\u0000" + strings.Repeat("é", 300)
		})
		a := r.call(t, http.MethodDelete, daily, "", "Authorization", "Bearer "+long)
		require.Equal(t, http.StatusNoContent, a.StatusCode, "%s", a.body)
		assert.Equal(t, "al_ice_"+strings.Repeat("é", 193), r.manager.last.Actor)
	})
	t.Run("Should keep tokens out of the log", func(t *testing.T) {
		assert.NotContains(t, r.log.String(), parts[2])
	})
	t.Run("Should take API keys beside tokens", func(t *testing.T) {
		key := newKey(t, "ci")
		r := newJWTRig(t, i, func(o *api.Options) { o.Settings.APIKeys = []config.APIKey{key.Setting} })
		assert.Equal(t, http.StatusOK, r.get(t, key.Token).StatusCode)
		assert.Equal(t, http.StatusOK, r.get(t, good).StatusCode)
	})
	t.Run("Should not take a key for encryption", func(t *testing.T) {
		i := newIssuer(t)
		i.use = jwkset.UseEnc
		i.publish(map[string]any{"k1": key.Public()})
		assert.Equal(t, http.StatusUnauthorized, newJWTRig(t, i).get(t, good).StatusCode)
	})
}

func TestJWKSRotation(t *testing.T) {
	old, fresh := rsaKey(t), rsaKey(t)
	i := newIssuer(t)
	i.publish(map[string]any{"old": old.Public()})
	r := newJWTRig(t, i)
	oldToken := token(t, jwt.SigningMethodRS256, old, "old", nil)
	freshToken := token(t, jwt.SigningMethodRS256, fresh, "fresh", nil)
	require.Equal(t, http.StatusOK, r.get(t, oldToken).StatusCode)

	i.publish(map[string]any{"fresh": fresh.Public()})
	assert.Equal(t, http.StatusOK, r.get(t, freshToken).StatusCode, "an unknown key ID fetches the keys")
	assert.Equal(t, http.StatusUnauthorized, r.get(t, oldToken).StatusCode, "a withdrawn key is one no more")

	before := i.fetched.Load()
	for range 50 {
		assert.Equal(t, http.StatusUnauthorized, r.get(t, oldToken).StatusCode)
	}
	assert.LessOrEqual(t, i.fetched.Load()-before, int64(3), "unknown key IDs do not let anybody flood the issuer")

	i.broken.Store(true)
	assert.Equal(t, http.StatusOK, r.get(t, freshToken).StatusCode, "known keys work while the issuer is away")
}

func TestIssuerIsAway(t *testing.T) {
	key := rsaKey(t)
	i := newIssuer(t)
	i.publish(map[string]any{"k1": key.Public()})
	i.broken.Store(true)
	r := newJWTRig(t, i)
	good := token(t, jwt.SigningMethodRS256, key, "k1", nil)
	a := r.get(t, good)
	slug, _ := a.problem(t)
	assert.Equal(t, "unavailable", slug)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
	assert.Contains(t, r.log.String(), "cannot be fetched")
	i.broken.Store(false)
	assert.Equal(t, http.StatusOK, r.get(t, good).StatusCode)
}

func TestKeySetFollowsNoRedirect(t *testing.T) {
	key := rsaKey(t)
	evil := newIssuer(t)
	evil.publish(map[string]any{"k1": key.Public()})
	redirect := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusFound))
	t.Cleanup(redirect.Close)
	r := newJWTRig(t, evil, func(o *api.Options) { o.Settings.JWTJWKSURL = redirect.URL })
	assert.NotEqual(t, http.StatusOK, r.get(t, token(t, jwt.SigningMethodRS256, key, "k1", nil)).StatusCode)
	assert.Zero(t, evil.fetched.Load())
}

func TestKeySetIsBounded(t *testing.T) {
	large := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"padding": strings.Repeat("x", 2<<20), "keys": []any{}})
	}))
	t.Cleanup(large.Close)
	r := newJWTRig(t, newIssuer(t), func(o *api.Options) { o.Settings.JWTJWKSURL = large.URL })
	assert.Contains(t, r.log.String(), "cannot be fetched")
}
