package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/workflows"
)

// phases are all phases, for a series each: exactly one of them is 1.
var phases = []workflows.Phase{
	workflows.PhaseWaiting, workflows.PhaseReconciling, workflows.PhaseInSync, workflows.PhaseOutOfSync,
	workflows.PhaseBlocked, workflows.PhaseNoWorker, workflows.PhaseRenaming, workflows.PhaseRenamed,
}

// project collects what a manager knows at the time of a scrape.
type project struct {
	stats    func() manager.Stats
	inflight func(workflows.Status) bool

	schedules, problems, phase, revision, generation, lastPass, lastInSync   *prometheus.Desc
	lastAudit, missed, skipped, dropped, oldestOverride, overrides, nextHour *prometheus.Desc
	snapshot, answered, passing                                              *prometheus.Desc
}

// Watch adds what the project's manager knows.
func (m *Metrics) Watch(name string, stats func() manager.Stats) {
	labels := prometheus.Labels{"project": name}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, variable, labels)
	}
	m.registry.MustRegister(&project{
		stats: stats, inflight: m.inflight,
		schedules: desc("compozy_scheduled_workflows_total",
			"Schedules that are active, that are paused, and (of both) that an override keeps from being as the YAML says.", "status"),
		problems: desc("compozy_schedule_problems", "Schedules that are not as the YAML says, by the reason.", "kind"),
		phase:    desc("compozy_schedule_phase", "1 for the phase that the reconciler is in.", "phase"),
		revision: desc("compozy_schedule_revision_info", "1; the revision that is desired, and the one that was applied.",
			"desired", "applied"),
		generation: desc("compozy_schedule_generation", "The deploy's generation; 0 without one."),
		lastPass:   desc("compozy_schedule_last_pass_timestamp_seconds", "When the last pass ended."),
		lastInSync: desc("compozy_schedule_last_success_timestamp_seconds", "When a pass last ended with everything as the YAML says."),
		lastAudit:  desc("compozy_schedule_last_audit_timestamp_seconds", "When the last look at every field of every schedule ended."),
		missed:     desc("compozy_schedule_missed_runs_total", "Runs that came too late for their catchup window, as of the last audit."),
		skipped:    desc("compozy_schedule_skipped_runs_total", "Runs that the overlap policy skipped, as of the last audit."),
		dropped:    desc("compozy_schedule_dropped_runs_total", "Runs that a full buffer dropped, as of the last audit."),
		oldestOverride: desc("compozy_schedule_oldest_override_timestamp_seconds",
			"When the oldest override began; absent without one."),
		overrides: desc("compozy_schedule_overrides", "Overrides in force.", "action"),
		nextHour:  desc("compozy_schedule_next_hour_runs", "Runs that the active schedules are to start within an hour."),
		snapshot:  desc("compozy_schedule_snapshot_timestamp_seconds", "When this process last read Temporal's list of schedules."),
		answered:  desc("compozy_schedule_reconciler_up", "1 where the reconciler answered when it was last asked."),
		passing:   desc("compozy_schedule_reconcile_inflight", "1 while a pass is under way."),
	})
}

// Describe sends nothing: which series there are depends on what is known.
func (p *project) Describe(chan<- *prometheus.Desc) {}

// Collect sends what is known now.
func (p *project) Collect(out chan<- prometheus.Metric) {
	s := p.stats()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	at := func(desc *prometheus.Desc, t time.Time) {
		if !t.IsZero() {
			gauge(desc, float64(t.UnixMilli())/1000)
		}
	}
	if !s.ObservedAt.IsZero() {
		gauge(p.schedules, float64(s.Active), "active")
		gauge(p.schedules, float64(s.Paused), "paused")
		gauge(p.schedules, float64(s.Overridden), "override")
		gauge(p.nextHour, float64(s.NextHour))
	}
	at(p.snapshot, s.ObservedAt)
	at(p.oldestOverride, s.OldestOverride)
	for _, action := range []activities.OverrideAction{activities.Pause, activities.Resume, activities.Remove} {
		gauge(p.overrides, float64(s.Overrides[action]), string(action))
	}
	gauge(p.answered, flag(s.Answered))
	gauge(p.passing, flag(p.inflight(s.Status)))
	if s.Answered {
		p.reconciler(s, gauge, at, out)
	}
}

// reconciler sends what the reconciler says.
func (p *project) reconciler(
	s manager.Stats, gauge func(*prometheus.Desc, float64, ...string), at func(*prometheus.Desc, time.Time),
	out chan<- prometheus.Metric,
) {
	for _, phase := range phases {
		gauge(p.phase, flag(s.Status.Phase == phase), string(phase))
	}
	for _, kind := range []activities.ProblemKind{activities.ProblemConflict, activities.ProblemRefused, activities.ProblemDrift} {
		gauge(p.problems, float64(s.Status.ProblemKinds[kind]), string(kind))
	}
	gauge(p.revision, 1, s.Status.Revision, s.Status.Applied)
	gauge(p.generation, float64(s.Status.Generation))
	if pass := s.Status.LastPass; pass != nil {
		at(p.lastPass, pass.FinishedAt)
	}
	at(p.lastInSync, s.Status.LastInSync)
	if audit := s.Status.LastAudit; audit != nil {
		at(p.lastAudit, audit.FinishedAt)
		for desc, count := range map[*prometheus.Desc]int64{
			p.missed: audit.MissedRuns, p.skipped: audit.SkippedRuns, p.dropped: audit.DroppedRuns,
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count))
		}
	}
}

func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
