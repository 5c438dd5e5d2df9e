package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// planJSON is what `plan -o json` promises to programs.
type planJSON struct {
	Project         string `json:"project"`
	Revision        string `json:"revision"`
	CurrentRevision string `json:"current_revision"`
	Kind            string `json:"kind"`
	Changes         []struct {
		Action      string                  `json:"action"`
		WorkflowID  string                  `json:"workflow_id"`
		ScheduleID  string                  `json:"schedule_id"`
		File        string                  `json:"file"`
		Description string                  `json:"description"`
		Paused      bool                    `json:"paused"`
		Corrects    []string                `json:"corrects"`
		Differences []activities.Difference `json:"differences"`
		NextRuns    []time.Time             `json:"next_runs"`
		Warnings    []string                `json:"warnings"`
	} `json:"changes"`
	Problems          []activities.Problem       `json:"problems"`
	Foreign           []activities.Foreign       `json:"foreign"`
	RevertedOverrides []workflows.ActiveOverride `json:"reverted_overrides"`
	Counts            activities.Counts          `json:"counts"`
	Stopped           string                     `json:"stopped"`
	Reconciler        string                     `json:"reconciler"`
}

func decodePlan(t *testing.T, env []string, dir string, args ...string) planJSON {
	t.Helper()
	code, out, errs := call(t, env, append([]string{"plan", "--project", dir, "-o", "json"}, args...)...)
	require.Equal(t, 0, code, errs)
	decoder := json.NewDecoder(bytes.NewBufferString(out))
	decoder.DisallowUnknownFields()
	var plan planJSON
	require.NoError(t, decoder.Decode(&plan), out)
	return plan
}

func putWorkflow(t *testing.T, dir, id, schedule string) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "workflows", id+".yaml"), "id: "+id+"\nschedule: "+schedule+"\n")
}

// servedStill is a project that a process has brought in sync. It does not follow the files: plans do.
func servedStill(t *testing.T, name string, n int, args ...string) (dir string, env []string, c client.Client, serve *child) {
	t.Helper()
	namespace, c := server.Namespace(t)
	env, dir = temporalEnv(server.Address(), namespace), project(t, name, n)
	serve = start(t, env, append([]string{"serve", "--project", dir, "--api=false", "--watch=false"}, args...)...)
	eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).InSync(revisionOf(t, dir)) })
	return dir, env, c, serve
}

// revisionOf is the revision of the files, as `validate` prints it.
func revisionOf(t *testing.T, dir string) string {
	t.Helper()
	code, out, errs := call(t, os.Environ(), "validate", "--project", dir, "-o", "json")
	require.Equal(t, 0, code, errs)
	var validated struct{ Revision string }
	require.NoError(t, json.Unmarshal([]byte(out), &validated))
	return validated.Revision
}

func TestPlanOfNothing(t *testing.T) {
	namespace, c := server.Namespace(t)
	env, dir := temporalEnv(server.Address(), namespace), project(t, "fresh", 1)
	putWorkflow(t, dir, "night", `{cron: "30 2 * * *", timezone: America/New_York, enabled: false}`)
	code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
	t.Run("Should show what it would create, when it runs, and which runs the clocks skip", func(t *testing.T) {
		assert.Equal(t, 2, code, errs)
		assert.Regexp(t, `(?m)^\+ night +create +at 02:30 \(America/New_York\)\n      next runs: none while it is paused$`, out)
		assert.Regexp(t, `(?m)^\+ wf-0000 +create +at 05:00$`, out)
		assert.Regexp(t, `(?m)^      next runs: (\w{3} \d{4}-\d\d-\d\d 05:00:00 UTC(, |$)){3}`, out)
		assert.Regexp(t, `(?m)^      warning: .*is skipped`, out)
		assert.Contains(t, out, ": 2 to create, 0 to update, 0 to adopt, 0 to delete, 0 unchanged\n")
	})
	t.Run("Should say that there is no reconciler", func(t *testing.T) {
		assert.Contains(t, out, "project fresh has no reconciler: start `schedules serve` for it\n")
	})
	t.Run("Should end with 0 where changes are not asked for", func(t *testing.T) {
		code, again, errs := call(t, env, "plan", "--project", dir)
		assert.Equal(t, 0, code, errs)
		assert.Equal(t, out, again)
	})
	t.Run("Should tell programs the same", func(t *testing.T) {
		plan := decodePlan(t, env, dir)
		assert.Equal(t, "fresh", plan.Project)
		assert.Equal(t, revisionOf(t, dir), plan.Revision)
		assert.Equal(t, "start", plan.Kind)
		assert.Empty(t, plan.CurrentRevision)
		assert.Contains(t, plan.Reconciler, "has no reconciler")
		assert.Equal(t, activities.Counts{Desired: 2, Paused: 1, Create: 2}, plan.Counts)
		require.Len(t, plan.Changes, 2)
		night := plan.Changes[0]
		assert.Equal(t, "create night schedule-fresh-night workflows/night.yaml",
			strings.Join([]string{night.Action, night.WorkflowID, night.ScheduleID, night.File}, " "))
		assert.True(t, night.Paused)
		assert.Empty(t, night.NextRuns)
		assert.NotEmpty(t, night.Warnings)
		assert.Len(t, plan.Changes[1].NextRuns, 3)
		assert.Empty(t, plan.Changes[1].Warnings)
	})
	t.Run("Should change nothing", func(t *testing.T) {
		assert.Empty(t, list(t, c, namespace, "fresh"))
		_, err := c.DescribeWorkflowExecution(t.Context(), workflows.ReconcilerID("fresh"), "")
		assert.Error(t, err, "no reconciler was started")
	})
	t.Run("Should be an empty list, and not null, for programs where there is nothing", func(t *testing.T) {
		empty := t.TempDir()
		writeFile(t, filepath.Join(empty, "compozy.yaml"), "name: empty\n")
		code, out, errs := call(t, env, "plan", "--project", empty, "-o", "json", "--detailed-exitcode")
		assert.Equal(t, 0, code, errs)
		for _, key := range []string{"changes", "problems", "foreign", "reverted_overrides"} {
			assert.Contains(t, out, fmt.Sprintf("%q: []", key))
		}
	})
}

