package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// Manager is what the API needs of a manager.Manager.
type Manager interface {
	ReconcileSchedules(ctx context.Context, request manager.ReconcileRequest) (manager.WriteResult, error)
	ListSchedules(ctx context.Context, options manager.ListOptions) (manager.ListResult, error)
	GetSchedule(ctx context.Context, workflowID string) (manager.ScheduleInfo, error)
	UpdateSchedule(ctx context.Context, workflowID string, request manager.UpdateRequest) (manager.WriteResult, error)
	DeleteSchedule(ctx context.Context, workflowID string, request manager.DeleteRequest) (manager.WriteResult, error)
	RevertSchedule(ctx context.Context, workflowID string, request manager.Request) (manager.WriteResult, error)
	TriggerSchedule(ctx context.Context, workflowID string, request manager.TriggerRequest) (manager.WriteResult, error)
	BackfillSchedule(ctx context.Context, workflowID string, request manager.BackfillRequest) (manager.WriteResult, error)
	ListRuns(ctx context.Context, workflowID string, options manager.RunsOptions) (manager.RunsResult, error)
	Status(ctx context.Context) (workflows.Status, error)
	Outcome(ctx context.Context, requestID string) (workflows.Outcome, error)
}

// handlers implements the generated ServerInterface: each turns a checked request into one call of the
// manager, and its result into an answer.
type handlers struct {
	manager Manager
	ready   *readiness
	logger  *slog.Logger
}

// ListSchedules answers GET /api/v0/schedules.
func (h *handlers) ListSchedules(c echo.Context, params ListSchedulesParams) error {
	list, err := h.manager.ListSchedules(c.Request().Context(), manager.ListOptions{
		State: string(value(params.Status)), PageSize: value(params.PageSize), PageToken: value(params.PageToken),
	})
	if err != nil {
		return err
	}
	if list.Schedules == nil {
		list.Schedules = []manager.ScheduleInfo{} // [] in JSON, not null
	}
	return writeJSON(c, http.StatusOK, list)
}

// GetSchedule answers GET /api/v0/schedules/{workflowId}.
func (h *handlers) GetSchedule(c echo.Context, workflowID WorkflowId) error {
	info, err := h.manager.GetSchedule(c.Request().Context(), workflowID)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, info)
}

// UpdateSchedule answers PUT /api/v0/schedules/{workflowId}.
func (h *handlers) UpdateSchedule(c echo.Context, workflowID WorkflowId, params UpdateScheduleParams) error {
	var body UpdateBody
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	expiresIn, err := parseExpiry(body.ExpiresIn)
	if err != nil {
		return err
	}
	request := manager.UpdateRequest{
		Request: write(c, params.IdempotencyKey, body.Reason),
		Enabled: &body.Enabled, ExpiresIn: expiresIn, Hold: value(body.Hold),
	}
	result, err := h.manager.UpdateSchedule(c.Request().Context(), workflowID, request)
	action := workflows.ActionPause
	if body.Enabled {
		action = workflows.ActionResume
	}
	h.logWrite(c, string(action), workflowID, request.Request, err)
	if err != nil || result.Status != workflows.OutcomeApplied {
		return accepted(c, result, err)
	}
	if result.Schedule == nil {
		info, err := h.manager.GetSchedule(c.Request().Context(), workflowID)
		if err != nil { // the write is done all the same
			h.logger.Warn("a schedule that was just written cannot be shown", "workflow_id", workflowID, "error", err)
			return accepted(c, result, nil)
		}
		result.Schedule = &info
	}
	return writeJSON(c, http.StatusOK, result.Schedule)
}

// DeleteSchedule answers DELETE /api/v0/schedules/{workflowId}.
func (h *handlers) DeleteSchedule(c echo.Context, workflowID WorkflowId, params DeleteScheduleParams) error {
	expiresIn, err := parseExpiry(params.ExpiresIn)
	if err != nil {
		return err
	}
	request := manager.DeleteRequest{
		Request: write(c, params.IdempotencyKey, params.Reason), ExpiresIn: expiresIn, Hold: value(params.Hold),
	}
	result, err := h.manager.DeleteSchedule(c.Request().Context(), workflowID, request)
	h.logWrite(c, string(workflows.ActionDelete), workflowID, request.Request, err)
	return noContent(c, result, err)
}

// RevertSchedule answers DELETE /api/v0/schedules/{workflowId}/override.
func (h *handlers) RevertSchedule(c echo.Context, workflowID WorkflowId, params RevertScheduleParams) error {
	request := write(c, params.IdempotencyKey, params.Reason)
	result, err := h.manager.RevertSchedule(c.Request().Context(), workflowID, request)
	h.logWrite(c, string(workflows.ActionRevert), workflowID, request, err)
	return noContent(c, result, err)
}

