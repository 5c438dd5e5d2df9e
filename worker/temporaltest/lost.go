package temporaltest

import (
	"context"
	"errors"
	"path"
	"time"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

const (
	// firstTry is how long a query may take before it is asked again, each further try twice as long.
	firstTry = 500 * time.Millisecond
	// lostFor is how long the server may count a lost query after its time, to those that a workflow buffers.
	lostFor = 100 * time.Millisecond
)

// found asks again where the development server lost a query, which a describe of a schedule is, too (docs/temporal.md, "Lost
// queries"). It comes after the interceptors of a test, which so see one call.
func found(
	ctx context.Context, method string, request, reply any,
	connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if name := path.Base(method); name != "DescribeSchedule" && name != "QueryWorkflow" {
		return invoke(ctx, method, request, reply, connection, options...)
	}
	for timeout := firstTry; ; timeout *= 2 {
		try, cancel := context.WithTimeout(ctx, timeout)
		err := invoke(try, method, request, reply, connection, options...)
		cancel()
		if ctx.Err() != nil || !isLost(err) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(lostFor):
		}
	}
}

// isLost: who sees the end of the time first, the client or the server, is a matter of milliseconds; a run that has just
// begun is not ready.
func isLost(err error) bool {
	status := serviceerror.ToStatus(err)
	_, notReady := errors.AsType[*serviceerror.WorkflowNotReady](serviceerror.FromStatus(status))
	return notReady || status.Code() == codes.DeadlineExceeded || status.Code() == codes.ResourceExhausted
}
