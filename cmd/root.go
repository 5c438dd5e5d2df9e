// Package cmd is the command line: one file a command.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/compozy/schedules/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	// exitChanges: a plan that was asked for it has changes.
	exitChanges = 2
)

// exitError ends a command, whose output has said everything, with an exit code.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Environment is what a command has from its process.
type Environment struct {
	Out, Err io.Writer
	Environ  []string
	// Terminal is true where Err is one: progress and readable logs go there.
	Terminal bool
	// Coloured is true where Out is a page that a terminal will show.
	Coloured bool
	// Context ends when the process is asked to stop; Hangup is told each SIGHUP.
	Context context.Context //nolint:containedctx // the process's own lifetime
	Hangup  <-chan struct{}
}

// OS is the real process's environment.
func OS() Environment {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	return Environment{
		Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
		Context:  ctx, Hangup: hangups(ctx),
	}
}

func hangups(ctx context.Context) <-chan struct{} {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	hangups := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				signal.Stop(signals)
				return
			case <-signals:
				select {
				case hangups <- struct{}{}:
				default: // one is waiting already
				}
			}
		}
	}()
	return hangups
}

// Main runs the command line and returns the exit code.
func Main(args []string, env Environment) int {
	root := newRoot(env)
	root.SetArgs(args)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	err := root.ExecuteContext(env.Context)
	var problems config.Problems
	var code exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &problems):
		fmt.Fprintln(env.Err, problems.Error())
	default:
		fmt.Fprintln(env.Err, "schedules: "+err.Error())
	}
	return exitFailed
}

func newRoot(env Environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "schedules",
		Short: "Temporal schedules as code",
		Long: "Schedules for Temporal as code: a `schedule:` block in a workflow's YAML becomes a native\n" +
			"Temporal schedule, and a long-lived Temporal workflow keeps the two equal.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newDev(env), newServe(env), newValidate(env), newStatus(env), newVersion(env), newAPIKey(env),
		newList(env), newGet(env), newPause(env), newResume(env), newDelete(env), newRevert(env),
		newTrigger(env), newBackfill(env), newRuns(env), newReload(env), newPlan(env), newSchema(env),
		newExport(env), newRenameProject(env))
	return root
}
