package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

var (
	fuzzedSignals = []string{
		workflows.SignalReload, workflows.SignalResync, workflows.SignalOverride, workflows.SignalRun, workflows.SignalRename,
	}
	fuzzedQueries = []string{workflows.QueryStatus, workflows.QueryOverrides, workflows.QueryOutcome}
)

// FuzzMessages sends any bytes as any signal, and as the argument of any query. The reconciler goes on, whoever
// gave a readable request_id gets an outcome, and what one run hands to the next is read as it was written.
func FuzzMessages(f *testing.F) {
	for _, message := range []string{
		``, `null`, `{}`, `[]`, `"unreadable"`, `{"request_id":"r"}`, `{"request_id":5}`, `{"request_id":"r"`,
		`{"revision":"bbbbbbbbbbbb","generation":3,"force":true,"prune":true,"request_id":"r","options":{"resync_interval":"1s","drift":"correct"}}`,
		`{"revision":"aaaaaaaaaaa\u00e9"}`, `{"options":{"resync_interval":"soon"},"request_id":"r"}`,
		`{"request_id":"r","workflow_id":"kept","action":"revert"}`, `{"request_id":"kept","workflow_id":"kept","action":"resume"}`,
		`{"request_id":"r","workflow_id":"one","action":"pause","actor":"ann","reason":"x","expires_in":"1s","hold":true}`,
		`{"expires_in":"soon","request_id":"r","workflow_id":"one","action":"delete"}`,
		`{"request_id":"r","workflow_id":"one","action":"backfill","start_at":"2027-01-01T00:00:00Z","end_at":"2027-01-02T00:00:00Z"}`,
		`{"start_at":"noon","request_id":"r","workflow_id":"one","action":"trigger"}`,
		`{"to":"next","done":true}`, `{"from":"former","overrides":[{"workflow_id":"b","action":"pause"},{"workflow_id":"a","action":"x"}]}`,
		`{"from":"former","done":true,"overrides":[{"workflow_id":"b","expires_at":"2020-01-01T00:00:00Z"}]}`,
	} {
		for signal := range fuzzedSignals {
			f.Add(uint8(signal), "json/plain", []byte(message), []byte(`{"after":"a","page_size":1}`))
		}
	}
	f.Add(uint8(2), "binary/plain", []byte{0xff}, []byte(`{"page_size":-1}`))
	f.Add(uint8(2), "binary/null", []byte(nil), []byte(`{"request_id":"kept"}`))
	f.Add(uint8(3), "json/protobuf", []byte(`{}`), []byte(`{"workflow_id":"kept"}`))
	f.Add(uint8(4), "binary/protobuf", []byte("\x0a\x01a"), []byte(`5`))
	f.Add(uint8(0), "", []byte(`{}`), []byte(``))
	f.Fuzz(func(t *testing.T, signal uint8, encoding string, message, argument []byte) {
		name := fuzzedSignals[int(signal)%len(fuzzedSignals)]
		s := newFuzzStage(t)
		s.at(1*time.Second, func() { s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revisionA}) })
		s.at(2*time.Second, func() {
			s.SignalWorkflow(workflows.SignalOverride, workflows.Override{
				RequestID: "kept", WorkflowID: "kept", Action: workflows.ActionPause, Hold: true,
			})
		})
		for range 2 { // a message may be sent again
			s.at(3*time.Second, func() { s.SignalWorkflow(name, rawPayload(encoding, message)) })
		}
		s.at(4*time.Second, func() {
			for _, query := range fuzzedQueries {
				if _, err := s.QueryWorkflow(query, rawPayload("json/plain", argument)); err != nil {
					assert.NotContains(t, err.Error(), "panic")
				}
				_, err := s.QueryWorkflow(query)
				assert.NoError(t, err)
			}
			if id := readableID(encoding, message); id != "" && name != workflows.SignalResync && name != workflows.SignalRename {
				assert.NotEqual(t, workflows.OutcomeUnknown, s.outcome(id).Status, "%q has no outcome", id)
			}
		})
		s.at(5*time.Second, func() {
			s.SetContinueAsNewSuggested(true)
			s.SignalWorkflow(workflows.SignalResync, nil)
		})
		s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		var next *workflow.ContinueAsNewError
		require.ErrorAs(t, s.GetWorkflowError(), &next, "%v", s.GetWorkflowError())
		in := requireCarried(t, next.Input)
		if name != workflows.SignalOverride && name != workflows.SignalRename {
			assert.True(t, keeps(in.State), "the held override is gone")
		}

		s = newFuzzStage(t)
		s.at(2*time.Second, func() {
			_, err := s.QueryWorkflow(workflows.QueryStatus)
			assert.NoError(t, err)
		})
		s.at(3*time.Second, s.CancelWorkflow)
		s.ExecuteWorkflow(workflows.ReconcilerType, in)
		require.ErrorContains(t, s.GetWorkflowError(), "canceled")
	})
}

