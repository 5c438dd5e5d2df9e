package faults_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/workflows"
)

// disk is a small file system of its own.
type disk struct {
	t      *testing.T
	dir    string
	filler int
}

// newDisk needs the right to mount.
func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk needs root, to mount it: run it as root, or below `unshare -Urm`")
	}
	d := &disk{t: t, dir: t.TempDir()}
	output, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", d.dir).CombinedOutput()
	if err != nil {
		t.Skipf("this machine mounts no tmpfs: %v: %s", err, output)
	}
	t.Cleanup(func() {
		output, err := exec.Command("umount", "--lazy", d.dir).CombinedOutput()
		assert.NoError(t, err, string(output))
	})
	return d
}

// fill leaves no room.
func (d *disk) fill() {
	d.t.Helper()
	d.filler++
	file, err := os.Create(filepath.Join(d.dir, fmt.Sprintf(".filler-%d", d.filler)))
	require.NoError(d.t, err)
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	require.ErrorIs(d.t, err, syscall.ENOSPC)
}

// room makes room again.
func (d *disk) room() {
	d.t.Helper()
	fillers, err := filepath.Glob(filepath.Join(d.dir, ".filler-*"))
	require.NoError(d.t, err)
	for _, name := range fillers {
		require.NoError(d.t, os.Remove(name))
	}
}

// overwrite does what most editors do: empty the file, then write it. The disk keeps `pages` pages of it.
func (d *disk) overwrite(name, text string, pages int64) {
	d.t.Helper()
	require.NoError(d.t, os.Truncate(name, 0))
	d.fill()
	filler := filepath.Join(d.dir, fmt.Sprintf(".filler-%d", d.filler))
	info, err := os.Stat(filler)
	require.NoError(d.t, err)
	require.NoError(d.t, os.Truncate(filler, info.Size()-4096*pages))
	require.ErrorIs(d.t, os.WriteFile(name, []byte(text), 0o600), syscall.ENOSPC)
}

func TestFullDisk(t *testing.T) {
	t.Run("Should go on where nothing that it prints can be written", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "full-log", 20)
		address := fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t))
		replica := schedulestest.Start(t, s.env(server.Address()), "sh", "-c", `exec "$0" "$@" > /dev/full 2>&1`,
			binary, "serve", "--project", s.dir, "--listen", address, "--rate-limit", "0", "--log-level", "debug")
		api := &steering{t: t, url: "http://" + address, log: func() string { return "(it cannot)" }}
		s.until(20, api.log)
		s.steer(api, 0)
		s.edit(6, 8)
		s.requireWhole(api.log)
		schedulestest.WriteFile(t, filepath.Join(s.dir, "workflows", "wf-0010.yaml"), "id: [")
		s.override(11, workflows.ActionPause)
		s.hour(7, 10)
		s.requireWhole(api.log)
		assert.Zero(t, replica.Terminate(), "the lost log is no failure of its work")
	})
	t.Run("Should end with an error where what it is asked to print cannot be written", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "full-print", 1)
		replica := serve(t, s.env(server.Address()), s.dir)
		s.until(1, replica.Log)
		_, err := s.client.ScheduleClient().Create(t.Context(), unowned(0))
		require.NoError(t, err)
		for _, command := range []string{
			"validate --project " + s.dir, "status --project " + s.dir, "status -o json --project " + s.dir, "plan --project " + s.dir,
			"plan -o json --project " + s.dir, "export --dir -", "export --dir - -o json", "schema project", "version",
		} {
			code, _, stderr := schedulestest.Call(t, s.env(server.Address()), "sh", "-c", `exec "$0" `+command+` > /dev/full`, binary)
			assert.NotZero(t, code, command)
			assert.Contains(t, stderr, "no space left on device", command)
		}
	})
	t.Run("Should delete nothing where an edit on a full disk cuts files off, and go on when there is room", func(t *testing.T) {
		t.Parallel()
		s := newSteered(t, "full-edit", 20)
		d := newDisk(t, "256k")
		require.NoError(t, os.CopyFS(d.dir, os.DirFS(s.dir)))
		s.dir = d.dir
		replica := serve(t, s.env(server.Address()), s.dir, "--resync-interval", "2s")
		s.until(20, replica.Log)
		s.override(3, workflows.ActionPause)
		s.requireWhole(replica.Log)

		empty, half := filepath.Join(d.dir, "workflows", "wf-0000.yaml"), filepath.Join(d.dir, "workflows", "wf-0001.yaml")
		beginning := "id: wf-0001\nschedule: {cron: \"0 "
		text := "# " + strings.Repeat("x", 4096-len(beginning)-3) + "\n" + beginning + "6 * * *\"}\n"
		d.overwrite(empty, "id: wf-0000\nschedule: {cron: \"0 6 * * *\"}\n", 0)
		d.overwrite(half, text, 1)
		left, err := os.ReadFile(half)
		require.NoError(t, err)
		require.Equal(t, text[:4096], string(left))
		schedulestest.Eventually(t, replica.Log, func() bool {
			return strings.Contains(replica.Log(), `"at":"workflows/wf-0000.yaml:`) && strings.Contains(replica.Log(), `"at":"workflows/wf-0001.yaml:`) &&
				strings.Contains(replica.Log(), "the last good revision stays in force")
		})
		s.passes(3, replica.Log)
		s.override(4, workflows.ActionDelete)
		schedulestest.Eventually(t, replica.Log, func() bool { return len(s.listed()) == 19 })
		for id, hour := range s.listed() {
			assert.Equal(t, 5, hour, id)
		}

		d.room()
		s.hour(6, 0)
		require.NoError(t, os.WriteFile(half, []byte(text), 0o600))
		s.requireWhole(replica.Log)
		assert.Zero(t, replica.Terminate(), replica.Log())
	})
	t.Run("Should export whole files or none, and say that the disk is full", func(t *testing.T) {
		t.Parallel()
		namespace, c := server.Namespace(t)
		for n := range 6 {
			_, err := c.ScheduleClient().Create(t.Context(), unowned(n))
			require.NoError(t, err)
		}
		env, good := schedulestest.Env(server.Address(), namespace), t.TempDir()
		schedulestest.Eventually(t, func() string { return "" }, func() bool {
			code, _, _ := schedulestest.Call(t, env, binary, "export", "--dir", good, "--force")
			files, err := os.ReadDir(good)
			return code == 0 && err == nil && len(files) == 6
		})
		d := newDisk(t, "20k") // its root, and four pages
		dir := filepath.Join(d.dir, "workflows")
		code, stdout, stderr := schedulestest.Call(t, env, binary, "export", "--dir", dir)
		assert.Equal(t, 1, code, stdout)
		assert.Contains(t, stderr, "no space left on device")
		assert.Contains(t, stderr, "write the file of schedule unowned-")
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.NotEmpty(t, files)
		assert.Less(t, len(files), 6)
		for _, file := range files {
			want, err := os.ReadFile(filepath.Join(good, file.Name()))
			require.NoError(t, err, "no file of another name is left")
			got, err := os.ReadFile(filepath.Join(dir, file.Name()))
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		}
	})
}

