package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// statusTimeout bounds the query: a workflow without a worker never answers.
const statusTimeout = 10 * time.Second

// watchEvery is the pause between two looks of a watch.
const watchEvery = 2 * time.Second

// statusOptions are the flags of status.
type statusOptions struct {
	path, output string
	watch        bool
}

func newStatus(env Environment) *cobra.Command {
	var options statusOptions
	command := &cobra.Command{
		Use:   "status",
		Short: "Ask the reconciler whether the project is in sync",
		Long: "Ask the reconciler whether the project is in sync, what is not and why, and what to do.\n" +
			"It asks Temporal itself, so it works where the API is away. With --watch it looks every two seconds until\n" +
			"it is stopped; off a terminal it prints only what changed.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			asJSON, err := isJSON(options.output)
			if err != nil {
				return err
			}
			name, err := config.LoadName(options.path)
			if err != nil {
				return err
			}
			return showStatus(command.Context(), env, name, asJSON, options.watch)
		},
	}
	command.Flags().StringVar(&options.path, "project", ".", "project directory, or its compozy.yaml")
	addOutputFlag(command, &options.output)
	command.Flags().BoolVarP(&options.watch, "watch", "w", false, "look again every two seconds")
	return command
}

func showStatus(ctx context.Context, env Environment, project string, asJSON, watch bool) error {
	c, _, err := dialTemporal(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	ask := func(ctx context.Context) (workflows.Status, error) {
		ctx, cancel := context.WithTimeout(ctx, statusTimeout)
		defer cancel()
		return askStatus(ctx, c, project)
	}
	if watch {
		return watchStatus(ctx, env, ask, asJSON)
	}
	status, err := ask(ctx)
	if err != nil {
		return err
	}
	return writeStatus(env, status, asJSON)
}

func writeStatus(env Environment, status workflows.Status, asJSON bool) error {
	if asJSON {
		return printJSON(env.Out, status)
	}
	return printStatus(env, status)
}

// watchStatus shows the status again and again, on a terminal in one place, until ctx ends. A reconciler that
// does not answer is shown as such.
func watchStatus(
	ctx context.Context, env Environment, ask func(context.Context) (workflows.Status, error), asJSON bool,
) error {
	shown := ""
	for {
		var screen bytes.Buffer
		page := env
		page.Out = &screen
		page.Coloured = hasColours(env)
		status, err := ask(ctx)
		if err == nil {
			err = writeStatus(page, status, asJSON)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintln(&screen, err)
		}
		if text := screen.String(); text != shown || page.Coloured {
			shown = text
			if page.Coloured {
				text = clearScreen + text + "\n" + time.Now().Format(time.TimeOnly) + "  Ctrl-C ends\n"
			}
			if _, err := io.WriteString(env.Out, text); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// clearScreen clears a terminal and goes to its first line.
const clearScreen = "\x1b[H\x1b[2J\x1b[3J"

// Why a reconciler tells nothing.
var (
	errNoReconciler = errors.New("has no reconciler: start `schedules serve` for it")
	errNoAnswer     = errors.New("has a reconciler that did not answer in time: no worker is running; start `schedules serve`")
)

// askStatus sends the status query and explains the ways in which it fails.
func askStatus(ctx context.Context, c client.Client, project string) (workflows.Status, error) {
	var status workflows.Status
	value, err := activities.Query(ctx, c, workflows.ReconcilerID(project), workflows.QueryStatus)
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		return status, fmt.Errorf("project %s %w", project, errNoReconciler)
	case errors.Is(err, context.DeadlineExceeded), isUnanswered(err):
		return status, fmt.Errorf("project %s %w", project, errNoAnswer)
	case err != nil:
		return status, fmt.Errorf("ask the reconciler of project %s: %w", project, err)
	}
	if err := value.Get(&status); err != nil {
		return status, fmt.Errorf("read the status of project %s: %w", project, err)
	}
	return status, nil
}

// isUnanswered reports whether a query found no worker. Temporal waits for one, or says that it has seen
// none lately.
func isUnanswered(err error) bool {
	var deadline *serviceerror.DeadlineExceeded
	var precondition *serviceerror.FailedPrecondition
	return errors.As(err, &deadline) || errors.As(err, &precondition)
}
