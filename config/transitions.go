package config

import (
	"fmt"
	"time"
)

// ZoneWarnings says where a schedule's local times meet a change of its zone's clocks between from and
// until: in the gap of a spring night a run is skipped, in the fold of an autumn night it may happen
// twice (docs/schedules.md, "Time zones"). Schedules that run in every hour are left out of that: one run
// more or less is what their readers expect.
func (s *Schedule) ZoneWarnings(from, until time.Time) []string {
	timing, err := ParseCron(s.Cron, s.Timezone)
	if err != nil || timing.Calendar == nil {
		return nil
	}
	if s.StartAt != nil && s.StartAt.After(from) {
		from = *s.StartAt
	}
	if s.EndAt != nil && s.EndAt.Before(until) {
		until = *s.EndAt
	}
	var warnings []string
	for _, change := range transitions(timing.Location, from, until) {
		warning := timing.dayWarning(change)
		if warning == "" && timing.Calendar.Hour&^starBit != everyHour {
			warning = timing.timeWarning(change)
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings
}

// timeWarning is about the first run, if any, in what the clocks skip or repeat.
func (t Timing) timeWarning(change transition) string {
	first, last := change.wallTimes()
	for wall := first; wall.Before(last); wall = wall.Add(time.Minute) {
		if t.runsAt(wall) {
			return fmt.Sprintf("the run of %s (%s) %s", wall.Format("2006-01-02 15:04"), t.Zone, change.effect())
		}
	}
	return ""
}

// dayWarning is about a day that begins later than at midnight. West of Greenwich, Temporal takes it for
// the day before where it looks for a day of the week.
func (t Timing) dayWarning(change transition) string {
	day, _ := change.wallTimes()
	if change.fold() || day.Hour() != 0 || day.Minute() != 0 || t.Calendar.Dow&starBit != 0 {
		return ""
	}
	taken := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, t.Location).Weekday()
	due, runs := t.runsOn(day, day.Weekday()), t.runsOn(day, taken)
	where := fmt.Sprintf("%s (%s)", day.Format("Monday 2006-01-02"), t.Zone)
	switch {
	case due && !runs:
		return fmt.Sprintf("the runs of %s are skipped: that day has no midnight", where)
	case runs && !due:
		return fmt.Sprintf("the runs of a %s happen on %s too: that day has no midnight", taken, where)
	}
	return ""
}

// transition is an instant at which a zone's offset changes, by before and after in seconds.
type transition struct {
	at            time.Time
	before, after int
}

func (t transition) fold() bool { return t.after < t.before }

// effect is what the change does to a daily run within it. Temporal decides: of a fold's two times it takes
// both in some zones and the second in others.
func (t transition) effect() string {
	const hour = 60 * 60
	switch {
	case t.fold():
		return "may happen twice: the clocks go back over it"
	case t.after-t.before < hour:
		return "is skipped or moved: the clocks go forward over it"
	default:
		return "is skipped: the clocks go forward over it"
	}
}

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
	return t.runsOn(wall, wall.Weekday()) && hasBit(s.Minute, wall.Minute()) && hasBit(s.Hour, wall.Hour())
}

// runsOn reports whether the calendar names this day, taken for that day of the week.
func (t Timing) runsOn(day time.Time, weekday time.Weekday) bool {
	s := t.Calendar
	dom, dow := hasBit(s.Dom, day.Day()), hasBit(s.Dow, int(weekday))
	either := s.Dom&starBit == 0 && s.Dow&starBit == 0
	return hasBit(s.Month, int(day.Month())) && (dom && dow || either && (dom || dow))
}

func hasBit(set uint64, value int) bool { return set&(1<<value) != 0 }
