package activities

import (
	"fmt"
	"maps"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/compozy/schedules/config"
)

// shortestCatchup is the least catchup window that Temporal applies and the YAML takes.
const shortestCatchup = 10 * time.Second

// asWritten is the translated workflow without what only a project adds to it, and with the state that the
// workflow stands for.
func asWritten(desired Desired, w config.Workflow, actual *schedulepb.Schedule) *schedulepb.Schedule {
	ours := desired.Schedule()
	fields := ours.GetAction().GetStartWorkflow().GetMemo().GetFields()
	maps.DeleteFunc(fields, func(name string, _ *commonpb.Payload) bool {
		_, written := w.Start.Memo[name]
		return !written
	})
	ours.State = &schedulepb.ScheduleState{Paused: !desired.Enabled, Notes: actual.GetState().GetNotes()}
	return ours
}

// losses compares a schedule with what its workflow becomes, field by field, whatever fields there are.
func losses(actual, ours *schedulepb.Schedule) []string {
	a, b := oneSpelling(actual), oneSpelling(ours)
	var found []string
	for _, level := range [][2]proto.Message{
		{a, b}, {a.GetSpec(), b.GetSpec()}, {a.GetPolicies(), b.GetPolicies()}, {a.GetState(), b.GetState()},
		{a.GetAction().GetStartWorkflow(), b.GetAction().GetStartWorkflow()},
	} {
		for _, field := range differing(level[0].ProtoReflect(), level[1].ProtoReflect()) {
			found = append(found, lossWords(field, actual)...)
		}
	}
	if hasUnknown(actual.ProtoReflect()) {
		found = append(found, "fields that this version of schedules does not know")
	}
	return distinct(found)
}

// lossWords says for people what of a field is lost.
func lossWords(field protoreflect.Name, s *schedulepb.Schedule) (words []string) {
	start := s.GetAction().GetStartWorkflow()
	switch field {
	case "input":
		words = []string{inputFault(start.GetInput())}
	case "memo":
		words = memoFaults(start.GetMemo())
	case "search_attributes":
		words = searchFaults(start.GetSearchAttributes())
	case "limited_actions", "remaining_actions":
		words = []string{fmt.Sprintf("remaining_actions: it ends after %d more runs, which only Temporal knows",
			s.GetState().GetRemainingActions())}
	case "catchup_window":
		words = []string{fmt.Sprintf("catchup_window: %s, and the least is 10s", s.GetPolicies().GetCatchupWindow().AsDuration())}
	}
	if len(words) == 0 {
		words = []string{string(field) + ": the YAML cannot say it"}
	}
	return words
}

// oneSpelling is a schedule in one spelling of all that can be spelled in several ways. The levels that are
// compared by themselves are always there.
func oneSpelling(s *schedulepb.Schedule) *schedulepb.Schedule {
	s = proto.CloneOf(s)
	start := s.GetAction().GetStartWorkflow()
	if s.Spec == nil {
		s.Spec = &schedulepb.ScheduleSpec{}
	}
	if s.Policies == nil {
		s.Policies = &schedulepb.SchedulePolicies{}
	}
	if s.State == nil {
		s.State = &schedulepb.ScheduleState{}
	}
	spec, policies := s.GetSpec(), s.GetPolicies()
	spec.StructuredCalendar, spec.Interval = nil, nil // the cron says them, or there would be an obstacle
	spec.ExcludeStructuredCalendar = withoutMark(spec).GetExcludeStructuredCalendar()
	spec.TimezoneName = zoneText(spec.GetTimezoneName())
	if policies.GetOverlapPolicy() == enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED {
		policies.OverlapPolicy = enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
	}
	if isServerDefault(policies.GetCatchupWindow()) {
		policies.CatchupWindow = nil
	}
	spellStart(start)
	for _, m := range []proto.Message{spec, policies, s.GetState(), start, start.GetRetryPolicy()} {
		clearEmpty(m.ProtoReflect())
	}
	return s
}

func spellStart(start *workflowpb.NewWorkflowExecutionInfo) {
	if start.GetWorkflowIdReusePolicy() == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE {
		start.WorkflowIdReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED
	}
	if queue := start.GetTaskQueue(); queue.GetKind() == enumspb.TASK_QUEUE_KIND_UNSPECIFIED && queue != nil {
		queue.Kind = enumspb.TASK_QUEUE_KIND_NORMAL
	}
	start.Memo = withoutOwn(start.GetMemo())
	for name, payload := range start.GetSearchAttributes().GetIndexedFields() {
		start.SearchAttributes.IndexedFields[name] = untyped(payload)
	}
	payloads := slices.Concat(start.GetInput().GetPayloads(), slices.Collect(maps.Values(start.GetMemo().GetFields())),
		slices.Collect(maps.Values(start.GetSearchAttributes().GetIndexedFields())))
	for _, payload := range payloads {
		if string(payload.GetMetadata()[converter.MetadataEncoding]) == converter.MetadataEncodingJSON {
			payload.Data = []byte(compactJSON(payload.GetData()))
		}
	}
}

// clearEmpty takes away messages that say nothing, such as a duration of zero. A retry policy that says
// nothing asks for retries, and stays.
func clearEmpty(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		single := field.Message() != nil && !field.IsList() && !field.IsMap()
		if single && field.Name() != "retry_policy" && proto.Size(value.Message().Interface()) == 0 {
			m.Clear(field)
		}
		return true
	})
}

// differing are the names of the fields in which two messages of a type differ, save those that are levels
// of their own.
func differing(a, b protoreflect.Message) (names []protoreflect.Name) {
	levels := []protoreflect.FullName{
		"temporal.api.schedule.v1.Schedule.spec", "temporal.api.schedule.v1.Schedule.action",
		"temporal.api.schedule.v1.Schedule.policies", "temporal.api.schedule.v1.Schedule.state",
	}
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !slices.Contains(levels, field.FullName()) && !proto.Equal(only(a, field), only(b, field)) {
			names = append(names, field.Name())
		}
	}
	return names
}

// only is a message with one of its fields.
func only(m protoreflect.Message, field protoreflect.FieldDescriptor) proto.Message {
	part := m.New()
	if m.Has(field) {
		part.Set(field, m.Get(field))
	}
	return part.Interface()
}

// hasUnknown reports whether a newer server sent fields that this program was not built with.
func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
				found = found || hasUnknown(entry.Message())
				return !found
			})
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				found = found || hasUnknown(value.List().Get(i).Message())
			}
		case !field.IsMap() && field.Message() != nil:
			found = found || hasUnknown(value.Message())
		}
		return !found
	})
	return found
}
