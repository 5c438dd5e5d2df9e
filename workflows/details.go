package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"
)

// shownProblems is how many problems the details show; the status query has more.
const shownProblems = 10

// publish shows the state in the Temporal UI, under User Metadata.
func (r *reconciler) publish(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, details(r.Status))
}

// details writes a status as Markdown.
func details(s Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n", s.Project, strings.ReplaceAll(string(s.Phase), "_", " "))
	if s.Message != "" {
		fmt.Fprintf(&b, "\n**%s**\n", s.Message)
	}
	fmt.Fprintf(&b, "\n| | |\n|---|---|\n| revision | %s |\n", orNone(s.Revision))
	if s.Applied != s.Revision {
		fmt.Fprintf(&b, "| applied | %s |\n", orNone(s.Applied))
	}
	fmt.Fprintf(&b, "| schedules | %d in the YAML, %d found in Temporal, %d paused |\n",
		s.Counts.Desired, s.Counts.Owned, s.Counts.Paused)
	if p := s.LastPass; p != nil {
		fmt.Fprintf(&b, "| last pass | %s: %d created, %d updated, %d deleted; %s, ended %s |\n", p.Kind,
			p.Created, p.Updated, p.Deleted, p.FinishedAt.Sub(p.StartedAt).Round(time.Millisecond),
			p.FinishedAt.UTC().Format(time.RFC3339))
	}
	if s.Refused != nil {
		fmt.Fprintf(&b, "| refused reload | %s |\n", s.Refused.Message)
	}
	if s.ProblemCount > 0 {
		fmt.Fprintf(&b, "\n| workflow | problem |\n|---|---|\n")
		for _, p := range s.Problems[:min(len(s.Problems), shownProblems)] {
			fmt.Fprintf(&b, "| %s | %s: %s |\n", p.WorkflowID, p.Kind, strings.ReplaceAll(p.Message, "|", "\\|"))
		}
		if more := s.ProblemCount - shownProblems; more > 0 {
			fmt.Fprintf(&b, "| … | and %d more |\n", more)
		}
	}
	return b.String()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
