package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

const (
	goodProject  = "name: reports\nworkflows:\n  - source: ./workflows/*.yaml\n"
	goodWorkflow = "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n"
)

// brokenWorkflows are mistakes in a workflow file, each with the one line that it must print.
var brokenWorkflows = []struct{ name, yaml, want string }{
	{"an unknown key in schedule names the near one", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  timezon: UTC\n", `:4:3: unknown key "timezon" in schedule: did you mean "timezone"?`},
	{"a key in camel case names ours", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  overlapPolicy: skip\n", `:4:3: unknown key "overlapPolicy" in schedule: did you mean "overlap_policy"?`},
	{"an unknown key that is near to none lists them", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  every: 5m\n", `:4:3: unknown key "every" in schedule: the known keys are cron, timezone, enabled, jitter, overlap_policy, start_at, end_at, catchup_window, pause_on_failure, input, schedule_id, adopt`},
	{"an empty schedule_id", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  schedule_id: \"\"\n", `:4:3: schedule_id is empty: write a value, or remove the key`},
	{"a schedule_id that is too long", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  schedule_id: " + strings.Repeat("x", 1001) + "\n", `:4:16: schedule_id is longer than Temporal's 1000 characters: shorten it`},
	{"adopt as text", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  adopt: please\n", `:4:10: adopt is the text "please": write true or false`},
	{"an empty workflow_id", "id: daily\ntemporal:\n  workflow_id: \"\"\n", `:3:3: workflow_id is empty: write a value, or remove the key`},
	{"an unknown key in temporal", "id: daily\ntemporal:\n  taskqueue: a\n" + "schedule:\n  cron: \"0 9 * * *\"\n", `:3:3: unknown key "taskqueue" in temporal: did you mean "task_queue"?`},
	{"an unknown key in temporal.retry", "id: daily\ntemporal:\n  retry:\n    max_attempts: 3\n", `:4:5: unknown key "max_attempts" in temporal.retry: did you mean "maximum_attempts"?`},
	{"an unknown key from a merge", "id: daily\nx: &x\n  zone: UTC\nschedule:\n  <<: *x\n  cron: \"0 9 * * *\"\n", `:3:3: unknown key "zone" in schedule: did you mean "timezone"?`},
	{"no cron", "id: daily\nschedule:\n  timezone: UTC\n", `:2:1: cron is required, for example "0 9 * * 1-5" or "@every 90s"`},
	{"an empty schedule", "id: daily\nschedule:\n", `:2:1: schedule is empty: write a value, or remove the key`},
	{"a schedule that is text", "id: daily\nschedule: \"0 9 * * *\"\n", `:2:11: schedule is the text "0 9 * * *": write keys and values below it`},
	{"a cron that is a list", "id: daily\nschedule:\n  cron:\n    - \"0 9 * * *\"\n", `:3:3: cron is a list: write one text`},
	{"a cron that is a number", "id: daily\nschedule:\n  cron: 5\n", `:3:9: cron is the number 5: put it in quotes`},
	{"a cron of six fields", "id: daily\nschedule:\n  cron: \"0 */5 * * * *\"\n", `:3:9: invalid cron expression "0 */5 * * * *": it has 6 fields; write five (minute hour day-of-month month day-of-week), and @every 10s for seconds`},
	{"a cron of four fields", "id: daily\nschedule:\n  cron: \"0 9 * *\"\n", `:3:9: invalid cron expression "0 9 * *": it has 4 fields; write five: minute hour day-of-month month day-of-week`},
	{"a cron out of range", "id: daily\nschedule:\n  cron: \"61 * * * *\"\n", `:3:9: invalid cron expression "61 * * * *": end of range (61) above maximum (59): 61; minute is 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-6 with 0 for Sunday`},
	{"a cron with 7 for Sunday", "id: daily\nschedule:\n  cron: \"0 9 * * 7\"\n", `:3:9: invalid cron expression "0 9 * * 7": end of range (7) above maximum (6): 7; minute is 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-6 with 0 for Sunday`},
	{"a cron that never runs", "id: daily\nschedule:\n  cron: \"0 0 30 2 *\"\n", `:3:9: cron "0 0 30 2 *" never runs: no month in it has such a day; correct the day of the month or the month`},
	{"an unknown descriptor", "id: daily\nschedule:\n  cron: \"@reboot\"\n", `:3:9: invalid cron expression "@reboot": use @hourly, @daily, @weekly, @monthly, @yearly or @every with a duration, such as @every 90s`},
	{"@every without a unit", "id: daily\nschedule:\n  cron: \"@every 90\"\n", `:3:9: invalid cron expression "@every 90": after @every write a duration such as 90s, 5m or 1h30m`},
	{"@every with fractions", "id: daily\nschedule:\n  cron: \"@every 1500ms\"\n", `:3:9: invalid cron expression "@every 1500ms": @every takes whole seconds, at least 1s`},
	{"CRON_TZ without fields", "id: daily\nschedule:\n  cron: \"CRON_TZ=foo\"\n", `:3:9: invalid cron expression "CRON_TZ=foo": after CRON_TZ= write a zone, a space and five fields`},
	{"CRON_TZ beside timezone", "id: daily\nschedule:\n  cron: \"CRON_TZ=UTC 0 9 * * *\"\n  timezone: UTC\n", `:3:9: the zone is given twice: keep timezone and remove CRON_TZ= from cron`},
	{"an unknown zone", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  timezone: Europe/Berlim\n", `:4:13: invalid timezone "Europe/Berlim": use an IANA name such as Europe/Berlin or UTC`},
	{"the zone Local", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  timezone: Local\n", `:4:13: invalid timezone "Local": name a zone such as Europe/Berlin, the same on every machine`},
	{"an empty timezone", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  timezone:\n", `:4:3: timezone is empty: write a value, or remove the key`},
	{"an unknown overlap policy", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  overlap_policy: replace\n", `:4:19: unsupported overlap_policy "replace": use one of skip, allow, buffer_one, buffer_all, cancel_other, terminate_other`},
	{"enabled as yes", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  enabled: yes\n", `:4:12: enabled is the text "yes": write true or false`},
	{"enabled as quoted text", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  enabled: \"false\"\n", `:4:12: enabled is the text "false": write true or false`},
	{"jitter without a unit", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  jitter: 300\n", `:4:11: jitter is the number 300: write a duration with its unit, such as 90s, 5m or 1h30m`},
	{"jitter in days", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  jitter: 1d\n", `:4:11: invalid jitter "1d": write a duration such as 90s, 5m or 1h30m`},
	{"a negative jitter", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  jitter: -5m\n", `:4:11: invalid jitter "-5m": a duration is not negative, so remove the minus sign`},
	{"a catchup window under Temporal's least", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  catchup_window: 5s\n", `:4:19: catchup_window "5s" is too short: Temporal applies at least 10s; write 10s or more`},
	{"start_at without a zone", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  start_at: 2027-01-01\n", `:4:13: start_at "2027-01-01" has no time zone: write 2027-01-01T00:00:00Z for UTC, or an offset as in 2027-01-01T00:00:00+02:00`},
	{"start_at in other words", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  start_at: tomorrow\n", `:4:13: invalid start_at "tomorrow": write a time such as 2027-01-01T09:00:00Z`},
	{"end_at before start_at", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  start_at: 2027-02-01T00:00:00Z\n  end_at: 2027-01-01T00:00:00Z\n", `:5:11: end_at 2027-01-01T00:00:00Z is not after start_at 2027-02-01T00:00:00Z: correct one of them`},
	{"input that is a list", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input: [a]\n", `:4:3: input is a list: write keys and values below it`},
	{"input with a number as key", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    1: a\n", `:5:5: a key in input is the number 1: put it in quotes`},
	{"input with infinity", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    limit: .inf\n", `:5:12: input.limit is the number .inf: JSON has no such number: put it in quotes`},
	{"input with an integer that floats would change", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    account: 123456789012345678901\n", `:5:14: input.account is the number 123456789012345678901: JSON has no such number: put it in quotes`},
	{"input with a tag", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    secret: !vault abc\n", `:5:13: input.secret is a value with the tag !vault, which JSON does not have: remove the tag`},
	{"input of the wrong type", "id: daily\nconfig:\n  input: {type: object, properties: {day: {type: string}}}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    day: 5\n", `:7:10: input does not fit config.input: input.day: got number, want string`},
	{"input of the wrong type deep inside", "id: daily\nconfig:\n  input: {properties: {days: {items: {properties: {at: {type: integer}}}}}}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    days:\n      - at: 1\n      - at: noon\n", `:9:13: input does not fit config.input: input.days[1].at: got string, want integer`},
	{"input without a required value", "id: daily\nconfig:\n  input: {type: object, required: [day]}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    dya: 5\n", `:6:3: input does not fit config.input: input.day is missing: add it`},
	{"no input where the schema requires some", "id: daily\nconfig:\n  input: {type: object, required: [day]}\nschedule:\n  cron: \"0 9 * * *\"\n", `:4:1: input does not fit config.input: input.day is missing: add it`},
	{"input with a key too much", "id: daily\nconfig:\n  input: {type: object, properties: {day: {}}, additionalProperties: false}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    day: 5\n    dya: 5\n", `:8:5: input does not fit config.input: input.dya is not in the schema: correct or remove it`},
	{"input that fits no alternative", "id: daily\nconfig:\n  input: {properties: {day: {oneOf: [{type: string}, {type: integer, minimum: 10}]}}}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    day: 5\n", `:7:10: input does not fit config.input: input.day: fits none of the alternatives: got number, want string; or minimum: got 5, want 10`},
	{"input that is no date", "id: daily\nconfig:\n  input: {properties: {day: {type: string, format: date}}}\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n    day: 2027-13-01\n", `:7:10: input does not fit config.input: input.day: '2027-13-01' is not valid date: parsing time "2027-13-01": month out of range`},
	{"a schema that is none", "id: daily\nconfig:\n  input:\n    type: object\n    properties:\n      day: {type: strin}\nschedule:\n  cron: \"0 9 * * *\"\n", `:6:19: invalid schema: config.input.properties.day.type: fits none of the alternatives: value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'; or got string, want array`},
	{"a schema from a file", "id: daily\nconfig:\n  input:\n    $ref: file:///etc/passwd\nschedule:\n  cron: \"0 9 * * *\"\n", `:3:3: invalid schema: it refers to "file:///etc/passwd": other files and addresses are not read; write the schema here, under $defs`},
	{"a schema from elsewhere", "id: daily\nconfig:\n  input:\n    $ref: https://example.com/day.json\nschedule:\n  cron: \"0 9 * * *\"\n", `:3:3: invalid schema: it refers to "https://example.com/day.json": other files and addresses are not read; write the schema here, under $defs`},
	{"a schema with a broken pattern", "id: daily\nconfig:\n  input:\n    properties:\n      day:\n        pattern: \"(\"\nschedule:\n  cron: \"0 9 * * *\"\n", ":6:18: invalid schema: config.input.properties.day.pattern: '(' is not valid regex: error parsing regexp: missing closing ): `(`"},
	{"a schema id that is not there", "id: daily\nschemas:\n  - id: day_input\nconfig:\n  input: dayinput\nschedule:\n  cron: \"0 9 * * *\"\n", `:5:10: config.input names "dayinput", which is no id in schemas: the ids there are day_input`},
	{"no id", "schedule:\n  cron: \"0 9 * * *\"\n", `:1:1: id is missing: add the workflow's id, such as id: daily`},
	{"an id that is no slug", "id: Daily Report\nschedule:\n  cron: \"0 9 * * *\"\n", `:1:5: invalid id "Daily Report": use a-z, 0-9, - and _, a letter or digit first and last, at most 63 characters`},
	{"an id that is a number", "id: 2027\nschedule:\n  cron: \"0 9 * * *\"\n", `:1:5: id is the number 2027: put it in quotes`},
	{"a timeout without a unit", "id: daily\ntemporal:\n  run_timeout: 60\n", `:3:16: run_timeout is the number 60: write a duration with its unit, such as 90s, 5m or 1h30m`},
	{"a backoff coefficient under 1", "id: daily\ntemporal:\n  retry: {backoff_coefficient: 0.5}\n", `:3:32: backoff_coefficient 0.5 is less than 1: write 1 for steady retries, or more`},
	{"a maximum interval under the first one", "id: daily\ntemporal:\n  retry: {initial_interval: 1m, maximum_interval: 10s}\n", `:3:51: maximum_interval 10s is less than initial_interval 1m0s: raise it, or lower the other`},
	{"negative attempts", "id: daily\ntemporal:\n  retry: {maximum_attempts: -1}\n", `:3:29: maximum_attempts is the number -1: write a whole number, 0 or more`},
	{"error types that are no list", "id: daily\ntemporal:\n  retry: {non_retryable_error_types: Fatal}\n", `:3:38: non_retryable_error_types is the text "Fatal": write a list, each entry on a line that begins with -`},
	{"a reserved task queue", "id: daily\ntemporal:\n  task_queue: /_sys/mine\n", `:3:15: task_queue "/_sys/mine" begins with /_sys/, which Temporal keeps for itself: choose another name`},
	{"a workflow type that is too long", "id: daily\ntemporal:\n  workflow_type: " + strings.Repeat("x", 1001) + "\n", `:3:18: workflow_type is longer than Temporal's 1000 characters: shorten it`},
	{"a search attribute that is a mapping", "id: daily\ntemporal:\n  search_attributes:\n    Team: {name: a}\n", `:4:5: search_attributes.Team is a mapping: write text, a number, true, false or a list of texts`},
	{"a list of numbers as search attribute", "id: daily\ntemporal:\n  search_attributes:\n    Team: [1]\n", `:4:12: search_attributes.Team[0] is the number 1: put it in quotes`},
	{"a merge of what is no mapping", "id: daily\nschedule:\n  <<: 5\n  cron: \"0 9 * * *\"\n", `:3:3: << in schedule merges the number 5: write an alias of a mapping, or a list of such`},
	{"a cron without quotes", "id: daily\nschedule:\n  cron: */5 * * * *\n", `:3:14: invalid YAML: put a value that begins with * in quotes`},
	{"a descriptor without quotes", "id: daily\nschedule:\n  cron: @daily\n", `:3:9: invalid YAML: put a value that begins with @ in quotes`},
	{"a template without quotes", "id: daily\nname: {{ .a }} and {{ .b }}\n", `:2:16: invalid YAML: put a value that begins with {{ in quotes`},
	{"a quote that is not closed", "id: daily\nschedule:\n  cron: \"0 9 * * *\n", `:3:9: invalid YAML: the quote that opens here is never closed`},
	{"a list that is not closed", "id: daily\ntags: [a, b\nschedule:\n  cron: \"0 9 * * *\"\n", `:2:7: invalid YAML: the list that opens here with [ is not closed with ], or lacks a comma`},
	{"a key with two colons", "id: daily\ndescription: note: this\n", `:2:18: invalid YAML: unexpected ":" - correct the indentation, or put text that contains ": " in quotes`},
	{"a tab as indentation", "id: daily\nschedule:\n\tcron: \"0 9 * * *\"\n", `:3:1: invalid YAML: indent with spaces, not with tabs`},
	{"indentation that does not fit", "id: daily\nschedule:\n    cron: \"0 9 * * *\"\n  timezone: UTC\n", `:4:3: invalid YAML: did not find expected key: correct the indentation or the quotes here`},
	{"an alias without its anchor", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input: *nobody\n", `:4:10: invalid YAML: unknown anchor 'nobody' referenced: define it above, or put the text in quotes`},
	{"a key twice", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  cron: \"0 8 * * *\"\n", `:4:3: key "cron" is already at line 3: remove one of the two`},
	{"two documents", goodWorkflow + "---\nid: weekly\n", `:4:1: a second YAML document begins here: keep one document in a file`},
	{"an empty file", "", `: the file is empty: write its keys, or remove the file`},
	{"a file of comments", "# nothing yet\n", `: the file is empty: write its keys, or remove the file`},
	{"a file that is a list", "- id: daily\n", `:1:1: the file is a list: write keys and values, such as id: daily-report`},
	{"a file that is text", "daily\n", `:1:1: the file is the text "daily": write keys and values, such as id: daily-report`},
	{"a file in Latin-1", "id: daily\ndescription: caf\xe9\n", `:2:17: the file is not UTF-8 text: save it as UTF-8`},
	{"a binary file", "id: daily\n\x00\x01\x02", `:2:1: the file contains the control character U+0000: remove it`},
	{"values nested too deep", "id: daily\nx: " + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "\n", `:2:204: values nest more than 200 deep: flatten them`},
	{"an alias inside its own anchor", "id: daily\nx: &x\n  y: *x\n", `:3:6: alias *x is inside the value that it stands for: remove it`},
	{"an alias bomb", "id: daily\n" + aliasBomb, `:7:20: the file's aliases expand to more than 1 MiB: use fewer of them`},
	{"an alias bomb in a list of merges", "id: daily\nschedule:\n  cron: \"0 9 * * *\"\n  input:\n" + mergeBomb(), `:21:27: the file's aliases expand to more than 1 MiB: use fewer of them`},
	{"a file over 1 MiB", goodWorkflow + strings.Repeat("# padding\n", 120_000), `: the file cannot be read: it is larger than 1 MiB: split it`},
}

const aliasBomb = `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
`

func mergeBomb() string {
	var text strings.Builder
	text.WriteString("    a0: &a0 {k: v}\n")
	for i := 1; i < 40; i++ {
		previous := "a" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		if i == 1 {
			previous = "a0"
		}
		this := "a" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		text.WriteString("    " + this + ": &" + this + " {<<: [*" + previous + ", *" + previous + "]}\n")
	}
	return text.String()
}

func TestBrokenWorkflows(t *testing.T) {
	for _, test := range brokenWorkflows {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			dir := write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": test.yaml})
			project, err := config.Load(dir)
			require.Error(t, err)
			assert.Nil(t, project, "a project with a problem must not be returned")
			var problems config.Problems
			require.ErrorAs(t, err, &problems)
			assert.Equal(t, "workflows/daily.yaml"+test.want, err.Error())
		})
	}
}
