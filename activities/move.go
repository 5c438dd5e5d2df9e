package activities

import (
	"context"
	"fmt"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"

	"github.com/compozy/schedules/config"
)

// Move is one schedule that goes from one project's name to another's.
type Move struct {
	WorkflowID string `json:"workflow_id"`
	// OldID and NewID are schedule IDs; equal where the workflow's file names the ID.
	OldID    string `json:"old_id"`
	NewID    string `json:"new_id"`
	From, To string `json:"-"`
}

// Moves are the schedules that project from owns, those too whose ID their file names: the whole namespace is
// listed for them.
func (s *Server) Moves(ctx context.Context, from, to string) ([]Move, error) {
	entries, err := s.List(ctx, Scope{Whole: true})
	if err != nil {
		return nil, err
	}
	var moves []Move
	for _, entry := range entries {
		if !entry.OwnedBy(from) {
			continue
		}
		move := Move{WorkflowID: entry.Owner.WorkflowID, OldID: entry.ScheduleID, NewID: entry.ScheduleID, From: from, To: to}
		if entry.otherID() == "" {
			move.NewID = config.DefaultScheduleID(to, move.WorkflowID)
		}
		moves = append(moves, move)
	}
	return moves, nil
}

// Taken says whose the schedule is that has the new ID and is not the new project's; empty where there is
// none.
func (s *Server) Taken(ctx context.Context, m Move) (string, error) {
	if m.OldID == m.NewID {
		return "", nil
	}
	actual, _, err := s.current(ctx, m.NewID)
	switch {
	case err != nil, actual.Missing, actual.Owner.Project == m.To:
		return "", err
	case actual.Owner.None():
		return "nobody's project owns it", nil
	default:
		return "project " + actual.Owner.Project + " owns it", nil
	}
}

// Move does the next step of a move, as Temporal shows it. It is done where done is true; else the step
// after it is due at the returned time. Steps can be repeated, by any process.
func (s *Server) Move(ctx context.Context, m Move) (done bool, at time.Time, err error) {
	state := moveState{oldID: m.OldID, newID: m.NewID, from: m.From, to: m.To}
	if state.old, err = s.Describe(ctx, m.OldID); err != nil {
		return false, time.Time{}, err
	}
	if state.new, err = s.Describe(ctx, m.NewID); err != nil {
		return false, time.Time{}, err
	}
	action, at := state.next(time.Now())
	if action == moveDone || action == moveWait {
		return action == moveDone, at, nil
	}
	if err := s.step(ctx, m, state, action, at); err != nil {
		return false, time.Time{}, fmt.Errorf("move schedule %s to %s (%s): %w", m.OldID, m.NewID, action, err)
	}
	return false, time.Time{}, nil
}

func (s *Server) step(ctx context.Context, m Move, state moveState, action moveAction, at time.Time) error {
	switch action {
	case moveCreate:
		err := s.create(ctx, Owner{Project: m.To, WorkflowID: m.WorkflowID}, m.NewID, state.copyFor(m.WorkflowID, at))
		if alreadyExists(err) {
			return nil // by another process: the next step sees it
		}
		return err
	case moveAlign:
		return s.replace(ctx, m.NewID, state.new, state.aligned(at))
	case moveEnd:
		return s.replace(ctx, m.OldID, state.old, state.ended(stageEnding, at))
	case moveStart:
		return s.replace(ctx, m.NewID, state.new, state.started())
	case moveFill:
		if window, ok := state.filled(at); ok {
			patch := &schedulepb.SchedulePatch{BackfillRequest: []*schedulepb.BackfillRequest{window}}
			id := fmt.Sprintf("rename/%s/%d", m.OldID, window.GetStartTime().AsTime().UnixNano())
			if err := s.patch(ctx, m.NewID, patch, id); err != nil {
				return err
			}
		}
		return s.replace(ctx, m.NewID, state.new, state.settled())
	case moveRetire:
		return s.replace(ctx, m.OldID, state.old, state.ended(stageEnded, at))
	case moveTake:
		return s.replace(ctx, m.OldID, state.old, state.taken(Owner{Project: m.To, WorkflowID: m.WorkflowID}))
	case moveMerge:
		return s.merge(ctx, m, state)
	case moveDelete:
		return ignoreNotFound(s.delete(ctx, m.OldID))
	default:
		return fmt.Errorf("schedule %s exists and is not project %s's: rename or delete it, then go on", m.NewID, m.To)
	}
}

// merge ends the old schedule where the new project has made its own already.
func (s *Server) merge(ctx context.Context, m Move, state moveState) error {
	was, is := state.old.Schedule.GetState(), state.new.Schedule.GetState()
	if was.GetPaused() && !is.GetPaused() {
		patch := &schedulepb.SchedulePatch{Pause: movedNote(was.GetNotes(), m.To)}
		if err := s.patch(ctx, m.NewID, patch, "rename/"+m.OldID); err != nil {
			return err
		}
	}
	return ignoreNotFound(s.delete(ctx, m.OldID))
}

// replace makes one try to write a schedule that is still as it was seen. Where somebody changed it
// meanwhile nothing is written (docs/temporal.md, "Updates"), and the next step is decided anew.
func (s *Server) replace(ctx context.Context, id string, seen Detail, next *schedulepb.Schedule) error {
	err := s.update(ctx, id, next, seen.token)
	if isStaleToken(err) {
		return nil
	}
	return ignoreNotFound(err)
}
