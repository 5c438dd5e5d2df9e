package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"
)

// shown is how many problems, and how many overrides, the details show; the queries have more.
const shown = 10

// publish shows the state in the Temporal UI, under User Metadata.
func (r *reconciler) publish(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, details(r.Status, r.Overrides))
}

// details writes a status and the overrides in force as Markdown.
func details(s Status, overrides []ActiveOverride) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n", s.Project, strings.ReplaceAll(string(s.Phase), "_", " "))
	if s.Message != "" {
		fmt.Fprintf(&b, "\n**%s**\n", plain(s.Message))
	}
	fmt.Fprintf(&b, "\n- **revision**: %s\n", orNone(s.Revision))
	if s.Applied != s.Revision {
		fmt.Fprintf(&b, "- **applied**: %s\n", orNone(s.Applied))
	}
	fmt.Fprintf(&b, "- **schedules**: %d in the YAML, %d found in Temporal, %d paused\n",
		s.Counts.Desired, s.Counts.Owned, s.Counts.Paused)
	if p := s.LastPass; p != nil {
		fmt.Fprintf(&b, "- **last pass**: %s: %d created, %d updated, %d deleted; %s, ended %s\n", p.Kind,
			p.Created, p.Updated, p.Deleted, p.FinishedAt.Sub(p.StartedAt).Round(time.Millisecond),
			p.FinishedAt.UTC().Format(time.RFC3339))
	}
	if a := s.LastAudit; a != nil {
		fmt.Fprintf(&b, "- **last audit**: %d schedules, %d changed by hand; ended %s\n",
			a.Checked, a.Drifted, a.FinishedAt.UTC().Format(time.RFC3339))
	}
	if n := len(s.Corrections); n > 0 {
		last := s.Corrections[n-1]
		fmt.Fprintf(&b, "- **last hand edit put back**: %s: %s; %s\n", last.WorkflowID,
			strings.Join(last.Fields, ", "), last.At.UTC().Format(time.RFC3339))
	}
	if s.Refused != nil {
		fmt.Fprintf(&b, "- **refused reload**: %s\n", plain(s.Refused.Message))
	}
	writeProblems(&b, s)
	writeOverrides(&b, overrides)
	b.WriteString("\n\u00a0\n\n\u00a0\n") // the Temporal UI cuts off the last lines after a table
	return b.String()
}

func writeProblems(b *strings.Builder, s Status) {
	if s.ProblemCount == 0 {
		return
	}
	b.WriteString("\n#### Problems\n\n| workflow | problem |\n|:---|:---|\n")
	for _, p := range s.Problems[:min(len(s.Problems), shown)] {
		fmt.Fprintf(b, "| %s | %s: %s |\n", plain(p.WorkflowID), p.Kind, plain(p.Message))
	}
	writeMore(b, s.ProblemCount)
}

func writeOverrides(b *strings.Builder, overrides []ActiveOverride) {
	if len(overrides) == 0 {
		return
	}
	b.WriteString("\n#### Overrides\n\n| workflow | override | by | why | until |\n|:---|:---|:---|:---|:---|\n")
	for _, o := range overrides[:min(len(overrides), shown)] {
		until := "reload"
		switch {
		case !o.ExpiresAt.IsZero():
			until = o.ExpiresAt.UTC().Format(time.RFC3339)
		case o.Hold:
			until = "reverted (kept over reloads)"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", plain(o.WorkflowID), o.Action, plain(o.Actor), plain(o.Reason), until)
	}
	writeMore(b, len(overrides))
}

func writeMore(b *strings.Builder, count int) {
	if count > shown {
		fmt.Fprintf(b, "| … | and %d more |\n", count-shown)
	}
}

// markup is what would make a link, a tag or another cell of what people have typed.
var markup = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`,
	"\n", " ", "\r", " ")

// plain shows a text as it was typed, on one line.
func plain(text string) string { return markup.Replace(text) }

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
