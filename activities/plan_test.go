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
		ScheduleID: d.ScheduleID, Owner: activities.Owner{Project: "a", WorkflowID: d.WorkflowID}, Paused: !d.Enabled,
		Note:         activities.Note{Project: "a", Enabled: d.Enabled, Hash: d.Hash}.String(),
		Spec:         d.Schedule().GetSpec(),
		WorkflowType: d.Schedule().GetAction().GetStartWorkflow().GetWorkflowType().GetName(),
	}
}

// asDescribed is how a describe shows a schedule that is as the YAML says, with the entry's state.
func asDescribed(d activities.Desired, l activities.Listed) activities.Described {
	schedule := d.Schedule()
	schedule.Spec = l.Spec
	schedule.State = &schedulepb.ScheduleState{Notes: l.Note, Paused: l.Paused}
	return activities.Described{Owner: l.Owner, Lasting: !l.Owner.None(), Schedule: schedule}
}

func otherTimes(l *activities.Listed) { l.Spec.Jitter = nil; l.Spec.TimezoneName = "Asia/Tokyo" }

func TestMakePlan(t *testing.T) {
	create := activities.Operation{Kind: activities.Create, WorkflowID: "w"}
	update := activities.Operation{Kind: activities.Update, WorkflowID: "w"}
	remove := activities.Operation{Kind: activities.Delete, WorkflowID: "w"}
	paused := func(op activities.Operation, to bool) activities.Operation { op.Paused = &to; return op }
	adopts := func(op activities.Operation) activities.Operation { op.Adopts = true; return op }
	corrects := func(op activities.Operation, fields ...string) activities.Operation { op.Corrects = fields; return op }
	nightly := func(op activities.Operation) activities.Operation { op.ScheduleID = "nightly"; return op }
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
	foreign := func(l *activities.Listed) { l.Owner = activities.Owner{} }
	handMade := both(foreign, setNote("mine"))
	otherProject := func(l *activities.Listed) { l.Owner.Project = "a-b" }
	otherWorkflow := func(l *activities.Listed) { l.Owner.WorkflowID = "v" }
	adopt := func(w *config.Workflow) { w.Schedule.Adopt = true }
	named := func(w *config.Workflow) { w.Schedule.ScheduleID = "nightly" }
	yamls := func(changes ...func(*config.Workflow)) func(*config.Workflow) {
		return func(w *config.Workflow) {
			for _, change := range changes {
				change(w)
			}
		}
	}
	suspect := func(r *activities.Request) { r.Suspects = []string{"w"} }
	correct := func(r *activities.Request) { r.Correct = true }
	reverts := func(r *activities.Request) { r.Reverts = []string{"w"} }
	override := func(action activities.OverrideAction) func(*activities.Request) {
		return func(r *activities.Request) { r.Overrides = map[string]activities.OverrideAction{"w": action} }
	}
	wroteOther := func(id string) func(*activities.Request) {
		return func(r *activities.Request) {
			r.Recent = []activities.Write{{WorkflowID: "w", ScheduleID: id, Spec: otherHash}}
		}
	}
	requests := func(changes ...func(*activities.Request)) func(*activities.Request) {
		return func(r *activities.Request) {
			for _, change := range changes {
				change(r)
			}
		}
	}
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
	// lost is a schedule whose mark somebody dropped: only the memo of its runs says that it is ours.
	lost := func(change func(activities.Desired, activities.Listed) *activities.Described) func(activities.Desired, activities.Listed) *activities.Described {
		return func(d activities.Desired, l activities.Listed) *activities.Described {
			l.Owner = activities.Owner{Project: "a", WorkflowID: "w"}
			actual := change(d, l)
			if actual == nil {
				actual = new(asDescribed(d, l))
			}
			actual.Lasting = false
			return actual
		}
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
		// request changes what the plan is made for.
		request func(*activities.Request)
		// describe is nil where the list must be enough.
		describe func(activities.Desired, activities.Listed) *activities.Described
		want     []activities.Operation
		problem  activities.ProblemKind
		message  string // is in the problem's
		ended    bool
		removed  bool // an override keeps it away
	}{
		// The list is enough.
		{name: "create what is missing", kinds: all, want: []activities.Operation{create}},
		{name: "create what is missing, paused where the YAML says so", kinds: all, yaml: disabled, want: []activities.Operation{create}},
		{name: "leave what is as the YAML says", kinds: all, list: unchanged},
		{name: "leave a paused one that the YAML wants paused", kinds: all, yaml: disabled, list: unchanged},
		{name: "leave a lead in the note", kinds: all, list: noteOf(func(n *activities.Note) { n.Lead = "a\nb" })},
		{name: "update where the hash differs", kinds: all, list: staleHash, want: []activities.Operation{update}},
		{name: "report another project's schedule under our ID, and whose it is", kinds: all, list: otherProject,
			problem: activities.ProblemConflict, message: "project a-b owns"},
		{name: "keep what another workflow of the project had under that ID", kinds: all, list: otherWorkflow},
		{name: "delete what the YAML does not want", kinds: all, absent: true, list: unchanged, want: []activities.Operation{remove}},
		{name: "leave an unwanted foreign one", kinds: all, absent: true, list: foreign},
		{name: "leave an unwanted one of another project", kinds: all, absent: true, list: otherProject},
		{name: "delete an unwanted one that another workflow of the project had, by its ID", kinds: all, absent: true,
			list: otherWorkflow, want: []activities.Operation{{Kind: activities.Delete, WorkflowID: "v", ScheduleID: "schedule-a-w"}}},

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
			describe: described(both(otherTimes, flip, gitFlipped)), want: []activities.Operation{corrects(paused(update, true), "timezone")}},
		{name: "revert the pause of edited ones, when described", kinds: []activities.PassKind{reload}, recent: wrote, list: staleHash,
			describe: described(both(otherTimes, flip)), want: []activities.Operation{corrects(paused(update, false), "timezone")}},

		// Adoption. The list does not show all of whose a schedule is.
		{name: "ask before it calls a schedule under our ID a foreign one, and name the remedy", kinds: all, list: handMade,
			describe: same, problem: activities.ProblemConflict, message: "`adopt: true`"},
		{name: "adopt a schedule that nobody owns", kinds: all, yaml: adopt, list: handMade, describe: same,
			want: []activities.Operation{adopts(update)}},
		{name: "adopt one that is nothing like the YAML, which is no hand edit", kinds: all, yaml: adopt, list: both(handMade, otherTimes),
			describe: input, want: []activities.Operation{adopts(update)}},
		{name: "adopt a copy of a schedule of ours, with its note", kinds: all, yaml: adopt, list: foreign, describe: same,
			want: []activities.Operation{adopts(update)}},
		{name: "adopt and keep a pause", kinds: []activities.PassKind{start, resync}, yaml: adopt, list: both(handMade, flip),
			describe: same, want: []activities.Operation{adopts(update)}},
		{name: "adopt and end a pause", kinds: []activities.PassKind{reload}, yaml: adopt, list: both(handMade, flip),
			describe: same, want: []activities.Operation{adopts(paused(update, false))}},
		{name: "adopt and let it run", kinds: []activities.PassKind{start, resync}, yaml: yamls(adopt, disabled), list: both(handMade, flip),
			describe: same, want: []activities.Operation{adopts(update)}},
		{name: "adopt and pause", kinds: []activities.PassKind{reload}, yaml: yamls(adopt, disabled), list: both(handMade, flip),
			describe: same, want: []activities.Operation{adopts(paused(update, true))}},
		{name: "adopt and pause where an override is held", kinds: []activities.PassKind{reload}, yaml: adopt, list: handMade,
			request: override(activities.Pause), describe: same, want: []activities.Operation{adopts(paused(update, true))}},
		{name: "not adopt what an override keeps away, nor delete it", kinds: all, yaml: adopt, list: handMade, describe: same,
			request: override(activities.Remove), removed: true},
		{name: "not adopt another project's schedule", kinds: all, yaml: adopt, list: otherProject,
			problem: activities.ProblemConflict, message: "project a-b owns"},
		{name: "not adopt what turns out to be another project's", kinds: all, yaml: adopt, list: handMade,
			describe: described(otherProject), problem: activities.ProblemConflict, message: "project a-b owns"},
		{name: "create what was to be adopted and is gone", kinds: all, yaml: adopt, list: handMade, describe: missing,
			want: []activities.Operation{create}},
		{name: "create what there is nothing to adopt for", kinds: all, yaml: adopt, want: []activities.Operation{create}},
		{name: "not adopt for a schedule that has ended", kinds: all, yaml: yamls(adopt, endsAt(past)), list: handMade, ended: true},
		{name: "leave what it adopted before", kinds: all, yaml: adopt, list: unchanged},
		{name: "mark one again that only its runs know as ours", kinds: all, list: foreign, describe: lost(same),
			want: []activities.Operation{update}},
		{name: "report a hand edit that dropped the mark too", kinds: all, list: both(foreign, otherTimes), describe: lost(same),
			problem: activities.ProblemDrift, message: "timezone"},
		{name: "put back a hand edit that dropped the mark too", kinds: all, list: both(foreign, otherTimes), request: correct,
			describe: lost(same), want: []activities.Operation{corrects(update, "timezone")}},

		// Other schedule IDs.
		{name: "create under the ID that the YAML names", kinds: all, yaml: named, want: []activities.Operation{nightly(create)}},
		{name: "leave one under the ID that the YAML names", kinds: all, yaml: named, list: unchanged},
		{name: "update under the ID that the YAML names", kinds: all, yaml: named, list: staleHash, want: []activities.Operation{nightly(update)}},
		{name: "adopt under the ID that the YAML names", kinds: all, yaml: yamls(named, adopt), list: handMade, describe: same,
			want: []activities.Operation{nightly(adopts(update))}},
		{name: "delete by its ID what has another one", kinds: all, yaml: named, absent: true, list: unchanged,
			want: []activities.Operation{nightly(remove)}},
		{name: "leave one of another project under the ID that the YAML names", kinds: all, yaml: named, list: otherProject,
			problem: activities.ProblemConflict, message: "project a-b owns"},
		{name: "delete by its ID what has another one and an override keeps away", kinds: all, yaml: named, list: unchanged,
			request: override(activities.Remove), removed: true, want: []activities.Operation{nightly(remove)}},
		{name: "not create again under another ID what the list does not show yet", kinds: all, yaml: named, recent: wrote,
			describe: described(unchanged)},
		{name: "not delete again under another ID what the list still shows", kinds: all, yaml: named, recent: deleted, absent: true,
			list: unchanged, describe: missing},
		{name: "not take a write under the default ID for one under the ID that the YAML names", kinds: all, yaml: named,
			request: wroteOther(""), want: []activities.Operation{nightly(create)}},
		{name: "not take a write under another ID for one under the default ID", kinds: all, request: wroteOther("nightly"),
			want: []activities.Operation{create}},

		// Suspects: an audit found more than a list shows.
		{name: "report what a suspect shows only when described", kinds: all, request: suspect, list: unchanged, describe: input,
			problem: activities.ProblemDrift, message: "workflow_id"},
		{name: "leave a suspect that is as the YAML says", kinds: all, request: suspect, list: unchanged, describe: same},
		{name: "update a suspect where git changed too, which is no hand edit", kinds: all, request: suspect, list: staleHash,
			describe: input, want: []activities.Operation{update}},
		{name: "create a suspect that is gone", kinds: all, request: suspect, want: []activities.Operation{create}},
		{name: "delete a suspect that the YAML does not want", kinds: all, request: suspect, absent: true, list: unchanged,
			want: []activities.Operation{remove}},
		{name: "keep a suspect's pause", kinds: []activities.PassKind{start, resync}, request: suspect, list: flip, describe: same},

		// Hand edits that are to be put back.
		{name: "put back edited times", kinds: all, request: correct, list: otherTimes, describe: same,
			want: []activities.Operation{corrects(update, "timezone")}},
		{name: "put back all that is edited", kinds: all, request: correct, list: otherTimes, describe: input,
			want: []activities.Operation{corrects(update, "timezone", "workflow_id")}},
		{name: "put back what a suspect shows only when described", kinds: all, request: requests(correct, suspect), list: unchanged,
			describe: input, want: []activities.Operation{corrects(update, "workflow_id")}},
		{name: "put back edited times and keep the pause", kinds: []activities.PassKind{start, resync}, request: correct,
			list: both(otherTimes, flip), describe: same, want: []activities.Operation{corrects(update, "timezone")}},
		{name: "put back what was edited while the note was replaced", kinds: []activities.PassKind{resync}, request: correct,
			list: setNote("x"), describe: input, want: []activities.Operation{corrects(update, "workflow_id")}},
		{name: "not call it a hand edit where git changed too", kinds: all, request: correct, list: staleHash,
			want: []activities.Operation{update}},
		{name: "leave a pause alone where hand edits are put back", kinds: []activities.PassKind{start, resync}, request: correct, list: flip},
		{name: "put back times where somebody asked for what git says", kinds: all, request: reverts, list: otherTimes, describe: same,
			want: []activities.Operation{corrects(update, "timezone")}},
		{name: "end the pause where somebody asked for what git says", kinds: all, request: reverts, list: both(otherTimes, flip),
			want: []activities.Operation{paused(update, false)}},

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
				write := activities.Write{WorkflowID: "w"}
				if d.ScheduleID != config.DefaultScheduleID("a", "w") {
					write.ScheduleID = d.ScheduleID
				}
				switch test.recent {
				case wrote:
					write.Spec = d.Hash
					request.Recent = []activities.Write{write}
				case deleted:
					write.Deleted = true
					request.Recent = []activities.Write{write}
				}
				if test.request != nil {
					test.request(&request)
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
					if test.list != nil && entry.Owner.None() {
						entry.Owner = answer.Owner // the describe shows it
					}
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
					assert.Contains(t, problem.Message, test.message)
					problems = append(problems, problem.Kind)
				}
				if test.problem == "" {
					assert.Empty(t, problems)
				} else {
					assert.Equal(t, []activities.ProblemKind{test.problem}, problems)
				}
				counts := wantCounts(desired, entry, test.want, test.problem != "", test.ended)
				if test.removed {
					counts.Removed, counts.Unchanged = 1, 0
				}
				if test.problem == activities.ProblemDrift {
					counts.Drifted = 1
					assert.Equal(t, []string{"w"}, plan.Drifted, "the next pass is to look at it again")
				} else {
					assert.Empty(t, plan.Drifted)
				}
				assert.Equal(t, counts, plan.Counts)
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
		if operations[0].Adopts {
			counts.Adopt = 1
		}
		if len(operations[0].Corrects) > 0 {
			counts.Drifted = 1
		}
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
			l.Owner.Project, l.ScheduleID = "a-b", config.DefaultScheduleID("a-b", l.Owner.WorkflowID)
		}
		listed := []activities.Listed{entry("b-c", ours), entry("c", theirs), entry("d", theirs)}
		listed[1].Owner = activities.Owner{} // one that nobody owns
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

	t.Run("Should name the schedules of other IDs, the wanted ones first", func(t *testing.T) {
		named := func(id string) func(*config.Workflow) {
			return func(w *config.Workflow) { w.Schedule.ScheduleID = id }
		}
		desired := []activities.Desired{
			translate(t, "a", daily("b", named("zz"))), translate(t, "a", daily("c")), translate(t, "a", daily("d", named("yy"))),
		}
		listed := []activities.Listed{
			entry("x", ours), asListed(translate(t, "a", daily("a", named("legacy")))), asListed(desired[2]), asListed(desired[1]),
		}
		plan := activities.MakePlan(request, desired, activities.Actual{Listed: listed})
		assert.Equal(t, []activities.Ref{
			{WorkflowID: "b", ScheduleID: "zz"}, {WorkflowID: "d", ScheduleID: "yy"}, {WorkflowID: "a", ScheduleID: "legacy"},
		}, plan.OtherIDs, "also one that is not there yet, and one that is to go: a pass that fails must find it again")
	})

	t.Run("Should move a workflow to another schedule ID", func(t *testing.T) {
		before, after := daily("w"), daily("w")
		for name, ids := range map[string][2]string{"to its own": {"", "nightly"}, "back": {"nightly", ""}, "to another": {"nightly", "daily"}} {
			before.Schedule, after.Schedule = new(*before.Schedule), new(*after.Schedule)
			before.Schedule.ScheduleID, after.Schedule.ScheduleID = ids[0], ids[1]
			desired := translate(t, "a", after)
			plan := activities.MakePlan(request, []activities.Desired{desired},
				activities.Actual{Listed: []activities.Listed{asListed(translate(t, "a", before))}})
			assert.ElementsMatch(t, []activities.Operation{
				{Kind: activities.Create, WorkflowID: "w", ScheduleID: ids[1], Spec: desired.Hash},
				{Kind: activities.Delete, WorkflowID: "w", ScheduleID: ids[0]},
			}, plan.Operations, name)
			assert.Equal(t, activities.Counts{Desired: 1, Owned: 1, Create: 1, Delete: 1}, plan.Counts)
		}
	})

	t.Run("Should tell two schedules of one workflow apart among recent writes", func(t *testing.T) {
		// The workflow got another schedule ID a moment ago, and the list shows nothing of it yet.
		d := translate(t, "a", daily("w", func(w *config.Workflow) { w.Schedule.ScheduleID = "nightly" }))
		r := request
		r.Recent = []activities.Write{
			{WorkflowID: "w", ScheduleID: "nightly", Spec: d.Hash}, {WorkflowID: "w", Deleted: true},
		}
		actual := activities.Actual{Listed: []activities.Listed{entry("w", ours)}}
		plan := activities.MakePlan(r, []activities.Desired{d}, actual)
		assert.Equal(t, []string{"nightly", "schedule-a-w"}, plan.Doubtful)
		actual.Described = map[string]activities.Described{"nightly": asDescribed(d, asListed(d)), "schedule-a-w": {Missing: true}}
		plan = activities.MakePlan(r, []activities.Desired{d}, actual)
		assert.Empty(t, plan.Doubtful)
		assert.Empty(t, plan.Operations)
	})

	t.Run("Should ignore what others have in the namespace", func(t *testing.T) {
		r := request
		r.Kind = activities.PassStart
		handMade := asListed(translate(t, "a", daily("mine")))
		handMade.Owner = activities.Owner{}
		theirs := asListed(translate(t, "b", daily("w")))
		theirs.Owner.Project = "b"
		adopted := asListed(translate(t, "a", daily("x", func(w *config.Workflow) { w.Schedule.ScheduleID = "legacy" })))
		plan := activities.MakePlan(r, []activities.Desired{translate(t, "a", daily("w"))},
			activities.Actual{Listed: []activities.Listed{handMade, theirs, adopted, entry("w", ours)}})
		assert.Equal(t, []activities.Operation{{Kind: activities.Delete, WorkflowID: "x", ScheduleID: "legacy"}}, plan.Operations)
		assert.Equal(t, activities.Counts{Desired: 1, Owned: 2, Unchanged: 1, Delete: 1}, plan.Counts)
		assert.Empty(t, plan.Doubtful)
		assert.Empty(t, plan.Problems)
	})

	t.Run("Should count what Temporal itself paused, also once its note is ours again", func(t *testing.T) {
		lead := func(text string) string {
			return activities.Note{Lead: text, Project: "a", Enabled: true, Hash: translate(t, "a", daily("w")).Hash}.String()
		}
		failed, timedOut := "paused due to workflow failure: a-w-2027: no disk", "paused due to workflow timeout: a-w-2027"
		for name, test := range map[string]struct {
			note         string
			running      bool
			owner        string
			paused, want int
		}{
			"after a failure":              {note: failed, owner: "a", paused: 1, want: 1},
			"after a timeout":              {note: timedOut, owner: "a", paused: 1, want: 1},
			"after a pass":                 {note: lead(failed), owner: "a", paused: 1, want: 1},
			"not one that somebody paused": {note: lead("by Ann: " + failed), owner: "a", paused: 1},
			"not one that runs again":      {note: failed, running: true, owner: "a"},
			"not another project's":        {note: failed, owner: "a-b"},
		} {
			l := entry("w", func(l *activities.Listed) { l.Note, l.Paused, l.Owner.Project = test.note, !test.running, test.owner })
			plan := activities.MakePlan(request, nil, activities.Actual{Listed: []activities.Listed{l}})
			assert.Equal(t, test.want, plan.Counts.PausedByTemporal, name)
			assert.Equal(t, test.paused, plan.Counts.Paused, name)
		}
	})

	t.Run("Should name each schedule with a hand edit that stays, and count all with one", func(t *testing.T) {
		var desired []activities.Desired
		actual := activities.Actual{Described: map[string]activities.Described{}}
		for _, id := range []string{"u", "v", "w"} {
			d := translate(t, "a", daily(id))
			desired = append(desired, d)
			l := asListed(d)
			otherTimes(&l)
			actual.Listed = append(actual.Listed, l)
			actual.Described[d.ScheduleID] = asDescribed(d, l)
		}
		r := request
		r.Reverts = []string{"v"}
		plan := activities.MakePlan(r, desired, actual)
		assert.Equal(t, []string{"u", "w"}, plan.Drifted)
		assert.Equal(t, activities.Counts{Desired: 3, Owned: 3, Drifted: 3, Update: 1}, plan.Counts)
		assert.Len(t, plan.Problems, 2)
	})

	t.Run("Should not change what it is given", func(t *testing.T) {
		d := translate(t, "a", daily("w"))
		l := asListed(d)
		before := proto.CloneOf(l.Spec)
		activities.MakePlan(request, []activities.Desired{d}, activities.Actual{Listed: []activities.Listed{l}})
		assert.True(t, proto.Equal(before, l.Spec))
	})
}

