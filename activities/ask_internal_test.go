package activities

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestAsk plays questions in a bubble with a clock of its own.
func TestAsk(t *testing.T) {
	// each answers the question of its number after a time, with its number, or fails.
	type each struct {
		takes time.Duration
		err   error
	}
	lost, away := serviceerror.NewInternal("query does not exist"), serviceerror.NewUnavailable("away")
	never := each{takes: time.Hour}
	for _, test := range []struct {
		name      string
		questions []each
		want      int32
		err       error
		after     time.Duration
		asked     int32
	}{
		{"ask once where the answer is quick", []each{{takes: 5 * time.Millisecond}}, 1, nil, 5 * time.Millisecond, 1},
		{"take the first question's answer where it is only late", []each{{takes: 90 * time.Millisecond}, never}, 1, nil, 90 * time.Millisecond, 2},
		{"take the second one's where the first is lost", []each{never, {takes: 5 * time.Millisecond}}, 2, nil, 45 * time.Millisecond, 2},
		{"ask again at once where the server says that it lost the question", []each{{5 * time.Millisecond, lost}, {takes: 5 * time.Millisecond}}, 2, nil, 10 * time.Millisecond, 2},
		{"take a refusal for an answer", []each{{5 * time.Millisecond, away}}, 1, away, 5 * time.Millisecond, 1},
		{"give up in the end", []each{never, never, never, never, never}, 0, context.DeadlineExceeded, askTimeout, 5},
		{"give up when every question was lost", []each{{0, lost}, {0, lost}, {0, lost}, {0, lost}, {0, lost}}, 5, lost, 0, 5},
	} {
		t.Run("Should "+test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				start := time.Now()
				got, err := Ask(t.Context(), func(ctx context.Context) (int32, error) {
					n := asked.Add(1)
					question := test.questions[n-1]
					select {
					case <-time.After(question.takes):
						return n, question.err
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				})
				assert.Equal(t, test.err, err)
				assert.Equal(t, test.want, got)
				assert.Equal(t, test.after, time.Since(start))
				assert.Equal(t, test.asked, asked.Load())
				time.Sleep(2 * askTimeout) // the late ones end by themselves
			})
		})
	}
	t.Run("Should end with who asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := Ask(ctx, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			time.Sleep(2 * askTimeout)
		})
	})
}

func TestIsLost(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		again bool
	}{
		{"ask again when the time of one try is over", context.DeadlineExceeded, true},
		{"ask again when the server's time is over", serviceerror.NewDeadlineExceeded("late"), true},
		{"ask again when the server mixed its queries up", serviceerror.NewInvalidArgument("query entered invalid state, this should be impossible"), true},
		{"ask again when the server lost the query", serviceerror.NewInternal("query does not exist"), true},
		{"ask again after an error without a kind", serviceerror.FromStatus(status.New(codes.Unknown, "sql: database is closed")), true},
		{"not ask again where Temporal is away", serviceerror.NewUnavailable("connection refused"), false},
		{"not ask again where Temporal is busy", serviceerror.NewResourceExhausted(0, "busy"), false},
		{"not ask again for what is not there", serviceerror.NewNotFound("workflow not found"), false},
		{"take a failed query for an answer", serviceerror.NewQueryFailed("unknown query"), false},
		{"not ask again where the workflow is not ready", serviceerror.NewWorkflowNotReady("failed state"), false},
		{"take a missing permission for an answer", serviceerror.NewPermissionDenied("no", ""), false},
	} {
		t.Run("Should "+test.name, func(t *testing.T) {
			assert.Equal(t, test.again, isLost(fmt.Errorf("call: %w", test.err)))
		})
	}
}
