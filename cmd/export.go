package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

const (
	// exportRate is how many calls a second an export makes: it must not take Temporal's time from runs.
	exportRate = 50
	// exportCallers is how many of them are under way at a time.
	exportCallers = 10
)

// toStdout is the directory that stands for no directory.
const toStdout = "-"

type exportOptions struct {
	query, dir, output string
	ids                []string
	force              bool
}

func newExport(env Environment) *cobra.Command {
	var o exportOptions
	command := &cobra.Command{
		Use:   "export",
		Short: "Write the schedules that no project owns as workflow files",
		Long: "Write the schedules of a namespace that no project owns as workflow files, each ready to be adopted\n" +
			"by the project that it is put into. What a file cannot say is printed as `schedule ID: what`, and stands\n" +
			"at the file's top; such a file does not adopt the schedule until you say so in it. A schedule whose\n" +
			"times no cron says is named and gets no file. Nothing in Temporal changes.",
		Example: "  schedules export --dir ./workflows\n" +
			"  schedules export --query \"ScheduleId STARTS_WITH 'billing-'\" --dir -",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runExport(command.Context(), env, o)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.query, "query", "", "visibility query for the schedules (default all of the namespace)")
	flags.StringArrayVar(&o.ids, "schedule-id", nil, "only the schedule of this ID; give it again for more")
	flags.StringVar(&o.dir, "dir", "workflows", "directory for the files; - prints them")
	addOutputFlag(command, &o.output)
	flags.BoolVar(&o.force, "force", false, "overwrite files that exist")
	return command
}

func (o exportOptions) check() error {
	if _, err := isJSON(o.output); err != nil {
		return err
	}
	switch {
	case o.query != "" && len(o.ids) > 0:
		return errors.New("--query and --schedule-id do not go together: use one of them")
	case o.dir == "":
		return errors.New("--dir is empty: name a directory, or - to print the files")
	}
	return nil
}

func runExport(ctx context.Context, env Environment, o exportOptions) error {
	c, namespace, err := dialTemporal(ctx, env)
	if err != nil {
		return err
	}
	defer c.Close()
	server := activities.NewServer(c.WorkflowService(), namespace, "schedules-export", rate.NewLimiter(exportRate, exportCallers))
	result, err := readExport(ctx, server, o)
	if err != nil {
		return err
	}
	if o.dir != toStdout {
		if err := writeFiles(result.Exported, o.force); err != nil {
			return err
		}
	}
	return result.print(env, o)
}

// readExport describes the schedules and makes the files' texts. Nothing is written yet.
func readExport(ctx context.Context, server *activities.Server, o exportOptions) (exportResult, error) {
	result := exportResult{Exported: []exportedFile{}, NotExported: []notExported{}}
	ids := o.ids
	if len(ids) == 0 {
		var err error
		if ids, result.Owned, err = server.Unowned(ctx, o.query); err != nil {
			return result, err
		}
	}
	details, err := describeAll(ctx, server, ids)
	if err != nil {
		return result, err
	}
	for i, detail := range details {
		switch {
		case !detail.Missing && !detail.Owner.None():
			result.Owned++
			if len(o.ids) > 0 {
				result.refuse(ids[i], "project "+detail.Owner.Project+" owns it")
			}
		case !detail.Missing:
			result.add(activities.Export(ids[i], detail.Schedule), o.dir)
		case len(o.ids) > 0:
			return result, fmt.Errorf("there is no schedule %s in the namespace: correct --schedule-id or TEMPORAL_NAMESPACE", ids[i])
		}
	}
	err = result.checkIDs()
	return result, err
}

// describeAll returns the details in the order of the ids. The first that fails ends all.
func describeAll(ctx context.Context, server *activities.Server, ids []string) ([]activities.Detail, error) {
	details := make([]activities.Detail, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(exportCallers)
	for i, id := range ids {
		group.Go(func() (err error) {
			details[i], err = server.Describe(ctx, id)
			return err
		})
	}
	return details, group.Wait()
}

// add makes the text of a schedule's file, or says why there is none.
func (r *exportResult) add(e activities.Exported, dir string) {
	if len(e.Obstacles) > 0 {
		r.refuse(e.ScheduleID, e.Obstacles...)
		return
	}
	text, err := config.WriteWorkflow(e.Workflow, e.Header())
	if err != nil {
		r.refuse(e.ScheduleID, strings.Split(err.Error(), "\n")...)
		return
	}
	r.Exported = append(r.Exported, exportedFile{
		ScheduleID: e.ScheduleID, WorkflowID: e.Workflow.ID, Adopt: e.Workflow.Schedule.Adopt,
		Losses: append([]string{}, e.Losses...), path: filePath(dir, e.Workflow.ID), text: text,
	})
}
