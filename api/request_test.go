package api_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/api"
)

func TestInvalidRequests(t *testing.T) {
	r := newRig(t)
	const put, post, del, get = http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodGet
	backfill := func(start, end string) string { return `{"start_at":"` + start + `","end_at":"` + end + `"}` }
	for _, test := range []struct {
		name, method, path, body string
		field, detail            string
	}{
		{"an unknown field", put, daily, `{"enabled":true,"raeson":"x"}`, "raeson", "unknown field; the fields are enabled, expires_in, hold, reason"},
		{"a field in other case", put, daily, `{"ENABLED":true,"enabled":true}`, "ENABLED", "unknown field"},
		{"a missing field", put, daily, `{"reason":"x"}`, "enabled", "enabled: missing; add it"},
		{"a wrong type", put, daily, `{"enabled":"yes"}`, "enabled", "enabled: write a value of type boolean"},
		{"a null", put, daily, `{"enabled":null}`, "enabled", "enabled: "},
		{"a doubled key", put, daily, `{"enabled":true,"enabled":false}`, "enabled", "enabled: stands twice; remove one"},
		{"a second value", put, daily, `{"enabled":true}{}`, "", "more than one JSON value"},
		{"trailing text", put, daily, `{"enabled":true} x`, "", "more than one JSON value"},
		{"an array", put, daily, `[]`, "", "not a JSON object"},
		{"null", put, daily, `null`, "", "not a JSON object"},
		{"half an object", put, daily, `{"enabled":`, "enabled", "ends too early"},
		{"no JSON", put, daily, `enabled=false`, "", "not JSON"},
		{"wrong UTF-8", put, daily, "{\"enabled\":true,\"reason\":\"\xff\"}", "", "not UTF-8"},
		{"a UTF-16 mark", put, daily, "\xfe\xff{}", "", "not UTF-8"},
		{"a UTF-8 mark", put, daily, "\ufeff{\"enabled\":true}", "", "not JSON"},
		{"deep nesting", put, daily, strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "", "nests deeper than 32"},
		{"no body", put, daily, "", "", "the body is missing"},
		{"a long reason", put, daily, `{"enabled":true,"reason":"` + strings.Repeat("x", 501) + `"}`, "reason", "500"},
		{"a reason of two lines", put, daily, `{"enabled":true,"reason":"a\nb"}`, "reason", "One line"},
		{"a reason that colours terminals", del, daily + "?reason=%1b[31m", "", "reason", "One line"},
		{"an expiry in words", put, daily, `{"enabled":true,"expires_in":"soon"}`, "expires_in", "write a duration such as 90s"},
		{"an expiry of zero", put, daily, `{"enabled":true,"expires_in":"0s"}`, "expires_in", "more than 0s"},
		{"a negative expiry", put, daily, `{"enabled":true,"expires_in":"-1h"}`, "expires_in", "remove the minus sign"},
		{"an unknown overlap policy", post, daily + "/trigger", `{"overlap_policy":"queue"}`, "overlap_policy", "use skip, allow"},
		{"a time in words", post, daily + "/backfill", backfill("yesterday", "2027-03-01T00:00:00Z"), "start_at", "RFC 3339"},
		{"an impossible time", post, daily + "/backfill", backfill("2027-02-31T00:00:00Z", "2027-03-01T00:00:00Z"), "", ""},
		{"a window that ends first", post, daily + "/backfill", backfill("2027-03-02T00:00:00Z", "2027-03-01T00:00:00Z"), "end_at", "after start_at"},
		{"a body with a delete", del, daily, `{"reason":"x"}`, "", "reads no body"},
		{"a body with a get", get, daily, `{}`, "", "reads no body"},
		{"an unknown status", get, "/api/v0/schedules?status=stopped", "", "status", "use active, paused"},
		{"a page size in words", get, "/api/v0/schedules?page_size=many", "", "page_size", "type integer"},
		{"a page size of zero", get, "/api/v0/schedules?page_size=0", "", "page_size", "page_size: "},
		{"a large page size", get, "/api/v0/schedules?page_size=1001", "", "page_size", "1000"},
		{"a huge page size", get, "/api/v0/schedules?page_size=99999999999999999999999", "", "page_size", ""},
		{"an empty page token", get, "/api/v0/schedules?page_token=", "", "page_token", ""},
		{"an unknown parameter", get, "/api/v0/schedules?stauts=paused", "", "stauts", "the parameters are status, page_size, page_token"},
		{"a parameter where none is known", get, daily + "?x=1", "", "x", "no query parameters"},
		{"a doubled parameter", get, "/api/v0/schedules?status=paused&status=active", "", "status", "stands twice"},
		{"a malformed query", get, "/api/v0/schedules?status=%zz", "", "", "percent-encode"},
		{"a semicolon", get, "/api/v0/schedules?status=paused;page_size=1", "", "", "percent-encode"},
		{"hold in words", del, daily + "?hold=yes", "", "hold", "type boolean"},
		{"capitals in the id", get, "/api/v0/schedules/Daily", "", "workflowId", "workflowId: malformed"},
		{"a long id", get, "/api/v0/schedules/" + strings.Repeat("a", 64), "", "workflowId", "63"},
		{"a slash in the id", get, "/api/v0/schedules/a%2Fb", "", "workflowId", "malformed"},
		{"an escaped escape in the id", get, "/api/v0/schedules/a%252Fb", "", "workflowId", "malformed"},
		{"a zero byte in the id", get, "/api/v0/schedules/a%00", "", "workflowId", "malformed"},
		{"dots as the id", get, "/api/v0/schedules/%2e%2e", "", "workflowId", "malformed"},
		{"a request id that starts with a dot", get, "/api/v0/requests/..", "", "requestId", "malformed"},
		{"a long request id", get, "/api/v0/requests/" + strings.Repeat("a", 101), "", "requestId", ""},
	} {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			before := len(r.manager.writes())
			a := r.call(t, test.method, test.path, test.body)
			slug, problem := a.problem(t)
			assert.Equal(t, "invalid-request", slug)
			assert.Equal(t, http.StatusBadRequest, a.StatusCode)
			assert.Contains(t, problem["detail"], test.detail)
			if test.field != "" {
				assert.Equal(t, test.field, problem["field"])
			}
			assert.Len(t, r.manager.writes(), before)
			assert.LessOrEqual(t, len(a.body), 1000)
		})
	}
	for name, keys := range map[string][]string{
		"an empty key": {""}, "a long key": {strings.Repeat("k", 101)}, "a key with a space": {"a b"},
		"a key that is no ASCII": {"clé"}, "two keys": {"a", "b"}, "a key that starts with a dot": {"."},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			request := newRequest(t, del, daily, "")
			request.Header["Idempotency-Key"] = keys
			slug, problem := r.send(t, request).problem(t)
			assert.Equal(t, "invalid-request", slug)
			assert.Equal(t, "Idempotency-Key", problem["field"])
		})
	}
	t.Run("Should take a key as it is", func(t *testing.T) {
		key := `"a%20b",` + strings.Repeat("~", 92)
		assert.Equal(t, http.StatusNoContent, r.call(t, del, daily, "", "Idempotency-Key", key).StatusCode)
		assert.Equal(t, key, r.manager.last.RequestID)
	})
}

