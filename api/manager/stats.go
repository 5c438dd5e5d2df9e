package manager

import (
	"context"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// Stats are what this process knows of the project, in numbers. Nothing is asked for them: they are of the
// snapshot.
type Stats struct {
	// Active and Paused are how many schedules are so. Overridden is how many of all are not as the YAML
	// says because of an override.
	Active, Paused, Overridden int
	// Overrides are those in force, by what they do; OldestOverride is when the oldest began.
	Overrides      map[activities.OverrideAction]int
	OldestOverride time.Time
	// NextHour is how many runs the active schedules are to start within an hour.
	NextHour int
	// ObservedAt is when Temporal's list was read.
	ObservedAt time.Time
	// Status is what the reconciler said last. Answered is false where it did not answer then.
	Status   workflows.Status
	Answered bool
}

// nextHourEvery is how often the runs of the next hour are counted anew: with a thousand schedules that
// takes some milliseconds.
const nextHourEvery = 30 * time.Second

// nextHour remembers a count.
type nextHour struct {
	at   time.Time
	runs int
}

// Stats of now.
func (m *Manager) Stats() Stats {
	now := time.Now()
	infos, observedAt := m.all(now)
	s := Stats{ObservedAt: observedAt, Overrides: map[activities.OverrideAction]int{}}
	for _, info := range infos {
		switch info.State {
		case StateActive:
			s.Active++
		case StatePaused:
			s.Paused++
		default: // not in Temporal, or not ours
		}
		if info.IsOverride {
			s.Overridden++
			s.Overrides[info.Override.Action]++
			if since := info.Override.Since; since != nil && (s.OldestOverride.IsZero() || since.Before(s.OldestOverride)) {
				s.OldestOverride = *since
			}
		}
	}
	if !observedAt.IsZero() {
		s.NextHour = m.nextHourRuns(infos, now)
	}
	m.statsMu.Lock()
	defer m.statsMu.Unlock()
	s.Status, s.Answered = m.status, m.answered
	return s
}

func (m *Manager) nextHourRuns(infos []ScheduleInfo, now time.Time) int {
	m.statsMu.Lock()
	defer m.statsMu.Unlock()
	if now.Sub(m.nextHour.at) < nextHourEvery {
		return m.nextHour.runs
	}
	m.nextHour = nextHour{at: now}
	for _, info := range infos {
		if info.State == StateActive && info.YAMLConfig != nil {
			m.nextHour.runs += runsWithin(info.YAMLConfig, now, now.Add(time.Hour))
		}
	}
	return m.nextHour.runs
}

// runsWithin counts the runs of a schedule after from and up to until.
func runsWithin(s *config.Schedule, from, until time.Time) int {
	timing, err := config.ParseCron(s.Cron, s.Timezone)
	if err != nil {
		return 0
	}
	if s.StartAt != nil && s.StartAt.After(from) {
		from = *s.StartAt
	}
	if s.EndAt != nil && s.EndAt.Before(until) {
		until = *s.EndAt
	}
	if timing.Every > 0 {
		return max(0, int(until.Sub(from)/timing.Every))
	}
	runs := 0
	for at := timing.Next(from); !at.IsZero() && !at.After(until); at = timing.Next(at) {
		runs++
	}
	return runs
}

// readStatus asks the reconciler how it is, for Stats.
func (m *Manager) readStatus(ctx context.Context) {
	status, err := m.Status(ctx)
	m.statsMu.Lock()
	defer m.statsMu.Unlock()
	if m.answered = err == nil; m.answered {
		m.status = status
	}
}
