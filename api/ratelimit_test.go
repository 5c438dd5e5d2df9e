package api_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/config"
)

// clock is turned by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newLimitedRig(t testing.TB, perMinute int, adjust ...func(*api.Options)) (*rig, *clock) {
	t.Helper()
	c := &clock{now: noon()}
	return newRig(t, append([]func(*api.Options){func(o *api.Options) {
		o.Now, o.Settings.RateLimit = c.Now, perMinute
	}}, adjust...)...), c
}

// from sends a request from an address and returns the status.
func (r *rig) from(t testing.TB, remote, path string, headers ...string) answer {
	t.Helper()
	request := newRequest(t, http.MethodGet, path, "", headers...)
	request.RemoteAddr = remote
	return r.send(t, request)
}

func quotaOf(t testing.TB, a answer) [3]int {
	t.Helper()
	var quota [3]int
	for i, name := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
		n, err := strconv.Atoi(a.Header.Get(name))
		assert.NoError(t, err, name)
		quota[i] = n
	}
	return quota
}

func TestRateLimit(t *testing.T) {
	t.Run("Should count down, refuse, and refill evenly", func(t *testing.T) {
		r, c := newLimitedRig(t, 100)
		for i := range 100 {
			a := r.call(t, http.MethodGet, daily, "")
			assert.Equal(t, http.StatusOK, a.StatusCode)
			assert.Equal(t, [3]int{100, 99 - i, (6*(i+1) + 9) / 10}, quotaOf(t, a))
		}
		a := r.call(t, http.MethodGet, daily, "")
		slug, problem := a.problem(t)
		assert.Equal(t, "rate-limited", slug)
		assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
		assert.Equal(t, "1", a.Header.Get("Retry-After"))
		assert.Equal(t, [3]int{100, 0, 60}, quotaOf(t, a))
		assert.Contains(t, problem["detail"], "100 requests a minute")
		c.turn(600 * time.Millisecond)
		assert.Equal(t, http.StatusOK, r.call(t, http.MethodGet, daily, "").StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, r.call(t, http.MethodGet, daily, "").StatusCode)
		c.turn(time.Hour)
		assert.Equal(t, [3]int{100, 99, 1}, quotaOf(t, r.call(t, http.MethodGet, daily, "")))
	})
	t.Run("Should say how long to wait at a low rate", func(t *testing.T) {
		r, _ := newLimitedRig(t, 2)
		for range 2 {
			r.call(t, http.MethodGet, daily, "")
		}
		assert.Equal(t, "30", r.call(t, http.MethodGet, daily, "").Header.Get("Retry-After"))
	})
	t.Run("Should count clients apart, an IPv6 network as one", func(t *testing.T) {
		r, _ := newLimitedRig(t, 1)
		for i, test := range []struct {
			remote string
			want   int
		}{
			{"127.0.0.1:1", 200}, {"127.0.0.1:2", 429}, {"127.0.0.2:1", 200}, {"[::ffff:127.0.0.2]:9", 429},
			{"[2001:db8::1]:1", 200}, {"[2001:db8::2]:1", 429}, {"[2001:db8:0:1::1]:1", 200},
		} {
			assert.Equal(t, test.want, r.from(t, test.remote, daily).StatusCode, "%d %s", i, test.remote)
		}
	})
	t.Run("Should not limit probes", func(t *testing.T) {
		r, _ := newLimitedRig(t, 1)
		for range 5 {
			a := r.call(t, http.MethodGet, "/readyz", "")
			assert.Equal(t, http.StatusOK, a.StatusCode)
			assert.Empty(t, a.Header.Get("RateLimit-Limit"))
		}
	})
	t.Run("Should count unknown paths, wrong methods and invalid requests", func(t *testing.T) {
		r, _ := newLimitedRig(t, 3)
		assert.Equal(t, http.StatusNotFound, r.call(t, http.MethodGet, "/nothing", "").StatusCode)
		assert.Equal(t, http.StatusMethodNotAllowed, r.call(t, http.MethodPatch, daily, "").StatusCode)
		assert.Equal(t, http.StatusBadRequest, r.call(t, http.MethodGet, daily+"?x", "").StatusCode)
		assert.Equal(t, http.StatusTooManyRequests, r.call(t, http.MethodGet, daily, "").StatusCode)
	})
	t.Run("Should send no headers without a limit", func(t *testing.T) {
		assert.Empty(t, newRig(t).call(t, http.MethodGet, daily, "").Header.Get("RateLimit-Limit"))
	})
}

