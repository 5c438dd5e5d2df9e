package activities

import (
	"context"
	"strconv"
	"strings"
)

// Preview is a plan with what people want to know before they let it happen.
type Preview struct {
	Plan
	// Changes are the plan's operations, in their order.
	Changes []Change
	// Foreign are schedules with the project's ID prefix that are not its own and that the YAML does not
	// want. Nothing is done to them.
	Foreign []Foreign
}

// Change is an operation with what it changes.
type Change struct {
	Operation
	ScheduleID string
	// Paused is what the schedule is afterwards.
	Paused bool
	// Differences are the fields that an update writes. None: only the note is written again.
	Differences []Difference
}

// Foreign is a schedule that is not the project's.
type Foreign struct {
	ScheduleID string `json:"schedule_id"`
	// Project owns it; empty where no project of ours does.
	Project string `json:"project,omitempty"`
}

// Preview plans what a pass would do, by the reconciler's own rules. It does not know what was written a
// moment ago, so every schedule that the list would change is described before it is called a change. Nor does
// it know the IDs that the reconciler remembers, so it lists the whole namespace.
func (a *Activities) Preview(ctx context.Context, request Request) (Preview, error) {
	entries, err := a.server.List(ctx, Scope{Project: a.project, Whole: true})
	if err != nil {
		return Preview{}, err
	}
	actual := Actual{Listed: entries}
	plan := MakePlan(request, a.desired, actual)
	if actual.Described, err = a.describeAll(ctx, a.undecided(plan)); err != nil {
		return Preview{}, err
	}
	preview := Preview{Plan: MakePlan(request, a.desired, actual), Foreign: a.foreign(actual)}
	for _, op := range preview.Operations {
		preview.Changes = append(preview.Changes, a.change(op, actual))
	}
	return preview, nil
}

// undecided are the schedules that the list cannot decide, and those that only the list has decided to change.
func (a *Activities) undecided(plan Plan) []string {
	ids := plan.Doubtful
	for _, op := range plan.Operations {
		ids = append(ids, a.scheduleIDOf(op))
	}
	return ids
}

func (a *Activities) change(op Operation, actual Actual) Change {
	change := Change{Operation: op, ScheduleID: a.scheduleIDOf(op)}
	was := !a.byID[op.WorkflowID].Enabled
	if op.Kind == Update {
		schedule := actual.Described[change.ScheduleID].Schedule
		change.Differences = Compare(a.byID[op.WorkflowID].Schedule(), schedule)
		was = schedule.GetState().GetPaused()
	}
	change.Paused = was
	if op.Paused != nil {
		change.Paused = *op.Paused
	}
	if op.Kind == Update && change.Paused != was {
		change.Differences = append(change.Differences, Difference{
			Field: "enabled", YAML: strconv.FormatBool(!change.Paused), Actual: strconv.FormatBool(!was),
		})
	}
	return change
}

// foreign finds what has the project's prefix, is not its own and not wanted.
func (a *Activities) foreign(actual Actual) []Foreign {
	wanted := make(map[string]bool, len(a.desired))
	for _, d := range a.desired {
		wanted[d.ScheduleID] = true
	}
	var foreign []Foreign
	for _, entry := range actual.Listed {
		if strings.HasPrefix(entry.ScheduleID, schedulePrefix(a.project)) && !entry.OwnedBy(a.project) && !wanted[entry.ScheduleID] {
			foreign = append(foreign, Foreign{ScheduleID: entry.ScheduleID, Project: entry.Owner.Project})
		}
	}
	return foreign
}
