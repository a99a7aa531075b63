package chain

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/ledger"
)

// metrics counts what the chain does. Heights and memory are read when asked for.
type metrics struct {
	c *Chain

	transactions *prometheus.CounterVec
	blockBytes   prometheus.Histogram
	execution    prometheus.Histogram

	fetched, audited, lies prometheus.Counter

	height, executedHeight, openBytes, looseBytes, looseCount, stateBytes, stateLeaves *prometheus.Desc
}

func newMetrics(c *Chain) *metrics {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("aval_chain_"+name, help, nil, nil)
	}
	return &metrics{
		c: c,
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aval", Subsystem: "chain",
			Name: "transactions_total", Help: "Receipts of transactions since the start, by code."}, []string{"code"}),
		blockBytes: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "aval", Subsystem: "chain",
			Name: "block_bytes", Help: "Payload of committed blocks.", Buckets: prometheus.ExponentialBuckets(64, 4, 10)}),
		execution: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "aval", Subsystem: "chain",
			Name: "execution_seconds", Help: "Time from taking up a block to its state and receipts being stored.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		fetched: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "aval", Subsystem: "chain",
			Name: "batch_fetches_total", Help: "Times that others were asked for a batch which was ordered before it came."}),
		audited: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "aval", Subsystem: "chain",
			Name: "audited_batches_total", Help: "Batches whose signatures were verified again, by a node that audits."}),
		lies: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "aval", Subsystem: "chain",
			Name: "false_attestations_total", Help: "Batches that validators attested falsely, as far as this node audits."}),
		height:         gauge("height", "Newest committed height."),
		executedHeight: gauge("executed_height", "Newest executed height."),
		openBytes:      gauge("open_batches_bytes", "Memory of decoded batches that wait to be executed."),
		looseBytes:     gauge("loose_batches_bytes", "Bytes of the batches on disk that no block has ordered."),
		looseCount:     gauge("loose_batches", "Batches on disk that no block has ordered."),
		stateBytes:     gauge("state_memory_bytes", "Memory of the state tree."),
		stateLeaves:    gauge("state_leaves", "Leaves of the state tree."),
	}
}

func (m *metrics) register() error {
	if m.c.cfg.Registerer == nil {
		return nil
	}
	if err := m.c.cfg.Registerer.Register(m); err != nil {
		return fmt.Errorf("chain: register metrics: %w", err)
	}
	return nil
}

func (m *metrics) unregister() {
	if m.c.cfg.Registerer != nil {
		m.c.cfg.Registerer.Unregister(m)
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.transactions, m.blockBytes, m.execution, m.fetched, m.audited, m.lies}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{m.height, m.executedHeight, m.openBytes, m.looseBytes, m.looseCount, m.stateBytes, m.stateLeaves} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(out)
	}
	p, _ := m.c.Progress()
	bytes, _ := m.c.batches.size()
	state := m.c.state.Metrics()
	m.c.mu.Lock()
	loose, looseBytes := len(m.c.loose.rows), 0
	for _, sum := range m.c.loose.byOrigin {
		looseBytes += sum.bytes
	}
	m.c.mu.Unlock()
	for _, g := range []struct {
		desc  *prometheus.Desc
		value uint64
	}{
		{m.height, uint64(p.Committed)}, {m.executedHeight, uint64(p.Executed)}, {m.openBytes, uint64(bytes)},
		{m.looseBytes, uint64(looseBytes)}, {m.looseCount, uint64(loose)},
		{m.stateBytes, state.MemoryBytes}, {m.stateLeaves, state.Leaves},
	} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(g.value))
	}
}

func (m *metrics) committed(b *ledger.Block) { m.blockBytes.Observe(float64(len(b.Payload))) }

func (m *metrics) executed(receipts []ledger.Receipt, took time.Duration) {
	m.execution.Observe(took.Seconds())
	for i := range receipts {
		if !receipts[i].Boundary {
			m.transactions.WithLabelValues(receipts[i].Code.String()).Inc()
		}
	}
}
