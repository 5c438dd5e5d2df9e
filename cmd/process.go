package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // it also adds to the default mux, which nothing here serves
	"time"

	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/compozy/schedules/api"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/api/metrics"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/worker"
)

// cachedRuns bounds the runs whose state a process keeps for their next workflow task. It needs one. A run that another
// replica continued as new stays until others push it out, and by the SDK's default that is never: its goroutines and
// its state, which may be megabytes, would gather.
const cachedRuns = 4

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
	sdkworker.SetStickyWorkflowCacheSize(cachedRuns)
	known := metrics.New(project.Name)
	var err error
	if p.temporal.MetricsHandler, err = known.SDK(); err != nil {
		return err
	}
	c, err := client.NewLazyClient(p.temporal)
	if err != nil {
		return fmt.Errorf("read how to reach Temporal: %w", err)
	}
	defer c.Close()
	schedules := worker.NewServer(c, p.temporal.Namespace, project.Name, p.settings)
	schedules.Observe(known.Operation)
	m := manager.New(manager.Options{Client: c, Server: schedules, Project: project, Logger: p.logger})
	group, ctx := errgroup.WithContext(ctx)
	known.Watch(project.Name, m.Stats)
	if p.settings.API {
		serveAPI, err := p.listen(ctx, m, known)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveAPI(ctx) })
	}
	if p.settings.MetricsListen != "" {
		serveMetrics, err := p.listenMetrics(ctx, known)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveMetrics(ctx) })
	}
	if p.settings.PprofListen != "" {
		serveProfiles, err := p.listenProfiles(ctx)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveProfiles(ctx) })
	}
	if p.settings.API || p.settings.MetricsListen != "" {
		group.Go(func() error { m.Run(ctx); return nil })
	}
	group.Go(func() error {
		if err := worker.Wait(ctx, c, p.temporal.HostPort, p.logger); err != nil {
			return ignoreStop(ctx, err)
		}
		return worker.Run(ctx, worker.Options{
			Client: c, Server: schedules, Settings: p.settings, Logger: p.logger, Observer: observer{known, m},
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

// observer is told what happens in the reconciler of this process.
type observer struct {
	*metrics.Metrics // the passes
	*manager.Manager // the requests that were applied
}

// listen opens the API's port at once, so that a port in use is told before anything is done.
func (p process) listen(ctx context.Context, m *manager.Manager, known *metrics.Metrics) (serve func(context.Context) error, err error) {
	options := api.Options{
		Manager: m, Ready: m.Ready, Settings: p.settings, Logger: p.logger, Metrics: known.Handler(), Observe: known.Request,
	}
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
	return func(ctx context.Context) error { return server.Serve(ctx, listener) }, nil
}

func ignoreStop(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// metricsTimeout bounds a scrape.
const metricsTimeout = 10 * time.Second

// listenMetrics serves /metrics by itself, for processes without API and for networks that keep the two apart.
func (p process) listenMetrics(ctx context.Context, known *metrics.Metrics) (serve func(context.Context) error, err error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", known.Handler())
	server := &http.Server{Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout}
	return p.listenFor(ctx, "metrics", "--metrics-listen", p.settings.MetricsListen, server)
}

// listenProfiles serves the Go runtime's profiles. One takes as long as it is asked for, so that writing has no limit.
func (p process) listenProfiles(ctx context.Context) (serve func(context.Context) error, err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadTimeout: metricsTimeout}
	return p.listenFor(ctx, "profiles", "--pprof-listen", p.settings.PprofListen, server)
}

// listenFor opens a port of its own at once for what is served there; flag is where the address comes from.
func (p process) listenFor(
	ctx context.Context, what, flag, address string, server *http.Server,
) (serve func(context.Context) error, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w; choose another address with %s", what, err, flag)
	}
	p.logger.Info("serving", "what", what, "address", listener.Addr().String())
	return func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", what, err)
		}
		return nil
	}, nil
}
