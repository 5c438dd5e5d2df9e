package cmd_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStatusWatch(t *testing.T) {
	t.Run("Should show what changes, each once, until it is stopped", func(t *testing.T) {
		namespace, _ := server.Namespace(t)
		env, dir := temporalEnv(server.Address(), namespace), project(t, "watched", 2)
		watch := start(t, env, "status", "--project", dir, "--watch")
		eventually(t, watch.Log, func() bool { return strings.Contains(watch.Log(), "project watched has no reconciler") })
		serve := start(t, env, "serve", "--project", dir, "--api=false")
		eventually(t, watch.Log, func() bool { return strings.Contains(watch.Log(), "in sync") })
		assert.Contains(t, watch.Log(), "2 in the YAML, ")
		assert.NotContains(t, watch.Log(), "\x1b", "no colours off a terminal")
		assert.Equal(t, 1, strings.Count(watch.Log(), "has no reconciler"))
		assert.Equal(t, 0, watch.Interrupt())
		assert.Equal(t, 0, serve.Terminate())
	})
}
