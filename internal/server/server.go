package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"aval/api"
	"aval/internal/chain"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

// Config is what a server needs.
type Config struct {
	Chain  *chain.Chain
	Intake *intake.Intake
	// Status describes the node.
	Status func() api.Status
	// Registry holds the metrics served at api.PathMetrics.
	Registry *prometheus.Registry
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// ConnectionsMax bounds open connections. Default 4096.
	ConnectionsMax int
	Version        string
}

// Bounds of one HTTP exchange.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 15 * time.Second
	idleTimeout    = 60 * time.Second
	headerBytesMax = 32 << 10
	// writeSlack is what an answer may take beside the longest waiting.
	writeSlack = 15 * time.Second
)

// Server serves one node. Its methods are safe for concurrent use.
type Server struct {
	cfg  Config
	log  *slog.Logger
	http *http.Server
	// closing ends when shutdown begins, so that waiting submissions answer.
	closing context.Context
	close   context.CancelFunc
}

// New returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Chain == nil || cfg.Intake == nil || cfg.Status == nil || cfg.Registry == nil {
		return nil, errors.New("server: Chain, Intake, Status and Registry are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.ConnectionsMax == 0 {
		cfg.ConnectionsMax = 4096
	}
	s := &Server{cfg: cfg, log: cfg.Logger}
	s.closing, s.close = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		WriteTimeout:   api.TimeoutMax*time.Millisecond + writeSlack,
		MaxHeaderBytes: headerBytesMax, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve accepts connections on l until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(netutil.LimitListener(l, s.cfg.ConnectionsMax))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown answers what is waiting, finishes open requests and closes the listener.
func (s *Server) Shutdown(ctx context.Context) error {
	s.close()
	return s.http.Shutdown(ctx)
}

// Handler returns the HTTP handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Aval", s.cfg.Version)
	config.Info.Description = "One node of an Aval network. Amounts are in fen; 64-bit integers are strings; times are ms since 1970."
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil
	a := humago.New(mux, config)
	s.routeTransactions(a)
	s.routeProofs(a)
	s.routeParties(a)
	s.routeVouchers(a)
	s.routeFinance(a)
	s.routeNetwork(a)
	mux.Handle("GET "+api.PathMetrics, promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, api.NewProblem(http.StatusNotFound, api.NameNotFound, "see "+api.PathOpenAPI, "there is nothing at %s %s", r.Method, r.URL.Path))
	})
	return recovered(s.log, mux)
}

// recovered answers 500 for a panic in a handler, so that one bad request costs one answer.
func recovered(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				log.ErrorContext(r.Context(), "request failed", slog.String("path", r.URL.Path), slog.Any("panic", p))
				writeProblem(w, api.NewProblem(http.StatusInternalServerError, api.NameInternal, "ask the operator to look at the log", "the node failed to answer"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// get registers a JSON query.
func get[I, O any](a huma.API, path, id, summary, tag string, fn func(context.Context, *I) (*O, error)) {
	huma.Register(a, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag},
		Errors: []int{http.StatusBadRequest, http.StatusNotFound}}, fn)
}

// body wraps a JSON answer.
type body[T any] struct{ Body T }

// raw is a binary answer.
type raw struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// problemOf turns an error into what the client sees.
func (s *Server) problemOf(err error) error {
	var problem *api.Problem
	var failure *ledger.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &failure):
		return api.Refusal(failure)
	case errors.Is(err, chain.ErrNotFound):
		return api.NewProblem(http.StatusNotFound, api.NameNotFound, "check the id, and whether this node has caught up", "%v", err)
	case errors.Is(err, chain.ErrNotProven):
		return api.NewProblem(http.StatusConflict, api.NameNotProven, "ask again in a moment", "%v", err)
	default:
		s.log.Error("query failed", slog.Any("error", err))
		return api.NewProblem(http.StatusInternalServerError, api.NameInternal, "ask the operator to look at the log", "the node failed to answer")
	}
}

func missing(format string, args ...any) error {
	return api.NewProblem(http.StatusNotFound, api.NameNotFound, "check the id, and whether this node has caught up", format, args...)
}

func parseHash(what, text string) (h suite.Hash, err error) {
	if err := h.UnmarshalText([]byte(text)); err != nil {
		return h, api.NewProblem(http.StatusBadRequest, api.NameArgument, "give 64 hexadecimal digits", "%s %q: %v", what, text, err)
	}
	return h, nil
}
