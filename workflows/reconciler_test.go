package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

const (
	revisionA = "aaaaaaaaaaaa"
	revisionB = "bbbbbbbbbbbb"
)

// stage runs a reconciler with activities that the test plays. Its clock is the test environment's.
type stage struct {
	*testsuite.TestWorkflowEnvironment
	t  *testing.T
	mu sync.Mutex
	// asked and wrote are the plans and the batches that the reconciler asked for, in order: see diffs and batches.
	asked []activities.DiffInput
	wrote []activities.BatchInput
	// diff answers; nil means that nothing is to be done.
	diff func(activities.DiffInput) (activities.DiffResult, error)
	// apply answers for a batch; nil means success.
	apply func(context.Context, activities.BatchInput) (activities.BatchResult, error)
}

func newStage(t *testing.T) *stage {
	var suite testsuite.WorkflowTestSuite
	s := &stage{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t}
	s.RegisterWorkflowWithOptions(workflows.Reconciler, workflow.RegisterOptions{Name: workflows.ReconcilerType})
	var a *activities.Activities
	s.OnActivity(a.Diff, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.DiffInput) (activities.DiffResult, error) {
			s.mu.Lock()
			s.asked = append(s.asked, in)
			s.mu.Unlock()
			if s.diff == nil {
				return activities.DiffResult{}, nil
			}
			return s.diff(in)
		})
	batch := func(ctx context.Context, in activities.BatchInput) (activities.BatchResult, error) {
		s.mu.Lock()
		s.wrote = append(s.wrote, in)
		s.mu.Unlock()
		if s.apply == nil {
			return activities.BatchResult{Created: len(in.Operations)}, nil
		}
		return s.apply(ctx, in)
	}
	s.OnActivity(a.Upsert, mock.Anything, mock.Anything).Return(batch)
	s.OnActivity(a.Delete, mock.Anything, mock.Anything).Return(batch)
	return s
}

// diffs are the plans that the reconciler asked for. An activity may still be under way when the workflow has ended.
func (s *stage) diffs() []activities.DiffInput {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// batches are what the reconciler asked to write.
func (s *stage) batches() []activities.BatchInput {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.wrote)
}

// at calls f when the workflow's clock has gone on by d.
func (s *stage) at(d time.Duration, f func()) { s.RegisterDelayedCallback(f, d) }

// suggestContinueAsNew does so from an activity, whose goroutine must not write what the workflow reads.
func (s *stage) suggestContinueAsNew() { s.at(0, func() { s.SetContinueAsNewSuggested(true) }) }

func (s *stage) reloadAt(d time.Duration, m workflows.Reload) {
	s.at(d, func() { s.SignalWorkflow(workflows.SignalReload, m) })
}

func (s *stage) status() workflows.Status {
	value, err := s.QueryWorkflow(workflows.QueryStatus)
	require.NoError(s.t, err)
	var status workflows.Status
	require.NoError(s.t, value.Get(&status))
	return status
}

// runFor plays until the clock has gone on by d, then cancels.
func (s *stage) runFor(d time.Duration) {
	s.at(d, s.CancelWorkflow)
	s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
	require.True(s.t, s.IsWorkflowCompleted())
	assert.ErrorContains(s.t, s.GetWorkflowError(), "canceled")
}

func (s *stage) kinds() []activities.PassKind {
	var kinds []activities.PassKind
	for _, diff := range s.diffs() {
		kinds = append(kinds, diff.Kind)
	}
	return kinds
}

func creates(from, to int) []activities.Operation {
	var operations []activities.Operation
	for i := from; i < to; i++ {
		operations = append(operations, activities.Operation{
			Kind: activities.Create, WorkflowID: fmt.Sprintf("wf-%05d", i), Spec: "0123456789ab",
		})
	}
	return operations
}

