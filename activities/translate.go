package activities

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/config"
)

// Desired is one schedule as it is to stand in Temporal.
type Desired struct {
	WorkflowID string
	ScheduleID string
	// Hash is the short hash of spec, action and policies; it stands in the schedule's note.
	Hash string
	// Enabled is the YAML's wish; an override can differ from it.
	Enabled bool
	// Adopt allows to take over a schedule of this ID that no project owns.
	Adopt bool
	// EndAt is the zero time where the schedule has no end.
	EndAt time.Time
	// encoded is the schedule in Protocol Buffers: a process keeps thousands, and decoded each takes ten times as much.
	encoded []byte
}

// Schedule holds spec, action and policies, and no state. It is the caller's own.
func (d Desired) Schedule() *schedulepb.Schedule {
	schedule := &schedulepb.Schedule{}
	if err := proto.Unmarshal(d.encoded, schedule); err != nil {
		panic(err) // Translate has encoded it in this process
	}
	return schedule
}

// schedulePrefix is how the IDs of a project's schedules begin, save those that their files name.
func schedulePrefix(project string) string { return config.DefaultScheduleID(project, "") }

// hasOtherID reports whether the schedule's file names its ID.
func (d Desired) hasOtherID(project string) bool {
	return d.ScheduleID != config.DefaultScheduleID(project, d.WorkflowID)
}

// mayAdopt reports whether a schedule of that owner, which is not the project, may be taken over.
func (d Desired) mayAdopt(owner Owner) bool { return d.Adopt && owner.None() }

// Translate turns a workflow with a schedule into Temporal's terms. It never sends cron text, which
// Temporal reads differently from every cron (docs/temporal.md, "Cron text").
func Translate(project string, w config.Workflow) (Desired, error) {
	spec, err := translateSpec(w.Schedule)
	if err != nil {
		return Desired{}, fmt.Errorf("translate the schedule of workflow %s: %w", w.ID, err)
	}
	action, err := translateAction(project, w)
	if err != nil {
		return Desired{}, fmt.Errorf("translate how workflow %s starts: %w", w.ID, err)
	}
	policies, err := translatePolicies(w.Schedule)
	if err != nil {
		return Desired{}, fmt.Errorf("translate the policies of workflow %s: %w", w.ID, err)
	}
	encoded, err := proto.Marshal(&schedulepb.Schedule{Spec: spec, Action: action, Policies: policies})
	if err != nil {
		return Desired{}, fmt.Errorf("encode the schedule of workflow %s: %w", w.ID, err)
	}
	hash, err := w.SpecHash(project)
	if err != nil {
		return Desired{}, fmt.Errorf("hash the schedule of workflow %s: %w", w.ID, err)
	}
	desired := Desired{
		WorkflowID: w.ID,
		ScheduleID: w.ScheduleID(project),
		Hash:       hash,
		Enabled:    w.Schedule.IsEnabled(),
		Adopt:      w.Schedule.Adopt,
		encoded:    encoded,
	}
	if w.Schedule.EndAt != nil {
		desired.EndAt = *w.Schedule.EndAt
	}
	return desired, nil
}

func translateSpec(s *config.Schedule) (*schedulepb.ScheduleSpec, error) {
	timing, err := config.ParseCron(s.Cron, s.Timezone)
	if err != nil {
		return nil, err
	}
	jitter, err := config.ParseDuration("jitter", s.Jitter)
	if err != nil {
		return nil, err
	}
	spec := &schedulepb.ScheduleSpec{
		StartTime:    timestamp(s.StartAt),
		EndTime:      timestamp(s.EndAt),
		Jitter:       duration(jitter),
		TimezoneName: timing.Zone,
	}
	if timing.Calendar == nil {
		spec.Interval = []*schedulepb.IntervalSpec{{Interval: durationpb.New(timing.Every)}}
		return spec, nil
	}
	spec.StructuredCalendar = calendars(timing.Calendar, comment(s.Cron))
	return spec, nil
}

// maxComment is the most bytes of a calendar's comment that Temporal accepts.
const maxComment = 200

// comment is the cron text for people, cut to what Temporal accepts. What parses as cron is ASCII, but
// for its white space.
func comment(expression string) string {
	text := strings.Join(strings.Fields(expression), " ")
	if len(text) > maxComment {
		const more = " …"
		text = text[:maxComment-len(more)] + more
	}
	return text
}

// starBit is robfig/cron's mark for a field that was written as `*` or `?`.
const starBit = 1 << 63

// Every value of the two day fields.
const (
	everyDayOfMonth = 1<<32 - 1<<1
	everyDayOfWeek  = 1<<7 - 1
)

// calendars are one calendar, or two where both day fields are restricted: cron then runs on days
// that match either, while one Temporal calendar runs on days that match both.
func calendars(s *cron.SpecSchedule, comment string) []*schedulepb.StructuredCalendarSpec {
	calendar := func(dom, dow uint64) *schedulepb.StructuredCalendarSpec {
		return &schedulepb.StructuredCalendarSpec{
			Second:     ranges(s.Second),
			Minute:     ranges(s.Minute),
			Hour:       ranges(s.Hour),
			DayOfMonth: ranges(dom),
			Month:      ranges(s.Month),
			DayOfWeek:  ranges(dow),
			Comment:    comment,
		}
	}
	if s.Dom&starBit == 0 && s.Dow&starBit == 0 {
		return []*schedulepb.StructuredCalendarSpec{
			calendar(s.Dom, everyDayOfWeek), calendar(everyDayOfMonth, s.Dow),
		}
	}
	return []*schedulepb.StructuredCalendarSpec{calendar(s.Dom, s.Dow)}
}

