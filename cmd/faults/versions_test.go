package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// The versions that run side by side with today's: the landing of the second and third issue, which knows no audit,
// no renaming and another translation, and one between.
const (
	oldestVersion = "c18c9e4"
	middleVersion = "dfc494c"
)

// buildVersion builds the binary of a commit.
func buildVersion(t *testing.T, revision string) (path string) {
	t.Helper()
	root, err := temporaltest.Root()
	require.NoError(t, err)
	archive, err := exec.CommandContext(t.Context(), "git", "-C", root, "archive", revision).Output()
	if err != nil {
		t.Skipf("this checkout has no commit %s: clone it with its history (git fetch --unshallow)", revision)
	}
	dir := t.TempDir()
	extract := exec.CommandContext(t.Context(), "tar", "x", "-C", dir)
	extract.Stdin = bytes.NewReader(archive)
	require.NoError(t, extract.Run())
	path = filepath.Join(dir, "schedules-"+revision)
	build := exec.CommandContext(t.Context(), "go", "build", "-C", dir, "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return path
}

// previousVersion is the commit before what is being tested.
func previousVersion(t *testing.T) string {
	t.Helper()
	root, err := temporaltest.Root()
	require.NoError(t, err)
	changed, err := exec.CommandContext(t.Context(), "git", "-C", root, "status", "--porcelain", "--", "*.go", "go.mod").Output()
	if err != nil {
		t.Skip("this is no git checkout")
	}
	if len(changed) == 0 {
		return "HEAD~1"
	}
	return "HEAD"
}

// upgrade is a project whose replicas are of several versions.
type upgrade struct {
	t       *testing.T
	env     []string
	client  client.Client
	project string
	dir     string
	// all are the processes that were ever started, versions their binaries' names.
	all      []*schedulestest.Process
	versions []string
}

func newUpgrade(t *testing.T, project string, schedules int) *upgrade {
	t.Helper()
	namespace, c := server.Namespace(t)
	return &upgrade{
		t: t, env: schedulestest.Env(server.Address(), namespace), client: c, project: project,
		dir: schedulestest.Project(t, project, schedules),
	}
}

// start starts a replica of a version. A slow rate makes passes long enough to be interrupted.
func (u *upgrade) start(binary string, args ...string) *schedulestest.Process {
	u.t.Helper()
	args = append([]string{"serve", "--project", u.dir, "--api=false", "--resync-interval", "2s"}, args...)
	p := schedulestest.Start(u.t, u.env, binary, args...)
	u.all, u.versions = append(u.all, p), append(u.versions, filepath.Base(binary))
	schedulestest.Eventually(u.t, p.Log, func() bool { return strings.Contains(p.Log(), "told the reconciler the revision") })
	return p
}

func (u *upgrade) log() string {
	var b strings.Builder
	for i, p := range u.all {
		fmt.Fprintf(&b, "--- process %d, pid %d\n%s\n", i, p.PID(), p.Log())
	}
	return b.String()
}

// ask queries the reconciler; false where it does not answer now.
func (u *upgrade) ask(query string, answer any, args ...any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	value, err := u.client.QueryWorkflow(ctx, workflows.ReconcilerID(u.project), "", query, args...)
	return err == nil && value.Get(answer) == nil
}

func (u *upgrade) status() (s workflows.Status) {
	u.ask(workflows.QueryStatus, &s)
	return s
}

func (u *upgrade) eventually(holds func() bool) {
	u.t.Helper()
	schedulestest.Eventually(u.t, u.log, holds)
}

// override sends an override and waits until it is applied.
func (u *upgrade) override(o workflows.Override) {
	u.t.Helper()
	require.NoError(u.t, schedulestest.Signal(u.client, u.project, workflows.SignalOverride, o))
	u.eventually(func() bool {
		var outcomes []workflows.Outcome
		asked := u.ask(workflows.QueryOutcome, &outcomes, workflows.OutcomeQuery{RequestID: o.RequestID})
		require.False(u.t, asked && outcomes[0].Status == workflows.OutcomeFailed, "%+v", outcomes)
		return asked && outcomes[0].Status == workflows.OutcomeApplied
	})
}

// inForce are the overrides by workflow; nil where the reconciler does not answer now.
func (u *upgrade) inForce() map[string]workflows.ActiveOverride {
	var page workflows.OverridesPage
	if !u.ask(workflows.QueryOverrides, &page) {
		return nil
	}
	overrides := map[string]workflows.ActiveOverride{}
	for _, o := range page.Overrides {
		overrides[o.WorkflowID] = o
	}
	return overrides
}

// edit gives every schedule from the first to before the last another hour.
func (u *upgrade) edit(first, last, hour int) {
	u.t.Helper()
	for i := first; i < last; i++ {
		schedulestest.Workflow(u.t, u.dir, fmt.Sprintf("wf-%04d", i), fmt.Sprintf("{cron: \"0 %d * * *\"}", hour))
	}
}

// task is a workflow task of the reconciler, of any run.
type task struct {
	run, worker, cause, message string
	// continued is true for the task that ended its run by Continue-As-New.
	continued bool
}

// tasks are the reconciler's workflow tasks that were completed or failed.
func (u *upgrade) tasks() (all []task) {
	u.t.Helper()
	runs, err := u.client.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowId = '%s'", workflows.ReconcilerID(u.project)),
	})
	require.NoError(u.t, err)
	for _, run := range runs.GetExecutions() {
		id := run.GetExecution().GetRunId()
		assert.Contains(u.t, []enumspb.WorkflowExecutionStatus{
			enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
		}, run.GetStatus())
		events := u.client.GetWorkflowHistory(context.Background(), workflows.ReconcilerID(u.project), id, false,
			enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(u.t, err)
			if done := event.GetWorkflowTaskCompletedEventAttributes(); done != nil {
				all = append(all, task{run: id, worker: done.GetIdentity()})
			}
			if failed := event.GetWorkflowTaskFailedEventAttributes(); failed != nil {
				all = append(all, task{run: id, worker: failed.GetIdentity(), cause: failed.GetCause().String(), message: failed.GetFailure().GetMessage()})
			}
			if event.GetWorkflowExecutionContinuedAsNewEventAttributes() != nil {
				all[len(all)-1].continued = true
			}
		}
	}
	return all
}

