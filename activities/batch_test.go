package activities_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/grpc"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// heartbeat is the JSON of a batch's heartbeat: a contract between the binaries of a rolling deploy.
type heartbeat struct {
	Done   []bool                 `json:"done"`
	Result activities.BatchResult `json:"result"`
}

func TestBatchResume(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProject(t, "a", many(6)...)
	a := f.activities(t, p)
	created := func() []string {
		var ids []string
		f.rpcs.hook(nil)
		for _, w := range p.Workflows {
			_, err := f.hand.ScheduleClient().GetHandle(t.Context(), config.DefaultScheduleID("a", w.ID)).Describe(t.Context())
			if err == nil {
				ids = append(ids, w.ID)
			}
		}
		return ids
	}
	t.Run("Should do only what its heartbeat does not hold, and add it up", func(t *testing.T) {
		env := newEnv()
		earlier := heartbeat{
			Done: []bool{true, false, true, true, false, true},
			Result: activities.BatchResult{
				Created: 2, Updated: 1, Problems: []activities.Problem{{Kind: activities.ProblemRefused, WorkflowID: "w0005"}},
			},
		}
		env.SetHeartbeatDetails(earlier)
		var result activities.BatchResult
		calls := f.rpcs.during(func() {
			var err error
			result, err = runBatch(env, a.Upsert, batchInput(t, p))
			require.NoError(t, err)
		})
		assert.Equal(t, map[string]int{"CreateSchedule": 2}, calls)
		assert.Equal(t, activities.BatchResult{Created: 4, Updated: 1, Problems: earlier.Result.Problems}, result)
		assert.Equal(t, []string{"w0001", "w0004"}, created())
	})
	for name, details := range map[string]any{
		"of another batch": heartbeat{Done: []bool{true, true}, Result: activities.BatchResult{Created: 2}},
		"of another form":  "page 3",
		"of a list":        7,
	} {
		t.Run("Should start over where the heartbeat is "+name, func(t *testing.T) {
			env := newEnv()
			env.SetHeartbeatDetails(details)
			result, err := runBatch(env, a.Upsert, batchInput(t, p))
			require.NoError(t, err)
			assert.Equal(t, 6, result.Created+result.Unchanged)
			assert.LessOrEqual(t, result.Created, 4)
			assert.Len(t, created(), 6)
		})
	}
}

// runHeld runs a batch and returns the last heartbeat that it left.
func runHeld(
	t *testing.T, a *activities.Activities, in activities.BatchInput, stop chan struct{},
) (heartbeat, activities.BatchResult, error) {
	t.Helper()
	env := newEnv()
	if stop != nil {
		env.SetWorkerStopChannel(stop)
	}
	return runHeldIn(t, env, a, in)
}

func runHeldIn(
	t *testing.T, env *testsuite.TestActivityEnvironment, a *activities.Activities, in activities.BatchInput,
) (heartbeat, activities.BatchResult, error) {
	t.Helper()
	var mu sync.Mutex
	var last heartbeat
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		assert.NoError(t, details.Get(&last))
	})
	result, err := runBatch(env, a.Upsert, in)
	mu.Lock()
	defer mu.Unlock()
	return last, result, err
}

func TestBatchInterrupted(t *testing.T) {
	t.Parallel()
	t.Run("Should hand the rest over when the worker stops, losing and repeating nothing", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", many(9)...)
		a := f.activities(t, p)
		stop := make(chan struct{})
		n := 0
		f.rpcs.hook(func(_ string, _ any) {
			if n++; n == 4 {
				close(stop)
			}
		})
		in := batchInput(t, p)
		in.Callers = 1
		left, _, err := runHeld(t, a, in, stop)
		requireRetryable(t, err)
		require.ErrorContains(t, err, "stopping")
		assert.Equal(t, 4, n, "what was under way is finished, nothing else is begun")
		assert.Equal(t, []bool{true, true, true, true, false, false, false, false, false}, left.Done)
		assert.Equal(t, 4, left.Result.Created)

		f.rpcs.hook(nil)
		env := newEnv()
		env.SetHeartbeatDetails(left)
		calls := f.rpcs.during(func() {
			result, err := runBatch(env, a.Upsert, in)
			require.NoError(t, err)
			assert.Equal(t, activities.BatchResult{Created: 9}, result)
		})
		assert.Equal(t, map[string]int{"CreateSchedule": 5}, calls)
	})
	t.Run("Should not say that it stopped when all is done", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", many(2)...)
		stop := make(chan struct{})
		n := 0
		f.rpcs.hook(func(string, any) {
			if n++; n == 2 {
				close(stop)
			}
		})
		in := batchInput(t, p)
		in.Callers = 1
		_, result, err := runHeld(t, f.activities(t, p), in, stop)
		require.NoError(t, err)
		assert.Equal(t, 2, result.Created)
	})
	t.Run("Should finish the others where one call fails, and repeat only that one", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", many(5)...)
		service := &failingCreate{WorkflowServiceClient: f.client.WorkflowService(), id: "schedule-a-w0001",
			failure: serviceerror.NewUnavailable("away")}
		a, err := activities.New(newServer(service, f.namespace), p)
		require.NoError(t, err)
		in := batchInput(t, p)
		in.Callers = 2
		left, _, err := runHeld(t, a, in, nil)
		requireRetryable(t, err)
		assert.Equal(t, []bool{true, false, true, true, true}, left.Done)
		service.failure = nil
		env := newEnv()
		env.SetHeartbeatDetails(left)
		calls := f.rpcs.during(func() {
			result, err := runBatch(env, a.Upsert, in)
			require.NoError(t, err)
			assert.Equal(t, activities.BatchResult{Created: 5}, result)
		})
		assert.Equal(t, map[string]int{"CreateSchedule": 1}, calls)
	})
	t.Run("Should report a refused describe of a delete as that schedule's problem", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		p := newProject(t, "a", many(2)...)
		f.upsert(t, p)
		service := &deniedDescribe{WorkflowServiceClient: f.client.WorkflowService(), id: "schedule-a-w0000"}
		a, err := activities.New(newServer(service, f.namespace), p)
		require.NoError(t, err)
		result, err := runBatch(newEnv(), a.Delete, batchInput(t, p,
			activities.Operation{Kind: activities.Delete, WorkflowID: "w0000"},
			activities.Operation{Kind: activities.Delete, WorkflowID: "w0001"}))
		require.NoError(t, err)
		assert.Equal(t, 1, result.Deleted)
		require.Len(t, result.Problems, 1)
		assert.Equal(t, activities.ProblemRefused, result.Problems[0].Kind)
		assert.Equal(t, "w0000", result.Problems[0].WorkflowID)
	})
}

