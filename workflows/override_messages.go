package workflows

import (
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// The signals that act at run time, and the queries that tell what became of them.
const (
	SignalOverride = "override"
	SignalRun      = "run"
	QueryOverrides = "overrides"
	QueryOutcome   = "outcome"
)

// OverrideAction is what an override does to a schedule.
type OverrideAction = activities.OverrideAction

// The override actions.
const (
	ActionPause  = activities.Pause
	ActionResume = activities.Resume
	ActionDelete = activities.Remove
	ActionRevert = activities.Revert
)

// Override is the signal that changes a schedule at run time, until reload.
type Override struct {
	// RequestID makes the override happen once however often it is sent. Empty: each signal counts.
	RequestID  string         `json:"request_id,omitempty"`
	WorkflowID string         `json:"workflow_id"`
	Action     OverrideAction `json:"action"`
	// Reason (at most 500 characters) and Actor (at most 200) are for people: they stand in the
	// schedule's note.
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor,omitempty"`
	// ExpiresIn reverts the override by itself after this long, such as "2h". Empty: never.
	ExpiresIn config.Duration `json:"expires_in,omitempty"`
	// Hold keeps the override over reloads.
	Hold bool `json:"hold,omitempty"`
}

// RunAction is what a run signal starts.
type RunAction string

// The run actions.
const (
	// ActionTrigger starts one run now.
	ActionTrigger RunAction = "trigger"
	// ActionBackfill starts the runs of a window of time.
	ActionBackfill RunAction = "backfill"
)

// Run is the signal that starts runs of a schedule.
type Run struct {
	RequestID  string    `json:"request_id,omitempty"`
	WorkflowID string    `json:"workflow_id"`
	Action     RunAction `json:"action"`
	// Actor and Reason are for people who read the history.
	Actor  string `json:"actor,omitempty"`
	Reason string `json:"reason,omitempty"`
	// StartAt and EndAt are a backfill's window.
	StartAt time.Time `json:"start_at,omitzero"`
	EndAt   time.Time `json:"end_at,omitzero"`
	// OverlapPolicy of these runs. Default: a trigger's is the schedule's, a backfill's buffer_all.
	OverlapPolicy config.OverlapPolicy `json:"overlap_policy,omitempty"`
}

// OutcomeStatus is how far a request has come.
type OutcomeStatus string

// The outcome statuses.
const (
	// OutcomeUnknown: the reconciler does not know the request (not yet, or not any more).
	OutcomeUnknown OutcomeStatus = "unknown"
	// OutcomeAccepted: the reconciler has it and is working on it.
	OutcomeAccepted OutcomeStatus = "accepted"
	// OutcomeApplied: done in Temporal.
	OutcomeApplied OutcomeStatus = "applied"
	// OutcomeFailed: not done; Reason and Message say why.
	OutcomeFailed OutcomeStatus = "failed"
)

// FailureReason groups why a request failed, for programs.
type FailureReason string

// The failure reasons.
const (
	FailureInvalid  FailureReason = "invalid"
	FailureNotFound FailureReason = "not_found"
	FailureConflict FailureReason = "conflict"
	FailureRefused  FailureReason = "refused"
	// FailureOutOfSync: the pass of a reload ended with something that is not as the YAML says.
	FailureOutOfSync FailureReason = "out_of_sync"
)

// Outcome is what became of a request. The last 1,000 are kept.
type Outcome struct {
	RequestID  string        `json:"request_id"`
	WorkflowID string        `json:"workflow_id,omitempty"`
	Action     string        `json:"action,omitempty"`
	Status     OutcomeStatus `json:"status"`
	Reason     FailureReason `json:"reason,omitempty"`
	Message    string        `json:"message,omitempty"`
	At         time.Time     `json:"at,omitzero"`
}

// OutcomeQuery asks for one outcome; without a request id the query answers the latest ones.
type OutcomeQuery struct {
	RequestID string `json:"request_id,omitempty"`
}

// ActiveOverride is an override in force.
type ActiveOverride struct {
	WorkflowID string         `json:"workflow_id"`
	Action     OverrideAction `json:"action"`
	RequestID  string         `json:"request_id,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Actor      string         `json:"actor,omitempty"`
	Since      time.Time      `json:"since"`
	ExpiresAt  time.Time      `json:"expires_at,omitzero"`
	Hold       bool           `json:"hold,omitempty"`
	// Pending is true until it is applied in Temporal.
	Pending bool `json:"pending,omitempty"`
	// Seq orders overrides and reloads as they came.
	Seq int64 `json:"seq"`
}

// OverridesQuery asks for a page of overrides; without one the query answers the first page.
type OverridesQuery struct {
	// WorkflowID asks for the override of one workflow only.
	WorkflowID string `json:"workflow_id,omitempty"`
	// After is the workflow id of the last override of the page before.
	After string `json:"after,omitempty"`
	// PageSize is 1 to 1,000; 0 means 200.
	PageSize int `json:"page_size,omitempty"`
}

// AllOverrides asks for page after page, of the given size, until it has every override.
func AllOverrides(pageSize int, ask func(OverridesQuery) (OverridesPage, error)) ([]ActiveOverride, error) {
	var all []ActiveOverride
	query := OverridesQuery{PageSize: pageSize}
	for {
		page, err := ask(query)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Overrides...)
		if page.After == "" {
			return all, nil
		}
		query.After = page.After
	}
}

// OverridesPage answers the overrides query, in order of workflow ids.
type OverridesPage struct {
	Overrides []ActiveOverride `json:"overrides"`
	Total     int              `json:"total"`
	// After asks for the next page; empty at the end.
	After string `json:"after,omitempty"`
}
