package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// askAgain is when a question is asked again: the server loses one now and then (docs/temporal.md, "Lost
// queries").
const askAgain = 2 * time.Second

// rollout is a deploy of one project from a directory with revision 1 to one with revision 2, which runs an
// hour later and has a schedule more.
type rollout struct {
	t         *testing.T
	namespace string
	client    client.Client
	project   string
	dirs      [3]string // by revision; the first is unused
	revisions [3]string
}

func newRollout(t *testing.T, name string) *rollout {
	t.Helper()
	namespace, c := server.Namespace(t)
	r := &rollout{t: t, namespace: namespace, client: c, project: name}
	for revision := 1; revision <= 2; revision++ {
		dir := project(t, name, 1+revision)
		writeFile(t, filepath.Join(dir, "workflows", "wf-0000.yaml"),
			fmt.Sprintf("id: wf-0000\nschedule: {cron: \"0 %d * * *\"}\ntemporal: {task_queue: nobody}\n", revision))
		loaded, err := config.Load(dir)
		require.NoError(t, err)
		r.dirs[revision], r.revisions[revision] = dir, config.Short(loaded.Revision)
	}
	return r
}

// start starts a process with a revision, and returns when it has told the reconciler.
func (r *rollout) start(revision int, args ...string) *child {
	r.t.Helper()
	args = append([]string{"serve", "--project", r.dirs[revision], "--api=false"}, args...)
	c := start(r.t, temporalEnv(server.Address(), r.namespace), args...)
	eventually(r.t, c.Log, func() bool { return strings.Contains(c.Log(), "told the reconciler the revision") })
	return c
}

// startOf starts a process whose generation is its revision.
func (r *rollout) startOf(revision int) *child {
	r.t.Helper()
	return r.start(revision, fmt.Sprintf("--generation=%d", revision))
}

// status asks the reconciler; the zero Status where it cannot answer now.
func (r *rollout) status() (status workflows.Status) {
	ctx, cancel := context.WithTimeout(context.Background(), askAgain)
	defer cancel()
	if value, err := r.client.QueryWorkflow(ctx, workflows.ReconcilerID(r.project), "", workflows.QueryStatus); err == nil {
		_ = value.Get(&status) // the zero Status is asked for again
	}
	return status
}

// inSync waits until a revision is in sync.
func (r *rollout) inSync(revision int, by *child) {
	r.t.Helper()
	eventually(r.t, by.Log, func() bool { return r.status().InSync(r.revisions[revision]) })
}

// look describes a schedule; nil where nobody answered.
func (r *rollout) look(workflowID string) *client.ScheduleDescription {
	ctx, cancel := context.WithTimeout(context.Background(), askAgain)
	defer cancel()
	description, err := r.client.ScheduleClient().GetHandle(ctx, config.DefaultScheduleID(r.project, workflowID)).Describe(ctx)
	if err != nil {
		return nil
	}
	return description
}

// state is a schedule's.
func (r *rollout) state(workflowID string, by *child) *client.ScheduleState {
	r.t.Helper()
	var description *client.ScheduleDescription
	eventually(r.t, by.Log, func() bool { description = r.look(workflowID); return description != nil })
	return description.Schedule.State
}

// seen is which revision the schedule has that both have, by its spec and by its note; 0 where nobody answered.
func (r *rollout) seen() (spec int, hash string) {
	description := r.look("wf-0000")
	if description == nil {
		return 0, ""
	}
	note, _ := activities.ParseNote(description.Schedule.State.Note)
	return description.Schedule.Spec.Calendars[0].Hour[0].Start, note.Hash
}

// observe looks at the schedule until stop, which says what it saw, in order and without repetitions.
func (r *rollout) observe() (stop func() (specs []int, hashes []string)) {
	var specs []int
	var hashes []string
	end := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			spec, hash := r.seen()
			if spec != 0 && (len(specs) == 0 || specs[len(specs)-1] != spec) {
				specs = append(specs, spec)
			}
			if hash != "" && (len(hashes) == 0 || hashes[len(hashes)-1] != hash) {
				hashes = append(hashes, hash)
			}
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() ([]int, []string) {
		close(end)
		looking.Wait()
		return specs, hashes
	}
}

