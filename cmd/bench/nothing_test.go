package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	nothingRatio  = 1.5
	nothingRounds = 7
)

// measureNothing compares passes that find nothing to do with a bare list of the same schedules, in turn. A round in which
// Temporal refused a call because of its limits compares nothing.
func (f *fixture) measureNothing(t *testing.T) {
	f.rest(t)
	profiled := f.profile(t, fmt.Sprintf("nothing-%d", f.n), nothingSeconds(f.n))
	var bare, own, whole []time.Duration
	for round := 0; len(bare) < nothingRounds; round++ {
		require.Less(t, round, 5*nothingRounds, "Temporal refuses most rounds")
		f.pauseForLimits()
		refused := f.refusals(t)
		list, n := f.bareList(t)
		f.pauseForLimits()
		resync := f.resync(t)
		if f.refusals(t) > refused {
			t.Logf("round %d met a limit and does not count: list %s, pass %s", round, list, resync.own())
			continue
		}
		require.Equal(t, f.n, n)
		require.Zero(t, resync.Created+resync.Updated+resync.Deleted)
		t.Logf("round %d: bare list %s, pass %s, from the signal on %s", round, list, resync.own(), resync.took)
		bare, own, whole = append(bare, list), append(own, resync.own()), append(whole, resync.took)
	}
	profiled()
	f.list = median(bare)
	ratio := median(own).Seconds() / f.list.Seconds()
	beside := "bare list: " + show(f.list)
	page.add(
		row{
			what: "pass over " + thousands(f.n) + " with nothing to do", figure: show(median(own)), against: beside,
			ratio: times(ratio), budget: "≤ 1.5", met: ratio <= nothingRatio,
		},
		row{
			what: "the same, from the signal until it is seen", figure: show(median(whole)), against: beside,
			ratio: times(median(whole).Seconds() / f.list.Seconds()),
		},
	)
}

// nothingSeconds is about how long the rounds take.
func nothingSeconds(n int) int { return 3 + 2*nothingRounds*n/2500 }

// measurePeer is the same pass as reconcilers do it that describe each schedule.
func (f *fixture) measurePeer(t *testing.T) {
	f.rest(t)
	f.measuredList(t)
	var peer, own []time.Duration
	for range max(1, min(3, 3000/f.n)) {
		peer = append(peer, f.barePeer(t))
		own = append(own, f.resync(t).own())
	}
	page.add(row{
		what: "the same by a reconciler that describes each schedule, ten at once", figure: show(median(peer)),
		against: "our pass: " + show(median(own)), ratio: times(median(peer).Seconds() / median(own).Seconds()),
	})
}

// measuredList makes sure that the time of a bare list is known.
func (f *fixture) measuredList(t *testing.T) {
	t.Helper()
	if f.list > 0 {
		return
	}
	var bare []time.Duration
	for range 3 {
		f.pauseForLimits()
		list, _ := f.bareList(t)
		bare = append(bare, list)
	}
	f.list = median(bare)
}
