package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// These tests run the real binary as real processes.

var (
	// server is the Temporal server of this test binary; binary is ours.
	server *temporaltest.Server
	binary string
)

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait for processes most of their time: more of them can run at once than there are processors.
	if err := flag.Set("test.parallel", "5"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(schedulestest.Main(func(built string) int {
		binary = built
		return temporaltest.Run(m, &server)
	}))
}

const soon = schedulestest.Soon

func TestKill(t *testing.T) {
	t.Parallel()
	t.Run("Should have all 500 schedules, each once, after kill -9 in the middle of creating them", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		dir := project(t, "killed", 500)
		first := start(t, temporalEnv(server.Address(), namespace), "serve", "--project", dir, "--api=false")
		eventually(t, first.Log, func() bool { return len(list(t, c, namespace, "killed")) >= 50 })
		first.Kill()
		assert.Less(t, len(list(t, c, namespace, "killed")), 500, "killed in the middle")

		second := start(t, temporalEnv(server.Address(), namespace), "serve", "--project", dir, "--api=false")
		eventually(t, second.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		eventually(t, second.Log, func() bool { return len(list(t, c, namespace, "killed")) == 500 })
		ids := map[string]bool{}
		for _, entry := range list(t, c, namespace, "killed") {
			assert.True(t, entry.OwnedBy("killed"))
			ids[entry.ScheduleID] = true
		}
		assert.Len(t, ids, 500)
		assert.Equal(t, 0, second.Terminate())
	})
}

func TestLateTemporal(t *testing.T) {
	t.Run("Should wait for a Temporal that starts later, and say so", func(t *testing.T) {
		port, dir := schedulestest.FreePort(t), project(t, "early", 2)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		early := start(t, temporalEnv(address, "default"), "serve", "--project", dir, "--api=false")
		eventually(t, early.Log, func() bool { return strings.Contains(early.Log(), "waiting for Temporal") })
		schedulestest.StartTemporal(t, port)
		eventually(t, early.Log, func() bool { return status(t, address, "default", dir).Phase == workflows.PhaseInSync })
		assert.Contains(t, early.Log(), "connected to Temporal")
		assert.Equal(t, 0, early.Terminate())
	})
	t.Run("Should stop on SIGTERM while it waits", func(t *testing.T) {
		waiting := start(t, temporalEnv(fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t)), "default"),
			"serve", "--project", project(t, "never", 1), "--api=false")
		eventually(t, waiting.Log, func() bool { return strings.Contains(waiting.Log(), "waiting for Temporal") })
		assert.Equal(t, 0, waiting.Terminate())
	})
}

func TestDev(t *testing.T) {
	t.Run("Should complete a run of the quickstart, end everything on Ctrl-C, and find its state again", func(t *testing.T) {
		dir, env := quickstart(t)
		port, uiPort := schedulestest.FreePort(t), schedulestest.FreePort(t)
		args := []string{"dev", "--project", dir, "--port", fmt.Sprint(port), "--ui-port", fmt.Sprint(uiPort),
			"--listen", fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))}
		// What reaches another Temporal must not reach into dev.
		env = append(env, "TEMPORAL_ADDRESS=temporal.example.com:7233", "TEMPORAL_API_KEY=secret", "TEMPORAL_TLS=true")
		address := fmt.Sprintf("127.0.0.1:%d", port)

		first := start(t, env, args...)
		eventually(t, first.Log, func() bool { return strings.Contains(first.Log(), "Ctrl-C ends everything") })
		for _, shown := range []string{"heartbeat", "every 5s", "at 09:00 on Monday to Friday (America/New_York)", "paused", "in sync"} {
			assert.Contains(t, first.Log(), shown)
		}
		c, err := client.Dial(client.Options{HostPort: address, Logger: nothing{}})
		require.NoError(t, err)
		defer c.Close()
		eventually(t, first.Log, func() bool { return completed(t, c, "heartbeat") > 0 })
		created := describe(t, c, "schedule-quickstart-heartbeat").Info.CreatedAt

		heartbeat := filepath.Join(dir, "workflows", "heartbeat.yaml")
		text, err := os.ReadFile(heartbeat)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(heartbeat, bytes.ReplaceAll(text, []byte("@every 5s"), []byte("@every 7s")), 0o600))
		eventually(t, first.Log, func() bool { return strings.Contains(first.Log(), "every 7s") })
		assert.Equal(t, 7*time.Second, describe(t, c, "schedule-quickstart-heartbeat").Schedule.Spec.Intervals[0].Every)

		assert.Equal(t, 0, first.Interrupt())
		requireFree(t, port)
		requireFree(t, uiPort)

		second := start(t, env, args...)
		eventually(t, second.Log, func() bool { return strings.Contains(second.Log(), "Ctrl-C ends everything") })
		assert.Equal(t, created, describe(t, c, "schedule-quickstart-heartbeat").Info.CreatedAt, "the same schedule")
		assert.Equal(t, 0, second.Interrupt())
	})
	t.Run("Should say which port is in use", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		port := listener.Addr().(*net.TCPAddr).Port
		temporal, err := temporaltest.Binary()
		require.NoError(t, err)
		code, _, stderr := call(t, append(os.Environ(), "PATH="+filepath.Dir(temporal)+":"+os.Getenv("PATH")),
			"dev", "--project", project(t, "busy", 1), "--port", fmt.Sprint(port))
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, fmt.Sprintf("port %d is in use", port))
		assert.Contains(t, stderr, "--port")
	})
}