func TestMakePlanLostMark(t *testing.T) {
	d := translate(t, "a", daily("w", func(w *config.Workflow) { w.Schedule.ScheduleID = "by hand" }))
	listed := asListed(d)
	listed.Owner = activities.Owner{}
	actual := activities.Actual{Listed: []activities.Listed{listed}}
	ours := asDescribed(d, asListed(d))
	ours.Lasting = false
	described := actual
	described.Described = map[string]activities.Described{"by hand": ours}
	foreign := actual
	foreign.Described = map[string]activities.Described{"by hand": asDescribed(d, listed)}
	remove := []activities.Operation{{Kind: activities.Delete, WorkflowID: "w", ScheduleID: "by hand"}}
	request := activities.Request{Project: "a", Kind: activities.PassResync, Now: planNow}

	t.Run("Should look whose a schedule is that was the project's, and delete it when it is", func(t *testing.T) {
		request := request
		request.Also = []string{"by hand"}
		assert.Equal(t, []string{"by hand"}, activities.MakePlan(request, nil, actual).Doubtful)
		assert.Equal(t, remove, activities.MakePlan(request, nil, described).Operations)
		plan := activities.MakePlan(request, nil, foreign)
		assert.Empty(t, plan.Operations)
		assert.Empty(t, plan.Doubtful)
	})
	t.Run("Should not look at what never was", func(t *testing.T) {
		assert.Empty(t, activities.MakePlan(request, nil, actual).Doubtful)
	})
	t.Run("Should look before an override keeps it away", func(t *testing.T) {
		request := request
		request.Overrides = map[string]activities.OverrideAction{"w": activities.Remove}
		desired := []activities.Desired{d}
		assert.Equal(t, []string{"by hand"}, activities.MakePlan(request, desired, actual).Doubtful)
		assert.Equal(t, remove, activities.MakePlan(request, desired, described).Operations)
		assert.Empty(t, activities.MakePlan(request, desired, foreign).Operations)
	})
}
