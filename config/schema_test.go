package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestSchemaAccepts(t *testing.T) {
	workflow, project := newEditor(t, config.SchemaWorkflow), newEditor(t, config.SchemaProject)
	for name, text := range map[string]string{
		"without schedule": "id: daily\n", "with every field": fullWorkflow, "with one field": goodWorkflow,
		"of Compozy":          compozyWorkflow,
		"with a zone in cron": schedule(`"CRON_TZ=Europe/Berlin  0 9 * * MON-fri"`, ""),
		"with a descriptor":   schedule(`"@midnight"`, ""),
		"with an interval":    schedule(`"@every 1h30m"`, ""),
		"with odd durations":  schedule(`"? 0-6/2 */3 JAN,2 *"`, "jitter: 1.5h\n  catchup_window: +1m.5s\n"),
		"with merge keys": "id: daily\nx: &x {jitter: 1m}\ny: &y {jitter: 2m, enabled: false}\n" +
			"schedule: {<<: [*x, *y], cron: \"@daily\"}\n",
		"with retries for ever": "id: daily\ntemporal: {retry: {maximum_attempts: 0, backoff_coefficient: 1}}\n",
		"that takes over a schedule": schedule(`"@daily"`, "schedule_id: nightly-report\n  adopt: true\n") +
			"temporal: {workflow_id: nightly-report}\n",
	} {
		t.Run("Should accept a workflow "+name+", as the loader does", func(t *testing.T) {
			assert.NoError(t, workflow.check(t, text))
			loadOne(t, goodProject, text)
		})
	}

	for name, text := range map[string]string{
		"of one key": "name: p\n", "with workflows": goodProject, "of Compozy": compozyProject,
		"without workflows yet": "name: p\nworkflows:\n", "with a task queue": "name: p\ntemporal: {task_queue: shared}\n",
	} {
		t.Run("Should accept a project "+name+", as the loader does", func(t *testing.T) {
			assert.NoError(t, project.check(t, text))
			loadOne(t, text, goodWorkflow)
		})
	}

	t.Run("Should accept the examples", func(t *testing.T) {
		assert.NoError(t, project.check(t, read(t, "../examples/quickstart/compozy.yaml")))
		files, err := filepath.Glob("../examples/quickstart/workflows/*.yaml")
		require.NoError(t, err)
		assert.NotEmpty(t, files)
		for _, file := range files {
			assert.NoError(t, workflow.check(t, read(t, file)), file)
		}
	})
}

