package activities_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// rangesText writes ranges as cron would: 1-5, 0-55/5.
func rangesText(ranges []*schedulepb.Range) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = strconv.Itoa(int(r.GetStart()))
		if r.GetEnd() != r.GetStart() {
			texts[i] += "-" + strconv.Itoa(int(r.GetEnd()))
		}
		if r.GetStep() != 1 {
			texts[i] += "/" + strconv.Itoa(int(r.GetStep()))
		}
	}
	return strings.Join(texts, ",")
}

func TestTranslateCalendars(t *testing.T) {
	// Fields are minute, hour, day of month, month, day of week.
	tests := []struct {
		name, cron string
		want       []string
	}{
		{"a time of day", "30 9 * * *", []string{"30 9 1-31 1-12 0-6"}},
		{"every minute", "* * * * *", []string{"0-59 0-23 1-31 1-12 0-6"}},
		{"a step", "*/5 * * * *", []string{"0-55/5 0-23 1-31 1-12 0-6"}},
		{"a step with a start", "3/20 * * * *", []string{"3-43/20 0-23 1-31 1-12 0-6"}},
		{"a step that does not divide the hour", "*/25 * * * *", []string{"0-50/25 0-23 1-31 1-12 0-6"}},
		{"a range", "0 9-17 * * *", []string{"0 9-17 1-31 1-12 0-6"}},
		{"two values", "0,30 * * * *", []string{"0,30 0-23 1-31 1-12 0-6"}},
		{"a list of runs and single values", "0,1,2,7,9-11 * * * *", []string{"0-2,7,9-11 0-23 1-31 1-12 0-6"}},
		{"weekdays by name", "0 9 * * mon-fri", []string{"0 9 1-31 1-12 1-5"}},
		{"Sunday as 0", "0 9 * * 0", []string{"0 9 1-31 1-12 0"}},
		{"Sunday by name", "0 9 * * SUN", []string{"0 9 1-31 1-12 0"}},
		{"Sunday and Saturday", "0 9 * * 0,6", []string{"0 9 1-31 1-12 0,6"}},
		{"months by name", "0 0 1 jan,JUL *", []string{"0 0 1 1,7 0-6"}},
		{"a question mark", "0 0 ? * 1", []string{"0 0 1-31 1-12 1"}},
		{"day of month only", "0 0 13 * *", []string{"0 0 13 1-12 0-6"}},
		{"both days: two calendars, since cron means OR", "0 0 13 * 5", []string{"0 0 13 1-12 0-6", "0 0 1-31 1-12 5"}},
		{"days from a step are restricted: OR", "0 0 */2 * 1", []string{"0 0 1-31/2 1-12 0-6", "0 0 1-31 1-12 1"}},
		{"weekdays from a step are restricted: OR", "0 0 13 * */2", []string{"0 0 13 1-12 0-6", "0 0 1-31 1-12 0-6/2"}},
		{"a step of one is no restriction: AND", "0 0 */1 * 1", []string{"0 0 1-31 1-12 1"}},
		{"a full range is a restriction: OR", "0 0 1-31 * 1", []string{"0 0 1-31 1-12 0-6", "0 0 1-31 1-12 1"}},
		{"a star in a list is no restriction: AND", "0 0 *,13 * 1", []string{"0 0 1-31 1-12 1"}},
		{"@hourly", "@hourly", []string{"0 0-23 1-31 1-12 0-6"}},
		{"@daily", "@daily", []string{"0 0 1-31 1-12 0-6"}},
		{"@midnight", "@midnight", []string{"0 0 1-31 1-12 0-6"}},
		{"@weekly", "@weekly", []string{"0 0 1-31 1-12 0"}},
		{"@monthly", "@monthly", []string{"0 0 1 1-12 0-6"}},
		{"@yearly", "@yearly", []string{"0 0 1 1 0-6"}},
		{"@annually", "@annually", []string{"0 0 1 1 0-6"}},
	}
	for _, test := range tests {
		t.Run("Should translate "+test.name, func(t *testing.T) {
			spec := translate(t, "a", daily("w", cron(test.cron, ""))).Schedule().GetSpec()
			var got []string
			for _, c := range spec.GetStructuredCalendar() {
				assert.Equal(t, "0", rangesText(c.GetSecond()))
				assert.Empty(t, c.GetYear())
				assert.Equal(t, test.cron, c.GetComment())
				got = append(got, strings.Join([]string{
					rangesText(c.GetMinute()), rangesText(c.GetHour()), rangesText(c.GetDayOfMonth()),
					rangesText(c.GetMonth()), rangesText(c.GetDayOfWeek()),
				}, " "))
			}
			assert.Equal(t, test.want, got)
			assert.Empty(t, spec.GetCronString(), "Temporal reads cron text in another way")
			assert.Empty(t, spec.GetInterval())
			assert.Equal(t, "UTC", spec.GetTimezoneName())
		})
	}

	t.Run("Should translate @every to an interval", func(t *testing.T) {
		spec := translate(t, "a", daily("w", cron("@every 1h30m", "Europe/Berlin"))).Schedule().GetSpec()
		require.Len(t, spec.GetInterval(), 1)
		assert.Equal(t, 90*time.Minute, spec.GetInterval()[0].GetInterval().AsDuration())
		assert.Nil(t, spec.GetInterval()[0].GetPhase())
		assert.Empty(t, spec.GetStructuredCalendar())
		assert.Equal(t, "Europe/Berlin", spec.GetTimezoneName())
	})
	t.Run("Should take the zone from CRON_TZ", func(t *testing.T) {
		spec := translate(t, "a", daily("w", cron("CRON_TZ=Asia/Tokyo 0 9 * * *", ""))).Schedule().GetSpec()
		assert.Equal(t, "Asia/Tokyo", spec.GetTimezoneName())
	})
	t.Run("Should keep the comment of a long cron short enough for Temporal", func(t *testing.T) {
		spec := translate(t, "a", daily("w", cron(longCron(), ""))).Schedule().GetSpec()
		assert.LessOrEqual(t, len(spec.GetStructuredCalendar()[0].GetComment()), 200)
		assert.True(t, strings.HasPrefix(spec.GetStructuredCalendar()[0].GetComment(), "0,2,4"))
	})
}

