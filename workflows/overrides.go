package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compozy/schedules/activities"
)

const (
	// maxOutcomes is how many outcomes are kept.
	maxOutcomes = 1000
	// maxOverrides is how many overrides may be in force: what one run can hand to the next.
	maxOverrides = 20_000
	// The lengths that messages may have, in bytes: they are carried from run to run.
	maxReason    = 500
	maxActor     = 200
	maxRequestID = 200
	maxName      = 200
	// defaultOverridesPage and maxOverridesPage bound a page of the overrides query.
	defaultOverridesPage = 200
	maxOverridesPage     = 1000
)

// check says what is wrong with an override, or nothing.
func (o Override) check() string {
	switch {
	case o.WorkflowID == "":
		return "workflow_id is missing"
	case !slices.Contains([]OverrideAction{ActionPause, ActionResume, ActionDelete, ActionRevert}, o.Action):
		return fmt.Sprintf("unknown action %q: use pause, resume, delete or revert", o.Action)
	case o.ExpiresIn < 0:
		return "expires_in is negative"
	case len(o.Reason) > maxReason:
		return fmt.Sprintf("reason is longer than %d bytes", maxReason)
	}
	return checkLengths(o.WorkflowID, o.RequestID, o.Actor)
}

// check says what is wrong with a run request, or nothing.
func (m Run) check() string {
	switch {
	case m.WorkflowID == "":
		return "workflow_id is missing"
	case m.Action != ActionTrigger && m.Action != ActionBackfill:
		return fmt.Sprintf("unknown action %q: use trigger or backfill", m.Action)
	case m.Action == ActionBackfill && !m.StartAt.Before(m.EndAt):
		return "a backfill needs start_at before end_at"
	case len(m.Reason) > maxReason:
		return fmt.Sprintf("reason is longer than %d bytes", maxReason)
	}
	return checkLengths(m.WorkflowID, m.RequestID, m.Actor)
}

func checkLengths(workflowID, requestID, actor string) string {
	switch {
	case len(workflowID) > maxName:
		return fmt.Sprintf("workflow_id is longer than %d bytes", maxName)
	case len(requestID) > maxRequestID:
		return fmt.Sprintf("request_id is longer than %d bytes", maxRequestID)
	case len(actor) > maxActor:
		return fmt.Sprintf("actor is longer than %d bytes", maxActor)
	}
	return ""
}

// lead is the sentence that people read in the schedule's note.
func (o Override) lead(now time.Time) string {
	verb := map[OverrideAction]string{ActionPause: "Paused", ActionResume: "Resumed"}[o.Action]
	if verb == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(verb + " by " + cmp.Or(o.Actor, "a signal"))
	if o.ExpiresIn > 0 {
		b.WriteString(" until " + now.Add(time.Duration(o.ExpiresIn)).UTC().Format(time.RFC3339))
	}
	if o.Reason != "" {
		b.WriteString(": " + o.Reason)
	}
	if o.Hold {
		b.WriteString(" (kept over reloads)")
	}
	return strings.TrimRight(b.String(), ". ") + "."
}

// overrideAt finds the override of a workflow in the sorted list.
func (s *State) overrideAt(workflowID string) (int, bool) {
	return slices.BinarySearchFunc(s.Overrides, workflowID,
		func(o ActiveOverride, id string) int { return cmp.Compare(o.WorkflowID, id) })
}

// full says that there are too many overrides for one more, or nothing.
func (s *State) full(o Override) string {
	if _, found := s.overrideAt(o.WorkflowID); found || o.Action == ActionRevert || len(s.Overrides) < maxOverrides {
		return ""
	}
	return fmt.Sprintf("%d overrides are in force, as many as there may be: revert some, or change the YAML", maxOverrides)
}

// accept puts an override in force, pending until it is applied; a revert ends the one there is. It
// returns the one that it replaced.
func (s *State) accept(o Override, now time.Time) (replaced ActiveOverride) {
	i, found := s.overrideAt(o.WorkflowID)
	if found {
		replaced = s.Overrides[i]
	}
	if o.Action == ActionRevert {
		s.dropOverride(o.WorkflowID)
		return replaced
	}
	active := ActiveOverride{
		WorkflowID: o.WorkflowID, Action: o.Action, RequestID: o.RequestID, Reason: o.Reason, Actor: o.Actor,
		Since: now, Hold: o.Hold, Pending: true, Seq: s.nextSeq(),
	}
	if o.ExpiresIn > 0 {
		active.ExpiresAt = now.Add(time.Duration(o.ExpiresIn))
	}
	if found {
		s.Overrides[i] = active
	} else {
		s.Overrides = slices.Insert(s.Overrides, i, active)
	}
	return replaced
}

func (s *State) nextSeq() int64 {
	s.Seq++
	return s.Seq
}

