// Package config holds what people write: the project's YAML (load, validate, revision) and the
// process's settings. It knows no Temporal client.
package config

import "time"

// Project is one directory with a compozy.yaml: the desired state. Its name owns schedules.
type Project struct {
	// Name is a slug of [a-z0-9-], at most 63 characters.
	Name string
	// Dir is the absolute project directory; no file outside it is read.
	Dir string
	// Workflows are all the project's workflows in order of their ids, scheduled or not.
	Workflows []Workflow
	// Revision is the SHA-256 (hex) of the canonical desired state. See Fingerprint.
	Revision string
}

// Workflow is one YAML file with an id.
type Workflow struct {
	// ID is a slug of [a-z0-9-_], at most 63 characters, unique in the project.
	ID string
	// File is the path of the file it came from, relative to the project directory, with slashes.
	File string
	// Start says how a run starts, with the project's defaults applied.
	Start Start
	// Schedule is nil where the file has no `schedule:` block.
	Schedule *Schedule
}

// Start is the `temporal:` block of a workflow file: how Temporal starts a run.
type Start struct {
	// WorkflowType defaults to the workflow's id.
	WorkflowType string `json:"workflow_type"`
	// WorkflowID is the base of the runs' workflow IDs, to which Temporal adds the time. Default:
	// {project}-{workflow id}.
	WorkflowID string `json:"workflow_id,omitempty"`
	// TaskQueue defaults to the project's `temporal.task_queue`, and that to the project's name.
	TaskQueue string `json:"task_queue"`
	// The timeouts are Temporal's; zero means the server's default.
	ExecutionTimeout time.Duration `json:"execution_timeout,omitempty"`
	RunTimeout       time.Duration `json:"run_timeout,omitempty"`
	TaskTimeout      time.Duration `json:"task_timeout,omitempty"`
	// Retry is nil where runs are not retried.
	Retry *Retry `json:"retry,omitempty"`
	// Memo and SearchAttributes are set on each run. Search attributes must be registered in the
	// namespace; Temporal refuses the schedule otherwise.
	Memo             map[string]any `json:"memo,omitempty"`
	SearchAttributes map[string]any `json:"search_attributes,omitempty"`
}

// Retry is Temporal's retry policy for a run (https://docs.temporal.io/encyclopedia/retry-policies).
// Zero values mean Temporal's defaults.
type Retry struct {
	InitialInterval    time.Duration `json:"initial_interval,omitempty"`
	BackoffCoefficient float64       `json:"backoff_coefficient,omitempty"`
	MaximumInterval    time.Duration `json:"maximum_interval,omitempty"`
	MaximumAttempts    int32         `json:"maximum_attempts,omitempty"`
	NonRetryableErrors []string      `json:"non_retryable_error_types,omitempty"`
}

// ScheduleID is Temporal's ID of the workflow's schedule.
func (w Workflow) ScheduleID(project string) string {
	if w.Schedule != nil && w.Schedule.ScheduleID != "" {
		return w.Schedule.ScheduleID
	}
	return DefaultScheduleID(project, w.ID)
}

// DefaultScheduleID is the ID of the schedule of a project's workflow, where its file names no other.
func DefaultScheduleID(project, workflowID string) string {
	return "schedule-" + project + "-" + workflowID
}

// DefaultWorkflowID is the base of the workflow IDs of a project's workflow's runs, where its file names
// no other.
func DefaultWorkflowID(project, workflowID string) string { return project + "-" + workflowID }

// NamedScheduleIDs are the schedule IDs that files name, which the project's prefix does not find.
func (p *Project) NamedScheduleIDs() []string {
	var ids []string
	for _, w := range p.Workflows {
		if w.Schedule != nil && w.ScheduleID(p.Name) != DefaultScheduleID(p.Name, w.ID) {
			ids = append(ids, w.ScheduleID(p.Name))
		}
	}
	return ids
}

// Scheduled returns the workflows that have a schedule, in order of their ids.
func (p *Project) Scheduled() []Workflow {
	scheduled := make([]Workflow, 0, len(p.Workflows))
	for _, w := range p.Workflows {
		if w.Schedule != nil {
			scheduled = append(scheduled, w)
		}
	}
	return scheduled
}
