package activities_test

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

// daily is a workflow that runs every day at nine, changed by the given functions.
func daily(id string, changes ...func(*config.Workflow)) config.Workflow {
	w := config.Workflow{
		ID:       id,
		Start:    config.Start{WorkflowType: id, TaskQueue: "reports"},
		Schedule: &config.Schedule{Cron: "0 9 * * *"},
	}
	for _, change := range changes {
		change(&w)
	}
	return w
}

func cron(expression, zone string) func(*config.Workflow) {
	return func(w *config.Workflow) { w.Schedule.Cron, w.Schedule.Timezone = expression, zone }
}

func disabled(w *config.Workflow) { w.Schedule.Enabled = new(false) }

// newProject is a project as config.Load would return it.
func newProject(t testing.TB, name string, workflows ...config.Workflow) *config.Project {
	t.Helper()
	p := &config.Project{Name: name, Workflows: slices.Clone(workflows)}
	slices.SortFunc(p.Workflows, func(a, b config.Workflow) int { return strings.Compare(a.ID, b.ID) })
	revision, err := config.Fingerprint(p)
	require.NoError(t, err)
	p.Revision = revision
	return p
}

func translate(t testing.TB, project string, w config.Workflow) activities.Desired {
	t.Helper()
	desired, err := activities.Translate(project, w)
	require.NoError(t, err)
	return desired
}

// rpcs counts the calls of a client, and runs a hook before each or in place of each.
type rpcs struct {
	mu     sync.Mutex
	counts map[string]int
	// compressors are what the last call of each method of the schedule service was sent with.
	compressors map[string]string
	before      func(method string, request any)
	around      func(invoke func() error) error
}

func (r *rpcs) dial(o *client.Options) {
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(r.intercept))
}

func (r *rpcs) intercept(
	ctx context.Context, fullMethod string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption,
) error {
	method := path.Base(fullMethod)
	r.mu.Lock()
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[method]++
	for _, option := range o {
		if compressor, ok := option.(grpc.CompressorCallOption); ok && strings.Contains(method, "Schedule") {
			r.compressors[method] = compressor.CompressorType
		}
	}
	before, around := r.before, r.around
	r.mu.Unlock()
	if before != nil {
		before(method, request)
	}
	call := func() error { return invoke(ctx, fullMethod, request, reply, cc, o...) }
	if around != nil {
		return around(call)
	}
	return call()
}

// replace sets what runs in place of each call from now on; nil ends it.
func (r *rpcs) replace(around func(invoke func() error) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.around = around
}