func TestPasses(t *testing.T) {
	t.Run("Should do nothing before a worker has told a revision", func(t *testing.T) {
		s := newStage(t)
		s.at(time.Hour, func() { assert.Equal(t, workflows.PhaseWaiting, s.status().Phase) })
		s.runFor(2 * time.Hour)
		assert.Empty(t, s.diffs())
	})
	t.Run("Should start, resync after the interval, and reload on a new revision only", func(t *testing.T) {
		s := newStage(t)
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.at(2*time.Second, func() {
			assert.True(t, s.status().InSync(revisionA))
			assert.False(t, s.status().InSync(revisionB))
		})
		s.reloadAt(90*time.Second, workflows.Reload{Revision: revisionA}) // a process starts again
		s.reloadAt(100*time.Second, workflows.Reload{Revision: revisionB})
		s.at(110*time.Second, func() { s.SignalWorkflow(workflows.SignalResync, nil) })
		s.runFor(120 * time.Second)
		assert.Equal(t, []activities.PassKind{
			activities.PassStart, activities.PassResync, activities.PassResync, activities.PassReload, activities.PassResync,
		}, s.kinds())
		assert.Equal(t, revisionB, s.diffs()[3].Revision)
	})
	t.Run("Should treat a forced reload of the same revision as a new one", func(t *testing.T) {
		s := newStage(t)
		s.reloadAt(1*time.Second, workflows.Reload{Revision: revisionA})
		s.reloadAt(2*time.Second, workflows.Reload{Force: true})
		s.runFor(3 * time.Second)
		assert.Equal(t, []activities.PassKind{activities.PassStart, activities.PassReload}, s.kinds())
		assert.Equal(t, revisionA, s.diffs()[1].Revision)
	})
	t.Run("Should resync soon after changes", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.Kind == activities.PassStart {
				return activities.DiffResult{Operations: creates(0, 3)}, nil
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.runFor(30 * time.Second)
		require.Len(t, s.diffs(), 2)
		assert.Len(t, s.diffs()[1].Recent, 3, "the list may not show them yet")
	})
	t.Run("Should forget writes that every list shows by now", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.Kind == activities.PassStart {
				return activities.DiffResult{Operations: creates(0, 3)}, nil
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.runFor(100 * time.Second)
		require.Len(t, s.diffs(), 3)
		assert.Empty(t, s.diffs()[2].Recent)
	})
	t.Run("Should apply a large plan in parts, batches and all", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.After == "" {
				return activities.DiffResult{Operations: creates(0, 2000), More: true, Counts: activities.Counts{Create: 2600}}, nil
			}
			assert.Equal(t, "wf-01999", in.After)
			return activities.DiffResult{Operations: creates(2000, 2600)}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.at(2*time.Second, func() { assert.Equal(t, 2600, s.status().LastPass.Created) })
		s.runFor(3 * time.Second)
		seen := map[string]bool{}
		for _, batch := range s.batches() {
			assert.LessOrEqual(t, batch.Callers, 10)
			for _, op := range batch.Operations {
				seen[op.WorkflowID] = true
			}
		}
		count := len(seen) // the ids themselves would fill the screen
		assert.Equal(t, 2600, count)
	})
}

func TestFailures(t *testing.T) {
	t.Run("Should report a pass that cannot finish, and repeat it as what it was", func(t *testing.T) {
		s := newStage(t)
		fail := false
		s.diff = func(activities.DiffInput) (activities.DiffResult, error) {
			if fail {
				return activities.DiffResult{}, temporal.NewNonRetryableApplicationError("permission denied", "Refused", nil)
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(1*time.Second, workflows.Reload{Revision: revisionA})
		s.at(2*time.Second, func() { fail = true })
		s.reloadAt(3*time.Second, workflows.Reload{Revision: revisionB})
		s.at(4*time.Second, func() {
			assert.Equal(t, workflows.PhaseOutOfSync, s.status().Phase)
			assert.Contains(t, s.status().Message, "permission denied")
			assert.Equal(t, revisionA, s.status().Applied)
			fail = false
		})
		s.at(70*time.Second, func() { assert.True(t, s.status().InSync(revisionB)) })
		s.runFor(80 * time.Second)
		assert.Equal(t, []activities.PassKind{activities.PassStart, activities.PassReload, activities.PassReload}, s.kinds())
	})
	t.Run("Should report problems of single schedules and count itself out of sync", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(activities.DiffInput) (activities.DiffResult, error) {
			return activities.DiffResult{Operations: creates(0, 2)}, nil
		}
		s.apply = func(context.Context, activities.BatchInput) (activities.BatchResult, error) {
			return activities.BatchResult{Created: 1, Problems: []activities.Problem{{Kind: activities.ProblemRefused, WorkflowID: "wf-00001"}}}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.at(2*time.Second, func() {
			assert.Equal(t, workflows.PhaseOutOfSync, s.status().Phase)
			assert.Equal(t, 1, s.status().ProblemCount)
			assert.Equal(t, revisionA, s.status().Applied)
		})
		s.runFor(3 * time.Second)
	})
	t.Run("Should stop a pass that another revision supersedes, and wait for its batches", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.Revision == revisionA {
				return activities.DiffResult{Operations: creates(0, 2000)}, nil
			}
			return activities.DiffResult{}, nil
		}
		var once sync.Once
		s.apply = func(context.Context, activities.BatchInput) (activities.BatchResult, error) {
			once.Do(func() { s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revisionB}) })
			return activities.BatchResult{}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.at(10*time.Second, func() { assert.True(t, s.status().InSync(revisionB)) })
		s.runFor(20 * time.Second)
		assert.Less(t, len(s.batches()), 4, "the rest of the old revision's batches was not started")
		require.Len(t, s.diffs(), 2)
		assert.Equal(t, revisionB, s.diffs()[1].Revision)
	})
	t.Run("Should list the whole namespace until a pass has ended, since no other tells which other IDs are the project's", func(t *testing.T) {
		s := newStage(t)
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.Revision == revisionA {
				return activities.DiffResult{}, errors.New("superseded before it could list")
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.reloadAt(2*time.Second, workflows.Reload{Revision: revisionB})
		s.reloadAt(time.Minute, workflows.Reload{Revision: revisionB, Force: true})
		s.runFor(90 * time.Second)
		var whole []string
		for _, diff := range s.diffs() {
			whole = append(whole, fmt.Sprintf("%s %s %t", diff.Revision[:1], diff.Kind, diff.Whole))
		}
		assert.Equal(t, []string{"a start true", "b reload true", "b reload false"}, slices.Compact(whole)[:3])
	})
	t.Run("Should fail where the input names no project", func(t *testing.T) {
		s := newStage(t)
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{})
		assert.ErrorContains(t, s.GetWorkflowError(), "names no project")
	})
}

