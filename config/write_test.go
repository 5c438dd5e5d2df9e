package config_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

// writable is a workflow that has every key.
func writable() config.Workflow {
	start, end := time.Date(2027, 1, 1, 9, 0, 0, 0, time.FixedZone("", 7200)), time.Date(2028, 1, 1, 0, 0, 0, 1, time.UTC)
	return config.Workflow{
		ID: "daily",
		Start: config.Start{
			WorkflowType: "Daily: report", WorkflowID: "123", TaskQueue: "*", ExecutionTimeout: 36 * time.Hour,
			RunTimeout: 90 * time.Minute, TaskTimeout: 1500 * time.Millisecond,
			Retry: &config.Retry{
				InitialInterval: time.Second, BackoffCoefficient: 1.5, MaximumInterval: time.Hour, MaximumAttempts: 5,
				NonRetryableErrors: []string{"BadInput", "true"},
			},
			Memo:             map[string]any{"owner": "ops", "none": nil},
			SearchAttributes: map[string]any{"Team": "no", "Tags": []string{"a", "1"}, "Size": 2.5},
		},
		Schedule: &config.Schedule{
			Cron: "*/15 * * * *", Timezone: "Europe/Berlin", Enabled: new(false), Jitter: "90s",
			OverlapPolicy: config.OverlapBufferOne, StartAt: &start, EndAt: &end, CatchupWindow: "1h", PauseOnFailure: true,
			Input: map[string]any{"day": "2027-01-01", "<<": map[string]any{"b": []any{}}, "n": int64(-1)}, ScheduleID: "x y", Adopt: true,
		},
	}
}

// loadWritten loads the workflow's file from a project.
func loadWritten(t *testing.T, text []byte) config.Workflow {
	t.Helper()
	dir := write(t, map[string]string{"compozy.yaml": "name: p\nworkflows:\n  - source: ./w.yaml\n"})
	put(t, filepath.Join(dir, "w.yaml"), string(text))
	project, err := config.Load(dir)
	require.NoError(t, err, string(text))
	return project.Workflows[0]
}

func TestWriteWorkflow(t *testing.T) {
	t.Run("Should write every key in the order of the guide", func(t *testing.T) {
		text, err := config.WriteWorkflow(writable(), nil)
		require.NoError(t, err)
		assert.Equal(t, `id: daily
temporal:
  workflow_type: "Daily: report"
  workflow_id: "123"
  task_queue: "*"
  execution_timeout: 36h
  run_timeout: 90m
  task_timeout: 1.5s
  retry:
    initial_interval: 1s
    backoff_coefficient: 1.5
    maximum_interval: 1h
    maximum_attempts: 5
    non_retryable_error_types:
    - BadInput
    - "true"
  memo:
    none: null
    owner: ops
  search_attributes:
    Size: 2.5
    Tags:
    - a
    - "1"
    Team: "no"
schedule:
  cron: "*/15 * * * *"
  timezone: Europe/Berlin
  enabled: false
  jitter: 90s
  overlap_policy: buffer_one
  start_at: 2027-01-01T09:00:00+02:00
  end_at: 2028-01-01T00:00:00.000000001Z
  catchup_window: 1h
  pause_on_failure: true
  input:
    "<<":
      b: []
    day: "2027-01-01"
    "n": -1
  schedule_id: x y
  adopt: true
`, string(text))
		wanted, loaded := writable(), loadWritten(t, text)
		hash, err := wanted.SpecHash("p")
		require.NoError(t, err)
		again, err := loaded.SpecHash("p")
		require.NoError(t, err)
		assert.Equal(t, hash, again)
		assert.True(t, loaded.Schedule.Adopt)
		assert.False(t, loaded.Schedule.IsEnabled())
	})
	t.Run("Should keep an empty input and an empty retry, which are not none", func(t *testing.T) {
		w := config.Workflow{
			ID: "daily", Start: config.Start{WorkflowType: "daily", TaskQueue: "q", Retry: &config.Retry{}},
			Schedule: &config.Schedule{Cron: "@daily", Input: map[string]any{}},
		}
		text, err := config.WriteWorkflow(w, nil)
		require.NoError(t, err)
		loaded := loadWritten(t, text)
		assert.NotNil(t, loaded.Schedule.Input)
		assert.NotNil(t, loaded.Start.Retry)
	})
	t.Run("Should write comments that are comments whatever is in them", func(t *testing.T) {
		text, err := config.WriteWorkflow(writable(), []string{
			"plain", "", "two\nlines\r\nand\u2028three\u0085four", "id: other\n---\nid: other", "\x00\x1b[31m\ufeff\xff\ttab", "# hash", "\n",
		})
		require.NoError(t, err)
		head, _, _ := strings.Cut(string(text), "id: daily\n")
		assert.Equal(t, "# plain\n#\n# two\n# lines\n# and\n# three\n# four\n# id: other\n# ---\n# id: other\n"+
			"# \uFFFD\uFFFD[31m\uFFFD\uFFFD tab\n# # hash\n#\n", head)
		assert.Equal(t, "daily", loadWritten(t, text).ID)
	})
	for name, test := range map[string]struct {
		change func(*config.Workflow)
		want   string
	}{
		"an id that is none":       {func(w *config.Workflow) { w.ID = "Daily" }, `invalid id "Daily"`},
		"an empty workflow type":   {func(w *config.Workflow) { w.Start.WorkflowType = "" }, "do not survive"},
		"a queue of Temporal's":    {func(w *config.Workflow) { w.Start.TaskQueue = "/_sys/x" }, "choose another name"},
		"a schedule without times": {func(w *config.Workflow) { w.Schedule.Cron = "" }, "cron is required"},
		"a number that is none":    {func(w *config.Workflow) { w.Schedule.Input["n"] = math.NaN() }, "n"},
		"an input that is too large": {func(w *config.Workflow) {
			w.Schedule.Input["n"] = strings.Repeat("x", 1<<20)
		}, "larger than 1 MiB"},
		"an input that nests too deep": {func(w *config.Workflow) {
			var deep any = "x"
			for range 300 {
				deep = []any{deep}
			}
			w.Schedule.Input["n"] = deep
		}, "deep"},
	} {
		t.Run("Should refuse "+name, func(t *testing.T) {
			w := writable()
			test.change(&w)
			text, err := config.WriteWorkflow(w, nil)
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, text)
		})
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1s", 90 * time.Second: "90s", 5 * time.Minute: "5m", 90 * time.Minute: "90m", 24 * time.Hour: "24h",
		3661 * time.Second: "1h1m1s", 1500 * time.Millisecond: "1.5s", 999 * time.Hour: "999h", 0: "0s", 1000 * time.Second: "16m40s",
		8760 * time.Hour: "8760h0m0s",
	} {
		t.Run("Should be "+want, func(t *testing.T) {
			text := config.DurationText(d)
			assert.Equal(t, want, text)
			read, err := config.ParseDuration("x", text)
			require.NoError(t, err)
			assert.Equal(t, d, read)
		})
	}
}