// hook sets what runs before each call from now on; nil ends it.
func (r *rpcs) hook(before func(method string, request any)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

// during returns the calls of the schedule service that f makes.
func (r *rpcs) during(f func()) map[string]int {
	r.mu.Lock()
	r.counts = map[string]int{}
	r.mu.Unlock()
	f()
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := map[string]int{}
	for method, n := range r.counts {
		if strings.Contains(method, "Schedule") {
			calls[method] = n
		}
	}
	return calls
}

// fixture is one namespace with a client for the code under test, whose calls it counts, and one for
// the test itself.
type fixture struct {
	namespace string
	rpcs      *rpcs
	client    client.Client // the code under test's
	hand      client.Client // somebody else's
}

func newFixture(t testing.TB, options ...func(*client.Options)) *fixture {
	t.Helper()
	f := &fixture{rpcs: &rpcs{compressors: map[string]string{}}}
	f.namespace, f.client = server.Namespace(t, append(options, f.rpcs.dial)...)
	f.hand = server.Client(t, f.namespace)
	return f
}

func (f *fixture) server() *activities.Server {
	return newServer(f.client.WorkflowService(), f.namespace)
}

func newServer(service workflowservice.WorkflowServiceClient, namespace string) *activities.Server {
	return activities.NewServer(service, namespace, "test", rate.NewLimiter(rate.Inf, 1))
}

func (f *fixture) activities(t testing.TB, p *config.Project) *activities.Activities {
	t.Helper()
	a, err := activities.New(f.server(), p)
	require.NoError(t, err)
	return a
}

// upsert applies the operations of a batch to the project; without any, it creates all its schedules.
func (f *fixture) upsert(t testing.TB, p *config.Project, operations ...activities.Operation) activities.BatchResult {
	t.Helper()
	a := f.activities(t, p)
	result, err := runBatch(newEnv(), a.Upsert, batchInput(t, p, operations...))
	require.NoError(t, err)
	return result
}

func (f *fixture) remove(t testing.TB, p *config.Project, ids ...string) activities.BatchResult {
	t.Helper()
	in := batchInput(t, p)
	in.Operations = nil
	for _, id := range ids {
		in.Operations = append(in.Operations, activities.Operation{Kind: activities.Delete, WorkflowID: id})
	}
	a := f.activities(t, p)
	result, err := runBatch(newEnv(), a.Delete, in)
	require.NoError(t, err)
	return result
}

func (f *fixture) diff(t testing.TB, p *config.Project, kind activities.PassKind, recent ...activities.Write) activities.DiffResult {
	t.Helper()
	result, err := runDiff(newEnv(), f.activities(t, p), diffInput(p, kind, recent...))
	require.NoError(t, err)
	return result
}

// settled diffs until the list shows what was written: it lags behind (docs/temporal.md, "The list lags").
func (f *fixture) settled(t testing.TB, p *config.Project, kind activities.PassKind, done func(activities.DiffResult) bool) activities.DiffResult {
	t.Helper()
	var result activities.DiffResult
	a := f.activities(t, p)
	require.Eventually(t, func() bool {
		var err error
		result, err = runDiff(newEnv(), a, diffInput(p, kind))
		return err == nil && done(result) // a server that has just written a lot refuses some calls
	}, time.Minute, 50*time.Millisecond)
	return result
}

func (f *fixture) describe(t testing.TB, id string) *workflowservice.DescribeScheduleResponse {
	t.Helper()
	response, err := f.hand.WorkflowService().DescribeSchedule(t.Context(),
		&workflowservice.DescribeScheduleRequest{Namespace: f.namespace, ScheduleId: id})
	require.NoError(t, err)
	return response
}

// schedule is the stored schedule.
func (f *fixture) schedule(t testing.TB, id string) *schedulepb.Schedule {
	t.Helper()
	return f.describe(t, id).GetSchedule()
}

// createByHand makes a schedule as somebody else would: through the SDK, without our memo.
func (f *fixture) createByHand(t testing.TB, id string) {
	t.Helper()
	_, err := f.hand.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: id, Paused: true, Note: "mine", Memo: map[string]any{"project": "a", "workflow_id": "b-c"},
		Spec:   client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}},
		Action: &client.ScheduleWorkflowAction{ID: "hand", Workflow: "Hand", TaskQueue: "hand"},
	})
	require.NoError(t, err)
}

