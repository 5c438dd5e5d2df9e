package faults_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// clusterHome is the variable that names the state of the cluster whose processes may be killed.
const clusterHome = "CLUSTER_HOME"

// TestCluster kills one process after another of a server that consists of several, each in the middle of a cold
// pass, and starts it again as `make cluster` does. People go on to override schedules all the while.
func TestCluster(t *testing.T) {
	if os.Getenv(temporaltest.AddressVariable) == "" || os.Getenv(clusterHome) == "" {
		t.Skipf("%s and %s name no cluster to break: make test-cluster", temporaltest.AddressVariable, clusterHome)
	}
	for _, process := range []string{"frontend", "history2", "matching", "postgres", "worker"} {
		t.Run("Should be whole after kill -9 of "+process, func(t *testing.T) { killDuringColdPass(t, process) })
	}
}

func killDuringColdPass(t *testing.T, process string) {
	const n = 400
	t.Cleanup(func() { _, _ = cluster(context.Background(), "up") }) // whole for the next, whatever became of this one
	s := newSteered(t, "without-"+process, n)
	replica, api := serveAPI(t, s.env(server.Address()), binary, s.dir)
	// Describes, since a server in production allows few lists a second.
	schedulestest.Eventually(t, replica.Log, func() bool { return s.exists(20) })
	require.False(t, s.exists(n-1), "the pass is in its middle")
	output, err := cluster(t.Context(), "kill", process)
	require.NoError(t, err, output)

	back := make(chan error, 1)
	killed := time.Now()
	go func() {
		time.Sleep(5 * time.Second) // for so long nobody notices
		output, err := cluster(context.Background(), "up")
		if err != nil {
			t.Log(output)
		}
		back <- err
	}()
	overrides := s.insistUntil(back, api)
	t.Logf("%s was away for %s; %d overrides accepted, %d requests answered with 503",
		process, time.Since(killed).Round(time.Second), overrides, api.refused)
	s.requireWhole(replica.Log)
	t.Logf("whole %s after the kill", time.Since(killed).Round(time.Second))
	require.Zero(t, replica.Terminate(), replica.Log())
}

// exists reports whether the n-th schedule is there.
func (s *steered) exists(n int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := s.client.ScheduleClient().GetHandle(ctx, "schedule-"+s.project+"-"+workflowID(n)).Describe(ctx)
	return err == nil
}

// insistUntil pauses and deletes schedules, by the API and by signals, each until it is accepted, and returns how
// many it did once the process is back and answers.
func (s *steered) insistUntil(back <-chan error, api *steering) (count int) {
	s.t.Helper()
	const most = 240
	for whole := false; !whole; {
		select {
		case err := <-back:
			require.NoError(s.t, err)
			whole = true // and one round more
		case <-time.After(500 * time.Millisecond):
		}
		if count >= most {
			continue // it takes long to come back, and there are no more schedules
		}
		api.write(http.MethodPut, "/schedules/"+workflowID(count), `{"enabled":false,"reason":"a fault test","hold":true}`)
		s.keep(count, workflows.ActionPause)
		s.override(count+1, workflows.ActionPause)
		api.write(http.MethodDelete, "/schedules/"+workflowID(count+2)+"?hold=true", "")
		s.keep(count+2, workflows.ActionDelete)
		s.override(count+3, workflows.ActionDelete)
		count += 4
	}
	return count
}

// cluster calls the script of `make cluster`.
func cluster(ctx context.Context, args ...string) (output string, err error) {
	root, err := temporaltest.Root()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "deploy", "cluster", "cluster.sh"), args...).CombinedOutput()
	return string(out), err
}
