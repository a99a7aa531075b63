package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

const (
	// verifyPatience is how long those asked to verify a batch are waited for before as many others are asked in their place, no
	// more, since it may be the load that made them slow. Whoever let us wait so long, or could not be reached, is asked last
	// for as long as slowFor.
	verifyPatience = 500 * time.Millisecond
	slowFor        = 10 * time.Second
	// pushTimeout bounds one push, pushPause is how long after one that failed the next is tried; it doubles up to pushPauseMax.
	pushTimeout  = 5 * time.Second
	pushPause    = 200 * time.Millisecond
	pushPauseMax = 2 * time.Second
)

// gathering collects the acknowledgements of one batch until they make a certificate.
type gathering struct {
	head   *ledger.BatchHead
	digest suite.Hash
	set    ledger.ValidatorSet
	need   int // of those that verified
	// plain and verify are the encoded pushes that ask for the one or the other.
	plain, verify []byte

	mu   sync.Mutex
	acks map[uint16]ledger.BatchAck
	// offering holds what is being offered, so that no batch is pushed to the same validator over and over at once.
	offering map[offer]struct{}
	// certificate is encoded, nil until there are enough; then enough is closed.
	certificate []byte
	enough      chan struct{}
	// failed has a token for each validator that was asked to verify and refused.
	failed chan struct{}
}

// offer is a batch on its way to one validator.
type offer struct {
	validator uint16
	verify    bool
}

// add takes a verified acknowledgement.
func (g *gathering) add(a *ledger.BatchAck) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if have, ok := g.acks[a.Validator]; ok && have.Verified {
		return
	}
	g.acks[a.Validator] = *a
	if g.certificate == nil {
		if acks := g.choose(); acks != nil {
			g.certificate = codec.MustMarshal(&ledger.BatchCertificate{Head: *g.head, Acks: acks})
			close(g.enough)
		}
	}
}

// choose returns a quorum of the acknowledgements, no more than that since each costs every validator a verification, with
// enough that verified; nil if there is none. The caller holds mu.
func (g *gathering) choose() []ledger.BatchAck {
	acks := make([]ledger.BatchAck, 0, len(g.acks))
	for _, a := range g.acks {
		acks = append(acks, a)
	}
	most := max(g.set.Quorum(), g.need)
	if len(acks) < most || g.verified() < g.need {
		return nil
	}
	slices.SortFunc(acks, func(a, b ledger.BatchAck) int {
		if a.Verified != b.Verified {
			if a.Verified {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Validator, b.Validator)
	})
	acks = acks[:most]
	slices.SortFunc(acks, func(a, b ledger.BatchAck) int { return cmp.Compare(a.Validator, b.Validator) })
	return acks
}

func (g *gathering) has(validator uint16, verified bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, ok := g.acks[validator]
	return ok && (a.Verified || !verified)
}

// lacking returns how many more must verify the batch.
func (g *gathering) lacking() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.need-g.verified())
}

// verified counts those that verified the batch. The caller holds mu.
func (g *gathering) verified() (n int) {
	for _, a := range g.acks {
		if a.Verified {
			n++
		}
	}
	return n
}

// begin returns false if the same is being offered already; otherwise the caller calls end.
func (g *gathering) begin(o offer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.offering[o]; ok {
		return false
	}
	g.offering[o] = struct{}{}
	return true
}

func (g *gathering) end(o offer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.offering, o)
}

func (g *gathering) fail() {
	select {
	case g.failed <- struct{}{}:
	default:
	}
}

func (g *gathering) missing() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Errorf("intake: batch %s is held by %d validators and verified by %d; %d and %d are needed",
		g.digest, len(g.acks), g.verified(), g.set.Quorum(), g.need)
}

// certify has validators hold the batch of f until there is a certificate, and returns that encoded. The validators that are
// not needed for it are given the batch all the same.
func (in *Intake) certify(ctx context.Context, f *flight) ([]byte, error) {
	g, err := in.gather(f)
	if err != nil {
		return nil, err
	}
	select {
	case <-g.enough: // it is handed in again: whoever lacks the batch fetches it once it is ordered
		return g.certificate, nil
	default:
	}
	asking := in.newAsking(g)
	give := func(offers []offer) {
		for _, o := range offers {
			in.offer(f, g, o)
		}
	}
	give(asking.first())
	patience := in.cfg.Clock.NewTimer(verifyPatience)
	defer patience.Stop()
	for {
		select {
		case <-g.enough:
			return g.certificate, nil
		case <-g.failed:
			give(asking.next(1))
		case <-patience.C():
			in.noteSlow(g, asking.asked())
			give(asking.next(g.lacking()))
			patience.Reset(verifyPatience)
		case <-ctx.Done():
			return nil, errors.Join(g.missing(), ctx.Err())
		}
	}
}

// asking decides which validators are asked to verify a batch, and who is only given it.
type asking struct {
	in     *Intake
	others []uint16 // in the order in which they are asked
	// verify is how many of them have been asked to verify.
	verify int
}

// newAsking decides who is asked at first.
func (in *Intake) newAsking(g *gathering) *asking {
	a := &asking{in: in, others: in.others(g)}
	a.verify = min(g.need, len(a.others))
	if len(a.others) < len(g.set) {
		a.verify = min(g.need-1, len(a.others)) // this validator has verified it
	}
	return a
}

// first returns what is offered to everybody at first.
func (a *asking) first() []offer {
	out := make([]offer, len(a.others))
	for k, i := range a.others {
		out[k] = offer{i, k < a.verify}
	}
	return out
}

