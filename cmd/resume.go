package cmd

import "github.com/spf13/cobra"

func newResume(env Environment) *cobra.Command {
	return newUpdate(env, true, &cobra.Command{
		Use:   "resume ID…",
		Short: "Resume schedules",
		Long: "Resume schedules. That ends a pause; where the YAML itself says `enabled: false`, it is an override\n" +
			"until the next reload, or for as long as you say.",
		Example: "  schedules resume daily-report",
		Args:    cobra.MinimumNArgs(1),
	})
}