func TestMediaTypes(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		name, body string
		headers    []string
		want       int
	}{
		{"JSON", `{"enabled":true}`, []string{"Content-Type", "application/json"}, http.StatusOK},
		{"JSON in UTF-8", `{"enabled":true}`, []string{"Content-Type", "Application/JSON; charset=UTF-8"}, http.StatusOK},
		{"JSON as it is", `{"enabled":true}`, []string{"Content-Encoding", "identity"}, http.StatusOK},
		{"JSON in Latin-1", `{"enabled":true}`, []string{"Content-Type", "application/json; charset=iso-8859-1"}, http.StatusUnsupportedMediaType},
		{"a form", `enabled=true`, []string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"text", `{"enabled":true}`, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{"a patch", `{"enabled":true}`, []string{"Content-Type", "application/merge-patch+json"}, http.StatusUnsupportedMediaType},
		{"a malformed type", `{"enabled":true}`, []string{"Content-Type", "application/json; charset"}, http.StatusUnsupportedMediaType},
		{"no type", `{"enabled":true}`, []string{"Content-Type", ""}, http.StatusUnsupportedMediaType},
		{"gzip", "\x1f\x8b", []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType},
	} {
		t.Run("Should judge "+test.name, func(t *testing.T) {
			a := r.call(t, http.MethodPut, daily, test.body, test.headers...)
			assert.Equal(t, test.want, a.StatusCode, "%s", a.body)
			if test.want == http.StatusUnsupportedMediaType {
				slug, _ := a.problem(t)
				assert.Equal(t, "unsupported-media-type", slug)
				assert.Equal(t, "application/json", a.Header.Get("Accept"))
			}
		})
	}
}

