package bft

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the engine does. What it is at the moment is read from Status when asked for.
type metrics struct {
	e *Engine

	viewChanges, syncs, runs prometheus.Counter

	view, leader, leads, height, pending, awaited, observing *prometheus.Desc
}

func newMetrics(e *Engine) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "aval", Subsystem: "bft", Name: name, Help: help})
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("aval_bft_"+name, help, nil, nil)
	}
	return &metrics{
		e:           e,
		viewChanges: counter("view_changes_total", "Views entered after the first of each run."),
		syncs:       counter("syncs_total", "Times that blocks were asked of the others because this validator was, or might be, behind."),
		runs:        counter("runs_total", "Runs of the kernel; each after the first is one that could not go on."),
		view:        gauge("view", "The view that this validator is in."),
		leader:      gauge("leader", "Index of the validator that leads it; -1 while no kernel runs."),
		leads:       gauge("leads", "1 if this validator leads."),
		height:      gauge("height", "Height of the newest decided block."),
		pending:     gauge("pending", "Requests that wait to be ordered."),
		awaited:     gauge("votes_awaited", "Validators whose votes for the block in work are overdue."),
		observing:   gauge("observing", "1 while this validator may not vote because its log was lost or restored."),
	}
}

func (m *metrics) register() error {
	if m.e.cfg.Registerer == nil {
		return nil
	}
	if err := m.e.cfg.Registerer.Register(m); err != nil {
		return fmt.Errorf("bft: register metrics: %w", err)
	}
	return nil
}

func (m *metrics) unregister() {
	if m.e.cfg.Registerer != nil {
		m.e.cfg.Registerer.Unregister(m)
	}
}

func (m *metrics) counters() []prometheus.Collector {
	return []prometheus.Collector{m.viewChanges, m.syncs, m.runs}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.counters() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{m.view, m.leader, m.leads, m.height, m.pending, m.awaited, m.observing} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.counters() {
		c.Collect(out)
	}
	s, state := m.e.Status(), m.e.snapshot()
	leader := -1.0
	if state.inst != nil {
		leader = float64(s.Leader)
	}
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{m.view, float64(s.View)}, {m.leader, leader}, {m.leads, truth(state.inst != nil && s.Leader == state.self)},
		{m.height, float64(m.e.headHeight())}, {m.pending, float64(s.Pending)}, {m.awaited, float64(len(s.Awaited))},
		{m.observing, truth(s.Observing)},
	} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
}
