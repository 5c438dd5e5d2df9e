package faults_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/compozy/schedules/workflows"
)

// slowly makes each call take 0.2 to 2 s.
func slowly(ctx context.Context, _ string) (before, after error) {
	select {
	case <-ctx.Done():
		return ctx.Err(), nil
	case <-time.After(200*time.Millisecond + rand.N(1800*time.Millisecond)):
		return nil, nil
	}
}

// busy refuses as a server does whose limit is reached: namespace and visibility limits look like this.
func busy(context.Context, string) (before, after error) {
	return serviceerror.ToStatus(&serviceerror.ResourceExhausted{
		Cause: enumspb.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, Scope: enumspb.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
		Message: "namespace rate limit exceeded",
	}).Err(), nil
}

// away refuses as a server does that is being restarted.
func away(context.Context, string) (before, after error) {
	return serviceerror.ToStatus(serviceerror.NewUnavailable("the server is away")).Err(), nil
}

// lost loses the answer of a call that was done.
func lost(ctx context.Context, method string) (before, after error) {
	before, _ = away(ctx, method)
	return nil, before
}

// some lets a fault strike thirty of a hundred calls.
func some(f fault) fault {
	return func(ctx context.Context, method string) (before, after error) {
		if rand.N(100) < 30 {
			return f(ctx, method)
		}
		return nil, nil
	}
}

// either is one of two faults, at random.
func either(a, b fault) fault {
	return func(ctx context.Context, method string) (before, after error) {
		if rand.N(2) == 0 {
			return a(ctx, method)
		}
		return b(ctx, method)
	}
}

// lists lets a fault strike all lists, and others strike the other calls.
func lists(f, others fault) fault {
	return func(ctx context.Context, method string) (before, after error) {
		if strings.HasSuffix(method, "/ListSchedules") {
			return f(ctx, method)
		}
		return others(ctx, method)
	}
}

func TestTemporalThatFails(t *testing.T) {
	const n = 100
	for name, c := range map[string]struct{ always, worst fault }{
		"slowly":         {slowly, slowly},
		"busy":           {some(busy), lists(busy, some(busy))},
		"unavailable":    {some(away), away},
		"answers-lost":   {some(either(away, lost)), either(away, lost)},
		"worst-together": {either(slowly, some(either(busy, lost))), lists(busy, either(slowly, lost))},
	} {
		t.Run("Should lose nothing and answer in time: "+name, func(t *testing.T) {
			t.Parallel()
			s := newSteered(t, name, n)
			p := newProxy(t, server.Address(), c.always)
			replica, api := serveAPI(t, s.env(p.address), binary, s.dir)
			s.until(20, replica.Log)
			s.steer(api, 0) // the cold pass is under way
			s.edit(6, 20)
			p.strike(c.worst)
			worst := make(chan struct{})
			time.AfterFunc(20*time.Second, func() { p.strike(c.always); close(worst) })
			s.override(7, workflows.ActionPause)
			s.edit(7, 40)
			s.steer(api, 8)
			<-worst
			s.until(n-2, replica.Log)
			s.edit(8, 60)
			s.steer(api, 80)
			s.requireWhole(replica.Log)
			t.Logf("%d calls struck, %d requests answered with 503", p.struck.Load(), api.refused)
			if name != "slowly" {
				require.Positive(t, p.struck.Load())
			}
			require.Zero(t, replica.Terminate(), replica.Log())
		})
	}
}
