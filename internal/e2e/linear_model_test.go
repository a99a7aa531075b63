package e2e

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"aval/ledger"
	"aval/suite"
)

// holders is how many parties hold money and lots in a history; they are told apart by their index.
const holders = 4

// verb is what a client asks for.
type verb string

// The verbs. Money and every voucher stand for themselves: no operation of a history touches two of them.
const (
	verbPay     verb = "pay"     // to one, or to two at once
	verbBalance verb = "balance" // a fresh read
	verbOffer   verb = "offer"   // offers a lot, or cuts off a part of it and offers that
	verbAccept  verb = "accept"
	verbLots    verb = "lots" // a fresh read
)

// ask is what a client asks for.
type ask struct {
	verb verb
	// voucher is 0 for money, else 1 more than the voucher's index.
	voucher int
	by      int
	pays    []payment
	// The lot that begins at from and is believed to have a size of whole is offered to the party to, as far as amount goes.
	from, whole, amount ledger.Fen
	to                  int
	offer               suite.Hash // that is accepted
}

// payment is one part of a transfer.
type payment struct {
	to     int
	amount ledger.Fen
}

// answer is what a client was told.
type answer struct {
	code    ledger.Code
	balance ledger.Fen
	lots    []lot
	offer   suite.Hash // that was made
}

// lot is a lot as far as it matters here.
type lot struct {
	from, to ledger.Fen
	holder   int
	lock     suite.Hash // zero: free
	depth    uint32
}

// balances is the state of money.
type balances [holders]ledger.Fen

// lots is the state of a voucher, and who may accept what.
type lots struct {
	lots []lot
	open []offered
}

// offered is an open offer.
type offered struct {
	id   suite.Hash
	from ledger.Fen
	to   int
}

