package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
)

// listen takes messages over as they come, also while a pass is running.
func (r *reconciler) listen(ctx workflow.Context) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var raw converter.RawValue
			r.reloads.Receive(ctx, &raw)
			r.onReload(ctx, raw)
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			r.resyncs.Receive(ctx, nil)
			r.PassDue = true
		}
	})
}

// drain takes over what has arrived but was not handed out yet. A message that it missed would be
// lost with this run.
func (r *reconciler) drain(ctx workflow.Context) {
	var raw converter.RawValue
	for r.reloads.ReceiveAsync(&raw) {
		r.onReload(ctx, raw)
	}
	for r.resyncs.ReceiveAsync(nil) {
		r.PassDue = true
	}
}

// onReload never fails the workflow: a message that cannot be read is logged and shown.
func (r *reconciler) onReload(ctx workflow.Context, raw converter.RawValue) {
	message := Reload{}
	if len(raw.Payload().GetData()) > 0 {
		if err := converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &message); err != nil {
			workflow.GetLogger(ctx).Error("reload signal refused: its input is not a reload", "error", err)
			r.Status.Refused = &Refused{At: workflow.Now(ctx), Message: "its input could not be read: " + err.Error()}
			return
		}
	}
	if r.reload(message, workflow.Now(ctx)) && r.stopPass != nil {
		r.stopPass()
	}
}
