package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/compozy/schedules/config"
)

// anonymous is the actor of writes where no authentication is configured.
const anonymous = "anonymous"

// realm stands in every challenge (RFC 6750, section 3).
const realm = `Bearer realm="schedules"`

// principal is who sends a request.
type principal struct {
	// name is the actor of the principal's writes.
	name string
	// client is the name that the rate limit counts under: keys and subjects of tokens cannot collide.
	client string
	scopes []string
}

// tokenError says why a key or token was refused.
type tokenError struct {
	description string
	// missing is true where the request has no credentials at all.
	missing bool
	cause   error
}

// Error implements error.
func (e *tokenError) Error() string {
	if e.cause != nil {
		return e.description + ": " + e.cause.Error()
	}
	return e.description
}

// Unwrap is the cause that only the log shows.
func (e *tokenError) Unwrap() error { return e.cause }

// authenticator knows who may do what.
type authenticator struct {
	keys   keyring
	tokens *tokenVerifier // nil: no JWTs
	open   bool           // no authentication is configured
}

func newAuthenticator(
	ctx context.Context, settings config.Settings, now func() time.Time, logger *slog.Logger,
) (*authenticator, error) {
	keys, err := newKeyring(settings.APIKeys)
	if err != nil {
		return nil, err
	}
	a := &authenticator{keys: keys, open: !settings.HasAuth()}
	if settings.HasJWT() {
		if a.tokens, err = newTokenVerifier(ctx, settings, now, logger); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// authenticate finds out who sends the request. A *tokenError means that it must be answered with 401.
func (a *authenticator) authenticate(r *http.Request) (*principal, error) {
	if a.open {
		return &principal{name: anonymous, scopes: config.Scopes()}, nil
	}
	token, err := bearer(r.Header)
	if err != nil {
		return nil, err
	}
	if p := a.keys.find(token); p != nil {
		return p, nil
	}
	if a.tokens != nil && strings.Count(token, ".") == 2 {
		return a.tokens.verify(r.Context(), token)
	}
	return nil, &tokenError{description: "the API key or token is not known here"}
}

// bearer reads the one place where credentials may stand (RFC 6750, section 2.1).
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", &tokenError{description: "no API key or token", missing: true}
	case len(values) > 1:
		return "", &tokenError{description: "the Authorization header stands twice"}
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", &tokenError{description: "the Authorization header is not of the form: Bearer TOKEN"}
	}
	return token, nil
}

// unauthorized is the answer to a missing or refused token.
func unauthorized(err error) *problem {
	var refused *tokenError
	if !errors.As(err, &refused) {
		return toProblem(err)
	}
	challenge := realm
	if !refused.missing { // RFC 6750, section 3.1: no error code without credentials
		challenge += fmt.Sprintf(`, error="invalid_token", error_description=%q`, refused.description)
	}
	return newProblem(kindUnauthorized(), "%s; send Authorization: Bearer and an API key or a token", refused.description).
		with("WWW-Authenticate", challenge).because(refused.cause)
}

// authorize makes sure that the principal has the scope. No scope implies another.
func (p *principal) authorize(scope string) error {
	if slices.Contains(p.scopes, scope) {
		return nil
	}
	challenge := fmt.Sprintf(`%s, error="insufficient_scope", scope=%q`, realm, scope)
	return newProblem(kindMissingScope(), "the scope %s is missing; ask for a key or token that has it", scope).
		with("WWW-Authenticate", challenge)
}
