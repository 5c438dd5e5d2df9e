package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// statusTimeout bounds the query: a workflow without a worker never answers.
const statusTimeout = 10 * time.Second

func newStatus(env Environment) *cobra.Command {
	var path, output string
	command := &cobra.Command{
		Use:   "status",
		Short: "Ask the reconciler whether the project is in sync",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("unknown output %q: use text or json", output)
			}
			name, err := config.LoadName(path)
			if err != nil {
				return err
			}
			status, err := queryStatus(command.Context(), env, name)
			if err != nil {
				return err
			}
			if output == "json" {
				encoder := json.NewEncoder(env.Out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(status)
			}
			return printStatus(env.Out, status)
		},
	}
	command.Flags().StringVar(&path, "project", ".", "project directory, or its compozy.yaml")
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

func queryStatus(ctx context.Context, env Environment, project string) (workflows.Status, error) {
	options, err := temporalOptions(env, slog.New(slog.DiscardHandler))
	if err != nil {
		return workflows.Status{}, err
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return workflows.Status{}, fmt.Errorf("connect to Temporal at %s: %w; is it running? TEMPORAL_ADDRESS names another",
			options.HostPort, err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return askStatus(ctx, c, project)
}

// askStatus sends the status query and explains the ways in which it fails.
func askStatus(ctx context.Context, c client.Client, project string) (workflows.Status, error) {
	var status workflows.Status
	value, err := c.QueryWorkflow(ctx, workflows.ReconcilerID(project), "", workflows.QueryStatus)
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		return status, fmt.Errorf("project %s has no reconciler: start `schedules serve` for it", project)
	case errors.Is(err, context.DeadlineExceeded) || isDeadline(err):
		return status, fmt.Errorf("the reconciler of project %s did not answer in time: "+
			"no worker is running; start `schedules serve`", project)
	case err != nil:
		return status, fmt.Errorf("ask the reconciler of project %s: %w", project, err)
	}
	if err := value.Get(&status); err != nil {
		return status, fmt.Errorf("read the status of project %s: %w", project, err)
	}
	return status, nil
}

func isDeadline(err error) bool {
	var deadline *serviceerror.DeadlineExceeded
	return errors.As(err, &deadline)
}

func printStatus(out io.Writer, s workflows.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	row("project", "%s", s.Project)
	row("state", "%s", phaseWords(s.Phase))
	if s.Message != "" {
		row("", "%s", s.Message)
	}
	row("revision", "%s", s.Revision)
	if s.Applied != s.Revision {
		row("applied", "%s", s.Applied)
	}
	row("schedules", "%d in the YAML, %d found in Temporal, %d paused, %d ended",
		s.Counts.Desired, s.Counts.Owned, s.Counts.Paused, s.Counts.Ended)
	if p := s.LastPass; p != nil {
		row("last pass", "%s, ended %s: %d created, %d updated, %d deleted", p.Kind,
			p.FinishedAt.Local().Format(time.DateTime), p.Created, p.Updated, p.Deleted)
	}
	if s.Refused != nil {
		row("refused reload", "%s (%s)", s.Refused.Message, s.Refused.At.Local().Format(time.DateTime))
	}
	for _, p := range s.Problems {
		row("problem", "%s: %s: %s", p.WorkflowID, p.Kind, p.Message)
	}
	if more := s.ProblemCount - len(s.Problems); more > 0 {
		row("", "and %d more problems", more)
	}
	return w.Flush()
}

// phaseWords are a phase as people say it.
func phaseWords(p workflows.Phase) string {
	switch p {
	case workflows.PhaseInSync:
		return "in sync"
	case workflows.PhaseOutOfSync:
		return "out of sync"
	case workflows.PhaseNoWorker:
		return "no worker for the revision"
	case workflows.PhaseBlocked:
		return "blocked by the prune guard"
	default:
		return string(p)
	}
}
