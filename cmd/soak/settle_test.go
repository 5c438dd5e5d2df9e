package soak_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/compozy/schedules/cmd/schedulestest"
)

// settleWithin is how long it may take until all is right again after the last fault of a round.
const settleWithin = 2 * schedulestest.Soon

// sayEvery is how often a long wait says what it waits for.
const sayEvery = 20 * time.Second

// settle lets everything come back and waits until all is as the files, the writes and the model say. From then on
// nothing is uncertain any more.
func (w *world) settle() {
	w.t.Helper()
	w.undo(true)
	revision := w.revision()
	var seen map[string]override
	var err error
	started, said := time.Now(), time.Now()
	for ; ; time.Sleep(time.Second) { // each look asks for every schedule
		w.supervise()
		if seen, err = w.whole(revision); err == nil {
			break
		}
		if w.watchTemporal() {
			started = time.Now()
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			w.t.Logf("not whole after %s: %.500s", time.Since(started).Round(time.Second), err)
		}
		if time.Since(started) > settleWithin {
			w.violation("not whole within %s: %v", settleWithin, err)
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	failures, err := schedulestest.Failures(ctx, w.client, project)
	if err != nil || len(failures) > 0 {
		w.violation("failures of the reconciler: %v (%v)", failures, err)
	}
	w.note("whole: revision %s, %d schedules, %d overrides", revision, len(seen), len(w.model))
	w.model.settle(seen)
	w.pending, w.editing = nil, false
	clear(w.busy)
}

// whole reports why the world is not yet what it is to be, and what its schedules are where it is.
func (w *world) whole(revision string) (map[string]override, error) {
	if err := w.inSync(revision); err != nil {
		return nil, err
	}
	if err := w.answered(); err != nil {
		return nil, err
	}
	var first map[string]override
	for _, r := range w.replicas {
		seen, err := w.seen(r)
		if err != nil {
			return nil, err
		}
		if mismatches := w.model.mismatches(seen, time.Now()); len(mismatches) > 0 {
			return nil, fmt.Errorf("replica %d: %s", r.number, strings.Join(mismatches, "; "))
		}
		if first == nil {
			first = seen
		}
		if !sameOverrides(first, seen) || len(seen) != len(w.files) {
			return nil, fmt.Errorf("replica %d does not show the %d schedules that replica 0 shows", r.number, len(w.files))
		}
	}
	kept := map[string]schedulestest.Kept{}
	for id, o := range first {
		if o.kind != none {
			kept[id] = schedulestest.Kept{Paused: o.kind == paused, Deleted: o.kind == deleted}
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	differences, err := schedulestest.Differences(ctx, w.client, w.dir, kept)
	if err != nil {
		return nil, err
	}
	if len(differences) > 0 {
		return nil, errors.New(strings.Join(differences, "; "))
	}
	return first, nil
}

func sameOverrides(a, b map[string]override) bool {
	return maps.EqualFunc(a, b, func(x, y override) bool {
		return x.kind == y.kind && x.hold == y.hold && x.expires.Equal(y.expires)
	})
}

// inSync: the reconciler has the revision, and no replica will come with another one: each has told it this one last.
func (w *world) inSync(revision string) error {
	for _, r := range w.replicas {
		if r.told() != revision {
			return fmt.Errorf("replica %d has not told revision %s yet", r.number, revision)
		}
	}
	var status struct{ Phase, Revision, Applied, Message string }
	if err := w.get(w.replicas[steady], "/api/v0/reconciler", &status); err != nil {
		return err
	}
	if status.Phase != "in_sync" || status.Revision != revision || status.Applied != revision {
		return fmt.Errorf("the reconciler is %s: %+v", status.Phase, status)
	}
	return w.alive()
}

// alive asks Temporal itself, not the API, whether the reconciler runs. Where files change before the one that follows an
// ended one begins, its first pass is no reload, and keeps what was paused.
func (w *world) alive() error {
	ctx, cancel := context.WithTimeout(w.t.Context(), actionTimeout)
	defer cancel()
	description, err := w.client.DescribeWorkflowExecution(ctx, "schedule-reconciler-"+project, "")
	if err != nil {
		return err
	}
	if is := description.GetWorkflowExecutionInfo().GetStatus(); is != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return fmt.Errorf("the reconciler was ended (%s)", is)
	}
	return nil
}

// answered: of each write that got no answer is known what became of it. One that the reconciler does not know never
// came: who sent it is dead, or has given up.
func (w *world) answered() error {
	for _, key := range w.pending {
		var outcome struct{ Status string }
		if err := w.get(w.replicas[steady], "/api/v0/requests/"+key, &outcome); err != nil {
			return err
		}
		if outcome.Status == "accepted" {
			return fmt.Errorf("request %s is still under way", key)
		}
	}
	return nil
}
