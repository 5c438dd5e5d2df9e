package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
)

// everyOperation calls each operation that asks the manager.
func everyOperation() [][3]string {
	return [][3]string{
		{http.MethodGet, "/api/v0/schedules", ""},
		{http.MethodGet, daily, ""},
		{http.MethodPut, daily, `{"enabled":true}`},
		{http.MethodDelete, daily, ""},
		{http.MethodDelete, daily + "/override", ""},
		{http.MethodPost, daily + "/trigger", ""},
		{http.MethodPost, daily + "/backfill", `{"start_at":"2027-03-01T00:00:00Z","end_at":"2027-03-02T00:00:00Z"}`},
		{http.MethodGet, daily + "/runs", ""},
		{http.MethodGet, "/api/v0/reconciler", ""},
		{http.MethodPost, "/api/v0/reload", ""},
		{http.MethodGet, "/api/v0/requests/a", ""},
	}
}

func TestManagerErrors(t *testing.T) {
	const secret = "dial tcp 10.1.2.3:7233: password hunter2"
	for _, test := range []struct {
		name   string
		err    error
		status int
		slug   string
		detail string
		hidden bool
	}{
		{"not found", fmt.Errorf("workflow %q: %w: check the id", "x", manager.ErrNotFound), 404, "not-found", "check the id", false},
		{"a conflict", fmt.Errorf("workflow %q: %w: it is somebody else's", "x", manager.ErrConflict), 409, "conflict", "somebody else", false},
		{"an invalid request", fmt.Errorf("page_token: %w", manager.ErrInvalid), 400, "invalid-request", "page_token", false},
		{"unavailable", fmt.Errorf("%w: %s", manager.ErrUnavailable, secret), 503, "unavailable", "try again", true},
		{"a deadline", fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), 503, "unavailable", "no answer in time", true},
		{"anything else", errors.New(secret), 500, "internal", "request id", true},
	} {
		r := newRig(t)
		for _, operation := range everyOperation() {
			if test.status == http.StatusConflict && (strings.HasPrefix(operation[1], "/api/v0/re") || operation[1] == "/api/v0/schedules") &&
				operation[0] == http.MethodGet {
				continue // these concern no schedule's state
			}
			if test.status == http.StatusNotFound && operation[1] == "/api/v0/schedules" {
				continue
			}
			t.Run(fmt.Sprintf("Should answer %s to %s %s", test.name, operation[0], operation[1]), func(t *testing.T) {
				r.log.reset()
				r.manager.err = test.err
				a := r.call(t, operation[0], operation[1], operation[2])
				slug, problem := a.problem(t)
				assert.Equal(t, test.slug, slug)
				assert.Equal(t, test.status, a.StatusCode)
				assert.Contains(t, problem["detail"], test.detail)
				assert.Equal(t, test.status == http.StatusServiceUnavailable, a.Header.Get("Retry-After") != "")
				assert.NotContains(t, string(a.body), "hunter2")
				assert.NotContains(t, string(a.body), "10.1.2.3")
				assert.Equal(t, test.hidden, strings.Contains(r.log.String(), "hunter2"), "what is hidden stands in the log")
			})
		}
	}
}

func TestPanics(t *testing.T) {
	r := newRig(t)
	r.manager.hook = func(context.Context) { panic("secret state") }
	for _, operation := range everyOperation() {
		t.Run(fmt.Sprintf("Should answer a panic in %s %s", operation[0], operation[1]), func(t *testing.T) {
			a := r.call(t, operation[0], operation[1], operation[2])
			slug, _ := a.problem(t)
			assert.Equal(t, "internal", slug)
			assert.NotContains(t, string(a.body), "secret")
			assert.NotContains(t, string(a.body), ".go")
		})
	}
	assert.Contains(t, r.log.String(), "secret state")
	assert.Contains(t, r.log.String(), "handlers.go", "the log has the stack")
	assert.Contains(t, r.log.String(), `"level":"ERROR"`)
}

func TestRequestTimeout(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.RequestTimeout = 20 * time.Millisecond })
	r.manager.hook = func(ctx context.Context) { <-ctx.Done(); r.manager.err = ctx.Err() }
	a := r.call(t, http.MethodGet, daily, "")
	slug, _ := a.problem(t)
	assert.Equal(t, "unavailable", slug)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
}

func TestReadiness(t *testing.T) {
	var reason error
	r := newRig(t, func(o *api.Options) { o.Ready = func(context.Context) error { return reason } })
	reason = errors.New("temporal at 10.1.2.3:7233 is away")
	for range 3 {
		a := r.call(t, http.MethodGet, "/readyz", "")
		slug, _ := a.problem(t)
		assert.Equal(t, "not-ready", slug)
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		assert.NotEmpty(t, a.Header.Get("Retry-After"))
		assert.NotContains(t, string(a.body), "10.1.2.3")
	}
	assert.Equal(t, 1, strings.Count(r.log.String(), `"msg":"not ready"`), "the same reason is logged once")
	assert.Equal(t, http.StatusOK, r.call(t, http.MethodGet, "/healthz", "").StatusCode)
	reason = nil
	assert.Equal(t, http.StatusOK, r.call(t, http.MethodGet, "/readyz", "").StatusCode)
	reason = errors.New("temporal at 10.1.2.3:7233 is away")
	r.call(t, http.MethodGet, "/readyz", "")
	assert.Equal(t, 2, strings.Count(r.log.String(), `"msg":"not ready"`))
}

func TestProblemsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	require.NoError(t, err)
	docs, err := os.ReadFile("../docs/api.md")
	require.NoError(t, err)
	kinds := regexp.MustCompile(`kind\{"([a-z-]+)", "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	require.Len(t, kinds, 15)
	for _, kind := range kinds {
		t.Run("Should have a heading for "+kind[1], func(t *testing.T) {
			// A heading "Problem: not found" has the anchor #problem-not-found.
			assert.Contains(t, string(docs), "\n### Problem: "+strings.ReplaceAll(kind[1], "-", " ")+"\n")
		})
	}
}
