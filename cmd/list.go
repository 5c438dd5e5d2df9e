package cmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
)

const (
	// staleAfter is the age from which on a list says how old it is.
	staleAfter = 10 * time.Second
	// overrideWidth is how much of an override's words a list has room for.
	overrideWidth = 80
)

func newList(env Environment) *cobra.Command {
	var status string
	command := &cobra.Command{
		Use:   "list",
		Short: "List the schedules: when they run, and who overrides them",
		Long: "List the schedules: when they run, and who overrides them. Times are in your time zone. With\n" +
			"-o json there is one document for each 1,000 schedules.",
		Example: "  schedules list --status override",
		Args:    cobra.NoArgs,
	}
	states := []string{
		string(manager.StateActive), string(manager.StatePaused), "override", string(manager.StateDeleted),
		string(manager.StateMissing), string(manager.StateEnded), string(manager.StateConflict),
	}
	command.Flags().StringVar(&status, "status", "", "only the schedules that are: "+strings.Join(states, ", "))
	completeFlag(command, "status", states...)
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, _ []string) error {
		return listSchedules(ctx, c, status)
	})
}

func listSchedules(ctx context.Context, c *apiClient, status string) error {
	var all []manager.ScheduleInfo
	var oldest time.Time
	err := c.pages(ctx, status, func(page manager.ListResult, body []byte) error {
		if c.json {
			return c.printJSON(body)
		}
		all = append(all, page.Schedules...)
		if oldest.IsZero() || page.ObservedAt.Before(oldest) {
			oldest = page.ObservedAt
		}
		return nil
	})
	if err != nil || c.json {
		return err
	}
	now := time.Now()
	if err := printSchedules(c.env, all, now); err != nil {
		return err
	}
	if now.Sub(oldest) > staleAfter {
		return say(c.env.Out, "\nas of %s (%s): Temporal's list has not been read since", clock(oldest), ago(oldest, now))
	}
	return nil
}

func printSchedules(env Environment, all []manager.ScheduleInfo, now time.Time) error {
	if len(all) == 0 {
		return say(env.Out, "no schedules")
	}
	var t table
	t.row(plain, "WORKFLOW", "SCHEDULE", "STATE", "NEXT RUN", "LAST RUN", "OVERRIDE")
	for _, info := range all {
		t.row(stateColour(info), info.WorkflowID, info.Description, string(info.State), nextRunOf(info, now), lastRunOf(info, now),
			shorten(overrideWords(info), overrideWidth))
	}
	return t.print(env)
}

func stateColour(info manager.ScheduleInfo) colour {
	switch {
	case info.State == manager.StateConflict || info.State == manager.StateMissing:
		return red
	case info.IsOverride:
		return yellow
	default:
		return plain
	}
}

func nextRunOf(info manager.ScheduleInfo, now time.Time) string {
	var entry activities.Listed
	if info.NextRunTime != nil {
		entry.NextRuns = []time.Time{*info.NextRunTime}
	}
	return nextRun(entry, now)
}

func lastRunOf(info manager.ScheduleInfo, now time.Time) string {
	if info.LastRunTime == nil {
		return "none"
	}
	return strings.TrimSpace(info.LastRunStatus + " " + ago(*info.LastRunTime, now))
}

// overrideWords says who changed a schedule at run time, until when, and why. Empty where nobody did.
func overrideWords(info manager.ScheduleInfo) string {
	o := info.Override
	switch {
	case !info.IsOverride:
		return ""
	case o == nil:
		return "yes"
	}
	words := string(o.Action)
	if o.Actor != "" {
		words += " by " + o.Actor
	}
	if o.ExpiresAt != nil {
		words += " until " + clock(*o.ExpiresAt)
	}
	if o.Hold {
		words += ", kept over reloads"
	}
	if o.Reason != "" {
		words += ": " + o.Reason
	}
	return words
}
