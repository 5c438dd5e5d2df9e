package schedulestest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Project writes a project with n scheduled workflows, wf-0000 and on, into a directory of the test's.
func Project(t testing.TB, name string, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	WriteFile(t, filepath.Join(dir, "compozy.yaml"), "name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\n")
	for i := range n {
		Workflow(t, dir, fmt.Sprintf("wf-%04d", i), `{cron: "0 5 * * *"}`)
	}
	return dir
}

// Workflow writes the file of one workflow; schedule is its block, in YAML's flow style.
func Workflow(t testing.TB, dir, id, schedule string) {
	t.Helper()
	WriteFile(t, filepath.Join(dir, "workflows", id+".yaml"), "id: "+id+"\nschedule: "+schedule+"\n")
}

// WriteFile writes a file, with its directory.
func WriteFile(t testing.TB, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
}
