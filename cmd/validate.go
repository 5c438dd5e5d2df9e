package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/config"
)

func newValidate(env Environment) *cobra.Command {
	var path, output string
	command := &cobra.Command{
		Use:   "validate",
		Short: "Check a project's files, without Temporal",
		Long: "Check a project's files, without Temporal. Each mistake is one line `file:line:column: message`.\n" +
			"Exit code 1 where there is one. With -o json there is one object, valid or not. With -o github the\n" +
			"mistakes are GitHub's workflow commands, which a pull request shows beside the lines that they are about.",
		Args: cobra.NoArgs,
	}
	command.Flags().StringVar(&path, "project", ".", "project directory, or its compozy.yaml")
	command.Flags().StringVarP(&output, "output", "o", "text", "text, json or github")
	completeFlag(command, "output", "text", "json", "github")
	command.RunE = func(*cobra.Command, []string) error {
		write, err := validationWriter(output)
		if err != nil {
			return err
		}
		result, err := validate(path, time.Now())
		if err != nil {
			return err
		}
		return write(env, path, result)
	}
	return command
}

// validation is what `validate` found. The lists are never nil.
type validation struct {
	Valid bool `json:"valid"`
	// Project, Revision and the counts are zero where the project is not valid.
	Project   string            `json:"project"`
	Revision  string            `json:"revision"`
	Workflows int               `json:"workflows"`
	Schedules int               `json:"schedules"`
	Problems  config.Problems   `json:"problems"`
	Warnings  []validateWarning `json:"warnings"`
}

// validateWarning is what may surprise in a valid file, which is relative to the project directory.
type validateWarning struct {
	File    string `json:"file"`
	Message string `json:"message"`
}

// validate checks a project. The error is about anything but the project's files.
func validate(path string, now time.Time) (validation, error) {
	result := validation{Problems: config.Problems{}, Warnings: []validateWarning{}}
	project, err := config.Load(path)
	if errors.As(err, &result.Problems) {
		return result, nil
	}
	if err != nil {
		return result, err
	}
	scheduled := project.Scheduled()
	result.Valid, result.Project, result.Revision = true, project.Name, config.Short(project.Revision)
	result.Workflows, result.Schedules = len(project.Workflows), len(scheduled)
	for _, w := range scheduled {
		for _, text := range w.Schedule.ZoneWarnings(now, now.AddDate(1, 0, 0)) {
			result.Warnings = append(result.Warnings, validateWarning{File: w.File, Message: text})
		}
	}
	return result, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
