package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// memos are what a stage's reconciler wrote into its memo of a renaming, in order.
func memos(s *stage) *[]string {
	var told []string
	s.OnUpsertMemo(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		memo, ok := args.Get(0).(map[string]any)
		require.True(s.t, ok)
		text, ok := memo[workflows.MemoRename].(string)
		require.True(s.t, ok)
		told = append(told, text)
	})
	return &told
}

func (s *stage) renameAt(d time.Duration, m workflows.Rename) {
	s.at(d, func() { s.SignalWorkflow(workflows.SignalRename, m) })
}

func (s *stage) overrides() []workflows.ActiveOverride {
	value, err := s.QueryWorkflow(workflows.QueryOverrides)
	require.NoError(s.t, err)
	var page workflows.OverridesPage
	require.NoError(s.t, value.Get(&page))
	return page.Overrides
}

func (s *stage) outcome(requestID string) workflows.Outcome {
	value, err := s.QueryWorkflow(workflows.QueryOutcome, workflows.OutcomeQuery{RequestID: requestID})
	require.NoError(s.t, err)
	var outcomes []workflows.Outcome
	require.NoError(s.t, value.Get(&outcomes))
	require.Len(s.t, outcomes, 1)
	return outcomes[0]
}

// requireRefused sends one of each request and sees that each is refused with the sentence.
func (s *stage) requireRefused(d time.Duration, sentence string, reloadToo bool) {
	s.at(d, func() {
		s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: "pause", WorkflowID: "wf", Action: workflows.ActionPause})
		s.SignalWorkflow(workflows.SignalRun, workflows.Run{RequestID: "trigger", WorkflowID: "wf", Action: workflows.ActionTrigger})
		s.SignalWorkflow(workflows.SignalReload, workflows.Reload{RequestID: "reload", Revision: revisionB})
	})
	s.at(d+time.Second, func() {
		refused := []string{"pause", "trigger"}
		if reloadToo {
			refused = append(refused, "reload")
		}
		for _, id := range refused {
			outcome := s.outcome(id)
			assert.Equal(s.t, workflows.OutcomeFailed, outcome.Status, id)
			assert.Equal(s.t, workflows.FailureConflict, outcome.Reason, id)
			assert.Equal(s.t, sentence, outcome.Message, id)
		}
	})
}

