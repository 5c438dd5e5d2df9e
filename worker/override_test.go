package worker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// override signals and waits for its outcome.
func (r *running) override(o workflows.Override) workflows.Outcome {
	r.t.Helper()
	if o.RequestID == "" {
		o.RequestID = uuid.NewString()
	}
	r.signal(workflows.SignalOverride, o)
	return r.outcome(o.RequestID)
}

// outcome waits until a request is applied or failed.
func (r *running) outcome(requestID string) (outcome workflows.Outcome) {
	r.t.Helper()
	eventually(r.t, func() string { return fmt.Sprintf("outcome of %s: %+v; log:\n%s", requestID, outcome, r.log) }, func() bool {
		outcome = r.askOutcome(requestID)
		return outcome.Status == workflows.OutcomeApplied || outcome.Status == workflows.OutcomeFailed
	})
	return outcome
}

func (r *running) askOutcome(requestID string) workflows.Outcome {
	r.t.Helper()
	value, err := r.client.QueryWorkflow(context.Background(), workflows.ReconcilerID(r.project), "",
		workflows.QueryOutcome, workflows.OutcomeQuery{RequestID: requestID})
	if err != nil {
		return workflows.Outcome{}
	}
	var outcomes []workflows.Outcome
	require.NoError(r.t, value.Get(&outcomes))
	require.Len(r.t, outcomes, 1)
	return outcomes[0]
}

func (r *running) overrides() []workflows.ActiveOverride {
	r.t.Helper()
	value, err := r.client.QueryWorkflow(context.Background(), workflows.ReconcilerID(r.project), "", workflows.QueryOverrides)
	require.NoError(r.t, err)
	var page workflows.OverridesPage
	require.NoError(r.t, value.Get(&page))
	return page.Overrides
}

func (r *running) paused(workflowID string) bool {
	r.t.Helper()
	return r.describe(workflowID).Schedule.State.Paused
}

