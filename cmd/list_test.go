package cmd_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func listJSON(observed time.Time, next string, schedules ...string) reply {
	return ok(fmt.Sprintf(`{"schedules":[%s],"total":2,"observed_at":%q,"next_page_token":%q}`,
		strings.Join(schedules, ","), observed.Format(time.RFC3339), next))
}

// activeJSON is a schedule that runs in 90 minutes and ran 10 minutes ago.
func activeJSON() string {
	return fmt.Sprintf(`{"workflow_id":"heartbeat","schedule_id":"schedule-reports-heartbeat","cron":"@every 5m","timezone":"UTC",`+
		`"description":"every 5m","state":"active","enabled":true,"is_override":false,"yaml_config":{"cron":"@every 5m"},`+
		`"divergence":[{"field":"input","yaml":"{\"day\":\"today\"}","actual":""}],"next_run_time":%[1]q,"next_run_times":[%[1]q,%[2]q],`+
		`"last_run_time":%[3]q,"last_run_status":"failed","note":"Managed by compozy-schedules"}`,
		time.Now().Add(90*time.Minute+30*time.Second).Format(time.RFC3339), time.Now().Add(72*time.Hour).Format(time.RFC3339),
		time.Now().Add(-10*time.Minute-5*time.Second).Format(time.RFC3339))
}

// columns are the cells of a table.
func columns(text string) [][]string {
	var rows [][]string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		rows = append(rows, regexp.MustCompile(`\s{3,}`).Split(line, -1))
	}
	return rows
}

const stamp = `[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z0-9+-]+`

func TestList(t *testing.T) {
	t.Run("Should print all pages as one table, with who overrides and why", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules": {
			listJSON(time.Now(), "next", pausedJSON), listJSON(time.Now(), "", activeJSON()),
		}})
		got := runCommand(t, api.URL, "list", "--status", "override")
		assert.Equal(t, 0, got.code, got.stderr)
		rows := columns(got.stdout)
		require.Len(t, rows, 3, got.stdout)
		assert.Equal(t, []string{"WORKFLOW", "SCHEDULE", "STATE", "NEXT RUN", "LAST RUN", "OVERRIDE"}, rows[0])
		paused, active := rows[1], rows[2]
		assert.Equal(t, []string{"daily-report", "at 09:00 on Monday to Friday (America/New_York)", "paused", "none"}, paused[:4])
		assert.Regexp(t, `^completed \d+ days ago$`, paused[4])
		assert.Regexp(t, `^pause by ci until `+stamp+`: the warehouse `, paused[5])
		assert.Equal(t, []string{"heartbeat", "every 5m", "active"}, active[:3])
		assert.Regexp(t, `^`+stamp+` \(in 1h 30m\)$`, active[3])
		assert.Equal(t, []string{"failed 10m ago"}, active[4:])
		assert.NotContains(t, got.stdout, "\x1b", "nothing steers the terminal")
		assert.NotContains(t, got.stdout, "as of")

		requests := api.got()
		require.Len(t, requests, 2)
		assert.Equal(t, "page_size=1000&status=override", requests[0].query)
		assert.Equal(t, "page_size=1000&page_token=next&status=override", requests[1].query)
		assert.Empty(t, requests[0].header.Get("Idempotency-Key"))
	})
	t.Run("Should say how old it is", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules": {listJSON(time.Now().Add(-90*time.Second), "", activeJSON())}})
		assert.Regexp(t, `\nas of `+stamp+` \(1m ago\): Temporal's list has not been read since\n$`, runCommand(t, api.URL, "list").stdout)
	})
	t.Run("Should say that there is none", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules": {listJSON(time.Now(), "")}})
		assert.Equal(t, result{0, "no schedules\n", ""}, runCommand(t, api.URL, "list"))
	})
	t.Run("Should print each page as it is as JSON", func(t *testing.T) {
		first, second := listJSON(time.Now(), "next", pausedJSON), listJSON(time.Now(), "", activeJSON())
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules": {first, second}})
		assert.Equal(t, first.body+"\n"+second.body+"\n", runCommand(t, api.URL, "list", "-o", "json").stdout)
	})
}

