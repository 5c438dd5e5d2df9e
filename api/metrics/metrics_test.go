package metrics_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/api/metrics"
	"github.com/compozy/schedules/workflows"
)

// families are a scrape's metrics by name.
type families map[string]*dto.MetricFamily

func scrape(t *testing.T, m *metrics.Metrics) families {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, recorder.Code, recorder.Body)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(recorder.Body)
	require.NoError(t, err)
	return found
}

// values are a metric's values by its labels, "name=value,…" in order of the names. A histogram's is its count.
func (f families) values(name string) map[string]float64 {
	values := map[string]float64{}
	for _, metric := range f[name].GetMetric() {
		labels := make([]string, len(metric.GetLabel()))
		for i, label := range metric.GetLabel() {
			labels[i] = label.GetName() + "=" + label.GetValue()
		}
		slices.Sort(labels)
		values[strings.Join(labels, ",")] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() +
			float64(metric.GetHistogram().GetSampleCount())
	}
	return values
}

// watched is what a process shows of stats.
func watched(t *testing.T, stats manager.Stats) families {
	t.Helper()
	m := metrics.New("reports")
	m.Watch("reports", func() manager.Stats { return stats })
	return scrape(t, m)
}

// at is a moment with milliseconds, as a series shows it.
var at = time.UnixMilli(1_790_000_000_250)

const atSeconds = 1_790_000_000.25

func TestSpec(t *testing.T) {
	t.Run("Should have the four metrics of the specification, from the start", func(t *testing.T) {
		found := watched(t, manager.Stats{ObservedAt: at})
		for name, kind := range map[string]dto.MetricType{
			"compozy_schedule_operations_total":           dto.MetricType_COUNTER,
			"compozy_scheduled_workflows_total":           dto.MetricType_GAUGE,
			"compozy_schedule_reconcile_duration_seconds": dto.MetricType_HISTOGRAM,
			"compozy_schedule_reconcile_inflight":         dto.MetricType_GAUGE,
		} {
			require.Contains(t, found, name)
			assert.Equal(t, kind, found[name].GetType(), name)
		}
		assert.Equal(t, []string{
			"operation=create,status=failure", "operation=create,status=success",
			"operation=delete,status=failure", "operation=delete,status=success",
			"operation=update,status=failure", "operation=update,status=success",
		}, slices.Sorted(maps.Keys(found.values("compozy_schedule_operations_total"))))
		assert.Equal(t, []string{"project=reports,status=active", "project=reports,status=override", "project=reports,status=paused"},
			slices.Sorted(maps.Keys(found.values("compozy_scheduled_workflows_total"))))
		assert.Equal(t, map[string]float64{"project=reports": 0}, found.values("compozy_schedule_reconcile_duration_seconds"))
		assert.Equal(t, map[string]float64{"project=reports": 0}, found.values("compozy_schedule_reconcile_inflight"))
	})
}

func TestProcess(t *testing.T) {
	t.Run("Should count operations by how they ended", func(t *testing.T) {
		m := metrics.New("reports")
		m.Operation(activities.Update, nil)
		m.Operation(activities.Update, errors.New("too busy"))
		m.Operation(activities.Update, errors.New("too busy"))
		m.Operation(activities.Delete, nil)
		assert.Equal(t, map[string]float64{
			"operation=create,status=success": 0, "operation=create,status=failure": 0,
			"operation=update,status=success": 1, "operation=update,status=failure": 2,
			"operation=delete,status=success": 1, "operation=delete,status=failure": 0,
		}, scrape(t, m).values("compozy_schedule_operations_total"))
	})
	t.Run("Should count and time the answers of the API", func(t *testing.T) {
		m := metrics.New("reports")
		m.Request(http.MethodGet, "/api/v0/schedules", http.StatusOK, 30*time.Millisecond)
		m.Request(http.MethodGet, "/api/v0/schedules", http.StatusServiceUnavailable, time.Second)
		found := scrape(t, m)
		assert.Equal(t, map[string]float64{
			"code=200,method=GET,route=/api/v0/schedules": 1, "code=503,method=GET,route=/api/v0/schedules": 1,
		}, found.values("compozy_schedule_api_requests_total"))
		assert.Equal(t, map[string]float64{"method=GET,route=/api/v0/schedules": 2},
			found.values("compozy_schedule_api_request_duration_seconds"))
		latency := found["compozy_schedule_api_request_duration_seconds"].GetMetric()[0].GetHistogram()
		assert.InDelta(t, 1.03, latency.GetSampleSum(), 1e-9)
	})
}

