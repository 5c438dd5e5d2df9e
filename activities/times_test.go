package activities_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/config"
)

// maxMatching is below the 1,000 times at which the server cuts an answer.
const maxMatching = 900

// createPaused makes a paused schedule with the spec that we would send.
func (f *fixture) createPaused(t testing.TB, id string, spec *schedulepb.ScheduleSpec) error {
	d := translate(t, "a", daily(id))
	schedule := d.Schedule()
	schedule.Spec, schedule.State = spec, &schedulepb.ScheduleState{Paused: true}
	_, err := f.client.WorkflowService().CreateSchedule(t.Context(), &workflowservice.CreateScheduleRequest{
		Namespace: f.namespace, ScheduleId: d.ScheduleID, Schedule: schedule, RequestId: id,
	})
	return err
}

// matching are the times that Temporal names in a window, as Unix seconds.
func (f *fixture) matching(t testing.TB, id string, from, until time.Time) ([]int64, error) {
	response, err := f.client.WorkflowService().ListScheduleMatchingTimes(t.Context(), &workflowservice.ListScheduleMatchingTimesRequest{
		Namespace: f.namespace, ScheduleId: config.DefaultScheduleID("a", id),
		StartTime: timestamppb.New(from), EndTime: timestamppb.New(until),
	})
	var times []int64
	for _, at := range response.GetStartTime() {
		times = append(times, at.AsTime().Unix())
	}
	return times, err
}

// nextRuns are the times that Timing.Next names in a window.
func nextRuns(timing config.Timing, from, until time.Time) []int64 {
	var times []int64
	for at := timing.Next(from); !at.IsZero() && !at.After(until); at = timing.Next(at) {
		times = append(times, at.Unix())
	}
	return times
}

// wallRuns is the meaning of cron written down naively, as a judge of the other two: every real minute
// whose local clock time matches. Local time is looked up once for each quarter of an hour: no zone
// changes within one.
func wallRuns(timing config.Timing, from, until time.Time) []int64 {
	c := timing.Calendar
	has := func(set uint64, v int) bool { return set>>v&1 == 1 }
	var times []int64
	for at := from.Truncate(15 * time.Minute); !at.After(until); at = at.Add(15 * time.Minute) {
		local := at.In(timing.Location)
		dom, dow := has(c.Dom, local.Day()), has(c.Dow, int(local.Weekday()))
		day := dom && dow
		if !has(c.Dom, 63) && !has(c.Dow, 63) {
			day = dom || dow
		}
		if !day || !has(c.Month, int(local.Month())) || !has(c.Hour, local.Hour()) {
			continue
		}
		for m := range 15 {
			run := at.Add(time.Duration(m) * time.Minute)
			if has(c.Minute, local.Minute()+m) && run.After(from) && !run.After(until) {
				times = append(times, run.Unix())
			}
		}
	}
	return times
}

// zoneChange is an instant at which a zone's clocks change.
type zoneChange struct {
	at   time.Time
	by   time.Duration
	wall time.Time // the clock's last reading before it, as if of UTC
}

func zoneChanges(zone *time.Location, from, until time.Time) []zoneChange {
	var changes []zoneChange
	for at := from.In(zone); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.After(until) {
			return changes
		}
		_, before := end.Add(-time.Second).Zone()
		_, after := end.Zone()
		if before != after {
			changes = append(changes, zoneChange{
				at: end, by: time.Duration(after-before) * time.Second, wall: end.UTC().Add(time.Duration(before) * time.Second),
			})
		}
		at = end
	}
}

// difference is one instant that only one of two lists has.
func difference(a, b []int64) []int64 {
	var only []int64
	for _, pair := range [][2][]int64{{a, b}, {b, a}} {
		for _, at := range pair[0] {
			if _, found := slices.BinarySearch(pair[1], at); !found {
				only = append(only, at)
			}
		}
	}
	slices.Sort(only)
	return only
}

// randomCron is an expression of the kinds that people write, and of some that they do not.
func randomCron(r *rand.Rand) string {
	field := func(low, high int, stars float64) string {
		if r.Float64() < stars {
			return "*"
		}
		value := func() int { return low + r.IntN(high-low+1) }
		switch r.IntN(5) {
		case 0:
			return strconv.Itoa(value())
		case 1:
			a, b := value(), value()
			return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		case 2:
			return "*/" + strconv.Itoa(1+r.IntN((high-low+1)/2))
		case 3:
			a, b := value(), value()
			return fmt.Sprintf("%d-%d/%d", min(a, b), max(a, b), 1+r.IntN(5))
		default:
			values := make([]string, 2+r.IntN(4))
			for i := range values {
				values[i] = strconv.Itoa(value())
			}
			return strings.Join(values, ",")
		}
	}
	return strings.Join([]string{
		field(0, 59, 0.05), field(0, 23, 0.4), field(1, 31, 0.6), field(1, 12, 0.85), field(0, 6, 0.6),
	}, " ")
}

