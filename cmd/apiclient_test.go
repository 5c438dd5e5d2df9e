package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd"
	"github.com/compozy/schedules/cmd/schedulestest"
)

// secret is the token of these tests. No output may have it.
const secret = "csk_very-secret"

// seen is a request that the fake API has got.
type seen struct {
	method, path, query, body string
	header                    http.Header
}

// reply is what the fake API answers.
type reply struct {
	status int
	body   string
	header map[string]string
}

// fakeAPI plays the API: it answers `METHOD path` with the next of its replies, the last one again and again.
type fakeAPI struct {
	*httptest.Server
	mu      sync.Mutex
	replies map[string][]reply
	seen    []seen
}

func newFakeAPI(t *testing.T, replies map[string][]reply) *fakeAPI {
	t.Helper()
	f := &fakeAPI{replies: replies}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := r.Method + " " + r.URL.EscapedPath()
	f.mu.Lock()
	f.seen = append(f.seen, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Header.Clone()})
	left := f.replies[key]
	if len(left) > 1 {
		f.replies[key] = left[1:]
	}
	f.mu.Unlock()
	if len(left) == 0 {
		left = []reply{problemReply(404, "not-found", "Not found", "no such path: "+key)}
	}
	answer := left[0]
	if answer.body != "" {
		w.Header().Set("Content-Type", "application/json")
	}
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

// got are the requests so far.
func (f *fakeAPI) got() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

func ok(body string) reply { return reply{status: 200, body: body} }

func problemReply(status int, kind, title, detail string) reply {
	return reply{status: status, header: map[string]string{"Content-Type": "application/problem+json"}, body: fmt.Sprintf(
		`{"type":"https://github.com/compozy/schedules/blob/main/docs/api.md#problem-%s","title":%q,"status":%d,"detail":%q,"instance":"req-7"}`,
		kind, title, status, detail)}
}

func busy(retryAfter string) reply {
	r := problemReply(503, "unavailable", "Unavailable", "Temporal does not answer now")
	r.header["Retry-After"] = retryAfter
	return r
}

// result is what a command has printed.
type result struct {
	code           int
	stdout, stderr string
}

// runCommand runs a command in this process, with the token in its environment.
func runCommand(t *testing.T, url string, args ...string) result {
	t.Helper()
	return runIn(t, []string{"SCHEDULES_API_URL=" + url, "SCHEDULES_TOKEN=" + secret}, false, args...)
}

func runIn(t *testing.T, environ []string, terminal bool, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := cmd.Main(args, cmd.Environment{Out: &out, Err: &errs, Environ: environ, Context: t.Context(), Terminal: terminal})
	assert.NotContains(t, out.String()+errs.String(), secret, "the token is never printed")
	return result{code, out.String(), errs.String()}
}

const (
	pausedJSON = `{"workflow_id":"daily-report","schedule_id":"schedule-reports-daily-report","cron":"0 9 * * 1-5",` +
		`"timezone":"America/New_York","description":"at 09:00 on Monday to Friday (America/New_York)","state":"paused","enabled":false,` +
		`"is_override":true,"override":{"action":"pause","reason":"the warehouse\u001b[2J is\nbeing moved","actor":"ci",` +
		`"since":"2020-03-01T02:10:00Z","expires_at":"2099-03-01T06:10:00Z"},"yaml_config":{"cron":"0 9 * * 1-5"},` +
		`"last_run_time":"2020-02-26T14:00:00Z","last_run_id":"0195a1c2","last_run_status":"completed","unknown_field":1}`
	acceptedJSON = `{"request_id":"6f2e","status":"accepted"}`
	appliedJSON  = `{"request_id":"6f2e","status":"applied"}`
)

