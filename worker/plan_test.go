package worker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// planProjects is how many random projects are planned and applied, planGroups at the same time.
	planProjects = 300
	planGroups   = 20
	planSeed     = 2027
	// planIDs is how many workflow ids there are, so that one project meets what the one before left.
	planIDs = 6
)

// TestPlanProperty compares what a plan says with what the reconciler then does, over random projects, hand
// edits, overrides and schedules of others. Each group is one project whose files change, so the state that
// a plan starts from is whatever the rounds before it left.
func TestPlanProperty(t *testing.T) {
	t.Parallel()
	var counted, changed atomic.Int64
	t.Run("Should do what was planned, and then plan nothing", func(t *testing.T) {
		// They mostly wait, for Temporal. Parallel subtests would be no more than there are cores.
		var groups sync.WaitGroup
		for group := range planGroups {
			groups.Go(func() {
				g := newPlanGroup(t, group)
				for g.round = range planProjects / planGroups {
					g.play()
				}
				counted.Add(int64(g.counted))
				changed.Add(int64(g.changed))
			})
		}
		groups.Wait()
	})
	t.Run("Should have changed something and seen a pass's own counts most of the time", func(t *testing.T) {
		assert.Greater(t, changed.Load(), int64(planProjects/2))
		assert.Greater(t, counted.Load(), int64(planProjects/2))
	})
}

// planGroup is one project that changes from round to round, in a namespace of its own.
type planGroup struct {
	t       *testing.T
	random  *rand.Rand
	group   int
	round   int
	files   files
	running *running
	server  *activities.Server
	// drift is what the reconciler does with hand edits.
	drift config.DriftMode
	// yaml are the workflows' files; exists is every schedule of the namespace.
	yaml   map[string]string
	exists map[string]*workflowservice.DescribeScheduleResponse
	// story is what a round did, for a failure's message.
	story []string
	// mustChange is true where a forced reload still puts hand edits back, which a plan cannot know: only
	// another revision ends that at once.
	mustChange bool
	// counted is how many rounds saw the counts of their own pass, changed how many changed something.
	counted, changed int
}

func newPlanGroup(t *testing.T, group int) *planGroup {
	namespace, c := server.Namespace(t)
	g := &planGroup{
		t: t, random: rand.New(rand.NewPCG(planSeed, uint64(group))), group: group,
		files: newFiles(t, fmt.Sprintf("plan-%d", group)), drift: config.DriftReport,
		server: activities.NewServer(c.WorkflowService(), namespace, "test", rate.NewLimiter(rate.Inf, 1)),
		yaml:   map[string]string{}, exists: map[string]*workflowservice.DescribeScheduleResponse{},
	}
	if group%3 == 0 {
		g.drift = config.DriftCorrect
	}
	g.running = &running{t: t, client: c, namespace: namespace, project: fmt.Sprintf("plan-%d", group)}
	return g
}

// because is the message of a failure: how to see it again, and what came before it.
func (g *planGroup) because() string {
	return fmt.Sprintf("seed %d, group %d, round %d, drift %s:\n%s", planSeed, g.group, g.round, g.drift, strings.Join(g.story, "\n"))
}

func (g *planGroup) tell(format string, values ...any) {
	g.story = append(g.story, fmt.Sprintf(format, values...))
}

func (g *planGroup) chance(percent int) bool { return g.random.IntN(100) < percent }

// trigger is how a round makes the reconciler act.
type trigger int

const (
	reloadFiles trigger = iota // the process reads the files again, changed or not
	forceReload                // somebody forces the revision that there is
	startAnew                  // the reconciler was ended: the next knows nothing
)

