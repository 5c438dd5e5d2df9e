package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// firstAsk is the time that the reconciler takes for a write at rest. A question that comes earlier
	// would wait for its workflow task, and is now and then lost there. The pauses between further
	// questions grow to lastAsk.
	firstAsk = 25 * time.Millisecond
	nextAsk  = 5 * time.Millisecond
	lastAsk  = 100 * time.Millisecond
	// signalTimeout bounds the signal.
	signalTimeout = 10 * time.Second
)

// UpdateSchedule pauses or resumes a schedule until the next reload. It fails with ErrInvalid,
// ErrNotFound, ErrConflict or ErrUnavailable.
func (m *Manager) UpdateSchedule(ctx context.Context, workflowID string, request UpdateRequest) (WriteResult, error) {
	if request.Enabled == nil {
		return WriteResult{}, fmt.Errorf("%w: enabled is missing: true resumes, false pauses", ErrInvalid)
	}
	action := workflows.ActionPause
	if *request.Enabled {
		action = workflows.ActionResume
	}
	return m.override(ctx, workflowID, action, request.Request, request.ExpiresIn, request.Hold)
}

// DeleteSchedule removes a schedule until the next reload.
func (m *Manager) DeleteSchedule(ctx context.Context, workflowID string, request DeleteRequest) (WriteResult, error) {
	return m.override(ctx, workflowID, workflows.ActionDelete, request.Request, request.ExpiresIn, request.Hold)
}

// RevertSchedule ends an override: back to the YAML now.
func (m *Manager) RevertSchedule(ctx context.Context, workflowID string, request Request) (WriteResult, error) {
	return m.override(ctx, workflowID, workflows.ActionRevert, request, 0, false)
}

func (m *Manager) override(
	ctx context.Context, workflowID string, action workflows.OverrideAction, request Request, expires time.Duration, hold bool,
) (WriteResult, error) {
	if expires < 0 {
		return WriteResult{}, fmt.Errorf("%w: expires_in is negative", ErrInvalid)
	}
	if err := m.exists(workflowID); err != nil {
		return WriteResult{}, err
	}
	requestID := requestIDOf(request)
	message := workflows.Override{
		RequestID: requestID, WorkflowID: workflowID, Action: action, Reason: request.Reason, Actor: request.Actor,
		ExpiresIn: config.Duration(expires), Hold: hold,
	}
	result, err := m.write(ctx, workflows.SignalOverride, message, workflows.Outcome{
		RequestID: requestID, WorkflowID: workflowID, Action: string(action),
	})
	if err != nil {
		return result, fmt.Errorf("%s workflow %s: %w", action, workflowID, err)
	}
	if result.Status == workflows.OutcomeApplied {
		m.snapshot.own(message, m.wanted(workflowID), time.Now())
	}
	if info, ok := m.shown(workflowID, time.Now()); ok {
		result.Schedule = &info
	}
	return result, nil
}

// wanted is the YAML's wish for a workflow's schedule.
func (m *Manager) wanted(workflowID string) bool {
	_, byID := m.desired()
	w, ok := byID[workflowID]
	return ok && w.Schedule.IsEnabled()
}

// exists refuses ids that neither the YAML nor Temporal's list has. A list that was not read yet
// refuses none: the reconciler knows better.
func (m *Manager) exists(workflowID string) error {
	_, byID := m.desired()
	if _, ok := byID[workflowID]; ok {
		return nil
	}
	if known, ready := m.snapshot.has(workflowID); known || !ready {
		return nil
	}
	return fmt.Errorf("%w: project %s has no schedule of a workflow %q", ErrNotFound, m.name, workflowID)
}

// TriggerSchedule starts a run now, once for each request id.
func (m *Manager) TriggerSchedule(ctx context.Context, workflowID string, request TriggerRequest) (WriteResult, error) {
	return m.run(ctx, request.Request, workflows.Run{
		WorkflowID: workflowID, Action: workflows.ActionTrigger, OverlapPolicy: request.OverlapPolicy,
	})
}

// BackfillSchedule starts the runs that the schedule would have started in a window, once for each
// request id.
func (m *Manager) BackfillSchedule(ctx context.Context, workflowID string, request BackfillRequest) (WriteResult, error) {
	if !request.StartAt.Before(request.EndAt) {
		return WriteResult{}, fmt.Errorf("%w: start_at must be before end_at", ErrInvalid)
	}
	return m.run(ctx, request.Request, workflows.Run{
		WorkflowID: workflowID, Action: workflows.ActionBackfill, OverlapPolicy: request.OverlapPolicy,
		StartAt: request.StartAt, EndAt: request.EndAt,
	})
}

