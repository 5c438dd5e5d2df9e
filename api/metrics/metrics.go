// Package metrics is what Prometheus scrapes of one process: what it did, and what it knows of its
// project. Names follow https://prometheus.io/docs/practices/naming; no label has a workflow's id, so that a
// project of thousands costs no more series than one of ten. docs/monitoring.md lists them.
package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// Metrics of one process.
type Metrics struct {
	registry   *prometheus.Registry
	operations *prometheus.CounterVec
	passes     *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	requests   *prometheus.CounterVec
	latency    *prometheus.HistogramVec

	mu sync.Mutex
	// passSince is when the pass began that is under way in this process; zero where there is none.
	passSince time.Time
}

// New makes the metrics of a process that serves one project. Its series are there from the start: an
// alert on a counter's rise needs the value before it.
func New(project string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "compozy_schedule_operations_total",
			Help: "Calls that create, update (pause and resume too) or delete a schedule.",
		}, []string{"operation", "status"}),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "compozy_schedule_passes_total",
			Help: "Passes of the reconciler that ended in this process, by how they ended.",
		}, []string{"project", "phase"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "compozy_schedule_reconcile_duration_seconds",
			Help:    "How long the passes took that ended in this process.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"project"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "compozy_schedule_api_requests_total",
			Help: "Answers of the REST API.",
		}, []string{"method", "route", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "compozy_schedule_api_request_duration_seconds",
			Help:    "How long the REST API took to answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
	}
	m.registry.MustRegister(m.operations, m.passes, m.durations, m.requests, m.latency,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, operation := range []activities.Kind{activities.Create, activities.Update, activities.Delete} {
		m.operations.WithLabelValues(string(operation), statusSuccess)
		m.operations.WithLabelValues(string(operation), statusFailure)
	}
	for _, phase := range endPhases {
		m.passes.WithLabelValues(project, string(phase))
	}
	m.durations.WithLabelValues(project)
	return m
}

// The statuses of an operation.
const (
	statusSuccess = "success"
	statusFailure = "failure"
)

// endPhases are the phases in which a pass ends; still reconciling where a newer revision cut it short.
var endPhases = []workflows.Phase{
	workflows.PhaseReconciling,
	workflows.PhaseInSync, workflows.PhaseOutOfSync, workflows.PhaseBlocked, workflows.PhaseNoWorker,
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Operation counts a call that writes a schedule.
func (m *Metrics) Operation(operation activities.Kind, err error) {
	status := statusSuccess
	if err != nil {
		status = statusFailure
	}
	m.operations.WithLabelValues(string(operation), status).Inc()
}

// PassStarted is told each pass that begins in this process.
func (m *Metrics) PassStarted(string) { m.passing(time.Now()) }

// PassEnded is told each pass that ends in this process.
func (m *Metrics) PassEnded(project string, phase workflows.Phase, took time.Duration) {
	m.passing(time.Time{})
	m.durations.WithLabelValues(project).Observe(took.Seconds())
	m.passes.WithLabelValues(project, string(phase)).Inc()
}

func (m *Metrics) passing(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passSince = since
}

// inflight reports whether a pass is under way in this process. One that began here may have ended in another
// process, which took the reconciler over: what the reconciler says tells.
func (m *Metrics) inflight(s workflows.Status) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.passSince.IsZero() && (s.LastPass == nil || s.LastPass.FinishedAt.Before(m.passSince))
}

// Request counts an answer of the API. route is the path's template; other for paths that are none of ours.
func (m *Metrics) Request(method, route string, code int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(code)).Inc()
	m.latency.WithLabelValues(method, route).Observe(took.Seconds())
}
