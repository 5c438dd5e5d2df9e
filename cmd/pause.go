package cmd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
)

func newPause(env Environment) *cobra.Command {
	return newUpdate(env, false, &cobra.Command{
		Use:   "pause ID…",
		Short: "Pause schedules until the next reload",
		Long: "Pause schedules until the next reload, or for as long as you say. Runs that are under way go on.\n" +
			"Runs that become due meanwhile are not made up for: see `schedules backfill`.",
		Example: "  schedules pause daily-report --reason 'the warehouse is being moved' --expires-in 4h",
		Args:    cobra.MinimumNArgs(1),
	})
}

// newUpdate is pause, or resume where enabled is true.
func newUpdate(env Environment, enabled bool, command *cobra.Command) *cobra.Command {
	var flags overrideFlags
	flags.add(command)
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, ids []string) error {
		if err := flags.check(command); err != nil {
			return err
		}
		body := api.UpdateBody{
			Enabled: enabled, Reason: given(flags.reason), ExpiresIn: given(flags.expiry()), Hold: given(flags.hold),
		}
		return c.each(ids, func(id string) error {
			got, err := c.do(ctx, request{method: http.MethodPut, path: schedulePath(id), body: body})
			if err != nil {
				return err
			}
			return c.updated(id, flags, got)
		})
	})
}

// updated says what a schedule is after a pause or resume. The list behind the answer may not know the
// override's end yet, so that it is told from the flags.
func (c *apiClient) updated(id string, flags overrideFlags, got answer) error {
	if c.json || got.status == http.StatusAccepted {
		return c.wrote(id, "", got)
	}
	var info manager.ScheduleInfo
	if err := c.decode(got.body, &info); err != nil {
		return err
	}
	done := oneLine(string(info.State))
	if info.IsOverride {
		done += ", " + flags.until()
	} else {
		done += ", as the YAML says"
	}
	return c.wrote(id, done, got)
}

// overrideFlags say how long an override lives, and why it is there.
type overrideFlags struct {
	reason    string
	expiresIn time.Duration
	hold      bool
}

func (f *overrideFlags) add(command *cobra.Command) {
	addReason(command, &f.reason, "why, for people: it stands in the schedule's note")
	command.Flags().DurationVar(&f.expiresIn, "expires-in", 0, "go back to the YAML by itself after this long, such as 4h (default never)")
	command.Flags().BoolVar(&f.hold, "hold", false, "keep it over reloads, until it is reverted or expires")
}

func addReason(command *cobra.Command, reason *string, usage string) {
	command.Flags().StringVar(reason, "reason", "", usage)
}

func (f *overrideFlags) check(command *cobra.Command) error {
	if command.Flags().Changed("expires-in") && f.expiresIn <= 0 {
		return fmt.Errorf("--expires-in %s: use more than 0s, or leave it out for an override that does not expire", f.expiresIn)
	}
	return nil
}

func (f *overrideFlags) expiry() string {
	if f.expiresIn == 0 {
		return ""
	}
	return f.expiresIn.String()
}

// until says how long the override lives.
func (f *overrideFlags) until() string {
	switch {
	case f.expiresIn > 0 && f.hold:
		return fmt.Sprintf("for %s, also over reloads", f.expiresIn)
	case f.expiresIn > 0:
		return fmt.Sprintf("for %s or until the next reload", f.expiresIn)
	case f.hold:
		return "until it is reverted, also over reloads"
	default:
		return "until the next reload"
	}
}

// query is the same as parameters.
func (f *overrideFlags) query() url.Values {
	query := url.Values{}
	if f.reason != "" {
		query.Set("reason", f.reason)
	}
	if f.expiresIn > 0 {
		query.Set("expires_in", f.expiry())
	}
	if f.hold {
		query.Set("hold", strconv.FormatBool(f.hold))
	}
	return query
}

// given is nil for what was not given.
func given[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}
