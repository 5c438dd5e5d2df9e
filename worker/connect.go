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

// Wait returns when Temporal answers or ctx ends: a process that starts before its Temporal waits for
// it. Each new reason why it cannot go on is logged once. c may be a lazy client.
func Wait(ctx context.Context, c client.Client, address string, logger *slog.Logger) error {
	err := until(ctx, connectEvery, func(ctx context.Context) error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	}, func(err error) {
		logger.Warn("waiting for Temporal", "address", address, "error", err)
	})
	if err != nil {
		return fmt.Errorf("wait for Temporal at %s: %w", address, err)
	}
	logger.Info("connected to Temporal", "address", address)
	return nil
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
