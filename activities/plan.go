package activities

import (
	"cmp"
	"slices"
	"strings"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
)

// PassKind says what started a pass, and with it how much of what people did at run time it keeps.
type PassKind string

const (
	// PassStart is the first pass of a reconciler that knows no history. It keeps pauses: it cannot
	// tell them from an override of a lost reconciler.
	PassStart PassKind = "start"
	// PassReload takes a new revision over. It reverts pauses to the YAML.
	PassReload PassKind = "reload"
	// PassResync repeats the same revision. It keeps pauses and reports hand edits as drift.
	PassResync PassKind = "resync"
)

// Kind is what an operation does to a schedule.
type Kind string

// The operations of a plan.
const (
	Create Kind = "create"
	Update Kind = "update"
	Delete Kind = "delete"
)

// Operation is one change that makes one schedule equal to the YAML.
type Operation struct {
	Kind       Kind   `json:"kind"`
	WorkflowID string `json:"workflow_id"`
	// Spec is the short spec hash that the schedule has afterwards; empty after a delete.
	Spec string `json:"spec,omitempty"`
	// Paused sets the paused state. Nil keeps what the schedule has; a new one gets the YAML's.
	Paused *bool `json:"paused,omitempty"`
}

// ProblemKind groups what keeps a schedule from being as the YAML says.
type ProblemKind string

const (
	// ProblemConflict is a wanted ID that somebody else's schedule has. It is left as it is.
	ProblemConflict ProblemKind = "conflict"
	// ProblemRefused is a schedule that Temporal refuses, for a reason that only a change can mend.
	ProblemRefused ProblemKind = "refused"
	// ProblemDrift is a hand edit of a schedule.
	ProblemDrift ProblemKind = "drift"
)

// Problem says why one schedule is not as the YAML says, and what to do.
type Problem struct {
	Kind       ProblemKind `json:"kind"`
	WorkflowID string      `json:"workflow_id"`
	ScheduleID string      `json:"schedule_id"`
	Message    string      `json:"message"`
}

// Counts are what a plan is about.
type Counts struct {
	// Desired is how many schedules the YAML wants; Owned how many of ours Temporal has.
	Desired int `json:"desired"`
	Owned   int `json:"owned"`
	// Paused is how many of them are paused, or will be created paused.
	Paused int `json:"paused"`
	// Unchanged is how many are as the YAML says. Ended are those with an end_at in the past, which are
	// not created again.
	Unchanged int `json:"unchanged"`
	Ended     int `json:"ended"`
	// Removed is how many an override keeps away.
	Removed int `json:"removed,omitempty"`
	// Create, Update and Delete are how many operations the plan has of each kind.
	Create int `json:"create"`
	Update int `json:"update"`
	Delete int `json:"delete"`
}

// Listed is one entry of the list, as far as the plan needs it.
type Listed struct {
	ScheduleID   string
	Project      string
	WorkflowID   string
	Owned        bool
	Paused       bool
	Note         string
	Spec         *schedulepb.ScheduleSpec
	WorkflowType string
	// NextRuns are the next times of a run, at most five, also of a paused schedule.
	NextRuns []time.Time
	// LastRun is nil where there was none.
	LastRun *LastRun
}

// LastRun is the latest run that a schedule started.
type LastRun struct {
	// WorkflowID and RunID are the run's own.
	WorkflowID string
	RunID      string
	At         time.Time
	// Status is what the schedule knows of it. It looks only when it has to, so a run that it calls
	// running may have ended: Server.CurrentStatus asks the run.
	Status string
}

// Described is the current state of one schedule.
type Described struct {
	Missing  bool
	Owned    bool
	Schedule *schedulepb.Schedule
}

// Write is something that the reconciler wrote a moment ago, which the list may not show yet.
type Write struct {
	WorkflowID string `json:"workflow_id"`
	// Spec is the short spec hash written; empty where only the paused state was, or for a delete.
	Spec string `json:"spec,omitempty"`
	// Paused is the paused state written, where one was.
	Paused  *bool `json:"paused,omitempty"`
	Deleted bool  `json:"deleted,omitempty"`
}

// Actual is everything known of the actual state when a plan is made.
type Actual struct {
	Listed    []Listed
	Described map[string]Described
}

// Plan is what makes the actual state equal to the desired one.
type Plan struct {
	// Operations are in order of their workflow ids.
	Operations []Operation
	Counts     Counts
	Problems   []Problem
	// Doubtful are the schedule IDs that the list cannot decide: describe them and plan again.
	Doubtful []string
}

