package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
	"github.com/compozy/schedules/workflows"
)

// handEdits change one field each, as somebody does in the Temporal UI. The names are those of the YAML.
var handEdits = map[string]func(*schedulepb.Schedule){
	"cron": func(s *schedulepb.Schedule) {
		s.Spec.Interval = []*schedulepb.IntervalSpec{{Interval: durationpb.New(time.Hour)}}
	},
	"timezone":       func(s *schedulepb.Schedule) { s.Spec.TimezoneName = "America/New_York" },
	"jitter":         func(s *schedulepb.Schedule) { s.Spec.Jitter = durationpb.New(time.Minute) },
	"start_at":       func(s *schedulepb.Schedule) { s.Spec.StartTime = moment(2020) },
	"end_at":         func(s *schedulepb.Schedule) { s.Spec.EndTime = moment(2090) },
	"overlap_policy": func(s *schedulepb.Schedule) { s.Policies.OverlapPolicy = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL },
	"catchup_window": func(s *schedulepb.Schedule) { s.Policies.CatchupWindow = durationpb.New(time.Minute) },
	"pause_on_failure": func(s *schedulepb.Schedule) {
		s.Policies.PauseOnFailure = true
	},
	"input":         func(s *schedulepb.Schedule) { action(s).Input = input("by hand") },
	"task_queue":    func(s *schedulepb.Schedule) { action(s).TaskQueue.Name = "elsewhere" },
	"workflow_type": func(s *schedulepb.Schedule) { action(s).WorkflowType.Name = "Another" },
	"workflow_id":   func(s *schedulepb.Schedule) { action(s).WorkflowId = "another" },
	"execution_timeout": func(s *schedulepb.Schedule) {
		action(s).WorkflowExecutionTimeout = durationpb.New(time.Hour)
	},
	"run_timeout":  func(s *schedulepb.Schedule) { action(s).WorkflowRunTimeout = durationpb.New(time.Hour) },
	"task_timeout": func(s *schedulepb.Schedule) { action(s).WorkflowTaskTimeout = durationpb.New(time.Minute) },
	"retry":        func(s *schedulepb.Schedule) { action(s).RetryPolicy = &commonpb.RetryPolicy{MaximumAttempts: 3} },
	"memo": func(s *schedulepb.Schedule) {
		action(s).Memo.Fields["owner"] = input("somebody").GetPayloads()[0]
	},
}

func action(s *schedulepb.Schedule) *workflowpb.NewWorkflowExecutionInfo {
	return s.GetAction().GetStartWorkflow()
}

func moment(year int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
}

func input(value any) *commonpb.Payloads {
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(value)
	if err != nil {
		panic(err)
	}
	return payloads
}

// edit changes a schedule by hand.
func (r *running) edit(workflowID string, change func(*schedulepb.Schedule)) {
	r.t.Helper()
	id := config.DefaultScheduleID(r.project, workflowID)
	edited := r.raw(workflowID)
	change(edited)
	_, err := r.client.WorkflowService().UpdateSchedule(context.Background(), &workflowservice.UpdateScheduleRequest{
		Namespace: r.namespace, ScheduleId: id, Schedule: edited, Identity: "somebody", RequestId: "edit-" + workflowID + time.Now().String(),
	})
	require.NoError(r.t, err)
}

// raw is a schedule as Temporal has it now. A describe that the server loses is sent again (docs/temporal.md,
// "Lost queries").
func (r *running) raw(workflowID string) (schedule *schedulepb.Schedule) {
	r.t.Helper()
	request := &workflowservice.DescribeScheduleRequest{
		Namespace: r.namespace, ScheduleId: config.DefaultScheduleID(r.project, workflowID),
	}
	var err error
	eventually(r.t, func() string { return fmt.Sprint("describe ", workflowID, ": ", err) }, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		var description *workflowservice.DescribeScheduleResponse
		description, err = r.client.WorkflowService().DescribeSchedule(ctx, request)
		schedule = description.GetSchedule()
		return err == nil
	})
	return schedule
}

// audited waits for an audit that began after this call, and no pass under way: an audit that was under way then does not
// count.
func (r *running) audited() workflows.Status {
	r.t.Helper()
	ended := map[time.Time]bool{}
	return r.until("two more audits", func(s workflows.Status) bool {
		if s.LastAudit != nil { // else nobody answered, or the first has not ended
			ended[s.LastAudit.FinishedAt] = true
		}
		return len(ended) > 2 && atRest(s)
	})
}

