package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// paused describes a schedule; answered is false where nobody answers now.
func (s *steered) paused(n int) (paused, answered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	description, err := s.client.ScheduleClient().GetHandle(ctx, "schedule-"+s.project+"-"+workflowID(n)).Describe(ctx)
	return err == nil && description.Schedule.State.Paused, err == nil
}

// observedAt is when the API says that it read Temporal's list.
func (a *steering) observedAt() time.Time {
	a.t.Helper()
	status, answer := a.once(http.MethodGet, "/schedules?page_size=1", "", "")
	if status != http.StatusOK {
		return time.Time{}
	}
	var page manager.ListResult
	require.NoError(a.t, json.Unmarshal([]byte(answer), &page))
	return page.ObservedAt
}

func TestClockThatJumps(t *testing.T) {
	movable := buildMovable(t)
	for name, offset := range map[string]time.Duration{
		"clock-ahead": 2 * time.Hour, "clock-behind": -2 * time.Hour, "clock-day": 24 * time.Hour,
	} {
		t.Run(fmt.Sprint("Should reconcile, keep overrides and end them in time where the clock jumps by ", offset), func(t *testing.T) {
			t.Parallel()
			s := newSteered(t, name, 100)
			c := &clock{file: filepath.Join(t.TempDir(), "offset")}
			var replica *schedulestest.Process
			replica, c.api = serveAPI(t, c.env(s.env(server.Address())), movable, s.dir, "--resync-interval", "5s", "--temporal-rps", "20")
			s.until(20, replica.Log)
			const lasts = 45 * time.Second
			expiring := time.Now()
			c.api.write(http.MethodPut, "/schedules/wf-0010", fmt.Sprintf(`{"enabled":false,"hold":true,"expires_in":%q}`, lasts))
			schedulestest.Eventually(t, replica.Log, func() bool { paused, _ := s.paused(10); return paused })
			c.jump(offset) // the cold pass is under way

			s.steer(c.api, 0)
			s.until(98, replica.Log)
			s.hour(6, 20, 21, 22)
			s.passes(2, replica.Log)
			if paused, answered := s.paused(10); answered && !paused {
				assert.GreaterOrEqual(t, time.Since(expiring), lasts, "the override ended before its time")
			}
			schedulestest.Eventually(t, replica.Log, func() bool { return c.shows(c.api.observedAt()) })
			schedulestest.Eventually(t, replica.Log, func() bool { paused, answered := s.paused(10); return answered && !paused })
			assert.GreaterOrEqual(t, time.Since(expiring), lasts, "the override ended before its time")
			s.requireWhole(replica.Log)

			s.edit(7, 40)
			s.steer(c.api, 60)
			c.jump(0)
			s.steer(c.api, 70)
			s.edit(8, 80)
			schedulestest.Eventually(t, replica.Log, func() bool { return c.shows(c.api.observedAt()) })
			s.requireWhole(replica.Log)
			require.Zero(t, replica.Terminate(), replica.Log())
		})
	}
	t.Run("Should take the limit of requests from the time that passes, not from the clock", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "clock-limit", 1)
		c := &clock{file: filepath.Join(t.TempDir(), "offset")}
		const perMinute = 10
		replica, api := serveAPI(t, c.env(s.env(server.Address())), movable, s.dir, "--rate-limit", fmt.Sprint(perMinute))
		c.api = api
		s.until(1, replica.Log)
		allowed := func(requests int) (count int) {
			for range requests {
				response, err := http.Get(api.url + "/api/v0/reconciler")
				require.NoError(t, err)
				response.Body.Close()
				if response.StatusCode != http.StatusTooManyRequests {
					count++
				}
			}
			return count
		}
		for _, offset := range []time.Duration{2 * time.Hour, 0, -2 * time.Hour, 24 * time.Hour, 0} {
			start := time.Now()
			allowed(2 * perMinute) // nothing is left
			c.jump(offset)
			assert.LessOrEqual(t, allowed(perMinute), 1+int(time.Since(start).Minutes()*perMinute), "the jump to %s filled the bucket", offset)
		}
		schedulestest.Eventually(t, replica.Log, func() bool { return allowed(1) == 1 })
		assert.Zero(t, replica.Terminate(), replica.Log())
	})
	t.Run("Should not take a schedule away because a clock ahead calls it ended", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "clock-end", 3)
		ending := fmt.Sprintf(`{cron: "0 5 * * *", end_at: %q}`, time.Now().Add(12*time.Hour).UTC().Format(time.RFC3339))
		schedulestest.Workflow(t, s.dir, "wf-0001", ending)
		c := &clock{file: filepath.Join(t.TempDir(), "offset")}
		var replica *schedulestest.Process
		replica, c.api = serveAPI(t, c.env(s.env(server.Address())), movable, s.dir, "--resync-interval", "2s", "--audit-interval", "2s")
		s.until(3, replica.Log)
		c.jump(24 * time.Hour)
		schedulestest.Workflow(t, s.dir, "wf-0002", ending) // it is there
		schedulestest.Workflow(t, s.dir, "wf-0003", ending) // it is new
		s.signal(workflows.SignalResync, nil)
		schedulestest.Eventually(t, replica.Log, func() bool { return s.status().Counts.Desired == 4 })
		s.passes(3, replica.Log)
		assert.Subset(t, slices.Collect(maps.Keys(s.listed())), []string{"schedule-clock-end-wf-0000", "schedule-clock-end-wf-0001", "schedule-clock-end-wf-0002"})
		c.jump(0)
		s.until(4, replica.Log)
		s.requireWhole(replica.Log)
		assert.Zero(t, replica.Terminate(), replica.Log())
	})
}
