package soak_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
)

// actionTimeout bounds what is done to Temporal by hand.
const actionTimeout = 10 * time.Second

// action is something that happens; it reports whether it could.
type action struct {
	name   string
	weight int
	fault  bool
	do     func(*world) bool
}

var actions = []action{
	{"edit", 6, false, edit},
	{"flip enabled", 2, false, flip},
	{"add", 2, false, add},
	{"remove", 2, false, remove},
	{"broken file", 2, false, breakFile},
	{"pause", 14, false, pause},
	{"resume", 8, false, resume},
	{"delete", 4, false, deleteOne},
	{"revert", 6, false, revert},
	{"trigger", 6, false, trigger},
	{"forced reload", 1, false, forceReload},
	{"resync", 2, false, resync},
	{"wait until quiet", 3, false, func(w *world) bool { w.settle(); return true }},
	{"pause by hand", 3, true, pauseByHand},
	{"change by hand", 4, true, changeByHand},
	{"delete by hand", 2, true, deleteByHand},
	{"kill -9 a replica", 3, true, func(w *world) bool { return w.hit(w.victim(), w.kill) }},
	{"SIGTERM a replica", 2, true, func(w *world) bool { return w.hit(w.victim(), w.stop) }},
	{"SIGSTOP a replica", 3, true, func(w *world) bool { return w.hit(w.upReplica(), w.freeze) }},
	{"kill -9 Temporal", 1, true, killTemporal},
	{"terminate the reconciler", 1, true, terminate},
}

// round lets some twenty-five things happen, a moment apart.
func (w *world) round() {
	w.rounds++
	sum := 0
	for _, a := range actions {
		sum += a.weight
	}
	for end := w.actions + 20 + w.random.IntN(10); w.actions < end; {
		w.undo(false)
		a := w.choose(sum)
		if !a.do(w) {
			continue
		}
		w.actions++
		if a.fault {
			w.faults++
		}
		time.Sleep(time.Duration(w.random.IntN(400)) * time.Millisecond)
	}
}

// choose draws an action by its weight; sum is the weight of all.
func (w *world) choose(sum int) action {
	n := w.random.IntN(sum)
	i := slices.IndexFunc(actions, func(a action) bool { n -= a.weight; return n < 0 })
	return actions[i]
}

// committed is what a commit does to overrides: a reload comes, some time from now.
func (w *world) committed(message string) bool {
	w.commit(message)
	w.note("%s", message)
	w.model.reload(true)
	w.editing = true
	return true
}

func edit(w *world) bool {
	id := w.someID(func(string) bool { return true })
	w.change(id)
	return w.committed("edit " + id)
}

// flip changes enabled, of a workflow that nobody has overridden and nobody overrides in this round.
func flip(w *world) bool {
	id := w.someID(w.model.certain)
	w.files[id].enabled = !w.files[id].enabled
	w.busy[id] = true
	w.change(id)
	return w.committed("flip enabled of " + id)
}

func add(w *world) bool {
	id := w.newFile()
	w.busy[id] = true
	return w.committed("add " + id)
}

// remove stays below the prune guard: it lets five schedules go at once.
func remove(w *world) bool {
	removed := 0
	for id := range w.busy {
		if _, ok := w.files[id]; !ok {
			removed++
		}
	}
	if removed == 5 {
		return false
	}
	id := w.someID(w.model.certain)
	w.busy[id] = true
	w.remove(id)
	return w.committed("remove " + id)
}

// breakFile commits a file that is no YAML, and mends it. No replica starts meanwhile, since it would refuse to.
// The revision before and after is the same, so nothing is reloaded.
func breakFile(w *world) bool {
	if slices.ContainsFunc(w.replicas, func(r *replica) bool { return r.told() == "" }) {
		return false
	}
	id := w.someID(func(string) bool { return true })
	good := w.read(id)
	w.write(id, pick(w, []string{"id: " + id + "\nschedule: {cron: \"61 * * * *\"}\n", "id: [\n", ""}))
	w.commit("break " + id)
	w.note("break %s", id)
	time.Sleep(time.Duration(500+w.random.IntN(1500)) * time.Millisecond)
	pause(w)
	w.write(id, good)
	w.commit("mend " + id)
	return true
}

// write sends an override of a schedule, and says what it may be then.
func (w *world) override(method, path, id string, body any, after override) bool {
	r := w.upReplica()
	if r == nil {
		return false
	}
	sent := w.send(r, method, path, body)
	w.note("%s %s %v by replica %d: %s (%s)", method, path, body, r.number, sent, after)
	switch sent {
	case applied:
		w.model.set(id, after)
		if w.editing && !after.hold {
			w.model.may(id, override{}) // the reload may have come after it
		}
	case unknown:
		w.watchTemporal()
		after.loose = true
		w.model.may(id, after)
		if w.editing {
			w.model.may(id, override{})
		}
	case refused:
		if !w.editing {
			w.violation("%s %s was refused", method, path)
		}
		w.model.may(id, after, override{})
	case notSent:
	}
	return true
}

// terms are how long an override is to live.
func (w *world) terms(kind string) (override, string) {
	o, expiresIn := override{kind: kind, hold: w.random.IntN(4) == 0}, ""
	if w.random.IntN(3) == 0 {
		d := time.Duration(3+w.random.IntN(30)) * time.Second
		o.expires, expiresIn = time.Now().Add(d), d.String()
	}
	return o, expiresIn
}

