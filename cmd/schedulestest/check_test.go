package schedulestest_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
)

// server is the Temporal server of this test binary.
var server *temporaltest.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Run(m, &server)) }

// schedules are one of each kind that the checker can read.
var schedules = map[string]string{
	"plain":    `{cron: "0 5 * * *"}`,
	"zone":     `{cron: "30 9 * * 1-5", timezone: America/New_York}`,
	"prefix":   `{cron: "CRON_TZ=Asia/Tokyo 0 9 * * *"}`,
	"either":   `{cron: "0 0 13 * 5"}`,
	"every":    `{cron: "@every 90m"}`,
	"jitter":   `{cron: "0 * * * *", jitter: 10m}`,
	"disabled": `{cron: "@daily", enabled: false}`,
	"policies": `{cron: "@hourly", overlap_policy: buffer_one, catchup_window: 10m, pause_on_failure: true}`,
	"input":    `{cron: "@weekly", input: {day: 2027-01-02, deep: {list: [1, 2.5, null, "x"]}}}`,
	"empty":    `{cron: "@weekly", input: {}}`,
	"bounds":   `{cron: "0 0 1 * *", start_at: 2027-03-01T00:00:00Z, end_at: 2027-06-15T00:00:00+02:00}`,
	"over":     `{cron: "0 0 1 * *", end_at: 2020-06-15T00:00:00Z}`,
	"named":    `{cron: "0 6 * * *", schedule_id: nightly}`,
	"removed":  `{cron: "0 7 * * *"}`,
	"resumed":  `{cron: "0 7 * * *", enabled: false}`,
	"held":     `{cron: "0 8 * * *"}`,
	"renamed":  `{cron: "0 9 * * *"}`,
	"gone":     `{cron: "0 9 * * *"}`,
	"starts":   `{cron: "0 10 * * *"}`,
}

func TestDifferences(t *testing.T) {
	namespace, c := server.Namespace(t)
	dir := schedulestest.Project(t, "checked", 0)
	for id, schedule := range schedules {
		schedulestest.Workflow(t, dir, id, schedule)
	}
	schedulestest.WriteFile(t, filepath.Join(dir, "workflows", "starts.yaml"), `
id: starts
temporal: {workflow_type: Start, workflow_id: begin, task_queue: heavy, execution_timeout: 1h, run_timeout: 30m, task_timeout: 20s}
schedule: {cron: "0 10 * * *"}
`)
	schedulestest.WriteFile(t, filepath.Join(dir, "workflows", "none.yaml"), "id: none\n")
	reconcile(t, namespace, dir)
	kept := map[string]schedulestest.Kept{}
	differences := func() (found []string) {
		var err error
		log := func() string { return fmt.Sprint(err) }
		schedulestest.Eventually(t, log, func() bool { // a busy server may refuse to answer
			found, err = schedulestest.Differences(t.Context(), c, dir, kept)
			return err == nil
		})
		return found
	}
	t.Run("Should find nothing where all is right", func(t *testing.T) {
		schedulestest.Eventually(t, func() string { return "" }, func() bool { return len(differences()) == 0 })
	})

	state := func(id string) client.ScheduleHandle {
		return c.ScheduleClient().GetHandle(t.Context(), id)
	}
	t.Run("Should take overrides for what they are", func(t *testing.T) {
		require.NoError(t, state("schedule-checked-removed").Delete(t.Context()))
		require.NoError(t, state("schedule-checked-resumed").Unpause(t.Context(), client.ScheduleUnpauseOptions{}))
		require.NoError(t, state("schedule-checked-held").Pause(t.Context(), client.SchedulePauseOptions{}))
		assert.Equal(t, []string{"held: paused is true, want false", "removed: missing", "resumed: paused is false, want true"}, differences())
		kept["removed"] = schedulestest.Kept{Deleted: true}
		kept["resumed"] = schedulestest.Kept{}
		kept["held"] = schedulestest.Kept{Paused: true}
		schedulestest.Eventually(t, func() string { return "" }, func() bool { return len(differences()) == 0 })
		kept["gone"], kept["plain"] = schedulestest.Kept{Deleted: true}, schedulestest.Kept{Paused: true}
		assert.Equal(t, []string{
			"gone: deleted by an override, and there", "plain: paused is false, want true",
		}, differences())
		delete(kept, "gone")
		delete(kept, "plain")
	})
	for _, b := range breaks {
		t.Run("Should name "+b.name, func(t *testing.T) {
			id := cmp.Or(b.schedule, "schedule-checked-"+b.id)
			undo := edit(t, c, id, b.edit)
			got := differences()
			require.Len(t, got, 1, "%v", got)
			assert.Contains(t, got[0], b.id+": "+b.want)
			undo()
		})
	}
	t.Run("Should find nothing after they are undone", func(t *testing.T) { assert.Empty(t, differences()) })
	t.Run("Should name what is there too often, and what nobody wants", func(t *testing.T) {
		copyOf(t, c, "plain", "nobody-asked", map[string]any{"managed_by": "compozy-schedules", "project": "checked",
			"workflow_id": "plain", "schedule_id": "nobody-asked"})
		copyOf(t, c, "plain", "schedule-checked-extra", map[string]any{"managed_by": "compozy-schedules", "project": "checked",
			"workflow_id": "extra"})
		copyOf(t, c, "plain", "schedule-checked-other", map[string]any{"managed_by": "compozy-schedules", "project": "checked-other",
			"workflow_id": "x"})
		require.NoError(t, os.Remove(filepath.Join(dir, "workflows", "renamed.yaml")))
		want := []string{
			"extra: no file wants it, and Temporal has [schedule-checked-extra]",
			"plain: the list has [nobody-asked schedule-checked-plain], want schedule-checked-plain once",
			"renamed: no file wants it, and Temporal has [schedule-checked-renamed]",
		}
		schedulestest.Eventually(t, func() string { return "" }, func() bool { return len(differences()) == len(want) })
		assert.Equal(t, want, differences())
	})
	t.Run("Should read more than one page", func(t *testing.T) {
		schedulestest.Workflow(t, dir, "missing", `{cron: "0 5 * * *"}`)
		for i := range 120 {
			copyOf(t, c, "plain", "a-"+uuid.NewString(), map[string]any{"n": i})
		}
		assert.Contains(t, differences(), "missing: missing")
		assert.Len(t, differences(), 4)
	})
}

