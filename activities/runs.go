package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
)

// StatusRunning is the status of a run that has not ended.
const StatusRunning = "running"

// RunStatus is Temporal's status of a run in lower case, such as completed or timed_out; empty where
// there is none.
func RunStatus(status enumspb.WorkflowExecutionStatus) string {
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return ""
	}
	name := enumspb.WorkflowExecutionStatus_name[int32(status)]
	return strings.ToLower(strings.TrimPrefix(name, "WORKFLOW_EXECUTION_STATUS_"))
}

// CurrentStatus asks for the status of the latest run of a workflow execution: that of a retry or of a
// continued run, where there is one. Empty where its retention is over.
func (s *Server) CurrentStatus(ctx context.Context, executionID string) (string, error) {
	ctx = withResource(ctx, "workflow", executionID)
	response, err := call(ctx, s, func(ctx context.Context) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
		return s.service.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
			Namespace: s.namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: executionID},
		})
	})
	switch {
	case isNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("describe run %s: %w", executionID, err)
	}
	return RunStatus(response.GetWorkflowExecutionInfo().GetStatus()), nil
}

// Detail is all that Temporal says of one schedule.
type Detail struct {
	Described
	NextRuns []time.Time
	LastRun  *LastRun
	Info     *schedulepb.ScheduleInfo
	// token is for an update of the schedule as it is here.
	token []byte
}

// Describe reads a schedule as it is now.
func (s *Server) Describe(ctx context.Context, id string) (Detail, error) {
	response, err := s.describe(ctx, id)
	switch {
	case isNotFound(err):
		return Detail{Described: Described{Missing: true}}, nil
	case err != nil:
		return Detail{}, err
	}
	return Detail{
		Described: described(id, response),
		NextRuns:  times(response.GetInfo().GetFutureActionTimes()),
		LastRun:   lastRun(response.GetInfo().GetRecentActions()),
		Info:      response.GetInfo(),
		token:     response.GetConflictToken(),
	}, nil
}

// Execution is one run that a schedule started.
type Execution struct {
	WorkflowID, RunID string
	Status            string
	// ScheduledTime is the time that the schedule meant the run for; zero for a run without one.
	ScheduledTime, StartTime, CloseTime time.Time
}

// Runs lists a schedule's runs, newest first, as visibility has them. token is next of the page before. Where
// no query can name the schedule, a page may hold fewer runs than it could.
func (s *Server) Runs(ctx context.Context, scheduleID string, size int, token []byte) (runs []Execution, next []byte, err error) {
	query := "TemporalScheduledById = " + quote(scheduleID)
	if start := queryable(scheduleID); start != scheduleID {
		query = "TemporalScheduledById STARTS_WITH " + quote(start)
	}
	page, err := call(ctx, s, func(ctx context.Context) (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return s.service.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: s.namespace, PageSize: int32(size), NextPageToken: token, //nolint:gosec // at most 100
			Query: query,
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the runs of schedule %s: %w", scheduleID, err)
	}
	for _, info := range page.GetExecutions() {
		var by string
		if attribute(info, "TemporalScheduledById", &by); by == scheduleID {
			runs = append(runs, execution(info))
		}
	}
	return runs, page.GetNextPageToken(), nil
}

func execution(info *workflowpb.WorkflowExecutionInfo) Execution {
	e := Execution{
		WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(),
		Status: RunStatus(info.GetStatus()), StartTime: info.GetStartTime().AsTime(),
	}
	if info.GetCloseTime() != nil {
		e.CloseTime = info.GetCloseTime().AsTime()
	}
	attribute(info, "TemporalScheduledStartTime", &e.ScheduledTime)
	return e
}

// attribute reads a search attribute of a run. One that cannot be read stays as it is.
func attribute(info *workflowpb.WorkflowExecutionInfo, name string, value any) {
	if payload := info.GetSearchAttributes().GetIndexedFields()[name]; payload != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, value)
	}
}
