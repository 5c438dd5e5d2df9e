package cmd

import (
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/config"
)

// standIn is the worker that plays the user's own in `dev`: it accepts any workflow type on the
// project's task queues, so that scheduled runs complete before there is any code.
type standIn struct {
	client  client.Client
	mu      sync.Mutex
	workers map[string]sdkworker.Worker
}

func newStandIn(c client.Client) *standIn {
	return &standIn{client: c, workers: map[string]sdkworker.Worker{}}
}

// serve polls the task queues of the project's scheduled workflows, and those it polled before.
func (s *standIn) serve(project *config.Project) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range project.Scheduled() {
		queue := w.Start.TaskQueue
		if s.workers[queue] != nil {
			continue
		}
		worker := sdkworker.New(s.client, queue, sdkworker.Options{DisableRegistrationAliasing: true})
		worker.RegisterDynamicWorkflow(standInWorkflow, workflow.DynamicRegisterOptions{})
		if err := worker.Start(); err != nil {
			return fmt.Errorf("start the stand-in worker of queue %s: %w", queue, err)
		}
		s.workers[queue] = worker
	}
	return nil
}

func (s *standIn) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, worker := range s.workers {
		worker.Stop()
	}
}

// standInResult is what a stand-in run answers.
type standInResult struct {
	Message string `json:"message"`
	Input   any    `json:"input,omitempty"`
}

func standInWorkflow(ctx workflow.Context, args converter.EncodedValues) (standInResult, error) {
	var input any
	if args.HasValues() {
		if err := args.Get(&input); err != nil {
			return standInResult{}, err
		}
	}
	if err := workflow.Sleep(ctx, 100*time.Millisecond); err != nil {
		return standInResult{}, err
	}
	return standInResult{
		Message: fmt.Sprintf("the stand-in of `schedules dev` ran %s; your own worker would do the work",
			workflow.GetInfo(ctx).WorkflowType.Name),
		Input: input,
	}, nil
}
