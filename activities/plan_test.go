package activities_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/proto"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
)

var planNow = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

const otherHash = "000000000000"

// asListed is how a list shows a schedule that is as the YAML says.
func asListed(d activities.Desired) activities.Listed {
	return activities.Listed{
		ScheduleID: d.ScheduleID, Project: "a", WorkflowID: d.WorkflowID, Owned: true, Paused: !d.Enabled,
		Note:         activities.Note{Project: "a", Enabled: d.Enabled, Hash: d.Hash}.String(),
		Spec:         proto.Clone(d.Schedule.GetSpec()).(*schedulepb.ScheduleSpec),
		WorkflowType: d.Schedule.GetAction().GetStartWorkflow().GetWorkflowType().GetName(),
	}
}

// asDescribed is how a describe shows a schedule that is as the YAML says, with the entry's state.
func asDescribed(d activities.Desired, l activities.Listed) activities.Described {
	schedule := proto.Clone(d.Schedule).(*schedulepb.Schedule)
	schedule.Spec = l.Spec
	schedule.State = &schedulepb.ScheduleState{Notes: l.Note, Paused: l.Paused}
	return activities.Described{Owned: l.Owned, Schedule: schedule}
}

func otherTimes(l *activities.Listed) { l.Spec.Jitter = nil; l.Spec.TimezoneName = "Asia/Tokyo" }

