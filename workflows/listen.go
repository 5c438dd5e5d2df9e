package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/compozy/schedules/config"
)

// listen takes messages over as they come, also while a pass is running, and ends overrides whose time
// is over.
func (r *reconciler) listen(ctx workflow.Context) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			// Not a blocked Receive: that holds a message which drain cannot see, and which would be lost
			// where the run ends before this coroutine's turn.
			if err := workflow.Await(ctx, r.hasMessage); err != nil {
				return // the reconciler was cancelled
			}
			r.drain(ctx)
		}
	})
	workflow.Go(ctx, r.expire)
	if workflow.GetVersion(ctx, changeAudit, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
		workflow.Go(ctx, r.audits)
	}
}

func (r *reconciler) hasMessage() bool {
	return r.reloads.Len()+r.overrides.Len()+r.runs.Len()+r.resyncs.Len()+r.renames.Len() > 0
}

// drain takes over every message that has arrived. One that it missed would be lost with this run.
func (r *reconciler) drain(ctx workflow.Context) {
	drainOne := func(channel workflow.ReceiveChannel, take func(workflow.Context, converter.RawValue)) {
		var raw converter.RawValue
		for channel.ReceiveAsync(&raw) {
			take(ctx, raw)
			raw = converter.RawValue{}
		}
	}
	drainOne(r.renames, r.onRename)
	drainOne(r.reloads, r.onReload)
	drainOne(r.overrides, r.onOverride)
	drainOne(r.runs, r.onRun)
	for r.resyncs.ReceiveAsync(nil) {
		r.PassDue = true
	}
}

// decode reads a message. None at all is the empty message.
func decode(raw converter.RawValue, message any) error {
	if len(raw.Payload().GetData()) == 0 {
		return nil
	}
	return converter.GetDefaultDataConverter().FromPayload(raw.Payload(), message)
}

// unreadable says that a message could not be decoded.
func unreadable(err error) string {
	if err == nil {
		return ""
	}
	return "its input could not be read: " + err.Error()
}

// changeMessages is the version of the code that answers who sent what cannot be read, and refuses what is no
// revision.
const changeMessages = "messages"

// requestID is the request_id of a message that could not be read as a whole, so that who sent it finds the
// failed outcome; empty where it has none.
func (r *reconciler) requestID(ctx workflow.Context, raw converter.RawValue) string {
	var message struct {
		RequestID string `json:"request_id"`
	}
	if decode(raw, &message) != nil || message.RequestID == "" {
		return ""
	}
	if workflow.GetVersion(ctx, changeMessages, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return "" // repetitions of it were taken for new requests
	}
	return message.RequestID
}

// checkRevision says that a reload names no revision, or nothing. A revision is part of a task queue's name: a
// workflow task with a text cut inside a character cannot even be sent, and the reconciler would be stuck for good.
func (r *reconciler) checkRevision(ctx workflow.Context, revision string) string {
	if strings.Trim(revision, "0123456789abcdef") == "" {
		return ""
	}
	if utf8.ValidString(config.Short(revision)) &&
		workflow.GetVersion(ctx, changeMessages, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return ""
	}
	return "its revision is none: name one by at least its first 12 hex digits, or none for the current one"
}

// onReload never fails the workflow: a message that cannot be read is logged and shown.
func (r *reconciler) onReload(ctx workflow.Context, raw converter.RawValue) {
	message := Reload{}
	problem := unreadable(decode(raw, &message))
	if problem == "" {
		problem = r.checkRevision(ctx, message.Revision)
	}
	if problem != "" {
		workflow.GetLogger(ctx).Error("reload signal refused", "problem", problem)
		r.Status.Refused = &Refused{At: workflow.Now(ctx), Message: problem}
		if id := r.requestID(ctx, raw); id != "" {
			r.known(ctx, id, "", SignalReload, problem)
		}
		return
	}
	if message.RequestID != "" {
		if r.known(ctx, message.RequestID, "", SignalReload, checkLengths("", message.RequestID, "")) {
			return
		}
	}
	if r.Status.RenamedTo != "" {
		r.settle(message.RequestID, OutcomeFailed, FailureConflict, r.suspended(), workflow.Now(ctx))
		return
	}
	if refusal := r.refuse(message, workflow.Now(ctx)); refusal != "" {
		r.settle(message.RequestID, OutcomeFailed, FailureConflict, refusal, workflow.Now(ctx))
		return
	}
	if message.RequestID != "" {
		r.Waiting = append(r.Waiting, message.RequestID)
	}
	if !r.reload(message) {
		return
	}
	r.stop()
}

