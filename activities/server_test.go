package activities_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
)

func TestCompression(t *testing.T) {
	t.Parallel()
	t.Run("Should send calls of one schedule as they are, and compress what may be large", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(o *client.Options) { o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionGzip{} })
		p := newProject(t, "a", daily("one"))
		require.Equal(t, 1, f.upsert(t, p).Created)
		f.edit(t, p.Workflows[0].ScheduleID("a"), func(s *schedulepb.Schedule) { s.Spec.Jitter = durationpb.New(time.Minute) })
		require.Equal(t, 1, f.upsert(t, p, operation(t, p, activities.Update, "one")).Updated)
		_, err := activities.NewRuntime(f.server(), "a").Override(t.Context(), activities.OverrideInput{
			RequestID: "1", WorkflowID: "one", Action: activities.Pause,
		})
		require.NoError(t, err)
		f.diff(t, p, activities.PassResync)
		require.Equal(t, 1, f.remove(t, p, "one").Deleted)
		assert.Equal(t, map[string]string{
			"CreateSchedule": "identity", "DescribeSchedule": "identity", "UpdateSchedule": "identity", "PatchSchedule": "identity",
			"DeleteSchedule": "identity", "ListSchedules": "gzip",
		}, f.rpcs.compressors)
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	refuse := func(f *fixture, code codes.Code, times int64) {
		var refused atomic.Int64
		f.rpcs.replace(func(invoke func() error) error {
			if refused.Add(1) <= times {
				return status.Error(code, "for now")
			}
			return invoke()
		})
	}
	for _, code := range []codes.Code{codes.ResourceExhausted, codes.Unavailable} {
		t.Run("Should ask again for a page that is refused for now: "+code.String(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			refuse(f, code, 2)
			calls := f.rpcs.during(func() {
				_, err := f.server().List(t.Context(), activities.Scope{Project: "a"})
				require.NoError(t, err)
			})
			assert.Equal(t, map[string]int{"ListSchedules": 3}, calls)
		})
	}
	t.Run("Should leave a list that stays refused to the activity's retries", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		refuse(f, codes.ResourceExhausted, 100)
		calls := f.rpcs.during(func() {
			_, err := f.server().List(t.Context(), activities.Scope{Project: "a"})
			assert.ErrorContains(t, err, "list schedules (ScheduleId STARTS_WITH 'schedule-a-'): for now")
		})
		assert.Equal(t, map[string]int{"ListSchedules": 5}, calls)
	})
	t.Run("Should not ask again for what Temporal does not take", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		refuse(f, codes.InvalidArgument, 100)
		calls := f.rpcs.during(func() {
			_, err := f.server().List(t.Context(), activities.Scope{Project: "a"})
			assert.Error(t, err)
		})
		assert.Equal(t, map[string]int{"ListSchedules": 1}, calls)
	})
}
