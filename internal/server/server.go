package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"aval/api"
	"aval/internal/chain"
	"aval/internal/intake"
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
	// Version is that of the program, in the OpenAPI document.
	Version string
	// ConnectionsMax bounds open connections: one more ends another that asks nothing. Default 4096.
	ConnectionsMax int
	// BodiesBytesMax bounds what was sent of all bodies that are not whole yet; more ends others. Default 64 MiB.
	BodiesBytesMax int
	// HeaderTimeout and RequestTimeout bound how long a client may take to send the header and the whole request, IdleTimeout
	// how long a connection may rest between two. Defaults 5 s, 15 s and 60 s.
	HeaderTimeout, RequestTimeout, IdleTimeout time.Duration
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Chain == nil || c.Intake == nil || c.Status == nil || c.Registry == nil {
		errs = append(errs, errors.New("server: Chain, Intake, Status and Registry are required"))
	}
	if c.ConnectionsMax < 0 || c.BodiesBytesMax < 0 || c.HeaderTimeout < 0 || c.RequestTimeout < 0 || c.IdleTimeout < 0 {
		errs = append(errs, errors.New("server: a bound or a time is negative"))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ConnectionsMax == 0 {
		c.ConnectionsMax = 4096
	}
	if c.BodiesBytesMax == 0 {
		c.BodiesBytesMax = 64 << 20
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.HeaderTimeout, 5 * time.Second}, {&c.RequestTimeout, 15 * time.Second}, {&c.IdleTimeout, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

const (
	headerBytesMax = 32 << 10
	// writeSlack is what an answer may take beside the longest waiting.
	writeSlack = 15 * time.Second
)

// Server serves one node. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	http    *http.Server
	metrics *metrics
	gate    *gate
	// closing ends when shutdown begins, so that waiting submissions answer.
	closing context.Context
	close   context.CancelFunc
}

// New returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := newGate(cfg.ConnectionsMax, cfg.BodiesBytesMax)
	s := &Server{cfg: cfg, log: cfg.Logger, gate: g, metrics: newMetrics(g)}
	if err := s.metrics.register(cfg.Registry); err != nil {
		return nil, err
	}
	s.closing, s.close = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: cfg.HeaderTimeout, ReadTimeout: cfg.RequestTimeout, IdleTimeout: cfg.IdleTimeout,
		WriteTimeout:   api.TimeoutMax*time.Millisecond + writeSlack,
		ConnContext:    withVisitor,
		MaxHeaderBytes: headerBytesMax, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve accepts connections on l until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&gatedListener{l, s.gate})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown answers what is waiting, finishes open requests and closes the listener.
func (s *Server) Shutdown(ctx context.Context) error {
	s.close()
	err := s.http.Shutdown(ctx)
	s.metrics.unregister(s.cfg.Registry)
	return err
}

// Handler returns the HTTP handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Aval", s.cfg.Version)
	config.Info.Description = "One node of an Aval network. Amounts are in fen; 64-bit integers are strings; times are ms since 1970."
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{asProblem}
	a := humago.New(mux, config)
	s.routeTransactions(a)
	s.routeBatches(a)
	s.routeProofs(a)
	s.routeParties(a)
	s.routeVouchers(a)
	s.routeFinance(a)
	s.routeNetwork(a)
	mux.Handle("GET "+api.PathMetrics, promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{}))
	finishDocument(a)
	for path := range a.OpenAPI().Paths {
		mux.HandleFunc(path, otherMethod)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, api.NewProblem(http.StatusNotFound, api.NameNotFound, "see "+api.PathOpenAPI, "there is nothing at %s", r.URL.Path))
	})
	return s.metrics.count(recovered(s.log, whole(mux)))
}

// otherMethod answers for a path that exists, but not with the method.
func otherMethod(w http.ResponseWriter, r *http.Request) {
	allowed := "GET, HEAD"
	if r.URL.Path == api.PathTransactions || r.URL.Path == api.PathBatches {
		allowed = "POST"
	}
	w.Header().Set("Allow", allowed)
	writeProblem(w, api.NewProblem(http.StatusMethodNotAllowed, api.NameArgument, "use "+allowed, "%s is not for %s", r.URL.Path, r.Method))
}

// recovered answers 500 for a panic in a handler, so that one bad request costs one answer.
func recovered(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p) // the server ends the connection, and says nothing
			}
			if p != nil {
				log.ErrorContext(r.Context(), "request failed", slog.String("path", r.URL.Path), slog.Any("panic", p))
				writeProblem(w, internalProblem())
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// whole reads the body of a request, which must come whole and in time, before anything is done with it.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			body, problem := readBody(w, r)
			if problem != nil {
				w.Header().Set("Connection", "close")
				writeProblem(w, problem)
				return
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		if v := visitorOf(r); v != nil {
			v.served()
			defer v.answered()
		}
		next.ServeHTTP(w, r)
	})
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *api.Problem) {
	most := bodyBytesMax(r.URL.Path)
	body, err := io.ReadAll(http.MaxBytesReader(w, counted{r.Body, visitorOf(r)}, most))
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return nil, api.NewProblem(http.StatusRequestEntityTooLarge, api.NameTooLarge, "spread the operations over several transactions",
			"the body is over %d bytes", most)
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, api.NewProblem(http.StatusRequestTimeout, api.NameTimeout, "send the whole request without pauses", "the request did not come in time")
	case errors.Is(err, errFull):
		return nil, api.NewProblem(http.StatusServiceUnavailable, api.NameTimeout, "send the request again, without pauses", "%v", errFull)
	case err != nil:
		return nil, api.NewProblem(http.StatusBadRequest, api.NameArgument, "send the whole request", "the body ends early: %v", err)
	}
	// The deadline was for the request. Left in place it would end a long wait for the answer, too.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, internalProblem()
	}
	return body, nil
}

// errFull reports a body for which there is no room.
var errFull = errors.New("too many bodies are on their way")

// counted counts the bytes of a body against what all bodies may take.
type counted struct {
	io.ReadCloser
	visitor *visitor // nil if the connection did not come through a gate
}

// Read implements io.Reader.
func (c counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if c.visitor != nil && n > 0 && !c.visitor.grow(n) {
		return 0, errFull
	}
	return n, err
}

// get registers a JSON query.
func get[I, O any](a huma.API, path, id, summary, tag string, fn func(context.Context, *I) (*O, error)) {
	huma.Register(a, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag},
		Responses: problems(a, http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity)}, fn)
}

// getFile registers a query whose answer is a file in CBOR.
func getFile[I any](a huma.API, path, id, summary, tag string, fn func(context.Context, *I) (*raw, error)) {
	responses := problems(a, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	responses["200"] = &huma.Response{Content: map[string]*huma.MediaType{api.MediaCBOR: {Schema: binary()}}}
	huma.Register(a, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag},
		Responses: responses}, fn)
}

func binary() *huma.Schema { return &huma.Schema{Type: huma.TypeString, Format: "binary"} }

// body wraps a JSON answer.
type body[T any] struct{ Body T }

// raw is a binary answer.
type raw struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}
