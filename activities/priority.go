package activities

import (
	"context"
	"sync"
	"time"
)

// giveWayFor is how long one operation of a pass waits for changes that somebody waits for. It bounds how much
// a steady stream of them slows a pass down: ten callers still do forty operations a second.
const giveWayFor = 250 * time.Millisecond

// priority lets what somebody waits for pass what nobody does: a server that a pass keeps busy answers late.
type priority struct {
	mu     sync.Mutex
	urgent int
	// over is closed when nothing is urgent any more; nil where nothing is.
	over chan struct{}
}

// begin says that somebody waits, until end is called.
func (p *priority) begin() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.urgent == 0 {
		p.over = make(chan struct{})
	}
	p.urgent++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.urgent--; p.urgent == 0 {
			close(p.over)
			p.over = nil
		}
	})
}

// giveWay waits until nobody does.
func (p *priority) giveWay(ctx context.Context) {
	p.mu.Lock()
	over := p.over
	p.mu.Unlock()
	if over == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, giveWayFor)
	defer cancel()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// Urgent says that somebody waits for a change until end is called. Passes of this process give way to it, each
// operation for at most a quarter of a second.
func (s *Server) Urgent() (end func()) { return s.priority.begin() }
