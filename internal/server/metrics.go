package server

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests by route, which is the pattern that was matched, so that no client can make labels.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	open     prometheus.Gauge
	// connections and evicted are read from the gate.
	connections prometheus.GaugeFunc
	evicted     prometheus.CounterFunc
}

func newMetrics(g *gate) *metrics {
	return &metrics{
		connections: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "aval", Subsystem: "http", Name: "connections",
			Help: "Open connections."}, func() float64 { open, _ := g.count(); return float64(open) }),
		evicted: prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "aval", Subsystem: "http", Name: "connections_evicted_total",
			Help: "Connections ended to make room for another."}, func() float64 { _, evicted := g.count(); return float64(evicted) }),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aval", Subsystem: "http", Name: "requests_total",
			Help: "Requests answered, by route and status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "aval", Subsystem: "http", Name: "request_seconds",
			Help: "Time to answer, waiting for a receipt included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 14)}, []string{"route"}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "aval", Subsystem: "http", Name: "requests_open",
			Help: "Requests being answered."}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.seconds, m.open, m.connections, m.evicted}
}

func (m *metrics) register(r prometheus.Registerer) error {
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("server: register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister(r prometheus.Registerer) {
	for _, c := range m.collectors() {
		r.Unregister(c)
	}
}

// count measures every request.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		m.open.Inc()
		defer m.open.Dec()
		noted := &statusWriter{ResponseWriter: w, status: http.StatusOK, visitor: visitorOf(r)}
		next.ServeHTTP(noted, r)
		route := r.Pattern // the mux has set it; it is empty for a request that did not get there
		if route == "" || route == "/" {
			route = "none"
		}
		m.requests.WithLabelValues(route, strconv.Itoa(noted.status)).Inc()
		m.seconds.WithLabelValues(route).Observe(time.Since(begin).Seconds())
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status  int
	written bool
	// visitor stands in line again from the first byte of the answer on: whoever does not read it holds no place for good.
	visitor *visitor
}

func (w *statusWriter) begin() {
	if !w.written && w.visitor != nil {
		w.visitor.answered()
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.begin()
	if !w.written {
		w.status, w.written = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.begin()
	w.written = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
