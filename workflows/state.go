package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// State is what one run of the reconciler hands to the next by Continue-As-New.
type State struct {
	Status Status `json:"status"`
	// Reload is true where the next pass takes another revision over, or was forced to.
	Reload bool `json:"reload,omitempty"`
	// PassDue is true where a message asked for a pass that has not started.
	PassDue bool `json:"pass_due,omitempty"`
	// Prune allows the next pass to go past the prune guard.
	Prune bool `json:"prune,omitempty"`
	// Passes counts the passes, to tell them apart.
	Passes int64 `json:"passes,omitempty"`
	// Recent are the writes that a list may not show yet, the latest last.
	Recent []RecentWrite `json:"recent,omitempty"`
	// Overrides are in force, in order of workflow ids. Outcomes are the last maxOutcomes.
	Overrides []ActiveOverride `json:"overrides,omitempty"`
	Outcomes  []Outcome        `json:"outcomes,omitempty"`
	// Reverts wait for the next pass.
	Reverts []PendingRevert `json:"reverts,omitempty"`
	// Waiting are the requests of reloads that wait for a pass.
	Waiting []string `json:"waiting,omitempty"`
	// OtherIDs are the schedules whose ID is not the default; Suspects the workflow ids that were found changed by
	// hand.
	OtherIDs []activities.Ref `json:"other_ids,omitempty"`
	Suspects []string         `json:"suspects,omitempty"`
	// NextAudit is when the next audit is due. Correct puts hand edits back until an audit after it has
	// ended, because a reload was forced.
	NextAudit time.Time `json:"next_audit,omitzero"`
	Correct   bool      `json:"correct,omitempty"`
	// Seq counts overrides and reloads; ReloadSeq is the last reload that reverts overrides.
	Seq       int64 `json:"seq,omitempty"`
	ReloadSeq int64 `json:"reload_seq,omitempty"`
}

// PendingRevert is a revert that takes the YAML, and so a pass.
type PendingRevert struct {
	WorkflowID string `json:"workflow_id"`
	RequestID  string `json:"request_id"`
}

// RecentWrite is a write with its time.
type RecentWrite struct {
	activities.Write
	At time.Time `json:"at"`
}

const (
	// ListLag is how far a list can lag behind writes: up to 10 s were measured (docs/temporal.md,
	// "The list lags").
	ListLag = 30 * time.Second
	// settleAfter is when a pass that changed something is checked by a resync.
	settleAfter = 15 * time.Second
	// maxRecent bounds the memory of recent writes. Where more are written at once, the resync after
	// settleAfter mends what a lagging list misled.
	maxRecent = 2000
	// maxBlocked and maxCorrections bound what the status names.
	maxBlocked     = 20
	maxCorrections = 20
)

const waitingMessage = "no worker has told a revision yet: start `schedules serve` for this project"

func newState(project string) State {
	return State{Status: Status{
		Version: StatusVersion, Project: project, Phase: PhaseWaiting,
		Message: waitingMessage,
		Options: Options{
			ResyncInterval: config.Duration(DefaultResyncInterval), MaxPrunePercent: DefaultMaxPrunePercent,
			Drift: config.DriftReport, AuditInterval: config.Duration(DefaultAuditInterval),
		},
	}}
}

// refuse is the generation fence: it says why a reload is not taken over, or nothing.
func (s *State) refuse(m Reload, now time.Time) string {
	if m.Generation == 0 || m.Generation >= s.Status.Generation || m.Force {
		return ""
	}
	s.Status.Refused = &Refused{
		Revision: config.Short(m.Revision), Generation: m.Generation, At: now,
		Message: fmt.Sprintf("generation %d is older than the current %d; force the reload to go back",
			m.Generation, s.Status.Generation),
	}
	return s.Status.Refused.Message
}

// reload takes a reload message over. It reports whether the desired revision changed.
func (s *State) reload(m Reload) (changed bool) {
	if m.Generation > 0 {
		s.Status.Generation = m.Generation
	}
	revision := cmp.Or(config.Short(m.Revision), s.Status.Revision)
	if revision == "" {
		return false
	}
	changed = revision != s.Status.Revision
	if s.Status.reloads(revision, m.Force) {
		s.Reload = true
		s.Correct = m.Force
		s.ReloadSeq = s.nextSeq()
	}
	if changed {
		s.Status.Refused = nil // of deploys before this one
	}
	s.Status.Revision = revision
	s.Prune = m.Prune || s.Prune && !changed
	s.PassDue = true
	s.options(m.Options)
	return changed
}

