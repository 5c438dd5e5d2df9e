package worker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// writes are the calls that change a schedule.
var writes = []string{"CreateSchedule", "UpdateSchedule", "PatchSchedule", "DeleteSchedule"}

func TestLifeCycle(t *testing.T) {
	namespace, c := server.Namespace(t)
	f := newFiles(t, "reports")
	f.workflow("tick", `{cron: "@every 1s", input: {day: today}}`)
	f.workflow("new-york", `{cron: "0 9 * * 1-5", timezone: America/New_York}`)
	f.workflow("berlin", `{cron: "30 8 1 * *", timezone: Europe/Berlin, enabled: false}`)
	r := serve(t, namespace, c, f)

	t.Run("Should create each schedule with its zone, paused where the YAML says so", func(t *testing.T) {
		r.inSync(f)
		r.schedules(3)
		york := r.describe("new-york")
		assert.Equal(t, "America/New_York", york.Schedule.Spec.TimeZoneName)
		for _, next := range york.Info.NextActionTimes {
			local := next.In(zone(t, "America/New_York"))
			assert.Equal(t, 9, local.Hour())
			assert.NotContains(t, []time.Weekday{time.Saturday, time.Sunday}, local.Weekday())
		}
		berlin := r.describe("berlin")
		assert.True(t, berlin.Schedule.State.Paused)
		assert.Equal(t, 1, berlin.Info.NextActionTimes[0].In(zone(t, "Europe/Berlin")).Day())
	})
	t.Run("Should execute with the input", func(t *testing.T) {
		runWorkflows(t, c, "reports")
		run := completedRun(t, namespace, c, "tick")
		var input map[string]string
		require.NoError(t, c.GetWorkflow(t.Context(), run, "").Get(t.Context(), &input))
		assert.Equal(t, map[string]string{"day": "today"}, input)
	})
	t.Run("Should update what changes in the files", func(t *testing.T) {
		f.workflow("new-york", `{cron: "0 10 * * 1-5", timezone: America/New_York, overlap_policy: buffer_one}`)
		f.workflow("berlin", `{cron: "30 8 1 * *", timezone: Europe/Berlin}`)
		r.inSync(f)
		york := r.describe("new-york")
		assert.Equal(t, 10, york.Info.NextActionTimes[0].In(zone(t, "America/New_York")).Hour())
		assert.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, york.Schedule.Policy.Overlap)
		assert.False(t, r.describe("berlin").Schedule.State.Paused)
	})
	t.Run("Should delete the schedule of a workflow without a block", func(t *testing.T) {
		f.write("workflows/tick.yaml", "id: tick\n")
		r.inSync(f)
		assert.NotContains(t, r.schedules(2), "schedule-reports-tick")
	})
}

// TestMany uses the same thousand schedules for all that takes many: to make them takes long.
func TestMany(t *testing.T) {
	counted := &calls{}
	namespace, c := server.Namespace(t, counted.option)
	f := newFiles(t, "large")
	f.many(1000)
	first := serve(t, namespace, c, f)
	t.Run("Should apply a pause during a cold pass of 1,000 schedules, and keep it", func(t *testing.T) {
		first.until("the pass is under way", func(s workflows.Status) bool {
			return s.Phase == workflows.PhaseReconciling && s.Counts.Create == 1000
		})
		early := first.override(workflows.Override{WorkflowID: "wf-0001", Action: workflows.ActionPause})
		assert.Equal(t, workflows.OutcomeApplied, early.Status, early.Message)
		late := first.override(workflows.Override{WorkflowID: "wf-0999", Action: workflows.ActionPause, Reason: "not yet created"})
		assert.Equal(t, workflows.OutcomeApplied, late.Status, late.Message)
		first.inSync(f)
		assert.True(t, first.paused("wf-0001"))
		assert.True(t, first.paused("wf-0999"))
		assert.Contains(t, first.describe("wf-0999").Schedule.State.Note, "not yet created")
		assert.Len(t, first.overrides(), 2)
	})
	t.Run("Should create 1,000 schedules, and neither describe nor write them where nothing changed", func(t *testing.T) {
		assert.GreaterOrEqual(t, counted.of("CreateSchedule"), 1000)
		eventually(t, func() string { return "the list does not show the notes" }, func() bool { // written by the schedules' own workflows
			for _, listed := range first.schedules(1000) {
				if listed.Note == "" {
					return false
				}
			}
			return true
		})
		// The audit after the first pass describes all of them, and would go on after the restart.
		status := first.until("the first audit", func(s workflows.Status) bool { return s.LastAudit != nil })
		passes := status.LastPass.FinishedAt
		first.stop()

		counted.reset()
		second := serve(t, namespace, c, f)
		status = second.until("a pass after the restart", func(s workflows.Status) bool {
			return s.Phase == workflows.PhaseInSync && s.LastPass.StartedAt.After(passes) && s.Counts.Unchanged == 1000
		})
		assert.Equal(t, activities.PassResync, status.LastPass.Kind)
		assert.Zero(t, counted.of(append(writes, "DescribeSchedule")...), "describes and writes")
		assert.Positive(t, counted.of("ListSchedules"))
		assert.True(t, second.paused("wf-0999"))
	})
}

