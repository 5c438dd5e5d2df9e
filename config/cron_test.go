package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestTimingNext(t *testing.T) {
	tests := []struct{ name, cron, zone, after, want string }{
		{"a time of day", "0 9 * * *", "", "2027-01-01T09:00:00Z", "2027-01-02T09:00:00Z"},
		{"a time of day in its zone", "0 9 * * 1-5", "America/New_York", "2027-01-01T15:00:00Z", "2027-01-04T09:00:00-05:00"},
		{"CRON_TZ", "CRON_TZ=Asia/Tokyo 0 9 * * *", "", "2027-01-01T00:00:00Z", "2027-01-02T09:00:00+09:00"},
		{"TZ", "TZ=Asia/Tokyo   0 9 * * *", "", "2027-01-01T00:00:00Z", "2027-01-02T09:00:00+09:00"},
		{"day of month OR day of week", "0 0 13 * 5", "", "2027-01-08T00:00:00Z", "2027-01-13T00:00:00Z"},
		{"names of days and months", "0 0 * JAN MON-FRI", "", "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z"},
		{"a leap day", "0 0 29 2 *", "", "2027-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"a descriptor", "@weekly", "", "2027-01-01T00:00:00Z", "2027-01-03T00:00:00Z"},
		{"an hour that spring skips", "30 2 * * *", "America/New_York", "2027-03-13T12:00:00-05:00", "2027-03-15T02:30:00-04:00"},
		{"@every on multiples since the epoch", "@every 90s", "", "2027-01-01T00:00:01Z", "2027-01-01T00:01:30Z"},
		{"@every strictly after", "@every 90s", "", "2027-01-01T00:01:30Z", "2027-01-01T00:03:00Z"},
		{"@every with fractions of a second", "@every 5s", "", "2027-01-01T00:00:04.9Z", "2027-01-01T00:00:05Z"},
		{"@every before the epoch", "@every 10s", "", "1969-12-31T23:59:55Z", "1970-01-01T00:00:00Z"},
		{"@every with spaces", "  @every   1h ", "", "2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z"},
	}
	for _, test := range tests {
		t.Run("Should find "+test.name, func(t *testing.T) {
			timing, err := config.ParseCron(test.cron, test.zone)
			require.NoError(t, err)
			after, err := time.Parse(time.RFC3339, test.after)
			require.NoError(t, err)
			assert.Equal(t, test.want, timing.Next(after).Format(time.RFC3339))
		})
	}
	t.Run("Should find none for a day that does not exist", func(t *testing.T) {
		timing, err := config.ParseCron("0 0 31 4 *", "")
		require.NoError(t, err)
		assert.True(t, timing.Next(time.Unix(0, 0)).IsZero())
	})
}

func TestParseCronErrors(t *testing.T) {
	tests := []struct{ name, cron, zone, want string }{
		{"nothing", " ", "", "cron is required"},
		{"six fields", "0 0 9 * * *", "", "it has 6 fields; write five"},
		{"seven fields", "0,15,30,45 * * * * * *", "", "it has 7 fields; write five"},
		{"one field", "9", "", "it has 1 field; write five"},
		{"words", "a b c d e", "", "minute is 0-59"},
		{"an hour out of range", "0 24 * * *", "", "above maximum (23)"},
		{"a day out of range", "0 0 0 * *", "", "below minimum (1)"},
		{"a step of zero", "*/0 * * * *", "", "step of range should be a positive number"},
		{"a range backwards", "0 0 * * 5-1", "", "beyond end of range"},
		{"CRON_TZ that ends after the zone", "CRON_TZ=foo", "", "after CRON_TZ= write a zone, a space and five fields"},
		{"TZ that ends after the zone", "TZ=UTC", "", "after TZ= write a zone, a space and five fields"},
		{"CRON_TZ without a zone", "CRON_TZ= 0 9 * * *", "", "after CRON_TZ= write a zone"},
		{"two zones in cron", "CRON_TZ=UTC TZ=foo", "", "it names two zones"},
		{"two zones", "TZ=UTC 0 9 * * *", "UTC", "the zone is given twice"},
		{"an unknown zone", "0 9 * * *", "Nowhere/City", `invalid timezone "Nowhere/City"`},
		{"an unknown zone in cron", "CRON_TZ=Nowhere/City 0 9 * * *", "", `invalid timezone "Nowhere/City"`},
		{"the zone Local", "0 9 * * *", "local", `invalid timezone "local"`},
		{"a zone that is a path", "0 9 * * *", "../etc/passwd", "invalid timezone"},
		{"@every without a duration", "@every", "", "@every with a duration"},
		{"@every zero", "@every 0s", "", "at least 1s"},
		{"@every backwards", "@every -5s", "", "at least 1s"},
		{"@every in days", "@every 1d", "", "after @every write a duration"},
		{"@every for ever", "@every 9999999999h", "", "after @every write a duration"},
	}
	for _, test := range tests {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			_, err := config.ParseCron(test.cron, test.zone)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestValidateSchedule(t *testing.T) {
	t.Run("Should accept what the spec accepts", func(t *testing.T) {
		for _, policy := range append(config.OverlapPolicies(), "") {
			require.NoError(t, config.ValidateSchedule(&config.Schedule{Cron: "0 9 * * *", Timezone: "Europe/Berlin", OverlapPolicy: policy}))
		}
	})
	t.Run("Should report everything at once", func(t *testing.T) {
		at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		err := config.ValidateSchedule(&config.Schedule{
			Cron: "x", Timezone: "y", OverlapPolicy: "z", Jitter: "j", CatchupWindow: "1s", StartAt: &at, EndAt: &at,
			Input: map[string]any{"a": []any{1.5, struct{}{}}},
		})
		for _, want := range []string{"timezone", "cron", "overlap_policy", "jitter", "catchup_window", "end_at", "input.a[1]"} {
			assert.ErrorContains(t, err, want)
		}
	})
	t.Run("Should refuse no schedule", func(t *testing.T) {
		assert.Error(t, config.ValidateSchedule(nil))
	})
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 9 * * 1-5", "@every 90s", "CRON_TZ=foo", "TZ=UTC TZ=a", "*/5 1,2 ? JAN MON", "@", "0-59/9223372036854775807 * * * *"} {
		f.Add(seed, "UTC")
	}
	f.Fuzz(func(_ *testing.T, cron, zone string) {
		_ = config.ValidateSchedule(&config.Schedule{Cron: cron, Timezone: zone})
	})
}
