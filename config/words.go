package config

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Words says a schedule's timing as people do: "every 5m", "at 09:00 on Monday to Friday
// (America/New_York)". Calendars without short words are shown as cron text.
func (s *Schedule) Words() string {
	timing, err := ParseCron(s.Cron, s.Timezone)
	if err != nil {
		return s.Cron
	}
	if timing.Calendar == nil {
		return "every " + shortDuration(timing.Every)
	}
	words, ok := calendarWords(timing.Calendar)
	if !ok {
		words = "cron " + strings.Join(strings.Fields(s.Cron), " ")
	}
	if timing.Zone != "UTC" {
		words += " (" + timing.Zone + ")"
	}
	return words
}

// The full sets of cron's fields.
const (
	everyMinute = 1<<60 - 1
	everyHour   = 1<<24 - 1
	everyDOM    = 1<<32 - 1<<1
	everyMonth  = 1<<13 - 1<<1
	everyDOW    = 1<<7 - 1
	starBit     = 1 << 63
)

func calendarWords(s *cron.SpecSchedule) (string, bool) {
	days, ok := dayWords(s)
	if !ok {
		return "", false
	}
	minute, hour := s.Minute&^starBit, s.Hour&^starBit
	var when string
	switch {
	case minute == everyMinute && hour == everyHour:
		when = "every minute"
	case hour == everyHour && stepOf(minute, 60) > 0:
		when = fmt.Sprintf("every %d minutes", stepOf(minute, 60))
	case hour == everyHour && bits.OnesCount64(minute) == 1:
		when = fmt.Sprintf("every hour at :%02d", bits.TrailingZeros64(minute))
	case bits.OnesCount64(minute) == 1 && bits.OnesCount64(hour) <= 4:
		when = "at " + clockTimes(hour, bits.TrailingZeros64(minute))
	case bits.OnesCount64(minute) == 1 && stepOf(hour, 24) > 0:
		when = fmt.Sprintf("every %d hours at :%02d", stepOf(hour, 24), bits.TrailingZeros64(minute))
	default:
		return "", false
	}
	return when + days, true
}

// stepOf is n where the set is every n-th value from 0, and 0 where it is not.
func stepOf(set uint64, size int) int {
	if bits.OnesCount64(set) < 2 || set&1 == 0 {
		return 0
	}
	step := bits.TrailingZeros64(set &^ 1)
	var expected uint64
	for v := 0; v < size; v += step {
		expected |= 1 << v
	}
	if set != expected || size%step != 0 {
		return 0
	}
	return step
}

func clockTimes(hours uint64, minute int) string {
	var times []string
	for ; hours != 0; hours &= hours - 1 {
		times = append(times, fmt.Sprintf("%02d:%02d", bits.TrailingZeros64(hours), minute))
	}
	return strings.Join(times, ", ")
}

// dayWords is empty for every day. Restricted months, and days that cron joins with "or", have no
// short words.
func dayWords(s *cron.SpecSchedule) (string, bool) {
	dom, dow, month := s.Dom&^starBit, s.Dow&^starBit, s.Month&^starBit
	switch {
	case month != everyMonth:
		return "", false
	case dom == everyDOM && dow == everyDOW:
		return "", true
	case dow == everyDOW && s.Dow&starBit != 0 && bits.OnesCount64(dom) == 1:
		return fmt.Sprintf(" on day %d of the month", bits.TrailingZeros64(dom)), true
	case dom == everyDOM && s.Dom&starBit != 0:
		return " on " + weekdays(dow), true
	}
	return "", false
}

func weekdays(dow uint64) string {
	first, count := bits.TrailingZeros64(dow), bits.OnesCount64(dow)
	if count >= 3 && dow == (1<<count-1)<<first {
		return fmt.Sprintf("%s to %s", time.Weekday(first), time.Weekday(first+count-1))
	}
	var names []string
	for ; dow != 0; dow &= dow - 1 {
		names = append(names, time.Weekday(bits.TrailingZeros64(dow)).String())
	}
	return strings.Join(names, ", ")
}

// shortDuration is the Go form without zero parts: 1h0m0s is 1h.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