func TestValidate(t *testing.T) {
	t.Run("Should print each mistake as file:line:column and exit 1", func(t *testing.T) {
		dir := project(t, "broken", 1)
		writeFile(t, filepath.Join(dir, "workflows", "wf-0000.yaml"), "id: wf-0000\nschedule:\n  cron: 0 99 * * *\n  timezon: UTC\n")
		code, stdout, stderr := call(t, os.Environ(), "validate", "--project", dir)
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		require.Len(t, lines, 2)
		assert.True(t, strings.HasPrefix(lines[0], "workflows/wf-0000.yaml:3:"), lines[0])
		assert.True(t, strings.HasPrefix(lines[1], "workflows/wf-0000.yaml:4:"), lines[1])
	})
	t.Run("Should say what a valid project holds, and warn of changing clocks", func(t *testing.T) {
		dir := project(t, "fine", 1)
		writeFile(t, filepath.Join(dir, "workflows", "night.yaml"),
			"id: night\nschedule: {cron: \"30 2 * * *\", timezone: America/New_York}\n")
		code, stdout, stderr := call(t, os.Environ(), "validate", "--project", dir)
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, "project fine is valid: 2 workflows, 2 schedules, revision ")
		assert.Contains(t, stderr, "is skipped")
	})
	t.Run("Should not start with invalid files", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		dir := project(t, "refused", 1)
		writeFile(t, filepath.Join(dir, "workflows", "wf-0000.yaml"), "id: wf-0000\nschedule: {cron: never}\n")
		code, _, stderr := call(t, temporalEnv(server.Address(), namespace), "serve", "--project", dir, "--api=false")
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "workflows/wf-0000.yaml:2:")
		assert.Empty(t, list(t, c, namespace, "refused"))
	})
}

func TestStatus(t *testing.T) {
	t.Run("Should say that there is no reconciler", func(t *testing.T) {
		namespace, _ := server.Namespace(t)
		code, _, stderr := call(t, temporalEnv(server.Address(), namespace), "status", "--project", project(t, "absent", 1))
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "project absent has no reconciler: start `schedules serve`")
	})
	t.Run("Should print the state for people", func(t *testing.T) {
		namespace, _ := server.Namespace(t)
		dir := project(t, "shown", 3)
		serve := start(t, temporalEnv(server.Address(), namespace), "serve", "--project", dir, "--api=false")
		eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		code, stdout, stderr := call(t, temporalEnv(server.Address(), namespace), "status", "--project", dir)
		assert.Equal(t, 0, code, stderr)
		assert.Contains(t, stdout, "in sync")
		assert.Contains(t, stdout, "3 in the YAML")
	})
	t.Run("Should follow a reconciler that was started by hand", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			ID: workflows.ReconcilerID("byhand"), TaskQueue: workflows.TaskQueue("byhand"),
		}, workflows.ReconcilerType, json.RawMessage(`{"project":"byhand"}`))
		require.NoError(t, err)
		dir := project(t, "byhand", 2)
		serve := start(t, temporalEnv(server.Address(), namespace), "serve", "--project", dir, "--api=false")
		eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
	})
	t.Run("Should refuse an unknown output", func(t *testing.T) {
		code, _, stderr := call(t, os.Environ(), "status", "-o", "xml")
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "use text or json")
	})
}

// quickstart is a copy of that example, and the environment in which `schedules dev` finds Temporal.
func quickstart(t *testing.T) (dir string, env []string) {
	t.Helper()
	temporal, err := temporaltest.Binary()
	require.NoError(t, err)
	root, err := temporaltest.Root()
	require.NoError(t, err)
	dir = filepath.Join(t.TempDir(), "quickstart")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", "quickstart"))))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, ".schedules")))
	return dir, append(os.Environ(), "PATH="+filepath.Dir(temporal)+":"+os.Getenv("PATH"))
}

func project(t *testing.T, name string, n int) string { return schedulestest.Project(t, name, n) }

func writeFile(t *testing.T, name, text string) { schedulestest.WriteFile(t, name, text) }

func temporalEnv(address, namespace string) []string { return schedulestest.Env(address, namespace) }

type child = schedulestest.Process

func start(t *testing.T, env []string, args ...string) *child {
	return schedulestest.Start(t, env, binary, args...)
}

func call(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	return schedulestest.Call(t, env, binary, args...)
}

func status(t *testing.T, address, namespace, dir string) workflows.Status {
	return schedulestest.Status(t, binary, temporalEnv(address, namespace), dir)
}

func list(t *testing.T, c client.Client, namespace, project string) []activities.Listed {
	t.Helper()
	entries, err := activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(100, 10)).
		List(t.Context(), activities.Scope{Project: project})
	require.NoError(t, err)
	return entries
}

func describe(t *testing.T, c client.Client, id string) *client.ScheduleDescription {
	t.Helper()
	description, err := c.ScheduleClient().GetHandle(t.Context(), id).Describe(t.Context())
	require.NoError(t, err)
	return description
}

func completed(t *testing.T, c client.Client, workflowType string) int {
	t.Helper()
	runs, err := c.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: "default", Query: "WorkflowType = '" + workflowType + "' AND ExecutionStatus = 'Completed'",
	})
	require.NoError(t, err)
	return len(runs.GetExecutions())
}

func requireFree(t *testing.T, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err, "everything that dev started has ended")
	require.NoError(t, listener.Close())
}

func eventually(t *testing.T, log func() string, holds func() bool) {
	t.Helper()
	schedulestest.Eventually(t, log, holds)
}

// nothing is a Temporal logger that drops everything.
type nothing struct{}

func (nothing) Debug(string, ...any) {}
func (nothing) Info(string, ...any)  {}
func (nothing) Warn(string, ...any)  {}
func (nothing) Error(string, ...any) {}
