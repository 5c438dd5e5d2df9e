package cmd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func TestSchema(t *testing.T) {
	for _, kind := range config.SchemaKinds() {
		t.Run("Should print the schema of a kind of file: "+string(kind), func(t *testing.T) {
			want, err := config.Schema(kind)
			require.NoError(t, err)
			assert.Equal(t, result{0, string(want), ""}, runIn(t, nil, false, "schema", string(kind)))
		})
	}
	for text, args := range map[string][]string{
		"name one kind of file: workflow or project":             {"schema"},
		`there is no schema of "agent": use workflow or project`: {"schema", "agent"},
	} {
		t.Run("Should refuse: "+text, func(t *testing.T) {
			assert.Equal(t, result{1, "", "schedules: " + text + "\n"}, runIn(t, nil, false, args...))
		})
	}
	t.Run("Should refuse two kinds", func(t *testing.T) {
		assert.Equal(t, 1, runIn(t, nil, false, "schema", "workflow", "project").code)
	})
}