// disturb pauses and resumes one schedule and triggers another, until stop, which names the requests in order.
func (r *rollout) disturb() (stop func() (requests []string)) {
	var requests []string
	end := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ; i++ {
			id := fmt.Sprintf("request-%03d", i)
			var err error
			switch i % 4 {
			case 0, 2:
				action := workflows.ActionPause
				if i%4 == 2 {
					action = workflows.ActionResume
				}
				err = r.signal(workflows.SignalOverride, workflows.Override{RequestID: id, WorkflowID: "wf-0000", Action: action})
			case 1:
				err = r.signal(workflows.SignalRun, workflows.Run{RequestID: id, WorkflowID: "wf-0001", Action: workflows.ActionTrigger})
			case 3:
				err = r.signal(workflows.SignalResync, nil)
				id = ""
			}
			assert.NoError(r.t, err)
			if id != "" {
				requests = append(requests, id)
			}
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() []string {
		close(end)
		sending.Wait()
		return requests
	}
}

func (r *rollout) signal(name string, message any) error {
	return schedulestest.Signal(r.client, r.project, name, message)
}

// outcome waits until a request is applied or failed.
func (r *rollout) outcome(id string, by *child) (outcome workflows.Outcome) {
	r.t.Helper()
	eventually(r.t, by.Log, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), askAgain)
		defer cancel()
		value, err := r.client.QueryWorkflow(ctx, workflows.ReconcilerID(r.project), "", workflows.QueryOutcome,
			workflows.OutcomeQuery{RequestID: id})
		if err != nil {
			return false
		}
		var outcomes []workflows.Outcome
		require.NoError(r.t, value.Get(&outcomes))
		outcome = outcomes[0]
		return outcome.Status == workflows.OutcomeApplied || outcome.Status == workflows.OutcomeFailed
	})
	return outcome
}

// requireEnd sees that the deploy has come to its end: each schedule of revision 2 once, all in sync.
func (r *rollout) requireEnd(by *child) {
	r.t.Helper()
	r.inSync(2, by)
	counts := map[string]int{}
	eventually(r.t, by.Log, func() bool { // a list lags
		clear(counts)
		for _, entry := range list(r.t, r.client, r.namespace, r.project) {
			counts[entry.ScheduleID]++
		}
		return len(counts) == 3
	})
	for id, n := range counts {
		assert.Equal(r.t, 1, n, id)
	}
	answer, err := r.client.CountWorkflow(r.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: r.namespace, Query: "ExecutionStatus IN ('Failed', 'TimedOut', 'Terminated', 'Canceled')",
	})
	require.NoError(r.t, err)
	assert.Zero(r.t, answer.GetCount(), "workflows that did not end well")
}

// requireFenced reads the reconciler's history: after revision 2 was told, revision 1 began nothing that was asked of it
// then, and no workflow task failed. A run that begins with both a pass to make and the message asks and cancels at once.
func (r *rollout) requireFenced() {
	r.t.Helper()
	newer, began := false, 0
	queues := map[int64]string{} // of one run's activities, by the event that asked for them
	for _, event := range r.history() {
		if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal.GetSignalName() == workflows.SignalReload {
			var reload workflows.Reload
			require.NoError(r.t, converter.GetDefaultDataConverter().FromPayloads(signal.GetInput(), &reload))
			newer = newer || reload.Revision == r.revisions[2]
		}
		if event.GetWorkflowExecutionStartedEventAttributes() != nil {
			clear(queues)
		}
		if task := event.GetActivityTaskScheduledEventAttributes(); newer && task != nil && task.GetTaskQueue().GetName() != workflows.TaskQueue(r.project) {
			queues[event.GetEventId()] = task.GetTaskQueue().GetName()
		}
		if queue, late := queues[event.GetActivityTaskStartedEventAttributes().GetScheduledEventId()]; late {
			began++
			assert.Equal(r.t, workflows.RevisionQueue(r.project, r.revisions[2]), queue, event)
		}
		failed := event.GetWorkflowTaskFailedEventAttributes()
		if failed != nil && failed.GetCause() != enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND { // so a run's end is called that a message came before
			assert.Fail(r.t, "a workflow task failed", failed)
		}
	}
	assert.Positive(r.t, began)
}

// history is the events of the reconciler, from the first of its runs.
func (r *rollout) history() (all []*historypb.HistoryEvent) {
	r.t.Helper()
	for run, more := "", true; more; more = run != "" {
		events := r.client.GetWorkflowHistory(context.Background(), workflows.ReconcilerID(r.project), run, false,
			enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		run = ""
		var one []*historypb.HistoryEvent
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(r.t, err)
			if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
				run = started.GetContinuedExecutionRunId()
			}
			one = append(one, event)
		}
		all = append(one, all...)
	}
	return all
}

