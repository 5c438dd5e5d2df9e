package cmd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// picturesVariable names the directory where `make screenshots` wants the pictures; without it the pages are looked at
// all the same.
const picturesVariable = "SCREENSHOTS"

// TestTemporalUI follows a person through the Temporal UI of the quickstart: all is well, then a schedule is
// edited by hand and one is paused. Each text is read through Temporal's API, and where there is a Chromium
// also in the pages themselves.
func TestTemporalUI(t *testing.T) {
	t.Parallel()
	ui := startUI(t)
	browser := newBrowser(t, ui.ui)

	t.Run("Should say that the project is in sync, with its counts and the last pass and audit", func(t *testing.T) {
		ui.untilDetails(t, "### quickstart: in sync", "- **revision**: "+ui.revision+"\n",
			"- **schedules**: 5 in the YAML, 5 found in Temporal, 1 paused\n", "- **last pass**: ",
			"- **last audit**: 5 schedules, 0 changed by hand; ended ")
		assert.NotContains(t, ui.details(t), "Problems")
		assert.NotContains(t, ui.details(t), "Overrides")
		description, err := ui.client.DescribeWorkflowExecution(t.Context(), ui.reconciler(), "")
		require.NoError(t, err)
		assert.Equal(t, "Keeps the schedules of project quickstart equal to its YAML",
			text(t, description.GetExecutionConfig().GetUserMetadata().GetSummary()))
	})
	t.Run("Should tell in a run's memo which git state started it", func(t *testing.T) {
		assert.Equal(t, map[string]string{
			"managed_by": "compozy-schedules", "project": "quickstart", "workflow_id": "heartbeat",
			"schedule_id": "schedule-quickstart-heartbeat", "revision": ui.revision,
		}, ui.memo(t, ui.newestRun(t, "heartbeat", "")))
	})
	t.Run("Should show in the pages that the project is in sync, its schedules, and a run's memo", func(t *testing.T) {
		browser.see(t, "in-sync", "--revision", ui.revision, "--run", ui.newestRun(t, "heartbeat", ""))
	})
	t.Run("Should notice that a page does not show a text", func(t *testing.T) {
		out := browser.misses(t, "in-sync", "--revision", "fedcba987654", "--run", "none", "--timeout", "2")
		assert.Regexp(t, "reconciler-in-sync: .* does not show .*revision: fedcba987654", out)
	})

	t.Run("Should say what is wrong, and who overrides what", func(t *testing.T) {
		ui.edit(t, "price-refresh")
		ui.pause(t, "the warehouse is moving")
		require.NoError(t, ui.client.SignalWorkflow(t.Context(), ui.reconciler(), "", workflows.SignalResync, nil))
		ui.untilDetails(t, "### quickstart: out of sync", "**1 of 5 schedules are not as the YAML says**",
			"5 found in Temporal, 2 paused\n", "- **last pass**: resync: 0 created, 0 updated, 0 deleted; ",
			"| price-refresh | drift: changed by hand in Temporal: jitter |",
			"| daily-report | pause | anonymous | the warehouse is moving | 20")
	})
	t.Run("Should name in the history what each activity and timer is for", func(t *testing.T) {
		summaries := ui.summaries(t)
		for _, summary := range []string{
			"compare with revision " + ui.revision, "upsert 5 schedules: daily-report … warehouse-sync",
			"audit every field of revision " + ui.revision, "pause daily-report",
			"next resync", "next audit", "an override expires",
		} {
			assert.Contains(t, summaries, summary)
		}
		assert.NotContains(t, summaries, "", "an activity or a timer without a summary")
	})
	t.Run("Should show in the pages what is wrong, what was done, and who paused a schedule", func(t *testing.T) {
		browser.see(t, "trouble", "--revision", ui.revision)
	})

	t.Run("Should show what people typed as they typed it", func(t *testing.T) {
		ui.pause(t, "[pay](http://evil.example) *now* <b>or</b> a|b")
		ui.untilDetails(t, "evil.example")
		page := ui.rendered(t)
		assert.Contains(t, page, `<h3 id="quickstart-out-of-sync">`)
		assert.Contains(t, page, `<td align="left">drift: changed by hand in Temporal: jitter</td>`)
		assert.Contains(t, page, `*now* &lt;b&gt;or&lt;/b&gt; a|b</td>`)
		assert.NotContains(t, page, `>pay</a>`)
	})
	t.Run("Should keep in a run's memo the revision that last wrote its schedule", func(t *testing.T) {
		revision := ui.change(t, "daily-report", `"0 9 * * 1-5"`, `"0 8 * * 1-5"`)
		require.NotEqual(t, ui.revision, revision)
		code, _, stderr := call(t, os.Environ(), "trigger", "daily-report", "--api-url", ui.api)
		require.Equal(t, 0, code, stderr)
		assert.Equal(t, revision, ui.memo(t, ui.newestRun(t, "daily-report", ""))["revision"])
		last := ui.newestRun(t, "heartbeat", "")
		assert.Equal(t, ui.revision, ui.memo(t, ui.newestRun(t, "heartbeat", last))["revision"], "nothing of heartbeat has changed")
	})
	assert.Equal(t, 0, ui.dev.Interrupt())
}

