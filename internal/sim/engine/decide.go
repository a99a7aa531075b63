package engine

import (
	"context"
	"log/slog"

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
		e.commit()
		e.decide()
		e.vote()
		e.finish()
		if e.height == height {
			return
		}
	}
}

// propose makes a proposal if this validator leads the present view and has said nothing in it, in this life or one before.
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
	p := e.newProposal(codec.MustMarshal(b), b, proof)
	p.fresh = true
	e.proposals[e.view] = p
	e.broadcast(&Message{Kind: kindProposal, Height: e.height, View: e.view, Block: p.raw, Proof: proof})
}

func (e *Engine) newProposal(raw []byte, b *ledger.Block, proof *Proof) *proposal {
	return &proposal{raw: raw, block: b, header: b.Header.Hash(e.cfg.Suite), proof: proof}
}

// readBlock decodes a block of the height in work that has no certificate, and whose header is that of the rest.
func (e *Engine) readBlock(raw []byte) (b *ledger.Block, view uint64, ok bool) {
	b, err := ledger.DecodeBlock(raw)
	if err != nil || b.Header.Height != e.height || len(b.Certificate.Votes) > 0 ||
		b.Header.PayloadHash != e.cfg.Suite.Hash(ledger.DomainPayload, b.Payload) ||
		b.Header.Proposal != ledger.ProposalHash(e.cfg.Suite, b.Metadata, b.Sequence) {
		return nil, 0, false
	}
	view, err = ViewOf(b)
	return b, view, err == nil
}