// model is what balances and lots must look like to clients: one after another, each at once.
func model(money balances, vouchers [][]lot) porcupine.Model {
	return porcupine.Model{
		Partition: byInstrument,
		// The state is nil until the first operation tells what it is of.
		Init: func() any { return nil },
		Step: func(state, in, out any) (bool, any) {
			a, o := in.(*ask), out.(*answer)
			if a.voucher == 0 {
				if state == nil {
					state = money
				}
				return stepMoney(state.(balances), a, o)
			}
			if state == nil {
				state = lots{lots: vouchers[a.voucher-1]}
			}
			return stepLots(state.(lots), a, o)
		},
		Equal: func(a, b any) bool {
			x, isLots := a.(lots)
			y, areLots := b.(lots)
			if isLots && areLots {
				return slices.Equal(x.lots, y.lots) && slices.Equal(x.open, y.open)
			}
			return !isLots && !areLots && a == b
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", *in.(*ask), *out.(*answer)) },
	}
}

func byInstrument(history []porcupine.Operation) [][]porcupine.Operation {
	var out [][]porcupine.Operation
	for _, op := range history {
		at := op.Input.(*ask).voucher
		for len(out) <= at {
			out = append(out, nil)
		}
		out[at] = append(out[at], op)
	}
	return out
}

func stepMoney(s balances, a *ask, o *answer) (bool, any) {
	if a.verb == verbBalance {
		return o.balance == s[a.by], s
	}
	var sum ledger.Fen
	for _, p := range a.pays {
		sum += p.amount
	}
	if o.code != ledger.CodeOK {
		return o.code == ledger.CodeInsufficientFunds && sum > s[a.by], s
	}
	if sum > s[a.by] {
		return false, s
	}
	s[a.by] -= sum
	for _, p := range a.pays {
		s[p.to] += p.amount
	}
	return true, s
}

func stepLots(s lots, a *ask, o *answer) (bool, any) {
	switch a.verb {
	case verbLots:
		return slices.Equal(o.lots, s.lots), s
	case verbOffer:
		return stepOffer(s, a, o)
	}
	at := slices.IndexFunc(s.open, func(x offered) bool { return x.id == a.offer && x.to == a.by })
	if o.code != ledger.CodeOK {
		return o.code == ledger.CodeOfferUnknown && at < 0, s
	}
	if at < 0 {
		return false, s
	}
	next := lots{slices.Clone(s.lots), slices.Delete(slices.Clone(s.open), at, at+1)}
	l := &next.lots[slices.IndexFunc(next.lots, func(l lot) bool { return l.from == s.open[at].from })]
	l.holder, l.lock = a.by, suite.Hash{}
	l.depth++
	return true, next
}

func stepOffer(s lots, a *ask, o *answer) (bool, any) {
	at := slices.IndexFunc(s.lots, func(l lot) bool { return l.from == a.from })
	want := ledger.CodeOK
	switch {
	case at < 0:
		want = ledger.CodeLotUnknown
	case s.lots[at].holder != a.by:
		want = ledger.CodeNotHolder
	case s.lots[at].lock != suite.Hash{}:
		want = ledger.CodeLotLocked
	case s.lots[at].depth >= ledger.LotDepthMax:
		want = ledger.CodeLotsMany
	case s.lots[at].to-a.from != a.whole:
		want = ledger.CodePartsMismatch
	}
	if o.code != want || want != ledger.CodeOK {
		return o.code == want, s
	}
	l := s.lots[at]
	parts := []lot{{from: l.from, to: l.from + a.amount, holder: l.holder, lock: o.offer, depth: l.depth}}
	if parts[0].to < l.to {
		parts = append(parts, lot{from: parts[0].to, to: l.to, holder: l.holder, depth: l.depth})
	}
	next := lots{slices.Concat(s.lots[:at], parts, s.lots[at+1:]), append(slices.Clone(s.open), offered{o.offer, a.from, a.to})}
	return true, next
}

// forever is when an operation returns whose answer never came.
const forever = math.MaxInt64

// linearizable reports whether a history can have happened one operation after another.
func linearizable(t *testing.T, m porcupine.Model, history []porcupine.Operation) bool {
	t.Helper()
	start := time.Now()
	result := porcupine.CheckOperationsTimeout(m, history, patience)
	t.Logf("%d operations: %s after %v", len(history), result, time.Since(start).Round(time.Millisecond))
	if result == porcupine.Unknown {
		t.Errorf("not decided within %v", patience)
	}
	return result == porcupine.Ok
}

// TestCheckerRefuses shows the checker histories that no ledger may produce, each beside one that it may.
func TestCheckerRefuses(t *testing.T) {
	money := balances{100, 100, 0, 0}
	voucher := [][]lot{{{from: 0, to: 1000, holder: 0}}}
	x, y := suite.Hash{1}, suite.Hash{2}
	op := func(call, ret int64, a ask, o answer) porcupine.Operation {
		return porcupine.Operation{Input: &a, Output: &o, Call: call, Return: ret}
	}
	pay := func(amount ledger.Fen) ask { return ask{verb: verbPay, by: 0, pays: []payment{{1, amount}}} }
	both := ask{verb: verbPay, by: 0, pays: []payment{{1, 10}, {2, 20}}}
	balance := func(of int) ask { return ask{verb: verbBalance, by: of} }
	offer := ask{verb: verbOffer, voucher: 1, by: 0, from: 0, whole: 1000, amount: 400, to: 1}
	accept := ask{verb: verbAccept, voucher: 1, by: 1, offer: x}
	list := ask{verb: verbLots, voucher: 1}
	cut := []lot{{from: 0, to: 400, holder: 0, lock: x}, {from: 400, to: 1000, holder: 0}}
	passed := []lot{{from: 0, to: 400, holder: 1, depth: 1}, {from: 400, to: 1000, holder: 0}}
	for _, c := range []struct {
		name    string
		ok      bool
		history []porcupine.Operation
	}{
		{"read after write", true, []porcupine.Operation{op(1, 2, pay(30), answer{}), op(3, 4, balance(0), answer{balance: 70})}},
		{"stale read", false, []porcupine.Operation{op(1, 2, pay(30), answer{}), op(3, 4, balance(0), answer{balance: 100})}},
		{"read while it is written", true, []porcupine.Operation{op(1, 5, pay(30), answer{}), op(3, 4, balance(0), answer{balance: 100})}},
		{"new, then old", false, []porcupine.Operation{op(1, 9, pay(30), answer{}), op(2, 3, balance(0), answer{balance: 70}),
			op(4, 5, balance(0), answer{balance: 100})}},
		{"lost write", false, []porcupine.Operation{op(1, 2, pay(30), answer{}), op(3, 4, pay(30), answer{}), op(5, 6, balance(0), answer{balance: 70})}},
		{"applied twice", false, []porcupine.Operation{op(1, 2, pay(30), answer{}), op(3, 4, balance(1), answer{balance: 160})}},
		{"answer never came, applied", true, []porcupine.Operation{op(1, forever, pay(30), answer{}), op(3, 4, balance(1), answer{balance: 130})}},
		{"half of two payments", false, []porcupine.Operation{op(1, 2, both, answer{}), op(3, 4, balance(0), answer{balance: 70}),
			op(3, 4, balance(2), answer{balance: 0})}},
		{"spent what it had", true, []porcupine.Operation{op(1, 2, pay(100), answer{}), op(3, 4, pay(1), answer{code: ledger.CodeInsufficientFunds})}},
		{"spent twice", false, []porcupine.Operation{op(1, 4, pay(60), answer{}), op(1, 4, pay(60), answer{})}},
		{"refused without a reason", false, []porcupine.Operation{op(1, 2, pay(10), answer{code: ledger.CodeInsufficientFunds})}},
		{"cut and passed on", true, []porcupine.Operation{op(1, 2, offer, answer{offer: x}), op(3, 4, list, answer{lots: cut}),
			op(5, 6, accept, answer{}), op(7, 8, list, answer{lots: passed})}},
		{"lot passed on, lost", false, []porcupine.Operation{op(1, 2, offer, answer{offer: x}), op(5, 6, accept, answer{}), op(7, 8, list, answer{lots: cut})}},
		{"lot offered twice", false, []porcupine.Operation{op(1, 4, offer, answer{offer: x}), op(1, 4, offer, answer{offer: y})}},
		{"offer accepted twice", false, []porcupine.Operation{op(1, 2, offer, answer{offer: x}), op(3, 6, accept, answer{}), op(3, 6, accept, answer{})}},
		{"one of two accepts", true, []porcupine.Operation{op(1, 2, offer, answer{offer: x}), op(3, 6, accept, answer{}),
			op(3, 6, accept, answer{code: ledger.CodeOfferUnknown})}},
		{"accepted before it was offered", false, []porcupine.Operation{op(1, 2, accept, answer{}), op(3, 4, offer, answer{offer: x})}},
	} {
		if got := linearizable(t, model(money, voucher), c.history); got != c.ok {
			t.Errorf("%s: the checker says %v", c.name, got)
		}
	}
}
