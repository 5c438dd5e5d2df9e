package api

import (
	"container/list"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients bounds the limiter's memory. Beyond it the client that was silent longest is forgotten.
const maxClients = 10_000

// limiter gives each client a bucket of tokens: one minute's requests, refilled evenly.
type limiter struct {
	// perMinute is the size of a bucket, and how much of it is refilled in a minute. 0: no limit.
	perMinute int
	now       func() time.Time

	mu      sync.Mutex
	clients map[string]*list.Element
	order   list.List // of *bucket and nothing else, the latest first
}

type bucket struct {
	client string
	tokens *rate.Limiter
	seen   time.Time
}

// quota is what a client has left.
type quota struct {
	allowed          bool
	limit, remaining int
	reset            time.Duration // until the bucket is full
	retry            time.Duration // until the next request is allowed
}

func newLimiter(perMinute int, now func() time.Time) *limiter {
	return &limiter{perMinute: perMinute, now: now, clients: map[string]*list.Element{}}
}

// take counts one request of the client.
func (l *limiter) take(client string) quota {
	if l.perMinute == 0 {
		return quota{allowed: true}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	tokens := l.bucket(client, now).tokens
	allowed := tokens.AllowN(now, 1)
	left := tokens.TokensAt(now)
	return quota{
		allowed: allowed, limit: l.perMinute, remaining: max(0, int(left)),
		reset: l.refill(float64(l.perMinute) - left), retry: l.refill(1 - left),
	}
}

// refill is how long so many tokens take.
func (l *limiter) refill(tokens float64) time.Duration {
	return max(0, time.Duration(tokens*float64(time.Minute)/float64(l.perMinute)))
}

func (l *limiter) bucket(client string, now time.Time) *bucket {
	if element, ok := l.clients[client]; ok {
		b, _ := element.Value.(*bucket)
		b.seen = now
		l.order.MoveToFront(element)
		return b
	}
	b := &bucket{client: client, seen: now, tokens: rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)}
	l.clients[client] = l.order.PushFront(b)
	l.evict(now)
	return b
}

// evict forgets clients that were silent for a minute, whose buckets are full again, and those beyond
// maxClients.
func (l *limiter) evict(now time.Time) {
	for element := l.order.Back(); element != nil; element = l.order.Back() {
		b, _ := element.Value.(*bucket)
		if len(l.clients) <= maxClients && now.Sub(b.seen) < time.Minute {
			return
		}
		l.order.Remove(element)
		delete(l.clients, b.client)
	}
}

// show writes the headers of draft-ietf-httpapi-ratelimit-headers-06.
func (q quota) show(header http.Header) {
	if q.limit == 0 {
		return
	}
	header.Set("RateLimit-Limit", strconv.Itoa(q.limit))
	header.Set("RateLimit-Remaining", strconv.Itoa(q.remaining))
	header.Set("RateLimit-Reset", strconv.Itoa(int((q.reset+time.Second-1)/time.Second)))
}

// refused is the answer to a client that has nothing left.
func (q quota) refused() *problem {
	return newProblem(kindRateLimited(), "more than %d requests a minute; wait %s s", q.limit, seconds(q.retry)).
		with("Retry-After", seconds(q.retry))
}
