package activities_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

const (
	benchSchedules = 1000
	benchCallers   = 10
)

// bareCreate creates n schedules in a loop over the SDK's ScheduleClient with ten callers: what a program
// does that has nothing of ours.
func bareCreate(b *testing.B, f *fixture, prefix string, n int) time.Duration {
	ids := make(chan string, n)
	for i := range n {
		ids <- fmt.Sprintf("%s%04d", prefix, i)
	}
	close(ids)
	var callers sync.WaitGroup
	start := time.Now()
	for range benchCallers {
		callers.Go(func() {
			for id := range ids {
				_, err := f.hand.ScheduleClient().Create(b.Context(), client.ScheduleOptions{
					ID: id, Note: "note", Memo: map[string]any{"managed_by": "bench", "project": "bench", "workflow_id": id},
					Spec: client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{
						Hour: []client.ScheduleRange{{Start: 0}}, DayOfMonth: []client.ScheduleRange{{Start: 1}},
						Month: []client.ScheduleRange{{Start: 1}},
					}}},
					Action: &client.ScheduleWorkflowAction{ID: id, Workflow: "Bench", TaskQueue: "bench"},
				})
				assert.NoError(b, err)
			}
		})
	}
	callers.Wait()
	return time.Since(start)
}

// coldUpsert creates the project's schedules as the reconciler does: batches of 500, two at once.
func coldUpsert(b *testing.B, a *activities.Activities, p *config.Project) time.Duration {
	in := batchInput(b, p)
	const size = benchSchedules / 2
	var batches sync.WaitGroup
	start := time.Now()
	for i := 0; i < len(in.Operations); i += size {
		part := in
		part.Operations, part.Callers = in.Operations[i:i+size], benchCallers/2
		batches.Go(func() {
			result, err := runBatch(newEnv(), a.Upsert, part)
			assert.NoError(b, err)
			assert.Equal(b, size, result.Created)
		})
	}
	batches.Wait()
	return time.Since(start)
}

// BenchmarkColdUpsert: a server slows down as schedules gather, so the bare loop runs before and after, in
// the same namespace, and counts with its mean.
func BenchmarkColdUpsert(b *testing.B) {
	var before, ours, after time.Duration
	n := 0.0
	for b.Loop() {
		f := newFixture(b)
		p := newProject(b, "a", many(benchSchedules)...)
		a := f.activities(b, p)
		before += bareCreate(b, f, "before", benchSchedules)
		ours += coldUpsert(b, a, p)
		after += bareCreate(b, f, "after", benchSchedules)
		n += benchSchedules
	}
	b.ReportMetric(n/ours.Seconds(), "schedules/s")
	b.ReportMetric(n/before.Seconds(), "bare-before/s")
	b.ReportMetric(n/after.Seconds(), "bare-after/s")
	b.ReportMetric((before+after).Seconds()/2/ours.Seconds(), "rate-over-bare")
}

// BenchmarkDiff: a diff with nothing to do against one bare list of the same schedules.
func BenchmarkDiff(b *testing.B) {
	f := newFixture(b)
	p := newProject(b, "a", many(benchSchedules)...)
	a := f.activities(b, p)
	coldUpsert(b, a, p)
	unchanged := func() bool {
		result, err := runDiff(newEnv(), a, diffInput(p, activities.PassResync))
		return err == nil && result.Counts.Unchanged == benchSchedules
	}
	// The server is busy with the new schedules for a while, and refuses some calls.
	inARow := 0
	require.Eventually(b, func() bool {
		if inARow++; !unchanged() {
			inARow = 0
		}
		return inARow == 5
	}, 2*time.Minute, 50*time.Millisecond)
	list := func() error {
		iterator, err := f.hand.ScheduleClient().List(b.Context(), client.ScheduleListOptions{
			PageSize: 1000, Query: "ScheduleId STARTS_WITH 'schedule-a-'",
		})
		if err != nil {
			return err
		}
		n := 0
		for iterator.HasNext() {
			if _, err := iterator.Next(); err != nil {
				return err
			}
			n++
		}
		require.Equal(b, benchSchedules, n)
		return nil
	}
	var bare, ours time.Duration
	n, refused := 0, 0
	for b.Loop() {
		start := time.Now()
		err := list()
		middle := time.Now()
		ok := unchanged()
		end := time.Now()
		if err != nil || !ok {
			refused++ // the development server's own limit; such a round compares nothing
			continue
		}
		bare += middle.Sub(start)
		ours += end.Sub(middle)
		n++
	}
	require.Greater(b, n, refused, "the server refuses most rounds")
	b.ReportMetric(float64(bare.Milliseconds())/float64(n), "bare-list-ms")
	b.ReportMetric(float64(ours.Milliseconds())/float64(n), "diff-ms")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "diff-over-list")
}