// options are a schedule as somebody makes it with the SDK; it does not run during a test.
func options(id string, changes ...func(*client.ScheduleOptions)) client.ScheduleOptions {
	o := client.ScheduleOptions{
		ID: id, Note: "made by Ann",
		Spec:   client.ScheduleSpec{CronExpressions: []string{"0 0 1 1 *"}},
		Action: &client.ScheduleWorkflowAction{ID: "legacy-" + id, Workflow: "Legacy", TaskQueue: "legacy", Args: []any{"x"}},
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// makeByHand makes a schedule with the SDK and triggers a run, which goes on: no worker polls its queue.
func (f *fixture) makeByHand(t testing.TB, o client.ScheduleOptions) *workflowservice.DescribeScheduleResponse {
	t.Helper()
	handle, err := f.hand.ScheduleClient().Create(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	var made *workflowservice.DescribeScheduleResponse
	require.Eventually(t, func() bool {
		made = f.describe(t, o.ID)
		return len(made.GetInfo().GetRunningWorkflows()) == 1
	}, time.Minute, 20*time.Millisecond)
	return made
}

// requireList lists until the entry is as wanted: the list lags behind.
func (f *fixture) requireList(t testing.TB, id string, wanted func(activities.Listed) bool) activities.Listed {
	t.Helper()
	var found activities.Listed
	require.Eventually(t, func() bool {
		entries, err := f.server().List(t.Context(), activities.Scope{Project: "none", Also: []string{id}})
		for _, entry := range entries {
			if err == nil && entry.ScheduleID == id && wanted(entry) {
				found = entry
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond)
	return found
}

// assertUntouched runs f and checks that the schedule's stored bytes are the same afterwards.
func (f *fixture) assertUntouched(t testing.TB, id string, do func()) {
	t.Helper()
	stored := func() ([]byte, []byte) {
		d := f.describe(t, id)
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(d.GetSchedule())
		require.NoError(t, err)
		return text, d.GetConflictToken()
	}
	before, token := stored()
	do()
	after, tokenAfter := stored()
	assert.Equal(t, before, after, "schedule %s changed", id)
	assert.Equal(t, token, tokenAfter, "schedule %s was written to", id)
}

// edit changes a schedule by hand.
func (f *fixture) edit(t testing.TB, id string, change func(*schedulepb.Schedule)) {
	t.Helper()
	current := f.describe(t, id)
	change(current.GetSchedule())
	_, err := f.hand.WorkflowService().UpdateSchedule(t.Context(), &workflowservice.UpdateScheduleRequest{
		Namespace: f.namespace, ScheduleId: id, Schedule: current.GetSchedule(), ConflictToken: current.GetConflictToken(),
	})
	require.NoError(t, err)
}

// pause pauses with a note, as the Temporal UI does.
func (f *fixture) pause(t testing.TB, id, note string) {
	t.Helper()
	require.NoError(t, f.hand.ScheduleClient().GetHandle(t.Context(), id).Pause(t.Context(), client.SchedulePauseOptions{Note: note}))
}

func newEnv() *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	return suite.NewTestActivityEnvironment()
}

func runBatch(
	env *testsuite.TestActivityEnvironment, do func(context.Context, activities.BatchInput) (activities.BatchResult, error), in activities.BatchInput,
) (activities.BatchResult, error) {
	env.RegisterActivity(do)
	var result activities.BatchResult
	value, err := env.ExecuteActivity(do, in)
	if err != nil {
		return result, err
	}
	err = value.Get(&result)
	return result, err
}

func runDiff(env *testsuite.TestActivityEnvironment, a *activities.Activities, in activities.DiffInput) (activities.DiffResult, error) {
	env.RegisterActivity(a.Diff)
	var result activities.DiffResult
	value, err := env.ExecuteActivity(a.Diff, in)
	if err != nil {
		return result, err
	}
	err = value.Get(&result)
	return result, err
}

// batchInput is a batch of the given operations; without any, of a create for each schedule.
func batchInput(t testing.TB, p *config.Project, operations ...activities.Operation) activities.BatchInput {
	t.Helper()
	if operations == nil {
		for _, w := range p.Scheduled() {
			operations = append(operations, operation(t, p, activities.Create, w.ID))
		}
	}
	return activities.BatchInput{Project: p.Name, Revision: config.Short(p.Revision), Operations: operations, Callers: 5}
}

func diffInput(p *config.Project, kind activities.PassKind, recent ...activities.Write) activities.DiffInput {
	return activities.DiffInput{Project: p.Name, Revision: config.Short(p.Revision), Kind: kind, Pass: "1", Recent: recent}
}

func operation(t testing.TB, p *config.Project, kind activities.Kind, id string) activities.Operation {
	t.Helper()
	i := slices.IndexFunc(p.Workflows, func(w config.Workflow) bool { return w.ID == id })
	require.GreaterOrEqual(t, i, 0, "no workflow %s", id)
	hash, err := p.Workflows[i].SpecHash(p.Name)
	require.NoError(t, err)
	op := activities.Operation{Kind: kind, WorkflowID: id, Spec: hash}
	if scheduleID := p.Workflows[i].ScheduleID(p.Name); scheduleID != config.DefaultScheduleID(p.Name, id) {
		op.ScheduleID = scheduleID
	}
	return op
}

// requireNonRetryable checks that err is an application error that Temporal does not retry.
func requireNonRetryable(t testing.TB, err error, kind string) {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	assert.True(t, application.NonRetryable(), "retryable: %v", err)
	assert.Equal(t, kind, application.Type())
}

// requireRetryable checks that Temporal would retry err.
func requireRetryable(t testing.TB, err error) {
	t.Helper()
	require.Error(t, err)
	var application *temporal.ApplicationError
	if assert.ErrorAs(t, err, &application) {
		assert.False(t, application.NonRetryable(), "not retryable: %v", err)
	}
}
