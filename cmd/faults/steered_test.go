package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// steered is a project that people go on to work with while something breaks: they edit its files, and pause,
// resume, delete and trigger schedules. Its client reaches the server past all that is broken.
type steered struct {
	t         *testing.T
	namespace string
	client    client.Client
	project   string
	dir       string
	// kept are the overrides; all of them hold over reloads.
	kept map[string]schedulestest.Kept
	// triggered are the workflows that were started once.
	triggered []string
}

// newSteered makes a project of n schedules, wf-0000 and on, each day at 5.
func newSteered(t *testing.T, project string, n int) *steered {
	t.Helper()
	namespace, c := server.Namespace(t)
	return &steered{
		t: t, namespace: namespace, client: c, project: project, dir: schedulestest.Project(t, project, n),
		kept: map[string]schedulestest.Kept{},
	}
}

// env is the environment of processes that reach Temporal at address.
func (s *steered) env(address string) []string { return schedulestest.Env(address, s.namespace) }

// hour moves schedules to another hour, in the project's own directory.
func (s *steered) hour(hour int, numbers ...int) { hours(s.t, s.dir, hour, numbers...) }

// hours moves schedules to another hour.
func hours(t *testing.T, dir string, hour int, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		schedulestest.Workflow(t, dir, workflowID(n), fmt.Sprintf(`{cron: "0 %d * * *"}`, hour))
	}
}

func workflowID(n int) string { return fmt.Sprintf("wf-%04d", n) }

// numbers are from, from+1 … to-1.
func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// edit changes files as a deploy does: schedules move, two come, one goes, one is disabled.
func (s *steered) edit(hour, from int) {
	s.t.Helper()
	s.hour(hour, numbers(from, from+10)...)
	s.hour(hour, 1000+from, 1001+from)
	require.NoError(s.t, os.Remove(filepath.Join(s.dir, "workflows", workflowID(from+10)+".yaml")))
	schedulestest.Workflow(s.t, s.dir, workflowID(from+11), `{cron: "0 5 * * *", enabled: false}`)
}

// override changes a schedule at run time, by a signal.
func (s *steered) override(n int, action workflows.OverrideAction) {
	s.t.Helper()
	s.signal(workflows.SignalOverride, workflows.Override{
		RequestID: uuid.NewString(), WorkflowID: workflowID(n), Action: action, Actor: "ann", Reason: "a fault test", Hold: true,
	})
	s.keep(n, action)
}

// keep remembers what an override must have left at the end.
func (s *steered) keep(n int, action workflows.OverrideAction) {
	s.kept[workflowID(n)] = schedulestest.Kept{Paused: action == workflows.ActionPause, Deleted: action == workflows.ActionDelete}
}

// await waits until a schedule is there: what is not yet created cannot be triggered.
func (s *steered) await(n int) {
	s.t.Helper()
	var err error
	schedulestest.Eventually(s.t, func() string { return fmt.Sprintf("%s: %v", workflowID(n), err) }, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err = s.client.ScheduleClient().GetHandle(ctx, config.DefaultScheduleID(s.project, workflowID(n))).Describe(ctx)
		return err == nil
	})
}

// trigger starts a run, by a signal that is sent twice.
func (s *steered) trigger(n int) {
	s.t.Helper()
	s.await(n)
	run := workflows.Run{
		RequestID: uuid.NewString(), WorkflowID: workflowID(n), Action: workflows.ActionTrigger, OverlapPolicy: config.OverlapAllow,
	}
	s.signal(workflows.SignalRun, run)
	s.signal(workflows.SignalRun, run)
	s.triggered = append(s.triggered, workflowID(n))
}

func (s *steered) signal(name string, message any) {
	s.t.Helper()
	require.NoError(s.t, schedulestest.Signal(s.client, s.project, name, message))
}

// status asks the reconciler past all that is broken; the zero Status where it cannot answer now.
func (s *steered) status() (status workflows.Status) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if value, err := s.client.QueryWorkflow(ctx, workflows.ReconcilerID(s.project), "", workflows.QueryStatus); err == nil {
		_ = value.Get(&status)
	}
	return status
}

// listed is the hour of each schedule that the server lists. A list that fails is read again, and none is read
// more often than a namespace may.
func (s *steered) listed() (found map[string]int) {
	s.t.Helper()
	var err error
	schedulestest.Eventually(s.t, func() string { return fmt.Sprint("list the schedules: ", err) }, func() bool {
		time.Sleep(200 * time.Millisecond)
		found, err = s.list()
		return err == nil
	})
	return found
}

