package cmd

import "fmt"

// validationWriter returns what prints a validation of the project at path. It returns an exitError, or
// the problems themselves, where the project is not valid.
func validationWriter(output string) (func(env Environment, path string, result validation) error, error) {
	switch output {
	case "text":
		return writeValidationText, nil
	case "json":
		return writeValidationJSON, nil
	case "github":
		return writeValidationGitHub, nil
	}
	return nil, fmt.Errorf("unknown output %q: use text, json or github", output)
}

func writeValidationText(env Environment, _ string, result validation) error {
	if !result.Valid {
		return result.Problems
	}
	for _, w := range result.Warnings {
		fmt.Fprintf(env.Err, "%s: warning: %s\n", w.File, w.Message)
	}
	return say(env.Out, "%s", result.summary())
}

func writeValidationJSON(env Environment, _ string, result validation) error {
	if err := printJSON(env.Out, result); err != nil {
		return err
	}
	return result.verdict()
}

// summary is the validation in one line.
func (v validation) summary() string {
	if !v.Valid {
		return "the project is not valid: " + plural(len(v.Problems), "problem")
	}
	return fmt.Sprintf("project %s is valid: %s, %s, revision %s",
		v.Project, plural(v.Workflows, "workflow"), plural(v.Schedules, "schedule"), v.Revision)
}

// verdict is an exitError where the project is not valid.
func (v validation) verdict() error {
	if !v.Valid {
		return exitError(exitFailed)
	}
	return nil
}
