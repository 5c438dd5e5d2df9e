package manager

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
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
		if err == nil || !isLost(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// isLost reports whether a question was lost, and not answered: its time was over, or the server mixed its queries up
// or stopped in the middle, which it says by Internal, InvalidArgument ("query entered invalid state") or an error
// without a kind. A failed query is an answer.
func isLost(err error) bool {
	var failed *serviceerror.QueryFailed
	var answer serviceerror.ServiceError
	if errors.As(err, &failed) || refused(err) {
		return false
	}
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.Status().Code() {
	case codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.InvalidArgument, codes.Aborted:
		return true
	default:
		return false
	}
}