func TestRateLimitOfPrincipals(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	keys := func(o *api.Options) { o.Settings.APIKeys = []config.APIKey{a.Setting, b.Setting} }
	t.Run("Should count a principal wherever it is", func(t *testing.T) {
		r, _ := newLimitedRig(t, 2, keys)
		assert.Equal(t, 200, r.from(t, "127.0.0.1:1", daily, "Authorization", "Bearer "+a.Token).StatusCode)
		assert.Equal(t, 200, r.from(t, "127.0.0.2:1", daily, "Authorization", "Bearer "+a.Token).StatusCode)
		assert.Equal(t, 429, r.from(t, "127.0.0.3:1", daily, "Authorization", "Bearer "+a.Token).StatusCode)
		assert.Equal(t, 200, r.from(t, "127.0.0.1:1", daily, "Authorization", "Bearer "+b.Token).StatusCode)
	})
	t.Run("Should count refused keys for the address, without harm to good keys from there", func(t *testing.T) {
		r, _ := newLimitedRig(t, 2, keys)
		for _, want := range []int{401, 401, 429, 429} {
			assert.Equal(t, want, r.from(t, "127.0.0.1:1", daily, "Authorization", "Bearer guess").StatusCode)
		}
		assert.Equal(t, 429, r.from(t, "127.0.0.1:1", daily).StatusCode)
		assert.Equal(t, 200, r.from(t, "127.0.0.1:1", daily, "Authorization", "Bearer "+a.Token).StatusCode)
		assert.Equal(t, 401, r.from(t, "127.0.0.2:1", daily).StatusCode)
	})
}

func TestForwardedClients(t *testing.T) {
	for _, test := range []struct {
		name, remote string
		forwarded    []string
		want         string // the other address that shares the bucket
	}{
		{"a proxy that is not trusted", "198.51.100.1:1", []string{"203.0.113.9"}, "198.51.100.1"},
		{"a trusted proxy", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"an address that the client made up", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"two trusted proxies", "10.0.0.1:1", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"two headers", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		{"a proxy without the header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"text that is no address", "10.0.0.1:1", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		{"an IPv6 client", "10.0.0.1:1", []string{"2001:db8::7"}, "2001:db8::8"},
		{"a chain of proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
	} {
		t.Run("Should find the client behind "+test.name, func(t *testing.T) {
			r, _ := newLimitedRig(t, 1, func(o *api.Options) { o.Settings.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1"} })
			request := newRequest(t, http.MethodGet, daily, "")
			request.RemoteAddr, request.Header["X-Forwarded-For"] = test.remote, test.forwarded
			assert.Equal(t, http.StatusOK, r.send(t, request).StatusCode)
			again := newRequest(t, http.MethodGet, daily, "", "X-Forwarded-For", test.want)
			again.RemoteAddr = "192.0.2.1:1"
			assert.Equal(t, http.StatusTooManyRequests, r.send(t, again).StatusCode)
		})
	}
}

func TestRateLimitMemory(t *testing.T) {
	r, _ := newLimitedRig(t, 100, func(o *api.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	request := newRequest(t, http.MethodGet, "/nothing", "")
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			request.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
			r.Handler().ServeHTTP(discard{http.Header{}}, request)
		}
	}
	flood(0, 10_500)
	before := heap()
	flood(10_500, 21_000)
	after := heap()
	assert.Less(t, float64(after), float64(before)*1.2+1e6, "clients beyond 10,000 are forgotten")
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
