package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// served is a `serve` process with its API.
type served struct {
	*child
	url      string
	contract contract
}

// contract is openapi.yaml, which every answer of these tests is held against.
type contract struct{ router routers.Router }

func newContract(t *testing.T) contract {
	t.Helper()
	root, err := temporaltest.Root()
	require.NoError(t, err)
	document, err := openapi3.NewLoader().LoadFromFile(filepath.Join(root, "api", "openapi.yaml"))
	require.NoError(t, err)
	document.Servers = nil // any host
	router, err := legacy.NewRouter(document)
	require.NoError(t, err)
	return contract{router}
}

func (c contract) hold(t *testing.T, request *http.Request, response *http.Response, body []byte) {
	t.Helper()
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/") ||
		strings.HasSuffix(response.Header.Get("Content-Type"), "yaml") {
		return
	}
	route, params, err := c.router.FindRoute(request)
	require.NoError(t, err)
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
		Status:                 response.StatusCode, Header: response.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(body)
	assert.NoError(t, openapi3filter.ValidateResponse(t.Context(), input), "%s %s: %s", request.Method, request.URL, body)
}

func serveAPI(t *testing.T, env []string, dir string, args ...string) served {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
	args = append([]string{"serve", "--project", dir, "--listen", address, "--rate-limit", "0"}, args...)
	return served{child: start(t, env, args...), url: "http://" + address, contract: newContract(t)}
}

// request calls the API; the status is 0 where nobody listens.
func (s served) request(t *testing.T, method, path, body string) (status int, answer string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	s.contract.hold(t, request, response, text)
	return response.StatusCode, string(text), response.Header
}

func (s served) get(t *testing.T, id string) (info manager.ScheduleInfo) {
	t.Helper()
	status, answer, _ := s.request(t, http.MethodGet, "/api/v0/schedules/"+id, "")
	require.Equal(t, http.StatusOK, status, "%s\n%s", answer, s.Log())
	require.NoError(t, json.Unmarshal([]byte(answer), &info))
	return info
}

func (s served) ready(t *testing.T) {
	t.Helper()
	eventually(t, s.Log, func() bool {
		status, _, _ := s.request(t, http.MethodGet, "/readyz", "")
		return status == http.StatusOK
	})
}

func (s served) pause(t *testing.T, id, body string) {
	t.Helper()
	status, answer, _ := s.request(t, http.MethodPut, "/api/v0/schedules/"+id, body)
	require.Equal(t, http.StatusOK, status, answer)
}

func TestAPIOverrides(t *testing.T) {
	namespace, _ := server.Namespace(t)
	env, dir := temporalEnv(server.Address(), namespace), project(t, "steered", 3)
	first := serveAPI(t, env, dir)
	first.ready(t)
	first.pause(t, "wf-0000", `{"enabled":false,"reason":"incident 7"}`)
	first.pause(t, "wf-0001", `{"enabled":false,"hold":true}`)
	first.pause(t, "wf-0002", `{"enabled":false,"expires_in":"8s"}`)
	first.Kill()

	second := serveAPI(t, env, dir)
	second.ready(t)
	t.Run("Should still be paused after kill -9, an override with actor and reason", func(t *testing.T) {
		info := second.get(t, "wf-0000")
		assert.False(t, info.Enabled)
		assert.True(t, info.IsOverride)
		require.NotNil(t, info.Override)
		assert.Equal(t, "anonymous", info.Override.Actor)
		assert.Equal(t, "incident 7", info.Override.Reason)
	})
	t.Run("Should revert what expires, also across the restart", func(t *testing.T) {
		eventually(t, second.Log, func() bool { return second.get(t, "wf-0002").Enabled })
	})
	t.Run("Should revert by a changed YAML, save what is held", func(t *testing.T) {
		writeFile(t, filepath.Join(dir, "workflows", "new.yaml"), "id: new\nschedule: {cron: \"0 5 * * *\"}\n")
		eventually(t, second.Log, func() bool { return second.get(t, "wf-0000").Enabled })
		held := second.get(t, "wf-0001")
		assert.False(t, held.Enabled)
		assert.True(t, held.Override.Hold)
	})
	t.Run("Should show a pause of `temporal workflow signal` within seconds", func(t *testing.T) {
		temporal, err := temporaltest.Binary()
		require.NoError(t, err)
		signal := exec.CommandContext(t.Context(), temporal, "workflow", "signal", "--workflow-id", workflows.ReconcilerID("steered"),
			"--name", workflows.SignalOverride, "--input", `{"workflow_id":"wf-0002","action":"pause","actor":"shell"}`)
		signal.Env = env
		output, err := signal.CombinedOutput()
		require.NoError(t, err, string(output))
		eventually(t, second.Log, func() bool { o := second.get(t, "wf-0002").Override; return o != nil && o.Actor == "shell" })
	})
	t.Run("Should do the whole round by the command line", func(t *testing.T) {
		cli := func(args ...string) string {
			code, stdout, stderr := call(t, os.Environ(), append(args, "--api-url", second.url)...)
			require.Equal(t, 0, code, stderr)
			return stdout
		}
		cli("pause", "new", "--reason", "by hand")
		assert.Contains(t, cli("get", "new"), "by hand")
		assert.Contains(t, cli("list"), "new")
		cli("resume", "new")
		cli("delete", "new")
		cli("revert", "new")
		cli("trigger", "new")
		cli("backfill", "new", "--from", "2026-03-01", "--to", "2026-03-03")
		eventually(t, second.Log, func() bool { return strings.Contains(cli("runs", "new"), "running") })
		cli("reload", "--force", "--wait")
		assert.True(t, second.get(t, "new").Enabled)
	})
	assert.Equal(t, 0, second.Terminate())
}

