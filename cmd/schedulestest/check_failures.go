package schedulestest

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// Failures says what must never be: executions of the project's reconciler that failed or timed out, and failed
// workflow tasks. Terminated and canceled executions are allowed, since tests end reconcilers by hand.
func Failures(ctx context.Context, c client.Client, project string) ([]string, error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowId = 'schedule-reconciler-" + project + "'"}
	var found []string
	for {
		page, err := c.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list the reconciler's runs: %w", err)
		}
		for _, run := range page.GetExecutions() {
			runID, status := run.GetExecution().GetRunId(), run.GetStatus()
			if status == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED || status == enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT {
				found = append(found, fmt.Sprintf("run %s: %s", runID, status))
			}
			failed, err := failedTasks(ctx, c, run.GetExecution().GetWorkflowId(), runID)
			if err != nil {
				return nil, err
			}
			found = append(found, failed...)
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return found, nil
		}
	}
}

// failedTasks are the failed workflow tasks in the history of a run. One that timed out is what a killed worker
// leaves; it is another event, and allowed.
func failedTasks(ctx context.Context, c client.Client, id, runID string) ([]string, error) {
	var failed []*historypb.HistoryEvent
	terminated := false
	events := c.GetWorkflowHistory(ctx, id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			break // its retention is over
		}
		if err != nil {
			return nil, fmt.Errorf("read the history of run %s: %w", runID, err)
		}
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
			failed = append(failed, event)
		}
		terminated = event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
	}
	var found []string
	for _, event := range failed {
		a := event.GetWorkflowTaskFailedEventAttributes()
		if !allowedCause(a.GetCause(), terminated) {
			found = append(found, fmt.Sprintf("run %s, event %d: workflow task failed: %s: %s",
				runID, event.GetEventId(), a.GetCause(), a.GetFailure().GetMessage()))
		}
	}
	return found, nil
}

// allowedCause reports whether a workflow task of a sound workflow may fail so.
func allowedCause(cause enumspb.WorkflowTaskFailedCause, terminated bool) bool {
	switch cause {
	case enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND:
		return true // a signal came while the task ended the run: Temporal asks again, and nothing is lost
	case enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
		return true // somebody reset the workflow: this event is where the new run branches off
	case enumspb.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND:
		return terminated // somebody terminated the workflow while a task was under way
	default:
		return false
	}
}
