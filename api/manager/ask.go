package manager

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
)

const (
	// firstTry is how long a question may take before it is asked again, and each further try twice as
	// long as the one before: Temporal's server loses one in some hundred queries that meet a workflow
	// task (docs/temporal.md, "Lost queries").
	firstTry = 40 * time.Millisecond
	// tries and askTimeout bound all tries together.
	tries      = 7
	askTimeout = 5 * time.Second
)

// ask calls f until it answers: f changes nothing, so asking again is safe. The last error is returned
// when the time is over.
func ask(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var err error
	for n := range tries {
		tryCtx, cancelTry := context.WithTimeout(ctx, firstTry<<n)
		err = f(tryCtx)
		cancelTry()
		if err == nil || !isDeadline(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// isDeadline reports whether a call ended because its time was over.
func isDeadline(err error) bool {
	var deadline *serviceerror.DeadlineExceeded
	var canceled *serviceerror.Canceled
	return errors.As(err, &deadline) || errors.As(err, &canceled) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
