package activities_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// randomWorkflow has each key of the YAML half the time.
func randomWorkflow(random *rand.Rand, id string) config.Workflow {
	maybe := func() bool { return random.IntN(2) == 0 }
	seconds := func(least, most int) time.Duration { return time.Duration(least+random.IntN(most-least)) * time.Second }
	w := config.Workflow{
		ID:    id,
		Start: config.Start{WorkflowType: randomText(random), WorkflowID: "w " + randomText(random), TaskQueue: "q " + randomText(random)},
		Schedule: &config.Schedule{
			ScheduleID: "s " + id + strings.Map(ascii, randomText(random)), PauseOnFailure: maybe(),
			OverlapPolicy: config.OverlapPolicies()[random.IntN(6)],
		},
	}
	for {
		if w.Schedule.Cron = cronOfEntries(random); maybe() {
			w.Schedule.Cron = fmt.Sprintf("@every %ds", 1+random.IntN(100000))
		}
		if config.ValidateSchedule(w.Schedule) == nil {
			break // not for a day that does not exist
		}
	}
	for _, key := range []struct {
		set func()
	}{
		{func() { w.Start.RunTimeout = seconds(1, 100000) }},
		{func() { w.Start.ExecutionTimeout = seconds(100000, 200000) }},
		{func() { w.Start.TaskTimeout = seconds(1, 60) }},
		{func() { w.Start.Retry = &config.Retry{} }},
		{func() {
			w.Start.Retry = &config.Retry{
				InitialInterval: seconds(1, 100), BackoffCoefficient: 1 + random.Float64(), MaximumInterval: seconds(100, 1000),
				MaximumAttempts: int32(random.IntN(10)), NonRetryableErrors: []string{randomText(random), "true"},
			}
		}},
		{func() { w.Start.Memo = randomObject(random, 2) }},
		{func() { w.Schedule.Timezone = []string{"America/New_York", "UTC", "Asia/Kolkata"}[random.IntN(3)] }},
		{func() { w.Schedule.Enabled = new(false) }},
		{func() { w.Schedule.Jitter = seconds(1, 100000).String() }},
		{func() { w.Schedule.StartAt = new(time.Unix(random.Int64N(4e9), random.Int64N(1e9)).UTC()) }},
		{func() { w.Schedule.EndAt = new(time.Unix(4e9+random.Int64N(4e9), 0).UTC()) }},
		{func() { w.Schedule.CatchupWindow = seconds(10, 1e8).String() }},
		{func() { w.Schedule.Input = randomObject(random, 3) }},
	} {
		if maybe() {
			key.set()
		}
	}
	return w
}

// randomText is one that YAML might take for something else.
func randomText(random *rand.Rand) string {
	texts := []string{
		"a", "true", "null", "~", "1", "1.0", "0x1f", "1e3", "2027-01-01", "2027-01-01T00:00:00Z", "<<", "=", "a: b", "a #b", "- a", "*a",
		"&a", "!a", "%a", "@a", "`a", "{a", "[a", "'a'", "\"a\"", "yes", "off", ".inf", "é", "日本", "🎉", "x y", "?", "a,b", "|", ">", "---", "...",
	}
	return texts[random.IntN(len(texts))]
}

// ascii is what the SDK can send as an ID.
func ascii(r rune) rune {
	if r > '~' {
		return '?'
	}
	return r
}

func randomObject(random *rand.Rand, depth int) map[string]any {
	object := map[string]any{}
	for range random.IntN(4) {
		object[randomText(random)] = randomJSON(random, depth-1)
	}
	return object
}

func randomJSON(random *rand.Rand, depth int) any {
	if depth > 0 && random.IntN(3) == 0 {
		return randomObject(random, depth)
	}
	values := []any{
		nil, true, false, int64(random.Int()), -int64(random.IntN(100)), uint64(1<<64 - 1), random.NormFloat64(), 1e300, 0.1, 1e21, 1e20, -0.5,
		randomText(random), "", " ", "a\nb", "a\r\nb\n", "tab\t", "\x00\x01\u007f\u0085\u2028\ufeff", "ends with space ", "  begins", strings.Repeat("long ", 60),
		[]any{}, []any{nil, randomText(random), []any{int64(1)}}, map[string]any{}, "<script>&",
	}
	return values[random.IntN(len(values))]
}

// createForeign creates a schedule as somebody else, without our memo.
func (f *fixture) createForeign(t testing.TB, id string, schedule *schedulepb.Schedule) {
	t.Helper()
	_, err := f.hand.WorkflowService().CreateSchedule(t.Context(), &workflowservice.CreateScheduleRequest{
		Namespace: f.namespace, ScheduleId: id, Schedule: schedule, RequestId: "create " + id,
	})
	require.NoError(t, err, "%v", schedule)
}

