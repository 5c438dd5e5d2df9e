package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/compozy/schedules/config"
)

// OverrideAction is what an override does to a schedule at run time.
type OverrideAction string

// The override actions.
const (
	Pause  OverrideAction = "pause"
	Resume OverrideAction = "resume"
	// Remove deletes the schedule and keeps it away until reload.
	Remove OverrideAction = "delete"
	// Revert goes back to what the YAML says.
	Revert OverrideAction = "revert"
)

// Runtime acts on single schedules at run time. It needs no YAML, so every worker of the reconciler's
// queue has it, whatever its revision.
type Runtime struct {
	server  *Server
	project string
}

// NewRuntime acts on the schedules of one project.
func NewRuntime(server *Server, project string) *Runtime {
	return &Runtime{server: server, project: project}
}

// OverrideInput is one change of one schedule.
type OverrideInput struct {
	// RequestID makes a change that is sent again count once at the server.
	RequestID  string `json:"request_id"`
	WorkflowID string `json:"workflow_id"`
	// ScheduleID is empty where it is the default.
	ScheduleID string         `json:"schedule_id,omitempty"`
	Action     OverrideAction `json:"action"`
	// Lead is the sentence for people: who, why, until when.
	Lead string `json:"lead,omitempty"`
}

// OverrideResult is what the schedule is after the change, or why there was none.
type OverrideResult struct {
	// Missing: there is no such schedule. NotOwned: there is, and it is somebody else's.
	Missing  bool `json:"missing,omitempty"`
	NotOwned bool `json:"not_owned,omitempty"`
	// Paused is the state after the change.
	Paused bool `json:"paused,omitempty"`
	// GitKnown is false where somebody replaced the note, which says what git wants; GitEnabled is
	// that wish.
	GitKnown   bool `json:"git_known,omitempty"`
	GitEnabled bool `json:"git_enabled,omitempty"`
}

// Override applies one change and says what the schedule is then. Pause and resume are atomic patches:
// nothing else of the schedule is written.
func (r *Runtime) Override(ctx context.Context, in OverrideInput) (OverrideResult, error) {
	defer r.server.Urgent()()
	in.ScheduleID = cmp.Or(in.ScheduleID, config.DefaultScheduleID(r.project, in.WorkflowID))
	actual, err := r.server.soon(ctx, in.ScheduleID)
	if err != nil || actual.Missing || actual.Owner.Project != r.project {
		return OverrideResult{Missing: actual.Missing, NotOwned: err == nil && !actual.Missing}, typed(err)
	}
	if in.Action == Remove {
		return OverrideResult{}, typed(ignoreNotFound(r.server.delete(ctx, in.ScheduleID)))
	}
	note, known := ParseNote(actual.Schedule.GetState().GetNotes())
	if in.Action == Revert && !known {
		return OverrideResult{Paused: actual.Schedule.GetState().GetPaused()}, nil
	}
	paused := in.Action == Pause || in.Action == Revert && !note.Enabled
	return r.setPaused(ctx, in, paused, note, known)
}

func (r *Runtime) setPaused(ctx context.Context, in OverrideInput, paused bool, note Note, known bool) (OverrideResult, error) {
	text := cmp.Or(in.Lead, "Changed at run time.") // a patch without a text changes nothing
	if known {
		note.Lead = ""
		if paused == note.Enabled {
			note.Lead = in.Lead
		}
		text = note.String()
	}
	patch := &schedulepb.SchedulePatch{Unpause: text}
	if paused {
		patch = &schedulepb.SchedulePatch{Pause: text}
	}
	err := r.server.patch(ctx, in.ScheduleID, patch, in.RequestID)
	if isNotFound(err) {
		return OverrideResult{Missing: true}, nil
	}
	return OverrideResult{Paused: paused, GitKnown: known, GitEnabled: note.Enabled}, typed(err)
}

// RunInput starts runs of a schedule: one now, or those of a window where EndAt is set.
type RunInput struct {
	// RequestID makes runs that are asked for again start once: the server drops a patch with an id
	// that it has seen.
	RequestID  string `json:"request_id"`
	WorkflowID string `json:"workflow_id"`
	// ScheduleID is empty where it is the default.
	ScheduleID    string               `json:"schedule_id,omitempty"`
	OverlapPolicy config.OverlapPolicy `json:"overlap_policy,omitempty"`
	StartAt       time.Time            `json:"start_at,omitzero"`
	EndAt         time.Time            `json:"end_at,omitzero"`
}

// Run starts runs of an owned schedule.
func (r *Runtime) Run(ctx context.Context, in RunInput) (OverrideResult, error) {
	defer r.server.Urgent()()
	id := cmp.Or(in.ScheduleID, config.DefaultScheduleID(r.project, in.WorkflowID))
	actual, err := r.server.soon(ctx, id)
	if err != nil || actual.Missing || actual.Owner.Project != r.project {
		return OverrideResult{Missing: actual.Missing, NotOwned: err == nil && !actual.Missing}, typed(err)
	}
	overlap, ok := overlapPolicies[in.OverlapPolicy]
	if !ok && in.OverlapPolicy != "" {
		return OverrideResult{}, nonRetryable("Invalid", fmt.Errorf("unsupported overlap_policy: %s", in.OverlapPolicy))
	}
	patch := &schedulepb.SchedulePatch{TriggerImmediately: &schedulepb.TriggerImmediatelyRequest{OverlapPolicy: overlap}}
	if !in.EndAt.IsZero() {
		patch = &schedulepb.SchedulePatch{BackfillRequest: []*schedulepb.BackfillRequest{{
			StartTime: timestamppb.New(in.StartAt), EndTime: timestamppb.New(in.EndAt), OverlapPolicy: overlap,
		}}}
	}
	err = r.server.patch(ctx, id, patch, in.RequestID)
	if isNotFound(err) {
		return OverrideResult{Missing: true}, nil
	}
	return OverrideResult{Paused: actual.Schedule.GetState().GetPaused()}, typed(err)
}

// IsRefused reports whether an activity's error says that Temporal refused the change itself.
func IsRefused(err error) bool {
	return hasType(err, "Refused") || hasType(err, "Invalid")
}
