package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	sdklog "go.temporal.io/sdk/log"
)

// temporalOptions reads how to reach Temporal as every Temporal tool does: TEMPORAL_* variables over
// the profile of Temporal's own settings file.
func temporalOptions(env Environment, logger *slog.Logger) (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: lookup(env.Environ)})
	if err != nil {
		return client.Options{}, fmt.Errorf("read Temporal's settings (TEMPORAL_* variables and profile): %w", err)
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	options.Logger = sdkLogger(logger)
	return options, nil
}

// dialTemporal connects as every Temporal tool does.
func dialTemporal(ctx context.Context, env Environment) (c client.Client, namespace string, err error) {
	options, err := temporalOptions(env, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, "", err
	}
	c, err = client.DialContext(ctx, options)
	if err != nil {
		return nil, "", fmt.Errorf("connect to Temporal at %s: %w; is it running? TEMPORAL_ADDRESS names another",
			options.HostPort, err)
	}
	return c, options.Namespace, nil
}

// sdkLogger makes the SDK log through ours.
func sdkLogger(logger *slog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(logger.With("component", "temporal-sdk"))
}

// lookup is an environment as envconfig wants it.
type lookup []string

func (l lookup) Environ() []string { return l }

func (l lookup) LookupEnv(key string) (string, bool) {
	for _, pair := range l {
		if name, value, _ := strings.Cut(pair, "="); name == key {
			return value, true
		}
	}
	return "", false
}
