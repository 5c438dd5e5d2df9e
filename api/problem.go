package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/compozy/schedules/api/manager"
)

// problemBase with a kind's slug is a problem's type. The anchors are headings of docs/api.md.
const problemBase = "https://github.com/compozy/schedules/blob/main/docs/api.md#problem-"

// retryAfter is what a 503 asks a client to wait.
const retryAfter = 5 * time.Second

// kind is one row of the table of problems: it fixes type, title and status.
type kind struct {
	slug, title string
	status      int
}

// The problems that the API answers with. docs/api.md describes each.
func kindInvalid() kind      { return kind{"invalid-request", "Invalid request", http.StatusBadRequest} }
func kindUnauthorized() kind { return kind{"unauthorized", "Unauthorized", http.StatusUnauthorized} }
func kindMissingScope() kind { return kind{"missing-scope", "Missing scope", http.StatusForbidden} }
func kindForeignHost() kind  { return kind{"foreign-host", "Foreign host", http.StatusForbidden} }
func kindCrossOrigin() kind {
	return kind{"cross-origin", "Cross-origin request", http.StatusForbidden}
}
func kindNotFound() kind { return kind{"not-found", "Not found", http.StatusNotFound} }
func kindMethod() kind {
	return kind{"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed}
}
func kindTimeout() kind  { return kind{"request-timeout", "Request timeout", http.StatusRequestTimeout} }
func kindConflict() kind { return kind{"conflict", "Conflict", http.StatusConflict} }
func kindTooLarge() kind { return kind{"too-large", "Too large", http.StatusRequestEntityTooLarge} }
func kindMediaType() kind {
	return kind{"unsupported-media-type", "Unsupported media type", http.StatusUnsupportedMediaType}
}
func kindRateLimited() kind { return kind{"rate-limited", "Rate limited", http.StatusTooManyRequests} }
func kindInternal() kind    { return kind{"internal", "Internal error", http.StatusInternalServerError} }
func kindUnavailable() kind { return kind{"unavailable", "Unavailable", http.StatusServiceUnavailable} }
func kindNotReady() kind    { return kind{"not-ready", "Not ready", http.StatusServiceUnavailable} }

// problem is an answer that says what went wrong (RFC 9457). It is an error, so that handlers return it.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	// Field is the body's field, or the parameter or header, that is wrong.
	Field string `json:"field,omitempty"`

	// header goes with the answer; cause goes into the log only.
	header http.Header
	cause  error
}

func newProblem(k kind, format string, args ...any) *problem {
	return &problem{
		Type: problemBase + k.slug, Title: k.title, Status: k.status,
		Detail: fmt.Sprintf(format, args...), header: http.Header{},
	}
}

func invalid(field, format string, args ...any) *problem {
	p := newProblem(kindInvalid(), format, args...)
	p.Field = field
	return p
}

// Error implements error.
func (p *problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

// Unwrap is the cause that only the log shows.
func (p *problem) Unwrap() error { return p.cause }

// because keeps the cause for the log.
func (p *problem) because(cause error) *problem {
	p.cause = cause
	return p
}

// with adds a header to the answer.
func (p *problem) with(name, value string) *problem {
	p.header.Set(name, value)
	return p
}

func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

// toProblem is the one place that turns errors into answers. The text of an error that may name
// addresses or internals stays out of the answer.
func toProblem(err error) *problem {
	var p *problem
	var httpError *echo.HTTPError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &httpError):
		return fromEcho(httpError)
	case errors.Is(err, manager.ErrInvalid):
		return newProblem(kindInvalid(), "%s", err)
	case errors.Is(err, manager.ErrNotFound):
		return newProblem(kindNotFound(), "%s", err)
	case errors.Is(err, manager.ErrConflict):
		return newProblem(kindConflict(), "%s", err)
	case errors.Is(err, manager.ErrUnavailable):
		return newProblem(kindUnavailable(), "Temporal or the reconciler does not answer now; try again, a write with its Idempotency-Key").
			with("Retry-After", seconds(retryAfter)).because(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(kindUnavailable(), "no answer in time; try again, a write with its Idempotency-Key").
			with("Retry-After", seconds(retryAfter)).because(err)
	}
	return newProblem(kindInternal(), "a mistake of the server; its log has the details under this request id").because(err)
}

// fromEcho words what the router and the generated code say.
func fromEcho(err *echo.HTTPError) *problem {
	switch err.Code {
	case http.StatusNotFound:
		return newProblem(kindNotFound(), "no such path; /api/v0/openapi.yaml has them all")
	case http.StatusMethodNotAllowed:
		return newProblem(kindMethod(), "this path does not know the method; the Allow header has those that it knows")
	case http.StatusBadRequest:
		return newProblem(kindInvalid(), "%v", err.Message)
	}
	return newProblem(kindInternal(), "a mistake of the server; its log has the details under this request id").because(err)
}

// write sends the problem as the answer to the request with that id.
func (p *problem) write(c echo.Context, id string) error {
	answer := *p
	answer.Instance = id
	body, err := json.Marshal(&answer)
	if err != nil {
		return fmt.Errorf("encode a problem: %w", err)
	}
	maps.Copy(c.Response().Header(), p.header)
	return send(c, p.Status, "application/problem+json", body)
}

// writeJSON sends a value.
func writeJSON(c echo.Context, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return send(c, status, echo.MIMEApplicationJSON, append(body, '\n'))
}

func send(c echo.Context, status int, contentType string, body []byte) error {
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	if c.Request().Method == http.MethodHead {
		c.Response().Header().Set(echo.HeaderContentType, contentType)
		return c.NoContent(status)
	}
	return c.Blob(status, contentType, body)
}
