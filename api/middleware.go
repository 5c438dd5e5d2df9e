package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// callKey is where a request's call is in echo's context.
const callKey = "call"

// call is what the middlewares know of a request.
type call struct {
	id        string
	operation *operation // nil where openapi.yaml has none
	principal *principal // nil until authenticated
}

func callOf(c echo.Context) *call {
	known, ok := c.Get(callKey).(*call)
	if !ok {
		return &call{principal: &principal{name: anonymous}}
	}
	return known
}

// isRequestID accepts what a client may send as X-Request-Id: 1 to 100 characters that neither a log nor
// a header has to escape.
func isRequestID(text string) bool {
	return len(text) > 0 && len(text) <= 100 && text[0] != '.' && strings.Trim(text, requestIDAlphabet) == ""
}

const requestIDAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// errClientGone tells the log that the client did not wait for the answer.
var errClientGone = errors.New("the client is gone")

// observe is the outermost middleware: it names the request, turns errors and panics into problems, and
// logs the answer.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, client := time.Now(), c.Request().Context()
		known := &call{id: c.Request().Header.Get("X-Request-Id"), operation: s.operations.find(c.Path(), c.Request().Method)}
		if !isRequestID(known.id) {
			known.id = uuid.NewString()
		}
		c.Set(callKey, known)
		secure(c.Response().Header(), known.id)
		err := s.recovering(next, c)
		if err != nil {
			err = s.answer(c, known, err)
		}
		if errors.Is(client.Err(), context.Canceled) {
			err = errors.Join(errClientGone, err)
		}
		s.log(c, known, start, err)
		if s.tell != nil && !isProbe(c) {
			s.tell(c.Request().Method, routeOf(known), c.Response().Status, time.Since(start))
		}
		return nil
	}
}

// secure sets what every answer has. Pages of other sites can neither frame an answer nor read it.
func secure(header http.Header, id string) {
	header.Set("X-Request-Id", id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
}

// recovering turns a panic into an error whose text, stack included, only the log shows.
func (s *Server) recovering(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		reason := recover()
		if cause, ok := reason.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
			panic(reason) // how a handler asks net/http to drop the connection
		}
		if reason != nil {
			err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	return next(c)
}

// answer sends the error's problem, unless an answer is on its way, and returns what the log shows.
func (s *Server) answer(c echo.Context, known *call, err error) error {
	p := toProblem(err)
	if c.Response().Committed {
		return err
	}
	if p.Status == http.StatusMethodNotAllowed {
		p = p.with(echo.HeaderAllow, allowed(c))
	}
	if writeErr := p.write(c, known.id); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	return p
}

// allowed is echo's list of the path's methods.
func allowed(c echo.Context) string {
	methods, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	return methods
}

func (s *Server) log(c echo.Context, known *call, start time.Time, err error) {
	status, level := c.Response().Status, slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case isProbe(c):
		level = slog.LevelDebug // probes come every few seconds
	case errors.Is(err, errClientGone):
		level = slog.LevelInfo
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	attrs := []any{
		"method", c.Request().Method, "path", c.Request().URL.Path, "status", status, "bytes", c.Response().Size,
		"duration", time.Since(start), "request_id", known.id, "client", s.proxies.client(c.Request()).String(),
	}
	if known.principal != nil {
		attrs = append(attrs, "actor", known.principal.name)
	}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	s.logger.Log(c.Request().Context(), level, "answered", attrs...)
}

// guard refuses requests that a browser sends for another site's page.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if isProbe(c) {
			return next(c)
		}
		if s.auth.open {
			if err := checkHost(c.Request()); err != nil {
				return err
			}
		}
		if err := s.crossOrigin.Check(c.Request()); err != nil {
			return newProblem(kindCrossOrigin(), "a page of another site may not write; call the API from its own origin, "+
				"or without a browser").because(err)
		}
		return next(c)
	}
}

// isProbe is true for what machines ask every few seconds, without a key.
func isProbe(c echo.Context) bool {
	return c.Path() == "/healthz" || c.Path() == "/readyz" || c.Path() == metricsPath
}

// metricsPath is where Prometheus looks.
const metricsPath = "/metrics"

// routeOf is the operation's path; other for paths that are none of ours, of which there is no end.
func routeOf(known *call) string {
	if known.operation == nil {
		return "other"
	}
	return known.operation.path
}

// admit authenticates, counts and authorizes. Requests without a principal, refused ones too, count for
// the address that they come from.
func (s *Server) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known := callOf(c)
		if isProbe(c) {
			return next(c)
		}
		client := clientKey(s.proxies.client(c.Request()))
		var authErr error
		if known.operation != nil && !known.operation.public() {
			known.principal, authErr = s.auth.authenticate(c.Request())
		}
		if known.principal != nil && known.principal.client != "" {
			client = known.principal.client
		}
		quota := s.limiter.take(client)
		quota.show(c.Response().Header())
		switch {
		case !quota.allowed:
			return quota.refused().because(authErr)
		case authErr != nil:
			return unauthorized(authErr)
		case known.principal != nil:
			if err := known.principal.authorize(known.operation.scope); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// check holds the request against openapi.yaml and gives its handling a time limit.
func (s *Server) check(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if op := callOf(c).operation; op != nil {
			if err := validate(c, op); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.requestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}