// breaks are edits by hand, each undone by the next writing of the whole schedule.
var breaks = []struct {
	name, id, schedule, want string
	edit                     func(*client.Schedule, *client.ScheduleWorkflowAction)
}{
	{"another minute", "plain", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Calendars[0].Minute[0] = client.ScheduleRange{Start: 1, End: 1, Step: 1}
	}},
	{"a run more", "plain", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Calendars[0].Hour = append(s.Spec.Calendars[0].Hour, client.ScheduleRange{Start: 6, End: 6, Step: 1})
	}},
	{"one of two calendars gone", "either", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Calendars = s.Spec.Calendars[:1]
	}},
	{"an interval with a phase", "every", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Intervals[0].Offset = time.Minute
	}},
	{"a day that is left out", "policies", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		soon := time.Now().Add(2 * time.Hour).UTC()
		s.Spec.Skip = []client.ScheduleCalendarSpec{{Hour: []client.ScheduleRange{{Start: soon.Hour()}}}}
	}},
	{"a run at another minute within wide jitter", "jitter", "", "a run at", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Calendars[0].Minute[0] = client.ScheduleRange{Start: 30, End: 30, Step: 1}
	}},
	{"no more runs", "input", "", "only", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Calendars[0].Year = []client.ScheduleRange{{Start: time.Now().Year()}}
	}},
	{"another zone", "every", "", "timezone is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.TimeZoneName = "Europe/Berlin"
	}},
	{"another jitter", "jitter", "", "jitter is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.Jitter = 9*time.Minute + 59*time.Second
	}},
	{"another end", "bounds", "", "end_at is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.EndAt = s.Spec.EndAt.Add(time.Second)
	}},
	{"another start", "bounds", "", "start_at is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Spec.StartAt = s.Spec.StartAt.Add(-time.Second)
	}},
	{"a pause", "named", "nightly", "paused is true", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.State.Paused = true
	}},
	{"a resume", "disabled", "", "paused is false", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.State.Paused = false
	}},
	{"another workflow type", "starts", "", "workflow_type is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.Workflow = "starts"
	}},
	{"another task queue", "plain", "", "task_queue is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.TaskQueue = "elsewhere"
	}},
	{"another workflow ID", "zone", "", "workflow_id is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.ID = "zone"
	}},
	{"another input", "input", "", "input is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.Args = []any{map[string]any{"day": "2027-01-03"}}
	}},
	{"no input where it is empty", "empty", "", "input is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.Args = nil
	}},
	{"two arguments", "plain", "", "input is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.Args = []any{1, 2}
	}},
	{"another execution timeout", "starts", "", "execution_timeout is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.WorkflowExecutionTimeout = 2 * time.Hour
	}},
	{"another run timeout", "starts", "", "run_timeout is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.WorkflowRunTimeout = time.Hour
	}},
	{"another task timeout", "starts", "", "task_timeout is", func(_ *client.Schedule, a *client.ScheduleWorkflowAction) {
		a.WorkflowTaskTimeout = 10 * time.Second
	}},
	{"another overlap policy", "policies", "", "overlap_policy is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
	}},
	{"another catchup window", "policies", "", "catchup_window is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Policy.CatchupWindow = time.Hour
	}},
	{"another pause on failure", "policies", "", "pause_on_failure is", func(s *client.Schedule, _ *client.ScheduleWorkflowAction) {
		s.Policy.PauseOnFailure = false
	}},
}

// reconcile lets the product make the schedules, and ends it before hands touch them.
func reconcile(t *testing.T, namespace, dir string) {
	t.Helper()
	binary, err := schedulestest.Build(t.TempDir())
	require.NoError(t, err)
	env := schedulestest.Env(server.Address(), namespace)
	process := schedulestest.Start(t, env, binary, "serve", "--project", dir, "--api=false")
	schedulestest.Eventually(t, process.Log, func() bool {
		status := schedulestest.Status(t, binary, env, dir)
		return status.Applied != "" && status.InSync(status.Applied)
	})
	process.Kill()
}

