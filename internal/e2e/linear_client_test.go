package e2e

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// recorder keeps what clients asked and were told. Its methods are safe for concurrent use.
type recorder struct {
	mu       sync.Mutex
	start    time.Time
	history  []porcupine.Operation
	writes   []write
	reads    []read
	unknown  []write // no answer came
	openOnes []offeredLot
}

// write is one transaction: in the block of which height, at which place.
type write struct {
	ask    *ask
	answer *answer
	id     suite.Hash
	call   int64
	until  ledger.Time // may be included until then
	height ledger.Height
	index  uint32
}

// read is what a node said its state was at a height.
type read struct {
	ask    *ask
	answer *answer
	height ledger.Height
	node   int
	fresh  bool
}

// offeredLot is an offer that was made, so that others can accept it.
type offeredLot struct {
	voucher, to int
	id          suite.Hash
}

func (r *recorder) now() int64 { return time.Since(r.start).Nanoseconds() }

func (r *recorder) operation(k *caller, a *ask, o *answer, call, ret int64) {
	r.history = append(r.history, porcupine.Operation{ClientId: k.number, Input: a, Output: o, Call: call, Return: ret})
}

// wrote records a write that was answered.
func (r *recorder) wrote(k *caller, w write, ret int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operation(k, w.ask, w.answer, w.call, ret)
	r.writes = append(r.writes, w)
	if w.ask.verb == verbOffer && w.answer.code == ledger.CodeOK {
		r.openOnes = append(r.openOnes, offeredLot{w.ask.voucher, w.ask.to, w.answer.offer})
	}
}

// caller is one client: it asks for one thing after another.
type caller struct {
	m        *market
	rec      *recorder
	number   int
	all      *client.Client
	nodes    []*client.Client
	random   *rand.Rand
	vouchers []suite.Hash
	// seen are the lots of each voucher as last read.
	seen [][]lot
}

// work asks for random things until ctx ends.
func (k *caller) work(ctx context.Context) {
	for ctx.Err() == nil {
		by := k.random.IntN(holders)
		switch n := k.random.IntN(100); {
		case n < 35:
			k.pay(ctx, by)
		case n < 50:
			k.fresh(ctx, &ask{verb: verbBalance, by: by})
		case n < 55:
			k.proven(ctx, by)
		case n < 70:
			k.look(ctx, &ask{verb: verbBalance, by: by})
		case n < 78:
			k.look(ctx, &ask{verb: verbLots, voucher: 1 + k.random.IntN(len(k.vouchers))})
		case n < 83:
			k.fresh(ctx, &ask{verb: verbLots, voucher: 1 + k.random.IntN(len(k.vouchers))})
		case n < 92:
			k.offer(ctx)
		default:
			k.accept(ctx)
		}
	}
}

// pay pays one other holder, or two in one transaction.
func (k *caller) pay(ctx context.Context, by int) {
	a := &ask{verb: verbPay, by: by}
	var ops []ledger.Op
	for n := range 1 + k.random.IntN(2) {
		p := payment{(by + 1 + n + k.random.IntN(2)) % holders, ledger.Fen(1 + k.random.IntN(int(purse)/2))}
		a.pays = append(a.pays, p)
		ops = append(ops, ledger.NewOp(k.m.holders[by].id, &ledger.MoneyTransfer{Bank: k.m.bank.id, To: k.m.holders[p.to].id,
			ToBank: k.m.bank.id, Amount: p.amount}))
	}
	k.write(ctx, a, ops, by)
}

// offer offers a lot that was seen, or cuts off a part of it and offers that.
func (k *caller) offer(ctx context.Context) {
	v := k.random.IntN(len(k.vouchers))
	if len(k.seen[v]) == 0 {
		return
	}
	l := k.seen[v][k.random.IntN(len(k.seen[v]))]
	a := &ask{verb: verbOffer, voucher: v + 1, by: l.holder, from: l.from, whole: l.to - l.from, amount: l.to - l.from,
		to: (l.holder + 1 + k.random.IntN(holders-1)) % holders}
	if len(k.seen[v]) < api.PageSize/2 && a.amount > 1 && k.random.IntN(2) == 0 {
		a.amount = 1 + ledger.Fen(k.random.Int64N(int64(a.amount-1)))
	}
	part := ledger.OfferPart{Amount: a.amount, To: k.m.holders[a.to].id, Discharge: ledger.DischargeAtPayment,
		Evidence: []ledger.EvidenceUse{{Invoice: k.m.sales[a.to][a.by], Amount: a.amount}}}
	op := &ledger.VoucherOffer{Voucher: k.vouchers[v], Lot: a.from, Parts: []ledger.OfferPart{part},
		AcceptBy: k.m.w.net.Genesis.Start + 7*ledger.Day}
	if rest := a.whole - a.amount; rest > 0 {
		op.Parts = append(op.Parts, ledger.OfferPart{Amount: rest, Evidence: []ledger.EvidenceUse{}})
	}
	k.write(ctx, a, []ledger.Op{ledger.NewOp(k.m.holders[a.by].id, op)}, a.by)
}