func (s *State) options(o *Options) {
	if o == nil {
		return
	}
	if o.ResyncInterval > 0 {
		s.Status.Options.ResyncInterval = max(o.ResyncInterval, config.Duration(time.Second))
	}
	if o.MaxPrunePercent > 0 {
		s.Status.Options.MaxPrunePercent = min(o.MaxPrunePercent, 100)
	}
	if o.Drift != s.Status.Options.Drift && (o.Drift == config.DriftReport || o.Drift == config.DriftCorrect) {
		s.Status.Options.Drift = o.Drift
		s.NextAudit = time.Time{} // after the next pass, whatever the interval
	}
	if interval := max(o.AuditInterval, config.Duration(time.Second)); o.AuditInterval > 0 && interval != s.Status.Options.AuditInterval {
		s.Status.Options.AuditInterval = interval
		s.NextAudit = time.Time{}
	}
}

// passKind says how much of what people did at run time the next pass keeps.
func (s *State) passKind() activities.PassKind {
	switch {
	case s.Reload:
		return activities.PassReload
	case s.Status.Applied == "":
		return activities.PassStart
	default:
		return activities.PassResync
	}
}

// blocked is the prune guard: what a pass must not delete, or nothing. An empty mount must not wipe
// production.
func (s *State) blocked(counts activities.Counts, operations []activities.Operation) *Blocked {
	blocked := &Blocked{
		Delete: counts.Delete, Owned: counts.Owned, Allowed: AllowedPrune(counts.Owned, s.Status.Options.MaxPrunePercent),
	}
	if blocked.Delete <= blocked.Allowed {
		return nil
	}
	for _, op := range operations {
		if op.Kind == activities.Delete && len(blocked.WorkflowIDs) < maxBlocked {
			blocked.WorkflowIDs = append(blocked.WorkflowIDs, op.WorkflowID)
		}
	}
	return blocked
}

// AllowedPrune is how many of the owned schedules a pass may delete by itself.
func AllowedPrune(owned, maxPercent int) int { return max(minPrune, owned*maxPercent/100) }

// Error says why the pass stopped and what to do.
func (b Blocked) Error() string {
	names := b.WorkflowIDs[:min(len(b.WorkflowIDs), minPrune)]
	return fmt.Sprintf("this pass would delete %d of %d schedules (%s …), more than the %d that the prune guard allows; "+
		"nothing was changed: bring the workflows back, or allow it with `schedules reload --prune`",
		b.Delete, b.Owned, strings.Join(names, ", "), b.Allowed)
}

// corrects reports whether the next pass puts hand edits back.
func (s *State) corrects() bool { return s.Correct || s.Status.Options.Drift == config.DriftCorrect }

// scheduleID is the ID of a workflow's schedule; empty for the default.
func (s *State) scheduleID(workflowID string) string {
	for _, ref := range s.OtherIDs {
		if ref.WorkflowID == workflowID {
			return ref.ScheduleID
		}
	}
	return ""
}

// also are the schedule IDs that the project's prefix does not find.
func (s *State) also() []string {
	ids := make([]string, len(s.OtherIDs))
	for i, ref := range s.OtherIDs {
		ids[i] = ref.ScheduleID
	}
	return ids
}

// corrected remembers the hand edits that a batch put back.
func (s *State) corrected(op activities.Operation, now time.Time) {
	s.Status.Corrections = append(s.Status.Corrections, Correction{WorkflowID: op.WorkflowID, Fields: op.Corrects, At: now})
	if surplus := len(s.Status.Corrections) - maxCorrections; surplus > 0 {
		s.Status.Corrections = slices.Delete(s.Status.Corrections, 0, surplus)
	}
}

// wrote remembers a batch's writes, save those that ended in a problem.
func (s *State) wrote(operations []activities.Operation, problems []activities.Problem, now time.Time) {
	failed := workflowIDs(problems)
	for _, op := range operations {
		if !failed[op.WorkflowID] {
			s.wroteOne(activities.Write{
				WorkflowID: op.WorkflowID, ScheduleID: op.ScheduleID, Spec: op.Spec, Paused: op.Paused,
				Deleted: op.Kind == activities.Delete,
			}, now)
		}
	}
}

func workflowIDs(problems []activities.Problem) map[string]bool {
	ids := make(map[string]bool, len(problems))
	for _, problem := range problems {
		ids[problem.WorkflowID] = true
	}
	return ids
}

func (s *State) wroteOne(write activities.Write, now time.Time) {
	s.Recent = append(s.Recent, RecentWrite{Write: write, At: now})
	if surplus := len(s.Recent) - maxRecent; surplus > 0 {
		s.Recent = slices.Delete(s.Recent, 0, surplus)
	}
}

// recent are the writes that a list made now may contradict.
func (s *State) recent(now time.Time) []activities.Write {
	s.Recent = slices.DeleteFunc(s.Recent, func(w RecentWrite) bool { return now.Sub(w.At) > ListLag })
	writes := make([]activities.Write, len(s.Recent))
	for i, w := range s.Recent {
		writes[i] = w.Write
	}
	return writes
}
