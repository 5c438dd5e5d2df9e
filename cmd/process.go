package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
)

// process is what `serve` and `dev` run: the worker and the REST API of one project.
type process struct {
	// temporal says where Temporal is. The client of it is lazy, so that the API answers before
	// Temporal does.
	temporal client.Options
	settings config.Settings
	logger   *slog.Logger
	hangup   <-chan struct{}
	// onRevision is told each revision that takes effect. Optional.
	onRevision func(*config.Project)
}

// run returns when ctx ends, with nil, or when a part fails.
func (p process) run(ctx context.Context, project *config.Project) error {
	c, err := client.NewLazyClient(p.temporal)
	if err != nil {
		return fmt.Errorf("read how to reach Temporal: %w", err)
	}
	defer c.Close()
	schedules := worker.NewServer(c, p.temporal.Namespace, project.Name, p.settings)
	m := manager.New(manager.Options{Client: c, Server: schedules, Project: project, Logger: p.logger})
	group, ctx := errgroup.WithContext(ctx)
	if p.settings.API {
		serveAPI, err := p.listen(ctx, m)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveAPI(ctx) })
		group.Go(func() error { m.Run(ctx); return nil })
	}
	group.Go(func() error {
		if err := worker.Wait(ctx, c, p.temporal.HostPort, p.logger); err != nil {
			return ignoreStop(ctx, err)
		}
		return worker.Run(ctx, worker.Options{
			Client: c, Server: schedules, Settings: p.settings, Logger: p.logger,
			OnRevision: func(project *config.Project) {
				m.SetProject(project)
				if p.onRevision != nil {
					p.onRevision(project)
				}
			},
		}, project, p.hangup)
	})
	return group.Wait()
}

// listen opens the API's port at once, so that a port in use is told before anything is done.
func (p process) listen(ctx context.Context, m *manager.Manager) (serve func(context.Context) error, err error) {
	options := api.Options{Manager: m, Ready: m.Ready, Settings: p.settings, Logger: p.logger}
	server, err := api.New(options) //nolint:contextcheck // it bounds its look-ups itself
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", p.settings.Listen)
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("listen for the API: %w; choose another address with --listen, or --api=false", err)
	}
	p.logger.Info("serving the API", "address", listener.Addr().String())
	return func(ctx context.Context) error { return server.Serve(ctx, listener) }, nil
}

func ignoreStop(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}
