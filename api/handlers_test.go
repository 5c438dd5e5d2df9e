package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const daily = "/api/v0/schedules/daily-report"

// The real manager is one that the API can use.
var _ api.Manager = (*manager.Manager)(nil)

func TestReads(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		path string
		want string // in the body
	}{
		{"/api/v0/schedules", `"total":2`},
		{"/api/v0/schedules?status=override&page_size=1000&page_token=abc", `"observed_at":"2027-03-01T12:00:00Z"`},
		{daily, `"divergence":[{"field":"input"`},
		{daily + "/runs", `"status":"completed"`},
		{daily + "/runs?page_size=100", `"run_id":"r"`},
		{"/api/v0/reconciler", `"phase":"in_sync"`},
		{"/api/v0/requests/abc", `"request_id":"abc"`},
		{"/api/v0/requests/a%2Fb%20c", ``},
		{"/api/v0/openapi.yaml", "openapi: 3.0.3"},
		{"/api/v0/docs", "docs/swagger-ui-bundle.js"},
		{"/api/v0/docs/start.js", "SwaggerUIBundle"},
		{"/api/v0/docs/swagger-ui.css", ".swagger-ui"},
		{"/healthz", `"ok"`},
		{"/readyz", `"ready"`},
	} {
		t.Run("Should answer GET "+test.path, func(t *testing.T) {
			a := r.call(t, http.MethodGet, test.path, "")
			if strings.Contains(test.path, "%20") { // no visible character
				assert.Equal(t, http.StatusBadRequest, a.StatusCode)
				return
			}
			assert.Equal(t, http.StatusOK, a.StatusCode)
			assert.Contains(t, string(a.body), test.want)
		})
		t.Run("Should answer HEAD "+test.path+" without a body", func(t *testing.T) {
			head := r.call(t, http.MethodHead, test.path, "")
			get := r.call(t, http.MethodGet, test.path, "")
			assert.Empty(t, head.body)
			assert.Equal(t, get.StatusCode, head.StatusCode)
			assert.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
			if get.StatusCode == http.StatusOK {
				assert.Equal(t, get.Header.Get("Content-Length"), head.Header.Get("Content-Length"))
			}
		})
	}
	t.Run("Should hand on what a list asks for", func(t *testing.T) {
		r.call(t, http.MethodGet, "/api/v0/schedules?status=paused&page_size=7&page_token=x%20y", "")
		assert.Equal(t, manager.ListOptions{State: "paused", PageSize: 7, PageToken: "x y"}, r.manager.lastAny)
		r.call(t, http.MethodGet, daily+"/runs?page_size=9&page_token=z", "")
		assert.Equal(t, manager.RunsOptions{PageSize: 9, PageToken: "z"}, r.manager.lastAny)
	})
	t.Run("Should answer an empty list as one", func(t *testing.T) {
		r := newRig(t)
		clear(r.manager.schedules)
		assert.Contains(t, string(r.call(t, http.MethodGet, "/api/v0/schedules", "").body), `"schedules":[]`)
	})
}

func TestWrites(t *testing.T) {
	enabled := false
	common := manager.Request{RequestID: "k1", Actor: "anonymous", Reason: "why"}
	start, end := noon(), noon().Add(time.Hour)
	for _, test := range []struct {
		name, method, path, body string
		applied, accepted        int
		want                     any
	}{
		{
			"pause", http.MethodPut, daily, `{"enabled":false,"reason":"why","expires_in":"1h30m","hold":true}`,
			http.StatusOK, http.StatusAccepted,
			manager.UpdateRequest{Request: common, Enabled: &enabled, ExpiresIn: 90 * time.Minute, Hold: true},
		},
		{
			"delete", http.MethodDelete, daily + "?reason=why&expires_in=2h&hold=true", "", http.StatusNoContent, http.StatusAccepted,
			manager.DeleteRequest{Request: common, ExpiresIn: 2 * time.Hour, Hold: true},
		},
		{"revert", http.MethodDelete, daily + "/override?reason=why", "", http.StatusNoContent, http.StatusAccepted, common},
		{
			"trigger", http.MethodPost, daily + "/trigger", `{"overlap_policy":"allow","reason":"why"}`,
			http.StatusOK, http.StatusAccepted,
			manager.TriggerRequest{Request: common, OverlapPolicy: config.OverlapAllow},
		},
		{
			"trigger without a body", http.MethodPost, daily + "/trigger", "", http.StatusOK, http.StatusAccepted,
			manager.TriggerRequest{Request: manager.Request{RequestID: "k1", Actor: "anonymous"}},
		},
		{
			"backfill", http.MethodPost, daily + "/backfill",
			`{"start_at":"2027-03-01T12:00:00Z","end_at":"2027-03-01T13:00:00Z","overlap_policy":"buffer_all","reason":"why"}`,
			http.StatusOK, http.StatusAccepted,
			manager.BackfillRequest{Request: common, StartAt: start, EndAt: end, OverlapPolicy: config.OverlapBufferAll},
		},
		{
			"reload", http.MethodPost, "/api/v0/reload", `{"force":true,"prune":true}`, http.StatusAccepted, http.StatusAccepted,
			manager.ReconcileRequest{Request: manager.Request{RequestID: "k1", Actor: "anonymous"}, Force: true, Prune: true},
		},
	} {
		t.Run("Should "+test.name, func(t *testing.T) {
			r := newRig(t)
			a := r.call(t, test.method, test.path, test.body, "Idempotency-Key", "k1")
			assert.Equal(t, test.applied, a.StatusCode, "%s", a.body)
			assert.Equal(t, test.want, r.manager.lastAny)
			assert.Contains(t, r.log.String(), `"level":"WARN","msg":"a write through the API"`)
		})
		t.Run("Should point to the outcome of an unfinished "+test.name, func(t *testing.T) {
			r := newRig(t)
			r.manager.status = workflows.OutcomeAccepted
			a := r.call(t, test.method, test.path, test.body, "Idempotency-Key", "a/b?c")
			require.Equal(t, test.accepted, a.StatusCode, "%s", a.body)
			location := a.Header.Get("Location")
			assert.Equal(t, "/api/v0/requests/a%2Fb%3Fc", location)
			assert.Contains(t, string(r.call(t, http.MethodGet, location, "").body), `"request_id":"a/b?c"`)
		})
		t.Run("Should make a request id for a "+test.name+" without one", func(t *testing.T) {
			r := newRig(t)
			r.call(t, test.method, test.path, test.body)
			first := r.manager.last.RequestID
			r.call(t, test.method, test.path, test.body)
			assert.Len(t, first, 36)
			assert.NotEqual(t, first, r.manager.last.RequestID)
		})
	}
	t.Run("Should show the schedule after a pause whose answer lacks it", func(t *testing.T) {
		r := newRig(t)
		r.manager.silent = true
		var info manager.ScheduleInfo
		r.call(t, http.MethodPut, daily, `{"enabled":false}`).decode(t, &info)
		assert.Equal(t, manager.StatePaused, info.State)
		assert.True(t, info.IsOverride)
	})
}
