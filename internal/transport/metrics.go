package transport

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which a message was dropped, as metrics label them.
const (
	dropNotConnected = "not_connected" // no link when it was sent
	dropQueueFull    = "queue_full"    // too much waited to be written
	dropLinkLost     = "link_lost"     // the link ended before it was written, or before it was handled
	dropInboxFull    = "inbox_full"    // arrived, but too much waited to be handled
	dropNoHandler    = "no_handler"    // arrived on a channel that nothing handles here
)

// metrics counts what the transport does. Its gauges are read from Status when asked for.
type metrics struct {
	t          *Transport
	registerer prometheus.Registerer

	sentBytes, receivedBytes *prometheus.CounterVec
	sentFrames, recvFrames   *prometheus.CounterVec
	dropped                  *prometheus.CounterVec
	refusals                 *prometheus.CounterVec
	evicted                  prometheus.Counter

	up, rtt, queuedBytes, queuedMessages, handshakes *prometheus.Desc
}

func newMetrics(t *Transport, registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "aval", Subsystem: "transport", Name: name, Help: help,
		}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("aval_transport_"+name, help, labels, nil)
	}
	m := &metrics{
		t: t, registerer: registerer,
		sentBytes:     counter("sent_bytes_total", "Bytes of frames written, before TLS.", "peer", "channel"),
		receivedBytes: counter("received_bytes_total", "Bytes of frames read, after TLS.", "peer", "channel"),
		sentFrames:    counter("sent_frames_total", "Frames written.", "peer", "channel"),
		recvFrames:    counter("received_frames_total", "Frames read.", "peer", "channel"),
		dropped:       counter("dropped_total", "Messages dropped.", "peer", "channel", "reason"),
		refusals:      counter("refusals_total", "Links refused or lost.", "cause"),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "aval", Subsystem: "transport", Name: "handshakes_evicted_total",
			Help: "Unfinished handshakes ended to make room for another.",
		}),
		up:             gauge("link_up", "1 if there is a link with the peer.", "peer"),
		rtt:            gauge("rtt_seconds", "Round trip of the newest ping.", "peer"),
		queuedBytes:    gauge("queued_bytes", "Bytes that wait to be written.", "peer"),
		queuedMessages: gauge("queued_messages", "Messages that wait to be written.", "peer"),
		handshakes:     gauge("handshakes", "Incoming handshakes that are not finished."),
	}
	if registerer == nil {
		return m, nil
	}
	if err := registerer.Register(m); err != nil {
		return nil, fmt.Errorf("transport: register metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}

func (m *metrics) counters() []prometheus.Collector {
	return []prometheus.Collector{
		m.sentBytes, m.receivedBytes, m.sentFrames, m.recvFrames, m.dropped, m.refusals, m.evicted,
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.counters() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{m.up, m.rtt, m.queuedBytes, m.queuedMessages, m.handshakes} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.counters() {
		c.Collect(out)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, p := range m.t.ordered {
		s := p.status()
		up := 0.0
		if s.Connected {
			up = 1
		}
		gauge(m.up, up, p.label)
		gauge(m.rtt, s.RTT.Seconds(), p.label)
		gauge(m.queuedBytes, float64(s.QueuedBytes), p.label)
		gauge(m.queuedMessages, float64(s.QueuedMessages), p.label)
	}
	gauge(m.handshakes, float64(m.t.gate.count()))
}

func (m *metrics) sent(p *peer, h header) {
	c := channelLabel(h.channel)
	m.sentFrames.WithLabelValues(p.label, c).Inc()
	m.sentBytes.WithLabelValues(p.label, c).Add(float64(headerBytes + h.chunk))
}

func (m *metrics) received(p *peer, h header) {
	c := channelLabel(h.channel)
	m.recvFrames.WithLabelValues(p.label, c).Inc()
	m.receivedBytes.WithLabelValues(p.label, c).Add(float64(headerBytes + h.chunk))
}

func (m *metrics) drop(p *peer, c Channel, reason string, n int) {
	if n > 0 {
		m.dropped.WithLabelValues(p.label, channelLabel(c), reason).Add(float64(n))
	}
}

func (m *metrics) refusal(c Cause) { m.refusals.WithLabelValues(c.String()).Inc() }

// channelLabel is the channel's name, "link" for frames of the link itself.
func channelLabel(c Channel) string {
	if c == 0 {
		return "link"
	}
	return c.String()
}