func TestRename(t *testing.T) {
	t.Run("Should do nothing any more under the former name, and refuse what it is asked", func(t *testing.T) {
		s := newStage(t)
		l, told := audited(s), memos(s)
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA, Options: every(time.Minute)})
		s.renameAt(20*time.Second, workflows.Rename{To: "shop"})
		const sentence = "project reports is now called shop: ask for that one"
		s.at(21*time.Second, func() {
			assert.Equal(t, workflows.PhaseRenamed, s.status().Phase)
			assert.Equal(t, sentence, s.status().Message)
			assert.Equal(t, "shop", s.status().RenamedTo)
			assert.Equal(t, []string{"renamed to shop"}, *told)
		})
		s.requireRefused(30*time.Second, sentence, true)
		s.at(40*time.Second, func() { s.SignalWorkflow(workflows.SignalResync, nil) })
		s.runFor(time.Hour)
		assert.Len(t, s.diffs(), 1, "no pass since")
		assert.Len(t, l.inputs(), 1, "no audit since")
		assert.Equal(t, []string{"renamed to shop"}, *told)
	})
	t.Run("Should wait under the new name, then take overrides over and go on", func(t *testing.T) {
		s := newStage(t)
		told := memos(s)
		taken := []workflows.ActiveOverride{
			{WorkflowID: "wf", Action: workflows.ActionPause, Actor: "ann", Reason: "stock count", Hold: true, Seq: 70},
			{WorkflowID: "other", Action: workflows.ActionDelete, Actor: "ben", Pending: true, Seq: 80},
		}
		const sentence = "the schedules of project shop are being moved here: if nobody runs " +
			"`schedules rename-project --from shop --to reports`, run it again, it goes on where it stopped"
		s.renameAt(10*time.Second, workflows.Rename{From: "shop"})
		s.at(11*time.Second, func() {
			assert.Equal(t, workflows.PhaseRenaming, s.status().Phase)
			assert.Equal(t, sentence, s.status().Message)
			assert.Equal(t, []string{"renaming from shop"}, *told)
		})
		// A process of the new name may start before the move has ended: what it tells counts afterwards.
		s.requireRefused(20*time.Second, sentence, false)
		s.at(25*time.Second, func() {
			assert.Equal(t, workflows.OutcomeAccepted, s.outcome("reload").Status)
			assert.Empty(t, s.diffs(), "it waits")
		})
		s.renameAt(30*time.Second, workflows.Rename{From: "shop", Overrides: taken})
		s.renameAt(31*time.Second, workflows.Rename{From: "shop", Overrides: taken}) // sent again: the same
		s.at(35*time.Second, func() { assert.Empty(t, s.diffs(), "it still waits") })
		s.renameAt(40*time.Second, workflows.Rename{From: "shop", Done: true})
		s.at(41*time.Second, func() {
			assert.True(t, s.status().InSync(revisionB))
			assert.Empty(t, s.status().RenamingFrom)
			assert.Equal(t, workflows.OutcomeApplied, s.outcome("reload").Status)
			assert.Equal(t, []string{"renaming from shop", ""}, *told)
			overrides := s.overrides()
			require.Len(t, overrides, 2)
			assert.Equal(t, "other", overrides[0].WorkflowID, "in order")
			assert.False(t, overrides[0].Pending, "the schedules were moved as they are")
			assert.Equal(t, "ann", overrides[1].Actor)
			assert.Equal(t, "stock count", overrides[1].Reason)
		})
		s.runFor(50 * time.Second)
		require.Len(t, s.diffs(), 1)
		assert.Equal(t, map[string]workflows.OverrideAction{"wf": workflows.ActionPause, "other": workflows.ActionDelete}, s.diffs()[0].Overrides)
	})
	t.Run("Should wait for a revision where none was told meanwhile", func(t *testing.T) {
		s := newStage(t)
		memos(s)
		s.renameAt(10*time.Second, workflows.Rename{From: "shop"})
		s.renameAt(20*time.Second, workflows.Rename{From: "shop", Done: true})
		s.at(30*time.Second, func() {
			assert.Equal(t, workflows.PhaseWaiting, s.status().Phase)
			assert.Contains(t, s.status().Message, "no worker has told a revision yet")
		})
		s.reloadAt(40*time.Second, workflows.Reload{Revision: revisionA})
		s.at(50*time.Second, func() { assert.True(t, s.status().InSync(revisionA)) })
		s.runFor(60 * time.Second)
	})
	t.Run("Should keep an override that is newer than the one taken over, and forget those that have gone", func(t *testing.T) {
		s := newStage(t)
		memos(s)
		s.renameAt(10*time.Second, workflows.Rename{From: "shop", Overrides: []workflows.ActiveOverride{
			{WorkflowID: "wf", Action: workflows.ActionPause, Actor: "first"},
		}})
		s.renameAt(11*time.Second, workflows.Rename{From: "shop", Done: true, Overrides: []workflows.ActiveOverride{
			{WorkflowID: "wf", Action: workflows.ActionPause, Actor: "second"},
		}})
		s.at(12*time.Second, func() {
			require.Len(t, s.overrides(), 1)
			assert.Equal(t, "first", s.overrides()[0].Actor)
		})
		s.renameAt(20*time.Second, workflows.Rename{To: "third"})
		s.at(21*time.Second, func() { assert.Len(t, s.overrides(), 1, "they can still be asked for") })
		s.renameAt(30*time.Second, workflows.Rename{To: "third", Done: true})
		s.at(31*time.Second, func() { assert.Empty(t, s.overrides()) })
		s.runFor(40 * time.Second)
	})
	t.Run("Should end the pass under way before it says that it is suspended", func(t *testing.T) {
		s := newStage(t)
		told := memos(s)
		s.diff = func(activities.DiffInput) (activities.DiffResult, error) {
			s.SignalWorkflow(workflows.SignalRename, workflows.Rename{To: "shop"})
			return activities.DiffResult{Operations: creates(0, 2000)}, nil
		}
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.at(30*time.Second, func() {
			assert.Equal(t, workflows.PhaseRenamed, s.status().Phase)
			assert.Equal(t, []string{"renamed to shop"}, *told)
		})
		s.runFor(time.Hour)
		assert.Less(t, len(s.batches()), 4, "the rest of the pass was not started")
		assert.Len(t, s.diffs(), 1)
	})
	t.Run("Should let no override expire meanwhile, and at once after it", func(t *testing.T) {
		s := newStage(t)
		memos(s)
		var reverted []activities.OverrideInput
		var runtime *activities.Runtime
		s.OnActivity(runtime.Override, mock.Anything, mock.Anything).Return(
			func(_ context.Context, in activities.OverrideInput) (activities.OverrideResult, error) {
				reverted = append(reverted, in)
				return activities.OverrideResult{GitKnown: true, GitEnabled: true}, nil
			})
		begin := s.Now()
		s.renameAt(10*time.Second, workflows.Rename{From: "shop", Overrides: []workflows.ActiveOverride{
			{WorkflowID: "wf", Action: workflows.ActionPause, RequestID: "p", ExpiresAt: begin.Add(20 * time.Second)},
		}})
		s.at(50*time.Second, func() {
			assert.Len(t, s.overrides(), 1)
			assert.Empty(t, reverted)
		})
		s.renameAt(60*time.Second, workflows.Rename{From: "shop", Done: true})
		s.at(61*time.Second, func() { assert.Empty(t, s.overrides()) })
		s.runFor(70 * time.Second)
		require.Len(t, reverted, 1)
		assert.Equal(t, workflows.ActionRevert, reverted[0].Action)
	})
	t.Run("Should change nothing for a message that makes no sense", func(t *testing.T) {
		s := newStage(t)
		told := memos(s)
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.at(20*time.Second, func() { s.SignalWorkflow(workflows.SignalRename, "unreadable") })
		s.renameAt(21*time.Second, workflows.Rename{})
		s.renameAt(22*time.Second, workflows.Rename{From: "a", To: "b"})
		s.at(23*time.Second, func() { assert.True(t, s.status().InSync(revisionA)) })
		s.runFor(30 * time.Second)
		assert.Empty(t, *told)
	})
	t.Run("Should continue as new while it is suspended, and still be so", func(t *testing.T) {
		s := newStage(t)
		memos(s)
		s.reloadAt(10*time.Second, workflows.Reload{Revision: revisionA})
		s.renameAt(20*time.Second, workflows.Rename{To: "shop"})
		s.at(25*time.Second, func() { s.SignalWorkflow(workflows.SignalResync, nil) }) // a pass that it must not wait for
		s.at(30*time.Second, func() {
			s.SetContinueAsNewSuggested(true)
			s.SignalWorkflow(workflows.SignalResync, nil) // wakes it up
		})
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.GetWorkflowError(), &next)
		var in workflows.Input
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
		assert.True(t, in.State.PassDue)
		assert.Len(t, s.diffs(), 1)

		again := newStage(t)
		told := memos(again)
		again.at(10*time.Second, func() {
			assert.Equal(t, workflows.PhaseRenamed, again.status().Phase)
			assert.Equal(t, []string{"renamed to shop"}, *told)
		})
		again.at(time.Hour, again.CancelWorkflow)
		again.ExecuteWorkflow(workflows.ReconcilerType, in)
		assert.Empty(t, again.diffs())
	})
}
