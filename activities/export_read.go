package activities

import (
	"context"
	"slices"

	schedulepb "go.temporal.io/api/schedule/v1"
)

// Unowned lists the IDs, in order, of the schedules that no project owns as far as a list shows: ownership
// by the memo of the runs shows in a describe only. query is a visibility query, empty for the whole
// namespace; owned is how many it found that projects own.
func (s *Server) Unowned(ctx context.Context, query string) (ids []string, owned int, err error) {
	seen := map[string]bool{} // pages shift while schedules are created
	err = s.list(ctx, query, func(entry *schedulepb.ScheduleListEntry) {
		l := listed(entry)
		if seen[l.ScheduleID] {
			return
		}
		seen[l.ScheduleID] = true
		if l.Owner.None() {
			ids = append(ids, l.ScheduleID)
		} else {
			owned++
		}
	})
	slices.Sort(ids)
	return ids, owned, err
}
