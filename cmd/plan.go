package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// planTimeout bounds all that a plan asks of Temporal.
	planTimeout = 10 * time.Minute
	// planRPS limits a plan's calls of Temporal, beside a reconciler that is working.
	planRPS = 100
	// overridesPage is how many overrides are asked for at a time.
	overridesPage = 1000
	// plannedRuns is how many next runs a plan shows of what changes.
	plannedRuns = 3
)

// planOptions are the flags of plan.
type planOptions struct {
	path, output string
	force        bool
	generation   int64
	exitCode     bool
}

func newPlan(env Environment) *cobra.Command {
	var options planOptions
	command := &cobra.Command{
		Use:   "plan",
		Short: "Show what a reload would change, without changing it",
		Long: "Show what a reload of these files would change, without changing it: the schedules that it would create,\n" +
			"update, adopt and delete, field by field, and the overrides that it would revert. It asks Temporal itself,\n" +
			"from any machine that reaches it, by the same rules as the reconciler.\n" +
			"With --detailed-exitcode it ends with 0 where nothing would change, 2 where something would, 1 on failure.",
		Example: "  schedules plan --project examples/quickstart",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			asJSON, err := isJSON(options.output)
			if err != nil {
				return err
			}
			return plan(command.Context(), env, options, asJSON)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.path, "project", ".", "project directory, or its compozy.yaml")
	addOutputFlag(command, &options.output)
	flags.BoolVar(&options.force, "force", false, "show what a forced reload would change")
	flags.Int64Var(&options.generation, "generation", 0, "order of the deploy that is planned, as for serve")
	flags.BoolVar(&options.exitCode, "detailed-exitcode", false, "end with exit code 2 where something would change")
	return command
}

func plan(ctx context.Context, env Environment, options planOptions, asJSON bool) error {
	project, err := config.Load(options.path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	c, namespace, err := dialTemporal(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	report, err := makePlan(ctx, c, namespace, project, options)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(env.Out, report)
	} else {
		err = report.print(env)
	}
	if err == nil && options.exitCode && report.changes() {
		return exitError(exitChanges)
	}
	return err
}

// makePlan asks Temporal and the reconciler, and plans.
func makePlan(
	ctx context.Context, c client.Client, namespace string, project *config.Project, options planOptions,
) (*planReport, error) {
	server := activities.NewServer(c.WorkflowService(), namespace, "schedules plan", rate.NewLimiter(planRPS, 10))
	planner, err := activities.New(server, project)
	if err != nil {
		return nil, err
	}
	known, err := askReconciler(ctx, c, project.Name)
	if err != nil {
		return nil, err
	}
	revision := config.Short(project.Revision)
	kind := known.status.NextKind(revision, options.force)
	kept, reverted := known.overridesAfter(revision, options.force)
	request := activities.Request{
		Project: project.Name, Kind: kind, Overrides: kept, Now: time.Now(),
		Correct: options.force || known.status.Options.Drift == config.DriftCorrect,
	}
	request.Suspects = known.suspects(project, request)
	preview, err := planner.Preview(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("plan project %s: %w", project.Name, err)
	}
	return newPlanReport(project, known, preview, kind, reverted, options), nil
}

// known is what the reconciler says. The zero value is one that does not exist or does not answer.
type known struct {
	status    workflows.Status
	overrides []workflows.ActiveOverride
	// missing says why nothing is known.
	missing string
}

// askReconciler asks for the status and the overrides. A reconciler that is not there, or that no worker
// runs, is no failure: the first pass would start from nothing.
func askReconciler(ctx context.Context, c client.Client, project string) (known, error) {
	askCtx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := askStatus(askCtx, c, project)
	if errors.Is(err, errNoReconciler) || errors.Is(err, errNoAnswer) {
		return known{missing: err.Error()}, nil
	}
	if err != nil {
		return known{}, err
	}
	k := known{status: status}
	k.overrides, err = workflows.AllOverrides(overridesPage, func(query workflows.OverridesQuery) (workflows.OverridesPage, error) {
		var page workflows.OverridesPage
		value, err := activities.Query(askCtx, c, workflows.ReconcilerID(project), workflows.QueryOverrides, query)
		if err == nil {
			err = value.Get(&page)
		}
		return page, err
	})
	if err != nil {
		return known{}, fmt.Errorf("ask the reconciler of project %s for its overrides: %w", project, err)
	}
	return k, nil
}

// overridesAfter tells the overrides that a reload keeps from those that it reverts.
func (k known) overridesAfter(revision string, force bool) (
	kept map[string]activities.OverrideAction, reverted []workflows.ActiveOverride,
) {
	kept = map[string]activities.OverrideAction{}
	for _, o := range k.overrides {
		if k.status.Ends(o, revision, force) {
			reverted = append(reverted, o)
		} else {
			kept[o.WorkflowID] = o.Action
		}
	}
	return kept, reverted
}

// suspects are the workflow ids to describe whatever the list shows: those that the reconciler found changed
// by hand. All, where hand edits are put back by the pass and the audit that follows it, since a list does not
// show each of them, and where a pass has just written what the list may not show yet.
func (k known) suspects(project *config.Project, request activities.Request) []string {
	var ids []string
	last := k.status.LastPass
	wrote := last != nil && last.Created+last.Updated+last.Deleted > 0 && request.Now.Sub(last.FinishedAt) < workflows.ListLag
	if wrote || request.Correct && request.Kind != activities.PassResync {
		for _, w := range project.Scheduled() {
			ids = append(ids, w.ID)
		}
		return ids
	}
	for _, p := range k.status.Problems {
		if p.Kind == activities.ProblemDrift {
			ids = append(ids, p.WorkflowID)
		}
	}
	return ids
}
