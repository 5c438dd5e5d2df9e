package activities_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	robfig "github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// FuzzTranslate looks for a cron and a zone that make Translate panic, or become calendars with other times than
// robfig/cron's. The zones in which times are compared do not change their clocks: what happens there is Temporal's
// own affair (docs/temporal.md, "Clock changes").
func FuzzTranslate(f *testing.F) {
	for _, expression := range []string{
		"0 9 * * 1-5", "*/15 * * * *", "0 0 13 * 5", "30 4 1,15 * mon", "0 0 29 2 *", "@daily", "@every 90s", "@every 1h30m",
		"TZ=America/New_York 0 2 * * *", "CRON_TZ=UTC @hourly", "0 0 31 2,4,6,9,11 *", "1-59/2,7 0-23/3 ? jan-DEC/5 SUN,2-4", "*/61 0 * * *",
		"0 0 */2 * */2", "0 12 */40 * 0-6", "TZ= 0 0 * * *", "CRON_TZ=Asia/Kolkata", "0 0 ?/2 * 1",
	} {
		f.Add(expression, "Europe/Berlin", int64(1_800_000_000), int8(0))
		f.Add(expression, "", int64(951_782_400), int8(-9))
	}
	f.Fuzz(func(t *testing.T, expression, zone string, from int64, offset int8) {
		timing, err := config.ParseCron(expression, zone)
		d, translateErr := activities.Translate("p", daily("w", cron(expression, zone)))
		require.Equal(t, err == nil, translateErr == nil, "%v, %v", err, translateErr)
		if theirs, plain := parsedByRobfig(expression); plain {
			if _, zoneErr := config.LoadZone(zone); zoneErr == nil {
				require.NoError(t, err, "robfig/cron accepts it")
				theirs.Location = timing.Location
				require.Equal(t, theirs, timing.Calendar)
			}
		}
		if err != nil {
			return
		}
		spec := d.Schedule().GetSpec()
		require.Equal(t, timing.Location.String(), spec.GetTimezoneName())
		requireTextBack(t, spec)
		// The same fields in a zone without clock changes, in years that people plan for.
		fixed := time.FixedZone("", int(offset)%15*3600)
		start := time.Unix(((from%2e9)+2e9)%2e9+946_684_800, 0).In(fixed)
		if timing.Calendar == nil {
			timing.Location = fixed
			requireInterval(t, timing, spec, start)
			return
		}
		timing.Calendar.Location = fixed
		var want []time.Time
		for at := timing.Calendar.Next(start); !at.IsZero() && len(want) < runsCompared; at = timing.Calendar.Next(at) {
			want = append(want, at)
		}
		require.Equal(t, times(want), times(calendarRuns(spec, start)), "after %s", start)
	})
}

// FuzzCronText looks for calendars whose cron text says other times than they do. It comes as bytes: three a
// range, seven ranges a calendar.
func FuzzCronText(f *testing.F) {
	every := []byte{0, 0, 1, 0, 0, 1, 9, 9, 1, 1, 31, 1, 1, 12, 1, 0, 6, 1}
	f.Add(every, int64(1_800_000_000))
	f.Add(slices.Concat(every, every), int64(0))
	f.Add([]byte{0, 0, 1, 0, 59, 15, 0, 23, 6, 1, 31, 2, 1, 12, 3, 1, 5, 1}, int64(0))
	f.Add([]byte{0, 0, 1, 0, 0, 0, 9, 0, 0, 13, 13, 1, 1, 12, 1, 0, 6, 1, 0, 0, 1, 0, 0, 1, 9, 9, 1, 1, 31, 1, 1, 12, 1, 5, 5, 1}, int64(0))
	f.Add([]byte{5, 200, 0, 70, 60, 255, 9}, int64(0))
	f.Fuzz(func(t *testing.T, raw []byte, from int64) {
		spec := &schedulepb.ScheduleSpec{}
		for part := range slices.Chunk(raw, 18) {
			ranges := make([][]*schedulepb.Range, 6)
			for i, one := range slices.Collect(slices.Chunk(part, 3)) {
				one = append(slices.Clone(one), 0, 0)
				ranges[i] = append(ranges[i], &schedulepb.Range{
					Start: int32(one[0] & 0x7f), End: int32(one[1] & 0x7f), Step: int32(one[2] & 0x7f), // no server has negative ones
				})
			}
			spec.StructuredCalendar = append(spec.StructuredCalendar, &schedulepb.StructuredCalendarSpec{
				Second: ranges[0], Minute: ranges[1], Hour: ranges[2], DayOfMonth: ranges[3], Month: ranges[4], DayOfWeek: ranges[5],
			})
		}
		text, ok := activities.CronText(spec)
		require.Equal(t, ok, text != "")
		if !ok {
			return
		}
		d, err := activities.Translate("p", daily("w", cron(text, "")))
		require.NoError(t, err, text)
		start := time.Unix(((from%2e9)+2e9)%2e9+946_684_800, 0).UTC()
		require.Equal(t, times(calendarRuns(spec, start)), times(calendarRuns(d.Schedule().GetSpec(), start)), "%s after %s", text, start)
		requireTextBack(t, d.Schedule().GetSpec())
	})
}

// parsedByRobfig is what robfig/cron's standard parser makes of fields or a descriptor that names no zone; false
// where it refuses them.
func parsedByRobfig(expression string) (*robfig.SpecSchedule, bool) {
	var zoned bool
	for _, prefix := range []string{"TZ=", "CRON_TZ="} {
		zoned = zoned || len(expression) >= len(prefix) && expression[:len(prefix)] == prefix
	}
	if zoned {
		return nil, false // it panics over some, and ours takes the zone off before
	}
	schedule, err := robfig.ParseStandard(expression)
	spec, plain := schedule.(*robfig.SpecSchedule)
	return spec, err == nil && plain
}