func TestAPIOperations(t *testing.T) {
	namespace, _ := server.Namespace(t)
	s := serveAPI(t, temporalEnv(server.Address(), namespace), project(t, "operated", 3))
	s.ready(t)
	t.Run("Should answer every operation as openapi.yaml says", func(t *testing.T) {
		for _, try := range []struct {
			method, path, body string
			status             int
		}{
			{http.MethodGet, "/schedules?status=active&page_size=2", "", 200},
			{http.MethodGet, "/schedules/wf-0000", "", 200},
			{http.MethodPut, "/schedules/wf-0000", `{"enabled":false,"reason":"r","expires_in":"1h","hold":true}`, 200},
			{http.MethodGet, "/schedules?status=override", "", 200},
			{http.MethodDelete, "/schedules/wf-0000/override", "", 204},
			{http.MethodDelete, "/schedules/wf-0001?reason=r", "", 204},
			{http.MethodGet, "/schedules/wf-0001", "", 200},
			{http.MethodPost, "/schedules/wf-0002/trigger", `{"overlap_policy":"allow"}`, 200},
			{http.MethodPost, "/schedules/wf-0002/backfill", `{"start_at":"2026-03-01T00:00:00Z","end_at":"2026-03-03T00:00:00Z"}`, 200},
			{http.MethodGet, "/schedules/wf-0002/runs?page_size=1", "", 200},
			{http.MethodGet, "/reconciler", "", 200},
			{http.MethodPost, "/reload", `{"force":true}`, 202},
			{http.MethodGet, "/requests/never-sent", "", 200},
			{http.MethodGet, "/schedules/nobody", "", 404},
			{http.MethodPut, "/schedules/nobody", `{"enabled":true}`, 404},
			{http.MethodPut, "/schedules/wf-0000", `{"enabled":"perhaps"}`, 400},
			{http.MethodPut, "/schedules/wf-0000", `{"enabled":true,"why":"?"}`, 400},
		} {
			status, answer, _ := s.request(t, try.method, "/api/v0"+try.path, try.body)
			assert.Equal(t, try.status, status, "%s %s: %s", try.method, try.path, answer)
		}
	})
	t.Run("Should end in the last accepted state of many clients", func(t *testing.T) {
		var clients sync.WaitGroup
		for n := range 8 {
			clients.Go(func() {
				for i := range 8 {
					status, answer, _ := s.request(t, http.MethodPut, "/api/v0/schedules/wf-0002", fmt.Sprintf(`{"enabled":%t}`, (n+i)%2 == 0))
					assert.Contains(t, []int{http.StatusOK, http.StatusAccepted, http.StatusConflict}, status, answer)
				}
			})
		}
		clients.Wait()
		s.pause(t, "wf-0002", `{"enabled":false,"reason":"the last"}`)
		info := s.get(t, "wf-0002")
		assert.False(t, info.Enabled)
		assert.Equal(t, "the last", info.Override.Reason)
	})
}

