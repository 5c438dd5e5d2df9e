package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/activities"
)

func TestNote(t *testing.T) {
	const hash = "0123456789ab"
	t.Run("Should be a sentence that ends in the hash", func(t *testing.T) {
		assert.Equal(t, "Managed by compozy-schedules (project reports), enabled in git. spec:0123456789ab",
			activities.Note{Project: "reports", Enabled: true, Hash: hash}.String())
		assert.Equal(t, "Paused via UI. Managed by compozy-schedules (project a-b), paused in git. spec:0123456789ab",
			activities.Note{Lead: "Paused via UI", Project: "a-b", Hash: hash}.String())
	})

	roundTrips := []struct{ name, lead, want string }{
		{"no lead", "", ""},
		{"a lead, as a sentence", "Paused via UI", "Paused via UI."},
		{"a lead that is a sentence", "Paused via UI.", "Paused via UI."},
		{"a lead of lines", "line one\nline two\r\n\n\tline three", "line one\nline two\r\n\n\tline three."},
		{"a lead with white space around it", " \n paused \n\t", "paused."},
		{"a lead of white space only", " \n\t", ""},
		{"a lead with other scripts", "停止中 – wegen Umbau 🚧", "停止中 – wegen Umbau 🚧."},
		{"a lead that names a hash", "spec:000000000000", "spec:000000000000."},
		{
			"a lead that is another project's note",
			activities.Note{Project: "other", Enabled: true, Hash: "ffffffffffff"}.String(),
			activities.Note{Project: "other", Enabled: true, Hash: "ffffffffffff"}.String() + ".",
		},
	}
	for _, test := range roundTrips {
		for _, enabled := range []bool{true, false} {
			t.Run("Should read back "+test.name, func(t *testing.T) {
				note := activities.Note{Lead: test.lead, Project: "re-ports2", Enabled: enabled, Hash: hash}
				parsed, ok := activities.ParseNote(note.String())
				assert.True(t, ok)
				note.Lead = test.want
				assert.Equal(t, note, parsed)
				assert.Equal(t, note.String(), parsed.String(), "a second round trip changes nothing")
			})
		}
	}

	t.Run("Should not take people's words for Temporal's", func(t *testing.T) {
		for _, text := range []string{"", "Paused via UI", "by Ann: paused due to workflow failure", "paused due to workflow", "Paused due to workflow failure"} {
			assert.False(t, activities.PausedByTemporal(text), "%q", text)
			assert.False(t, activities.PausedByTemporal(activities.Note{Lead: text, Project: "a", Hash: hash}.String()), "%q", text)
		}
	})

	refused := []struct{ name, text string }{
		{"nothing", ""},
		{"what the UI writes", "Paused via UI"},
		{"a note with something after it", activities.Note{Project: "a", Hash: hash}.String() + " and paused by Bob"},
		{"a note with a new line after it", activities.Note{Project: "a", Hash: hash}.String() + "\n"},
		{"a short hash", "Managed by compozy-schedules (project a), enabled in git. spec:0123456789a"},
		{"a long hash", "Managed by compozy-schedules (project a), enabled in git. spec:0123456789abc"},
		{"a hash in capitals", "Managed by compozy-schedules (project a), enabled in git. spec:0123456789AB"},
		{"another word for the state", "Managed by compozy-schedules (project a), stopped in git. spec:0123456789ab"},
		{"a project that is no slug", "Managed by compozy-schedules (project A b), enabled in git. spec:0123456789ab"},
	}
	for _, test := range refused {
		t.Run("Should not take "+test.name+" for a note", func(t *testing.T) {
			_, ok := activities.ParseNote(test.text)
			assert.False(t, ok)
		})
	}
}
