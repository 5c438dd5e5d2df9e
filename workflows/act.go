package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

const (
	// localTries and localTimeout are what a local activity gets before a regular one, with Temporal's
	// retries, takes over. A local one is a tenth of a second faster (docs/temporal.md, "Activities").
	localTries   = 3
	localTimeout = 5 * time.Second
	// actTimeout bounds one try of the regular activity.
	actTimeout = 40 * time.Second
)

// changeDelete is the version of the code in which a pass says what became of a delete that found nothing.
const changeDelete = "delete"

// notOwned says why nothing is done to a schedule.
const notOwned = "a schedule with this ID exists and is not owned by this project"

// overtaken says why a request was not applied.
const overtaken = "a later request or a reload came first"

// expiredActor signs the reverts that expiry makes.
const expiredActor = "expiry"

// act runs f beside everything else, after the others for the same workflow. The run does not end
// before f has.
func (r *reconciler) act(ctx workflow.Context, workflowID string, f func(workflow.Context)) {
	turn, ok := r.turns[workflowID]
	if !ok {
		turn = workflow.NewMutex(ctx)
		r.turns[workflowID] = turn
	}
	r.acting++
	// Also what a pass asks for goes on when the pass is stopped.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.acting-- }()
		if err := turn.Lock(ctx); err != nil {
			return // the reconciler was cancelled
		}
		defer turn.Unlock()
		f(ctx)
		r.publish(ctx)
	})
}

// override applies an accepted override, and settles its outcome.
func (r *reconciler) override(ctx workflow.Context, o Override, replaced ActiveOverride, lead string) {
	if o.Action == ActionRevert {
		r.revert(ctx, o, replaced)
		return
	}
	if !r.stands(o.WorkflowID, o.RequestID) {
		r.settle(o.RequestID, OutcomeFailed, FailureConflict, overtaken, workflow.Now(ctx))
		return
	}
	result, err := r.change(ctx, activities.OverrideInput{
		RequestID: o.RequestID, WorkflowID: o.WorkflowID, ScheduleID: r.scheduleID(o.WorkflowID), Action: o.Action, Lead: lead,
	})
	deletedBefore := replaced.Action == ActionDelete && replaced.RequestID != o.RequestID
	if result.Missing && o.Action == ActionDelete && !deletedBefore &&
		workflow.GetVersion(ctx, changeDelete, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
		r.settleMissing(o, replaced, workflow.Now(ctx))
		return
	}
	r.settleOverride(o, replaced, result, err, workflow.Now(ctx))
}

// settleMissing settles a delete that found nothing. Either there is no such workflow, or a worker deleted the
// schedule and was killed before it could tell: the next pass knows which, since it has the YAML.
func (r *reconciler) settleMissing(o Override, replaced ActiveOverride, now time.Time) {
	i, found := r.overrideAt(o.WorkflowID)
	switch {
	case !found || r.Overrides[i].RequestID != o.RequestID:
		r.settle(o.RequestID, OutcomeFailed, FailureConflict, overtaken, now)
	case !r.Overrides[i].Pending, slices.Contains(r.keptAway, o.WorkflowID):
		r.applied(o, now)
	case r.Overrides[i].Seq <= r.compared:
		r.fail(o, replaced, FailureNotFound, missing(o), now)
	case replaced.RequestID != o.RequestID:
		r.PassDue = true // once: where passes fail, the next resync is early enough
	}
}

// overtake settles a request that still waited for a pass when a later one for the same workflow took its place.
func (r *reconciler) overtake(workflowID string, replaced ActiveOverride, now time.Time) {
	if replaced.Pending && !r.stands(workflowID, replaced.RequestID) {
		r.settle(replaced.RequestID, OutcomeFailed, FailureConflict, overtaken, now)
	}
}

func missing(o Override) string { return "there is no schedule of workflow " + o.WorkflowID }

