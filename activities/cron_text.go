package activities

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robfig/cron/v3"
	schedulepb "go.temporal.io/api/schedule/v1"

	"github.com/compozy/schedules/config"
)

// CronText is the `cron` that says when a spec's runs are due: five fields, or @every. ok is false where no
// cron says it. Specs with the same times have the same text, however their ranges are written; zone,
// bounds and jitter are other fields of the YAML and do not count, nor does the mark of an adoption.
func CronText(spec *schedulepb.ScheduleSpec) (text string, ok bool) {
	text, faults := cronText(spec)
	return text, len(faults) == 0
}

// cronText also says what no cron can. There is a text or a fault, never both.
func cronText(spec *schedulepb.ScheduleSpec) (text string, faults []string) {
	spec = withoutMark(spec)
	if faults := specFaults(spec); len(faults) > 0 {
		return "", faults
	}
	if len(spec.GetInterval()) > 0 {
		return everyText(spec.GetInterval()[0])
	}
	sets := make([]calendarSet, len(spec.GetStructuredCalendar()))
	for i, calendar := range spec.GetStructuredCalendar() {
		set, found := newCalendarSet(calendar)
		sets[i], faults = set, append(faults, found...)
	}
	if len(faults) > 0 {
		return "", distinct(faults)
	}
	return calendarText(mergeSets(sets))
}

// specFaults are the reasons that need no look into a calendar.
func specFaults(spec *schedulepb.ScheduleSpec) (faults []string) {
	calendars, intervals := len(spec.GetStructuredCalendar()), len(spec.GetInterval())
	if len(spec.GetExcludeStructuredCalendar())+len(spec.GetExcludeCalendar()) > 0 { //nolint:staticcheck // read, to lose none
		faults = append(faults, "exclude calendars: a cron excludes nothing")
	}
	if len(spec.GetCronString())+len(spec.GetCalendar()) > 0 {
		faults = append(faults, "times that the server has not compiled")
	}
	switch {
	case calendars+intervals == 0 && len(faults) == 0:
		faults = append(faults, "no times: it runs only when it is triggered")
	case intervals > 1:
		faults = append(faults, "several intervals: a cron has one")
	case intervals > 0 && calendars > 0:
		faults = append(faults, "an interval together with calendars: a cron is one or the other")
	}
	return faults
}

func everyText(interval *schedulepb.IntervalSpec) (string, []string) {
	every, phase := interval.GetInterval().AsDuration(), interval.GetPhase().AsDuration()
	if phase != 0 {
		return "", []string{"interval phase " + config.DurationText(phase) + ": @every has none"}
	}
	text := "@every " + config.DurationText(every)
	if timing, err := config.ParseCron(text, ""); err != nil || timing.Every != every {
		return "", []string{"an interval of " + every.String() + ": @every takes whole seconds, at least 1s"}
	}
	return text, nil
}

// calendarText writes one calendar, or the two that are cron's "either day", and believes the result only
// when it translates back into the same times.
func calendarText(sets []calendarSet) (string, []string) {
	if len(sets) > 2 {
		return "", []string{fmt.Sprintf("%d calendars that no single cron says", len(sets))}
	}
	first, last := sets[0], sets[len(sets)-1]
	dom, dow := first.dom&last.dom, first.dow&last.dow
	fields := []string{
		fieldText(first.minute, 0, 59), fieldText(first.hour, 0, 23), fieldText(dom, 1, 31),
		fieldText(first.month, 1, 12), fieldText(dow, 0, 6),
	}
	text := strings.Join(fields, " ")
	timing, err := config.ParseCron(text, "")
	if err == nil && slices.Equal(cronSets(timing.Calendar), sets) {
		return text, nil
	}
	switch {
	case len(sets) > 1:
		return "", []string{fmt.Sprintf("%d calendars that no single cron says", len(sets))}
	case dom != everyDayOfMonth && dow != everyDayOfWeek:
		return "", []string{"days that must fit both day of month and day of week: in a cron either will do"}
	}
	return "", []string{"a calendar that fits no time"}
}

// cronSets are the calendars that a cron becomes.
func cronSets(s *cron.SpecSchedule) []calendarSet {
	var sets []calendarSet
	for _, calendar := range calendars(s, "") {
		set, _ := newCalendarSet(calendar) // a cron has neither seconds nor years
		sets = append(sets, set)
	}
	return mergeSets(sets)
}

