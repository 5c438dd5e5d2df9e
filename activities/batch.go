package activities

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// BatchInput is one batch of operations for Upsert or Delete.
type BatchInput struct {
	Project    string      `json:"project"`
	Revision   string      `json:"revision"`
	Operations []Operation `json:"operations"`
	// Callers is how many calls the batch may have under way at once.
	Callers int `json:"callers"`
}

// BatchResult counts what a batch did. Unchanged are operations that found their work done.
type BatchResult struct {
	Created   int       `json:"created,omitempty"`
	Updated   int       `json:"updated,omitempty"`
	Deleted   int       `json:"deleted,omitempty"`
	Unchanged int       `json:"unchanged,omitempty"`
	Problems  []Problem `json:"problems,omitempty"`
}

// outcome is what one operation did.
type outcome int

const (
	unchanged outcome = iota
	created
	updated
	deleted
)

func (r *BatchResult) count(o outcome) {
	switch o {
	case created:
		r.Created++
	case updated:
		r.Updated++
	case deleted:
		r.Deleted++
	default:
		r.Unchanged++
	}
}

// progress is the heartbeat of a batch: a retry starts with the operations that are not done.
type progress struct {
	Done   []bool      `json:"done"`
	Result BatchResult `json:"result"`
}

// Upsert creates and updates schedules. What it finds done is a success; a schedule that is not ours
// or that Temporal refuses is a problem in the result and stops nothing else.
func (a *Activities) Upsert(ctx context.Context, in BatchInput) (BatchResult, error) {
	return a.batch(ctx, in, a.upsert)
}

// Delete deletes owned schedules. One that is gone already is a success.
func (a *Activities) Delete(ctx context.Context, in BatchInput) (BatchResult, error) {
	return a.batch(ctx, in, a.remove)
}

// batch applies f to the operations with in.Callers calls at once. A problem is for people and goes
// into the result; an error that a retry may mend fails the activity after the others are finished,
// and the retry resumes from the heartbeat.
func (a *Activities) batch(
	ctx context.Context, in BatchInput, f func(context.Context, Operation) (outcome, *Problem, error),
) (BatchResult, error) {
	if err := a.check(in.Project, in.Revision); err != nil {
		return BatchResult{}, err
	}
	b := newBatch(ctx, in.Operations)
	defer keepAlive(ctx, b.beat)()
	var callers sync.WaitGroup
	for range max(1, in.Callers) {
		callers.Go(func() {
			for i, ok := b.take(); ok && !stopping(ctx); i, ok = b.take() {
				a.server.priority.giveWay(ctx)
				done, problem, err := f(ctx, in.Operations[i])
				b.finish(i, done, problem, err)
			}
		})
	}
	callers.Wait()
	if slices.Contains(b.Done, false) {
		b.beat(ctx) // what is left goes to another try, which starts from here
	}
	if err := ctx.Err(); err != nil {
		return b.Result, err
	}
	if b.failure == nil && slices.Contains(b.Done, false) {
		return b.Result, errStopping
	}
	return b.Result, b.failure
}

// beatEvery is the pause between heartbeats. One call may take longer than the heartbeat timeout, as in
// a failover of Temporal's history service.
const beatEvery = 2 * time.Second

// keepAlive calls beat until the returned stop is called, so that a slow call is not taken for a dead
// worker.
func keepAlive(ctx context.Context, beat func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(beatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				beat(ctx)
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}

// beat sends the progress as a heartbeat.
func (b *batch) beat(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	activity.RecordHeartbeat(ctx, b.progress)
}

// errStopping hands what is left of a batch to another worker.
var errStopping = errors.New("this worker is stopping: another one goes on")

func stopping(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
}

type batch struct {
	progress
	mu      sync.Mutex
	next    int
	failure error
}

func newBatch(ctx context.Context, operations []Operation) *batch {
	b := &batch{}
	if activity.HasHeartbeatDetails(ctx) {
		// Details of another form only mean that the batch starts over, which is safe.
		if err := activity.GetHeartbeatDetails(ctx, &b.progress); err != nil {
			b.progress = progress{}
		}
	}
	if len(b.Done) != len(operations) {
		b.progress = progress{Done: make([]bool, len(operations))}
	}
	return b
}

// take hands out the next operation that is not done.
func (b *batch) take() (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.next < len(b.Done) && b.Done[b.next] {
		b.next++
	}
	i := b.next
	b.next++
	return i, i < len(b.Done)
}

func (b *batch) finish(i int, done outcome, problem *Problem, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		b.failure = err
		return
	case problem != nil:
		b.Result.Problems = append(b.Result.Problems, *problem)
	default:
		b.Result.count(done)
	}
	b.Done[i] = true
}
