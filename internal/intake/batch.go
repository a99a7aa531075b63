package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"aval/codec"
	"aval/internal/exec"
	"aval/ledger"
	"aval/suite"
)

// flight is a batch on its way.
type flight struct {
	epoch uint64
	wall  ledger.Time
	txs   []*pending
	open  int       // of txs, those that are not settled
	sent  time.Time // when it was last handed in
	tries int
	// sending is true while a goroutine is handing it in. That goroutine alone uses gathering.
	sending   bool
	gathering *gathering
	over      chan struct{} // closed when it is under way no more
	handing   *handing      // of a stepped intake: the newest try
}

// batch returns the batch of f's transactions.
func (f *flight) batch(origin suite.PublicKey) *ledger.Batch {
	b := &ledger.Batch{Origin: origin, Epoch: f.epoch, Wall: f.wall, Txs: make([][]byte, len(f.txs))}
	for i, p := range f.txs {
		b.Txs[i] = p.raw
	}
	return b
}

// opened returns f's transactions, decoded.
func (f *flight) opened() []exec.Tx {
	out := make([]exec.Tx, len(f.txs))
	for i, p := range f.txs {
		out[i] = p.tx
	}
	return out
}

// sweepEvery is how often batches that stay unordered are looked for, while there are any.
const sweepEvery = 100 * time.Millisecond

// run closes batches when they are due and looks after those that stay unordered.
func (in *Intake) run() {
	defer in.tasks.Done()
	timer := in.cfg.Clock.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		if wait := in.turn(); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-in.ctx.Done():
			return
		case <-in.wake:
		case <-timer.C():
		}
	}
}

// turn does what is due and returns after how long there is something to do again; 0: not by itself.
func (in *Intake) turn() time.Duration {
	in.settleReplays()
	if now := in.cfg.Clock.Now(); now.Sub(in.swept) >= sweepEvery || now.Before(in.swept) { // before: the clock was set back
		in.sweep()
		in.swept = now
	}
	wait := in.flush()
	if in.Pending() > 0 && (wait == 0 || wait > sweepEvery) {
		wait = sweepEvery
	}
	return wait
}

// flush closes every batch that is due and returns how long the next has to wait, 0 if there is none or an executed batch
// must make room first.
func (in *Intake) flush() time.Duration {
	for {
		txs, wait := in.due()
		if len(txs) == 0 {
			return wait
		}
		in.launch(txs)
	}
}

// due takes the transactions of the next batch from the queue if it is time to close it.
func (in *Intake) due() (txs []*pending, wait time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) > 0 && in.queue[0].settled {
		in.pop()
	}
	if len(in.queue) == 0 || in.closed {
		return nil, 0
	}
	full := len(in.queue) >= in.cfg.BatchTxs || in.queueBytes >= in.cfg.BatchBytes
	age := in.cfg.Clock.Now().Sub(in.queue[0].since)
	switch {
	case len(in.flight) == 0:
	case len(in.flight) >= in.cfg.FlightsMax:
		return nil, 0
	case !full && age < in.cfg.BatchAge:
		return nil, in.cfg.BatchAge - age
	}
	for bytes := 0; len(in.queue) > 0 && len(txs) < in.cfg.BatchTxs && bytes < in.cfg.BatchBytes; {
		if p := in.pop(); !p.settled {
			bytes += len(p.raw) + txBytesRest
			txs = append(txs, p)
		}
	}
	return txs, 0
}

// push puts p at the end of the queue. The caller holds mu.
func (in *Intake) push(p *pending) {
	p.since, p.flight = in.cfg.Clock.Now(), nil
	in.queue = append(in.queue, p)
	in.queueBytes += len(p.raw) + txBytesRest
}

// pop takes the first of the queue. The caller holds mu.
func (in *Intake) pop() *pending {
	p := in.queue[0]
	in.queue[0] = nil
	in.queue = in.queue[1:]
	in.queueBytes -= len(p.raw) + txBytesRest
	return p
}

// launch begins a batch. No two batches have the same wall time, so that a transaction that is tried again
// is not taken for the batch that carried it before.
func (in *Intake) launch(txs []*pending) {
	epoch, _ := in.cfg.Chain.Epoch()
	in.mu.Lock()
	defer in.mu.Unlock()
	now := in.cfg.Chain.Now()
	if in.batchWall > now+wallAhead { // this machine's clock was set back
		in.batchWall = 0
	}
	in.batchWall = max(now, in.batchWall+1)
	f := &flight{epoch: epoch, wall: in.batchWall, txs: txs, over: make(chan struct{})}
	for _, p := range txs {
		if !p.settled {
			p.flight = f
			f.open++
		}
	}
	if f.open > 0 && !in.closed {
		in.flight[f] = struct{}{}
		in.metrics.batches.Inc()
		in.send(f)
	}
}

// wallAhead is how far ahead of the clock a batch may be dated. Validators take a little more.
const wallAhead = ledger.Minute / 2