func (s *steered) list() (map[string]int, error) {
	found := map[string]int{}
	schedules, err := s.client.ScheduleClient().List(context.Background(), client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return nil, err
	}
	for schedules.HasNext() {
		entry, err := schedules.Next()
		if err != nil {
			return nil, err
		}
		if entry.Spec != nil && len(entry.Spec.Calendars) == 1 {
			found[entry.ID] = entry.Spec.Calendars[0].Hour[0].Start
		}
	}
	return found, nil
}

// until waits until at least so many schedules are listed.
func (s *steered) until(count int, log func() string) {
	s.t.Helper()
	schedulestest.Eventually(s.t, log, func() bool { return len(s.listed()) >= count })
}

// requireWhole is the end: actual equals desired, no override lost, no failed workflow, each run once.
func (s *steered) requireWhole(log func() string) {
	s.t.Helper()
	requireWhole(s.t, log, s.client, s.project, s.dir, s.kept)
	for _, id := range slices.Compact(slices.Sorted(slices.Values(s.triggered))) {
		var runs int
		var description *client.ScheduleDescription
		var err error
		never := func() string { return fmt.Sprintf("no run of %s: %+v, %v\n%s", id, description, err, log()) }
		schedulestest.Eventually(s.t, never, func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			description, err = s.client.ScheduleClient().GetHandle(ctx, "schedule-"+s.project+"-"+id).Describe(ctx)
			runs = 0
			if err == nil {
				for _, action := range description.Info.RecentActions {
					if !action.ScheduleTime.Equal(action.ScheduleTime.Truncate(time.Hour)) { // by the cron it is a full hour
						runs++
					}
				}
			}
			return runs > 0
		})
		assert.Equal(s.t, 1, runs, "runs of %s", id)
	}
}

// steering is the REST API of a process whose surroundings are broken: it may say that it cannot now, and
// nothing worse.
type steering struct {
	t   *testing.T
	url string
	log func() string
	// refused is how often it said that it cannot now.
	refused int
}

// serveAPI starts a replica with API. The API answers when this returns.
func serveAPI(t *testing.T, env []string, binary, dir string, args ...string) (*schedulestest.Process, *steering) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
	p := schedulestest.Start(t, env, binary, append([]string{
		"serve", "--project", dir, "--listen", address, "--rate-limit", "0"}, args...)...)
	api := &steering{t: t, url: "http://" + address, log: p.Log}
	schedulestest.Eventually(t, p.Log, func() bool {
		response, err := http.Get(api.url + "/healthz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p, api
}

// answerTime is three times what the API promises (docs/api.md, "Limits and time"): more is a request that hangs.
const answerTime = 30 * time.Second

// once sends a request. What is neither done, accepted, nor a 503 that says when to come back fails the test.
func (a *steering) once(method, path, key, body string) (status int, answer string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, a.url+"/api/v0"+path, bytes.NewReader([]byte(body)))
	require.NoError(a.t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(a.t, err, "%s %s\nthe process printed:\n%s", method, path, a.log())
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(a.t, err)
	if response.StatusCode == http.StatusServiceUnavailable {
		assert.NotEmpty(a.t, response.Header.Get("Retry-After"), "%s %s", method, path)
		a.refused++
	} else {
		require.Contains(a.t, []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent}, response.StatusCode,
			"%s %s: %s\nthe process printed:\n%s", method, path, text, a.log())
	}
	return response.StatusCode, string(text)
}

// write sends a write, with the same key again where it may not have been done.
func (a *steering) write(method, path, body string) {
	a.t.Helper()
	key := uuid.NewString()
	schedulestest.Eventually(a.t, a.log, func() bool {
		status, _ := a.once(method, path, key, body)
		return status != http.StatusServiceUnavailable
	})
}

// steer pauses, resumes, deletes and triggers schedules, by the API and by signals, and reads between.
func (s *steered) steer(api *steering, from int) {
	s.t.Helper()
	pause := `{"enabled":false,"reason":"a fault test","hold":true}`
	api.write(http.MethodPut, "/schedules/"+workflowID(from), pause)
	s.keep(from, workflows.ActionPause)
	s.override(from+1, workflows.ActionPause)
	api.once(http.MethodGet, "/schedules?page_size=10", "", "")
	api.write(http.MethodDelete, "/schedules/"+workflowID(from+2)+"?hold=true", "")
	s.keep(from+2, workflows.ActionDelete)
	s.override(from+3, workflows.ActionDelete)
	api.write(http.MethodPut, "/schedules/"+workflowID(from+4), pause)
	s.override(from+4, workflows.ActionResume)
	s.trigger(from + 5)
	s.await(from + 6)
	api.write(http.MethodPost, "/schedules/"+workflowID(from+6)+"/trigger", `{"overlap_policy":"allow"}`)
	s.triggered = append(s.triggered, workflowID(from+6))
	api.once(http.MethodGet, "/reconciler", "", "")
}
