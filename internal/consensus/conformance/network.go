package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"aval/internal/consensus"
	"aval/suite"
)

// Network carries messages between engines in one process: in order from one to another, or not at all. Every node stands for a
// validator. Two nodes may stand for the same: then both get what is sent to it.
type Network struct {
	n     int
	ids   []uint16 // by node
	mu    sync.Mutex
	nodes []consensus.Engine
	// cut holds the directed links that carry nothing; loss is the share of messages lost, of 1000.
	cut  map[[2]int]bool
	loss int
	rng  *rand.Rand
	// tap, if set, sees every message and may replace it; nil drops it.
	tap   func(from, to int, request bool, message []byte) []byte
	pipes map[[2]int]*pipe
	tasks sync.WaitGroup
}

type parcel struct {
	request bool
	message []byte
}

// pipe is an unbounded queue from one node to another.
type pipe struct {
	mu     sync.Mutex
	queue  []parcel
	closed bool
	wake   chan struct{}
}

// NewNetwork returns links between n nodes, each a validator of its own. seed makes losses repeatable.
func NewNetwork(n int, seed uint64) *Network {
	ids := make([]uint16, n)
	for i := range ids {
		ids[i] = uint16(i)
	}
	return NewNetworkOf(ids, seed)
}

// NewNetworkOf returns links between nodes that stand for these validators.
func NewNetworkOf(ids []uint16, seed uint64) *Network {
	n := len(ids)
	net := &Network{n: n, ids: ids, nodes: make([]consensus.Engine, n), cut: map[[2]int]bool{}, pipes: map[[2]int]*pipe{},
		rng: rand.New(rand.NewPCG(seed, 1))}
	for from := range n {
		for to := range n {
			if from == to {
				continue
			}
			p := &pipe{wake: make(chan struct{}, 1)}
			net.pipes[[2]int{from, to}] = p
			net.tasks.Add(1)
			go net.carry(from, to, p)
		}
	}
	return net
}

func (n *Network) carry(from, to int, p *pipe) {
	defer n.tasks.Done()
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return
		}
		if len(p.queue) == 0 {
			p.mu.Unlock()
			<-p.wake
			continue
		}
		m := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		n.mu.Lock()
		e := n.nodes[to]
		n.mu.Unlock()
		switch {
		case e == nil:
		case m.request:
			e.ReceiveRequest(n.ids[from], m.message)
		default:
			e.Receive(n.ids[from], m.message)
		}
	}
}

func (n *Network) send(from, to int, m parcel) {
	n.mu.Lock()
	p := n.pipes[[2]int{from, to}]
	lost := p == nil || n.cut[[2]int{from, to}] || n.nodes[from] == nil || n.loss > 0 && n.rng.IntN(1000) < n.loss
	tap := n.tap
	n.mu.Unlock()
	if lost {
		return
	}
	if tap != nil {
		if m.message = tap(from, to, m.request, m.message); m.message == nil {
			return
		}
	}
	p.put(m)
}

// Inject sends a message of the consensus channel past tap and loss, as if a node had sent it to another, unless the link is cut.
func (n *Network) Inject(from, to int, message []byte) {
	n.mu.Lock()
	p, cut := n.pipes[[2]int{from, to}], n.cut[[2]int{from, to}]
	n.mu.Unlock()
	if p != nil && !cut {
		p.put(parcel{false, message})
	}
}

func (p *pipe) put(m parcel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, m)
	p.poke()
}

func (p *pipe) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Attach puts an engine behind a node; nil takes it off the network.
func (n *Network) Attach(node int, e consensus.Engine) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[node] = e
}

// Cut breaks or mends the link from one node to another.
func (n *Network) Cut(from, to int, broken bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]int{from, to}] = broken
}

// Isolate breaks or mends all links of a node.
func (n *Network) Isolate(node int, broken bool) {
	for other := range n.n {
		if other != node {
			n.Cut(node, other, broken)
			n.Cut(other, node, broken)
		}
	}
}

// Lose sets how many of 1000 messages are lost.
func (n *Network) Lose(perMille int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = perMille
}

// Tap has f see every message on its way; it returns what is delivered instead, nil for nothing.
func (n *Network) Tap(f func(from, to int, request bool, message []byte) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = f
}

// Close ends all links.
func (n *Network) Close() {
	for _, p := range n.pipes {
		p.mu.Lock()
		p.closed = true
		p.poke()
		p.mu.Unlock()
	}
	n.tasks.Wait()
}

// connected reports whether a can ask b and hear its answer.
func (n *Network) connected(a, b int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nodes[b] != nil && !n.cut[[2]int{a, b}] && !n.cut[[2]int{b, a}]
}

// Links returns a node's end.
func (n *Network) Links(node int) consensus.Links { return &links{n, node} }

// links is one node's end.
type links struct {
	net  *Network
	self int
}

// Send implements consensus.Links.
func (l *links) Send(to uint16, message []byte) { l.toAll(to, parcel{false, message}) }

// SendRequest implements consensus.Links.
func (l *links) SendRequest(to uint16, request []byte) { l.toAll(to, parcel{true, request}) }

// toAll sends to every node that stands for a validator.
func (l *links) toAll(to uint16, m parcel) {
	for node, id := range l.net.ids {
		if id == to && node != l.self {
			l.net.send(l.self, node, m)
		}
	}
}

// NewSyncer returns what fetches blocks for a node from the ledgers of the others, given by node.
func NewSyncer(s suite.Suite, net *Network, node int, ledgers []*Ledger) consensus.Syncer {
	return &syncer{s, net, node, ledgers}
}

// syncer fetches blocks from the other nodes' ledgers.
type syncer struct {
	suite   suite.Suite
	net     *Network
	self    int
	ledgers []*Ledger
}

// syncLatency is how long it takes to ask the others.
const syncLatency = 10 * time.Millisecond

// Sync implements consensus.Syncer. Certified blocks are taken from whoever has them.
func (s *syncer) Sync(ctx context.Context) error {
	own := s.ledgers[s.self]
	for ctx.Err() == nil {
		latency := time.NewTimer(syncLatency)
		select {
		case <-latency.C:
		case <-ctx.Done():
			latency.Stop()
			return ctx.Err()
		}
		var from []*Ledger
		head := own.Height()
		for i, l := range s.ledgers {
			if i != s.self && s.net.connected(s.self, i) {
				from = append(from, l)
				head = max(head, l.Height())
			}
		}
		if len(from) == 0 {
			return errors.New("conformance: nobody answers")
		}
		if own.Height() == head {
			return nil
		}
		if err := fetch(own, from); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fetch commits the block after own's head from whoever has it.
func fetch(own *Ledger, from []*Ledger) error {
	for _, l := range from {
		if b, err := l.Block(own.Height() + 1); err == nil {
			return own.Commit(b)
		}
	}
	return errors.New("conformance: nobody has the next block")
}
