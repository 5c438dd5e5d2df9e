package activities

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Note is the state note of an owned schedule: a sentence that people read in the Temporal UI, with
// what the next pass needs to see that nothing changed. Whoever pauses or resumes a schedule replaces
// it (docs/temporal.md, "Notes").
type Note struct {
	// Lead is what someone said about a pause, such as "Paused via UI". Often empty.
	Lead string
	// Project owns the schedule.
	Project string
	// Enabled is what the YAML said when the note was written.
	Enabled bool
	// Hash is the short spec hash of the desired schedule then.
	Hash string
}

var notePattern = regexp.MustCompile(
	`^(?s:(.*?))\s*Managed by compozy-schedules \(project ([a-z0-9-]+)\), (enabled|paused) in git\. spec:([0-9a-f]{12})$`)

// ParseNote reads a note that String wrote. ok is false for any other text.
func ParseNote(text string) (note Note, ok bool) {
	m := notePattern.FindStringSubmatch(text)
	if m == nil {
		return Note{}, false
	}
	return Note{Lead: m[1], Project: m[2], Enabled: m[3] == "enabled", Hash: m[4]}, true
}

// temporalPauses are how the notes begin that Temporal itself writes where a schedule with
// pause_on_failure pauses (docs/temporal.md, "Notes").
var temporalPauses = []string{"paused due to workflow failure", "paused due to workflow timeout"}

// PausedByTemporal reports whether a note says that Temporal itself paused the schedule.
func PausedByTemporal(text string) bool {
	return slices.ContainsFunc(temporalPauses, func(start string) bool { return strings.HasPrefix(text, start) })
}

func (n Note) String() string {
	state := "enabled"
	if !n.Enabled {
		state = "paused"
	}
	lead := strings.TrimSpace(n.Lead)
	switch {
	case lead == "":
	case strings.HasSuffix(lead, "."):
		lead += " "
	default:
		lead += ". "
	}
	return fmt.Sprintf("%sManaged by compozy-schedules (project %s), %s in git. spec:%s", lead, n.Project, state, n.Hash)
}
