package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// auditHeartbeat is the JSON of an audit's heartbeat: a contract between the binaries of a rolling deploy.
type auditHeartbeat struct {
	Done   string                 `json:"done"`
	Result activities.AuditResult `json:"result"`
}

func runAudit(env *testsuite.TestActivityEnvironment, a *activities.Activities, p *config.Project) (activities.AuditResult, error) {
	env.RegisterActivity(a.Audit)
	var result activities.AuditResult
	value, err := env.ExecuteActivity(a.Audit, activities.AuditInput{Project: p.Name, Revision: config.Short(p.Revision)})
	if err != nil {
		return result, err
	}
	err = value.Get(&result)
	return result, err
}

func (f *fixture) audit(t testing.TB, p *config.Project) activities.AuditResult {
	t.Helper()
	result, err := runAudit(newEnv(), f.activities(t, p), p)
	require.NoError(t, err)
	return result
}

// look is the pass that follows an audit.
func (f *fixture) look(t testing.TB, p *config.Project, suspects []string, correct bool) activities.DiffResult {
	t.Helper()
	in := diffInput(p, activities.PassResync)
	in.Suspects, in.Correct = suspects, correct
	result, err := runDiff(newEnv(), f.activities(t, p), in)
	require.NoError(t, err)
	return result
}

// handEdit changes one field of a schedule by hand.
type handEdit struct {
	field string // as people are told
	edit  func(*schedulepb.Schedule)
}