// receiveProposal files the first proposal of a view's leader.
func (e *Engine) receiveProposal(from uint16, m *Message) {
	if from != e.leader(m.View) || e.proposals[m.View] != nil {
		return
	}
	b, view, ok := e.readBlock(m.Block)
	if !ok || view > m.View || view < m.View && m.Proof == nil {
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
	if p.proof != nil && (p.proof.View >= e.view || !e.proves(domainPrepare, p.proof, p.header)) {
		return
	}
	if p.proof == nil && !p.fresh {
		return
	}
	p.valid = e.cfg.Ledger.Validate(context.Background(), p.block) == nil
}

// proves reports whether a proof holds a quorum of what is signed under a domain for a header.
func (e *Engine) proves(domain suite.Domain, p *Proof, header suite.Hash) bool {
	last := -1
	message := e.saidBytes(p.View, header)
	for _, v := range p.Sigs {
		if int(v.Validator) <= last || int(v.Validator) >= len(e.set) || !e.cfg.Suite.Verify(e.set[v.Validator].Key, domain, message, v.Sig) {
			return false
		}
		last = int(v.Validator)
	}
	return len(p.Sigs) >= e.set.Quorum()
}

// gather returns what validators said of a header in a view, and whether it is a quorum.
func (e *Engine) gather(in map[uint64]map[uint16]Message, view uint64, header suite.Hash) (*Proof, bool) {
	proof := &Proof{View: view}
	for i := range e.set {
		if m, ok := in[view][uint16(i)]; ok && m.Hash == header {
			proof.Sigs = append(proof.Sigs, ledger.Vote{Validator: uint16(i), Sig: m.Sig})
		}
	}
	return proof, len(proof.Sigs) >= e.set.Quorum()
}

// prepare says that the proposal of the present view is good, unless a lock forbids it.
func (e *Engine) prepare() {
	p := e.proposals[e.view]
	if p == nil || !p.valid {
		return
	}
	if _, said := e.prepares[e.view][e.cfg.Self]; said {
		return
	}
	r, ok := e.at(e.view)
	if !ok || !r.Prepared.IsZero() && r.Prepared != p.header {
		return
	}
	if l := e.lockAt(); l != nil && !e.unlocks(l, p) {
		return
	}
	if r.Prepared.IsZero() { // else it was before a restart
		r.Prepared = p.header
		if err := e.write(r); err != nil {
			e.fail(err)
			return
		}
	}
	e.say(kindPrepare, domainPrepare, p.header)
}

// say signs and broadcasts a prepare or commit in the present view.
func (e *Engine) say(k kind, domain suite.Domain, header suite.Hash) {
	sig, err := e.cfg.Signer.Sign(domain, e.saidBytes(e.view, header))
	if err != nil {
		e.fail(err)
		return
	}
	e.broadcast(&Message{Kind: k, Height: e.height, View: e.view, Hash: header, Sig: sig})
}

// unlocks reports whether a proposal may be prepared in spite of a lock: it is the same block, or shows a later quorum.
func (e *Engine) unlocks(l *lock, p *proposal) bool {
	return string(l.Block) == string(p.raw) || p.proof != nil && p.proof.View > l.Proof.View
}

// commit locks the block that a quorum prepared in the present view, and commits to it.
func (e *Engine) commit() {
	p := e.proposals[e.view]
	if p == nil || !p.valid {
		return
	}
	if _, said := e.commits[e.view][e.cfg.Self]; said {
		return
	}
	proof, enough := e.gather(e.prepares, e.view, p.header)
	r, ok := e.at(e.view)
	if !enough || !ok || !r.Committed.IsZero() && r.Committed != p.header {
		return
	}
	if r.Committed.IsZero() {
		r.Committed, r.Lock = p.header, &lock{Block: p.raw, Proof: *proof}
		if err := e.write(r); err != nil {
			e.fail(err)
			return
		}
	}
	e.say(kindCommit, domainCommit, p.header)
}

// decide notes that a quorum committed to a block in any one view.
func (e *Engine) decide() {
	for view := e.first; view <= e.view+viewsAhead && e.decided == nil; view++ {
		if p := e.proposals[view]; p != nil {
			if proof, enough := e.gather(e.commits, view, p.header); enough {
				e.decided, e.why = p, proof
			}
		}
	}
}

// receiveVote takes a vote, and what it shows to be decided.
func (e *Engine) receiveVote(from uint16, m *Message) {
	if !e.cfg.Suite.Verify(e.set[from].Key, ledger.DomainVote, e.voteBytes(m.Hash), m.Sig) {
		return
	}
	e.votes[from] = *m
	if e.decided != nil || m.Proof == nil || !e.proves(domainCommit, m.Proof, m.Hash) {
		return
	}
	if b, _, ok := e.readBlock(m.Block); ok && b.Header.Hash(e.cfg.Suite) == m.Hash {
		e.decided, e.why = e.newProposal(m.Block, b, nil), m.Proof
	}
}

// vote votes for the block that is decided.
func (e *Engine) vote() {
	p := e.decided
	if p == nil {
		return
	}
	if _, said := e.votes[e.cfg.Self]; said {
		return
	}
	r, ok := e.at(max(e.view, e.record.View))
	if !ok || !r.Voted.IsZero() && r.Voted != p.header || e.cfg.Ledger.Validate(context.Background(), p.block) != nil {
		return
	}
	if r.Voted.IsZero() {
		r.Voted = p.header
		if err := e.write(r); err != nil {
			e.fail(err)
			return
		}
	}
	if e.cfg.Signing != nil {
		e.cfg.Signing(&p.block.Header)
	}
	sig, err := e.cfg.Signer.Sign(ledger.DomainVote, p.block.Header.VoteBytes(e.cfg.Suite))
	if err != nil {
		e.fail(err)
		return
	}
	e.broadcast(&Message{Kind: kindVote, Height: e.height, View: e.why.View, Hash: p.header, Sig: sig, Block: p.raw, Proof: e.why})
}

// finish makes the decided block final once a quorum has voted for it.
func (e *Engine) finish() {
	p := e.decided
	if p == nil {
		return
	}
	var c ledger.Certificate
	for i := range e.set {
		if m, ok := e.votes[uint16(i)]; ok && m.Hash == p.header && len(c.Votes) < e.set.Quorum() {
			c.Votes = append(c.Votes, ledger.Vote{Validator: uint16(i), Sig: m.Sig})
		}
	}
	if len(c.Votes) < e.set.Quorum() {
		return
	}
	b := *p.block
	b.Certificate = c
	e.cfg.Logger.Debug("final", slog.Uint64("height", uint64(e.height)), slog.Any("hash", p.header))
	if err := e.cfg.Ledger.Commit(&b); err != nil {
		e.fail(err)
		return
	}
	e.begin()
}