// calendarSet is a calendar as sets of values: one bit each, without seconds and years.
type calendarSet struct{ minute, hour, dom, month, dow uint64 }

func newCalendarSet(c *schedulepb.StructuredCalendarSpec) (set calendarSet, faults []string) {
	second := valueSet(c.GetSecond())
	set = calendarSet{
		minute: valueSet(c.GetMinute()), hour: valueSet(c.GetHour()), dom: valueSet(c.GetDayOfMonth()),
		month: valueSet(c.GetMonth()), dow: valueSet(c.GetDayOfWeek()),
	}
	if second != 1 {
		faults = append(faults, "seconds: a cron runs at second 0")
	}
	if len(c.GetYear()) > 0 {
		faults = append(faults, "years: a cron runs in every year")
	}
	return set, faults
}

// valueSet reads ranges as the server does: an end before the start is the start, and no step is one.
// Values beyond 63 are in no field of a calendar but the year.
func valueSet(ranges []*schedulepb.Range) (set uint64) {
	for _, r := range ranges {
		for v := r.GetStart(); v >= 0 && v <= min(63, max(r.GetStart(), r.GetEnd())); v += max(1, r.GetStep()) {
			set |= 1 << v
		}
	}
	return set
}

// mergeSets joins calendars that differ in one field only, which changes no time, until none is left. It
// sorts them first, so that their order does not matter.
func mergeSets(sets []calendarSet) []calendarSet {
	sets = slices.SortedFunc(slices.Values(sets), calendarSet.compare)
	for i := 0; i < len(sets); i++ {
		for j := i + 1; j < len(sets); j++ {
			if joined, ok := sets[i].join(sets[j]); ok {
				sets[i], sets = joined, slices.Delete(sets, j, j+1)
				i = -1 // a joined one may join with those before
				break
			}
		}
	}
	slices.SortFunc(sets, calendarSet.compare)
	return sets
}

// join is the union of two calendars where that is a calendar.
func (s calendarSet) join(other calendarSet) (calendarSet, bool) {
	union := calendarSet{
		s.minute | other.minute, s.hour | other.hour, s.dom | other.dom, s.month | other.month, s.dow | other.dow,
	}
	differing := 0
	for _, pair := range [][2]uint64{
		{s.minute, other.minute}, {s.hour, other.hour}, {s.dom, other.dom}, {s.month, other.month}, {s.dow, other.dow},
	} {
		if pair[0] != pair[1] {
			differing++
		}
	}
	return union, differing <= 1 || union == s || union == other
}

func (s calendarSet) compare(other calendarSet) int {
	return cmp.Or(
		cmp.Compare(s.minute, other.minute), cmp.Compare(s.hour, other.hour), cmp.Compare(s.dom, other.dom),
		cmp.Compare(s.month, other.month), cmp.Compare(s.dow, other.dow),
	)
}

// fieldText is the shortest text of a field with values from low to high. Three values with a step between
// them are easier to read as a list, unless they are a whole field's.
func fieldText(set uint64, low, high int32) string {
	values := members(set)
	if len(values) == int(high-low)+1 {
		return "*"
	}
	list, r := listText(values), evenlySpaced(values)
	if r == nil || r.GetStep() == 1 {
		return list
	}
	span := fmt.Sprintf("%d-%d", r.GetStart(), r.GetEnd())
	whole := r.GetStart() == low && r.GetEnd()+r.GetStep() > high
	if whole {
		span = "*"
	}
	if text := fmt.Sprintf("%s/%d", span, r.GetStep()); len(text) < len(list) && (whole || len(values) > 3) {
		return text
	}
	return list
}

// listText writes neighbours as ranges, where there are at least three.
func listText(values []int32) string {
	var parts []string
	for len(values) > 0 {
		n := 1
		for n < len(values) && values[n] == values[n-1]+1 {
			n++
		}
		if n < 3 {
			n = 1
			parts = append(parts, strconv.Itoa(int(values[0])))
		} else {
			parts = append(parts, strconv.Itoa(int(values[0]))+"-"+strconv.Itoa(int(values[n-1])))
		}
		values = values[n:]
	}
	return strings.Join(parts, ",")
}

// distinct drops repetitions and keeps the order.
func distinct(texts []string) []string {
	var out []string
	for _, text := range texts {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