// handEdits are one of each field, by workflow id. The server itself refuses a cron of the run's own.
func handEdits(t testing.TB) map[string]handEdit {
	payload := func(value any) *commonpb.Payload {
		encoded, err := converter.GetDefaultDataConverter().ToPayload(value)
		require.NoError(t, err)
		return encoded
	}
	start := func(change func(*workflowpb.NewWorkflowExecutionInfo)) func(*schedulepb.Schedule) {
		return func(s *schedulepb.Schedule) { change(s.Action.GetStartWorkflow()) }
	}
	return map[string]handEdit{
		"cron":             {"cron", func(s *schedulepb.Schedule) { s.Spec.StructuredCalendar[0].Hour[0].Start = 8 }},
		"cron-text":        {"cron", func(s *schedulepb.Schedule) { s.Spec.CronString = []string{"0 5 * * *"} }},
		"exclusion":        {"cron", func(s *schedulepb.Schedule) { s.Spec.ExcludeStructuredCalendar = s.Spec.StructuredCalendar }},
		"timezone":         {"timezone", func(s *schedulepb.Schedule) { s.Spec.TimezoneName = "Asia/Tokyo" }},
		"jitter":           {"jitter", func(s *schedulepb.Schedule) { s.Spec.Jitter = durationpb.New(time.Hour) }},
		"start-at":         {"start_at", func(s *schedulepb.Schedule) { s.Spec.StartTime = timestamppb.New(time.Unix(2e9, 0)) }},
		"end-at":           {"end_at", func(s *schedulepb.Schedule) { s.Spec.EndTime = nil }},
		"overlap-policy":   {"overlap_policy", func(s *schedulepb.Schedule) { s.Policies.OverlapPolicy = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL }},
		"catchup-window":   {"catchup_window", func(s *schedulepb.Schedule) { s.Policies.CatchupWindow = durationpb.New(time.Hour) }},
		"pause-on-failure": {"pause_on_failure", func(s *schedulepb.Schedule) { s.Policies.PauseOnFailure = false }},
		"keep-original-id": {"keep_original_workflow_id", func(s *schedulepb.Schedule) { s.Policies.KeepOriginalWorkflowId = true }},

		"workflow-id":   {"workflow_id", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.WorkflowId = "by-hand" })},
		"workflow-type": {"workflow_type", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.WorkflowType.Name = "Other" })},
		"task-queue":    {"task_queue", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.TaskQueue.Name = "other" })},
		"execution-timeout": {"execution_timeout", start(func(w *workflowpb.NewWorkflowExecutionInfo) {
			w.WorkflowExecutionTimeout = durationpb.New(time.Minute * 50)
		})},
		"run-timeout":  {"run_timeout", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.WorkflowRunTimeout = durationpb.New(time.Minute) })},
		"task-timeout": {"task_timeout", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.WorkflowTaskTimeout = durationpb.New(time.Second) })},
		"retry":        {"retry", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.RetryPolicy.MaximumAttempts = 2 })},
		"no-retry":     {"retry", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.RetryPolicy = nil })},
		"input":        {"input", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.Input.Payloads[0] = payload("by hand") })},
		"no-input":     {"input", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.Input = nil })},
		"memo":         {"memo", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.Memo.Fields["owner"] = payload("bob") })},
		"memo-more":    {"memo", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.Memo.Fields["more"] = payload(1) })},
		"memo-ours":    {"memo", start(func(w *workflowpb.NewWorkflowExecutionInfo) { delete(w.Memo.Fields, "schedule_id") })},
		"search-attributes": {"search_attributes", start(func(w *workflowpb.NewWorkflowExecutionInfo) {
			w.SearchAttributes.IndexedFields["BuildIds"] = payload([]string{"lead"})
		})},
		"no-search-attributes": {"search_attributes", start(func(w *workflowpb.NewWorkflowExecutionInfo) { w.SearchAttributes = nil })},
		"priority": {"other start options", start(func(w *workflowpb.NewWorkflowExecutionInfo) {
			w.Priority = &commonpb.Priority{PriorityKey: 1}
		})},
		"user-metadata": {"other start options", start(func(w *workflowpb.NewWorkflowExecutionInfo) {
			w.UserMetadata = &sdkpb.UserMetadata{Summary: payload("by hand")}
		})},
		"header": {"other start options", start(func(w *workflowpb.NewWorkflowExecutionInfo) {
			w.Header = &commonpb.Header{Fields: map[string]*commonpb.Payload{"trace": payload("x")}}
		})},
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	edits := handEdits(t)
	full := func(id string) config.Workflow {
		return daily(id, everyOption, func(w *config.Workflow) { w.Start.SearchAttributes = map[string]any{"BuildIds": []string{"gold"}} })
	}
	ids := slices.Sorted(maps.Keys(edits))
	var workflows []config.Workflow
	for _, id := range ids {
		workflows = append(workflows, full(id))
	}
	workflows = append(workflows, full("x-limited"), full("x-noted"), full("x-paused"), full("x-untouched"),
		daily("x-foreign"), daily("x-missing"), daily("x-adopted", adopting("adopted")))
	p := newProject(t, "a", workflows...)
	f.createByHand(t, "schedule-a-x-foreign")
	f.makeByHand(t, options("adopted"))
	var operations []activities.Operation
	for _, w := range p.Workflows {
		if w.ID != "x-missing" {
			operations = append(operations, operation(t, p, activities.Create, w.ID))
		}
	}
	result := f.upsert(t, p, operations...)
	require.Equal(t, len(ids)+4, result.Created)
	require.Equal(t, 1, result.Updated)
	checked := len(ids) + 5

	t.Run("Should find nothing where nobody changed anything", func(t *testing.T) {
		assert.Equal(t, activities.AuditResult{Checked: checked}, f.audit(t, p))
	})

	for _, id := range ids {
		f.edit(t, "schedule-a-"+id, edits[id].edit)
	}
	f.pause(t, "schedule-a-x-paused", "Paused via UI")
	f.edit(t, "schedule-a-x-noted", func(s *schedulepb.Schedule) { s.State.Notes = "seen by Ann" })
	f.edit(t, "schedule-a-x-limited", func(s *schedulepb.Schedule) { s.State.LimitedActions, s.State.RemainingActions = true, 3 })

	t.Run("Should find a hand edit of each field, and none in pauses, notes and remaining actions", func(t *testing.T) {
		var result activities.AuditResult
		calls := f.rpcs.during(func() { result = f.audit(t, p) })
		assert.Equal(t, activities.AuditResult{Checked: checked, Drifted: len(ids), Suspects: ids}, result)
		assert.Equal(t, map[string]int{"DescribeSchedule": len(p.Workflows)}, calls, "it changes nothing")
	})
	t.Run("Should let the next pass name each field, which a list alone does not show", func(t *testing.T) {
		var plain activities.DiffResult
		require.Eventually(t, func() bool { // until the list shows the pause, which was the last but two
			plain = f.look(t, p, nil, false)
			return plain.Counts.Create == 1 && plain.Counts.Update == 2
		}, time.Minute, 50*time.Millisecond)
		assert.Less(t, len(plain.Drifted), len(ids)/2)

		result := f.look(t, p, ids, false)
		assert.Equal(t, ids, result.Drifted)
		assert.Equal(t, len(ids), result.Counts.Drifted)
		named := map[string]string{}
		for _, problem := range result.Problems {
			if problem.Kind == activities.ProblemDrift {
				named[problem.WorkflowID] = strings.TrimPrefix(problem.Message, "changed by hand in Temporal: ")
			}
		}
		for id, edit := range edits {
			assert.Equal(t, edit.field, named[id], id)
		}
		for _, op := range result.Operations {
			assert.NotContains(t, ids, op.WorkflowID, "it is reported, not put back")
		}
	})
	t.Run("Should let the next pass put each back", func(t *testing.T) {
		result := f.look(t, p, ids, true)
		assert.Empty(t, result.Drifted)
		assert.Equal(t, len(ids), result.Counts.Drifted)
		var puts []activities.Operation
		for _, op := range result.Operations {
			if len(op.Corrects) > 0 {
				assert.Equal(t, []string{edits[op.WorkflowID].field}, op.Corrects)
				puts = append(puts, op)
			}
		}
		require.Len(t, puts, len(ids))
		assert.Equal(t, activities.BatchResult{Updated: len(ids)}, f.upsert(t, p, puts...))
		assert.Equal(t, activities.AuditResult{Checked: checked}, f.audit(t, p), "a second audit finds nothing")
		assert.Zero(t, f.look(t, p, ids, true).Counts.Drifted)
		for _, id := range []string{"x-limited", "x-noted", "x-paused"} {
			state := f.schedule(t, "schedule-a-"+id).GetState()
			assert.Equal(t, id == "x-paused", state.GetPaused())
			assert.Equal(t, id == "x-limited", state.GetLimitedActions())
		}
	})
	t.Run("Should refuse to audit another revision or project", func(t *testing.T) {
		for _, in := range []activities.AuditInput{
			{Project: "a", Revision: "000000000000"}, {Project: "b", Revision: config.Short(p.Revision)},
		} {
			a, env := f.activities(t, p), newEnv()
			env.RegisterActivity(a.Audit)
			calls := f.rpcs.during(func() {
				_, err := env.ExecuteActivity(a.Audit, in)
				requireNonRetryable(t, err, "WrongRevision")
			})
			assert.Empty(t, calls)
		}
	})
}

