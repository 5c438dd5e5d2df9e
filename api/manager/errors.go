package manager

import (
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"github.com/compozy/schedules/workflows"
)

// refused reports whether Temporal will not do what it was asked, however often. Everything else may succeed later:
// a server that starts, stops, loses a shard or its database answers with errors of most kinds, with InvalidArgument
// ("query entered invalid state"), NamespaceNotFound and errors without a kind among them.
func refused(err error) bool {
	var (
		denied        *serviceerror.PermissionDenied
		unimplemented *serviceerror.Unimplemented
	)
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
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
	case refused(err):
		return fmt.Errorf("%s: %w", doing, err)
	default:
		return fmt.Errorf("%w: %s: Temporal or the reconciler does not answer: %w", ErrUnavailable, doing, err)
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
