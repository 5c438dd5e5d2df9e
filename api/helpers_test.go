package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

func TestMain(m *testing.M) {
	for _, mediaType := range []string{"text/html", "application/yaml"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.FileBodyDecoder)
	}
	os.Exit(m.Run())
}

// noon is the clock of the tests that do not turn it.
func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// memory is a manager that has its schedules in memory.
type memory struct {
	mu        sync.Mutex
	schedules map[string]manager.ScheduleInfo
	// requests are the writes in order, as "method workflow request".
	requests []string
	last     manager.Request
	lastAny  any
	// err is what every method answers, hook runs before.
	err  error
	hook func(ctx context.Context)
	// status of writes; empty means applied. silent leaves WriteResult.Schedule out.
	status workflows.OutcomeStatus
	silent bool
}

func newMemory(ids ...string) *memory {
	m := &memory{schedules: map[string]manager.ScheduleInfo{}}
	at := noon()
	for _, id := range ids {
		m.schedules[id] = manager.ScheduleInfo{
			WorkflowID: id, ScheduleID: "schedule-reports-" + id, Cron: "0 9 * * *", Timezone: "UTC", Description: "at 09:00",
			State: manager.StateActive, Enabled: true,
			YAMLConfig:  &config.Schedule{Cron: "0 9 * * *", StartAt: &at, Input: map[string]any{"day": "today"}},
			NextRunTime: &at, NextRunTimes: []time.Time{at}, LastRunTime: &at, LastRunID: "r", LastRunStatus: "completed",
			Divergence: []activities.Difference{{Field: "input", YAML: "{}", Actual: "null"}},
		}
	}
	return m
}

func (m *memory) enter(ctx context.Context) error {
	if m.hook != nil {
		m.hook(ctx)
	}
	return m.err
}

func (m *memory) write(
	ctx context.Context, method, id string, request manager.Request, all any, change func(*manager.ScheduleInfo),
) (manager.WriteResult, error) {
	if err := m.enter(ctx); err != nil {
		return manager.WriteResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, strings.TrimSpace(method+" "+id+" "+request.RequestID))
	m.last, m.lastAny = request, all
	result := manager.WriteResult{RequestID: request.RequestID, Status: workflows.OutcomeApplied}
	if m.status != "" {
		result.Status = m.status
	}
	if id == "" {
		return result, nil
	}
	info, ok := m.schedules[id]
	if !ok {
		return manager.WriteResult{}, fmt.Errorf("workflow %q: %w", id, manager.ErrNotFound)
	}
	change(&info)
	m.schedules[id] = info
	if !m.silent {
		result.Schedule = &info
	}
	return result, nil
}

func (m *memory) ReconcileSchedules(ctx context.Context, r manager.ReconcileRequest) (manager.WriteResult, error) {
	return m.write(ctx, "reload", "", r.Request, r, nil)
}