var propertyZones = []string{
	"UTC", "America/New_York", "America/St_Johns", "America/Havana", "America/Santiago", "Europe/London", "Europe/Dublin",
	"Europe/Berlin", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo",
	"Australia/Lord_Howe", "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham",
}

// TestTimesProperty compares what Temporal runs with robfig/cron and with wallRuns. Where the three
// differ, it says who errs; everything that is not known to err fails.
func TestTimesProperty(t *testing.T) {
	t.Parallel()
	const expressions = 360
	// reach is how far from a change of the clocks an error may lie.
	const reach = 25 * time.Hour
	f := newFixture(t)
	random := rand.New(rand.NewPCG(2027, 1))
	first, last := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

	type window struct {
		from, until time.Time
	}
	type sample struct {
		id, cron, zone string
		timing         config.Timing
		windows        []window
	}
	var samples []sample
	for i := range expressions {
		s := sample{id: fmt.Sprintf("w%d", i), cron: randomCron(random), zone: propertyZones[i%len(propertyZones)]}
		var err error
		s.timing, err = config.ParseCron(s.cron, s.zone)
		require.NoError(t, err, s.cron)
		at := func(day time.Time, days int) window {
			from := day.Add(-time.Duration(days)*12*time.Hour + 30*time.Second)
			w := window{from, from.Add(time.Duration(days) * 24 * time.Hour)}
			if runs := wallRuns(s.timing, w.from, w.until); len(runs) > maxMatching {
				w.until = time.Unix(runs[maxMatching], 0).UTC().Add(30 * time.Second)
			}
			return w
		}
		if changes := zoneChanges(s.timing.Location, first, last); len(changes) > 0 {
			s.windows = append(s.windows, at(changes[random.IntN(len(changes))].at, 2), at(changes[random.IntN(len(changes))].at, 6))
		}
		day := first.Add(time.Duration(random.IntN(int(last.Sub(first)/time.Minute))) * time.Minute)
		s.windows = append(s.windows, at(day, 40))
		samples = append(samples, s)
	}

	var mu sync.Mutex
	var robfigErrs, temporalErrs []string
	compared, runs, quiet, silent := 0, 0, 0, 0
	check := func(s sample, w window, temporal []int64) {
		wall, robfig := wallRuns(s.timing, w.from, w.until), nextRuns(s.timing, w.from, w.until)
		changes := zoneChanges(s.timing.Location, w.from.Add(-reach), w.until.Add(reach))
		mu.Lock()
		defer mu.Unlock()
		compared++
		runs += len(wall)
		if len(wall) == 0 {
			silent++
		}
		if len(changes) == 0 {
			quiet++
			assert.Equal(t, robfig, temporal, "%s in %s from %s until %s", s.cron, s.zone, w.from, w.until)
			assert.Equal(t, wall, temporal, "%s in %s from %s until %s", s.cron, s.zone, w.from, w.until)
			return
		}
		tell := func(errs *[]string, got []int64, known func(c zoneChange, after time.Duration) bool, who string) {
			byChange := map[zoneChange][2]int{}
			for _, at := range difference(got, wall) {
				i := slices.IndexFunc(changes, func(c zoneChange) bool { return c.at.Sub(time.Unix(at, 0)).Abs() <= reach })
				if !assert.GreaterOrEqual(t, i, 0, "%s in %s: %s errs at %s, far from any change of the clocks",
					s.cron, s.zone, who, time.Unix(at, 0).UTC()) {
					return
				}
				counts := byChange[changes[i]]
				if slices.Contains(got, at) {
					counts[0]++
				} else {
					counts[1]++
				}
				byChange[changes[i]] = counts
				assert.True(t, known(changes[i], time.Unix(at, 0).Sub(changes[i].at)),
					"%s errs in a way that is not known: %s in %s at %s; the clocks change by %s at %s",
					who, s.cron, s.zone, time.Unix(at, 0).UTC(), changes[i].by, changes[i].wall)
			}
			for change, counts := range byChange {
				text := fmt.Sprintf("%-28s %-20s %3d too many, %3d missing where the clocks change by %s at %s", s.cron, s.zone,
					counts[0], counts[1], change.by, change.wall.Format("2006-01-02 15:04"))
				*errs = append(*errs, text)
			}
		}
		tell(&robfigErrs, robfig, func(c zoneChange, _ time.Duration) bool {
			// It assumes that clocks change by a whole hour, at a whole hour, and not at midnight.
			return c.by.Abs() < time.Hour || c.wall.Minute() != 0 || c.wall.Hour() == 0
		}, "robfig")
		tell(&temporalErrs, temporal, func(c zoneChange, after time.Duration) bool {
			// It misses or adds runs in the hours around a fold, moves them where clocks
			// go forward by less than an hour, and takes a day without a midnight for
			// the day before when it looks for the day of the week.
			noMidnight := c.by > 0 && c.wall.Hour() == 0
			return c.by < time.Hour && after.Abs() <= 3*time.Hour || noMidnight && after >= 0 && s.timing.Calendar.Dow&(1<<63) == 0
		}, "Temporal")
	}
	var group errgroup.Group
	group.SetLimit(8)
	for _, s := range samples {
		group.Go(func() error {
			if err := f.createPaused(t, s.id, translate(t, "a", daily(s.id, cron(s.cron, s.zone))).Schedule().GetSpec()); err != nil {
				return fmt.Errorf("create %s: %w", s.cron, err)
			}
			for _, w := range s.windows {
				temporal, err := f.matching(t, s.id, w.from, w.until)
				if err != nil {
					return fmt.Errorf("ask for %s: %w", s.cron, err)
				}
				check(s, w, temporal)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	slices.Sort(robfigErrs)
	slices.Sort(temporalErrs)
	t.Logf("%d windows of %d expressions, %d of them without a change of the clocks, %d without a run; %d runs",
		compared, expressions, quiet, silent, runs)
	t.Logf("robfig errs in %d windows:\n%s", len(robfigErrs), strings.Join(robfigErrs, "\n"))
	t.Logf("Temporal errs in %d windows:\n%s", len(temporalErrs), strings.Join(temporalErrs, "\n"))
	assert.Greater(t, quiet, 100, "the test compares windows without a change of the clocks")
	assert.Greater(t, compared-quiet, 300, "the test compares windows with a change of the clocks")
	assert.Less(t, silent, compared/2, "the windows hold runs")
	assert.LessOrEqual(t, len(robfigErrs), 30, "robfig errs in more windows than it did")
	assert.LessOrEqual(t, len(temporalErrs), 60, "Temporal errs in more windows than it did")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	create := func(t *testing.T, id, expression, zone string) config.Timing {
		t.Helper()
		timing, err := config.ParseCron(expression, zone)
		require.NoError(t, err)
		spec := translate(t, "a", daily(id, cron(expression, zone))).Schedule().GetSpec()
		require.NoError(t, f.createPaused(t, id, spec))
		return timing
	}
	t.Run("Should run 0 0 13 * 5 on every 13th and every Friday", func(t *testing.T) {
		create(t, "friday", "0 0 13 * 5", "")
		got, err := f.matching(t, "friday", time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2027, 12, 31, 23, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		var want []int64
		for day := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == 2027; day = day.AddDate(0, 0, 1) {
			if day.Day() == 13 || day.Weekday() == time.Friday {
				want = append(want, day.Unix())
			}
		}
		assert.Len(t, want, 53+12-1, "2027 has 53 Fridays, and one Friday the 13th, in August")
		assert.Equal(t, want, got)
	})
	t.Run("Should align @every to the epoch, as Timing.Next says", func(t *testing.T) {
		for i, d := range []string{"1s", "7s", "90s", "5m", "7m", "11h", "24h", "100h"} {
			id := fmt.Sprintf("every%d", i)
			timing := create(t, id, "@every "+d, "America/New_York")
			for _, from := range []time.Time{
				time.Date(2027, 3, 14, 6, 0, 0, 500_000_000, time.UTC), // over a change of the clocks
				time.Date(2027, 6, 1, 1, 2, 3, 0, time.UTC),
			} {
				until := from.Add(20*timing.Every + timing.Every/2)
				got, err := f.matching(t, id, from, until)
				require.NoError(t, err)
				assert.Equal(t, nextRuns(timing, from, until), got, "@every %s from %s", d, from)
				for _, at := range got {
					assert.Zero(t, at%int64(timing.Every/time.Second))
				}
			}
		}
	})
	t.Run("Should run only between start_at and end_at", func(t *testing.T) {
		startAt, endAt := time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC), time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
		spec := translate(t, "a", daily("bounded", func(w *config.Workflow) {
			w.Schedule.StartAt, w.Schedule.EndAt = &startAt, &endAt
		})).Schedule().GetSpec()
		require.NoError(t, f.createPaused(t, "bounded", spec))
		got, err := f.matching(t, "bounded", startAt.AddDate(0, 0, -5), endAt.AddDate(0, 0, 5))
		require.NoError(t, err)
		assert.Equal(t, []int64{startAt.Unix(), startAt.AddDate(0, 0, 1).Unix(), endAt.Unix()}, got, "both bounds are in")
	})
	t.Run("Should run a cron too long for a comment at all its times", func(t *testing.T) {
		timing := create(t, "long", longCron(), "")
		from := time.Date(2027, 1, 1, 0, 0, 30, 0, time.UTC)
		until := from.Add(48 * time.Hour)
		got, err := f.matching(t, "long", from, until)
		require.NoError(t, err)
		assert.NotEmpty(t, got)
		assert.Equal(t, nextRuns(timing, from, until), got)
	})
}

func TestDayWithoutMidnight(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// In Santiago 2027-09-05, a Sunday, begins at 01:00.
	from, until := time.Date(2027, 9, 5, 3, 0, 0, 0, time.UTC), time.Date(2027, 9, 6, 2, 59, 0, 0, time.UTC)
	tests := []struct {
		name, cron string
		runs       int
		warning    string
	}{
		{"a Sunday schedule misses it", "0 9 * * 0", 0, "the runs of Sunday 2027-09-05 (America/Santiago) are skipped"},
		{"an hourly Sunday schedule misses it", "0 * * * 0", 0, "the runs of Sunday 2027-09-05 (America/Santiago) are skipped"},
		{"a Saturday schedule runs on it", "0 9 * * 6", 1, "the runs of a Saturday happen on Sunday 2027-09-05 (America/Santiago) too"},
		{"a weekend schedule runs on it", "0 9 * * 0,6", 1, ""},
		{"a weekday schedule does not", "0 9 * * 1-5", 0, ""},
		{"a daily schedule runs on it", "0 9 * * *", 1, ""},
	}
	for i, test := range tests {
		t.Run("Should warn: "+test.name, func(t *testing.T) {
			id := fmt.Sprintf("w%d", i)
			w := daily(id, cron(test.cron, "America/Santiago"))
			require.NoError(t, f.createPaused(t, id, translate(t, "a", w).Schedule().GetSpec()))
			runs, err := f.matching(t, id, from, until)
			require.NoError(t, err)
			assert.Len(t, runs, test.runs)
			warnings := strings.Join(w.Schedule.ZoneWarnings(from.AddDate(0, 0, -1), until), "\n")
			if test.warning == "" {
				assert.Empty(t, warnings)
			} else {
				assert.Contains(t, warnings, test.warning)
			}
		})
	}
}

// TestZoneWarnings checks the warnings of config against what Temporal does.
func TestZoneWarnings(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, last := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, zone := range propertyZones {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for i, change := range zoneChanges(location, first, last) {
			// A daily time in the middle of what the clocks skip or repeat.
			wall := change.wall.Add(change.by / 2).Truncate(time.Minute)
			t.Run(fmt.Sprintf("Should tell what happens to the run of %s in %s", wall.Format("2006-01-02 15:04"), zone), func(t *testing.T) {
				id := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(zone)) + strconv.Itoa(i)
				w := daily(id, cron(fmt.Sprintf("%d %d * * *", wall.Minute(), wall.Hour()), zone))
				require.NoError(t, f.createPaused(t, id, translate(t, "a", w).Schedule().GetSpec()))
				from, until := change.at.Add(-12*time.Hour), change.at.Add(12*time.Hour)
				runs, err := f.matching(t, id, from, until)
				require.NoError(t, err)
				warnings := w.Schedule.ZoneWarnings(from, until)
				require.Len(t, warnings, 1)
				if change.by > 0 && change.by < time.Hour {
					assert.Contains(t, warnings[0], "is skipped or moved")
					assert.Len(t, runs, 1, "half an hour later on the clock")
					return
				}
				if change.by > 0 {
					assert.Contains(t, warnings[0], "is skipped:")
					assert.Empty(t, runs)
					return
				}
				assert.Contains(t, warnings[0], "may happen twice")
				// Temporal does it in zones west of Greenwich; elsewhere it takes the second of the two.
				_, offset := change.at.Zone()
				assert.Len(t, runs, map[bool]int{true: 2, false: 1}[offset < 0])
			})
		}
	}
}