func TestPictures(t *testing.T) {
	t.Run("Should all be small, in a page, and made by the script", func(t *testing.T) {
		root, err := temporaltest.Root()
		require.NoError(t, err)
		page, err := os.ReadFile(filepath.Join(root, "docs", "temporal-ui.md"))
		require.NoError(t, err)
		script, err := os.ReadFile(filepath.Join(root, "docs", "screenshots", "shots.mjs"))
		require.NoError(t, err)
		var made, shown, there []string
		for _, m := range regexp.MustCompile(`(?m)^ +name: '(\S+)',$`).FindAllSubmatch(script, -1) {
			made = append(made, string(m[1])+".png")
		}
		for _, m := range regexp.MustCompile(`!\[[^\]]+\]\(images/(\S+)\)`).FindAllSubmatch(page, -1) {
			shown = append(shown, string(m[1]))
		}
		files, err := os.ReadDir(filepath.Join(root, "docs", "images"))
		require.NoError(t, err)
		size := int64(0)
		for _, file := range files {
			info, err := file.Info()
			require.NoError(t, err)
			there, size = append(there, file.Name()), size+info.Size()
		}
		require.NotEmpty(t, made)
		assert.ElementsMatch(t, made, there)
		assert.ElementsMatch(t, made, shown)
		assert.Less(t, size, int64(1_000_000), "bytes of all pictures")
	})
}

// uiProject is the quickstart under `schedules dev`, with the Temporal UI.
type uiProject struct {
	dev                    *child
	dir, api, ui, revision string
	client                 client.Client
}

func startUI(t *testing.T) *uiProject {
	t.Helper()
	dir, env := quickstart(t)
	port, uiPort, listen := schedulestest.FreePort(t), schedulestest.FreePort(t), fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
	u := &uiProject{dir: dir, api: "http://" + listen, ui: fmt.Sprintf("http://127.0.0.1:%d", uiPort)}
	u.dev = start(t, env,
		"dev", "--project", dir, "--port", strconv.Itoa(port), "--ui-port", strconv.Itoa(uiPort), "--listen", listen)
	eventually(t, u.dev.Log, func() bool { return strings.Contains(u.dev.Log(), "Ctrl-C ends everything") })
	var err error
	u.client, err = client.Dial(client.Options{HostPort: fmt.Sprintf("127.0.0.1:%d", port), Logger: nothing{}})
	require.NoError(t, err)
	t.Cleanup(u.client.Close)
	u.revision = u.loaded(t)
	return u
}

// loaded is the revision of the files.
func (u *uiProject) loaded(t *testing.T) string {
	t.Helper()
	project, err := config.Load(u.dir)
	require.NoError(t, err)
	return config.Short(project.Revision)
}

func (u *uiProject) reconciler() string { return workflows.ReconcilerID("quickstart") }

// details are what the UI asks for to show it as Current Details.
func (u *uiProject) details(t *testing.T) string {
	t.Helper()
	value, err := u.client.QueryWorkflow(t.Context(), u.reconciler(), "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

func (u *uiProject) untilDetails(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, func() string { return u.dev.Log() + "\n" + u.details(t) }, func() bool {
		details := u.details(t)
		for _, text := range texts {
			if !strings.Contains(details, text) {
				return false
			}
		}
		return true
	})
}

// rendered is the HTML that the UI's server makes of the details.
func (u *uiProject) rendered(t *testing.T) string {
	t.Helper()
	address := u.ui + "/render?" + url.Values{"content": {u.details(t)}, "theme": {"light"}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(page)
}

// edit is somebody's edit in the Temporal UI.
func (u *uiProject) edit(t *testing.T, id string) {
	t.Helper()
	handle := u.client.ScheduleClient().GetHandle(t.Context(), "schedule-quickstart-"+id)
	require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			in.Description.Schedule.Spec.Jitter = 20 * time.Minute
			return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
		},
	}))
}

func (u *uiProject) pause(t *testing.T, reason string) {
	t.Helper()
	code, _, stderr := call(t, os.Environ(), "pause", "daily-report", "--reason", reason, "--expires-in", "4h", "--api-url", u.api)
	require.Equal(t, 0, code, stderr)
}

