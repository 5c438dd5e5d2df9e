package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/config"
)

// That Temporal does what the warnings say is tested in activities.
func TestZoneWarnings(t *testing.T) {
	from, until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	const (
		skipped = "is skipped: the clocks go forward over it"
		moved   = "is skipped or moved: the clocks go forward over it"
		twice   = "may happen twice: the clocks go back over it"
	)
	tests := []struct {
		name, cron, zone string
		want             []string
	}{
		{"a run in New York's gap", "30 2 * * *", "America/New_York", []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}},
		{"a run in New York's fold", "30 1 * * *", "America/New_York", []string{"the run of 2027-11-07 01:30 (America/New_York) " + twice}},
		{"the gap's first minute", "0 2 * * *", "America/New_York", []string{"the run of 2027-03-14 02:00 (America/New_York) " + skipped}},
		{"the minute after the gap", "0 3 * * *", "America/New_York", nil},
		{"the minute before the gap, last of the fold", "59 1 * * *", "America/New_York",
			[]string{"the run of 2027-11-07 01:59 (America/New_York) " + twice}},
		{"the minute before the fold", "59 0 * * *", "America/New_York", nil},
		{"the first of several runs in the gap", "10-50/20 2 * * *", "America/New_York",
			[]string{"the run of 2027-03-14 02:10 (America/New_York) " + skipped}},
		{"both", "30 1,2 * * *", "America/New_York", []string{
			"the run of 2027-03-14 02:30 (America/New_York) " + skipped, "the run of 2027-11-07 01:30 (America/New_York) " + twice,
		}},
		{"a zone in cron", "CRON_TZ=Europe/Berlin 30 2 * * *", "", []string{
			"the run of 2027-03-28 02:30 (Europe/Berlin) " + skipped, "the run of 2027-10-31 02:30 (Europe/Berlin) " + twice,
		}},
		{"weekdays, since clocks change on a Sunday", "30 2 * * 1-5", "America/New_York", nil},
		{"that Sunday", "30 2 * * 0", "America/New_York", []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}},
		{"another month", "30 2 * 4 *", "America/New_York", nil},
		{"another day of the month", "30 2 13 * *", "America/New_York", nil},
		{"that day of the month", "30 2 14 * *", "America/New_York", []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}},
		{"day of month or day of week", "30 2 13 * 0", "America/New_York", []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}},
		{"a run by day", "0 9 * * *", "America/New_York", nil},
		{"a run in every hour", "30 * * * *", "America/New_York", nil},
		{"a run in every minute", "* * * * *", "America/New_York", nil},
		{"a run in every other hour", "30 */2 * * *", "America/New_York", []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}},
		{"an interval", "@every 1h", "America/New_York", nil},
		{"UTC", "30 2 * * *", "UTC", nil},
		{"no zone", "30 2 * * *", "", nil},
		{"a zone without summer time", "30 2 * * *", "Asia/Kolkata", nil},
		{"half an hour on Lord Howe", "15 2 * * *", "Australia/Lord_Howe", []string{"the run of 2027-10-03 02:15 (Australia/Lord_Howe) " + moved}},
		{"half an hour back on Lord Howe", "45 1 * * *", "Australia/Lord_Howe",
			[]string{"the run of 2027-04-04 01:45 (Australia/Lord_Howe) " + twice}},
		{"past Lord Howe's half hour", "30 2 * * *", "Australia/Lord_Howe", nil},
		{"a gap at midnight", "30 0 * * *", "America/Santiago", []string{"the run of 2027-09-05 00:30 (America/Santiago) " + skipped}},
		{"a fold before midnight", "30 23 * * *", "America/Santiago", []string{"the run of 2027-04-03 23:30 (America/Santiago) " + twice}},
		{"Sundays where a Sunday has no midnight", "0 9 * * 0", "America/Santiago",
			[]string{"the runs of Sunday 2027-09-05 (America/Santiago) are skipped: that day has no midnight"}},
		{"Saturdays where a Sunday has no midnight", "0 9 * * 6", "America/Santiago",
			[]string{"the runs of a Saturday happen on Sunday 2027-09-05 (America/Santiago) too: that day has no midnight"}},
		{"hours of Sundays where a Sunday has no midnight", "0 * * * 0", "America/Santiago",
			[]string{"the runs of Sunday 2027-09-05 (America/Santiago) are skipped: that day has no midnight"}},
		{"weekends where a Sunday has no midnight", "0 9 * * 0,6", "America/Santiago", nil},
		{"Fridays where a Friday has no midnight, east of Greenwich", "0 9 * * 5", "Africa/Cairo", nil},
		{"what does not parse", "x", "America/New_York", nil},
	}
	for _, test := range tests {
		t.Run("Should tell about "+test.name, func(t *testing.T) {
			s := config.Schedule{Cron: test.cron, Timezone: test.zone}
			assert.Equal(t, test.want, s.ZoneWarnings(from, until))
		})
	}

	t.Run("Should look only between from and until", func(t *testing.T) {
		s := config.Schedule{Cron: "30 1,2 * * *", Timezone: "America/New_York"}
		change := time.Date(2027, 3, 14, 7, 0, 0, 0, time.UTC)
		assert.Empty(t, s.ZoneWarnings(from, change))
		assert.Len(t, s.ZoneWarnings(from, change.Add(time.Second)), 1)
		assert.Len(t, s.ZoneWarnings(change.Add(-time.Second), until), 2)
		assert.Len(t, s.ZoneWarnings(change, until), 1)
		assert.Len(t, s.ZoneWarnings(from, until.AddDate(1, 0, 0)), 4)
		assert.Empty(t, s.ZoneWarnings(until, from))
	})
	t.Run("Should look only between start_at and end_at", func(t *testing.T) {
		june, july := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)
		s := config.Schedule{Cron: "30 1,2 * * *", Timezone: "America/New_York", StartAt: &june}
		assert.Equal(t, []string{"the run of 2027-11-07 01:30 (America/New_York) " + twice}, s.ZoneWarnings(from, until))
		s = config.Schedule{Cron: "30 1,2 * * *", Timezone: "America/New_York", EndAt: &july}
		assert.Equal(t, []string{"the run of 2027-03-14 02:30 (America/New_York) " + skipped}, s.ZoneWarnings(from, until))
		s.StartAt = &june
		assert.Empty(t, s.ZoneWarnings(from, until))
	})
}