func TestRestart(t *testing.T) {
	t.Run("Should keep what people paused, on the unchanged revision", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "paused")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		first := serve(t, namespace, c, f)
		first.inSync(f)
		handle := c.ScheduleClient().GetHandle(t.Context(), "schedule-paused-one")
		require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "maintenance by alice"}))
		first.stop()

		second := serve(t, namespace, c, f, func(s *config.Settings) { s.ResyncInterval = time.Second })
		second.until("the note has its hash again", func(s workflows.Status) bool {
			note, ok := activities.ParseNote(second.describe("one").Schedule.State.Note)
			return ok && s.Phase == workflows.PhaseInSync && note.Lead == "maintenance by alice."
		})
		assert.True(t, second.describe("one").Schedule.State.Paused, "still paused")

		t.Run("Should keep it even where the reconciler was lost", func(t *testing.T) {
			require.NoError(t, c.TerminateWorkflow(t.Context(), workflows.ReconcilerID("paused"), "", "test"))
			second.stop()
			third := serve(t, namespace, c, f)
			third.inSync(f)
			assert.True(t, third.describe("one").Schedule.State.Paused)

			t.Run("Should resume it when a new revision takes over", func(t *testing.T) {
				f.workflow("two", `{cron: "0 6 * * *"}`)
				third.inSync(f)
				assert.False(t, third.describe("one").Schedule.State.Paused)
			})
		})
	})
}

func TestFiles(t *testing.T) {
	t.Run("Should take over what changed between the first reading and the watching", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "early")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		loaded := f.load()
		f.workflow("two", `{cron: "0 6 * * *"}`)
		serveLoaded(t, namespace, c, f, loaded).inSync(f)
	})
	t.Run("Should keep the last good revision while the files are invalid, and log every problem", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "invalid")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		f.workflow("one", `{cron: "0 55 * * *", timezon: UTC}`)
		eventually(t, r.log.String, func() bool {
			return strings.Contains(r.log.String(), `did you mean \"timezone\"`) && strings.Contains(r.log.String(), "last good revision stays")
		})
		assert.Contains(t, r.schedules(1), "schedule-invalid-one")
		f.workflow("one", `{cron: "0 6 * * *"}`)
		r.inSync(f)
		assert.Equal(t, 6, r.describe("one").Info.NextActionTimes[0].UTC().Hour())
	})
	t.Run("Should follow Kubernetes' swap of the ..data link", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := configMap(t, "mounted", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		swapConfigMap(t, f, "mounted", `{cron: "0 6 * * *"}`)
		r.inSync(f)
		assert.Equal(t, 6, r.describe("one").Info.NextActionTimes[0].UTC().Hour())
	})
	t.Run("Should read the files on SIGHUP where they are not watched", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "hangup")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f, func(s *config.Settings) { s.Watch = false })
		r.inSync(f)
		f.workflow("two", `{cron: "0 6 * * *"}`)
		r.hangup <- struct{}{}
		r.inSync(f)
		r.schedules(2)
	})
}