func (m *Manager) run(ctx context.Context, request Request, message workflows.Run) (WriteResult, error) {
	if message.OverlapPolicy != "" && !slices.Contains(config.OverlapPolicies(), message.OverlapPolicy) {
		return WriteResult{}, fmt.Errorf("%w: unknown overlap_policy %q: use one of %v",
			ErrInvalid, message.OverlapPolicy, config.OverlapPolicies())
	}
	if err := m.exists(message.WorkflowID); err != nil {
		return WriteResult{}, err
	}
	message.RequestID, message.Actor, message.Reason = requestIDOf(request), request.Actor, request.Reason
	result, err := m.write(ctx, workflows.SignalRun, message, workflows.Outcome{
		RequestID: message.RequestID, WorkflowID: message.WorkflowID, Action: string(message.Action),
	})
	if err != nil {
		return result, fmt.Errorf("%s workflow %s: %w", message.Action, message.WorkflowID, err)
	}
	return result, nil
}

// ReconcileSchedules asks the reconciler to reload its current revision. It does not wait for the pass:
// Outcome tells how it ended.
func (m *Manager) ReconcileSchedules(ctx context.Context, request ReconcileRequest) (WriteResult, error) {
	requestID := requestIDOf(request.Request)
	err := m.signal(ctx, workflows.SignalReload, workflows.Reload{
		RequestID: requestID, Force: request.Force, Prune: request.Prune,
	})
	if err != nil {
		return WriteResult{}, err
	}
	if request.Force {
		m.snapshot.forget()
	}
	return WriteResult{RequestID: requestID, Status: workflows.OutcomeAccepted}, nil
}

func requestIDOf(request Request) string {
	if request.RequestID != "" {
		return request.RequestID
	}
	return uuid.NewString()
}

// write signals, then waits to be told of the outcome, and asks for it, for as long as the budget lasts. Once the signal
// is sent the write will happen, so running out of budget is no error.
// own is the outcome that is asked for, as far as it is known.
func (m *Manager) write(ctx context.Context, signal string, message any, own workflows.Outcome) (WriteResult, error) {
	requestID := own.RequestID
	defer m.server.Urgent()()
	told, end := m.applied.wait(requestID)
	defer end()
	if err := m.signal(ctx, signal, message); err != nil {
		return WriteResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.budget)
	defer cancel()
	var outcome workflows.Outcome
	select {
	case <-ctx.Done():
		return WriteResult{RequestID: requestID, Status: workflows.OutcomeAccepted}, nil
	case outcome = <-told:
	case outcome = <-m.settled(ctx, own):
	}
	switch {
	case !sameRequest(outcome, own):
		return WriteResult{}, fmt.Errorf("%w: the request id %q was used before, to %s workflow %s: use a new one",
			ErrConflict, requestID, outcome.Action, outcome.WorkflowID)
	case outcome.Status == workflows.OutcomeFailed:
		return WriteResult{}, failure(outcome)
	}
	return WriteResult{RequestID: requestID, Status: outcome.Status, Message: outcome.Message}, nil
}

func sameRequest(a, b workflows.Outcome) bool {
	return a.WorkflowID == b.WorkflowID && a.Action == b.Action
}

// settled asks for the outcome of a request until it is applied, failed or another request's, or ctx ends.
func (m *Manager) settled(ctx context.Context, own workflows.Outcome) <-chan workflows.Outcome {
	settled := make(chan workflows.Outcome, 1)
	go func() {
		for pause, next := firstAsk, nextAsk; ; pause, next = next, min(2*next, lastAsk) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			outcome, err := m.Outcome(ctx, own.RequestID)
			switch {
			case err == nil && outcome.Status != workflows.OutcomeUnknown &&
				(!sameRequest(outcome, own) || outcome.Status != workflows.OutcomeAccepted):
				settled <- outcome
				return
			case err != nil && ctx.Err() == nil:
				m.logger.Warn("asking for the outcome of a request", "request_id", own.RequestID, "error", err)
			}
		}
	}()
	return settled
}

func (m *Manager) signal(ctx context.Context, name string, message any) error {
	ctx, cancel := context.WithTimeout(ctx, signalTimeout)
	defer cancel()
	err := m.client.SignalWorkflow(ctx, workflows.ReconcilerID(m.name), "", name, message)
	return explain("signal the reconciler", err)
}

// Status asks the reconciler.
func (m *Manager) Status(ctx context.Context) (workflows.Status, error) {
	var status workflows.Status
	err := m.query(ctx, &status, workflows.QueryStatus)
	return status, err
}

// Outcome asks the reconciler what became of a request. An id that it does not know has the status
// unknown: not arrived yet, or more than 1,000 requests ago.
func (m *Manager) Outcome(ctx context.Context, requestID string) (workflows.Outcome, error) {
	var outcomes []workflows.Outcome
	if err := m.query(ctx, &outcomes, workflows.QueryOutcome, workflows.OutcomeQuery{RequestID: requestID}); err != nil {
		return workflows.Outcome{}, err
	}
	if len(outcomes) != 1 {
		return workflows.Outcome{}, errors.New("the reconciler answered another question")
	}
	return outcomes[0], nil
}

func (m *Manager) query(ctx context.Context, answer any, name string, args ...any) error {
	value, err := activities.Query(ctx, m.client, workflows.ReconcilerID(m.name), name, args...)
	if err != nil {
		return explain("ask the reconciler", err)
	}
	if err := value.Get(answer); err != nil {
		return fmt.Errorf("read the reconciler's answer to %s: %w", name, err)
	}
	return nil
}
