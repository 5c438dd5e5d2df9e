package manager

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"github.com/compozy/schedules/workflows"
)

// unavailable reports whether a call may succeed when it is made again: Temporal is away, busy or slow.
func unavailable(err error) bool {
	var (
		away      *serviceerror.Unavailable
		deadline  *serviceerror.DeadlineExceeded
		exhausted *serviceerror.ResourceExhausted
		canceled  *serviceerror.Canceled
		internal  *serviceerror.Internal
		notReady  *serviceerror.WorkflowNotReady
	)
	return errors.As(err, &away) || errors.As(err, &deadline) || errors.As(err, &exhausted) || errors.As(err, &canceled) ||
		errors.As(err, &internal) || errors.As(err, &notReady) || errors.Is(err, context.DeadlineExceeded)
}

// explain says what an error of Temporal's means for the caller.
func explain(doing string, err error) error {
	var notFound *serviceerror.NotFound
	var failed *serviceerror.QueryFailed
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound):
		return fmt.Errorf("%w: %s: the project has no running reconciler: start `schedules serve`", ErrUnavailable, doing)
	case errors.As(err, &failed):
		return fmt.Errorf("%w: %s: the reconciler is of an older version", ErrUnavailable, doing)
	case unavailable(err):
		return fmt.Errorf("%w: %s: Temporal or the reconciler does not answer: %w", ErrUnavailable, doing, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// failure is a failed outcome as an error.
func failure(o workflows.Outcome) error {
	kind := map[workflows.FailureReason]error{
		workflows.FailureInvalid:   ErrInvalid,
		workflows.FailureNotFound:  ErrNotFound,
		workflows.FailureConflict:  ErrConflict,
		workflows.FailureRefused:   ErrConflict,
		workflows.FailureOutOfSync: ErrConflict,
	}[o.Reason]
	if kind == nil {
		kind = ErrConflict
	}
	return fmt.Errorf("%w: %s", kind, o.Message)
}