func TestRequests(t *testing.T) {
	const schedule = "/api/v0/schedules/daily-report"
	for name, test := range map[string]struct {
		args                []string
		answer              reply
		method, path, query string
		body                string
		stdout              string
	}{
		"pause": {
			[]string{"pause", "daily-report", "--reason", "moving", "--expires-in", "4h", "--hold"}, ok(pausedJSON),
			"PUT", schedule, "", `{"enabled":false,"reason":"moving","expires_in":"4h0m0s","hold":true}`,
			"daily-report: paused, for 4h0m0s, also over reloads\n",
		},
		"pause, plain": {
			[]string{"pause", "daily-report"}, ok(pausedJSON),
			"PUT", schedule, "", `{"enabled":false}`, "daily-report: paused, until the next reload\n",
		},
		"resume": {
			[]string{"resume", "daily-report"}, ok(strings.NewReplacer(`"paused"`, `"active"`, `"is_override":true`, `"is_override":false`).Replace(pausedJSON)),
			"PUT", schedule, "", `{"enabled":true}`, "daily-report: active, as the YAML says\n",
		},
		"delete": {
			[]string{"delete", "daily-report", "--hold", "--reason", "too much"}, reply{status: 204},
			"DELETE", schedule, "hold=true&reason=too+much", "", "daily-report: deleted, until it is reverted, also over reloads\n",
		},
		"revert": {
			[]string{"revert", "daily-report"}, reply{status: 204},
			"DELETE", schedule + "/override", "", "", "daily-report: as the YAML says again\n",
		},
		"trigger": {
			[]string{"trigger", "daily-report", "--overlap-policy", "allow", "--reason", "stale"}, ok(appliedJSON),
			"POST", schedule + "/trigger", "", `{"overlap_policy":"allow","reason":"stale"}`,
			"daily-report: triggered; `schedules runs daily-report` shows the run\n",
		},
		"backfill": {
			[]string{"backfill", "daily-report", "--from", "2027-03-01T00:00:00Z", "--to", "2027-03-02T00:00:00+01:00"}, ok(appliedJSON),
			"POST", schedule + "/backfill", "", `{"start_at":"2027-03-01T00:00:00Z","end_at":"2027-03-02T00:00:00+01:00"}`,
			"daily-report: the runs from 2027-03-01T00:00:00Z to 2027-03-02T00:00:00+01:00 are being started; " +
				"`schedules runs daily-report` shows them\n",
		},
		"reload": {
			[]string{"reload", "--force", "--prune"}, reply{status: 202, body: acceptedJSON},
			"POST", "/api/v0/reload", "", `{"force":true,"prune":true}`,
			"reload: accepted, not applied yet; ask what became of it at URL/api/v0/requests/6f2e\n",
		},
		"an id that is no id": {
			[]string{"revert", "a/../b?c"}, problemReply(400, "invalid-request", "Invalid request", "no id"),
			"DELETE", "/api/v0/schedules/a%2F..%2Fb%3Fc/override", "", "", "",
		},
	} {
		t.Run("Should send and tell: "+name, func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{test.method + " " + test.path: {test.answer}})
			got := runCommand(t, api.URL, test.args...)
			assert.Equal(t, test.answer.status >= 400, got.code == 1, got.stderr)
			assert.Equal(t, test.stdout, strings.ReplaceAll(got.stdout, api.URL, "URL"))
			require.Len(t, api.got(), 1)
			request := api.got()[0]
			assert.Equal(t, []string{test.method, test.path, test.query}, []string{request.method, request.path, request.query})
			if test.body == "" {
				assert.Empty(t, request.body)
			} else {
				assert.JSONEq(t, test.body, request.body)
			}
			assert.Equal(t, "Bearer "+secret, request.header.Get("Authorization"))
			assert.Contains(t, request.header.Get("Accept"), "application/problem+json")
			assert.Contains(t, request.header.Get("User-Agent"), "schedules-cli (schedules ")
			assert.Len(t, request.header.Get("Idempotency-Key"), 36)
		})
	}
}

func TestJSON(t *testing.T) {
	const schedule = "/api/v0/schedules/daily-report"
	for call, args := range map[string][]string{
		"GET /api/v0/schedules":         {"list"},
		"GET " + schedule:               {"get", "daily-report"},
		"GET " + schedule + "/runs":     {"runs", "daily-report"},
		"PUT " + schedule:               {"pause", "daily-report"},
		"POST " + schedule + "/trigger": {"trigger", "daily-report"},
		"POST /api/v0/reload":           {"reload"},
	} {
		t.Run("Should print the API's JSON unchanged: "+args[0], func(t *testing.T) {
			const body = "{ \"b\":1,\t\"a\": [ ] }"
			api := newFakeAPI(t, map[string][]reply{call: {ok(body)}})
			got := runCommand(t, api.URL, append(args, "-o", "json")...)
			assert.Equal(t, result{0, body + "\n", ""}, got)
		})
	}
	t.Run("Should print nothing where the API has nothing to say", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"DELETE " + schedule: {{status: 204}}})
		assert.Equal(t, result{}, runCommand(t, api.URL, "delete", "daily-report", "-o", "json"))
	})
	t.Run("Should refuse another output before it calls", func(t *testing.T) {
		api := newFakeAPI(t, nil)
		got := runCommand(t, api.URL, "pause", "daily-report", "-o", "xml")
		assert.Equal(t, result{1, "", "schedules: unknown output \"xml\": use text or json\n"}, got)
		assert.Empty(t, api.got())
	})
}

