package cmd

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// planReport is a plan as it is shown. Its JSON is for programs.
type planReport struct {
	Project string `json:"project"`
	// Revision is the one of the files; Current the reconciler's, empty where it knows none.
	Revision string `json:"revision"`
	Current  string `json:"current_revision,omitempty"`
	// Kind of the pass: start, reload or resync.
	Kind    activities.PassKind  `json:"kind"`
	Changes []plannedChange      `json:"changes"`
	Problem []activities.Problem `json:"problems"`
	// Foreign schedules have the project's ID prefix and are left as they are.
	Foreign []activities.Foreign `json:"foreign"`
	// Reverted are the overrides that the pass ends.
	Reverted []workflows.ActiveOverride `json:"reverted_overrides"`
	Counts   activities.Counts          `json:"counts"`
	// Stopped says why a reload would change nothing of this: the prune guard, an older generation, a rename.
	Stopped string `json:"stopped,omitempty"`
	// Reconciler says why the reconciler was not asked.
	Reconciler string `json:"reconciler,omitempty"`
}

// plannedChange is one schedule that a pass would change.
type plannedChange struct {
	Action      string `json:"action"`
	WorkflowID  string `json:"workflow_id"`
	ScheduleID  string `json:"schedule_id"`
	File        string `json:"file,omitempty"`
	Description string `json:"description,omitempty"`
	// Paused is what the schedule is afterwards; then it has no next runs.
	Paused      bool                    `json:"paused,omitempty"`
	Corrects    []string                `json:"corrects,omitempty"`
	Differences []activities.Difference `json:"differences,omitempty"`
	NextRuns    []time.Time             `json:"next_runs,omitempty"`
	Warnings    []string                `json:"warnings,omitempty"`
}

func newPlanReport(
	project *config.Project, k known, preview activities.Preview, kind activities.PassKind,
	reverted []workflows.ActiveOverride, options planOptions,
) *planReport {
	r := &planReport{
		Project: project.Name, Revision: config.Short(project.Revision), Current: k.status.Revision, Kind: kind,
		Changes: []plannedChange{}, Problem: append([]activities.Problem{}, preview.Problems...),
		Foreign:  append([]activities.Foreign{}, preview.Foreign...),
		Reverted: append([]workflows.ActiveOverride{}, reverted...), Counts: preview.Counts,
		Stopped: k.stopped(preview, options), Reconciler: k.missing,
	}
	byID := map[string]config.Workflow{}
	for _, w := range project.Scheduled() {
		byID[w.ID] = w
	}
	now := time.Now()
	for _, change := range preview.Changes {
		planned := plannedChange{
			Action: string(change.Kind), WorkflowID: change.WorkflowID, ScheduleID: change.ScheduleID,
			Corrects: change.Corrects, Differences: change.Differences,
		}
		if change.Adopts {
			planned.Action = actionAdopt
		}
		if w, ok := byID[change.WorkflowID]; ok && change.Kind != activities.Delete {
			planned.File, planned.Description = w.File, w.Schedule.Words()
			planned.Paused = change.Paused
			if !change.Paused {
				planned.NextRuns = w.Schedule.NextRuns(now, plannedRuns)
			}
			planned.Warnings = w.Schedule.ZoneWarnings(now, now.AddDate(1, 0, 0))
		}
		r.Changes = append(r.Changes, planned)
	}
	return r
}

// actionAdopt is the action of an update that takes a schedule over.
const actionAdopt = "adopt"

// stopped says what would keep a reload from making the plan true, or nothing.
func (k known) stopped(preview activities.Preview, options planOptions) string {
	if current := k.status.Generation; options.generation > 0 && options.generation < current && !options.force {
		return fmt.Sprintf("generation %d is older than the current %d: this reload would be refused", options.generation, current)
	}
	if phase := k.status.Phase; phase == workflows.PhaseRenaming || phase == workflows.PhaseRenamed {
		return k.status.Message
	}
	percent := cmp.Or(k.status.Options.MaxPrunePercent, workflows.DefaultMaxPrunePercent)
	allowed := workflows.AllowedPrune(preview.Counts.Owned, percent)
	if preview.Counts.Delete > allowed {
		return fmt.Sprintf("it deletes %d of %d schedules, more than the %d that the prune guard allows: "+
			"this reload would change nothing until `schedules reload --prune`",
			preview.Counts.Delete, preview.Counts.Owned, allowed)
	}
	return ""
}

