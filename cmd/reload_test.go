package cmd_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func statusJSON(phase, more string) reply {
	return ok(`{"version":1,"project":"reports","phase":"` + phase + `","revision":"4f1d8a60c2b9","applied":"4f1d8a60c2b9",` +
		`"counts":{"desired":12,"owned":11,"paused":1,"unchanged":9,"ended":0,"create":1,"update":2,"delete":0},` +
		`"last_pass":{"kind":"reload","revision":"4f1d8a60c2b9","started_at":"2020-01-01T00:00:00Z","created":1,"updated":2,"deleted":0},` +
		`"options":{}` + more + `}`)
}

func outcomeJSON(status, more string) reply {
	return ok(`{"request_id":"6f2e","action":"reload","status":"` + status + `"` + more + `}`)
}

func TestReloadWait(t *testing.T) {
	const problems = `,"message":"1 of 12 schedules are not as the YAML says","problem_count":1,"problems":[{"kind":"conflict",` +
		`"workflow_id":"a","schedule_id":"schedule-reports-a","message":"somebody else has it"}]`
	accepted := []reply{{status: 202, body: acceptedJSON}}
	for name, test := range map[string]struct {
		outcomes, statuses []reply
		code               int
		stdout, stderr     []string
	}{
		"in sync": {
			[]reply{outcomeJSON("unknown", ""), outcomeJSON("accepted", ""), outcomeJSON("applied", "")},
			[]reply{statusJSON("reconciling", ""), statusJSON("in_sync", "")},
			0, []string{"in sync with revision 4f1d8a60c2b9: 12 schedules; 1 created, 2 updated, 0 deleted\n"},
			[]string{"reconciling revision 4f1d8a60c2b9 …\n"},
		},
		"an API that is replaced meanwhile": {
			[]reply{
				{status: 502, body: "<html>", header: map[string]string{"Content-Type": "text/html"}},
				busy(""), busy(""), outcomeJSON("applied", ""),
			},
			[]reply{statusJSON("in_sync", "")},
			0, []string{"in sync with revision"},
			[]string{"the API does not answer: ", "502 Bad Gateway", "Unavailable: Temporal does not answer now"},
		},
		"problems": {
			[]reply{outcomeJSON("failed", `,"reason":"out_of_sync","message":"1 of 12 schedules are not as the YAML says"`)},
			[]reply{statusJSON("out_of_sync", problems)},
			1, []string{"out of sync", "a: conflict: somebody else has it", "reload, ended"},
			[]string{"schedules: the reload did not end in sync: 1 of 12 schedules are not as the YAML says\n"},
		},
		"the prune guard": {
			[]reply{outcomeJSON("failed", `,"reason":"out_of_sync","message":"the reload would delete 9 of 12 schedules"`)},
			[]reply{statusJSON("blocked", `,"message":"the reload would delete 9 of 12 schedules"`)},
			1, []string{"blocked by the prune guard"},
			[]string{"would delete 9 of 12 schedules\n`schedules reload --prune --wait` lets this one reload delete them\n"},
		},
		"a refusal": {
			[]reply{outcomeJSON("failed", `,"reason":"conflict","message":"generation 3 is older"`)}, nil,
			1, nil, []string{"schedules: the reload was refused: generation 3 is older\n"},
		},
		"a key that may not read": {
			[]reply{problemReply(403, "missing-scope", "Missing scope", "the scope workflow.schedule:read is missing")}, nil,
			1, nil, []string{"schedules: Missing scope: the scope workflow.schedule:read is missing"},
		},
	} {
		t.Run("Should wait for the end of the pass and tell: "+name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, map[string][]reply{
				"POST /api/v0/reload": accepted, "GET /api/v0/requests/6f2e": test.outcomes, "GET /api/v0/reconciler": test.statuses,
			})
			got := runCommand(t, api.URL, "reload", "--wait")
			assert.Equal(t, test.code, got.code, got.stderr)
			for _, text := range test.stdout {
				assert.Contains(t, got.stdout, text)
			}
			for _, text := range test.stderr {
				assert.Contains(t, got.stderr, text)
			}
		})
	}
	t.Run("Should print the status as JSON, also where the pass failed", func(t *testing.T) {
		status := statusJSON("out_of_sync", problems)
		api := newFakeAPI(t, map[string][]reply{
			"POST /api/v0/reload": accepted, "GET /api/v0/reconciler": {status},
			"GET /api/v0/requests/6f2e": {outcomeJSON("failed", `,"reason":"out_of_sync","message":"no"`)},
		})
		got := runCommand(t, api.URL, "reload", "--wait", "-o", "json")
		assert.Equal(t, result{1, status.body + "\n", "schedules: the reload did not end in sync: no\n"}, got)
	})
	t.Run("Should give up after the timeout", func(t *testing.T) {
		api := newFakeAPI(t, map[string][]reply{
			"POST /api/v0/reload": accepted, "GET /api/v0/requests/6f2e": {outcomeJSON("accepted", "")},
			"GET /api/v0/reconciler": {statusJSON("waiting", "")},
		})
		got := runCommand(t, api.URL, "reload", "--wait", "--timeout", "700ms")
		assert.Equal(t, result{1, "", "waiting …\nschedules: the reload has not ended within 700ms, and goes on; " +
			"`schedules status` says how far it is\n"}, got)
	})
}

func TestAPIKeyNew(t *testing.T) {
	t.Run("Should print the key once, and its hash for the settings", func(t *testing.T) {
		got := runIn(t, nil, false, "api-key", "new", "--name", "ci", "--scope", config.ScopeRead, "--scope", config.ScopeWrite)
		assert.Equal(t, 0, got.code, got.stderr)
		token := ""
		for word := range strings.FieldsSeq(got.stdout) {
			if strings.HasPrefix(word, "csk_") {
				token = word
			}
		}
		require.NotEmpty(t, token, got.stdout)
		assert.Equal(t, 1, strings.Count(got.stdout, token))
		hash := sha256.Sum256([]byte(token))
		text := hex.EncodeToString(hash[:])
		assert.Contains(t, got.stdout, "\napi_keys:\n  - { name: \"ci\", sha256: \""+text+"\", scopes: [workflow.schedule:read, workflow.schedule:write] }\n")
		assert.Contains(t, got.stdout, "\nSCHEDULES_API_KEYS=ci:"+text+":workflow.schedule:read+workflow.schedule:write\n")
	})
	t.Run("Should print JSON for scripts, and read only by itself", func(t *testing.T) {
		got := runIn(t, nil, false, "api-key", "new", "--name", "dashboard", "-o", "json")
		var key struct {
			Token, Name, SHA256, Variable string
			Scopes                        []string
		}
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &key), got.stderr)
		assert.Equal(t, []string{config.ScopeRead}, key.Scopes)
		hash := sha256.Sum256([]byte(key.Token))
		assert.Equal(t, hex.EncodeToString(hash[:]), key.SHA256)
	})
	for text, args := range map[string][]string{
		`name ""`:         {},
		`unknown scope`:   {"--name", "ci", "--scope", "everything"},
		`unknown command`: {"extra"},
	} {
		t.Run("Should refuse: "+text, func(t *testing.T) {
			got := runIn(t, nil, false, append([]string{"api-key", "new"}, args...)...)
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.stderr, text)
			assert.Empty(t, got.stdout)
		})
	}
}
