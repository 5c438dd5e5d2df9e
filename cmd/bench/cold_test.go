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
	coldRatio = 0.9
	// coldTime is the longest that a cold reconcile of a thousand may take.
	coldTime = 30 * time.Second
)

// measureCold lets `serve` create all schedules of a project from nothing, some rounds of it, and a bare loop as many. The last
// round's project is the fixture's own, which goes on.
func (f *fixture) measureCold(t *testing.T) {
	var rounds []coldRound
	if os.Getenv(temporaltest.AddressVariable) == "" {
		rounds = f.onFreshServers(t)
	} else {
		rounds = append(rounds, f.onServerGiven(t))
	}
	var bare, whole, own, cpu, slowest time.Duration
	for _, r := range rounds {
		t.Logf("bare %s, ours %s, the pass %s", r.bare, r.took, r.own())
		bare, whole, own, cpu = bare+r.bare, whole+r.took, own+r.own(), cpu+r.cpu
		slowest = max(slowest, r.took)
	}
	mean := func(total time.Duration) time.Duration { return total / time.Duration(len(rounds)) }
	defer f.addHistory(t, "cold pass of "+thousands(f.n), growth{}, rounds[len(rounds)-1].history)
	n := thousands(f.n)
	line := func(what string, total time.Duration, budget string) row {
		ratio := bare.Seconds() / total.Seconds()
		return row{
			what: what, figure: fmt.Sprintf("%s (%s)", perSecond(rate(f.n, mean(total))), show(mean(total))),
			against: "bare loop: " + perSecond(rate(f.n, mean(bare))), ratio: times(ratio), budget: budget, met: ratio >= coldRatio,
		}
	}
	page.add(
		line("cold reconcile of "+n+", from the start of the process until in sync", whole, "≥ 0.9"),
		line("the pass of it", own, ""),
		row{what: "processor time of `serve` in it", figure: show(mean(cpu)), against: "it took " + show(mean(whole)),
			ratio: times(cpu.Seconds() / whole.Seconds())},
	)
	if f.n <= 1000 {
		page.add(row{what: "cold reconcile of " + n + ", the slowest", figure: show(slowest), budget: "≤ 30 s", met: slowest <= coldTime})
	}
}

// coldRound is a cold pass, and the time of the bare loop that it is compared with.
type coldRound struct {
	coldPass
	bare time.Duration
}

// onFreshServers gives each loop and each pass a server of its own. A server is far behind when a loop has ended: it starts a
// workflow for each schedule, and thousands of their tasks still wait. Whoever comes next would pay for that.
func (f *fixture) onFreshServers(t *testing.T) (rounds []coldRound) {
	n := coldRounds(f.n)
	for round := range n {
		var r coldRound
		t.Run(fmt.Sprintf("bare %d", round), func(t *testing.T) {
			r.bare = bareCreate(t, newFixture(t, newServer(t), f.n).client, "cold", f.n)
		})
		if round < n-1 {
			t.Run(fmt.Sprintf("ours %d", round), func(t *testing.T) { r.coldPass = newFixture(t, newServer(t), f.n).cold(t, round) })
		} else {
			r.coldPass = f.cold(t, round)
		}
		rounds = append(rounds, r)
	}
	return rounds
}

// coldRounds: a few seconds vary more than a minute does.
func coldRounds(n int) int {
	if n <= 1000 {
		return 5
	}
	return 3
}

// onServerGiven has the only round there. A server slows as schedules gather, so the loop creates half as many before and half
// as many after, in another namespace.
func (f *fixture) onServerGiven(t *testing.T) (r coldRound) {
	_, c := f.server.Namespace(t)
	r.bare = bareCreate(t, c, "before", f.n/2)
	r.coldPass = f.cold(t, 0)
	r.bare += bareCreate(t, c, "after", f.n-f.n/2)
	return r
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
