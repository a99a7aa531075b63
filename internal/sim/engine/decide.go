package engine

import (
	"context"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// advance does all that can be done now.
func (e *Engine) advance() {
	for e.err == nil && e.cfg.Ready(e.height) {
		height := e.height
		e.propose()
		e.judge()
		e.prepare()
		e.vote()
		e.commit()
		if e.height == height {
			return
		}
	}
}

// propose makes a proposal if this validator leads the present view and has not proposed in it, in this life or one before.
func (e *Engine) propose() {
	if e.leader(e.view) != e.cfg.Self || e.proposals[e.view] != nil || len(e.pool) == 0 && e.lockAt() == nil {
		return
	}
	r, ok := e.at(e.view)
	if !ok || !r.Prepared.IsZero() {
		return
	}
	b, proof, err := e.assemble()
	if err != nil {
		return // what waits cannot be ordered, or not now
	}
	raw := codec.MustMarshal(b)
	p := e.newProposal(raw, b, proof)
	p.fresh = true
	e.proposals[e.view] = p
	e.send(&Message{Kind: kindProposal, Height: e.height, View: e.view, Block: raw, Proof: proof})
}

func (e *Engine) newProposal(raw []byte, b *ledger.Block, proof *Proof) *proposal {
	return &proposal{raw: raw, block: b, header: b.Header.Hash(e.cfg.Suite), value: valueOf(e.cfg.Suite, &b.Header), proof: proof}
}

// receiveProposal files the first proposal of a view's leader.
func (e *Engine) receiveProposal(from uint16, m *Message) {
	if from != e.leader(m.View) || e.proposals[m.View] != nil {
		return
	}
	b, err := ledger.DecodeBlock(m.Block)
	if err != nil || b.Header.Height != e.height || len(b.Certificate.Votes) > 0 {
		return
	}
	if view, err := ViewOf(b); err != nil || view != m.View {
		return
	}
	p := e.newProposal(m.Block, b, m.Proof)
	now := e.cfg.Ledger.Now()
	p.fresh = b.Header.Wall <= now+ledger.WallDriftMax && b.Header.Wall >= now-ledger.WallDriftMax
	e.proposals[m.View] = p
}

// judge validates the proposal of the present view.
func (e *Engine) judge() {
	p := e.proposals[e.view]
	if p == nil || p.judged {
		return
	}
	p.judged = true
	if p.proof != nil && (p.proof.View >= e.view || !e.proves(p.proof, p.value)) {
		return
	}
	if p.proof == nil && !p.fresh {
		return
	}
	p.valid = e.cfg.Ledger.Validate(context.Background(), p.block) == nil
}

// proves reports whether a proof holds a quorum of prepares for a value.
func (e *Engine) proves(p *Proof, value suite.Hash) bool {
	last := -1
	message := e.prepareBytes(p.View, value)
	for _, v := range p.Prepares {
		if int(v.Validator) <= last || int(v.Validator) >= len(e.set) ||
			!e.cfg.Suite.Verify(e.set[v.Validator].Key, domainPrepare, message, v.Sig) {
			return false
		}
		last = int(v.Validator)
	}
	return len(p.Prepares) >= e.set.Quorum()
}

// prepare says that the proposal of the present view is good, unless a lock forbids it.
func (e *Engine) prepare() {
	p := e.proposals[e.view]
	if p == nil || !p.valid {
		return
	}
	r, ok := e.at(e.view)
	if !ok || !r.Prepared.IsZero() {
		if ok && r.Prepared == p.value {
			e.sayPrepare(p) // after a restart
		}
		return
	}
	if l := e.lockAt(); l != nil && !e.unlocks(l, p) {
		return
	}
	r.Prepared = p.value
	if err := e.write(r); err != nil {
		e.fail(err)
		return
	}
	e.sayPrepare(p)
}

func (e *Engine) sayPrepare(p *proposal) {
	if _, said := e.prepares[e.view][e.cfg.Self]; said {
		return
	}
	sig, err := e.cfg.Signer.Sign(domainPrepare, e.prepareBytes(e.view, p.value))
	if err != nil {
		e.fail(err)
		return
	}
	e.broadcast(&Message{Kind: kindPrepare, Height: e.height, View: e.view, Hash: p.value, Sig: sig})
}

// unlocks reports whether a proposal may be prepared in spite of a lock: it is of the same value, or shows a later quorum.
func (e *Engine) unlocks(l *lock, p *proposal) bool {
	b, err := ledger.DecodeBlock(l.Block)
	if err == nil && valueOf(e.cfg.Suite, &b.Header) == p.value {
		return true
	}
	return p.proof != nil && p.proof.View >= l.Proof.View
}

// vote locks the value that a quorum prepared in the present view, and votes for its header.
func (e *Engine) vote() {
	p := e.proposals[e.view]
	if p == nil || !p.valid {
		return
	}
	proof := Proof{View: e.view}
	for i := range e.set {
		if m, ok := e.prepares[e.view][uint16(i)]; ok && m.Hash == p.value {
			proof.Prepares = append(proof.Prepares, ledger.Vote{Validator: uint16(i), Sig: m.Sig})
		}
	}
	r, ok := e.at(e.view)
	if _, said := e.votes[e.view][e.cfg.Self]; said || len(proof.Prepares) < e.set.Quorum() || !ok ||
		!r.Voted.IsZero() && r.Voted != p.header {
		return
	}
	if r.Voted.IsZero() {
		r.Voted, r.Lock = p.header, &lock{Block: p.raw, Proof: proof}
		if err := e.write(r); err != nil {
			e.fail(err)
			return
		}
	}
	if e.cfg.Signing != nil {
		e.cfg.Signing(e.view, &p.block.Header)
	}
	sig, err := e.cfg.Signer.Sign(ledger.DomainVote, p.block.Header.VoteBytes(e.cfg.Suite))
	if err != nil {
		e.fail(err)
		return
	}
	e.broadcast(&Message{Kind: kindVote, Height: e.height, View: e.view, Hash: p.header, Sig: sig})
}

// commit makes a block of this height final if there is a quorum of votes for it in any one view.
func (e *Engine) commit() {
	for view := e.first; view <= e.view+viewsAhead; view++ {
		p := e.proposals[view]
		if p == nil || len(e.votes[view]) < e.set.Quorum() {
			continue
		}
		var c ledger.Certificate
		for i := range e.set {
			if m, ok := e.votes[view][uint16(i)]; ok && m.Hash == p.header && len(c.Votes) < e.set.Quorum() {
				c.Votes = append(c.Votes, ledger.Vote{Validator: uint16(i), Sig: m.Sig})
			}
		}
		if len(c.Votes) < e.set.Quorum() {
			continue
		}
		b := *p.block
		b.Certificate = c
		if err := ledger.VerifyCertificate(e.cfg.Suite, e.set, &b.Header, &c); err != nil {
			e.fail(err)
			return
		}
		if err := e.cfg.Ledger.Commit(&b); err != nil {
			e.fail(err)
			return
		}
		e.begin()
		return
	}
}
