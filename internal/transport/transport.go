package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"aval/internal/clock"
	"aval/suite"
)

// Transport holds the links of one node. Its methods are safe for concurrent use.
type Transport struct {
	suite            suite.Suite
	network, genesis suite.Hash
	self             suite.Signer
	limits           Limits
	listen           string
	dialRaw          func(ctx context.Context, address string) (net.Conn, error)
	clock            clock.Clock
	log              *slog.Logger
	metrics          *metrics
	handlers         handlers
	refusals         refusals
	gate             *gate
	// instance is drawn anew at each start of the node.
	instance             [instanceBytes]byte
	serverTLS, clientTLS *tls.Config
	// peers is by key and ordered by name; neither changes after New.
	peers   map[string]*peer
	ordered []*peer

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	state    state
}

type state uint8

const (
	stateNew state = iota
	stateStarted
	stateClosed
)

// errReplaced ends a link that a newer one with the same peer replaces.
var errReplaced = errors.New("transport: replaced by a newer link")

// New makes a transport. It opens no socket before Start.
func New(cfg Config) (*Transport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.Real()
	}
	t := &Transport{
		suite: cfg.Suite, network: cfg.Network, genesis: cfg.Genesis, self: cfg.Self, limits: cfg.Limits,
		listen: cfg.Listen, listener: cfg.Listener, dialRaw: cfg.Dial, clock: cfg.Clock, log: cfg.Logger,
		gate:  newGate(cfg.Limits.HandshakesMax, cfg.Limits.HandshakesPerAddressMax),
		peers: map[string]*peer{},
	}
	t.refusals.loggedAt = map[Cause]time.Time{}
	if _, err := io.ReadFull(rand.Reader, t.instance[:]); err != nil {
		return nil, fmt.Errorf("transport: draw an instance number: %w", err)
	}
	var err error
	if t.serverTLS, t.clientTLS, err = tlsConfigs(cfg.Suite, cfg.Self); err != nil {
		return nil, err
	}
	t.addPeers(cfg.Peers, false)
	t.addPeers(cfg.Observers, true)
	t.metrics, err = newMetrics(t, cfg.Registerer)
	return t, err
}

func (t *Transport) addPeers(list []Peer, observer bool) {
	self := t.self.Public()
	for _, p := range list {
		if string(p.Key) == string(self) {
			continue
		}
		peer := newPeer(p, self, observer)
		for _, other := range t.ordered {
			if other.label == peer.label {
				peer.label = p.Key.String()
			}
		}
		t.peers[string(p.Key)] = peer
		t.ordered = append(t.ordered, peer)
	}
	sort.SliceStable(t.ordered, func(i, j int) bool { return t.ordered[i].label < t.ordered[j].label })
}

// Start opens the listener and begins to dial. The transport ends with ctx or with Close.
func (t *Transport) Start(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != stateNew {
		return errors.New("transport: started before")
	}
	if t.listener == nil && t.listen != "" {
		var lc net.ListenConfig
		listener, err := lc.Listen(ctx, "tcp", t.listen)
		if err != nil {
			return fmt.Errorf("transport: listen: %w", err)
		}
		t.listener = listener
	}
	t.state = stateStarted
	t.ctx, t.cancel = context.WithCancel(ctx)
	if listener := t.listener; listener != nil {
		context.AfterFunc(t.ctx, func() { t.closeListener(listener) })
		t.wg.Go(func() { t.acceptLoop(listener) })
	}
	for _, p := range t.ordered {
		if p.dials {
			t.wg.Go(func() { t.dialLoop(p) })
		}
	}
	return nil
}

// Close ends all links and waits for all goroutines, handlers included; a handler must heed its context.
func (t *Transport) Close() error {
	t.mu.Lock()
	was := t.state
	t.state = stateClosed
	if was == stateNew && t.listener != nil {
		t.closeListener(t.listener)
	}
	t.mu.Unlock()
	if was == stateStarted {
		t.cancel()
		t.wg.Wait()
	}
	t.metrics.unregister()
	return nil
}

// Addr returns the address on which links are accepted, nil before Start or if there is none.
func (t *Transport) Addr() net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener == nil {
		return nil
	}
	return t.listener.Addr()
}

// MessageHandler receives one-way messages. For one peer and channel it is called with one message after
// another, in the order in which they were sent. While it runs, later ones wait, and beyond the bound of the
// queue they are dropped: it should be quick. ctx ends with the link; see ReceivedAt. It may keep msg.
type MessageHandler func(ctx context.Context, from Peer, msg []byte)

// CallHandler answers calls, many at a time. ctx ends with the link, at the caller's deadline, or when the
// caller gives up. An error's text is sent to the caller. It may keep req.
type CallHandler func(ctx context.Context, from Peer, req []byte) ([]byte, error)

// handlers is written before Start as a rule, and read for every message.
type handlers struct {
	messages [channelMax + 1]atomic.Pointer[MessageHandler]
	calls    [channelMax + 1]atomic.Pointer[CallHandler]
}

