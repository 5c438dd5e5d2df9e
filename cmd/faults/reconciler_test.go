package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// atRest and coldPass are the sizes of the projects whose reconciler somebody ends. A cold pass takes a second.
	atRest, coldPass = 8, 150
	// resyncs are more than one run of the reconciler holds.
	resyncs = 12
)

// ending is what somebody does to a reconciler by hand. One that is lost knows no overrides afterwards.
type ending struct {
	name string
	do   func(*ended) error
	lost bool
}

var endings = []ending{
	{"terminated", func(e *ended) error {
		return e.client.TerminateWorkflow(context.Background(), workflows.ReconcilerID(e.project), "", "by hand")
	}, true},
	{"cancelled", func(e *ended) error {
		return e.client.CancelWorkflow(context.Background(), workflows.ReconcilerID(e.project), "")
	}, true},
	{"deleted", func(e *ended) error {
		_, err := e.client.WorkflowService().DeleteWorkflowExecution(context.Background(), &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace:         e.namespace,
			WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflows.ReconcilerID(e.project)},
		})
		return err
	}, true},
	{"reset to its first task", func(e *ended) error {
		return e.reset(e.runID(), func(tasks []int64) int64 { return tasks[0] })
	}, false},
	{"reset to a task in between", func(e *ended) error {
		return e.reset(e.runID(), func(tasks []int64) int64 { return tasks[rand.IntN(len(tasks))] })
	}, false},
	{"reset to the first task of its first run", func(e *ended) error {
		first := e.runID()
		for former := first; former != ""; former = continued(e.history(former)) {
			first = former
		}
		return e.reset(first, func(tasks []int64) int64 { return tasks[0] })
	}, false},
}

// ended is a project whose reconciler somebody ends by hand.
type ended struct {
	watched
	namespace, dir string
	env            []string
	process        *schedulestest.Process
}

func TestReconcilerEnded(t *testing.T) {
	for _, cold := range []bool{false, true} {
		for _, alive := range []bool{true, false} {
			for _, ending := range endings {
				moment, by := "at rest", "by the process"
				if cold {
					moment = "in a cold pass"
				}
				if !alive {
					by = "by the next process"
				}
				t.Run(fmt.Sprintf("Should be brought back %s when %s %s", by, ending.name, moment), func(t *testing.T) {
					t.Parallel()
					newEnded(t).run(ending, cold, alive)
				})
			}
		}
	}
}

func newEnded(t *testing.T) *ended {
	t.Helper()
	namespace, c := server.Namespace(t)
	return &ended{
		watched: watched{t: t, client: c, project: "ended"}, namespace: namespace,
		env: schedulestest.Env(server.Address(), namespace), dir: schedulestest.Project(t, "ended", atRest),
	}
}

func (e *ended) run(ending ending, cold, alive bool) {
	e.t.Helper()
	e.process = serve(e.t, e.env, e.dir)
	e.inSync()
	e.override("wf-0001", workflows.Override{Action: workflows.ActionPause, Hold: true})
	e.override("wf-0002", workflows.Override{Action: workflows.ActionPause, Hold: true, ExpiresIn: config.Duration(time.Hour)})
	e.override("wf-0003", workflows.Override{Action: workflows.ActionDelete, Hold: true})
	e.continueAsNew()
	if !cold {
		e.override("wf-0004", workflows.Override{Action: workflows.ActionPause})
	}
	before := e.overrides(e.process.Log)
	if cold {
		e.startColdPass()
	}
	if !alive {
		e.process.Kill()
	}
	former := e.runID()
	require.NotEmpty(e.t, former)
	require.NoError(e.t, ending.do(e))
	if !alive {
		e.process = serve(e.t, e.env, e.dir)
	}
	schedulestest.Eventually(e.t, e.process.Log, func() bool { run := e.runID(); return run != "" && run != former })
	e.inSync()
	e.requireOverrides(before, ending.lost)
	// The one that is there now works as the former did.
	e.override("wf-0005", workflows.Override{Action: workflows.ActionPause})
	kept := map[string]schedulestest.Kept{"wf-0005": {Paused: true}}
	for id, o := range before {
		if o.Action == workflows.ActionPause {
			kept[id] = schedulestest.Kept{Paused: true}
		} else if !ending.lost {
			kept[id] = schedulestest.Kept{Deleted: true}
		}
	}
	requireWhole(e.t, e.process.Log, e.client, e.project, e.dir, kept)
	e.requireEndedWell()
}