// play is a round: a random state, a plan, and what the reconciler makes of it.
func (g *planGroup) play() {
	g.story = nil
	how := reloadFiles
	if g.round > 0 && !g.mustChange {
		how = []trigger{reloadFiles, reloadFiles, reloadFiles, reloadFiles, reloadFiles, forceReload, startAnew}[g.random.IntN(7)]
		if how == startAnew && g.drift == config.DriftCorrect {
			how = forceReload // a plan cannot know the settings of a reconciler that is not there
		}
	}
	if g.round > 0 {
		g.overrideAtRandom()
		g.awaitQuiet()
		g.editByHand()
	}
	g.others()
	if g.round == 0 || how != forceReload && g.chance(85) || g.mustChange {
		g.writeFiles()
	}
	if how == startAnew {
		g.tell("the reconciler was ended")
		require.NoError(g.t, g.running.client.TerminateWorkflow(context.Background(), workflows.ReconcilerID(g.running.project), "", "test"))
	}

	project := g.files.load()
	request, preview := g.planQuietly(project, how)
	before := maps.Clone(g.exists)
	status, pass := g.apply(project, request.Kind, how)
	g.tell("the pass %+v; then %s, last pass %+v, audit %+v", pass, status.Phase, status.LastPass, status.LastAudit)
	g.look(project, before)
	g.check(before, preview)
	g.checkStatus(preview, status, pass)

	next := g.request(project, status, false)
	require.Equal(g.t, activities.PassResync, next.Kind, g.because())
	require.Equal(g.t, request.Overrides, next.Overrides, "overrides in force; %s", g.because())
	again := g.plan(project, next)
	require.Empty(g.t, again.Operations, "a second plan; %s", g.because())
	if len(preview.Operations) > 0 {
		g.changed++
	}
	g.mustChange = g.drift == config.DriftReport && how == forceReload && status.LastAudit.Drifted > 0
}

// planQuietly plans while nothing happens by itself: a pass that comes between a plan and what is made of it
// leaves another state than the one that was planned for.
func (g *planGroup) planQuietly(project *config.Project, how trigger) (request activities.Request, preview activities.Preview) {
	g.t.Helper()
	for {
		g.awaitList()
		var prior workflows.Status
		if g.round > 0 && how != startAnew {
			prior = g.known()
		}
		request = g.request(project, prior, how == forceReload)
		preview = g.plan(project, request)
		g.tell("planned (%s): %+v, problems %+v", request.Kind, preview.Operations, preview.Problems)
		if g.round == 0 || how == startAnew {
			return request, preview
		}
		now := g.known()
		if atRest(now) && now.LastPass.StartedAt.Equal(prior.LastPass.StartedAt) && now.LastAudit.FinishedAt.Equal(prior.LastAudit.FinishedAt) &&
			time.Until(now.NextResync) > time.Second {
			return request, preview
		}
		g.tell("something came between")
		g.awaitQuiet()
		g.look(project, g.exists)
	}
}

// known is the status of the reconciler. A lost query has none, and is asked again.
func (g *planGroup) known() workflows.Status {
	g.t.Helper()
	return g.until("an answer", func(s workflows.Status) bool { return s.Project != "" })
}

// request is what `schedules plan` makes of what the reconciler says: the zero Status where there is none.
func (g *planGroup) request(project *config.Project, status workflows.Status, force bool) activities.Request {
	g.t.Helper()
	request := activities.Request{
		Project: project.Name, Kind: status.NextKind(config.Short(project.Revision), force),
		Overrides: map[string]activities.OverrideAction{}, Now: time.Now(),
		Correct: force || status.Options.Drift == config.DriftCorrect,
	}
	if status.Project != "" {
		for _, o := range g.running.overrides() {
			if !status.Ends(o, config.Short(project.Revision), force) {
				request.Overrides[o.WorkflowID] = o.Action
			}
		}
	}
	for _, p := range status.Problems {
		if p.Kind == activities.ProblemDrift {
			request.Suspects = append(request.Suspects, p.WorkflowID)
		}
	}
	if request.Correct && request.Kind != activities.PassResync {
		for _, w := range project.Scheduled() {
			request.Suspects = append(request.Suspects, w.ID)
		}
	}
	return request
}

func (g *planGroup) plan(project *config.Project, request activities.Request) activities.Preview {
	g.t.Helper()
	planner, err := activities.New(g.server, project)
	require.NoError(g.t, err)
	preview, err := planner.Preview(context.Background(), request)
	require.NoError(g.t, err)
	return preview
}

