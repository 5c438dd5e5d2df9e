package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

// readiness asks whether the process is ready, and logs each new reason why it is not once.
type readiness struct {
	check  func(ctx context.Context) error // nil: always ready
	logger *slog.Logger

	mu   sync.Mutex
	last string
}

func (r *readiness) ask(ctx context.Context) error {
	if r.check == nil {
		return nil
	}
	err := r.check(ctx)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason != r.last && reason != "" {
		r.logger.Warn("not ready", "error", err)
	}
	r.last = reason
	return err
}

// GetHealth answers GET /healthz.
func (h *handlers) GetHealth(c echo.Context) error {
	return writeJSON(c, http.StatusOK, map[string]string{"status": "ok"})
}

// GetReadiness answers GET /readyz.
func (h *handlers) GetReadiness(c echo.Context) error {
	if err := h.ready.ask(c.Request().Context()); err != nil {
		return newProblem(kindNotReady(), "Temporal does not answer, or the loaded revision has not been reconciled yet; "+
			"the log says more").
			with("Retry-After", seconds(retryAfter)).because(err)
	}
	return writeJSON(c, http.StatusOK, map[string]string{"status": "ready"})
}
