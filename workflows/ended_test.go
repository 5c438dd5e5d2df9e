package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// TestOverrideEndsInPass plays a reload that knows a held pause of "held" and enforces it, while somebody reverts it.
// That a plan does so is TestConcurrentOverrides' to show, on a real server.
func TestOverrideEndsInPass(t *testing.T) {
	play := func(t *testing.T) (s *stage, revert func()) {
		s = newStage(t)
		var runtime *activities.Runtime
		s.OnActivity(runtime.Override, mock.Anything, mock.Anything).Return(
			func(_ context.Context, in activities.OverrideInput) (activities.OverrideResult, error) {
				return activities.OverrideResult{Paused: in.Action == activities.Pause, GitKnown: true, GitEnabled: true}, nil
			})
		s.diff = func(in activities.DiffInput) (result activities.DiffResult, err error) {
			if in.Revision == revisionB && in.Overrides["held"] == activities.Pause {
				result.Operations = []activities.Operation{{Kind: activities.Update, WorkflowID: "held", Spec: "0123456789ab", Paused: new(true)}}
			}
			return result, nil
		}
		s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
		s.at(10*time.Second, func() {
			s.SignalWorkflow(workflows.SignalOverride, workflows.Override{
				RequestID: "pause", WorkflowID: "held", Action: workflows.ActionPause, Hold: true,
			})
		})
		s.reloadAt(20*time.Second, workflows.Reload{Revision: revisionB})
		return s, func() {
			s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: "revert", WorkflowID: "held", Action: workflows.ActionRevert})
		}
	}
	requireReverted := func(t *testing.T, s *stage) {
		t.Helper()
		last := s.diffs()[2]
		assert.Equal(t, revisionB, last.Revision)
		assert.Equal(t, []string{"held"}, last.Reverts, "the pass after it goes back to the YAML")
	}

	t.Run("Should not enforce what ended while the plan was made, and go back to the YAML", func(t *testing.T) {
		s, revert := play(t)
		diff := s.diff
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			if len(in.Overrides) > 0 {
				revert()
			}
			return diff(in)
		}
		s.at(25*time.Second, func() { assert.Equal(t, workflows.OutcomeApplied, s.outcome("revert").Status) })
		s.runFor(30 * time.Second)
		assert.Len(t, s.batches(), 1)
		assert.Nil(t, s.batches()[0].Operations[0].Paused, "what is stays")
		requireReverted(t, s)
	})
	t.Run("Should go back to the YAML where it ended while the batch was under way", func(t *testing.T) {
		s, revert := play(t)
		s.apply = func(context.Context, activities.BatchInput) (activities.BatchResult, error) {
			revert()
			return activities.BatchResult{Updated: 1}, nil
		}
		s.runFor(30 * time.Second)
		assert.Len(t, s.batches(), 1)
		assert.Equal(t, new(true), s.batches()[0].Operations[0].Paused)
		requireReverted(t, s)
	})
	playParts := func(t *testing.T) *stage {
		s, revert := play(t)
		diff := s.diff
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			switch {
			case in.Revision == revisionB && in.Kind == activities.PassReload && in.After == "":
				return activities.DiffResult{
					Operations: []activities.Operation{{Kind: activities.Create, WorkflowID: "early", Spec: "0123456789ab"}}, More: true,
				}, nil
			case in.After == "early": // of the plan that was made before
				in.Overrides = map[string]activities.OverrideAction{"held": activities.Pause}
			}
			return diff(in)
		}
		s.apply = func(_ context.Context, in activities.BatchInput) (activities.BatchResult, error) {
			if in.Operations[0].WorkflowID == "early" {
				revert()
			}
			return activities.BatchResult{Updated: 1}, nil
		}
		return s
	}
	t.Run("Should not enforce what ended while an earlier part of the plan was applied", func(t *testing.T) {
		s := playParts(t)
		s.runFor(30 * time.Second)
		assert.Len(t, s.batches(), 2)
		assert.Equal(t, "held", s.batches()[1].Operations[0].WorkflowID)
		assert.Nil(t, s.batches()[1].Operations[0].Paused, "what is stays")
		assert.Equal(t, []string{"held"}, s.diffs()[3].Reverts, "the pass after it goes back to the YAML")
	})
	t.Run("Should go on as it began in a run that forgot between the parts what had ended", func(t *testing.T) {
		s := playParts(t)
		s.OnGetVersion("ended in parts", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
		s.runFor(30 * time.Second)
		assert.Len(t, s.batches(), 2)
		assert.Equal(t, new(true), s.batches()[1].Operations[0].Paused)
		assert.Len(t, s.diffs(), 3, "no pass that it did not make")
	})
	t.Run("Should leave a pass alone where somebody paused again after the revert", func(t *testing.T) {
		s, revert := play(t)
		s.apply = func(context.Context, activities.BatchInput) (activities.BatchResult, error) {
			revert()
			s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: "again", WorkflowID: "held", Action: workflows.ActionPause})
			return activities.BatchResult{Updated: 1}, nil
		}
		s.at(25*time.Second, func() {
			assert.Equal(t, workflows.OutcomeApplied, s.outcome("again").Status)
			assert.Len(t, s.overrides(), 1)
		})
		s.runFor(30 * time.Second)
		for _, diff := range s.diffs() {
			assert.Empty(t, diff.Reverts)
		}
	})
}
