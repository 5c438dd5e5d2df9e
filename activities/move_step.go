package activities

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/config"
)

// A schedule's ID holds its project's name, and Temporal cannot change an ID. So a schedule moves by a
// cutover: the old one ends at a moment at which no run is due, and the new one begins there. What is done
// shows in both schedules, in a mark like that of an adoption; whoever comes after a crash goes on from it.

// moveStage is how far a schedule has come.
type moveStage string

const (
	// stageWaiting: the new schedule is there, paused. The old one runs, or has ended meanwhile.
	stageWaiting moveStage = "waiting"
	// stageRunning: the new schedule is as paused as the old one was. Runs that were due before it ran may
	// have to be started yet.
	stageRunning moveStage = "running"
	// stageEnding is of the old schedule: it ends at the cutover.
	stageEnding moveStage = "ending"
	// stageEnded is of the old schedule: everything up to the cutover has been started.
	stageEnded moveStage = "ended"
)

// moveMark is what a mark says.
type moveMark struct {
	stage   moveStage
	cutover time.Time
	// bound is the new schedule's own start_at, or the old one's own end_at; zero for none.
	bound time.Time
}

var movePattern = regexp.MustCompile(
	`^Renaming by compozy-schedules: ([a-z]+) at ([0-9TZ:.+-]+), else ([0-9TZ:.+-]+|none)\. id:([0-9a-f]{12})$`)

func (m moveMark) calendar(scheduleID string) *schedulepb.StructuredCalendarSpec {
	bound := "none"
	if !m.bound.IsZero() {
		bound = m.bound.UTC().Format(time.RFC3339Nano)
	}
	return pastExclusion(fmt.Sprintf("Renaming by compozy-schedules: %s at %s, else %s. id:%s",
		m.stage, m.cutover.UTC().Format(time.RFC3339Nano), bound, idHash(scheduleID)))
}

// readMoveMark finds the mark of this very schedule.
func readMoveMark(scheduleID string, spec *schedulepb.ScheduleSpec) (moveMark, bool) {
	for _, calendar := range spec.GetExcludeStructuredCalendar() {
		m := movePattern.FindStringSubmatch(calendar.GetComment())
		if len(m) == 0 || m[4] != idHash(scheduleID) {
			continue
		}
		cutover, err := time.Parse(time.RFC3339Nano, m[2])
		if err != nil {
			continue
		}
		bound, _ := time.Parse(time.RFC3339Nano, m[3]) // zero for none
		return moveMark{stage: moveStage(m[1]), cutover: cutover, bound: bound}, true
	}
	return moveMark{}, false
}

// withMoveMark replaces the mark of a move; nil removes it.
func withMoveMark(spec *schedulepb.ScheduleSpec, scheduleID string, mark *moveMark) {
	spec.ExcludeStructuredCalendar = slices.DeleteFunc(spec.ExcludeStructuredCalendar,
		func(c *schedulepb.StructuredCalendarSpec) bool { return movePattern.MatchString(c.GetComment()) })
	if mark != nil {
		spec.ExcludeStructuredCalendar = append(spec.ExcludeStructuredCalendar, mark.calendar(scheduleID))
	}
}

const (
	// cutoverLead is the time to do all steps before the cutover. Where it does not do, what was due
	// meanwhile is started after it.
	cutoverLead = 5 * time.Second
	// cutoverMargin is the least time before the cutover at which an end is still set to it.
	cutoverMargin = time.Second
)

// moveAction is the next step of a move.
type moveAction string

const (
	moveCreate moveAction = "create" // the new schedule, paused, from the cutover on
	moveEnd    moveAction = "end"    // the old schedule at the cutover
	moveAlign  moveAction = "align"  // the new schedule with the moment at which the old one really ends
	moveStart  moveAction = "start"  // the new schedule
	moveFill   moveAction = "fill"   // start what was due before the new schedule ran
	moveRetire moveAction = "retire" // see that the old schedule has started all up to its end
	moveWait   moveAction = "wait"   // for the old schedule's last runs
	moveDelete moveAction = "delete" // the old schedule
	moveTake   moveAction = "take"   // a schedule whose ID stays becomes the new project's
	moveMerge  moveAction = "merge"  // both run: the new one takes the old one's pause over
	moveRefuse moveAction = "refuse" // somebody else's schedule has the new ID
	moveDone   moveAction = "done"
)

