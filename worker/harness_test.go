package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
	"github.com/compozy/schedules/workflows"
)

// soon bounds the waits of these tests.
const soon = schedulestest.Soon

// eventually waits for a condition on the test's own goroutine, so that the condition may fail the test.
func eventually(t testing.TB, what func() string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "waited too long", what())
		}
	}
}

// files is a project directory of a test.
type files struct {
	t   testing.TB
	dir string
}

func newFiles(t testing.TB, name string) files {
	f := files{t: t, dir: t.TempDir()}
	f.write("compozy.yaml", "name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\n")
	return f
}

func (f files) write(name, text string) {
	f.t.Helper()
	full := filepath.Join(f.dir, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(full), 0o755))
	require.NoError(f.t, os.WriteFile(full, []byte(text), 0o600))
}

func (f files) workflow(id, schedule string) {
	f.t.Helper()
	f.write("workflows/"+id+".yaml", "id: "+id+"\nschedule: "+schedule+"\n")
}

func (f files) remove(id string) {
	f.t.Helper()
	require.NoError(f.t, os.Remove(filepath.Join(f.dir, "workflows", id+".yaml")))
}

func (f files) load() *config.Project {
	f.t.Helper()
	project, err := config.Load(f.dir)
	require.NoError(f.t, err)
	return project
}

// many writes n workflows with a schedule each.
func (f files) many(n int) {
	for i := range n {
		f.workflow(fmt.Sprintf("wf-%04d", i), `{cron: "0 5 * * *"}`)
	}
}

// running is a worker process of a test.
type running struct {
	t         testing.TB
	client    client.Client
	namespace string
	project   string
	log       *schedulestest.Buffer
	hangup    chan struct{}
	stop      func()
}

// serve runs the process in this test binary until stop or the test's end.
func serve(t testing.TB, namespace string, c client.Client, f files, change ...func(*config.Settings)) *running {
	t.Helper()
	return serveLoaded(t, namespace, c, f, f.load(), change...)
}

// serveLoaded runs it with files that were loaded before.
func serveLoaded(
	t testing.TB, namespace string, c client.Client, f files, project *config.Project, change ...func(*config.Settings),
) *running {
	t.Helper()
	settings := config.DefaultSettings()
	settings.Project = f.dir
	for _, apply := range change {
		apply(&settings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{
		t: t, client: c, namespace: namespace, project: project.Name, log: &schedulestest.Buffer{}, hangup: make(chan struct{}, 1),
	}
	done := make(chan error, 1)
	go func() {
		done <- worker.Run(ctx, worker.Options{
			Client: c, Server: worker.NewServer(c, namespace, project.Name, settings), Settings: settings,
			Logger: slog.New(slog.NewTextHandler(r.log, nil)),
		}, project, r.hangup)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(r.stop)
	return r
}

// status asks the reconciler; the zero Status where it cannot answer yet.
func (r *running) status() workflows.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var status workflows.Status
	if value, err := r.client.QueryWorkflow(ctx, workflows.ReconcilerID(r.project), "", workflows.QueryStatus); err == nil {
		_ = value.Get(&status)
	}
	return status
}

// until waits for a status.
func (r *running) until(what string, holds func(workflows.Status) bool) workflows.Status {
	r.t.Helper()
	var status workflows.Status
	eventually(r.t, func() string { return fmt.Sprintf("%s; last status %+v; log:\n%s", what, status, r.log) }, func() bool {
		status = r.status()
		return holds(status)
	})
	return status
}

// inSync waits until the files' revision is in sync.
func (r *running) inSync(f files) workflows.Status {
	r.t.Helper()
	revision := config.Short(f.load().Revision)
	return r.until("in sync with "+revision, func(s workflows.Status) bool { return s.InSync(revision) })
}

func (r *running) signal(name string, message any) {
	r.t.Helper()
	require.NoError(r.t, schedulestest.Signal(r.client, r.project, name, message))
}

// schedules lists what Temporal has under the project's prefix, once it lists n of them.
func (r *running) schedules(n int) map[string]activities.Listed {
	r.t.Helper()
	s := activities.NewServer(r.client.WorkflowService(), r.namespace, "test", rate.NewLimiter(100, 10))
	byID := map[string]activities.Listed{}
	eventually(r.t, func() string { return fmt.Sprintf("%d schedules listed, not %d", n, len(byID)) }, func() bool {
		entries, err := s.List(context.Background(), activities.Scope{Project: r.project})
		require.NoError(r.t, err)
		clear(byID)
		for _, entry := range entries {
			byID[entry.ScheduleID] = entry
		}
		return len(byID) == n && len(entries) == n
	})
	return byID
}

func (r *running) describe(workflowID string) *client.ScheduleDescription {
	r.t.Helper()
	handle := r.client.ScheduleClient().GetHandle(context.Background(), config.DefaultScheduleID(r.project, workflowID))
	description, err := handle.Describe(context.Background())
	require.NoError(r.t, err)
	return description
}

// calls counts a client's calls by their method's name.
type calls struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *calls) option(o *client.Options) {
	c.counts = map[string]int{}
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			c.mu.Lock()
			c.counts[path.Base(method)]++
			c.mu.Unlock()
			return invoke(ctx, method, req, reply, cc, opts...)
		}))
}

func (c *calls) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.counts)
}

func (c *calls) of(methods ...string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, method := range methods {
		n += c.counts[method]
	}
	return n
}
