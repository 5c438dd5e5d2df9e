package faults_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/compozy/schedules/cmd/schedulestest"
)

// island is a network of its own: nothing but a loopback device, on which one port leads to the Temporal server
// outside. Where the device is down packets vanish, as they do behind a cut cable: nobody is told.
type island struct {
	// address is the server's, on the island.
	address string

	t         *testing.T
	namespace *os.File
}

// newIsland needs the right to make network namespaces.
func newIsland(t *testing.T, outside string) *island {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root: run it as root, or below `unshare -Ur`")
	}
	port := schedulestest.FreePort(t)
	i := &island{t: t, address: fmt.Sprintf("127.0.0.1:%d", port)}
	var listener net.Listener
	made := make(chan error)
	go func() {
		// The thread is on the island for ever: it is never unlocked, and so ends with the goroutine. What it has
		// opened can be used by all others.
		runtime.LockOSThread()
		var err error
		listener, i.namespace, err = land(i.address)
		made <- err
	}()
	if err := <-made; err != nil {
		t.Skipf("this machine makes no network namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		_ = i.namespace.Close()
	})
	go ferry(listener, outside)
	return i
}

// land moves this thread into a new network and listens there.
func land(address string) (net.Listener, *os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, nil, fmt.Errorf("unshare the network: %w", err)
	}
	if output, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("ip link set lo up (the package iproute2 has it): %w: %s", err, output)
	}
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", address)
	return listener, namespace, err
}

// ferry copies each connection to the server outside.
func ferry(listener net.Listener, outside string) {
	for {
		inner, err := listener.Accept()
		if err != nil {
			return
		}
		outer, err := net.Dial("tcp", outside)
		if err != nil {
			_ = inner.Close()
			continue
		}
		end := sync.OnceFunc(func() {
			_ = inner.Close()
			_ = outer.Close()
		})
		for _, ends := range [][2]net.Conn{{inner, outer}, {outer, inner}} {
			go func() {
				defer end()
				_, _ = io.Copy(ends[0], ends[1])
			}()
		}
	}
}

// enter is a command line that runs a command on the island.
func (i *island) enter(command ...string) []string {
	path := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), i.namespace.Fd())
	return append([]string{"nsenter", path}, command...)
}

// serve starts a replica on the island.
func (i *island) serve(env []string, dir string, args ...string) *schedulestest.Process {
	i.t.Helper()
	line := i.enter(append([]string{binary, "serve", "--project", dir, "--api=false"}, args...)...)
	return schedulestest.Start(i.t, env, line[0], line[1:]...)
}

// cut lets all packets vanish, mend lets them through again.
func (i *island) cut()  { i.link("down") }
func (i *island) mend() { i.link("up") }

func (i *island) link(state string) {
	i.t.Helper()
	line := i.enter("ip", "link", "set", "lo", state)
	command := exec.Command(line[0], line[1:]...)
	output, err := command.CombinedOutput()
	require.NoError(i.t, err, string(output))
}