// put pauses or resumes a schedule; setting it to what its file says ends an override.
func (w *world) put(id string, enabled bool) bool {
	after, expiresIn := w.terms(map[bool]string{true: resumed, false: paused}[enabled])
	body := map[string]any{"enabled": enabled, "reason": "soak", "hold": after.hold}
	if expiresIn != "" {
		body["expires_in"] = expiresIn
	}
	if w.files[id].enabled == enabled {
		after = override{}
	}
	return w.override(http.MethodPut, "/api/v0/schedules/"+id, id, body, after)
}

func (w *world) there(id string) bool { return !w.model.has(id, deleted) }

func pause(w *world) bool { return w.put(w.someID(w.there), false) }

// resume ends a pause, or resumes what its file pauses.
func resume(w *world) bool {
	id := w.someID(func(id string) bool { return w.there(id) && (w.model.has(id, paused) || !w.files[id].enabled) })
	return id != "" && w.put(id, true)
}

func deleteOne(w *world) bool {
	id := w.someID(w.there)
	after, expiresIn := w.terms(deleted)
	query := url.Values{"reason": {"soak"}}
	if after.hold {
		query.Set("hold", "true")
	}
	if expiresIn != "" {
		query.Set("expires_in", expiresIn)
	}
	return w.override(http.MethodDelete, "/api/v0/schedules/"+id+"?"+query.Encode(), id, nil, after)
}

func revert(w *world) bool {
	id := w.someID(func(id string) bool { return !w.model.certain(id) })
	return id != "" && w.override(http.MethodDelete, "/api/v0/schedules/"+id+"/override", id, nil, override{})
}

func trigger(w *world) bool {
	id := w.someID(w.there)
	r := w.upReplica()
	if r == nil {
		return false
	}
	sent := w.send(r, http.MethodPost, "/api/v0/schedules/"+id+"/trigger", nil)
	w.note("trigger %s by replica %d: %s", id, r.number, sent)
	if sent == refused && !w.editing {
		w.violation("the trigger of %s was refused", id)
	}
	return true
}

// forceReload reloads without a change of files. It is accepted, not waited for: writes after it run against it.
func forceReload(w *world) bool {
	r := w.upReplica()
	if r == nil {
		return false
	}
	sent := w.send(r, http.MethodPost, "/api/v0/reload", map[string]any{"force": true})
	w.note("forced reload by replica %d: %s", r.number, sent)
	if sent != notSent {
		w.model.reload(false)
		w.editing = true
	}
	return true
}

func resync(w *world) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), actionTimeout)
	defer cancel()
	err := w.client.SignalWorkflow(ctx, "schedule-reconciler-"+project, "", "resync", nil)
	w.note("resync: %v", err)
	return err == nil
}

// byHand does something to the schedule of a workflow that is as its file says, and will stay so: by hand one can
// write over what the reconciler writes at that moment, which then looks like the hand's own wish.
func (w *world) byHand(what string, do func(ctx context.Context, id string, h client.ScheduleHandle) error) bool {
	if w.editing || !w.temporalUp {
		return false
	}
	id := w.someID(func(id string) bool { return w.model.certain(id) && w.files[id].enabled })
	ctx, cancel := context.WithTimeout(w.t.Context(), actionTimeout)
	defer cancel()
	w.busy[id] = true
	err := do(ctx, id, w.client.ScheduleClient().GetHandle(ctx, "schedule-"+project+"-"+id))
	w.note("%s %s: %v", what, id, err)
	return true
}

func pauseByHand(w *world) bool {
	return w.byHand("pause by hand", func(ctx context.Context, id string, h client.ScheduleHandle) error {
		byHand := override{kind: paused, outside: true}
		err := h.Pause(ctx, client.SchedulePauseOptions{Note: "by hand"})
		if err != nil {
			w.model.may(id, byHand)
			return err
		}
		w.model.set(id, byHand)
		return nil
	})
}

// changeByHand changes what a list does not show, or what it shows: both are put back, by --drift correct.
func changeByHand(w *world) bool {
	times := w.random.IntN(2) == 0
	return w.byHand("change by hand", func(ctx context.Context, _ string, h client.ScheduleHandle) error {
		return h.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule
			if times {
				s.Spec.Jitter = time.Hour
			} else if start, ok := s.Action.(*client.ScheduleWorkflowAction); ok {
				start.TaskQueue, start.Args = "elsewhere", []any{"by hand"}
			}
			return &client.ScheduleUpdate{Schedule: &s}, nil
		}})
	})
}

func deleteByHand(w *world) bool {
	return w.byHand("delete by hand", func(ctx context.Context, _ string, h client.ScheduleHandle) error { return h.Delete(ctx) })
}

func (w *world) hit(r *replica, fault func(*replica)) bool {
	if r == nil {
		return false
	}
	w.note("fault at replica %d, process %d", r.number, r.process.PID())
	fault(r)
	return true
}

func killTemporal(w *world) bool {
	if !w.temporalUp {
		return false
	}
	w.note("kill -9 Temporal")
	w.stopTemporal()
	w.later(w.startTemporal)
	return true
}

// terminate ends the reconciler, in peace: what is under way then is lost with it, and cannot be told from what was
// done. A replica starts another within 30 s.
func terminate(w *world) bool {
	w.settle()
	ctx, cancel := context.WithTimeout(w.t.Context(), actionTimeout)
	defer cancel()
	err := w.client.TerminateWorkflow(ctx, "schedule-reconciler-"+project, "", "soak")
	w.note("terminate the reconciler with %d overrides: %v", len(w.model), err)
	w.model.lose()
	w.settle()
	return !strings.Contains(errText(err), "not found")
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