// settleOverride turns what the activity found into an outcome.
func (r *reconciler) settleOverride(
	o Override, replaced ActiveOverride, result activities.OverrideResult, err error, now time.Time,
) {
	switch {
	case err != nil:
		r.fail(o, replaced, FailureRefused, rootMessage(err), now)
	case result.NotOwned:
		r.fail(o, replaced, FailureConflict, notOwned, now)
	case result.Missing && o.Action == ActionDelete && replaced.Action == ActionDelete:
		r.applied(o, now)
	case result.Missing && (r.passing || r.PassDue):
		// The pass under way may create it: tried again after the batch, and at the pass's end.
	case result.Missing:
		r.fail(o, replaced, FailureNotFound, missing(o), now)
	default:
		r.applied(o, now)
		asInGit := o.Action != ActionDelete && result.GitKnown && result.Paused != result.GitEnabled
		if asInGit && r.stands(o.WorkflowID, o.RequestID) {
			r.dropOverride(o.WorkflowID)
		}
	}
}

func (r *reconciler) applied(o Override, now time.Time) {
	if i, found := r.overrideAt(o.WorkflowID); found && r.Overrides[i].RequestID == o.RequestID {
		r.Overrides[i].Pending = false
	}
	r.settle(o.RequestID, OutcomeApplied, "", "", now)
}

// fail settles an override that was not applied. The one that it had replaced is in force again: a
// schedule that is deleted until reload stays so when somebody fails to pause it.
func (r *reconciler) fail(o Override, replaced ActiveOverride, reason FailureReason, message string, now time.Time) {
	if i, found := r.overrideAt(o.WorkflowID); found && r.Overrides[i].RequestID == o.RequestID {
		if replaced.RequestID != "" && replaced.RequestID != o.RequestID {
			r.Overrides[i] = replaced
		} else {
			r.dropOverride(o.WorkflowID)
		}
	}
	r.settle(o.RequestID, OutcomeFailed, reason, message, now)
}

// revert goes back to the YAML. Where that takes the YAML itself (the schedule was deleted, changed by hand,
// or its note was replaced), a pass does it.
func (r *reconciler) revert(ctx workflow.Context, o Override, replaced ActiveOverride) {
	if replaced.Action == ActionDelete || slices.Contains(r.Suspects, o.WorkflowID) {
		r.revertByPass(o)
		return
	}
	result, err := r.change(ctx, activities.OverrideInput{
		RequestID: o.RequestID, WorkflowID: o.WorkflowID, ScheduleID: r.scheduleID(o.WorkflowID), Action: ActionRevert,
	})
	now := workflow.Now(ctx)
	switch {
	case err != nil:
		r.settle(o.RequestID, OutcomeFailed, FailureRefused, rootMessage(err), now)
	case result.NotOwned:
		r.settle(o.RequestID, OutcomeFailed, FailureConflict, notOwned, now)
	case result.Missing || !result.GitKnown:
		r.revertByPass(o)
	default:
		r.settle(o.RequestID, OutcomeApplied, "", "", now)
	}
}

func (r *reconciler) revertByPass(o Override) {
	r.Reverts = append(r.Reverts, PendingRevert{WorkflowID: o.WorkflowID, RequestID: o.RequestID})
	r.PassDue = true
}

// again applies the overrides that came while a batch with their schedules was under way: the batch may
// have written over them.
func (r *reconciler) again(ctx workflow.Context, operations []activities.Operation, since int64) {
	for _, op := range operations {
		if i, found := r.overrideAt(op.WorkflowID); found && (r.Overrides[i].Pending || r.Overrides[i].Seq > since) {
			r.repeat(ctx, r.Overrides[i])
		}
	}
}

// repeat applies an override in force once more.
func (r *reconciler) repeat(ctx workflow.Context, active ActiveOverride) {
	o := Override{
		RequestID: active.RequestID, WorkflowID: active.WorkflowID, Action: active.Action,
		Reason: active.Reason, Actor: active.Actor, Hold: active.Hold,
	}
	if !active.ExpiresAt.IsZero() {
		o.ExpiresIn = config.Duration(active.ExpiresAt.Sub(active.Since))
	}
	lead := o.lead(active.Since)
	r.act(ctx, o.WorkflowID, func(ctx workflow.Context) { r.override(ctx, o, active, lead) })
}

