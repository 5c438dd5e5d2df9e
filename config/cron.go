package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Timing is a parsed `cron` with its zone: robfig/cron's own types, so that what people write means
// here what it means in every cron.
type Timing struct {
	// Calendar is set for five fields and the calendar descriptors (@daily); Every for @every.
	Calendar *cron.SpecSchedule
	Every    time.Duration
	// Zone is the IANA name that applies: CRON_TZ, else `timezone`, else UTC.
	Zone     string
	Location *time.Location
}

// Next returns the first run after t as robfig/cron computes it; the zero time where there is none
// within five years. For @every it counts from the Unix epoch, as Temporal does (docs/temporal.md).
func (t Timing) Next(after time.Time) time.Time {
	if t.Calendar != nil {
		return t.Calendar.Next(after.In(t.Location))
	}
	since := after.Truncate(time.Second).Sub(time.Unix(0, 0))
	return time.Unix(0, 0).Add(since - since%t.Every + t.Every).In(t.Location)
}

// ParseCron reads the `cron` and `timezone` of a schedule. It is the only reader of cron text.
// CRON_TZ together with a timezone is an error: two places for one fact will differ one day.
func ParseCron(expression, timezone string) (Timing, error) {
	expression = strings.TrimSpace(expression)
	if expression == "" {
		return Timing{}, errors.New(`cron is required, for example "0 9 * * 1-5" or "@every 90s"`)
	}
	zone, expression, err := cutZone(expression)
	if err != nil {
		return Timing{}, err
	}
	switch {
	case zone != "" && timezone != "":
		return Timing{}, errors.New("the zone is given twice: keep timezone and remove CRON_TZ= from cron")
	case zone == "":
		zone = timezone
	}
	location, err := LoadZone(zone)
	if err != nil {
		return Timing{}, err
	}
	parsed, err := parseStandard(expression)
	if err != nil {
		return Timing{}, fmt.Errorf("invalid cron expression %q: %w", expression, err)
	}
	timing := Timing{Zone: location.String(), Location: location}
	switch schedule := parsed.(type) {
	case *cron.SpecSchedule:
		schedule.Location = location
		timing.Calendar = schedule
	case cron.ConstantDelaySchedule:
		timing.Every = schedule.Delay
	default:
		return Timing{}, fmt.Errorf("invalid cron expression %q: unsupported form", expression)
	}
	return timing, nil
}

// LoadZone is time.LoadLocation with UTC for the empty name. "Local" is refused: it would mean
// another zone on every machine.
func LoadZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		return nil, errors.New(`invalid timezone "Local": name a zone such as Europe/Berlin`)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("invalid timezone %q: use an IANA name such as Europe/Berlin or UTC", name)
	}
	return location, nil
}

// cutZone takes a leading CRON_TZ= or TZ= off. robfig/cron does it too, but panics where nothing
// follows the zone.
func cutZone(expression string) (zone, rest string, err error) {
	name, after, found := strings.Cut(expression, "=")
	if !found || (name != "CRON_TZ" && name != "TZ") {
		return "", expression, nil
	}
	zone, rest, found = strings.Cut(after, " ")
	if !found || zone == "" || strings.TrimSpace(rest) == "" {
		return "", "", fmt.Errorf("invalid cron expression %q: after %s= write a zone, a space and five fields", expression, name)
	}
	return zone, strings.TrimSpace(rest), nil
}

// parseStandard adds the hints that people who come from other crons need.
func parseStandard(expression string) (cron.Schedule, error) {
	if every, ok := strings.CutPrefix(expression, "@every "); ok {
		if d, err := time.ParseDuration(strings.TrimSpace(every)); err == nil && (d < time.Second || d%time.Second != 0) {
			return nil, errors.New("@every takes whole seconds, at least 1s")
		}
	}
	schedule, err := cron.ParseStandard(expression)
	if err == nil {
		return schedule, nil
	}
	if n := len(strings.Fields(expression)); n == 6 || n == 7 {
		return nil, fmt.Errorf("%d fields; write five (minute hour day-of-month month day-of-week), and @every 10s for seconds", n)
	}
	return nil, err
}