// by reports whether a process did the task.
func (k task) by(p *schedulestest.Process) bool {
	return strings.HasPrefix(k.worker, fmt.Sprintf("%d@", p.PID()))
}

// continues reports whether the process has ended a run by Continue-As-New.
func (u *upgrade) continues(p *schedulestest.Process) bool {
	for _, k := range u.tasks() {
		if k.by(p) && k.continued {
			return true
		}
	}
	return false
}

// expiresIn is long enough for a takeover to come before it.
const expiresIn = config.Duration(2 * time.Minute)

func TestUpgrade(t *testing.T) {
	old := buildVersion(t, previousVersion(t))
	for name, end := range map[string]func(t *testing.T, p *schedulestest.Process){
		"rolling":                          func(t *testing.T, p *schedulestest.Process) { assert.Zero(t, p.Terminate()) },
		"killed in the middle of its pass": func(_ *testing.T, p *schedulestest.Process) { p.Kill() },
	} {
		t.Run("Should take over from the version before: "+name, func(t *testing.T) {
			const schedules = 150
			u := newUpgrade(t, "upgraded", schedules)
			before := u.start(old, "--temporal-rps", "40")
			u.eventually(func() bool { return u.status().Phase == workflows.PhaseInSync })
			u.override(workflows.Override{RequestID: "a", WorkflowID: "wf-0001", Action: workflows.ActionPause, Hold: true, Actor: "ann"})
			u.override(workflows.Override{RequestID: "b", WorkflowID: "wf-0002", Action: workflows.ActionDelete, Hold: true})
			u.override(workflows.Override{
				RequestID: "c", WorkflowID: "wf-0003", Action: workflows.ActionPause, Hold: true, ExpiresIn: expiresIn,
			})
			u.eventually(func() bool { return u.continues(before) })

			revision := u.status().Revision
			u.edit(3, schedules, 6)
			u.eventually(func() bool { s := u.status(); return s.Phase == workflows.PhaseReconciling && s.Revision != revision })
			after := u.start(binary)
			end(t, before)
			u.eventually(func() bool { return u.continues(after) })
			expiring, kept := u.inForce()["wf-0003"]
			t.Logf("at the takeover the expiring override is in force: %v %v", kept, expiring.ExpiresAt)
			u.eventually(func() bool { o := u.inForce(); _, still := o["wf-0003"]; return o != nil && !still })
			assert.Equal(t, "ann", u.inForce()["wf-0001"].Actor)
			requireWhole(t, u.log, u.client, u.project, u.dir, map[string]schedulestest.Kept{
				"wf-0001": {Paused: true}, "wf-0002": {Deleted: true},
			})
			for _, k := range u.tasks() {
				assert.Empty(t, k.message, "%+v", k)
			}
		})
	}
}