func TestMakePlan(t *testing.T) {
	create := activities.Operation{Kind: activities.Create, WorkflowID: "w"}
	update := activities.Operation{Kind: activities.Update, WorkflowID: "w"}
	remove := activities.Operation{Kind: activities.Delete, WorkflowID: "w"}
	paused := func(op activities.Operation, to bool) activities.Operation { op.Paused = &to; return op }
	past, future := planNow.Add(-time.Second), planNow.Add(time.Second)
	endsAt := func(at time.Time) func(*config.Workflow) {
		return func(w *config.Workflow) { w.Schedule.EndAt = &at }
	}
	setNote := func(text string) func(*activities.Listed) { return func(l *activities.Listed) { l.Note = text } }
	noteOf := func(change func(*activities.Note)) func(*activities.Listed) {
		return func(l *activities.Listed) {
			note, _ := activities.ParseNote(l.Note)
			change(&note)
			l.Note = note.String()
		}
	}
	flip := func(l *activities.Listed) { l.Paused = !l.Paused }
	staleHash := noteOf(func(n *activities.Note) { n.Hash = otherHash })
	gitFlipped := noteOf(func(n *activities.Note) { n.Enabled = !n.Enabled })
	both := func(changes ...func(*activities.Listed)) func(*activities.Listed) {
		return func(l *activities.Listed) {
			for _, change := range changes {
				change(l)
			}
		}
	}
	foreign := func(l *activities.Listed) { l.Owned, l.Project, l.WorkflowID = false, "", "" }
	otherProject := func(l *activities.Listed) { l.Project = "a-b" }
	same := func(activities.Desired, activities.Listed) *activities.Described { return nil } // as the list shows it
	missing := func(activities.Desired, activities.Listed) *activities.Described {
		return &activities.Described{Missing: true}
	}
	described := func(change func(*activities.Listed)) func(activities.Desired, activities.Listed) *activities.Described {
		return func(d activities.Desired, _ activities.Listed) *activities.Described {
			l := asListed(d)
			change(&l)
			return new(asDescribed(d, l))
		}
	}
	input := func(d activities.Desired, l activities.Listed) *activities.Described {
		actual := asDescribed(d, l)
		actual.Schedule.Action.GetStartWorkflow().WorkflowId = "by-hand"
		return &actual
	}
	unchanged := func(*activities.Listed) {}
	start, reload, resync := activities.PassStart, activities.PassReload, activities.PassResync
	all := []activities.PassKind{start, reload, resync}
	wrote, deleted := "current", "deleted" // recent writes of w

	tests := []struct {
		name   string
		kinds  []activities.PassKind
		yaml   func(*config.Workflow)
		absent bool                     // the YAML does not want it
		list   func(*activities.Listed) // nil: not listed
		recent string
		// describe is nil where the list must be enough.
		describe func(activities.Desired, activities.Listed) *activities.Described
		want     []activities.Operation
		problem  activities.ProblemKind
		ended    bool
	}{
		// The list is enough.
		{name: "create what is missing", kinds: all, want: []activities.Operation{create}},
		{name: "create what is missing, paused where the YAML says so", kinds: all, yaml: disabled, want: []activities.Operation{create}},
		{name: "leave what is as the YAML says", kinds: all, list: unchanged},
		{name: "leave a paused one that the YAML wants paused", kinds: all, yaml: disabled, list: unchanged},
		{name: "leave a lead in the note", kinds: all, list: noteOf(func(n *activities.Note) { n.Lead = "a\nb" })},
		{name: "update where the hash differs", kinds: all, list: staleHash, want: []activities.Operation{update}},
		{name: "report a foreign schedule under our ID", kinds: all, list: foreign, problem: activities.ProblemConflict},
		{name: "report another project's schedule under our ID", kinds: all, list: otherProject, problem: activities.ProblemConflict},
		{name: "report a memo that names another workflow", kinds: all, list: func(l *activities.Listed) { l.WorkflowID = "v" },
			problem: activities.ProblemConflict},
		{name: "delete what the YAML does not want", kinds: all, absent: true, list: unchanged, want: []activities.Operation{remove}},
		{name: "leave an unwanted foreign one", kinds: all, absent: true, list: foreign},
		{name: "leave an unwanted one of another project", kinds: all, absent: true, list: otherProject},
		{name: "leave an unwanted one with a memo for another ID", kinds: all, absent: true,
			list: func(l *activities.Listed) { l.WorkflowID = "v" }},

		// Pauses.
		{name: "keep a pause with our note", kinds: []activities.PassKind{start, resync},
			list: both(flip, noteOf(func(n *activities.Note) { n.Lead = "by Ann" }))},
		{name: "keep a resume with our note", kinds: []activities.PassKind{start, resync}, yaml: disabled, list: flip},
		{name: "revert a pause", kinds: []activities.PassKind{reload}, list: flip, want: []activities.Operation{paused(update, false)}},
		{name: "revert a resume", kinds: []activities.PassKind{reload}, yaml: disabled, list: flip,
			want: []activities.Operation{paused(update, true)}},
		{name: "keep a pause while the hash differs", kinds: []activities.PassKind{start, resync}, list: both(flip, staleHash),
			want: []activities.Operation{update}},
		{name: "pause where git's enabled became false", kinds: all, yaml: disabled, list: both(flip, gitFlipped),
			want: []activities.Operation{paused(update, true)}},
		{name: "resume where git's enabled became true", kinds: all, list: both(flip, gitFlipped),
			want: []activities.Operation{paused(update, false)}},
		{name: "write the note where git's enabled became what somebody did already", kinds: all, list: gitFlipped,
			want: []activities.Operation{update}},

		// The note was replaced: describe decides.
		{name: "restore a replaced note and keep the pause", kinds: []activities.PassKind{start, resync},
			list: both(flip, setNote("Paused via UI")), describe: same, want: []activities.Operation{update}},
		{name: "restore a replaced note and revert the pause", kinds: []activities.PassKind{reload},
			list: both(flip, setNote("Paused via UI")), describe: same, want: []activities.Operation{paused(update, false)}},
		{name: "restore an empty note", kinds: all, list: setNote(""), describe: same, want: []activities.Operation{update}},
		{name: "restore another project's note", kinds: all, list: noteOf(func(n *activities.Note) { n.Project = "a-b" }),
			describe: same, want: []activities.Operation{update}},
		{name: "report what was edited while the note was replaced", kinds: []activities.PassKind{resync},
			list: setNote("x"), describe: input, problem: activities.ProblemDrift},
		{name: "overwrite what was edited while the note was replaced", kinds: []activities.PassKind{start, reload},
			list: setNote("x"), describe: input, want: []activities.Operation{update}},
		{name: "create what is gone when described", kinds: all, list: setNote("x"), describe: missing, want: []activities.Operation{create}},
		{name: "report what is somebody else's when described", kinds: all, list: setNote("x"), describe: described(foreign),
			problem: activities.ProblemConflict},

		// Drift that the list shows.
		{name: "report edited times", kinds: all, list: otherTimes, describe: same, problem: activities.ProblemDrift},
		{name: "report an edited type", kinds: all, list: func(l *activities.Listed) { l.WorkflowType = "Other" },
			describe: input, problem: activities.ProblemDrift},
		{name: "leave times that were put back meanwhile", kinds: all, list: otherTimes, describe: described(unchanged)},
		{name: "update edited times where git changed too", kinds: all, list: both(otherTimes, staleHash), want: []activities.Operation{update}},
		{name: "pause edited ones where git says so", kinds: all, yaml: disabled, list: both(otherTimes, flip, gitFlipped),
			want: []activities.Operation{paused(update, true)}},
		{name: "pause edited ones where git says so, when described", kinds: all, yaml: disabled, recent: wrote, list: staleHash,
			describe: described(both(otherTimes, flip, gitFlipped)), want: []activities.Operation{paused(update, true)}},
		{name: "revert the pause of edited ones, when described", kinds: []activities.PassKind{reload}, recent: wrote, list: staleHash,
			describe: described(both(otherTimes, flip)), want: []activities.Operation{paused(update, false)}},

		// Recent writes that the list contradicts.
		{name: "not create again what the list does not show yet", kinds: all, recent: wrote, describe: described(unchanged)},
		{name: "create again what somebody deleted after us", kinds: all, recent: wrote, describe: missing,
			want: []activities.Operation{create}},
		{name: "not update again what the list shows as it was", kinds: all, recent: wrote, list: staleHash, describe: described(unchanged)},
		{name: "update again what somebody put back after us", kinds: all, recent: wrote, list: staleHash, describe: same,
			want: []activities.Operation{update}},
		{name: "trust a list that shows our write", kinds: all, recent: wrote, list: unchanged},
		{name: "not delete again what the list still shows", kinds: all, recent: deleted, absent: true, list: unchanged, describe: missing},
		{name: "delete again what somebody created after us", kinds: all, recent: deleted, absent: true, list: unchanged,
			describe: described(unchanged), want: []activities.Operation{remove}},
		{name: "leave what somebody else created where we deleted", kinds: all, recent: deleted, absent: true, list: unchanged,
			describe: described(foreign)},
		{name: "create what the list still shows though we deleted it", kinds: all, recent: deleted, list: unchanged, describe: missing,
			want: []activities.Operation{create}},
		{name: "create what we deleted and the list does not show", kinds: all, recent: deleted, want: []activities.Operation{create}},
		{name: "delete what we wrote and the YAML does not want", kinds: all, recent: wrote, absent: true, list: unchanged,
			want: []activities.Operation{remove}},

		// Ends.
		{name: "not create what has ended", kinds: all, yaml: endsAt(past), ended: true},
		{name: "not create what ends now", kinds: all, yaml: endsAt(planNow), ended: true},
		{name: "create what ends later", kinds: all, yaml: endsAt(future), want: []activities.Operation{create}},
		{name: "leave what has ended", kinds: all, yaml: endsAt(past), list: unchanged, ended: true},
		{name: "not look twice at a missing one that has ended", kinds: all, yaml: endsAt(past), recent: wrote, ended: true},
		{name: "not create what has ended when described", kinds: all, yaml: endsAt(past), list: setNote("x"), describe: missing, ended: true},
		{name: "end what git says has ended and Temporal still runs", kinds: all, yaml: endsAt(past), list: staleHash,
			want: []activities.Operation{update}},
		{name: "delete what has ended and the YAML does not want", kinds: all, yaml: endsAt(past), absent: true, list: unchanged,
			want: []activities.Operation{remove}},
	}
	for _, test := range tests {
		for _, kind := range test.kinds {
			t.Run("Should "+test.name+" on "+string(kind), func(t *testing.T) {
				yaml := test.yaml
				if yaml == nil {
					yaml = func(*config.Workflow) {}
				}
				d := translate(t, "a", daily("w", yaml))
				var desired []activities.Desired
				if !test.absent {
					desired = append(desired, d)
				}
				var actual activities.Actual
				var entry activities.Listed
				if test.list != nil {
					entry = asListed(d)
					test.list(&entry)
					actual.Listed = append(actual.Listed, entry)
				}
				request := activities.Request{Project: "a", Kind: kind, Now: planNow}
				switch test.recent {
				case wrote:
					request.Recent = []activities.Write{{WorkflowID: "w", Spec: d.Hash}}
				case deleted:
					request.Recent = []activities.Write{{WorkflowID: "w", Deleted: true}}
				}

				plan := activities.MakePlan(request, desired, actual)
				if test.describe != nil {
					require.Equal(t, []string{d.ScheduleID}, plan.Doubtful)
					assert.Empty(t, plan.Operations, "nothing is decided before the describe")
					assert.Empty(t, plan.Problems)
					answer := test.describe(d, entry)
					if answer == nil {
						answer = new(asDescribed(d, entry))
					}
					actual.Described = map[string]activities.Described{d.ScheduleID: *answer}
					plan = activities.MakePlan(request, desired, actual)
				}
				assert.Empty(t, plan.Doubtful)
				want := slices.Clone(test.want)
				for i := range want {
					if want[i].Kind != activities.Delete {
						want[i].Spec = d.Hash
					}
				}
				assert.Equal(t, want, plan.Operations)
				var problems []activities.ProblemKind
				for _, problem := range plan.Problems {
					assert.Equal(t, "w", problem.WorkflowID)
					assert.Equal(t, d.ScheduleID, problem.ScheduleID)
					problems = append(problems, problem.Kind)
				}
				if test.problem == "" {
					assert.Empty(t, problems)
				} else {
					assert.Equal(t, []activities.ProblemKind{test.problem}, problems)
				}
				assert.Equal(t, wantCounts(desired, entry, test.want, test.problem != "", test.ended), plan.Counts)
			})
		}
	}
}

