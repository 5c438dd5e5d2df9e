package activities_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// adopting lets the workflow take over the schedule of an ID.
func adopting(id string) func(*config.Workflow) {
	return func(w *config.Workflow) { w.Schedule.ScheduleID, w.Schedule.Adopt = id, true }
}

// adopt takes over what the project's files name, and checks that all of it was there.
func (f *fixture) adopt(t testing.TB, p *config.Project) {
	t.Helper()
	n := len(p.Scheduled())
	plan := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Adopt == n })
	assert.Equal(t, activities.BatchResult{Updated: n}, f.upsert(t, p, plan.Operations...))
	for _, w := range p.Scheduled() {
		f.requireList(t, w.ScheduleID(p.Name), func(l activities.Listed) bool { return l.OwnedBy(p.Name) })
	}
}

// assertAdopted checks that a schedule is the project's for good and as the YAML says.
func (f *fixture) assertAdopted(t testing.TB, project string, w config.Workflow) activities.Detail {
	t.Helper()
	d := translate(t, project, w)
	detail, err := f.server().Describe(t.Context(), d.ScheduleID)
	require.NoError(t, err)
	require.False(t, detail.Missing)
	assert.Equal(t, activities.Owner{Project: project, WorkflowID: w.ID}, detail.Owner)
	assert.True(t, detail.Lasting)
	assert.True(t, detail.Marked)
	assert.Empty(t, activities.Compare(d.Schedule(), detail.Schedule))
	return detail
}

