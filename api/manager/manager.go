// Package manager is the one Go type over a project's schedules at run time: writes are signals to the
// reconciler, answers about state are queries or Temporal's own. The REST API is a thin layer over it.
package manager

import (
	"context"
	"errors"

	"github.com/compozy/schedules/workflows"
)

// Manager reads and steers the schedules of one project.
type Manager struct{}

var errTodo = errors.New("not written yet")

// ReconcileSchedules asks the reconciler for a reload of its current revision.
func (m *Manager) ReconcileSchedules(ctx context.Context, request ReconcileRequest) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// ListSchedules answers from the snapshot.
func (m *Manager) ListSchedules(ctx context.Context, options ListOptions) (ListResult, error) {
	return ListResult{}, errTodo
}

// GetSchedule asks Temporal.
func (m *Manager) GetSchedule(ctx context.Context, workflowID string) (ScheduleInfo, error) {
	return ScheduleInfo{}, errTodo
}

// UpdateSchedule pauses or resumes.
func (m *Manager) UpdateSchedule(ctx context.Context, workflowID string, request UpdateRequest) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// DeleteSchedule removes until reload.
func (m *Manager) DeleteSchedule(ctx context.Context, workflowID string, request DeleteRequest) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// RevertSchedule ends an override.
func (m *Manager) RevertSchedule(ctx context.Context, workflowID string, request Request) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// TriggerSchedule starts a run now.
func (m *Manager) TriggerSchedule(ctx context.Context, workflowID string, request TriggerRequest) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// BackfillSchedule starts the runs of a window.
func (m *Manager) BackfillSchedule(ctx context.Context, workflowID string, request BackfillRequest) (WriteResult, error) {
	return WriteResult{}, errTodo
}

// ListRuns asks Temporal for the runs of a schedule.
func (m *Manager) ListRuns(ctx context.Context, workflowID string, options RunsOptions) (RunsResult, error) {
	return RunsResult{}, errTodo
}

// Status is the reconciler's status query.
func (m *Manager) Status(ctx context.Context) (workflows.Status, error) {
	return workflows.Status{}, errTodo
}

// Outcome is what became of a request.
func (m *Manager) Outcome(ctx context.Context, requestID string) (workflows.Outcome, error) {
	return workflows.Outcome{}, errTodo
}