// longCron lists irregular minutes, hours and days one by one.
func longCron() string {
	list := func(first, last, but int) string {
		var values []string
		for v := first; v <= last; v += 2 {
			if v != but {
				values = append(values, strconv.Itoa(v))
			}
		}
		return strings.Join(values, ",")
	}
	return list(0, 58, 6) + " " + list(0, 22, 6) + " " + list(1, 31, 7) + " jan,mar,apr,jun,jul,aug,sep,nov,dec mon,tue,wed,thu,fri,sat"
}

func TestTranslateStart(t *testing.T) {
	start := func(w config.Workflow) *schedulepb.ScheduleAction {
		return translate(t, "reports", w).Schedule().GetAction()
	}
	data := converter.GetDefaultDataConverter()

	t.Run("Should send only what the YAML says", func(t *testing.T) {
		info := start(daily("w")).GetStartWorkflow()
		assert.Equal(t, "reports-w", info.GetWorkflowId())
		assert.Equal(t, "w", info.GetWorkflowType().GetName())
		assert.Equal(t, "reports", info.GetTaskQueue().GetName())
		assert.Nil(t, info.GetInput(), "a run without arguments")
		assert.Equal(t, map[string]any{
			"managed_by": "compozy-schedules", "project": "reports", "workflow_id": "w", "schedule_id": "schedule-reports-w",
		}, fields(t, info.GetMemo().GetFields()), "each run tells whose it is")
		assert.Nil(t, info.GetSearchAttributes())
		assert.Nil(t, info.GetRetryPolicy())
		assert.Nil(t, info.GetWorkflowExecutionTimeout())
		assert.Nil(t, info.GetWorkflowRunTimeout())
		assert.Nil(t, info.GetWorkflowTaskTimeout())
	})
	t.Run("Should send every start option", func(t *testing.T) {
		info := start(daily("w", everyOption)).GetStartWorkflow()
		assert.Equal(t, "Report", info.GetWorkflowType().GetName())
		assert.Equal(t, "heavy", info.GetTaskQueue().GetName())
		assert.Equal(t, time.Hour, info.GetWorkflowExecutionTimeout().AsDuration())
		assert.Equal(t, 30*time.Minute, info.GetWorkflowRunTimeout().AsDuration())
		assert.Equal(t, 20*time.Second, info.GetWorkflowTaskTimeout().AsDuration())
		retry := info.GetRetryPolicy()
		assert.Equal(t, 10*time.Second, retry.GetInitialInterval().AsDuration())
		assert.InDelta(t, 1.5, retry.GetBackoffCoefficient(), 0)
		assert.Equal(t, 5*time.Minute, retry.GetMaximumInterval().AsDuration())
		assert.Equal(t, int32(5), retry.GetMaximumAttempts())
		assert.Equal(t, []string{"Fatal"}, retry.GetNonRetryableErrorTypes())
		var owner string
		require.NoError(t, data.FromPayload(info.GetMemo().GetFields()["owner"], &owner))
		assert.Equal(t, "ann", owner)
		var attribute string
		require.NoError(t, data.FromPayload(info.GetSearchAttributes().GetIndexedFields()["CustomKeywordField"], &attribute))
		assert.Equal(t, "gold", attribute)
	})
	t.Run("Should tell each run whose it is, under whatever ID, save what the YAML itself says", func(t *testing.T) {
		info := start(daily("w", func(w *config.Workflow) {
			w.Schedule.ScheduleID = "nightly"
			w.Start.Memo = map[string]any{"project": "apollo", "owner": "ann"}
		})).GetStartWorkflow()
		assert.Equal(t, map[string]any{
			"managed_by": "compozy-schedules", "project": "apollo", "workflow_id": "w", "schedule_id": "nightly", "owner": "ann",
		}, fields(t, info.GetMemo().GetFields()))
	})
	t.Run("Should start runs under the workflow ID that the YAML names", func(t *testing.T) {
		info := start(daily("w", func(w *config.Workflow) { w.Start.WorkflowID = "legacy-report" })).GetStartWorkflow()
		assert.Equal(t, "legacy-report", info.GetWorkflowId())
	})
	t.Run("Should send the input as the run's single argument", func(t *testing.T) {
		info := start(daily("w", func(w *config.Workflow) { w.Schedule.Input = map[string]any{"day": "today", "n": 3} })).GetStartWorkflow()
		var input map[string]any
		require.Len(t, info.GetInput().GetPayloads(), 1)
		require.NoError(t, data.FromPayloads(info.GetInput(), &input))
		assert.Equal(t, map[string]any{"day": "today", "n": 3.0}, input)
	})
	t.Run("Should send an empty input as an argument", func(t *testing.T) {
		info := start(daily("w", func(w *config.Workflow) { w.Schedule.Input = map[string]any{} })).GetStartWorkflow()
		require.Len(t, info.GetInput().GetPayloads(), 1)
		assert.JSONEq(t, "{}", string(info.GetInput().GetPayloads()[0].GetData()))
	})
}

