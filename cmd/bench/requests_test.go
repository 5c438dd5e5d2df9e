package bench_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

const (
	apiLatency = 100 * time.Millisecond
	// coldFactor times as many schedules as there are come while the API is measured again.
	coldFactor = 4
)

// TestRequests measures requests of the API of a small project, beside calls of the SDK that Temporal answers itself: at rest, and while a
// pass creates four times as many schedules. Requests are sent one after the other.
func TestRequests(t *testing.T) {
	n := small()
	page.begin("Requests at " + thousands(n) + " schedules")
	f := newFixture(t, newServer(t), n)
	bareCreate(t, f.client, "api", n/5)
	f.rest(t)
	f.measureAPI(t, "at rest", 3*n/10, 3*n/10, func() bool { return false })

	for i := range coldFactor * n {
		schedulestest.Workflow(t, f.dir, fmt.Sprintf("more-%05d", i), `{cron: "0 5 * * *"}`)
	}
	begun := time.Now()
	f.until(t, func() bool {
		status := f.status()
		return status.Phase == workflows.PhaseReconciling && status.Counts.Create >= coldFactor*n
	})
	profiled := f.profile(t, fmt.Sprintf("api-%d", n), 10)
	f.measureAPI(t, "while a pass creates "+thousands(coldFactor*n), 6*n/10, 4*n/10, func() bool {
		return slices.ContainsFunc(f.passes(begun), func(line logged) bool { return line.Message == "pass finished" })
	})
	profiled()
}

// measureAPI times the operations in turn, so that all see the same server, until it has done so in a number of rounds
// or what it measures beside has ended. A delete takes another schedule each time, from first on.
func (f *fixture) measureAPI(t *testing.T, when string, first, rounds int, over func() bool) {
	t.Helper()
	operations := f.operations(first)
	took := make([][]time.Duration, len(operations))
	for round := range rounds {
		one := make([]time.Duration, len(operations))
		for i, operation := range operations {
			start := time.Now()
			require.NoError(t, operation.do(round), operation.name)
			one[i] = time.Since(start)
		}
		if over() {
			break
		}
		for i := range operations {
			took[i] = append(took[i], one[i])
		}
	}
	require.NotEmpty(t, took[0], "the pass was over before anything was measured")
	for i, operation := range operations {
		slices.Sort(took[i])
		p50, p99 := took[i][len(took[i])/2], took[i][len(took[i])*99/100]
		line := row{what: operation.name + ", " + when,
			figure: fmt.Sprintf("p50 %s, p99 %s", show(p50), show(p99)), against: fmt.Sprintf("of %d", len(took[i]))}
		if !strings.HasPrefix(operation.name, "bare") {
			line.budget, line.met = "p99 < 100 ms", p99 < apiLatency
		}
		page.add(line)
	}
}

type operation struct {
	name string
	do   func(round int) error
}

func (f *fixture) operations(first int) []operation {
	ctx := context.Background()
	bare := func(i int) client.ScheduleHandle {
		return f.client.ScheduleClient().GetHandle(ctx, equivalent(fmt.Sprintf("api-%05d", i%(f.n/5))).ID)
	}
	one := func(i int) string { return "/api/v0/schedules/" + workflowID(i%(3*f.n/10)) }
	return []operation{
		{"bare describe", func(i int) error { _, err := bare(i).Describe(ctx); return err }},
		{"bare pause", func(i int) error { return bare(i).Pause(ctx, client.SchedulePauseOptions{Note: "bench"}) }},
		{"API list of all, one page", func(int) error { return f.call(http.MethodGet, "/api/v0/schedules?page_size=1000", "") }},
		{"API get", func(i int) error { return f.call(http.MethodGet, one(i), "") }},
		{"API put", func(i int) error { return f.call(http.MethodPut, one(i), fmt.Sprintf(`{"enabled":%t}`, i%2 == 1)) }},
		{"API delete", func(i int) error { return f.call(http.MethodDelete, "/api/v0/schedules/"+workflowID(first+i), "") }},
	}
}

func (f *fixture) call(method, path, body string) error {
	request, err := http.NewRequestWithContext(context.Background(), method, f.apis[0]+path, strings.NewReader(body))
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
