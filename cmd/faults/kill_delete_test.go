package faults_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// The local activities of a workflow task are forgotten where its worker is killed, and done again by another. A
// process that starts asks for a pass, which mends a lot; so here the other one runs already.
func TestKillInDelete(t *testing.T) {
	t.Run("Should keep schedules away that a killed process had deleted and not told", func(t *testing.T) {
		t.Parallel()
		const tries = 20 // the kill has a second's time, and misses it where the machine is slow
		for try := range tries {
			if killInDelete(t, fmt.Sprintf("deletes-%d", try)) {
				return
			}
		}
		require.FailNow(t, "no kill came between a delete and its telling")
	})
}

// killInDelete reports whether the kill came between a delete and the end of its workflow task.
func killInDelete(t *testing.T, project string) bool {
	t.Helper()
	const deletes = 30 // at once, so that the first is gone before the last
	namespace, c := server.Namespace(t)
	env := schedulestest.Env(server.Address(), namespace)
	w := watched{t: t, client: c, project: project}
	dir := schedulestest.Project(t, project, deletes)
	slow := "--temporal-rps=20" // two seconds for all
	replicas := []*schedulestest.Process{serve(t, env, dir, slow), serve(t, env, dir, slow)}
	log := func() string { return replicas[0].Log() + "--- the other one ---\n" + replicas[1].Log() }
	for _, replica := range replicas {
		schedulestest.Eventually(t, log, func() bool { return strings.Contains(replica.Log(), "told the reconciler") })
	}
	schedulestest.Eventually(t, log, func() bool { s := w.status(); return s.Phase == workflows.PhaseInSync && s.LastAudit != nil })
	holder := holderOf(t, w, replicas)
	kept, requests := map[string]schedulestest.Kept{}, map[string]string{}
	for i := range deletes {
		requests[name(i)], kept[name(i)] = uuid.NewString(), schedulestest.Kept{Deleted: true}
		require.NoError(t, w.signal(workflows.SignalOverride, workflows.Override{
			RequestID: requests[name(i)], WorkflowID: name(i), Action: workflows.ActionDelete, Hold: true,
		}))
	}
	untold := func() bool {
		handled := w.handled(w.runID(), "")
		return slices.ContainsFunc(slices.Collect(maps.Keys(requests)), func(id string) bool {
			_, err := w.schedule(id).Describe(t.Context())
			_, gone := errors.AsType[*serviceerror.NotFound](err)
			return gone && !handled[requests[id]]
		})
	}
	schedulestest.Eventually(t, log, func() bool { return untold() || len(w.handled(w.runID(), "")) == deletes })
	holder.Kill()
	if !untold() {
		return false
	}
	for _, request := range requests {
		var outcome workflows.Outcome
		schedulestest.Eventually(t, log, func() bool { outcome = w.outcome(request); return settled(outcome) })
		require.Equal(t, workflows.OutcomeApplied, outcome.Status, "%+v", outcome)
	}
	require.Len(t, w.overrides(log), deletes)
	requireWhole(t, log, c, w.project, dir, kept)
	return true
}

// holderOf is the process that the reconciler's workflow tasks go to.
func holderOf(t *testing.T, w watched, processes []*schedulestest.Process) *schedulestest.Process {
	t.Helper()
	identity := ""
	for _, event := range w.history(w.runID()) {
		if task := event.GetWorkflowTaskStartedEventAttributes(); task != nil {
			identity = task.GetIdentity()
		}
	}
	for _, process := range processes {
		if strings.HasPrefix(identity, fmt.Sprintf("%d@", process.PID())) {
			return process
		}
	}
	require.FailNow(t, "no process has the tasks", identity)
	return nil
}