// fields are the values of a memo or of search attributes.
func fields(t testing.TB, payloads map[string]*commonpb.Payload) map[string]any {
	t.Helper()
	values := map[string]any{}
	for name, payload := range payloads {
		var value any
		require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &value))
		values[name] = value
	}
	return values
}

// everyOption sets every field of a workflow but cron.
func everyOption(w *config.Workflow) {
	startAt, endAt := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	w.Start = config.Start{
		WorkflowType: "Report", TaskQueue: "heavy",
		ExecutionTimeout: time.Hour, RunTimeout: 30 * time.Minute, TaskTimeout: 20 * time.Second,
		Retry: &config.Retry{
			InitialInterval: 10 * time.Second, BackoffCoefficient: 1.5, MaximumInterval: 5 * time.Minute,
			MaximumAttempts: 5, NonRetryableErrors: []string{"Fatal"},
		},
		Memo:             map[string]any{"owner": "ann", "n": 1},
		SearchAttributes: map[string]any{"CustomKeywordField": "gold"},
	}
	w.Schedule.Timezone = "America/New_York"
	w.Schedule.Jitter = "5m"
	w.Schedule.OverlapPolicy = config.OverlapBufferAll
	w.Schedule.StartAt, w.Schedule.EndAt = &startAt, &endAt
	w.Schedule.CatchupWindow = "10m"
	w.Schedule.PauseOnFailure = true
	w.Schedule.Input = map[string]any{"day": "today", "html": "<a&b>", "n": 1.5, "list": []any{true, nil}}
}

