package config

import (
	"fmt"
	"time"
)

// ZoneWarnings says where a schedule's local times meet a change of its zone's clocks between from and
// until: in the gap of a spring night a run is skipped, in the fold of an autumn night it happens
// twice (docs/schedules.md, "Time zones"). Schedules that run in every hour are left out: one run
// more or less is what their readers expect.
func (s *Schedule) ZoneWarnings(from, until time.Time) []string {
	timing, err := ParseCron(s.Cron, s.Timezone)
	if err != nil || timing.Calendar == nil || timing.Calendar.Hour&^starBit == everyHour {
		return nil
	}
	var warnings []string
	for _, change := range transitions(timing.Location, from, until) {
		first, last := change.wallTimes()
		for wall := first; wall.Before(last); wall = wall.Add(time.Minute) {
			if !timing.runsAt(wall) {
				continue
			}
			what := "is skipped: the clocks go forward over it"
			if change.fold() {
				what = "happens twice: the clocks go back over it"
			}
			warnings = append(warnings, fmt.Sprintf("the run of %s (%s) %s", wall.Format("2006-01-02 15:04"), timing.Zone, what))
			break
		}
	}
	return warnings
}

// transition is an instant at which a zone's offset changes, by before and after in seconds.
type transition struct {
	at            time.Time
	before, after int
}

func (t transition) fold() bool { return t.after < t.before }

// wallTimes are the local times, as if of UTC, from which and up to which clocks skip or repeat.
func (t transition) wallTimes() (first, last time.Time) {
	utc := t.at.UTC()
	first = utc.Add(time.Duration(min(t.before, t.after)) * time.Second)
	last = utc.Add(time.Duration(max(t.before, t.after)) * time.Second)
	return first, last
}

func transitions(zone *time.Location, from, until time.Time) []transition {
	var found []transition
	for at := from.In(zone); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || !end.Before(until) {
			return found
		}
		_, before := end.Add(-time.Second).Zone()
		_, after := end.Zone()
		if before != after {
			found = append(found, transition{at: end, before: before, after: after})
		}
		at = end
	}
}

// runsAt reports whether the calendar names this wall-clock minute.
func (t Timing) runsAt(wall time.Time) bool {
	s := t.Calendar
	bit := func(set uint64, value int) bool { return set&(1<<value) != 0 }
	dom, dow := bit(s.Dom, wall.Day()), bit(s.Dow, int(wall.Weekday()))
	day := dom && dow
	if s.Dom&starBit == 0 && s.Dow&starBit == 0 {
		day = dom || dow
	}
	return day && bit(s.Minute, wall.Minute()) && bit(s.Hour, wall.Hour()) && bit(s.Month, int(wall.Month()))
}
