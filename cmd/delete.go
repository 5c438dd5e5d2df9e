package cmd

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func newDelete(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "delete ID…",
		Short: "Delete schedules and keep them away until the next reload",
		Long: "Delete schedules in Temporal and keep them away until the next reload brings them back, if the YAML\n" +
			"still has them. Runs that are under way go on. To stop a schedule for a while, pause it instead.",
		Args: cobra.MinimumNArgs(1),
	}
	var flags overrideFlags
	flags.add(command)
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, ids []string) error {
		if err := flags.check(command); err != nil {
			return err
		}
		return c.each(ids, func(id string) error {
			got, err := c.do(ctx, request{method: http.MethodDelete, path: schedulePath(id), query: flags.query()})
			if err != nil {
				return err
			}
			return c.wrote(id, "deleted, "+flags.until(), got)
		})
	})
}
