// Package temporaltest gives tests a real Temporal server: a development server for each test binary, or the server
// that TEMPORAL_TEST_ADDRESS names; and a namespace of its own for each test.
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
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// AddressVariable names, as host:port, a Temporal server that runs already, such as the one of `make cluster`. Tests
// then use that one. Unset or empty: each test binary starts a development server of its own.
const AddressVariable = "TEMPORAL_TEST_ADDRESS"

// ready bounds the wait for a new namespace. A server of several processes on a busy machine takes its time.
const ready = 150 * time.Second

// Server is the server of a test binary.
type Server struct {
	address string
	client  client.Client
	stop    func() error
}

// Run hands a server over through server, runs the tests, and stops the server where it started it. TestMain calls
// it.
func Run(m *testing.M, server **Server) int {
	s, err := find()
	if err != nil {
		fmt.Fprintln(os.Stderr, "a Temporal server for tests:", err)
		return 1
	}
	defer func() {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the Temporal server for tests:", err)
		}
	}()
	*server = s
	return m.Run()
}

// find takes the server that exists, else starts one.
func find() (*Server, error) {
	if address := os.Getenv(AddressVariable); address != "" {
		return connect(address)
	}
	return start()
}

func connect(address string) (*Server, error) {
	c, err := client.Dial(client.Options{HostPort: address, Logger: quietLogger()})
	if err != nil {
		return nil, fmt.Errorf("%s is %s, where no Temporal answers: %w", AddressVariable, address, err)
	}
	return &Server{address: address, client: c, stop: func() error {
		c.Close()
		return nil
	}}, nil
}

// start starts a development server on a loopback port of its own, with its state in memory.
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
		return nil, fmt.Errorf("start it: %w", err)
	}
	return &Server{address: server.FrontendHostPort(), client: server.Client(), stop: server.Stop}, nil
}

// extraArgs let reconcilers continue as new every few messages, so that tests go through it. With -bench they do not:
// a history that is recorded for replays is to be whole (workflows, TestRecord).
func extraArgs() []string {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); bench != nil && bench.Value.String() != "" {
		return nil
	}
	return []string{"--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"}
}

// Address is the server's host and port.
func (s *Server) Address() string { return s.address }

// Namespace makes a namespace for one test and a client of it, which closes with the test. A server that outlives the
// test binary then deletes the namespace: schedules that nobody waits for would go on to run there.
func (s *Server) Namespace(t testing.TB, options ...func(*client.Options)) (name string, c client.Client) {
	t.Helper()
	name = "test-" + uuid.NewString()
	_, err := s.client.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace:                        name,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		HistoryArchivalState:             enumspb.ARCHIVAL_STATE_DISABLED,
		VisibilityArchivalState:          enumspb.ARCHIVAL_STATE_DISABLED,
	})
	require.NoError(t, err)
	if s.address == os.Getenv(AddressVariable) {
		t.Cleanup(func() { s.delete(t, name) })
	}
	c = s.Client(t, name, options...)
	require.Eventually(t, func() bool { return known(t.Context(), c.WorkflowService(), name) }, ready, 50*time.Millisecond,
		"the server does not know the new namespace %s", name)
	return name, c
}

// delete asks the server to delete a namespace, which it does in its own time.
func (s *Server) delete(t testing.TB, namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.client.OperatorService().DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: namespace})
	if err != nil {
		t.Logf("delete the namespace %s: %v", namespace, err) // it burdens the server, and proves nothing
	}
}

// known asks each part of a server that a call goes through for a new namespace, since each learns of it by itself:
// the history service for a workflow, the matching service for a task queue, and visibility last, since few questions
// to it are allowed a second. The server's workers, which do the schedules, follow up to ten seconds later; until then
// a schedule's first describe waits.
func known(ctx context.Context, service workflowservice.WorkflowServiceClient, namespace string) bool {
	// Two history hosts share the workflows by ID: some IDs ask both.
	for range 4 {
		_, err := service.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
			Namespace: namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: uuid.NewString()},
		})
		if notFound := (*serviceerror.NotFound)(nil); !errors.As(err, &notFound) {
			return false
		}
	}
	_, err := service.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: "any"},
		TaskQueueType: enumspb.TASK_QUEUE_TYPE_WORKFLOW,
	})
	if err != nil {
		return false
	}
	_, err = service.ListSchedules(ctx, &workflowservice.ListSchedulesRequest{Namespace: namespace})
	return err == nil
}

// Client connects to a namespace; the client closes with the test.
func (s *Server) Client(t testing.TB, namespace string, options ...func(*client.Options)) client.Client {
	t.Helper()
	o := client.Options{HostPort: s.Address(), Namespace: namespace, Logger: quietLogger()}
	// Under the race detector gzip takes more time than all else. The processes of the end-to-end tests have it.
	o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	for _, option := range options {
		option(&o)
	}
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(found))
	c, err := client.Dial(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// ListsPaused reports whether Temporal's list, which follows some time after the schedules, shows a paused one.
func (s *Server) ListsPaused(t testing.TB, namespace string) bool {
	t.Helper()
	schedules := s.Client(t, namespace).ScheduleClient()
	paused, err := schedules.List(t.Context(), client.ScheduleListOptions{Query: "TemporalSchedulePaused = true"})
	require.NoError(t, err)
	return paused.HasNext()
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
