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
// within five years. For @every it counts from the Unix epoch, as Temporal does (docs/schedules.md).
func (t Timing) Next(after time.Time) time.Time {
	if t.Calendar != nil {
		return t.Calendar.Next(after.In(t.Location))
	}
	epoch := time.Unix(0, 0)
	since := after.Truncate(time.Second).Sub(epoch) % t.Every
	if since < 0 {
		since += t.Every
	}
	return after.Truncate(time.Second).Add(t.Every - since).In(t.Location)
}

// ParseCron reads the `cron` and `timezone` of a schedule. It is the only reader of cron text.
// CRON_TZ together with a timezone is an error: two places for one fact will differ one day.
func ParseCron(expression, timezone string) (Timing, error) {
	// robfig/cron takes one space only after @every and CRON_TZ=.
	expression = strings.Join(strings.Fields(expression), " ")
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
		return Timing{}, fmt.Errorf("invalid cron expression %q: %w", clip(expression), err)
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
	if strings.EqualFold(name, "local") || name == "localtime" {
		return nil, fmt.Errorf("invalid timezone %q: name a zone such as Europe/Berlin, the same on every machine", name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("invalid timezone %q: use an IANA name such as Europe/Berlin or UTC", clip(name))
	}
	return location, nil
}

// cutZone takes a leading CRON_TZ= or TZ= off. robfig/cron does it too, but panics where nothing
// follows the zone.
func cutZone(expression string) (zone, rest string, err error) {
	if !namesZone(expression) {
		return "", expression, nil
	}
	name, after, _ := strings.Cut(expression, "=")
	zone, rest, _ = strings.Cut(after, " ")
	switch {
	case zone == "" || rest == "":
		return "", "", fmt.Errorf("invalid cron expression %q: after %s= write a zone, a space and five fields", clip(expression), name)
	case namesZone(rest):
		return "", "", fmt.Errorf("invalid cron expression %q: it names two zones; keep one", clip(expression))
	}
	return zone, rest, nil
}

func namesZone(expression string) bool {
	return strings.HasPrefix(expression, "CRON_TZ=") || strings.HasPrefix(expression, "TZ=")
}

// parseStandard adds the hints that people who come from other crons need.
func parseStandard(expression string) (cron.Schedule, error) {
	if every, ok := strings.CutPrefix(expression, "@every "); ok {
		return parseEvery(every)
	}
	schedule, err := cron.ParseStandard(expression)
	switch n := len(strings.Fields(expression)); {
	case err == nil:
		return schedule, nil
	case strings.HasPrefix(expression, "@"):
		return nil, errors.New("use @hourly, @daily, @weekly, @monthly, @yearly or @every with a duration, such as @every 90s")
	case n == 6 || n == 7:
		return nil, fmt.Errorf("it has %d fields; write five (minute hour day-of-month month day-of-week), and @every 10s for seconds", n)
	case n != 5:
		return nil, fmt.Errorf("it has %s; write five: minute hour day-of-month month day-of-week", plural(n, "field"))
	}
	return nil, fmt.Errorf("%w; minute is 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-6 with 0 for Sunday", err)
}

func parseEvery(text string) (cron.Schedule, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return nil, errors.New("after @every write a duration such as 90s, 5m or 1h30m")
	case d < time.Second || d%time.Second != 0:
		return nil, errors.New("@every takes whole seconds, at least 1s")
	}
	return cron.ConstantDelaySchedule{Delay: d}, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
