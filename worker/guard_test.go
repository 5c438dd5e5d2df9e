package worker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

func TestPruneGuard(t *testing.T) {
	t.Parallel()
	t.Run("Should say what it holds back, warn once, and let a reload prune", func(t *testing.T) {
		namespace, c, log := watched(t)
		f := newFiles(t, "held")
		f.many(40)
		r := serve(t, namespace, c, f, func(s *config.Settings) { s.ResyncInterval = time.Second })
		applied := r.inSync(f).Applied
		r.override(workflows.Override{RequestID: "early", WorkflowID: "wf-0038", Action: workflows.ActionPause})
		for i := range 30 {
			f.remove(fmt.Sprintf("wf-%04d", i))
		}
		status := r.until("blocked", func(s workflows.Status) bool {
			return s.Phase == workflows.PhaseBlocked && s.Blocked != nil && s.Blocked.Delete == 30
		})
		assert.Equal(t, 40, status.Blocked.Owned)
		assert.Equal(t, 12, status.Blocked.Allowed, "30 percent")
		assert.Len(t, status.Blocked.WorkflowIDs, 20, "the first of them")
		assert.Equal(t, "wf-0000", status.Blocked.WorkflowIDs[0])
		assert.Equal(t, "this pass would delete 30 of 40 schedules (wf-0000, wf-0001, wf-0002, wf-0003, wf-0004 …), more than the 12 that "+
			"the prune guard allows; nothing was changed: bring the workflows back, or allow it with `schedules reload --prune`", status.Message)
		assert.Equal(t, applied, status.Applied)

		passes := map[time.Time]bool{}
		r.until("three more passes are blocked", func(s workflows.Status) bool {
			if s.Phase == workflows.PhaseBlocked {
				passes[s.LastPass.StartedAt] = true
			}
			return len(passes) > 3
		})
		assert.Len(t, warned(log, `level=WARN msg="not in sync"`, "phase=blocked", "this pass would delete 30 of 40"), 1, log)
		r.schedules(40)

		r.override(workflows.Override{RequestID: "late", WorkflowID: "wf-0039", Action: workflows.ActionPause})
		overrides := r.overrides()
		require.Len(t, overrides, 2, "the reload that is held back has ended none")
		status = r.status()
		assert.True(t, status.Ends(overrides[0], status.Revision, false), "what came before it ends with it")
		assert.False(t, status.Ends(overrides[1], status.Revision, false), "what came since stays")
		r.signal(workflows.SignalReload, workflows.Reload{Prune: true})
		assert.Nil(t, r.inSync(f).Blocked)
		r.schedules(10)
		if overrides = r.overrides(); assert.Len(t, overrides, 1) {
			assert.Equal(t, "late", overrides[0].RequestID)
		}
	})
	t.Run("Should go on by itself when the workflows are back", func(t *testing.T) {
		namespace, c, log := watched(t)
		f := newFiles(t, "returning")
		f.many(10)
		r := serve(t, namespace, c, f)
		r.inSync(f)
		require.NoError(t, os.Rename(filepath.Join(f.dir, "workflows"), filepath.Join(f.dir, "away")))
		f.workflow("wf-0000", `{cron: "0 5 * * *"}`)
		r.until("blocked", func(s workflows.Status) bool { return s.Phase == workflows.PhaseBlocked })
		require.NoError(t, os.RemoveAll(filepath.Join(f.dir, "workflows")))
		require.NoError(t, os.Rename(filepath.Join(f.dir, "away"), filepath.Join(f.dir, "workflows")))
		r.hangup <- struct{}{}
		status := r.inSync(f)
		assert.Zero(t, status.LastPass.Deleted)
		assert.Nil(t, status.Blocked)
		r.schedules(10)
		assert.Len(t, warned(log, "phase=blocked"), 1, log)
	})
}

// TestLostFiles has three schedules: so few that the prune guard would let all of them go.
func TestLostFiles(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]struct {
		lose    func(t *testing.T, dir string)
		problem string
	}{
		"the directory is emptied": {func(t *testing.T, dir string) {
			for _, name := range []string{"compozy.yaml", "workflows"} {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			}
		}, "compozy.yaml"},
		"the directory is gone": {func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
		}, "no such file"},
		"another file system is mounted over it": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(dir, dir+".away"))
			require.NoError(t, os.Mkdir(dir, 0o755))
		}, "compozy.yaml"},
		"a glob matches nothing": {func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "workflows")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "workflows"), 0o755))
		}, "no file matches"},
		"the workflows' directory cannot be read": {func(t *testing.T, dir string) {
			// Not by its mode: that does not stop root, who runs these tests in containers.
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "workflows")))
			require.NoError(t, os.Symlink("workflows", filepath.Join(dir, "workflows")))
		}, "workflows"},
		"the files are cut off": {func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "workflows", "*.yaml"))
			require.NoError(t, err)
			for _, file := range files {
				require.NoError(t, os.Truncate(file, 0))
			}
		}, "wf-0000.yaml"},
	} {
		t.Run("Should delete nothing where "+name, func(t *testing.T) {
			t.Parallel()
			namespace, c := server.Namespace(t)
			f := newFiles(t, "lost")
			f.many(3)
			r := serve(t, namespace, c, f)
			revision := r.inSync(f).Revision
			lost.lose(t, f.dir)
			r.hangup <- struct{}{} // it need not be noticed by itself
			eventually(t, r.log.String, func() bool { return strings.Contains(r.log.String(), "the last good revision stays in force") })
			assert.Contains(t, r.log.String(), lost.problem)
			passes := r.until("a status", func(s workflows.Status) bool { return s.LastPass != nil }).LastPass.StartedAt
			r.signal(workflows.SignalResync, nil)
			status := r.until("a pass since", func(s workflows.Status) bool {
				return s.Phase == workflows.PhaseInSync && s.LastPass.StartedAt.After(passes)
			})
			assert.Equal(t, revision, status.Revision)
			assert.Equal(t, 3, status.Counts.Unchanged)
			r.schedules(3)
			_, err := config.Load(f.dir)
			require.Error(t, err, "a process does not start with it")
		})
	}
}
