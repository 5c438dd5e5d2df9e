package workflows_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// lives are what TestRecord plays for a name. Each ends with saveHistory. With `-bench NONE` beside -record the
// server suggests no Continue-As-New, so that the whole life is one history; 06 and 09 are recorded without it.
var lives = map[string]func(*testing.T){
	"03-audit-drift": recordDrift, "04-rename": recordRename, "05-delete-messages": recordMessages,
	"06-hand-over": recordHandOver, "07-ended": recordEnded, "08-ended-kept": recordEnded,
	"09-audit-ended": recordAuditEnded,
}

// recorded is a project that a life is played with.
type recorded struct {
	t         *testing.T
	namespace string
	client    client.Client
	dir       string
}

func newRecorded(t *testing.T, options ...func(*client.Options)) recorded {
	t.Helper()
	options = append(options, func(o *client.Options) { o.Identity = "recorder" })
	namespace, c := server.Namespace(t, options...)
	r := recorded{t: t, namespace: namespace, client: c, dir: t.TempDir()}
	r.write("compozy.yaml", "name: recorded\nworkflows: [{source: ./workflows/*.yaml}]\n")
	r.write("workflows/one.yaml", "id: one\nschedule: {cron: \"0 5 * * *\"}\n")
	r.write("workflows/two.yaml", "id: two\nschedule: {cron: \"0 6 * * *\"}\n")
	return r
}

func (r recorded) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o600))
}

func (r recorded) revision() string {
	r.t.Helper()
	project, err := config.Load(r.dir)
	require.NoError(r.t, err)
	return config.Short(project.Revision)
}

func (r recorded) signal(name string, message any) {
	r.t.Helper()
	require.NoError(r.t, r.client.SignalWorkflow(context.Background(), workflows.ReconcilerID("recorded"), "", name, message))
}

// run is the id of the reconciler's run.
func (r recorded) run() string {
	r.t.Helper()
	description, err := r.client.DescribeWorkflowExecution(context.Background(), workflows.ReconcilerID("recorded"), "")
	require.NoError(r.t, err)
	return description.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// edit gives a schedule another jitter and another queue by hand: a list shows only the first.
func (r recorded) edit(workflowID string) {
	r.t.Helper()
	id := config.DefaultScheduleID("recorded", workflowID)
	description, err := r.client.WorkflowService().DescribeSchedule(context.Background(),
		&workflowservice.DescribeScheduleRequest{Namespace: r.namespace, ScheduleId: id})
	require.NoError(r.t, err)
	edited := description.GetSchedule()
	edited.Spec.Jitter = durationpb.New(time.Minute)
	edited.GetAction().GetStartWorkflow().GetTaskQueue().Name = "elsewhere"
	_, err = r.client.WorkflowService().UpdateSchedule(context.Background(), &workflowservice.UpdateScheduleRequest{
		Namespace: r.namespace, ScheduleId: id, Schedule: edited, Identity: "somebody", RequestId: "edit " + time.Now().String(),
	})
	require.NoError(r.t, err)
}

// recordDrift plays hand edits: found by an audit, put back by a revert, by a forced reload and by the
// setting; an audit that a new revision ends, and one without a worker.
func recordDrift(t *testing.T) {
	r := newRecorded(t)
	audits := func(s *config.Settings) { s.AuditInterval = 2 * time.Second }
	stop := recordServe(t, r.namespace, r.client, r.dir, audits)
	await(t, r.client, func(s workflows.Status) bool { return s.LastAudit != nil })
	r.edit("one")
	r.edit("two")
	await(t, r.client, func(s workflows.Status) bool {
		return s.ProblemCount == 2 && s.LastAudit != nil && s.LastAudit.Drifted == 2
	})
	r.signal(workflows.SignalOverride, workflows.Override{RequestID: "revert", WorkflowID: "one", Action: workflows.ActionRevert})
	awaitOutcome(t, r.client, "revert")
	r.signal(workflows.SignalReload, workflows.Reload{Force: true})
	await(t, r.client, func(s workflows.Status) bool {
		return s.Phase == workflows.PhaseInSync && len(s.Corrections) == 2 && s.LastAudit.Drifted == 0
	})
	r.write("workflows/two.yaml", "id: two\nschedule: {cron: \"0 7 * * *\"}\n")
	before, revision := time.Now(), r.revision()
	await(t, r.client, func(s workflows.Status) bool {
		return s.Phase == workflows.PhaseInSync && s.LastAudit.FinishedAt.After(before) && s.LastAudit.Revision == revision
	})
	// A revision that nobody has ends what is under way, and is not audited.
	r.signal(workflows.SignalReload, workflows.Reload{Revision: "0123456789ab"})
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseNoWorker })
	stop()
	r.edit("one")
	stop = recordServe(t, r.namespace, r.client, r.dir, audits, func(s *config.Settings) { s.Drift = config.DriftCorrect })
	await(t, r.client, func(s workflows.Status) bool { return len(s.Corrections) == 3 && s.Phase == workflows.PhaseInSync })
	stop()
	saveHistory(t, r.client, "")
}

