package activities

import (
	"strings"
)

const (
	// longestID is the length of a DNS label, as that of every workflow's id.
	longestID = 63
	// idHashLength is how much of a schedule ID's hash its workflow's id has: enough for a namespace.
	idHashLength = 8
)

// ExportID is a workflow's id for a schedule: the schedule's own ID where that will do, else one like it with
// a hash. It depends on nothing else, so an export that is repeated, or of fewer schedules, gives the same ids.
func ExportID(scheduleID string) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, scheduleID)
	slug = strings.Trim(slug, "-_")
	if slug == scheduleID && len(slug) <= longestID {
		return slug
	}
	for strings.Contains(slug, "--") {
		slug = strings.ReplaceAll(slug, "--", "-")
	}
	hash := idHash(scheduleID)[:idHashLength]
	slug = strings.TrimRight(slug[:min(len(slug), longestID-1-idHashLength)], "-_")
	return strings.TrimLeft(slug+"-"+hash, "-")
}