func TestPasses(t *testing.T) {
	const inflight = "compozy_schedule_reconcile_inflight"
	var stats manager.Stats
	m := metrics.New("reports")
	m.Watch("reports", func() manager.Stats { return stats })
	t.Run("Should show a pass while it is under way, then how it ended and how long it took", func(t *testing.T) {
		m.PassStarted("reports")
		assert.Equal(t, map[string]float64{"project=reports": 1}, scrape(t, m).values(inflight))
		m.PassEnded("reports", workflows.PhaseBlocked, 3*time.Second)
		found := scrape(t, m)
		assert.Equal(t, map[string]float64{"project=reports": 0}, found.values(inflight))
		assert.Equal(t, map[string]float64{
			"phase=blocked,project=reports": 1, "phase=in_sync,project=reports": 0,
			"phase=no_worker,project=reports": 0, "phase=out_of_sync,project=reports": 0, "phase=reconciling,project=reports": 0,
		}, found.values("compozy_schedule_passes_total"))
		durations := found["compozy_schedule_reconcile_duration_seconds"].GetMetric()[0].GetHistogram()
		assert.Equal(t, uint64(1), durations.GetSampleCount())
		assert.InDelta(t, 3, durations.GetSampleSum(), 1e-9)
	})
	t.Run("Should not show for ever a pass that ended in another process", func(t *testing.T) {
		stats.Status.LastPass = &workflows.Pass{FinishedAt: time.Now().Add(-time.Hour)}
		m.PassStarted("reports")
		assert.Equal(t, map[string]float64{"project=reports": 1}, scrape(t, m).values(inflight), "the last pass was another")
		stats.Status.LastPass = &workflows.Pass{FinishedAt: time.Now().Add(time.Second)}
		assert.Equal(t, map[string]float64{"project=reports": 0}, scrape(t, m).values(inflight))
	})
}

