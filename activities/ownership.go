package activities

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/config"
)

// The memo that makes a schedule ours. It is written once, at creation: Temporal's default scheduler
// refuses to change it later (docs/temporal.md, "Memo"). The runs carry the same, with the revision that
// last wrote their schedule.
const (
	memoManagedBy  = "managed_by"
	memoProject    = "project"
	memoWorkflowID = "workflow_id"
	memoScheduleID = "schedule_id"
	memoRevision   = "revision"

	managedBy = "compozy-schedules"
)

// Owner is whose a schedule is. The zero value is nobody's that we know.
type Owner struct {
	Project    string
	WorkflowID string
}

// None reports whether no project of ours owns the schedule.
func (o Owner) None() bool { return o.Project == "" }

func ownershipMemo(project, workflowID, scheduleID string) (*commonpb.Memo, error) {
	values := map[string]any{memoManagedBy: managedBy, memoProject: project, memoWorkflowID: workflowID}
	if scheduleID != config.DefaultScheduleID(project, workflowID) {
		values[memoScheduleID] = scheduleID
	}
	fields, err := payloads(converter.GetDefaultDataConverter(), values)
	if err != nil {
		return nil, err
	}
	return &commonpb.Memo{Fields: fields}, nil
}

// ownerOf reads whose a schedule is: from the mark that an adoption left in its spec, else from its memo
// where we created it, else from the memo of its runs, which a list does not show. Ownership is never guessed
// from an ID (the prefix of project `a` is also the start of project `a-b`'s), and what says it must name
// this very schedule: people make new schedules as copies of old ones.
func ownerOf(scheduleID string, memo *commonpb.Memo, schedule *schedulepb.Schedule) Owner {
	if owner := markedOwner(scheduleID, schedule.GetSpec()); !owner.None() {
		return owner
	}
	if owner := memoOwner(scheduleID, memo); !owner.None() {
		return owner
	}
	return memoOwner(scheduleID, schedule.GetAction().GetStartWorkflow().GetMemo())
}

func memoOwner(scheduleID string, memo *commonpb.Memo) Owner {
	if memoText(memo, memoManagedBy) != managedBy {
		return Owner{}
	}
	owner := Owner{Project: memoText(memo, memoProject), WorkflowID: memoText(memo, memoWorkflowID)}
	id := cmp.Or(memoText(memo, memoScheduleID), config.DefaultScheduleID(owner.Project, owner.WorkflowID))
	if id != scheduleID {
		return Owner{}
	}
	return owner
}

// memoText is empty where the field is missing or no text: such a schedule is somebody else's.
func memoText(memo *commonpb.Memo, field string) string {
	payload, ok := memo.GetFields()[field]
	if !ok {
		return ""
	}
	var text string
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &text); err != nil {
		return ""
	}
	return text
}

// markPattern is the comment of an adopted schedule's mark.
var markPattern = regexp.MustCompile(
	`^Adopted by compozy-schedules \(project ([a-z0-9-]+), workflow ([a-z0-9_-]+)\)\. id:([0-9a-f]{12})$`)

// ownershipMark makes an adopted schedule ours for good: an exclusion of a moment long past, which changes
// no run and whose comment says whose the schedule is. It outlives pauses, notes and triggers, and lists
// show it (docs/temporal.md, "Adoption").
func ownershipMark(owner Owner, scheduleID string) *schedulepb.StructuredCalendarSpec {
	return pastExclusion(fmt.Sprintf("Adopted by compozy-schedules (project %s, workflow %s). id:%s",
		owner.Project, owner.WorkflowID, idHash(scheduleID)))
}

// pastExclusion excludes the first moment of 2000, the earliest year that Temporal knows.
func pastExclusion(comment string) *schedulepb.StructuredCalendarSpec {
	at := func(value int32) []*schedulepb.Range {
		return []*schedulepb.Range{{Start: value, End: value, Step: 1}}
	}
	return &schedulepb.StructuredCalendarSpec{
		Second: at(0), Minute: at(0), Hour: at(0), DayOfMonth: at(1), Month: at(1), Year: at(2000),
		DayOfWeek: []*schedulepb.Range{{Start: 0, End: 6, Step: 1}}, Comment: comment,
	}
}

func idHash(scheduleID string) string {
	sum := sha256.Sum256([]byte(scheduleID))
	return config.Short(hex.EncodeToString(sum[:]))
}

func markedOwner(scheduleID string, spec *schedulepb.ScheduleSpec) Owner {
	for _, calendar := range spec.GetExcludeStructuredCalendar() {
		m := markPattern.FindStringSubmatch(calendar.GetComment())
		if len(m) > 0 && m[3] == idHash(scheduleID) {
			return Owner{Project: m[1], WorkflowID: m[2]}
		}
	}
	return Owner{}
}

// withoutMark is a spec as people wrote it. A mark that was copied from another schedule goes too.
func withoutMark(spec *schedulepb.ScheduleSpec) *schedulepb.ScheduleSpec {
	isMark := func(c *schedulepb.StructuredCalendarSpec) bool { return markPattern.MatchString(c.GetComment()) }
	if !slices.ContainsFunc(spec.GetExcludeStructuredCalendar(), isMark) {
		return spec
	}
	plain := proto.CloneOf(spec)
	plain.ExcludeStructuredCalendar = slices.DeleteFunc(plain.ExcludeStructuredCalendar, isMark)
	return plain
}
