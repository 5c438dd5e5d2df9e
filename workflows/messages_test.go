package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

// TestNextReload holds what a reload would do, as `schedules plan` asks a status.
func TestNextReload(t *testing.T) {
	before, after := workflows.ActiveOverride{Seq: 3}, workflows.ActiveOverride{Seq: 7}
	tests := []struct {
		name          string
		status        workflows.Status
		revision      string
		force         bool
		want          activities.PassKind
		before, after bool
	}{
		{"start where there is no reconciler", workflows.Status{}, "a", false, activities.PassStart, false, false},
		{"go on with a first pass that never ended", workflows.Status{Revision: "a"}, "a", false, activities.PassStart, false, false},
		{"reload another revision, though the first one was never applied", workflows.Status{Revision: "a"}, "b", false, activities.PassReload, true, true},
		{"only look where the revision is applied", workflows.Status{Revision: "a", Applied: "a"}, "a", false, activities.PassResync, false, false},
		{"end every override by force", workflows.Status{Revision: "a", Applied: "a"}, "a", true, activities.PassReload, true, true},
		{"end every override by another revision", workflows.Status{Revision: "a", Applied: "a"}, "b", false, activities.PassReload, true, true},
		{"keep the overrides that came after a reload which is held back", workflows.Status{Revision: "b", Applied: "a", PendingReload: 5}, "b", false, activities.PassReload, true, false},
		{"repeat a forced reload that failed", workflows.Status{Revision: "a", Applied: "a", PendingReload: 5}, "a", false, activities.PassReload, true, false},
	}
	for _, test := range tests {
		t.Run("Should "+test.name, func(t *testing.T) {
			assert.Equal(t, test.want, test.status.NextKind(test.revision, test.force))
			assert.Equal(t, test.before, test.status.Ends(before, test.revision, test.force), "an earlier override ends")
			assert.Equal(t, test.after, test.status.Ends(after, test.revision, test.force), "a later override ends")
			held := after
			held.Hold = true
			assert.False(t, test.status.Ends(held, test.revision, test.force), "one that is held stays")
		})
	}
}
