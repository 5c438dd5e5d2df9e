package activities

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Difference is one field in which Temporal differs from the YAML.
type Difference struct {
	// Field is the name that the field has in the YAML.
	Field  string `json:"field"`
	YAML   string `json:"yaml"`
	Actual string `json:"actual"`
}

// Compare lists the fields of spec, action and policies in which actual differs from desired, in the
// YAML's words. State (paused, note, remaining actions) is not compared. Values that the server fills
// in where the YAML is silent are no difference.
func Compare(desired, actual *schedulepb.Schedule) []Difference {
	var c comparison
	c.spec(desired.GetSpec(), actual.GetSpec())
	c.policies(desired.GetPolicies(), actual.GetPolicies())
	c.action(desired.GetAction().GetStartWorkflow(), actual.GetAction().GetStartWorkflow())
	return c.differences
}

type comparison struct{ differences []Difference }

func (c *comparison) field(name, yaml, actual string) {
	if yaml != actual {
		c.differences = append(c.differences, Difference{Field: name, YAML: yaml, Actual: actual})
	}
}

func (c *comparison) spec(desired, actual *schedulepb.ScheduleSpec) {
	actual = withoutMark(actual)
	c.times(desired, actual)
	c.field("timezone", zoneText(desired.GetTimezoneName()), zoneText(actual.GetTimezoneName()))
	c.field("jitter", durationText(desired.GetJitter()), durationText(actual.GetJitter()))
	c.field("start_at", timeText(desired.GetStartTime()), timeText(actual.GetStartTime()))
	c.field("end_at", timeText(desired.GetEndTime()), timeText(actual.GetEndTime()))
	c.field("timezone_data", string(desired.GetTimezoneData()), string(actual.GetTimezoneData()))
}

// times compares what says when, and shows it as cron text where that is possible. It shows the times as Temporal
// has them where no cron says them, or where both are one cron, written differently.
func (c *comparison) times(desired, actual *schedulepb.ScheduleSpec) {
	yaml, now := timesText(desired), timesText(actual)
	if yaml == now {
		return
	}
	yamlCron, isCron := CronText(desired)
	nowCron, isNowCron := CronText(actual)
	if isCron && yamlCron != nowCron {
		yaml = yamlCron
	}
	if isNowCron && yamlCron != nowCron {
		now = nowCron
	}
	c.field("cron", yaml, now)
}

func (c *comparison) policies(desired, actual *schedulepb.SchedulePolicies) {
	c.field("overlap_policy", overlapText(desired.GetOverlapPolicy()), overlapText(actual.GetOverlapPolicy()))
	if desired.GetCatchupWindow() != nil || !isServerDefault(actual.GetCatchupWindow()) {
		c.field("catchup_window", durationText(desired.GetCatchupWindow()), durationText(actual.GetCatchupWindow()))
	}
	c.field("pause_on_failure", fmt.Sprint(desired.GetPauseOnFailure()), fmt.Sprint(actual.GetPauseOnFailure()))
	c.field("keep_original_workflow_id",
		fmt.Sprint(desired.GetKeepOriginalWorkflowId()), fmt.Sprint(actual.GetKeepOriginalWorkflowId()))
}

// defaultCatchupWindow is what the server writes where a schedule has none.
const defaultCatchupWindow = 365 * 24 * time.Hour

func isServerDefault(catchup *durationpb.Duration) bool {
	return catchup == nil || catchup.AsDuration() == defaultCatchupWindow
}

func (c *comparison) action(desired, actual *workflowpb.NewWorkflowExecutionInfo) {
	c.field("workflow_id", desired.GetWorkflowId(), actual.GetWorkflowId())
	c.field("workflow_type", desired.GetWorkflowType().GetName(), actual.GetWorkflowType().GetName())
	c.field("task_queue", desired.GetTaskQueue().GetName(), actual.GetTaskQueue().GetName())
	c.field("execution_timeout",
		durationText(desired.GetWorkflowExecutionTimeout()), durationText(actual.GetWorkflowExecutionTimeout()))
	c.field("run_timeout", durationText(desired.GetWorkflowRunTimeout()), durationText(actual.GetWorkflowRunTimeout()))
	c.field("task_timeout", durationText(desired.GetWorkflowTaskTimeout()), durationText(actual.GetWorkflowTaskTimeout()))
	c.field("retry", messageText(desired.GetRetryPolicy()), messageText(actual.GetRetryPolicy()))
	c.field("input", inputText(desired.GetInput()), inputText(actual.GetInput()))
	c.field("memo", fieldsText(desired.GetMemo().GetFields()), fieldsText(withoutRevision(desired, actual)))
	c.field("search_attributes", fieldsText(desired.GetSearchAttributes().GetIndexedFields()),
		fieldsText(actual.GetSearchAttributes().GetIndexedFields()))
	c.field("other start options", otherText(desired), otherText(actual))
}

// withoutRevision is the runs' memo without the revision that last wrote the schedule, which is no wish of
// the YAML's unless its own memo has such a field.
func withoutRevision(desired, actual *workflowpb.NewWorkflowExecutionInfo) map[string]*commonpb.Payload {
	fields := maps.Clone(actual.GetMemo().GetFields())
	if _, wanted := desired.GetMemo().GetFields()[memoRevision]; !wanted {
		delete(fields, memoRevision)
	}
	return fields
}

