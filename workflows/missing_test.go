package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// newMissing is a stage on which no schedule exists, and on which the YAML wants the workflow "wanted".
func newMissing(t *testing.T) *stage {
	s := newStage(t)
	var runtime *activities.Runtime
	s.OnActivity(runtime.Override, mock.Anything, mock.Anything).Return(
		func(context.Context, activities.OverrideInput) (activities.OverrideResult, error) {
			return activities.OverrideResult{Missing: true}, nil
		})
	s.diff = func(in activities.DiffInput) (result activities.DiffResult, err error) {
		if in.Overrides["wanted"] == activities.Remove {
			result.KeptAway = []string{"wanted"}
		}
		return result, nil
	}
	s.reloadAt(time.Second, workflows.Reload{Revision: revisionA})
	return s
}

func (s *stage) overrideAt(d time.Duration, requestID, workflowID string, action workflows.OverrideAction) {
	s.at(d, func() {
		s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: requestID, WorkflowID: workflowID, Action: action})
	})
}

func TestDeleteOfMissing(t *testing.T) {
	t.Run("Should keep a schedule away that a killed worker had deleted", func(t *testing.T) {
		s := newMissing(t)
		s.overrideAt(10*time.Second, "again", "wanted", workflows.ActionDelete)
		s.at(15*time.Second, func() {
			assert.Equal(t, workflows.OutcomeApplied, s.outcome("again").Status)
			assert.Len(t, s.overrides(), 1)
		})
		s.runFor(30 * time.Second)
	})
	t.Run("Should refuse to delete what nobody wants", func(t *testing.T) {
		s := newMissing(t)
		s.overrideAt(10*time.Second, "typo", "nobody", workflows.ActionDelete)
		s.at(15*time.Second, func() {
			assert.Equal(t, workflows.FailureNotFound, s.outcome("typo").Reason)
			assert.Empty(t, s.overrides())
		})
		s.runFor(30 * time.Second)
	})
	t.Run("Should give an outcome to a request that waits for a pass and is overtaken meanwhile", func(t *testing.T) {
		for _, later := range []workflows.OverrideAction{workflows.ActionRevert, workflows.ActionDelete} {
			s := newMissing(t)
			diff, overtaken := s.diff, false
			s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
				if in.Overrides["wanted"] == activities.Remove && !overtaken {
					overtaken = true
					s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: "later", WorkflowID: "wanted", Action: later})
				}
				return diff(in)
			}
			s.overrideAt(10*time.Second, "first", "wanted", workflows.ActionDelete)
			s.at(40*time.Second, func() {
				assert.Equal(t, workflows.OutcomeFailed, s.outcome("first").Status, later)
				assert.Equal(t, workflows.FailureConflict, s.outcome("first").Reason, later)
				assert.Equal(t, workflows.OutcomeApplied, s.outcome("later").Status, later)
			})
			s.runFor(time.Minute)
			assert.True(t, overtaken)
		}
	})
}