// failingCreate fails the creation of one schedule, which the real server cannot be made to do.
type failingCreate struct {
	workflowservice.WorkflowServiceClient
	id      string
	failure error
}

func (s *failingCreate) CreateSchedule(
	ctx context.Context, in *workflowservice.CreateScheduleRequest, o ...grpc.CallOption,
) (*workflowservice.CreateScheduleResponse, error) {
	if in.GetScheduleId() == s.id && s.failure != nil {
		return nil, s.failure
	}
	return s.WorkflowServiceClient.CreateSchedule(ctx, in, o...)
}

// deniedDescribe refuses the describe of one schedule: the development server has no authorization.
type deniedDescribe struct {
	workflowservice.WorkflowServiceClient
	id string
}

func (s *deniedDescribe) DescribeSchedule(
	ctx context.Context, in *workflowservice.DescribeScheduleRequest, o ...grpc.CallOption,
) (*workflowservice.DescribeScheduleResponse, error) {
	if in.GetScheduleId() == s.id {
		return nil, serviceerror.NewPermissionDenied("no", "")
	}
	return s.WorkflowServiceClient.DescribeSchedule(ctx, in, o...)
}

func TestBatchRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProject(t, "a", daily("v"), daily("w"))
	a := f.activities(t, p)
	inputs := map[string]func(*activities.BatchInput){
		"another revision": func(in *activities.BatchInput) { in.Revision = "000000000000" },
		"another project":  func(in *activities.BatchInput) { in.Project = "b" },
	}
	for name, change := range inputs {
		t.Run("Should do nothing for "+name, func(t *testing.T) {
			in := batchInput(t, p)
			change(&in)
			calls := f.rpcs.during(func() {
				_, err := runBatch(newEnv(), a.Upsert, in)
				requireNonRetryable(t, err, "WrongRevision")
				_, err = runBatch(newEnv(), a.Delete, in)
				requireNonRetryable(t, err, "WrongRevision")
			})
			assert.Empty(t, calls)
		})
	}
	operations := map[string]activities.Operation{
		"a spec that it does not have":     {Kind: activities.Create, WorkflowID: "w", Spec: "000000000000"},
		"a workflow that it does not know": {Kind: activities.Create, WorkflowID: "x", Spec: "000000000000"},
	}
	for name, op := range operations {
		t.Run("Should not write "+name, func(t *testing.T) {
			_, err := runBatch(newEnv(), a.Upsert, batchInput(t, p, op, operation(t, p, activities.Create, "v")))
			requireNonRetryable(t, err, "WrongRevision")
			_, err = f.hand.ScheduleClient().GetHandle(t.Context(), "schedule-a-w").Describe(t.Context())
			var notFound *serviceerror.NotFound
			require.ErrorAs(t, err, &notFound)
		})
	}
	t.Run("Should have nothing to do for no operations", func(t *testing.T) {
		result, err := runBatch(newEnv(), a.Upsert, batchInput(t, p, []activities.Operation{}...))
		require.NoError(t, err)
		assert.Empty(t, result.Problems)
	})
	t.Run("Should work with one caller where none is named", func(t *testing.T) {
		in := batchInput(t, p)
		in.Callers = 0
		result, err := runBatch(newEnv(), a.Upsert, in)
		require.NoError(t, err)
		assert.Equal(t, 2, result.Created+result.Unchanged)
	})
	t.Run("Should run only as many calls at once as it is told", func(t *testing.T) {
		p := newProject(t, "b", many(40)...)
		service := &concurrency{WorkflowServiceClient: f.client.WorkflowService()}
		a, err := activities.New(newServer(service, f.namespace), p)
		require.NoError(t, err)
		in := batchInput(t, p)
		in.Callers = 4
		_, err = runBatch(newEnv(), a.Upsert, in)
		require.NoError(t, err)
		assert.Equal(t, 4, slices.Max(service.seen))
	})
}

// concurrency counts the calls under way.
type concurrency struct {
	workflowservice.WorkflowServiceClient
	mu       sync.Mutex
	underWay int
	seen     []int
}

func (s *concurrency) CreateSchedule(
	ctx context.Context, in *workflowservice.CreateScheduleRequest, o ...grpc.CallOption,
) (*workflowservice.CreateScheduleResponse, error) {
	count := func(change int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.underWay += change
		s.seen = append(s.seen, s.underWay)
	}
	count(1)
	defer count(-1)
	return s.WorkflowServiceClient.CreateSchedule(ctx, in, o...)
}