func TestProject(t *testing.T) {
	t.Run("Should have no series of what is not known yet", func(t *testing.T) {
		found := watched(t, manager.Stats{})
		var of []string
		for name := range found {
			if len(found.values(name)) > 0 && strings.HasPrefix(name, "compozy_") {
				of = append(of, name)
			}
		}
		slices.Sort(of)
		assert.Equal(t, []string{
			"compozy_schedule_operations_total", "compozy_schedule_overrides", "compozy_schedule_passes_total",
			"compozy_schedule_reconcile_duration_seconds", "compozy_schedule_reconcile_inflight", "compozy_schedule_reconciler_up",
		}, of)
		assert.Equal(t, map[string]float64{"project=reports": 0}, found.values("compozy_schedule_reconciler_up"))
	})
	t.Run("Should show the list although the reconciler does not answer", func(t *testing.T) {
		found := watched(t, manager.Stats{
			Active: 7, Paused: 3, Overridden: 2, NextHour: 60, ObservedAt: at, OldestOverride: at.Add(-time.Hour),
			Overrides: map[activities.OverrideAction]int{activities.Pause: 2},
			Status:    workflows.Status{Phase: workflows.PhaseInSync, Revision: "stale"},
		})
		for name, want := range map[string]map[string]float64{
			"compozy_scheduled_workflows_total": {
				"project=reports,status=active": 7, "project=reports,status=paused": 3, "project=reports,status=override": 2,
			},
			"compozy_schedule_next_hour_runs":                    {"project=reports": 60},
			"compozy_schedule_snapshot_timestamp_seconds":        {"project=reports": atSeconds},
			"compozy_schedule_oldest_override_timestamp_seconds": {"project=reports": atSeconds - 3600},
			"compozy_schedule_overrides": {
				"action=delete,project=reports": 0, "action=pause,project=reports": 2, "action=resume,project=reports": 0,
			},
			"compozy_schedule_reconciler_up":                  {"project=reports": 0},
			"compozy_schedule_phase":                          {},
			"compozy_schedule_revision_info":                  {},
			"compozy_schedule_last_success_timestamp_seconds": {},
		} {
			assert.Equal(t, want, found.values(name), name)
		}
	})
	t.Run("Should show what the reconciler says", func(t *testing.T) {
		found := watched(t, manager.Stats{Answered: true, Status: workflows.Status{
			Phase: workflows.PhaseOutOfSync, Revision: "new", Applied: "old", Generation: 42,
			LastPass: &workflows.Pass{FinishedAt: at}, LastInSync: at.Add(-time.Minute),
			ProblemKinds: map[activities.ProblemKind]int{activities.ProblemDrift: 4},
			LastAudit:    &workflows.Audit{FinishedAt: at.Add(-time.Hour), MissedRuns: 1, SkippedRuns: 2, DroppedRuns: 3},
		}})
		for name, want := range map[string]map[string]float64{
			"compozy_schedule_reconciler_up":                  {"project=reports": 1},
			"compozy_schedule_revision_info":                  {"applied=old,desired=new,project=reports": 1},
			"compozy_schedule_generation":                     {"project=reports": 42},
			"compozy_schedule_last_pass_timestamp_seconds":    {"project=reports": atSeconds},
			"compozy_schedule_last_success_timestamp_seconds": {"project=reports": atSeconds - 60},
			"compozy_schedule_last_audit_timestamp_seconds":   {"project=reports": atSeconds - 3600},
			"compozy_schedule_problems": {
				"kind=conflict,project=reports": 0, "kind=drift,project=reports": 4, "kind=refused,project=reports": 0,
			},
			"compozy_schedule_missed_runs_total":  {"project=reports": 1},
			"compozy_schedule_skipped_runs_total": {"project=reports": 2},
			"compozy_schedule_dropped_runs_total": {"project=reports": 3},
		} {
			assert.Equal(t, want, found.values(name), name)
		}
	})
	t.Run("Should show each phase as the one that it is", func(t *testing.T) {
		for _, phase := range []workflows.Phase{
			workflows.PhaseWaiting, workflows.PhaseReconciling, workflows.PhaseInSync, workflows.PhaseOutOfSync,
			workflows.PhaseBlocked, workflows.PhaseNoWorker, workflows.PhaseRenaming, workflows.PhaseRenamed,
		} {
			values := watched(t, manager.Stats{Answered: true, Status: workflows.Status{Phase: phase}}).values("compozy_schedule_phase")
			assert.Len(t, values, 8)
			maps.DeleteFunc(values, func(_ string, value float64) bool { return value == 0 })
			assert.Equal(t, map[string]float64{"phase=" + string(phase) + ",project=reports": 1}, values)
		}
	})
}

func TestSDK(t *testing.T) {
	t.Run("Should name the task queues of all revisions alike, and leave the SDK's tags as they are", func(t *testing.T) {
		m := metrics.New("reports")
		handler, err := m.SDK()
		require.NoError(t, err)
		for _, queue := range []string{"compozy-schedules-reports", "compozy-schedules-reports-rev-0a1b", "compozy-schedules-reports-rev-2c3d"} {
			tags := map[string]string{"task_queue": queue, "activity_type": "Diff"}
			before := maps.Clone(tags)
			handler.WithTags(map[string]string{"namespace": "prod"}).WithTags(tags).Counter("temporal_polls").Inc(1)
			assert.Equal(t, before, tags)
		}
		assert.Equal(t, map[string]float64{
			"activity_type=Diff,namespace=prod,task_queue=compozy-schedules-reports":       1,
			"activity_type=Diff,namespace=prod,task_queue=compozy-schedules-reports-rev-*": 2,
		}, scrape(t, m).values("temporal_polls_total"))
	})
	t.Run("Should count latencies in buckets of seconds", func(t *testing.T) {
		m := metrics.New("reports")
		handler, err := m.SDK()
		require.NoError(t, err)
		handler.Timer("temporal_wait").Record(30 * time.Millisecond)
		buckets := scrape(t, m)["temporal_wait_seconds"].GetMetric()[0].GetHistogram().GetBucket()
		counts := map[float64]uint64{}
		for _, bucket := range buckets {
			counts[bucket.GetUpperBound()] = bucket.GetCumulativeCount()
		}
		assert.Equal(t, uint64(0), counts[.025])
		assert.Equal(t, uint64(1), counts[.05])
		assert.Contains(t, counts, 60.0)
	})
}