// misdated reports whether a batch was dated by a clock that was wrong, so that no block takes it now.
func misdated(wall, now ledger.Time) bool {
	return wall > now+wallAhead || wall+ledger.BatchAgeMax < now
}

// land forgets a batch that is under way no more. The caller holds mu.
func (in *Intake) land(f *flight) {
	if _, ok := in.flight[f]; ok {
		delete(in.flight, f)
		close(f.over)
	}
}

// send has f certified and hands the certificate in, on a goroutine of its own. The caller holds mu.
func (in *Intake) send(f *flight) {
	f.sending = true
	attempt := f.tries
	f.tries++
	if in.cfg.Stepped {
		in.steps = append(in.steps, func() { in.beginStepped(f, attempt) })
		return
	}
	in.tasks.Add(1)
	go func() {
		defer in.tasks.Done()
		ctx, cancel := context.WithTimeout(in.ctx, certifyTries*in.cfg.ResendAfter)
		defer cancel()
		certificate, err := in.certify(ctx, f)
		if err == nil {
			err = in.cfg.Order(ctx, requestOf(certificate))
		}
		in.handedIn(f, attempt, err)
	}()
}

// certifyTries is for how many times ResendAfter a certificate is waited for.
const certifyTries = 10

// requestOf returns the ordering request of an encoded certificate.
func requestOf(certificate []byte) []byte {
	return codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: certificate})
}

// handedIn notes that f was handed in, or why not.
func (in *Intake) handedIn(f *flight, attempt int, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		in.log.Warn("batch not handed in, will be again", slog.Int("transactions", len(f.txs)), slog.Int("attempt", attempt), slog.Any("error", err))
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	f.sending, f.sent = false, in.cfg.Clock.Now() // only now does it count as unordered
}

// sweep settles transactions whose window is over, hands in again what stays unordered, and puts what can no longer be
// ordered in its batch into another.
func (in *Intake) sweep() {
	in.mu.Lock()
	in.pace.measure(in.cfg.Clock.Now())
	var over []*pending
	for _, p := range in.bySigned {
		// Later blocks are not earlier: p can be in none of them with effect.
		if p.validUntil < in.wall {
			over = append(over, p)
		}
	}
	in.mu.Unlock()
	slices.SortFunc(over, func(a, b *pending) int { return bytes.Compare(a.ticket.Signed[:], b.ticket.Signed[:]) })
	for _, p := range over {
		in.lookUp(p, nil, ErrNotIncluded)
	}
	epoch, _ := in.cfg.Chain.Epoch()
	now := in.cfg.Clock.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	wall := in.cfg.Chain.Now()
	flights := slices.SortedFunc(maps.Keys(in.flight), func(a, b *flight) int { return cmp.Compare(a.wall, b.wall) })
	for _, f := range flights {
		misdated := misdated(f.wall, wall)
		switch {
		case f.sending && !misdated:
		case now.Sub(f.sent) < in.resendAfter(f) && f.epoch == epoch && !misdated:
		case f.epoch != epoch || misdated || f.tries > resendDoublings:
			in.land(f)
			for _, p := range f.txs {
				if !p.settled {
					in.push(p)
				}
			}
		default:
			in.metrics.resent.Inc()
			in.send(f)
		}
	}
}

// resendAfter returns how long f may stay unordered before it is handed in again: twice as long after each try, so that
// batches handed in again do not themselves hold up a network that is slow.
func (in *Intake) resendAfter(f *flight) time.Duration {
	return in.cfg.ResendAfter << min(f.tries-1, resendDoublings)
}

// resendDoublings bounds the pause between two tries at 16 times the first. After that one the batch is made anew: an engine
// may have dropped it for good, which must not take the room of others for long.
const resendDoublings = 4

// Executed takes the receipts of a block and tells whoever waits for them. It does not block.
func (in *Intake) Executed(h *ledger.Header, receipts []ledger.Receipt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.wall = max(in.wall, h.Wall)
	for i := range receipts {
		r := &receipts[i]
		p := in.bySigned[r.Signed]
		switch {
		case p == nil || r.Boundary:
		case r.Code == ledger.CodeReplay:
			in.replays = append(in.replays, replay{p, r})
		default:
			in.settle(p, r, nil)
		}
	}
	in.poke()
}

// settleReplays gives repetitions, whose first inclusion went by another way, the receipt that spent the id.
func (in *Intake) settleReplays() {
	in.mu.Lock()
	replays := in.replays
	in.replays = nil
	in.mu.Unlock()
	for _, r := range replays {
		in.lookUp(r.pending, r.receipt, nil)
	}
}

// lookUp settles p with the receipt that spent its id, by whatever attempt; if there is none, with what is given.
func (in *Intake) lookUp(p *pending, otherwise *ledger.Receipt, err error) {
	receipt, failed := in.cfg.Chain.SpentBy(p.ticket.ID)
	switch {
	case failed != nil:
		receipt, err = nil, failed
	case receipt != nil:
		err = nil
	default:
		receipt = otherwise
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.settle(p, receipt, err)
}
