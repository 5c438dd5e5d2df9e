package bench_test

import "testing"

// TestSmall and TestLarge reconcile a project of a tenth of -schedules, and one of all. Each part brings the project
// up where no part before it did, so that one can be run alone: -run 'TestLarge/change'.
func TestSmall(t *testing.T) { reconciling(t, small(), 3) }

func TestLarge(t *testing.T) { reconciling(t, large(), 1) }

// reconciling runs the parts in the order that leaves the least to wait for: after a change an audit is under way.
func reconciling(t *testing.T, n, colds int) {
	t.Helper()
	page.begin(thousands(n) + " schedules")
	server := newServer(t)
	f := newFixture(t, server, n)
	t.Run("cold", func(t *testing.T) { f.measureCold(t, colds) })
	t.Run("nothing", f.measureNothing)
	t.Run("peer", f.measurePeer)
	t.Run("history", f.measureHistory)
	t.Run("change", f.measureChange)
	t.Run("memory", f.measureMemory)
}