// TriggerSchedule answers POST /api/v0/schedules/{workflowId}/trigger.
func (h *handlers) TriggerSchedule(c echo.Context, workflowID WorkflowId, params TriggerScheduleParams) error {
	var body TriggerBody
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	request := manager.TriggerRequest{
		Request:       write(c, params.IdempotencyKey, body.Reason),
		OverlapPolicy: config.OverlapPolicy(value(body.OverlapPolicy)),
	}
	result, err := h.manager.TriggerSchedule(c.Request().Context(), workflowID, request)
	h.logWrite(c, string(workflows.ActionTrigger), workflowID, request.Request, err)
	return done(c, result, err)
}

// BackfillSchedule answers POST /api/v0/schedules/{workflowId}/backfill.
func (h *handlers) BackfillSchedule(c echo.Context, workflowID WorkflowId, params BackfillScheduleParams) error {
	var body BackfillBody
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if !body.EndAt.After(body.StartAt) {
		return invalid("end_at", "end_at: must be after start_at")
	}
	request := manager.BackfillRequest{
		Request: write(c, params.IdempotencyKey, body.Reason), StartAt: body.StartAt, EndAt: body.EndAt,
		OverlapPolicy: config.OverlapPolicy(value(body.OverlapPolicy)),
	}
	result, err := h.manager.BackfillSchedule(c.Request().Context(), workflowID, request)
	h.logWrite(c, string(workflows.ActionBackfill), workflowID, request.Request, err)
	return done(c, result, err)
}

// ListRuns answers GET /api/v0/schedules/{workflowId}/runs.
func (h *handlers) ListRuns(c echo.Context, workflowID WorkflowId, params ListRunsParams) error {
	runs, err := h.manager.ListRuns(c.Request().Context(), workflowID, manager.RunsOptions{
		PageSize: value(params.PageSize), PageToken: value(params.PageToken),
	})
	if err != nil {
		return err
	}
	if runs.Runs == nil {
		runs.Runs = []manager.RunInfo{}
	}
	return writeJSON(c, http.StatusOK, runs)
}

// GetReconciler answers GET /api/v0/reconciler.
func (h *handlers) GetReconciler(c echo.Context) error {
	status, err := h.manager.Status(c.Request().Context())
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, status)
}

// Reload answers POST /api/v0/reload. A pass takes longer than a request, so that the answer is always
// 202.
func (h *handlers) Reload(c echo.Context, params ReloadParams) error {
	var body ReloadBody
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	request := manager.ReconcileRequest{
		Request: write(c, params.IdempotencyKey, nil), Force: value(body.Force), Prune: value(body.Prune),
	}
	result, err := h.manager.ReconcileSchedules(c.Request().Context(), request)
	h.logWrite(c, "reload", "", request.Request, err)
	return accepted(c, result, err)
}

// GetRequest answers GET /api/v0/requests/{requestId}.
func (h *handlers) GetRequest(c echo.Context, requestID RequestId) error {
	outcome, err := h.manager.Outcome(c.Request().Context(), requestID)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, outcome)
}

// write collects what all writes have in common. Without an Idempotency-Key the request id is a new one,
// made here so that the log has it whatever becomes of the write.
func write(c echo.Context, key, reason *string) manager.Request {
	request := manager.Request{RequestID: value(key), Actor: callOf(c).principal.name, Reason: value(reason)}
	if request.RequestID == "" {
		request.RequestID = uuid.NewString()
	}
	return request
}

func (h *handlers) logWrite(c echo.Context, action, workflowID string, request manager.Request, err error) {
	attrs := []any{
		"action", action, "workflow_id", workflowID, "actor", request.Actor, "reason", request.Reason,
		"write_id", request.RequestID, "request_id", callOf(c).id,
	}
	if err != nil {
		h.logger.Warn("a write through the API failed", append(attrs, "error", err)...)
		return
	}
	h.logger.Warn("a write through the API", attrs...)
}

// done answers a write whose answer is its result.
func done(c echo.Context, result manager.WriteResult, err error) error {
	if err != nil || result.Status != workflows.OutcomeApplied {
		return accepted(c, result, err)
	}
	return writeJSON(c, http.StatusOK, result)
}

// noContent answers a write that leaves nothing to show.
func noContent(c echo.Context, result manager.WriteResult, err error) error {
	if err != nil || result.Status != workflows.OutcomeApplied {
		return accepted(c, result, err)
	}
	return c.NoContent(http.StatusNoContent)
}

// accepted points to where the client can ask what became of the write.
func accepted(c echo.Context, result manager.WriteResult, err error) error {
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/v0/requests/"+url.PathEscape(result.RequestID))
	return writeJSON(c, http.StatusAccepted, result)
}

func parseExpiry(text *string) (time.Duration, error) {
	if text == nil {
		return 0, nil
	}
	d, err := config.ParseDuration("expires_in", *text)
	switch {
	case err != nil:
		return 0, invalid("expires_in", "%s", clip(err.Error()))
	case d <= 0:
		return 0, invalid("expires_in", "expires_in: use more than 0s, or leave it out for an override that does not expire")
	}
	return d, nil
}

// value is what an optional field says, or its zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
