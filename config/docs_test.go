package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocs(t *testing.T) {
	t.Run("Should quote only lines that the loader prints", func(t *testing.T) {
		text, err := os.ReadFile("../docs/schedules.md")
		require.NoError(t, err)
		_, table, found := strings.Cut(string(text), "## What each mistake prints")
		require.True(t, found)
		printed := map[string]bool{duplicateID: true}
		for _, test := range brokenWorkflows {
			printed["workflows/daily.yaml"+test.want] = true
		}
		for _, test := range brokenProjects {
			printed["compozy.yaml:"+test.want] = true
		}
		rows := regexp.MustCompile("(?m)`([^`\n]*)` \\|$").FindAllStringSubmatch(table, -1)
		assert.Greater(t, len(rows), 30)
		for _, row := range rows {
			assert.True(t, printed[row[1]], row[1])
		}
	})
}