func (h *handlers) oneWay(c Channel) MessageHandler {
	if fn := h.messages[c].Load(); fn != nil {
		return *fn
	}
	return nil
}

func (h *handlers) call(c Channel) CallHandler {
	if fn := h.calls[c].Load(); fn != nil {
		return *fn
	}
	return nil
}

// Handle sets the handler of one-way messages on a channel, best before Start. Messages on a channel without a
// handler are dropped. It panics on a channel that does not exist.
func (t *Transport) Handle(c Channel, fn MessageHandler) {
	if !c.valid() {
		panic(ErrChannel)
	}
	t.handlers.messages[c].Store(&fn)
}

// HandleCall sets the handler of calls on a channel, best before Start. Calls on a channel without a handler
// are answered with an error. It panics on a channel that does not exist.
func (t *Transport) HandleCall(c Channel, fn CallHandler) {
	if !c.valid() {
		panic(ErrChannel)
	}
	t.handlers.calls[c].Store(&fn)
}

// Send queues a one-way message and returns at once. The error is ErrNotConnected, ErrQueueFull, ErrTooLarge,
// ErrUnknownPeer or ErrChannel; the message was dropped then. No error means queued, not arrived. The caller
// must not change msg afterwards; it may send the same msg to several peers.
func (t *Transport) Send(to suite.PublicKey, c Channel, msg []byte) error {
	p, err := t.recipient(to, c, msg)
	if err != nil {
		return err
	}
	l, _ := p.current()
	if l == nil {
		t.metrics.drop(p, c, dropNotConnected, 1)
		return ErrNotConnected
	}
	err = l.out.push(c, item{kind: kindMessage, body: msg})
	switch {
	case errors.Is(err, ErrQueueFull):
		t.metrics.drop(p, c, dropQueueFull, 1)
	case err != nil:
		t.metrics.drop(p, c, dropNotConnected, 1)
	}
	return err
}

// Call sends a request and waits for the answer, for a place among the calls in flight, and for room in the
// queue, until ctx ends; without a deadline in ctx, at most Limits.CallTimeout. Errors, beside those of Send:
// RemoteError if the peer answered with one, ErrLinkLost if it may or may not have acted, and ctx's.
func (t *Transport) Call(ctx context.Context, to suite.PublicKey, c Channel, req []byte) ([]byte, error) {
	p, err := t.recipient(to, c, req)
	if err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.limits.CallTimeout)
		defer cancel()
	}
	l, _ := p.current()
	if l == nil {
		return nil, ErrNotConnected
	}
	return l.call(ctx, c, req)
}

func (t *Transport) recipient(to suite.PublicKey, c Channel, msg []byte) (*peer, error) {
	p, ok := t.peers[string(to)]
	switch {
	case !ok:
		return nil, ErrUnknownPeer
	case !c.valid(), c == Consensus && p.Observer:
		return nil, ErrChannel
	case len(msg) > FrameBytesMax:
		return nil, ErrTooLarge
	}
	return p, nil
}

// Peers returns the configured peers, validators and observers, ordered by name.
func (t *Transport) Peers() []Peer {
	list := make([]Peer, 0, len(t.ordered))
	for _, p := range t.ordered {
		list = append(list, p.Peer)
	}
	return list
}

// Connected reports whether there is a link with the peer now.
func (t *Transport) Connected(key suite.PublicKey) bool {
	p, ok := t.peers[string(key)]
	if !ok {
		return false
	}
	l, _ := p.current()
	return l != nil
}

// Status returns the state of every peer, ordered by name.
func (t *Transport) Status() []PeerStatus {
	list := make([]PeerStatus, 0, len(t.ordered))
	for _, p := range t.ordered {
		list = append(list, p.status())
	}
	return list
}

// Refusals returns the newest incoming connections that were refused, oldest first. Claims that were not proved
// are not attributed to a peer.
func (t *Transport) Refusals() []Refused { return t.refusals.list() }

// runLink serves an admitted link until it ends.
func (t *Transport) runLink(l *link) {
	p := l.peer
	t.log.Info("peer link up",
		slog.String("peer", p.label), slog.String("remote", l.raw.RemoteAddr().String()), slog.Bool("dialed", l.dialed))
	err := l.run()
	wasCurrent := p.ended(l, t.clock.Now(), err)
	switch {
	case t.ctx.Err() != nil:
	case !wasCurrent:
		t.log.Debug("peer link replaced", slog.String("peer", p.label))
	default:
		t.metrics.refusal(causeOf(err))
		t.log.Warn("peer link lost", slog.String("peer", p.label), slog.String("cause", causeOf(err).String()), slog.Any("error", err))
	}
	l.finish()
}

func (t *Transport) closeListener(listener net.Listener) {
	if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.log.Warn("close of the peer listener failed", slog.Any("error", err))
	}
}

// closeConn closes a socket of which nothing more is expected.
func (t *Transport) closeConn(raw net.Conn) {
	if err := raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.log.Debug("close of a connection failed", slog.Any("error", err))
	}
}
