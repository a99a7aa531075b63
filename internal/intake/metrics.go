package intake

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"aval/ledger"
)

// metrics counts what intake does. What is pending is read when asked for.
type metrics struct {
	in *Intake

	admitted, batches, resent, escalated prometheus.Counter
	refused                              *prometheus.CounterVec

	pending, pendingBytes, flights *prometheus.Desc
}

func newMetrics(in *Intake) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "aval", Subsystem: "intake", Name: name, Help: help}
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("aval_intake_"+name, help, nil, nil)
	}
	return &metrics{
		in:           in,
		admitted:     prometheus.NewCounter(counter("admitted_total", "Submissions taken in, repetitions included.")),
		batches:      prometheus.NewCounter(counter("batches_total", "Batches made.")),
		resent:       prometheus.NewCounter(counter("resent_total", "Batches handed in again because they stayed unordered.")),
		escalated:    prometheus.NewCounter(counter("verify_escalated_total", "Validators asked to verify a batch in the place of others that were slow or refused.")),
		refused:      prometheus.NewCounterVec(counter("refused_total", "Submissions refused, by code."), []string{"code"}),
		pending:      gauge("pending", "Transactions admitted and not yet executed."),
		pendingBytes: gauge("pending_bytes", "Bytes of those."),
		flights:      gauge("flights", "Batches under way."),
	}
}

func (m *metrics) register() error {
	if m.in.cfg.Registerer == nil {
		return nil
	}
	if err := m.in.cfg.Registerer.Register(m); err != nil {
		return fmt.Errorf("intake: register metrics: %w", err)
	}
	return nil
}

func (m *metrics) unregister() {
	if m.in.cfg.Registerer != nil {
		m.in.cfg.Registerer.Unregister(m)
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.admitted, m.batches, m.resent, m.escalated, m.refused}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{m.pending, m.pendingBytes, m.flights} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(out)
	}
	m.in.mu.Lock()
	pending, bytes, flights := len(m.in.bySigned), m.in.pendingBytes, len(m.in.flight)
	m.in.mu.Unlock()
	for _, g := range []struct {
		desc  *prometheus.Desc
		value int
	}{{m.pending, pending}, {m.pendingBytes, bytes}, {m.flights, flights}} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(g.value))
	}
}

// admission counts one submission by its outcome.
func (m *metrics) admission(err error) {
	var failure *ledger.Failure
	switch {
	case err == nil:
		m.admitted.Inc()
	case errors.As(err, &failure):
		m.refused.WithLabelValues(failure.Code.String()).Inc()
	case errors.Is(err, ErrClosed):
		m.refused.WithLabelValues("CLOSED").Inc()
	default:
		m.refused.WithLabelValues("INTERNAL").Inc()
	}
}

// turnedAway counts submissions of one request that came while too much waited: so many refused, so many known.
func (m *metrics) turnedAway(refused, known int) {
	if refused > 0 {
		m.refused.WithLabelValues(ledger.CodeBusy.String()).Add(float64(refused))
	}
	m.admitted.Add(float64(known))
}
