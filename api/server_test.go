package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
)

// serve runs the server on loopback until stop is called, which returns what Serve does.
func (r *rig) serve(t testing.TB) (url string, stop func() error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, listener) }()
	var once sync.Once
	var result error
	stop = func() error {
		once.Do(func() { cancel(); result = <-done })
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return "http://" + listener.Addr().String(), stop
}

func fetch(client *http.Client, method, url, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body == "" {
		request.Body, request.ContentLength = nil, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	read, err := io.ReadAll(response.Body)
	return response.StatusCode, read, errors.Join(err, response.Body.Close())
}

func newClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func TestServe(t *testing.T) {
	t.Run("Should answer over the network", func(t *testing.T) {
		url, stop := newRig(t).serve(t)
		status, body, err := fetch(newClient(t), http.MethodGet, url+daily, "")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, string(body), "daily-report")
		assert.NoError(t, stop())
	})
	t.Run("Should finish what is under way when it is asked to stop", func(t *testing.T) {
		r := newRig(t)
		entered, release := make(chan struct{}), make(chan struct{})
		r.manager.hook = func(ctx context.Context) {
			close(entered)
			<-release
			assert.NoError(t, ctx.Err(), "a stop does not cancel a request")
		}
		url, stop := r.serve(t)
		client, answered := newClient(t), make(chan int, 1)
		go func() {
			status, _, err := fetch(client, http.MethodPut, url+daily, `{"enabled":false}`)
			assert.NoError(t, err)
			answered <- status
		}()
		<-entered
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		require.Eventually(t, func() bool {
			_, _, err := fetch(newClient(t), http.MethodGet, url+"/healthz", "")
			return err != nil
		}, 5*time.Second, 5*time.Millisecond, "no new connections")
		select {
		case <-stopped:
			t.Fatal("stopped before the answer")
		default:
		}
		close(release)
		assert.Equal(t, http.StatusOK, <-answered)
		assert.NoError(t, <-stopped)
	})
	t.Run("Should not serve without authentication on another listener than loopback", func(t *testing.T) {
		err := newRig(t).Serve(t.Context(), foreignListener{})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "not loopback")
	})
	t.Run("Should say that the listener is gone", func(t *testing.T) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		assert.Error(t, newRig(t).Serve(t.Context(), listener))
	})
	t.Run("Should refuse headers that are too large", func(t *testing.T) {
		url, _ := newRig(t).serve(t)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+daily, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("X-Large", strings.Repeat("x", 64<<10))
		response, err := newClient(t).Do(request)
		require.NoError(t, err)
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
		assert.NoError(t, response.Body.Close())
	})
}

// foreignListener claims to be on another address.
type foreignListener struct{ net.Listener }

func (foreignListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 80} }
func (foreignListener) Close() error   { return nil }

func TestConcurrentUse(t *testing.T) {
	key := newKey(t, "ci", config.Scopes()...)
	r := newRig(t, func(o *api.Options) {
		o.Settings.APIKeys, o.Settings.RateLimit = []config.APIKey{key.Setting}, 1_000_000
	})
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for i := range 40 {
				operation := everyOperation()[(c+i)%len(everyOperation())]
				a := r.call(t, operation[0], operation[1], operation[2], "Authorization", "Bearer "+key.Token)
				assert.Less(t, a.StatusCode, 300)
			}
		})
	}
	clients.Wait()
	var info manager.ScheduleInfo
	r.call(t, http.MethodGet, daily, "", "Authorization", "Bearer "+key.Token).decode(t, &info)
	assert.Equal(t, "daily-report", info.WorkflowID)
}

func TestLog(t *testing.T) {
	r := newRig(t)
	r.call(t, http.MethodGet, daily, "", "X-Request-Id", "one")
	r.call(t, http.MethodGet, "/healthz", "", "X-Request-Id", "two")
	lines := map[string]map[string]any{}
	for scanner := bufio.NewScanner(strings.NewReader(r.log.String())); scanner.Scan(); {
		var line map[string]any
		require.NoError(t, json.Unmarshal(scanner.Bytes(), &line))
		id, _ := line["request_id"].(string)
		lines[id] = line
	}
	require.Contains(t, lines, "one")
	assert.Equal(t, "INFO", lines["one"]["level"])
	assert.Equal(t, "anonymous", lines["one"]["actor"])
	assert.Equal(t, daily, lines["one"]["path"])
	assert.Equal(t, "127.0.0.1", lines["one"]["client"])
	assert.InDelta(t, 200, lines["one"]["status"], 0)
	require.Contains(t, lines, "two")
	assert.Equal(t, slog.LevelDebug.String(), lines["two"]["level"], fmt.Sprint(lines["two"]))
}