func TestAccepted(t *testing.T) {
	for name, args := range map[string][]string{
		"PUT /api/v0/schedules/a":             {"pause", "a"},
		"DELETE /api/v0/schedules/a":          {"delete", "a"},
		"DELETE /api/v0/schedules/a/override": {"revert", "a"},
		"POST /api/v0/schedules/a/trigger":    {"trigger", "a"},
	} {
		t.Run("Should say how to ask what became of it: "+args[0], func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{name: {{status: 202, body: acceptedJSON}}})
			got := runCommand(t, api.URL, args...)
			assert.Equal(t, result{0, "a: accepted, not applied yet; ask what became of it at " + api.URL + "/api/v0/requests/6f2e\n", ""}, got)
		})
	}
}

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		answer reply
		stderr string
	}{
		"not found": {
			problemReply(404, "not-found", "Not found", `workflow "a": not found`),
			"schedules: Not found: workflow \"a\": not found\n`schedules list` shows the workflow ids\n",
		},
		"unauthorized": {
			problemReply(401, "unauthorized", "Unauthorized", "the API key or token is not known here"),
			"schedules: Unauthorized: the API key or token is not known here\n" +
				"check the key in --token or SCHEDULES_TOKEN; `schedules api-key new` makes another\n",
		},
		"missing scope": {
			problemReply(403, "missing-scope", "Missing scope", "the scope workflow.schedule:write is missing"),
			"schedules: Missing scope: the scope workflow.schedule:write is missing\n`schedules api-key new --scope …` makes a key that has it\n",
		},
		"internal": {
			problemReply(500, "internal", "Internal error", "a mistake of the server"),
			"schedules: Internal error: a mistake of the server\nthe request id is req-7\n",
		},
		"text that would steer the terminal": {
			problemReply(400, "invalid-request", "Invalid request", "bad\nschedules: fine\u200b"),
			"schedules: Invalid request: bad schedules: fine\n",
		},
		"a proxy": {
			reply{status: 502, body: "<html>", header: map[string]string{"Content-Type": "text/html"}},
			"schedules: URL answers 502 Bad Gateway, and not as this API does: is --api-url right?\n",
		},
		"another server": {
			reply{status: 200, body: "<html>", header: map[string]string{"Content-Type": "text/html"}},
			"schedules: URL answers 200 OK, and not as this API does: is --api-url right?\n",
		},
		"broken JSON": {
			ok(`{"workflow_id":`),
			"schedules: URL answers 200 OK, and not as this API does: is --api-url right?\n",
		},
		"a redirect, which is not followed": {
			reply{status: 307, header: map[string]string{"Location": "http://elsewhere.example/"}},
			"schedules: URL redirects to \"http://elsewhere.example/\": if you trust that, name it with --api-url\n",
		},
	} {
		t.Run("Should exit 1 and say: "+name, func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a": {test.answer}})
			got := runCommand(t, api.URL, "get", "a")
			assert.Equal(t, result{1, "", test.stderr}, result{got.code, got.stdout, strings.ReplaceAll(got.stderr, api.URL, "URL")})
			assert.Len(t, api.got(), 1, "not sent again")
		})
	}
	t.Run("Should ask for a key where none was given", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a": {problemReply(401, "unauthorized", "Unauthorized", "no API key or token")}})
		got := runIn(t, nil, false, "get", "a", "--api-url", api.URL)
		assert.Contains(t, got.stderr, "give a key with --token or SCHEDULES_TOKEN")
		assert.Empty(t, api.got()[0].header.Values("Authorization"))
	})
	t.Run("Should say that nobody listens", func(t *testing.T) {
		url := fmt.Sprintf("http://127.0.0.1:%d", schedulestest.FreePort(t))
		got := runCommand(t, url, "list")
		assert.Equal(t, result{1, "", "schedules: nobody listens at " + url +
			": start `schedules serve`, or name another address with --api-url or SCHEDULES_API_URL\n"}, got)
	})
	t.Run("Should stop when asked to", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs bytes.Buffer
		code := cmd.Main([]string{"list"}, cmd.Environment{Out: &out, Err: &errs, Context: ctx})
		assert.Equal(t, 1, code)
		assert.Contains(t, errs.String(), "stopped while waiting for http://127.0.0.1:8080")
	})
}

