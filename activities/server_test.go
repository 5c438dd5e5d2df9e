package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	schedulepb "go.temporal.io/api/schedule/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/activities"
)

func TestCompression(t *testing.T) {
	t.Parallel()
	t.Run("Should send calls of one schedule as they are, and compress what may be large", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
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