// beats sees each heartbeat when it is recorded; the SDK holds most of them back.
type beats struct {
	interceptor.WorkerInterceptorBase
	seen chan []any
}

func (b *beats) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &beatsInbound{interceptor.ActivityInboundInterceptorBase{Next: next}, b}
}

type beatsInbound struct {
	interceptor.ActivityInboundInterceptorBase
	beats *beats
}

func (i *beatsInbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&beatsOutbound{interceptor.ActivityOutboundInterceptorBase{Next: out}, i.beats})
}

type beatsOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	beats *beats
}

func (o *beatsOutbound) RecordHeartbeat(ctx context.Context, details ...any) {
	o.beats.seen <- details
	o.Next.RecordHeartbeat(ctx, details...)
}

func TestAuditInterrupted(t *testing.T) {
	t.Parallel()
	const n = 6
	f := newFixture(t)
	p := newProject(t, "a", many(n)...)
	f.upsert(t, p)
	drifted := []string{"w0001", "w0004"}
	for _, id := range drifted {
		f.edit(t, "schedule-a-"+id, func(s *schedulepb.Schedule) { s.Action.GetStartWorkflow().TaskQueue.Name = "other" })
	}
	whole := activities.AuditResult{Checked: n, Drifted: 2, Suspects: drifted}
	// held runs an audit and returns the last heartbeat that it left.
	held := func(t *testing.T, env *testsuite.TestActivityEnvironment) (auditHeartbeat, activities.AuditResult, error) {
		t.Helper()
		var mu sync.Mutex
		var last auditHeartbeat
		env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
			mu.Lock()
			defer mu.Unlock()
			last = auditHeartbeat{}
			assert.NoError(t, details.Get(&last))
		})
		result, err := runAudit(env, f.activities(t, p), p)
		mu.Lock()
		defer mu.Unlock()
		return last, result, err
	}
	resumed := func(t *testing.T, left any) (result activities.AuditResult, describes int) {
		t.Helper()
		env := newEnv()
		env.SetHeartbeatDetails(left)
		calls := f.rpcs.during(func() {
			var err error
			result, err = runAudit(env, f.activities(t, p), p)
			require.NoError(t, err)
		})
		return result, calls["DescribeSchedule"]
	}

	t.Run("Should go on after what its heartbeat holds, and add it up", func(t *testing.T) {
		for done := range n + 1 {
			left := auditHeartbeat{Result: activities.AuditResult{Checked: done}}
			if done > 0 {
				left.Done = fmt.Sprintf("w%04d", done-1)
			}
			for _, id := range drifted {
				if id <= left.Done {
					left.Result.Drifted++
					left.Result.Suspects = append(left.Result.Suspects, id)
				}
			}
			result, describes := resumed(t, left)
			assert.Equal(t, whole, result)
			assert.Equal(t, n-done, describes)
		}
	})
	t.Run("Should start over where the heartbeat is of another form", func(t *testing.T) {
		for _, left := range []any{"page 3", 7, []string{"w0003"}} {
			result, describes := resumed(t, left)
			assert.Equal(t, whole, result)
			assert.Equal(t, n, describes)
		}
	})
	t.Run("Should hand the rest over when the worker stops", func(t *testing.T) {
		stop := make(chan struct{})
		asked := 0
		f.rpcs.hook(func(string, any) {
			if asked++; asked == 4 {
				close(stop)
			}
		})
		defer f.rpcs.hook(nil)
		env := newEnv()
		env.SetWorkerStopChannel(stop)
		left, _, err := held(t, env)
		requireRetryable(t, err)
		require.ErrorContains(t, err, "stopping")
		assert.Equal(t, "w0003", left.Done, "what was under way is finished")
		f.rpcs.hook(nil)
		result, describes := resumed(t, left)
		assert.Equal(t, whole, result)
		assert.Equal(t, 2, describes)
	})
	t.Run("Should go on at a call that failed", func(t *testing.T) {
		asked := 0
		f.rpcs.replace(func(invoke func() error) error {
			if asked++; asked == 3 {
				return status.Error(codes.Unavailable, "away")
			}
			return invoke()
		})
		left, _, err := held(t, newEnv())
		f.rpcs.replace(nil)
		requireRetryable(t, err)
		result, describes := resumed(t, left)
		assert.Equal(t, whole, result)
		assert.Equal(t, 4, describes)
	})
	t.Run("Should lose nothing of its progress while a call takes long", func(t *testing.T) {
		// A worker may be killed while a describe does not answer: then its last heartbeat is what is left.
		beats := &beats{seen: make(chan []any, 100)}
		asked := 0
		var left []any
		f.rpcs.replace(func(invoke func() error) error {
			if asked++; asked != 4 {
				return invoke()
			}
			for len(beats.seen) > 0 {
				<-beats.seen // those of the calls before
			}
			left = <-beats.seen
			return invoke()
		})
		defer f.rpcs.replace(nil)
		env := newEnv()
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{beats}})
		_, err := runAudit(env, f.activities(t, p), p)
		require.NoError(t, err)
		text, err := json.Marshal(left)
		require.NoError(t, err)
		assert.JSONEq(t, `[{"done": "w0002", "result": {"checked": 3, "drifted": 1, "suspects": ["w0001"]}}]`, string(text))
	})
	t.Run("Should not retry what Temporal refuses", func(t *testing.T) {
		f.rpcs.replace(func(func() error) error { return status.Error(codes.PermissionDenied, "no") })
		defer f.rpcs.replace(nil)
		_, err := runAudit(newEnv(), f.activities(t, p), p)
		requireNonRetryable(t, err, "Refused")
	})
	t.Run("Should count what it has no room to name", func(t *testing.T) {
		left := auditHeartbeat{Done: "w0003", Result: activities.AuditResult{
			Checked: 4, Drifted: activities.MaxSuspects, Suspects: make([]string, activities.MaxSuspects),
		}}
		result, _ := resumed(t, left)
		assert.Equal(t, activities.MaxSuspects+1, result.Drifted)
		assert.Len(t, result.Suspects, activities.MaxSuspects)
	})
}
