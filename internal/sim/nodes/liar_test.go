package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/intake"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
)

// lie is one way not to keep to the protocol.
type lie int

const (
	// lieAcks acknowledges batches without looking, says "verified" untruly, and acknowledges other batches than were sent.
	lieAcks lie = iota
	// lieFetch answers who asks for a batch with nothing, junk or another batch.
	lieFetch
	// liePush keeps its own batches from some.
	liePush
	// lieCertificates sends forged, cut and stale batch certificates.
	lieCertificates
	// lieCatchup claims heights that are not, leaves blocks out, sends them for others, forges them, and sends huge frames.
	lieCatchup
	// lieReplay sends the engine's messages again, late, damaged and to others.
	lieReplay
	// lieSilence keeps the engine's messages from some.
	lieSilence
	lieKinds
)

func (l lie) String() string {
	return [...]string{"acks", "fetch", "push", "certificates", "catchup", "replay", "silence"}[l]
}

func drawLies(rng *rand.Rand) (out []lie) {
	for l := range lieKinds {
		if rng.IntN(2) == 0 {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		out = append(out, lie(rng.IntN(int(lieKinds))))
	}
	return out
}

// liar turns what a node says into lies. The node behind it believes that it is honest.
type liar struct {
	w    *world
	m    *machine
	lies map[lie]bool

	mu  sync.Mutex
	rng *rand.Rand
	// heard are messages of the engine and certs are certificates that went out before.
	heard, certs [][]byte
	batches      [][]byte
	done         bool
}

func newLiar(w *world, m *machine, lies []lie, rng *rand.Rand) *liar {
	l := &liar{w: w, m: m, lies: map[lie]bool{}, rng: rng}
	for _, k := range lies {
		l.lies[k] = true
	}
	return l
}

// stop makes it honest, so that it ends in order.
func (l *liar) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
}

const keptMax = 200

// keep remembers a message. The caller holds mu.
func keep(list [][]byte, m []byte) [][]byte {
	if len(list) < keptMax {
		return append(list, m)
	}
	return append(list[1:], m)
}

// message returns what goes out instead of a message.
func (l *liar) message(to suite.PublicKey, c transport.Channel, body []byte) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return [][]byte{body}
	}
	victim := to[len(to)-1]%2 == 0
	out := [][]byte{body}
	switch c {
	case transport.Consensus:
		l.heard = keep(l.heard, body)
		if l.lies[lieSilence] && victim {
			out = nil
		}
		if l.lies[lieReplay] && l.rng.IntN(4) == 0 {
			out = append(out, l.damaged(l.heard[l.rng.IntN(len(l.heard))]))
		}
	case transport.Intake:
		l.certs = keep(l.certs, body)
	}
	if l.lies[lieCertificates] && c == transport.Consensus && len(l.certs) > 0 && l.rng.IntN(10) == 0 {
		l.w.tasks.Go(func() { l.forge(to) })
	}
	return out
}

// damaged returns a message with some bits wrong, or as it was.
func (l *liar) damaged(m []byte) []byte {
	out := append([]byte(nil), m...)
	for range l.rng.IntN(3) {
		if len(out) > 0 {
			at := l.rng.IntN(len(out))
			out[at] ^= 1 << l.rng.IntN(8)
		}
	}
	if l.rng.IntN(8) == 0 && len(out) > 1 {
		out = out[:l.rng.IntN(len(out))]
	}
	return out
}

// forge sends a certificate that is not, or one of long ago.
func (l *liar) forge(to suite.PublicKey) {
	l.mu.Lock()
	raw := l.certs[l.rng.IntN(len(l.certs))]
	draw := l.rng.IntN(5)
	junk := l.damaged(raw)
	l.mu.Unlock()
	links := l.m.endpoint()
	r, err := ledger.DecodeOrderingRequest(raw)
	if err != nil {
		return
	}
	cert, err := ledger.DecodeBatchCertificate(r.Body)
	if err != nil {
		return // a tick
	}
	switch draw {
	case 0: // one vote too few
		cert.Acks = cert.Acks[1:]
	case 1: // one vote twice
		cert.Acks[0] = cert.Acks[1]
	case 2: // of another batch
		cert.Head.Wall++
	case 3: // as it was: it is ordered already
	case 4:
		_ = links.deliver(to, transport.Intake, junk) // who is not there misses nothing
		return
	}
	request := codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: codec.MustMarshal(cert)})
	_ = links.deliver(to, transport.Intake, request) // likewise
}

// calls reports whether a call goes out at all.
func (l *liar) calls(to suite.PublicKey, c transport.Channel, request []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c == transport.Push {
		l.batches = keep(l.batches, request)
	}
	return l.done || c != transport.Push || !l.lies[liePush] || to[len(to)-1]%2 == 1
}

