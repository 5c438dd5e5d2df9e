package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/config"
)

// updateTries bounds how often an update starts again because somebody changed the schedule meanwhile.
const updateTries = 10

// upsert makes one schedule equal to the YAML, whatever is there now.
func (a *Activities) upsert(ctx context.Context, op Operation) (outcome, *Problem, error) {
	desired, ok := a.byID[op.WorkflowID]
	if !ok || desired.Hash != op.Spec {
		return unchanged, nil, nonRetryable("WrongRevision",
			fmt.Errorf("workflow %s has no schedule with hash %s in revision %s", op.WorkflowID, op.Spec, a.revision))
	}
	if op.Kind == Create {
		err := a.create(ctx, desired, op)
		if !alreadyExists(err) {
			return a.done(desired, created, err)
		}
	}
	done, err := a.converge(ctx, desired, op)
	return a.done(desired, done, err)
}

// notOwnedError is a schedule that somebody else has under our ID.
type notOwnedError struct{ owner Owner }

func (notOwnedError) Error() string { return "not owned by this project" }

// done turns an error that no retry can mend into a problem of this one schedule.
func (a *Activities) done(desired Desired, done outcome, err error) (outcome, *Problem, error) {
	var notOwned notOwnedError
	switch {
	case err == nil:
		return done, nil, nil
	case errors.As(err, &notOwned):
		problem := conflictProblem(desired, notOwned.owner)
		return unchanged, &problem, nil
	case isPermanent(err):
		return unchanged, &Problem{
			Kind: ProblemRefused, WorkflowID: desired.WorkflowID, ScheduleID: desired.ScheduleID,
			Message: fmt.Sprintf("Temporal refused it; change the workflow's file: %v", err),
		}, nil
	default:
		return unchanged, nil, err
	}
}

func (a *Activities) create(ctx context.Context, desired Desired, op Operation) error {
	return a.server.create(ctx, a.owner(desired), desired.ScheduleID, a.fresh(desired, op))
}

func (a *Activities) owner(desired Desired) Owner {
	return Owner{Project: a.project, WorkflowID: desired.WorkflowID}
}

// write is the desired schedule as it is sent: its runs will tell the revision that wrote it.
func (a *Activities) write(desired Desired) *schedulepb.Schedule {
	schedule := desired.Schedule()
	fields := schedule.GetAction().GetStartWorkflow().GetMemo().GetFields()
	if _, taken := fields[memoRevision]; !taken {
		fields[memoRevision] = a.revisionMemo
	}
	return schedule
}

// fresh is a schedule that does not exist yet.
func (a *Activities) fresh(desired Desired, op Operation) *schedulepb.Schedule {
	schedule := a.write(desired)
	schedule.State = &schedulepb.ScheduleState{Paused: !desired.Enabled, Notes: a.note(desired, "")}
	if op.Paused != nil {
		schedule.State.Paused = *op.Paused
	}
	return schedule
}

func (a *Activities) note(desired Desired, lead string) string {
	return Note{Lead: lead, Project: a.project, Enabled: desired.Enabled, Hash: desired.Hash}.String()
}

// converge updates until a describe shows that the update holds: Temporal's default scheduler answers
// OK to an update whose token is stale and drops it (docs/temporal.md, "Updates").
func (a *Activities) converge(ctx context.Context, desired Desired, op Operation) (outcome, error) {
	done := unchanged
	var first *schedulepb.Schedule
	for range updateTries {
		actual, token, err := a.server.current(ctx, desired.ScheduleID)
		switch {
		case err != nil:
			return done, err
		case actual.Missing:
			err := a.create(ctx, desired, op)
			if alreadyExists(err) {
				continue
			}
			return created, err
		case actual.Owner.Project != a.project && !desired.mayAdopt(actual.Owner):
			return done, notOwnedError{actual.Owner}
		}
		if first == nil {
			first = actual.Schedule
		}
		next := a.next(desired, op, first, actual)
		if a.isOwn(actual) && len(Compare(desired.Schedule(), actual.Schedule)) == 0 &&
			proto.Equal(next.GetState(), actual.Schedule.GetState()) {
			return done, nil
		}
		err = a.server.update(ctx, desired.ScheduleID, next, token)
		if err != nil && !isStaleToken(err) {
			return done, err
		}
		done = updated
	}
	return done, fmt.Errorf("update schedule %s: somebody else changed it %d times meanwhile", desired.ScheduleID, updateTries)
}

// next is what the schedule is to become. Its state keeps what we do not decide (remaining actions),
// and a pause or resume that came after our first look.
func (a *Activities) next(desired Desired, op Operation, first *schedulepb.Schedule, actual Described) *schedulepb.Schedule {
	next := a.write(desired)
	if actual.Marked || !a.isOwn(actual) {
		next.Spec.ExcludeStructuredCalendar = append(next.Spec.ExcludeStructuredCalendar,
			ownershipMark(a.owner(desired), desired.ScheduleID))
	}
	state := actual.Schedule.GetState()
	next.State = proto.CloneOf(state)
	if next.State == nil {
		next.State = &schedulepb.ScheduleState{}
	}
	untouched := first.GetState().GetPaused() == state.GetPaused() && first.GetState().GetNotes() == state.GetNotes()
	if op.Paused != nil && untouched {
		next.State.Paused = *op.Paused
	}
	next.State.Notes = a.note(desired, a.lead(desired, state, next.State.Paused))
	return next
}

// isOwn reports whether the schedule is known as ours by what lasts.
func (a *Activities) isOwn(actual Described) bool {
	return actual.Lasting && actual.Owner.Project == a.project
}

// lead keeps what someone said about a pause for as long as it differs from the YAML.
func (a *Activities) lead(desired Desired, state *schedulepb.ScheduleState, paused bool) string {
	if paused == !desired.Enabled {
		return ""
	}
	if note, ok := ParseNote(state.GetNotes()); ok {
		return note.Lead
	}
	return state.GetNotes()
}

func (a *Activities) scheduleIDOf(op Operation) string {
	return cmp.Or(op.ScheduleID, config.DefaultScheduleID(a.project, op.WorkflowID))
}

// remove deletes one schedule if it is ours.
func (a *Activities) remove(ctx context.Context, op Operation) (outcome, *Problem, error) {
	id := a.scheduleIDOf(op)
	actual, _, err := a.server.current(ctx, id)
	if err == nil {
		if actual.Missing || actual.Owner.Project != a.project {
			return unchanged, nil, nil
		}
		err = a.server.delete(ctx, id)
	}
	var notFound *serviceerror.NotFound
	switch {
	case err == nil:
		return deleted, nil, nil
	case errors.As(err, &notFound):
		return unchanged, nil, nil
	case isPermanent(err):
		return unchanged, &Problem{
			Kind: ProblemRefused, WorkflowID: op.WorkflowID, ScheduleID: id,
			Message: fmt.Sprintf("Temporal refused to delete it: %v", err),
		}, nil
	}
	return unchanged, nil, err
}

func alreadyExists(err error) bool {
	var exists *serviceerror.AlreadyExists
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	return errors.As(err, &exists) || errors.As(err, &started) || errors.Is(err, temporal.ErrScheduleAlreadyRunning)
}

// isStaleToken is the newer scheduler's word for an update that came too late.
func isStaleToken(err error) bool {
	var precondition *serviceerror.FailedPrecondition
	return errors.As(err, &precondition)
}
