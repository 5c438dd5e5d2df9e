package bench_test

import "testing"

// TestSmall and TestLarge reconcile a project of a tenth of -schedules, and one of all. Each part brings the project
// up where no part before it did, so that one can be run alone: -run 'TestLarge/change'.
func TestSmall(t *testing.T) { reconciling(t, small()) }

func TestLarge(t *testing.T) { reconciling(t, large()) }

// reconciling runs the parts in the order that leaves the least to wait for: after a change an audit is under way.
func reconciling(t *testing.T, n int) {
	t.Helper()
	page.begin(thousands(n) + " schedules")
	f := newFixture(t, newServer(t), n)
	t.Run("cold", f.measureCold)
	t.Run("nothing", f.measureNothing)
	t.Run("peer", f.measurePeer)
	t.Run("history", f.measureHistory)
	t.Run("change", f.measureChange)
	t.Run("memory", f.measureMemory)
}
