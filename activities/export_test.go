package activities_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

func payload(encoding, data string) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: []byte(data)}
}

func jsonPayloads(data ...string) *commonpb.Payloads {
	var all commonpb.Payloads
	for _, text := range data {
		all.Payloads = append(all.Payloads, payload("json/plain", text))
	}
	return &all
}

// foreign is somebody else's schedule, all of which the YAML can say, changed.
func foreign(changes ...func(*schedulepb.Schedule, *workflowpb.NewWorkflowExecutionInfo)) *schedulepb.Schedule {
	w := config.Workflow{
		ID: "cleanup",
		Start: config.Start{
			WorkflowType: "Cleanup", WorkflowID: "nightly", TaskQueue: "ops", RunTimeout: time.Hour, TaskTimeout: 10 * time.Second,
			Retry: &config.Retry{MaximumAttempts: 3}, Memo: map[string]any{"x": "y"}, SearchAttributes: map[string]any{"x": "y"},
		},
		Schedule: &config.Schedule{Cron: "0 9 * * *", Input: map[string]any{"days": 30}},
	}
	desired, err := activities.Translate("a", w)
	if err != nil {
		panic(err)
	}
	s := desired.Schedule()
	start := s.GetAction().GetStartWorkflow()
	start.Memo = &commonpb.Memo{Fields: map[string]*commonpb.Payload{"x": payload("json/plain", `"y"`)}}
	for _, change := range changes {
		change(s, start)
	}
	return s
}

func putFile(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// loadExported puts the workflow's file into a project and loads it.
func loadExported(t testing.TB, exported ...activities.Exported) *config.Project {
	t.Helper()
	dir := t.TempDir()
	putFile(t, filepath.Join(dir, "compozy.yaml"), "name: shop\nworkflows:\n  - source: ./*.yaml\n")
	for _, e := range exported {
		require.Empty(t, e.Obstacles, e.ScheduleID)
		text, err := config.WriteWorkflow(e.Workflow, e.Header())
		require.NoError(t, err, e.ScheduleID)
		putFile(t, filepath.Join(dir, e.Workflow.ID+".yaml"), string(text))
	}
	project, err := config.Load(dir)
	require.NoError(t, err)
	return project
}

// requireSame checks that a project's workflow is the schedule, save for the memo that a project adds.
func requireSame(t testing.TB, project *config.Project, w config.Workflow, actual *schedulepb.Schedule) {
	t.Helper()
	desired := translate(t, project.Name, w).Schedule()
	wanted, ok := activities.CronText(actual.GetSpec())
	require.True(t, ok)
	text, ok := activities.CronText(desired.GetSpec())
	require.True(t, ok)
	require.Equal(t, wanted, text)
	memo := desired.GetAction().GetStartWorkflow().GetMemo().GetFields()
	for _, own := range []string{"managed_by", "project", "workflow_id", "schedule_id"} {
		if _, written := w.Start.Memo[own]; !written {
			delete(memo, own)
		}
	}
	actual = proto.CloneOf(actual)
	actual.Spec.StructuredCalendar, actual.Spec.Interval = desired.GetSpec().GetStructuredCalendar(), desired.GetSpec().GetInterval()
	if retry := actual.GetAction().GetStartWorkflow().GetRetryPolicy(); retry != nil {
		if retry.GetInitialInterval().AsDuration() == 0 {
			retry.InitialInterval = nil
		}
		if retry.GetMaximumInterval().AsDuration() == 0 {
			retry.MaximumInterval = nil
		}
	}
	require.Empty(t, activities.Compare(desired, actual))
	require.Equal(t, actual.GetAction().GetStartWorkflow().GetRetryPolicy() == nil,
		desired.GetAction().GetStartWorkflow().GetRetryPolicy() == nil, "retry")
	require.Equal(t, !actual.GetState().GetPaused(), w.Schedule.IsEnabled())
}

func TestExport(t *testing.T) {
	t.Run("Should say all of a schedule that the YAML has keys for", func(t *testing.T) {
		actual := foreign(func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.State = &schedulepb.ScheduleState{Paused: true, Notes: "broken since noon\r\n  ask Ada"}
			s.Spec.TimezoneName, s.Spec.Jitter = "Europe/Berlin", durationpb.New(90*time.Second)
			s.Spec.StartTime = timestamppb.New(time.Date(2027, 1, 1, 0, 0, 0, 5, time.UTC))
			s.Spec.EndTime = timestamppb.New(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))
			s.Spec.StructuredCalendar[0].Comment = "every morning"
			s.Policies = &schedulepb.SchedulePolicies{
				OverlapPolicy: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, PauseOnFailure: true, CatchupWindow: durationpb.New(time.Minute),
			}
		})
		e := activities.Export("Nightly", actual)
		assert.Empty(t, e.Obstacles)
		assert.Empty(t, e.Losses)
		text, err := config.WriteWorkflow(e.Workflow, e.Header())
		require.NoError(t, err)
		assert.Equal(t, `# broken since noon
#   ask Ada
# Times: every morning
id: nightly-ab6b5a4d
temporal:
  workflow_type: Cleanup
  workflow_id: nightly
  task_queue: ops
  run_timeout: 1h
  task_timeout: 10s
  retry:
    maximum_attempts: 3
  memo:
    x: "y"
  search_attributes:
    x: "y"
schedule:
  cron: "0 9 * * *"
  timezone: Europe/Berlin
  enabled: false
  jitter: 90s
  overlap_policy: buffer_all
  start_at: 2027-01-01T00:00:00.000000005Z
  end_at: 2028-01-01T00:00:00Z
  catchup_window: 1m
  pause_on_failure: true
  input:
    days: 30
  schedule_id: Nightly
  adopt: true
`, string(text))
		project := loadExported(t, e)
		requireSame(t, project, project.Workflows[0], actual)
	})
	t.Run("Should leave out what is the default", func(t *testing.T) {
		actual := foreign(func(s *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Memo, start.SearchAttributes, start.RetryPolicy, start.Input = nil, nil, nil, &commonpb.Payloads{}
			start.Header, start.WorkflowRunTimeout, start.WorkflowTaskTimeout = &commonpb.Header{}, durationpb.New(0), nil
			start.WorkflowIdReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
			start.Priority = &commonpb.Priority{}
			s.Spec.Jitter, s.Spec.TimezoneName = durationpb.New(0), "UTC"
			s.Policies = &schedulepb.SchedulePolicies{CatchupWindow: durationpb.New(365 * 24 * time.Hour)}
		})
		e := activities.Export("nightly", actual)
		assert.Empty(t, e.Losses)
		text, err := config.WriteWorkflow(e.Workflow, e.Header())
		require.NoError(t, err)
		assert.Equal(t, "id: nightly\ntemporal:\n  workflow_type: Cleanup\n  workflow_id: nightly\n  task_queue: ops\n"+
			"schedule:\n  cron: \"0 9 * * *\"\n  schedule_id: nightly\n  adopt: true\n", string(text))
	})
	t.Run("Should leave out what each project writes into its runs' memo itself", func(t *testing.T) {
		e := activities.Export("copy", translate(t, "a", daily("w")).Schedule())
		assert.Empty(t, e.Losses)
		assert.Empty(t, e.Workflow.Start.Memo)
	})
	t.Run("Should keep a retry policy that says nothing, since it asks for retries", func(t *testing.T) {
		e := activities.Export("nightly", foreign(func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.RetryPolicy = &commonpb.RetryPolicy{InitialInterval: durationpb.New(0)}
		}))
		assert.Empty(t, e.Losses)
		assert.NotNil(t, loadExported(t, e).Workflows[0].Start.Retry)
	})
}

