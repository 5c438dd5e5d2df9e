package faults_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// told waits until a replica has told the reconciler the revision of its files, for the nth time.
func told(t *testing.T, p *schedulestest.Process, n int) {
	t.Helper()
	schedulestest.Eventually(t, p.Log, func() bool {
		return strings.Count(p.Log(), "told the reconciler the revision") >= n
	})
}

// observe looks at the hours of all schedules until stop, which says which schedules went back to an earlier one.
func (s *steered) observe() (stop func() (back []string)) {
	var back []string
	latest := map[string]int{}
	end := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			for id, hour := range s.listed() {
				if hour < latest[id] {
					back = append(back, fmt.Sprintf("%s from %d to %d", id, latest[id], hour))
				}
				latest[id] = hour
			}
			select {
			case <-end:
				return
			default:
			}
		}
	})
	return func() []string {
		close(end)
		looking.Wait()
		return back
	}
}

func TestNetworkThatCutsOneOff(t *testing.T) {
	const n = 100
	t.Run("Should finish a cold pass without the one, and take it back", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "cut-cold", n)
		i := newIsland(t, server.Address())
		far := i.serve(s.env(i.address), s.dir, "--temporal-rps", "20")
		told(t, far, 1)
		s.until(10, far.Log) // it alone is at work
		near, api := serveAPI(t, s.env(server.Address()), binary, s.dir)
		i.cut()
		cut := time.Now()
		log := func() string { return "near:\n" + near.Log() + "\nfar:\n" + far.Log() }
		s.until(n, log)
		s.steer(api, 0)
		s.edit(6, 20)
		s.until(n-1, log) // two are deleted, one is gone, two came
		s.steer(api, 40)
		s.edit(7, 60)
		s.requireWhole(log)
		time.Sleep(time.Until(cut.Add(45 * time.Second))) // until its own connection is given up
		observed := s.observe()
		mended := strings.Count(far.Log(), "told the reconciler the revision")
		i.mend()
		told(t, far, mended+1)
		s.steer(api, 80)
		near.Kill() // it alone again
		s.hour(8, numbers(20, 30)...)
		schedulestest.Eventually(t, log, func() bool { return s.listed()["schedule-cut-cold-wf-0020"] == 8 })
		s.requireWhole(log)
		assert.Empty(t, observed(), "schedules that went back to an earlier revision")
		assert.Zero(t, far.Terminate())
	})
	t.Run("Should not let the one bring an older revision back", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "cut-old", n)
		old := schedulestest.Project(t, "cut-old", n)
		i := newIsland(t, server.Address())
		far := i.serve(s.env(i.address), old, "--generation", "1", "--temporal-rps", "20")
		told(t, far, 1)
		s.until(n, far.Log)
		observed := s.observe()
		hours(t, old, 6, numbers(0, n)...)
		schedulestest.Eventually(t, far.Log, func() bool { // it is amid its updates
			moved := 0
			for hour := range maps.Values(s.listed()) {
				if hour == 6 {
					moved++
				}
			}
			return moved > 10
		})
		i.cut()
		cut := time.Now()
		hours(t, s.dir, 7, numbers(0, n)...)
		near, api := serveAPI(t, s.env(server.Address()), binary, s.dir, "--generation", "2")
		log := func() string { return "near:\n" + near.Log() + "\nfar:\n" + far.Log() }
		s.requireWhole(log)
		s.steer(api, 0)
		hours(t, old, 5, numbers(0, n/2)...) // a revision that only it has, and wants to tell
		time.Sleep(time.Until(cut.Add(45 * time.Second)))
		i.mend()
		schedulestest.Eventually(t, log, func() bool {
			refused := s.status().Refused
			return refused != nil && refused.Generation == 1
		})
		s.steer(api, 20)
		s.signal(workflows.SignalResync, nil)
		s.requireWhole(log)
		assert.Empty(t, observed(), "schedules that went back to an earlier revision")
		assert.Zero(t, far.Terminate())
		assert.Zero(t, near.Terminate())
	})
}