// requireTextBack sees that the spec's text is a cron that becomes the same spec.
func requireTextBack(t *testing.T, spec *schedulepb.ScheduleSpec) {
	t.Helper()
	text, ok := activities.CronText(spec)
	if !ok {
		// robfig/cron takes a field such as "," for one that never matches, which no text of ours says.
		require.True(t, slices.ContainsFunc(spec.GetStructuredCalendar(), matchesNothing), "%s", spec)
		return
	}
	d, err := activities.Translate("p", daily("w", cron(text, "")))
	require.NoError(t, err, text)
	again, ok := activities.CronText(d.Schedule().GetSpec())
	require.True(t, ok, text)
	require.Equal(t, text, again)
	if len(spec.GetInterval()) > 0 {
		require.True(t, proto.Equal(spec.GetInterval()[0], d.Schedule().GetSpec().GetInterval()[0]), text)
		return
	}
	for _, year := range []int{2027, 2031} { // the first is before a leap year, the second before another weekday's
		start := time.Date(year, 12, 28, 23, 58, 0, 0, time.UTC)
		require.Equal(t, times(calendarRuns(spec, start)), times(calendarRuns(d.Schedule().GetSpec(), start)), "%s after %s", text, start)
	}
}

func matchesNothing(c *schedulepb.StructuredCalendarSpec) bool {
	return min(len(c.GetMinute()), len(c.GetHour()), len(c.GetDayOfMonth()), len(c.GetMonth()), len(c.GetDayOfWeek())) == 0
}

// requireInterval sees that Next counts as Temporal does, from the epoch.
func requireInterval(t *testing.T, timing config.Timing, spec *schedulepb.ScheduleSpec, start time.Time) {
	t.Helper()
	require.Empty(t, spec.GetStructuredCalendar())
	require.Len(t, spec.GetInterval(), 1)
	every, phase := spec.GetInterval()[0].GetInterval().AsDuration(), spec.GetInterval()[0].GetPhase().AsDuration()
	require.Equal(t, timing.Every, every)
	require.Zero(t, phase)
	step := int64(every / time.Second)
	require.Equal(t, (start.Unix()/step+1)*step, timing.Next(start).Unix())
}

// runsCompared is how many runs are compared. They are looked for as long as robfig/cron does: until the end of the
// fifth year after.
const (
	runsCompared  = 4
	yearsLookedAt = 5
)

// calendarRuns is the meaning of Temporal's calendars written down naively: the first times after start at which
// every field of one of them matches.
func calendarRuns(spec *schedulepb.ScheduleSpec, start time.Time) (runs []time.Time) {
	calendars := make([]naiveCalendar, len(spec.GetStructuredCalendar()))
	for i, c := range spec.GetStructuredCalendar() {
		calendars[i] = newNaiveCalendar(c)
	}
	year, month, day := start.Date()
	last := start.Add(time.Second).Year() + yearsLookedAt
	for ; len(runs) < runsCompared; day++ {
		date := time.Date(year, month, day, 0, 0, 0, 0, start.Location())
		if date.Year() > last {
			return runs
		}
		due := map[time.Time]bool{}
		for _, c := range calendars {
			if c.month[date.Month()] && c.dom[date.Day()] && c.dow[date.Weekday()] {
				for _, second := range c.seconds {
					if at := date.Add(time.Duration(second) * time.Second); at.After(start) {
						due[at] = true
					}
				}
			}
		}
		if len(due) > 0 {
			last = date.Year() + yearsLookedAt // robfig/cron is asked again from each run
		}
		runs = append(runs, slices.SortedFunc(maps.Keys(due), time.Time.Compare)...)
	}
	return runs[:runsCompared]
}

// naiveCalendar says which days match, and the seconds of such a day.
type naiveCalendar struct {
	month   [13]bool
	dom     [32]bool
	dow     [7]bool
	seconds []int
}

func newNaiveCalendar(spec *schedulepb.StructuredCalendarSpec) (c naiveCalendar) {
	for value := range 60 {
		if value < len(c.month) {
			c.month[value] = has(spec.GetMonth(), value)
		}
		if value < len(c.dom) {
			c.dom[value] = has(spec.GetDayOfMonth(), value)
		}
		if value < len(c.dow) {
			c.dow[value] = has(spec.GetDayOfWeek(), value)
		}
	}
	for minute := range 24 * 60 {
		if !has(spec.GetHour(), minute/60) || !has(spec.GetMinute(), minute%60) {
			continue
		}
		for second := range 60 {
			if has(spec.GetSecond(), second) {
				c.seconds = append(c.seconds, minute*60+second)
			}
		}
	}
	return c
}

// has reports whether a value is in one of the ranges: an end before the start is the start, no step is one.
func has(ranges []*schedulepb.Range, value int) bool {
	for _, r := range ranges {
		start, end, step := int(r.GetStart()), int(max(r.GetStart(), r.GetEnd())), int(max(1, r.GetStep()))
		if value >= start && value <= end && (value-start)%step == 0 {
			return true
		}
	}
	return false
}

// times are readable and comparable.
func times(runs []time.Time) []string {
	texts := make([]string, len(runs))
	for i, at := range runs {
		texts[i] = fmt.Sprint(at.Unix(), " ", at.Format(time.RFC3339))
	}
	return texts
}
