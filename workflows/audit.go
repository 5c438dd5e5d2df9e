package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/activities"
)

const (
	// changeAudit is the version of the code that begins to audit.
	changeAudit = "audit"
	// auditAgain is the time until the next audit, where one could not end or found what is to be put back.
	auditAgain = time.Minute
)

// audits looks at every field of every schedule, beside everything else: after each reload, and every
// audit interval.
func (r *reconciler) audits(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, r.auditable); err != nil {
			return // the reconciler was cancelled
		}
		at := r.NextAudit
		moved := func() bool { return !r.NextAudit.Equal(at) || !r.auditable() }
		due := !at.After(workflow.Now(ctx))
		if !due {
			ok, err := awaitUntil(ctx, at, "next audit", moved)
			if err != nil {
				return
			}
			due = !ok
		}
		if due {
			r.audit(ctx)
			r.publish(ctx)
		}
	}
}

// auditable reports whether there is a revision that a pass has finished.
func (r *reconciler) auditable() bool {
	return r.suspended() == "" && r.Status.Revision != "" && r.Status.Applied == r.Status.Revision && !r.NextAudit.IsZero()
}

// audit looks once. What it finds, the next pass looks at again and reports or puts back.
func (r *reconciler) audit(ctx workflow.Context) {
	revision := r.Status.Revision
	r.staleAudit = false
	auditCtx, stop := workflow.WithCancel(ctx)
	r.stopAudit = stop
	r.auditing = workflow.ExecuteActivity(r.auditOptions(auditCtx, revision), r.activities.Audit,
		activities.AuditInput{Project: r.project, Revision: revision})
	var result activities.AuditResult
	err := r.auditing.Get(auditCtx, &result)
	r.stopAudit, r.auditing = nil, nil
	now := workflow.Now(ctx)
	if r.Status.Revision != revision || r.staleAudit || r.NextAudit.IsZero() {
		return // a pass has asked for another, or will
	}
	if err != nil {
		r.NextAudit = now.Add(auditAgain)
		if !temporal.IsCanceledError(err) {
			workflow.GetLogger(ctx).Warn("audit could not end", "project", r.project, "revision", revision, "error", err)
		}
		return
	}
	r.Status.LastAudit = &Audit{
		Revision: revision, FinishedAt: now, Checked: result.Checked, Drifted: result.Drifted,
		MissedRuns: result.MissedRuns, SkippedRuns: result.SkippedRuns, DroppedRuns: result.DroppedRuns,
	}
	workflow.GetLogger(ctx).Info("audit finished", "project", r.project, "revision", revision,
		"checked", result.Checked, "drifted", result.Drifted)
	r.concludeAudit(result, now)
}

// auditNow asks for an audit. One that is under way may have passed by what is to be found.
func (r *reconciler) auditNow(now time.Time) {
	r.NextAudit, r.staleAudit = now, true
	if r.stopAudit != nil {
		r.stopAudit()
	}
}

// concludeAudit asks for a pass over what was found. A forced reload puts hand edits back until an audit
// finds none.
func (s *State) concludeAudit(result activities.AuditResult, now time.Time) {
	s.NextAudit = now.Add(time.Duration(s.Status.Options.AuditInterval))
	if result.Drifted == 0 {
		s.Correct = false
		s.PassDue = s.PassDue || len(s.Suspects) > 0 // somebody put it back
		return
	}
	if s.corrects() {
		s.NextAudit = now.Add(min(auditAgain, time.Duration(s.Status.Options.AuditInterval)))
	}
	s.Suspects = result.Suspects
	s.PassDue = true
}

// auditOptions: an audit that is not wanted any more is left to itself, since it changes nothing.
func (r *reconciler) auditOptions(ctx workflow.Context, revision string) workflow.Context {
	options := r.revisionOptions(revision, "audit every field of revision "+revision)
	options.StartToCloseTimeout = activities.AuditTimeout(r.Status.Counts.Desired)
	return workflow.WithActivityOptions(ctx, options)
}