// wantCounts are the counts of a plan over one schedule.
func wantCounts(
	desired []activities.Desired, entry activities.Listed, operations []activities.Operation, problem, ended bool,
) activities.Counts {
	counts := activities.Counts{Desired: len(desired)}
	if entry.OwnedBy("a") {
		counts.Owned = 1
		if entry.Paused {
			counts.Paused = 1
		}
	}
	switch {
	case len(operations) == 1 && operations[0].Kind == activities.Create:
		counts.Create = 1
		if !desired[0].Enabled {
			counts.Paused = 1
		}
	case len(operations) == 1 && operations[0].Kind == activities.Update:
		counts.Update = 1
	case len(operations) == 1:
		counts.Delete = 1
	case ended:
		counts.Ended = 1
	case len(desired) == 1 && !problem:
		counts.Unchanged = 1
	}
	return counts
}

func TestMakePlanOfMany(t *testing.T) {
	request := activities.Request{Project: "a", Kind: activities.PassReload, Now: planNow}
	entry := func(w string, change func(*activities.Listed)) activities.Listed {
		l := asListed(translate(t, "a", daily(w)))
		change(&l)
		return l
	}
	ours := func(*activities.Listed) {}

	t.Run("Should order operations by workflow id, whatever the list's order", func(t *testing.T) {
		desired := []activities.Desired{
			translate(t, "a", daily("b")), translate(t, "a", daily("d")), translate(t, "a", daily("f")),
		}
		stale := func(l *activities.Listed) {
			l.Note = activities.Note{Project: "a", Enabled: true, Hash: otherHash}.String()
		}
		listed := []activities.Listed{entry("g", ours), entry("d", stale), entry("a", ours), entry("e", ours)}
		var first []activities.Operation
		for range 2 {
			plan := activities.MakePlan(request, desired, activities.Actual{Listed: listed})
			var got []string
			for _, op := range plan.Operations {
				got = append(got, string(op.Kind)+" "+op.WorkflowID)
			}
			assert.Equal(t, []string{"delete a", "create b", "update d", "delete e", "create f", "delete g"}, got)
			if first != nil {
				assert.Equal(t, first, plan.Operations)
			}
			first = plan.Operations
			slices.Reverse(listed)
		}
	})

	t.Run("Should keep the projects a and a-b apart", func(t *testing.T) {
		// The prefix of project a lists project a-b's schedules too.
		theirs := func(l *activities.Listed) {
			l.Project, l.ScheduleID = "a-b", activities.ScheduleID("a-b", l.WorkflowID)
		}
		listed := []activities.Listed{entry("b-c", ours), entry("c", theirs), entry("d", theirs)}
		listed[1].ScheduleID = activities.ScheduleID("a-b", "x") // a memo that does not fit its ID is nobody's
		for name, want := range map[string][]string{"a": {"b-c"}, "a-b": {"d"}, "a-b-c": nil} {
			r := request
			r.Project = name
			plan := activities.MakePlan(r, nil, activities.Actual{Listed: listed})
			var got []string
			for _, op := range plan.Operations {
				got = append(got, op.WorkflowID)
			}
			assert.Equal(t, want, got, "project %s", name)
			assert.Equal(t, len(want), plan.Counts.Owned)
		}
	})

	t.Run("Should count a schedule once that shifting pages list twice", func(t *testing.T) {
		plan := activities.MakePlan(request, nil, activities.Actual{Listed: []activities.Listed{entry("x", ours), entry("x", ours)}})
		assert.Len(t, plan.Operations, 1)
		assert.Equal(t, activities.Counts{Owned: 1, Delete: 1}, plan.Counts)
	})

	t.Run("Should name every changed field of drift", func(t *testing.T) {
		d := translate(t, "a", daily("w"))
		l := asListed(d)
		otherTimes(&l)
		actual := activities.Actual{Listed: []activities.Listed{l}}
		described := asDescribed(d, l)
		described.Schedule.Policies.PauseOnFailure = true
		actual.Described = map[string]activities.Described{d.ScheduleID: described}
		plan := activities.MakePlan(request, []activities.Desired{d}, actual)
		require.Len(t, plan.Problems, 1)
		assert.Contains(t, plan.Problems[0].Message, "timezone, pause_on_failure")
	})

	t.Run("Should not change what it is given", func(t *testing.T) {
		d := translate(t, "a", daily("w"))
		before := proto.Clone(d.Schedule)
		l := asListed(d)
		activities.MakePlan(request, []activities.Desired{d}, activities.Actual{Listed: []activities.Listed{l}})
		assert.True(t, proto.Equal(before, d.Schedule))
	})
}