// assertHistoryKept checks that it is the schedule that was made by hand, with its runs.
func assertHistoryKept(t testing.TB, before, after *schedulepb.ScheduleInfo) {
	t.Helper()
	same := func(a, b proto.Message) { assert.True(t, proto.Equal(a, b), "%v is not %v", a, b) }
	same(before.GetCreateTime(), after.GetCreateTime())
	assert.Equal(t, before.GetActionCount(), after.GetActionCount())
	require.Len(t, after.GetRecentActions(), len(before.GetRecentActions()))
	for i, action := range before.GetRecentActions() {
		same(action, after.GetRecentActions()[i])
	}
	require.Len(t, after.GetRunningWorkflows(), 1, "the run goes on")
	same(before.GetRunningWorkflows()[0], after.GetRunningWorkflows()[0])
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	times := func(spec client.ScheduleSpec) func(*client.ScheduleOptions) {
		return func(o *client.ScheduleOptions) { o.Spec = spec }
	}
	tests := []struct {
		name string
		hand func(*client.ScheduleOptions)
		id   string // default: the workflow's own
		lead string // is in the note afterwards
		// paused is what it is before and afterwards.
		paused bool
	}{
		{name: "a cron"},
		{name: "a cron under another ID", id: "nightly"},
		{name: "an interval", hand: times(client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: 1000 * time.Hour, Offset: time.Hour}}})},
		{name: "a calendar with an exclusion", hand: times(client.ScheduleSpec{
			Calendars:    []client.ScheduleCalendarSpec{{Month: []client.ScheduleRange{{Start: 1}}, Comment: "yearly"}},
			Skip:         []client.ScheduleCalendarSpec{{Month: []client.ScheduleRange{{Start: 1}}, Comment: "never"}},
			TimeZoneName: "Asia/Tokyo", Jitter: time.Minute,
		})},
		{name: "one that never runs by itself", hand: times(client.ScheduleSpec{})},
		{name: "a paused one, with its reason", paused: true, lead: "the disk is full.", hand: func(o *client.ScheduleOptions) {
			o.Paused, o.Note = true, "the disk is full"
		}},
		{name: "one with a memo of people's", hand: func(o *client.ScheduleOptions) {
			o.Memo = map[string]any{"project": "a", "workflow_id": "w", "team": "ops"}
		}},
		{name: "one with policies and remaining actions", hand: func(o *client.ScheduleOptions) {
			o.PauseOnFailure, o.CatchupWindow, o.RemainingActions = true, time.Hour, 7
		}},
	}
	for _, test := range tests {
		t.Run("Should take over "+test.name+", with its runs and for good", func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := "schedule-a-w"
			yaml := func(w *config.Workflow) { w.Schedule.Adopt = true }
			if test.id != "" {
				id, yaml = test.id, adopting(test.id)
			}
			o := options(id)
			if test.hand != nil {
				test.hand(&o)
			}
			before := f.makeByHand(t, o)
			p := newProject(t, "a", daily("w", yaml))
			f.adopt(t, p)

			actual := f.assertAdopted(t, "a", p.Workflows[0])
			assertHistoryKept(t, before.GetInfo(), actual.Info)
			state := actual.Schedule.GetState()
			assert.Equal(t, test.paused, state.GetPaused())
			assert.Equal(t, before.GetSchedule().GetState().GetRemainingActions(), state.GetRemainingActions())
			note, ok := activities.ParseNote(state.GetNotes())
			assert.True(t, ok)
			assert.Equal(t, test.lead, note.Lead, "who runs as the YAML says needs no reason")

			settled := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == 1 })
			assert.Empty(t, settled.Operations)
			assert.Empty(t, settled.Problems)
			if test.id != "" {
				assert.Equal(t, []activities.Ref{{WorkflowID: "w", ScheduleID: id}}, settled.OtherIDs)
			}
			calls := f.rpcs.during(func() { f.diff(t, p, activities.PassResync) })
			assert.Zero(t, calls["DescribeSchedule"], "the list is enough again")
			calls = f.rpcs.during(func() {
				assert.Equal(t, activities.BatchResult{Unchanged: 1}, f.upsert(t, p, operation(t, p, activities.Update, "w")))
			})
			assert.Zero(t, calls["UpdateSchedule"])

			// Git no longer wants it.
			gone := newProject(t, "a", daily("v"))
			for _, kind := range []activities.PassKind{activities.PassStart, activities.PassReload} {
				in := diffInput(gone, kind)
				if kind == activities.PassReload {
					in.Also = []string{id} // a reconciler remembers it; one that has just started finds it
				}
				result, err := runDiff(newEnv(), f.activities(t, gone), in)
				require.NoError(t, err)
				remove := activities.Operation{Kind: activities.Delete, WorkflowID: "w", ScheduleID: test.id}
				require.Contains(t, result.Operations, remove, kind)
			}
			in := batchInput(t, gone, activities.Operation{Kind: activities.Delete, WorkflowID: "w", ScheduleID: test.id})
			result, err := runBatch(newEnv(), f.activities(t, gone).Delete, in)
			require.NoError(t, err)
			assert.Equal(t, activities.BatchResult{Deleted: 1}, result)
			detail, err := f.server().Describe(t.Context(), id)
			require.NoError(t, err)
			assert.True(t, detail.Missing)
		})
	}

	t.Run("Should take over what somebody made after the list was read, though told to create", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		before := f.makeByHand(t, options("nightly"))
		p := newProject(t, "a", daily("w", adopting("nightly")))
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, operation(t, p, activities.Create, "w")))
		assertHistoryKept(t, before.GetInfo(), f.assertAdopted(t, "a", p.Workflows[0]).Info)
	})

	t.Run("Should adopt nothing that another project owns, made or adopted", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		theirs := newProject(t, "b", daily("made", func(w *config.Workflow) { w.Schedule.ScheduleID = "made" }),
			daily("taken", adopting("taken")))
		f.upsert(t, theirs, operation(t, theirs, activities.Create, "made"))
		f.makeByHand(t, options("taken"))
		f.upsert(t, theirs, operation(t, theirs, activities.Update, "taken"))
		ours := newProject(t, "a", daily("made", adopting("made")), daily("taken", adopting("taken")))
		plan := f.settled(t, ours, activities.PassReload, func(d activities.DiffResult) bool { return d.ProblemCount == 2 })
		for _, problem := range plan.Problems {
			assert.Equal(t, activities.ProblemConflict, problem.Kind)
			assert.Contains(t, problem.Message, "project b owns")
		}
		for _, id := range []string{"made", "taken"} {
			f.assertUntouched(t, id, func() {
				result := f.upsert(t, ours, operation(t, ours, activities.Update, id))
				require.Len(t, result.Problems, 1)
				assert.Contains(t, result.Problems[0].Message, "project b owns")
			})
		}
	})

	t.Run("Should keep a pause that came between describe and adoption", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.makeByHand(t, options("nightly"))
		p := newProject(t, "a", daily("w", adopting("nightly")))
		op := operation(t, p, activities.Update, "w")
		op.Adopts, op.Paused = true, new(false)
		var once sync.Once
		f.rpcs.hook(func(method string, _ any) {
			if method == "UpdateSchedule" {
				once.Do(func() { f.pause(t, "nightly", "by Ann.") })
			}
		})
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, op))
		assert.True(t, f.assertAdopted(t, "a", p.Workflows[0]).Schedule.GetState().GetPaused())
	})

	t.Run("Should give a mark of the longest names to Temporal", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		long := func(c string) (name string) {
			for range 63 {
				name += c
			}
			return name
		}
		f.makeByHand(t, options("nightly"))
		p := newProject(t, long("p"), daily(long("w"), adopting("nightly")))
		f.adopt(t, p)
		f.assertAdopted(t, p.Name, p.Workflows[0])
	})
}