// reported waits until exactly these workflows are reported as changed by hand.
func (r *running) reported(ids ...string) workflows.Status {
	r.t.Helper()
	slices.Sort(ids)
	return r.until(fmt.Sprint("drift of ", ids), func(s workflows.Status) bool {
		if s.Phase != workflows.PhaseOutOfSync || s.ProblemCount != len(ids) {
			return false
		}
		var found []string
		for _, problem := range s.Problems {
			assert.Equal(r.t, activities.ProblemDrift, problem.Kind)
			found = append(found, problem.WorkflowID)
		}
		slices.Sort(found)
		return slices.Equal(ids, found)
	})
}

// putBack is what is logged of a hand edit that was put back.
const putBack = `level=WARN msg="hand edit put back"`

// warned are a log's lines that have all of the texts.
func warned(log *schedulestest.Buffer, texts ...string) (lines []string) {
	for line := range strings.Lines(log.String()) {
		lacks := func(text string) bool { return !strings.Contains(line, text) }
		if !slices.ContainsFunc(texts, lacks) {
			lines = append(lines, line)
		}
	}
	return lines
}

// watched is a namespace whose client keeps the reconciler's warnings.
func watched(t *testing.T) (namespace string, c client.Client, log *schedulestest.Buffer) {
	t.Helper()
	log = &schedulestest.Buffer{}
	handler := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})
	namespace, c = server.Namespace(t, func(o *client.Options) { o.Logger = sdklog.NewStructuredLogger(slog.New(handler)) })
	return namespace, c, log
}

func eachSecond(s *config.Settings) { s.AuditInterval = time.Second }

func correcting(s *config.Settings) { s.Drift = config.DriftCorrect }

func TestDriftOfEachField(t *testing.T) {
	t.Parallel()
	namespace, c, log := watched(t)
	f := newFiles(t, "edited")
	fields := map[string]string{} // by workflow id
	for field := range handEdits {
		id := strings.ReplaceAll(field, "_", "-")
		fields[id] = field
		f.workflow(id, `{cron: "0 5 * * *"}`)
	}
	f.workflow("untouched", `{cron: "0 5 * * *"}`)
	// The first audits only after the edits: a describe that meets a write may be lost (docs/temporal.md, "Lost
	// queries"), and an audit then waits half a minute.
	r := serve(t, namespace, c, f)
	serveAgain := func(change ...func(*config.Settings)) { // it outlives the test within which it starts
		r.stop()
		r = serve(t, namespace, c, f, change...)
	}
	r.until("the first audit has ended", func(s workflows.Status) bool { return s.LastAudit != nil })
	before := map[string]*schedulepb.Schedule{}
	for id := range fields {
		before[id] = r.raw(id)
	}

	t.Run("Should report a hand edit of each field, and leave it", func(t *testing.T) {
		for id, field := range fields {
			r.edit(id, handEdits[field])
		}
		r.signal(workflows.SignalReload, workflows.Reload{Options: &workflows.Options{AuditInterval: config.Duration(time.Second)}})
		status := r.until("all edits are known", func(s workflows.Status) bool {
			return s.Phase == workflows.PhaseOutOfSync && s.ProblemCount == len(fields)
		})
		for _, problem := range status.Problems {
			assert.Equal(t, activities.ProblemDrift, problem.Kind)
			assert.Equal(t, "changed by hand in Temporal: "+fields[problem.WorkflowID], problem.Message)
		}
		status = r.audited()
		assert.Equal(t, len(fields), status.LastAudit.Drifted)
		assert.Equal(t, len(fields)+1, status.LastAudit.Checked)
		assert.Equal(t, len(fields), status.ProblemCount, "they stay reported, and stay as they are")
		assert.Empty(t, status.Corrections)
	})
	t.Run("Should put them all back when the setting turns to correct, and tell each once", func(t *testing.T) {
		serveAgain(eachSecond, correcting)
		r.until("a pass has put back what was known", func(s workflows.Status) bool {
			return s.Phase == workflows.PhaseInSync && s.LastPass.Corrected == len(fields)
		})
		status := r.audited()
		assert.Equal(t, workflows.PhaseInSync, status.Phase)
		assert.Zero(t, status.LastAudit.Drifted)
		told := map[string][]string{}
		for _, correction := range status.Corrections {
			assert.NotContains(t, told, correction.WorkflowID, "once")
			told[correction.WorkflowID] = correction.Fields
		}
		for id, field := range fields {
			assert.Equal(t, []string{field}, told[id])
			assert.Empty(t, activities.Compare(before[id], r.raw(id)), id)
			assert.NotEmpty(t, warned(log, putBack, fmt.Sprintf("workflow_id=%s fields=[%s]", id, field)), log)
		}
	})
	t.Run("Should put back what an audit finds from then on", func(t *testing.T) {
		r.edit("input", handEdits["input"])
		r.until("it is put back", func(s workflows.Status) bool {
			return len(s.Corrections) == len(fields)+1 && s.Phase == workflows.PhaseInSync
		})
		assert.True(t, proto.Equal(action(before["input"]).GetInput(), action(r.raw("input")).GetInput()))
		assert.False(t, proto.Equal(action(before["input"]).GetInput(), input("by hand")))
	})
}