func TestRetries(t *testing.T) {
	const call = "PUT /api/v0/schedules/daily-report"
	t.Run("Should send a write again with its Idempotency-Key, and once", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{call: {busy("1"), ok(pausedJSON)}})
		got := runCommand(t, api.URL, "pause", "daily-report")
		assert.Equal(t, 0, got.code, got.stderr)
		requests := api.got()
		require.Len(t, requests, 2)
		assert.Equal(t, requests[0].header.Get("Idempotency-Key"), requests[1].header.Get("Idempotency-Key"))
		assert.Equal(t, requests[0].body, requests[1].body)
	})
	t.Run("Should name each write by itself", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{call: {ok(pausedJSON)}})
		runCommand(t, api.URL, "pause", "daily-report", "daily-report")
		requests := api.got()
		require.Len(t, requests, 2)
		assert.NotEqual(t, requests[0].header.Get("Idempotency-Key"), requests[1].header.Get("Idempotency-Key"))
	})
	t.Run("Should wait where the rate limit asks for it", func(t *testing.T) {
		limited := problemReply(429, "rate-limited", "Rate limited", "more than 100 requests a minute; wait 1 s")
		limited.header["Retry-After"] = "1"
		api := newFakeAPI(t, map[string][]reply{call: {limited, ok(pausedJSON)}})
		assert.Equal(t, 0, runCommand(t, api.URL, "pause", "daily-report").code)
	})
	for name, test := range map[string]struct {
		retryAfter string
		requests   int
	}{
		"after two more tries":                {"1", 3},
		"at once, without a Retry-After":      {"", 1},
		"at once, where it is too long":       {"3600", 1},
		"at once, where it is not in seconds": {"Fri, 31 Dec 2027 23:59:59 GMT", 1},
	} {
		t.Run("Should give up "+name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, map[string][]reply{call: {busy(test.retryAfter)}})
			got := runCommand(t, api.URL, "pause", "daily-report")
			assert.Equal(t, result{1, "", "schedules: Unavailable: Temporal does not answer now\n" +
				"`schedules status` says whether a reconciler and its worker are there\n"}, got)
			assert.Len(t, api.got(), test.requests)
		})
	}
	t.Run("Should find an API that starts a moment later", func(t *testing.T) {
		address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
		api := &fakeAPI{replies: map[string][]reply{call: {ok(pausedJSON)}}}
		timer := time.AfterFunc(200*time.Millisecond, func() {
			listener, err := net.Listen("tcp", address)
			if assert.NoError(t, err) {
				api.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: api}}
				api.Start()
			}
		})
		got := runCommand(t, "http://"+address, "pause", "daily-report")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.False(t, timer.Stop())
		api.Close()
	})
}

func TestManyIDs(t *testing.T) {
	t.Run("Should go on where one is wrong, and exit 1", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{
			"DELETE /api/v0/schedules/a": {{status: 204}}, "DELETE /api/v0/schedules/c": {{status: 204}},
			"DELETE /api/v0/schedules/b": {problemReply(404, "not-found", "Not found", "no b")},
		})
		got := runCommand(t, api.URL, "delete", "a", "b", "c")
		assert.Equal(t, result{1, "a: deleted, until the next reload\nc: deleted, until the next reload\n",
			"schedules: b: Not found: no b\n`schedules list` shows the workflow ids\nschedules: 1 of 3 schedules failed\n"}, got)
	})
	t.Run("Should stop where nothing can work, and say what was not done", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{
			"DELETE /api/v0/schedules/a": {{status: 204}},
			"DELETE /api/v0/schedules/b": {problemReply(403, "foreign-host", "Foreign host", "no")},
		})
		got := runCommand(t, api.URL, "delete", "a", "b", "c")
		assert.Equal(t, result{1, "a: deleted, until the next reload\n", "schedules: b: Foreign host: no\nnot done: b c\n"}, got)
	})
}

