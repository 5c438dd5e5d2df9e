package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
)

// offsetFile is the variable that names the file from which our binary, as buildMovable builds it, reads by how
// many seconds its wall clock is wrong.
const offsetFile = "WALL_OFFSET_FILE"

// readTime is the line of the standard library's time.Now that reads the clocks. Only the wall clock is moved:
// the monotonic one stays as it is, as in a machine whose clock somebody sets.
const readTime = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"

const timeOffset = `package time

import "sync/atomic"

var wallOffset atomic.Int64

// SetWallOffset makes the wall clock wrong by so many seconds.
func SetWallOffset(seconds int64) { wallOffset.Store(seconds) }
`

const mainOffset = `package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func init() {
	read := func() {
		text, _ := os.ReadFile(os.Getenv("` + offsetFile + `"))
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			time.SetWallOffset(seconds)
		}
	}
	read()
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			read()
		}
	}()
}
`

// buildMovable builds our binary with a wall clock that can be moved. It compiles the standard library anew, so
// the first time takes minutes.
func buildMovable(t *testing.T) (binary string) {
	t.Helper()
	root, err := temporaltest.Root()
	require.NoError(t, err)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	clock := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time")
	source, err := os.ReadFile(filepath.Join(clock, "time.go"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(source), readTime), "this Go reads its clocks elsewhere")
	dir := t.TempDir()
	replace := map[string]string{}
	for path, text := range map[string]string{
		filepath.Join(clock, "time.go"):            strings.Replace(string(source), readTime, readTime+"\tsec += wallOffset.Load()\n", 1),
		filepath.Join(clock, "wall_offset.go"):     timeOffset,
		filepath.Join(root, "main_wall_offset.go"): mainOffset,
	} {
		replace[path] = filepath.Join(dir, filepath.Base(path))
		schedulestest.WriteFile(t, replace[path], text)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	schedulestest.WriteFile(t, filepath.Join(dir, "overlay.json"), string(overlay))
	binary = filepath.Join(dir, "schedules")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	build.Dir = root
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

// clock is the wall clock of one process.
type clock struct {
	file   string
	offset time.Duration
	api    *steering
}

// env is the environment of the process whose clock it is.
func (c *clock) env(env []string) []string { return append(env, offsetFile+"="+c.file) }

// jump sets the clock that far from the true time, and returns when the process has it.
func (c *clock) jump(offset time.Duration) {
	c.api.t.Helper()
	c.offset = offset
	// A file that is written is empty for a moment; one that is moved into place never is.
	schedulestest.WriteFile(c.api.t, c.file+".new", fmt.Sprint(int64(offset/time.Second)))
	require.NoError(c.api.t, os.Rename(c.file+".new", c.file))
	schedulestest.Eventually(c.api.t, c.api.log, func() bool {
		response, err := http.Get(c.api.url + "/healthz")
		if err != nil {
			return false
		}
		response.Body.Close()
		shown, err := http.ParseTime(response.Header.Get("Date"))
		return err == nil && c.shows(shown)
	})
}

// shows reports whether a moment was read from this clock within the last minute.
func (c *clock) shows(moment time.Time) bool {
	behind := time.Now().Add(c.offset).Sub(moment)
	return behind > -time.Minute && behind < time.Minute
}
