package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/workflows"
)

const (
	// firstAsk and lastAsk bound the pause between two looks at a reload. Two requests a look stay well
	// below the API's limit of 100 a minute.
	firstAsk = 250 * time.Millisecond
	lastAsk  = 3 * time.Second
	// unknownFor is how long a reload may be unknown to the reconciler that was told it.
	unknownFor = 30 * time.Second
)

// reloadOptions are the flags of reload.
type reloadOptions struct {
	force, prune, wait bool
	timeout            time.Duration
}

func newReload(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "reload",
		Short: "Ask for a pass over the current revision",
		Long: "Ask for a pass over the revision that the processes have loaded; they tell the reconciler of changed\n" +
			"files by themselves. Overrides are reverted only with --force. With --wait it shows progress, prints what\n" +
			"the pass did, and ends with exit code 1 unless everything is in sync; with -o json it then prints the\n" +
			"reconciler's status.",
		Example: "  schedules reload --wait",
		Args:    cobra.NoArgs,
	}
	var options reloadOptions
	command.Flags().BoolVar(&options.force, "force", false, "revert overrides, as if the revision were new, save those that hold")
	command.Flags().BoolVar(&options.prune, "prune", false, "go past the prune guard, after you have read what it would delete")
	command.Flags().BoolVar(&options.wait, "wait", false, "wait until the pass has ended")
	command.Flags().DurationVar(&options.timeout, "timeout", 10*time.Minute, "how long to wait")
	return apiCommand(env, command, func(ctx context.Context, c *apiClient, _ []string) error {
		return reload(ctx, c, options)
	})
}

func reload(ctx context.Context, c *apiClient, options reloadOptions) error {
	got, err := c.do(ctx, request{
		method: http.MethodPost, path: "/reload",
		body: api.ReloadBody{Force: given(options.force), Prune: given(options.prune)},
	})
	if err != nil {
		return err
	}
	if !options.wait {
		return c.wrote("reload", "", got)
	}
	var result manager.WriteResult
	if err := c.decode(got.body, &result); err != nil {
		return err
	}
	w := reloadWait{apiClient: c, requestID: result.RequestID}
	outcome, err := w.run(ctx, options.timeout)
	if err != nil {
		return err
	}
	return c.reportReload(ctx, outcome)
}

// reloadWait waits until the pass of a reload has ended.
type reloadWait struct {
	*apiClient
	requestID string
	shown     string
}

// run asks until there is an outcome. An API that is away, as while a deploy replaces it, is waited for.
func (w *reloadWait) run(ctx context.Context, timeout time.Duration) (workflows.Outcome, error) {
	defer w.progress.begin("reloading")()
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	known := time.Now()
	for pause := firstAsk; ; pause = min(pause*3/2, lastAsk) {
		outcome, err := w.outcome(waitCtx, w.requestID)
		switch {
		case waitCtx.Err() != nil: // below
		case err != nil && !isTemporary(err):
			return outcome, err
		case err != nil:
			w.show("the API does not answer: " + err.Error())
		case outcome.Status == workflows.OutcomeApplied || outcome.Status == workflows.OutcomeFailed:
			return outcome, nil
		case outcome.Status == workflows.OutcomeAccepted:
			known = time.Now()
			w.look(waitCtx)
		case time.Since(known) > unknownFor:
			return outcome, errors.New("the reconciler does not know the reload any more: it was ended meanwhile; run this command again")
		}
		select {
		case <-ctx.Done():
			return outcome, errors.New("stopped waiting; the reload goes on")
		case <-waitCtx.Done():
			return outcome, fmt.Errorf("the reload has not ended within %s, and goes on; `schedules status` says how far it is", timeout)
		case <-time.After(pause):
		}
	}
}

// look shows how far the reconciler is.
func (w *reloadWait) look(ctx context.Context) {
	status, _, err := fetch[workflows.Status](ctx, w.apiClient, "/reconciler", nil)
	if err != nil {
		return // the next look at the outcome tells
	}
	text := phaseWords(status.Phase)
	if status.Phase == workflows.PhaseReconciling {
		text += " revision " + status.Revision // no counts: they may still be those of the pass before
	}
	w.show(text)
}

// show tells what is going on: in the progress line, or off a terminal as a line each time that it changes.
func (w *reloadWait) show(text string) {
	text = oneLine(text)
	if w.env.Terminal {
		w.progress.set(text)
	} else if text != w.shown {
		fmt.Fprintln(w.env.Err, text+" …")
	}
	w.shown = text
}

// reportReload prints what the pass did. It is an error where that is not all that the YAML says.
func (c *apiClient) reportReload(ctx context.Context, outcome workflows.Outcome) error {
	if outcome.Status == workflows.OutcomeFailed && outcome.Reason != workflows.FailureOutOfSync {
		return fmt.Errorf("the reload was refused: %s", oneLine(outcome.Message))
	}
	status, body, err := fetch[workflows.Status](ctx, c, "/reconciler", nil)
	if err != nil {
		return err
	}
	switch {
	case c.json:
		err = c.printJSON(body)
	case outcome.Status == workflows.OutcomeFailed:
		err = printStatus(c.env, status)
	default:
		err = c.printInSync(status)
	}
	if err != nil || outcome.Status == workflows.OutcomeApplied {
		return err
	}
	text := "the reload did not end in sync: " + oneLine(outcome.Message)
	if status.Phase == workflows.PhaseBlocked {
		text += "\n`schedules reload --prune --wait` lets this one reload delete them"
	}
	return errors.New(text)
}

func (c *apiClient) printInSync(status workflows.Status) error {
	text := fmt.Sprintf("in sync with revision %s: %s", status.Applied, plural(status.Counts.Desired, "schedule"))
	if p := status.LastPass; p != nil {
		text += fmt.Sprintf("; %d created, %d updated, %d deleted", p.Created, p.Updated, p.Deleted)
	}
	return say(c.env.Out, "%s", oneLine(text))
}
