package activities

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"

	"github.com/compozy/schedules/config"
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
	// ScheduleID is empty where it is the default.
	ScheduleID string `json:"schedule_id,omitempty"`
	// Paused sets the paused state. Nil keeps what the schedule has; a new one gets the YAML's.
	Paused *bool `json:"paused,omitempty"`
	// Adopts is true where the schedule is nobody's and becomes the project's.
	Adopts bool `json:"adopts,omitempty"`
	// Corrects names the fields of a hand edit that the operation puts back.
	Corrects []string `json:"corrects,omitempty"`
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
	// Drifted is how many somebody changed by hand.
	Drifted int `json:"drifted,omitempty"`
	// PausedByTemporal is how many Temporal itself paused, because a run failed (pause_on_failure).
	PausedByTemporal int `json:"paused_by_temporal,omitempty"`
	// Adopt is how many of the updates take a schedule over.
	Adopt int `json:"adopt,omitempty"`
	// Create, Update and Delete are how many operations the plan has of each kind.
	Create int `json:"create"`
	Update int `json:"update"`
	Delete int `json:"delete"`
}

// Listed is one entry of the list, as far as the plan needs it.
type Listed struct {
	ScheduleID   string
	Owner        Owner
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
	Missing bool
	Owner   Owner
	// Lasting is true where the owner is known by the memo of the schedule or by the mark of an adoption
	// (Marked), and not only by the memo of its runs.
	Lasting, Marked bool
	Schedule        *schedulepb.Schedule
}

// Write is something that the reconciler wrote a moment ago, which the list may not show yet.
type Write struct {
	WorkflowID string `json:"workflow_id"`
	// ScheduleID is empty where it is the default.
	ScheduleID string `json:"schedule_id,omitempty"`
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
	// Drifted are the workflow ids with a hand edit that the plan leaves as it is.
	Drifted []string
	// OtherIDs are the schedules whose ID is not the default, wanted or owned; the wanted come first.
	OtherIDs []Ref
	// KeptAway are the workflow ids that the YAML wants and that an override deletes.
	KeptAway []string
}

// Ref names a schedule and the workflow that it is for.
type Ref struct {
	WorkflowID string `json:"workflow_id"`
	ScheduleID string `json:"schedule_id"`
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
	// Also are schedule IDs that were the project's before and that its prefix does not find.
	Also []string
	// Whole is true where nobody knows those, so that the whole namespace is to be listed.
	Whole bool
	// Suspects are workflow ids to describe whatever the list shows.
	Suspects []string
	// Correct puts hand edits back instead of reporting them.
	Correct bool
	Now     time.Time
}

// MakePlan compares desired (in order of workflow ids) with actual. It is pure: the same values give
// the same plan. Where the list cannot decide, it names the schedule in Doubtful; called again with
// that schedule described, it decides.
func MakePlan(request Request, desired []Desired, actual Actual) Plan {
	p := newPlanner(request, actual)
	listed := make(map[string]Listed, len(actual.Listed))
	entries := make([]Listed, 0, len(actual.Listed))
	for _, entry := range actual.Listed {
		if _, again := listed[entry.ScheduleID]; again {
			continue // pages shift while schedules are created
		}
		if d, ok := actual.Described[entry.ScheduleID]; ok && entry.Owner.None() {
			entry.Owner = d.Owner // a describe shows more of whose it is
		}
		listed[entry.ScheduleID] = entry
		entries = append(entries, entry)
		if entry.OwnedBy(request.Project) {
			p.countOwned(entry)
		}
	}
	wanted := make(map[string]bool, len(desired))
	for _, d := range desired {
		wanted[d.ScheduleID] = true
		if d.hasOtherID(request.Project) {
			p.plan.OtherIDs = append(p.plan.OtherIDs, Ref{d.WorkflowID, d.ScheduleID})
		}
		entry, found := listed[d.ScheduleID]
		p.want(d, entry, found)
	}
	for _, entry := range entries {
		switch {
		case wanted[entry.ScheduleID]:
		case entry.OwnedBy(request.Project):
			if entry.otherID() != "" {
				p.plan.OtherIDs = append(p.plan.OtherIDs, Ref{entry.Owner.WorkflowID, entry.ScheduleID})
			}
			p.unwanted(entry)
		case entry.Owner.None() && slices.Contains(request.Also, entry.ScheduleID):
			p.doubtOwner(entry)
		}
	}
	p.plan.Counts.Desired = len(desired)
	slices.SortStableFunc(p.plan.Operations, func(a, b Operation) int { return cmp.Compare(a.WorkflowID, b.WorkflowID) })
	return p.plan
}