func TestPlanShowsChanges(t *testing.T) {
	dir, env, c, _ := servedStill(t, "shop", 3)
	for _, id := range []string{"schedule-shop-taken", "nightly", "schedule-shop-stray"} {
		byHand(t, c, id)
	}
	// Project `shop-eu` has IDs that begin with those of project `shop`.
	eu := project(t, "shop-eu", 1)
	other := start(t, env, "serve", "--project", eu, "--api=false", "--watch=false")
	namespace := strings.TrimPrefix(env[len(env)-1], "TEMPORAL_NAMESPACE=")
	eventually(t, other.Log, func() bool { return status(t, server.Address(), namespace, eu).InSync(revisionOf(t, eu)) })
	t.Run("Should plan no changes where Temporal is as the YAML says", func(t *testing.T) {
		code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
		assert.Equal(t, 0, code, errs)
		assert.Contains(t, out, "revision "+revisionOf(t, dir)+": no changes, 3 schedules as the YAML says\n")
	})

	require.NoError(t, schedulestest.Signal(c, "shop", workflows.SignalOverride,
		workflows.Override{WorkflowID: "wf-0002", Action: workflows.ActionPause, Actor: "ada", Reason: "the queue is full"}))
	eventually(t, other.Log, func() bool { return describe(t, c, "schedule-shop-wf-0002").Schedule.State.Paused })
	before := revisionOf(t, dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "workflows", "wf-0000.yaml")))
	putWorkflow(t, dir, "wf-0001", `{cron: "*/5 9-17 * * 1-5", timezone: Europe/Berlin, enabled: false, input: {day: today}}`)
	putWorkflow(t, dir, "added", `{cron: "@every 90s"}`)
	putWorkflow(t, dir, "adopting", `{cron: "0 3 * * *", schedule_id: nightly, adopt: true}`)
	putWorkflow(t, dir, "taken", `{cron: "0 3 * * *"}`)
	putWorkflow(t, dir, "theirs", `{cron: "0 3 * * *", schedule_id: schedule-shop-eu-wf-0000, adopt: true}`)

	// The list is a moment behind what was done by hand just now (docs/temporal.md, "The list lags").
	eventually(t, other.Log, func() bool {
		plan := decodePlan(t, env, dir)
		return len(plan.Foreign) == 1 && len(plan.Problems) == 2 && plan.Counts.Adopt == 1 && plan.Counts.Update == 3
	})
	code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
	assert.Equal(t, 2, code, errs)
	for _, test := range []struct{ name, want string }{
		{"what it creates", `(?m)^\+ added +create +every 1m30s$`},
		{"what it deletes", `(?m)^- wf-0000 +delete +schedule schedule-shop-wf-0000$`},
		{"what it updates", `(?m)^~ wf-0001 +update +cron \*/5 9-17 \* \* 1-5 \(Europe/Berlin\)$`},
		{"another cron as cron", `(?m)^      cron: 0 5 \* \* \* → \*/5 9-17 \* \* 1-5$`},
		{"another zone", `(?m)^      timezone: UTC → Europe/Berlin$`},
		{"a new field", `(?m)^      input: nothing → \{"day":"today"\}$`},
		{"that it pauses", `(?m)^      enabled: true → false\n      next runs: none while it is paused$`},
		{"what it adopts", `(?m)^~ adopting +adopt +schedule nightly$`},
		{"the ID that nobody's schedule has", `(?m)^! taken +conflict +a schedule with this ID exists, which no project of ours owns;`},
		{"the ID that another project's schedule has", `(?m)^! theirs +conflict +a schedule with this ID exists, which project shop-eu owns;`},
		{"what is not ours", `(?m)^\? schedule-shop-stray +not ours +nobody's project owns it: left as it is$`},
		{"the override that ends", `(?m)^~ wf-0002 +override ends +pause by ada: the queue is full$`},
		{"that the pause is taken back", `(?m)^~ wf-0002 +update .*\n      enabled: false → true$`},
		{"how many", `(?m): 1 to create, 2 to update, 1 to adopt, 1 to delete, 0 unchanged, 1 override to revert, 2 problems$`},
		{"from which revision to which", `(?m)^project shop, revision ` + before + ` → ` + revisionOf(t, dir) + `: `},
	} {
		t.Run("Should show "+test.name, func(t *testing.T) { assert.Regexp(t, test.want, out) })
	}
	t.Run("Should tell programs the same", func(t *testing.T) {
		plan := decodePlan(t, env, dir)
		assert.Equal(t, "reload", plan.Kind)
		assert.Equal(t, before, plan.CurrentRevision)
		var actions []string
		for _, change := range plan.Changes {
			actions = append(actions, change.Action+" "+change.WorkflowID)
		}
		assert.Equal(t, []string{"create added", "adopt adopting", "delete wf-0000", "update wf-0001", "update wf-0002"}, actions)
		assert.Equal(t, activities.Difference{Field: "cron", YAML: "*/5 9-17 * * 1-5", Actual: "0 5 * * *"}, plan.Changes[3].Differences[0])
		assert.Empty(t, plan.Changes[2].NextRuns)
		assert.Equal(t, []activities.Foreign{{ScheduleID: "schedule-shop-stray"}}, plan.Foreign)
		require.Len(t, plan.RevertedOverrides, 1)
		assert.Equal(t, "ada", plan.RevertedOverrides[0].Actor)
		assert.Empty(t, plan.Stopped+plan.Reconciler)
	})
	t.Run("Should show the schedules of a project whose name begins with this one's", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(dir, "workflows", "theirs.yaml")))
		_, out, _ := call(t, env, "plan", "--project", dir)
		assert.Regexp(t, `(?m)^\? schedule-shop-eu-wf-0000 +not ours +project shop-eu owns it: left as it is$`, out)
	})
}