func TestOwnership(t *testing.T) {
	t.Run("Should keep apart project a with workflow b-c and project a-b", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		a, ab := newFiles(t, "a"), newFiles(t, "a-b")
		a.workflow("b-c", `{cron: "0 5 * * *"}`)
		ab.workflow("d", `{cron: "0 6 * * *"}`)
		ra, rab := serve(t, namespace, c, a), serve(t, namespace, c, ab)
		ra.inSync(a)
		rab.inSync(ab)
		a.workflow("b-c", `{cron: "0 7 * * *"}`)
		ab.workflow("d", `{cron: "0 8 * * *"}`)
		ra.inSync(a)
		rab.inSync(ab)
		assert.Equal(t, 7, ra.describe("b-c").Info.NextActionTimes[0].UTC().Hour())
		assert.Equal(t, 8, rab.describe("d").Info.NextActionTimes[0].UTC().Hour())

		// a-b now wants the very ID that project a has: schedule-a-b-c.
		ab.workflow("c", `{cron: "0 9 * * *"}`)
		status := rab.until("a conflict", func(s workflows.Status) bool { return s.ProblemCount == 1 && s.Phase == workflows.PhaseOutOfSync })
		assert.Equal(t, activities.ProblemConflict, status.Problems[0].Kind)
		assert.Equal(t, "schedule-a-b-c", status.Problems[0].ScheduleID)
		assert.Equal(t, 7, ra.describe("b-c").Info.NextActionTimes[0].UTC().Hour(), "untouched")
	})
	t.Run("Should report a schedule made by hand as a conflict and leave it as it is", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		_, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
			ID: "schedule-hand-one", Spec: client.ScheduleSpec{CronExpressions: []string{"1 1 1 1 *"}}, Note: "by hand",
			Action: &client.ScheduleWorkflowAction{Workflow: "Mine", TaskQueue: "mine", ID: "mine"},
		})
		require.NoError(t, err)
		before := rawDescribe(t, namespace, c, "schedule-hand-one")
		f := newFiles(t, "hand")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		f.workflow("two", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		status := r.until("a conflict", func(s workflows.Status) bool { return s.ProblemCount == 1 && s.Phase == workflows.PhaseOutOfSync })
		assert.Equal(t, activities.ProblemConflict, status.Problems[0].Kind)
		assert.Equal(t, "one", status.Problems[0].WorkflowID)
		r.schedules(2)
		f.remove("one")
		r.inSync(f)
		after := rawDescribe(t, namespace, c, "schedule-hand-one")
		assert.Equal(t, before.GetSchedule().String(), after.GetSchedule().String())
	})
}

func TestGuards(t *testing.T) {
	t.Run("Should stop before a reload that deletes too much, until it is told to prune", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "guarded")
		f.many(10)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		for _, id := range []string{"wf-0000", "wf-0001", "wf-0002", "wf-0003", "wf-0004", "wf-0005"} {
			f.remove(id)
		}
		status := r.until("blocked", func(s workflows.Status) bool { return s.Phase == workflows.PhaseBlocked })
		assert.Contains(t, status.Message, "6 of 10 schedules")
		r.schedules(10)
		r.signal(workflows.SignalReload, workflows.Reload{Prune: true})
		r.inSync(f)
		r.schedules(4)
	})
	t.Run("Should refuse a lower generation unless forced", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "fenced")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f, func(s *config.Settings) { s.Generation = 7 })
		r.inSync(f)
		r.signal(workflows.SignalReload, workflows.Reload{Revision: "0123456789ab", Generation: 6})
		status := r.until("refused", func(s workflows.Status) bool { return s.Refused != nil })
		assert.Equal(t, int64(6), status.Refused.Generation)
		r.inSync(f)
	})
	t.Run("Should change nothing while no worker has the revision, and say so", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "workerless")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		r.signal(workflows.SignalReload, workflows.Reload{Revision: "0123456789ab"})
		status := r.until("no worker", func(s workflows.Status) bool { return s.Phase == workflows.PhaseNoWorker })
		assert.Contains(t, status.Message, "0123456789ab")
		r.schedules(1)
		r.hangup <- struct{}{}
		r.inSync(f)
	})
	t.Run("Should survive messages that make no sense", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		f := newFiles(t, "nonsense")
		f.workflow("one", `{cron: "0 5 * * *"}`)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		r.signal(workflows.SignalReload, "not a reload")
		r.signal(workflows.SignalReload, map[string]any{"options": map[string]any{"resync_interval": "-5 apples"}})
		r.signal(workflows.SignalReload, nil)
		r.signal(workflows.SignalResync, nil)
		signalWithoutInput(t, namespace, c, r.project, workflows.SignalReload)
		signalWithoutInput(t, namespace, c, r.project, workflows.SignalResync)
		r.signal("unheard-of", 1)
		status := r.until("a refusal is shown", func(s workflows.Status) bool { return s.Refused != nil })
		assert.Contains(t, status.Refused.Message, "could not be read")
		f.workflow("two", `{cron: "0 6 * * *"}`)
		r.inSync(f)
		assert.Zero(t, failedWorkflowTasks(t, c, workflows.ReconcilerID(r.project)))
	})
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	require.NoError(t, err)
	return location
}

