package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api/manager"
)

// valueWidth is how much of a field's value a table has room for; -o json has all of it.
const valueWidth = 60

func newGet(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "get ID",
		Short: "Show one schedule as Temporal has it now, and how it differs from the YAML",
		Long: "Show one schedule as Temporal has it now, who overrides it and why, its next runs, and every field in\n" +
			"which it differs from the YAML. Long values are cut; -o json has them in full.",
		Args: cobra.ExactArgs(1),
	}
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, args []string) error {
		info, body, err := fetch[manager.ScheduleInfo](ctx, c, schedulePath(args[0]), nil)
		switch {
		case err != nil:
			return err
		case c.json:
			return c.printJSON(body)
		}
		return printSchedule(c.env, info, time.Now())
	})
}

func printSchedule(env Environment, info manager.ScheduleInfo, now time.Time) error {
	var t table
	row := func(name, value string) {
		if value != "" { // what is not there is not shown
			t.row(plain, name, value)
		}
	}
	row("workflow", info.WorkflowID)
	row("schedule", info.Description)
	if info.Cron != "" {
		row("cron", fmt.Sprintf("%s (%s)", info.Cron, info.Timezone))
	}
	t.row(stateColour(info), "state", string(info.State))
	overrideRows(row, info, now)
	row("in the YAML", yamlWish(info))
	row("in Temporal", info.ScheduleID)
	row("note", info.Note)
	lastRunRows(row, info, now)
	nextRunRows(row, info, now)
	if err := t.print(env); err != nil || len(info.Divergence) == 0 {
		return err
	}
	var d table
	d.row(plain, "DIFFERS IN", "YAML", "TEMPORAL")
	for _, difference := range info.Divergence {
		d.row(yellow, difference.Field, shorten(orDash(difference.YAML), valueWidth), shorten(orDash(difference.Actual), valueWidth))
	}
	if err := say(env.Out, ""); err != nil {
		return err
	}
	return d.print(env)
}

func yamlWish(info manager.ScheduleInfo) string {
	switch {
	case info.YAMLConfig == nil:
		return "no schedule"
	case info.YAMLConfig.IsEnabled():
		return "enabled"
	default:
		return "paused (enabled: false)"
	}
}

func overrideRows(row func(name, value string), info manager.ScheduleInfo, now time.Time) {
	o := info.Override
	if !info.IsOverride || o == nil {
		return
	}
	words := string(o.Action)
	if o.Actor != "" {
		words += " by " + o.Actor
	}
	if o.Since != nil {
		words += fmt.Sprintf(", %s (%s)", clock(*o.Since), ago(*o.Since, now))
	}
	row("override", words)
	row("why", o.Reason)
	until := "the next reload"
	if o.Hold {
		until = "it is reverted; kept over reloads"
	}
	if o.ExpiresAt != nil {
		end := fmt.Sprintf("%s (in %s)", clock(*o.ExpiresAt), roughly(max(0, o.ExpiresAt.Sub(now))))
		if o.Hold {
			until = end + "; kept over reloads"
		} else {
			until = end + ", or the next reload"
		}
	}
	row("until", until)
}

func lastRunRows(row func(name, value string), info manager.ScheduleInfo, now time.Time) {
	if info.LastRunTime == nil {
		row("last run", "none")
		return
	}
	row("last run", fmt.Sprintf("%s (%s) %s", clock(*info.LastRunTime), ago(*info.LastRunTime, now), info.LastRunStatus))
	row("", info.LastRunID)
}

// nextRunRows shows the next runs; of a paused schedule those that it would have.
func nextRunRows(row func(name, value string), info manager.ScheduleInfo, now time.Time) {
	name := "next runs"
	if info.State == manager.StatePaused {
		name = "once resumed"
	}
	if len(info.NextRunTimes) == 0 {
		row(name, "none")
	}
	for _, next := range info.NextRunTimes {
		words := clock(next)
		if next.After(now) {
			words += " (in " + roughly(next.Sub(now)) + ")"
		}
		row(name, words)
		name = ""
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
