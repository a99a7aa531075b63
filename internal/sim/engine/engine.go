package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aval/codec"
	"aval/internal/clock"
	"aval/internal/consensus"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// Config is what an engine needs. Every field is required unless it says otherwise.
type Config struct {
	Suite   suite.Suite
	Network suite.Hash
	Self    uint16
	Signer  suite.Signer
	Ledger  consensus.Ledger
	// Ready reports whether a block of this height may be assembled, validated and committed without waiting.
	Ready func(ledger.Height) bool
	// Store keeps the record of votes.
	Store kv.Store
	Links consensus.Links
	// Clock measures how long views take; the wall clock is the ledger's.
	Clock clock.Clock
	// Restored says that Store or ledger were lost or came from a backup: the validator observes before it signs. Default false.
	Restored bool
	// Behind is told that a validator says it has more blocks.
	Behind func(from uint16)
	// Signing is told of every header before it is voted for. Default: nobody is.
	Signing func(h *ledger.Header)
	// Logger is told what the validator says. Default: nobody is.
	Logger *slog.Logger
}

// The times of an engine.
const (
	// ViewTimeout is how long the first view at a height may take once there is something to order; each further one may take
	// viewStep more, up to viewTimeoutMax.
	ViewTimeout    = time.Second
	viewStep       = 500 * time.Millisecond
	viewTimeoutMax = 4 * time.Second
	// resendEvery is how often what was said is said again while a height is in work, standEvery how often a validator says where
	// it stands in any case.
	resendEvery = 250 * time.Millisecond
	standEvery  = 500 * time.Millisecond
	// forwardAfter is how long a request waits before the leader is given it, forwardAll before all are.
	forwardAfter = 300 * time.Millisecond
	forwardAll   = 700 * time.Millisecond
	// poolMax bounds the requests that wait, staleAfter how long one may.
	poolMax    = 1024
	staleAfter = 20 * time.Minute
	// viewsAhead bounds for how many views ahead messages are kept.
	viewsAhead = 16
)

// request is one that waits to be ordered.
type request struct {
	id        consensus.RequestID
	raw       []byte
	since     time.Time
	forwarded int
}

// proposal is what the leader of a view proposed.
type proposal struct {
	raw    []byte
	block  *ledger.Block
	header suite.Hash
	proof  *Proof
	// fresh says that the wall time was near this node's when the proposal came; judged that it was validated, and valid what came of
	// that.
	fresh, judged, valid bool
}

// stand is where another validator says it stands.
type stand struct {
	height ledger.Height
	view   uint64
}

// Engine is one validator. It is not safe for concurrent use.
type Engine struct {
	cfg    Config
	set    ledger.ValidatorSet
	record record

	// height is the one in work, one above the ledger's head; view is the present one there, entered at since, zero while there is
	// nothing to order.
	height ledger.Height
	view   uint64
	since  time.Time
	// first is the view with which the height began.
	first uint64

	pool      []request
	proposals map[uint64]*proposal
	prepares  map[uint64]map[uint16]Message
	commits   map[uint64]map[uint16]Message
	// decided is the block of this height once that is certain, why its proof; votes are the newest of each validator.
	decided *proposal
	why     *Proof
	votes   map[uint16]Message
	stands  []stand

	resent, stood time.Time
	err           error
}

// New returns an engine that goes on where the record of votes and the ledger stand.
func New(cfg Config) (*Engine, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg}
	_, e.set = cfg.Ledger.Epoch()
	e.stands = make([]stand, len(e.set))
	if err := e.load(); err != nil {
		return nil, err
	}
	e.begin()
	return e, nil
}

// begin turns to the height after the ledger's head.
func (e *Engine) begin() {
	head := e.cfg.Ledger.Head()
	e.height = head.Header.Height + 1
	e.view, e.since = 0, time.Time{}
	if head.Header.Height > 0 {
		e.view, _ = ViewOf(head) // a certified block has a view that decodes
	}
	if e.record.Height == e.height {
		e.view = max(e.view, e.record.View)
	}
	e.first = e.view
	e.proposals, e.prepares, e.commits = map[uint64]*proposal{}, map[uint64]map[uint16]Message{}, map[uint64]map[uint16]Message{}
	e.decided, e.why, e.votes = nil, nil, map[uint16]Message{}
	e.prune()
}

// prune drops requests that were ordered.
func (e *Engine) prune() {
	now := e.cfg.Clock.Now()
	e.pool = slices.DeleteFunc(e.pool, func(r request) bool {
		return e.cfg.Ledger.Ordered(r.id) || now.Sub(r.since) > staleAfter || e.staleTick(r.raw)
	})
}

