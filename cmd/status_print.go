package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// printStatus shows the status on one screen.
func printStatus(env Environment, s workflows.Status) error {
	var t table
	row := func(c colour, name, format string, values ...any) { t.row(c, name, fmt.Sprintf(format, values...)) }
	row(plain, "project", "%s", s.Project)
	row(phaseColour(s.Phase), "state", "%s", phaseWords(s.Phase))
	if s.Message != "" {
		row(phaseColour(s.Phase), "", "%s", s.Message)
	}
	if s.Blocked != nil {
		row(red, "would delete", "%s", shorten(strings.Join(s.Blocked.WorkflowIDs, ", "), statusWidth))
	}
	row(plain, "revision", "%s", s.Revision)
	if s.Applied != s.Revision {
		row(yellow, "applied", "%s", s.Applied)
	}
	row(plain, "schedules", "%s", countWords(s.Counts))
	if s.Overrides > 0 {
		row(yellow, "overrides", "%d: `schedules list --status override` shows who and why", s.Overrides)
	}
	if p := s.LastPass; p != nil {
		row(plain, "last pass", "%s, ended %s: %s", p.Kind, p.FinishedAt.Local().Format(time.DateTime), passWords(*p))
	}
	if a := s.LastAudit; a != nil {
		row(plain, "last audit", "ended %s: %s, %d changed by hand", a.FinishedAt.Local().Format(time.DateTime),
			plural(a.Checked, "schedule"), a.Drifted)
	}
	for _, c := range s.Corrections[max(0, len(s.Corrections)-shownCorrections):] {
		row(yellow, "put back", "%s: %s (%s)", c.WorkflowID, strings.Join(c.Fields, ", "), c.At.Local().Format(time.DateTime))
	}
	if s.Refused != nil {
		row(yellow, "refused reload", "%s (%s)", s.Refused.Message, s.Refused.At.Local().Format(time.DateTime))
	}
	shown := s.Problems[:min(len(s.Problems), shownProblems)]
	for _, p := range shown {
		row(red, "problem", "%s: %s: %s", p.WorkflowID, p.Kind, p.Message)
	}
	if more := s.ProblemCount - len(shown); more > 0 {
		row(red, "", "and %s more; -o json has the first hundred", plural(more, "problem"))
	}
	return t.print(env)
}

const (
	// shownProblems and shownCorrections keep a status on one screen, statusWidth its lines short.
	shownProblems    = 20
	shownCorrections = 5
	statusWidth      = 120
)

// countWords are the counts that are not zero.
func countWords(c activities.Counts) string {
	words := []string{fmt.Sprintf("%d in the YAML", c.Desired), fmt.Sprintf("%d found in Temporal", c.Owned)}
	for _, more := range []struct {
		count int
		word  string
	}{
		{c.Paused, "paused"}, {c.PausedByTemporal, "of them by Temporal after a failed run"}, {c.Ended, "ended"},
		{c.Removed, "deleted by an override"}, {c.Drifted, "changed by hand"},
	} {
		if more.count > 0 {
			words = append(words, fmt.Sprintf("%d %s", more.count, more.word))
		}
	}
	return strings.Join(words, ", ")
}

// passWords are what a pass did.
func passWords(p workflows.Pass) string {
	text := fmt.Sprintf("%d created, %d updated, %d deleted", p.Created, p.Updated, p.Deleted)
	if p.Adopted > 0 {
		text += fmt.Sprintf(", %d of the updates adopted", p.Adopted)
	}
	if p.Corrected > 0 {
		text += fmt.Sprintf(", %d of the updates put a hand edit back", p.Corrected)
	}
	return text
}

// phaseColour is green where all is well.
func phaseColour(p workflows.Phase) colour {
	switch p {
	case workflows.PhaseInSync:
		return green
	case workflows.PhaseOutOfSync, workflows.PhaseBlocked, workflows.PhaseNoWorker:
		return red
	default:
		return yellow
	}
}

// phaseWords are a phase as people say it.
func phaseWords(p workflows.Phase) string {
	switch p {
	case workflows.PhaseInSync:
		return "in sync"
	case workflows.PhaseOutOfSync:
		return "out of sync"
	case workflows.PhaseNoWorker:
		return "no worker for the revision"
	case workflows.PhaseBlocked:
		return "blocked by the prune guard"
	default:
		return string(p)
	}
}
