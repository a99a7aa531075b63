package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/clock"
	"aval/suite"
)

// ProtocolVersion is the version of greetings and frames. Nodes of different versions refuse each other.
const ProtocolVersion = 1

// Bounds of what travels on a link. They are part of the protocol: both sides enforce them.
const (
	// FrameBytesMax bounds one message, request or response, in bytes.
	FrameBytesMax = 16 << 20
	// ChunkBytes is how much of a message is written before another channel gets its turn.
	ChunkBytes = 64 << 10
	// GreetingBytesMax bounds one message of the handshake after TLS.
	GreetingBytesMax = 4 << 10
	// ErrorTextBytesMax bounds the text of an error answer and of a refusal.
	ErrorTextBytesMax = 1 << 10
	// PeersMax bounds the validators and the observers of a configuration, together.
	PeersMax = 1024
	// NameBytesMax bounds the name of a peer, which is only for people.
	NameBytesMax = 128
)

// Channel separates traffic of different kinds: each has its own queues, order and place in line.
type Channel uint8

// The channels. Consensus is written before all others and is refused from observers.
const (
	Consensus Channel = 1
	Request   Channel = 2
	Catchup   Channel = 3
	Intake    Channel = 4
	Push      Channel = 5
	Fetch     Channel = 6

	channelMax Channel = 8
)

// String returns the channel's name.
func (c Channel) String() string {
	switch c {
	case Consensus:
		return "consensus"
	case Request:
		return "request"
	case Catchup:
		return "catchup"
	case Intake:
		return "intake"
	case Push:
		return "push"
	case Fetch:
		return "fetch"
	}
	return fmt.Sprintf("channel%d", uint8(c))
}

func (c Channel) valid() bool { return c >= 1 && c <= channelMax }

// Peer is another node of the network.
type Peer struct {
	// Key is the node key, as genesis names it.
	Key suite.PublicKey
	// Name is for people: logs, metrics, status.
	Name string
	// Address is host:port to dial; it may be empty for a peer that only dials us.
	Address string
	// Observer is set by the transport for peers from Config.Observers.
	Observer bool
}

// Config says who we are, whom we accept and whom we dial.
type Config struct {
	// Suite is the network's crypto suite.
	Suite suite.Suite
	// Network is the network id and Genesis the hash of the genesis; peers that claim others are refused.
	Network suite.Hash
	Genesis suite.Hash
	// Self signs with our node key.
	Self suite.Signer
	// Listen is the TCP address to accept links on. Empty: accept none (a gateway behind a firewall).
	Listen string
	// Listener, when set, is used instead of opening Listen. Start takes ownership.
	Listener net.Listener
	// Peers are the validators, dialed and accepted. Our own key among them is ignored.
	Peers []Peer
	// Observers are accepted and never dialed.
	Observers []Peer
	// Clock gives the times in Status and of ReceivedAt. What concerns sockets (deadlines, pings, pauses) goes by
	// the machine's own time, as sockets do. Default: the machine's.
	Clock clock.Clock
	// Logger receives links that come and go, and refusals. Default: slog.Default().
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none are exported.
	Registerer prometheus.Registerer
	// Dial opens a connection. Default: TCP with a timeout of HandshakeTimeout.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Limits bounds time, memory and strangers. Zero fields take their defaults.
	Limits Limits
}

// Limits bounds what peers and strangers may cost us. A zero field stands for its default.
type Limits struct {
	// HandshakeTimeout bounds TLS and greeting together. Default 5 s.
	HandshakeTimeout time.Duration
	// HandshakesMax bounds the unfinished incoming handshakes; one more ends the oldest. Default 64.
	HandshakesMax int
	// HandshakesPerAddressMax bounds those from one IPv4 address or IPv6 /64. Default 16.
	HandshakesPerAddressMax int
	// PingInterval is the time between two pings on a link. Default 2 s.
	PingInterval time.Duration
	// PeerTimeout ends a link on which nothing arrived for so long. Default 5 s.
	PeerTimeout time.Duration
	// WriteTimeout ends a link on which one write did not finish. Default 5 s.
	WriteTimeout time.Duration
	// RedialMin and RedialMax bound the pause between two attempts to reach a peer. Default 100 ms, 2 s.
	RedialMin time.Duration
	RedialMax time.Duration
	// QueueBytesMax and QueueCountMax bound what waits to be written, and what waits to be handled, for one
	// peer and channel. Default 32 MiB, 4096.
	QueueBytesMax int
	QueueCountMax int
	// CallsMax bounds our unanswered calls to one peer on one channel; twice as many are accepted. Default 32.
	CallsMax int
	// CallTimeout is the deadline of a call whose context has none, and the longest for which a peer's call
	// may run here. Default 10 s and, for theirs, ten times as long.
	CallTimeout time.Duration
}