// apply lets the reconciler act, and returns its status when all has come to rest, and the pass that was planned:
// nil where the one that the audit after it asked for was quicker than our look.
func (g *planGroup) apply(
	project *config.Project, kind activities.PassKind, how trigger,
) (status workflows.Status, own *workflows.Pass) {
	g.t.Helper()
	revision, asked := config.Short(project.Revision), time.Now()
	switch {
	case g.round == 0:
		g.running = serve(g.t, g.running.namespace, g.running.client, g.files, func(s *config.Settings) {
			s.Watch, s.MaxPrune, s.Drift = false, 100, g.drift
			s.ResyncInterval = time.Hour // after changes a pass still comes by itself, see awaitQuiet
		})
	case how == forceReload:
		g.running.signal(workflows.SignalReload, workflows.Reload{Force: true})
	default:
		g.running.hangup <- struct{}{}
	}
	status = g.until("a pass of revision "+revision, func(s workflows.Status) bool {
		if s.LastPass == nil || s.LastPass.Revision != revision || s.Applied != revision || !s.LastPass.StartedAt.After(asked) {
			return false
		}
		if own == nil && s.LastPass.Kind == kind {
			own = s.LastPass
		}
		// After a reload comes an audit, and a pass where that finds something.
		audited := kind == activities.PassResync || s.LastAudit != nil && s.LastAudit.Revision == revision &&
			s.LastAudit.FinishedAt.After(asked) && (own == nil || s.LastAudit.FinishedAt.After(own.FinishedAt))
		found := audited && s.LastAudit != nil && s.LastAudit.Drifted > 0 && s.LastAudit.FinishedAt.After(asked)
		return audited && (!found || !s.LastPass.StartedAt.Before(s.LastAudit.FinishedAt)) && atRest(s)
	})
	return status, own
}

// until waits for a status, and asks less often than the others do: there are many that wait here, and each
// question is work for the server.
func (g *planGroup) until(what string, holds func(workflows.Status) bool) (status workflows.Status) {
	g.t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(150 * time.Millisecond) {
		if status = g.running.status(); holds(status) {
			return status
		}
		if time.Now().After(deadline) {
			require.FailNow(g.t, "waited too long", "%s; last status %+v; %s; log:\n%s", what, status, g.because(), g.running.log)
		}
	}
}

func atRest(s workflows.Status) bool {
	return s.Phase == workflows.PhaseInSync || s.Phase == workflows.PhaseOutOfSync
}

// awaitQuiet waits until no pass is about to start by itself: it would come between a plan and what is made of it.
func (g *planGroup) awaitQuiet() {
	g.t.Helper()
	g.until("no pass about to start", func(s workflows.Status) bool {
		return atRest(s) && time.Until(s.NextResync) > 4*time.Second
	})
}

// awaitList waits until the list shows all that we know to exist: no plan can know what it hides.
func (g *planGroup) awaitList() {
	g.t.Helper()
	var listed []activities.Listed
	eventually(g.t, func() string { return fmt.Sprintf("the list is %+v; %s", listed, g.because()) }, func() bool {
		var err error
		listed, err = g.server.List(context.Background(), activities.Scope{Project: g.running.project, Whole: true})
		require.NoError(g.t, err)
		return len(listed) == len(g.exists) && !slices.ContainsFunc(listed, func(entry activities.Listed) bool {
			schedule := g.exists[entry.ScheduleID].GetSchedule()
			return schedule == nil || schedule.GetState().GetPaused() != entry.Paused ||
				schedule.GetState().GetNotes() != entry.Note || !proto.Equal(schedule.GetSpec(), entry.Spec)
		})
	})
}

// look describes everything that there may be after a pass.
func (g *planGroup) look(project *config.Project, before map[string]*workflowservice.DescribeScheduleResponse) {
	g.t.Helper()
	g.exists = map[string]*workflowservice.DescribeScheduleResponse{}
	for id := range before {
		g.describe(id)
	}
	for _, w := range project.Scheduled() {
		g.describe(w.ScheduleID(project.Name))
	}
}

// describe reads a schedule as it is now; exists has no entry where there is none. The development server
// loses a query now and then (docs/temporal.md, "Lost queries").
func (g *planGroup) describe(id string) {
	g.t.Helper()
	eventually(g.t, func() string { return "describe " + id }, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		response, err := g.running.client.WorkflowService().DescribeSchedule(ctx,
			&workflowservice.DescribeScheduleRequest{Namespace: g.running.namespace, ScheduleId: id})
		if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
			delete(g.exists, id)
			return true
		}
		if err == nil {
			g.exists[id] = response
		}
		return err == nil
	})
}