func TestBodySize(t *testing.T) {
	const limit = 64 << 10
	body := func(size int) string {
		const frame = `{"enabled":true}`
		return `{"enabled":true` + strings.Repeat(" ", size-len(frame)) + `}`
	}
	t.Run("Should read a body of 64 KiB", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, newRig(t).call(t, http.MethodPut, daily, body(limit)).StatusCode)
	})
	for name, length := range map[string]int64{"announced": limit + 1, "not announced": -1} {
		t.Run("Should refuse one byte more, "+name, func(t *testing.T) {
			request := newRequest(t, http.MethodPut, daily, body(limit+1))
			request.ContentLength = length
			a := newRig(t).send(t, request)
			slug, _ := a.problem(t)
			assert.Equal(t, "too-large", slug)
			assert.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
		})
	}
	for _, test := range []struct {
		name, slug string
		err        error
	}{
		{"breaks off", "invalid-request", errors.New("connection reset by 10.1.2.3:4")},
		{"comes too slowly", "request-timeout", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
	} {
		t.Run("Should refuse a body that "+test.name, func(t *testing.T) {
			request := newRequest(t, http.MethodPut, daily, "x")
			request.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"ena`), iotest.ErrReader(test.err)))
			slug, _ := newRig(t).send(t, request).problem(t)
			assert.Equal(t, test.slug, slug)
		})
	}
}

func TestMethodsAndPaths(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		path string
		want []string
	}{
		{"/api/v0/schedules", []string{"GET", "HEAD", "OPTIONS"}},
		{daily, []string{"DELETE", "GET", "HEAD", "OPTIONS", "PUT"}},
		{daily + "/override", []string{"DELETE", "OPTIONS"}},
		{daily + "/trigger", []string{"OPTIONS", "POST"}},
		{"/healthz", []string{"GET", "HEAD", "OPTIONS"}},
		{"/api/v0/docs/start.js", []string{"GET", "HEAD", "OPTIONS"}},
	} {
		for method, status := range map[string]int{
			http.MethodPatch: http.StatusMethodNotAllowed, http.MethodOptions: http.StatusNoContent,
			http.MethodTrace: http.StatusMethodNotAllowed, "BREW": http.StatusMethodNotAllowed,
		} {
			t.Run("Should name the methods of "+test.path+" to "+method, func(t *testing.T) {
				a := r.call(t, method, test.path, "")
				assert.Equal(t, status, a.StatusCode)
				var allowed []string
				for _, list := range a.Header.Values("Allow") {
					allowed = append(allowed, strings.Split(list, ", ")...)
				}
				slices.Sort(allowed)
				assert.Equal(t, test.want, allowed)
				if status == http.StatusMethodNotAllowed {
					slug, _ := a.problem(t)
					assert.Equal(t, "method-not-allowed", slug)
				}
			})
		}
	}
	for _, path := range []string{
		"/", "/api", "/api/v0", "/api/v0/", "/api/v0/schedules/", "/api/v0/schedules/a/b", "//api/v0/schedules", "/api/v1/schedules",
		"/api/v0/docs/", "/api/v0/docs/nothing.js", "/api/v0/docs/index.html", "/api/v0/docs/..%2fserver.go", "/favicon.ico",
		"/healthz/", "/API/v0/schedules",
	} {
		t.Run("Should not know "+path, func(t *testing.T) {
			a := r.call(t, http.MethodGet, path, "")
			slug, _ := a.problem(t)
			assert.Equal(t, "not-found", slug)
			assert.Equal(t, http.StatusNotFound, a.StatusCode)
		})
	}
	t.Run("Should answer HEAD of an unknown path without a body", func(t *testing.T) {
		a := r.call(t, http.MethodHead, "/nothing", "")
		assert.Equal(t, http.StatusNotFound, a.StatusCode)
		assert.Empty(t, a.body)
	})
	t.Run("Should not open the API to pages of other sites", func(t *testing.T) {
		a := r.call(t, http.MethodGet, "/api/v0/schedules", "", "Origin", "https://evil.example")
		for name := range a.Header {
			assert.NotContains(t, name, "Access-Control")
		}
	})
}

