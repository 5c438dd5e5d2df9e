package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
)

// isPermanent reports whether the same call would fail again: Temporal refused what it was asked, not
// that it was asked now.
func isPermanent(err error) bool {
	var (
		invalid       *serviceerror.InvalidArgument
		denied        *serviceerror.PermissionDenied
		unimplemented *serviceerror.Unimplemented
		noNamespace   *serviceerror.NamespaceNotFound
		precondition  *serviceerror.FailedPrecondition
	)
	return errors.As(err, &invalid) || errors.As(err, &denied) || errors.As(err, &unimplemented) ||
		errors.As(err, &noNamespace) || errors.As(err, &precondition)
}

// typed makes an activity's error non-retryable where a retry cannot help; Temporal retries others.
func typed(err error) error {
	if isPermanent(err) {
		return nonRetryable("Refused", err)
	}
	return err
}

func nonRetryable(kind string, err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), kind, err)
}

// isTimeout reports whether the time of a call was over.
func isTimeout(err error) bool {
	var deadline *serviceerror.DeadlineExceeded
	return errors.As(err, &deadline) || errors.Is(err, context.DeadlineExceeded)
}

// isBusy reports whether the server has too much to do now.
func isBusy(err error) bool {
	var exhausted *serviceerror.ResourceExhausted
	return errors.As(err, &exhausted)
}

// isUnavailable reports whether the server, or a part of it, is not there now.
func isUnavailable(err error) bool {
	var unavailable *serviceerror.Unavailable
	return errors.As(err, &unavailable)
}

func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

func ignoreNotFound(err error) error {
	if isNotFound(err) {
		return nil
	}
	return err
}

// hasType reports whether an activity failed with an application error of that type.
func hasType(err error, kind string) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.Type() == kind
}
