package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
)

const (
	// batchSize and batchesAtOnce keep callersInAll calls busy: with two batches under way the wait
	// between one batch and the next costs no more than half of the callers their time.
	batchSize     = 500
	batchesAtOnce = 2
	// callersInAll is the spec's pool of ten.
	callersInAll = 10
	// workerTimeout is how long a pass waits for a worker that has the revision.
	workerTimeout = 15 * time.Second
	// heartbeatTimeout is how long a killed worker's batch waits for its retry.
	heartbeatTimeout = 10 * time.Second
)

const (
	// changeEnded is the version of the code in which a pass does not enforce an override that ended meanwhile.
	changeEnded = "ended"
	// changeEndedInParts is the version in which it knows so for the later parts of its plan, too.
	changeEndedInParts = "ended in parts"
)

// pass compares once and changes what differs. Its end is a new status; it returns nothing because a
// pass that could not finish is repeated by the next resync.
func (r *reconciler) pass(ctx workflow.Context) {
	pass := &Pass{Kind: r.passKind(), Revision: r.Status.Revision, StartedAt: workflow.Now(ctx)}
	reload, prune := r.Reload, r.Prune
	phase, message := r.Status.Phase, r.Status.Message
	r.Passes++
	// What a message asks for from here on is for the next pass.
	r.PassDue, r.Reload, r.Prune = false, false, false
	r.Status.Phase, r.Status.Message, r.Status.Blocked = PhaseReconciling, "", nil
	r.publish(ctx)
	r.observe(ctx, func(o Observer) { o.PassStarted(r.project) })
	logger := workflow.GetLogger(ctx)
	logger.Info("pass started", "project", r.project, "kind", pass.Kind, "revision", pass.Revision)

	passCtx, stop := workflow.WithCancel(ctx)
	r.stopPass, r.passing, r.reloading = stop, true, reload
	reverts, waiting := r.Reverts, r.Waiting
	r.Reverts, r.Waiting = nil, nil
	err := r.reconcile(passCtx, pass, prune, reverts)
	r.stopPass, r.passing, r.reloading = nil, false, false
	r.afterPass(ctx, reverts, err)

	now := workflow.Now(ctx)
	pass.FinishedAt = now
	r.Status.LastPass = pass
	defer r.observe(ctx, func(o Observer) { o.PassEnded(r.project, r.Status.Phase, now.Sub(pass.StartedAt)) })
	r.scheduleResync(now, pass.changed() > 0)
	if r.Status.Revision != pass.Revision {
		r.Waiting = append(waiting, r.Waiting...)
		return // the next pass, of the new revision, tells what is so
	}
	r.Status.Counts.Owned += pass.Created - pass.Deleted
	if err == nil {
		r.Status.Applied = pass.Revision
		if pass.Kind != activities.PassResync || r.NextAudit.IsZero() {
			r.auditNow(now)
		}
	} else {
		r.Reload = r.Reload || reload
		r.Prune = r.Prune || prune
	}
	r.conclude(err)
	r.answerReloads(waiting, now)
	logger.Info("pass finished", "project", r.project, "kind", pass.Kind, "revision", pass.Revision,
		"phase", r.Status.Phase, "message", r.Status.Message, "problems", r.Status.ProblemCount,
		"created", pass.Created, "updated", pass.Updated, "deleted", pass.Deleted, "desired", r.Status.Counts.Desired)
	// Once for each change: a resync that finds what the pass before found is no news.
	if r.Status.Phase != PhaseInSync && (r.Status.Phase != phase || r.Status.Message != message) {
		logger.Warn("not in sync", "project", r.project, "revision", pass.Revision, "phase", r.Status.Phase,
			"message", r.Status.Message)
	}
}

// observe tells the observer, where there is one and this is no replay.
func (r *reconciler) observe(ctx workflow.Context, tell func(Observer)) {
	if r.observer != nil && !workflow.IsReplaying(ctx) {
		tell(r.observer)
	}
}

// answerReloads tells those who asked for a reload how its pass ended.
func (r *reconciler) answerReloads(waiting []string, now time.Time) {
	for _, requestID := range waiting {
		if r.Status.Phase == PhaseInSync {
			r.settle(requestID, OutcomeApplied, "", "", now)
		} else {
			r.settle(requestID, OutcomeFailed, FailureOutOfSync, r.Status.Message, now)
		}
	}
}

// conclude turns the end of a pass into a phase and a message.
func (r *reconciler) conclude(err error) {
	var blocked *Blocked
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &blocked):
		r.Status.Phase, r.Status.Message, r.Status.Blocked = PhaseBlocked, blocked.Error(), blocked
	case errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START:
		r.Status.Phase = PhaseNoWorker
		r.Status.Message = fmt.Sprintf("no worker has revision %s, nothing was changed: start `schedules serve` with it",
			r.Status.Revision)
	case err != nil:
		r.Status.Phase, r.Status.Message = PhaseOutOfSync, "the pass could not finish: "+rootMessage(err)
	case r.Status.ProblemCount > 0:
		r.Status.Phase = PhaseOutOfSync
		r.Status.Message = fmt.Sprintf("%d of %d schedules are not as the YAML says",
			r.Status.ProblemCount, r.Status.Counts.Desired)
	default:
		r.Status.Phase, r.Status.LastInSync = PhaseInSync, r.Status.LastPass.FinishedAt
	}
}

