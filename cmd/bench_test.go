package cmd_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
)

const (
	// benchSchedules is the number of schedules at which the API is measured, benchRequests how many
	// requests of each operation are sent.
	benchSchedules = 1000
	benchRequests  = 300
)

// BenchmarkAPI measures the API at 1,000 schedules beside bare calls of the SDK in the same run, at rest
// and while a cold pass creates 1,000 more. Requests are sent one after the other. Figures are in
// milliseconds.
func BenchmarkAPI(b *testing.B) {
	f := newBench(b)
	f.until(b, func() bool { // at rest: the resync after the first pass is over too
		status, err := f.manager.Status(context.Background())
		return err == nil && status.LastPass.Kind == activities.PassResync
	})
	f.measure(b, "rest", 0)
	for i := range benchSchedules {
		f.workflow(b, fmt.Sprintf("more-%04d", i))
	}
	f.hangup <- struct{}{}
	f.until(b, func() bool {
		status, err := f.manager.Status(context.Background())
		return err == nil && status.Counts.Create >= benchSchedules && status.Phase == "reconciling"
	})
	f.measure(b, "cold pass", 500)
	status, err := f.manager.Status(context.Background())
	require.NoError(b, err)
	b.Logf("at the end of the measurement the pass had the phase %s", status.Phase)
}

type bench struct {
	client  client.Client
	manager *manager.Manager
	url     string
	dir     string
	hangup  chan struct{}
}

func newBench(b *testing.B) *bench {
	b.Helper()
	namespace, c := server.Namespace(b)
	f := &bench{client: c, dir: b.TempDir(), hangup: make(chan struct{}, 1)}
	require.NoError(b, os.MkdirAll(filepath.Join(f.dir, "w"), 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(f.dir, "compozy.yaml"), []byte("name: bench\nworkflows: [{source: ./w/*.yaml}]\n"), 0o600))
	for i := range benchSchedules {
		f.workflow(b, fmt.Sprintf("wf-%04d", i))
	}
	project, err := config.Load(f.dir)
	require.NoError(b, err)
	settings := config.DefaultSettings()
	settings.Project, settings.Watch, settings.RateLimit = f.dir, false, 0
	logger := slog.New(slog.DiscardHandler)
	schedules := worker.NewServer(c, namespace, project.Name, settings)
	f.manager = manager.New(manager.Options{Client: c, Server: schedules, Project: project, Logger: logger})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go f.manager.Run(ctx)
	go func() {
		done <- worker.Run(ctx, worker.Options{
			Client: c, Server: schedules, Settings: settings, Logger: logger, OnRevision: f.manager.SetProject,
		}, project, f.hangup)
	}()
	server, err := api.New(api.Options{Manager: f.manager, Settings: settings, Logger: logger})
	require.NoError(b, err)
	web := httptest.NewServer(server.Handler())
	f.url = web.URL
	b.Cleanup(func() {
		web.Close()
		server.Close()
		cancel()
		require.NoError(b, <-done)
	})
	f.until(b, func() bool {
		list, err := f.manager.ListSchedules(context.Background(), manager.ListOptions{State: "active"})
		return err == nil && list.Total == benchSchedules
	})
	return f
}

func (f *bench) workflow(b *testing.B, id string) {
	b.Helper()
	require.NoError(b, os.WriteFile(filepath.Join(f.dir, "w", id+".yaml"),
		[]byte("id: "+id+"\nschedule: {cron: \"0 5 * * *\"}\n"), 0o600))
}

func (f *bench) until(b *testing.B, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(soon); !holds(); time.Sleep(20 * time.Millisecond) {
		require.True(b, time.Now().Before(deadline), "waited too long")
	}
}

// measure times each operation benchRequests times, in turn, so that all see the same server. It uses the 500
// schedules from the first.
func (f *bench) measure(b *testing.B, when string, first int) {
	b.Helper()
	ctx := context.Background()
	handle := func(i int) client.ScheduleHandle {
		return f.client.ScheduleClient().GetHandle(ctx, config.DefaultScheduleID("bench", fmt.Sprintf("wf-%04d", first+i%200)))
	}
	id := func(i int) string { return fmt.Sprintf("/api/v0/schedules/wf-%04d", first+200+i%100) }
	operations := []struct {
		name string
		do   func(i int) error
	}{
		{"bare describe", func(i int) error { _, err := handle(i).Describe(ctx); return err }},
		{"bare pause", func(i int) error { return handle(i).Pause(ctx, client.SchedulePauseOptions{Note: "bench"}) }},
		{"list", func(int) error { return f.call(http.MethodGet, "/api/v0/schedules?page_size=1000", "") }},
		{"get", func(i int) error { return f.call(http.MethodGet, id(i), "") }},
		{"put", func(i int) error { return f.call(http.MethodPut, id(i), fmt.Sprintf(`{"enabled":%t}`, i%2 == 1)) }},
		{"delete", func(i int) error {
			return f.call(http.MethodDelete, fmt.Sprintf("/api/v0/schedules/wf-%04d", first+300+i%200), "")
		}},
	}
	times := make([][]time.Duration, len(operations))
	for i := range benchRequests {
		for n, operation := range operations {
			start := time.Now()
			require.NoError(b, operation.do(i), operation.name)
			times[n] = append(times[n], time.Since(start))
		}
	}
	for n, operation := range operations {
		slices.Sort(times[n])
		name := strings.ReplaceAll(when+"/"+operation.name, " ", "-")
		b.ReportMetric(milliseconds(times[n][len(times[n])/2]), name+"-p50-ms")
		b.ReportMetric(milliseconds(times[n][len(times[n])*99/100]), name+"-p99-ms")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (f *bench) call(method, path, body string) error {
	request, err := http.NewRequestWithContext(context.Background(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return err
}