// moveState is a move as Temporal shows it.
type moveState struct {
	old, new Detail
	// oldID equals newID where the schedule keeps its ID.
	oldID, newID string
	from, to     string
}

// next decides the next step. It is pure. At is the cutover (create, align), the moment to wait for
// (wait), or the end of what is to be filled (fill).
func (s moveState) next(now time.Time) (action moveAction, at time.Time) {
	if s.oldID == s.newID {
		if s.old.Missing || s.old.Owner.Project == s.to {
			return moveDone, time.Time{}
		}
		return moveTake, time.Time{}
	}
	if s.old.Missing || s.old.Owner.Project != s.from {
		return moveDone, time.Time{}
	}
	if s.new.Missing {
		return moveCreate, cutoverAt(now)
	}
	if s.new.Owner.Project != s.to {
		return moveRefuse, time.Time{}
	}
	return s.cutOver(now)
}

// cutOver is the next step where both schedules are there.
func (s moveState) cutOver(now time.Time) (action moveAction, at time.Time) {
	fresh, moving := readMoveMark(s.newID, s.new.Schedule.GetSpec())
	ending, ends := readMoveMark(s.oldID, s.old.Schedule.GetSpec())
	switch {
	case !moving && !ends:
		return moveMerge, time.Time{}
	case !moving:
		return s.last(ending, now)
	case !ends && fresh.cutover.Before(now.Add(cutoverMargin)):
		return moveAlign, cutoverAt(now)
	case !ends:
		return moveEnd, fresh.cutover
	}
	boundary := later(ending.cutover, updateTime(s.old))
	settled := fresh.cutover.Add(jitterOf(s.new) + cutoverMargin)
	switch {
	case fresh.stage == stageWaiting && !fresh.cutover.Equal(boundary):
		return moveAlign, boundary
	case fresh.stage == stageWaiting:
		return moveStart, boundary
	case now.Before(settled):
		// Its start keeps it from runs of before the cutover, which the old one starts; jitter makes them late.
		return moveWait, settled
	default:
		return moveFill, updateTime(s.new)
	}
}

// last ends a move whose new schedule runs: the old one goes when it has started its last run.
func (s moveState) last(ending moveMark, now time.Time) (moveAction, time.Time) {
	over := later(ending.cutover, updateTime(s.old)).Add(jitterOf(s.old) + cutoverMargin)
	switch {
	case ending.stage == stageEnded && s.old.Info.GetBufferSize() > 0:
		return moveWait, now.Add(cutoverMargin)
	case ending.stage == stageEnded:
		return moveDelete, time.Time{}
	case now.Before(over):
		return moveWait, over
	default:
		return moveRetire, time.Time{}
	}
}

// cutoverAt is half a second between two: a run is due at whole seconds.
func cutoverAt(now time.Time) time.Time {
	return now.Add(cutoverLead).Truncate(time.Second).Add(time.Second / 2)
}

// secondAfter is the first whole second after a moment. Temporal lets a schedule run from a second before its
// start time on, which only for whole seconds is from the start time on (docs/temporal.md, "Moving a schedule").
func secondAfter(t time.Time) time.Time { return t.Truncate(time.Second).Add(time.Second) }

func jitterOf(d Detail) time.Duration { return d.Schedule.GetSpec().GetJitter().AsDuration() }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// updateTime is when the schedule's own workflow took its last update over.
func updateTime(d Detail) time.Time {
	if d.Info.GetUpdateTime() == nil {
		return time.Time{}
	}
	return d.Info.GetUpdateTime().AsTime()
}

