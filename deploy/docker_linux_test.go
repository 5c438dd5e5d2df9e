package deploy_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const dockerfile = "docker/Dockerfile"

func TestImage(t *testing.T) {
	text := read(t, dockerfile)
	t.Run("Should be built with the Go version of go.mod", func(t *testing.T) {
		version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))[1]
		assert.Contains(t, text, "FROM golang:"+version+" AS build\n")
	})
	t.Run("Should run from an empty root, as nobody, with all time zones", func(t *testing.T) {
		user, err := strconv.ParseUint(match(t, text, `(?m)^USER (\d+):\d+$`), 10, 32)
		require.NoError(t, err)
		image := image{root: build(t, text), entrypoint: match(t, text, `(?m)^ENTRYPOINT \["(.*)"\]$`), user: int(user)}
		require.NoError(t, os.CopyFS(filepath.Join(image.root, "project"), os.DirFS(filepath.Join(kubernetes, "project"))))
		assert.Contains(t, read(t, filepath.Join(kubernetes, "project/daily-report.yaml")), "timezone: America/New_York")

		out, code := image.run(t, nil, "version")
		assert.Zero(t, code, out)
		assert.Regexp(t, `^schedules .+ go1\.`, out)

		out, code = image.run(t, nil, "validate", "--project", "/project")
		assert.Zero(t, code, out)
		assert.Contains(t, out, "project reports is valid: 1 workflow, 1 schedule")

		// Without a Secret.
		out, code = image.run(t, []string{"SCHEDULES_LISTEN=0.0.0.0:8080"}, "serve", "--project", "/project")
		assert.Equal(t, 1, code)
		assert.Contains(t, out, "nobody is asked for a key")
	})
}

// build runs the Dockerfile's own command, and lays what it copies into an empty root.
func build(t *testing.T, text string) (root string) {
	t.Helper()
	command := match(t, text, `(?m)^RUN (.*go build .*)$`)
	copied := regexp.MustCompile(`(?m)^COPY --from=build (/out/\S+) (/\S+)$`).FindStringSubmatch(text)
	require.NotNil(t, copied)
	require.Contains(t, command, "-o "+copied[1]+" ")
	// The container runs as another user, who must be let through to the root.
	root, err := os.MkdirTemp("", "schedules-image")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	require.NoError(t, os.Chmod(root, 0o755))
	binary := filepath.Join(root, copied[2])
	build := exec.Command("sh", "-c", strings.Replace(command, copied[1], binary, 1))
	build.Dir = ".."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	file, err := elf.Open(binary)
	require.NoError(t, err)
	defer file.Close()
	for _, segment := range file.Progs {
		assert.NotEqual(t, elf.PT_INTERP, segment.Type, "it is not static")
	}
	return root
}

type image struct {
	root, entrypoint string
	user             int
}

// run starts the binary with nothing but the root's files and this environment: by root's own right, else
// in a user namespace.
func (i image) run(t *testing.T, environ []string, args ...string) (out string, code int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), i.entrypoint, args...)
	command.Dir, command.Env = "/", append([]string{}, environ...)
	var text bytes.Buffer
	command.Stdout, command.Stderr = &text, &text
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root}
	if os.Geteuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(i.user), Gid: uint32(i.user)}
	} else {
		command.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: i.user, HostID: os.Geteuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: i.user, HostID: os.Getegid(), Size: 1}}
	}
	err := command.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skip("neither root nor user namespaces: no empty root to run in")
	}
	if _, ended := errors.AsType[*exec.ExitError](err); !ended {
		require.NoError(t, err)
	}
	return text.String(), command.ProcessState.ExitCode()
}

func match(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, found, pattern)
	return found[1]
}