func TestRequestID(t *testing.T) {
	r := newRig(t)
	for given, kept := range map[string]bool{
		"abc-123": true, "a.b_c": true, "": false, "a b": false, "..": false, strings.Repeat("a", 101): false, "<script>": false, "a<b": false, "a\nb": false,
	} {
		t.Run("Should answer to "+given, func(t *testing.T) {
			got := r.call(t, http.MethodGet, "/healthz", "", "X-Request-Id", given).Header.Get("X-Request-Id")
			if kept {
				assert.Equal(t, given, got)
			} else {
				assert.Len(t, got, 36)
			}
			assert.Contains(t, r.log.String(), `"request_id":"`+got+`"`)
		})
	}
}

func TestCrossOrigin(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"no browser", nil, http.StatusOK},
		{"the docs page", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"another port", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"an old browser on another site", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"a sandboxed page", []string{"Origin", "null"}, http.StatusForbidden},
		{"an old browser on this site", []string{"Origin", "http://localhost:8080"}, http.StatusOK},
	} {
		t.Run("Should judge a write from "+test.name, func(t *testing.T) {
			r := newRig(t)
			a := r.call(t, http.MethodPost, daily+"/trigger", "", test.headers...)
			assert.Equal(t, test.want, a.StatusCode)
			if test.want == http.StatusForbidden {
				slug, _ := a.problem(t)
				assert.Equal(t, "cross-origin", slug)
				assert.Empty(t, r.manager.writes())
			}
		})
	}
}

func TestDocsPage(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.Settings.APIKeys = keysOf(t, "ci") })
	t.Run("Should be readable without a key, with a policy that allows its own files only", func(t *testing.T) {
		a := r.call(t, http.MethodGet, "/api/v0/docs", "")
		assert.Equal(t, http.StatusOK, a.StatusCode)
		policy := a.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'; script-src 'self'; style-src 'self'")
		assert.NotContains(t, policy, "unsafe")
		assert.NotContains(t, string(a.body), "http", "everything comes from this server")
		assert.NotRegexp(t, `<script>|style=| on[a-z]+=`, string(a.body), "the policy forbids inline code")
	})
	t.Run("Should have every file that the page names", func(t *testing.T) {
		for file, mediaType := range map[string]string{
			"docs/swagger-ui-bundle.js": "javascript", "docs/start.js": "javascript", "docs/swagger-ui.css": "text/css", "openapi.yaml": "yaml",
		} {
			a := r.call(t, http.MethodGet, "/api/v0/"+file, "")
			assert.Equal(t, http.StatusOK, a.StatusCode, file)
			assert.Contains(t, a.Header.Get("Content-Type"), mediaType)
		}
	})
}
