package activities_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// many are n workflows w0000 …, with a schedule that does not fire during a test.
func many(n int, changes ...func(*config.Workflow)) []config.Workflow {
	workflows := make([]config.Workflow, n)
	for i := range workflows {
		workflows[i] = daily(fmt.Sprintf("w%04d", i), append([]func(*config.Workflow){cron("0 0 1 1 *", "")}, changes...)...)
	}
	return workflows
}

func TestDiff(t *testing.T) {
	t.Parallel()
	t.Run("Should see what changed in git, and what by hand", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		before := newProject(t, "a", many(8)...)
		f.upsert(t, before)
		f.settled(t, before, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == 8 })

		f.pause(t, "schedule-a-w0000", "Paused via UI")
		f.edit(t, "schedule-a-w0001", func(s *schedulepb.Schedule) { s.Spec.TimezoneName = "Asia/Tokyo" })
		f.edit(t, "schedule-a-w0002", func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().WorkflowType.Name = "Other" })
		resync := f.settled(t, before, activities.PassResync, func(d activities.DiffResult) bool {
			return d.Counts.Update == 1 && d.ProblemCount == 2
		})
		assert.Equal(t, activities.Counts{Desired: 8, Owned: 8, Paused: 1, Unchanged: 5, Drifted: 2, Update: 1}, resync.Counts)
		assert.Equal(t, []string{"w0001", "w0002"}, resync.Drifted)
		assert.Equal(t, []activities.Operation{operation(t, before, activities.Update, "w0000")}, resync.Operations,
			"the note is restored, the pause kept")
		assert.Contains(t, resync.Problems[0].Message, "timezone")
		assert.Contains(t, resync.Problems[1].Message, "workflow_type")

		workflows := many(10)[1:] // w0000 goes, w0008 and w0009 come
		workflows[3] = daily("w0004", cron("0 1 1 1 *", ""))
		workflows[4].Schedule.Enabled = new(false)
		after := newProject(t, "a", workflows...)
		reload := f.diff(t, after, activities.PassReload)
		paused := operation(t, after, activities.Update, "w0005")
		paused.Paused = new(true)
		assert.Equal(t, []activities.Operation{
			{Kind: activities.Delete, WorkflowID: "w0000"},
			operation(t, after, activities.Update, "w0004"),
			paused,
			operation(t, after, activities.Create, "w0008"),
			operation(t, after, activities.Create, "w0009"),
		}, reload.Operations)
		assert.False(t, reload.More)
	})

	t.Run("Should ask about recent writes that the list contradicts", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", many(3)...)
		f.upsert(t, p)
		f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == 3 })
		require.NoError(t, f.hand.ScheduleClient().GetHandle(t.Context(), "schedule-a-w0002").Delete(t.Context()))
		f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Create == 1 })
		recent := []activities.Write{
			{WorkflowID: "w0000", Spec: "000000000000"},                                   // the list shows another hash
			{WorkflowID: "w0001", Deleted: true},                                          // deleted, listed
			{WorkflowID: "w0002", Spec: operation(t, p, activities.Create, "w0002").Spec}, // created, not listed
		}
		var result activities.DiffResult
		calls := f.rpcs.during(func() { result = f.diff(t, p, activities.PassResync, recent...) })
		assert.Equal(t, 3, calls["DescribeSchedule"])
		assert.Equal(t, activities.Counts{Desired: 3, Owned: 2, Unchanged: 2, Create: 1}, result.Counts)
	})

	t.Run("Should refuse work for another revision or project", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", daily("w"))
		a := f.activities(t, p)
		for _, change := range []func(*activities.DiffInput){
			func(in *activities.DiffInput) { in.Revision = "000000000000" },
			func(in *activities.DiffInput) { in.Project = "b" },
		} {
			in := diffInput(p, activities.PassResync)
			change(&in)
			calls := f.rpcs.during(func() {
				_, err := runDiff(newEnv(), a, in)
				requireNonRetryable(t, err, "WrongRevision")
			})
			assert.Empty(t, calls)
		}
	})

	t.Run("Should not retry where the namespace does not exist", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		a, err := activities.New(newServer(f.client.WorkflowService(), "nowhere"), newProject(t, "a"))
		require.NoError(t, err)
		_, err = runDiff(newEnv(), a, diffInput(newProject(t, "a"), activities.PassResync))
		requireNonRetryable(t, err, "Refused")
	})
}

