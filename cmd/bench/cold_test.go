package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/activities"
)

const (
	coldRatio = 0.9
	// coldTime is the longest that a cold reconcile of a thousand may take.
	coldTime = 30 * time.Second
)

// measureCold lets `serve` create all schedules of a project from nothing, the given number of times, each in a namespace of its own. A server
// slows as schedules gather, so a bare loop creates half as many before and half as many after, in another namespace.
// The last round's project is the fixture's own, which goes on.
func (f *fixture) measureCold(t *testing.T, rounds int) {
	var bare, whole, own, cpu []time.Duration
	var history growth
	for round := range rounds {
		project := f
		if round < rounds-1 {
			project = newFixture(t, f.server, f.n)
		}
		_, c := f.server.Namespace(t)
		before := bareCreate(t, c, "before", f.n/2)
		cold := project.cold(t, round)
		after := bareCreate(t, c, "after", f.n-f.n/2)
		t.Logf("round %d: bare %s and %s, ours %s, the pass %s", round, before, after, cold.took, cold.own())
		bare, whole, own = append(bare, before+after), append(whole, cold.took), append(own, cold.own())
		cpu, history = append(cpu, cold.cpu), cold.history
	}
	defer f.addHistory(t, "cold pass of "+thousands(f.n), growth{}, history)
	n := thousands(f.n)
	bareRate := rate(f.n, median(bare))
	line := func(what string, took time.Duration, budget string, met bool) row {
		return row{
			what: what, figure: fmt.Sprintf("%s (%s)", perSecond(rate(f.n, took)), show(took)), against: "bare loop: " + perSecond(bareRate),
			ratio: times(rate(f.n, took) / bareRate), budget: budget, met: met,
		}
	}
	end := median(whole)
	page.add(
		line("cold reconcile of "+n+", from the start of the process until in sync", end, "≥ 0.9", rate(f.n, end)/bareRate >= coldRatio),
		line("the pass of it", median(own), "", true),
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
