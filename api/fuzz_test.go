package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
)

// chaos makes requests that are wrong in many ways, the same ones for the same seed.
type chaos struct {
	*rand.Rand
	token string
}

func (c *chaos) pick(options ...string) string { return options[c.IntN(len(options))] }

func (c *chaos) bytes(most int) string {
	junk := make([]byte, c.IntN(most))
	for i := range junk {
		junk[i] = byte(c.IntN(256))
	}
	return string(junk)
}

func (c *chaos) path() string {
	id := c.pick("daily-report", "hourly", "%2e%2e", "..", "a%2Fb", "%00", "%ff%fe", "%zz", strings.Repeat("a", 1+c.IntN(200)), "é", "%25%32%46",
		url.PathEscape(c.bytes(30)), "daily-report/", "-", "{workflowId}", ":workflowId", "*")
	if c.IntN(2) == 0 {
		id = "daily-report"
	}
	path := c.pick("/api/v0/schedules", "/api/v0/schedules/"+id, "/api/v0/schedules/"+id+c.pick("/override", "/trigger", "/backfill", "/runs", "/x", "//runs"),
		"/api/v0/requests/"+id, "/api/v0/reconciler", "/api/v0/reload", "/api/v0/reload", "/api/v0/docs/"+id, "/healthz", "/readyz", "/"+id)
	if c.IntN(3) > 0 {
		return path
	}
	query := c.pick("", "?", "?page_size="+c.pick("1", "0", "-1", "1e9", "9223372036854775808", "٣", "%00"), "?status="+c.pick("active", "x", ""),
		"?page_token="+url.QueryEscape(c.bytes(50)), "?hold=maybe", "?a=1&a=2", "?expires_in=-1h", "?reason="+strings.Repeat("r", c.IntN(2000)),
		"?%zz", "?a;b", "?"+url.QueryEscape(c.bytes(40)))
	return path + query
}

func (c *chaos) body() string {
	value := c.pick(`true`, `false`, `null`, `1e999`, `"x"`, `[]`, `{}`, `"\ud800"`, `-0`, `"`+strings.Repeat("x", c.IntN(1000))+`"`, `"2h"`, `"0s"`,
		`"9999999h"`, `"2027-03-01T00:00:00Z"`, `"0000-00-00T00:00:00Z"`, `"2027-03-01T25:00:00Z"`, `"9999-12-31T23:59:60Z"`)
	field := c.pick("enabled", "reason", "expires_in", "hold", "start_at", "end_at", "overlap_policy", "force", "prune", "x", "", "\x00", "Enabled")
	valid := c.pick(`{"enabled":false}`, `{"start_at":"2027-03-01T00:00:00Z","end_at":"2027-03-02T00:00:00Z"}`, `{"force":true}`, `{}`)
	switch c.IntN(9) {
	case 0:
		return ""
	case 1:
		return valid
	case 2:
		return c.bytes(200)
	case 3:
		return strings.Repeat(c.pick("[", `{"a":`, " ", "x"), c.IntN(70_000))
	case 4: // cut off
		return valid[:c.IntN(len(valid))]
	case 5: // a byte changed
		changed := []byte(valid)
		changed[c.IntN(len(changed))] = byte(c.IntN(256))
		return string(changed)
	case 6:
		return valid + c.pick(valid, " ", "\x00", "//")
	default:
		return strings.TrimSuffix(valid, "}") + c.pick(",", "") + fmt.Sprintf("%q:%s}", field, value)
	}
}

func (c *chaos) request(t testing.TB) *http.Request {
	t.Helper()
	method := c.pick("GET", "GET", "PUT", "PUT", "POST", "POST", "DELETE", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW")
	request := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(c.body()))
	target, err := url.ParseRequestURI(c.path())
	if err == nil {
		request.URL, request.RequestURI = target, target.RequestURI()
	}
	request.RemoteAddr = c.pick("127.0.0.1:1", "[::1]:2", "10.0.0.1:3", "", "@", "pipe")
	request.Host = c.pick("localhost", "", "evil.example", "[::1", "a:b:c")
	request.Header["Authorization"] = []string{c.pick("Bearer "+c.token, "Bearer "+c.token, "Bearer "+c.token, "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.",
		"Basic x", "", "Bearer", c.bytes(100), "Bearer "+strings.Repeat("x", 9000))}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Idempotency-Key", "X-Request-Id", "X-Forwarded-For", "Origin", "Sec-Fetch-Site"} {
		if c.IntN(8) == 0 {
			request.Header[name] = []string{c.pick("", "x", "application/json", "gzip", "a, b", "cross-site", c.bytes(150))}
		} else if name == "Content-Type" {
			request.Header[name] = []string{"application/json"}
		}
	}
	if c.IntN(5) == 0 {
		request.ContentLength = int64(c.IntN(100_000)) - 1
	}
	return request
}

