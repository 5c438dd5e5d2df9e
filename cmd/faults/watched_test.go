package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// askAgain is when a question is asked again: the server loses one now and then, and a query waits for a killed
// worker's queue.
const askAgain = 3 * time.Second

// watched is the reconciler of a project, as Temporal shows it.
type watched struct {
	t       *testing.T
	client  client.Client
	project string
}

// query asks the reconciler; false where it cannot answer now.
func (w watched) query(name string, answer any, arguments ...any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askAgain)
	defer cancel()
	value, err := w.client.QueryWorkflow(ctx, workflows.ReconcilerID(w.project), "", name, arguments...)
	return err == nil && value.Get(answer) == nil
}

// status is the zero Status where the reconciler cannot answer now.
func (w watched) status() (s workflows.Status) {
	w.query(workflows.QueryStatus, &s)
	return s
}

// overrides are those in force, by workflow id.
func (w watched) overrides(log func() string) map[string]workflows.ActiveOverride {
	w.t.Helper()
	var page workflows.OverridesPage
	schedulestest.Eventually(w.t, log, func() bool {
		page = workflows.OverridesPage{}
		return w.query(workflows.QueryOverrides, &page, workflows.OverridesQuery{PageSize: 1000})
	})
	require.Empty(w.t, page.After, "one page has them all")
	byID := map[string]workflows.ActiveOverride{}
	for _, o := range page.Overrides {
		byID[o.WorkflowID] = o
	}
	return byID
}

// outcome is what became of a request, as far as the reconciler knows now.
func (w watched) outcome(requestID string) workflows.Outcome {
	var outcomes []workflows.Outcome
	if !w.query(workflows.QueryOutcome, &outcomes, workflows.OutcomeQuery{RequestID: requestID}) || len(outcomes) == 0 {
		return workflows.Outcome{RequestID: requestID, Status: workflows.OutcomeUnknown}
	}
	return outcomes[0]
}

// settled reports whether a request has come to its end.
func settled(o workflows.Outcome) bool {
	return o.Status == workflows.OutcomeApplied || o.Status == workflows.OutcomeFailed
}

func (w watched) signal(name string, message any) error {
	return schedulestest.Signal(w.client, w.project, name, message)
}

// describe is nil where nobody answered, or there is no reconciler.
func (w watched) describe() *workflowservice.DescribeWorkflowExecutionResponse {
	ctx, cancel := context.WithTimeout(context.Background(), askAgain)
	defer cancel()
	description, err := w.client.DescribeWorkflowExecution(ctx, workflows.ReconcilerID(w.project), "")
	if err != nil {
		return nil
	}
	return description
}

// runID is the current run's; empty where there is no reconciler.
func (w watched) runID() (runID string) {
	w.t.Helper()
	schedulestest.Eventually(w.t, func() string { return "" }, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), askAgain)
		defer cancel()
		description, err := w.client.DescribeWorkflowExecution(ctx, workflows.ReconcilerID(w.project), "")
		_, gone := errors.AsType[*serviceerror.NotFound](err)
		runID = description.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		return err == nil || gone
	})
	return runID
}

// pending are the types of the activities that are asked for and not done.
func pending(description *workflowservice.DescribeWorkflowExecutionResponse) map[string]bool {
	types := map[string]bool{}
	for _, activity := range description.GetPendingActivities() {
		types[activity.GetActivityType().GetName()] = true
	}
	return types
}

// working reports whether a pass is comparing or writing.
func working(description *workflowservice.DescribeWorkflowExecutionResponse) bool {
	types := pending(description)
	return types["Diff"] || types["Upsert"] || types["Delete"]
}

// history is one run's.
func (w watched) history(runID string) (events []*historypb.HistoryEvent) {
	w.t.Helper()
	more := w.client.GetWorkflowHistory(context.Background(), workflows.ReconcilerID(w.project), runID, false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for more.HasNext() {
		event, err := more.Next()
		require.NoError(w.t, err)
		events = append(events, event)
	}
	return events
}

// continued is the run that handed over to the one with this history; empty for the first.
func continued(events []*historypb.HistoryEvent) string {
	return events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
}

// completedTasks are the events with which the workflow tasks started that came to their end.
func completedTasks(events []*historypb.HistoryEvent) (started []int64) {
	for _, event := range events {
		if task := event.GetWorkflowTaskCompletedEventAttributes(); task != nil {
			started = append(started, task.GetStartedEventId())
		}
	}
	return started
}

// handled are the requests of override signals that a finished workflow task has taken over, in the given run and
// those before it up to the one called since.
func (w watched) handled(runID, since string) map[string]bool {
	w.t.Helper()
	requests := map[string]bool{}
	for runID != "" {
		events := w.history(runID)
		var last int64
		for _, started := range completedTasks(events) {
			last = started
		}
		for _, event := range events {
			signal := event.GetWorkflowExecutionSignaledEventAttributes()
			if signal.GetSignalName() != workflows.SignalOverride || event.GetEventId() > last {
				continue
			}
			var o workflows.Override
			require.NoError(w.t, converter.GetDefaultDataConverter().FromPayloads(signal.GetInput(), &o))
			requests[o.RequestID] = true
		}
		if runID == since {
			break
		}
		runID = continued(events)
	}
	return requests
}

// aboutToContinue reports whether a worker has been handed a task that the server would like to be the run's last.
func aboutToContinue(events []*historypb.HistoryEvent) bool {
	last := events[len(events)-1].GetWorkflowTaskStartedEventAttributes()
	return last.GetSuggestContinueAsNew()
}

// schedule is how people call a workflow's schedule.
func (w watched) schedule(id string) client.ScheduleHandle {
	return w.client.ScheduleClient().GetHandle(context.Background(), fmt.Sprintf("schedule-%s-%s", w.project, id))
}
