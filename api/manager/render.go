package manager

import (
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// view is what is known of one schedule in Temporal.
type view struct {
	listed activities.Listed
	// found is false where Temporal has no schedule of that ID.
	found bool
	// override is the reconciler's, if any.
	override *workflows.ActiveOverride
}

// render shows one schedule. w is nil where the YAML does not have it. It is pure.
func render(project, id string, w *config.Workflow, v view, now time.Time) ScheduleInfo {
	info := ScheduleInfo{WorkflowID: id, ScheduleID: config.DefaultScheduleID(project, id), Timezone: "UTC"}
	if v.listed.ScheduleID != "" {
		info.ScheduleID = v.listed.ScheduleID
	}
	if w != nil {
		info.ScheduleID = w.ScheduleID(project)
		info.YAMLConfig = w.Schedule
		info.Cron, info.Description = w.Schedule.Cron, w.Schedule.Words()
		if timing, err := config.ParseCron(w.Schedule.Cron, w.Schedule.Timezone); err == nil {
			info.Timezone = timing.Zone
		}
	}
	info.State = state(project, w, v, now)
	if v.found {
		info.Note = v.listed.Note
	}
	info.Enabled = info.State == StateActive
	info.override(w, v)
	if info.State == StatePaused {
		info.PausedBy = pausedBy(info, v)
	}
	if info.State == StateActive {
		info.NextRunTime = nextRun(v.listed.NextRuns, now)
	}
	if run := v.listed.LastRun; v.found && run != nil {
		info.LastRunTime, info.LastRunID, info.LastRunStatus = some(run.At), run.RunID, run.Status
	}
	return info
}

func state(project string, w *config.Workflow, v view, now time.Time) State {
	ended := w != nil && w.Schedule.EndAt != nil && !w.Schedule.EndAt.After(now)
	switch {
	case !v.found && v.override != nil && v.override.Action == workflows.ActionDelete:
		return StateDeleted
	case ended:
		return StateEnded
	case !v.found:
		return StateMissing
	case !v.listed.OwnedBy(project):
		return StateConflict
	case v.listed.Paused:
		return StatePaused
	default:
		return StateActive
	}
}

// override says whether the schedule is as the YAML wants it. Temporal's own state decides; who and why
// come from the reconciler, else from the note.
func (info *ScheduleInfo) override(w *config.Workflow, v view) {
	switch {
	case info.State == StateDeleted:
		info.IsOverride = true
	case w == nil, info.State != StateActive && info.State != StatePaused:
		return
	default:
		info.IsOverride = info.Enabled != w.Schedule.IsEnabled()
	}
	if !info.IsOverride {
		return
	}
	action := workflows.ActionPause
	switch {
	case info.State == StateDeleted:
		action = workflows.ActionDelete
	case info.Enabled:
		action = workflows.ActionResume
	}
	if o := v.override; o != nil && o.Action == action {
		info.Override = &OverrideInfo{
			Action: o.Action, Reason: o.Reason, Actor: o.Actor, Since: some(o.Since), ExpiresAt: some(o.ExpiresAt), Hold: o.Hold,
		}
		return
	}
	info.Override = &OverrideInfo{Action: action, Reason: v.listed.Note}
	if note, ok := activities.ParseNote(v.listed.Note); ok {
		info.Override.Reason = note.Lead
	}
}

// pausedBy is who paused a paused schedule.
func pausedBy(info ScheduleInfo, v view) PausedBy {
	switch {
	case v.override != nil && v.override.Action == workflows.ActionPause:
		return PausedByOverride
	case activities.PausedByTemporal(v.listed.Note):
		return PausedByTemporal
	case info.YAMLConfig != nil && !info.YAMLConfig.IsEnabled():
		return PausedByGit
	default:
		return PausedByHand
	}
}

// nextRun is the first of the times that has not passed.
func nextRun(times []time.Time, now time.Time) *time.Time {
	for _, t := range times {
		if t.After(now) {
			return &t
		}
	}
	return nil
}