// edit changes a schedule as a hand does; undo writes what was there.
func edit(
	t *testing.T, c client.Client, id string, change func(*client.Schedule, *client.ScheduleWorkflowAction),
) (undo func()) {
	t.Helper()
	handle := c.ScheduleClient().GetHandle(t.Context(), id)
	before, err := handle.Describe(t.Context())
	require.NoError(t, err)
	write := func(change func(*client.Schedule, *client.ScheduleWorkflowAction)) {
		require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
			DoUpdate: func(input client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				s := input.Description.Schedule
				action, ok := s.Action.(*client.ScheduleWorkflowAction)
				require.True(t, ok)
				change(&s, action)
				return &client.ScheduleUpdate{Schedule: &s}, nil
			},
		}))
	}
	write(change)
	return func() {
		write(func(s *client.Schedule, _ *client.ScheduleWorkflowAction) { *s = before.Schedule })
	}
}

func copyOf(t *testing.T, c client.Client, workflowID, id string, memo map[string]any) {
	t.Helper()
	original, err := schedulestest.Describe(t.Context(), c, "schedule-checked-"+workflowID)
	require.NoError(t, err)
	_, err = c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: id, Spec: *original.Schedule.Spec, Action: original.Schedule.Action, Memo: memo, Paused: true,
	})
	require.NoError(t, err)
}

func TestFailures(t *testing.T) {
	const project, id, queue = "failing", "schedule-reconciler-failing", "failures"
	namespace, c := server.Namespace(t)
	failures := func() []string {
		found, err := schedulestest.Failures(t.Context(), c, project)
		require.NoError(t, err)
		return found
	}
	start := func(timeout time.Duration) string {
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			ID: id, TaskQueue: queue, WorkflowExecutionTimeout: timeout,
		}, "Reconciler")
		require.NoError(t, err)
		return run.GetRunID()
	}
	fail := func(cause enumspb.WorkflowTaskFailedCause) {
		_, err := c.WorkflowService().RespondWorkflowTaskFailed(t.Context(), &workflowservice.RespondWorkflowTaskFailedRequest{
			Namespace: namespace, TaskToken: poll(t, c, namespace, queue), Cause: cause,
		})
		require.NoError(t, err)
	}
	closed := func(status string) bool {
		count, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: "ExecutionStatus = '" + status + "'",
		})
		require.NoError(t, err)
		return count.GetCount() > 0
	}
	quiet := func() string { return "" }

	t.Run("Should allow an end by hand, with a task under way, and a reset", func(t *testing.T) {
		runID := start(0)
		_, err := c.WorkflowService().RespondWorkflowTaskCompleted(t.Context(), &workflowservice.RespondWorkflowTaskCompletedRequest{
			Namespace: namespace, TaskToken: poll(t, c, namespace, queue),
		})
		require.NoError(t, err)
		_, err = c.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: namespace, RequestId: uuid.NewString(), WorkflowTaskFinishEventId: 4,
			WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: runID},
		})
		require.NoError(t, err)
		poll(t, c, namespace, queue)
		require.NoError(t, c.TerminateWorkflow(t.Context(), id, "", "by hand"))
		schedulestest.Eventually(t, quiet, func() bool { return closed("Terminated") })
		assert.Equal(t, 2, tasksFailed(t, c, id), "the reset and the end have failed a task each")
		assert.Empty(t, failures())
	})
	t.Run("Should name a workflow task that failed, while it runs and after it was ended", func(t *testing.T) {
		start(0)
		fail(enumspb.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR)
		schedulestest.Eventually(t, quiet, func() bool { return len(failures()) == 1 })
		assert.Contains(t, failures()[0], "NonDeterministicError")
		require.NoError(t, c.TerminateWorkflow(t.Context(), id, "", "by hand"))
		assert.Len(t, failures(), 1)
	})
	t.Run("Should name a run that timed out", func(t *testing.T) {
		start(time.Second)
		schedulestest.Eventually(t, quiet, func() bool { return closed("TimedOut") })
		assert.Len(t, failures(), 2)
	})
	t.Run("Should know no other project's", func(t *testing.T) {
		found, err := schedulestest.Failures(t.Context(), c, "fail")
		require.NoError(t, err)
		assert.Empty(t, found)
	})
}

// poll takes a workflow task and returns its token.
func poll(t *testing.T, c client.Client, namespace, queue string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), schedulestest.Soon)
	defer cancel()
	task, err := c.WorkflowService().PollWorkflowTaskQueue(ctx, &workflowservice.PollWorkflowTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
	})
	require.NoError(t, err)
	require.NotEmpty(t, task.GetTaskToken())
	return task.GetTaskToken()
}

// tasksFailed counts the failed workflow tasks of the latest run.
func tasksFailed(t *testing.T, c client.Client, id string) int {
	t.Helper()
	n := 0
	events := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
			n++
		}
	}
	return n
}