// recordRename plays the reconciler of a project that takes another name over, and is then renamed itself.
func recordRename(t *testing.T) {
	r := newRecorded(t)
	_, err := r.client.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{
		ID: workflows.ReconcilerID("recorded"), TaskQueue: workflows.TaskQueue("recorded"),
	}, workflows.ReconcilerType, workflows.Input{Project: "recorded"})
	require.NoError(t, err)
	r.signal(workflows.SignalRename, workflows.Rename{From: "former"})
	stop := recordServe(t, r.namespace, r.client, r.dir)
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseRenaming && s.Revision != "" })
	request := func(id string) {
		r.signal(workflows.SignalOverride, workflows.Override{RequestID: id, WorkflowID: "one", Action: workflows.ActionPause})
		awaitOutcome(t, r.client, id)
	}
	request("too early")
	r.signal(workflows.SignalRename, workflows.Rename{From: "former", Overrides: []workflows.ActiveOverride{
		{WorkflowID: "two", Action: workflows.ActionPause, RequestID: "taken over", Actor: "ann", ExpiresAt: time.Now().Add(2 * time.Second)},
	}})
	r.signal(workflows.SignalRename, workflows.Rename{From: "former", Done: true})
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync && s.LastAudit != nil })
	request("in time")
	r.signal(workflows.SignalRename, "unreadable")
	r.signal(workflows.SignalRename, workflows.Rename{To: "next"})
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseRenamed })
	request("too late")
	r.signal(workflows.SignalReload, workflows.Reload{RequestID: "reload", Force: true})
	awaitOutcome(t, r.client, "reload")
	r.signal(workflows.SignalRename, workflows.Rename{To: "next", Done: true})
	stop()
	stop = recordServe(t, r.namespace, r.client, r.dir)
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseRenamed })
	stop()
	saveHistory(t, r.client, "")
}

// recordMessages plays deletes that find nothing, once of a schedule that the YAML wants, and messages that cannot be
// read, or name no revision.
func recordMessages(t *testing.T) {
	r := newRecorded(t)
	stop := recordServe(t, r.namespace, r.client, r.dir)
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync && s.LastAudit != nil })
	require.NoError(t, r.client.ScheduleClient().GetHandle(t.Context(), config.DefaultScheduleID("recorded", "one")).Delete(t.Context()))
	for id, workflowID := range map[string]string{"wanted": "one", "typo": "nobody"} {
		r.signal(workflows.SignalOverride, workflows.Override{RequestID: id, WorkflowID: workflowID, Action: workflows.ActionDelete})
		awaitOutcome(t, r.client, id)
	}
	for name, message := range map[string]map[string]any{
		workflows.SignalOverride: {"expires_in": "soon", "request_id": "bad override"},
		workflows.SignalRun:      {"start_at": "noon", "request_id": "bad run"},
		workflows.SignalReload:   {"revision": "no revision", "request_id": "bad reload"},
	} {
		r.signal(name, message)
		awaitOutcome(t, r.client, message["request_id"].(string))
	}
	r.signal(workflows.SignalReload, map[string]any{"generation": "first", "request_id": "unreadable"})
	awaitOutcome(t, r.client, "unreadable")
	stop()
	stop = recordServe(t, r.namespace, r.client, r.dir)
	before := time.Now()
	r.signal(workflows.SignalResync, nil)
	await(t, r.client, func(s workflows.Status) bool {
		return s.Phase == workflows.PhaseInSync && s.LastPass.StartedAt.After(before)
	})
	stop()
	saveHistory(t, r.client, "")
}