func TestAdoptedForGood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.makeByHand(t, options("nightly"))
	w := daily("w", adopting("nightly"))
	p := newProject(t, "a", w)
	f.adopt(t, p)
	handle := f.hand.ScheduleClient().GetHandle(t.Context(), "nightly")
	update := func(t *testing.T, change func(*client.Schedule)) {
		require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				change(&in.Description.Schedule)
				return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
			},
		}))
	}
	note := func(text string) func(activities.Listed) bool {
		return func(l activities.Listed) bool { return l.Note == text }
	}
	runs := func(n int64) func(activities.Listed) bool {
		return func(activities.Listed) bool { return f.describe(t, "nightly").GetInfo().GetActionCount() == n }
	}
	// In this order: each leaves what the next one finds.
	steps := []struct {
		name  string
		do    func(t *testing.T)
		shows func(activities.Listed) bool
	}{
		{"a pause", func(t *testing.T) {
			require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "Paused via UI"}))
		}, note("Paused via UI")},
		{"a resume", func(t *testing.T) {
			require.NoError(t, handle.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "and on"}))
		}, note("and on")},
		{"a trigger", func(t *testing.T) {
			require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{Overlap: 6}))
		}, runs(2)},
		{"a backfill", func(t *testing.T) {
			end := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
			require.NoError(t, handle.Backfill(t.Context(), client.ScheduleBackfillOptions{
				Backfill: []client.ScheduleBackfill{{Start: end.AddDate(0, 0, -2), End: end, Overlap: 6}},
			}))
		}, runs(4)},
		{"another note", func(t *testing.T) {
			update(t, func(s *client.Schedule) { s.State.Note = "seen by Ann" })
		}, note("seen by Ann")},
		{"an edit of when it runs", func(t *testing.T) {
			update(t, func(s *client.Schedule) {
				s.Spec.Calendars, s.State.Note = []client.ScheduleCalendarSpec{{Hour: []client.ScheduleRange{{Start: 5}}}}, "at five"
			})
		}, note("at five")},
	}
	for _, step := range steps {
		t.Run("Should stay the project's through "+step.name+" by others", func(t *testing.T) {
			step.do(t)
			entry := f.requireList(t, "nightly", step.shows)
			assert.Equal(t, activities.Owner{Project: "a", WorkflowID: "w"}, entry.Owner)
			detail, err := f.server().Describe(t.Context(), "nightly")
			require.NoError(t, err)
			assert.True(t, detail.Marked)
			assert.Equal(t, activities.Owner{Project: "a", WorkflowID: "w"}, detail.Owner)
		})
	}

	t.Run("Should change no time of a run by its mark", func(t *testing.T) {
		f.upsert(t, p, operation(t, p, activities.Update, "w"))
		plain := translate(t, "a", daily("plain"))
		require.NoError(t, f.createPaused(t, "plain", plain.Schedule().GetSpec()))
		detail, err := f.server().Describe(t.Context(), "nightly")
		require.NoError(t, err)
		unmarked, err := f.server().Describe(t.Context(), "schedule-a-plain")
		require.NoError(t, err)
		assert.NotEmpty(t, detail.NextRuns)
		assert.Equal(t, unmarked.NextRuns, detail.NextRuns)
	})

	t.Run("Should know it by its runs where somebody drops the mark, and mark it again", func(t *testing.T) {
		f.edit(t, "nightly", func(s *schedulepb.Schedule) { s.Spec.ExcludeStructuredCalendar = nil })
		f.requireList(t, "nightly", func(l activities.Listed) bool { return l.Owner.None() })
		detail, err := f.server().Describe(t.Context(), "nightly")
		require.NoError(t, err)
		assert.Equal(t, activities.Owner{Project: "a", WorkflowID: "w"}, detail.Owner)
		assert.False(t, detail.Lasting)

		// Also where the file does not say `adopt` any more.
		p := newProject(t, "a", daily("w", func(w *config.Workflow) { w.Schedule.ScheduleID = "nightly" }))
		resync := f.diff(t, p, activities.PassResync)
		assert.Equal(t, []activities.Operation{operation(t, p, activities.Update, "w")}, resync.Operations)
		assert.Empty(t, resync.Problems)
		assert.Equal(t, activities.BatchResult{Updated: 1}, f.upsert(t, p, resync.Operations...))
		f.assertAdopted(t, "a", p.Workflows[0])
		f.requireList(t, "nightly", func(l activities.Listed) bool { return l.OwnedBy("a") })
		assert.Empty(t, f.diff(t, p, activities.PassResync).Operations)
	})

	t.Run("Should not own a copy, with its mark, its runs' memo and its note", func(t *testing.T) {
		schedule := f.schedule(t, "nightly")
		_, err := f.hand.WorkflowService().CreateSchedule(t.Context(), &workflowservice.CreateScheduleRequest{
			Namespace: f.namespace, ScheduleId: "copy", Schedule: schedule, RequestId: "copy",
		})
		require.NoError(t, err)
		entry := f.requireList(t, "copy", func(activities.Listed) bool { return true })
		assert.True(t, entry.Owner.None())
		detail, err := f.server().Describe(t.Context(), "copy")
		require.NoError(t, err)
		assert.True(t, detail.Owner.None())
		empty := newProject(t, "a")
		f.assertUntouched(t, "copy", func() {
			result := f.diff(t, empty, activities.PassStart)
			for _, op := range result.Operations {
				assert.NotEqual(t, "copy", op.ScheduleID)
			}
			in := batchInput(t, empty, activities.Operation{Kind: activities.Delete, WorkflowID: "w", ScheduleID: "copy"})
			result2, err := runBatch(newEnv(), f.activities(t, empty).Delete, in)
			require.NoError(t, err)
			assert.Equal(t, activities.BatchResult{Unchanged: 1}, result2)
		})
	})
}