func TestDrift(t *testing.T) {
	t.Parallel()
	t.Run("Should see in a pass what a list shows, and only in an audit the rest", func(t *testing.T) {
		namespace, c, _ := watched(t)
		f := newFiles(t, "listed")
		f.workflow("seen", `{cron: "0 5 * * *"}`)
		f.workflow("hidden", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		r.until("the first audit has ended", func(s workflows.Status) bool { return s.LastAudit != nil })
		r.edit("hidden", handEdits["input"])
		r.edit("seen", handEdits["jitter"])
		eventually(t, r.log.String, func() bool { // a list lags behind an edit
			r.signal(workflows.SignalResync, nil)
			return r.status().ProblemCount > 0
		})
		r.reported("seen")

		t.Run("Should put both back by a forced reload, and report again after it", func(t *testing.T) {
			r.signal(workflows.SignalReload, workflows.Reload{
				Force: true, Options: &workflows.Options{AuditInterval: config.Duration(time.Second)},
			})
			// Until an audit finds none, what is edited is put back too.
			status := r.until("both are put back, and an audit has seen it", func(s workflows.Status) bool {
				return s.Phase == workflows.PhaseInSync && len(s.Corrections) == 2 && s.LastAudit.Drifted == 0 &&
					s.LastAudit.FinishedAt.After(s.Corrections[1].At)
			})
			assert.Equal(t, "seen", status.Corrections[0].WorkflowID, "by the reload's own pass")
			assert.Equal(t, "hidden", status.Corrections[1].WorkflowID, "after its audit")
			assert.Nil(t, r.raw("seen").GetSpec().GetJitter())
			assert.Nil(t, action(r.raw("hidden")).GetInput())

			r.edit("hidden", handEdits["input"])
			status = r.reported("hidden")
			assert.Len(t, status.Corrections, 2, "nothing more was put back")
			assert.NotNil(t, action(r.raw("hidden")).GetInput())
		})
	})
	t.Run("Should put one back by its revert, and leave the other", func(t *testing.T) {
		namespace, c, log := watched(t)
		f := newFiles(t, "reverted")
		f.workflow("this", `{cron: "0 5 * * *"}`)
		f.workflow("that", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f, eachSecond)
		r.inSync(f)
		r.edit("this", handEdits["input"])
		r.edit("that", handEdits["task_queue"])
		r.reported("this", "that")
		outcome := r.override(workflows.Override{WorkflowID: "this", Action: workflows.ActionRevert})
		assert.Equal(t, workflows.OutcomeApplied, outcome.Status, outcome.Message)
		assert.Nil(t, action(r.raw("this")).GetInput())
		status := r.reported("that")
		require.Len(t, status.Corrections, 1)
		assert.Equal(t, "this", status.Corrections[0].WorkflowID)
		// Twice where the server refuses the workflow task that logged it, because a signal came meanwhile.
		assert.NotEmpty(t, warned(log, putBack))
		assert.Empty(t, warned(log, putBack, "workflow_id=that"), log)
		assert.Equal(t, "elsewhere", action(r.raw("that")).GetTaskQueue().GetName())

		t.Run("Should be in sync again when somebody puts the other back by hand", func(t *testing.T) {
			r.edit("that", func(s *schedulepb.Schedule) { action(s).TaskQueue.Name = "reverted" })
			assert.Len(t, r.inSync(f).Corrections, 1)
		})
	})
	t.Run("Should not call pauses, notes, overrides and triggers drift", func(t *testing.T) {
		namespace, c, log := watched(t)
		f := newFiles(t, "allowed")
		for _, id := range []string{"paused", "noted", "overridden", "triggered"} {
			f.workflow(id, `{cron: "0 5 * * *"}`)
		}
		r := serve(t, namespace, c, f, eachSecond, correcting)
		r.inSync(f)
		handle := c.ScheduleClient().GetHandle(t.Context(), "schedule-allowed-paused")
		require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "by hand"}))
		r.edit("noted", func(s *schedulepb.Schedule) { s.State.Notes = "my own words" })
		r.override(workflows.Override{WorkflowID: "overridden", Action: workflows.ActionPause})
		r.signal(workflows.SignalRun, workflows.Run{RequestID: "run", WorkflowID: "triggered", Action: workflows.ActionTrigger})
		assert.Equal(t, workflows.OutcomeApplied, r.outcome("run").Status)
		r.signal(workflows.SignalResync, nil)
		status := r.audited()
		assert.Equal(t, workflows.PhaseInSync, status.Phase)
		assert.Zero(t, status.LastAudit.Drifted)
		assert.Zero(t, status.ProblemCount)
		assert.Empty(t, status.Corrections)
		assert.True(t, r.paused("paused"))
		assert.True(t, r.paused("overridden"))
		assert.Empty(t, warned(log, "WorkflowType=Reconciler"), "the reconciler has nothing to warn of")
	})
	t.Run("Should tell a pause by Temporal itself, which is no drift", func(t *testing.T) {
		namespace, c, _ := watched(t)
		f := newFiles(t, "failing")
		f.workflow("breaks", `{cron: "@every 1s", pause_on_failure: true}`)
		f.workflow("stopped", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f, eachSecond)
		r.inSync(f)
		failWorkflows(t, c, "failing")
		require.NoError(t, c.ScheduleClient().GetHandle(t.Context(), "schedule-failing-stopped").
			Pause(t.Context(), client.SchedulePauseOptions{}))
		eventually(t, r.log.String, func() bool {
			r.signal(workflows.SignalResync, nil)
			counts := r.status().Counts
			return counts.Paused == 2 && counts.PausedByTemporal == 1
		})
		status := r.audited()
		assert.Zero(t, status.LastAudit.Drifted)
		assert.Equal(t, 1, status.Counts.PausedByTemporal, "also after passes have written the note")

		settings := config.DefaultSettings()
		m := manager.New(manager.Options{
			Client: c, Server: worker.NewServer(c, namespace, "failing", settings), Project: f.load(), Logger: slog.New(slog.DiscardHandler),
		})
		for id, by := range map[string]manager.PausedBy{"breaks": manager.PausedByTemporal, "stopped": manager.PausedByHand} {
			info, err := m.GetSchedule(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, by, info.PausedBy, id)
			assert.Equal(t, manager.StatePaused, info.State, id)
			assert.Equal(t, []activities.Difference{{Field: "enabled", YAML: "true", Actual: "false"}}, info.Divergence, id)
		}
	})
}