// asForeign is what a workflow's schedule would be if somebody else had made it.
func asForeign(t testing.TB, w config.Workflow) *schedulepb.Schedule {
	t.Helper()
	desired := translate(t, "origin", w)
	schedule := desired.Schedule()
	fields := schedule.GetAction().GetStartWorkflow().GetMemo().GetFields()
	for _, own := range []string{"managed_by", "project", "workflow_id", "schedule_id"} {
		if _, written := w.Start.Memo[own]; !written {
			delete(fields, own)
		}
	}
	schedule.State = &schedulepb.ScheduleState{Paused: !desired.Enabled, Notes: "note"}
	return schedule
}

func TestExportServer(t *testing.T) {
	t.Run("Should bring any schedule that the YAML can say back as it is", func(t *testing.T) {
		f := newFixture(t)
		random := rand.New(rand.NewPCG(3, 4))
		var exported []activities.Exported
		stored := map[string]*schedulepb.Schedule{}
		for i := range 150 {
			w := randomWorkflow(random, fmt.Sprintf("w%d", i))
			f.createForeign(t, w.Schedule.ScheduleID, asForeign(t, w))
			actual := f.schedule(t, w.Schedule.ScheduleID)
			stored[w.Schedule.ScheduleID] = actual
			e := activities.Export(w.Schedule.ScheduleID, actual)
			require.Empty(t, e.Losses, "%+v %+v", w.Start, w.Schedule)
			exported = append(exported, e)
		}
		project := loadExported(t, exported...)
		require.Len(t, project.Scheduled(), len(exported))
		for _, w := range project.Scheduled() {
			requireSame(t, project, w, stored[w.Schedule.ScheduleID])
			assert.True(t, w.Schedule.Adopt)
		}
	})
	t.Run("Should read what people make with the SDK", func(t *testing.T) {
		f := newFixture(t)
		_, err := f.hand.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
			Namespace: f.namespace, SearchAttributes: map[string]enumspb.IndexedValueType{
				"Team": enumspb.INDEXED_VALUE_TYPE_KEYWORD, "Size": enumspb.INDEXED_VALUE_TYPE_DOUBLE, "Tags": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
				"Due": enumspb.INDEXED_VALUE_TYPE_DATETIME, "Urgent": enumspb.INDEXED_VALUE_TYPE_BOOL, "Count": enumspb.INDEXED_VALUE_TYPE_INT,
			},
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool { // a server of several processes learns of them late
			_, err := f.hand.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: "Tags = 'a' AND Count = 3"})
			return err == nil
		}, 30*time.Second, 500*time.Millisecond)
		action := func() *client.ScheduleWorkflowAction {
			return &client.ScheduleWorkflowAction{
				ID: "base", Workflow: "Cleanup", TaskQueue: "ops", Args: []any{map[string]any{"days": 30}},
				RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, BackoffCoefficient: 2},
				Memo:        map[string]any{"owner": "ops", "n": nil},
				TypedSearchAttributes: temporal.NewSearchAttributes(
					temporal.NewSearchAttributeKeyKeyword("Team").ValueSet("ops"), temporal.NewSearchAttributeKeyFloat64("Size").ValueSet(2),
					temporal.NewSearchAttributeKeyKeywordList("Tags").ValueSet([]string{"a", "b"}),
					temporal.NewSearchAttributeKeyTime("Due").ValueSet(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)),
					temporal.NewSearchAttributeKeyBool("Urgent").ValueSet(true), temporal.NewSearchAttributeKeyInt64("Count").ValueSet(3),
				),
			}
		}
		at := func(hour int) client.ScheduleCalendarSpec {
			return client.ScheduleCalendarSpec{Hour: []client.ScheduleRange{{Start: hour}}, Comment: "shift"}
		}
		fridays := client.ScheduleCalendarSpec{DayOfWeek: []client.ScheduleRange{{Start: 5}}}
		thirteenth := client.ScheduleCalendarSpec{DayOfMonth: []client.ScheduleRange{{Start: 13}}}
		for name, test := range map[string]struct {
			spec      client.ScheduleSpec
			cron      string
			obstacles []string
		}{
			"weekdays":    {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * MON-FRI # open"}}, cron: "0 9 * * 1-5"},
			"sunday":      {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * 7"}}, cron: "0 9 * * 0"},
			"quarters":    {spec: client.ScheduleSpec{CronExpressions: []string{"*/15 * * * *"}}, cron: "*/15 * * * *"},
			"daily":       {spec: client.ScheduleSpec{CronExpressions: []string{"@daily"}}, cron: "0 0 * * *"},
			"zoned":       {spec: client.ScheduleSpec{CronExpressions: []string{"CRON_TZ=Europe/Berlin 0 9 * * *"}}, cron: "0 9 * * *"},
			"twice":       {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * *", "0 17 * * *"}}, cron: "0 9,17 * * *"},
			"every":       {spec: client.ScheduleSpec{CronExpressions: []string{"@every 90s"}}, cron: "@every 90s"},
			"interval":    {spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: 24 * time.Hour}}}, cron: "@every 24h"},
			"shifts":      {spec: client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{at(6), at(14), at(22)}}, cron: "0 6,14,22 * * *"},
			"either day":  {spec: client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{fridays, thirteenth}}, cron: "0 0 13 * 5"},
			"both days":   {spec: client.ScheduleSpec{CronExpressions: []string{"0 0 13 * 5"}}, obstacles: []string{"days that must fit both day of month and day of week: in a cron either will do"}},
			"seconds":     {spec: client.ScheduleSpec{CronExpressions: []string{"30 0 9 * * * *"}}, obstacles: []string{"seconds: a cron runs at second 0"}},
			"a year":      {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * * 2027"}}, obstacles: []string{"years: a cron runs in every year"}},
			"phase":       {spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour, Offset: time.Minute}}}, obstacles: []string{"interval phase 1m: @every has none"}},
			"exclusion":   {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * *"}, Skip: []client.ScheduleCalendarSpec{fridays}}, obstacles: []string{"exclude calendars: a cron excludes nothing"}},
			"odd times":   {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * *", "30 17 * * *"}}, obstacles: []string{"2 calendars that no single cron says"}},
			"by hand":     {spec: client.ScheduleSpec{}, obstacles: []string{"no times: it runs only when it is triggered"}},
			"both kinds":  {spec: client.ScheduleSpec{CronExpressions: []string{"0 9 * * *", "@every 7m"}}, obstacles: []string{"an interval together with calendars: a cron is one or the other"}},
			"all at once": {spec: client.ScheduleSpec{CronExpressions: []string{"30 0 9 * * * 2027"}}, obstacles: []string{"seconds: a cron runs at second 0", "years: a cron runs in every year"}},
		} {
			_, err := f.hand.ScheduleClient().Create(t.Context(), client.ScheduleOptions{ID: name, Spec: test.spec, Action: action()})
			require.NoError(t, err, name)
			actual := f.schedule(t, name)
			e := activities.Export(name, actual)
			assert.Equal(t, test.obstacles, e.Obstacles, name)
			if len(test.obstacles) > 0 {
				continue
			}
			assert.Empty(t, e.Losses, name)
			assert.Equal(t, test.cron, e.Workflow.Schedule.Cron, name)
			project := loadExported(t, e)
			requireSame(t, project, project.Workflows[0], actual)
		}
		zoned := activities.Export("zoned", f.schedule(t, "zoned"))
		assert.Equal(t, "Europe/Berlin", zoned.Workflow.Schedule.Timezone)
		assert.Equal(t, []string{"Times: open"}, activities.Export("weekdays", f.schedule(t, "weekdays")).Header())
		assert.Equal(t, []string{"Times: shift"}, activities.Export("shifts", f.schedule(t, "shifts")).Header())
	})
	t.Run("Should list what no project owns", func(t *testing.T) {
		f := newFixture(t)
		f.createByHand(t, "hand-b")
		f.createByHand(t, "hand-a")
		f.createByHand(t, "other")
		f.upsert(t, newProject(t, "a", daily("w")))
		require.Eventually(t, func() bool {
			ids, owned, err := f.server().Unowned(t.Context(), "")
			return err == nil && owned == 1 && assert.ObjectsAreEqual([]string{"hand-a", "hand-b", "other"}, ids)
		}, 30*time.Second, 50*time.Millisecond)
		ids, owned, err := f.server().Unowned(t.Context(), "ScheduleId STARTS_WITH 'hand-'")
		require.NoError(t, err)
		assert.Equal(t, []string{"hand-a", "hand-b"}, ids)
		assert.Zero(t, owned)
		_, _, err = f.server().Unowned(t.Context(), "what ever")
		assert.ErrorContains(t, err, "list schedules (what ever)")
	})
	t.Run("Should be adopted as it is", func(t *testing.T) {
		f := newFixture(t)
		f.createForeign(t, "nightly", foreign(func(s *schedulepb.Schedule, start *workflowpb.NewWorkflowExecutionInfo) {
			start.SearchAttributes = nil
			s.State = &schedulepb.ScheduleState{Paused: true, Notes: "ask Ada"}
		}))
		before := f.schedule(t, "nightly")
		project := loadExported(t, activities.Export("nightly", before))
		f.upsert(t, project, operation(t, project, activities.Update, "nightly"))
		after := f.schedule(t, "nightly")
		var fields []string
		for _, difference := range activities.Compare(before, after) {
			fields = append(fields, difference.Field)
		}
		assert.Equal(t, []string{"memo"}, fields)
		assert.True(t, after.GetState().GetPaused())
		detail, err := f.server().Describe(t.Context(), "nightly")
		require.NoError(t, err)
		assert.Equal(t, "shop", detail.Owner.Project)
		assert.Equal(t, &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"y"`)},
			after.GetAction().GetStartWorkflow().GetMemo().GetFields()["x"])
	})
}
