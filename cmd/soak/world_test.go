package soak_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
)

// world is all that there is: a Temporal server, a project in git, replicas, and what they are to be.
type world struct {
	t      *testing.T
	random *rand.Rand
	seed   int64
	start  time.Time

	port, database string
	temporal       *schedulestest.Process
	temporalUp     bool
	// silent is since when the running server does not answer; the zero time where it does.
	silent time.Time
	// hangs is how often it had to be restarted because of that.
	hangs    int
	client   client.Client
	binary   string
	env      []string
	replicas []*replica
	ended    []*schedulestest.Process

	dir    string
	files  map[string]*file
	nextID int
	nonce  int

	model model
	// editing is true from a commit until all replicas have it: a write then runs against a reload.
	editing bool
	// busy are the workflows that nothing more happens to in this round.
	busy map[string]bool
	// pending are the requests of this round that nobody has answered yet.
	pending []string
	// due is what is to be undone: a process that is to come back, a frozen one that is to go on.
	due []due

	actions, faults, rounds int
	history                 []string
	samples                 []sample
}

type due struct {
	at time.Time
	do func()
}

// replica is one `schedules serve`. The first is never killed, so that what it uses can be compared over time.
type replica struct {
	number, port int
	process      *schedulestest.Process
	up           bool
}

const steady = 0