func TestExportLosses(t *testing.T) {
	type change = func(*schedulepb.Schedule, *workflowpb.NewWorkflowExecutionInfo)
	for name, test := range map[string]struct {
		change change
		want   string
	}{
		"two arguments": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = jsonPayloads("{}", "1")
		},
			"input: 2 arguments, and the YAML has one, a JSON object"},
		"an argument that is a list": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = jsonPayloads("[1]")
		},
			"input: a list, and the YAML has a JSON object"},
		"an argument that is null": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = &commonpb.Payloads{Payloads: []*commonpb.Payload{payload("binary/null", "")}}
		}, "input: null, and the YAML has a JSON object"},
		"an argument in another encoding": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = &commonpb.Payloads{Payloads: []*commonpb.Payload{payload("binary/encrypted", "?")}}
		}, `input: the encoding "binary/encrypted", and the YAML has plain JSON only`},
		"a number that YAML would shorten": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = jsonPayloads(`{"a":1.0}`)
		}, "input: a value that the YAML would change, such as 1.0 or a number too large"},
		"a number beyond all": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Input = jsonPayloads(`{"a":123456789012345678901234567890}`)
		}, "input: a value that the YAML would change, such as 1.0 or a number too large"},
		"a memo that is no JSON": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Memo.Fields["b"] = payload("binary/plain", "?")
		}, `memo b: the encoding "binary/plain", and the YAML has plain JSON only`},
		"a search attribute that is no text": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.SearchAttributes.IndexedFields["b"] = payload("json/plain", "[1,2]")
		}, "search attribute b: a list of something else than texts"},
		"a header": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Header = &commonpb.Header{Fields: map[string]*commonpb.Payload{"trace": payload("json/plain", "1")}}
		}, "header: the YAML cannot say it"},
		"user metadata": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.UserMetadata = &sdkpb.UserMetadata{Summary: payload("json/plain", `"nightly"`)}
		}, "user_metadata: the YAML cannot say it"},
		"a priority": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.Priority = &commonpb.Priority{PriorityKey: 1}
		}, "priority: the YAML cannot say it"},
		"a versioning override": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.VersioningOverride = &workflowpb.VersioningOverride{Override: &workflowpb.VersioningOverride_AutoUpgrade{AutoUpgrade: true}}
		}, "versioning_override: the YAML cannot say it"},
		"a cron schedule of the runs": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.CronSchedule = "* * * * *"
		},
			"cron_schedule: the YAML cannot say it"},
		"a count of runs": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.State = &schedulepb.ScheduleState{LimitedActions: true, RemainingActions: 3}
		}, "remaining_actions: it ends after 3 more runs, which only Temporal knows"},
		"an original workflow ID": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Policies.KeepOriginalWorkflowId = true
		},
			"keep_original_workflow_id: the YAML cannot say it"},
		"a catchup window that is too short": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Policies.CatchupWindow = durationpb.New(3 * time.Second)
		}, "catchup_window: 3s, and the least is 10s"},
		"a field of a newer server": {func(_ *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.TaskQueue.ProtoReflect().SetUnknown(protoreflect.RawFields{0xf8, 0x3f, 1})
		}, "fields that this version of schedules does not know"},
	} {
		t.Run("Should name "+name, func(t *testing.T) {
			e := activities.Export("nightly", foreign(test.change))
			assert.Empty(t, e.Obstacles)
			assert.Contains(t, e.Losses, test.want)
			assert.False(t, e.Workflow.Schedule.Adopt)
			header := strings.Join(e.Header(), "\n")
			assert.Contains(t, header, test.want)
			assert.Contains(t, header, "Set adopt: true to accept this.")
			assert.False(t, loadExported(t, e).Workflows[0].Schedule.Adopt, "the file is valid as it is")
		})
	}
	for name, test := range map[string]struct {
		change change
		want   string
	}{
		"an exclusion": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Spec.ExcludeStructuredCalendar = s.Spec.StructuredCalendar
		}, "exclude calendars: a cron excludes nothing"},
		"a time zone of its own": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Spec.TimezoneData = []byte("TZif")
		},
			"timezone_data: a time zone of its own"},
		"a zone that is not known here": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Spec.TimezoneName = "Mars/Base"
		},
			`invalid timezone "Mars/Base": use an IANA name such as Europe/Berlin or UTC`},
		"a day that does not exist": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Spec.StructuredCalendar[0].DayOfMonth, s.Spec.StructuredCalendar[0].Month = oneOf(30), oneOf(2)
		}, `cron "0 9 30 2 *" never runs: no month in it has such a day; correct the day of the month or the month`},
		"an action that is no workflow": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) { s.Action = nil },
			"an action that starts no workflow"},
		"times of a newer server": {func(s *schedulepb.Schedule, _ *workflowpb.NewWorkflowExecutionInfo) {
			s.Spec.StructuredCalendar[0].ProtoReflect().SetUnknown(protoreflect.RawFields{0xf8, 0x3f, 1})
		}, "times that this version of schedules does not know"},
	} {
		t.Run("Should make no workflow of "+name, func(t *testing.T) {
			assert.Equal(t, []string{test.want}, activities.Export("nightly", foreign(test.change)).Obstacles)
		})
	}
}

func TestExportID(t *testing.T) {
	t.Run("Should be the schedule's ID where that will do", func(t *testing.T) {
		for _, id := range []string{"nightly", "a_b-c", "0", "a--b", strings.Repeat("x", 63)} {
			assert.Equal(t, id, activities.ExportID(id))
		}
	})
	t.Run("Should be like the schedule's ID, with a hash that keeps likes apart", func(t *testing.T) {
		seen := map[string]bool{}
		for _, id := range []string{
			"Nightly", "nightLy", "nightly ", " nightly", "nightly/1", "nightly.1", "-nightly", "_", "///", "Ünder", "日本", "日",
			strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 54) + "-" + strings.Repeat("y", 20),
		} {
			slug := activities.ExportID(id)
			assert.Regexp(t, `^([a-z0-9]+[-_])*[0-9a-f]{8}$`, slug, id)
			assert.LessOrEqual(t, len(slug), 63)
			assert.False(t, seen[slug], id)
			seen[slug] = true
			assert.Equal(t, slug, activities.ExportID(id))
		}
	})
}
