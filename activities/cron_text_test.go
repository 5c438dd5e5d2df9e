package activities_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// specOf is the spec that a cron becomes.
func specOf(t testing.TB, expression string) *schedulepb.ScheduleSpec {
	t.Helper()
	w := config.Workflow{ID: "w", Schedule: &config.Schedule{Cron: expression}}
	desired, err := activities.Translate("p", w)
	require.NoError(t, err)
	return desired.Schedule().GetSpec()
}

func oneOf(values ...int32) []*schedulepb.Range {
	var ranges []*schedulepb.Range
	for _, v := range values {
		ranges = append(ranges, &schedulepb.Range{Start: v, End: v, Step: 1})
	}
	return ranges
}

func span(start, end, step int32) []*schedulepb.Range {
	return []*schedulepb.Range{{Start: start, End: end, Step: step}}
}

// calendar is one of every day at nine, changed.
func calendar(changes ...func(*schedulepb.StructuredCalendarSpec)) *schedulepb.StructuredCalendarSpec {
	c := &schedulepb.StructuredCalendarSpec{
		Second: oneOf(0), Minute: oneOf(0), Hour: oneOf(9), DayOfMonth: span(1, 31, 1), Month: span(1, 12, 1), DayOfWeek: span(0, 6, 1),
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func spec(calendars ...*schedulepb.StructuredCalendarSpec) *schedulepb.ScheduleSpec {
	return &schedulepb.ScheduleSpec{StructuredCalendar: calendars}
}

func interval(every, phase time.Duration) *schedulepb.ScheduleSpec {
	return &schedulepb.ScheduleSpec{Interval: []*schedulepb.IntervalSpec{{Interval: durationpb.New(every), Phase: durationpb.New(phase)}}}
}

func TestExportCronText(t *testing.T) {
	t.Run("Should write a cron in its shortest form", func(t *testing.T) {
		for written, want := range map[string]string{
			"0 9 * * 1-5":               "0 9 * * 1-5",
			"0 9 * * MON,TUE,3,thu,FRI": "0 9 * * 1-5",
			"*/15 * * * *":              "*/15 * * * *",
			"0-59/15 * * * *":           "*/15 * * * *",
			"0,15,30,45 0-23 * * *":     "*/15 * * * *",
			"5-59/10 * * * *":           "5-55/10 * * * *",
			"0,30 * * * *":              "0,30 * * * *",
			"1,2 3-5,9 * * *":           "1,2 3-5,9 * * *",
			"30 8 1,15 * *":             "30 8 1,15 * *",
			"0 0 13 * 5":                "0 0 13 * 5",
			"0 0 */2 * 1":               "0 0 */2 * 1",
			"0 0 1-31 * 5":              "0 0 * * *", // every day of the month, or Fridays
			"0 0 1 */3 *":               "0 0 1 */3 *",
			"@daily":                    "0 0 * * *",
			"@yearly":                   "0 0 1 1 *",
			"@every 90s":                "@every 90s",
			"@every 90m":                "@every 90m",
			"@every 1h0m0s":             "@every 1h",
			"@every 3661s":              "@every 1h1m1s",
			"@every 240h":               "@every 240h",
		} {
			text, ok := activities.CronText(specOf(t, written))
			assert.True(t, ok, written)
			assert.Equal(t, want, text, written)
		}
	})
	t.Run("Should join calendars that a single cron says", func(t *testing.T) {
		at := func(hour int32) func(*schedulepb.StructuredCalendarSpec) {
			return func(c *schedulepb.StructuredCalendarSpec) { c.Hour = oneOf(hour) }
		}
		day := func(day int32) func(*schedulepb.StructuredCalendarSpec) {
			return func(c *schedulepb.StructuredCalendarSpec) { c.DayOfMonth = oneOf(day) }
		}
		friday := func(c *schedulepb.StructuredCalendarSpec) { c.DayOfWeek = oneOf(5) }
		for want, s := range map[string]*schedulepb.ScheduleSpec{
			"0 9,17 * * *": spec(calendar(at(17)), calendar(at(9))),
			"0 9 1,15 * 5": spec(calendar(day(15)), calendar(friday), calendar(day(1))),
			"0 9 * * *":    spec(calendar(day(15)), calendar()),
			"0 9,17 1,15 * *": spec(calendar(at(9), day(1)), calendar(at(17), day(15)), calendar(at(9), day(15)),
				calendar(at(17), day(1))),
		} {
			text, ok := activities.CronText(s)
			assert.True(t, ok, want)
			assert.Equal(t, want, text)
		}
	})
	t.Run("Should read ranges as the server does", func(t *testing.T) {
		text, ok := activities.CronText(spec(calendar(func(c *schedulepb.StructuredCalendarSpec) {
			c.Second, c.Minute, c.Hour = []*schedulepb.Range{{}}, span(0, 59, 20), []*schedulepb.Range{{Start: 9}, {Start: 9, End: 10}}
		})))
		assert.True(t, ok)
		assert.Equal(t, "*/20 9,10 * * *", text)
	})
	t.Run("Should refuse what no cron says", func(t *testing.T) {
		for name, s := range map[string]*schedulepb.ScheduleSpec{
			"seconds":           spec(calendar(func(c *schedulepb.StructuredCalendarSpec) { c.Second = oneOf(30) })),
			"every second, too": spec(calendar(func(c *schedulepb.StructuredCalendarSpec) { c.Second = span(0, 59, 1) })),
			"a year":            spec(calendar(func(c *schedulepb.StructuredCalendarSpec) { c.Year = oneOf(2027) })),
			"Friday the 13th": spec(calendar(func(c *schedulepb.StructuredCalendarSpec) {
				c.DayOfMonth, c.DayOfWeek = oneOf(13), oneOf(5)
			})),
			"9:00 and 17:30": spec(calendar(), calendar(func(c *schedulepb.StructuredCalendarSpec) {
				c.Hour, c.Minute = oneOf(17), oneOf(30)
			})),
			"a calendar without any hour": spec(calendar(func(c *schedulepb.StructuredCalendarSpec) { c.Hour = nil })),
			"an exclusion": {
				StructuredCalendar:        []*schedulepb.StructuredCalendarSpec{calendar()},
				ExcludeStructuredCalendar: []*schedulepb.StructuredCalendarSpec{calendar()},
			},
			"a phase":              interval(time.Hour, time.Minute),
			"parts of a second":    interval(1500*time.Millisecond, 0),
			"no times":             {},
			"uncompiled cron text": {CronString: []string{"0 9 * * *"}},
			"an interval and a calendar": {
				Interval: interval(time.Hour, 0).Interval, StructuredCalendar: []*schedulepb.StructuredCalendarSpec{calendar()},
			},
			"two intervals": {Interval: append(interval(time.Hour, 0).Interval, interval(7*time.Minute, 0).Interval...)},
		} {
			text, ok := activities.CronText(s)
			assert.False(t, ok, name)
			assert.Empty(t, text, name)
		}
	})
	t.Run("Should say the same times as any cron that it is made from", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 20000 {
			written := cronOfEntries(random)
			before := specOf(t, written)
			text, ok := activities.CronText(before)
			require.True(t, ok, written)
			again, ok := activities.CronText(specOf(t, text))
			require.True(t, ok, text)
			require.Equal(t, text, again, written)
			a, err := config.ParseCron(written, "")
			require.NoError(t, err)
			b, err := config.ParseCron(text, "")
			require.NoError(t, err)
			at := time.Date(2027, time.Month(1+random.IntN(12)), 1+random.IntN(28), random.IntN(24), random.IntN(60), 0, 0, time.UTC)
			for range 5 {
				require.Equal(t, a.Next(at), b.Next(at), "%s is not %s", written, text)
				if at = a.Next(at); at.IsZero() {
					break
				}
			}
		}
	})
}

// cronOfEntries is one of five fields, each of up to three entries.
func cronOfEntries(random *rand.Rand) string {
	var fields []string
	for _, bounds := range [][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}} {
		var entries []string
		for range 1 + random.IntN(3) {
			entries = append(entries, randomEntry(random, bounds[0], bounds[1]))
		}
		if random.IntN(3) == 0 {
			entries = []string{"*"}
		}
		fields = append(fields, strings.Join(entries, ","))
	}
	return strings.Join(fields, " ")
}

func randomEntry(random *rand.Rand, low, high int) string {
	start := low + random.IntN(high-low+1)
	end := start + random.IntN(high-start+1)
	switch random.IntN(6) {
	case 0:
		return "*/" + strconv.Itoa(2+random.IntN(high-low))
	case 1:
		return strconv.Itoa(start) + "-" + strconv.Itoa(end) + "/" + strconv.Itoa(1+random.IntN(10))
	case 2:
		return strconv.Itoa(start) + "-" + strconv.Itoa(end)
	default:
		return strconv.Itoa(start)
	}
}