func newWorld(t *testing.T, seed int64) *world {
	t.Helper()
	w := &world{
		t: t, seed: seed, start: time.Now(), files: map[string]*file{}, model: model{}, busy: map[string]bool{},
		random: rand.New(rand.NewPCG(uint64(seed), 0)),
	}
	var err error
	w.binary, err = schedulestest.Build(t.TempDir())
	require.NoError(t, err)
	w.makeProject()
	w.port, w.database = fmt.Sprint(schedulestest.FreePort(t)), filepath.Join(memoryDir(t), "temporal.db")
	w.env = schedulestest.Env("127.0.0.1:"+w.port, "default")
	w.startTemporal()
	w.client, err = client.NewLazyClient(client.Options{
		HostPort: "127.0.0.1:" + w.port, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(w.client.Close)
	for number := range 3 {
		w.replicas = append(w.replicas, &replica{number: number, port: schedulestest.FreePort(t)})
		w.startReplica(w.replicas[number])
	}
	return w
}

// memoryDir is a directory in memory, where there is one: what a killed process wrote stays there, and the database
// does not wait for a disk that others use.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "soak")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startTemporal starts the development server, or goes on with its database file.
func (w *world) startTemporal() {
	binary, err := temporaltest.Binary()
	require.NoError(w.t, err)
	w.temporal = schedulestest.Start(w.t, os.Environ(), binary, "server", "start-dev", "--headless", "--ip", "127.0.0.1",
		"--port", w.port, "--log-level", "error", "--db-filename", w.database)
	w.temporalUp, w.silent = true, time.Time{}
}

// stopTemporal is kill -9, where it has not ended by itself.
func (w *world) stopTemporal() {
	if !w.temporal.Ended() {
		w.temporal.Kill()
	}
	w.ended = append(w.ended, w.temporal)
	w.temporalUp = false
}

// hung is how long the development server may answer nothing before it is taken for dead.
const hung = 20 * time.Second

// watchTemporal restarts a development server that hangs or has ended. With a database file it has one connection to SQLite. A
// call that is given up in the midst of a query, as on a machine that is short of time, can leave that connection
// interrupted for good: each query ends with "interrupted (9)", each call with "Namespace default is not found". To
// the replicas it is an outage like others, and the report counts it.
func (w *world) watchTemporal() (restarted bool) {
	if !w.temporalUp {
		return false
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	_, err := w.client.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: "default", PageSize: 1,
	})
	switch {
	case err == nil:
		w.silent = time.Time{}
	case w.temporal.Ended():
		w.replaceTemporal("has ended by itself", err)
		return true
	case w.silent.IsZero():
		w.silent = time.Now()
	case time.Since(w.silent) > hung:
		w.temporal.Signal(syscall.SIGQUIT) // so that its log says where
		time.Sleep(time.Second)
		w.replaceTemporal("hangs", err)
		return true
	}
	return false
}

// replaceTemporal starts a development server that broke by itself again, and keeps its log.
func (w *world) replaceTemporal(what string, err error) {
	w.hangs++
	w.note("Temporal %s: %v", what, err)
	w.stopTemporal()
	log := filepath.Join(os.TempDir(), fmt.Sprintf("soak-temporal-%d.log", w.temporal.PID()))
	require.NoError(w.t, os.WriteFile(log, []byte(w.temporal.Log()), 0o600))
	w.t.Logf("the development server %s (%v): started again, %s has its log", what, err, log)
	w.startTemporal()
}

// startReplica starts a replica. Its intervals are short, so that drift by hand is put back within a round.
func (w *world) startReplica(r *replica) {
	r.process = schedulestest.Start(w.t, w.env, w.binary, "serve", "--project", w.dir, "--listen", fmt.Sprintf("127.0.0.1:%d", r.port),
		"--rate-limit", "0", "--drift", "correct", "--resync-interval", "10s", "--audit-interval", "20s", "--log-format", "json")
	r.up = true
}

// upReplica is a replica that is to answer; nil where there is none.
func (w *world) upReplica() *replica {
	var up []*replica
	for _, r := range w.replicas {
		if r.up && !r.ended() {
			up = append(up, r)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return pick(w, up)
}

// victim is a running replica that may be killed; nil where there is none.
func (w *world) victim() *replica {
	r := w.upReplica()
	if r == nil || r.number == steady {
		return nil
	}
	return r
}

// later does something some seconds from now, or when the round ends.
func (w *world) later(do func()) {
	after := 500*time.Millisecond + time.Duration(w.random.IntN(6000))*time.Millisecond
	w.due = append(w.due, due{at: time.Now().Add(after), do: do})
}

// undo does what is due; at a round's end all.
func (w *world) undo(all bool) {
	w.supervise()
	w.due = slices.DeleteFunc(w.due, func(d due) bool {
		if !all && time.Now().Before(d.at) {
			return false
		}
		d.do()
		return true
	})
}

// supervise starts a replica again that ended by itself, as an operator's supervisor does. That is right only while
// it starts: it refuses files that change while it reads them for the first time.
func (w *world) supervise() {
	for _, r := range w.replicas {
		if !r.up || !r.ended() {
			continue
		}
		if r.told() != "" {
			w.violation("replica %d, process %d, ended by itself", r.number, r.process.PID())
		}
		w.note("replica %d did not start: %.300s", r.number, r.process.Log())
		w.ended = append(w.ended, r.process)
		w.startReplica(r)
	}
}

func (r *replica) ended() bool {
	select {
	case <-r.process.Exited:
		return true
	default:
		return false
	}
}

var told = regexp.MustCompile(`told the reconciler the revision[^\n]*"revision":"([0-9a-f]+)"`)

// told is the revision that the replica told the reconciler last; "" for none yet.
func (r *replica) told() string {
	all := told.FindAllStringSubmatch(r.process.Log(), -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

func (w *world) kill(r *replica) {
	r.process.Kill()
	w.gone(r)
}

// stop ends a replica as a deploy does. One that was started a moment ago may not be there yet to hear the signal.
func (w *world) stop(r *replica) {
	code := r.process.Terminate()
	deaf := code == -1 && r.process.Log() == ""
	if code != 0 && !deaf && w.temporalUp {
		w.violation("replica %d ended with %d after SIGTERM", r.number, code)
	}
	w.gone(r)
}

func (w *world) gone(r *replica) {
	r.up = false
	w.ended = append(w.ended, r.process)
	w.later(func() { w.startReplica(r) })
}

func (w *world) freeze(r *replica) {
	r.process.Signal(syscall.SIGSTOP)
	r.up = false
	w.later(func() {
		r.process.Signal(syscall.SIGCONT)
		r.up = true
	})
}

// note keeps what happened, for a violation.
func (w *world) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf("%7.1fs  %s", time.Since(w.start).Seconds(), fmt.Sprintf(format, args...)))
}

// violation ends the soak with all that is needed to find out why.
func (w *world) violation(format string, args ...any) {
	w.t.Helper()
	logs, err := os.MkdirTemp("", "soak-logs")
	require.NoError(w.t, err)
	var tails strings.Builder
	processes := append(slices.Clone(w.ended), w.temporal)
	for _, r := range w.replicas {
		processes = append(processes, r.process)
	}
	for _, p := range processes {
		name := filepath.Join(logs, fmt.Sprintf("%d.log", p.PID()))
		require.NoError(w.t, os.WriteFile(name, []byte(p.Log()), 0o600))
		lines := strings.Split(p.Log(), "\n")
		fmt.Fprintf(&tails, "\nthe end of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	w.t.Fatalf("%s\n\n-seed %d, round %d, %d actions, the last ones:\n%s\n%s", fmt.Sprintf(format, args...), w.seed, w.rounds, w.actions,
		strings.Join(w.history[max(0, len(w.history)-50):], "\n"), tails.String())
}
