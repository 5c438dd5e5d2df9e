// Package deploy_test checks the files of this directory against what they must fit: Kubernetes' types,
// systemd, the settings and routes of this repository, and the binary that the image is made of.
package deploy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd"
	"github.com/compozy/schedules/config"
)

// apiKey is what `schedules api-key new` prints for the settings.
const apiKey = "SCHEDULES_API_KEYS=ci:5f0c9d1e2b3a4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5:workflow.schedule:read"

func TestDocs(t *testing.T) {
	t.Run("Should name only settings and commands that exist", func(t *testing.T) {
		page := read(t, "../docs/deploying.md")
		flags := serveFlags(t)
		names := regexp.MustCompile(`SCHEDULES_[A-Z_]*[A-Z]`).FindAllString(page, -1)
		assert.NotEmpty(t, names)
		for _, name := range names {
			flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "SCHEDULES_"), "_", "-"))
			// The last two are of the commands that call the API.
			assert.True(t, flags.Lookup(flag) != nil || slices.Contains([]string{"api-url", "token"}, flag), name)
		}
		commands := regexp.MustCompile("(?m)(?:^|[`/] ?| -- )/?schedules ([a-z][a-z-]*)").FindAllStringSubmatch(page, -1)
		assert.NotEmpty(t, commands)
		for _, command := range commands {
			help, code := run(t, command[1], "--help")
			assert.Zero(t, code, command[0])
			assert.Contains(t, help, "schedules "+command[1], command[0])
		}
	})
	t.Run("Should name only files that exist", func(t *testing.T) {
		for _, path := range regexp.MustCompile(`deploy/[a-zA-Z./_-]+[a-zA-Z]`).FindAllString(read(t, "../docs/deploying.md"), -1) {
			_, err := os.Stat("../" + path)
			assert.NoError(t, err)
		}
	})
}

// run is a command line of this repository, in this process.
func run(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var text strings.Builder
	code = cmd.Main(args, cmd.Environment{Out: &text, Err: &text, Context: t.Context()})
	return text.String(), code
}

// serveFlags are the flags of `schedules serve`.
func serveFlags(t *testing.T) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	return flags
}

// settings are what `schedules` with these arguments would take from this environment. A name that does
// not exist is an error.
func settings(t *testing.T, args, environ []string) config.Settings {
	t.Helper()
	require.NotEmpty(t, args)
	require.Equal(t, "serve", args[0])
	flags := serveFlags(t)
	require.NoError(t, flags.Parse(args[1:]))
	require.Empty(t, flags.Args())
	loaded, err := config.LoadSettings(flags, environ)
	require.NoError(t, err)
	return loaded
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// lines are the lines of a file of NAME=value without its comments. What is offered in a comment counts too.
func lines(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if offered := strings.TrimPrefix(line, "# "); regexp.MustCompile(`^[A-Z][A-Z_]*=`).MatchString(offered) {
			found = append(found, offered)
		}
	}
	return found
}
