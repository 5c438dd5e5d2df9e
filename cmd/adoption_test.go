package cmd_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

const (
	// adopters is how many projects adopt, each killed five times; adoptersAtOnce how many processes run at once.
	adopters       = 10
	adoptersAtOnce = 5
	// adoptedEach is how many schedules each adopts.
	adoptedEach = 20
)

func TestAdoption(t *testing.T) {
	t.Run("Should adopt each schedule once, with its history, killed at any moment", func(t *testing.T) {
		t.Parallel()
		namespace, c := server.Namespace(t)
		env := temporalEnv(server.Address(), namespace)
		dirs := make([]string, adopters)
		for i := range dirs {
			dirs[i] = adopting(t, c, i)
		}
		eachAtOnce(dirs, func(dir string) {
			for range kills / adopters {
				process := start(t, env, "serve", "--project", dir, "--api=false")
				time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond) // a random moment of its first pass
				process.Kill()
			}
		})
		eachAtOnce(dirs, func(dir string) {
			process := start(t, env, "serve", "--project", dir, "--api=false")
			eventually(t, process.Log, func() bool { return status(t, server.Address(), namespace, dir).Phase == workflows.PhaseInSync })
			process.Kill()
		})
		for i := range dirs {
			requireAdopted(t, c, namespace, i)
		}
	})
}

func eachAtOnce(dirs []string, f func(dir string)) {
	slots := make(chan struct{}, adoptersAtOnce)
	var running sync.WaitGroup
	for _, dir := range dirs {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			f(dir)
		})
	}
	running.Wait()
}

// adopting makes schedules by hand, and a project that adopts them.
func adopting(t *testing.T, c client.Client, i int) (dir string) {
	dir = t.TempDir()
	name := fmt.Sprintf("adopter-%d", i)
	writeFile(t, filepath.Join(dir, "compozy.yaml"), "name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\n")
	for n := range adoptedEach {
		id := fmt.Sprintf("by hand %d-%d", i, n)
		ranByHand(t, c, id)
		writeFile(t, filepath.Join(dir, "workflows", fmt.Sprintf("w%d.yaml", n)), fmt.Sprintf(
			"id: w%d\ntemporal: { workflow_type: ByHand, task_queue: nobody }\nschedule: { cron: \"@every 1h\", schedule_id: %s, adopt: true }\n", n, id))
	}
	return dir
}

func requireAdopted(t *testing.T, c client.Client, namespace string, i int) {
	t.Helper()
	s := activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(1000, 10))
	for n := range adoptedEach {
		detail, err := s.Describe(t.Context(), fmt.Sprintf("by hand %d-%d", i, n))
		require.NoError(t, err)
		assert.Equal(t, activities.Owner{Project: fmt.Sprintf("adopter-%d", i), WorkflowID: fmt.Sprintf("w%d", n)}, detail.Owner)
		assert.True(t, detail.Marked)
		assert.Len(t, detail.Schedule.GetSpec().GetExcludeStructuredCalendar(), 1, "one mark")
		assert.Positive(t, detail.Info.GetActionCount(), "its history is kept")
	}
	assert.Empty(t, list(t, c, namespace, fmt.Sprintf("adopter-%d", i)), "none was made beside it")
}

// ranByHand makes a schedule that nobody's project owns and that has run once.
func ranByHand(t *testing.T, c client.Client, id string) {
	t.Helper()
	_, err := c.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: id, Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}},
		Action:             &client.ScheduleWorkflowAction{ID: strings.ReplaceAll(id, " ", "-"), Workflow: "ByHand", TaskQueue: "nobody"},
		TriggerImmediately: true,
	})
	require.NoError(t, err)
}
