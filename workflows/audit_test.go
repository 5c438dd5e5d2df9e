package workflows_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// looks are the audits that a stage was asked for, and when.
type looks struct {
	s     *stage
	begin time.Time
	asked []activities.AuditInput
	begun []int
	// answer is nil for an audit that finds nothing.
	answer func(context.Context, activities.AuditInput) (activities.AuditResult, error)
}

// seconds are when the audits began. One may still be under way when the workflow has ended.
func (l *looks) seconds() []int {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return slices.Clone(l.begun)
}

// inputs are what they were asked for with.
func (l *looks) inputs() []activities.AuditInput {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return slices.Clone(l.asked)
}

func audited(s *stage) *looks {
	l := &looks{s: s, begin: s.Now()}
	var a *activities.Activities
	s.OnActivity(a.Audit, mock.Anything, mock.Anything).Return(
		func(ctx context.Context, in activities.AuditInput) (activities.AuditResult, error) {
			s.mu.Lock()
			l.asked, l.begun = append(l.asked, in), append(l.begun, int(s.Now().Sub(l.begin).Seconds()))
			s.mu.Unlock()
			if l.answer == nil {
				return activities.AuditResult{Checked: 3}, nil
			}
			return l.answer(ctx, in)
		})
	return l
}

// found is an audit's answer with one hand edit.
func found(id string) (activities.AuditResult, error) {
	return activities.AuditResult{Checked: 3, Drifted: 1, Suspects: []string{id}}, nil
}

func options(change func(*workflows.Options)) *workflows.Options {
	o := &workflows.Options{}
	change(o)
	return o
}

func every(d time.Duration) *workflows.Options {
	return options(func(o *workflows.Options) { o.AuditInterval = config.Duration(d) })
}

