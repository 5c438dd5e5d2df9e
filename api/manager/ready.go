package manager

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/config"
)

// Ready says why this process should not get requests: Temporal does not answer, or the loaded revision
// has not been reconciled once. Nil means ready.
func (m *Manager) Ready(ctx context.Context) error {
	if m.reconciled.Load() {
		if _, err := m.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return fmt.Errorf("%w: Temporal does not answer: %w", ErrUnavailable, err)
		}
		return nil
	}
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	project, _ := m.desired()
	revision := config.Short(project.Revision)
	// A process of an older generation waits for nothing: its revision will not be applied.
	if status.Applied != revision && (status.Refused == nil || status.Refused.Revision != revision) {
		return fmt.Errorf("%w: revision %s has not been reconciled yet", ErrUnavailable, revision)
	}
	m.reconciled.Store(true)
	return nil
}