// inSync waits until what the files say is in force.
func (e *ended) inSync() {
	e.t.Helper()
	project, err := config.Load(e.dir)
	require.NoError(e.t, err)
	schedulestest.Eventually(e.t, e.process.Log, func() bool { return e.status().InSync(config.Short(project.Revision)) })
}

// override sends one and waits until it is applied.
func (e *ended) override(id string, o workflows.Override) {
	e.t.Helper()
	o.RequestID, o.WorkflowID, o.Actor, o.Reason = uuid.NewString(), id, "ann", "maintenance"
	require.NoError(e.t, e.signal(workflows.SignalOverride, o))
	var outcome workflows.Outcome
	schedulestest.Eventually(e.t, e.process.Log, func() bool { outcome = e.outcome(o.RequestID); return settled(outcome) })
	require.Equal(e.t, workflows.OutcomeApplied, outcome.Status, "%+v", outcome)
}

// continueAsNew has the reconciler compare until it has handed over to another run.
func (e *ended) continueAsNew() {
	e.t.Helper()
	former := e.runID()
	for range resyncs {
		passed := e.status().LastPass
		require.NoError(e.t, e.signal(workflows.SignalResync, nil))
		schedulestest.Eventually(e.t, e.process.Log, func() bool {
			s := e.status()
			return s.Phase == workflows.PhaseInSync && (passed == nil || s.LastPass.StartedAt.After(passed.StartedAt))
		})
	}
	require.NotEqual(e.t, former, e.runID(), "a run with twelve passes is long")
}

// startColdPass adds many workflows, and returns while their schedules are being created.
func (e *ended) startColdPass() {
	e.t.Helper()
	for i := atRest; i < coldPass; i++ {
		schedulestest.Workflow(e.t, e.dir, fmt.Sprintf("wf-%04d", i), `{cron: "0 6 * * *"}`)
	}
	schedulestest.Eventually(e.t, e.process.Log, func() bool { return pending(e.describe())["Upsert"] })
}

// reset resets a run to one of its finished workflow tasks.
func (e *ended) reset(runID string, choose func(tasks []int64) int64) error {
	var tasks []int64
	for _, event := range e.history(runID) {
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			tasks = append(tasks, event.GetEventId())
		}
	}
	require.NotEmpty(e.t, tasks)
	_, err := e.client.ResetWorkflowExecution(context.Background(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:                 e.namespace,
		WorkflowExecution:         &commonpb.WorkflowExecution{WorkflowId: workflows.ReconcilerID(e.project), RunId: runID},
		Reason:                    "by hand",
		WorkflowTaskFinishEventId: choose(tasks),
		RequestId:                 uuid.NewString(),
	})
	return err
}

// requireOverrides holds those that are known against those from before: docs/operating.md, "What survives what".
func (e *ended) requireOverrides(before map[string]workflows.ActiveOverride, lost bool) {
	e.t.Helper()
	after := e.overrides(e.process.Log)
	if lost {
		assert.Empty(e.t, after)
		for id, o := range before {
			if o.Action == workflows.ActionPause {
				description, err := e.schedule(id).Describe(e.t.Context())
				require.NoError(e.t, err)
				assert.True(e.t, description.Schedule.State.Paused, id)
				assert.Contains(e.t, description.Schedule.State.Note, "Paused by ann", "who and why still stand there")
			}
		}
		return
	}
	for id, was := range before {
		is := after[id]
		assert.Equal(e.t, was.Action, is.Action, id)
		assert.Equal(e.t, was.Hold, is.Hold, id)
		assert.Equal(e.t, was.RequestID, is.RequestID, id)
		assert.Equal(e.t, was.ExpiresAt.IsZero(), is.ExpiresAt.IsZero(), id)
	}
	assert.Len(e.t, after, len(before))
}

// requireEndedWell sees how the runs of the reconciler ended: as somebody asked for, or by Continue-As-New.
func (e *ended) requireEndedWell() {
	e.t.Helper()
	answer, err := e.client.ListWorkflow(e.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: e.namespace, Query: fmt.Sprintf("WorkflowId = '%s'", workflows.ReconcilerID(e.project)),
	})
	require.NoError(e.t, err)
	for _, run := range answer.GetExecutions() {
		assert.True(e.t, slices.Contains([]enumspb.WorkflowExecutionStatus{
			enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
			enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED,
		}, run.GetStatus()), "%s %s", run.GetExecution().GetRunId(), run.GetStatus())
	}
}
