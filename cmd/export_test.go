package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/metadata"

	"github.com/compozy/schedules/config"
)

// exportable are somebody's schedules: one that a file says, one that loses its second argument, and one
// that no cron says.
func exportable(t *testing.T) (environ []string, c client.Client) {
	t.Helper()
	namespace, c := server.Namespace(t)
	create := func(id string, spec client.ScheduleSpec, args ...any) {
		_, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
			ID: id, Spec: spec, Note: "ask Ada",
			Action: &client.ScheduleWorkflowAction{ID: "base", Workflow: "Cleanup", TaskQueue: "ops", Args: args},
		})
		require.NoError(t, err)
	}
	create("Nightly", client.ScheduleSpec{CronExpressions: []string{"0 9 * * MON-FRI"}, TimeZoneName: "Europe/Berlin"}, map[string]any{"days": 30})
	create("two", client.ScheduleSpec{CronExpressions: []string{"@every 90s"}}, 1, 2)
	create("year", client.ScheduleSpec{CronExpressions: []string{"0 9 * * * 2027"}})
	environ = temporalEnv(server.Address(), namespace)
	require.Eventually(t, func() bool { // the list lags
		return strings.Contains(runIn(t, environ, false, "export", "--dir", "-").stderr, "2 schedules exported")
	}, 30*time.Second, 100*time.Millisecond)
	return environ, c
}

const (
	exportedLosses = "schedule two: input: 2 arguments, and the YAML has one, a JSON object\n" +
		"schedule year: not exported: years: a cron runs in every year\n"
	exportedCounts = "2 schedules exported, 1 of them with losses; 1 not exported; 0 left out because a project owns them\n"
)

