package sim

import (
	"context"
	"log/slog"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/ledger"
	"aval/suite"
)

// links is how the engine sends. It implements consensus.Links.
type links struct{ n *node }

// Send implements consensus.Links.
func (l links) Send(to uint16, message []byte) {
	l.n.send(int(to), parcel{channel: chConsensus, body: message})
}

// SendRequest implements consensus.Links.
func (l links) SendRequest(to uint16, request []byte) {
	l.n.send(int(to), parcel{channel: chRequest, body: request})
}

// send sends a parcel, unless the power went out; a liar may send something else.
func (n *node) send(to int, p parcel) {
	switch {
	case n.cut:
	case n.liar != nil:
		n.liar.send(to, p)
	default:
		n.w.net.send(n.index, to, p)
	}
}

// ask calls a peer; answer is called once, later, with its answer or an error.
func (n *node) ask(to int, c channel, body []byte, answer func([]byte, error)) {
	n.nextCall++
	id, life := n.nextCall, n.life
	n.calls[id] = answer
	n.send(to, parcel{channel: c, call: id, body: body})
	n.w.after(callTimeout, func() {
		if n.life == life {
			n.do(func() { n.answered(id, nil, errTimeout) })
		}
	})
}

func (n *node) answered(id uint64, body []byte, err error) {
	if answer := n.calls[id]; answer != nil {
		delete(n.calls, id)
		answer(body, err)
	}
}

// reply answers a call.
func (n *node) reply(to int, call uint64, body []byte, err error) {
	if err != nil {
		n.log.Debug("refused", slog.Int("from", to), slog.Any("error", err))
		n.send(to, parcel{channel: chRefusal, call: call})
		return
	}
	n.send(to, parcel{channel: chAnswer, call: call, body: body})
}

// accept takes a parcel from the network.
func (n *node) accept(from int, p parcel) {
	n.do(func() { n.handle(from, p) })
}

func (n *node) handle(from int, p parcel) {
	if n.liar != nil && n.liar.handle(from, p) {
		return
	}
	switch p.channel {
	case chConsensus:
		n.engine.Receive(uint16(from), p.body)
	case chRequest:
		n.submit(p.body)
	case chCertificate:
		if id, err := n.chain.RequestID(p.body); err == nil && !n.chain.Ordered(id) {
			n.submit(p.body)
		}
	case chPush:
		ack, err := n.attestor.Serve(context.Background(), n.w.cast.genesis.Validators[from].Key, p.body)
		n.reply(from, p.call, ack, err)
	case chFetch:
		n.serveBatch(from, p)
	case chCatchup:
		answer, err := n.catchup.Serve(context.Background(), p.body)
		n.reply(from, p.call, answer, err)
	case chAnswer:
		n.answered(p.call, p.body, nil)
	case chRefusal:
		n.answered(p.call, nil, errRefused)
	}
}

func (n *node) serveBatch(from int, p parcel) {
	var digest suite.Hash
	if len(p.body) != len(digest) {
		return
	}
	copy(digest[:], p.body)
	body, err := n.chain.BatchBytes(digest)
	n.reply(from, p.call, body, err)
}

// fetching is what a node is fetching: blocks from one peer at a time, one batch from one peer after another.
type fetching struct {
	blocks bool
	// mute says until when a peer that did not keep what it claimed is not asked for blocks.
	mute map[int]time.Time
	// batch is wanted; zero: none. asked counts the peers asked for it.
	batch suite.Hash
	asked int
	// satisfied are the peers that, since this validator began to observe, had no more blocks than it.
	satisfied map[int]bool
}

// fetchBlocks is how many blocks are asked for at once.
const fetchBlocks = 8

// behind is told that a peer says it has more blocks.
func (n *node) behind(from uint16) {
	if n.fetching.blocks || n.w.clock.Now().Before(n.fetching.mute[int(from)]) {
		return
	}
	n.fetchFrom(int(from))
}

