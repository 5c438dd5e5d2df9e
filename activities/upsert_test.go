package activities_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// shapes are workflows that together use every field.
func shapes() []config.Workflow {
	return []config.Workflow{
		daily("plain"),
		daily("paused", disabled),
		daily("every", cron("@every 90s", "")),
		daily("or", cron("0 0 13 * 5", "Europe/Berlin")),
		daily("weekly", cron("@weekly", "")),
		daily("long", cron(longCron(), "")),
		daily("full", everyOption, func(w *config.Workflow) { w.Start.SearchAttributes = map[string]any{"BuildIds": []string{"gold"}} }),
		daily("retry", func(w *config.Workflow) { w.Start.Retry = &config.Retry{MaximumAttempts: 3} }),
		daily("retry-all", func(w *config.Workflow) { w.Start.Retry = &config.Retry{} }),
		daily("retry-interval", func(w *config.Workflow) {
			w.Start.Retry = &config.Retry{InitialInterval: 1e10, BackoffCoefficient: 1}
		}),
		daily("timeouts", func(w *config.Workflow) {
			w.Start.ExecutionTimeout, w.Start.RunTimeout, w.Start.TaskTimeout = 1e12, 5e12, 1e12
		}),
		daily("empty-input", func(w *config.Workflow) { w.Schedule.Input = map[string]any{} }),
		daily("nulls", func(w *config.Workflow) { w.Start.Memo = map[string]any{"nothing": nil} }),
	}
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	t.Run("Should create every shape of schedule, and find nothing to do the second time", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", shapes()...)
		n := len(p.Workflows)
		var result activities.BatchResult
		calls := f.rpcs.during(func() { result = f.upsert(t, p) })
		assert.Equal(t, activities.BatchResult{Created: n}, result)
		assert.Equal(t, map[string]int{"CreateSchedule": n}, calls, "one call for each schedule")

		for _, w := range p.Workflows {
			d := translate(t, "a", w)
			actual := f.describe(t, d.ScheduleID)
			assert.Empty(t, activities.Compare(d.Schedule(), actual.GetSchedule()), "%s: the server's defaults are no difference", w.ID)
			assert.Equal(t, !w.Schedule.IsEnabled(), actual.GetSchedule().GetState().GetPaused(), w.ID)
			note, ok := activities.ParseNote(actual.GetSchedule().GetState().GetNotes())
			assert.True(t, ok)
			assert.Equal(t, activities.Note{Project: "a", Enabled: w.Schedule.IsEnabled(), Hash: d.Hash}, note)
			memo := map[string]string{}
			for name, payload := range actual.GetMemo().GetFields() {
				var text string
				require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &text))
				memo[name] = text
			}
			assert.Equal(t, map[string]string{"managed_by": "compozy-schedules", "project": "a", "workflow_id": w.ID}, memo)
		}

		updates := batchInput(t, p).Operations
		for i := range updates {
			updates[i].Kind = activities.Update
		}
		for _, operations := range [][]activities.Operation{nil, updates} {
			calls = f.rpcs.during(func() { result = f.upsert(t, p, operations...) })
			assert.Equal(t, activities.BatchResult{Unchanged: n}, result)
			assert.Zero(t, calls["UpdateSchedule"], "no write")
			assert.Zero(t, calls["PatchSchedule"])
			assert.Equal(t, n, calls["DescribeSchedule"])
		}
		result2 := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == n })
		assert.Empty(t, result2.Operations)
		assert.Empty(t, result2.Problems)
	})

	t.Run("Should create a new one paused or running as told, else as the YAML says", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("off", disabled), daily("on"))
		off, on := operation(t, p, activities.Create, "off"), operation(t, p, activities.Create, "on")
		off.Paused, on.Paused = new(false), new(true)
		assert.Equal(t, 2, f.upsert(t, p, off, on).Created)
		assert.False(t, f.schedule(t, "schedule-a-off").GetState().GetPaused())
		assert.True(t, f.schedule(t, "schedule-a-on").GetState().GetPaused())
	})

	t.Run("Should update what exists and is ours, though told to create it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		before := newProject(t, "a", daily("w"))
		require.Equal(t, 1, f.upsert(t, before).Created)
		after := newProject(t, "a", daily("w", everyOption, func(w *config.Workflow) { w.Start.SearchAttributes = nil }))
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, after))
		actual := f.schedule(t, "schedule-a-w")
		assert.Empty(t, activities.Compare(translate(t, "a", after.Workflows[0]).Schedule(), actual))
		assert.Contains(t, actual.GetState().GetNotes(), "spec:"+translate(t, "a", after.Workflows[0]).Hash)
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, before), "and back: unset fields are cleared")
		assert.Empty(t, activities.Compare(translate(t, "a", before.Workflows[0]).Schedule(), f.schedule(t, "schedule-a-w")))
	})

	t.Run("Should create what is missing, though told to update it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("w"))
		assert.Equal(t, activities.BatchResult{Created: 1}, f.upsert(t, p, operation(t, p, activities.Update, "w")))
		f.describe(t, "schedule-a-w")
	})

	t.Run("Should report a foreign schedule as a conflict and not touch it", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.createByHand(t, "schedule-a-w")
		p := newProject(t, "a", daily("v"), daily("w"))
		for _, kind := range []activities.Kind{activities.Create, activities.Update} {
			f.assertUntouched(t, "schedule-a-w", func() {
				result := f.upsert(t, p, operation(t, p, kind, "w"), operation(t, p, kind, "v"))
				require.Len(t, result.Problems, 1)
				assert.Equal(t, activities.ProblemConflict, result.Problems[0].Kind)
				assert.Equal(t, "schedule-a-w", result.Problems[0].ScheduleID)
				assert.Equal(t, 1, result.Created+result.Unchanged, "the other one is done")
			})
		}
		f.assertUntouched(t, "schedule-a-w", func() {
			assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.remove(t, p, "w"))
		})
	})

	t.Run("Should report one that Temporal refuses and create the rest", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		bad := func(w *config.Workflow) { w.Start.SearchAttributes = map[string]any{"NotRegistered": "x"} }
		p := newProject(t, "a", daily("w1"), daily("w2", bad), daily("w3"))
		result := f.upsert(t, p)
		assert.Equal(t, 2, result.Created)
		require.Len(t, result.Problems, 1)
		assert.Equal(t, activities.ProblemRefused, result.Problems[0].Kind)
		assert.Equal(t, "w2", result.Problems[0].WorkflowID)
		assert.Contains(t, result.Problems[0].Message, "NotRegistered")
		f.describe(t, "schedule-a-w1")
		f.describe(t, "schedule-a-w3")

		p = newProject(t, "a", daily("w1", bad), daily("w3"))
		result = f.upsert(t, p, operation(t, p, activities.Update, "w1"))
		require.Len(t, result.Problems, 1, "an update that is refused is a problem too")
		assert.Equal(t, activities.ProblemRefused, result.Problems[0].Kind)
	})

	t.Run("Should leave what only the server decides", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("w"))
		f.upsert(t, p)
		f.edit(t, "schedule-a-w", func(s *schedulepb.Schedule) { s.State.LimitedActions, s.State.RemainingActions = true, 7 })
		p = newProject(t, "a", daily("w", cron("0 10 * * *", "")))
		assert.Equal(t, 1, f.upsert(t, p).Updated)
		state := f.schedule(t, "schedule-a-w").GetState()
		assert.True(t, state.GetLimitedActions())
		assert.EqualValues(t, 7, state.GetRemainingActions())
	})
}

