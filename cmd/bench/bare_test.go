package bench_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/compozy/schedules/config"
)

// What programs do that have nothing of ours: loops over the SDK's ScheduleClient.

// callers is the load that was agreed on, for them and for us.
const callers = 10

// refusals counts lists that were refused because a limit of Temporal was reached. The SDK calls again by itself, so that only
// time would show it.
type refusals struct{ n atomic.Int64 }

func (r *refusals) count(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, reply, connection, options...)
	if status.Code(err) == codes.ResourceExhausted && strings.HasSuffix(method, "/ListSchedules") {
		r.n.Add(1)
	}
	return err
}

// inParallel calls f for each of n numbers, callers at a time.
func inParallel(t *testing.T, n int, f func(i int) error) time.Duration {
	t.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range callers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if !assert.NoError(t, f(i)) {
					return
				}
			}
		})
	}
	group.Wait()
	require.False(t, t.Failed(), "a call failed")
	return time.Since(start)
}

// equivalent is what our schedules are, too: of the same form and size.
func equivalent(id string) client.ScheduleOptions {
	memo := map[string]any{"managed_by": "compozy-schedules", "project": projectName, "workflow_id": id}
	return client.ScheduleOptions{
		ID: "bare-" + id, Memo: memo, Note: "Managed by compozy-schedules (project bench), enabled in git. spec:334cd3fb8012",
		Spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{{
				Minute: []client.ScheduleRange{{Start: 0}}, Hour: []client.ScheduleRange{{Start: 5}}, Comment: "0 5 * * *",
			}},
			TimeZoneName: "UTC",
		},
		Action: &client.ScheduleWorkflowAction{
			ID: projectName + "-" + id, Workflow: id, TaskQueue: "default", Memo: map[string]any{"managed_by": "compozy-schedules",
				"project": projectName, "workflow_id": id, "revision": "334cd3fb8012"},
		},
	}
}

// bareCreate creates n schedules.
func bareCreate(t *testing.T, c client.Client, prefix string, n int) time.Duration {
	t.Helper()
	return inParallel(t, n, func(i int) error {
		_, err := c.ScheduleClient().Create(t.Context(), equivalent(fmt.Sprintf("%s-%05d", prefix, i)))
		return err
	})
}

// bareList lists the project's schedules once, and says what it took and how many there are.
func (f *fixture) bareList(t *testing.T) (took time.Duration, n int) {
	t.Helper()
	start := time.Now()
	iterator, err := f.client.ScheduleClient().List(t.Context(), client.ScheduleListOptions{
		PageSize: 1000, Query: "ScheduleId STARTS_WITH '" + config.DefaultScheduleID(projectName, "") + "'",
	})
	require.NoError(t, err)
	for ; iterator.HasNext(); n++ {
		_, err := iterator.Next()
		require.NoError(t, err)
	}
	return time.Since(start), n
}

// barePeer is a pass of a reconciler that describes each schedule that it wants and updates those that differ. None
// does.
func (f *fixture) barePeer(t *testing.T) time.Duration {
	t.Helper()
	return inParallel(t, f.n, func(i int) error {
		handle := f.handle(i)
		description, err := describe(t.Context(), handle)
		if err != nil {
			return err
		}
		if calendars := description.Schedule.Spec.Calendars; len(calendars) != 1 || calendars[0].Comment != "0 5 * * *" {
			return fmt.Errorf("%s differs: %v", handle.GetID(), calendars)
		}
		return nil
	})
}

// describe asks again where the server has lost the question (docs/temporal.md, "Lost queries").
func describe(ctx context.Context, handle client.ScheduleHandle) (description *client.ScheduleDescription, err error) {
	for range 5 {
		tryCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		description, err = handle.Describe(tryCtx)
		cancel()
		if err == nil {
			return description, nil
		}
	}
	return nil, err
}

func (f *fixture) handle(i int) client.ScheduleHandle {
	return f.client.ScheduleClient().GetHandle(context.Background(), config.DefaultScheduleID(projectName, workflowID(i)))
}

func workflowID(i int) string { return fmt.Sprintf("wf-%04d", i) }