func (s *State) dropOverride(workflowID string) {
	if i, found := s.overrideAt(workflowID); found {
		s.Overrides = slices.Delete(s.Overrides, i, i+1)
	}
}

// stands reports whether the override of this request is still the one in force.
func (s *State) stands(workflowID, requestID string) bool {
	i, found := s.overrideAt(workflowID)
	return found && s.Overrides[i].RequestID == requestID
}

// surviving are the overrides that a pass of that kind keeps: a reload ends those that came before it,
// save the held.
func (s *State) surviving(kind activities.PassKind) []ActiveOverride {
	if kind != activities.PassReload {
		return s.Overrides
	}
	var kept []ActiveOverride
	for _, o := range s.Overrides {
		if o.Hold || o.Seq > s.ReloadSeq {
			kept = append(kept, o)
		}
	}
	return kept
}

func actions(overrides []ActiveOverride) map[string]OverrideAction {
	byID := make(map[string]OverrideAction, len(overrides))
	for _, o := range overrides {
		byID[o.WorkflowID] = o.Action
	}
	return byID
}

// endByReload drops the overrides that a reload reverts, when its pass goes past the guard.
func (s *State) endByReload(kind activities.PassKind, now time.Time) {
	kept := s.surviving(kind)
	if len(kept) == len(s.Overrides) {
		return
	}
	standing := actions(kept)
	for _, o := range s.Overrides {
		if _, ok := standing[o.WorkflowID]; !ok && o.Pending {
			s.settle(o.RequestID, OutcomeFailed, FailureConflict, "a reload came before it was applied", now)
		}
	}
	s.Overrides = kept
}

// filter keeps a batch from undoing overrides that came before it.
func (s *State) filter(operations []activities.Operation) []activities.Operation {
	kept := make([]activities.Operation, 0, len(operations))
	for _, op := range operations {
		i, found := s.overrideAt(op.WorkflowID)
		if found && op.Kind != activities.Delete {
			if s.Overrides[i].Action == ActionDelete {
				continue
			}
			if s.Overrides[i].Pending || op.Paused != nil {
				paused := s.Overrides[i].Action == ActionPause
				op.Paused = &paused
			}
		}
		kept = append(kept, op)
	}
	return kept
}

// nextExpiry is the earliest time at which an override ends by itself; zero for none.
func (s *State) nextExpiry() time.Time {
	var next time.Time
	if s.suspended() != "" {
		return next
	}
	for _, o := range s.Overrides {
		if !o.ExpiresAt.IsZero() && (next.IsZero() || o.ExpiresAt.Before(next)) {
			next = o.ExpiresAt
		}
	}
	return next
}

// knows reports whether a request came before.
func (s *State) knows(requestID string) bool {
	return slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { return o.RequestID == requestID })
}

// remember adds an outcome and forgets the oldest.
func (s *State) remember(o Outcome) {
	s.Outcomes = append(s.Outcomes, o)
	if surplus := len(s.Outcomes) - maxOutcomes; surplus > 0 {
		s.Outcomes = slices.Delete(s.Outcomes, 0, surplus)
	}
}

// settle ends a request. What is applied or failed stays so.
func (s *State) settle(requestID string, status OutcomeStatus, reason FailureReason, message string, now time.Time) {
	for i := range slices.Backward(s.Outcomes) {
		o := &s.Outcomes[i]
		if o.RequestID != requestID {
			continue
		}
		if o.Status == OutcomeAccepted {
			o.Status, o.Reason, o.Message, o.At = status, reason, message, now
		}
		return
	}
}

// outcome answers the outcome query: the one that is asked for, else the latest.
func (s *State) outcome(q OutcomeQuery) []Outcome {
	if q.RequestID == "" {
		return s.Outcomes[max(0, len(s.Outcomes)-20):]
	}
	for _, o := range slices.Backward(s.Outcomes) {
		if o.RequestID == q.RequestID {
			return []Outcome{o}
		}
	}
	return []Outcome{{RequestID: q.RequestID, Status: OutcomeUnknown}}
}

// page answers the overrides query.
func (s *State) page(q OverridesQuery) OverridesPage {
	if q.WorkflowID != "" {
		page := OverridesPage{Total: len(s.Overrides)}
		if i, found := s.overrideAt(q.WorkflowID); found {
			page.Overrides = s.Overrides[i : i+1]
		}
		return page
	}
	size := min(cmp.Or(max(q.PageSize, 0), defaultOverridesPage), maxOverridesPage)
	rest := s.Overrides
	if q.After != "" {
		i, found := s.overrideAt(q.After)
		if found {
			i++
		}
		rest = rest[i:]
	}
	page := OverridesPage{Overrides: rest[:min(len(rest), size)], Total: len(s.Overrides)}
	if len(rest) > size {
		page.After = page.Overrides[size-1].WorkflowID
	}
	return page
}