// runWorkflows plays the user's worker: any workflow type, its result is its input.
func runWorkflows(t *testing.T, c client.Client, queue string) {
	t.Helper()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterDynamicWorkflow(echo, workflow.DynamicRegisterOptions{})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

func echo(_ workflow.Context, args converter.EncodedValues) (any, error) {
	var input any
	if !args.HasValues() {
		return nil, nil
	}
	err := args.Get(&input)
	return input, err
}

// completedRun waits for a completed run of the workflow type and returns its workflow ID.
func completedRun(t *testing.T, namespace string, c client.Client, workflowType string) (id string) {
	t.Helper()
	eventually(t, func() string { return "no completed run of " + workflowType }, func() bool {
		runs, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: namespace, Query: "WorkflowType = '" + workflowType + "' AND ExecutionStatus = 'Completed'",
		})
		if err != nil || len(runs.GetExecutions()) == 0 {
			return false
		}
		id = runs.GetExecutions()[0].GetExecution().GetWorkflowId()
		return true
	})
	return id
}

func rawDescribe(t *testing.T, namespace string, c client.Client, id string) *workflowservice.DescribeScheduleResponse {
	t.Helper()
	description, err := c.WorkflowService().DescribeSchedule(t.Context(),
		&workflowservice.DescribeScheduleRequest{Namespace: namespace, ScheduleId: id})
	require.NoError(t, err)
	return description
}

// configMap is a project as Kubernetes mounts a ConfigMap: files are links through ..data.
func configMap(t *testing.T, name, schedule string) files {
	t.Helper()
	f := files{t: t, dir: t.TempDir()}
	swapConfigMap(t, f, name, schedule)
	for _, file := range []string{"compozy.yaml", "one.yaml"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", file), filepath.Join(f.dir, file)))
	}
	return f
}

// swapConfigMap writes a new version beside the old one and turns ..data to it in one step.
func swapConfigMap(t *testing.T, f files, name, schedule string) {
	t.Helper()
	version, err := os.MkdirTemp(f.dir, "..2026_")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(version, 0o755))
	version = filepath.Base(version)
	f.write(version+"/compozy.yaml", "name: "+name+"\nworkflows:\n  - source: ./one.yaml\n")
	f.write(version+"/one.yaml", "id: one\nschedule: "+schedule+"\n")
	link := filepath.Join(f.dir, "..data_tmp")
	require.NoError(t, os.Symlink(version, link))
	require.NoError(t, os.Rename(link, filepath.Join(f.dir, "..data")))
}

// signalWithoutInput is what `temporal workflow signal` sends where no input is given.
func signalWithoutInput(t *testing.T, namespace string, c client.Client, project, name string) {
	t.Helper()
	require.NoError(t, schedulestest.Sent(func() error {
		_, err := c.WorkflowService().SignalWorkflowExecution(t.Context(), &workflowservice.SignalWorkflowExecutionRequest{
			Namespace:         namespace,
			WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflows.ReconcilerID(project)},
			SignalName:        name,
		})
		return err
	}))
}

// failedWorkflowTasks counts the failed workflow tasks of a workflow, over all runs that it continued as
// new from. Unhandled commands are none: so the server calls a run's end that a new message came before,
// which it then hands to that run.
func failedWorkflowTasks(t *testing.T, c client.Client, id string) (n int) {
	t.Helper()
	for _, event := range history(t, c, id) {
		failed := event.GetWorkflowTaskFailedEventAttributes()
		if failed != nil && failed.GetCause() != enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND {
			n++
		}
	}
	return n
}

// history is the events of a workflow's current run and of those before it.
func history(t *testing.T, c client.Client, id string) (all []*historypb.HistoryEvent) {
	t.Helper()
	for run, more := "", true; more; more = run != "" {
		events := c.GetWorkflowHistory(context.Background(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		run = ""
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(t, err)
			if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil {
				run = started.GetContinuedExecutionRunId()
			}
			all = append(all, event)
		}
	}
	return all
}
