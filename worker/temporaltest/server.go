// Package temporaltest gives tests a real Temporal development server: one for each test binary, and a
// namespace of its own for each test.
package temporaltest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Server is a development server on a loopback port of its own, with its state in memory.
type Server struct {
	server *testsuite.DevServer
}

// Run starts a server, hands it over through server, runs the tests and stops it. TestMain calls it.
func Run(m *testing.M, server **Server) int {
	s, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the Temporal server for tests:", err)
		return 1
	}
	defer s.stop()
	*server = s
	return m.Run()
}

func start() (*Server, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	server, err := testsuite.StartDevServer(context.Background(), testsuite.DevServerOptions{
		ExistingPath: binary,
		LogLevel:     "error",
		ExtraArgs:    extraArgs(),
		ClientOptions: &client.Options{
			Logger: quietLogger(),
		},
	})
	if err != nil {
		return nil, err
	}
	return &Server{server: server}, nil
}

// extraArgs let reconcilers continue as new every few messages, so that tests go through it. Benchmarks
// measure the server's own rate of that.
func extraArgs() []string {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); bench != nil && bench.Value.String() != "" {
		return nil
	}
	return []string{"--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"}
}

func (s *Server) stop() {
	if err := s.server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the Temporal server for tests:", err)
	}
}

// Address is the server's host and port.
func (s *Server) Address() string { return s.server.FrontendHostPort() }

// Namespace makes a namespace for one test and a client of it, which closes with the test.
func (s *Server) Namespace(t testing.TB, options ...func(*client.Options)) (name string, c client.Client) {
	t.Helper()
	name = "test-" + uuid.NewString()
	_, err := s.server.Client().WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		HistoryArchivalState:             enumspb.ARCHIVAL_STATE_DISABLED,
		VisibilityArchivalState:          enumspb.ARCHIVAL_STATE_DISABLED,
	})
	require.NoError(t, err)
	c = s.Client(t, name, options...)
	// A new namespace takes a moment until every part of the server knows it.
	require.Eventually(t, func() bool {
		_, err := c.WorkflowService().ListSchedules(t.Context(), &workflowservice.ListSchedulesRequest{Namespace: name})
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	return name, c
}

// Client connects to a namespace; the client closes with the test.
func (s *Server) Client(t testing.TB, namespace string, options ...func(*client.Options)) client.Client {
	t.Helper()
	o := client.Options{HostPort: s.Address(), Namespace: namespace, Logger: quietLogger()}
	for _, option := range options {
		option(&o)
	}
	c, err := client.Dial(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func quietLogger() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// Binary is the Temporal CLI: on PATH, else the one that `make` built into bin/.
func Binary() (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "temporal")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no `temporal` on PATH and none in bin/: run `make test`, or `make bin/temporal` once")
	}
	return path, nil
}

// Root is the repository's directory.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
