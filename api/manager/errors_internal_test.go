package manager

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestErrors holds what the errors of a Temporal that starts, stops or refuses mean.
func TestErrors(t *testing.T) {
	tests := []struct {
		name        string
		err         error
		away, whole bool
	}{
		{"say that Temporal is away when the time is over", context.DeadlineExceeded, true, false},
		{"say so when the server's time is over", serviceerror.NewDeadlineExceeded("late"), true, false},
		{"say so when the server mixed its queries up", serviceerror.NewInvalidArgument("query entered invalid state, this should be impossible"), true, false},
		{"say so when the server lost the query", serviceerror.NewInternal("query does not exist"), true, false},
		{"say so after an error without a kind", serviceerror.FromStatus(status.New(codes.Unknown, "sql: database is closed")), true, false},
		{"say that Temporal is away", serviceerror.NewUnavailable("connection refused"), true, false},
		{"say that Temporal is busy", serviceerror.NewResourceExhausted(0, "busy"), true, false},
		{"say that a reconciler has to be started", serviceerror.NewNotFound("workflow not found"), true, false},
		{"say that the reconciler is older", serviceerror.NewQueryFailed("unknown query"), true, false},
		{"say that the workflow is not ready", serviceerror.NewWorkflowNotReady("failed state"), true, false},
		{"not blame the moment for a missing permission", serviceerror.NewPermissionDenied("no", ""), false, true},
		{"say that a namespace is missing, as a server says that lost its database", serviceerror.NewNamespaceNotFound("absent"), true, false},
	}
	for _, test := range tests {
		t.Run("Should "+test.name, func(t *testing.T) {
			err := fmt.Errorf("call: %w", test.err)
			assert.Equal(t, test.away, errors.Is(explain("doing it", err), ErrUnavailable), "unavailable")
			assert.Equal(t, test.whole, refused(err), "refused")
		})
	}
}
