package bench_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/worker/temporaltest"
)

const (
	coldRatio  = 0.9
	coldRounds = 3
	// coldTime is the longest that a cold reconcile of a thousand may take.
	coldTime = 30 * time.Second
)

// measureCold lets `serve` create all schedules of a project from nothing, coldRounds times, each on a fresh server: one slows
// as schedules gather. For the same reason a bare loop creates half as many before and half as many after, in another
// namespace. The last round's project is the fixture's own, which goes on. A server that is given has the only round.
func (f *fixture) measureCold(t *testing.T) {
	var bare, whole, own, cpu []time.Duration
	var ratios, ownRatios []float64
	var history growth
	measure := func(t *testing.T, round int, project *fixture) {
		_, c := project.server.Namespace(t)
		before := bareCreate(t, c, "before", f.n/2)
		cold := project.cold(t, round)
		after := bareCreate(t, c, "after", f.n-f.n/2)
		t.Logf("bare %s and %s, ours %s, the pass %s", before, after, cold.took, cold.own())
		bare, whole, own = append(bare, before+after), append(whole, cold.took), append(own, cold.own())
		ratios = append(ratios, (before+after).Seconds()/cold.took.Seconds())
		ownRatios = append(ownRatios, (before+after).Seconds()/cold.own().Seconds())
		cpu, history = append(cpu, cold.cpu), cold.history
	}
	if os.Getenv(temporaltest.AddressVariable) == "" {
		for round := range coldRounds - 1 {
			t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) { measure(t, round, newFixture(t, newServer(t), f.n)) })
		}
	}
	measure(t, coldRounds-1, f)
	defer f.addHistory(t, "cold pass of "+thousands(f.n), growth{}, history)
	n := thousands(f.n)
	line := func(what string, took time.Duration, ratio float64, budget string) row {
		return row{
			what: what, figure: fmt.Sprintf("%s (%s)", perSecond(rate(f.n, took)), show(took)),
			against: "bare loop: " + perSecond(rate(f.n, median(bare))), ratio: times(ratio), budget: budget, met: ratio >= coldRatio,
		}
	}
	end, ratio := median(whole), median(ratios)
	page.add(
		line("cold reconcile of "+n+", from the start of the process until in sync", end, ratio, "≥ 0.9"),
		line("the pass of it", median(own), median(ownRatios), ""),
		row{what: "processor time of `serve` in it", figure: show(median(cpu)), against: "it took " + show(end),
			ratio: times(median(cpu).Seconds() / end.Seconds())},
	)
	if f.n <= 1000 {
		page.add(row{what: "cold reconcile of " + n + ", the slowest", figure: show(longest(whole)), budget: "≤ 30 s", met: longest(whole) <= coldTime})
	}
}

type coldPass struct {
	pass
	cpu     time.Duration
	history growth
}

// cold starts the processes on a project without schedules, waits until it is in sync, and stops them: the audit that
// follows would slow the bare loop down.
func (f *fixture) cold(t *testing.T, round int) coldPass {
	t.Helper()
	var profiled func()
	cold := coldPass{pass: f.awaitPass(t, activities.PassStart, func() {
		f.serve(t)
		profiled = f.profile(t, fmt.Sprintf("cold-%d-round%d", f.n, round), coldSeconds(f.n))
	})}
	cold.cpu = f.cpu(t)
	require.Equal(t, f.n, cold.Created)
	profiled()
	f.heap(t, fmt.Sprintf("cold-%d-round%d", f.n, round))
	cold.history = f.history(t)
	f.stop(t)
	return cold
}

// coldSeconds is about how long a cold pass takes.
func coldSeconds(n int) int { return 1 + n/250 }

func longest(values []time.Duration) time.Duration {
	var longest time.Duration
	for _, value := range values {
		longest = max(longest, value)
	}
	return longest
}