// TestVersionsSideBySide is a rollback as it should not be, but is now and then: old and new replicas in any order.
// An older version cannot read a run that a newer one began: its workflow tasks fail, again and again, until a newer
// replica gets the next one. That is all: no run fails, no override is lost, and the newer ones end it.
func TestVersionsSideBySide(t *testing.T) {
	versions := []string{buildVersion(t, oldestVersion), buildVersion(t, middleVersion), binary}
	t.Run("Should be whole once the old versions are gone", func(t *testing.T) {
		const schedules, rounds = 20, 8
		u := newUpgrade(t, "mixed", schedules)
		random := rand.New(rand.NewPCG(6, 2027)) // a fixed seed, so that a failure can be repeated
		replicas := make([]*schedulestest.Process, len(versions))
		for i, version := range versions {
			replicas[i] = u.start(version)
		}
		kept := map[string]schedulestest.Kept{}
		for round := range rounds {
			i := random.IntN(len(replicas))
			if random.IntN(2) == 0 {
				replicas[i].Kill()
			} else {
				assert.Zero(t, replicas[i].Terminate())
			}
			u.edit(10, schedules, round)
			id := fmt.Sprintf("wf-%04d", round)
			o := workflows.Override{RequestID: "request " + id, WorkflowID: id, Action: workflows.ActionPause, Hold: true}
			kept[id] = schedulestest.Kept{Paused: true}
			if round%3 == 2 {
				o.Action, kept[id] = workflows.ActionDelete, schedulestest.Kept{Deleted: true}
			}
			require.NoError(t, schedulestest.Signal(u.client, u.project, workflows.SignalOverride, o))
			replicas[i] = u.start(versions[i])
		}
		for i, p := range replicas[:len(replicas)-1] {
			assert.Zero(t, p.Terminate(), versions[i])
		}
		// A deploy's last start is today's: of the versions' revisions, which differ, the last one told wins.
		assert.Zero(t, replicas[len(replicas)-1].Terminate())
		last := u.start(binary)
		u.eventually(func() bool { return u.status().Phase == workflows.PhaseInSync })
		requireSame(t, u, kept)
		u.requireOnlyOldFailed(replicas[len(replicas)-1], last)
	})
	t.Run("Should go on after an old version alone could not read what today's has audited", func(t *testing.T) {
		u := newUpgrade(t, "back", 5)
		newer := u.start(binary, "--resync-interval", "1h")
		u.eventually(func() bool { return u.status().LastAudit != nil })
		newer.Kill()
		older := u.start(versions[0])
		u.eventually(func() bool { return strings.Contains(older.Log(), "[TMPRL1100]") })
		require.NoError(t, schedulestest.Signal(u.client, u.project, workflows.SignalOverride,
			workflows.Override{RequestID: "meanwhile", WorkflowID: "wf-0001", Action: workflows.ActionPause, Hold: true}))
		assert.Zero(t, older.Terminate())
		again := u.start(binary)
		u.eventually(func() bool { return u.status().Phase == workflows.PhaseInSync && len(u.inForce()) == 1 })
		requireSame(t, u, map[string]schedulestest.Kept{"wf-0001": {Paused: true}})
		u.requireOnlyOldFailed(newer, again)
	})
}

// requireSame is requireWhole where workflow tasks of old versions may have failed.
func requireSame(t *testing.T, u *upgrade, kept map[string]schedulestest.Kept) {
	t.Helper()
	said := ""
	u.eventually(func() bool {
		differences, err := schedulestest.Differences(context.Background(), u.client, u.dir, kept)
		if now := fmt.Sprint(differences, err); now != said {
			said = now
			t.Log(said)
		}
		return err == nil && len(differences) == 0
	})
	require.Len(t, u.inForce(), len(kept))
}

// requireOnlyOldFailed sees that workflow tasks failed only where an older version met what a newer one wrote.
func (u *upgrade) requireOnlyOldFailed(newest ...*schedulestest.Process) {
	u.t.Helper()
	completed, failed := map[string]int{}, map[string]int{}
	for _, k := range u.tasks() {
		if k.cause == "" || k.cause == enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND.String() {
			completed[u.version(k)]++
			continue
		}
		failed[u.version(k)]++
		assert.Equal(u.t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR.String(), k.cause, "%+v", k)
		for _, p := range newest {
			assert.False(u.t, k.by(p), "today's version failed: %+v", k)
		}
	}
	refused := 0
	for _, p := range u.all {
		refused += strings.Count(p.Log(), "[TMPRL1100]")
	}
	u.t.Logf("workflow tasks by version: %v completed, %v failed; old processes logged %d that they could not read", completed, failed, refused)
}

// version is the binary of the process that did a task.
func (u *upgrade) version(k task) string {
	for i, p := range u.all {
		if k.by(p) {
			return u.versions[i]
		}
	}
	return "unknown"
}