// OwnedBy reports whether the schedule is the project's.
func (l Listed) OwnedBy(project string) bool { return l.Owner.Project == project }

// otherID is the schedule's ID where that is not its workflow's default.
func (l Listed) otherID() string {
	if l.ScheduleID == config.DefaultScheduleID(l.Owner.Project, l.Owner.WorkflowID) {
		return ""
	}
	return l.ScheduleID
}

type planner struct {
	Request
	described map[string]Described
	recent    map[string]Write
	suspects  map[string]bool
	plan      Plan
}

func newPlanner(request Request, actual Actual) *planner {
	p := &planner{
		Request: request, described: actual.Described, recent: map[string]Write{}, suspects: map[string]bool{},
	}
	for _, write := range request.Recent {
		p.recent[cmp.Or(write.ScheduleID, config.DefaultScheduleID(request.Project, write.WorkflowID))] = write
	}
	for _, workflowID := range request.Suspects {
		p.suspects[workflowID] = true
	}
	return p
}

func (p *planner) countOwned(entry Listed) {
	p.plan.Counts.Owned++
	if entry.Paused {
		p.plan.Counts.Paused++
		if PausedByTemporal(entry.Note) {
			p.plan.Counts.PausedByTemporal++
		}
	}
}

// want plans for a schedule that the YAML wants.
func (p *planner) want(d Desired, entry Listed, found bool) {
	if p.Overrides[d.WorkflowID] == Remove {
		p.plan.KeptAway = append(p.plan.KeptAway, d.WorkflowID)
		p.keepAway(entry, found)
		return
	}
	if described, ok := p.described[d.ScheduleID]; ok {
		p.wantDescribed(d, described)
		return
	}
	write, wrote := p.recent[d.ScheduleID]
	switch {
	case p.ended(d) && (!found || !entry.OwnedBy(p.Project)):
		p.plan.Counts.Ended++
	case !found && wrote && !write.Deleted:
		p.doubt(d.ScheduleID) // written a moment ago, not listed yet
	case !found:
		p.create(d)
	case entry.Owner.None():
		p.doubt(d.ScheduleID) // describe shows more of whose it is
	case !entry.OwnedBy(p.Project):
		p.conflict(d, entry.Owner)
	case p.suspects[d.WorkflowID]:
		p.doubt(d.ScheduleID)
	case wrote && p.contradicts(write, entry):
		p.doubt(d.ScheduleID)
	default:
		p.wantListed(d, entry)
	}
}

// keepAway plans for a schedule that an override deletes.
func (p *planner) keepAway(entry Listed, found bool) {
	p.plan.Counts.Removed++
	switch {
	case found && entry.OwnedBy(p.Project):
		p.unwanted(entry)
	case found && entry.Owner.None():
		p.doubtOwner(entry)
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
		p.update(Operation{Paused: paused}, d)
	case !sameListed(d.Schedule(), entry.Spec, entry.WorkflowType):
		p.doubt(d.ScheduleID)
	default:
		p.asWanted(d)
	}
}

func (p *planner) wantDescribed(d Desired, actual Described) {
	owned := actual.Owner.Project == p.Project
	switch {
	case p.ended(d) && (actual.Missing || !owned):
		p.plan.Counts.Ended++
		return
	case actual.Missing:
		p.create(d)
		return
	case !owned && !d.mayAdopt(actual.Owner):
		p.conflict(d, actual.Owner)
		return
	}
	p.wantTaken(d, actual, !owned)
}

