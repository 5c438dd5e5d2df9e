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
		name               string
		err                error
		again, away, whole bool
	}{
		{"ask again when the time of one try is over", context.DeadlineExceeded, true, true, false},
		{"ask again when the server's time is over", serviceerror.NewDeadlineExceeded("late"), true, true, false},
		{"ask again when the server mixed its queries up", serviceerror.NewInvalidArgument("query entered invalid state, this should be impossible"), true, true, false},
		{"ask again when the server lost the query", serviceerror.NewInternal("query does not exist"), true, true, false},
		{"ask again after an error without a kind", serviceerror.FromStatus(status.New(codes.Unknown, "sql: database is closed")), true, true, false},
		{"say at once that Temporal is away", serviceerror.NewUnavailable("connection refused"), false, true, false},
		{"say at once that Temporal is busy", serviceerror.NewResourceExhausted(0, "busy"), false, true, false},
		{"say that a reconciler has to be started", serviceerror.NewNotFound("workflow not found"), false, true, false},
		{"say that the reconciler is older", serviceerror.NewQueryFailed("unknown query"), false, true, false},
		{"say that the workflow is not ready", serviceerror.NewWorkflowNotReady("failed state"), false, true, false},
		{"not blame the moment for a missing permission", serviceerror.NewPermissionDenied("no", ""), false, false, true},
		{"say that a namespace is missing, as a server says that lost its database", serviceerror.NewNamespaceNotFound("absent"), false, true, false},
	}
	for _, test := range tests {
		t.Run("Should "+test.name, func(t *testing.T) {
			err := fmt.Errorf("call: %w", test.err)
			assert.Equal(t, test.again, isLost(err), "asked again")
			assert.Equal(t, test.away, errors.Is(explain("doing it", err), ErrUnavailable), "unavailable")
			assert.Equal(t, test.whole, refused(err), "refused")
		})
	}
}
