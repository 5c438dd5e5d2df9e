package temporaltest

import (
	"context"
	"strings"
	"sync"

	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

// Gate holds a client's lists of schedules while it is closed. Its zero value is open.
type Gate struct {
	mu      sync.Mutex
	closed  chan struct{}
	waiting chan struct{}
}

// Dial puts the gate into a client's way.
func (g *Gate) Dial(o *client.Options) {
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(g.pass))
}

// Close closes the gate, and returns what is closed when the first list waits.
func (g *Gate) Close() (waiting <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.waiting = make(chan struct{}), make(chan struct{})
	return g.waiting
}

// Open lets the lists go on that wait, and all others.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed = nil
}

func (g *Gate) pass(
	ctx context.Context, method string, request, reply any,
	connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if strings.HasSuffix(method, "/ListSchedules") {
		g.wait(ctx)
	}
	return invoke(ctx, method, request, reply, connection, options...)
}

func (g *Gate) wait(ctx context.Context) {
	g.mu.Lock()
	closed := g.closed
	if closed != nil && g.waiting != nil {
		close(g.waiting)
		g.waiting = nil
	}
	g.mu.Unlock()
	if closed == nil {
		return
	}
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
