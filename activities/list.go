package activities

import (
	"context"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
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
	next := make([]time.Time, len(info.GetFutureActionTimes()))
	for i, t := range info.GetFutureActionTimes() {
		next[i] = t.AsTime()
	}
	return Listed{
		ScheduleID:   entry.GetScheduleId(),
		Project:      project,
		WorkflowID:   workflowID,
		Owned:        ours,
		Paused:       info.GetPaused(),
		Note:         info.GetNotes(),
		Spec:         info.GetSpec(),
		WorkflowType: info.GetWorkflowType().GetName(),
		NextRuns:     next,
	}
}
