package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
)

// Rename is the signal by which `schedules rename-project` gives a project another name. Exactly one of To and
// From is set.
type Rename struct {
	// To retires the reconciler of the former name: it changes nothing any more and refuses what it is asked.
	To string `json:"to,omitempty"`
	// From makes the reconciler of the new name wait, while the schedules of the former one are moved to it.
	From string `json:"from,omitempty"`
	// Overrides of the former name are taken over.
	Overrides []ActiveOverride `json:"overrides,omitempty"`
	// Done ends the waiting; with To, it forgets the overrides, which have gone over.
	Done bool `json:"done,omitempty"`
}

func (m Rename) check() string {
	if (m.To == "") == (m.From == "") {
		return "a rename names the project's new name (to) or its former one (from)"
	}
	return ""
}

// onRename never fails the workflow. What it asks for is the same however often it is sent.
func (r *reconciler) onRename(ctx workflow.Context, raw converter.RawValue) {
	message := Rename{}
	problem := unreadable(decode(raw, &message))
	if problem == "" {
		problem = message.check()
	}
	if problem != "" {
		workflow.GetLogger(ctx).Error("rename signal refused", "project", r.project, "problem", problem)
		return
	}
	workflow.GetLogger(ctx).Info("renaming", "project", r.project, "to", message.To, "from", message.From, "done", message.Done)
	r.rename(message, workflow.Now(ctx))
	if r.suspended() != "" {
		r.stop()
	}
}

// rename takes a rename over.
func (s *State) rename(m Rename, now time.Time) {
	if m.To != "" {
		s.Status.RenamedTo, s.Status.RenamingFrom = m.To, ""
		if m.Done {
			s.Overrides = nil
		}
		return
	}
	s.Status.RenamedTo, s.Status.RenamingFrom = "", m.From
	for _, o := range m.Overrides {
		i, found := s.overrideAt(o.WorkflowID)
		if found {
			continue // newer: somebody set it under the new name
		}
		o.Seq, o.Pending = s.nextSeq(), false
		s.Overrides = slices.Insert(s.Overrides, i, o)
	}
	if m.Done {
		s.Status.RenamingFrom = ""
		s.Status.Phase, s.Status.Message = PhaseWaiting, waitingMessage
		s.Status.NextResync, s.PassDue = now, s.Status.Revision != ""
	}
}

// suspended says why the reconciler changes nothing, or nothing.
func (s *State) suspended() string {
	switch {
	case s.Status.RenamedTo != "":
		return fmt.Sprintf("project %s is now called %s: ask for that one", s.Status.Project, s.Status.RenamedTo)
	case s.Status.RenamingFrom != "":
		return fmt.Sprintf("the schedules of project %s are being moved here: "+
			"if nobody runs `schedules rename-project --from %s --to %s`, run it again, it goes on where it stopped",
			s.Status.RenamingFrom, s.Status.RenamingFrom, s.Status.Project)
	}
	return ""
}

// suspendedPhase is the phase of a reconciler that changes nothing.
func (s *State) suspendedPhase() Phase {
	if s.Status.RenamedTo != "" {
		return PhaseRenamed
	}
	return PhaseRenaming
}

// MemoRename is the field of the reconciler's memo that tells, once nothing is under way any more, that it is
// suspended: the phase and the other name, as in "renamed to shop". It can be read where no worker is running.
const MemoRename = "rename"

// RenameMemo is the memo of a reconciler that a rename has suspended.
func RenameMemo(m Rename) string {
	if m.To != "" {
		return "renamed to " + m.To
	}
	return "renaming from " + m.From
}

// waitSuspended tells that nothing is under way any more, and waits for the end of the suspension.
func (r *reconciler) waitSuspended(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return r.acting == 0 }); err != nil {
		return err
	}
	reason := r.suspended()
	if reason == "" {
		return nil
	}
	r.Status.Phase, r.Status.Message = r.suspendedPhase(), reason
	r.publish(ctx)
	told := RenameMemo(Rename{To: r.Status.RenamedTo, From: r.Status.RenamingFrom})
	if err := workflow.UpsertMemo(ctx, map[string]any{MemoRename: told}); err != nil {
		return err
	}
	if err := workflow.Await(ctx, func() bool { return r.suspended() != reason || r.historyIsLong(ctx) }); err != nil {
		return err
	}
	if r.suspended() != "" {
		return nil
	}
	return workflow.UpsertMemo(ctx, map[string]any{MemoRename: ""})
}
