package config

import (
	"errors"
	"fmt"
	"unicode"
)

// errNotReadBack is a workflow that reads back as another one.
var errNotReadBack = errors.New("its values do not survive a YAML file: write the workflow by hand")

// checkWritten reads a file's text as the loader does and compares what it says with the workflow that it
// was written from. So nobody has to trust that the writer and the loader agree on YAML's many rules.
func checkWritten(w Workflow, text []byte) error {
	if len(text) > maxFileSize {
		return fmt.Errorf("write workflow %s: the file would be larger than 1 MiB: write it by hand, with a smaller input", w.ID)
	}
	doc := parseDocument(w.ID+".yaml", text)
	if doc.root == nil {
		return fmt.Errorf("write workflow %s: %w", w.ID, doc.problems.sorted())
	}
	read := readWorkflowFile(doc, projectFile{}).Workflow
	if len(doc.problems) > 0 {
		return fmt.Errorf("write workflow %s: %w", w.ID, doc.problems.sorted())
	}
	same, err := saysTheSame(w, read)
	switch {
	case err != nil:
		return fmt.Errorf("read workflow %s back: %w", w.ID, err)
	case !same:
		return fmt.Errorf("read workflow %s back: %w", w.ID, errNotReadBack)
	}
	return nil
}

// saysTheSame compares all that a project takes from two workflows.
func saysTheSame(a, b Workflow) (bool, error) {
	if a.Schedule == nil || b.Schedule == nil {
		return a.Schedule == nil && b.Schedule == nil && a.ID == b.ID, nil
	}
	// The sums are of one made-up project.
	const project = "-"
	sumA, err := a.sum(project)
	if err != nil {
		return false, err
	}
	sumB, err := b.sum(project)
	if err != nil {
		return false, err
	}
	return sumA == sumB && a.Schedule.IsEnabled() == b.Schedule.IsEnabled() && a.Schedule.Adopt == b.Schedule.Adopt, nil
}

// isLineBreak knows also what only YAML takes for the end of a line.
func isLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

func printable(r rune) rune {
	switch {
	case r == '\t', unicode.IsSpace(r):
		return ' '
	case !unicode.IsGraphic(r):
		return unicode.ReplacementChar
	}
	return r
}
