package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/compozy/schedules/config"
)

// keyPrefix tells people and secret scanners what a key is for.
const keyPrefix = "csk_"

// Key is a new API key. Token is shown once and stored nowhere; Setting goes into the settings.
type Key struct {
	Token   string
	Setting config.APIKey
}

// NewKey makes a key of 256 random bits for the named user. Without scopes it may only read. A bad name
// or an unknown scope is an error.
func NewKey(name string, scopes []string) (Key, error) {
	if len(scopes) == 0 {
		scopes = []string{config.ScopeRead}
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the process instead
	token := keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(token))
	key := Key{Token: token, Setting: config.APIKey{Name: name, SHA256: hex.EncodeToString(hash[:]), Scopes: scopes}}
	if err := key.Setting.Validate(); err != nil {
		return Key{}, fmt.Errorf("make an API key: %w", err)
	}
	return key, nil
}

// YAML is the entry of the settings file, below `api_keys:`.
func (k Key) YAML() string {
	return fmt.Sprintf("  - { name: %q, sha256: %q, scopes: [%s] }", k.Setting.Name, k.Setting.SHA256, strings.Join(k.Setting.Scopes, ", "))
}

// Variable is the same as an environment variable. Further keys follow after a comma.
func (k Key) Variable() string { return "SCHEDULES_API_KEYS=" + k.Setting.String() }

// keyring checks tokens against the configured keys.
type keyring []hashedKey

type hashedKey struct {
	hash [sha256.Size]byte
	name string
	// scopes are what the key may do.
	scopes []string
}

func newKeyring(settings []config.APIKey) (keyring, error) {
	ring := make(keyring, 0, len(settings))
	for _, setting := range settings {
		if err := setting.Validate(); err != nil {
			return nil, err
		}
		key := hashedKey{name: setting.Name, scopes: setting.Scopes}
		if _, err := hex.Decode(key.hash[:], []byte(setting.SHA256)); err != nil {
			return nil, fmt.Errorf("api_keys: key %q: %w", setting.Name, err)
		}
		ring = append(ring, key)
	}
	return ring, nil
}

// find compares the token's hash with every key's, so that the time taken tells nothing about where, or
// how far, they agree. A plain hash is enough: the keys are random, not words that people choose.
func (r keyring) find(token string) *principal {
	hash := sha256.Sum256([]byte(token))
	var found *principal
	for i := range r {
		if subtle.ConstantTimeCompare(hash[:], r[i].hash[:]) == 1 {
			found = &principal{name: r[i].name, client: "key:" + r[i].name, scopes: r[i].scopes}
		}
	}
	return found
}
