package activities

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestPriority plays waits in a bubble with a clock of its own.
func TestPriority(t *testing.T) {
	// waited is how long a pass's operation waits now.
	waited := func(ctx context.Context, p *priority) time.Duration {
		start := time.Now()
		p.giveWay(ctx)
		return time.Since(start)
	}
	for _, test := range []struct {
		name string
		// urgent are how long changes take that begin now.
		urgent []time.Duration
		want   time.Duration
	}{
		{"go on at once where nobody waits", nil, 0},
		{"wait until a change is done", []time.Duration{100 * time.Millisecond}, 100 * time.Millisecond},
		{"wait for all changes", []time.Duration{50 * time.Millisecond, 120 * time.Millisecond}, 120 * time.Millisecond},
		{"go on after a while all the same", []time.Duration{time.Minute}, giveWayFor},
	} {
		t.Run("Should "+test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p priority
				for _, takes := range test.urgent {
					time.AfterFunc(takes, p.begin())
				}
				assert.Equal(t, test.want, waited(t.Context(), &p))
				time.Sleep(time.Hour)
				assert.Zero(t, waited(t.Context(), &p), "all are done")
			})
		})
	}
	t.Run("Should end with its pass, and count no end twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p priority
			first, second := p.begin(), p.begin()
			first()
			first()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			assert.Equal(t, time.Millisecond, waited(ctx, &p), "the second one still waits")
			second()
			assert.Zero(t, waited(t.Context(), &p))
		})
	})
}
