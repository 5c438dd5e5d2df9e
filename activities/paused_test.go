package activities_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// TestPausedByTemporal holds the words of Temporal's notes against what the server writes today.
func TestPausedByTemporal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	runs := worker.New(f.hand, "reports", worker.Options{})
	runs.RegisterWorkflowWithOptions(func(workflow.Context) error { return errors.New("no disk") }, workflow.RegisterOptions{Name: "fails"})
	require.NoError(t, runs.Start())
	defer runs.Stop()
	pauses := func(w *config.Workflow) { w.Schedule.PauseOnFailure = true }
	slow := func(w *config.Workflow) { w.Start.TaskQueue, w.Start.RunTimeout = "nobody", time.Second }
	p := newProject(t, "a", daily("fails", pauses), daily("fails-on", func(w *config.Workflow) { w.Start.WorkflowType = "fails" }),
		daily("times-out", pauses, slow), daily("paused", pauses))
	require.Equal(t, 4, f.upsert(t, p).Created)
	for _, w := range p.Workflows {
		handle := f.hand.ScheduleClient().GetHandle(t.Context(), w.ScheduleID("a"))
		if w.ID == "paused" {
			require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "Paused via UI"}))
			continue
		}
		require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	}
	tests := []struct{ name, id, note string }{
		{"a run that failed", "fails", `^paused due to workflow failure: a-fails-\S+: no disk$`},
		{"a run that timed out", "times-out", `^paused due to workflow timeout: a-times-out-\S+$`},
	}
	for _, test := range tests {
		t.Run("Should know Temporal's own pause after "+test.name+", also once our note follows it", func(t *testing.T) {
			id := config.DefaultScheduleID("a", test.id)
			require.Eventually(t, func() bool { return f.schedule(t, id).GetState().GetPaused() }, time.Minute, 20*time.Millisecond)
			note := f.schedule(t, id).GetState().GetNotes()
			assert.Regexp(t, test.note, note)
			assert.True(t, activities.PausedByTemporal(note))

			assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, operation(t, p, activities.Update, test.id)))
			state := f.schedule(t, id).GetState()
			assert.True(t, state.GetPaused())
			_, ours := activities.ParseNote(state.GetNotes())
			assert.True(t, ours)
			assert.True(t, activities.PausedByTemporal(state.GetNotes()))
		})
	}
	t.Run("Should count them and no others", func(t *testing.T) {
		result := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Paused == 3 })
		assert.Equal(t, 2, result.Counts.PausedByTemporal)
		assert.False(t, f.schedule(t, "schedule-a-fails-on").GetState().GetPaused())
	})
	t.Run("Should count none any more that somebody resumed", func(t *testing.T) {
		require.NoError(t, f.hand.ScheduleClient().GetHandle(t.Context(), "schedule-a-fails").Unpause(t.Context(), client.ScheduleUnpauseOptions{}))
		f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool {
			return d.Counts.Paused == 2 && d.Counts.PausedByTemporal == 1
		})
	})
}
