package bench_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/compozy/schedules/workflows"
)

// Temporal ends a workflow whose history is longer or larger.
const (
	limitEvents = 50 * 1024
	limitBytes  = 50 << 20
	maxShare    = 0.1
)

// growth is how much history there is.
type growth struct{ events, bytes int64 }

// share is the larger part of Temporal's limits.
func (g growth) share() float64 {
	return max(float64(g.events)/limitEvents, float64(g.bytes)/limitBytes)
}

// measureHistory tells what a pass without changes, and an override, add to the reconciler's history.
func (f *fixture) measureHistory(t *testing.T) {
	f.rest(t)
	before := f.history(t)
	f.resync(t)
	after := f.history(t)
	f.addHistory(t, "pass over "+thousands(f.n)+" with nothing to do", before, after)
	for i, action := range []workflows.OverrideAction{workflows.ActionPause, workflows.ActionResume} {
		before := f.history(t)
		request := fmt.Sprint("bench-", i)
		require.NoError(t, f.client.SignalWorkflow(t.Context(), workflows.ReconcilerID(projectName), "", workflows.SignalOverride,
			workflows.Override{WorkflowID: workflowID(0), Action: action, RequestID: request, Actor: "bench", Reason: "measured"}))
		f.until(t, func() bool {
			value, err := f.client.QueryWorkflow(t.Context(), workflows.ReconcilerID(projectName), "", workflows.QueryOutcome,
				workflows.OutcomeQuery{RequestID: request})
			var outcomes []workflows.Outcome
			return err == nil && value.Get(&outcomes) == nil && outcomes[0].Status == workflows.OutcomeApplied
		})
		if action == workflows.ActionPause {
			f.addHistory(t, "override", before, f.history(t))
		}
	}
}

// addHistory adds the row of what lies between two looks.
func (f *fixture) addHistory(t *testing.T, what string, before, after growth) {
	t.Helper()
	grown := growth{events: after.events - before.events, bytes: after.bytes - before.bytes}
	require.Positive(t, grown.events)
	page.add(row{
		what: "history of the " + what, figure: fmt.Sprintf("%s events, %.0f KiB", thousands(int(grown.events)), float64(grown.bytes)/1024),
		against: "Temporal's limits: 51,200 events, 50 MiB", ratio: fmt.Sprintf("%.2f %%", 100*grown.share()),
		budget: "≤ 10 %", met: grown.share() <= maxShare,
	})
}

// history is all that the reconciler has written, over all its runs, by the server's own count.
func (f *fixture) history(t *testing.T) (whole growth) {
	t.Helper()
	id := workflows.ReconcilerID(projectName)
	for run := ""; ; {
		description, err := f.client.DescribeWorkflowExecution(t.Context(), id, run)
		require.NoError(t, err)
		info := description.GetWorkflowExecutionInfo()
		whole.events += info.GetHistoryLength()
		whole.bytes += info.GetHistorySizeBytes()
		events := f.client.GetWorkflowHistory(t.Context(), id, info.GetExecution().GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		first, err := events.Next()
		require.NoError(t, err)
		if run = first.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); run == "" {
			return whole
		}
	}
}
