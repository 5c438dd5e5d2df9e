// Package faults_test breaks what real processes stand on, while they work, and holds the outcome: actual equals
// desired, each schedule is there once, no override is lost, no workflow failed. `make test-faults` runs it.
package faults_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
)

var (
	// server is the Temporal server of the tests that do not break theirs; binary is ours.
	server *temporaltest.Server
	binary string
)

// wanted is given by `make test-faults`: these tests take longer than all others together.
var wanted = flag.Bool("faults", false, "run the tests that break things")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*wanted {
		fmt.Fprintln(os.Stderr, "not asked for: make test-faults")
		return
	}
	os.Exit(schedulestest.Main(func(built string) int {
		binary = built
		return temporaltest.Run(m, &server)
	}))
}

// serve starts a replica without API on a project.
func serve(t *testing.T, env []string, dir string, args ...string) *schedulestest.Process {
	t.Helper()
	return schedulestest.Start(t, env, binary, append([]string{"serve", "--project", dir, "--api=false"}, args...)...)
}

// requireWhole is how each of these tests ends.
func requireWhole(
	t *testing.T, log func() string, c client.Client, project, dir string, kept map[string]schedulestest.Kept,
) {
	t.Helper()
	var differences []string
	for deadline := time.Now().Add(schedulestest.Soon); ; time.Sleep(200 * time.Millisecond) {
		now, err := schedulestest.Differences(context.Background(), c, dir, kept)
		if err == nil {
			differences = now // a call that fails says nothing: the last answer is what a failure shows
		}
		if err == nil && len(now) == 0 {
			break
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "actual is not desired", "%v (%v)\nthe process printed:\n%s", differences, err, log())
		}
	}
	failures, err := schedulestest.Failures(context.Background(), c, project)
	require.NoError(t, err)
	require.Empty(t, failures)
}
