package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestRevisionStays(t *testing.T) {
	base := revision(t, map[string]string{"workflows/a.yaml": fullWorkflow, "workflows/b.yaml": goodWorkflow})
	tests := []struct {
		name  string
		files map[string]string
	}{
		{"the files' names and order", map[string]string{"workflows/z.yaml": fullWorkflow, "workflows/y.yaml": goodWorkflow}},
		{"comments and blank lines", map[string]string{"workflows/a.yaml": "# hello\n\n" + fullWorkflow, "workflows/b.yaml": goodWorkflow + "  # bye\n"}},
		{"the style of YAML", map[string]string{"workflows/a.yaml": fullWorkflow, "workflows/b.yaml": "{schedule: {cron: '0  9 * *   *'}, id: daily}\n"}},
		{"keys that are not ours", map[string]string{"workflows/a.yaml": fullWorkflow, "workflows/b.yaml": goodWorkflow + "agents: []\n"}},
		{"a workflow without schedule", map[string]string{"workflows/a.yaml": fullWorkflow, "workflows/b.yaml": goodWorkflow, "workflows/c.yaml": "id: c\n"}},
		{"the order of keys", map[string]string{"workflows/a.yaml": strings.Replace(fullWorkflow, "{ owner: finance, tags: [a, 1] }", "{ tags: [a, 1], owner: finance }", 1), "workflows/b.yaml": goodWorkflow}},
		{"another spelling of a duration", map[string]string{"workflows/a.yaml": strings.Replace(fullWorkflow, "jitter: 5m", "jitter: 300s", 1), "workflows/b.yaml": goodWorkflow}},
		{"another spelling of a time", map[string]string{"workflows/a.yaml": strings.Replace(fullWorkflow, "2027-01-01T00:00:00Z\n  end", "2027-01-01T01:00:00+01:00\n  end", 1), "workflows/b.yaml": goodWorkflow}},
		{"defaults that are written out", map[string]string{"workflows/a.yaml": fullWorkflow, "workflows/b.yaml": goodWorkflow +
			"  timezone: UTC\n  enabled: true\n  jitter: 0s\n  overlap_policy: skip\n  pause_on_failure: false\n" +
			"  adopt: false\n  schedule_id: schedule-reports-daily\n" +
			"temporal: {workflow_id: reports-daily, workflow_type: daily, task_queue: reports, run_timeout: 0s, memo: {}, search_attributes: {}}\n"}},
	}
	for _, test := range tests {
		t.Run("Should not depend on "+test.name, func(t *testing.T) {
			assert.Equal(t, base, revision(t, test.files))
		})
	}
}

func TestRevisionChanges(t *testing.T) {
	base := revision(t, map[string]string{"workflows/a.yaml": fullWorkflow})
	seen := map[string]string{base: "nothing"}
	changes := [][2]string{
		{"id: daily-report", "id: daily-reports"}, {"DailyReport", "DailyReports"}, {"reports-heavy", "reports-light"},
		{"execution_timeout: 1h", "execution_timeout: 2h"}, {"run_timeout: 30m", "run_timeout: 31m"}, {"task_timeout: 10s", "task_timeout: 11s"},
		{"initial_interval: 10s", "initial_interval: 11s"}, {"backoff_coefficient: 2", "backoff_coefficient: 3"},
		{"maximum_interval: 5m", "maximum_interval: 6m"}, {"maximum_attempts: 5", "maximum_attempts: 6"}, {"BadInput", "WorseInput"},
		{"owner: finance", "owner: sales"}, {"Size: 3", "Size: 4"}, {"0 9 * * 1-5", "0 8 * * 1-5"}, {"America/New_York", "America/Chicago"},
		{"enabled: false", "enabled: true"}, {"jitter: 5m", "jitter: 6m"}, {"buffer_one", "buffer_all"},
		{"start_at: 2027-01-01", "start_at: 2027-01-02"}, {"2027-12-31", "2027-12-30"}, {"catchup_window: 10m", "catchup_window: 11m"},
		{"pause_on_failure: true", "pause_on_failure: false"}, {"  jitter", "  adopt: true\n  jitter"},
		{"  jitter", "  schedule_id: daily\n  jitter"}, {"  task_timeout", "  workflow_id: daily\n  task_timeout"}, {"a: true", "a: false"}, {"day: 2027-01-01", "day: 2027-01-02"},
	}
	for _, change := range changes {
		t.Run("Should change with "+change[0], func(t *testing.T) {
			text := strings.Replace(fullWorkflow, change[0], change[1], 1)
			require.NotEqual(t, fullWorkflow, text)
			got := revision(t, map[string]string{"workflows/a.yaml": text})
			assert.Empty(t, seen[got])
			seen[got] = change[0]
		})
	}
	t.Run("Should tell no input from an empty one", func(t *testing.T) {
		none := revision(t, map[string]string{"workflows/a.yaml": goodWorkflow})
		empty := revision(t, map[string]string{"workflows/a.yaml": goodWorkflow + "  input: {}\n"})
		assert.NotEqual(t, none, empty)
	})
	t.Run("Should change with the project's name and task queue, and with a workflow gone", func(t *testing.T) {
		for _, project := range []string{strings.Replace(goodProject, "reports", "other", 1), goodProject + "temporal: {task_queue: other}\n"} {
			dir := write(t, map[string]string{"compozy.yaml": project, "workflows/b.yaml": goodWorkflow})
			loaded, err := config.Load(dir)
			require.NoError(t, err)
			assert.NotEqual(t, revision(t, map[string]string{"workflows/b.yaml": goodWorkflow}), loaded.Revision)
		}
		assert.NotEqual(t, base, revision(t, map[string]string{"workflows/b.yaml": "id: none\n"}))
	})
	t.Run("Should keep enabled out of the hash of one schedule", func(t *testing.T) {
		on := loadOne(t, goodProject, goodWorkflow).Workflows[0]
		off := loadOne(t, goodProject, goodWorkflow+"  enabled: false\n").Workflows[0]
		onHash, err := on.SpecHash("reports")
		require.NoError(t, err)
		offHash, err := off.SpecHash("reports")
		require.NoError(t, err)
		assert.Equal(t, onHash, offHash)
		assert.Len(t, onHash, 12)
	})
}

func revision(t *testing.T, files map[string]string) string {
	t.Helper()
	all := map[string]string{"compozy.yaml": goodProject}
	maps.Copy(all, files)
	project, err := config.Load(write(t, all))
	require.NoError(t, err)
	return project.Revision
}
