package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// moveCutover is a moment between two runs.
var moveCutover = time.Date(2027, 1, 15, 12, 0, 0, int(500*time.Millisecond), time.UTC)

const moveOldID, moveNewID = "schedule-old-w", "schedule-new-w"

// moved is how a describe shows a schedule of that project.
func moved(project string, change func(*Detail)) Detail {
	d := Detail{
		Described: Described{
			Owner: Owner{Project: project, WorkflowID: "w"}, Lasting: true,
			Schedule: &schedulepb.Schedule{
				Spec:  &schedulepb.ScheduleSpec{Interval: []*schedulepb.IntervalSpec{{Interval: durationpb.New(time.Second)}}},
				State: &schedulepb.ScheduleState{},
				Action: &schedulepb.ScheduleAction{Action: &schedulepb.ScheduleAction_StartWorkflow{StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{
					WorkflowId: project + "-w", WorkflowType: &commonpb.WorkflowType{Name: "w"},
				}}},
			},
		},
		Info: &schedulepb.ScheduleInfo{},
	}
	change(&d)
	return d
}

// at marks a schedule with a stage and the moment of its last update.
func at(id string, stage moveStage, cutover, updated time.Time) func(*Detail) {
	return func(d *Detail) {
		withMoveMark(d.Schedule.Spec, id, &moveMark{stage: stage, cutover: cutover})
		d.Info.UpdateTime = timestamppb.New(updated)
	}
}

func TestMoveNext(t *testing.T) {
	before, after := moveCutover.Add(-4*time.Second), moveCutover.Add(3*time.Second)
	plain := func(*Detail) {}
	gone := Detail{Described: Described{Missing: true}}
	late := moveCutover.Add(700 * time.Millisecond)
	ending := moved("old", at(moveOldID, stageEnding, moveCutover, before))
	waiting := moved("new", at(moveNewID, stageWaiting, moveCutover, before))
	running := moved("new", at(moveNewID, stageRunning, moveCutover, before))
	ended := func(change func(*Detail)) Detail {
		return moved("old", func(d *Detail) {
			at(moveOldID, stageEnded, moveCutover, after)(d)
			change(d)
		})
	}
	tests := []struct {
		name     string
		old, new Detail
		now      time.Time
		want     moveAction
		at       time.Time
	}{
		{"make the new one before anything happens to the old one", moved("old", plain), gone, before, moveCreate, cutoverAt(before)},
		{"end the old one at the cutover of the new one", moved("old", plain), waiting, before, moveEnd, moveCutover},
		{"choose another cutover where the first is too near", moved("old", plain), waiting, moveCutover, moveAlign, cutoverAt(moveCutover)},
		{"start the new one when the old one ends in time", ending, waiting, before, moveStart, moveCutover},
		{"begin where the old one really ended, if it was told too late", moved("old", at(moveOldID, stageEnding, moveCutover, late)), waiting, after, moveAlign, late},
		{"start the new one from there", moved("old", at(moveOldID, stageEnding, moveCutover, late)), moved("new", at(moveNewID, stageWaiting, late, after)), after, moveStart, late},
		{"start the new one late, after a crash", ending, waiting, after, moveStart, moveCutover},
		{"keep the new one's bound until the cutover", ending, running, before, moveWait, moveCutover.Add(cutoverMargin)},
		{"keep it until no jitter can bring a run of before the cutover", ending, moved("new", func(d *Detail) {
			at(moveNewID, stageRunning, moveCutover, before)(d)
			d.Schedule.Spec.Jitter = durationpb.New(time.Minute)
		}), after, moveWait, moveCutover.Add(time.Minute + cutoverMargin)},
		{"fill what was due before the new one ran", ending, moved("new", at(moveNewID, stageRunning, moveCutover, after)), after, moveFill, after},
		{"wait for the old one's jittered runs", moved("old", func(d *Detail) {
			at(moveOldID, stageEnding, moveCutover, before)(d)
			d.Schedule.Spec.Jitter = durationpb.New(time.Minute)
		}), moved("new", plain), after, moveWait, moveCutover.Add(time.Minute + cutoverMargin)},
		{"see that the old one has started all", ending, moved("new", plain), after, moveRetire, time.Time{}},
		{"wait for buffered runs", ended(func(d *Detail) { d.Info.BufferSize = 1 }), moved("new", plain), after, moveWait, after.Add(cutoverMargin)},
		{"delete the old one last", ended(plain), moved("new", plain), after, moveDelete, time.Time{}},
		{"be done when the old one is gone", gone, moved("new", plain), after, moveDone, time.Time{}},
		{"leave an old ID alone that is not the project's any more", moved("other", plain), gone, after, moveDone, time.Time{}},
		{"merge where the new project has made its own", moved("old", plain), moved("new", plain), before, moveMerge, time.Time{}},
		{"refuse a new ID that is somebody else's", moved("old", plain), moved("", plain), before, moveRefuse, time.Time{}},
		{"refuse it in the middle too", ending, moved("other", plain), before, moveRefuse, time.Time{}},
	}
	for _, test := range tests {
		t.Run("Should "+test.name, func(t *testing.T) {
			state := moveState{old: test.old, new: test.new, oldID: moveOldID, newID: moveNewID, from: "old", to: "new"}
			action, when := state.next(test.now)
			assert.Equal(t, test.want, action)
			assert.True(t, test.at.Equal(when), "%s, not %s", test.at, when)
		})
	}
	t.Run("Should only change the owner where the ID stays", func(t *testing.T) {
		state := moveState{old: moved("old", plain), oldID: "mine", newID: "mine", from: "old", to: "new"}
		action, _ := state.next(before)
		assert.Equal(t, moveTake, action)
		state.old = moved("new", plain)
		action, _ = state.next(before)
		assert.Equal(t, moveDone, action)
	})
}