func TestTranslatePolicies(t *testing.T) {
	want := map[config.OverlapPolicy]enumspb.ScheduleOverlapPolicy{
		"":                           enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		config.OverlapSkip:           enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		config.OverlapAllow:          enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
		config.OverlapBufferOne:      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
		config.OverlapBufferAll:      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
		config.OverlapCancelOther:    enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
		config.OverlapTerminateOther: enumspb.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER,
	}
	for policy, expected := range want {
		t.Run("Should translate overlap_policy "+string(policy), func(t *testing.T) {
			d := translate(t, "a", daily("w", func(w *config.Workflow) { w.Schedule.OverlapPolicy = policy }))
			assert.Equal(t, expected, d.Schedule().GetPolicies().GetOverlapPolicy())
		})
	}
	t.Run("Should translate the rest of a schedule", func(t *testing.T) {
		d := translate(t, "a", daily("w", everyOption, disabled))
		assert.Equal(t, 10*time.Minute, d.Schedule().GetPolicies().GetCatchupWindow().AsDuration())
		assert.True(t, d.Schedule().GetPolicies().GetPauseOnFailure())
		assert.Equal(t, 5*time.Minute, d.Schedule().GetSpec().GetJitter().AsDuration())
		assert.Equal(t, "2027-01-01T00:00:00Z", d.Schedule().GetSpec().GetStartTime().AsTime().Format(time.RFC3339))
		assert.Equal(t, "2099-01-01T00:00:00Z", d.Schedule().GetSpec().GetEndTime().AsTime().Format(time.RFC3339))
		assert.Equal(t, "2099-01-01T00:00:00Z", d.EndAt.Format(time.RFC3339))
		assert.False(t, d.Enabled)
		assert.Nil(t, d.Schedule().GetState(), "state is not desired, it happens")
	})
	t.Run("Should leave what the YAML does not say to the server", func(t *testing.T) {
		d := translate(t, "a", daily("w"))
		assert.Nil(t, d.Schedule().GetPolicies().GetCatchupWindow())
		assert.Nil(t, d.Schedule().GetSpec().GetJitter())
		assert.Nil(t, d.Schedule().GetSpec().GetStartTime())
		assert.Nil(t, d.Schedule().GetSpec().GetEndTime())
		assert.True(t, d.EndAt.IsZero())
	})
}

func TestTranslateErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(*config.Workflow)
		want   string
	}{
		{"a cron that does not parse", cron("x", ""), "translate the schedule of workflow w"},
		{"an unknown zone", cron("@daily", "Nowhere/City"), "invalid timezone"},
		{"a jitter that is no duration", func(w *config.Workflow) { w.Schedule.Jitter = "soon" }, "invalid jitter"},
		{"a catch-up window that is no duration", func(w *config.Workflow) { w.Schedule.CatchupWindow = "late" }, "invalid catchup_window"},
		{"an unknown overlap policy", func(w *config.Workflow) { w.Schedule.OverlapPolicy = "maybe" }, "unsupported overlap_policy: maybe"},
		{"an input that is no JSON", func(w *config.Workflow) { w.Schedule.Input = map[string]any{"f": func() {}} }, "encode input"},
		{"a memo that is no JSON", func(w *config.Workflow) { w.Start.Memo = map[string]any{"f": func() {}} }, "encode memo: f"},
	}
	for _, test := range tests {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			_, err := activities.Translate("a", daily("w", test.change))
			require.ErrorContains(t, err, test.want)
			_, err = activities.New(nil, &config.Project{Name: "a", Workflows: []config.Workflow{daily("w", test.change)}})
			assert.ErrorContains(t, err, "translate project a")
		})
	}
}