func overridden(t *testing.T, name string) (*running, files, string, client.Client) {
	t.Helper()
	namespace, c := server.Namespace(t)
	f := newFiles(t, name)
	f.workflow("on", `{cron: "0 5 * * *"}`)
	f.workflow("off", `{cron: "0 6 * * *", enabled: false}`)
	r := serve(t, namespace, c, f)
	r.inSync(f)
	return r, f, namespace, c
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	t.Run("Should pause with who, why and until when in the note, and resume", func(t *testing.T) {
		r, _, _, _ := overridden(t, "pausing")
		outcome := r.override(workflows.Override{
			WorkflowID: "on", Action: workflows.ActionPause, Actor: "alice", Reason: "maintenance", ExpiresIn: config.Duration(time.Hour),
		})
		assert.Equal(t, workflows.OutcomeApplied, outcome.Status, outcome.Message)
		state := r.describe("on").Schedule.State
		assert.True(t, state.Paused)
		assert.Regexp(t, `^Paused by alice until \S+Z: maintenance\. Managed by .* enabled in git\. spec:[0-9a-f]{12}$`, state.Note)
		require.Len(t, r.overrides(), 1)
		assert.False(t, r.overrides()[0].Pending)

		assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionResume}).Status)
		assert.False(t, r.paused("on"))
		assert.Empty(t, r.overrides(), "as the YAML says: no override")
		assert.NotContains(t, r.describe("on").Schedule.State.Note, "alice")
	})
	t.Run("Should resume what the YAML pauses, and revert to it", func(t *testing.T) {
		r, _, _, _ := overridden(t, "resuming")
		r.override(workflows.Override{WorkflowID: "off", Action: workflows.ActionResume})
		assert.False(t, r.paused("off"))
		assert.Len(t, r.overrides(), 1)
		assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "off", Action: workflows.ActionRevert}).Status)
		assert.True(t, r.paused("off"))
		assert.Empty(t, r.overrides())
	})
	t.Run("Should keep a deleted schedule away until it is reverted or reloaded", func(t *testing.T) {
		r, f, _, _ := overridden(t, "deleting")
		assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionDelete}).Status)
		r.schedules(1)
		assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionDelete}).Status, "again")
		assert.Equal(t, workflows.FailureNotFound, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause}).Reason,
			"nothing to pause")
		r.signal(workflows.SignalResync, nil)
		status := r.until("a pass leaves it away", func(s workflows.Status) bool { return s.Counts.Removed == 1 && s.Phase == workflows.PhaseInSync })
		assert.Zero(t, status.LastPass.Created)
		assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionRevert}).Status)
		assert.False(t, r.paused("on"), "it is back")

		r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionDelete})
		f.workflow("third", `{cron: "0 7 * * *"}`)
		r.inSync(f)
		assert.False(t, r.paused("on"), "the reload brought it back")
	})
	t.Run("Should end by a reload, save the held", func(t *testing.T) {
		r, f, _, _ := overridden(t, "reloading")
		r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause})
		r.override(workflows.Override{WorkflowID: "off", Action: workflows.ActionResume, Hold: true, Actor: "bob"})
		f.workflow("third", `{cron: "0 7 * * *"}`)
		r.inSync(f)
		assert.False(t, r.paused("on"), "reverted")
		assert.False(t, r.paused("off"), "held")
		require.Len(t, r.overrides(), 1)
		assert.Equal(t, "bob", r.overrides()[0].Actor)
		r.signal(workflows.SignalReload, workflows.Reload{Force: true})
		r.until("a forced reload", func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync && s.LastPass.Kind == "reload" })
		assert.False(t, r.paused("off"), "still held")
	})
	t.Run("Should expire by itself, also across a restart", func(t *testing.T) {
		r, f, namespace, c := overridden(t, "expiring")
		r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause, ExpiresIn: config.Duration(2 * time.Second)})
		assert.True(t, r.paused("on"))
		eventually(t, r.log.String, func() bool { return !r.paused("on") && len(r.overrides()) == 0 })
		r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause, ExpiresIn: config.Duration(3 * time.Second)})
		r.stop()
		again := serve(t, namespace, c, f)
		assert.True(t, again.paused("on"))
		eventually(t, again.log.String, func() bool { return !again.paused("on") })
	})
	t.Run("Should survive a restart on the same revision, with actor and reason", func(t *testing.T) {
		r, f, namespace, c := overridden(t, "restarting")
		r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause, Actor: "carol", Reason: "incident 7"})
		r.stop()
		again := serve(t, namespace, c, f)
		again.inSync(f)
		assert.True(t, again.paused("on"))
		eventually(t, again.log.String, func() bool { return len(again.overrides()) == 1 })
		assert.Equal(t, "carol", again.overrides()[0].Actor)
		assert.Equal(t, "incident 7", again.overrides()[0].Reason)
	})
	t.Run("Should apply a repeated request once", func(t *testing.T) {
		r, _, _, _ := overridden(t, "repeating")
		r.override(workflows.Override{RequestID: "one", WorkflowID: "on", Action: workflows.ActionPause})
		r.override(workflows.Override{RequestID: "two", WorkflowID: "on", Action: workflows.ActionResume})
		r.override(workflows.Override{RequestID: "one", WorkflowID: "on", Action: workflows.ActionPause})
		assert.False(t, r.paused("on"))
	})
	t.Run("Should answer bad requests with a failed outcome, and go on", func(t *testing.T) {
		r, _, namespace, c := overridden(t, "refusing")
		for id, o := range map[string]struct {
			message any
			reason  workflows.FailureReason
		}{
			"no-workflow":  {map[string]any{"request_id": "no-workflow", "action": "pause"}, workflows.FailureInvalid},
			"no-action":    {map[string]any{"request_id": "no-action", "workflow_id": "on"}, workflows.FailureInvalid},
			"bad-action":   {map[string]any{"request_id": "bad-action", "workflow_id": "on", "action": "explode"}, workflows.FailureInvalid},
			"unknown":      {map[string]any{"request_id": "unknown", "workflow_id": "nobody", "action": "pause"}, workflows.FailureNotFound},
			"unknown-gone": {map[string]any{"request_id": "unknown-gone", "workflow_id": "nobody", "action": "delete"}, workflows.FailureNotFound},
		} {
			r.signal(workflows.SignalOverride, o.message)
			outcome := r.outcome(id)
			assert.Equal(t, workflows.OutcomeFailed, outcome.Status, id)
			assert.Equal(t, o.reason, outcome.Reason, id)
			assert.NotEmpty(t, outcome.Message, id)
		}
		r.signal(workflows.SignalOverride, "nonsense")
		r.signal(workflows.SignalRun, 42)
		signalWithoutInput(t, namespace, c, r.project, workflows.SignalOverride)
		signalWithoutInput(t, namespace, c, r.project, workflows.SignalRun)
		assert.Empty(t, r.overrides())
		assert.Equal(t, workflows.OutcomeUnknown, r.askOutcome("never sent").Status)
		var latest []workflows.Outcome
		value, err := c.QueryWorkflow(t.Context(), workflows.ReconcilerID(r.project), "", workflows.QueryOutcome)
		require.NoError(t, err)
		require.NoError(t, value.Get(&latest))
		assert.GreaterOrEqual(t, len(latest), 9, "each leaves an outcome")
		assert.Zero(t, failedWorkflowTasks(t, c, workflows.ReconcilerID(r.project)))
	})
	t.Run("Should trigger once for each request id, and backfill a window", func(t *testing.T) {
		r, _, namespace, c := overridden(t, "running")
		runWorkflows(t, c, "running")
		r.signal(workflows.SignalRun, workflows.Run{RequestID: "t1", WorkflowID: "on", Action: workflows.ActionTrigger})
		r.signal(workflows.SignalRun, workflows.Run{RequestID: "t1", WorkflowID: "on", Action: workflows.ActionTrigger})
		assert.Equal(t, workflows.OutcomeApplied, r.outcome("t1").Status)
		completedRun(t, namespace, c, "on")
		day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		r.signal(workflows.SignalRun, workflows.Run{
			RequestID: "b1", WorkflowID: "on", Action: workflows.ActionBackfill, StartAt: day, EndAt: day.AddDate(0, 0, 3),
		})
		assert.Equal(t, workflows.OutcomeApplied, r.outcome("b1").Status)
		runs := func() int {
			answer, err := c.WorkflowService().CountWorkflowExecutions(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: namespace, Query: "WorkflowType = 'on' AND ExecutionStatus = 'Completed'",
			})
			require.NoError(t, err)
			return int(answer.GetCount())
		}
		eventually(t, func() string { return fmt.Sprint(runs(), " runs") }, func() bool { return runs() == 4 })
	})
}