// changes reports whether a reload would change anything.
func (r *planReport) changes() bool { return len(r.Changes) > 0 || len(r.Reverted) > 0 }

func (r *planReport) print(env Environment) error {
	var t table
	for _, change := range r.Changes {
		change.print(&t)
	}
	for _, p := range r.Problem {
		t.row(yellow, "! "+p.WorkflowID, string(p.Kind), p.Message)
	}
	for _, f := range r.Foreign {
		whose := "nobody's project owns it"
		if f.Project != "" {
			whose = "project " + f.Project + " owns it"
		}
		t.row(plain, "? "+f.ScheduleID, "not ours", whose+": left as it is")
	}
	for _, o := range r.Reverted {
		t.row(yellow, "~ "+o.WorkflowID, "override ends", strings.TrimSpace(fmt.Sprintf("%s by %s: %s",
			o.Action, cmp.Or(o.Actor, "a signal"), o.Reason)))
	}
	if err := t.print(env); err != nil {
		return err
	}
	if len(t.rows) > 0 {
		fmt.Fprintln(env.Out)
	}
	return r.summary(env.Out)
}

// print adds a change and, below it, what it changes.
func (c plannedChange) print(t *table) {
	mark := map[string]colour{"create": green, "update": yellow, "delete": red, actionAdopt: green}
	sign := map[string]string{"create": "+", "update": "~", "delete": "-", actionAdopt: "~"}
	words := c.Description
	switch {
	case len(c.Corrects) > 0:
		words = "puts a hand edit back"
	case c.Action == "delete", c.Action == actionAdopt:
		words = "schedule " + c.ScheduleID
	case c.Action == "update" && len(c.Differences) == 0:
		words = "only its note is written again"
	}
	t.row(mark[c.Action], sign[c.Action]+" "+c.WorkflowID, c.Action, words)
	for _, d := range c.Differences {
		t.line("%s: %s → %s", d.Field, orNothing(d.Actual), orNothing(d.YAML))
	}
	if len(c.NextRuns) > 0 && c.timed() {
		runs := make([]string, len(c.NextRuns))
		for i, run := range c.NextRuns {
			runs[i] = run.Format("Mon 2006-01-02 15:04:05 MST")
		}
		t.line("next runs: %s", strings.Join(runs, ", "))
	}
	if c.Paused && c.timed() {
		t.line("next runs: none while it is paused")
	}
	for _, warning := range c.Warnings {
		t.line("warning: %s", warning)
	}
}

// timed reports whether the change is about when runs start.
func (c plannedChange) timed() bool {
	if c.Action != string(activities.Update) {
		return true
	}
	for _, d := range c.Differences {
		switch d.Field {
		case "cron", "timezone", "start_at", "end_at", "enabled":
			return true
		}
	}
	return false
}

func orNothing(text string) string { return cmp.Or(text, "nothing") }

func (r *planReport) summary(out io.Writer) error {
	from := ""
	if r.Current != "" && r.Current != r.Revision {
		from = r.Current + " → "
	}
	c := r.Counts
	text := fmt.Sprintf("project %s, revision %s%s: ", r.Project, from, r.Revision)
	if r.changes() {
		text += fmt.Sprintf("%d to create, %d to update, %d to adopt, %d to delete, %d unchanged",
			c.Create, c.Update-c.Adopt, c.Adopt, c.Delete, c.Unchanged+c.Ended)
	} else {
		text += fmt.Sprintf("no changes, %s as the YAML says", plural(c.Unchanged+c.Ended, "schedule"))
	}
	if len(r.Reverted) > 0 {
		text += ", " + plural(len(r.Reverted), "override") + " to revert"
	}
	if len(r.Problem) > 0 {
		text += ", " + plural(len(r.Problem), "problem")
	}
	lines := slices.DeleteFunc([]string{text, r.Stopped, r.Reconciler}, func(line string) bool { return line == "" })
	return say(out, "%s", strings.Join(lines, "\n"))
}