func TestPlanOfHandEdits(t *testing.T) {
	dir, env, c, serve := servedStill(t, "edited", 2)
	handle := c.ScheduleClient().GetHandle(t.Context(), "schedule-edited-wf-0000")
	require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Policy.CatchupWindow = time.Hour // a list does not show it
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	}))
	t.Run("Should put back with --force what a list does not show", func(t *testing.T) {
		code, out, errs := call(t, env, "plan", "--project", dir, "--force", "--detailed-exitcode")
		assert.Equal(t, 2, code, errs)
		assert.Regexp(t, `(?m)^~ wf-0000 +update +puts a hand edit back\n      catchup_window: 1h0m0s → nothing$`, out)
	})
	require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Spec = &client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}}
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	}))
	t.Run("Should show a hand edit and leave it", func(t *testing.T) {
		drift := `(?m)^! wf-0000 +drift +changed by hand in Temporal: cron, catchup_window$`
		var code int
		var out, errs string
		eventually(t, serve.Log, func() bool { // until the list shows the edit
			code, out, errs = call(t, env, "plan", "--project", dir, "--detailed-exitcode")
			return strings.Contains(out, "drift")
		})
		assert.Equal(t, 0, code, errs)
		assert.Regexp(t, drift, out)
		assert.Contains(t, out, ": no changes, 1 schedule as the YAML says, 1 problem\n")
	})
	t.Run("Should show what --force puts back", func(t *testing.T) {
		plan := decodePlan(t, env, dir, "--force")
		require.Len(t, plan.Changes, 1)
		assert.Equal(t, []string{"cron", "catchup_window"}, plan.Changes[0].Corrects)
		assert.Equal(t, activities.Difference{Field: "cron", YAML: "0 5 * * *", Actual: "@every 1h"}, plan.Changes[0].Differences[0])
	})
}