func TestAPISplit(t *testing.T) {
	t.Run("Should serve the API without the worker, and the worker without the API", func(t *testing.T) {
		namespace, _ := server.Namespace(t)
		env, dir := temporalEnv(server.Address(), namespace), project(t, "split", 1)
		front := serveAPI(t, env, dir, "--worker=false")
		eventually(t, front.Log, func() bool {
			status, _, _ := front.request(t, http.MethodGet, "/healthz", "")
			return status == http.StatusOK
		})
		status, _, header := front.request(t, http.MethodGet, "/readyz", "")
		assert.Equal(t, http.StatusServiceUnavailable, status, "no reconciler yet")
		assert.NotEmpty(t, header.Get("Retry-After"))
		back := start(t, env, "serve", "--project", dir, "--api=false")
		front.ready(t)
		front.pause(t, "wf-0000", `{"enabled":false}`)
		assert.Equal(t, 0, back.Terminate())
		assert.Equal(t, 0, front.Terminate())
	})
	t.Run("Should refuse to listen beyond loopback without authentication", func(t *testing.T) {
		code, _, stderr := call(t, os.Environ(), "serve", "--project", project(t, "open", 1), "--listen", "0.0.0.0:0")
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "loopback")
	})
}

func TestAPITemporalAway(t *testing.T) {
	t.Parallel()
	t.Run("Should answer 503 with Retry-After while Temporal is away, and recover by itself", func(t *testing.T) {
		port, dir := schedulestest.FreePort(t), project(t, "outage", 2)
		database := filepath.Join(t.TempDir(), "temporal.db")
		first := schedulestest.StartTemporal(t, port, "--db-filename", database)
		s := serveAPI(t, temporalEnv(fmt.Sprintf("127.0.0.1:%d", port), "default"), dir)
		s.ready(t)
		s.pause(t, "wf-0000", `{"enabled":false}`)
		first()
		eventually(t, s.Log, func() bool {
			status, _, header := s.request(t, http.MethodGet, "/api/v0/schedules/wf-0000", "")
			return status == http.StatusServiceUnavailable && header.Get("Retry-After") != ""
		})
		for _, try := range []struct{ method, path, body string }{
			{http.MethodPut, "/api/v0/schedules/wf-0001", `{"enabled":false}`},
			{http.MethodDelete, "/api/v0/schedules/wf-0001", ""},
			{http.MethodGet, "/api/v0/reconciler", ""},
			{http.MethodGet, "/readyz", ""},
		} {
			status, answer, header := s.request(t, try.method, try.path, try.body)
			assert.Equal(t, http.StatusServiceUnavailable, status, "%s %s: %s", try.method, try.path, answer)
			assert.NotEmpty(t, header.Get("Retry-After"))
			assert.NotContains(t, answer, fmt.Sprint(port), "no address in an answer")
		}
		status, _, _ := s.request(t, http.MethodGet, "/healthz", "")
		assert.Equal(t, http.StatusOK, status)
		schedulestest.StartTemporal(t, port, "--db-filename", database)
		s.ready(t)
		enabled := func(id string, want bool) {
			eventually(t, s.Log, func() bool { // a server that has just started refuses some calls
				status, answer, _ := s.request(t, http.MethodGet, "/api/v0/schedules/"+id, "")
				assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, status, answer)
				return status == http.StatusOK && strings.Contains(answer, fmt.Sprintf(`"enabled":%t,`, want))
			})
		}
		enabled("wf-0000", false)
		status, answer, _ := s.request(t, http.MethodPut, "/api/v0/schedules/wf-0001", `{"enabled":false}`)
		assert.Contains(t, []int{http.StatusOK, http.StatusAccepted}, status, answer)
		enabled("wf-0001", false)
	})
}

func TestDocs(t *testing.T) {
	t.Run("Should serve its own description and a page that shows it", func(t *testing.T) {
		s := serveAPI(t, temporalEnv(fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t)), "default"), project(t, "described", 1))
		eventually(t, s.Log, func() bool {
			status, _, _ := s.request(t, http.MethodGet, "/healthz", "")
			return status == http.StatusOK
		})
		status, answer, _ := s.request(t, http.MethodGet, "/api/v0/openapi.yaml", "")
		assert.Equal(t, http.StatusOK, status)
		root, err := temporaltest.Root()
		require.NoError(t, err)
		file, err := os.ReadFile(filepath.Join(root, "api", "openapi.yaml"))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(file, []byte(answer)))
		status, answer, _ = s.request(t, http.MethodGet, "/api/v0/docs", "")
		assert.Equal(t, http.StatusOK, status)
		assert.NotContains(t, answer, "https://cdn")
	})
}