// wantTaken plans for a schedule that is the project's, or that it adopts.
func (p *planner) wantTaken(d Desired, actual Described, adopts bool) {
	note, ok := p.note(actual.Schedule.GetState().GetNotes())
	op := Operation{Adopts: adopts, Paused: p.paused(d, actual.Schedule.GetState().GetPaused(), note, ok)}
	differences := Compare(d.Schedule(), actual.Schedule)
	drifted := !adopts && len(differences) > 0 && p.isDrift(d, note, ok)
	if drifted {
		p.plan.Counts.Drifted++
		op.Corrects = fieldsOf(differences)
	}
	switch {
	case ok && note.Enabled != d.Enabled, op.Paused != nil:
		p.update(op, d) // as from the list: who changes it anyway puts it back
	case drifted && !p.Correct && !slices.Contains(p.Reverts, d.WorkflowID):
		p.drift(d, op.Corrects)
	case len(differences) > 0, !ok, note.Hash != d.Hash, !actual.Lasting:
		p.update(op, d)
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

// isDrift tells a hand edit from a change of the YAML: on an unchanged revision, where the note still shows the
// hash that the YAML has, or where it was seen before, only a hand can have changed the schedule.
func (p *planner) isDrift(d Desired, note Note, ours bool) bool {
	suspect := p.Correct && p.suspects[d.WorkflowID]
	return (p.Kind == PassResync || suspect) && !ours || ours && note.Hash == d.Hash
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
		if !described.Missing && described.Owner.Project == p.Project {
			p.remove(entry)
		}
		return
	}
	if write, wrote := p.recent[entry.ScheduleID]; wrote && write.Deleted {
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
	op := p.operation(Create, d)
	if !d.Enabled {
		p.plan.Counts.Paused++
	}
	if override, ok := p.Overrides[d.WorkflowID]; ok {
		paused := override == Pause
		op.Paused = &paused
	}
	p.plan.Operations = append(p.plan.Operations, op)
}

// update completes the operation, which says what is special about it.
func (p *planner) update(op Operation, d Desired) {
	p.plan.Counts.Update++
	if op.Adopts {
		p.plan.Counts.Adopt++
	}
	plain := p.operation(Update, d)
	op.Kind, op.WorkflowID, op.ScheduleID, op.Spec = plain.Kind, plain.WorkflowID, plain.ScheduleID, plain.Spec
	p.plan.Operations = append(p.plan.Operations, op)
}

func (p *planner) operation(kind Kind, d Desired) Operation {
	op := Operation{Kind: kind, WorkflowID: d.WorkflowID, Spec: d.Hash}
	if d.hasOtherID(p.Project) {
		op.ScheduleID = d.ScheduleID
	}
	return op
}

func (p *planner) remove(entry Listed) {
	p.plan.Counts.Delete++
	p.plan.Operations = append(p.plan.Operations,
		Operation{Kind: Delete, WorkflowID: entry.Owner.WorkflowID, ScheduleID: entry.otherID()})
}

func (p *planner) doubt(scheduleID string) {
	p.plan.Doubtful = append(p.plan.Doubtful, scheduleID)
}

// doubtOwner has a schedule described, once, that may be ours though the list does not show it.
func (p *planner) doubtOwner(entry Listed) {
	if _, ok := p.described[entry.ScheduleID]; !ok {
		p.doubt(entry.ScheduleID)
	}
}

func (p *planner) conflict(d Desired, owner Owner) {
	p.plan.Problems = append(p.plan.Problems, conflictProblem(d, owner))
}

func (p *planner) drift(d Desired, fields []string) {
	p.plan.Drifted = append(p.plan.Drifted, d.WorkflowID)
	p.plan.Problems = append(p.plan.Problems, Problem{
		Kind: ProblemDrift, WorkflowID: d.WorkflowID, ScheduleID: d.ScheduleID,
		Message: "changed by hand in Temporal: " + strings.Join(fields, ", "),
	})
}

func fieldsOf(differences []Difference) []string {
	fields := make([]string, len(differences))
	for i, difference := range differences {
		fields[i] = difference.Field
	}
	return fields
}

func conflictProblem(d Desired, owner Owner) Problem {
	whose, remedy := "no project of ours owns", "add `adopt: true` to take it over, delete it, or give the workflow another id"
	if !owner.None() {
		whose, remedy = "project "+owner.Project+" owns", "give the workflow another id"
	}
	return Problem{
		Kind: ProblemConflict, WorkflowID: d.WorkflowID, ScheduleID: d.ScheduleID,
		Message: fmt.Sprintf("a schedule with this ID exists, which %s; it is left as it is: %s", whose, remedy),
	}
}
