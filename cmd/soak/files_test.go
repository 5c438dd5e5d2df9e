package soak_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/config"
)

const project = "soak"

// file is one workflow's.
type file struct {
	cron, zone, policy string
	enabled            bool
	nonce              int
}

var (
	crons = []string{"%d 5 * * *", "%d 9 * * 1-5", "%d 0 13 * 5", "%d */4 * * *", "%d 23 28-31 * *", "@every 1h%dm", "@daily", "@monthly"}
	zones = []string{"UTC", "America/New_York", "Asia/Tokyo", "Europe/Berlin", "Asia/Kolkata"}
	// The policies are lines of the schedule block. None lets a run fail: a pause by Temporal itself is not modelled.
	policies = []string{"", "jitter: 5m", "overlap_policy: buffer_one", "overlap_policy: terminate_other",
		"catchup_window: 10m", "pause_on_failure: true", "end_at: 2040-01-01T00:00:00Z"}
)

// makeProject writes the project into a repository of its own.
func (w *world) makeProject() {
	w.dir = w.t.TempDir()
	schedulestest.WriteFile(w.t, filepath.Join(w.dir, "compozy.yaml"), "name: "+project+"\nworkflows:\n  - source: ./workflows/*.yaml\n")
	for range *schedules {
		w.newFile()
	}
	w.git("init", "--quiet")
	w.commit("the project")
}

// newFile adds a workflow and returns its id.
func (w *world) newFile() string {
	id := fmt.Sprintf("wf-%04d", w.nextID)
	w.nextID++
	w.files[id] = &file{enabled: true}
	w.change(id)
	return id
}

// change gives a workflow other times and another input. The input is never twice the same, so that each commit is
// a revision of its own.
func (w *world) change(id string) {
	f := w.files[id]
	w.nonce++
	f.nonce = w.nonce
	f.cron, f.zone, f.policy = pick(w, crons), pick(w, zones), pick(w, policies)
	if strings.Contains(f.cron, "%d") {
		f.cron = fmt.Sprintf(f.cron, w.random.IntN(60))
	}
	w.write(id, fmt.Sprintf("id: %s\nschedule:\n  cron: %q\n  timezone: %s\n  enabled: %v\n  input: {n: %d}\n  %s\n",
		id, f.cron, f.zone, f.enabled, f.nonce, f.policy))
}

// write replaces a file as editors and git do, at once: no replica reads half of it.
func (w *world) write(id, text string) {
	name := filepath.Join(w.dir, "workflows", id+".yaml")
	half := filepath.Join(w.dir, "workflows", "."+id)
	schedulestest.WriteFile(w.t, half, text)
	require.NoError(w.t, os.Rename(half, name))
}

func (w *world) read(id string) string {
	text, err := os.ReadFile(filepath.Join(w.dir, "workflows", id+".yaml"))
	require.NoError(w.t, err)
	return string(text)
}

func (w *world) remove(id string) {
	require.NoError(w.t, os.Remove(filepath.Join(w.dir, "workflows", id+".yaml")))
	delete(w.files, id)
}

func (w *world) commit(message string) {
	w.git("add", "--all")
	w.git("-c", "user.name=soak", "-c", "user.email=soak@localhost", "commit", "--quiet", "--message", message)
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), "git", append([]string{"-C", w.dir}, args...)...).CombinedOutput()
	require.NoError(w.t, err, "%s", out)
	return string(out)
}

// revision is the short one of what is committed.
func (w *world) revision() string {
	require.Empty(w.t, w.git("status", "--porcelain"), "what is checked is what is committed")
	loaded, err := config.Load(w.dir)
	require.NoError(w.t, err)
	return config.Short(loaded.Revision)
}

// someID picks a workflow that nothing hinders now and that is as wanted; "" where there is none.
func (w *world) someID(wanted func(id string) bool) string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(w.files)) {
		if !w.busy[id] && wanted(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return pick(w, ids)
}

func pick[T any](w *world, from []T) T { return from[w.random.IntN(len(from))] }