func TestUpsertPauses(t *testing.T) {
	t.Parallel()
	lead := func(f *fixture) string {
		note, ok := activities.ParseNote(f.schedule(t, "schedule-a-w").GetState().GetNotes())
		assert.True(t, ok)
		return note.Lead
	}
	t.Run("Should keep what somebody said about a pause, as long as it lasts", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("w"))
		f.upsert(t, p)
		f.pause(t, "schedule-a-w", "Paused by Ann:\nthe disk is full.")
		update := operation(t, p, activities.Update, "w")
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, update))
		assert.Equal(t, "Paused by Ann:\nthe disk is full.", lead(f))
		assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.upsert(t, p, update), "the lead is stable")
		p = newProject(t, "a", daily("w", cron("0 10 * * *", "")))
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p))
		assert.Equal(t, "Paused by Ann:\nthe disk is full.", lead(f))
		assert.True(t, f.schedule(t, "schedule-a-w").GetState().GetPaused())

		revert := operation(t, p, activities.Update, "w")
		revert.Paused = new(false)
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, revert))
		assert.Empty(t, lead(f))
		assert.False(t, f.schedule(t, "schedule-a-w").GetState().GetPaused())
	})

	// Somebody pauses after our describe and before our update.
	meanwhile := []struct {
		name   string
		revert bool
		// calls are the updates that it takes at least.
		calls  int
		change func(*fixture, *testing.T)
		check  func(*fixture, *testing.T)
	}{
		{
			name: "a pause", calls: 2,
			change: func(f *fixture, t *testing.T) { f.pause(t, "schedule-a-w", "by Ann.") },
			check: func(f *fixture, t *testing.T) {
				assert.True(t, f.schedule(t, "schedule-a-w").GetState().GetPaused())
				assert.Equal(t, "by Ann.", lead(f))
			},
		},
		{
			name: "a pause, though told to resume", revert: true, calls: 2,
			change: func(f *fixture, t *testing.T) { f.pause(t, "schedule-a-w", "by Ann.") },
			check: func(f *fixture, t *testing.T) {
				assert.True(t, f.schedule(t, "schedule-a-w").GetState().GetPaused())
				assert.Equal(t, "by Ann.", lead(f))
			},
		},
		{
			name: "nothing but an edit, which the YAML overwrites", calls: 1,
			change: func(f *fixture, t *testing.T) {
				f.edit(t, "schedule-a-w", func(s *schedulepb.Schedule) { s.Spec.TimezoneName = "Asia/Tokyo" })
			},
			check: func(f *fixture, t *testing.T) { assert.False(t, f.schedule(t, "schedule-a-w").GetState().GetPaused()) },
		},
	}
	for _, test := range meanwhile {
		t.Run("Should keep "+test.name+" that came between describe and update", func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.upsert(t, newProject(t, "a", daily("w")))
			p := newProject(t, "a", daily("w", cron("0 10 * * *", "")))
			op := operation(t, p, activities.Update, "w")
			if test.revert {
				op.Paused = new(false)
			}
			var once sync.Once
			f.rpcs.hook(func(method string, _ any) {
				if method == "UpdateSchedule" {
					once.Do(func() { test.change(f, t) })
				}
			})
			var result activities.BatchResult
			calls := f.rpcs.during(func() { result = f.upsert(t, p, op) })
			assert.Equal(t, activities.BatchResult{Updated: 1}, result)
			// The first one is dropped. Two updates may also meet in one task of the schedule's workflow, where the later one counts.
			assert.GreaterOrEqual(t, calls["UpdateSchedule"], test.calls)
			assert.Empty(t, activities.Compare(translate(t, "a", p.Workflows[0]).Schedule(), f.schedule(t, "schedule-a-w")))
			test.check(f, t)
		})
	}

	t.Run("Should give an endless fight back to Temporal's retries", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.upsert(t, newProject(t, "a", daily("w")))
		p := newProject(t, "a", daily("w", cron("0 10 * * *", "")))
		n := 0
		f.rpcs.hook(func(method string, _ any) {
			if method == "UpdateSchedule" {
				n++
				f.pause(t, "schedule-a-w", fmt.Sprintf("pause %d.", n))
			}
		})
		a := f.activities(t, p)
		_, err := runBatch(newEnv(), a.Upsert, batchInput(t, p))
		requireRetryable(t, err)
		assert.ErrorContains(t, err, "somebody else changed it")
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	t.Run("Should delete ours, and succeed where it is gone", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("v"), daily("w"))
		f.upsert(t, p)
		assert.Equal(t, activities.BatchResult{Deleted: 1, Unchanged: 1}, f.remove(t, p, "w", "never-was"))
		assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.remove(t, p, "w"))
		_, err := f.hand.ScheduleClient().GetHandle(t.Context(), "schedule-a-w").Describe(t.Context())
		var notFound *serviceerror.NotFound
		require.ErrorAs(t, err, &notFound)
		f.describe(t, "schedule-a-v")
		assert.Equal(t, activities.BatchResult{Created: 1}, f.upsert(t, p, operation(t, p, activities.Create, "w")), "it can come back")
	})
	t.Run("Should succeed where somebody deletes it between describe and delete", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("w"))
		f.upsert(t, p)
		f.rpcs.hook(func(method string, _ any) {
			if method == "DeleteSchedule" {
				assert.NoError(t, f.hand.ScheduleClient().GetHandle(t.Context(), "schedule-a-w").Delete(t.Context()))
			}
		})
		assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.remove(t, p, "w"))
	})
}

