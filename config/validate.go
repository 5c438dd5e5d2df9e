package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

const (
	// maxSlug is the length of a DNS label.
	maxSlug = 63
	// maxName is Temporal's limit for names (limit.maxIDLength).
	maxName = 1000
	// minCatchup is the least that Temporal applies; it would raise a shorter window silently.
	minCatchup = 10 * time.Second
)

// fault is what is wrong with one field; the loader knows its place.
type fault struct {
	field string
	err   error
}

// ValidateSchedule reports everything that is wrong with a schedule by itself; Load also checks its
// input against the workflow's schema.
func ValidateSchedule(s *Schedule) error {
	if s == nil {
		return errors.New("there is no schedule")
	}
	var errs []error
	for _, f := range scheduleFaults(*s) {
		errs = append(errs, f.err)
	}
	return errors.Join(errs...)
}

func scheduleFaults(s Schedule) []fault {
	var faults []fault
	check := func(field string, err error) {
		if err != nil {
			faults = append(faults, fault{field, err})
		}
	}
	zone := s.Timezone
	if _, err := LoadZone(zone); err != nil {
		check("timezone", err)
		zone = ""
	}
	check("cron", cronFault(s.Cron, zone))
	check("overlap_policy", overlapFault(s.OverlapPolicy))
	_, err := ParseDuration("jitter", s.Jitter)
	check("jitter", err)
	check("catchup_window", catchupFault(s.CatchupWindow))
	if s.StartAt != nil && s.EndAt != nil && !s.StartAt.Before(*s.EndAt) {
		check("end_at", fmt.Errorf("end_at %s is not after start_at %s: correct one of them",
			s.EndAt.Format(time.RFC3339Nano), s.StartAt.Format(time.RFC3339Nano)))
	}
	check("input", jsonFault("input", s.Input))
	if s.ScheduleID != "" {
		check("schedule_id", nameFault("schedule_id", s.ScheduleID))
	}
	return faults
}

// cronFault also refuses a cron for days that no calendar has. The year does not matter: five years
// from any leap year on contain every date there is.
func cronFault(expression, zone string) error {
	timing, err := ParseCron(expression, zone)
	if err != nil {
		return err
	}
	leapYear := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	if timing.Next(leapYear).IsZero() {
		return fmt.Errorf("cron %q never runs: no month in it has such a day; correct the day of the month or the month", expression)
	}
	return nil
}

func overlapFault(policy OverlapPolicy) error {
	if policy == "" {
		return nil
	}
	names := make([]string, 0, len(OverlapPolicies()))
	for _, known := range OverlapPolicies() {
		if policy == known {
			return nil
		}
		names = append(names, string(known))
	}
	return fmt.Errorf("unsupported overlap_policy %q: use one of %s", clip(string(policy)), strings.Join(names, ", "))
}

func catchupFault(text string) error {
	window, err := ParseDuration("catchup_window", text)
	if err == nil && text != "" && window < minCatchup {
		return fmt.Errorf("catchup_window %q is too short: Temporal applies at least 10s; write 10s or more", text)
	}
	return err
}

func startFaults(s Start) []fault {
	var faults []fault
	check := func(field string, err error) {
		if err != nil {
			faults = append(faults, fault{field, err})
		}
	}
	check("workflow_type", nameFault("workflow_type", s.WorkflowType))
	if s.WorkflowID != "" {
		check("workflow_id", nameFault("workflow_id", s.WorkflowID))
	}
	check("task_queue", taskQueueFault(s.TaskQueue))
	return faults
}

func retryFaults(r Retry) []fault {
	var faults []fault
	if c := r.BackoffCoefficient; c != 0 && (c < 1 || math.IsInf(c, 0) || math.IsNaN(c)) {
		faults = append(faults, fault{"backoff_coefficient",
			fmt.Errorf("backoff_coefficient %v is less than 1: write 1 for steady retries, or more", c)})
	}
	// Temporal's own default for the initial interval counts here too.
	if initial := cmp.Or(r.InitialInterval, time.Second); r.MaximumInterval != 0 && r.MaximumInterval < initial {
		faults = append(faults, fault{"maximum_interval",
			fmt.Errorf("maximum_interval %s is less than initial_interval %s: raise it, or lower the other", r.MaximumInterval, initial)})
	}
	return faults
}

func nameFault(field, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("%s is empty: write a value, or remove the key", field)
	case len(name) > maxName:
		return fmt.Errorf("%s is longer than Temporal's %d characters: shorten it", field, maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s %q contains a control character: remove it", field, clip(name))
	}
	return nil
}

func taskQueueFault(name string) error {
	for _, reserved := range []string{"/_sys/", "__temporal"} {
		if strings.HasPrefix(name, reserved) {
			return fmt.Errorf("task_queue %q begins with %s, which Temporal keeps for itself: choose another name", clip(name), reserved)
		}
	}
	return nameFault("task_queue", name)
}

// ValidateProjectName says what is wrong with a project's name, and what names there may be.
func ValidateProjectName(name string) error { return projectNameFault(name) }

func projectNameFault(name string) error {
	if isSlug(name, "-") {
		return nil
	}
	return fmt.Errorf("invalid name %q: use a-z, 0-9 and -, a letter or digit first and last, at most %d characters", clip(name), maxSlug)
}

func idFault(id string) error {
	if isSlug(id, "-_") {
		return nil
	}
	return fmt.Errorf("invalid id %q: use a-z, 0-9, - and _, a letter or digit first and last, at most %d characters", clip(id), maxSlug)
}

// isSlug says whether a name is fit for a Temporal ID, a URL and a label: lower-case letters, digits
// and, inside, the given signs.
func isSlug(name, signs string) bool {
	if name == "" || len(name) > maxSlug {
		return false
	}
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case i > 0 && i < len(name)-1 && strings.ContainsRune(signs, r):
		default:
			return false
		}
	}
	return true
}
