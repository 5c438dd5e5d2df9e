package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/config"
)

// TestOwner reads whose a schedule is from all combinations of witnesses, which no server holds at once.
func TestOwner(t *testing.T) {
	memo := func(fields map[string]any) *commonpb.Memo {
		encoded, err := payloads(converter.GetDefaultDataConverter(), fields)
		require.NoError(t, err)
		return &commonpb.Memo{Fields: encoded}
	}
	ours := func(project, workflowID string, more ...string) *commonpb.Memo {
		values := map[string]any{"managed_by": "compozy-schedules", "project": project, "workflow_id": workflowID}
		for i := 0; i < len(more); i += 2 {
			values[more[i]] = more[i+1]
		}
		return memo(values)
	}
	marked := func(project, workflowID, scheduleID string) *schedulepb.StructuredCalendarSpec {
		return ownershipMark(Owner{project, workflowID}, scheduleID)
	}
	comment := func(text string) *schedulepb.StructuredCalendarSpec {
		return &schedulepb.StructuredCalendarSpec{Comment: text}
	}
	a := Owner{"a", "w"}
	mark := marked("a", "w", "nightly")

	tests := []struct {
		name  string
		id    string // default: nightly
		memo  *commonpb.Memo
		marks []*schedulepb.StructuredCalendarSpec
		runs  *commonpb.Memo
		want  Owner
		// lasting: known by the schedule's own memo or its mark. marked: by its mark.
		lasting, marked bool
	}{
		{name: "nobody's without a memo and a mark"},
		{name: "ours by the memo of its creation", id: "schedule-a-w", memo: ours("a", "w"), want: a, lasting: true},
		{name: "ours by a memo that names another ID", memo: ours("a", "w", "schedule_id", "nightly"), want: a, lasting: true},
		{name: "project a-b's where the ID could be project a's too", id: "schedule-a-b-c", memo: ours("a-b", "c"),
			want: Owner{"a-b", "c"}, lasting: true},
		{name: "nobody's where the memo is copied from a schedule of the default ID", memo: ours("a", "w")},
		{name: "nobody's where the memo is copied from one of another default ID", id: "schedule-a-v", memo: ours("a", "w")},
		{name: "nobody's where the memo is copied from one of another named ID", memo: ours("a", "w", "schedule_id", "daily")},
		{name: "nobody's where the memo is copied to the default ID", id: "schedule-a-w", memo: ours("a", "w", "schedule_id", "nightly")},
		{name: "nobody's where another tool manages it", id: "schedule-a-w", memo: ours("a", "w", "managed_by", "terraform")},
		{name: "nobody's where people's memo uses our keys", id: "schedule-a-w",
			memo: memo(map[string]any{"project": "a", "workflow_id": "w"})},
		{name: "nobody's where the memo holds no texts", id: "schedule-a-w",
			memo: memo(map[string]any{"managed_by": []string{"compozy-schedules"}, "project": 1, "workflow_id": nil})},
		{name: "nobody's where the memo names neither project nor workflow", id: "schedule--", memo: ours("", "")},

		{name: "ours by its mark", marks: []*schedulepb.StructuredCalendarSpec{mark}, want: a, lasting: true, marked: true},
		{name: "ours by its mark beside exclusions of people's", want: a, lasting: true, marked: true,
			marks: []*schedulepb.StructuredCalendarSpec{comment("Christmas"), mark, comment("")}},
		{name: "ours by its mark beside one that was copied", want: a, lasting: true, marked: true,
			marks: []*schedulepb.StructuredCalendarSpec{marked("b", "v", "daily"), mark}},
		{name: "nobody's where the mark is copied from another schedule",
			marks: []*schedulepb.StructuredCalendarSpec{marked("a", "w", "daily")}},
		{name: "nobody's where a comment only begins like a mark",
			marks: []*schedulepb.StructuredCalendarSpec{comment(mark.Comment + "."), comment("was: " + mark.Comment)}},
		{name: "its mark's, which can change, whatever the memo of its creation says", memo: ours("b", "v", "schedule_id", "nightly"),
			marks: []*schedulepb.StructuredCalendarSpec{mark}, want: a, lasting: true, marked: true},
		{name: "its creator's, whatever the memo of its runs says", memo: ours("a", "w", "schedule_id", "nightly"),
			runs: ours("b", "v", "schedule_id", "nightly"), want: a, lasting: true},
		{name: "ours by its mark where the memo is copied", memo: ours("b", "v"),
			marks: []*schedulepb.StructuredCalendarSpec{mark}, want: a, lasting: true, marked: true},

		{name: "ours by the memo of its runs alone, which does not last", runs: ours("a", "w", "schedule_id", "nightly"), want: a},
		{name: "ours by the memo of its runs under the default ID", id: "schedule-a-w", want: a,
			runs: ours("a", "w", "schedule_id", "schedule-a-w")},
		{name: "nobody's where the runs' memo is copied from another schedule", runs: ours("a", "w", "schedule_id", "daily")},
		{name: "nobody's where the runs' memo uses our keys", id: "schedule-a-w",
			runs: memo(map[string]any{"project": "a", "workflow_id": "w", "schedule_id": "schedule-a-w"})},
		{name: "its mark's, whatever the memo of its runs says", marks: []*schedulepb.StructuredCalendarSpec{mark},
			runs: ours("b", "v", "schedule_id", "nightly"), want: a, lasting: true, marked: true},
	}
	for _, test := range tests {
		t.Run("Should be "+test.name, func(t *testing.T) {
			id := test.id
			if id == "" {
				id = "nightly"
			}
			spec := &schedulepb.ScheduleSpec{ExcludeStructuredCalendar: test.marks}
			schedule := &schedulepb.Schedule{Spec: spec, Action: &schedulepb.ScheduleAction{
				Action: &schedulepb.ScheduleAction_StartWorkflow{StartWorkflow: &workflowpb.NewWorkflowExecutionInfo{Memo: test.runs}},
			}}
			got := described(id, &workflowservice.DescribeScheduleResponse{Memo: test.memo, Schedule: schedule})
			assert.Equal(t, test.want, got.Owner)
			assert.Equal(t, test.lasting, got.Lasting)
			assert.Equal(t, test.marked, got.Marked)

			entry := listed(&schedulepb.ScheduleListEntry{
				ScheduleId: id, Memo: test.memo, Info: &schedulepb.ScheduleListInfo{Spec: spec},
			})
			if test.lasting {
				assert.Equal(t, test.want, entry.Owner, "what lasts shows in a list")
			} else {
				assert.Equal(t, Owner{}, entry.Owner, "a list does not show the runs' memo")
			}
		})
	}

	t.Run("Should read back what it writes, up to the longest names", func(t *testing.T) {
		for _, name := range []string{"a", "0", "a-b", strings.Repeat("x", 63)} {
			owner := Owner{Project: name, WorkflowID: strings.ReplaceAll(name, "-", "_")}
			for _, id := range []string{config.DefaultScheduleID(owner.Project, owner.WorkflowID), "nightly", "né 夜\n'\"\\", strings.Repeat("x", 1000)} {
				memo, err := ownershipMemo(owner.Project, owner.WorkflowID, id)
				require.NoError(t, err)
				assert.Equal(t, owner, memoOwner(id, memo))
				mark := ownershipMark(owner, id)
				assert.Equal(t, owner, markedOwner(id, &schedulepb.ScheduleSpec{
					ExcludeStructuredCalendar: []*schedulepb.StructuredCalendarSpec{mark},
				}))
				assert.LessOrEqual(t, len(mark.GetComment()), maxComment, "Temporal refuses longer ones")
			}
		}
	})
	t.Run("Should keep the default ID out of the memo, so that it is as it always was", func(t *testing.T) {
		memo, err := ownershipMemo("a", "w", "schedule-a-w")
		require.NoError(t, err)
		assert.Len(t, memo.GetFields(), 3)
	})
	t.Run("Should take marks out of a spec and nothing else, and leave the spec itself alone", func(t *testing.T) {
		spec := &schedulepb.ScheduleSpec{
			TimezoneName:              "Asia/Tokyo",
			ExcludeStructuredCalendar: []*schedulepb.StructuredCalendarSpec{mark, comment("Christmas"), marked("b", "v", "daily")},
		}
		before := proto.CloneOf(spec)
		assert.True(t, proto.Equal(withoutMark(spec), &schedulepb.ScheduleSpec{
			TimezoneName: "Asia/Tokyo", ExcludeStructuredCalendar: []*schedulepb.StructuredCalendarSpec{comment("Christmas")},
		}))
		assert.True(t, proto.Equal(before, spec))
	})
}
