package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	querypb "go.temporal.io/api/query/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/activities"
)

// betweenRuns rejects some queries as a server does for the moment between two runs, which no test hits for sure, and
// answers the next.
type betweenRuns struct {
	client.Client
	rejections int
}

func (b *betweenRuns) QueryWorkflowWithOptions(
	_ context.Context, request *client.QueryWorkflowWithOptionsRequest,
) (*client.QueryWorkflowWithOptionsResponse, error) {
	if b.rejections > 0 {
		b.rejections--
		return &client.QueryWorkflowWithOptionsResponse{
			QueryRejected: &querypb.QueryRejected{Status: enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW},
		}, nil
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(request.QueryType)
	return &client.QueryWorkflowWithOptionsResponse{QueryResult: client.NewValue(payloads)}, err
}

func TestQuery(t *testing.T) {
	t.Parallel()
	t.Run("Should ask again where the run has just continued as new", func(t *testing.T) {
		for rejections := range 4 {
			value, err := activities.Query(t.Context(), &betweenRuns{rejections: rejections}, "asked", "status")
			require.NoError(t, err)
			var answer string
			require.NoError(t, value.Get(&answer))
			assert.Equal(t, "status", answer)
		}
	})
	t.Run("Should find no workflow that was ended", func(t *testing.T) {
		_, c := server.Namespace(t)
		_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "ended", TaskQueue: "nobody"}, "ended")
		require.NoError(t, err)
		require.NoError(t, c.TerminateWorkflow(t.Context(), "ended", "", "test"))
		for _, id := range []string{"ended", "never"} {
			_, err = activities.Query(t.Context(), c, id, "status")
			var notFound *serviceerror.NotFound
			require.ErrorAs(t, err, &notFound, id)
		}
	})
}