// check compares what was planned for each schedule with what became of it.
func (g *planGroup) check(before map[string]*workflowservice.DescribeScheduleResponse, preview activities.Preview) {
	g.t.Helper()
	planned := map[string]activities.Change{}
	for _, change := range preview.Changes {
		require.NotContains(g.t, planned, change.ScheduleID, g.because())
		planned[change.ScheduleID] = change
	}
	all := maps.Clone(before)
	maps.Copy(all, g.exists)
	for id := range all {
		was, is := before[id], g.exists[id]
		message := fmt.Sprintf("schedule %s\nbefore %v\nafter  %v\n%s", id, was, is, g.because())
		switch change, ok := planned[id]; {
		case !ok:
			require.True(g.t, was != nil && is != nil && sameSchedule(was, is), "not planned: %s", message)
		case change.Kind == activities.Create:
			require.True(g.t, was == nil && is != nil, "planned to create: %s", message)
		case change.Kind == activities.Delete:
			require.True(g.t, was != nil && is == nil, "planned to delete: %s", message)
		default:
			require.True(g.t, was != nil && is != nil && !sameSchedule(was, is), "planned to update: %s", message)
			require.True(g.t, was.GetInfo().GetCreateTime().AsTime().Equal(is.GetInfo().GetCreateTime().AsTime()), "another one: %s", message)
			require.Equal(g.t, changedFields(was, is), plannedFields(change), message)
		}
		delete(planned, id)
	}
	require.Empty(g.t, planned, "planned, but nothing to see: %s", g.because())
}

func sameSchedule(was, is *workflowservice.DescribeScheduleResponse) bool {
	return proto.Equal(was.GetSchedule(), is.GetSchedule()) &&
		was.GetInfo().GetCreateTime().AsTime().Equal(is.GetInfo().GetCreateTime().AsTime())
}

// changedFields are the fields that a pass really changed.
func changedFields(was, is *workflowservice.DescribeScheduleResponse) []string {
	wanted := proto.CloneOf(is.GetSchedule())
	// Nobody wishes for what each write adds: the revision that wrote it, and the mark of an adoption.
	if memo := wanted.GetAction().GetStartWorkflow().GetMemo().GetFields(); len(memo["revision"].GetData()) == len(`"0123456789ab"`) {
		delete(memo, "revision")
	}
	spec := wanted.GetSpec()
	spec.ExcludeStructuredCalendar = slices.DeleteFunc(spec.GetExcludeStructuredCalendar(), func(c *schedulepb.StructuredCalendarSpec) bool {
		return strings.HasPrefix(c.GetComment(), "Adopted by compozy-schedules")
	})
	fields := []string{}
	for _, difference := range activities.Compare(wanted, was.GetSchedule()) {
		fields = append(fields, difference.Field)
	}
	if was.GetSchedule().GetState().GetPaused() != is.GetSchedule().GetState().GetPaused() {
		fields = append(fields, "enabled")
	}
	return fields
}

func plannedFields(change activities.Change) []string {
	fields := []string{}
	for _, difference := range change.Differences {
		fields = append(fields, difference.Field)
	}
	return fields
}

// checkStatus compares the plan's numbers and problems with those of the reconciler.
func (g *planGroup) checkStatus(preview activities.Preview, status workflows.Status, pass *workflows.Pass) {
	g.t.Helper()
	conflicts := func(problems []activities.Problem) []activities.Problem {
		return slices.DeleteFunc(append([]activities.Problem{}, problems...), func(p activities.Problem) bool {
			return p.Kind != activities.ProblemConflict
		})
	}
	require.Equal(g.t, conflicts(preview.Problems), conflicts(status.Problems), g.because())
	for _, p := range preview.Problems {
		require.Contains(g.t, status.Problems, p, g.because())
	}
	for _, p := range status.Problems {
		require.NotEqual(g.t, activities.ProblemRefused, p.Kind, "%+v; %s", p, g.because())
	}
	// Of what is put back, a pass sees a part and the audit's pass the rest.
	if pass == nil || g.corrects(preview) {
		return
	}
	g.counted++
	c := preview.Counts
	require.Equal(g.t, []int{c.Create, c.Update, c.Delete, c.Adopt},
		[]int{pass.Created, pass.Updated, pass.Deleted, pass.Adopted}, "created, updated, deleted, adopted; %s", g.because())
}

func (g *planGroup) corrects(preview activities.Preview) bool {
	return slices.ContainsFunc(preview.Operations, func(op activities.Operation) bool { return len(op.Corrects) > 0 })
}

// overrideAtRandom lets somebody override schedules. What cannot be (no such schedule) fails, which is fine.
func (g *planGroup) overrideAtRandom() {
	for range g.random.IntN(2) {
		o := workflows.Override{
			WorkflowID: g.anyID(), Hold: g.chance(50), Actor: "ada", RequestID: uuid.NewString(),
			Action: []workflows.OverrideAction{
				workflows.ActionPause, workflows.ActionResume, workflows.ActionDelete, workflows.ActionRevert,
			}[g.random.IntN(4)],
		}
		outcome := g.running.override(o)
		g.tell("override %s %s, hold %t: %s %s", o.Action, o.WorkflowID, o.Hold, outcome.Status, outcome.Reason)
		for _, id := range g.idsOf(o.WorkflowID) {
			g.describe(id)
		}
	}
}