func TestTranslateHash(t *testing.T) {
	hash := func(project string, changes ...func(*config.Workflow)) string {
		return translate(t, project, daily("w", changes...)).Hash
	}
	base := hash("a", everyOption)
	t.Run("Should be the same for the same desired state", func(t *testing.T) {
		assert.Equal(t, base, hash("a", everyOption))
		assert.Regexp(t, "^[0-9a-f]{12}$", base)
	})
	same := map[string]func(*config.Workflow){
		"enabled":                 disabled,
		"white space in cron":     func(w *config.Workflow) { w.Schedule.Cron = "  0  9 * *   * " },
		"another way to say 5m":   func(w *config.Workflow) { w.Schedule.Jitter = "300s" },
		"another zone of an end":  func(w *config.Workflow) { at := w.Schedule.EndAt.In(time.FixedZone("x", 3600)); w.Schedule.EndAt = &at },
		"adopt":                   func(w *config.Workflow) { w.Schedule.Adopt = true },
		"the file it comes from":  func(w *config.Workflow) { w.File = "elsewhere.yaml" },
		"the order of map fields": func(w *config.Workflow) { w.Start.Memo = map[string]any{"n": 1, "owner": "ann"} },
	}
	for name, change := range same {
		t.Run("Should not depend on "+name, func(t *testing.T) { assert.Equal(t, base, hash("a", everyOption, change)) })
	}
	different := map[string]func(*config.Workflow){
		"cron":              cron("0 10 * * *", "America/New_York"),
		"timezone":          cron("0 9 * * *", "Asia/Tokyo"),
		"jitter":            func(w *config.Workflow) { w.Schedule.Jitter = "6m" },
		"overlap_policy":    func(w *config.Workflow) { w.Schedule.OverlapPolicy = config.OverlapAllow },
		"start_at":          func(w *config.Workflow) { w.Schedule.StartAt = nil },
		"end_at":            func(w *config.Workflow) { w.Schedule.EndAt = nil },
		"catchup_window":    func(w *config.Workflow) { w.Schedule.CatchupWindow = "11m" },
		"pause_on_failure":  func(w *config.Workflow) { w.Schedule.PauseOnFailure = false },
		"input":             func(w *config.Workflow) { w.Schedule.Input = map[string]any{"day": "tomorrow"} },
		"no input":          func(w *config.Workflow) { w.Schedule.Input = nil },
		"workflow_type":     func(w *config.Workflow) { w.Start.WorkflowType = "Other" },
		"task_queue":        func(w *config.Workflow) { w.Start.TaskQueue = "other" },
		"execution_timeout": func(w *config.Workflow) { w.Start.ExecutionTimeout++ },
		"run_timeout":       func(w *config.Workflow) { w.Start.RunTimeout++ },
		"task_timeout":      func(w *config.Workflow) { w.Start.TaskTimeout++ },
		"retry":             func(w *config.Workflow) { w.Start.Retry = nil },
		"schedule_id":       func(w *config.Workflow) { w.Schedule.ScheduleID = "nightly" },
		"workflow_id":       func(w *config.Workflow) { w.Start.WorkflowID = "nightly" },
		"a field of retry":  func(w *config.Workflow) { w.Start.Retry.MaximumAttempts++ },
		"memo":              func(w *config.Workflow) { w.Start.Memo = nil },
		"search_attributes": func(w *config.Workflow) { w.Start.SearchAttributes = nil },
	}
	for name, change := range different {
		t.Run("Should depend on "+name, func(t *testing.T) { assert.NotEqual(t, base, hash("a", everyOption, change)) })
	}
	t.Run("Should depend on the project", func(t *testing.T) { assert.NotEqual(t, base, hash("b", everyOption)) })
	t.Run("Should tell no input from an empty one", func(t *testing.T) {
		assert.NotEqual(t, hash("a"), hash("a", func(w *config.Workflow) { w.Schedule.Input = map[string]any{} }))
	})
}