// ranges writes a set of values as the fewest ranges: one with a step where the values are evenly
// spaced (as in */5), else one for each run of neighbours.
func ranges(set uint64) []*schedulepb.Range {
	values := members(set &^ starBit)
	if r := evenlySpaced(values); r != nil {
		return []*schedulepb.Range{r}
	}
	var out []*schedulepb.Range
	for _, v := range values {
		if last := len(out) - 1; last >= 0 && out[last].End == v-1 {
			out[last].End = v
			continue
		}
		out = append(out, &schedulepb.Range{Start: v, End: v, Step: 1})
	}
	return out
}

func evenlySpaced(values []int32) *schedulepb.Range {
	if len(values) < 3 {
		return nil
	}
	step := values[1] - values[0]
	for i := 2; i < len(values); i++ {
		if values[i]-values[i-1] != step {
			return nil
		}
	}
	return &schedulepb.Range{Start: values[0], End: values[len(values)-1], Step: step}
}

func members(set uint64) []int32 {
	values := make([]int32, 0, bits.OnesCount64(set))
	for ; set != 0; set &= set - 1 {
		values = append(values, int32(bits.TrailingZeros64(set))) //nolint:gosec // at most 63
	}
	return values
}

var overlapPolicies = map[config.OverlapPolicy]enumspb.ScheduleOverlapPolicy{
	config.OverlapSkip:           enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	config.OverlapAllow:          enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
	config.OverlapBufferOne:      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	config.OverlapBufferAll:      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	config.OverlapCancelOther:    enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
	config.OverlapTerminateOther: enumspb.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER,
}

func translatePolicies(s *config.Schedule) (*schedulepb.SchedulePolicies, error) {
	overlap, ok := overlapPolicies[s.Overlap()]
	if !ok {
		return nil, fmt.Errorf("unsupported overlap_policy: %s", s.OverlapPolicy)
	}
	catchup, err := config.ParseDuration("catchup_window", s.CatchupWindow)
	if err != nil {
		return nil, err
	}
	return &schedulepb.SchedulePolicies{
		OverlapPolicy:  overlap,
		CatchupWindow:  duration(catchup),
		PauseOnFailure: s.PauseOnFailure,
	}, nil
}

func translateAction(project string, w config.Workflow) (*schedulepb.ScheduleAction, error) {
	data := converter.GetDefaultDataConverter()
	start := &workflowpb.NewWorkflowExecutionInfo{
		WorkflowId:               cmp.Or(w.Start.WorkflowID, config.DefaultWorkflowID(project, w.ID)),
		WorkflowType:             &commonpb.WorkflowType{Name: w.Start.WorkflowType},
		TaskQueue:                &taskqueuepb.TaskQueue{Name: w.Start.TaskQueue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
		WorkflowExecutionTimeout: duration(w.Start.ExecutionTimeout),
		WorkflowRunTimeout:       duration(w.Start.RunTimeout),
		WorkflowTaskTimeout:      duration(w.Start.TaskTimeout),
		RetryPolicy:              translateRetry(w.Start.Retry),
	}
	if w.Schedule.Input != nil {
		input, err := data.ToPayloads(w.Schedule.Input)
		if err != nil {
			return nil, fmt.Errorf("encode input: %w", err)
		}
		start.Input = input
	}
	memo, err := payloads(data, runMemo(project, w))
	if err != nil {
		return nil, fmt.Errorf("encode memo: %w", err)
	}
	start.Memo = &commonpb.Memo{Fields: memo}
	attributes, err := payloads(data, w.Start.SearchAttributes)
	if err != nil {
		return nil, fmt.Errorf("encode search_attributes: %w", err)
	}
	if attributes != nil {
		start.SearchAttributes = &commonpb.SearchAttributes{IndexedFields: attributes}
	}
	return &schedulepb.ScheduleAction{
		Action: &schedulepb.ScheduleAction_StartWorkflow{StartWorkflow: start},
	}, nil
}

// runMemo tells each run whose it is. What the YAML says comes first.
func runMemo(project string, w config.Workflow) map[string]any {
	values := map[string]any{
		memoManagedBy: managedBy, memoProject: project, memoWorkflowID: w.ID, memoScheduleID: w.ScheduleID(project),
	}
	maps.Copy(values, w.Start.Memo)
	return values
}

func translateRetry(r *config.Retry) *commonpb.RetryPolicy {
	if r == nil {
		return nil
	}
	return &commonpb.RetryPolicy{
		InitialInterval:        duration(r.InitialInterval),
		BackoffCoefficient:     r.BackoffCoefficient,
		MaximumInterval:        duration(r.MaximumInterval),
		MaximumAttempts:        r.MaximumAttempts,
		NonRetryableErrorTypes: r.NonRetryableErrors,
	}
}

// payloads encodes values. They share the map that says how: with one for each value these maps would be a third of
// what ten thousand schedules take in memory. What is sent is a clone, which shares nothing.
func payloads(data converter.DataConverter, values map[string]any) (map[string]*commonpb.Payload, error) {
	if len(values) == 0 {
		return nil, nil
	}
	fields := make(map[string]*commonpb.Payload, len(values))
	var encoding map[string][]byte
	for name, value := range values {
		payload, err := data.ToPayload(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if maps.EqualFunc(encoding, payload.GetMetadata(), bytes.Equal) {
			payload.Metadata = encoding
		}
		encoding = payload.GetMetadata()
		fields[name] = payload
	}
	return fields, nil
}

// duration leaves zero unset, which Temporal reads as its default.
func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
