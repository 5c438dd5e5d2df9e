package activities

import (
	"context"
	"strings"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// List reads the schedules that have the project's ID prefix. They are the project's own only where
// OwnedBy says so. progress, which may be nil, is told the number read so far after each page.
func (s *Server) List(ctx context.Context, project string, progress func(int)) ([]Listed, error) {
	var entries []Listed
	err := s.list(ctx, project, func(entry *schedulepb.ScheduleListEntry) {
		entries = append(entries, listed(entry))
	}, func() {
		if progress != nil {
			progress(len(entries))
		}
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func listed(entry *schedulepb.ScheduleListEntry) Listed {
	project, workflowID, ours := owner(entry.GetMemo())
	info := entry.GetInfo()
	return Listed{
		ScheduleID:   entry.GetScheduleId(),
		Project:      project,
		WorkflowID:   workflowID,
		Owned:        ours,
		Paused:       info.GetPaused(),
		Note:         info.GetNotes(),
		Spec:         info.GetSpec(),
		WorkflowType: info.GetWorkflowType().GetName(),
		NextRuns:     times(info.GetFutureActionTimes()),
		LastRun:      lastRun(info.GetRecentActions()),
	}
}

func times(stamps []*timestamppb.Timestamp) []time.Time {
	out := make([]time.Time, len(stamps))
	for i, stamp := range stamps {
		out[i] = stamp.AsTime()
	}
	return out
}

// lastRun is the latest of the actions, which the server lists oldest first.
func lastRun(actions []*schedulepb.ScheduleActionResult) *LastRun {
	if len(actions) == 0 {
		return nil
	}
	last := actions[len(actions)-1]
	return &LastRun{
		WorkflowID: last.GetStartWorkflowResult().GetWorkflowId(),
		RunID:      last.GetStartWorkflowResult().GetRunId(),
		At:         last.GetActualTime().AsTime(),
		Status:     RunStatus(last.GetStartWorkflowStatus()),
	}
}

// WorkflowIDOf is the workflow that a schedule ID of the project's prefix would be for.
func WorkflowIDOf(project, scheduleID string) (string, bool) {
	return strings.CutPrefix(scheduleID, schedulePrefix(project))
}