func newFuzzRig(t testing.TB) (*rig, *clock, string) {
	t.Helper()
	key := newKey(t, "ci", config.Scopes()...)
	r, c := newLimitedRig(t, 1000, func(o *api.Options) {
		o.Settings.APIKeys, o.Settings.TrustedProxies = []config.APIKey{key.Setting}, []string{"10.0.0.0/8"}
	})
	return r, c, key.Token
}

// survive sends the request and judges the answer: no 5xx, as openapi.yaml says, and the problem of every refusal
// is one of those that docs/api.md describes.
func (r *rig) survive(t testing.TB, request *http.Request) answer {
	t.Helper()
	original := request.Clone(request.Context())
	recorder := httptest.NewRecorder()
	r.Handler().ServeHTTP(recorder, request)
	response := recorder.Result()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	a := answer{Response: response, body: body}
	require.Less(t, a.StatusCode, 500, "%s %q: %s", request.Method, request.URL, body)
	if a.StatusCode >= 400 && request.Method != http.MethodHead {
		slug, detail := a.problem(t)
		require.Equal(t, a.StatusCode, problemStatus[slug], "%s: %s", slug, body)
		require.NotEmpty(t, detail["title"])
		require.NotEmpty(t, detail["detail"])
	}
	if operations[request.Method] {
		r.hold(t, original, a) //nolint:contextcheck // answers are checked in the test's own context
	}
	if t.Failed() {
		t.FailNow()
	}
	return a
}

// operations are the methods that openapi.yaml knows.
var operations = map[string]bool{http.MethodGet: true, http.MethodPut: true, http.MethodPost: true, http.MethodDelete: true}

// problemStatus are the problems that a request can meet here, where Temporal always answers.
var problemStatus = map[string]int{
	"invalid-request": 400, "unauthorized": 401, "missing-scope": 403, "foreign-host": 403, "cross-origin": 403, "not-found": 404,
	"method-not-allowed": 405, "request-timeout": 408, "conflict": 409, "too-large": 413, "unsupported-media-type": 415, "rate-limited": 429,
}

func TestMalformedRequests(t *testing.T) {
	const requests = 8_000
	r, clock, token := newFuzzRig(t)
	c := &chaos{rand.New(rand.NewPCG(7, 2027)), token} // a fixed seed, so that a failure can be repeated
	before := runtime.NumGoroutine()
	statuses := map[int]int{}
	for range requests {
		clock.turn(time.Millisecond) // not enough: the limit is reached too
		statuses[r.survive(t, c.request(t)).StatusCode]++
		r.log.reset()
	}
	t.Logf("answers by status: %v", statuses)
	for _, status := range []int{200, 202, 204, 400, 401, 403, 404, 405, 413, 415, 429} {
		assert.NotZero(t, statuses[status], "the requests reach every refusal: %d", status)
	}
	assert.LessOrEqual(t, settledGoroutines(before), before, "no goroutine is left behind")
}

// The same over real connections, where net/http refuses what is no HTTP at all.
func TestMalformedConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	r, _, token := newFuzzRig(t)
	address, stop := r.serve(t)
	address = strings.TrimPrefix(address, "http://")
	c := &chaos{rand.New(rand.NewPCG(8, 2027)), token} // a fixed seed, so that a failure can be repeated
	for range 300 {
		raw := c.pick("GET", "PUT", "\x00", "") + c.pick(" ", "", "\t") + c.path() + " HTTP/" + c.pick("1.1", "1.0", "9.9", "") + "\r\n" +
			"Host: " + c.pick("localhost", "", "a b") + "\r\nAuthorization: Bearer " + token + "\r\nContent-Length: " + c.pick("0", "5", "-1", "99999", "x") +
			c.pick("", "\r\nTransfer-Encoding: chunked", "\r\nContent-Length: 3") + "\r\nConnection: close\r\n\r\n" + c.body()
		answer := exchange(t, address, raw)
		require.NotRegexp(t, `^HTTP/1\.[01] 50[0-46-9]`, answer, "%q", raw) // 505 is the answer to HTTP/9.9
	}
	assert.NoError(t, stop())
	assert.LessOrEqual(t, settledGoroutines(before), before, "no connection is left behind")
}