func TestScheduleIDs(t *testing.T) {
	t.Parallel()
	odd := []string{
		`it's`, `"quoted"`, `back\slash`, "né 夜 🌙", // these are adopted, the others created
		`say "hi"`, `ends with \`, `\'`, `''`, `'a'`, "two  spaces", " around ", `x' OR ScheduleId != 'x`, "100%_", "(a, b)",
		"schedule-b-w", "`tick`", "$1 ? :a", "a%20b",
	}
	const adopted = 4
	f := newFixture(t)
	var workflows []config.Workflow
	for i, id := range odd {
		workflows = append(workflows, daily(fmt.Sprintf("w%02d", i), adopting(id)))
	}
	p := newProject(t, "a", workflows...)
	for _, id := range odd[:adopted] {
		f.makeOdd(t, id)
	}
	plan := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Adopt == adopted })
	assert.Equal(t, activities.BatchResult{Created: len(odd) - adopted, Updated: adopted}, f.upsert(t, p, plan.Operations...))

	t.Run("Should find schedules of any ID, and only those", func(t *testing.T) {
		result := f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == len(odd) })
		assert.Empty(t, result.Operations)
		require.Len(t, result.OtherIDs, len(odd))
		for i, id := range odd {
			entries, err := f.server().List(t.Context(), activities.Scope{Project: "none", Also: []string{id}})
			require.NoError(t, err)
			require.Len(t, entries, 1, "%q", id)
			assert.Equal(t, id, entries[0].ScheduleID)
			assert.Equal(t, p.Workflows[i].ID, entries[0].Owner.WorkflowID)
		}
	})
	t.Run("Should list the runs of schedules of any ID, and only those", func(t *testing.T) {
		runtime := activities.NewRuntime(f.server(), "a")
		for i, id := range odd {
			env := newEnv()
			env.RegisterActivity(runtime.Run)
			_, err := env.ExecuteActivity(runtime.Run, activities.RunInput{
				RequestID: id, WorkflowID: p.Workflows[i].ID, ScheduleID: id, OverlapPolicy: config.OverlapAllow,
			})
			require.NoError(t, err)
		}
		for i, id := range odd {
			want := 1
			if i < adopted {
				want = 2 // one from before its adoption
			}
			var runs []activities.Execution
			require.Eventually(t, func() bool {
				var err error
				runs, _, err = f.server().Runs(t.Context(), id, 100, nil)
				require.NoError(t, err)
				return len(runs) >= want
			}, time.Minute, 20*time.Millisecond, "%q", id)
			require.Len(t, runs, want, "%q", id)
			assert.Contains(t, runs[0].WorkflowID, "a-"+p.Workflows[i].ID, "the newest run is of the YAML's workflow")
		}
	})
	t.Run("Should delete schedules of any ID", func(t *testing.T) {
		empty := newProject(t, "a")
		in := batchInput(t, empty)
		for i, id := range odd {
			in.Operations = append(in.Operations, activities.Operation{Kind: activities.Delete, WorkflowID: p.Workflows[i].ID, ScheduleID: id})
		}
		result, err := runBatch(newEnv(), f.activities(t, empty).Delete, in)
		require.NoError(t, err)
		assert.Equal(t, activities.BatchResult{Deleted: len(odd)}, result)
	})
}

