package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
)

// renameRPS limits the calls of a renaming.
const renameRPS = 200

// renameOptions are the flags of rename-project.
type renameOptions struct {
	from, to, output string
	dryRun           bool
}

func newRenameProject(env Environment) *cobra.Command {
	var options renameOptions
	command := &cobra.Command{
		Use:   "rename-project",
		Short: "Move a project's schedules to its new name",
		Long: "Move a project's schedules to its new name, since their IDs hold it. Each old schedule ends at a moment\n" +
			"between two runs, at which its new one begins: no run is missed, none is doubled. Pauses and overrides go\n" +
			"over; the old reconciler is retired, the new one waits until the end. Run it before, or while, the project\n" +
			"is deployed with its new name in compozy.yaml. It can be stopped and run again at any time.",
		Example: "  schedules rename-project --from reports --to finance-reports --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.check(); err != nil {
				return err
			}
			return renameProject(command.Context(), env, options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.from, "from", "", "the project's former name (required)")
	flags.StringVar(&options.to, "to", "", "its new name (required)")
	flags.BoolVar(&options.dryRun, "dry-run", false, "show what would be moved, as text or JSON (-o), and change nothing")
	addOutputFlag(command, &options.output)
	return command
}

func (o renameOptions) check() error {
	if o.from == "" || o.to == "" {
		return errors.New("name both projects: --from OLD --to NEW")
	}
	for _, name := range []string{o.from, o.to} {
		if err := config.ValidateProjectName(name); err != nil {
			return err
		}
	}
	if o.from == o.to {
		return fmt.Errorf("--from and --to are both %q: name two projects", o.from)
	}
	_, err := isJSON(o.output)
	return err
}

func renameProject(ctx context.Context, env Environment, options renameOptions) error {
	c, namespace, err := dialTemporal(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	shown := &progress{env: env}
	renaming := worker.Renaming{
		Client: c, From: options.from, To: options.to, Logger: slog.New(slog.DiscardHandler),
		Server:   activities.NewServer(c.WorkflowService(), namespace, "schedules rename-project", rate.NewLimiter(renameRPS, 10)),
		Progress: func(p worker.RenameProgress) { shown.set(renameWords(p, time.Now())) },
	}
	if options.dryRun {
		plan, err := renaming.Plan(ctx)
		if err != nil {
			return err
		}
		return printRenamePlan(env, options, plan)
	}
	end := shown.begin("telling the reconcilers")
	err = renaming.Run(ctx)
	end()
	if err != nil {
		return fmt.Errorf("rename project %s to %s: %w", options.from, options.to, err)
	}
	return say(env.Out, "project %s is now %s.\nSet `name: %s` in compozy.yaml and deploy it, if that is not done. "+
		"When no process serves the old name any more:\n  temporal workflow terminate --workflow-id %s",
		options.from, options.to, options.to, "schedule-reconciler-"+options.from)
}

// renameWords says how far a renaming is.
func renameWords(p worker.RenameProgress, now time.Time) string {
	text := fmt.Sprintf("%d of %s moved", p.Done, plural(p.Total, "schedule"))
	if wait := p.WaitUntil.Sub(now).Round(time.Second); !p.WaitUntil.IsZero() && wait > 0 {
		text += fmt.Sprintf(", the next step in %s", wait)
	}
	return text
}

func printRenamePlan(env Environment, options renameOptions, plan worker.RenamePlan) error {
	if options.output == "json" {
		return printJSON(env.Out, plan)
	}
	var t table
	for _, move := range plan.Moves {
		to := move.NewID
		if move.NewID == move.OldID {
			to = "keeps its ID, changes its owner"
		}
		t.row(plain, move.OldID, "→", to)
	}
	if err := t.print(env); err != nil {
		return err
	}
	text := fmt.Sprintf("%s to move from project %s to %s, %s to carry over", plural(len(plan.Moves), "schedule"),
		options.from, options.to, plural(len(plan.Overrides), "override"))
	if plan.Unanswered {
		text += fmt.Sprintf("; the reconciler of %s does not answer now, its overrides go over all the same", options.from)
	}
	return say(env.Out, "%s", text)
}
