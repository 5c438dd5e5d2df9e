package config_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

const fullWorkflow = `id: daily-report
config: { input: { type: object, required: [day], properties: { day: { type: string } } } }
temporal:
  workflow_type: DailyReport
  task_queue: reports-heavy
  execution_timeout: 1h
  run_timeout: 30m
  task_timeout: 10s
  retry:
    initial_interval: 10s
    backoff_coefficient: 2
    maximum_interval: 5m
    maximum_attempts: 5
    non_retryable_error_types: [BadInput]
  memo: { owner: finance, tags: [a, 1] }
  search_attributes: { Team: finance, Size: 3, Ratio: 0.5, Urgent: true, Since: 2027-01-01T00:00:00Z, Labels: [a, b] }
schedule:
  cron: "0 9 * * 1-5"
  timezone: America/New_York
  enabled: false
  jitter: 5m
  overlap_policy: buffer_one
  start_at: 2027-01-01T00:00:00Z
  end_at: "2027-12-31T00:00:00+01:00"
  catchup_window: 10m
  pause_on_failure: true
  input: { day: 2027-01-01, n: 1, big: 18446744073709551615, f: 1.5, none: null, deep: { list: [ { a: true } ] } }
`

func TestLoad(t *testing.T) {
	t.Run("Should read every field", func(t *testing.T) {
		project := loadOne(t, goodProject, fullWorkflow)
		w := project.Workflows[0]
		assert.Equal(t, config.Start{
			WorkflowType: "DailyReport", TaskQueue: "reports-heavy",
			ExecutionTimeout: time.Hour, RunTimeout: 30 * time.Minute, TaskTimeout: 10 * time.Second,
			Retry: &config.Retry{
				InitialInterval: 10 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute,
				MaximumAttempts: 5, NonRetryableErrors: []string{"BadInput"},
			},
			Memo: map[string]any{"owner": "finance", "tags": []any{"a", int64(1)}},
			SearchAttributes: map[string]any{
				"Team": "finance", "Size": int64(3), "Ratio": 0.5, "Urgent": true,
				"Since": "2027-01-01T00:00:00Z", "Labels": []string{"a", "b"},
			},
		}, w.Start)
		s := w.Schedule
		assert.Equal(t, "0 9 * * 1-5", s.Cron)
		assert.Equal(t, "America/New_York", s.Timezone)
		assert.False(t, s.IsEnabled())
		assert.Equal(t, "5m", s.Jitter)
		assert.Equal(t, config.OverlapBufferOne, s.OverlapPolicy)
		assert.Equal(t, "2027-01-01T00:00:00Z", s.StartAt.Format(time.RFC3339))
		assert.Equal(t, "2027-12-30T23:00:00Z", s.EndAt.UTC().Format(time.RFC3339))
		assert.Equal(t, "10m", s.CatchupWindow)
		assert.True(t, s.PauseOnFailure)
		assert.Equal(t, map[string]any{
			"day": "2027-01-01", "n": int64(1), "big": uint64(18446744073709551615), "f": 1.5, "none": nil,
			"deep": map[string]any{"list": []any{map[string]any{"a": true}}},
		}, s.Input)
	})
	t.Run("Should apply the defaults", func(t *testing.T) {
		project := loadOne(t, goodProject, goodWorkflow)
		w := project.Workflows[0]
		assert.Equal(t, config.Start{WorkflowType: "daily", TaskQueue: "reports"}, w.Start)
		assert.Equal(t, "workflows/daily.yaml", w.File)
		assert.True(t, w.Schedule.IsEnabled())
		assert.Equal(t, config.OverlapSkip, w.Schedule.Overlap())
		assert.Nil(t, w.Schedule.Input)
		assert.Len(t, project.Revision, 64)
	})
	t.Run("Should take the project's task queue as default", func(t *testing.T) {
		project := loadOne(t, goodProject+"temporal: {task_queue: shared}\n", goodWorkflow)
		assert.Equal(t, "shared", project.Workflows[0].Start.TaskQueue)
	})
	t.Run("Should order workflows by id and keep those without schedule", func(t *testing.T) {
		dir := write(t, map[string]string{
			"compozy.yaml": goodProject, "workflows/1.yaml": "id: c\n", "workflows/2.yaml": "id: a\n", "workflows/3.yaml": "id: b_2\n",
		})
		project, err := config.Load(filepath.Join(dir, "compozy.yaml"))
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b_2", "c"}, ids(project))
		assert.Empty(t, project.Scheduled())
	})
	t.Run("Should accept a project without workflows", func(t *testing.T) {
		for _, text := range []string{"name: p\n", "name: p\nworkflows: []\n", "name: p\nworkflows:\n"} {
			project, err := config.Load(write(t, map[string]string{"compozy.yaml": text}))
			require.NoError(t, err)
			assert.Empty(t, project.Workflows)
		}
	})
	t.Run("Should leave the keys of Compozy alone", func(t *testing.T) {
		project := loadOne(t, compozyProject, compozyWorkflow)
		assert.Equal(t, map[string]any{"code": "x"}, project.Workflows[0].Schedule.Input)
	})
	t.Run("Should follow aliases and merge keys, own keys first", func(t *testing.T) {
		project := loadOne(t, goodProject, `id: daily
defaults: &defaults {timezone: Europe/Berlin, jitter: 1m}
other: &other {jitter: 2m, overlap_policy: allow}
day: &day {code: x}
schedule:
  <<: [*defaults, *other]
  cron: "@daily"
  timezone: UTC
  input: *day
`)
		s := project.Workflows[0].Schedule
		assert.Equal(t, "UTC", s.Timezone)
		assert.Equal(t, "1m", s.Jitter)
		assert.Equal(t, config.OverlapAllow, s.OverlapPolicy)
		assert.Equal(t, map[string]any{"code": "x"}, s.Input)
	})
	t.Run("Should read a byte order mark and Windows line ends", func(t *testing.T) {
		project := loadOne(t, goodProject, "\ufeffid: daily\r\nschedule:\r\n  cron: \"@daily\"\r\n")
		assert.Equal(t, "@daily", project.Workflows[0].Schedule.Cron)
	})
	t.Run("Should take a schema of an old draft whose entry has an id", func(t *testing.T) {
		loadOne(t, goodProject, `id: daily
schemas: [{id: day input, $schema: "http://json-schema.org/draft-04/schema#", type: object}]
config: {input: day input}
schedule: {cron: "@daily"}
`)
	})
}

