// Package schedulestest runs what users run, as real processes on loopback: the schedules binary on a project
// directory, and Temporal servers that a test may stop and start again.
package schedulestest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Soon bounds the waits of tests. It is far above what they need, for slow machines.
const Soon = 240 * time.Second

// Main builds today's schedules, runs the tests with it, and returns their exit code. TestMain calls it.
func Main(tests func(binary string) int) int {
	dir, err := os.MkdirTemp("", "schedules-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, err := Build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the binary:", err)
		return 1
	}
	return tests(binary)
}

// Build builds today's schedules into dir and returns the binary's path.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "schedules")
	build := exec.Command("go", "build", "-o", binary, "github.com/compozy/schedules")
	build.Stderr = os.Stderr
	return binary, build.Run()
}

// Process is a running process. It is killed at the test's end where it still runs then.
type Process struct {
	// Exited is closed when the process has ended.
	Exited <-chan struct{}

	t       testing.TB
	command *exec.Cmd
	output  *Buffer
}

// Start starts a command in its own process.
func Start(t testing.TB, env []string, binary string, args ...string) *Process {
	t.Helper()
	exited := make(chan struct{})
	p := &Process{t: t, command: exec.Command(binary, args...), output: &Buffer{}, Exited: exited}
	p.command.Env, p.command.Stdout, p.command.Stderr = env, p.output, p.output
	require.NoError(t, p.command.Start())
	go func() {
		_ = p.command.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-exited
	})
	return p
}

// PID is the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Args is the process's command line.
func (p *Process) Args() []string { return p.command.Args }

// Log is what the process has printed until now.
func (p *Process) Log() string { return p.output.String() }

// Ended reports whether the process has come to its end.
func (p *Process) Ended() bool {
	select {
	case <-p.Exited:
		return true
	default:
		return false
	}
}

// Kill is kill -9.
func (p *Process) Kill() {
	require.NoError(p.t, p.command.Process.Kill())
	<-p.Exited
}

// Terminate asks the process to end, as a deploy does, and returns its exit code.
func (p *Process) Terminate() int { return p.end(syscall.SIGTERM) }

// Interrupt is Ctrl-C. It returns the exit code.
func (p *Process) Interrupt() int { return p.end(os.Interrupt) }

// Signal sends a signal and waits for nothing.
func (p *Process) Signal(signal os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(signal))
}

func (p *Process) end(signal os.Signal) int {
	p.t.Helper()
	p.Signal(signal)
	select {
	case <-p.Exited:
	case <-time.After(Soon):
		require.FailNow(p.t, "did not end", p.Log())
	}
	return p.command.ProcessState.ExitCode()
}

// Call runs a command to its end.
func Call(t testing.TB, env []string, binary string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env, command.Stdout, command.Stderr = env, &out, &errs
	_ = command.Run()
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// Eventually waits for a condition on the test's own goroutine, so that the condition may fail the test. Where it
// waits in vain it prints the log.
func Eventually(t testing.TB, log func() string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Soon); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(t, "waited too long", "the process printed:\n%s", log())
		}
	}
}

// Buffer collects what a process prints, or a log that several goroutines write.
type Buffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String is all of it until now.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