func TestRollingDeploy(t *testing.T) {
	// What follows the first process of revision 2, in every order.
	orders := []string{
		"replace, restart, late", "replace, late, restart", "restart, replace, late",
		"restart, late, replace", "late, replace, restart", "late, restart, replace",
	}
	for i, order := range orders {
		t.Run("Should never go back from revision 2: "+order, func(t *testing.T) {
			t.Parallel()
			r := newRollout(t, "rolling")
			kills := i
			end := func(c *child) { // by kill -9 and by SIGTERM in turn
				if kills++; kills%2 == 0 {
					c.Kill()
				} else {
					assert.Zero(t, c.Terminate())
				}
			}
			pods := []*child{r.startOf(1), r.startOf(1), r.startOf(1)}
			r.inSync(1, pods[0])
			observed, disturbed := r.observe(), r.disturb()
			end(pods[0])
			pods[0] = r.startOf(2)
			r.inSync(2, pods[0])
			for step := range strings.SplitSeq(order, ", ") {
				switch step {
				case "replace":
					end(pods[1])
					pods[1] = r.startOf(2)
				case "restart": // an old process crashes and is started again
					end(pods[2])
					pods[2] = r.startOf(1)
				case "late": // an old process that hung somewhere starts when nobody expects it any more
					pods = append(pods, r.startOf(1))
				}
			}
			end(pods[2])
			pods[2] = r.startOf(2)
			end(pods[3])

			requests := disturbed()
			require.NoError(t, r.signal(workflows.SignalOverride, workflows.Override{
				RequestID: "last", WorkflowID: "wf-0000", Action: workflows.ActionPause, Actor: "ann", Reason: "the last word",
			}))
			assert.Equal(t, workflows.OutcomeApplied, r.outcome("last", pods[0]).Status)
			for _, id := range requests {
				if outcome := r.outcome(id, pods[0]); outcome.Status == workflows.OutcomeFailed {
					assert.Equal(t, "a later request or a reload came first", outcome.Message)
				}
			}
			r.requireEnd(pods[0])
			specs, hashes := observed()
			assert.Equal(t, []int{1, 2}, specs, "the schedule's hour")
			require.GreaterOrEqual(t, len(hashes), 2, "in the schedule's note")
			// A pause beside the pass may have put the older note back, until the next pass.
			eventually(t, pods[0].Log, func() bool { _, hash := r.seen(); return hash == hashes[1] })
			status := r.status()
			require.NotNil(t, status.Refused)
			assert.Equal(t, int64(1), status.Refused.Generation)
			state := r.state("wf-0000", pods[0])
			assert.True(t, state.Paused)
			assert.Contains(t, state.Note, "Paused by ann: the last word.")
			assert.False(t, r.state("wf-0001", pods[0]).Paused)
			r.requireFenced()
		})
	}
	t.Run("Should touch nothing and say why while only processes of revision 1 are left", func(t *testing.T) {
		t.Parallel()
		r := newRollout(t, "orphaned")
		older, newer := r.startOf(1), r.startOf(2)
		r.inSync(2, newer)
		newer.Kill()
		assert.Zero(t, older.Terminate())
		older = r.startOf(1)
		// Somebody deletes a schedule: with revision 2 it would come back.
		require.NoError(t, r.client.ScheduleClient().GetHandle(t.Context(), "schedule-orphaned-wf-0001").Delete(t.Context()))
		require.NoError(t, r.signal(workflows.SignalResync, nil))
		eventually(t, older.Log, func() bool { return r.status().Phase == workflows.PhaseNoWorker })
		code, stdout, stderr := call(t, temporalEnv(server.Address(), r.namespace), "status", "--project", r.dirs[1])
		assert.Zero(t, code, stderr)
		for _, told := range []string{
			"no worker for the revision", "no worker has revision " + r.revisions[2] + ", nothing was changed: start `schedules serve` with it",
			"refused reload", "generation 1 is older than the current 2; force the reload to go back",
		} {
			assert.Contains(t, stdout, told)
		}
		eventually(t, older.Log, func() bool { hour, _ := r.seen(); return hour == 2 })
		_, err := r.client.ScheduleClient().GetHandle(t.Context(), "schedule-orphaned-wf-0001").Describe(t.Context())
		require.Error(t, err, "it did not come back")

		back := r.startOf(2)
		r.requireEnd(back)
		r.requireFenced()
	})
	t.Run("Should let the last process win where there are no generations", func(t *testing.T) {
		t.Parallel()
		r := newRollout(t, "unordered")
		older, newer := r.start(1), r.start(2)
		r.inSync(2, newer)
		older.Kill()
		older = r.start(1)
		r.inSync(1, older)
		eventually(t, older.Log, func() bool { hour, _ := r.seen(); return hour == 1 })
		assert.Zero(t, newer.Terminate())
		newer = r.start(2)
		r.requireEnd(newer)
		assert.Nil(t, r.status().Refused)
	})
}

