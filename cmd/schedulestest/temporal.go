package schedulestest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

// Env is the environment of a process that talks to a Temporal server.
func Env(address, namespace string) []string {
	return append(os.Environ(), "TEMPORAL_ADDRESS="+address, "TEMPORAL_NAMESPACE="+namespace)
}

// Status is what `schedules status -o json` prints; the zero Status where it fails.
func Status(t testing.TB, binary string, env []string, dir string) workflows.Status {
	t.Helper()
	var s workflows.Status
	code, stdout, _ := Call(t, env, binary, "status", "--project", dir, "-o", "json")
	if code == 0 {
		require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	}
	return s
}

// Signal signals a project's reconciler until the server takes it.
func Signal(c client.Client, project, name string, message any) error {
	return Sent(func() error {
		return c.SignalWorkflow(context.Background(), workflows.ReconcilerID(project), "", name, message)
	})
}

// Sent sends until the server takes it, as clients do: there may be no reconciler, and while one run hands over to the next
// the server takes no signals; where the worker is killed then, for the ten seconds until its task times out. A request id
// counts once.
func Sent(send func() error) (err error) {
	for deadline := time.Now().Add(Soon); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = send(); err == nil {
			return nil
		}
	}
	return err
}

// StartTemporal starts a development server of its own, with more flags of `temporal server start-dev`, and
// returns what kills it. With --db-filename another one goes on where it was killed.
func StartTemporal(t testing.TB, port int, args ...string) (kill func()) {
	t.Helper()
	temporal, err := temporaltest.Binary()
	require.NoError(t, err)
	command := exec.Command(temporal, append([]string{"server", "start-dev", "--headless", "--ip", "127.0.0.1",
		"--port", fmt.Sprint(port), "--log-level", "error"}, args...)...)
	require.NoError(t, command.Start())
	kill = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	t.Cleanup(kill)
	return kill
}

// FreePort is a loopback port that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