// startRuns starts runs.
func (r *reconciler) startRuns(ctx workflow.Context, m Run) {
	in := activities.RunInput{
		RequestID: m.RequestID, WorkflowID: m.WorkflowID, ScheduleID: r.scheduleID(m.WorkflowID), OverlapPolicy: m.OverlapPolicy,
	}
	if m.Action == ActionBackfill {
		in.StartAt, in.EndAt = m.StartAt, m.EndAt
		in.OverlapPolicy = cmp.Or(m.OverlapPolicy, config.OverlapBufferAll)
	}
	var result activities.OverrideResult
	err := r.do(ctx, r.runtime.Run, in, fmt.Sprintf("%s %s", m.Action, m.WorkflowID), &result)
	now := workflow.Now(ctx)
	switch {
	case err != nil:
		r.settle(m.RequestID, OutcomeFailed, FailureRefused, rootMessage(err), now)
	case result.NotOwned:
		r.settle(m.RequestID, OutcomeFailed, FailureConflict, notOwned, now)
	case result.Missing:
		r.settle(m.RequestID, OutcomeFailed, FailureNotFound, fmt.Sprintf("there is no schedule of workflow %s", m.WorkflowID), now)
	default:
		r.settle(m.RequestID, OutcomeApplied, "", "", now)
	}
}

// change applies one change of a schedule. The id that the server sees is new for each attempt of ours,
// so that it does not drop a repetition that is meant.
func (r *reconciler) change(ctx workflow.Context, in activities.OverrideInput) (result activities.OverrideResult, err error) {
	in.RequestID = fmt.Sprintf("%s/%d", in.RequestID, r.nextSeq())
	err = r.do(ctx, r.runtime.Override, in, fmt.Sprintf("%s %s", in.Action, in.WorkflowID), &result)
	if err == nil && !result.Missing && !result.NotOwned {
		write := activities.Write{WorkflowID: in.WorkflowID, Deleted: in.Action == ActionDelete}
		if !write.Deleted {
			write.Paused = &result.Paused
		}
		r.wroteOne(write, workflow.Now(ctx))
	}
	return result, err
}

// do runs an activity at once, in this worker; where that fails, as a regular one with Temporal's
// retries, which outlast an outage.
func (r *reconciler) do(ctx workflow.Context, activity, in any, summary string, result any) error {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: localTimeout,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 100 * time.Millisecond, MaximumAttempts: localTries,
		},
	})
	err := workflow.ExecuteLocalActivity(local, activity, in).Get(local, result)
	if err == nil || activities.IsRefused(err) || ctx.Err() != nil {
		return err
	}
	regular := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           TaskQueue(r.project),
		StartToCloseTimeout: actTimeout,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
		},
	})
	return workflow.ExecuteActivity(regular, activity, in).Get(regular, result)
}

// expire ends overrides whose time is over, by durable timers.
func (r *reconciler) expire(ctx workflow.Context) {
	for {
		next := r.nextExpiry()
		changed := func() bool { return !r.nextExpiry().Equal(next) }
		var err error
		ok := true
		if next.IsZero() {
			err = workflow.Await(ctx, changed)
		} else {
			ok, err = awaitUntil(ctx, next, "an override expires", changed)
		}
		if err != nil {
			return // the reconciler was cancelled
		}
		if !ok {
			r.revertExpired(ctx)
		}
	}
}

func (r *reconciler) revertExpired(ctx workflow.Context) {
	now := workflow.Now(ctx)
	due := slices.DeleteFunc(slices.Clone(r.Overrides), func(o ActiveOverride) bool {
		return o.ExpiresAt.IsZero() || o.ExpiresAt.After(now)
	})
	for _, o := range due {
		r.takeOverride(ctx, Override{
			RequestID: fmt.Sprintf("%s/expired/%d", o.RequestID, o.Seq), WorkflowID: o.WorkflowID,
			Action: ActionRevert, Actor: expiredActor,
		})
	}
}
