package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/config"
)

func newValidate(env Environment) *cobra.Command {
	var path string
	command := &cobra.Command{
		Use:   "validate",
		Short: "Check a project's files, without Temporal",
		Long: "Check a project's files, without Temporal. Each mistake is one line `file:line:column: message`.\n" +
			"Exit code 1 where there is one.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			project, err := config.Load(path)
			if err != nil {
				return err
			}
			return reportValid(env, project)
		},
	}
	command.Flags().StringVar(&path, "project", ".", "project directory, or its compozy.yaml")
	return command
}

func reportValid(env Environment, project *config.Project) error {
	now := time.Now()
	for _, w := range project.Scheduled() {
		for _, warning := range w.Schedule.ZoneWarnings(now, now.AddDate(1, 0, 0)) {
			if _, err := fmt.Fprintf(env.Err, "%s: warning: %s\n", w.File, warning); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(env.Out, "project %s is valid: %s, %s, revision %s\n", project.Name,
		plural(len(project.Workflows), "workflow"), plural(len(project.Scheduled()), "schedule"), config.Short(project.Revision))
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