// countKinds adds problems that a batch met.
func countKinds(s *Status, problems []activities.Problem) {
	if s.ProblemKinds == nil && len(problems) > 0 {
		s.ProblemKinds = map[activities.ProblemKind]int{}
	}
	for _, problem := range problems {
		s.ProblemKinds[problem.Kind]++
	}
}

// reconcile goes through the plan in parts: ask for the next operations, apply them.
func (r *reconciler) reconcile(ctx workflow.Context, pass *Pass, prune bool, reverts []PendingRevert) error {
	after := ""
	for {
		audit, asked := r.Status.LastAudit, r.Seq
		diff, err := r.diff(ctx, pass, after, reverts)
		if err != nil {
			return err
		}
		if after == "" {
			r.Status.Counts = diff.Counts
			r.Status.Problems, r.Status.ProblemCount = diff.Problems, diff.ProblemCount
			r.Status.ProblemKinds = diff.ProblemKinds
			if r.Status.LastAudit != audit { // it ended meanwhile: this plan did not know its suspects
				diff.Drifted = slices.Concat(diff.Drifted, r.Suspects)
			}
			r.OtherIDs, r.Suspects = diff.OtherIDs, diff.Drifted
			if blocked := r.blocked(diff.Counts, diff.Operations); blocked != nil && !prune {
				return blocked
			}
			r.endByReload(pass.Kind, workflow.Now(ctx))
			r.compared, r.keptAway = asked, diff.KeptAway
		}
		if err := r.apply(ctx, pass, diff.Operations); err != nil {
			return err
		}
		if !diff.More {
			return nil
		}
		after = diff.Operations[len(diff.Operations)-1].WorkflowID
	}
}

func (r *reconciler) diff(ctx workflow.Context, pass *Pass, after string, reverts []PendingRevert) (activities.DiffResult, error) {
	in := activities.DiffInput{
		Project: r.project, Revision: pass.Revision, Kind: pass.Kind, After: after,
		Pass: strconv.FormatInt(r.Passes, 10), Recent: r.recent(workflow.Now(ctx)),
		Overrides: actions(r.surviving(pass.Kind)), Suspects: r.Suspects, Correct: r.corrects(), Also: r.also(),
		Whole: r.Status.Applied == "",
	}
	for _, revert := range reverts {
		in.Reverts = append(in.Reverts, revert.WorkflowID)
	}
	if after == "" || len(r.ended) > 0 &&
		workflow.GetVersion(ctx, changeEndedInParts, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		r.ended = map[string]string{}
	}
	var result activities.DiffResult
	ctx = r.activityOptions(ctx, pass, "compare with revision "+pass.Revision)
	err := workflow.ExecuteActivity(ctx, r.activities.Diff, in).Get(ctx, &result)
	return result, err
}

// apply runs the operations in batches, batchesAtOnce at a time. The first error stops what has not
// started; what runs is waited for.
func (r *reconciler) apply(ctx workflow.Context, pass *Pass, operations []activities.Operation) error {
	var failure error
	slots := workflow.NewSemaphore(ctx, batchesAtOnce)
	running := workflow.NewWaitGroup(ctx)
	for batch := range batches(operations) {
		if err := slots.Acquire(ctx, 1); err != nil {
			failure = errors.Join(failure, err)
		}
		if failure != nil {
			break
		}
		running.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer running.Done()
			defer slots.Release(1)
			if err := r.applyBatch(ctx, pass, batch); err != nil {
				failure = errors.Join(failure, err)
			}
		})
	}
	waitCtx, _ := workflow.NewDisconnectedContext(ctx)
	running.Wait(waitCtx)
	return failure
}

// batches cuts operations by what they need, Upsert or Delete, and by size.
func batches(operations []activities.Operation) func(yield func([]activities.Operation) bool) {
	var upserts, deletes []activities.Operation
	for _, op := range operations {
		if op.Kind == activities.Delete {
			deletes = append(deletes, op)
		} else {
			upserts = append(upserts, op)
		}
	}
	return func(yield func([]activities.Operation) bool) {
		for _, part := range [][]activities.Operation{upserts, deletes} {
			for batch := range slices.Chunk(part, batchSize) {
				if !yield(batch) {
					return
				}
			}
		}
	}
}

