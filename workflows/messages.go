package workflows

import (
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// The reconciler's type, and the names of its messages. They are part of the interface: people type
// them into `temporal workflow signal` and the Temporal UI.
const (
	ReconcilerType = "Reconciler"

	SignalReload = "reload"
	SignalResync = "resync"
	SignalRename = "rename"
	QueryStatus  = "status"
)

// ReconcilerID is the workflow ID of a project's reconciler.
func ReconcilerID(project string) string { return "schedule-reconciler-" + project }

// TaskQueue is the queue of a project's reconciler. Every worker process of the project polls it.
func TaskQueue(project string) string { return "compozy-schedules-" + project }

// RevisionQueue is the queue of the activities that need a revision's YAML. Only processes that have
// loaded that revision poll it, so a rolling deploy never mixes revisions.
func RevisionQueue(project, revision string) string {
	return TaskQueue(project) + "-rev-" + config.Short(revision)
}

// Input starts a reconciler. People write {"project":"reports"}; State is what one run hands to the
// next.
type Input struct {
	Project string `json:"project"`
	State   *State `json:"state,omitempty"`
}

// Reload is the signal that a process sends at its start and when its files change: take the desired
// state over. With the revision that is applied already it only asks for a pass. Without any field it
// repeats the current revision.
type Reload struct {
	// Revision is the project's revision; empty means the current one.
	Revision string `json:"revision,omitempty"`
	// Generation orders deploys: one lower than the current is refused. Zero means no order.
	Generation int64 `json:"generation,omitempty"`
	// Force takes a lower generation, and treats the current revision as a new one: pauses are
	// reverted to the YAML, and hand edits put back.
	Force bool `json:"force,omitempty"`
	// Prune allows this reload to delete more schedules than the prune guard does.
	Prune bool `json:"prune,omitempty"`
	// RequestID, where set, gives the reload an outcome: applied when a pass has ended in sync.
	RequestID string `json:"request_id,omitempty"`
	// Options replace the current ones where set.
	Options *Options `json:"options,omitempty"`
}

// Options are the reconciler's own settings.
type Options struct {
	// ResyncInterval is the time between passes over an unchanged revision. Default 1 m.
	ResyncInterval config.Duration `json:"resync_interval,omitempty"`
	// MaxPrunePercent is the share of the owned schedules that a reload may delete. At least
	// minPrune may always be. Default 30.
	MaxPrunePercent int `json:"max_prune_percent,omitempty"`
	// Drift says what becomes of hand edits. Default DriftReport.
	Drift DriftMode `json:"drift,omitempty"`
	// AuditInterval is the time between looks at every field of every schedule. Default 1 h.
	AuditInterval config.Duration `json:"audit_interval,omitempty"`
}

// DriftMode says what becomes of hand edits.
type DriftMode = config.DriftMode

// The defaults of Options, and how many schedules any reload may delete.
const (
	DefaultResyncInterval  = time.Minute
	DefaultMaxPrunePercent = 30
	DefaultAuditInterval   = time.Hour
	minPrune               = 5
)

// Phase is what the reconciler is doing or has found, in one word.
type Phase string

const (
	// PhaseWaiting says that no process has told the reconciler a revision yet.
	PhaseWaiting Phase = "waiting"
	// PhaseReconciling says that a pass is under way.
	PhaseReconciling Phase = "reconciling"
	// PhaseInSync says that Temporal is as the YAML says.
	PhaseInSync Phase = "in_sync"
	// PhaseOutOfSync says that something is not: see Problems and Message.
	PhaseOutOfSync Phase = "out_of_sync"
	// PhaseBlocked says that the prune guard stopped the pass before any change, see Message.
	PhaseBlocked Phase = "blocked"
	// PhaseNoWorker says that no worker has the revision, so nothing was changed.
	PhaseNoWorker Phase = "no_worker"
	// PhaseRenaming says that the schedules of the project's former name are being moved here.
	PhaseRenaming Phase = "renaming"
	// PhaseRenamed says that the project has another name now: this reconciler does nothing any more.
	PhaseRenamed Phase = "renamed"
)

// Status answers the status query.
type Status struct {
	Version int    `json:"version"`
	Project string `json:"project"`
	Phase   Phase  `json:"phase"`
	// Message says in a sentence what is wrong and what to do; empty when in sync.
	Message string `json:"message,omitempty"`
	// Revision is the desired one; Applied the last that a pass has finished.
	Revision   string `json:"revision,omitempty"`
	Applied    string `json:"applied,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	// Counts are of the last pass: what it found and what it was to do. Owned is what there is since.
	Counts   activities.Counts `json:"counts"`
	LastPass *Pass             `json:"last_pass,omitempty"`
	// Problems are at most activities.MaxProblems; ProblemCount counts all.
	Problems     []activities.Problem `json:"problems,omitempty"`
	ProblemCount int                  `json:"problem_count,omitempty"`
	// ProblemKinds counts them by kind.
	ProblemKinds map[activities.ProblemKind]int `json:"problem_kinds,omitempty"`
	// LastInSync is when a pass last ended with everything as the YAML says.
	LastInSync time.Time `json:"last_in_sync,omitzero"`
	// Blocked is what the prune guard holds back, where Phase is PhaseBlocked.
	Blocked *Blocked `json:"blocked,omitempty"`
	// Corrections are the last hand edits that were put back, the latest last; at most 20.
	Corrections []Correction `json:"corrections,omitempty"`
	// LastAudit is the last look at every field of every schedule that ended.
	LastAudit *Audit `json:"last_audit,omitempty"`
	// RenamingFrom is the former name whose schedules are being moved here, RenamedTo the new name.
	RenamingFrom string `json:"renaming_from,omitempty"`
	RenamedTo    string `json:"renamed_to,omitempty"`
	// Refused is the last reload that the generation fence refused.
	Refused *Refused `json:"refused,omitempty"`
	// Overrides is how many are in force. Only the answer of the query has it.
	Overrides int `json:"overrides,omitempty"`
	// PendingReload is the place of a reload that has not ended, among the overrides: those with a lower Seq end with
	// it. 0 where there is none. Only the answer of the query has it.
	PendingReload int64 `json:"pending_reload,omitempty"`
	// NextResync is when the next pass starts by itself.
	NextResync time.Time `json:"next_resync,omitzero"`
	// Options in force.
	Options Options `json:"options"`
}

// StatusVersion is the version of Status. It grows when a field changes its meaning.
const StatusVersion = 1

// InSync reports whether every schedule is as the given revision says. A caller that waits for its
// own reload names its revision.
func (s Status) InSync(revision string) bool {
	return s.Phase == PhaseInSync && s.Applied == revision
}

// NextKind is the kind of pass that a reload with the given revision would make now.
func (s Status) NextKind(revision string, force bool) activities.PassKind {
	switch {
	case s.PendingReload != 0, s.reloads(revision, force):
		return activities.PassReload
	case s.Applied == "":
		return activities.PassStart
	default:
		return activities.PassResync
	}
}

// Ends reports whether a reload with the given revision would end an override.
func (s Status) Ends(o ActiveOverride, revision string, force bool) bool {
	return !o.Hold && (s.reloads(revision, force) || o.Seq <= s.PendingReload)
}

// reloads reports whether a reload message asks for more than it was asked before.
func (s Status) reloads(revision string, force bool) bool {
	return s.Revision != "" && (force || s.Revision != revision)
}

// Pass is one comparison of desired and actual state with the changes that followed.
type Pass struct {
	Kind       activities.PassKind `json:"kind"`
	Revision   string              `json:"revision"`
	StartedAt  time.Time           `json:"started_at"`
	FinishedAt time.Time           `json:"finished_at,omitzero"`
	Created    int                 `json:"created"`
	Updated    int                 `json:"updated"`
	Deleted    int                 `json:"deleted"`
	// Corrected is how many of the updates put a hand edit back, Adopted how many took a schedule over.
	Corrected int `json:"corrected,omitempty"`
	Adopted   int `json:"adopted,omitempty"`
}

// Blocked is a plan that deletes more than the prune guard allows.
type Blocked struct {
	Delete  int `json:"delete"`
	Owned   int `json:"owned"`
	Allowed int `json:"allowed"`
	// WorkflowIDs are the first of those to delete, at most 20.
	WorkflowIDs []string `json:"workflow_ids"`
}

// Correction is a hand edit that was put back.
type Correction struct {
	WorkflowID string    `json:"workflow_id"`
	Fields     []string  `json:"fields"`
	At         time.Time `json:"at"`
}

// Audit is a look at every field of every schedule.
type Audit struct {
	Revision   string    `json:"revision"`
	FinishedAt time.Time `json:"finished_at"`
	// Checked is how many schedules it described, Drifted how many of them were changed by hand.
	Checked int `json:"checked"`
	Drifted int `json:"drifted"`
	// The sums of Temporal's own counters: runs that came too late for their catchup window, that the overlap
	// policy skipped, and that a full buffer dropped.
	MissedRuns  int64 `json:"missed_runs,omitempty"`
	SkippedRuns int64 `json:"skipped_runs,omitempty"`
	DroppedRuns int64 `json:"dropped_runs,omitempty"`
}

// Refused is a reload that was not taken over.
type Refused struct {
	Revision   string    `json:"revision"`
	Generation int64     `json:"generation"`
	At         time.Time `json:"at"`
	Message    string    `json:"message"`
}
