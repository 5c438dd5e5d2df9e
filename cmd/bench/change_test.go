package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

const changeRounds = 3

// measureChange edits one file of all. The bare list beside it was measured at rest, while each change but the first finds the audit of
// the one before under way, and stops it.
func (f *fixture) measureChange(t *testing.T) {
	f.rest(t)
	f.measuredList(t)
	var whole, own, reading []time.Duration
	for round := range changeRounds {
		f.pauseForLimits()
		before := f.history(t)
		pass := f.change(t, workflowID(f.n/2), fmt.Sprintf("%d 6 * * *", round))
		if round == 0 {
			f.addHistory(t, "change of one schedule among "+thousands(f.n), before, f.history(t))
		}
		require.Equal(t, 1, pass.Created+pass.Updated+pass.Deleted)
		start := time.Now()
		_, err := config.Load(f.dir)
		require.NoError(t, err)
		reading = append(reading, time.Since(start))
		t.Logf("round %d: %s from the file on, the pass %s, reading the files here %s", round, pass.took, pass.own(), reading[round])
		whole, own = append(whole, pass.took), append(own, pass.own())
	}
	beside := "bare list: " + show(f.list)
	ratio := func(d time.Duration) float64 { return d.Seconds() / f.list.Seconds() }
	beyond := row{what: "one change among " + thousands(f.n) + ": its pass", figure: show(median(own)), against: beside, ratio: times(ratio(median(own)))}
	if f.n > 1000 {
		beyond.budget, beyond.met = "≤ 1.5", ratio(median(own)) <= nothingRatio
	}
	page.add(beyond,
		row{what: "beyond the list, one change among " + thousands(f.n) + " costs", figure: show(median(own) - f.list)},
		row{what: "from the file's change until in sync", figure: show(median(whole)), against: beside, ratio: times(ratio(median(whole)))},
		row{what: "of which reading " + thousands(f.n) + " files", figure: show(median(reading))},
	)
}