// fetchFrom asks a peer for the next blocks, until it has no more.
func (n *node) fetchFrom(peer int) {
	n.fetching.blocks = true
	request := catchup.Request{From: n.chain.Head().Header.Height + 1, Count: fetchBlocks}
	n.ask(peer, chCatchup, codec.MustMarshal(&request), func(answer []byte, err error) {
		n.fetching.blocks = false
		var head ledger.Height
		blocks := 0
		if err == nil {
			head, blocks, err = n.catchup.Take(request, answer)
		}
		own := n.chain.Head().Header.Height
		n.w.counts["blocks fetched"] += blocks
		switch {
		case err == nil && blocks > 0 && head > own:
			n.fetchFrom(peer)
		case err != nil || head > own:
			n.log.Debug("peer did not serve blocks", slog.Int("peer", peer), slog.Any("error", err))
			if n.fetching.mute == nil {
				n.fetching.mute = map[int]time.Time{}
			}
			n.fetching.mute[peer] = n.w.clock.Now().Add(2 * time.Second)
		default:
			n.settleVotes(peer)
		}
		n.engine.Poke()
		n.askHeads()
	})
}

// settleVotes ends the uncertainty of a validator that forgot what it signed, once it has as much as a quorum of others.
func (n *node) settleVotes(peer int) {
	if !n.engine.Unsettled() {
		return
	}
	if n.fetching.satisfied == nil {
		n.fetching.satisfied = map[int]bool{}
	}
	n.fetching.satisfied[peer] = true
	if len(n.fetching.satisfied) >= n.w.quorum() {
		if err := n.engine.Settle(n.chain.Head().Header.Height); err != nil {
			n.log.Debug("not settled", slog.Any("error", err))
		}
	}
}

// askHeads has a validator that forgot what it signed ask those that it has not heard of.
func (n *node) askHeads() {
	if !n.engine.Unsettled() || n.fetching.blocks {
		return
	}
	for i := range n.w.nodes {
		if peer := (n.index + 1 + i) % len(n.w.nodes); peer != n.index && !n.fetching.satisfied[peer] &&
			!n.w.clock.Now().Before(n.fetching.mute[peer]) {
			n.fetchFrom(peer)
			return
		}
	}
}

const (
	// batchGrace is how long a batch that was ordered before it came is waited for, batchPause how long after a peer that did not
	// have it the next is asked, batchPatience how long after one that does not answer.
	batchGrace    = 100 * time.Millisecond
	batchPause    = 50 * time.Millisecond
	batchPatience = 400 * time.Millisecond
)

// want fetches a batch that execution waits for.
func (n *node) want(m *chain.Missing) {
	if n.fetching.batch == m.Digest {
		return
	}
	n.fetching.batch, n.fetching.asked = m.Digest, n.w.chance.IntN(len(m.Holders)+1)
	n.w.counts["batches fetched"]++
	n.soon(batchGrace, func() { n.fetchBatch(m) })
}

// soon lets the program do something after a while, if it lives on.
func (n *node) soon(d time.Duration, fn func()) {
	life := n.life
	n.w.after(d, func() {
		if n.life == life {
			n.do(fn)
		}
	})
}

// fetchBatch asks one peer after another, first those that hold the batch, then all, until it is there.
func (n *node) fetchBatch(m *chain.Missing) {
	if n.fetching.batch != m.Digest {
		return
	}
	if _, err := n.chain.BatchBytes(m.Digest); err == nil {
		n.fetching.batch = suite.Hash{}
		return
	}
	peer := n.fetching.asked
	if peer %= len(m.Holders) + len(n.w.nodes); peer < len(m.Holders) {
		peer = int(m.Holders[peer])
	} else {
		peer -= len(m.Holders)
	}
	n.fetching.asked++
	asked := n.fetching.asked
	next := func() {
		if n.fetching.asked == asked { // nobody was asked since
			n.fetchBatch(m)
		}
	}
	if peer == n.index {
		n.soon(batchPause, next)
		return
	}
	n.soon(batchPatience, next)
	n.ask(peer, chFetch, m.Digest[:], func(body []byte, err error) {
		if err == nil {
			err = n.chain.HoldOrdered(m.Digest, body)
		}
		if err != nil {
			n.soon(batchPause, next)
		}
	})
}
