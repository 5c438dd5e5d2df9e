package cmd

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api"
)

func newBackfill(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "backfill ID",
		Short: "Start the runs that a window of time should have had",
		Long: "Start, now, the runs that the schedule would have started in a window of time, such as an outage. Both\n" +
			"ends belong to the window. A time is RFC 3339 (2027-03-01T09:00:00Z) or a date, which is its midnight in\n" +
			"your time zone. Runs that were started in the window before are started again.",
		Example: "  schedules backfill daily-report --from 2027-03-01T00:00:00Z --to 2027-03-02T00:00:00Z",
		Args:    cobra.ExactArgs(1),
	}
	var from, to, reason, overlap string
	command.Flags().StringVar(&from, "from", "", "start of the window")
	command.Flags().StringVar(&to, "to", "", "end of the window")
	addReason(command, &reason, "why, for people: it stands in the API's log")
	addOverlap(command, &overlap, "buffer_all: one run after the other")
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, args []string) error {
		start, err := parseTime("from", from)
		if err != nil {
			return err
		}
		end, err := parseTime("to", to)
		if err != nil {
			return err
		}
		if !start.Before(end) {
			return fmt.Errorf("--from %s is not before --to %s", from, to)
		}
		body := api.BackfillBody{StartAt: start, EndAt: end, OverlapPolicy: given(api.OverlapPolicy(overlap)), Reason: given(reason)}
		got, err := c.do(ctx, request{method: http.MethodPost, path: schedulePath(args[0], "backfill"), body: body})
		if err != nil {
			return err
		}
		done := fmt.Sprintf("the runs from %s to %s are being started; `schedules runs %s` shows them",
			start.Format(time.RFC3339), end.Format(time.RFC3339), args[0])
		return c.wrote(args[0], done, got)
	})
}

// parseTime reads RFC 3339, or a date as its midnight in the local zone.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("--%s is missing: write a time such as 2027-03-01T09:00:00Z, or a date", flag)
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, time.Local)
	if err != nil {
		return time.Time{}, fmt.Errorf("--%s %q: write a time such as 2027-03-01T09:00:00Z, or a date such as 2027-03-01", flag, text)
	}
	return t, nil
}
