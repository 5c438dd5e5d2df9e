package workflows_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/workflows"
)

// overridden is a state with n overrides, as `schedules pause` makes them.
func overridden(n int) *workflows.State {
	state := &workflows.State{}
	for i := range n {
		state.Overrides = append(state.Overrides, workflows.ActiveOverride{
			WorkflowID: fmt.Sprintf("some-team-report-%05d", i), Action: workflows.ActionPause, RequestID: uuid.NewString(),
			Reason: "incident 4711: the warehouse is down", Actor: "ann@example.com",
			Since: time.Date(2027, 3, 1, 2, 0, i, i, time.UTC), Seq: int64(i),
		})
	}
	return state
}

func TestCarriedState(t *testing.T) {
	// blobLimit is the size of a payload from which on Temporal ends a workflow.
	const blobLimit = 2 << 20
	for _, test := range []struct {
		name      string
		overrides int
		packed    bool
	}{
		{"carry a state for people to read", 100, false},
		{"pack what every schedule of a large project comes to", 10_000, true},
		{"pack as many overrides as there may be", 20_000, true},
	} {
		t.Run("Should "+test.name, func(t *testing.T) {
			in := workflows.Input{Project: "large", State: overridden(test.overrides)}
			payload, err := converter.GetDefaultDataConverter().ToPayload(in)
			require.NoError(t, err)
			assert.Less(t, len(payload.GetData()), blobLimit*9/10)
			var form map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(payload.GetData(), &form))
			assert.Equal(t, test.packed, len(form["packed"]) > 0)
			assert.Equal(t, test.packed, len(form["state"]) == 0)

			var out workflows.Input
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &out))
			assert.Equal(t, in, out)
		})
	}
	t.Run("Should read what people write", func(t *testing.T) {
		var in workflows.Input
		require.NoError(t, json.Unmarshal([]byte(`{"project":"reports"}`), &in))
		assert.Equal(t, workflows.Input{Project: "reports"}, in)
	})
	t.Run("Should refuse what it cannot unpack, and lose nothing", func(t *testing.T) {
		var in workflows.Input
		assert.ErrorContains(t, json.Unmarshal([]byte(`{"project":"reports","packed":"AAAA"}`), &in), "unpack the reconciler's state")
	})
}

func TestTooManyOverrides(t *testing.T) {
	t.Run("Should refuse one more than can be carried, and leave the others", func(t *testing.T) {
		s := newStage(t)
		outcome := func(id string) (outcomes []workflows.Outcome) {
			value, err := s.QueryWorkflow(workflows.QueryOutcome, workflows.OutcomeQuery{RequestID: id})
			require.NoError(t, err)
			require.NoError(t, value.Get(&outcomes))
			return outcomes
		}
		s.at(time.Second, func() {
			s.SignalWorkflow(workflows.SignalOverride, workflows.Override{RequestID: "more", WorkflowID: "another", Action: workflows.ActionPause})
		})
		s.at(2*time.Second, func() {
			outcomes := outcome("more")
			require.Len(t, outcomes, 1)
			assert.Equal(t, workflows.OutcomeFailed, outcomes[0].Status)
			assert.Contains(t, outcomes[0].Message, "20000 overrides are in force, as many as there may be: revert some, or change the YAML")
			assert.Equal(t, 20_000, s.status().Overrides)
		})
		s.at(3*time.Second, s.CancelWorkflow)
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports", State: overridden(20_000)})
		require.True(t, s.IsWorkflowCompleted())
	})
}
