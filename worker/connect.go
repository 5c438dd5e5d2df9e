package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
)

// connectEvery is the pause between two tries to reach Temporal.
const connectEvery = 2 * time.Second

// Connect dials Temporal until it answers or ctx ends: a process that starts before its Temporal waits
// for it. Each new reason why it cannot is logged once.
func Connect(ctx context.Context, options client.Options, logger *slog.Logger) (client.Client, error) {
	var c client.Client
	err := until(ctx, connectEvery, func(ctx context.Context) (err error) {
		c, err = client.DialContext(ctx, options)
		return err
	}, func(err error) {
		logger.Warn("waiting for Temporal", "address", options.HostPort, "error", err)
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal at %s: %w", options.HostPort, err)
	}
	logger.Info("connected to Temporal", "address", options.HostPort, "namespace", options.Namespace)
	return c, nil
}

// until calls f every interval until it succeeds or ctx ends; report is told each error that differs
// from the one before.
func until(ctx context.Context, every time.Duration, f func(context.Context) error, report func(error)) error {
	last := ""
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if err.Error() != last {
			report(err)
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