// accept accepts an offer that was made; others may do so at the same time.
func (k *caller) accept(ctx context.Context) {
	k.rec.mu.Lock()
	var o offeredLot
	n := len(k.rec.openOnes)
	if n > 0 {
		o = k.rec.openOnes[max(0, n-1-k.random.IntN(4))]
	}
	k.rec.mu.Unlock()
	if n == 0 {
		return
	}
	a := &ask{verb: verbAccept, voucher: o.voucher, by: o.to, offer: o.id}
	k.write(ctx, a, []ledger.Op{ledger.NewOp(k.m.holders[o.to].id, &ledger.OfferAccept{Offer: o.id})}, o.to)
}

// write submits a transaction and records what became of it. One in four clients waits for its answer only briefly.
func (k *caller) write(ctx context.Context, a *ask, ops []ledger.Op, by int) {
	tx, err := k.all.NewTx(ops...)
	if err == nil {
		err = k.all.Sign(tx, k.m.holders[by].key)
	}
	if err != nil {
		k.m.w.t.Error(err)
		return
	}
	span := 20 * time.Second
	if k.random.IntN(4) == 0 {
		span = 400 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	w := write{ask: a, id: tx.Tx.ID(k.m.w.net.Suite), call: k.rec.now(), until: tx.Tx.ValidUntil}
	out, _ := k.all.Submit(ctx, tx, api.WaitCommitted) // a receipt that refuses is an outcome, too
	if out == nil || out.Receipt == nil {
		k.rec.mu.Lock()
		k.rec.unknown = append(k.rec.unknown, w)
		k.rec.mu.Unlock()
		return
	}
	w.fill(k.m.w.net.Suite, out)
	k.rec.wrote(k, w, k.rec.now())
}

// fill takes over what became of a write.
func (w *write) fill(s suite.Suite, out *api.Outcome) {
	w.height, w.index = out.Height, out.Receipt.Index
	w.answer = &answer{code: out.Receipt.Code}
	if w.ask.verb == verbOffer && w.answer.code == ledger.CodeOK {
		w.answer.offer = ledger.DerivedID(s, w.id, 0, 0)
	}
}

// fresh reads what holds now: it commits something first and accepts only a state that contains it.
func (k *caller) fresh(ctx context.Context, a *ask) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	call := k.rec.now()
	barrier, err := k.m.w.openScope(ctx, k.all)
	for err == nil {
		node := k.random.IntN(len(k.nodes))
		o, height, rerr := k.ask(ctx, node, a)
		if rerr == nil && height >= barrier.Height {
			k.rec.mu.Lock()
			k.rec.operation(k, a, o, call, k.rec.now())
			k.rec.reads = append(k.rec.reads, read{a, o, height, node, true})
			k.rec.mu.Unlock()
			return
		}
		err = pause(ctx, 5*time.Millisecond)
	}
}

// look reads at one node, which may be behind: what it says must have been so at the height that it says.
func (k *caller) look(ctx context.Context, a *ask) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	node := k.random.IntN(len(k.nodes))
	o, height, err := k.ask(ctx, node, a)
	if err != nil {
		return // it is down, or cut off
	}
	k.rec.mu.Lock()
	defer k.rec.mu.Unlock()
	k.rec.reads = append(k.rec.reads, read{a, o, height, node, false})
}

// ask asks one node.
func (k *caller) ask(ctx context.Context, node int, a *ask) (*answer, ledger.Height, error) {
	if a.verb == verbBalance {
		account, err := k.nodes[node].Account(ctx, k.m.bank.id, k.m.holders[a.by].id)
		if err != nil {
			return nil, 0, err
		}
		return &answer{balance: account.Balance}, account.AsOf.Height, nil
	}
	list, err := k.nodes[node].VoucherLots(ctx, k.vouchers[a.voucher-1], 0)
	if err != nil {
		return nil, 0, err
	}
	if list.Count > api.PageSize {
		return nil, 0, errors.New("more lots than a page")
	}
	o := &answer{}
	for i := range list.Items {
		l := &list.Items[i]
		o.lots = append(o.lots, lot{l.From, l.To, k.m.holder(l.Holder), l.Lock, l.Depth})
	}
	k.seen[a.voucher-1] = o.lots
	return o, list.AsOf.Height, nil
}

// proven reads a balance from a proof of the newest certified state, which must contain what was committed before.
func (k *caller) proven(ctx context.Context, by int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	a, call := &ask{verb: verbBalance, by: by}, k.rec.now()
	barrier, err := k.m.w.openScope(ctx, k.all)
	for err == nil {
		node := k.random.IntN(len(k.nodes))
		p, perr := k.nodes[node].StateProof(ctx, ledger.AccountKey(k.m.bank.id, k.m.holders[by].id))
		if perr == nil && p.Verdict.Height >= barrier.Height {
			var account ledger.Account
			if err := codec.Unmarshal(p.Verdict.Value, &account); err != nil {
				k.m.w.t.Error(err)
				return
			}
			o := &answer{balance: account.Balance}
			k.rec.mu.Lock()
			k.rec.operation(k, a, o, call, k.rec.now())
			k.rec.reads = append(k.rec.reads, read{a, o, p.Verdict.Height, node, true})
			k.rec.mu.Unlock()
			return
		}
		err = pause(ctx, 20*time.Millisecond)
	}
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// inOrder sorts writes as the ledger did.
func inOrder(writes []write) {
	slices.SortFunc(writes, func(a, b write) int {
		return cmp.Or(cmp.Compare(a.height, b.height), cmp.Compare(a.index, b.index))
	})
}
