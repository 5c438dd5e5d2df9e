package cmd_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/cmd/schedulestest"
)

func TestProfiles(t *testing.T) {
	t.Parallel()
	t.Run("Should serve profiles before Temporal answers, and end with the process", func(t *testing.T) {
		port := schedulestest.FreePort(t)
		env := temporalEnv(fmt.Sprintf("127.0.0.1:%d", schedulestest.FreePort(t)), "default")
		process := start(t, env, "serve", "--project", project(t, "profiled", 1), "--api=false", "--pprof-listen", fmt.Sprintf("127.0.0.1:%d", port))
		get := func(path string) (status int, body string) {
			response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			if err != nil {
				return 0, ""
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			return response.StatusCode, string(text)
		}
		eventually(t, process.Log, func() bool { status, _ := get("/debug/pprof/"); return status == http.StatusOK })
		status, profile := get("/debug/pprof/heap")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "\x1f\x8b", profile[:2], "a profile is gzipped")
		status, profile = get("/debug/pprof/profile?seconds=1")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "\x1f\x8b", profile[:2])
		status, _ = get("/metrics")
		assert.Equal(t, http.StatusNotFound, status, "nothing else is there")
		assert.Equal(t, 0, process.Terminate())
	})
	t.Run("Should say which port is in use", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		code, _, stderr := call(t, temporalEnv("127.0.0.1:1", "default"), "serve", "--project", project(t, "busy", 1), "--api=false",
			"--pprof-listen", listener.Addr().String())
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "--pprof-listen")
	})
}