// unowned is a schedule of nobody's project.
func unowned(n int) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID:     fmt.Sprintf("unowned-%d", n),
		Spec:   client.ScheduleSpec{CronExpressions: []string{"0 5 * * *"}},
		Action: &client.ScheduleWorkflowAction{ID: "run", Workflow: "Anything", TaskQueue: "nobody"},
	}
}

// passes waits for so many more passes.
func (s *steered) passes(count int, log func() string) {
	s.t.Helper()
	last := ""
	schedulestest.Eventually(s.t, log, func() bool {
		if pass := s.status().LastPass; pass != nil && !pass.FinishedAt.IsZero() && pass.FinishedAt.String() != last {
			last = pass.FinishedAt.String()
			count--
		}
		return count < 0
	})
}

// nobody is the user that has no rights.
const nobody = 65534

// asNobody is a command line that runs our binary without the rights of root, from a place that it can reach.
func asNobody(t *testing.T, args ...string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("whom modes of files stop is told apart from root only by root: run it as root")
	}
	copied := filepath.Join(reachable(t), "schedules")
	text, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, text, 0o755))
	return append([]string{"setpriv", fmt.Sprintf("--reuid=%d", nobody), fmt.Sprintf("--regid=%d", nobody), "--clear-groups", copied}, args...)
}

// reachable is a directory that everybody can read.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "schedules-faults-open")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// opened makes all files of a directory readable for everybody.
func opened(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if entry.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	}))
}

func TestUnreadableProject(t *testing.T) {
	// What is closed, below the directory that holds the project; what the log names.
	for name, c := range map[string]struct{ closed, named string }{
		"a file":                 {"project/workflows/wf-0003.yaml", "wf-0003.yaml"},
		"the project file":       {"project/compozy.yaml", "compozy.yaml"},
		"the workflows":          {"project/workflows", "workflows"},
		"the project":            {"project", "project"},
		"what holds the project": {".", "project"},
	} {
		t.Run("Should delete nothing, name what it cannot read, and go on by itself: "+name, func(t *testing.T) {
			t.Parallel()
			s := newSteered(t, "unreadable", 10)
			holder := reachable(t)
			dir := filepath.Join(holder, "project")
			require.NoError(t, os.CopyFS(dir, os.DirFS(s.dir)))
			opened(t, holder)
			s.dir = dir
			closed := filepath.Join(holder, c.closed)
			env := append(s.env(server.Address()), "HOME=/") // that of root is closed
			line := asNobody(t, "serve", "--project", dir, "--api=false", "--resync-interval", "2s")

			before, err := os.Stat(closed)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(closed, 0))
			code, _, stderr := schedulestest.Call(t, env, line[0], line[1:]...)
			assert.Equal(t, 1, code)
			assert.Contains(t, stderr, c.named)
			assert.Contains(t, stderr, "permission denied: let this process read it")
			assert.Empty(t, s.listed())
			require.NoError(t, os.Chmod(closed, before.Mode()))

			replica := schedulestest.Start(t, env, line[0], line[1:]...)
			s.until(10, replica.Log)
			s.override(1, workflows.ActionPause)
			s.requireWhole(replica.Log)
			require.NoError(t, os.Chmod(closed, 0))
			s.hour(6, 2) // root goes on writing
			schedulestest.Eventually(t, replica.Log, func() bool {
				for text := range strings.Lines(replica.Log()) {
					if strings.Contains(text, "invalid file") && strings.Contains(text, c.named) && strings.Contains(text, "permission denied: let this process read it") {
						return strings.Contains(replica.Log(), "the last good revision stays in force")
					}
				}
				return false
			})
			s.passes(3, replica.Log)
			for id, hour := range s.listed() {
				assert.Equal(t, 5, hour, id)
			}
			assert.Len(t, s.listed(), 10)
			require.NoError(t, os.Chmod(closed, before.Mode())) // and nothing else
			s.requireWhole(replica.Log)
			assert.Zero(t, replica.Terminate(), replica.Log())
		})
	}
}