func TestSchemaRefuses(t *testing.T) {
	workflow, project := newEditor(t, config.SchemaWorkflow), newEditor(t, config.SchemaProject)
	for name, text := range map[string]string{
		"no id": "schedule: {cron: \"@daily\"}\n", "an id that is no slug": "id: Daily Report\n", "an id that is a number": "id: 2027\n",
		"an id of 64 characters": "id: " + strings.Repeat("x", 64) + "\n", "an id that ends in -": "id: daily-\n",
		"no cron": "id: daily\nschedule: {timezone: UTC}\n", "an empty schedule": "id: daily\nschedule:\n",
		"a cron of six fields": schedule(`"0 */5 * * * *"`, ""), "a cron of four fields": schedule(`"0 9 * *"`, ""),
		"an unknown descriptor": schedule(`"@reboot"`, ""), "a cron that is a number": schedule("5", ""),
		"a misspelt key": schedule(`"@daily"`, "timezon: UTC\n"), "a zone with a space": schedule(`"@daily"`, "timezone: America/New York\n"),
		"the zone Local": schedule(`"@daily"`, "timezone: Local\n"), "enabled as yes": schedule(`"@daily"`, "enabled: yes\n"),
		"jitter without a unit": schedule(`"@daily"`, "jitter: 300\n"), "jitter in days": schedule(`"@daily"`, "jitter: 1d\n"),
		"a negative jitter": schedule(`"@daily"`, "jitter: -5m\n"), "an unknown policy": schedule(`"@daily"`, "overlap_policy: replace\n"),
		"a date as start_at": schedule(`"@daily"`, "start_at: 2027-01-01\n"), "no zone in end_at": schedule(`"@daily"`, "end_at: 2027-01-01T00:00:00\n"),
		"a number as catchup_window": schedule(`"@daily"`, "catchup_window: 600\n"), "text for pause_on_failure": schedule(`"@daily"`, "pause_on_failure: \"true\"\n"),
		"a list as input": schedule(`"@daily"`, "input: [a]\n"), "text for adopt": schedule(`"@daily"`, "adopt: always\n"),
		"an empty schedule_id":  schedule(`"@daily"`, "schedule_id: \"\"\n"),
		"a long schedule_id":    schedule(`"@daily"`, "schedule_id: "+strings.Repeat("x", 1001)+"\n"),
		"an empty workflow_id":  "id: daily\ntemporal: {workflow_id: \"\"}\n",
		"a long workflow_id":    "id: daily\ntemporal: {workflow_id: " + strings.Repeat("x", 1001) + "}\n",
		"a schema of a number":  "id: daily\nconfig: {input: 5}\nschedule: {cron: \"@daily\"}\n",
		"a misspelt temporal":   "id: daily\ntemporal: {taskqueue: a}\n",
		"a reserved task queue": "id: daily\ntemporal: {task_queue: /_sys/mine}\n", "a blank type": "id: daily\ntemporal: {workflow_type: \" \"}\n",
		"a timeout without unit": "id: daily\ntemporal: {run_timeout: 60}\n", "a misspelt retry": "id: daily\ntemporal: {retry: {max_attempts: 3}}\n",
		"a coefficient under 1":            "id: daily\ntemporal: {retry: {backoff_coefficient: 0.5}}\n",
		"negative attempts":                "id: daily\ntemporal: {retry: {maximum_attempts: -1}}\n",
		"one error type":                   "id: daily\ntemporal: {retry: {non_retryable_error_types: Fatal}}\n",
		"a mapping as search attribute":    "id: daily\ntemporal: {search_attributes: {Team: {name: a}}}\n",
		"numbers as search attribute":      "id: daily\ntemporal: {search_attributes: {Team: [1]}}\n",
		"a search attribute without value": "id: daily\ntemporal: {search_attributes: {Team: }}\n",
	} {
		t.Run("Should refuse in a workflow, as the loader does, "+name, func(t *testing.T) {
			assert.Error(t, workflow.check(t, text))
			_, err := config.Load(write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": text}))
			assert.ErrorAs(t, err, new(config.Problems))
		})
	}

	for name, text := range map[string]string{
		"no name": "workflows: []\n", "a name in capitals": "name: Reports\n", "a name with _": "name: a_b\n", "a name that is a number": "name: 7\n",
		"workflows that are a mapping": "name: p\nworkflows: {source: a}\n", "an entry that is text": "name: p\nworkflows: [a.yaml]\n",
		"an entry without source": "name: p\nworkflows: [{src: a.yaml}]\n", "an empty source": source(`""`), "an absolute path": source("/etc/passwd"),
		"a path out of the project": source("../other/*.yaml"), "a path half-way out": source("workflows/../../x.yaml"),
		"a misspelt key": "name: p\ntemporal: {taskqueue: a}\n", "an empty temporal": "name: p\ntemporal:\n",
		"a reserved task queue": "name: p\ntemporal: {task_queue: __temporal_x}\n", "an empty task queue": "name: p\ntemporal: {task_queue: \"\"}\n",
	} {
		t.Run("Should refuse in a project, as the loader does, "+name, func(t *testing.T) {
			assert.Error(t, project.check(t, text))
			_, err := config.Load(write(t, map[string]string{"compozy.yaml": text}))
			assert.ErrorAs(t, err, new(config.Problems))
		})
	}
}

func TestSchemaKeys(t *testing.T) {
	workflow, project := newEditor(t, config.SchemaWorkflow), newEditor(t, config.SchemaProject)
	const unknown = "qqqqqqqqqqqq: 1"
	for _, block := range []struct {
		name, project, workflow string
		schema                  editor
		path                    []string
	}{
		{"schedule", goodProject, "id: daily\nschedule: {cron: \"@daily\", " + unknown + "}\n", workflow, []string{"$defs", "schedule"}},
		{"temporal", goodProject, "id: daily\ntemporal: {" + unknown + "}\n", workflow, []string{"$defs", "temporal"}},
		{"temporal.retry", goodProject, "id: daily\ntemporal: {retry: {" + unknown + "}}\n", workflow, []string{"$defs", "retry"}},
		{"temporal of the project", goodProject + "temporal: {" + unknown + "}\n", goodWorkflow, project, []string{"properties", "temporal"}},
	} {
		t.Run("Should have the loader's keys in "+block.name, func(t *testing.T) {
			_, err := config.Load(write(t, map[string]string{"compozy.yaml": block.project, "workflows/daily.yaml": block.workflow}))
			require.Error(t, err)
			_, known, found := strings.Cut(err.Error(), "the known keys are ")
			require.True(t, found, err)
			keys := block.schema.at(t, append(block.path, "properties")...)
			assert.ElementsMatch(t, strings.Split(known, ", "), slices.Collect(maps.Keys(keys)))
			assert.Equal(t, false, block.schema.at(t, block.path...)["additionalProperties"])
		})
	}

	for _, e := range []editor{workflow, project} {
		t.Run("Should explain every key, with examples and defaults that fit: "+e.name, func(t *testing.T) {
			e.walk(t, "#", e.document)
		})
	}
	t.Run("Should offer the overlap policies of the loader", func(t *testing.T) {
		var policies []any
		for _, policy := range config.OverlapPolicies() {
			policies = append(policies, string(policy))
		}
		assert.Equal(t, policies, workflow.at(t, "$defs", "schedule", "properties", "overlap_policy")["enum"])
	})
}

func TestSchema(t *testing.T) {
	t.Run("Should name the kinds where another is asked for", func(t *testing.T) {
		_, err := config.Schema("agent")
		assert.EqualError(t, err, `there is no schema of "agent": use workflow or project`)
	})
}

// schedule is a workflow file with the cron as written and further lines of its block.
func schedule(cron, more string) string {
	return "id: daily\nschedule:\n  cron: " + cron + "\n  " + more + "\n"
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