func TestPlanStopped(t *testing.T) {
	dir, env, c, serve := servedStill(t, "guarded", 7, "--generation", "5")
	for i := range 6 {
		require.NoError(t, os.Remove(filepath.Join(dir, "workflows", fmt.Sprintf("wf-%04d.yaml", i))))
	}
	t.Run("Should say that the prune guard would stop the reload", func(t *testing.T) {
		eventually(t, serve.Log, func() bool { return decodePlan(t, env, dir).Counts.Delete == 6 })
		code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
		assert.Equal(t, 2, code, errs)
		assert.Contains(t, out, "it deletes 6 of 7 schedules, more than the 5 that the prune guard allows: "+
			"this reload would change nothing until `schedules reload --prune`\n")
	})
	t.Run("Should say that an older generation would be refused", func(t *testing.T) {
		assert.Equal(t, "generation 4 is older than the current 5: this reload would be refused",
			decodePlan(t, env, dir, "--generation", "4").Stopped)
		assert.NotContains(t, decodePlan(t, env, dir, "--generation", "6").Stopped, "generation")
		assert.NotContains(t, decodePlan(t, env, dir, "--generation", "4", "--force").Stopped, "generation")
	})
	require.Equal(t, 0, serve.Terminate())
	t.Run("Should plan without a worker, and say that it knows no overrides", func(t *testing.T) {
		code, out, errs := call(t, env, "plan", "--project", dir)
		assert.Equal(t, 0, code, errs)
		assert.Contains(t, out, "0 to create, 0 to update, 0 to adopt, 6 to delete, 1 unchanged")
		assert.Contains(t, out, "project guarded has a reconciler that did not answer in time: no worker is running; start `schedules serve`\n")
	})
	t.Run("Should take a reconciler that was ended for none", func(t *testing.T) {
		require.NoError(t, c.TerminateWorkflow(t.Context(), workflows.ReconcilerID("guarded"), "", "test"))
		plan := decodePlan(t, env, dir)
		assert.Equal(t, "start", plan.Kind)
		assert.Contains(t, plan.Reconciler, "has no reconciler")
	})
}

func TestPlanFails(t *testing.T) {
	namespace, _ := server.Namespace(t)
	env := temporalEnv(server.Address(), namespace)
	t.Run("Should print each mistake of the project with its place", func(t *testing.T) {
		dir := project(t, "wrong", 1)
		putWorkflow(t, dir, "wf-0000", `{cron: "0 99 * * *", timezon: UTC}`)
		code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Regexp(t, `(?m)^workflows/wf-0000\.yaml:2:\d+: invalid cron expression`, errs)
		assert.Regexp(t, `(?m)^workflows/wf-0000\.yaml:2:\d+: unknown key "timezon"`, errs)
	})
	t.Run("Should say where it looked for a Temporal that is away", func(t *testing.T) {
		address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
		code, out, errs := call(t, temporalEnv(address, "default"), "plan", "--project", project(t, "away", 1), "--detailed-exitcode")
		assert.Equal(t, 1, code)
		assert.Empty(t, out)
		assert.Contains(t, errs, "schedules: connect to Temporal at "+address)
		assert.Contains(t, errs, "is it running? TEMPORAL_ADDRESS names another")
	})
	t.Run("Should name a namespace that is not there", func(t *testing.T) {
		code, _, errs := call(t, temporalEnv(server.Address(), "nowhere"), "plan", "--project", project(t, "lost", 1))
		assert.Equal(t, 1, code)
		assert.Contains(t, errs, "nowhere")
	})
	t.Run("Should refuse an unknown output", func(t *testing.T) {
		code, _, errs := call(t, env, "plan", "-o", "xml")
		assert.Equal(t, 1, code)
		assert.Contains(t, errs, "use text or json")
	})
}

// TestPlanExamples takes every project under examples/ from nothing to in sync.
func TestPlanExamples(t *testing.T) {
	root, err := temporaltest.Root()
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(root, "examples", "*", "compozy.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, file := range found {
		name := filepath.Base(filepath.Dir(file))
		t.Run("Should plan, apply, and then plan nothing: examples/"+name, func(t *testing.T) {
			namespace, _ := server.Namespace(t)
			env, dir := temporalEnv(server.Address(), namespace), filepath.Join(t.TempDir(), name)
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Dir(file))))
			plan := decodePlan(t, env, dir)
			assert.Equal(t, plan.Counts.Desired, plan.Counts.Create+plan.Counts.Ended)
			assert.NotZero(t, plan.Counts.Create)

			serve := start(t, env, "serve", "--project", dir, "--api=false", "--watch=false")
			eventually(t, serve.Log, func() bool { return status(t, server.Address(), namespace, dir).InSync(plan.Revision) })
			code, out, errs := call(t, env, "plan", "--project", dir, "--detailed-exitcode")
			assert.Equal(t, 0, code, "%s%s", out, errs)
			assert.Contains(t, out, "no changes")
		})
	}
}
