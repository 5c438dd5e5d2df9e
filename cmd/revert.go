package cmd

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func newRevert(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "revert ID…",
		Short: "End overrides: back to what the YAML says, now",
		Long: "End overrides: back to what the YAML says, now, instead of at the next reload. That resumes what was\n" +
			"paused, pauses what was resumed, and brings back what was deleted, also a pause that someone made in\n" +
			"the Temporal UI.",
		Args: cobra.MinimumNArgs(1),
	}
	var flags overrideFlags
	addReason(command, &flags.reason, "why, for people: it stands in the API's log")
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, ids []string) error {
		return c.each(ids, func(id string) error {
			got, err := c.do(ctx, request{method: http.MethodDelete, path: schedulePath(id, "override"), query: flags.query()})
			if err != nil {
				return err
			}
			return c.wrote(id, "as the YAML says again", got)
		})
	})
}