func TestAudits(t *testing.T) {
	t.Run("Should audit after each reload, and then every interval", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA, Options: every(5 * time.Minute)})
		s.reloadAt(20*time.Second, workflows.Reload{Revision: revisionA}) // a process starts again: no reload
		s.reloadAt(100*time.Second, workflows.Reload{Revision: revisionB})
		s.reloadAt(200*time.Second, workflows.Reload{Force: true})
		s.runFor(850 * time.Second)
		assert.Equal(t, []int{10, 100, 200, 500, 800}, l.seconds())
		assert.Equal(t, activities.AuditInput{Project: "reports", Revision: revisionA}, l.inputs()[0])
		assert.Equal(t, activities.AuditInput{Project: "reports", Revision: revisionB}, l.inputs()[1])
	})
	t.Run("Should audit at once when a setting of it changes", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		correct := options(func(o *workflows.Options) { o.Drift = config.DriftCorrect })
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.reloadAt(20*time.Second, workflows.Reload{Revision: revisionA, Options: correct})
		s.reloadAt(30*time.Second, workflows.Reload{Revision: revisionA, Options: correct})
		s.reloadAt(40*time.Second, workflows.Reload{Revision: revisionA, Options: every(time.Minute)})
		s.runFor(50 * time.Second)
		assert.Equal(t, []int{10, 20, 40}, l.seconds())
	})
	t.Run("Should have a pass look at what was found, until an audit finds it no more", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		drifted := true
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			if drifted {
				return found("wf")
			}
			return activities.AuditResult{Checked: 3}, nil
		}
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			assert.False(t, in.Correct, "it is reported")
			if drifted && len(in.Suspects) > 0 {
				return activities.DiffResult{
					Drifted: in.Suspects, ProblemCount: 1, Problems: []activities.Problem{{Kind: activities.ProblemDrift, WorkflowID: "wf"}},
				}, nil
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{
			Revision: revisionA, Options: &workflows.Options{ResyncInterval: config.Duration(time.Hour), AuditInterval: config.Duration(time.Minute)},
		})
		s.at(20*time.Second, func() {
			assert.Equal(t, workflows.PhaseOutOfSync, s.status().Phase)
			assert.Equal(t, 1, s.status().LastAudit.Drifted)
			drifted = false
		})
		s.at(80*time.Second, func() { assert.True(t, s.status().InSync(revisionA)) })
		s.runFor(90 * time.Second)
		assert.Equal(t, []int{10, 70}, l.seconds())
		require.Len(t, s.diffs(), 3)
		assert.Empty(t, s.diffs()[0].Suspects)
		assert.Equal(t, []string{"wf"}, s.diffs()[1].Suspects)
		assert.Equal(t, activities.PassResync, s.diffs()[1].Kind)
	})
	t.Run("Should put back after a forced reload until an audit finds nothing, then report", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			if len(l.seconds()) == 2 { // the one after the forced reload
				return found("wf")
			}
			return activities.AuditResult{Checked: 3}, nil
		}
		s.diff = func(in activities.DiffInput) (activities.DiffResult, error) {
			var operations []activities.Operation
			for _, id := range in.Suspects {
				operations = append(operations, activities.Operation{Kind: activities.Update, WorkflowID: id, Corrects: []string{"input"}})
			}
			return activities.DiffResult{Operations: operations}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.reloadAt(20*time.Second, workflows.Reload{Force: true})
		s.at(21*time.Second, func() {
			require.Len(t, s.status().Corrections, 1)
			assert.Equal(t, []string{"input"}, s.status().Corrections[0].Fields)
			assert.Equal(t, 1, s.status().LastPass.Corrected)
		})
		s.at(100*time.Second, func() { s.SignalWorkflow(workflows.SignalResync, nil) })
		s.runFor(110 * time.Second)
		assert.Equal(t, []int{10, 20, 80}, l.seconds(), "a minute after what was put back")
		var correct []bool
		for _, diff := range s.diffs()[:3] {
			correct = append(correct, diff.Correct)
		}
		assert.Equal(t, []bool{false, true, true}, correct)
		assert.False(t, s.diffs()[len(s.diffs())-1].Correct)
	})
	t.Run("Should leave an audit alone that another revision ends, and audit that one", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(_ context.Context, in activities.AuditInput) (activities.AuditResult, error) {
			if in.Revision == revisionA {
				s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revisionB})
				return found("of a former revision")
			}
			return activities.AuditResult{Checked: 5}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.at(30*time.Second, func() {
			assert.Equal(t, revisionB, s.status().LastAudit.Revision)
			assert.Equal(t, 5, s.status().LastAudit.Checked)
		})
		s.runFor(40 * time.Second)
		assert.Len(t, l.inputs(), 2)
		for _, diff := range s.diffs() {
			assert.Empty(t, diff.Suspects)
		}
	})
	t.Run("Should audit anew after a forced reload that came during an audit", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			if len(l.seconds()) == 1 {
				// It has passed by what somebody edits now, and what the reload is to put back.
				s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Force: true})
				for len(s.diffs()) < 2 { // it ends after the reload's pass has begun
					time.Sleep(time.Millisecond)
				}
			}
			return activities.AuditResult{Checked: len(l.seconds())}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.at(30*time.Second, func() {
			require.NotNil(t, s.status().LastAudit)
			assert.Equal(t, 2, s.status().LastAudit.Checked, "the second one's")
		})
		s.runFor(40 * time.Second)
		assert.Len(t, l.inputs(), 2)
	})
	t.Run("Should keep what an audit found while a pass was comparing", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		comparing, ended := make(chan struct{}), make(chan struct{})
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			s.SignalWorkflow(workflows.SignalResync, nil)
			<-comparing
			return found("wf")
		}
		s.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
			if info.ActivityType.Name == "Audit" {
				close(ended)
			}
		})
		s.diff = func(activities.DiffInput) (activities.DiffResult, error) {
			if len(s.diffs()) == 2 {
				close(comparing)
				<-ended
			}
			return activities.DiffResult{}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.runFor(30 * time.Second)
		require.Len(t, s.diffs(), 3)
		assert.Empty(t, s.diffs()[1].Suspects, "the pass began before the audit ended")
		assert.Equal(t, []string{"wf"}, s.diffs()[2].Suspects)
	})
	t.Run("Should try again later where an audit fails or no worker is there, and report no phase of it", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			switch len(l.seconds()) {
			case 1:
				return activities.AuditResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
			case 2:
				return activities.AuditResult{}, temporal.NewNonRetryableApplicationError("permission denied", "Refused", nil)
			}
			return activities.AuditResult{Checked: 3}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.at(20*time.Second, func() {
			assert.True(t, s.status().InSync(revisionA))
			assert.Nil(t, s.status().LastAudit)
		})
		s.runFor(200 * time.Second)
		assert.Equal(t, []int{10, 70, 130}, l.seconds())
	})
	handedOver := func(t *testing.T, s *stage) *workflows.State {
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.GetWorkflowError(), &next)
		var in workflows.Input
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
		return in.State
	}
	t.Run("Should audit anew in the next run where this one ended during an audit", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(ctx context.Context, _ activities.AuditInput) (activities.AuditResult, error) {
			s.suggestContinueAsNew()
			s.SignalWorkflow(workflows.SignalOverride, "wakes it up")
			<-ctx.Done()
			return activities.AuditResult{}, ctx.Err()
		}
		state := handedOver(t, s)
		assert.Nil(t, state.Status.LastAudit)
		assert.False(t, state.NextAudit.After(s.Now()), "it is due")
	})
	t.Run("Should hand what an audit found to the next run where this one ends in the same task", func(t *testing.T) {
		s := newStage(t)
		l := audited(s)
		l.answer = func(context.Context, activities.AuditInput) (activities.AuditResult, error) {
			return activities.AuditResult{Checked: 3, Drifted: 1, Suspects: []string{"wf"}}, nil
		}
		s.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
			if info.ActivityType.Name == "Audit" {
				s.SetContinueAsNewSuggested(true)
			}
		})
		state := handedOver(t, s)
		require.NotNil(t, state.Status.LastAudit)
		assert.Equal(t, 3, state.Status.LastAudit.Checked)
		assert.True(t, state.NextAudit.After(s.Now()), "it is not due")
		assert.Equal(t, []string{"wf"}, state.Suspects)
		assert.True(t, state.PassDue, "the next run looks at them")
	})
}
