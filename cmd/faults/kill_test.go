package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// Temporal needs up to ten seconds to give a killed worker's work to the next, so some projects live side by side.
	lives, killsOfLife = 5, 20
	// roundsToRest is how often all comes to rest, to be held against what was accepted.
	roundsToRest = 4
	// roundTakes is how long things go on in a round, and so the span of a kill at random.
	roundTakes = 2 * time.Second
	// watchFor bounds how long a round waits for the state that it wants to kill in.
	watchFor = 15 * time.Second
	// suggestAfter is the history's length, in events, from which the server of tests suggests to continue as new.
	suggestAfter = 60
	// atContinue is how near to Continue-As-New a kill is at it.
	atContinue = 200 * time.Millisecond
)

// The states that kills fall into.
const (
	inPass         = "while a pass compares or writes"
	inOverride     = "while an override waits"
	beforeContinue = "in a task in which Continue-As-New is due"
	afterContinue  = "within 200 ms after Continue-As-New"
	inNothing      = "at rest"
)

// life is one project whose only process is killed again and again.
type life struct {
	watched
	model
	namespace, dir string
	env            []string
	process        *schedulestest.Process
	former         []*schedulestest.Process
	edits          int
	removed        map[int]bool
	triggers       []string
	kills          map[string]int
}

// awaited are the states that each third round waits for, in turn. The moment after Continue-As-New is easily missed.
var awaited = []string{afterContinue, afterContinue, inPass, beforeContinue}

func TestKill(t *testing.T) {
	kills := map[string]int{}
	var mu sync.Mutex
	seed := uint64(time.Now().UnixNano())
	t.Run("Should lose nothing in 100 kills -9", func(t *testing.T) {
		for i := range lives {
			t.Run(fmt.Sprintf("life %d of seed %d", i, seed), func(t *testing.T) {
				t.Parallel()
				l := newLife(t, fmt.Sprintf("life-%d", i), rand.New(rand.NewPCG(seed, uint64(i))))
				for round := range killsOfLife {
					l.round(round)
				}
				l.end()
				mu.Lock()
				defer mu.Unlock()
				for state, n := range l.kills {
					kills[state] += n
				}
			})
		}
	})
	for _, state := range []string{inPass, inOverride, beforeContinue, afterContinue, inNothing} {
		t.Logf("%3d kills %s", kills[state], state)
		if state != inNothing && !t.Failed() {
			assert.Positive(t, kills[state], state)
		}
	}
}

func newLife(t *testing.T, project string, random *rand.Rand) *life {
	t.Helper()
	namespace, c := server.Namespace(t)
	l := &life{
		watched:   watched{t: t, client: c, project: project},
		model:     model{random: random, beliefs: map[string]belief{}, requests: map[string]bool{}},
		namespace: namespace, env: schedulestest.Env(server.Address(), namespace),
		dir:     schedulestest.Project(t, project, wholeLife),
		removed: map[int]bool{}, kills: map[string]int{},
	}
	l.process = serve(t, l.env, l.dir)
	l.rest()
	return l
}

// log is what the processes printed, the last four of them.
func (l *life) log() string {
	var b strings.Builder
	for _, p := range l.former[max(0, len(l.former)-3):] {
		b.WriteString(p.Log() + "--- killed ---\n")
	}
	return b.String() + l.process.Log()
}

// round kills the process while something goes on, and starts it again.
func (l *life) round(n int) {
	l.t.Helper()
	since, calm := l.runID(), n%3 == 0 && awaited[n/3%len(awaited)] != inPass
	// Files change in the rounds between every other rest only: in the others no reload ends what is not held.
	edits := n/roundsToRest%2 == 0
	moment := time.Duration(l.random.Int64N(int64(roundTakes)))
	l.last = nil
	var mu sync.Mutex // of the model
	end := make(chan struct{})
	var acting sync.WaitGroup
	acting.Go(func() {
		l.trigger(&mu)
		for {
			mu.Lock()
			l.act(calm, edits)
			mu.Unlock()
			select {
			case <-end:
				return
			case <-time.After(time.Duration(10+l.random.IntN(60)) * time.Millisecond):
			}
		}
	})
	if n%3 == 0 {
		l.await(awaited[n/3%len(awaited)], since)
	} else {
		time.Sleep(moment)
	}
	mu.Lock()
	l.process.Kill()
	killed := time.Now()
	for _, state := range l.states(since, killed) {
		l.kills[state]++
	}
	mu.Unlock()
	time.Sleep(100 * time.Millisecond) // what comes while nobody is there counts too
	close(end)
	acting.Wait()
	l.former, l.process = append(l.former, l.process), serve(l.t, l.env, l.dir)
	if n%roundsToRest == roundsToRest-1 {
		l.rest()
	} else {
		l.awake()
	}
}

// await returns when the reconciler is in a state that a kill at random meets seldom.
func (l *life) await(state, since string) {
	holds := map[string]func(*workflowservice.DescribeWorkflowExecutionResponse) bool{
		beforeContinue: func(d *workflowservice.DescribeWorkflowExecutionResponse) bool {
			return d.GetWorkflowExecutionInfo().GetHistoryLength() >= suggestAfter-1
		},
		afterContinue: func(d *workflowservice.DescribeWorkflowExecutionResponse) bool {
			return d.GetWorkflowExecutionInfo().GetExecution().GetRunId() != since
		},
		inPass: working,
	}[state]
	for deadline := time.Now().Add(watchFor); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if d := l.describe(); d != nil && holds(d) {
			return
		}
	}
}

