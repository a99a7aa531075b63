package sim

import (
	"slices"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/intake"
	"aval/internal/sim/engine"
	"aval/ledger"
)

// liar is what a Byzantine validator does beside running the program: it has two stories and tells them to different peers, signs
// whatever it hears of, keeps silent, repeats what is old, makes things up, and acknowledges and serves what it does not have. What
// it does is drawn from the seed.
type liar struct {
	n *node
	// habits says how often, in 100, it does what.
	habits [habitCount]int
	// old are parcels that it sent or heard.
	old []parcel
}

// faces are two blocks that a liar proposed in one view: the one for every second validator, the other for the rest. All liars know
// them, by the hash of either.
type faces [2]*ledger.Block

// habit is one way to lie.
type habit int

const (
	habitSilent habit = iota
	habitTwoFaces
	habitSignsAll
	habitRepeats
	habitRubbish
	habitFalseAcks
	habitWithholds
	habitFalseBlocks
	habitCount
)

// oldMax bounds what a liar remembers.
const oldMax = 64

func newLiar(n *node) *liar {
	l := &liar{n: n}
	if n.w.cfg.Liars > 0 { // they conspire
		l.habits[habitTwoFaces] = 100
		return l
	}
	for i := range l.habits {
		if r := n.w.malice; r.IntN(2) == 0 {
			l.habits[i] = []int{5, 20, 60, 100}[r.IntN(4)]
		}
	}
	l.habits[habitSilent] = min(l.habits[habitSilent], 60)
	return l
}

// is reports whether the liar follows a habit now.
func (l *liar) is(h habit) bool {
	does := l.n.w.malice.IntN(100) < l.habits[h]
	if does {
		l.n.w.counts["lies"]++
	}
	return does
}

// send sends a parcel, or what the liar makes of it.
func (l *liar) send(to int, p parcel) {
	l.keep(p)
	if l.is(habitSilent) {
		return
	}
	if l.is(habitRepeats) {
		l.n.w.net.send(l.n.index, to, l.old[l.n.w.malice.IntN(len(l.old))])
	}
	if l.is(habitRubbish) {
		p.body = l.spoil(p.body)
	}
	if p.channel == chConsensus && l.habits[habitTwoFaces] > 0 {
		p.body = l.twoFaced(to, p.body)
	}
	l.n.w.net.send(l.n.index, to, p)
}

func (l *liar) keep(p parcel) {
	if len(l.old) == oldMax {
		l.old[l.n.w.malice.IntN(oldMax)] = p
		return
	}
	l.old = append(l.old, p)
}

// spoil changes a byte.
func (l *liar) spoil(body []byte) []byte {
	out := slices.Clone(body)
	if len(out) > 0 {
		out[l.n.w.malice.IntN(len(out))] ^= byte(1 + l.n.w.malice.IntN(255))
	}
	return out
}

// twoFaced tells every second peer of another block, and signs that one there.
func (l *liar) twoFaced(to int, body []byte) []byte {
	var m engine.Message
	if codec.Unmarshal(body, &m) != nil {
		return body
	}
	s, known := l.n.w.suite, l.n.w.faces
	if len(m.Block) > 0 && m.Hash.IsZero() && m.Proof == nil { // a proposal of its own
		b, err := ledger.DecodeBlock(m.Block)
		if err != nil {
			return body
		}
		hash := b.Header.Hash(s)
		if known[string(hash[:])] == nil {
			other := *b
			other.Header.Wall++
			other.Header.Time++
			second := other.Header.Hash(s)
			pair := &faces{b, &other}
			known[string(hash[:])], known[string(second[:])] = pair, pair
			l.n.w.counts["lies"]++
		}
		m.Block = codec.MustMarshal(known[string(hash[:])][to%2])
		return codec.MustMarshal(&m)
	}
	pair := known[string(m.Hash[:])]
	if pair == nil {
		return body
	}
	signed, err := engine.Resign(s, l.n.w.cast.network, l.n.signer, &m, pair[to%2])
	if err != nil {
		return body
	}
	return codec.MustMarshal(signed)
}

// handle looks at what came before the program does. It returns whether the program is not to see it.
func (l *liar) handle(from int, p parcel) bool {
	l.keep(parcel{channel: p.channel, body: p.body})
	switch p.channel {
	case chConsensus:
		if l.is(habitSignsAll) {
			l.signAll(p.body)
		}
	case chPush:
		return l.is(habitFalseAcks) && l.acknowledge(from, p)
	case chFetch:
		return l.is(habitWithholds)
	case chCatchup:
		return l.is(habitFalseBlocks) && l.serve(from, p)
	case chRequest, chCertificate, chAnswer, chRefusal:
	}
	return false
}

// signAll signs what another has said, whatever it is.
func (l *liar) signAll(body []byte) {
	var m engine.Message
	if codec.Unmarshal(body, &m) != nil || m.Hash.IsZero() {
		return
	}
	signed, err := engine.Resign(l.n.w.suite, l.n.w.cast.network, l.n.signer, &m, nil)
	if err != nil {
		return
	}
	raw := codec.MustMarshal(signed)
	for to := range l.n.w.nodes {
		if to != l.n.index {
			l.n.w.net.send(l.n.index, to, parcel{channel: chConsensus, body: raw})
		}
	}
}

// acknowledge says that it holds and verified a batch that it throws away.
func (l *liar) acknowledge(from int, p parcel) bool {
	w := l.n.w
	push, err := intake.DecodePush(p.body)
	if err != nil {
		return false
	}
	head, _, err := ledger.ReadBatch(w.suite, push.Body)
	if err != nil {
		return false
	}
	ack := ledger.BatchAck{Validator: uint16(l.n.index), Verified: push.Verify}
	if w.malice.IntN(2) == 0 {
		ack.Verified = !ack.Verified
	}
	ack.Sig, err = l.n.signer.Sign(ledger.DomainBatchAck, ledger.AckBytes(w.cast.network, head.Epoch, head.Digest(w.suite), ack.Verified))
	if err != nil {
		return false
	}
	w.net.send(l.n.index, from, parcel{channel: chAnswer, call: p.call, body: codec.MustMarshal(&ack)})
	return true
}

// serve answers a request for blocks with what is not true: more than there is, blocks of other heights, changed ones, ones without
// enough votes.
func (l *liar) serve(from int, p parcel) bool {
	r := l.n.w.malice
	request, err := catchup.DecodeRequest(p.body)
	if err != nil {
		return false
	}
	answer := catchup.Response{Head: request.From + ledger.Height(r.IntN(1000)), Blocks: []catchup.Sealed{}}
	at := request.From
	if r.IntN(3) == 0 {
		at += ledger.Height(r.IntN(3))
	}
	raw, batches, err := l.n.chain.BlockBytes(at)
	if err == nil {
		b, err := ledger.DecodeBlock(raw)
		if err != nil {
			return false
		}
		switch r.IntN(5) {
		case 0:
			b.Certificate.Votes = b.Certificate.Votes[:len(b.Certificate.Votes)-1]
		case 1:
			b.Header.Wall++
		case 2:
			b.Certificate.Votes[0] = b.Certificate.Votes[1]
		case 3:
			b.Payload = codec.MustMarshal(&ledger.Payload{})
		default:
			for i := range batches {
				batches[i] = l.spoil(batches[i])
			}
		}
		answer.Blocks = append(answer.Blocks, catchup.Sealed{Block: codec.MustMarshal(b), Batches: batches})
	}
	l.n.w.net.send(l.n.index, from, parcel{channel: chAnswer, call: p.call, body: codec.MustMarshal(&answer)})
	return true
}
