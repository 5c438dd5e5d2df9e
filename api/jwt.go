package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/config"
)

const (
	// jwtLeeway is how far the issuer's clock may be from ours.
	jwtLeeway = 30 * time.Second
	// jwksTimeout ends one fetch of the issuer's keys; jwksEvery is when they are fetched again, so that a
	// withdrawn key stops working.
	jwksTimeout = 5 * time.Second
	jwksEvery   = 15 * time.Minute
	// A token with an unknown key ID fetches the keys at once, but not more often than this: anybody can
	// write such tokens.
	jwksUnknownEvery = 30 * time.Second
	jwksUnknownBurst = 3
	// maxJWKS is the most bytes that a key set may have.
	maxJWKS = 1 << 20
)

// tokenVerifier checks OIDC access tokens.
type tokenVerifier struct {
	parser *jwt.Parser
	keys   keyfunc.Keyfunc
}

// claims are what we read of a token. RFC 8693 has `scope` as text with spaces; some issuers write a
// list, or call it `scp`.
type claims struct {
	jwt.RegisteredClaims
	Scope scopeClaim `json:"scope"`
	Scp   scopeClaim `json:"scp"`
}

type scopeClaim []string

// UnmarshalJSON reads text with spaces, or a list of texts.
func (s *scopeClaim) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*s = strings.Fields(text)
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("scope is neither text nor a list of texts: %w", err)
	}
	*s = list
	return nil
}

// newTokenVerifier fetches the issuer's keys, and keeps them fresh until ctx ends. An issuer that is away
// is no error: its keys are fetched when they are needed.
func newTokenVerifier(ctx context.Context, settings config.Settings, now func() time.Time, logger *slog.Logger) (*tokenVerifier, error) {
	store, err := jwkset.NewStorageFromHTTP(settings.JWTJWKSURL, jwkset.HTTPClientStorageOptions{
		Client: jwksClient(), Ctx: ctx, HTTPTimeout: jwksTimeout, RefreshInterval: jwksEvery, NoErrorReturnFirstHTTPReq: true,
		RefreshErrorHandler: func(_ context.Context, err error) {
			logger.Warn("the token issuer's keys cannot be fetched; those fetched before stay in force", "error", err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("jwt_jwks_url: %w", err)
	}
	storage, err := jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
		HTTPURLs:          map[string]jwkset.Storage{settings.JWTJWKSURL: store},
		RateLimitWaitMax:  jwksTimeout,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksUnknownEvery), jwksUnknownBurst),
	})
	if err != nil {
		return nil, fmt.Errorf("jwt_jwks_url: %w", err)
	}
	keys, err := keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: storage, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, fmt.Errorf("jwt_jwks_url: %w", err)
	}
	return &tokenVerifier{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods(settings.JWTAlgorithms), jwt.WithIssuer(settings.JWTIssuer), jwt.WithAudience(settings.JWTAudience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(jwtLeeway), jwt.WithTimeFunc(now),
	)}, nil
}

// jwksClient reads a bounded answer from the configured address only: a redirect could lead anywhere.
func jwksClient() *http.Client {
	return &http.Client{
		Timeout:       jwksTimeout,
		Transport:     boundedTransport{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type boundedTransport struct{ http.RoundTripper }

// RoundTrip cuts the answer off after maxJWKS bytes, which then is no key set.
func (t boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxJWKS), response.Body}
	return response, nil
}

// verify returns who the token is for. An invalid one is a *tokenError.
func (v *tokenVerifier) verify(ctx context.Context, token string) (*principal, error) {
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keys.KeyfuncCtx(ctx)); err != nil {
		return nil, v.explain(ctx, err)
	}
	if c.Subject == "" {
		return nil, &tokenError{description: "the token names no subject"}
	}
	return &principal{name: printable(c.Subject), client: "jwt:" + c.Subject, scopes: append(c.Scope, c.Scp...)}, nil
}

// explain says in few words why a token was refused. The error's own text, which goes into the log, may
// name the issuer's address.
func (v *tokenVerifier) explain(ctx context.Context, err error) error {
	for _, row := range []struct {
		is          error
		description string
	}{
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "the token is not valid yet"},
		{jwt.ErrTokenInvalidIssuer, "the token has another issuer"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim: exp, iss and aud are needed"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature is not valid"},
	} {
		if errors.Is(err, row.is) {
			return &tokenError{description: row.description, cause: err}
		}
	}
	if errors.Is(err, jwt.ErrTokenUnverifiable) && v.hasNoKeys(ctx) {
		return newProblem(kindUnavailable(), "tokens cannot be checked now: their issuer does not answer").
			with("Retry-After", seconds(jwksUnknownEvery)).because(err)
	}
	return &tokenError{description: "the token is not valid", cause: err}
}

func (v *tokenVerifier) hasNoKeys(ctx context.Context) bool {
	keys, err := v.keys.Storage().KeyReadAll(ctx)
	return err != nil || len(keys) == 0
}

// printable makes a subject, which the issuer chose, fit for logs and notes.
func printable(text string) string {
	const most = 200
	clean := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '_'
		}
		return r
	}, text))
	return string(clean[:min(len(clean), most)])
}