func TestToken(t *testing.T) {
	t.Run("Should prefer the flags to the variables", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a": {ok(pausedJSON)}})
		got := runIn(t, []string{"SCHEDULES_API_URL=http://127.0.0.1:1", "SCHEDULES_TOKEN=other"}, false,
			"get", "a", "--api-url", api.URL+"/", "--token", secret)
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Equal(t, "Bearer "+secret, api.got()[0].header.Get("Authorization"))
	})
	t.Run("Should refuse to send it over plain http to another host", func(t *testing.T) {
		got := runCommand(t, "http://schedules.invalid:8080", "list")
		assert.Equal(t, 1, got.code)
		assert.Contains(t, got.stderr, "the token is not sent over plain http to schedules.invalid:8080")
		assert.Contains(t, got.stderr, "--insecure-http")
	})
	t.Run("Should send it all the same where it is told to", func(t *testing.T) {
		got := runCommand(t, "http://schedules.invalid:8080", "list", "--insecure-http")
		assert.Equal(t, 1, got.code)
		assert.Contains(t, got.stderr, "cannot reach http://schedules.invalid:8080")
	})
	for _, url := range []string{
		"127.0.0.1:8080", "ftp://host", "http://", "http://me:" + secret + "@host", "http://host?token=" + secret, "http://host#x", "://",
	} {
		t.Run("Should refuse the address without repeating it: "+strings.ReplaceAll(url, secret, "…"), func(t *testing.T) {
			got := runCommand(t, url, "list")
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.stderr, "must be like http://127.0.0.1:8080 or https://host")
		})
	}
	t.Run("Should not show it in the help or where it is malformed", func(t *testing.T) {
		api := newFakeAPI(t, nil)
		assert.Equal(t, 0, runCommand(t, api.URL, "list", "--help").code)
		got := runIn(t, []string{"SCHEDULES_TOKEN=" + secret + "\nX-Evil: 1", "SCHEDULES_API_URL=" + api.URL}, false, "list")
		assert.Equal(t, 1, got.code)
		assert.Empty(t, api.got())
	})
}

func TestCompletion(t *testing.T) {
	list := ok(`{"schedules":[{"workflow_id":"daily-report","description":"every 5m","state":"active"},
		{"workflow_id":"daily-sync","state":"missing"},{"workflow_id":"weekly","state":"active"}],"total":3,"observed_at":"2020-01-01T00:00:00Z"}`)
	for name, test := range map[string]struct {
		args   []string
		answer reply
		stdout string
	}{
		"ids":                   {[]string{"pause", "d"}, list, "daily-report\tevery 5m\ndaily-sync\tmissing\n:4\n"},
		"ids not given yet":     {[]string{"pause", "daily-sync", "d"}, list, "daily-report\tevery 5m\n:4\n"},
		"no second id":          {[]string{"get", "daily-sync", "d"}, list, ":4\n"},
		"nothing for list":      {[]string{"list", ""}, list, ":4\n"},
		"nothing on failure":    {[]string{"get", ""}, busy("1"), ":4\n"},
		"nothing from nonsense": {[]string{"get", ""}, ok(`[]`), ":4\n"},
		"a flag's values":       {[]string{"backfill", "--overlap-policy", "b"}, list, "skip\nallow\nbuffer_one\nbuffer_all\ncancel_other\nterminate_other\n:4\n"},
	} {
		t.Run("Should complete "+name, func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules": {test.answer}})
			start := time.Now()
			got := runCommand(t, api.URL, append([]string{"__complete"}, test.args...)...)
			assert.Equal(t, test.stdout, got.stdout)
			assert.Less(t, time.Since(start), 10*time.Second)
			assert.LessOrEqual(t, len(api.got()), 1, "not sent again")
		})
	}
	t.Run("Should be silent where nobody listens", func(t *testing.T) {
		got := runCommand(t, fmt.Sprintf("http://127.0.0.1:%d", schedulestest.FreePort(t)), "__complete", "get", "")
		assert.Equal(t, ":4\n", got.stdout)
		assert.NotContains(t, got.stderr, "nobody")
	})
}

func TestProgress(t *testing.T) {
	slow := func(t *testing.T) *httptest.Server {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(1300 * time.Millisecond)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"schedules":[],"total":0,"observed_at":"2099-01-01T00:00:00Z"}`)
		}))
		t.Cleanup(api.Close)
		return api
	}
	for terminal, want := range map[bool]string{true: "\r\x1b[Kwaiting for URL (1s)\r\x1b[K", false: ""} {
		t.Run(fmt.Sprintf("Should show a long wait on a terminal only: %t", terminal), func(t *testing.T) {
			t.Parallel()
			api := slow(t)
			got := runIn(t, nil, terminal, "list", "--api-url", api.URL)
			assert.Equal(t, result{0, "no schedules\n", want}, result{got.code, got.stdout, strings.ReplaceAll(got.stderr, api.URL, "URL")})
		})
	}
}
