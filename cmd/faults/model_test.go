package faults_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// The schedules of a life, by number. Each part has one kind of override, so that what must hold is plain.
const (
	heldUntil    = 60  // pauses and deletes with hold: they outlive reloads
	pausedUntil  = 85  // pauses without
	deletedUntil = 100 // deletes without
	enabledUntil = 115 // their files' `enabled` changes
	removedUntil = 135 // their files come and go
	wholeLife    = 150 // the last of all is triggered, and its file never changes
)

// belief is what is known about the override of one workflow.
type belief struct {
	action workflows.OverrideAction // empty: none
	hold   bool
	// doubtful: a reload may have ended it, and may not. seen: it was in force when all was at rest.
	doubtful, seen bool
}

// model keeps what a life's client was told: a signal that was answered with OK counts.
type model struct {
	random  *rand.Rand
	beliefs map[string]belief
	// requests are those of overrides that were not seen to come to their end yet.
	requests map[string]bool
	last     []workflows.Override
	sent     int
	// reloading: files changed, and the reconciler was not seen to know it. What comes meanwhile may come before the
	// reload or after.
	reloading bool
}

func name(i int) string { return fmt.Sprintf("wf-%04d", i) }

// next thinks up an override that makes sense.
func (m *model) next() workflows.Override {
	i := m.random.IntN(deletedUntil)
	o := workflows.Override{WorkflowID: name(i), Hold: i < heldUntil, Actor: "ann", Reason: fmt.Sprintf("reason %d", m.sent)}
	o.RequestID = fmt.Sprintf("request-%05d", m.sent)
	m.sent++
	is := m.beliefs[o.WorkflowID].action
	may := []workflows.OverrideAction{workflows.ActionPause, workflows.ActionPause, workflows.ActionResume, workflows.ActionRevert}
	switch {
	case is == workflows.ActionDelete:
		may = []workflows.OverrideAction{workflows.ActionRevert}
	case i >= pausedUntil:
		may = []workflows.OverrideAction{workflows.ActionDelete}
	case i < heldUntil:
		may = append(may, workflows.ActionDelete)
	}
	o.Action = may[m.random.IntN(len(may))]
	return o
}

// accepted takes over that the server answered a signal with OK.
func (m *model) accepted(o workflows.Override) {
	m.requests[o.RequestID] = true
	m.last = append(m.last, o)
	b := belief{action: o.Action, hold: o.Hold}
	if o.Action == workflows.ActionRevert || o.Action == workflows.ActionResume {
		b.action = "" // the files enable all of these
	}
	b.doubtful = b.action != "" && !b.hold && m.reloading
	m.beliefs[o.WorkflowID] = b
}

// changed takes over that files changed: each override without hold that was in force ends. One that was just sent
// may.
func (m *model) changed() {
	m.reloading = true
	for id, b := range m.beliefs {
		switch {
		case b.action == "" || b.hold:
		case b.seen:
			b = belief{}
		default:
			b.doubtful = true
		}
		m.beliefs[id] = b
	}
}

// differences says where the overrides in force, at rest, are not what was accepted. What was doubtful is known then.
func (m *model) differences(inForce map[string]workflows.ActiveOverride) (found []string) {
	for id, b := range m.beliefs {
		o, there := inForce[id]
		switch {
		case there && o.Pending:
			found = append(found, id+": still pending")
		case b.doubtful && !there:
			b.action = ""
		case b.action == "" && there:
			found = append(found, fmt.Sprintf("%s: %s is in force (%s), want none", id, o.Action, o.RequestID))
		case b.action != "" && (!there || o.Action != b.action || o.Hold != b.hold):
			found = append(found, fmt.Sprintf("%s: want %s (hold %v), in force is %q (%s)", id, b.action, b.hold, o.Action, o.RequestID))
		}
		b.doubtful, b.seen = false, b.action != ""
		m.beliefs[id] = b
	}
	for id := range inForce {
		if _, known := m.beliefs[id]; !known {
			found = append(found, id+": nobody asked for its override")
		}
	}
	slices.Sort(found)
	return found
}

// kept are the overrides that stand against the files.
func (m *model) kept() map[string]schedulestest.Kept {
	kept := map[string]schedulestest.Kept{}
	for id, b := range m.beliefs {
		if b.action != "" {
			kept[id] = schedulestest.Kept{Paused: b.action == workflows.ActionPause, Deleted: b.action == workflows.ActionDelete}
		}
	}
	return kept
}