// answer returns what goes out instead of an answer.
func (l *liar) answer(_ context.Context, from suite.PublicKey, c transport.Channel, request []byte, a answer) answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.done:
	case c == transport.Push && l.lies[lieAcks]:
		return l.ack(request, a)
	case c == transport.Fetch && l.lies[lieFetch]:
		return l.batch(a)
	case c == transport.Catchup && l.lies[lieCatchup]:
		return l.blocks(from, a)
	}
	return a
}

// ack signs for a batch whatever is asked, or for another.
func (l *liar) ack(request []byte, a answer) answer {
	p, err := intake.DecodePush(request)
	if err != nil {
		return a
	}
	s := l.w.town.suite
	head, _, err := ledger.ReadBatch(s, p.Body)
	if err != nil {
		return a
	}
	l.batches = keep(l.batches, p.Body)
	switch l.rng.IntN(4) {
	case 0: // of another batch
		head.Wall++
	case 1: // untruly, perhaps
		p.Verify = true
	case 2:
		return answer{err: &transport.RemoteError{Text: "no"}}
	}
	sig, err := l.m.base.Self.Sign(ledger.DomainBatchAck, ledger.AckBytes(l.w.town.id, 0, head.Digest(s), p.Verify))
	if err != nil {
		return a
	}
	return answer{body: codec.MustMarshal(&ledger.BatchAck{Validator: uint16(l.w.plan.byzantine), Verified: p.Verify, Sig: sig})}
}

func (l *liar) batch(a answer) answer {
	switch l.rng.IntN(4) {
	case 0:
		return answer{err: &transport.RemoteError{Text: "chain: not found"}}
	case 1:
		return answer{body: make([]byte, transport.FrameBytesMax)}
	case 2:
		if len(l.batches) > 0 {
			return answer{body: l.batches[l.rng.IntN(len(l.batches))]}
		}
	case 3:
		return answer{body: l.damaged(a.body)}
	}
	return a
}

// blocks forges an answer of catch-up.
func (l *liar) blocks(_ suite.PublicKey, a answer) answer {
	r, err := catchup.DecodeResponse(a.body)
	if a.err != nil || err != nil {
		return a
	}
	switch draw := l.rng.IntN(9); {
	case draw == 0:
		r.Head += ledger.Height(1 + l.rng.IntN(1000))
	case draw == 1:
		r.Head = 0
	case draw == 2:
		return answer{body: make([]byte, transport.FrameBytesMax)}
	case draw == 3:
		return answer{body: l.damaged(a.body)}
	case len(r.Blocks) == 0:
	case draw == 4: // a gap
		r.Blocks = r.Blocks[1:]
	case draw == 5: // the same for another height
		r.Blocks = append([]catchup.Sealed{r.Blocks[len(r.Blocks)-1]}, r.Blocks...)
	case draw == 6:
		r.Blocks[0].Batches = nil
	default:
		l.forgeBlock(&r.Blocks[l.rng.IntN(len(r.Blocks))])
	}
	r.Blocks = r.Blocks[:min(len(r.Blocks), catchup.BlocksMax)]
	return answer{body: codec.MustMarshal(r)}
}

// forgeBlock makes a block another, with its votes, or with none but the liar's.
func (l *liar) forgeBlock(sealed *catchup.Sealed) {
	b, err := ledger.DecodeBlock(sealed.Block)
	if err != nil {
		return
	}
	switch l.rng.IntN(4) {
	case 0:
		b.Certificate.Votes = b.Certificate.Votes[:1]
	case 1: // its own vote for all
		for i := range b.Certificate.Votes {
			b.Certificate.Votes[i] = b.Certificate.Votes[0]
		}
	case 2:
		b.Header.Wall++
		b.Header.Time++
	case 3:
		p := &ledger.Payload{}
		b.Payload = codec.MustMarshal(p)
		b.Header.PayloadHash = l.w.town.suite.Hash(ledger.DomainPayload, b.Payload)
		b.Header.PayloadRoot = p.Root(l.w.town.suite)
	}
	sealed.Block = codec.MustMarshal(b)
}

// mischief has the liar take in transactions of its own, so that there are batches and certificates of its making.
func (w *world) mischief(ctx context.Context, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		m := w.machines[w.plan.byzantine]
		if node := m.running(); node != nil {
			w.mu.Lock()
			raw, err := w.town.scope(w.now(), fmt.Sprintf("/lies%d", n))
			w.mu.Unlock()
			if err != nil {
				w.fail("a transaction of the liar: %v", err)
				return
			}
			if _, err := node.Intake().Admit(raw); err != nil {
				w.note("the liar's own node refuses: %v", err)
			}
		}
		pause(ctx, w.plan.think+time.Duration(rng.Int64N(int64(w.plan.think))))
	}
}
