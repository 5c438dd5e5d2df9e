package manager_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// server is the Temporal server of this test binary.
var server *temporaltest.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Run(m, &server)) }

const soon = 60 * time.Second

// fixture is a served project with a Manager.
type fixture struct {
	*manager.Manager
	client client.Client
	name   string
	stop   func()
	// deaf is a Manager of the same process whose questions to the reconciler are never answered.
	deaf *manager.Manager
}

// observer tells Managers what is applied in their process.
type observer []*manager.Manager

func (observer) PassStarted(string)                               {}
func (observer) PassEnded(string, workflows.Phase, time.Duration) {}
func (o observer) Applied(outcome workflows.Outcome) {
	for _, m := range o {
		m.Applied(outcome)
	}
}

// noQueries answers no query.
type noQueries struct{ client.Client }

func (noQueries) QueryWorkflowWithOptions(
	ctx context.Context, _ *client.QueryWorkflowWithOptionsRequest,
) (*client.QueryWorkflowWithOptionsResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func newFixture(t *testing.T, name string, schedules map[string]string) fixture {
	t.Helper()
	namespace, c := server.Namespace(t)
	dir := t.TempDir()
	write(t, dir, "compozy.yaml", "name: "+name+"\nworkflows: [{source: ./w/*.yaml}]\n")
	for id, schedule := range schedules {
		write(t, dir, "w/"+id+".yaml", "id: "+id+"\nschedule: "+schedule+"\n")
	}
	project, err := config.Load(dir)
	require.NoError(t, err)
	m := manager.New(manager.Options{
		Client: c, Project: project, Logger: slog.New(slog.DiscardHandler),
		Server: activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(1000, 100)),
	})
	deaf := manager.New(manager.Options{
		Client: noQueries{c}, Project: project, Logger: slog.New(slog.DiscardHandler),
		Server: activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(1000, 100)),
	})
	settings := config.DefaultSettings()
	settings.Project = dir
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() {
		assert.NoError(t, worker.Run(ctx, worker.Options{
			Client: c, Server: worker.NewServer(c, namespace, project.Name, settings), Settings: settings, Logger: slog.New(slog.DiscardHandler),
			OnRevision: m.SetProject, Observer: observer{m, deaf},
		}, project, nil))
	})
	f := fixture{Manager: m, deaf: deaf, client: c, name: name, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(f.stop)
	eventually(t, func() bool {
		status, err := m.Status(t.Context())
		return err == nil && status.InSync(config.Short(project.Revision))
	})
	eventually(t, func() bool {
		list, err := m.ListSchedules(t.Context(), manager.ListOptions{State: "missing"})
		return err == nil && list.Total == 0
	})
	return f
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "waited too long")
	}
}

// get and list are answers that must not fail.
func (f fixture) get(t *testing.T, id string) manager.ScheduleInfo {
	t.Helper()
	info, err := f.GetSchedule(t.Context(), id)
	require.NoError(t, err)
	return info
}

func (f fixture) listed(t *testing.T, id string) manager.ScheduleInfo {
	t.Helper()
	list, err := f.ListSchedules(t.Context(), manager.ListOptions{})
	require.NoError(t, err)
	for _, info := range list.Schedules {
		if info.WorkflowID == id {
			return info
		}
	}
	require.Fail(t, "not listed", id)
	return manager.ScheduleInfo{}
}

func enabled(value bool) manager.UpdateRequest {
	return manager.UpdateRequest{Enabled: &value, Request: manager.Request{Actor: "alice", Reason: "maintenance"}}
}

