// Package workflows holds the reconciler: one long-lived workflow for each project that keeps
// Temporal's schedules equal to the project's YAML. It does no I/O; its activities do.
package workflows

import (
	"cmp"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
)

// maxHistory is the number of events after which a run hands over to the next, even where the server
// does not suggest it yet.
const maxHistory = 10_000

// Reconciler keeps one project's schedules equal to its YAML until it is cancelled. It fails only
// where its input names no project.
func Reconciler(ctx workflow.Context, in Input) error { return reconcile(ctx, in, nil) }

// Observer is told what happens in this process, each thing once: not when history is replayed.
type Observer interface {
	PassStarted(project string)
	PassEnded(project string, phase Phase, took time.Duration)
	// Applied is told a request once Temporal has done what it asks for, a moment before the outcome can be queried.
	// Requests that a pass settles are not told.
	Applied(outcome Outcome)
}

// Observed is the Reconciler of a process that wants to know what happens in it.
func Observed(observer Observer) func(workflow.Context, Input) error {
	return func(ctx workflow.Context, in Input) error { return reconcile(ctx, in, observer) }
}

func reconcile(ctx workflow.Context, in Input, observer Observer) error {
	if in.Project == "" {
		return temporal.NewNonRetryableApplicationError(
			`the input names no project: start it with {"project":"<name>"}`, "NoProject", nil)
	}
	r := newReconciler(in)
	r.observer = observer
	if err := r.setup(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

type reconciler struct {
	State
	project    string
	activities *activities.Activities
	runtime    *activities.Runtime
	reloads    workflow.ReceiveChannel
	resyncs    workflow.ReceiveChannel
	overrides  workflow.ReceiveChannel
	runs       workflow.ReceiveChannel
	renames    workflow.ReceiveChannel
	// observer may be nil.
	observer Observer
	// turns give the requests for one workflow their order; acting counts those under way.
	turns  map[string]workflow.Mutex
	acting int
	// passing is true while a pass is under way, reloading where it is a reload's.
	passing, reloading bool
	// compared is Seq when the last plan was asked for, keptAway what it knows to be deleted by overrides that the
	// YAML wants.
	compared int64
	keptAway []string
	// ended are the requests that ended an override since the plan under way was asked for, by workflow: the plan,
	// which its later parts are cut from, may still enforce it.
	ended map[string]string
	// stopPass ends the pass under way, because another revision takes over.
	stopPass workflow.CancelFunc
	// auditing is the audit under way, stopAudit ends it; nil where there is none. staleAudit is true where another
	// was asked for since.
	auditing   workflow.Future
	stopAudit  workflow.CancelFunc
	staleAudit bool
}

func newReconciler(in Input) *reconciler {
	r := &reconciler{project: in.Project, State: newState(in.Project), turns: map[string]workflow.Mutex{}}
	if in.State != nil {
		options := r.Status.Options
		r.State = *in.State
		// A run of older code did not know all options.
		r.Status.Options.Drift = cmp.Or(r.Status.Options.Drift, options.Drift)
		r.Status.Options.AuditInterval = cmp.Or(r.Status.Options.AuditInterval, options.AuditInterval)
	}
	return r
}

// setup registers every handler before anything blocks, so that no message finds nobody.
func (r *reconciler) setup(ctx workflow.Context) error {
	if err := r.answer(ctx); err != nil {
		return err
	}
	r.reloads = workflow.GetSignalChannelWithOptions(ctx, SignalReload, workflow.SignalChannelOptions{
		Description: `Take a revision over, or repeat the current one: {"force":true} reverts pauses, ` +
			`{"prune":true} passes the prune guard.`,
	})
	r.resyncs = workflow.GetSignalChannelWithOptions(ctx, SignalResync, workflow.SignalChannelOptions{
		Description: "Compare with Temporal now instead of at the next interval. No input.",
	})
	r.overrides = workflow.GetSignalChannelWithOptions(ctx, SignalOverride, workflow.SignalChannelOptions{
		Description: `Change a schedule until reload: {"workflow_id":"…","action":"pause|resume|delete|revert",` +
			`"actor":"…","reason":"…","expires_in":"2h"}.`,
	})
	r.runs = workflow.GetSignalChannelWithOptions(ctx, SignalRun, workflow.SignalChannelOptions{
		Description: `Start runs: {"workflow_id":"…","action":"trigger"}, or "backfill" with start_at and end_at.`,
	})
	r.renames = workflow.GetSignalChannelWithOptions(ctx, SignalRename, workflow.SignalChannelOptions{
		Description: "Sent by `schedules rename-project`, which also moves the schedules.",
	})
	r.listen(ctx)
	return nil
}

// answer registers the queries. Each makes sense without an argument, as the Temporal UI sends it.
func (r *reconciler) answer(ctx workflow.Context) error {
	register := func(name, description string, handler any) error {
		return workflow.SetQueryHandlerWithOptions(ctx, name, handler, workflow.QueryHandlerOptions{Description: description})
	}
	return errors.Join(
		register(QueryStatus, "What is in sync, what is not and why; counts; the last pass.",
			func() (Status, error) {
				status := r.Status
				status.Overrides = len(r.Overrides)
				if r.Reload || r.reloading {
					status.PendingReload = r.ReloadSeq
				}
				return status, nil
			}),
		register(QueryOverrides, "The overrides in force: who, why, until when. Optional: after, page_size.",
			func(q OverridesQuery) (OverridesPage, error) { return r.page(q), nil }),
		register(QueryOutcome, "What became of a request_id; without one, of the latest requests.",
			func(q OutcomeQuery) ([]Outcome, error) { return r.outcome(q), nil }),
	)
}

// run is the loop: a pass when one is due, else wait for a message or the next resync.
func (r *reconciler) run(ctx workflow.Context) error {
	for {
		r.publish(ctx)
		long := r.historyIsLong(ctx)
		switch {
		case r.passDue() && (!long || !handsOverFirst(ctx)):
			r.pass(ctx)
		case long:
			if err := r.finish(ctx); err != nil {
				return err
			}
			if !r.passDue() || handsOverFirst(ctx) {
				if r.stopAudit != nil {
					r.stopAudit() // it begins anew in the next run
				}
				return workflow.NewContinueAsNewError(ctx, ReconcilerType, Input{Project: r.project, State: &r.State})
			}
		default:
			if err := r.wait(ctx); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// handsOverFirst reports whether a pass that is due is left to the next run where the history is long. Otherwise one who
// asks for pass after pass would make it longer than Temporal allows. Runs of older code make the pass first.
func handsOverFirst(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, "hand over first", workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// passDue reports whether a pass can start: one is asked for, there is a revision to compare with, and the
// project is not being renamed.
func (r *reconciler) passDue() bool {
	return r.PassDue && r.Status.Revision != "" && r.suspended() == ""
}

// stop ends the pass and the audit under way.
func (r *reconciler) stop() {
	for _, stop := range []workflow.CancelFunc{r.stopPass, r.stopAudit} {
		if stop != nil {
			stop()
		}
	}
}

// finish takes over every message and what an audit that has ended found, and waits until none is being worked on.
func (r *reconciler) finish(ctx workflow.Context) error {
	finished := func() bool { return r.acting == 0 && (r.auditing == nil || !r.auditing.IsReady()) }
	for {
		r.drain(ctx)
		if finished() {
			return nil
		}
		if err := workflow.Await(ctx, finished); err != nil {
			return err
		}
	}
}

func (r *reconciler) historyIsLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxHistory
}

// wait returns when a pass is due: a message asked for it, or the resync interval is over; when messages have
// made the history long; and when a rename suspends or ends a suspension.
func (r *reconciler) wait(ctx workflow.Context) error {
	if r.suspended() != "" {
		return r.waitSuspended(ctx)
	}
	asked := func() bool { return r.passDue() || r.historyIsLong(ctx) || r.suspended() != "" }
	if r.Status.Revision == "" {
		return workflow.Await(ctx, asked)
	}
	ok, err := awaitUntil(ctx, r.Status.NextResync, "next resync", asked)
	if !ok {
		r.PassDue = true
	}
	return err
}

// awaitUntil waits for a condition, at most until a time: then ok is false. The Temporal UI shows the
// timer with its summary.
func awaitUntil(ctx workflow.Context, at time.Time, summary string, condition func() bool) (ok bool, err error) {
	return workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: at.Sub(workflow.Now(ctx)), TimerOptions: workflow.TimerOptions{Summary: summary},
	}, condition)
}

// scheduleResync sets the time of the next pass: soon after changes, to see them in a list that has
// caught up.
func (r *reconciler) scheduleResync(now time.Time, changed bool) {
	interval := time.Duration(r.Status.Options.ResyncInterval)
	if changed {
		interval = min(interval, settleAfter)
	}
	r.Status.NextResync = now.Add(interval)
}
