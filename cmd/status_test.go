package cmd_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/workflows"
)

func TestStatusWatch(t *testing.T) {
	t.Run("Should show what changes, each once, until it is stopped", func(t *testing.T) {
		namespace, c := server.Namespace(t)
		env, dir := temporalEnv(server.Address(), namespace), project(t, "watched", 2)
		watch := start(t, env, "status", "--project", dir, "--watch")
		eventually(t, watch.Log, func() bool { return strings.Contains(watch.Log(), "project watched has no reconciler") })
		serve := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, watch.Log, func() bool { return strings.Contains(watch.Log(), "in sync") })
		assert.Contains(t, watch.Log(), "2 in the YAML, ")
		assert.NotContains(t, watch.Log(), "\x1b", "no colours off a terminal")
		assert.Equal(t, 1, strings.Count(watch.Log(), "has no reconciler"))
		serve.Kill()
		require.NoError(t, c.TerminateWorkflow(t.Context(), workflows.ReconcilerID("watched"), "", "by hand"))
		eventually(t, watch.Log, func() bool { return strings.Count(watch.Log(), "has no reconciler") == 2 })
		assert.Equal(t, 0, watch.Interrupt())
	})
}