// staleTick reports whether a request is a tick for a height that is past.
func (e *Engine) staleTick(raw []byte) bool {
	r, err := ledger.DecodeOrderingRequest(raw)
	if err != nil || r.Kind != ledger.RequestTick {
		return err != nil
	}
	t, err := ledger.DecodeTick(r.Body)
	return err != nil || t.Height < e.height
}

// Err returns what stopped the engine: its store failed. It signs nothing more.
func (e *Engine) Err() error { return e.err }

// View returns the present view.
func (e *Engine) View() uint64 { return e.view }

// Pending returns how many requests wait.
func (e *Engine) Pending() int { return len(e.pool) }

func (e *Engine) leader(view uint64) uint16 { return uint16(view % uint64(len(e.set))) }

// Submit takes an ordering request. One that is ordered or waits already is no error.
func (e *Engine) Submit(raw []byte) error {
	id, err := e.cfg.Ledger.RequestID(raw)
	if err != nil {
		return err
	}
	if e.cfg.Ledger.Ordered(id) || slices.ContainsFunc(e.pool, func(r request) bool { return r.id == id }) {
		return nil
	}
	if len(e.pool) == poolMax {
		return consensus.ErrBusy
	}
	e.pool = append(e.pool, request{id: id, raw: slices.Clone(raw), since: e.cfg.Clock.Now()})
	e.advance()
	return nil
}

// Poke says that the ledger may have moved: a block came by another way, or one was executed.
func (e *Engine) Poke() {
	if e.cfg.Ledger.Head().Header.Height >= e.height {
		e.begin()
	}
	e.advance()
}

// Tick says that time has passed.
func (e *Engine) Tick() {
	now := e.cfg.Clock.Now()
	if e.busy() {
		if e.since.IsZero() {
			e.since = now
		}
		if now.Sub(e.since) >= min(viewTimeoutMax, ViewTimeout+time.Duration(e.view-e.first)*viewStep) && e.accompanied() {
			e.enter(e.view + 1)
		}
		if now.Sub(e.resent) >= resendEvery {
			e.resent = now
			e.resend()
		}
	} else {
		e.since = time.Time{}
	}
	if now.Sub(e.stood) >= standEvery {
		e.stood = now
		e.broadcast(&Message{Kind: kindStand, Height: e.height, View: e.view, Head: e.height - 1})
	}
	e.forward(now)
	e.advance()
}

// accompanied reports whether a quorum has come to the present view: nobody runs ahead of the others, who would never meet it.
func (e *Engine) accompanied() bool {
	here := 1
	for i := range e.stands {
		if s := e.stands[i]; uint16(i) != e.cfg.Self && s.height == e.height && s.view >= e.view {
			here++
		}
	}
	return here >= e.set.Quorum()
}

// busy reports whether the height is in work.
func (e *Engine) busy() bool {
	return len(e.pool) > 0 || len(e.proposals) > 0 || e.decided != nil || e.lockAt() != nil
}

// enter goes on to a later view.
func (e *Engine) enter(view uint64) {
	e.view, e.since = view, e.cfg.Clock.Now()
	e.resent = time.Time{}
}

// forward gives requests that have waited for long to the leader, and later to everybody, who will then want them ordered.
func (e *Engine) forward(now time.Time) {
	for i := range e.pool {
		r := &e.pool[i]
		switch waited := now.Sub(r.since); {
		case waited >= forwardAll && waited >= time.Duration(r.forwarded)*forwardAll:
			r.forwarded++
			for to := range e.set {
				if uint16(to) != e.cfg.Self {
					e.cfg.Links.SendRequest(uint16(to), r.raw)
				}
			}
		case waited >= forwardAfter && r.forwarded == 0:
			r.forwarded = 1
			if leader := e.leader(e.view); leader != e.cfg.Self {
				e.cfg.Links.SendRequest(leader, r.raw)
			}
		}
	}
}

// resend says again what was said in the present view.
func (e *Engine) resend() {
	if p := e.proposals[e.view]; p != nil && e.leader(e.view) == e.cfg.Self {
		e.send(&Message{Kind: kindProposal, Height: e.height, View: e.view, Block: p.raw, Proof: p.proof})
	}
	for _, said := range []map[uint16]Message{e.prepares[e.view], e.commits[e.view], e.votes} {
		if m, ok := said[e.cfg.Self]; ok {
			e.send(&m)
		}
	}
	e.send(&Message{Kind: kindStand, Height: e.height, View: e.view, Head: e.height - 1})
}