// act does one thing that may happen to a project. A calm one asks for no pass: where there is always one due the
// reconciler does not continue as new.
func (l *life) act(calm, edits bool) {
	switch dice := l.random.IntN(20); {
	case calm, dice < 10:
		l.send(l.next())
	case dice < 12 && len(l.last) > 0: // a client that saw no answer sends again
		again := l.last[max(0, len(l.last)-1-l.random.IntN(5))]
		assert.NoError(l.t, l.signal(workflows.SignalOverride, again))
	case dice < 13 && edits:
		l.edit()
	default:
		assert.NoError(l.t, l.signal(workflows.SignalResync, nil))
	}
}

func (l *life) send(o workflows.Override) {
	if assert.NoError(l.t, l.signal(workflows.SignalOverride, o)) {
		l.accepted(o)
	}
}

// trigger asks for one run of the last schedule. Its runs are named by the second, so one a round.
func (l *life) trigger(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	id := fmt.Sprintf("trigger-%03d", len(l.triggers))
	err := l.signal(workflows.SignalRun, workflows.Run{
		RequestID: id, WorkflowID: name(wholeLife - 1), Action: workflows.ActionTrigger, OverlapPolicy: config.OverlapAllow,
	})
	if assert.NoError(l.t, err) {
		l.triggers = append(l.triggers, id)
	}
}

// edit changes the files of some workflows.
func (l *life) edit() {
	l.changed()
	for range 1 + l.random.IntN(30) {
		l.edits++
		i := l.random.IntN(wholeLife - 1)
		file := filepath.Join(l.dir, "workflows", name(i)+".yaml")
		if i >= enabledUntil && i < removedUntil && !l.removed[i] && l.random.IntN(2) == 0 {
			require.NoError(l.t, os.Remove(file))
			l.removed[i] = true
			continue
		}
		delete(l.removed, i)
		enabled := i < deletedUntil || i >= enabledUntil || l.random.IntN(2) == 0
		text := fmt.Sprintf("id: %s\nschedule: {cron: \"%d %d * * *\", enabled: %v, input: {edit: %d}}\n",
			name(i), l.random.IntN(60), l.random.IntN(24), enabled, l.edits)
		replaceFile(l.t, file, text)
	}
}

// replaceFile leaves no moment without the whole file, as git and Kubernetes do.
func replaceFile(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

// states are those that a kill fell into.
func (l *life) states(since string, killed time.Time) (states []string) {
	l.t.Helper()
	var description *workflowservice.DescribeWorkflowExecutionResponse
	schedulestest.Eventually(l.t, l.log, func() bool { description = l.describe(); return description != nil })
	runID := description.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	events := l.history(runID)
	if working(description) {
		states = append(states, inPass)
	}
	handled := l.handled(runID, since)
	waits := pending(description)["Override"]
	for _, o := range l.last {
		waits = waits || !handled[o.RequestID]
	}
	if waits {
		states = append(states, inOverride)
	}
	if aboutToContinue(events) {
		states = append(states, beforeContinue)
	}
	if continued(events) != "" && killed.Sub(events[0].GetEventTime().AsTime()) <= atContinue {
		states = append(states, afterContinue)
	}
	if len(states) == 0 {
		states = []string{inNothing}
	}
	return states
}

// awake waits until the new process has come to what was asked for.
func (l *life) awake() {
	l.t.Helper()
	var o workflows.Outcome
	waited := func() string { return fmt.Sprintf("%s\nno end of %+v", l.log(), o) }
	schedulestest.Eventually(l.t, waited, func() bool {
		for id := range l.requests {
			o = l.outcome(id)
			if !settled(o) {
				return false
			}
			l.settle(o)
		}
		return true
	})
}

// settle sees that a request ended well, or was overtaken.
func (l *life) settle(o workflows.Outcome) {
	l.t.Helper()
	delete(l.requests, o.RequestID)
	overtaken := []string{"a later request or a reload came first", "a reload came before it was applied"}
	if o.Status == workflows.OutcomeFailed {
		assert.Contains(l.t, overtaken, o.Message, "%+v", o)
	}
}

// rest waits until all is done, and holds it against the model.
func (l *life) rest() {
	l.t.Helper()
	l.awake()
	project, err := config.Load(l.dir)
	require.NoError(l.t, err)
	schedulestest.Eventually(l.t, l.log, func() bool { return l.status().InSync(config.Short(project.Revision)) })
	l.reloading = false
	require.Empty(l.t, l.differences(l.overrides(l.log)), "overrides\n%s", l.log())
}

// end is a last reload, which leaves only what is held, and a look at everything.
func (l *life) end() {
	l.t.Helper()
	l.rest()
	requireWhole(l.t, l.log, l.client, l.project, l.dir, l.kept())
	l.edit()
	l.rest()
	for id, b := range l.beliefs {
		assert.True(l.t, b.action == "" || b.hold, "%s: %+v", id, b)
	}
	requireWhole(l.t, l.log, l.client, l.project, l.dir, l.kept())
	l.requireTriggered()
}

// requireTriggered counts the runs that triggers started.
func (l *life) requireTriggered() {
	l.t.Helper()
	for _, id := range l.triggers {
		schedulestest.Eventually(l.t, l.log, func() bool { return settled(l.outcome(id)) })
	}
	query := fmt.Sprintf("TemporalScheduledById = 'schedule-%s-%s'", l.project, name(wholeLife-1))
	answer, err := l.client.CountWorkflow(context.Background(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: l.namespace, Query: query,
	})
	require.NoError(l.t, err)
	// Two that waited for the same new process are one run where they are of one second, which names the run.
	assert.LessOrEqual(l.t, int(answer.GetCount()), len(l.triggers), "runs, no trigger counts twice")
	assert.GreaterOrEqual(l.t, int(answer.GetCount()), len(l.triggers)/2, "runs")
}
