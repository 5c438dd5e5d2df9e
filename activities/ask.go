package activities

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc/codes"
)

const (
	// firstTry is how long a question may take before it is asked again beside the first, and each further one
	// three times as long as the one before: Temporal's server loses one in some hundred queries that meet a
	// workflow task (docs/temporal.md, "Lost queries").
	firstTry = 40 * time.Millisecond
	// tries and askTimeout bound all questions together.
	tries      = 5
	askTimeout = 5 * time.Second
)

// Ask asks until there is an answer, and returns the first: f changes nothing, so asking again is safe. The last
// error is returned when the time is over. A question that is late is left to itself, not cancelled: on a server that is
// slow it is the one that will be answered first.
func Ask[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, tries)
	question := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		value, err := f(ctx)
		answers <- answer{value, err}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	last := answer{err: context.DeadlineExceeded}
	for wait, asked, open := firstTry, 0, 0; ; {
		if asked < tries {
			asked, open = asked+1, open+1
			go question()
		}
		select {
		case last = <-answers:
			if open--; last.err == nil || !isLost(last.err) || asked == tries && open == 0 {
				return last.value, last.err
			}
		case <-time.After(wait): //nolint:forbidigo // it asks beside the first question, where a retry would come after it
			wait *= 3
		case <-ctx.Done():
			return last.value, last.err
		}
	}
}

// Query asks a workflow that is open, as Ask does. One that was ended would still answer: that is a serviceerror.NotFound.
// Between two runs of one that continues as new the server may find the former run, closed: then it is asked again.
func Query(ctx context.Context, c client.Client, workflowID, name string, args ...any) (converter.EncodedValue, error) {
	return Ask(ctx, func(ctx context.Context) (converter.EncodedValue, error) {
		response, err := c.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
			WorkflowID: workflowID, QueryType: name, Args: args,
			QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
		})
		switch {
		case err != nil:
			return nil, err
		case response.QueryRejected == nil:
			return response.QueryResult, nil
		case response.QueryRejected.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			return nil, serviceerror.NewAbortedf("workflow %s continues as new", workflowID)
		default:
			return nil, serviceerror.NewNotFoundf("workflow %s was ended", workflowID)
		}
	})
}

// isLost reports whether a question was lost, and not answered: its time was over, or the server mixed its queries up
// or stopped in the middle, which it says by Internal, InvalidArgument ("query entered invalid state") or an error
// without a kind, or its run continued as new. A failed query is an answer, and so is a refusal.
func isLost(err error) bool {
	var answer serviceerror.ServiceError
	if _, failed := errors.AsType[*serviceerror.QueryFailed](err); failed {
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