func TestReads(t *testing.T) {
	f := newFixture(t, "reads", map[string]string{
		"a": `{cron: "0 9 * * 1-5", timezone: America/New_York}`,
		"b": `{cron: "0 6 * * *", enabled: false}`,
		"c": `{cron: "0 6 * * *", end_at: 2020-01-01T00:00:00Z}`,
	})
	t.Run("Should show a schedule as the spec names its fields", func(t *testing.T) {
		a := f.get(t, "a")
		assert.Equal(t, "schedule-reads-a", a.ScheduleID)
		assert.Equal(t, "America/New_York", a.Timezone)
		assert.Equal(t, "at 09:00 on Monday to Friday (America/New_York)", a.Description)
		assert.True(t, a.Enabled)
		assert.False(t, a.IsOverride)
		assert.Empty(t, a.Divergence)
		assert.Len(t, a.NextRunTimes, 10)
		assert.Equal(t, a.NextRunTimes[0], *a.NextRunTime)
		assert.Equal(t, "0 9 * * 1-5", a.YAMLConfig.Cron)
		assert.Equal(t, manager.StatePaused, f.get(t, "b").State)
		assert.Nil(t, f.get(t, "b").NextRunTime)
		assert.Equal(t, manager.StateEnded, f.get(t, "c").State)
	})
	t.Run("Should list in pages and by state", func(t *testing.T) {
		var ids []string
		options := manager.ListOptions{PageSize: 2}
		for {
			page, err := f.ListSchedules(t.Context(), options)
			require.NoError(t, err)
			assert.Equal(t, 3, page.Total)
			assert.WithinDuration(t, time.Now(), page.ObservedAt, soon)
			for _, info := range page.Schedules {
				ids = append(ids, info.WorkflowID)
			}
			if options.PageToken = page.NextPageToken; options.PageToken == "" {
				break
			}
		}
		assert.Equal(t, []string{"a", "b", "c"}, ids)
		paused, err := f.ListSchedules(t.Context(), manager.ListOptions{State: "paused"})
		require.NoError(t, err)
		require.Len(t, paused.Schedules, 1)
		assert.Equal(t, "b", paused.Schedules[0].WorkflowID)
	})
	t.Run("Should refuse what makes no sense", func(t *testing.T) {
		_, err := f.GetSchedule(t.Context(), "nobody")
		assert.ErrorIs(t, err, manager.ErrNotFound)
		_, err = f.UpdateSchedule(t.Context(), "nobody", enabled(false))
		assert.ErrorIs(t, err, manager.ErrNotFound)
		_, err = f.UpdateSchedule(t.Context(), "a", manager.UpdateRequest{})
		assert.ErrorIs(t, err, manager.ErrInvalid)
		_, err = f.ListSchedules(t.Context(), manager.ListOptions{State: "sleepy"})
		assert.ErrorIs(t, err, manager.ErrInvalid)
		_, err = f.ListSchedules(t.Context(), manager.ListOptions{PageToken: "?"})
		assert.ErrorIs(t, err, manager.ErrInvalid)
		_, err = f.BackfillSchedule(t.Context(), "a", manager.BackfillRequest{})
		assert.ErrorIs(t, err, manager.ErrInvalid)
		_, err = f.TriggerSchedule(t.Context(), "a", manager.TriggerRequest{OverlapPolicy: "push"})
		assert.ErrorIs(t, err, manager.ErrInvalid)
	})
	t.Run("Should list every field in which Temporal differs from the YAML", func(t *testing.T) {
		handle := f.client.ScheduleClient().GetHandle(t.Context(), "schedule-reads-a")
		require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				in.Description.Schedule.Spec.Jitter = time.Minute
				in.Description.Schedule.Action.(*client.ScheduleWorkflowAction).TaskQueue = "elsewhere"
				in.Description.Schedule.State.Paused = true
				return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
			},
		}))
		eventually(t, func() bool { return len(f.get(t, "a").Divergence) == 3 })
		assert.ElementsMatch(t, []activities.Difference{
			{Field: "jitter", YAML: "", Actual: "1m0s"},
			{Field: "task_queue", YAML: "reads", Actual: "elsewhere"},
			{Field: "enabled", YAML: "true", Actual: "false"},
		}, f.get(t, "a").Divergence)
	})
}

