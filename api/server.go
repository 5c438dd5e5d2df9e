// Package api is the REST API: openapi.yaml describes it, the handlers are thin over a manager.Manager.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/compozy/schedules/config"
)

const (
	// A client must send its headers and its body in these times; writeTimeout is for body, handling and
	// answer together.
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 40 * time.Second
	idleTimeout       = 2 * time.Minute
	// maxHeader is the most bytes of a request's headers. net/http adds 4 KiB.
	maxHeader = 32 << 10
	// defaultRequestTimeout ends the handling of one request.
	defaultRequestTimeout = 10 * time.Second
	// drainTimeout is how long a stopping server waits for the requests under way.
	drainTimeout = 15 * time.Second
)

// Options of a Server.
type Options struct {
	// Manager answers. Required.
	Manager Manager
	// Ready says why the process is not ready; nil means that it is. Optional.
	Ready func(ctx context.Context) error
	// Settings of the process; the API reads its own among them.
	Settings config.Settings
	// Logger is told every request. Required.
	Logger *slog.Logger
	// Metrics answers GET /metrics; Observe is told each answer, with its route's template. Both optional.
	Metrics http.Handler
	Observe func(method, route string, code int, took time.Duration)
	// RequestTimeout ends the handling of one request, the Manager's calls included, with a 503. Default
	// 10 s, at most 20 s.
	RequestTimeout time.Duration
	// Now is the clock of rate limits and tokens. Default time.Now.
	Now func() time.Time
	// LookupHost finds the addresses of the name to listen on. Default the system's resolver.
	LookupHost func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Server is the REST API of one process.
type Server struct {
	echo        *echo.Echo
	operations  operations
	auth        *authenticator
	limiter     *limiter
	proxies     proxies
	crossOrigin *http.CrossOriginProtection
	logger      *slog.Logger
	close       context.CancelFunc
	metrics     http.Handler
	tell        func(method, route string, code int, took time.Duration)

	requestTimeout time.Duration
}

// New checks the settings and makes the server. It fails where no authentication is configured and the
// address to listen on is not loopback. With JWTs it fetches the issuer's keys, in at most 5 s. Serve or
// Close ends what it started.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	settings := options.Settings
	if err := settings.ValidateAPI(); err != nil {
		return nil, fmt.Errorf("settings of the API: %w", err)
	}
	if !settings.HasAuth() {
		if err := requireLoopback(settings.Listen, options.LookupHost); err != nil {
			return nil, err
		}
	}
	trusted, err := settings.Proxies()
	if err != nil {
		return nil, err
	}
	known, err := loadOperations()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	auth, err := newAuthenticator(ctx, settings, options.Now, options.Logger)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &Server{
		operations: known, auth: auth, limiter: newLimiter(settings.RateLimit, options.Now), proxies: trusted,
		crossOrigin: http.NewCrossOriginProtection(), logger: options.Logger, close: cancel,
		requestTimeout: options.RequestTimeout, metrics: options.Metrics, tell: options.Observe,
	}
	s.echo = s.routes(&handlers{
		manager: options.Manager, ready: &readiness{check: options.Ready, logger: options.Logger}, logger: options.Logger,
	})
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	o.RequestTimeout = min(o.RequestTimeout, 2*defaultRequestTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LookupHost == nil {
		o.LookupHost = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return o
}

// routes lays the middlewares around the handlers, the outermost first. They run for unknown paths too.
func (s *Server) routes(h *handlers) *echo.Echo {
	e := echo.New()
	e.Use(s.observe, s.guard, s.admit, s.check)
	router := headRouter{e}
	RegisterHandlers(router, h)
	router.GET(docsPath+"/:file", getDocsFile)
	if s.metrics != nil {
		router.GET(metricsPath, echo.WrapHandler(s.metrics))
	}
	return e
}

// headRouter answers HEAD wherever it answers GET (RFC 9110, section 9.1).
type headRouter struct{ *echo.Echo }

// GET adds both routes.
func (r headRouter) GET(path string, handler echo.HandlerFunc, middlewares ...echo.MiddlewareFunc) *echo.Route {
	r.HEAD(path, handler, middlewares...)
	return r.Echo.GET(path, handler, middlewares...)
}

// Handler is the API without a listener, for tests and for programs that have a server of their own.
// Without authentication that server must listen on loopback only.
func (s *Server) Handler() http.Handler { return s.echo }

// Close ends what New started. Serve does it by itself.
func (s *Server) Close() { s.close() }

// Serve answers on the listener until ctx ends. Then it takes no new requests, waits up to 15 s for those
// under way, and returns nil.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer s.close()
	if err := s.checkListener(listener); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler:           s.echo,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.logger.Info("serving the API", "address", listener.Addr().String(), "authentication", !s.auth.open)
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		s.logger.Warn("requests were cut off at the end of the process", "error", err)
		err = server.Close()
		s.logger.Debug("closed the API's connections", "error", err)
	}
	<-served //nolint:errcheck // http.ErrServerClosed, since we closed it
	return nil
}

// checkListener makes sure of what New could only conclude from the settings.
func (s *Server) checkListener(listener net.Listener) error {
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !s.auth.open || !ok || addr.IP.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the listener is on %s, which is not loopback, and nobody is asked for a key: configure authentication", addr)
}
