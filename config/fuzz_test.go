package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

// hang is when a load counts as one that never ends. The slowest takes a fraction of a second.
const hang = 5 * time.Minute

// FuzzLoad looks for texts that make Load panic, hang or fail with anything but problems in their places, and
// for projects whose revision is another one when they are loaded again, or written by our own writer.
func FuzzLoad(f *testing.F) {
	f.Add(goodProject, goodWorkflow)
	f.Add(compozyProject, compozyWorkflow)
	f.Add(goodProject, fullWorkflow)
	f.Add("name: p\nworkflows: [{source: '**'}]\n", aliasBomb)
	for _, test := range brokenWorkflows {
		if len(test.yaml) < 1000 {
			f.Add(goodProject, test.yaml)
		}
	}
	f.Fuzz(func(t *testing.T, project, workflow string) {
		defer time.AfterFunc(hang, func() { panic(fmt.Sprintf("it hangs: %q %q", project, workflow)) }).Stop()
		files := map[string]string{"compozy.yaml": project, "workflows/daily.yaml": workflow}
		dir := write(t, files)
		loaded, err := config.Load(dir)
		name, nameErr := config.LoadName(dir)
		require.Contains(t, config.WatchDirs(dir), dir)
		if err != nil {
			require.Nil(t, loaded, "a broken project was returned")
			requirePlaces(t, files, err)
			if nameErr != nil {
				requirePlaces(t, files, nameErr)
			}
			return
		}
		require.NoError(t, nameErr)
		require.Equal(t, loaded.Name, name)
		require.NotEmpty(t, name)
		requireStable(t, dir, loaded)
	})
}

// requirePlaces sees that each problem is one line, names a file of the project, and a place inside it.
func requirePlaces(t *testing.T, files map[string]string, err error) {
	t.Helper()
	var problems config.Problems
	require.ErrorAs(t, err, &problems)
	require.NotEmpty(t, problems)
	for _, p := range problems {
		require.NotEmpty(t, p.Message, "%#v", p)
		require.NotContains(t, p.String(), "\n", "%#v", p)
		require.NotContains(t, p.String(), "\r", "%#v", p)
		text, known := files[p.File]
		require.True(t, known, "%#v", p)
		if p.Line == 0 {
			require.Zero(t, p.Column, "%#v", p)
			continue
		}
		lines := lineBreaks.Split(text, -1)
		require.LessOrEqual(t, p.Line, len(lines), "%#v", p)
		require.Positive(t, p.Column, "%#v", p)
		// One behind the last character is where something is missing.
		require.LessOrEqual(t, p.Column, utf8.RuneCountInString(lines[p.Line-1])+1, "%#v", p)
	}
}

// lineBreaks are what YAML takes for the end of a line.
var lineBreaks = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

// requireStable sees that the project has the same revision when it is loaded again, and when each of its
// workflows is written anew.
func requireStable(t *testing.T, dir string, loaded *config.Project) {
	t.Helper()
	require.Regexp(t, "^[0-9a-f]{64}$", loaded.Revision)
	again, err := config.Load(dir)
	require.NoError(t, err)
	require.Equal(t, loaded.Revision, again.Revision)

	written := write(t, map[string]string{"compozy.yaml": "name: " + fmt.Sprintf("%q", loaded.Name) + "\nworkflows: [{source: '*.yml'}]\n"})
	for i, w := range loaded.Workflows {
		text, err := config.WriteWorkflow(w, []string{w.File})
		if err != nil && strings.Contains(err.Error(), "larger than 1 MiB") {
			t.Skip("aliases made it small")
		}
		require.NoError(t, err, "what came from a file fits into one")
		require.NoError(t, os.WriteFile(filepath.Join(written, fmt.Sprintf("%d.yml", i)), text, 0o600))
	}
	if len(loaded.Workflows) == 0 {
		return // a project needs files
	}
	reformatted, err := config.Load(written)
	require.NoError(t, err, "what was written can be loaded")
	require.Equal(t, loaded.Revision, reformatted.Revision)
}