func TestWrites(t *testing.T) {
	f := newFixture(t, "writes", map[string]string{"a": `{cron: "0 9 * * *"}`, "b": `{cron: "0 9 * * *"}`, "c": `{cron: "@every 1h"}`})
	t.Run("Should pause with actor and reason, shown at once in list and get", func(t *testing.T) {
		result, err := f.UpdateSchedule(t.Context(), "a", enabled(false))
		require.NoError(t, err)
		assert.Equal(t, workflows.OutcomeApplied, result.Status)
		require.NotNil(t, result.Schedule)
		assert.False(t, result.Schedule.Enabled)
		listed, got := f.listed(t, "a"), f.get(t, "a")
		assert.Equal(t, manager.StatePaused, listed.State)
		assert.True(t, listed.IsOverride)
		assert.True(t, got.IsOverride)
		assert.Equal(t, "alice", got.Override.Actor)
		assert.Equal(t, "maintenance", got.Override.Reason)
		assert.Equal(t, []activities.Difference{{Field: "enabled", YAML: "true", Actual: "false"}}, got.Divergence)
		eventually(t, func() bool { o := f.listed(t, "a").Override; return o != nil && o.Actor == "alice" })
	})
	t.Run("Should revert", func(t *testing.T) {
		result, err := f.RevertSchedule(t.Context(), "a", manager.Request{})
		require.NoError(t, err)
		assert.Equal(t, workflows.OutcomeApplied, result.Status)
		assert.Equal(t, manager.StateActive, f.listed(t, "a").State)
		assert.False(t, f.get(t, "a").IsOverride)
	})
	t.Run("Should delete until reverted", func(t *testing.T) {
		_, err := f.DeleteSchedule(t.Context(), "b", manager.DeleteRequest{Request: manager.Request{Actor: "bob"}})
		require.NoError(t, err)
		assert.Equal(t, manager.StateDeleted, f.listed(t, "b").State)
		got := f.get(t, "b")
		assert.Equal(t, manager.StateDeleted, got.State)
		assert.Equal(t, "bob", got.Override.Actor)
		_, err = f.RevertSchedule(t.Context(), "b", manager.Request{})
		require.NoError(t, err)
		assert.Equal(t, manager.StateActive, f.get(t, "b").State)
	})
	t.Run("Should show a pause that was made in Temporal itself", func(t *testing.T) {
		handle := f.client.ScheduleClient().GetHandle(t.Context(), "schedule-writes-c")
		require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "Paused via UI"}))
		eventually(t, func() bool { return f.listed(t, "c").State == manager.StatePaused })
		assert.True(t, f.listed(t, "c").IsOverride)
		assert.Contains(t, f.get(t, "c").Override.Reason, "Paused via UI")
		require.NoError(t, handle.Unpause(t.Context(), client.ScheduleUnpauseOptions{}))
	})
	t.Run("Should show a pause that was made by a signal", func(t *testing.T) {
		require.NoError(t, f.client.SignalWorkflow(t.Context(), workflows.ReconcilerID("writes"), "", workflows.SignalOverride,
			map[string]string{"workflow_id": "c", "action": "pause", "actor": "dora"}))
		eventually(t, func() bool { info := f.listed(t, "c"); return info.IsOverride && info.Override.Actor == "dora" })
	})
	t.Run("Should be told by the reconciler of its own process what was applied, and only else ask", func(t *testing.T) {
		for _, write := range []func(context.Context, string) (manager.WriteResult, error){
			func(ctx context.Context, id string) (manager.WriteResult, error) {
				return f.deaf.UpdateSchedule(ctx, id, enabled(false))
			},
			func(ctx context.Context, id string) (manager.WriteResult, error) {
				return f.deaf.RevertSchedule(ctx, id, manager.Request{})
			},
			func(ctx context.Context, id string) (manager.WriteResult, error) {
				return f.deaf.TriggerSchedule(ctx, id, manager.TriggerRequest{})
			},
		} {
			result, err := write(t.Context(), "b")
			require.NoError(t, err)
			assert.Equal(t, workflows.OutcomeApplied, result.Status)
		}
	})
	t.Run("Should do a repeated request once", func(t *testing.T) {
		pause := enabled(false)
		pause.RequestID = "the same"
		_, err := f.UpdateSchedule(t.Context(), "a", pause)
		require.NoError(t, err)
		_, err = f.UpdateSchedule(t.Context(), "a", enabled(true))
		require.NoError(t, err)
		_, err = f.UpdateSchedule(t.Context(), "a", pause)
		require.NoError(t, err)
		assert.True(t, f.get(t, "a").Enabled)
		_, err = f.UpdateSchedule(t.Context(), "b", pause)
		assert.ErrorIs(t, err, manager.ErrConflict, "the id was used for another workflow")
	})
	t.Run("Should trigger a run and list it with its real status", func(t *testing.T) {
		w := sdkworker.New(f.client, "writes", sdkworker.Options{})
		w.RegisterWorkflowWithOptions(func(workflow.Context) error { return fmt.Errorf("out of paper") }, workflow.RegisterOptions{Name: "a"})
		require.NoError(t, w.Start())
		defer w.Stop()
		result, err := f.TriggerSchedule(t.Context(), "a", manager.TriggerRequest{})
		require.NoError(t, err)
		assert.Equal(t, workflows.OutcomeApplied, result.Status)
		eventually(t, func() bool {
			runs, err := f.ListRuns(t.Context(), "a", manager.RunsOptions{})
			require.NoError(t, err)
			return len(runs.Runs) == 1 && runs.Runs[0].Status == "failed"
		})
		eventually(t, func() bool { return f.get(t, "a").LastRunStatus == "failed" })
		eventually(t, func() bool { return f.listed(t, "a").LastRunStatus == "failed" })
	})
	t.Run("Should reload with an outcome, and revert overrides where forced", func(t *testing.T) {
		_, err := f.UpdateSchedule(t.Context(), "a", enabled(false))
		require.NoError(t, err)
		result, err := f.ReconcileSchedules(t.Context(), manager.ReconcileRequest{Force: true})
		require.NoError(t, err)
		assert.Equal(t, workflows.OutcomeAccepted, result.Status)
		eventually(t, func() bool {
			outcome, err := f.Outcome(t.Context(), result.RequestID)
			return err == nil && outcome.Status == workflows.OutcomeApplied
		})
		assert.True(t, f.get(t, "a").Enabled)
	})
	t.Run("Should accept writes while no worker runs, and say that queries are not answered", func(t *testing.T) {
		f.stop()
		m := manager.New(manager.Options{
			Client: f.client, Project: &config.Project{Name: "writes"}, Logger: slog.New(slog.DiscardHandler),
			Server: activities.NewServer(f.client.WorkflowService(), "none", "test", rate.NewLimiter(1, 1)), WriteBudget: time.Second,
		})
		result, err := m.UpdateSchedule(t.Context(), "a", enabled(false))
		require.NoError(t, err)
		assert.Equal(t, workflows.OutcomeAccepted, result.Status)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = m.Status(ctx)
		assert.ErrorIs(t, err, manager.ErrUnavailable)

		require.NoError(t, f.client.TerminateWorkflow(t.Context(), workflows.ReconcilerID("writes"), "", "by hand"))
		_, err = m.Status(t.Context())
		assert.ErrorContains(t, err, "no running reconciler", "an ended one would still answer")
	})
}
