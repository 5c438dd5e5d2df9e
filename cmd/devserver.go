package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// devServer is the Temporal CLI's development server, run as a child process.
type devServer struct {
	command *exec.Cmd
	// exited is closed when the process has ended; err is then why.
	exited chan struct{}
	err    error
	// logPath is where its output goes.
	logPath string
}

// devServerStop is how long the server has to stop by itself before it is killed.
const devServerStop = 10 * time.Second

// buildTemporal is the command that builds the pinned CLI.
const buildTemporal = "go build -modfile=go.tool.mod -o bin/temporal github.com/temporalio/cli/cmd/temporal"

// findTemporal looks for the CLI on PATH, then in bin/ below the working directory and beside our own
// binary. In a checkout it builds the pinned one, once.
func findTemporal(ctx context.Context, env Environment) (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	candidates := []string{filepath.Join("bin", "temporal")}
	if self, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(self), "temporal"))
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	if _, err := os.Stat("go.tool.mod"); errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no `temporal` on PATH: install the Temporal CLI (https://docs.temporal.io/cli), " +
			"or run this in a checkout of github.com/compozy/schedules, where it is built once")
	}
	fmt.Fprintf(env.Err, "building the Temporal CLI once (some minutes): %s\n", buildTemporal)
	build := exec.CommandContext(ctx, "go", "build", "-modfile=go.tool.mod", "-o", candidates[0],
		"github.com/temporalio/cli/cmd/temporal")
	build.Stdout, build.Stderr = env.Err, env.Err
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build the Temporal CLI: %w", err)
	}
	return candidates[0], nil
}

// startDevServer starts the server on loopback with its state in dir.
func startDevServer(binary, dir string, port, uiPort int) (*devServer, error) {
	for flag, p := range map[string]int{"--port": port, "--ui-port": uiPort} {
		if err := checkFree(p); err != nil {
			return nil, fmt.Errorf("port %d is in use, perhaps by another Temporal: stop it, or choose another with %s", p, flag)
		}
	}
	s := &devServer{exited: make(chan struct{}), logPath: filepath.Join(dir, "temporal.log")}
	log, err := os.Create(s.logPath)
	if err != nil {
		return nil, fmt.Errorf("open the log of the Temporal server: %w", err)
	}
	s.command = exec.Command(binary, "server", "start-dev", "--ip", "127.0.0.1",
		"--port", strconv.Itoa(port), "--ui-port", strconv.Itoa(uiPort),
		"--db-filename", filepath.Join(dir, "temporal.db"), "--log-level", "warn")
	s.command.Stdout, s.command.Stderr = log, log
	s.command.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread that started it ends, so this thread stays.
		runtime.LockOSThread()
		defer log.Close()
		err := s.command.Start()
		started <- err
		if err == nil {
			s.err = s.command.Wait()
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the Temporal server: %w", err)
	}
	return s, nil
}

func checkFree(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}

// failure is why the server ended by itself.
func (s *devServer) failure() error {
	return fmt.Errorf("the Temporal server ended (%w): see %s", s.err, s.logPath)
}

// stop asks the server to end and waits for it.
func (s *devServer) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(devServerStop):
		_ = s.command.Process.Kill()
		<-s.exited
	}
}