// recordHandOver plays a run that hands over to the next although somebody asks for pass after pass.
func recordHandOver(t *testing.T) {
	r := newRecorded(t)
	stop := recordServe(t, r.namespace, r.client, r.dir)
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync })
	first := r.run()
	for r.run() == first {
		r.signal(workflows.SignalResync, nil)
	}
	stop()
	saveHistory(t, r.client, first)
}

// recordEnded plays a held pause that is reverted while a reload, which knew it, reads the list. 07 is of the code before
// changeEnded (commit 6a7055a), which paused it again; 08 is of the code with it.
func recordEnded(t *testing.T) {
	var lists temporaltest.Gate
	r := newRecorded(t, lists.Dial)
	stop := recordServe(t, r.namespace, r.client, r.dir)
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync && s.LastAudit != nil })
	r.signal(workflows.SignalOverride, workflows.Override{RequestID: "pause", WorkflowID: "one", Action: workflows.ActionPause, Hold: true})
	awaitOutcome(t, r.client, "pause")
	waiting := lists.Close()
	r.signal(workflows.SignalReload, workflows.Reload{Force: true})
	<-waiting
	r.signal(workflows.SignalOverride, workflows.Override{RequestID: "revert", WorkflowID: "one", Action: workflows.ActionRevert})
	awaitOutcome(t, r.client, "revert")
	reverted := time.Now()
	require.Eventually(t, func() bool { return !server.ListsPaused(t, r.namespace) }, time.Minute, 50*time.Millisecond)
	lists.Open()
	await(t, r.client, func(s workflows.Status) bool {
		return s.Phase == workflows.PhaseInSync && s.LastPass.StartedAt.After(reverted)
	})
	stop()
	saveHistory(t, r.client, "")
}

// recordAuditEnded plays a run that hands over in the task that brings an audit's end. 09 is of code that forgot what the
// audit had found (commit e813dd5): to hand it over takes no other commands.
func recordAuditEnded(t *testing.T) {
	r := newRecorded(t)
	stop := recordServe(t, r.namespace, r.client, r.dir, func(s *config.Settings) { s.AuditInterval = time.Second })
	await(t, r.client, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync })
	ended := ""
	for ended == "" || endsWith(t, r.client, ended) != "Audit" {
		ended = r.run()
		require.Eventually(t, func() bool { return r.run() != ended }, time.Minute, 50*time.Millisecond)
	}
	stop()
	saveHistory(t, r.client, ended)
}

// endsWith is the type of the activity whose end the last task of a run was for; empty where it was for something else.
func endsWith(t *testing.T, c client.Client, runID string) (activityType string) {
	types := map[int64]string{}
	for _, event := range events(t, c, runID) {
		scheduled, completed := event.GetActivityTaskScheduledEventAttributes(), event.GetActivityTaskCompletedEventAttributes()
		switch {
		case scheduled != nil:
			types[event.GetEventId()] = scheduled.GetActivityType().GetName()
		case completed != nil:
			activityType = types[completed.GetScheduledEventId()]
		case event.GetTimerFiredEventAttributes() != nil, event.GetWorkflowExecutionSignaledEventAttributes() != nil:
			activityType = ""
		}
	}
	return activityType
}