func (g *planGroup) anyID() string { return fmt.Sprintf("w%d", g.random.IntN(planIDs)) }

// ids are the IDs that a wanted schedule may have, in a steady order.
func (g *planGroup) ids() []string {
	var ids []string
	for i := range planIDs {
		ids = append(ids, g.idsOf(fmt.Sprintf("w%d", i))...)
	}
	return ids
}

func (g *planGroup) idsOf(workflow string) []string {
	return []string{config.DefaultScheduleID(g.running.project, workflow), g.ownID(workflow, "a"), g.ownID(workflow, "b")}
}

func (g *planGroup) ownID(workflow, which string) string {
	return fmt.Sprintf("own-%s-%s-%s", which, g.running.project, workflow)
}

// editByHand lets somebody edit, pause, replace and delete what there is, the schedules of others too.
func (g *planGroup) editByHand() {
	for _, id := range slices.Sorted(maps.Keys(g.exists)) {
		if !g.chance(20) {
			continue
		}
		ctx := context.Background()
		handle := g.running.client.ScheduleClient().GetHandle(ctx, id)
		what := []string{"pause", "resume", "cron", "policy", "input", "note", "delete", "zone"}[g.random.IntN(8)]
		g.tell("by hand: %s %s", what, id)
		n := g.random.IntN(60)
		switch what {
		case "pause":
			require.NoError(g.t, handle.Pause(ctx, client.SchedulePauseOptions{Note: "by hand"}))
		case "resume":
			require.NoError(g.t, handle.Unpause(ctx, client.ScheduleUnpauseOptions{Note: "by hand"}))
		case "delete":
			require.NoError(g.t, handle.Delete(ctx))
		case "cron":
			g.edit(id, func(s *schedulepb.Schedule) {
				s.Spec.StructuredCalendar = nil
				s.Spec.Interval = []*schedulepb.IntervalSpec{{Interval: durationpb.New(time.Duration(90+n) * time.Hour)}}
			})
		case "policy":
			g.edit(id, func(s *schedulepb.Schedule) {
				s.Policies.CatchupWindow = durationpb.New(time.Duration(20+n) * time.Second)
			})
		case "input":
			input, err := converter.GetDefaultDataConverter().ToPayloads(map[string]any{"hand": n})
			require.NoError(g.t, err)
			g.edit(id, func(s *schedulepb.Schedule) { s.GetAction().GetStartWorkflow().Input = input })
		case "note":
			g.edit(id, func(s *schedulepb.Schedule) { s.State.Notes = fmt.Sprintf("mine %d", n) })
		case "zone":
			g.edit(id, func(s *schedulepb.Schedule) { s.Spec.TimezoneName = "Asia/Kathmandu" })
		}
		g.describe(id)
	}
}

func (g *planGroup) edit(id string, change func(*schedulepb.Schedule)) {
	g.t.Helper()
	g.describe(id)
	schedule := proto.CloneOf(g.exists[id].GetSchedule())
	change(schedule)
	_, err := g.running.client.WorkflowService().UpdateSchedule(context.Background(), &workflowservice.UpdateScheduleRequest{
		Namespace: g.running.namespace, ScheduleId: id, Schedule: schedule,
		ConflictToken: g.exists[id].GetConflictToken(), RequestId: uuid.NewString(),
	})
	require.NoError(g.t, err)
}

// others makes schedules that are nobody's or another project's, under IDs that the project may want.
func (g *planGroup) others() {
	for range g.random.IntN(2) {
		id := g.ids()[g.random.IntN(3*planIDs)]
		if _, taken := g.exists[id]; taken {
			continue
		}
		var memo *commonpb.Memo
		if g.chance(40) {
			fields := map[string]*commonpb.Payload{}
			for name, value := range map[string]string{
				"managed_by": "compozy-schedules", "project": "other", "workflow_id": "w", "schedule_id": id,
			} {
				payload, err := converter.GetDefaultDataConverter().ToPayload(value)
				require.NoError(g.t, err)
				fields[name] = payload
			}
			memo = &commonpb.Memo{Fields: fields}
		}
		g.tell("somebody else's: %s, another project's %t", id, memo != nil)
		theirs, err := activities.Translate("other", config.Workflow{
			ID: "w", Start: config.Start{WorkflowType: "w", TaskQueue: "q", Memo: map[string]any{"managed_by": "hand"}},
			Schedule: &config.Schedule{Cron: "0 3 * * *"},
		})
		require.NoError(g.t, err)
		_, err = g.running.client.WorkflowService().CreateSchedule(context.Background(), &workflowservice.CreateScheduleRequest{
			Namespace: g.running.namespace, ScheduleId: id, Schedule: theirs.Schedule(), Memo: memo, RequestId: uuid.NewString(),
		})
		require.NoError(g.t, err)
		g.describe(id)
	}
}