func (r *reconciler) applyBatch(ctx workflow.Context, pass *Pass, operations []activities.Operation) error {
	operations = r.keepEnded(ctx, r.filter(operations))
	if len(operations) == 0 {
		return nil
	}
	since := r.Seq
	do, verb := r.activities.Upsert, "upsert"
	if operations[0].Kind == activities.Delete {
		do, verb = r.activities.Delete, "delete"
	}
	ctx = r.activityOptions(ctx, pass, batchSummary(verb, operations))
	in := activities.BatchInput{
		Project: r.project, Revision: pass.Revision, Operations: operations, Callers: callersInAll / batchesAtOnce,
	}
	var result activities.BatchResult
	err := workflow.ExecuteActivity(ctx, do, in).Get(ctx, &result)
	pass.Created += result.Created
	pass.Updated += result.Updated
	pass.Deleted += result.Deleted
	room := max(0, activities.MaxProblems-len(r.Status.Problems))
	r.Status.Problems = append(r.Status.Problems, result.Problems[:min(room, len(result.Problems))]...)
	r.Status.ProblemCount += len(result.Problems)
	countKinds(&r.Status, result.Problems)
	if err == nil {
		r.wrote(operations, result.Problems, workflow.Now(ctx))
		r.tell(ctx, pass, operations, result.Problems)
	}
	r.again(ctx, operations, since)
	r.endAgain(ctx, operations)
	return err
}

// keepEnded keeps a batch from enforcing an override that ended since its plan was made.
func (r *reconciler) keepEnded(ctx workflow.Context, operations []activities.Operation) []activities.Operation {
	for i, op := range operations {
		if r.enforces(ctx, op) {
			operations[i].Paused = nil
			r.endByPass(op.WorkflowID)
		}
	}
	return operations
}

// endAgain has the next pass go back to the YAML where an override ended while a batch that may enforce it was under way.
func (r *reconciler) endAgain(ctx workflow.Context, operations []activities.Operation) {
	for _, op := range operations {
		if r.enforces(ctx, op) {
			r.endByPass(op.WorkflowID)
		}
	}
}

// enforces reports whether an operation may enforce an override that has ended since.
func (r *reconciler) enforces(ctx workflow.Context, op activities.Operation) bool {
	_, ended := r.ended[op.WorkflowID]
	_, replaced := r.overrideAt(op.WorkflowID)
	return ended && !replaced && op.Paused != nil &&
		workflow.GetVersion(ctx, changeEnded, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// endByPass leaves it to the next pass, which knows what the YAML of its revision says.
func (r *reconciler) endByPass(workflowID string) {
	r.Reverts = append(r.Reverts, PendingRevert{WorkflowID: workflowID, RequestID: r.ended[workflowID]})
	r.PassDue = true
	delete(r.ended, workflowID)
}

// tell counts, remembers and logs what was special about a batch's operations.
func (r *reconciler) tell(ctx workflow.Context, pass *Pass, operations []activities.Operation, problems []activities.Problem) {
	failed := workflowIDs(problems)
	for _, op := range operations {
		if failed[op.WorkflowID] {
			continue
		}
		if op.Adopts {
			pass.Adopted++
			workflow.GetLogger(ctx).Info("schedule adopted", "project", r.project, "revision", pass.Revision,
				"workflow_id", op.WorkflowID)
		}
		if len(op.Corrects) > 0 {
			pass.Corrected++
			r.corrected(op, workflow.Now(ctx))
			workflow.GetLogger(ctx).Warn("hand edit put back", "project", r.project, "revision", pass.Revision,
				"workflow_id", op.WorkflowID, "fields", op.Corrects)
		}
	}
}

// afterPass settles what waited for the pass: reverts, and overrides of schedules that it was to create.
func (r *reconciler) afterPass(ctx workflow.Context, reverts []PendingRevert, err error) {
	if err != nil {
		r.Reverts = append(reverts, r.Reverts...)
	} else {
		for _, revert := range reverts {
			r.settle(revert.RequestID, OutcomeApplied, "", "", workflow.Now(ctx))
		}
	}
	for _, o := range slices.Clone(r.Overrides) {
		if o.Pending {
			r.repeat(ctx, o)
		}
	}
}

// activityOptions: a pass that another revision ended waits for its activities, so that two revisions never
// write at the same time.
func (r *reconciler) activityOptions(ctx workflow.Context, pass *Pass, summary string) workflow.Context {
	options := r.revisionOptions(pass.Revision, summary)
	options.StartToCloseTimeout, options.WaitForCancellation = time.Hour, true
	return workflow.WithActivityOptions(ctx, options)
}

// revisionOptions: the revision's own queue, and Temporal's retries instead of ours.
func (r *reconciler) revisionOptions(revision, summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              RevisionQueue(r.project, revision),
		ScheduleToStartTimeout: workerTimeout,
		HeartbeatTimeout:       heartbeatTimeout,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 10,
		},
	}
}

func batchSummary(verb string, operations []activities.Operation) string {
	first, last := operations[0].WorkflowID, operations[len(operations)-1].WorkflowID
	if len(operations) == 1 {
		return fmt.Sprintf("%s %s", verb, first)
	}
	return fmt.Sprintf("%s %d schedules: %s … %s", verb, len(operations), first, last)
}

func (p *Pass) changed() int { return p.Created + p.Updated + p.Deleted }

// rootMessage is what the activity said: the wrappers say which activity it was.
func rootMessage(err error) string {
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return application.Message()
	}
	return err.Error()
}