// settledGoroutines gives goroutines that are about to end some time to do so.
func settledGoroutines(want int) int {
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > want && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// exchange sends bytes, then the end, and returns what comes back.
func exchange(t testing.TB, address, raw string) string {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(10*time.Second)))
	_, _ = io.WriteString(connection, raw) // the server may hang up early
	if half, ok := connection.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	answer, _ := io.ReadAll(connection) // it may also reset the connection
	return string(answer)
}

// FuzzRequest looks for requests that the server answers with 5xx or with something that openapi.yaml does not
// know, and for writes that do what was not asked for.
func FuzzRequest(f *testing.F) {
	const week = "?reason=x&hold=true&expires_in=168h"
	for _, seed := range [][3]string{
		{"GET", "/api/v0/schedules?page_size=5&status=paused&page_token=x", ""},
		{"GET", daily, ""},
		{"PUT", daily, `{"enabled":false,"reason":"r","expires_in":"2h","hold":true}`},
		{"PUT", daily, `{"enabled":true,"x":1}`},
		{"DELETE", daily + week, ""},
		{"DELETE", daily + "/override?reason=x", ""},
		{"POST", daily + "/trigger", `{"overlap_policy":"allow","reason":"r"}`},
		{"POST", daily + "/backfill", `{"start_at":"2027-03-01T00:00:00Z","end_at":"2027-03-02T00:00:00Z","overlap_policy":"skip","reason":"r"}`},
		{"GET", daily + "/runs?page_size=5&page_token=x", ""},
		{"POST", "/api/v0/reload", `{"force":true,"prune":true}`},
		{"GET", "/api/v0/reconciler", ""},
		{"GET", "/api/v0/requests/a%2Fb", ""},
		{"GET", "/api/v0/openapi.yaml", ""},
		{"GET", "/readyz", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], "application/json", "k1")
	}
	f.Add("PUT", daily, `{"enabled":false}`, "application/json; charset=utf-8", "")
	r, clock, token := newFuzzRig(f)
	f.Fuzz(func(t *testing.T, method, path, body, mediaType, key string) {
		target, err := url.ParseRequestURI(path)
		if err != nil || method == "" || strings.ContainsAny(method, " \r\n\t/") {
			t.Skip("net/http refuses it")
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		request.Method, request.URL, request.Host = method, target, "localhost"
		request.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {mediaType}, "Idempotency-Key": {key}}
		if key == "" {
			request.Header.Del("Idempotency-Key")
		}
		clock.turn(time.Second)
		defer r.log.reset()
		asked := request.Clone(t.Context())
		before := len(r.manager.writes())
		a := r.survive(t, request)
		wrote := len(r.manager.writes()) - before
		r.manager.forget()
		switch {
		case a.StatusCode == http.StatusNotFound: // no such path, or no such workflow
		case a.StatusCode >= 300 || method == http.MethodGet || method == http.MethodHead:
			require.Zero(t, wrote, "a request that was refused, or only reads, wrote: %d %s", a.StatusCode, a.body)
		default:
			require.Equal(t, 1, wrote)
			r.requireAsked(t, asked, body, key)
		}
	})
}

// requireAsked sees that a write that was let through has known parameters and fields only, and that the manager
// was asked for what they say.
func (r *rig) requireAsked(t testing.TB, request *http.Request, body, key string) {
	t.Helper()
	route, _, err := r.router.FindRoute(request)
	require.NoError(t, err)
	reason := ""
	for name, values := range request.URL.Query() {
		require.Len(t, values, 1)
		require.NotNil(t, route.Operation.Parameters.GetByInAndName("query", name), "%s is unknown", name)
		if name == "reason" {
			reason = values[0]
		}
	}
	if body != "" {
		require.NotNil(t, route.Operation.RequestBody, "nothing reads the body")
		known := route.Operation.RequestBody.Value.Content["application/json"].Schema.Value.Properties
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &fields))
		for name := range fields {
			require.Contains(t, known, name)
		}
		reason, _ = fields["reason"].(string)
	}
	last := r.manager.asked()
	require.Equal(t, reason, last.Reason)
	if key != "" {
		require.Equal(t, key, last.RequestID)
	}
	require.NotEmpty(t, last.RequestID)
	require.Equal(t, "ci", last.Actor)
}

// asked is what the last write asked for; forget lets go of all of them.
func (m *memory) asked() manager.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = nil
}