// writeFiles writes the next random project. Some workflows stay as they were.
func (g *planGroup) writeFiles() {
	former := ""
	if g.round > 0 {
		former = g.files.load().Revision
	}
	for g.writeRandom(); g.mustChange && g.files.load().Revision == former; {
		g.writeRandom()
	}
	g.tell("files: %v", g.yaml)
}

func (g *planGroup) writeRandom() {
	for i := range planIDs {
		id := fmt.Sprintf("w%d", i)
		switch {
		case g.chance(50): // stays
		case g.chance(45):
			delete(g.yaml, id)
		default:
			g.yaml[id] = g.workflow(id)
		}
	}
	require.NoError(g.t, os.RemoveAll(filepath.Join(g.files.dir, "workflows")))
	g.files.write("workflows/plain.yaml", "id: plain\n") // a source that matches no file is a mistake
	for id, text := range g.yaml {
		g.files.write("workflows/"+id+".yaml", text)
	}
}

// workflow is a random workflow file with a schedule.
func (g *planGroup) workflow(id string) string {
	var schedule, start []string
	some := func(lines *[]string, percent int, format string, values ...any) {
		if g.chance(percent) {
			*lines = append(*lines, "  "+fmt.Sprintf(format, values...))
		}
	}
	pick := func(values ...string) string { return values[g.random.IntN(len(values))] }
	n := 1 + g.random.IntN(50)
	some(&schedule, 100, "cron: %q", pick(
		fmt.Sprintf("%d %d * * *", n, n%24), fmt.Sprintf("%d */3 * * 1-5", n), fmt.Sprintf("0 0 %d * %d", 1+n%28, n%7),
		fmt.Sprintf("@every %dh", 50+n), "@daily", "0 9 1,15 */2 *", fmt.Sprintf("%d-59/7 9-17 * JAN-MAR MON", n)))
	some(&schedule, 50, "timezone: %s", pick("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"))
	some(&schedule, 50, "enabled: %s", pick("true", "false"))
	some(&schedule, 30, "jitter: %ds", n)
	some(&schedule, 40, "overlap_policy: %s", pick("skip", "allow", "buffer_one", "buffer_all", "cancel_other", "terminate_other"))
	some(&schedule, 30, "catchup_window: %dm", n)
	some(&schedule, 20, "pause_on_failure: %s", pick("true", "false"))
	some(&schedule, 20, "start_at: 2027-01-%02dT00:00:00Z", 1+n%28)
	some(&schedule, 20, "end_at: %s", pick("2040-01-01T00:00:00+02:00", "2028-05-01T00:00:00Z"))
	some(&schedule, 40, "input: %s", pick("{}", fmt.Sprintf("{day: %d, tags: [a, b]}", n), `{text: "ü → \"x\""}`))
	some(&schedule, 25, "schedule_id: %s", pick(g.ownID(id, "a"), g.ownID(id, "b")))
	some(&schedule, 25, "adopt: true")
	some(&start, 20, "workflow_type: %s", pick("One", "Two"))
	some(&start, 20, "workflow_id: %s", pick("run-one", "run-two"))
	some(&start, 20, "task_queue: %s", pick("light", "heavy"))
	some(&start, 20, "execution_timeout: %dh", n)
	some(&start, 20, "run_timeout: %dm", n)
	some(&start, 20, "task_timeout: %ds", n)
	some(&start, 20, "retry: {maximum_attempts: %d, backoff_coefficient: 1.5, non_retryable_error_types: [Bad]}", n)
	some(&start, 20, "memo: {owner: %s, revision: %d}", pick("ada", "bob"), n)
	text := "id: " + id + "\nschedule:\n" + strings.Join(schedule, "\n") + "\n"
	if len(start) > 0 {
		text += "temporal:\n" + strings.Join(start, "\n") + "\n"
	}
	return text
}
