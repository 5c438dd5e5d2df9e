package soak_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
)

// A tenth of Temporal's limits for one run: 51,200 events and 50 MiB.
const (
	maxEvents = 5120
	maxBytes  = 5 << 20
)

// sample is what a round leaves behind.
type sample struct {
	round, actions, faults int
	after                  time.Duration
	// Of the replica that is never killed.
	rss, goroutines, files float64
	// The highest of the others: they start anew now and then.
	othersRSS float64
	// Of the reconciler: its current run, and how many there were.
	events, bytes, runs int64
}

func (w *world) sample() {
	s := sample{round: w.rounds, actions: w.actions, faults: w.faults, after: time.Since(w.start)}
	pid := w.replicas[steady].process.PID()
	s.rss = rss(w.t, pid)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	require.NoError(w.t, err)
	s.files = float64(len(entries))
	for _, r := range w.replicas[1:] {
		s.othersRSS = max(s.othersRSS, rss(w.t, r.process.PID()))
	}
	var metrics string
	require.NoError(w.t, w.get(w.replicas[steady], "/metrics", &metrics))
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			_, err := fmt.Sscan(value, &s.goroutines)
			require.NoError(w.t, err)
		}
	}
	require.Positive(w.t, s.goroutines, "the metrics have no go_goroutines")
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	run, err := w.client.DescribeWorkflowExecution(ctx, "schedule-reconciler-"+project, "")
	require.NoError(w.t, err)
	s.events, s.bytes = run.GetWorkflowExecutionInfo().GetHistoryLength(), run.GetWorkflowExecutionInfo().GetHistorySizeBytes()
	count, err := w.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: "WorkflowId = 'schedule-reconciler-" + project + "'",
	})
	require.NoError(w.t, err)
	s.runs = count.GetCount()
	w.samples = append(w.samples, s)
	w.t.Logf("%s", s)
	assert.Less(w.t, s.events, int64(maxEvents), "events of the reconciler's run")
	assert.Less(w.t, s.bytes, int64(maxBytes), "bytes of the reconciler's run")
}

const header = "round  after    actions  faults  RSS MiB  others  goroutines  files  events  KiB  runs"

func (s sample) String() string {
	return fmt.Sprintf("%5d  %-7s  %7d  %6d  %7.1f  %6.1f  %10.0f  %5.0f  %6d  %3d  %4d", s.round, s.after.Round(time.Second),
		s.actions, s.faults, s.rss/1024, s.othersRSS/1024, s.goroutines, s.files, s.events, s.bytes/1024, s.runs)
}

// report prints what became of everything over time, and holds that nothing grows.
func (w *world) report() {
	const rows = 20
	lines := []string{header}
	last := -1
	for row := range rows {
		if i := row * (len(w.samples) - 1) / (rows - 1); i != last {
			lines = append(lines, w.samples[i].String())
			last = i
		}
	}
	w.t.Logf("-seed %d, the development server hung %d times\n%s", w.seed, w.hangs, strings.Join(lines, "\n"))
	of := func(value func(sample) float64) (values []float64) {
		for _, s := range w.samples {
			values = append(values, value(s))
		}
		return values
	}
	const slackRSS, slackGoroutines, slackFiles = 20 * 1024, 30, 20
	assert.Empty(w.t, grows("RSS in KiB", of(func(s sample) float64 { return s.rss }), slackRSS))
	assert.Empty(w.t, grows("goroutines", of(func(s sample) float64 { return s.goroutines }), slackGoroutines))
	assert.Empty(w.t, grows("open files", of(func(s sample) float64 { return s.files }), slackFiles))
}

// grows says that a value grows without end: its median over the last third is far above that of the middle third.
// The first third is warming up.
func grows(name string, values []float64, slack float64) string {
	third := len(values) / 3
	if third == 0 {
		return ""
	}
	middle, last := median(values[third:2*third]), median(values[2*third:])
	if last <= 1.25*middle+slack {
		return ""
	}
	return fmt.Sprintf("%s grow: median %.0f in the middle third, %.0f in the last", name, middle, last)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// rss is a process's resident memory, in KiB.
func rss(t require.TestingT, pid int) (kib float64) {
	_, err := fmt.Sscan(procField(pid, "VmRSS:"), &kib)
	require.NoError(t, err)
	return kib
}

func procField(pid int, name string) string {
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	defer status.Close()
	lines := bufio.NewScanner(status)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