// Request is what a plan is made for.
type Request struct {
	Project string
	Kind    PassKind
	// Recent are writes that the list may contradict.
	Recent []Write
	// Overrides are in force, by workflow id. Reverts are workflow ids whose pause goes back to the YAML.
	Overrides map[string]OverrideAction
	Reverts   []string
	Now       time.Time
}

// MakePlan compares desired (in order of workflow ids) with actual. It is pure: the same values give
// the same plan. Where the list cannot decide, it names the schedule in Doubtful; called again with
// that schedule described, it decides.
func MakePlan(request Request, desired []Desired, actual Actual) Plan {
	p := planner{Request: request, described: actual.Described, recent: map[string]Write{}}
	for _, write := range request.Recent {
		p.recent[write.WorkflowID] = write
	}
	listed := make(map[string]Listed, len(actual.Listed))
	entries := make([]Listed, 0, len(actual.Listed))
	for _, entry := range actual.Listed {
		if _, again := listed[entry.ScheduleID]; again {
			continue // pages shift while schedules are created
		}
		listed[entry.ScheduleID] = entry
		entries = append(entries, entry)
		if entry.OwnedBy(request.Project) {
			p.plan.Counts.Owned++
			if entry.Paused {
				p.plan.Counts.Paused++
			}
		}
	}
	wanted := make(map[string]bool, len(desired))
	for _, d := range desired {
		wanted[d.ScheduleID] = true
		entry, found := listed[d.ScheduleID]
		p.want(d, entry, found)
	}
	for _, entry := range entries {
		if !wanted[entry.ScheduleID] && entry.OwnedBy(request.Project) {
			p.unwanted(entry)
		}
	}
	p.plan.Counts.Desired = len(desired)
	slices.SortStableFunc(p.plan.Operations, func(a, b Operation) int { return cmp.Compare(a.WorkflowID, b.WorkflowID) })
	return p.plan
}

// OwnedBy reports whether the memo says that the schedule is the project's.
func (l Listed) OwnedBy(project string) bool {
	return l.Owned && l.Project == project && ScheduleID(l.Project, l.WorkflowID) == l.ScheduleID
}

type planner struct {
	Request
	described map[string]Described
	recent    map[string]Write
	plan      Plan
}

// want plans for a schedule that the YAML wants.
func (p *planner) want(d Desired, entry Listed, found bool) {
	if p.Overrides[d.WorkflowID] == Remove {
		p.plan.Counts.Removed++
		if found && entry.OwnedBy(p.Project) {
			p.unwanted(entry)
		}
		return
	}
	if described, ok := p.described[d.ScheduleID]; ok {
		p.wantDescribed(d, described)
		return
	}
	write, wrote := p.recent[d.WorkflowID]
	switch {
	case p.ended(d) && (!found || !entry.OwnedBy(p.Project)):
		p.plan.Counts.Ended++
	case !found && wrote && !write.Deleted:
		p.doubt(d.ScheduleID) // written a moment ago, not listed yet
	case !found:
		p.create(d)
	case !entry.OwnedBy(p.Project):
		p.conflict(d)
	case wrote && p.contradicts(write, entry):
		p.doubt(d.ScheduleID)
	default:
		p.wantListed(d, entry)
	}
}

// contradicts reports whether a list entry shows something else than what was written to it a moment
// ago: then it shows the past, or someone came after us.
func (p *planner) contradicts(write Write, entry Listed) bool {
	note, ok := p.note(entry.Note)
	return write.Deleted || write.Spec != "" && (!ok || note.Hash != write.Spec) ||
		write.Paused != nil && entry.Paused != *write.Paused
}

func (p *planner) wantListed(d Desired, entry Listed) {
	note, ok := p.note(entry.Note)
	switch paused := p.paused(d, entry.Paused, note, ok); {
	case !ok:
		p.doubt(d.ScheduleID) // someone replaced the note, and may have changed more
	case note.Hash != d.Hash, note.Enabled != d.Enabled, paused != nil:
		p.update(d, paused)
	case !sameListed(d.Schedule, entry.Spec, entry.WorkflowType):
		p.doubt(d.ScheduleID)
	default:
		p.asWanted(d)
	}
}

