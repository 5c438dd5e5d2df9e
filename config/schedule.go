package config

import "time"

// OverlapPolicy says what happens when a run is due while the previous one is still running. The
// values are Temporal's overlap policies (https://docs.temporal.io/schedule#overlap-policy).
type OverlapPolicy string

// The overlap policies. The zero value means OverlapSkip.
const (
	OverlapSkip           OverlapPolicy = "skip"
	OverlapAllow          OverlapPolicy = "allow"
	OverlapBufferOne      OverlapPolicy = "buffer_one"
	OverlapBufferAll      OverlapPolicy = "buffer_all"
	OverlapCancelOther    OverlapPolicy = "cancel_other"
	OverlapTerminateOther OverlapPolicy = "terminate_other"
)

// OverlapPolicies lists every policy in the order that documentation and error messages use.
func OverlapPolicies() []OverlapPolicy {
	return []OverlapPolicy{
		OverlapSkip, OverlapAllow, OverlapBufferOne, OverlapBufferAll, OverlapCancelOther, OverlapTerminateOther,
	}
}

// Schedule is the `schedule:` block of a workflow file, as written. ValidateSchedule checks it.
type Schedule struct {
	// Cron is five fields (minute hour day-of-month month day-of-week) or a descriptor such as @daily
	// or @every 90s, as robfig/cron's standard parser reads it. Required. A leading CRON_TZ=Zone sets
	// the zone when Timezone is empty.
	Cron string `yaml:"cron" json:"cron"`
	// Timezone is an IANA zone name. Default UTC.
	Timezone string `yaml:"timezone,omitempty" json:"timezone,omitempty"`
	// Enabled false keeps the schedule in Temporal, paused. Default true.
	Enabled *bool `yaml:"enabled,omitempty" json:"enabled,omitempty"`
	// Jitter is a Go duration: each run starts up to this much later, at random. Default none.
	Jitter string `yaml:"jitter,omitempty" json:"jitter,omitempty"`
	// OverlapPolicy defaults to OverlapSkip.
	OverlapPolicy OverlapPolicy `yaml:"overlap_policy,omitempty" json:"overlap_policy,omitempty"`
	// StartAt and EndAt bound the times at which runs start. StartAt is before EndAt.
	StartAt *time.Time `yaml:"start_at,omitempty" json:"start_at,omitempty"`
	EndAt   *time.Time `yaml:"end_at,omitempty" json:"end_at,omitempty"`
	// CatchupWindow is a Go duration: how late a run that was missed in an outage may still start.
	// At least 10 s, the least that Temporal applies. Default: the server's, one year.
	CatchupWindow string `yaml:"catchup_window,omitempty" json:"catchup_window,omitempty"`
	// PauseOnFailure pauses the schedule when a run fails or times out. Default false.
	PauseOnFailure bool `yaml:"pause_on_failure,omitempty" json:"pause_on_failure,omitempty"`
	// Input is the run's single argument. Absent means a run without arguments.
	Input map[string]any `yaml:"input,omitempty" json:"input,omitempty"`
	// ScheduleID is Temporal's ID of the schedule. Default: schedule-{project}-{workflow id}.
	ScheduleID string `yaml:"schedule_id,omitempty" json:"schedule_id,omitempty"`
	// Adopt lets the project take over a schedule of that ID that nobody's project owns. Default false:
	// such a schedule is a conflict.
	Adopt bool `yaml:"adopt,omitempty" json:"adopt,omitempty"`
}

// NextRuns are the next times after from, at most n, at which cron, start_at and end_at let runs start, in
// the schedule's zone. Temporal decides around changes of the clocks; see ZoneWarnings.
func (s *Schedule) NextRuns(from time.Time, n int) []time.Time {
	timing, err := ParseCron(s.Cron, s.Timezone)
	if err != nil {
		return nil
	}
	if s.StartAt != nil && s.StartAt.After(from) {
		from = s.StartAt.Add(-time.Nanosecond)
	}
	var runs []time.Time
	for at := timing.Next(from); len(runs) < n && !at.IsZero(); at = timing.Next(at) {
		if s.EndAt != nil && at.After(*s.EndAt) {
			break
		}
		runs = append(runs, at)
	}
	return runs
}

// IsEnabled reports whether the YAML wants the schedule to run: true unless `enabled: false`.
func (s *Schedule) IsEnabled() bool {
	return s.Enabled == nil || *s.Enabled
}

// Overlap is the overlap policy with its default applied.
func (s *Schedule) Overlap() OverlapPolicy {
	if s.OverlapPolicy == "" {
		return OverlapSkip
	}
	return s.OverlapPolicy
}
