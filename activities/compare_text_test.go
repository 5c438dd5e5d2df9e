package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
)

// TestCompareCronText is about what a difference in cron shows. What counts as one is in TestCompare.
func TestCompareCronText(t *testing.T) {
	t.Parallel()
	spec := func(cronText string) *schedulepb.ScheduleSpec {
		return translate(t, "a", daily("w", cron(cronText, ""))).Schedule().GetSpec()
	}
	edited := func(cronText string, edit func(*schedulepb.ScheduleSpec)) *schedulepb.ScheduleSpec {
		s := spec(cronText)
		edit(s)
		return s
	}
	// Nine o'clock as a hand may write it: the same times, other ranges.
	spelled := edited("0 9 * * *", func(s *schedulepb.ScheduleSpec) {
		s.StructuredCalendar[0].Hour = []*schedulepb.Range{{Start: 9, End: 9, Step: 1}, {Start: 9, End: 9, Step: 1}}
	})
	tests := []struct {
		name            string
		desired, actual *schedulepb.ScheduleSpec
		yaml, now       string
	}{
		{"two calendars as cron", spec("0 9 * * *"), spec("*/5 9-17 * * 1-5"), "0 9 * * *", "*/5 9-17 * * 1-5"},
		{"an interval as @every", spec("@every 90s"), spec("@every 5m"), "@every 90s", "@every 5m"},
		{"a calendar and an interval", spec("0 9 * * *"), spec("@every 1h"), "0 9 * * *", "@every 1h"},
		{"a day of either kind as one cron", spec("0 0 13 * 5"), spec("0 0 * * 5"), "0 0 13 * 5", "0 0 * * 5"},
		{"a word of cron in its five fields", spec("@daily"), spec("@hourly"), "0 0 * * *", "0 * * * *"},
		{
			"times that no cron says as Temporal has them", spec("0 9 * * *"),
			edited("@every 1h", func(s *schedulepb.ScheduleSpec) { s.Interval[0].Phase = &durationpb.Duration{Seconds: 60} }),
			"0 9 * * *", `{"interval":[{"interval":"3600s","phase":"60s"}]}`,
		},
		{"no times as nothing", spec("0 9 * * *"), &schedulepb.ScheduleSpec{}, "0 9 * * *", ""},
	}
	for _, test := range tests {
		t.Run("Should show "+test.name, func(t *testing.T) {
			desired, actual := &schedulepb.Schedule{Spec: test.desired}, &schedulepb.Schedule{Spec: test.actual}
			assert.Equal(t, []activities.Difference{{Field: "cron", YAML: test.yaml, Actual: test.now}},
				activities.Compare(desired, actual))
			assert.Equal(t, []activities.Difference{{Field: "cron", YAML: test.now, Actual: test.yaml}},
				activities.Compare(actual, desired), "the other way round")
		})
	}
	t.Run("Should show one cron that is written in two ways as Temporal has it", func(t *testing.T) {
		differences := activities.Compare(&schedulepb.Schedule{Spec: spec("0 9 * * *")}, &schedulepb.Schedule{Spec: spelled})
		require.Len(t, differences, 1, "a hand edit is one, whatever it means")
		assert.Equal(t, "cron", differences[0].Field)
		assert.NotEqual(t, differences[0].YAML, differences[0].Actual)
		for _, text := range []string{differences[0].YAML, differences[0].Actual} {
			assert.Contains(t, text, `"structuredCalendar"`)
		}
	})
	t.Run("Should find no difference in comments and in the order of calendars", func(t *testing.T) {
		other := edited("0 0 13 * 5", func(s *schedulepb.ScheduleSpec) {
			c := s.StructuredCalendar
			c[0], c[1] = c[1], c[0]
			c[0].Comment = "by hand"
		})
		assert.Empty(t, activities.Compare(&schedulepb.Schedule{Spec: spec("0 0 13 * 5")}, &schedulepb.Schedule{Spec: other}))
	})
}
