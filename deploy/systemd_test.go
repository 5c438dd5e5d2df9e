package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	unit = "systemd/schedules.service"
	// exposure is the most that `systemd-analyze security` may find, in tenths: systemd 252 finds 1.2, and
	// another version weighs differently.
	exposure = "20"
)

func TestUnit(t *testing.T) {
	values := func(key string) (found []string) {
		for line := range strings.Lines(read(t, unit)) {
			if value, ok := strings.CutPrefix(line, key+"="); ok {
				found = append(found, strings.TrimSpace(value))
			}
		}
		return found
	}
	t.Run("Should have only settings that exist", func(t *testing.T) {
		command := strings.Fields(values("ExecStart")[0])
		got := settings(t, command[1:], append(values("Environment"), apiKey))
		assert.Equal(t, values("WorkingDirectory")[0], filepath.Dir(got.Project))
	})
	t.Run("Should be what systemd knows", func(t *testing.T) {
		analyze := systemdAnalyze(t)
		// systemd also looks whether the binary is there: one that is stands in for it.
		binary := strings.Fields(values("ExecStart")[0])[0]
		self, err := os.Executable()
		require.NoError(t, err)
		copied := filepath.Join(t.TempDir(), filepath.Base(unit))
		text := strings.Replace(read(t, unit), "ExecStart="+binary, "ExecStart="+self, 1)
		require.NoError(t, os.WriteFile(copied, []byte(text), 0o600))
		out, err := exec.Command(analyze, "verify", copied).CombinedOutput()
		assert.NoError(t, err)
		assert.NotContains(t, string(out), filepath.Base(unit))
		wrong := strings.Replace(text, "ProtectClock=", "ProtectClocks=", 1)
		require.NoError(t, os.WriteFile(copied, []byte(wrong), 0o600))
		out, _ = exec.Command(analyze, "verify", copied).CombinedOutput()
		assert.Contains(t, string(out), "ProtectClocks")
	})
	t.Run("Should be closed", func(t *testing.T) {
		out, err := exec.Command(systemdAnalyze(t), "security", "--offline=true", "--threshold="+exposure, unit).CombinedOutput()
		assert.NoError(t, err, string(out))
	})
}

func systemdAnalyze(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on PATH")
	}
	return path
}
