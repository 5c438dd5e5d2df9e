package manager

import (
	"errors"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// The errors of a Manager. Each comes wrapped with the workflow id and what to do; errors.Is tells
// them apart.
var (
	// ErrNotFound: the project's YAML has no schedule for this workflow id, nor has Temporal.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a schedule with the wanted ID exists and is not owned by the project, or the
	// request cannot be met in the schedule's present state.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the request itself is wrong.
	ErrInvalid = errors.New("invalid request")
	// ErrUnavailable: Temporal or the reconciler does not answer now; the same request may succeed later.
	ErrUnavailable = errors.New("unavailable")
)

// State is what a schedule is, in one word.
type State string

// The states of a schedule. Filters and answers use these words.
const (
	StateActive   State = "active"
	StatePaused   State = "paused"
	StateDeleted  State = "deleted"  // by an override, until reload
	StateMissing  State = "missing"  // in the YAML, not in Temporal (yet)
	StateEnded    State = "ended"    // its end_at has passed
	StateConflict State = "conflict" // somebody else's schedule has the ID
)

// PausedBy is who paused a schedule.
type PausedBy string

// Who paused a schedule.
const (
	PausedByGit      PausedBy = "git"
	PausedByOverride PausedBy = "override"
	// PausedByTemporal: a run failed, and the schedule has pause_on_failure.
	PausedByTemporal PausedBy = "temporal"
	// PausedByHand: in the Temporal UI or by the CLI.
	PausedByHand PausedBy = "hand"
)

// ScheduleInfo is one schedule as the API shows it.
type ScheduleInfo struct {
	WorkflowID string `json:"workflow_id"`
	ScheduleID string `json:"schedule_id"`
	Cron       string `json:"cron"`
	Timezone   string `json:"timezone"`
	// Description is the schedule in words.
	Description string `json:"description"`
	State       State  `json:"state"`
	// Enabled is Temporal's state now; YAMLConfig has the YAML's wish.
	Enabled bool `json:"enabled"`
	// IsOverride is true where Enabled differs from the YAML, or the schedule is deleted at run time.
	IsOverride bool `json:"is_override"`
	// PausedBy says who paused it, where it is paused.
	PausedBy   PausedBy         `json:"paused_by,omitempty"`
	Override   *OverrideInfo    `json:"override,omitempty"`
	YAMLConfig *config.Schedule `json:"yaml_config,omitempty"`
	// Divergence lists every field in which Temporal differs from the YAML. Only GetSchedule fills it.
	Divergence []activities.Difference `json:"divergence,omitempty"`
	// NextRunTime is absent where no run will come: paused, ended, deleted.
	NextRunTime *time.Time `json:"next_run_time,omitempty"`
	// NextRunTimes are the next ten. Only GetSchedule fills it.
	NextRunTimes  []time.Time `json:"next_run_times,omitempty"`
	LastRunTime   *time.Time  `json:"last_run_time,omitempty"`
	LastRunID     string      `json:"last_run_id,omitempty"`
	LastRunStatus string      `json:"last_run_status,omitempty"`
	Note          string      `json:"note,omitempty"`
}

// OverrideInfo says who changed a schedule at run time, why, and until when. For a pause that was
// made in the Temporal UI only what its note says is known.
type OverrideInfo struct {
	Action    workflows.OverrideAction `json:"action"`
	Reason    string                   `json:"reason,omitempty"`
	Actor     string                   `json:"actor,omitempty"`
	Since     *time.Time               `json:"since,omitempty"`
	ExpiresAt *time.Time               `json:"expires_at,omitempty"`
	Hold      bool                     `json:"hold,omitempty"`
}

// ListOptions choose what ListSchedules answers. The zero value is the first 100 of all.
type ListOptions struct {
	// State keeps schedules in that state; "override" keeps those with IsOverride.
	State string
	// PageSize is 1 to 1,000; 0 means 100.
	PageSize int
	// PageToken is NextPageToken of the page before.
	PageToken string
}

// ListResult is one page of schedules in order of their workflow ids.
type ListResult struct {
	Schedules     []ScheduleInfo `json:"schedules"`
	NextPageToken string         `json:"next_page_token,omitempty"`
	Total         int            `json:"total"`
	// ObservedAt is when Temporal's list behind this answer was read. Own writes are newer.
	ObservedAt time.Time `json:"observed_at"`
}

// Request is what all writes have in common.
type Request struct {
	// RequestID makes a write happen once however often it is sent. Empty: one is made.
	RequestID string
	// Actor is who asks, for the history and the note. At most 200 characters.
	Actor string
	// Reason is why, for people. At most 500 characters.
	Reason string
}

// UpdateRequest pauses (Enabled false) or resumes a schedule until the next reload.
type UpdateRequest struct {
	Request
	Enabled *bool
	// ExpiresIn reverts the override by itself after this long. 0: never.
	ExpiresIn time.Duration
	// Hold keeps the override over reloads.
	Hold bool
}

// DeleteRequest removes a schedule until the next reload.
type DeleteRequest struct {
	Request
	ExpiresIn time.Duration
	Hold      bool
}

// TriggerRequest starts a run now.
type TriggerRequest struct {
	Request
	// OverlapPolicy for this run; empty: the schedule's own.
	OverlapPolicy config.OverlapPolicy
}

// BackfillRequest starts the runs that the schedule would have started in a window of time.
type BackfillRequest struct {
	Request
	StartAt, EndAt time.Time
	// OverlapPolicy for these runs; empty: buffer_all, so that they run one after the other.
	OverlapPolicy config.OverlapPolicy
}

// ReconcileRequest asks for a reload.
type ReconcileRequest struct {
	Request
	// Force reverts overrides although the revision is unchanged, and passes the generation fence.
	Force bool
	// Prune passes the prune guard.
	Prune bool
}

// WriteResult is what became of a write.
type WriteResult struct {
	RequestID string `json:"request_id"`
	// Status is applied, or accepted where the reconciler has it but has not finished: ask Outcome.
	Status workflows.OutcomeStatus `json:"status"`
	// Message says more, such as that the schedule was paused already.
	Message string `json:"message,omitempty"`
	// Schedule is the schedule after the write, where it is known without asking Temporal again.
	Schedule *ScheduleInfo `json:"schedule,omitempty"`
}

// RunsOptions choose a page of runs, newest first.
type RunsOptions struct {
	// PageSize is 1 to 100; 0 means 20.
	PageSize  int
	PageToken string
}

// RunInfo is one run of a schedule's workflow.
type RunInfo struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Status is Temporal's, in lower case: running, completed, failed, canceled, terminated,
	// continued_as_new, timed_out.
	Status string `json:"status"`
	// ScheduledTime is the time that the schedule meant the run for.
	ScheduledTime *time.Time `json:"scheduled_time,omitempty"`
	StartTime     time.Time  `json:"start_time"`
	CloseTime     *time.Time `json:"close_time,omitempty"`
}

// RunsResult is one page of runs.
type RunsResult struct {
	Runs          []RunInfo `json:"runs"`
	NextPageToken string    `json:"next_page_token,omitempty"`
}