func TestCompare(t *testing.T) {
	desired := translate(t, "a", daily("w", everyOption)).Schedule()
	changes := map[string]func(*config.Workflow){
		"cron":              cron("0 10 * * *", "America/New_York"),
		"timezone":          cron("0 9 * * *", "Asia/Tokyo"),
		"jitter":            func(w *config.Workflow) { w.Schedule.Jitter = "" },
		"start_at":          func(w *config.Workflow) { w.Schedule.StartAt = nil },
		"end_at":            func(w *config.Workflow) { w.Schedule.EndAt = nil },
		"overlap_policy":    func(w *config.Workflow) { w.Schedule.OverlapPolicy = "" },
		"catchup_window":    func(w *config.Workflow) { w.Schedule.CatchupWindow = "" },
		"pause_on_failure":  func(w *config.Workflow) { w.Schedule.PauseOnFailure = false },
		"workflow_type":     func(w *config.Workflow) { w.Start.WorkflowType = "Other" },
		"workflow_id":       func(w *config.Workflow) { w.Start.WorkflowID = "nightly" },
		"task_queue":        func(w *config.Workflow) { w.Start.TaskQueue = "other" },
		"execution_timeout": func(w *config.Workflow) { w.Start.ExecutionTimeout = 0 },
		"run_timeout":       func(w *config.Workflow) { w.Start.RunTimeout = time.Second },
		"task_timeout":      func(w *config.Workflow) { w.Start.TaskTimeout = 0 },
		"retry":             func(w *config.Workflow) { w.Start.Retry.MaximumAttempts = 6 },
		"input":             func(w *config.Workflow) { w.Schedule.Input["day"] = "tomorrow" },
		"memo":              func(w *config.Workflow) { w.Start.Memo["owner"] = "bob" },
		"search_attributes": func(w *config.Workflow) { w.Start.SearchAttributes = nil },
	}
	for field, change := range changes {
		t.Run("Should find another "+field+", both ways", func(t *testing.T) {
			actual := translate(t, "a", daily("w", everyOption, change)).Schedule()
			differences := activities.Compare(desired, actual)
			require.Len(t, differences, 1)
			assert.Equal(t, field, differences[0].Field)
			assert.NotEqual(t, differences[0].YAML, differences[0].Actual)
			back := activities.Compare(actual, desired)
			require.Len(t, back, 1)
			assert.Equal(t, activities.Difference{Field: field, YAML: differences[0].Actual, Actual: differences[0].YAML}, back[0])
		})
	}

	t.Run("Should say the values in the YAML's words", func(t *testing.T) {
		actual := translate(t, "a", daily("w", everyOption, changes["jitter"])).Schedule()
		assert.Equal(t, []activities.Difference{{Field: "jitter", YAML: "5m0s"}}, activities.Compare(desired, actual))
		actual = translate(t, "a", daily("w", everyOption, changes["overlap_policy"])).Schedule()
		assert.Equal(t, []activities.Difference{{Field: "overlap_policy", YAML: "buffer_all", Actual: "skip"}},
			activities.Compare(desired, actual))
		actual = translate(t, "a", daily("w", everyOption, changes["start_at"])).Schedule()
		assert.Equal(t, []activities.Difference{{Field: "start_at", YAML: "2027-01-01T00:00:00Z"}}, activities.Compare(desired, actual))
	})

	edits := map[string]struct {
		field string
		edit  func(*schedulepb.Schedule)
	}{
		"cron text":               {"cron", func(s *schedulepb.Schedule) { s.Spec.CronString = []string{"0 9 * * *"} }},
		"an excluded day":         {"cron", func(s *schedulepb.Schedule) { s.Spec.ExcludeStructuredCalendar = s.Spec.StructuredCalendar }},
		"an interval":             {"cron", func(s *schedulepb.Schedule) { s.Spec.Interval = everySeconds(60) }},
		"a year":                  {"cron", func(s *schedulepb.Schedule) { s.Spec.StructuredCalendar[0].Year = []*schedulepb.Range{{Start: 2030}} }},
		"the id of runs":          {"workflow_id", func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().WorkflowId = "x" }},
		"a cron of the run's own": {"other start options", func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().CronSchedule = "@daily" }},
		"keeping the id of runs":  {"keep_original_workflow_id", func(s *schedulepb.Schedule) { s.Policies.KeepOriginalWorkflowId = true }},
		"an excluded day beside a mark": {"cron", func(s *schedulepb.Schedule) {
			excluded := proto.CloneOf(s.Spec.StructuredCalendar[0])
			s.Spec.ExcludeStructuredCalendar = []*schedulepb.StructuredCalendarSpec{mark("0123456789ab"), excluded}
		}},
		"the memo that tells runs whose they are": {"memo", func(s *schedulepb.Schedule) {
			delete(s.Action.GetStartWorkflow().Memo.Fields, "schedule_id")
		}},
		"a second argument": {"input", func(s *schedulepb.Schedule) {
			in := s.Action.GetStartWorkflow().Input
			in.Payloads = append(in.Payloads, in.Payloads[0])
		}},
		"an argument of other form": {"input", func(s *schedulepb.Schedule) {
			s.Action.GetStartWorkflow().Input.Payloads[0].Metadata["encoding"] = []byte("binary/plain")
		}},
		"something after the JSON": {"input", func(s *schedulepb.Schedule) {
			p := s.Action.GetStartWorkflow().Input.Payloads[0]
			p.Data = append(p.Data, " {}"...)
		}},
	}
	for name, test := range edits {
		t.Run("Should find a hand edit of "+name, func(t *testing.T) {
			actual := translate(t, "a", daily("w", everyOption)).Schedule()
			test.edit(actual)
			differences := activities.Compare(desired, actual)
			require.Len(t, differences, 1)
			assert.Equal(t, test.field, differences[0].Field)
		})
	}

	equal := map[string]func(*schedulepb.Schedule){
		"the state":            func(s *schedulepb.Schedule) { s.State = &schedulepb.ScheduleState{Paused: true, Notes: "x"} },
		"a calendar's comment": func(s *schedulepb.Schedule) { s.Spec.StructuredCalendar[0].Comment = "" },
		"white space in input": func(s *schedulepb.Schedule) {
			p := s.Action.GetStartWorkflow().Input.Payloads[0]
			p.Data = append(p.Data, '\n')
		},
		"an attribute's type": func(s *schedulepb.Schedule) {
			s.Action.GetStartWorkflow().SearchAttributes.IndexedFields["CustomKeywordField"].Metadata["type"] = []byte("Keyword")
		},
		"the mark of an adoption, also one that was copied": func(s *schedulepb.Schedule) {
			s.Spec.ExcludeStructuredCalendar = []*schedulepb.StructuredCalendarSpec{mark("0123456789ab"), mark("000000000000")}
		},
		"the revision that wrote it": func(s *schedulepb.Schedule) {
			memo := s.Action.GetStartWorkflow().Memo
			memo.Fields["revision"] = memo.Fields["project"]
		},
		"a header with nothing": func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().Header = nil },
	}
	for name, edit := range equal {
		t.Run("Should not mind "+name, func(t *testing.T) {
			actual := translate(t, "a", daily("w", everyOption)).Schedule()
			edit(actual)
			assert.Empty(t, activities.Compare(desired, actual))
		})
	}
	t.Run("Should mind a revision that the YAML's own memo has", func(t *testing.T) {
		of := func(revision string) *schedulepb.Schedule {
			return translate(t, "a", daily("w", func(w *config.Workflow) { w.Start.Memo = map[string]any{"revision": revision} })).Schedule()
		}
		assert.Empty(t, activities.Compare(of("7"), of("7")))
		differences := activities.Compare(of("7"), of("8"))
		require.Len(t, differences, 1)
		assert.Equal(t, "memo", differences[0].Field)
	})
	t.Run("Should not mind the order of two calendars", func(t *testing.T) {
		d, a := translate(t, "a", daily("w", cron("0 0 13 * 5", ""))).Schedule(), translate(t, "a", daily("w", cron("0 0 13 * 5", ""))).Schedule()
		c := a.Spec.StructuredCalendar
		c[0], c[1] = c[1], c[0]
		assert.Empty(t, activities.Compare(d, a))
	})
	t.Run("Should not mind the server's defaults", func(t *testing.T) {
		d, a := translate(t, "a", daily("w")).Schedule(), translate(t, "a", daily("w")).Schedule()
		a.Policies.CatchupWindow = durationpb.New(365 * 24 * time.Hour)
		a.Policies.OverlapPolicy = enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED
		a.Spec.TimezoneName = ""
		a.Spec.Jitter = durationpb.New(0)
		assert.Empty(t, activities.Compare(d, a))
		a.Policies.CatchupWindow = durationpb.New(time.Hour)
		assert.Len(t, activities.Compare(d, a), 1)
	})
	t.Run("Should find everything of a schedule that holds nothing", func(t *testing.T) {
		assert.Len(t, activities.Compare(desired, &schedulepb.Schedule{}), len(changes))
		assert.Empty(t, activities.Compare(&schedulepb.Schedule{}, nil))
	})
}

// mark is an exclusion as adoption writes it.
func mark(idHash string) *schedulepb.StructuredCalendarSpec {
	return &schedulepb.StructuredCalendarSpec{
		Year: []*schedulepb.Range{{Start: 2000}}, Comment: "Adopted by compozy-schedules (project a, workflow w). id:" + idHash,
	}
}

func everySeconds(n int64) []*schedulepb.IntervalSpec {
	return []*schedulepb.IntervalSpec{{Interval: &durationpb.Duration{Seconds: n}}}
}
