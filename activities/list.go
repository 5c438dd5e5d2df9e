package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// idsInQuery bounds one query for schedules by their IDs.
const idsInQuery = 100

// Scope is what a list reads.
type Scope struct {
	// Project reads the schedules with the project's ID prefix.
	Project string
	// Also are further IDs to read.
	Also []string
	// Whole reads every schedule of the namespace.
	Whole bool
	// NoSpecs leaves the entries' specs out, which are the largest part of them.
	NoSpecs bool
}

// List reads schedules. They are a project's own only where OwnedBy says so.
func (s *Server) List(ctx context.Context, scope Scope) ([]Listed, error) {
	var entries []Listed
	prefix, also := schedulePrefix(scope.Project), make(map[string]bool, len(scope.Also))
	for _, id := range scope.Also {
		also[id] = true
	}
	each := func(entry *schedulepb.ScheduleListEntry) {
		// Some queries find more than was asked for.
		if id := entry.GetScheduleId(); scope.Whole || strings.HasPrefix(id, prefix) || also[id] {
			one := listed(entry)
			if scope.NoSpecs {
				one.Spec = nil
			}
			entries = append(entries, one)
		}
	}
	for _, query := range scope.queries() {
		if err := s.list(ctx, query, each); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// queries are visibility queries; the empty one is for all.
func (s Scope) queries() []string {
	if s.Whole {
		return []string{""}
	}
	prefix := schedulePrefix(s.Project)
	queries := []string{fmt.Sprintf("ScheduleId STARTS_WITH '%s'", prefix)}
	var also []string
	for _, id := range s.Also {
		switch start := queryable(id); {
		case strings.HasPrefix(id, prefix):
		case start == "":
			return []string{""}
		case start != id:
			queries = append(queries, "ScheduleId STARTS_WITH "+quote(start))
		default:
			also = append(also, id)
		}
	}
	for ids := range slices.Chunk(also, idsInQuery) {
		quoted := make([]string, len(ids))
		for i, id := range ids {
			quoted[i] = quote(id)
		}
		queries = append(queries, fmt.Sprintf("ScheduleId IN (%s)", strings.Join(quoted, ", ")))
	}
	return queries
}

// queryable is the start of an ID that a query can name, usually all of it: a quotation mark or a backslash
// never matches where visibility is in SQLite or PostgreSQL, a question mark is an error in PostgreSQL, and outer
// apostrophes are cut off (docs/temporal.md, "Odd IDs").
func queryable(id string) string {
	if strings.HasPrefix(id, "'") {
		return ""
	}
	if i := strings.IndexAny(id, `"\?`); i >= 0 {
		id = id[:i]
	}
	return strings.TrimRight(id, "'")
}

// quote writes a text as visibility queries want it.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func listed(entry *schedulepb.ScheduleListEntry) Listed {
	info := entry.GetInfo()
	return Listed{
		ScheduleID:   entry.GetScheduleId(),
		Owner:        ownerOf(entry.GetScheduleId(), entry.GetMemo(), &schedulepb.Schedule{Spec: info.GetSpec()}),
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