// otherText holds what the YAML has no word for, so that a hand edit of it is seen too.
func otherText(info *workflowpb.NewWorkflowExecutionInfo) string {
	return messageText(&workflowpb.NewWorkflowExecutionInfo{
		CronSchedule:       info.GetCronSchedule(),
		Header:             nonEmptyHeader(info.GetHeader()),
		UserMetadata:       info.GetUserMetadata(),
		VersioningOverride: info.GetVersioningOverride(),
		Priority:           info.GetPriority(),

		WorkflowIdReusePolicy: reusePolicy(info),
	})
}

// reusePolicy is unspecified where it is the server's default.
func reusePolicy(info *workflowpb.NewWorkflowExecutionInfo) enumspb.WorkflowIdReusePolicy {
	if policy := info.GetWorkflowIdReusePolicy(); policy != enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE {
		return policy
	}
	return enumspb.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED
}

func nonEmptyHeader(h *commonpb.Header) *commonpb.Header {
	if len(h.GetFields()) == 0 {
		return nil
	}
	return h
}

// sameListed reports whether a list entry agrees with the desired schedule in all that a list shows.
func sameListed(desired *schedulepb.Schedule, spec *schedulepb.ScheduleSpec, workflowType string) bool {
	if proto.Equal(desired.GetSpec(), withoutMark(spec)) &&
		desired.GetAction().GetStartWorkflow().GetWorkflowType().GetName() == workflowType {
		return true // the rule: Temporal returns a spec of ours as it was sent
	}
	var c comparison
	c.spec(desired.GetSpec(), spec)
	c.field("workflow_type", desired.GetAction().GetStartWorkflow().GetWorkflowType().GetName(), workflowType)
	return len(c.differences) == 0
}

// timesText is the part of a spec that says when, as one text. A calendar's comment holds the cron
// text that it was made from, so two calendars with one meaning and other comments are the same.
func timesText(spec *schedulepb.ScheduleSpec) string {
	times := &schedulepb.ScheduleSpec{
		Interval:                  intervals(spec.GetInterval()),
		CronString:                spec.GetCronString(),
		Calendar:                  spec.GetCalendar(),
		ExcludeCalendar:           spec.GetExcludeCalendar(), //nolint:staticcheck // read, to see a hand edit
		ExcludeStructuredCalendar: spec.GetExcludeStructuredCalendar(),
	}
	for _, calendar := range spec.GetStructuredCalendar() {
		clone := proto.CloneOf(calendar)
		clone.Comment = ""
		times.StructuredCalendar = append(times.StructuredCalendar, clone)
	}
	slices.SortFunc(times.StructuredCalendar, func(a, b *schedulepb.StructuredCalendarSpec) int {
		return strings.Compare(messageText(a), messageText(b))
	})
	return messageText(times)
}

func intervals(in []*schedulepb.IntervalSpec) []*schedulepb.IntervalSpec {
	out := make([]*schedulepb.IntervalSpec, len(in))
	for i, interval := range in {
		out[i] = &schedulepb.IntervalSpec{Interval: interval.GetInterval()}
		if phase := interval.GetPhase().AsDuration(); phase != 0 {
			out[i].Phase = durationpb.New(phase)
		}
	}
	return out
}

func zoneText(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

func durationText(d *durationpb.Duration) string {
	if d.AsDuration() == 0 {
		return ""
	}
	return d.AsDuration().String()
}

func timeText(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}

func overlapText(policy enumspb.ScheduleOverlapPolicy) string {
	for name, known := range overlapPolicies {
		if known == policy {
			return string(name)
		}
	}
	return "skip" // unspecified: the server's default
}

// messageText is the JSON of a message, in one spelling: protojson itself varies its white space.
func messageText(m proto.Message) string {
	if m == nil || !m.ProtoReflect().IsValid() {
		return ""
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Sprintf("unreadable: %v", err)
	}
	if compact := compactJSON(text); compact != "{}" {
		return compact
	}
	return ""
}

func inputText(input *commonpb.Payloads) string {
	texts := make([]string, len(input.GetPayloads()))
	for i, payload := range input.GetPayloads() {
		texts[i] = payloadText(payload)
	}
	return strings.Join(texts, ", ")
}

func fieldsText(fields map[string]*commonpb.Payload) string {
	if len(fields) == 0 {
		return ""
	}
	values := make(map[string]json.RawMessage, len(fields))
	for name, payload := range fields {
		values[name] = json.RawMessage(payloadText(payload))
	}
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Sprintf("unreadable: %v", err)
	}
	return string(text)
}

// payloadText is the payload's JSON in one spelling, or its bytes as a JSON text where it has another
// encoding.
func payloadText(payload *commonpb.Payload) string {
	if encoding := string(payload.GetMetadata()["encoding"]); encoding != "json/plain" {
		text, _ := json.Marshal(encoding + ":" + string(payload.GetData())) // a string always marshals
		return string(text)
	}
	return compactJSON(payload.GetData())
}

func compactJSON(text []byte) string {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	if _, after := decoder.Token(); err != nil || !errors.Is(after, io.EOF) {
		quoted, _ := json.Marshal(string(text)) // a string always marshals
		return string(quoted)
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return string(text)
	}
	return string(canonical)
}