func TestMoveWrites(t *testing.T) {
	start := moveCutover.Add(-time.Hour)
	old := moved("old", func(d *Detail) {
		d.Schedule.Spec.StartTime = timestamppb.New(start)
		d.Schedule.State = &schedulepb.ScheduleState{
			Paused: true, LimitedActions: true, RemainingActions: 7,
			Notes: Note{Lead: "Paused by ann.", Project: "old", Enabled: true, Hash: "0123456789ab"}.String(),
		}
	})
	state := moveState{old: old, oldID: moveOldID, newID: moveNewID, from: "old", to: "new"}
	state.new = moved("new", func(d *Detail) { d.Schedule = state.copyFor("w", moveCutover) })

	t.Run("Should make the new one paused, from the second after the cutover on, with the new names", func(t *testing.T) {
		c := state.new.Schedule
		assert.True(t, c.State.Paused)
		assert.Equal(t, moveCutover.Add(500*time.Millisecond), c.Spec.StartTime.AsTime())
		assert.Equal(t, "new-w", c.Action.GetStartWorkflow().WorkflowId)
		note, ok := ParseNote(c.State.Notes)
		require.True(t, ok)
		assert.Equal(t, Note{Lead: "Paused by ann.", Project: "new", Enabled: true, Hash: "0123456789ab"}, note)
	})
	t.Run("Should keep a start that is later than the cutover", func(t *testing.T) {
		later := state
		later.old = moved("old", func(d *Detail) { d.Schedule.Spec.StartTime = timestamppb.New(moveCutover.Add(time.Hour)) })
		assert.Equal(t, moveCutover.Add(time.Hour), later.copyFor("w", moveCutover).Spec.StartTime.AsTime())
	})
	t.Run("Should start it with the old one's state, and settle it with its own bound", func(t *testing.T) {
		s := state
		s.new = moved("new", func(d *Detail) { d.Schedule = state.started() })
		assert.True(t, s.new.Schedule.State.Paused)
		assert.Equal(t, int64(7), s.new.Schedule.State.RemainingActions)
		settled := s.settled()
		assert.Equal(t, start, settled.Spec.StartTime.AsTime())
		assert.Empty(t, settled.Spec.ExcludeStructuredCalendar)
	})
	t.Run("Should end the old one at the cutover, or at its own earlier end", func(t *testing.T) {
		assert.Equal(t, moveCutover, state.ended(stageEnding, moveCutover).Spec.EndTime.AsTime())
		early := state
		early.old = moved("old", func(d *Detail) { d.Schedule.Spec.EndTime = timestamppb.New(start) })
		assert.Equal(t, start, early.ended(stageEnding, moveCutover).Spec.EndTime.AsTime())
	})
	t.Run("Should fill only what a catchup window would have kept, and nothing of a paused one", func(t *testing.T) {
		s := state
		s.new = moved("new", at(moveNewID, stageRunning, moveCutover, moveCutover.Add(time.Hour)))
		window, ok := s.filled(moveCutover.Add(time.Hour))
		require.True(t, ok)
		assert.Equal(t, moveCutover, window.StartTime.AsTime())
		s.new.Schedule.Policies = &schedulepb.SchedulePolicies{CatchupWindow: durationpb.New(time.Minute)}
		window, ok = s.filled(moveCutover.Add(time.Hour))
		require.True(t, ok)
		assert.Equal(t, moveCutover.Add(59*time.Minute), window.StartTime.AsTime())
		s.new.Schedule.State.Paused = true
		_, ok = s.filled(moveCutover.Add(time.Hour))
		assert.False(t, ok)
	})
	t.Run("Should not take another schedule's mark for its own", func(t *testing.T) {
		spec := &schedulepb.ScheduleSpec{}
		withMoveMark(spec, moveOldID, &moveMark{stage: stageEnding, cutover: moveCutover})
		_, ok := readMoveMark(moveNewID, spec)
		assert.False(t, ok)
		mark, ok := readMoveMark(moveOldID, spec)
		assert.True(t, ok)
		assert.True(t, mark.cutover.Equal(moveCutover))
	})
}