func TestBlockedDeploy(t *testing.T) {
	t.Run("Should say in the API and in the commands what the prune guard holds back, and let it go", func(t *testing.T) {
		t.Parallel()
		namespace, c := server.Namespace(t)
		env := temporalEnv(server.Address(), namespace)
		dir := project(t, "blocked", 10)
		serve := serveAPI(t, env, dir)
		command := func(args ...string) (code int, stdout, stderr string) {
			return call(t, append(env, "SCHEDULES_API_URL="+serve.url), args...)
		}
		asked := func() (status workflows.Status) {
			if code, answer, _ := serve.request(t, http.MethodGet, "/api/v0/reconciler", ""); code == http.StatusOK {
				require.NoError(t, json.Unmarshal([]byte(answer), &status))
			}
			return status
		}
		eventually(t, serve.Log, func() bool { return asked().Phase == workflows.PhaseInSync })
		for i := range 7 {
			require.NoError(t, os.Remove(filepath.Join(dir, "workflows", fmt.Sprintf("wf-%04d.yaml", i))))
		}
		eventually(t, serve.Log, func() bool { status := asked(); return status.Blocked != nil && status.Blocked.Delete == 7 })
		ids := []string{"wf-0000", "wf-0001", "wf-0002", "wf-0003", "wf-0004", "wf-0005", "wf-0006"}
		assert.Equal(t, &workflows.Blocked{Delete: 7, Owned: 10, Allowed: 5, WorkflowIDs: ids}, asked().Blocked)

		code, stdout, stderr := command("status", "--project", dir)
		assert.Zero(t, code, stderr)
		assert.Contains(t, stdout, "blocked by the prune guard")
		assert.Regexp(t, "would delete +"+strings.Join(ids, ", "), stdout)
		code, stdout, stderr = command("reload", "--wait")
		assert.Equal(t, 1, code)
		assert.Regexp(t, "would delete +"+strings.Join(ids, ", "), stdout)
		assert.Contains(t, stderr, "`schedules reload --prune --wait` lets this one reload delete them")
		assert.Len(t, list(t, c, namespace, "blocked"), 10)
		told := 0
		for line := range strings.Lines(serve.Log()) {
			if strings.Contains(line, `"not in sync"`) && strings.Contains(line, "would delete 7 of 10") {
				assert.Contains(t, line, `"WARN"`)
				told++
			}
		}
		assert.Equal(t, 1, told, "once, not by each pass")

		code, stdout, stderr = command("reload", "--prune", "--wait")
		assert.Zero(t, code, stderr)
		assert.Contains(t, stdout, "3 schedules; 0 created, 0 updated, 7 deleted")
		eventually(t, serve.Log, func() bool { return len(list(t, c, namespace, "blocked")) == 3 })
		assert.Nil(t, asked().Blocked)

		t.Run("Should not start without files, and delete nothing", func(t *testing.T) {
			for name, lose := range map[string]func(dir string) error{
				"no directory":                os.RemoveAll,
				"an empty directory":          func(dir string) error { return os.Remove(filepath.Join(dir, "compozy.yaml")) },
				"a glob that matches nothing": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "workflows")) },
			} {
				empty := project(t, "blocked", 1)
				require.NoError(t, lose(empty))
				code, _, stderr := call(t, env, "serve", "--project", empty, "--api=false")
				assert.Equal(t, 1, code, name)
				assert.Regexp(t, "no such file|no file matches", stderr, name)
			}
			assert.Len(t, list(t, c, namespace, "blocked"), 3)
			eventually(t, serve.Log, func() bool { return asked().Phase == workflows.PhaseInSync })
		})
	})
}