// copyFor is the new schedule at its creation.
func (s moveState) copyFor(workflowID string, cutover time.Time) *schedulepb.Schedule {
	c := proto.CloneOf(s.old.Schedule)
	mark := moveMark{stage: stageWaiting, cutover: cutover}
	if start := c.GetSpec().GetStartTime(); start != nil {
		mark.bound = start.AsTime()
	}
	c.Spec.ExcludeStructuredCalendar = withoutMark(c.Spec).GetExcludeStructuredCalendar()
	withMoveMark(c.Spec, s.newID, &mark)
	c.Spec.StartTime = timestamppb.New(later(secondAfter(cutover), mark.bound))
	start := c.GetAction().GetStartWorkflow()
	if start.GetWorkflowId() == config.DefaultWorkflowID(s.from, workflowID) {
		start.WorkflowId = config.DefaultWorkflowID(s.to, workflowID)
	}
	c.State = &schedulepb.ScheduleState{
		Paused: true, Notes: movedNote(c.GetState().GetNotes(), s.to),
		LimitedActions: c.GetState().GetLimitedActions(), RemainingActions: c.GetState().GetRemainingActions(),
	}
	return c
}

// movedNote is a note with the new project. The first pass of its reconciler writes the new hash.
func movedNote(text, to string) string {
	note, ok := ParseNote(text)
	if !ok {
		return text
	}
	note.Project = to
	return note.String()
}

// aligned is the new schedule with another cutover.
func (s moveState) aligned(cutover time.Time) *schedulepb.Schedule {
	c := proto.CloneOf(s.new.Schedule)
	mark, _ := readMoveMark(s.newID, c.GetSpec())
	mark.cutover = cutover
	withMoveMark(c.Spec, s.newID, &mark)
	c.Spec.StartTime = timestamppb.New(later(secondAfter(cutover), mark.bound))
	return c
}

// started is the new schedule with the old one's state.
func (s moveState) started() *schedulepb.Schedule {
	c := proto.CloneOf(s.new.Schedule)
	mark, _ := readMoveMark(s.newID, c.GetSpec())
	mark.stage = stageRunning
	withMoveMark(c.Spec, s.newID, &mark)
	c.State = proto.CloneOf(s.old.Schedule.GetState())
	c.State.Notes = movedNote(c.GetState().GetNotes(), s.to)
	return c
}

// settled is the new schedule when nothing more is to be done about it.
func (s moveState) settled() *schedulepb.Schedule {
	c := proto.CloneOf(s.new.Schedule)
	mark, _ := readMoveMark(s.newID, c.GetSpec())
	withMoveMark(c.Spec, s.newID, nil)
	c.Spec.StartTime = nil
	if !mark.bound.IsZero() {
		c.Spec.StartTime = timestamppb.New(mark.bound)
	}
	return c
}

// ended is the old schedule with its end at the cutover; again at a later stage.
func (s moveState) ended(stage moveStage, cutover time.Time) *schedulepb.Schedule {
	c := proto.CloneOf(s.old.Schedule)
	mark, marked := readMoveMark(s.oldID, c.GetSpec())
	if !marked {
		mark.cutover = cutover
		if end := c.GetSpec().GetEndTime(); end != nil {
			mark.bound = end.AsTime()
		}
	}
	mark.stage = stage
	withMoveMark(c.Spec, s.oldID, &mark)
	if mark.bound.IsZero() || mark.bound.After(mark.cutover) {
		c.Spec.EndTime = timestamppb.New(mark.cutover)
	}
	return c
}

// taken is a schedule that keeps its ID, as the new project's.
func (s moveState) taken(owner Owner) *schedulepb.Schedule {
	c := proto.CloneOf(s.old.Schedule)
	c.Spec.ExcludeStructuredCalendar = append(withoutMark(c.Spec).GetExcludeStructuredCalendar(), ownershipMark(owner, s.oldID))
	c.State.Notes = movedNote(c.GetState().GetNotes(), s.to)
	return c
}

// filled is the window of runs that were due after the cutover and before the new schedule ran. An outage
// that was longer than the schedule's own patience is caught up as far as that goes.
func (s moveState) filled(until time.Time) (window *schedulepb.BackfillRequest, ok bool) {
	mark, _ := readMoveMark(s.newID, s.new.Schedule.GetSpec())
	from := mark.cutover
	if catchup := s.new.Schedule.GetPolicies().GetCatchupWindow(); catchup != nil {
		from = later(from, until.Add(-catchup.AsDuration()))
	}
	if s.new.Schedule.GetState().GetPaused() || !from.Before(until) {
		return nil, false
	}
	return &schedulepb.BackfillRequest{StartTime: timestamppb.New(from), EndTime: timestamppb.New(until)}, true
}