// makeOdd makes a schedule by hand whose ID the SDK itself refuses to send.
func (f *fixture) makeOdd(t *testing.T, id string) {
	t.Helper()
	action := &schedulepb.ScheduleAction{Action: &schedulepb.ScheduleAction_StartWorkflow{StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{
		WorkflowId: "legacy " + id, WorkflowType: &commonpb.WorkflowType{Name: "Legacy"}, TaskQueue: &taskqueuepb.TaskQueue{Name: "legacy"},
	}}}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "temporal-resource-id", "odd")
	_, err := f.hand.WorkflowService().CreateSchedule(ctx, &workflowservice.CreateScheduleRequest{
		Namespace: f.namespace, ScheduleId: id, RequestId: id,
		Schedule:     &schedulepb.Schedule{Spec: &schedulepb.ScheduleSpec{CronString: []string{"0 0 1 1 *"}}, Action: action},
		InitialPatch: &schedulepb.SchedulePatch{TriggerImmediately: &schedulepb.TriggerImmediatelyRequest{}},
	})
	require.NoError(t, err)
}

func TestListMany(t *testing.T) {
	t.Parallel()
	const n = 250
	f := newFixture(t)
	p := newProject(t, "a", many(n, func(w *config.Workflow) { w.Schedule.ScheduleID = "other-" + w.ID })...)
	require.Equal(t, n, f.upsert(t, p).Created)
	ids := p.NamedScheduleIDs()
	t.Run("Should list many schedules by their IDs, in few queries, each once", func(t *testing.T) {
		var entries []activities.Listed
		require.Eventually(t, func() bool {
			var err error
			entries, err = f.server().List(t.Context(), activities.Scope{Project: "a", Also: ids})
			return err == nil && len(entries) >= n
		}, time.Minute, 50*time.Millisecond)
		var got []string
		for _, entry := range entries {
			assert.True(t, entry.OwnedBy("a"))
			got = append(got, entry.ScheduleID)
		}
		slices.Sort(got)
		assert.Equal(t, ids, got)
		calls := f.rpcs.during(func() {
			_, err := f.server().List(t.Context(), activities.Scope{Project: "a", Also: ids})
			require.NoError(t, err)
		})
		assert.Equal(t, map[string]int{"ListSchedules": 4}, calls, "the prefix, and a hundred IDs a query")
	})
	t.Run("Should ask only once for an ID that the prefix finds", func(t *testing.T) {
		calls := f.rpcs.during(func() {
			_, err := f.server().List(t.Context(), activities.Scope{Project: "a", Also: []string{"schedule-a-w", "schedule-a-"}})
			require.NoError(t, err)
		})
		assert.Equal(t, map[string]int{"ListSchedules": 1}, calls)
	})
	t.Run("Should list the whole namespace with one query", func(t *testing.T) {
		f.makeByHand(t, options("nobody's"))
		var entries []activities.Listed
		require.Eventually(t, func() bool {
			var err error
			entries, err = f.server().List(t.Context(), activities.Scope{Project: "a", Also: ids, Whole: true})
			return err == nil && len(entries) == n+1
		}, time.Minute, 50*time.Millisecond)
		calls := f.rpcs.during(func() {
			result := f.diff(t, newProject(t, "b"), activities.PassStart)
			assert.Equal(t, activities.DiffResult{}, result, "all of it is others'")
		})
		assert.Equal(t, map[string]int{"ListSchedules": 1}, calls)
	})
}