func TestProjectsInOneNamespace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// Both prefixes list the other's schedules, and both want schedule-a-b-c.
	a := newProject(t, "a", daily("b-c"), daily("x"))
	ab := newProject(t, "a-b", daily("c"), daily("y"))
	assert.Equal(t, activities.BatchResult{Created: 2}, f.upsert(t, a))
	t.Run("Should not take an ID that another project has", func(t *testing.T) {
		f.assertUntouched(t, "schedule-a-b-c", func() {
			result := f.upsert(t, ab)
			assert.Equal(t, 1, result.Created)
			require.Len(t, result.Problems, 1)
			assert.Equal(t, activities.ProblemConflict, result.Problems[0].Kind)
			assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.remove(t, ab, "c"))
		})
	})
	t.Run("Should not delete another project's schedules, whichever reconciles", func(t *testing.T) {
		emptyA, emptyAB := newProject(t, "a"), newProject(t, "a-b")
		names := func(d activities.DiffResult) []string {
			var ids []string
			for _, op := range d.Operations {
				ids = append(ids, string(op.Kind)+" "+op.WorkflowID)
			}
			return ids
		}
		f.settled(t, a, activities.PassReload, func(d activities.DiffResult) bool { return d.Counts.Unchanged == 2 })
		result := f.settled(t, ab, activities.PassReload, func(d activities.DiffResult) bool { return d.Counts.Unchanged == 1 })
		assert.Empty(t, result.Operations)
		require.Len(t, result.Problems, 1)
		assert.Equal(t, activities.ProblemConflict, result.Problems[0].Kind)

		assert.Equal(t, []string{"delete b-c", "delete x"}, names(f.diff(t, emptyA, activities.PassReload)))
		assert.Equal(t, []string{"delete y"}, names(f.diff(t, emptyAB, activities.PassReload)))
		f.assertUntouched(t, "schedule-a-b-y", func() { f.remove(t, emptyA, "b-c", "x", "b-y") })
		assert.Equal(t, activities.BatchResult{Created: 1, Unchanged: 1}, f.upsert(t, ab), "now the ID is free")
		f.assertUntouched(t, "schedule-a-b-c", func() {
			assert.Len(t, f.upsert(t, a, operation(t, a, activities.Create, "b-c")).Problems, 1)
		})
	})
}
