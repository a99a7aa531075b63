package nodes

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"aval/internal/node"
	"aval/internal/transport"
	"aval/suite"
)

// weather is how a directed way between two sites is at the moment.
type weather struct {
	// cut ways carry nothing; what is under way is lost.
	cut bool
	// lossPerMille and dupPerMille are the shares of messages that are lost or come twice.
	lossPerMille, dupPerMille int
	// delay is the least time under way, jitter what may come on top. The order on one way and channel stays.
	delay, jitter time.Duration
}

// network carries what whole nodes say to each other. A site is where one node runs. Two sites may have one key: what is
// addressed to it reaches both.
type network struct {
	mu    sync.Mutex
	rng   *rand.Rand
	sites []*endpoint // what runs there, nil while nothing does
	ways  map[[2]int]*weather
	// deaf says until when a mended way stays dead: the real transport has to dial again.
	deaf map[[2]int]time.Time
	// sent and lost count messages.
	sent, lost int
}

func newNetwork(sites int, rng *rand.Rand) *network {
	n := &network{rng: rng, sites: make([]*endpoint, sites), ways: map[[2]int]*weather{}, deaf: map[[2]int]time.Time{}}
	for from := range sites {
		for to := range sites {
			n.ways[[2]int{from, to}] = &weather{delay: time.Millisecond}
		}
	}
	return n
}

// change changes a way.
func (n *network) change(from, to int, change func(*weather)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n.ways[[2]int{from, to}])
}

// mend makes all ways good. Those that were cut stay dead for as long as dialling again may take. It returns when all stand.
func (n *network) mend() (stand time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for from := range n.sites {
		for to := range n.sites {
			w := n.ways[[2]int{from, to}]
			if w.cut || n.ways[[2]int{to, from}].cut {
				pair := [2]int{min(from, to), max(from, to)}
				if _, ok := n.deaf[pair]; !ok {
					n.deaf[pair] = time.Now().Add(time.Duration(n.rng.IntN(int(redialMax))))
				}
			}
		}
	}
	for _, w := range n.ways {
		*w = weather{delay: time.Millisecond}
	}
	stand = time.Now()
	for _, until := range n.deaf {
		if until.After(stand) {
			stand = until
		}
	}
	return stand
}

// redialMax is the longest pause of the real transport between two attempts to reach a peer.
const redialMax = 2 * time.Second

// passes reports whether something can go from one site to another now. The caller holds mu.
func (n *network) passes(from, to int) bool {
	if n.ways[[2]int{from, to}].cut {
		return false
	}
	pair := [2]int{min(from, to), max(from, to)}
	if until, ok := n.deaf[pair]; ok {
		if time.Now().Before(until) {
			return false
		}
		delete(n.deaf, pair)
	}
	return true
}

// targets returns who runs under a key, but for one. The caller holds mu.
func (n *network) targets(key suite.PublicKey, but *endpoint) (out []*endpoint) {
	for _, e := range n.sites {
		if e != nil && e != but && e.open() && bytes.Equal(e.cfg.Self.Public(), key) {
			out = append(out, e)
		}
	}
	return out
}

// fate draws how often something is delivered, and after what time. The caller holds mu.
func (n *network) fate(from, to int) (copies int, delay time.Duration) {
	w := n.ways[[2]int{from, to}]
	n.sent++
	copies, delay = 1, w.delay
	if w.jitter > 0 {
		delay += time.Duration(n.rng.Int64N(int64(w.jitter)))
	}
	switch draw := n.rng.IntN(1000); {
	case !n.passes(from, to), draw < w.lossPerMille:
		n.lost++
		copies = 0
	case draw >= 1000-w.dupPerMille:
		copies = 2
	}
	return copies, delay
}

// endpoint is the links of one life of a node.
type endpoint struct {
	net      *network
	site     int
	cfg      transport.Config
	messages map[transport.Channel]transport.MessageHandler
	calls    map[transport.Channel]transport.CallHandler
	// liar, if set, says what goes out instead of the truth.
	liar *liar

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu sync.Mutex
	// gone is set when the node has crashed or closed: nothing goes out or comes in any more.
	gone  bool
	pipes map[pipeName]*pipe
}