func TestConcurrentOverrides(t *testing.T) {
	t.Parallel()
	t.Run("Should end in the state of the last accepted of many pauses and resumes", func(t *testing.T) {
		r, _, _, c := overridden(t, "crowded")
		var clients sync.WaitGroup
		for n := range 10 {
			clients.Go(func() {
				for i := range 10 {
					action := workflows.ActionPause
					if (n+i)%2 == 0 {
						action = workflows.ActionResume
					}
					r.signal(workflows.SignalOverride, workflows.Override{
						RequestID: fmt.Sprintf("%d-%d", n, i), WorkflowID: "on", Action: action,
					})
				}
			})
		}
		clients.Wait()
		r.override(workflows.Override{RequestID: "last", WorkflowID: "on", Action: workflows.ActionPause, Actor: "last"})
		for n := range 10 {
			for i := range 10 {
				r.outcome(fmt.Sprintf("%d-%d", n, i))
			}
		}
		assert.True(t, r.paused("on"))
		require.Len(t, r.overrides(), 1)
		assert.Equal(t, "last", r.overrides()[0].Actor)
		assert.Zero(t, failedWorkflowTasks(t, c, workflows.ReconcilerID(r.project)))
		continued := slices.ContainsFunc(history(t, c, workflows.ReconcilerID(r.project)), func(e *historypb.HistoryEvent) bool {
			return e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
		})
		assert.True(t, continued, "it continued as new on the way")
	})
	for _, c := range []struct {
		name    string
		expires time.Duration
		end     func(r *running)
	}{
		{"a revert", 0, func(r *running) {
			assert.Equal(t, workflows.OutcomeApplied, r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionRevert}).Status)
		}},
		{"the end of its time", 5 * time.Second, func(r *running) {
			eventually(t, func() string { return "the override does not expire" }, func() bool { return len(r.overrides()) == 0 })
		}},
	} {
		t.Run("Should stay ended by "+c.name+" while a reload, which knew the override, reads the list", func(t *testing.T) {
			var lists temporaltest.Gate
			namespace, temporal := server.Namespace(t, lists.Dial)
			f := newFiles(t, "passing")
			f.workflow("on", `{cron: "0 5 * * *"}`)
			r := serve(t, namespace, temporal, f)
			r.inSync(f)
			r.override(workflows.Override{WorkflowID: "on", Action: workflows.ActionPause, Hold: true, ExpiresIn: config.Duration(c.expires)})
			require.True(t, r.paused("on"))
			waiting := lists.Close()
			f.workflow("new", `{cron: "0 6 * * *"}`)
			<-waiting
			c.end(r)
			require.Eventually(t, func() bool { return !r.paused("on") }, soon, 50*time.Millisecond)
			eventually(t, func() string { return "the list still shows the pause" },
				func() bool { return !server.ListsPaused(t, namespace) })
			lists.Open()
			r.inSync(f)
			eventually(t, func() string { return fmt.Sprintf("it is paused again: %+v", r.status()) }, func() bool { return !r.paused("on") })
			status := r.until("it is at rest", func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync })
			assert.False(t, r.paused("on"), "%+v", status)
		})
	}
}