// callTimeoutFactor is how many CallTimeouts a peer's call may run here.
const callTimeoutFactor = 10

func (l Limits) withDefaults() Limits {
	setDuration(&l.HandshakeTimeout, 5*time.Second)
	setDuration(&l.PingInterval, 2*time.Second)
	setDuration(&l.PeerTimeout, 5*time.Second)
	setDuration(&l.WriteTimeout, 5*time.Second)
	setDuration(&l.RedialMin, 100*time.Millisecond)
	setDuration(&l.RedialMax, 2*time.Second)
	setDuration(&l.CallTimeout, 10*time.Second)
	setCount(&l.HandshakesMax, 64)
	setCount(&l.HandshakesPerAddressMax, 16)
	setCount(&l.QueueBytesMax, 2*FrameBytesMax)
	setCount(&l.QueueCountMax, 4096)
	setCount(&l.CallsMax, 32)
	return l
}

func setDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

func setCount(n *int, def int) {
	if *n == 0 {
		*n = def
	}
}

// Validate reports every problem of the configuration at once, or nil.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("transport: "+format, args...)) }
	if c.Suite == nil {
		add("a crypto suite is required")
	}
	if c.Self == nil {
		add("a node key is required")
	}
	if c.Network.IsZero() {
		add("a network id is required")
	}
	if c.Listen != "" && c.Listener == nil {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			add("listen address %q: %w", c.Listen, err)
		}
	}
	if n := len(c.Peers) + len(c.Observers); n > PeersMax {
		add("%d peers, at most %d", n, PeersMax)
	}
	if c.Suite != nil && c.Self != nil {
		if err := c.Suite.CheckPublicKey(c.Self.Public()); err != nil {
			add("own node key: %w", err)
		}
		errs = append(errs, c.checkPeers()...)
	}
	errs = append(errs, c.Limits.withDefaults().check()...)
	return errors.Join(errs...)
}

func (c Config) checkPeers() []error {
	var errs []error
	seen := map[string]string{}
	names := map[string]bool{}
	check := func(p Peer, list string) {
		who := fmt.Sprintf("%s %q (%s)", list, p.Name, short(p.Key))
		if err := c.Suite.CheckPublicKey(p.Key); err != nil {
			errs = append(errs, fmt.Errorf("transport: %s: %w", who, err))
		}
		if other, ok := seen[string(p.Key)]; ok {
			errs = append(errs, fmt.Errorf("transport: %s has the key of %s", who, other))
		}
		seen[string(p.Key)] = who
		if p.Name != "" && names[p.Name] {
			errs = append(errs, fmt.Errorf("transport: %s: two peers have this name", who))
		}
		names[p.Name] = true
		if len(p.Name) > NameBytesMax {
			errs = append(errs, fmt.Errorf("transport: %s: the name is longer than %d bytes", who, NameBytesMax))
		}
		if !utf8.ValidString(p.Name) {
			errs = append(errs, fmt.Errorf("transport: %s: the name is not UTF-8", who))
		}
		if p.Address == "" {
			return
		}
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			errs = append(errs, fmt.Errorf("transport: %s: address %q: %w", who, p.Address, err))
		}
	}
	for _, p := range c.Peers {
		check(p, "peer")
	}
	for _, p := range c.Observers {
		check(p, "observer")
	}
	return errs
}

func (l Limits) check() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("transport: "+format, args...)) }
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"handshake timeout", l.HandshakeTimeout}, {"ping interval", l.PingInterval},
		{"peer timeout", l.PeerTimeout}, {"write timeout", l.WriteTimeout}, {"redial minimum", l.RedialMin},
		{"redial maximum", l.RedialMax}, {"call timeout", l.CallTimeout},
	} {
		if d.value < time.Millisecond || d.value > time.Hour {
			add("the %s is %v, not between 1 ms and 1 h", d.name, d.value)
		}
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{
		{"handshakes", l.HandshakesMax, 4096}, {"handshakes per address", l.HandshakesPerAddressMax, 4096},
		{"messages in a queue", l.QueueCountMax, 1 << 20}, {"calls", l.CallsMax, 1024},
		{"bytes in a queue", l.QueueBytesMax, 1 << 30},
	} {
		if n.value < 1 || n.value > n.max {
			add("%s: %d, not between 1 and %d", n.name, n.value, n.max)
		}
	}
	if l.PeerTimeout < 2*l.PingInterval {
		add("the peer timeout %v is shorter than two ping intervals of %v", l.PeerTimeout, l.PingInterval)
	}
	if l.RedialMin > l.RedialMax {
		add("the redial minimum %v is above the maximum %v", l.RedialMin, l.RedialMax)
	}
	return errs
}

// short returns the first eight hexadecimal digits of a key, for people.
func short(k suite.PublicKey) string {
	s := k.String()
	return s[:min(len(s), 8)]
}