func TestGet(t *testing.T) {
	t.Run("Should show the override: who, why, until when", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/daily-report": {ok(pausedJSON)}})
		got := runCommand(t, api.URL, "get", "daily-report")
		assert.Equal(t, 0, got.code, got.stderr)
		for _, line := range []string{
			`workflow       daily-report`,
			`schedule       at 09:00 on Monday to Friday \(America/New_York\)`,
			`cron           0 9 \* \* 1-5 \(America/New_York\)`,
			`state          paused`,
			`override       pause by ci, ` + stamp + ` \(\d+ days ago\)`,
			`why            the warehouse \[2J is being moved`,
			`until          ` + stamp + ` \(in \d+ days\), or the next reload`,
			`in the YAML    enabled`,
			`in Temporal    schedule-reports-daily-report`,
			`last run       ` + stamp + ` \(\d+ days ago\) completed`,
			`once resumed   none`,
		} {
			assert.Regexp(t, `(?m)^`+line+`$`, got.stdout)
		}
	})
	t.Run("Should show how Temporal differs, and the next runs", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/heartbeat": {ok(activeJSON())}})
		got := runCommand(t, api.URL, "get", "heartbeat")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Regexp(t, `(?m)^next runs     `+stamp+` \(in 1h 30m\)\n +`+stamp+` \(in 2 days\)$`, got.stdout)
		assert.Contains(t, got.stdout, "\n\nDIFFERS IN   YAML              TEMPORAL\ninput        {\"day\":\"today\"}   -\n")
		assert.NotContains(t, got.stdout, "override")
	})
}

func TestRuns(t *testing.T) {
	run := func(id, more string) string {
		return fmt.Sprintf(`{"workflow_id":"reports-a-%s","run_id":"r-%s","start_time":"2020-02-26T14:00:01Z"%s}`, id, id, more)
	}
	t.Run("Should follow the pages up to the limit", func(t *testing.T) {
		full := make([]string, 100)
		for i := range full {
			full[i] = run(fmt.Sprint(i), `,"status":"completed"`)
		}
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a/runs": {
			ok(`{"runs":[` + strings.Join(full, ",") + `],"next_page_token":"next"}`),
			ok(`{"runs":[` + run("x", `,"status":"running"`) + `],"next_page_token":"more"}`),
		}})
		got := runCommand(t, api.URL, "runs", "a", "--limit", "101")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Len(t, columns(got.stdout), 102)
		require.Len(t, api.got(), 2)
		assert.Equal(t, "page_size=100", api.got()[0].query)
		assert.Equal(t, "page_size=1&page_token=next", api.got()[1].query)
	})
	t.Run("Should show status and times", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a/runs": {ok(`{"runs":[` + run("x", `,"status":"running"`) + "," +
			run("y", `,"status":"timed_out","scheduled_time":"2020-02-26T14:00:00Z","close_time":"2020-02-26T14:03:20Z"`) + `]}`)}})
		rows := columns(runCommand(t, api.URL, "runs", "a").stdout)
		require.Len(t, rows, 3)
		assert.Equal(t, []string{"STATUS", "STARTED", "TOOK", "SCHEDULED FOR", "WORKFLOW ID", "RUN ID"}, rows[0])
		assert.Equal(t, []string{"running", "-", "-", "reports-a-x", "r-x"}, append(rows[1][:1:1], rows[1][2:]...))
		assert.Equal(t, "3m19s", rows[2][2])
		assert.Equal(t, "page_size=20", api.got()[0].query)
	})
	t.Run("Should say that there is none, and refuse a limit of none", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"GET /api/v0/schedules/a/runs": {ok(`{"runs":[]}`)}})
		assert.Equal(t, "no runs\n", runCommand(t, api.URL, "runs", "a").stdout)
		assert.Equal(t, "schedules: --limit 0: use 1 or more\n", runCommand(t, api.URL, "runs", "a", "--limit", "0").stderr)
	})
}

func TestFlagsOfWrites(t *testing.T) {
	for text, args := range map[string][]string{
		"--expires-in 0s: use more than 0s": {"pause", "a", "--expires-in", "0s"},
		"--expires-in -1h0m0s: use more":    {"delete", "a", "--expires-in", "-1h"},
		"missing unit":                      {"resume", "a", "--expires-in", "4"},
		"requires at least 1 arg":           {"pause"},
		"--from is missing":                 {"backfill", "a", "--to", "2027-03-01"},
		"--to is missing":                   {"backfill", "a", "--from", "2027-03-01"},
		`--to "yesterday": write a time`:    {"backfill", "a", "--from", "2027-03-01", "--to", "yesterday"},
		"is not before":                     {"backfill", "a", "--from", "2027-03-02", "--to", "2027-03-01"},
	} {
		t.Run("Should refuse before it calls: "+text, func(t *testing.T) {
			api := newFakeAPI(t, nil)
			got := runCommand(t, api.URL, args...)
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.stderr, text)
			assert.Empty(t, api.got())
		})
	}
	t.Run("Should take a date for its midnight in the local zone", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{"POST /api/v0/schedules/a/backfill": {ok(appliedJSON)}})
		got := runCommand(t, api.URL, "backfill", "a", "--from", "2027-03-01", "--to", "2027-03-02")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.JSONEq(t, fmt.Sprintf(`{"start_at":%q,"end_at":%q}`,
			time.Date(2027, 3, 1, 0, 0, 0, 0, time.Local).Format(time.RFC3339),
			time.Date(2027, 3, 2, 0, 0, 0, 0, time.Local).Format(time.RFC3339)), api.got()[0].body)
	})
}
