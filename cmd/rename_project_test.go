package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// kills is how many processes each of the tests below kills.
const kills = 50

// renamed writes a project whose schedules run each second, beside a paused, a jittered and an adopted one.
func renamed(t *testing.T, name string) string {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "compozy.yaml"), "name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\ntemporal: { task_queue: nobody }\n")
	for i := range 4 {
		writeFile(t, filepath.Join(dir, "workflows", fmt.Sprintf("second-%d.yaml", i)),
			fmt.Sprintf("id: second-%d\nschedule: { cron: \"@every 1s\", overlap_policy: allow }\n", i))
	}
	writeFile(t, filepath.Join(dir, "workflows", "jittered.yaml"), "id: jittered\nschedule: { cron: \"@every 3s\", overlap_policy: allow, jitter: 2s }\n")
	writeFile(t, filepath.Join(dir, "workflows", "off.yaml"), "id: off\nschedule: { cron: \"@every 1s\", enabled: false }\n")
	writeFile(t, filepath.Join(dir, "workflows", "paused.yaml"), "id: paused\nschedule: { cron: \"@every 1s\" }\n")
	writeFile(t, filepath.Join(dir, "workflows", "deleted.yaml"), "id: deleted\nschedule: { cron: \"@every 1s\" }\n")
	writeFile(t, filepath.Join(dir, "workflows", "adopted.yaml"),
		"id: adopted\nschedule: { cron: \"@every 1s\", overlap_policy: allow, schedule_id: by hand, adopt: true }\n")
	return dir
}

func TestRenameProject(t *testing.T) {
	t.Run("Should miss and double no run, and carry pauses and overrides over, killed at any moment", func(t *testing.T) {
		t.Parallel()
		namespace, c := server.Namespace(t)
		env := temporalEnv(server.Address(), namespace)
		byHand(t, c, "by hand")
		dir := renamed(t, "before")
		before := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, before.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		signalOverride(t, c, "before", workflows.Override{RequestID: "p", WorkflowID: "paused", Action: workflows.ActionPause, Actor: "ann", Reason: "stock count", Hold: true})
		signalOverride(t, c, "before", workflows.Override{RequestID: "d", WorkflowID: "deleted", Action: workflows.ActionDelete, Actor: "ann"})
		eventually(t, before.Log, func() bool { return len(list(t, c, namespace, "before")) == 7 })

		random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		rename := []string{"rename-project", "--from", "before", "--to", "after"}
		for range kills {
			mover := start(t, env, rename...)
			select {
			case <-mover.Exited: // it has come to its end between two kills: there is nothing to kill any more
			case <-time.After(time.Duration(100+random.IntN(900)) * time.Millisecond):
				mover.Kill()
			}
		}
		code, out, errs := call(t, env, rename...)
		require.Equal(t, 0, code, errs)
		assert.Contains(t, out, "project before is now after")
		assert.Empty(t, list(t, c, namespace, "before"))

		writeFile(t, filepath.Join(dir, "compozy.yaml"), "name: after\nworkflows:\n  - source: ./workflows/*.yaml\ntemporal: { task_queue: nobody }\n")
		after := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, after.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		requireOnce(t, c, namespace)
		requireCarriedOver(t, c, namespace)
		for i := range 4 {
			requireSteady(t, c, fmt.Sprintf("second-%d", i), time.Second)
		}
		requireSteady(t, c, "jittered", 3*time.Second)
		code, _, errs = call(t, env, "plan", "--project", dir, "--detailed-exitcode")
		assert.Equal(t, 0, code, errs)
		assert.Equal(t, 0, before.Terminate())
	})
}

func TestRenameProjectRefuses(t *testing.T) {
	t.Parallel()
	namespace, c := server.Namespace(t)
	env := temporalEnv(server.Address(), namespace)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a missing name", []string{"--from", "a"}, "name both projects: --from OLD --to NEW"},
		{"one name twice", []string{"--from", "a", "--to", "a"}, `--from and --to are both "a": name two projects`},
		{"a name that no project can have", []string{"--from", "a", "--to", "B"}, `invalid name "B": use a-z, 0-9 and -`},
		{"a project that never was", []string{"--from", "absent", "--to", "b"}, "project absent has no schedules and never had a reconciler: is the name right?"},
	} {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			code, _, errs := call(t, env, append([]string{"rename-project"}, test.args...)...)
			assert.Equal(t, 1, code)
			assert.Contains(t, errs, test.want)
		})
	}
	dir := project(t, "first", 2)
	serve := start(t, env, "serve", "--project", dir, "--api=false")
	eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
	assert.Equal(t, 0, serve.Terminate())

	t.Run("Should say what it would do, without a worker and without doing it", func(t *testing.T) {
		code, out, errs := call(t, env, "rename-project", "--from", "first", "--to", "second", "--dry-run")
		assert.Equal(t, 0, code, errs)
		assert.Contains(t, out, "schedule-first-wf-0000   →   schedule-second-wf-0000")
		assert.Contains(t, out, "2 schedules to move from project first to second")
		assert.Len(t, list(t, c, namespace, "first"), 2)
		assert.Empty(t, list(t, c, namespace, "second"))
	})
	t.Run("Should change nothing where somebody has a new ID", func(t *testing.T) {
		byHand(t, c, "schedule-second-wf-0001")
		code, _, errs := call(t, env, "rename-project", "--from", "first", "--to", "second")
		assert.Equal(t, 1, code)
		assert.Contains(t, errs, "1 of the new schedule IDs are taken: schedule-second-wf-0001 (nobody's project owns it); nothing was changed")
		_, err := c.DescribeWorkflowExecution(t.Context(), workflows.ReconcilerID("second"), "")
		assert.Error(t, err, "no reconciler was told")
		assert.Len(t, list(t, c, namespace, "first"), 2)
	})
	t.Run("Should end the old ones where the new name was deployed first", func(t *testing.T) {
		put := func(name string) {
			writeFile(t, filepath.Join(dir, "compozy.yaml"), "name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\n")
		}
		require.NoError(t, c.ScheduleClient().GetHandle(t.Context(), "schedule-first-wf-0000").Pause(t.Context(), client.SchedulePauseOptions{Note: "broken"}))
		put("third")
		serve := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		code, _, errs := call(t, env, "rename-project", "--from", "first", "--to", "third")
		require.Equal(t, 0, code, errs)
		assert.Empty(t, list(t, c, namespace, "first"))
		assert.Len(t, list(t, c, namespace, "third"), 2)
		assert.True(t, describe(t, c, "schedule-third-wf-0000").Schedule.State.Paused, "its pause went over")
		assert.False(t, describe(t, c, "schedule-third-wf-0001").Schedule.State.Paused)
		eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
		assert.Equal(t, 0, serve.Terminate())
	})
	t.Run("Should refuse what is asked of the old name", func(t *testing.T) {
		put := filepath.Join(dir, "compozy.yaml")
		writeFile(t, put, "name: first\nworkflows:\n  - source: ./workflows/*.yaml\n")
		late := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, late.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseRenamed })
		assert.Contains(t, status(t, server.Address(), namespace, dir).Message, "project first is now called third: ask for that one")
		assert.Empty(t, list(t, c, namespace, "first"), "a late process of the old name makes nothing")
		assert.Equal(t, 0, late.Terminate())
	})
}