func TestExport(t *testing.T) {
	environ, _ := exportable(t)
	t.Run("Should write files that a project can load, and name what is lost", func(t *testing.T) {
		dir := t.TempDir()
		workflows := filepath.Join(dir, "workflows")
		got := runIn(t, environ, false, "export", "--dir", workflows)
		assert.Equal(t, 0, got.code)
		assert.Equal(t, exportedLosses, got.stderr)
		files, err := filepath.Glob(filepath.Join(workflows, "*"))
		require.NoError(t, err)
		require.Len(t, files, 2)
		assert.Equal(t, files[0]+"\n"+files[1]+"\n"+exportedCounts, got.stdout)

		require.NoError(t, os.WriteFile(filepath.Join(dir, "compozy.yaml"), []byte("name: ops\nworkflows: [{source: ./workflows/*.yaml}]\n"), 0o600))
		project, err := config.Load(dir)
		require.NoError(t, err)
		nightly, two := project.Workflows[0].Schedule, project.Workflows[1].Schedule
		assert.Equal(t, "0 9 * * 1-5", nightly.Cron)
		assert.Equal(t, "Nightly", nightly.ScheduleID)
		assert.True(t, nightly.Adopt)
		assert.False(t, two.Adopt)
		assert.Nil(t, two.Input)
		text, err := os.ReadFile(files[1])
		require.NoError(t, err)
		assert.Contains(t, string(text), "# ask Ada\n#\n# The schedule says more than this file, which a project would not keep:\n"+
			"#   input: 2 arguments, and the YAML has one, a JSON object\n# Set adopt: true to accept this.\nid: two\n")
	})
	t.Run("Should overwrite only with --force, and write nothing at all otherwise", func(t *testing.T) {
		dir := t.TempDir()
		two := filepath.Join(dir, "two.yaml")
		require.NoError(t, os.WriteFile(two, []byte("mine"), 0o600))
		got := runIn(t, environ, false, "export", "--dir", dir)
		assert.Equal(t, 1, got.code)
		assert.Equal(t, "schedules: nothing was written, because 1 file of the export would overwrite yours, such as "+two+
			": use --force, or another --dir\n", got.stderr)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, entries, 1)
		got = runIn(t, environ, false, "export", "--dir", dir, "--force")
		assert.Equal(t, 0, got.code)
		entries, err = os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, entries, 2, "and no temporary file")
		text, err := os.ReadFile(two)
		require.NoError(t, err)
		assert.Contains(t, string(text), "id: two")
	})
	t.Run("Should print the files as documents", func(t *testing.T) {
		got := runIn(t, environ, false, "export", "--dir", "-")
		assert.Equal(t, 0, got.code)
		assert.Equal(t, exportedLosses+exportedCounts, got.stderr)
		assert.Equal(t, 1, strings.Count(got.stdout, "\n---\n"))
		assert.Regexp(t, `^# ask Ada\nid: nightly-[0-9a-f]{8}\n`, got.stdout)
	})
	t.Run("Should tell machines all that it tells people", func(t *testing.T) {
		for _, dir := range []string{"-", t.TempDir()} {
			got := runIn(t, environ, false, "export", "--dir", dir, "-o", "json")
			assert.Equal(t, 0, got.code)
			var result struct {
				Exported []struct {
					ScheduleID string   `json:"schedule_id"`
					WorkflowID string   `json:"workflow_id"`
					Adopt      bool     `json:"adopt"`
					Losses     []string `json:"losses"`
					File       string   `json:"file"`
					YAML       string   `json:"yaml"`
				} `json:"exported"`
				NotExported []struct {
					ScheduleID string   `json:"schedule_id"`
					Reasons    []string `json:"reasons"`
				} `json:"not_exported"`
				Owned int `json:"owned"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &result), got.stdout)
			require.Len(t, result.Exported, 2)
			assert.Equal(t, "Nightly", result.Exported[0].ScheduleID)
			assert.True(t, result.Exported[0].Adopt)
			assert.NotNil(t, result.Exported[0].Losses)
			assert.Equal(t, []string{"input: 2 arguments, and the YAML has one, a JSON object"}, result.Exported[1].Losses)
			require.Len(t, result.NotExported, 1)
			assert.Equal(t, []string{"years: a cron runs in every year"}, result.NotExported[0].Reasons)
			if dir == "-" {
				assert.Contains(t, result.Exported[1].YAML, "id: two")
			} else {
				assert.FileExists(t, result.Exported[1].File)
			}
		}
	})
	t.Run("Should export only what a query or IDs name", func(t *testing.T) {
		got := runIn(t, environ, false, "export", "--dir", "-", "--query", "ScheduleId STARTS_WITH 'tw'")
		assert.Contains(t, got.stderr, "1 schedule exported")
		got = runIn(t, environ, false, "export", "--dir", "-", "--schedule-id", "year", "--schedule-id", "Nightly")
		assert.Equal(t, 0, got.code)
		assert.Contains(t, got.stderr, "1 schedule exported, 0 of them with losses; 1 not exported")
	})
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an ID that there is not":    {[]string{"--schedule-id", "nobody"}, "there is no schedule nobody in the namespace"},
		"a query that is none":       {[]string{"--query", "what ever"}, "list schedules (what ever): invalid query"},
		"a query together with IDs":  {[]string{"--query", "x", "--schedule-id", "y"}, "--query and --schedule-id do not go together"},
		"an output that there isn't": {[]string{"-o", "yaml"}, `unknown output "yaml": use text or json`},
		"no directory":               {[]string{"--dir", ""}, "--dir is empty"},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			got := runIn(t, environ, false, append([]string{"export"}, test.args...)...)
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.stderr, test.want)
			assert.NoDirExists(t, "workflows")
		})
	}
	t.Run("Should say where it looked for a Temporal that is not there", func(t *testing.T) {
		got := runIn(t, temporalEnv("127.0.0.1:1", "default"), false, "export")
		assert.Equal(t, 1, got.code)
		assert.Contains(t, got.stderr, "connect to Temporal at 127.0.0.1:1")
	})
}

func TestExportAdopted(t *testing.T) {
	t.Run("Should leave alone what a project owns, and be adopted by one", func(t *testing.T) {
		environ, c := exportable(t)
		// People name schedules in their language; the SDK alone cannot send such an ID.
		named := metadata.AppendToOutgoingContext(t.Context(), "temporal-resource-id", "schedule:any")
		_, err := c.ScheduleClient().Create(named, client.ScheduleOptions{
			ID: "nächtlich", Spec: client.ScheduleSpec{CronExpressions: []string{"0 3 * * *"}},
			Action: &client.ScheduleWorkflowAction{ID: "base", Workflow: "Cleanup", TaskQueue: "ops"},
		})
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "compozy.yaml"), []byte("name: ops\nworkflows: [{source: ./workflows/*.yaml}]\n"), 0o600))
		got := runIn(t, environ, false, "export", "--dir", filepath.Join(dir, "workflows"), "--schedule-id", "Nightly", "--schedule-id", "nächtlich")
		require.Equal(t, 0, got.code, got.stderr)
		before, err := c.ScheduleClient().GetHandle(t.Context(), "Nightly").Describe(t.Context())
		require.NoError(t, err)

		serving := start(t, environ, "serve", "--project", dir, "--api=false")
		eventually(t, serving.Log, func() bool {
			left := runIn(t, environ, false, "export", "--dir", "-")
			return strings.HasSuffix(left.stderr, "1 schedule exported, 1 of them with losses; 1 not exported; 2 left out because a project owns them\n")
		})
		assert.Equal(t, 0, serving.Terminate())
		got = runIn(t, environ, false, "export", "--dir", "-", "--schedule-id", "Nightly")
		assert.Equal(t, 0, got.code)
		assert.Contains(t, got.stderr, "schedule Nightly: not exported: project ops owns it\n0 schedules exported")
		after, err := c.ScheduleClient().GetHandle(t.Context(), "Nightly").Describe(t.Context())
		require.NoError(t, err)
		assert.Equal(t, before.Info.NextActionTimes, after.Info.NextActionTimes)
	})
}
