package cmd

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api/manager"
)

// runsPage is how many runs a page has at most.
const runsPage = 100

func newRuns(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "runs ID",
		Short: "List the runs of a schedule, newest first",
		Long: "List the runs of a schedule, newest first, for as long as Temporal keeps them. With -o json there is\n" +
			"one document for each 100 runs.",
		Args: cobra.ExactArgs(1),
	}
	var limit int
	command.Flags().IntVar(&limit, "limit", 20, "how many runs at most")
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, args []string) error {
		if limit < 1 {
			return fmt.Errorf("--limit %d: use 1 or more", limit)
		}
		return listRuns(ctx, c, args[0], limit)
	})
}

func listRuns(ctx context.Context, c *apiClient, id string, limit int) error {
	var all []manager.RunInfo
	query := url.Values{}
	for left := limit; left > 0; {
		query.Set("page_size", strconv.Itoa(min(left, runsPage)))
		page, body, err := fetch[manager.RunsResult](ctx, c, schedulePath(id, "runs"), query)
		if err != nil {
			return err
		}
		if c.json {
			if err := c.printJSON(body); err != nil {
				return err
			}
		}
		all = append(all, page.Runs...)
		left -= len(page.Runs)
		if page.NextPageToken == "" || page.NextPageToken == query.Get("page_token") {
			break
		}
		query.Set("page_token", page.NextPageToken)
	}
	if c.json {
		return nil
	}
	return printRuns(c.env, all, time.Now())
}

func printRuns(env Environment, all []manager.RunInfo, now time.Time) error {
	if len(all) == 0 {
		return say(env.Out, "no runs")
	}
	var t table
	t.row(plain, "STATUS", "STARTED", "TOOK", "SCHEDULED FOR", "WORKFLOW ID", "RUN ID")
	for _, run := range all {
		took, scheduled := "", ""
		if run.CloseTime != nil {
			took = run.CloseTime.Sub(run.StartTime).Round(time.Millisecond).String()
		}
		if run.ScheduledTime != nil {
			scheduled = clock(*run.ScheduledTime)
		}
		t.row(runColour(run.Status), run.Status, fmt.Sprintf("%s (%s)", clock(run.StartTime), ago(run.StartTime, now)),
			orDash(took), orDash(scheduled), run.WorkflowID, run.RunID)
	}
	return t.print(env)
}

func runColour(status string) colour {
	switch status {
	case "failed", "timed_out", "terminated":
		return red
	default:
		return plain
	}
}