type pipeName struct {
	from    int
	channel transport.Channel
}

// pipe is one channel of one way: its messages arrive in order.
type pipe struct {
	queue []arriving
	last  time.Time
	wake  chan struct{}
}

type arriving struct {
	at   time.Time
	body []byte
}

// pipeMax bounds what is under way on one pipe, as the real transport's queues do.
const pipeMax = 4096

var _ node.Links = (*endpoint)(nil)

func newEndpoint(net *network, site int, cfg transport.Config) *endpoint {
	e := &endpoint{net: net, site: site, cfg: cfg, messages: map[transport.Channel]transport.MessageHandler{},
		calls: map[transport.Channel]transport.CallHandler{}, pipes: map[pipeName]*pipe{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Handle implements node.Links.
func (e *endpoint) Handle(c transport.Channel, fn transport.MessageHandler) { e.messages[c] = fn }

// HandleCall implements node.Links.
func (e *endpoint) HandleCall(c transport.Channel, fn transport.CallHandler) { e.calls[c] = fn }

// Start implements node.Links.
func (e *endpoint) Start(context.Context) error {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.net.sites[e.site] = e
	return nil
}

// freeze takes the node off the network at once, for ever.
func (e *endpoint) freeze() {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.net.sites[e.site] == e {
		e.net.sites[e.site] = nil
	}
	e.mu.Lock()
	e.gone = true
	e.mu.Unlock()
}

func (e *endpoint) open() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.gone
}

// Close implements node.Links.
func (e *endpoint) Close() error {
	e.freeze()
	e.cancel()
	e.tasks.Wait()
	return nil
}

// Send implements node.Links.
func (e *endpoint) Send(to suite.PublicKey, c transport.Channel, body []byte) error {
	if len(body) > transport.FrameBytesMax {
		return transport.ErrTooLarge
	}
	if e.liar != nil {
		var err error
		for _, m := range e.liar.message(to, c, body) {
			err = e.deliver(to, c, m)
		}
		return err
	}
	return e.deliver(to, c, body)
}

func (e *endpoint) deliver(to suite.PublicKey, c transport.Channel, body []byte) error {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if !e.open() {
		return transport.ErrNotConnected
	}
	targets := e.net.targets(to, e)
	if len(targets) == 0 {
		return transport.ErrNotConnected
	}
	for _, t := range targets {
		copies, delay := e.net.fate(e.site, t.site)
		for range copies {
			t.arrive(pipeName{e.site, c}, e.cfg.Self.Public(), body, time.Now().Add(delay))
		}
	}
	return nil
}

// arrive puts a message of the node with a key on its pipe.
func (e *endpoint) arrive(name pipeName, key suite.PublicKey, body []byte, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.messages[name.channel] == nil {
		return
	}
	p := e.pipes[name]
	if p == nil {
		p = &pipe{wake: make(chan struct{}, 1)}
		e.pipes[name] = p
		from := e.peer(key)
		e.tasks.Go(func() { e.carry(name, from, p) })
	}
	if len(p.queue) >= pipeMax {
		return
	}
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	p.queue = append(p.queue, arriving{at, body})
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// carry hands over what arrives on a pipe, one message after another.
func (e *endpoint) carry(name pipeName, from transport.Peer, p *pipe) {
	for e.ctx.Err() == nil {
		e.mu.Lock()
		var next arriving
		waiting := len(p.queue) > 0
		if waiting {
			next = p.queue[0]
		}
		e.mu.Unlock()
		if !waiting {
			select {
			case <-p.wake:
			case <-e.ctx.Done():
			}
			continue
		}
		if !pause(e.ctx, time.Until(next.at)) {
			return
		}
		e.mu.Lock()
		p.queue = p.queue[1:]
		e.mu.Unlock()
		if e.reachedFrom(name.from) {
			e.messages[name.channel](e.ctx, from, next.body)
		}
	}
}

// reachedFrom reports whether what was sent at a site arrives here now.
func (e *endpoint) reachedFrom(site int) bool {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.open() && e.net.passes(site, e.site)
}

// pause waits and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// peer returns the peer with a key.
func (e *endpoint) peer(key suite.PublicKey) transport.Peer {
	for _, p := range slices.Concat(e.cfg.Peers, e.cfg.Observers) {
		if bytes.Equal(p.Key, key) {
			return p
		}
	}
	return transport.Peer{}
}

// callTimeout is the deadline of a call whose context has none.
const callTimeout = 10 * time.Second

type answer struct {
	body []byte
	err  error
}

// Call implements node.Links. What is lost is missed when the deadline comes.
func (e *endpoint) Call(ctx context.Context, to suite.PublicKey, c transport.Channel, request []byte) ([]byte, error) {
	if len(request) > transport.FrameBytesMax {
		return nil, transport.ErrTooLarge
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e.net.mu.Lock()
	targets := e.net.targets(to, e)
	gone := !e.open()
	e.net.mu.Unlock()
	if gone || len(targets) == 0 || e.liar != nil && !e.liar.calls(to, c, request) {
		return nil, transport.ErrNotConnected
	}
	answers := make(chan answer, len(targets))
	for _, t := range targets {
		t.work(func() { e.ask(ctx, t, c, request, answers) })
	}
	select {
	case a := <-answers:
		return a.body, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-e.ctx.Done():
		return nil, transport.ErrLinkLost
	}
}

// work runs fn as a task of the endpoint, unless that is gone.
func (e *endpoint) work(fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.gone {
		e.tasks.Go(fn)
	}
}

// ask takes a request to another endpoint and its answer back. It runs as a task of that other.
func (e *endpoint) ask(ctx context.Context, t *endpoint, c transport.Channel, request []byte, answers chan<- answer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	if !e.travel(ctx, e.site, t.site) || !t.open() {
		return
	}
	handler := t.calls[c]
	var a answer
	if handler == nil {
		a.err = &transport.RemoteError{Text: "nothing answers on this channel"}
	} else if a.body, a.err = handler(ctx, t.peer(e.cfg.Self.Public()), request); a.err != nil {
		a.err = &transport.RemoteError{Text: a.err.Error()}
	}
	if t.liar != nil {
		a = t.liar.answer(ctx, e.cfg.Self.Public(), c, request, a)
	}
	if len(a.body) > transport.FrameBytesMax {
		a = answer{err: &transport.RemoteError{Text: "the answer is too large"}}
	}
	if t.open() && e.travel(ctx, t.site, e.site) {
		answers <- a
	}
}

// travel waits until something has gone from one site to another, and returns false if it is lost.
func (e *endpoint) travel(ctx context.Context, from, to int) bool {
	e.net.mu.Lock()
	copies, delay := e.net.fate(from, to)
	e.net.mu.Unlock()
	if copies == 0 || !pause(ctx, delay) {
		return false
	}
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.net.passes(from, to)
}

// Connected implements node.Links.
func (e *endpoint) Connected(key suite.PublicKey) bool {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	for _, t := range e.net.targets(key, e) {
		if e.net.passes(e.site, t.site) && e.net.passes(t.site, e.site) {
			return true
		}
	}
	return false
}

// Status implements node.Links.
func (e *endpoint) Status() (out []transport.PeerStatus) {
	for _, p := range slices.Concat(e.cfg.Peers, e.cfg.Observers) {
		if bytes.Equal(p.Key, e.cfg.Self.Public()) {
			continue
		}
		s := transport.PeerStatus{Name: p.Name, Key: p.Key, Address: p.Address, Observer: p.Observer, Connected: e.Connected(p.Key)}
		if !s.Connected {
			s.LastError = errNoWay.Error()
		}
		out = append(out, s)
	}
	return out
}

var errNoWay = errors.New("no way to it")