func loadOne(t *testing.T, project, workflow string) *config.Project {
	t.Helper()
	loaded, err := config.Load(write(t, map[string]string{"compozy.yaml": project, "workflows/daily.yaml": workflow}))
	require.NoError(t, err)
	return loaded
}

const compozyProject = `name: reports
version: 0.1.0
workflows:
  - source: ./workflows/*.yaml
    description: all of them
temporal: {mode: remote, host_port: "${TEMPORAL_ADDRESS}", namespace: default, tls: {enabled: false}}
models: [{provider: openai, api_key: "{{ .env.OPENAI_API_KEY }}", params: {temperature: 0}}]
runtime: {type: bun, permissions: [--allow-read]}
mcps: !custom {any: [thing]}
tasks: {1: x, true: y, [a]: z}
`

const compozyWorkflow = `id: daily
config:
  input: code_input
  env: {WORKFLOW_VERSION: "1.0.0"}
schemas:
  - id: code_input
    type: object
    properties: {code: {type: string}}
    required: [code]
tools:
  - id: format
    input: {$ref: 'local::schemas.#(id=="code_input")'}
agents:
  - $use: agent(local::agents.#(id=="assistant"))
    instructions: |
      Format {{ .workflow.input.code }}
tasks:
  - id: review
    schedule: {timezon: not ours}
    with: {code: {{ .workflow.input.code }}}
    <<: {a: b}
schedule:
  cron: "0 9 * * *"
  input: {code: x}
`
