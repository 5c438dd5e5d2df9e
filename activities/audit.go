package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/time/rate"
)

// auditRate is how many schedules an audit describes a second, at most: it must not take Temporal's time
// from what matters now.
const auditRate = 50

// AuditInput asks for an audit.
type AuditInput struct {
	Project  string `json:"project"`
	Revision string `json:"revision"`
}

// AuditResult is what an audit found.
type AuditResult struct {
	// Checked is how many schedules were described.
	Checked int `json:"checked"`
	// Drifted is how many of them differ from the YAML. Suspects are their workflow ids, at most
	// MaxSuspects.
	Drifted  int      `json:"drifted,omitempty"`
	Suspects []string `json:"suspects,omitempty"`
	// The sums of Temporal's own counters: runs that came too late for their catchup window, that the overlap
	// policy skipped, and that a full buffer dropped.
	MissedRuns  int64 `json:"missed_runs,omitempty"`
	SkippedRuns int64 `json:"skipped_runs,omitempty"`
	DroppedRuns int64 `json:"dropped_runs,omitempty"`
}

// auditProgress is the heartbeat of an audit: a retry goes on after the workflow id Done.
type auditProgress struct {
	Done   string      `json:"done"`
	Result AuditResult `json:"result"`
}

// Audit describes every schedule of the revision, because a list shows neither input nor task queue,
// policies and timeouts. What it finds is for the next pass to look at again: it may be what a pass wrote
// meanwhile.
func (a *Activities) Audit(ctx context.Context, in AuditInput) (AuditResult, error) {
	if err := a.check(in.Project, in.Revision); err != nil {
		return AuditResult{}, err
	}
	var progress auditProgress
	if activity.HasHeartbeatDetails(ctx) {
		// Details of another form only mean that the audit starts over.
		if err := activity.GetHeartbeatDetails(ctx, &progress); err != nil {
			progress = auditProgress{}
		}
	}
	limiter := rate.NewLimiter(auditRate, 1)
	for _, d := range a.desired {
		if d.WorkflowID <= progress.Done {
			continue
		}
		if stopping(ctx) {
			return progress.Result, errStopping
		}
		if err := limiter.Wait(ctx); err != nil {
			return progress.Result, err
		}
		if err := a.audit(ctx, d, &progress); err != nil {
			return progress.Result, typed(err)
		}
		activity.RecordHeartbeat(ctx, progress)
	}
	return progress.Result, nil
}

func (a *Activities) audit(ctx context.Context, d Desired, progress *auditProgress) error {
	before := *progress // a heartbeat without it would make a retry start over
	stop := keepAlive(ctx, func(ctx context.Context) { activity.RecordHeartbeat(ctx, before) })
	actual, err := a.server.Describe(ctx, d.ScheduleID)
	stop()
	if err != nil {
		return err
	}
	progress.Done = d.WorkflowID
	if actual.Missing || actual.Owner.Project != a.project {
		return nil
	}
	result := &progress.Result
	result.Checked++
	result.MissedRuns += actual.Info.GetMissedCatchupWindow()
	result.SkippedRuns += actual.Info.GetOverlapSkipped()
	result.DroppedRuns += actual.Info.GetBufferDropped()
	if len(Compare(d.Schedule(), actual.Schedule)) > 0 {
		result.Drifted++
		if len(result.Suspects) < MaxSuspects {
			result.Suspects = append(result.Suspects, d.WorkflowID)
		}
	}
	return nil
}

// AuditTimeout is how long an audit of n schedules may take.
func AuditTimeout(n int) time.Duration { return time.Hour + time.Duration(n)*callTimeout/auditRate }
