package intake

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// flight is a batch on its way.
type flight struct {
	digest suite.Hash
	body   []byte
	txs    []*pending
	sent   time.Time
	tries  int
	// sending is true while a goroutine is handing it in.
	sending bool
	wall    ledger.Time
}

// sweepEvery is how often batches that stay unordered are looked for.
const sweepEvery = 100 * time.Millisecond

// run closes batches when they are due and hands in again what stays unordered.
func (in *Intake) run() {
	defer in.tasks.Done()
	sweep := in.cfg.Clock.NewTimer(sweepEvery)
	defer sweep.Stop()
	age := in.cfg.Clock.NewTimer(in.cfg.BatchAge)
	defer age.Stop()
	for {
		if wait := in.flush(); wait > 0 {
			age.Reset(wait)
		}
		select {
		case <-in.ctx.Done():
			return
		case <-in.wake:
		case <-age.C():
		case <-sweep.C():
			in.sweep()
			sweep.Reset(sweepEvery)
		}
	}
}

// flush closes every batch that is due and returns how long the next has to wait, 0 if there is none.
func (in *Intake) flush() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) > 0 && !in.closed {
		full := len(in.queue) >= in.cfg.BatchTxs || in.queueBytes >= in.cfg.BatchBytes
		age := in.cfg.Clock.Now().Sub(in.queueSince)
		if !full && len(in.flight) > 0 && age < in.cfg.BatchAge {
			return in.cfg.BatchAge - age
		}
		in.launch(in.take())
	}
	return 0
}

// take removes the transactions of the next batch from the queue. The caller holds mu.
func (in *Intake) take() []*pending {
	n, bytes := 0, 0
	for n < len(in.queue) && n < in.cfg.BatchTxs && bytes < in.cfg.BatchBytes {
		bytes += len(in.queue[n].raw)
		n++
	}
	txs := append([]*pending(nil), in.queue[:n]...)
	in.queue = in.queue[n:]
	in.queueBytes -= bytes
	return txs
}

// launch makes a batch and hands it in. The caller holds mu.
func (in *Intake) launch(txs []*pending) {
	epoch, _ := in.cfg.Chain.Epoch()
	b := ledger.Batch{Origin: in.cfg.Origin, Epoch: epoch, Wall: in.cfg.Chain.Now(), Txs: make([][]byte, len(txs))}
	for i, p := range txs {
		b.Txs[i] = p.raw
	}
	f := &flight{digest: b.Digest(in.cfg.Chain.Suite()), body: codec.MustMarshal(&b), txs: txs, wall: b.Wall}
	in.flight[f.digest] = f
	in.send(f)
}

// send hands f in on a goroutine of its own. The caller holds mu.
func (in *Intake) send(f *flight) {
	f.sending, f.sent = true, in.cfg.Clock.Now()
	attempt := f.tries
	f.tries++
	in.tasks.Add(1)
	go func() {
		defer in.tasks.Done()
		ctx, cancel := context.WithTimeout(in.ctx, 10*in.cfg.ResendAfter)
		defer cancel()
		err := in.cfg.Order(ctx, f.body, attempt)
		if err != nil && !errors.Is(err, context.Canceled) {
			in.log.WarnContext(ctx, "batch not handed in, will be again", slog.Any("batch", f.digest), slog.Int("attempt", attempt), slog.Any("error", err))
		}
		in.mu.Lock()
		f.sending = false
		in.mu.Unlock()
	}()
}

// sweep hands in again what stayed unordered and gives up what has passed its window.
func (in *Intake) sweep() {
	in.mu.Lock()
	defer in.mu.Unlock()
	now, wall := in.cfg.Clock.Now(), in.cfg.Chain.Now()
	for digest, f := range in.flight {
		open := in.giveUp(f.txs, wall)
		switch {
		case open == 0:
			delete(in.flight, digest)
		case !f.sending && now.Sub(f.sent) >= in.cfg.ResendAfter:
			in.send(f)
		}
	}
}

// giveUp resolves the transactions that no later block can include, and counts those still open. The slack lets a block
// that is under way, by a validator whose clock is behind, be executed first.
func (in *Intake) giveUp(txs []*pending, wall ledger.Time) (open int) {
	const slack = 30 * ledger.Second
	for _, p := range txs {
		if in.bySigned[p.ticket.Signed] != p {
			continue
		}
		if p.validUntil+slack < wall {
			in.resolve(p, nil, ErrNotIncluded)
			continue
		}
		open++
	}
	return open
}

// Executed takes the receipts of a block and tells whoever waits for them. It does not block.
func (in *Intake) Executed(_ *ledger.Header, receipts []ledger.Receipt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range receipts {
		r := &receipts[i]
		if p := in.bySigned[r.Signed]; p != nil && !r.Boundary {
			in.finish(p, r)
		}
	}
	for digest, f := range in.flight {
		open := 0
		for _, p := range f.txs {
			if in.bySigned[p.ticket.Signed] == p {
				open++
			}
		}
		if open == 0 {
			delete(in.flight, digest)
		}
	}
	in.poke()
}

// finish resolves p with its receipt. A repetition whose first inclusion went by another way gets the receipt that
// spent the id. The caller holds mu.
func (in *Intake) finish(p *pending, r *ledger.Receipt) {
	if r.Code != ledger.CodeReplay {
		in.resolve(p, r, nil)
		return
	}
	first, err := in.cfg.Chain.SpentBy(p.ticket.ID)
	if err == nil && first == nil {
		first = r
	}
	in.resolve(p, first, err)
}