// requireOnce sees that each schedule is there once, under the new name.
func requireOnce(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	ids := map[string]int{}
	for _, entry := range list(t, c, namespace, "after") {
		ids[entry.ScheduleID]++
		assert.Equal(t, "after", entry.Owner.Project)
		assert.Empty(t, entry.Spec.GetExcludeStructuredCalendar(), "no mark of the move is left")
		assert.Nil(t, entry.Spec.GetStartTime(), "nor its bound")
	}
	want := map[string]int{}
	for _, id := range []string{"second-0", "second-1", "second-2", "second-3", "jittered", "off", "paused"} {
		want["schedule-after-"+id] = 1
	}
	assert.Equal(t, want, ids)
}

// requireCarriedOver sees the pauses, the notes and the overrides.
func requireCarriedOver(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	assert.True(t, describe(t, c, "schedule-after-off").Schedule.State.Paused)
	paused := describe(t, c, "schedule-after-paused").Schedule.State
	assert.True(t, paused.Paused)
	assert.Contains(t, paused.Note, "Paused by ann: stock count")
	assert.False(t, describe(t, c, "schedule-after-second-0").Schedule.State.Paused)
	value, err := c.QueryWorkflow(t.Context(), workflows.ReconcilerID("after"), "", workflows.QueryOverrides)
	require.NoError(t, err)
	var page workflows.OverridesPage
	require.NoError(t, value.Get(&page))
	overrides := map[string]activities.OverrideAction{}
	for _, o := range page.Overrides {
		assert.Equal(t, "ann", o.Actor)
		overrides[o.WorkflowID] = o.Action
	}
	assert.Equal(t, map[string]activities.OverrideAction{"paused": workflows.ActionPause, "deleted": workflows.ActionDelete}, overrides)
	detail, err := activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(100, 10)).Describe(t.Context(), "by hand")
	require.NoError(t, err)
	assert.Equal(t, activities.Owner{Project: "after", WorkflowID: "adopted"}, detail.Owner)
}

// requireSteady sees that a run was started for each time, by the old schedule or by the new one, and once.
func requireSteady(t *testing.T, c client.Client, workflowID string, every time.Duration) {
	t.Helper()
	times := map[time.Time][]string{}
	first, last := time.Time{}, time.Time{}
	for _, schedule := range []string{"schedule-before-" + workflowID, "schedule-after-" + workflowID} {
		for at, runs := range started(t, c, schedule) {
			times[at] = append(times[at], runs...)
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
	}
	require.NotEmpty(t, times)
	for at := first; !at.After(last); at = at.Add(every) {
		assert.Len(t, times[at], 1, "%s at %s", workflowID, at)
	}
}

// started are the runs of a schedule by the times that they were meant for. The latest may not be listed yet.
func started(t *testing.T, c client.Client, scheduleID string) map[time.Time][]string {
	t.Helper()
	runs := map[time.Time][]string{}
	var token []byte
	until := time.Now().Add(-10 * time.Second)
	for {
		page, err := c.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "TemporalScheduledById = '" + scheduleID + "'", NextPageToken: token,
		})
		require.NoError(t, err)
		for _, execution := range page.GetExecutions() {
			var at time.Time
			payload := execution.GetSearchAttributes().GetIndexedFields()["TemporalScheduledStartTime"]
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &at))
			if at.Before(until) {
				runs[at.UTC()] = append(runs[at.UTC()], execution.GetExecution().GetWorkflowId())
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return runs
		}
	}
}

// byHand makes a schedule that nobody's project owns.
func byHand(t *testing.T, c client.Client, id string) {
	t.Helper()
	_, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: id, Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Second}}},
		Action: &client.ScheduleWorkflowAction{ID: strings.ReplaceAll(id, " ", "-"), Workflow: "ByHand", TaskQueue: "nobody"},
	})
	require.NoError(t, err)
}

func signalOverride(t *testing.T, c client.Client, project string, message workflows.Override) {
	t.Helper()
	require.NoError(t, schedulestest.Signal(c, project, workflows.SignalOverride, message))
}
