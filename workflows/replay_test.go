package workflows_test

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// server is the Temporal server of this test binary.
var server *temporaltest.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Run(m, &server)) }

// record writes a new history beside the others: go test ./workflows -run TestRecord -record NAME.
// Histories are never changed: they are what running reconcilers have.
var record = flag.String("record", "", "record a history of today's reconciler as testdata/NAME.json")

func TestReplay(t *testing.T) {
	histories, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, histories)
	for _, history := range histories {
		t.Run("Should replay "+filepath.Base(history), func(t *testing.T) {
			require.NoError(t, replayer().ReplayWorkflowHistoryFromJSONFile(quiet(), history))
		})
	}
	t.Run("Should fail for a history that today's code would not write", func(t *testing.T) {
		changed := sdkworker.NewWorkflowReplayer()
		changed.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ workflows.Input) error {
			return workflow.Sleep(ctx, time.Hour)
		}, workflow.RegisterOptions{Name: workflows.ReconcilerType})
		require.Error(t, changed.ReplayWorkflowHistoryFromJSONFile(quiet(), histories[0]))
	})
}

func replayer() sdkworker.WorkflowReplayer {
	r := sdkworker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(workflows.Reconciler, workflow.RegisterOptions{Name: workflows.ReconcilerType})
	return r
}

func quiet() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// TestRecord plays the life of a reconciler on a real server: a first pass, changes, deletes, a
// refused and an unreadable reload, a revision without a worker, overrides of every kind, a restart. Some
// names have a life of their own, see lives.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("only with -record NAME")
	}
	if life, ok := lives[*record]; ok {
		life(t)
		return
	}
	namespace, c := server.Namespace(t, func(o *client.Options) { o.Identity = "recorder" })
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("compozy.yaml", "name: recorded\nworkflows: [{source: ./workflows/*.yaml}]\n")
	write("workflows/one.yaml", "id: one\nschedule: {cron: \"0 5 * * *\"}\n")
	write("workflows/two.yaml", "id: two\nschedule: {cron: \"0 6 * * *\", enabled: false}\n")

	stop := recordServe(t, namespace, c, dir)
	await(t, c, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync })
	write("workflows/one.yaml", "id: one\nschedule: {cron: \"0 7 * * *\"}\n")
	write("workflows/two.yaml", "id: two\n")
	await(t, c, func(s workflows.Status) bool { return s.LastPass != nil && s.LastPass.Deleted == 1 })
	signal := func(name string, message any) {
		require.NoError(t, c.SignalWorkflow(context.Background(), workflows.ReconcilerID("recorded"), "", name, message))
	}
	signal(workflows.SignalReload, workflows.Reload{Revision: "0123456789ab", Generation: 2})
	await(t, c, func(s workflows.Status) bool { return s.Phase == workflows.PhaseNoWorker })
	signal(workflows.SignalReload, workflows.Reload{Revision: "0123456789ab", Generation: 1})
	signal(workflows.SignalReload, "unreadable")
	signal(workflows.SignalResync, nil)
	override := func(o workflows.Override) {
		o.WorkflowID, o.RequestID = "one", string(o.Action)+o.Actor
		signal(workflows.SignalOverride, o)
		awaitOutcome(t, c, o.RequestID)
	}
	override(workflows.Override{Action: workflows.ActionPause, Actor: "ann", ExpiresIn: config.Duration(time.Second)})
	override(workflows.Override{Action: workflows.ActionResume})
	override(workflows.Override{Action: workflows.ActionDelete, ExpiresIn: config.Duration(time.Second)})
	override(workflows.Override{Action: workflows.ActionPause, Actor: "ben", Hold: true})
	signal(workflows.SignalRun, workflows.Run{RequestID: "run", WorkflowID: "one", Action: workflows.ActionTrigger})
	awaitOutcome(t, c, "run")
	signal(workflows.SignalOverride, "unreadable")
	stop()
	stop = recordServe(t, namespace, c, dir)
	await(t, c, func(s workflows.Status) bool { return s.Phase == workflows.PhaseInSync && s.Refused != nil })
	stop()
	saveHistory(t, c, "")
}

func recordServe(t *testing.T, namespace string, c client.Client, dir string, change ...func(*config.Settings)) (stop func()) {
	t.Helper()
	settings := config.DefaultSettings()
	settings.Project, settings.ResyncInterval = dir, 2*time.Second
	for _, apply := range change {
		apply(&settings)
	}
	project, err := config.Load(dir)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- worker.Run(ctx, worker.Options{
			Client: c, Server: worker.NewServer(c, namespace, project.Name, settings), Settings: settings, Logger: slog.New(slog.DiscardHandler),
		}, project, nil)
	}()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func await(t *testing.T, c client.Client, holds func(workflows.Status) bool) {
	t.Helper()
	var status workflows.Status
	for deadline := time.Now().Add(time.Minute); !holds(status); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "last status %+v", status)
		value, err := c.QueryWorkflow(context.Background(), workflows.ReconcilerID("recorded"), "", workflows.QueryStatus)
		if err == nil {
			status = workflows.Status{}
			require.NoError(t, value.Get(&status))
		}
	}
}

func awaitOutcome(t *testing.T, c client.Client, requestID string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), requestID)
		value, err := c.QueryWorkflow(context.Background(), workflows.ReconcilerID("recorded"), "", workflows.QueryOutcome,
			workflows.OutcomeQuery{RequestID: requestID})
		if err != nil {
			continue
		}
		var outcomes []workflows.Outcome
		require.NoError(t, value.Get(&outcomes))
		if outcomes[0].Status == workflows.OutcomeApplied || outcomes[0].Status == workflows.OutcomeFailed {
			return
		}
	}
}

// saveHistory saves a run, the latest where it is not named.
func saveHistory(t *testing.T, c client.Client, runID string) {
	t.Helper()
	history := &historypb.History{Events: events(t, c, runID)}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(history)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	path := filepath.Join("testdata", *record+".json")
	require.NoFileExists(t, path, "histories are never changed: choose another name")
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// events are those of a run, of the latest where it is not named.
func events(t *testing.T, c client.Client, runID string) (all []*historypb.HistoryEvent) {
	t.Helper()
	history := c.GetWorkflowHistory(context.Background(), workflows.ReconcilerID("recorded"), runID, false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		all = append(all, event)
	}
	return all
}