func TestAuditAndReload(t *testing.T) {
	t.Parallel()
	t.Run("Should end an audit when another revision takes over, and audit that one", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		former, next := newFiles(t, "interrupted"), newFiles(t, "interrupted")
		former.many(120) // at 50 a second the audit takes more than two seconds
		next.many(120)
		next.workflow("wf-0000", `{cron: "0 6 * * *"}`)
		r := serve(t, namespace, c, former)
		id := workflows.ReconcilerID("interrupted")
		eventually(t, r.log.String, func() bool { return slices.Contains(underWay(t, c, id), "Audit") })
		serve(t, namespace, c, next)
		status := r.until("an audit has ended", func(s workflows.Status) bool { return s.LastAudit != nil && atRest(s) })
		assert.Equal(t, config.Short(next.load().Revision), status.LastAudit.Revision, "that of the former revision did not end")
		assert.Equal(t, 120, status.LastAudit.Checked)
		assert.Zero(t, status.LastAudit.Drifted)
		assert.Equal(t, workflows.PhaseInSync, status.Phase)
		assert.Zero(t, failedWorkflowTasks(t, c, id))
	})
}

// underWay are the types of the activities that a workflow waits for.
func underWay(t *testing.T, c client.Client, id string) (types []string) {
	t.Helper()
	description, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	if err != nil {
		return nil // not started yet
	}
	for _, pending := range description.GetPendingActivities() {
		types = append(types, pending.GetActivityType().GetName())
	}
	return types
}

// failWorkflows plays a user's worker whose workflows all fail.
func failWorkflows(t *testing.T, c client.Client, queue string) {
	t.Helper()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterDynamicWorkflow(func(workflow.Context, converter.EncodedValues) (any, error) {
		return nil, errors.New("as always")
	}, workflow.DynamicRegisterOptions{})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}