// What FuzzMessages found, in words.
func TestBadMessages(t *testing.T) {
	t.Run("Should answer who sent what cannot be read, wherever the request_id stands in it", func(t *testing.T) {
		for signal, message := range map[string]string{
			workflows.SignalReload:   `{"options":{"resync_interval":"soon"},"request_id":"r"}`,
			workflows.SignalOverride: `{"expires_in":"soon","request_id":"r","workflow_id":"one","action":"delete"}`,
			workflows.SignalRun:      `{"start_at":"noon","request_id":"r","workflow_id":"one","action":"trigger"}`,
		} {
			s := newFuzzStage(t)
			s.at(time.Second, func() { s.SignalWorkflow(signal, rawPayload("json/plain", []byte(message))) })
			s.at(2*time.Second, func() {
				outcome := s.outcome("r")
				assert.Equal(t, workflows.OutcomeFailed, outcome.Status, signal)
				assert.Equal(t, workflows.FailureInvalid, outcome.Reason, signal)
				assert.Contains(t, outcome.Message, "could not be read", signal)
			})
			s.at(3*time.Second, s.CancelWorkflow)
			s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		}
	})
	t.Run("Should refuse a revision that is none, which no queue can be named after", func(t *testing.T) {
		for _, revision := range []string{"aaaaaaaaaaa\u00e9", "main", "AAAAAAAAAAAA", "aaaa aaaa"} {
			s := newFuzzStage(t)
			s.at(time.Second, func() { s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revisionA}) })
			s.at(2*time.Second, func() {
				s.SignalWorkflow(workflows.SignalReload, workflows.Reload{Revision: revision, RequestID: "r"})
			})
			s.at(3*time.Second, func() {
				value, err := s.QueryWorkflow(workflows.QueryStatus)
				require.NoError(t, err)
				var status workflows.Status
				require.NoError(t, value.Get(&status))
				assert.True(t, status.InSync(revisionA))
				require.NotNil(t, status.Refused)
				assert.Contains(t, status.Refused.Message, "hex digits")
				assert.Equal(t, workflows.FailureInvalid, s.outcome("r").Reason)
			})
			s.at(4*time.Second, s.CancelWorkflow)
			s.ExecuteWorkflow(workflows.ReconcilerType, workflows.Input{Project: "reports"})
		}
	})
}

// fuzzStage is a reconciler with activities that find nothing to do.
type fuzzStage struct {
	*testsuite.TestWorkflowEnvironment
	t *testing.T
}

func newFuzzStage(t *testing.T) *fuzzStage {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	s := &fuzzStage{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t}
	s.SetWorkerOptions(sdkworker.Options{DeadlockDetectionTimeout: time.Minute}) // of a busy machine
	s.SetTestTimeout(time.Minute)
	s.RegisterWorkflowWithOptions(workflows.Reconciler, workflow.RegisterOptions{Name: workflows.ReconcilerType})
	register := func(name string, f any) { s.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	register("Diff", func(ctx context.Context, in activities.DiffInput) (activities.DiffResult, error) {
		s.checkQueue(ctx, in.Revision)
		return activities.DiffResult{}, nil
	})
	register("Audit", func(ctx context.Context, in activities.AuditInput) (activities.AuditResult, error) {
		s.checkQueue(ctx, in.Revision)
		return activities.AuditResult{}, nil
	})
	var runtime *activities.Runtime
	s.OnActivity(runtime.Override, mock.Anything, mock.Anything).Return(activities.OverrideResult{Paused: true, GitKnown: true, GitEnabled: true}, nil)
	s.OnActivity(runtime.Run, mock.Anything, mock.Anything).Return(activities.OverrideResult{}, nil)
	return s
}

// checkQueue holds what the reconciler asked for against what a server accepts.
func (s *fuzzStage) checkQueue(ctx context.Context, revision string) {
	queue := activity.GetInfo(ctx).TaskQueue
	assert.Equal(s.t, workflows.RevisionQueue("reports", revision), queue)
	assert.True(s.t, utf8.ValidString(queue), "no server takes the queue %q", queue)
}

func (s *fuzzStage) at(d time.Duration, f func()) { s.RegisterDelayedCallback(f, d) }

func (s *fuzzStage) outcome(id string) workflows.Outcome {
	value, err := s.QueryWorkflow(workflows.QueryOutcome, workflows.OutcomeQuery{RequestID: id})
	require.NoError(s.t, err)
	var outcomes []workflows.Outcome
	require.NoError(s.t, value.Get(&outcomes))
	require.Len(s.t, outcomes, 1)
	return outcomes[0]
}

func rawPayload(encoding string, data []byte) converter.RawValue {
	return converter.NewRawValue(&commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: data})
}

// readableID is the request_id of a message that is a JSON object, as it is kept; empty where there is none.
func readableID(encoding string, message []byte) string {
	const longest = 200
	var read struct {
		RequestID json.RawMessage `json:"request_id"`
	}
	var id string
	if encoding != "json/plain" || json.Unmarshal(message, &read) != nil || json.Unmarshal(read.RequestID, &id) != nil {
		return ""
	}
	return strings.ToValidUTF8(id[:min(len(id), longest)], "")
}

// requireCarried reads what the next run gets, and sees that nothing of it is lost by reading and writing it.
func requireCarried(t *testing.T, payloads *commonpb.Payloads) (in workflows.Input) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(payloads, &in))
	require.NotNil(t, in.State)
	written, err := json.Marshal(in)
	require.NoError(t, err)
	require.JSONEq(t, string(payloads.GetPayloads()[0].GetData()), string(written))
	require.NotContains(t, string(written), `\ufffd`, "a text was cut inside a character")
	return in
}

func keeps(state *workflows.State) bool {
	for _, o := range state.Overrides {
		if o.RequestID == "kept" && o.Action == workflows.ActionPause && o.Hold {
			return true
		}
	}
	return false
}
