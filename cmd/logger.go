package cmd

import (
	"fmt"
	"log/slog"

	"github.com/compozy/schedules/config"
)

// newLogger writes to standard error: text for people on a terminal, JSON for machines elsewhere.
func newLogger(env Environment, settings config.Settings) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.LogLevel)); err != nil {
		return nil, fmt.Errorf("log_level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if settings.LogFormat == "text" || settings.LogFormat == "auto" && env.Terminal {
		return slog.New(slog.NewTextHandler(env.Err, options)), nil
	}
	return slog.New(slog.NewJSONHandler(env.Err, options)), nil
}