// onOverride accepts an override; a bad one becomes a failed outcome.
func (r *reconciler) onOverride(ctx workflow.Context, raw converter.RawValue) {
	message := Override{}
	problem := unreadable(decode(raw, &message))
	if problem == "" {
		problem = message.check()
	} else if message.RequestID == "" {
		message.RequestID = r.requestID(ctx, raw)
	}
	message.RequestID = cmp.Or(message.RequestID, fmt.Sprintf("signal-%d", r.nextSeq()))
	if r.known(ctx, message.RequestID, message.WorkflowID, string(message.Action), problem) {
		return
	}
	if reason := cmp.Or(r.suspended(), r.full(message)); reason != "" {
		r.settle(message.RequestID, OutcomeFailed, FailureConflict, reason, workflow.Now(ctx))
		return
	}
	r.takeOverride(ctx, message)
}

// takeOverride puts a valid override in force and applies it beside everything else.
func (r *reconciler) takeOverride(ctx workflow.Context, message Override) {
	if !r.knows(message.RequestID) {
		r.remember(Outcome{
			RequestID: message.RequestID, WorkflowID: message.WorkflowID, Action: string(message.Action),
			Status: OutcomeAccepted, At: workflow.Now(ctx),
		})
	}
	workflow.GetLogger(ctx).Info("override accepted", "workflow_id", message.WorkflowID, "action", message.Action,
		"actor", message.Actor, "reason", message.Reason, "request_id", message.RequestID)
	replaced := r.accept(message, workflow.Now(ctx))
	if r.passing && message.Action == ActionRevert {
		r.ended[message.WorkflowID] = message.RequestID
	}
	lead := message.lead(workflow.Now(ctx))
	r.act(ctx, message.WorkflowID, func(ctx workflow.Context) {
		r.override(ctx, message, replaced, lead)
		r.tellApplied(ctx, message.RequestID)
		r.overtake(message.WorkflowID, replaced, workflow.Now(ctx))
	})
}

// onRun starts runs; a bad message becomes a failed outcome.
func (r *reconciler) onRun(ctx workflow.Context, raw converter.RawValue) {
	message := Run{}
	problem := unreadable(decode(raw, &message))
	if problem == "" {
		problem = message.check()
	} else if message.RequestID == "" {
		message.RequestID = r.requestID(ctx, raw)
	}
	message.RequestID = cmp.Or(message.RequestID, fmt.Sprintf("signal-%d", r.nextSeq()))
	if r.known(ctx, message.RequestID, message.WorkflowID, string(message.Action), problem) {
		return
	}
	if reason := r.suspended(); reason != "" {
		r.settle(message.RequestID, OutcomeFailed, FailureConflict, reason, workflow.Now(ctx))
		return
	}
	r.act(ctx, message.WorkflowID, func(ctx workflow.Context) {
		r.startRuns(ctx, message)
		r.tellApplied(ctx, message.RequestID)
	})
}

// tellApplied spares the API of this process a query. A failure is not told: should the workflow task be lost, with this
// process, the next try may find something else.
func (r *reconciler) tellApplied(ctx workflow.Context, requestID string) {
	if outcome := r.outcome(OutcomeQuery{RequestID: requestID})[0]; outcome.Status == OutcomeApplied {
		r.observe(ctx, func(o Observer) { o.Applied(outcome) })
	}
}

// known reports whether there is nothing to do: the request came before, or it is wrong. A new one is
// remembered.
func (r *reconciler) known(ctx workflow.Context, requestID, workflowID, action, problem string) bool {
	if r.knows(requestID) {
		return true
	}
	outcome := Outcome{
		RequestID: cut(requestID), WorkflowID: cut(workflowID), Action: cut(action), Status: OutcomeAccepted, At: workflow.Now(ctx),
	}
	if problem != "" {
		outcome.Status, outcome.Reason, outcome.Message = OutcomeFailed, FailureInvalid, problem
		workflow.GetLogger(ctx).Error("signal refused", "request_id", outcome.RequestID, "problem", problem)
	}
	r.remember(outcome)
	return problem != ""
}

// cut bounds what a refused message leaves in the state.
func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxName)], "") }