func (m *memory) ListSchedules(ctx context.Context, options manager.ListOptions) (manager.ListResult, error) {
	if err := m.enter(ctx); err != nil {
		return manager.ListResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastAny = options
	list := manager.ListResult{ObservedAt: noon(), Total: len(m.schedules)}
	for _, id := range slices.Sorted(maps.Keys(m.schedules)) {
		list.Schedules = append(list.Schedules, m.schedules[id])
	}
	return list, nil
}

func (m *memory) GetSchedule(ctx context.Context, id string) (manager.ScheduleInfo, error) {
	if err := m.enter(ctx); err != nil {
		return manager.ScheduleInfo{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	info, ok := m.schedules[id]
	if !ok {
		return manager.ScheduleInfo{}, fmt.Errorf("workflow %q: %w", id, manager.ErrNotFound)
	}
	return info, nil
}

func (m *memory) UpdateSchedule(ctx context.Context, id string, r manager.UpdateRequest) (manager.WriteResult, error) {
	return m.write(ctx, "update", id, r.Request, r, func(info *manager.ScheduleInfo) {
		info.Enabled, info.IsOverride, info.State, info.Override = *r.Enabled, !*r.Enabled, manager.StateActive, nil
		if !*r.Enabled {
			since := noon()
			info.State = manager.StatePaused
			info.Override = &manager.OverrideInfo{Action: workflows.ActionPause, Actor: r.Actor, Reason: r.Reason, Since: &since}
		}
	})
}

func (m *memory) DeleteSchedule(ctx context.Context, id string, r manager.DeleteRequest) (manager.WriteResult, error) {
	return m.write(ctx, "delete", id, r.Request, r, func(info *manager.ScheduleInfo) { info.State = manager.StateDeleted })
}

func (m *memory) RevertSchedule(ctx context.Context, id string, r manager.Request) (manager.WriteResult, error) {
	return m.write(ctx, "revert", id, r, r, func(info *manager.ScheduleInfo) { info.State = manager.StateActive })
}

func (m *memory) TriggerSchedule(ctx context.Context, id string, r manager.TriggerRequest) (manager.WriteResult, error) {
	return m.write(ctx, "trigger", id, r.Request, r, func(*manager.ScheduleInfo) {})
}

func (m *memory) BackfillSchedule(ctx context.Context, id string, r manager.BackfillRequest) (manager.WriteResult, error) {
	return m.write(ctx, "backfill", id, r.Request, r, func(*manager.ScheduleInfo) {})
}

func (m *memory) ListRuns(ctx context.Context, id string, options manager.RunsOptions) (manager.RunsResult, error) {
	if err := m.enter(ctx); err != nil {
		return manager.RunsResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastAny = options
	if _, ok := m.schedules[id]; !ok {
		return manager.RunsResult{}, fmt.Errorf("workflow %q: %w", id, manager.ErrNotFound)
	}
	at := noon()
	return manager.RunsResult{Runs: []manager.RunInfo{
		{WorkflowID: "reports-" + id, RunID: "r", Status: "completed", ScheduledTime: &at, StartTime: at, CloseTime: &at},
	}}, nil
}

func (m *memory) Status(ctx context.Context) (workflows.Status, error) {
	return workflows.Status{
		Version: workflows.StatusVersion, Project: "reports", Phase: workflows.PhaseInSync,
		LastPass: &workflows.Pass{Kind: activities.PassResync, StartedAt: noon()},
		Problems: []activities.Problem{{WorkflowID: "a", Message: "m"}}, Refused: &workflows.Refused{At: noon()},
	}, m.enter(ctx)
}

func (m *memory) Outcome(ctx context.Context, id string) (workflows.Outcome, error) {
	return workflows.Outcome{RequestID: id, Status: workflows.OutcomeApplied, At: noon()}, m.enter(ctx)
}

func (m *memory) writes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

// rig is a server with its manager, its log and the document that its answers are held against.
type rig struct {
	*api.Server
	manager *memory
	log     *syncBuffer
	doc     *openapi3.T
	router  routers.Router
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// document is openapi.yaml, read and checked once, its examples too.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// newRig makes a server without authentication or rate limit; adjust changes its options.
func newRig(t testing.TB, adjust ...func(*api.Options)) *rig {
	t.Helper()
	r := &rig{manager: newMemory("daily-report", "hourly"), log: &syncBuffer{}}
	options := api.Options{
		Manager: r.manager, Settings: config.DefaultSettings(),
		Logger: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	options.Settings.RateLimit = 0
	for _, change := range adjust {
		change(&options)
	}
	server, err := api.New(options)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	r.Server = server
	r.doc, err = document()
	require.NoError(t, err)
	r.router, err = legacy.NewRouter(r.doc, openapi3.DisableExamplesValidation())
	require.NoError(t, err)
	return r
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, into), "%s", a.body)
}

// problem reads the answer as a problem with the slug at the end of its type.
func (a answer) problem(t testing.TB) (slug string, detail map[string]any) {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), "%s", a.body)
	a.decode(t, &detail)
	kind, _ := detail["type"].(string)
	_, slug, _ = strings.Cut(kind, "#problem-")
	assert.InDelta(t, float64(a.StatusCode), detail["status"], 0)
	assert.Equal(t, a.Header.Get("X-Request-Id"), detail["instance"])
	return slug, detail
}

// newRequest comes from loopback, as JSON where it has a body.
func newRequest(t testing.TB, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	request.Host, request.RemoteAddr = "localhost:8080", "127.0.0.1:5555"
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return request
}

// call sends a request and holds the answer against openapi.yaml.
func (r *rig) call(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	return r.send(t, newRequest(t, method, path, body, headers...))
}

func (r *rig) send(t testing.TB, request *http.Request) answer {
	t.Helper()
	original := request.Clone(request.Context())
	recorder := httptest.NewRecorder()
	r.Handler().ServeHTTP(recorder, request)
	response := recorder.Result()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	a := answer{Response: response, body: body}
	r.hold(t, original, a) //nolint:contextcheck // answers are checked in the test's own context
	return a
}

// hold checks an answer against openapi.yaml: the operation's own answers where the document has the
// operation, else the form of a problem.
func (r *rig) hold(t testing.TB, request *http.Request, a answer) {
	t.Helper()
	assert.NotEmpty(t, a.Header.Get("X-Request-Id"))
	assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	route, params, err := r.router.FindRoute(request)
	if err != nil || strings.HasSuffix(request.URL.Path, "/") || request.Method == http.MethodHead || a.StatusCode == http.StatusMethodNotAllowed {
		if a.StatusCode >= 400 && len(a.body) > 0 {
			var value any
			a.decode(t, &value)
			assert.NoError(t, r.doc.Components.Schemas["Problem"].Value.VisitJSON(value), "%s", a.body)
		}
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
		Status:                 a.StatusCode, Header: a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(a.body)
	assert.NoError(t, openapi3filter.ValidateResponse(t.Context(), input), "%s %s: %d %s",
		request.Method, request.URL, a.StatusCode, a.body)
}

func (b *syncBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}