// send gives a message to all others.
func (e *Engine) send(m *Message) {
	raw := codec.MustMarshal(m)
	for to := range e.set {
		if uint16(to) != e.cfg.Self {
			e.cfg.Links.Send(uint16(to), raw)
		}
	}
}

// broadcast gives a message to all others, and its signed part to this validator.
func (e *Engine) broadcast(m *Message) {
	if m.Kind != kindStand {
		e.cfg.Logger.Debug("says", slog.Int("kind", int(m.Kind)), slog.Uint64("height", uint64(m.Height)), slog.Uint64("view", m.View),
			slog.Any("hash", m.Hash))
	}
	switch m.Kind {
	case kindPrepare:
		keep(e.prepares, m, e.cfg.Self)
	case kindCommit:
		keep(e.commits, m, e.cfg.Self)
	case kindVote:
		e.votes[e.cfg.Self] = *m
	case kindProposal, kindStand:
	}
	e.send(m)
}

// keep files the first message of a validator in a view.
func keep(in map[uint64]map[uint16]Message, m *Message, from uint16) {
	if in[m.View] == nil {
		in[m.View] = map[uint16]Message{}
	}
	if _, ok := in[m.View][from]; !ok {
		in[m.View][from] = *m
	}
}

// Receive takes a message of the authenticated validator from.
func (e *Engine) Receive(from uint16, raw []byte) {
	m, err := decode(raw)
	if err != nil || int(from) >= len(e.set) || from == e.cfg.Self {
		return
	}
	if m.Kind == kindStand {
		e.hear(from, m)
		return
	}
	if m.Height != e.height || m.Kind != kindVote && (m.View > e.view+viewsAhead || m.View < e.first) {
		if m.Height > e.height {
			e.cfg.Behind(from)
		}
		return
	}
	switch m.Kind {
	case kindProposal:
		e.receiveProposal(from, m)
	case kindPrepare:
		if e.cfg.Suite.Verify(e.set[from].Key, domainPrepare, e.saidBytes(m.View, m.Hash), m.Sig) {
			keep(e.prepares, m, from)
		}
	case kindCommit:
		if e.cfg.Suite.Verify(e.set[from].Key, domainCommit, e.saidBytes(m.View, m.Hash), m.Sig) {
			keep(e.commits, m, from)
		}
	case kindVote:
		e.receiveVote(from, m)
	case kindStand: // heard above
	}
	e.advance()
}

// hear takes where another validator stands. Where f+1 others are in a later view, an honest one is.
func (e *Engine) hear(from uint16, m *Message) {
	e.stands[from] = stand{m.Height, m.View}
	if m.Head >= e.height {
		e.cfg.Behind(from)
	}
	var views []uint64
	for i := range e.stands {
		if e.stands[i].height == e.height && uint16(i) != e.cfg.Self {
			views = append(views, e.stands[i].view)
		}
	}
	slices.SortFunc(views, func(a, b uint64) int { return cmp.Compare(b, a) })
	if f := e.set.Faulty(); len(views) > f && views[f] > e.view {
		e.enter(views[f])
		e.advance()
	}
}

func (e *Engine) saidBytes(view uint64, header suite.Hash) []byte {
	return codec.MustMarshal(&said{Network: e.cfg.Network, Height: e.height, View: view, Header: header})
}

func (e *Engine) voteBytes(header suite.Hash) []byte {
	epoch, _ := e.cfg.Ledger.Epoch()
	return codec.MustMarshal(&ledger.VoteMessage{Network: e.cfg.Network, Epoch: epoch, Header: header})
}

// fail stops the engine.
func (e *Engine) fail(err error) {
	if err != nil && e.err == nil {
		e.err = err
	}
}

// assemble makes the block that this leader proposes in the present view: what it is locked on, else one of what waits.
func (e *Engine) assemble() (*ledger.Block, *Proof, error) {
	if l := e.lockAt(); l != nil {
		b, err := ledger.DecodeBlock(l.Block)
		if err != nil {
			return nil, nil, fmt.Errorf("engine: the lock: %w", err)
		}
		return b, &l.Proof, nil
	}
	raws := make([][]byte, len(e.pool))
	for i := range e.pool {
		raws[i] = e.pool[i].raw
	}
	epoch, _ := e.cfg.Ledger.Epoch()
	b, err := e.cfg.Ledger.Assemble(context.Background(), codec.MustMarshal(&metadata{View: e.view}), epoch, raws)
	if err != nil {
		return nil, nil, err
	}
	ids, err := e.cfg.Ledger.Requests(b.Payload)
	if err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 {
		e.pool = nil // nothing of what waits can be ordered any more
		return nil, nil, errNothing
	}
	return b, nil, nil
}

var errNothing = errors.New("engine: nothing to order")
