package bench_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const maxMemory = 150 // MiB

// measureMemory tells the most that a process ever had in memory, over the parts that were run before.
func (f *fixture) measureMemory(t *testing.T) {
	if len(f.served) == 0 {
		f.rest(t)
	}
	f.remember()
	f.heap(t, fmt.Sprintf("rest-%d", f.n))
	peak := row{what: "memory of `serve` at " + thousands(f.n) + ", the peak", figure: mebibytes(f.peak)}
	if f.n > 1000 {
		peak.budget, peak.met = "< 150 MiB", f.peak < maxMemory
	}
	page.add(peak, row{what: "the same, at rest", figure: mebibytes(f.resting)})
}

func mebibytes(n float64) string { return fmt.Sprintf("%.0f MiB", n) }

// remember keeps the peak over processes that have ended.
func (f *fixture) remember() { f.peak = max(f.peak, f.memory("VmHWM")) }

// memory is what the largest process needs, in MiB, by a field of its status.
func (f *fixture) memory(name string) float64 {
	var most float64
	for _, process := range f.served {
		var kilobytes float64
		if _, err := fmt.Sscanf(field(fmt.Sprintf("/proc/%d/status", process.PID()), name), "%f kB", &kilobytes); err == nil {
			most = max(most, kilobytes/1024)
		}
	}
	return most
}

// cpu is the processor time that the processes have taken since they started.
func (f *fixture) cpu(t *testing.T) time.Duration {
	t.Helper()
	var ticks int
	for _, process := range f.served {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.PID()))
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), ") ") // the command's name may hold anything
		var user, system int
		fields := strings.Fields(rest)
		_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		require.NoError(t, err)
		ticks += user + system
	}
	return time.Duration(ticks) * 10 * time.Millisecond // Linux counts hundredths of a second
}