func TestMessages(t *testing.T) {
	t.Run("Should refuse an older generation, and take it when forced", func(t *testing.T) {
		s := newStage(t)
		s.reloadAt(1*time.Second, workflows.Reload{Revision: revisionB, Generation: 5})
		s.reloadAt(2*time.Second, workflows.Reload{Revision: revisionA, Generation: 4})
		s.at(3*time.Second, func() {
			assert.Equal(t, revisionB, s.status().Revision)
			assert.Equal(t, int64(4), s.status().Refused.Generation)
			assert.Contains(t, s.status().Refused.Message, "generation 4 is older than the current 5")
		})
		s.reloadAt(4*time.Second, workflows.Reload{Revision: revisionA, Generation: 4, Force: true})
		s.at(5*time.Second, func() {
			assert.True(t, s.status().InSync(revisionA))
			assert.Equal(t, int64(4), s.status().Generation)
		})
		s.runFor(6 * time.Second)
	})
	t.Run("Should stop at the prune guard until a reload prunes, and then guard again", func(t *testing.T) {
		s := newStage(t)
		deletes := []activities.Operation{}
		for i := range 7 {
			deletes = append(deletes, activities.Operation{Kind: activities.Delete, WorkflowID: fmt.Sprintf("wf-%d", i)})
		}
		s.diff = func(activities.DiffInput) (activities.DiffResult, error) {
			return activities.DiffResult{Operations: deletes, Counts: activities.Counts{Owned: 20, Delete: 7}}, nil
		}
		s.reloadAt(1*time.Second, workflows.Reload{Revision: revisionA})
		s.at(2*time.Second, func() {
			assert.Equal(t, workflows.PhaseBlocked, s.status().Phase)
			assert.Contains(t, s.status().Message, "would delete 7 of 20 schedules (wf-0, wf-1")
			assert.Empty(t, s.batches())
		})
		s.reloadAt(3*time.Second, workflows.Reload{Prune: true})
		s.at(4*time.Second, func() { assert.Len(t, s.batches(), 1) })
		s.at(5*time.Second, func() { s.SignalWorkflow(workflows.SignalResync, nil) })
		s.at(6*time.Second, func() {
			assert.Equal(t, workflows.PhaseBlocked, s.status().Phase)
			assert.Len(t, s.batches(), 1)
		})
		s.runFor(7 * time.Second)
	})
	t.Run("Should continue as new also where a pass is asked for before there is a revision", func(t *testing.T) {
		s := newStage(t)
		s.at(time.Second, func() {
			s.SignalWorkflow(workflows.SignalResync, nil)
			s.SetContinueAsNewSuggested(true)
		})
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports", State: &workflows.State{PassDue: true}})
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.GetWorkflowError(), &next)
		assert.Empty(t, s.diffs())
	})
	t.Run("Should hand state and late messages to the next run", func(t *testing.T) {
		s := newStage(t)
		s.reloadAt(1*time.Second, workflows.Reload{Revision: revisionA, Generation: 3})
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if in.Revision == revisionA {
				s.suggestContinueAsNew()
				s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revisionB, Generation: 4})
			}
			return activities.DiffResult{}, nil
		}
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.GetWorkflowError(), &next, "%v", s.GetWorkflowError())
		var in workflows.Input
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
		assert.Equal(t, "reports", in.Project)
		assert.Equal(t, revisionB, in.State.Status.Revision)
		assert.Equal(t, int64(4), in.State.Status.Generation)
		assert.Len(t, s.diffs(), 1, "who asks for pass after pass makes no history longer")
		assert.True(t, in.State.PassDue)

		t.Run("Should go on with that state, and the pass that is due", func(t *testing.T) {
			s := newStage(t)
			s.at(time.Second, func() { assert.True(t, s.status().InSync(revisionB)) })
			s.at(2*time.Minute, s.CancelWorkflow)
			s.ExecuteWorkflow(workflows.ReconcilerType, in)
			require.NotEmpty(t, s.diffs())
			assert.Equal(t, revisionB, s.diffs()[0].Revision)
			assert.Equal(t, activities.PassReload, s.diffs()[0].Kind)
		})
	})
}