func TestDiffOfMany(t *testing.T) {
	t.Parallel()
	const n = 1100
	f := newFixture(t)
	p := newProject(t, "a", many(n)...)
	in := batchInput(t, p)
	in.Callers = 10
	a := f.activities(t, p)
	result, err := runBatch(newEnv(), a.Upsert, in)
	require.NoError(t, err)
	require.Equal(t, n, result.Created)
	f.settled(t, p, activities.PassResync, func(d activities.DiffResult) bool { return d.Counts.Unchanged == n })

	t.Run("Should read on beyond one page, without a describe or a write where nothing changed", func(t *testing.T) {
		for _, kind := range []activities.PassKind{activities.PassStart, activities.PassReload, activities.PassResync} {
			var result activities.DiffResult
			calls := f.rpcs.during(func() { result = f.diff(t, p, kind) })
			assert.Equal(t, map[string]int{"ListSchedules": 2}, calls)
			assert.Equal(t, activities.DiffResult{Counts: activities.Counts{Desired: n, Owned: n, Unchanged: n}}, result)
		}
	})
	t.Run("Should fail where the second page fails, never answer a short list", func(t *testing.T) {
		for name, status := range map[string]error{
			"unavailable": serviceerror.NewUnavailable("away"),
			"over limit":  serviceerror.NewResourceExhausted(0, "namespace rate limit exceeded"),
		} {
			service := &failingList{WorkflowServiceClient: f.client.WorkflowService(), failure: status}
			a, err := activities.New(newServer(service, f.namespace), p)
			require.NoError(t, err)
			result, err := runDiff(newEnv(), a, diffInput(p, activities.PassReload))
			requireRetryable(t, err)
			assert.Empty(t, result)
			assert.Equal(t, 6, service.pages, "%s: the first page once, the second five times", name)
		}
	})
	t.Run("Should list ownership, state and next runs", func(t *testing.T) {
		var entries []activities.Listed
		calls := f.rpcs.during(func() {
			var err error
			entries, err = f.server().List(t.Context(), activities.Scope{Project: "a"})
			require.NoError(t, err)
		})
		assert.Equal(t, map[string]int{"ListSchedules": 2}, calls, "a page holds 1,000")
		require.Len(t, entries, n)
		seen := map[string]bool{}
		for _, entry := range entries {
			seen[entry.Owner.WorkflowID] = true
			require.True(t, entry.OwnedBy("a"))
			assert.False(t, entry.OwnedBy("b"))
			assert.Len(t, entry.NextRuns, 5)
			assert.NotNil(t, entry.Spec)
			assert.Equal(t, entry.Owner.WorkflowID, entry.WorkflowType)
		}
		assert.Len(t, seen, n)
		slim, err := f.server().List(t.Context(), activities.Scope{Project: "a", NoSpecs: true})
		require.NoError(t, err)
		require.Len(t, slim, n)
		assert.Nil(t, slim[0].Spec)
		entries, err = f.server().List(t.Context(), activities.Scope{Project: "b"})
		require.NoError(t, err)
		assert.Empty(t, entries)
	})
}

// failingList fails from the second page on, which the real server cannot be made to do.
type failingList struct {
	workflowservice.WorkflowServiceClient
	failure error
	pages   int
}

func (s *failingList) ListSchedules(
	ctx context.Context, in *workflowservice.ListSchedulesRequest, o ...grpc.CallOption,
) (*workflowservice.ListSchedulesResponse, error) {
	s.pages++
	if s.pages > 1 {
		return nil, s.failure
	}
	return s.WorkflowServiceClient.ListSchedules(ctx, in, o...)
}

func TestDiffInParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const n = 2*activities.MaxOperations + 7
	p := newProject(t, "a", many(n)...) // none exists, so a pass has n creates
	a := f.activities(t, p)
	in := diffInput(p, activities.PassStart)
	next := func(in activities.DiffInput) (result activities.DiffResult, lists int) {
		calls := f.rpcs.during(func() {
			var err error
			result, err = runDiff(newEnv(), a, in)
			require.NoError(t, err)
		})
		return result, calls["ListSchedules"]
	}
	t.Run("Should answer all operations, each once, with one list", func(t *testing.T) {
		var got []string
		lists, answers := 0, 0
		for more := true; more; answers++ {
			result, listed := next(in)
			lists += listed
			assert.Equal(t, activities.Counts{Desired: n, Create: n}, result.Counts)
			assert.LessOrEqual(t, len(result.Operations), activities.MaxOperations)
			for _, op := range result.Operations {
				got = append(got, op.WorkflowID)
			}
			in.After, more = got[len(got)-1], result.More
		}
		var want []string
		for _, w := range p.Workflows {
			want = append(want, w.ID)
		}
		assert.Equal(t, want, got)
		assert.Equal(t, 3, answers)
		assert.Equal(t, 1, lists)
	})
	t.Run("Should list again for a part whose plan is lost, and go on at the same place", func(t *testing.T) {
		in.After = "w1999"
		result, lists := next(in) // the pass above ended, so its plan is forgotten
		assert.Equal(t, 1, lists)
		assert.Equal(t, "w2000", result.Operations[0].WorkflowID)
		assert.True(t, result.More)
	})
	t.Run("Should not answer one pass with another's plan", func(t *testing.T) {
		in.Pass, in.After = "2", "w1999"
		_, lists := next(in)
		assert.Equal(t, 1, lists)
	})
	t.Run("Should list anew at the start of a pass, also of a repeated one", func(t *testing.T) {
		in.After = ""
		_, lists := next(in)
		assert.Equal(t, 1, lists)
		_, lists = next(in)
		assert.Equal(t, 1, lists)
	})
	t.Run("Should answer nothing after the last", func(t *testing.T) {
		in.After = "x"
		result, _ := next(in)
		assert.Empty(t, result.Operations)
		assert.False(t, result.More)
	})
}

func TestDiffProblems(t *testing.T) {
	t.Parallel()
	t.Run("Should count all problems and hold a bounded number", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		const n = activities.MaxProblems + 5
		p := newProject(t, "a", many(n)...)
		other := newProject(t, "b", many(n)...)
		f.upsert(t, other)
		// Somebody else's: the same IDs, without our memo.
		var wait sync.WaitGroup
		for _, w := range p.Workflows {
			wait.Go(func() {
				_, err := f.hand.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
					ID: config.DefaultScheduleID("a", w.ID), Paused: true,
					Action: &client.ScheduleWorkflowAction{Workflow: "Hand", TaskQueue: "hand"},
				})
				assert.NoError(t, err)
			})
		}
		wait.Wait()
		result := f.settled(t, p, activities.PassReload, func(d activities.DiffResult) bool { return d.ProblemCount == n })
		assert.Len(t, result.Problems, activities.MaxProblems)
		assert.Equal(t, activities.Counts{Desired: n}, result.Counts)
		assert.Empty(t, result.Operations)
	})
}
