package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

const (
	// projectName is the name of every project here: each has a namespace of its own.
	projectName = "bench"
	// patience bounds the wait for what takes longest: the audit after a cold pass, fifty schedules a second.
	patience = 20 * time.Minute
)

// newServer is a fresh development server, or the one that TEMPORAL_TEST_ADDRESS names.
func newServer(t *testing.T) *temporaltest.Server {
	t.Helper()
	if address := os.Getenv(temporaltest.AddressVariable); address != "" {
		page.server = "the server that " + temporaltest.AddressVariable + " names"
		return temporaltest.At(t, address)
	}
	port := schedulestest.FreePort(t)
	schedulestest.StartTemporal(t, port)
	return temporaltest.At(t, fmt.Sprintf("127.0.0.1:%d", port))
}

// fixture is a project of n schedules with a namespace of its own.
type fixture struct {
	// whole is the test whose parts share the fixture: its processes live until that one's end.
	whole  testing.TB
	server *temporaltest.Server
	n      int
	dir    string
	env    []string
	client client.Client
	// refused counts lists of this process that Temporal refused because of its limits.
	refused refusals
	// served are the `serve` processes, apis the addresses of their APIs; pprof is that of the first one's profiles.
	served []*schedulestest.Process
	apis   []string
	pprof  string
	// list is the time of one bare list at rest, once it was measured.
	list time.Duration
	// peak and resting are what memory the processes needed: the largest one's peak, and its memory at rest.
	peak, resting float64
}

func newFixture(t *testing.T, server *temporaltest.Server, n int) *fixture {
	t.Helper()
	f := &fixture{server: server, n: n, dir: schedulestest.Project(t, projectName, n), whole: t}
	var namespace string
	namespace, f.client = server.Namespace(t, func(o *client.Options) {
		o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(f.refused.count))
	})
	f.env = schedulestest.Env(server.Address(), namespace)
	f.warm(t)
	return f
}

// warm creates a schedule and describes it: the parts of a server that do schedules learn of a namespace late. The
// schedule is nobody's.
func (f *fixture) warm(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	handle, err := f.client.ScheduleClient().Create(ctx, equivalent("warm"))
	require.NoError(t, err)
	f.until(t, func() bool {
		_, err := handle.Describe(ctx)
		return err == nil
	})
	require.NoError(t, handle.Delete(ctx))
}

// serve starts the processes. Natural passes and audits are far away, so that the only ones are those that a
// change or a signal causes.
func (f *fixture) serve(t *testing.T) {
	t.Helper()
	f.served, f.apis = nil, nil
	for range *replicas {
		api := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
		args := []string{"serve", "--project", f.dir, "--listen", api, "--rate-limit", "0", "--log-format", "json",
			"--resync-interval", "24h", "--audit-interval", "24h"}
		f.apis = append(f.apis, "http://"+api)
		if *profiles != "" {
			address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
			args = append(args, "--pprof-listen", address)
			if len(f.served) == 0 {
				f.pprof = "http://" + address
			}
		}
		f.served = append(f.served, schedulestest.Start(f.whole, f.env, binary, args...))
	}
}

// log is what the processes have printed.
func (f *fixture) log() string {
	var b strings.Builder
	for _, process := range f.served {
		b.WriteString(process.Log())
	}
	return b.String()
}

// stop ends the processes as a deploy does.
func (f *fixture) stop(t *testing.T) {
	t.Helper()
	f.remember()
	for _, process := range f.served {
		require.Zero(t, process.Terminate(), process.Log())
	}
	f.served = nil
}

// status asks the reconciler; the zero Status where it does not answer.
func (f *fixture) status() workflows.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var status workflows.Status
	value, err := f.client.QueryWorkflow(ctx, workflows.ReconcilerID(projectName), "", workflows.QueryStatus)
	if err != nil || value.Get(&status) != nil {
		return workflows.Status{}
	}
	return status
}

// until waits for a condition.
func (f *fixture) until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "waited too long", "the processes printed:\n%s", f.log())
		}
	}
}

// pass is one that was waited for, as the processes log it.
type pass struct {
	logged
	// started is when it began, took the time from its cause until it had ended in sync.
	started time.Time
	took    time.Duration
}

// own is the pass's own time, from its start to its end in the reconciler.
func (p pass) own() time.Duration { return p.Time.Sub(p.started) }

// logged is a line of a process's log about a pass.
type logged struct {
	Time     time.Time           `json:"time"`
	Message  string              `json:"msg"`
	Kind     activities.PassKind `json:"kind"`
	Revision string              `json:"revision"`
	Phase    workflows.Phase     `json:"phase"`
	Created  int                 `json:"created"`
	Updated  int                 `json:"updated"`
	Deleted  int                 `json:"deleted"`
}

// passes are the lines about passes since a moment, of all processes, in order of time.
func (f *fixture) passes(since time.Time) (lines []logged) {
	for text := range strings.Lines(f.log()) {
		var line logged
		if strings.Contains(text, `"pass `) && json.Unmarshal([]byte(text), &line) == nil && !line.Time.Before(since) {
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b logged) int { return a.Time.Compare(b.Time) })
	return lines
}

// awaitPass runs cause, which asks for a pass, and waits until the first one of that kind has ended in sync. It reads
// the processes' logs, since questions take the server's time, and other replicas may have asked for another pass by then.
func (f *fixture) awaitPass(t *testing.T, kind activities.PassKind, cause func()) (p pass) {
	t.Helper()
	start := time.Now().Truncate(time.Millisecond)
	cause()
	f.until(t, func() bool {
		for _, line := range f.passes(start) {
			switch {
			case line.Kind != kind:
			case line.Message == "pass started":
				p.started = line.Time
			case line.Message == "pass finished" && line.Phase == workflows.PhaseInSync:
				p.logged, p.took = line, line.Time.Sub(start)
				return true
			}
		}
		return false
	})
	return p
}

// resync asks for a pass over an unchanged revision.
func (f *fixture) resync(t *testing.T) pass {
	t.Helper()
	return f.awaitPass(t, activities.PassResync, func() {
		require.NoError(t, f.client.SignalWorkflow(t.Context(), workflows.ReconcilerID(projectName), "", workflows.SignalResync, nil))
	})
}

// rest brings the project up where it is not, and waits until nothing is under way: the pass that checks the first
// one, and the audit, are over, and the list shows everything.
func (f *fixture) rest(t *testing.T) {
	t.Helper()
	if len(f.served) == 0 {
		f.serve(t)
	}
	f.until(t, func() bool {
		s := f.status()
		return s.Phase == workflows.PhaseInSync && s.LastPass.Kind == "resync" && s.LastAudit != nil && s.LastAudit.Revision == s.Revision &&
			s.Counts.Unchanged == f.n
	})
	f.remember()
	f.resting = f.memory("VmRSS")
}

// change edits the file of one workflow and waits for the pass that takes it over.
func (f *fixture) change(t *testing.T, id, cron string) pass {
	t.Helper()
	return f.awaitPass(t, activities.PassReload, func() {
		// As editors do: a new file in the old one's place, so that nobody reads half of it.
		temporary := filepath.Join(t.TempDir(), id)
		schedulestest.WriteFile(t, temporary, "id: "+id+"\nschedule: {cron: \""+cron+"\"}\n")
		require.NoError(t, os.Rename(temporary, filepath.Join(f.dir, "workflows", id+".yaml")))
	})
}