// TestAdoptInterrupted ends adoptions at each of their calls, in each way, and lets another worker go on.
func TestAdoptInterrupted(t *testing.T) {
	t.Parallel()
	const (
		schedules = 2
		calls     = 3 * schedules // describe, update, describe
	)
	away := status.Error(codes.Unavailable, "away")
	ways := []struct {
		name string
		// around is what becomes of a call from the doomed one on; at is 0 for that.
		around func(at int, invoke func() error) error
		// lost: the heartbeat is lost too.
		lost bool
	}{
		{name: "the request is lost", around: func(at int, invoke func() error) error {
			if at == 0 {
				return away
			}
			return invoke()
		}},
		{name: "the answer is lost", around: func(at int, invoke func() error) error {
			err := invoke()
			if at == 0 {
				return away
			}
			return err
		}},
		{name: "the worker is killed before it asks", lost: true, around: func(int, func() error) error { return away }},
		{name: "the worker is killed before it knows the answer", lost: true, around: func(at int, invoke func() error) error {
			if at == 0 {
				_ = invoke() // nobody is there to see what it says
			}
			return away
		}},
	}
	f := newFixture(t)
	// adoptInterrupted adopts schedules of its own; interrupt says what becomes of the nth call of a try.
	adoptInterrupted := func(t *testing.T, prefix string, lost bool, interrupt func(try, n int, invoke func() error) error) (tries int) {
		t.Helper()
		var workflows []config.Workflow
		before := map[string]*workflowservice.DescribeScheduleResponse{}
		for i := range schedules {
			id := fmt.Sprintf("%s-%d", prefix, i)
			before[id] = f.makeByHand(t, options(id, func(o *client.ScheduleOptions) { o.Paused = i == 0 }))
			workflows = append(workflows, daily(fmt.Sprintf("w%d", i), adopting(id)))
		}
		p := newProject(t, "p"+prefix, workflows...)
		in := batchInput(t, p)
		for i := range in.Operations {
			in.Operations[i].Kind, in.Operations[i].Adopts = activities.Update, true
		}
		in.Callers = 2
		var left heartbeat
		for done := false; !done; tries++ {
			require.Less(t, tries, 100, "the batch ends")
			var mu sync.Mutex
			n := -1
			f.rpcs.replace(func(invoke func() error) error {
				mu.Lock()
				n++
				at := n
				mu.Unlock()
				return interrupt(tries, at, invoke)
			})
			env := newEnv()
			if len(left.Done) > 0 && !lost {
				env.SetHeartbeatDetails(left)
			}
			held, result, err := runHeldIn(t, env, f.activities(t, p), in)
			f.rpcs.replace(nil)
			if left = held; err != nil {
				requireRetryable(t, err)
				continue
			}
			done = true
			assert.Equal(t, schedules, result.Updated+result.Unchanged)
			assert.Empty(t, result.Problems)
		}
		for i, w := range p.Workflows {
			detail := f.assertAdopted(t, p.Name, w)
			assertHistoryKept(t, before[w.Schedule.ScheduleID].GetInfo(), detail.Info)
			assert.Len(t, detail.Schedule.GetSpec().GetExcludeStructuredCalendar(), 1, "one mark")
			assert.Equal(t, i == 0, detail.Schedule.GetState().GetPaused())
		}
		return tries
	}
	rounds := 0
	for w, way := range ways {
		for doomed := range calls {
			rounds++
			t.Run(fmt.Sprintf("Should adopt each once where %s at call %d", way.name, doomed), func(t *testing.T) {
				tries := adoptInterrupted(t, fmt.Sprintf("x%d-%d", w, doomed), way.lost, func(try, n int, invoke func() error) error {
					if try > 0 || n < doomed {
						return invoke()
					}
					return way.around(n-doomed, invoke)
				})
				assert.Equal(t, 2, tries, "the first try was interrupted")
			})
		}
	}
	for seed := range uint64(6) {
		rounds++
		t.Run(fmt.Sprintf("Should adopt each once where calls fail again and again (%d)", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			tries := adoptInterrupted(t, fmt.Sprintf("r%d", seed), seed%2 == 0, func(_, _ int, invoke func() error) error {
				mu.Lock()
				fate := random.IntN(10)
				mu.Unlock()
				switch fate {
				case 0:
					return away
				case 1:
					_ = invoke() // done, and nobody knows
					return away
				}
				return invoke()
			})
			assert.Positive(t, tries)
		})
	}
	t.Run("Should leave no schedule twice, none of nobody's and none too many", func(t *testing.T) {
		var entries []activities.Listed
		require.Eventually(t, func() bool {
			var err error
			entries, err = f.server().List(t.Context(), activities.Scope{Whole: true})
			return err == nil && len(entries) == rounds*schedules && !slices.ContainsFunc(entries, func(l activities.Listed) bool {
				return l.Owner.None()
			})
		}, time.Minute, 50*time.Millisecond)
		seen := map[string]bool{}
		for _, entry := range entries {
			assert.False(t, seen[entry.ScheduleID], entry.ScheduleID)
			seen[entry.ScheduleID] = true
		}
	})
}