// change edits a workflow's file and waits until a pass has ended with it.
func (u *uiProject) change(t *testing.T, id, before, after string) (revision string) {
	t.Helper()
	name := filepath.Join(u.dir, "workflows", id+".yaml")
	old, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(old), before)
	require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(old), before, after, 1)), 0o600))
	revision = u.loaded(t)
	eventually(t, u.dev.Log, func() bool {
		details := u.details(t)
		return strings.Contains(details, "- **revision**: "+revision+"\n") && !strings.Contains(details, "- **applied**: ")
	})
	return revision
}

// newestRun is the workflow ID of a workflow's newest run, once there is one that is not `not`.
func (u *uiProject) newestRun(t *testing.T, id, not string) (run string) {
	t.Helper()
	eventually(t, u.dev.Log, func() bool {
		runs, err := u.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: client.DefaultNamespace, PageSize: 1,
			Query: fmt.Sprintf("TemporalScheduledById = 'schedule-quickstart-%s'", id),
		})
		require.NoError(t, err)
		if len(runs.GetExecutions()) == 0 {
			return false
		}
		run = runs.GetExecutions()[0].GetExecution().GetWorkflowId()
		return run != not
	})
	return run
}

func (u *uiProject) memo(t *testing.T, run string) map[string]string {
	t.Helper()
	description, err := u.client.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	memo := map[string]string{}
	for name, value := range description.GetWorkflowExecutionInfo().GetMemo().GetFields() {
		memo[name] = text(t, value)
	}
	return memo
}

// summaries are those of the reconciler's activities, local activities and timers; empty where one has none.
func (u *uiProject) summaries(t *testing.T) (summaries []string) {
	t.Helper()
	for events := u.client.GetWorkflowHistory(t.Context(), u.reconciler(), "", false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		require.NoError(t, err)
		marker := event.GetMarkerRecordedEventAttributes().GetMarkerName()
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enumspb.EVENT_TYPE_TIMER_STARTED:
		default:
			if marker != "LocalActivity" {
				continue
			}
		}
		if summary := event.GetUserMetadata().GetSummary(); summary != nil {
			summaries = append(summaries, text(t, summary))
		} else {
			summaries = append(summaries, "")
		}
	}
	return summaries
}

func text(t *testing.T, payload *commonpb.Payload) (text string) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &text))
	return text
}

// browser runs docs/screenshots/shots.mjs.
type browser struct {
	ui, chromium, node, dir string
	// lacks says what this machine has not got; then pages are not looked at.
	lacks string
}

func newBrowser(t *testing.T, ui string) browser {
	t.Helper()
	b := browser{ui: ui, dir: t.TempDir()}
	npm := ""
	for program, path := range map[string]*string{"chromium": &b.chromium, "node": &b.node, "npm": &npm} {
		var err error
		if *path, err = exec.LookPath(program); err != nil {
			b.lacks = "there is no " + program + " on PATH: apt-get install chromium nodejs npm"
			return b
		}
	}
	version, err := exec.Command(b.node, "--version").Output()
	require.NoError(t, err)
	major, err := strconv.Atoi(strings.Split(strings.TrimPrefix(string(version), "v"), ".")[0])
	require.NoError(t, err)
	if major < 20 {
		b.lacks = fmt.Sprintf("playwright-core needs Node.js 20, this is %s", strings.TrimSpace(string(version)))
		return b
	}
	root, err := temporaltest.Root()
	require.NoError(t, err)
	for _, name := range []string{"package.json", "package-lock.json", "shots.mjs"} {
		content, err := os.ReadFile(filepath.Join(root, "docs", "screenshots", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, name), content, 0o600))
	}
	install := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = b.dir
	if out, err := install.CombinedOutput(); err != nil {
		b.lacks = "npm cannot install playwright-core: " + string(out)
	}
	return b
}

// see looks at the pages of a stage.
func (b browser) see(t *testing.T, stage string, args ...string) {
	t.Helper()
	if pictures := os.Getenv(picturesVariable); pictures != "" {
		args = append(args, "--out", pictures)
	}
	out, err := b.look(t, stage, args)
	require.NoError(t, err, out)
	t.Log(out)
}

// misses looks at pages that do not show all, and returns what the script says.
func (b browser) misses(t *testing.T, stage string, args ...string) string {
	t.Helper()
	out, err := b.look(t, stage, args)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, out)
	assert.Equal(t, 1, exit.ExitCode())
	return out
}

func (b browser) look(t *testing.T, stage string, args []string) (string, error) {
	t.Helper()
	if b.lacks != "" {
		require.Empty(t, os.Getenv(picturesVariable), b.lacks)
		t.Skip(b.lacks)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*soon)
	defer cancel()
	command := exec.CommandContext(ctx, b.node, append([]string{"shots.mjs", "--ui", b.ui, "--chromium", b.chromium,
		"--stage", stage}, args...)...)
	command.Dir = b.dir
	// Asked to end, it ends its Chromium too.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}
