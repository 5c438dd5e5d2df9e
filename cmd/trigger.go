package cmd

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

func newTrigger(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "trigger ID",
		Short: "Start a run now",
		Long: "Start a run now, also of a paused schedule. While another run is under way the overlap policy decides:\n" +
			"the schedule's own, or the one that you give. With `skip`, which is the default, there is no new run then.",
		Args: cobra.ExactArgs(1),
	}
	var reason, overlap string
	addReason(command, &reason, "why, for people: it stands in the API's log")
	addOverlap(command, &overlap, "the schedule's own")
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, args []string) error {
		body := api.TriggerBody{OverlapPolicy: given(api.OverlapPolicy(overlap)), Reason: given(reason)}
		got, err := c.do(ctx, request{method: http.MethodPost, path: schedulePath(args[0], "trigger"), body: body})
		if err != nil {
			return err
		}
		return c.wrote(args[0], "triggered; `schedules runs "+args[0]+"` shows the run", got)
	})
}

func addOverlap(command *cobra.Command, overlap *string, otherwise string) {
	command.Flags().StringVar(overlap, "overlap-policy", "", "what happens while another run is under way (default "+otherwise+")")
	policies := make([]string, 0, len(config.OverlapPolicies()))
	for _, policy := range config.OverlapPolicies() {
		policies = append(policies, string(policy))
	}
	completeFlag(command, "overlap-policy", policies...)
}