func (p *planner) wantDescribed(d Desired, actual Described) {
	switch {
	case p.ended(d) && (actual.Missing || !actual.Owned):
		p.plan.Counts.Ended++
		return
	case actual.Missing:
		p.create(d)
		return
	case !actual.Owned:
		p.conflict(d)
		return
	}
	note, ok := p.note(actual.Schedule.GetState().GetNotes())
	paused := p.paused(d, actual.Schedule.GetState().GetPaused(), note, ok)
	differences := Compare(d.Schedule, actual.Schedule)
	switch {
	case ok && note.Enabled != d.Enabled, paused != nil:
		p.update(d, paused) // as from the list: who changes it anyway puts it back
	case len(differences) > 0 && p.isDrift(d, note, ok):
		p.drift(d, differences)
	case len(differences) > 0, !ok, note.Hash != d.Hash:
		p.update(d, paused)
	default:
		p.asWanted(d)
	}
}

// asWanted counts a schedule that needs nothing.
func (p *planner) asWanted(d Desired) {
	if p.ended(d) {
		p.plan.Counts.Ended++
	} else {
		p.plan.Counts.Unchanged++
	}
}

// note reads a note of this project's.
func (p *planner) note(text string) (Note, bool) {
	note, ok := ParseNote(text)
	return note, ok && note.Project == p.Project
}

// isDrift tells a hand edit from a change of the YAML: on an unchanged revision, or where the note
// still shows the hash that the YAML has, only a hand can have changed the schedule.
func (p *planner) isDrift(d Desired, note Note, ours bool) bool {
	return p.Kind == PassResync && !ours || ours && note.Hash == d.Hash
}

// paused decides the paused state: nil keeps it. A reload reverts it to the YAML. Other passes keep
// what people set, unless the YAML's own wish changed since the note was written.
func (p *planner) paused(d Desired, actual bool, note Note, ours bool) *bool {
	desired := !d.Enabled
	enforce := p.Kind == PassReload || ours && note.Enabled != d.Enabled || slices.Contains(p.Reverts, d.WorkflowID)
	if override, ok := p.Overrides[d.WorkflowID]; ok {
		// Held over the reload. Else it stands, or somebody came after it: both are kept.
		desired, enforce = override == Pause, p.Kind == PassReload
	}
	if actual == desired || !enforce {
		return nil
	}
	return &desired
}

// unwanted plans for an owned schedule that the YAML does not want.
func (p *planner) unwanted(entry Listed) {
	if described, ok := p.described[entry.ScheduleID]; ok {
		if !described.Missing && described.Owned {
			p.remove(entry)
		}
		return
	}
	if write, wrote := p.recent[entry.WorkflowID]; wrote && write.Deleted {
		p.doubt(entry.ScheduleID) // deleted a moment ago, still listed
		return
	}
	p.remove(entry)
}

func (p *planner) ended(d Desired) bool {
	return !d.EndAt.IsZero() && !d.EndAt.After(p.Now)
}

func (p *planner) create(d Desired) {
	p.plan.Counts.Create++
	op := Operation{Kind: Create, WorkflowID: d.WorkflowID, Spec: d.Hash}
	if !d.Enabled {
		p.plan.Counts.Paused++
	}
	if override, ok := p.Overrides[d.WorkflowID]; ok {
		paused := override == Pause
		op.Paused = &paused
	}
	p.plan.Operations = append(p.plan.Operations, op)
}

func (p *planner) update(d Desired, paused *bool) {
	p.plan.Counts.Update++
	p.plan.Operations = append(p.plan.Operations,
		Operation{Kind: Update, WorkflowID: d.WorkflowID, Spec: d.Hash, Paused: paused})
}

func (p *planner) remove(entry Listed) {
	p.plan.Counts.Delete++
	p.plan.Operations = append(p.plan.Operations, Operation{Kind: Delete, WorkflowID: entry.WorkflowID})
}

func (p *planner) doubt(scheduleID string) {
	p.plan.Doubtful = append(p.plan.Doubtful, scheduleID)
}

func (p *planner) conflict(d Desired) {
	p.plan.Problems = append(p.plan.Problems, conflictProblem(d.WorkflowID, d.ScheduleID))
}

func (p *planner) drift(d Desired, differences []Difference) {
	fields := make([]string, len(differences))
	for i, difference := range differences {
		fields[i] = difference.Field
	}
	p.plan.Problems = append(p.plan.Problems, Problem{
		Kind: ProblemDrift, WorkflowID: d.WorkflowID, ScheduleID: d.ScheduleID,
		Message: "changed by hand in Temporal: " + strings.Join(fields, ", "),
	})
}

func conflictProblem(workflowID, scheduleID string) Problem {
	return Problem{
		Kind: ProblemConflict, WorkflowID: workflowID, ScheduleID: scheduleID,
		Message: "a schedule with this ID exists and is not owned by this project; it is left as it is: " +
			"delete it, or give the workflow another id",
	}
}