// next returns what is offered to n validators more, who are asked in the place of others.
func (a *asking) next(n int) (out []offer) {
	for ; n > 0 && a.verify < len(a.others); n-- {
		a.in.metrics.escalated.Inc()
		out = append(out, offer{a.others[a.verify], true})
		a.verify++
	}
	return out
}

// asked returns the validators that have been asked to verify.
func (a *asking) asked() []uint16 { return a.others[:a.verify] }

// others returns the validators beside this node in the order in which they are asked to verify a batch: each batch begins
// with another, so that the work is shared, and those that were slow lately come last.
func (in *Intake) others(g *gathering) (others []uint16) {
	first, now := int(g.digest[0])%len(g.set), in.cfg.Clock.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	var slow []uint16
	for k := range g.set {
		i := uint16((first + k) % len(g.set))
		switch {
		case string(g.set[i].Key) == string(in.origin):
		case now.Before(in.slow[i]):
			slow = append(slow, i)
		default:
			others = append(others, i)
		}
	}
	return append(others, slow...)
}

// noteSlow remembers which of the validators have not verified a batch yet.
func (in *Intake) noteSlow(g *gathering, validators []uint16) {
	until := in.cfg.Clock.Now().Add(slowFor)
	for _, i := range validators {
		if !g.has(i, true) {
			in.mu.Lock()
			in.slow[i] = until
			in.mu.Unlock()
		}
	}
}

// gather encodes the batch of f, takes it into this node's own chain and begins to gather acknowledgements, with our own if
// this is a validator. Called again for the same flight it goes on with what there is.
func (in *Intake) gather(f *flight) (*gathering, error) {
	if f.gathering != nil {
		return f.gathering, nil
	}
	_, set := in.cfg.Chain.Epoch()
	_, isValidator := place(set, in.origin)
	b := f.batch(in.origin)
	body := codec.MustMarshal(b)
	digest, head, err := in.cfg.Chain.HoldOwn(b, body, f.opened(), isValidator)
	if err != nil {
		return nil, err
	}
	g := &gathering{head: head, digest: digest, set: set, need: head.VerifiersNeeded(set, in.cfg.Chain.Genesis().Params.VerifyQuorum),
		plain: codec.MustMarshal(&Push{Body: body}), verify: codec.MustMarshal(&Push{Body: body, Verify: true}),
		acks: map[uint16]ledger.BatchAck{}, offering: map[offer]struct{}{}, enough: make(chan struct{}), failed: make(chan struct{}, len(set))}
	if isValidator {
		own, err := in.attestor.ack(digest, head.Epoch, true)
		if err != nil {
			return nil, err
		}
		g.add(own)
	}
	f.gathering = g
	return g, nil
}

// offer gives a validator the batch, on a goroutine of its own, until it acknowledges it or there is a certificate without it.
func (in *Intake) offer(f *flight, g *gathering, o offer) {
	if !g.begin(o) {
		return
	}
	in.tasks.Add(1)
	go func() {
		defer in.tasks.Done()
		defer g.end(o)
		for pause := pushPause; in.ctx.Err() == nil && !g.has(o.validator, o.verify); pause = nextPause(pause) {
			if in.offerOnce(g, o, pause == pushPause) || !in.pausePush(f, g, pause) {
				return
			}
		}
	}()
}

func nextPause(pause time.Duration) time.Duration { return min(2*pause, pushPauseMax) }

// pausePush waits before the next push. It returns false if none is needed any more.
func (in *Intake) pausePush(f *flight, g *gathering, pause time.Duration) bool {
	timer := in.cfg.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-g.enough:
	case <-f.over:
	case <-in.ctx.Done():
	}
	return false
}

// offerOnce pushes a batch to a validator once and returns whether it acknowledged it as it was asked to.
func (in *Intake) offerOnce(g *gathering, o offer, first bool) bool {
	ctx, cancel := context.WithTimeout(in.ctx, pushTimeout)
	defer cancel()
	answer, err := in.cfg.Push(ctx, o.validator, g.message(o))
	return in.answered(g, o, first, answer, err)
}

// message returns the encoded push of an offer.
func (g *gathering) message(o offer) []byte {
	if o.verify {
		return g.verify
	}
	return g.plain
}

// answered takes what came of a push, the first of its offer or a later one, and returns whether that was what was asked for.
func (in *Intake) answered(g *gathering, o offer, first bool, answer []byte, err error) bool {
	if err == nil {
		err = in.take(g, o, answer)
	}
	if err == nil {
		return true
	}
	in.log.Debug("batch not acknowledged", slog.Any("batch", g.digest), slog.String("validator", g.set[o.validator].Name), slog.Any("error", err))
	if o.verify {
		in.noteSlow(g, []uint16{o.validator})
		if first {
			g.fail()
		}
	}
	return false
}

// take verifies an acknowledgement and adds it.
func (in *Intake) take(g *gathering, o offer, answer []byte) error {
	a, err := ledger.DecodeBatchAck(answer)
	if err != nil {
		return err
	}
	if a.Validator != o.validator {
		return fmt.Errorf("intake: validator %d acknowledged as %d", o.validator, a.Validator)
	}
	if err := a.Verify(in.cfg.Chain.Suite(), in.cfg.Chain.Network(), g.set, g.head.Epoch, g.digest); err != nil {
		return err
	}
	g.add(a)
	if o.verify && !a.Verified {
		return errors.New("intake: it holds the batch and did not verify it")
	}
	return nil
}
