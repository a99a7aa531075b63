package exec_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/exec/exectest"
	"aval/ledger"
	"aval/suite"
)

// town is a world with two banks that trust each other up to a cap and three customers, for random payments.
type town struct {
	*exectest.World
	banks, people []string
	keys          map[string][]*exectest.Member // maker, checker, admin by party
	holds         []suite.Hash
}

// fataler is what *testing.T and *rapid.T share here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newTown(t fataler) *town {
	t.Helper()
	s, err := suite.ByID(suite.Intl)
	if err != nil {
		t.Fatalf("%v", err)
	}
	w, err := exectest.NewWorld(s, ledger.ClockLab)
	if err != nil {
		t.Fatalf("%v", err)
	}
	town := &town{World: w, banks: []string{"east", "west"}, people: []string{"ann", "bo", "cy"}, keys: map[string][]*exectest.Member{}}
	for i, name := range append(append([]string(nil), town.banks...), town.people...) {
		role := ledger.RoleSupplier
		if i < len(town.banks) {
			role = ledger.RoleBank
		}
		town.onboard(t, name, role)
	}
	var ops []ledger.Op
	for i, bank := range town.banks {
		for _, p := range town.people {
			ops = append(ops, ledger.NewOp(w.Party(bank), &ledger.AccountOpen{Holder: w.Party(p)}))
			ops = append(ops, ledger.NewOp(w.Party(bank), &ledger.MoneyMint{Holder: w.Party(p), Amount: 1000}))
		}
		ops = append(ops, ledger.NewOp(w.Party(bank), &ledger.MandateGrant{
			Creditor: w.Party(town.banks[1-i]), Cap: 1500, NotAfter: ledger.DateMax,
		}))
	}
	for _, r := range town.block(t, town.tx(append(append([]string(nil), town.banks...), town.people...), ops...)) {
		if r.Code != ledger.CodeOK {
			t.Fatalf("setting up: %s", r.Message)
		}
	}
	return town
}

func (w *town) onboard(t fataler, name string, role ledger.Role) {
	t.Helper()
	op := &ledger.PartyOnboard{ID: w.DeclareParty(name, ""), Name: name, Scope: "/", Roles: role, Size: ledger.SizeLarge}
	tx := w.NewTx()
	for i, suffix := range []string{"m", "c", "a"} {
		m, err := w.DeclareMember(name, suffix, ledger.CapMaker<<i, name+suffix)
		if err != nil {
			t.Fatalf("%v", err)
		}
		w.keys[name] = append(w.keys[name], m)
		op.Members = append(op.Members, m.Grant)
	}
	tx.Tx.Ops = []ledger.Op{ledger.NewOp(w.Party("authority"), op)}
	keys := []suite.PublicKey{w.Signer("authority.a").Public()}
	for _, m := range w.keys[name] {
		keys = append(keys, m.Signer.Public())
	}
	if r := w.block(t, w.seal(tx, keys)); r[0].Code != ledger.CodeOK {
		t.Fatalf("onboard %s: %s", name, r[0].Message)
	}
}

// seal names the keys that signed. Execution is given verified signatures and looks at their keys alone, so they are left out.
func (w *town) seal(tx *ledger.SignedTx, keys []suite.PublicKey) exec.Tx {
	for _, key := range keys {
		tx.AddSignature(ledger.TxSignature{Key: key})
	}
	return exec.Tx{ID: tx.Tx.ID(w.Suite), Signed: w.Suite.Hash(ledger.DomainSignedTx, codec.MustMarshal(tx)), Body: tx}
}

// tx is signed by all keys of the named parties.
func (w *town) tx(parties []string, ops ...ledger.Op) exec.Tx {
	var keys []suite.PublicKey
	for _, p := range parties {
		for _, m := range w.keys[p] {
			keys = append(keys, m.Signer.Public())
		}
	}
	return w.seal(w.NewTx(ops...), keys)
}

// block makes a block; it fails if the whole state does not add up.
func (w *town) block(t fataler, txs ...exec.Tx) []ledger.Receipt {
	t.Helper()
	receipts, err := w.Block(ledger.Second, txs...)
	if err != nil {
		t.Fatalf("block %d: %v", w.Height, err)
	}
	return receipts
}

// randomOp draws an operation that may or may not succeed.
func (w *town) randomOp(t *rapid.T) (ledger.Op, string) {
	bank := func(label string) string { return rapid.SampledFrom(w.banks).Draw(t, label) }
	anyone := func(label string) string {
		return rapid.SampledFrom(append(append([]string(nil), w.people...), w.banks...)).Draw(t, label)
	}
	amount := ledger.Fen(rapid.OneOf(rapid.Uint64Range(0, 700), rapid.Just(uint64(ledger.AmountMax))).Draw(t, "amount"))
	by := anyone("by")
	var body ledger.Body
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		body = &ledger.MoneyMint{Holder: w.Party(anyone("holder")), Amount: amount}
	case 1:
		body = &ledger.MoneyBurn{Holder: w.Party(by), Amount: amount}
	case 2:
		body = &ledger.MoneyHold{Bank: w.Party(bank("bank")), Beneficiary: w.Party(anyone("to")), Amount: amount}
	case 3:
		hold := suite.Hash{}
		if len(w.holds) > 0 {
			hold = rapid.SampledFrom(w.holds).Draw(t, "hold")
		}
		body = &ledger.HoldEnd{Hold: hold, Pay: rapid.Bool().Draw(t, "pay")}
	case 4:
		body = &ledger.MandateSettle{Debtor: w.Party(bank("debtor")), Amount: amount}
	default:
		body = &ledger.MoneyTransfer{
			Bank: w.Party(bank("bank")), To: w.Party(anyone("to")), ToBank: w.Party(bank("to bank")), Amount: amount,
		}
	}
	return ledger.NewOp(w.Party(by), body), by
}

// randomTx draws one to three operations, sometimes with a signature missing.
func (w *town) randomTx(t *rapid.T) exec.Tx {
	var ops []ledger.Op
	signed := map[string]bool{}
	for range rapid.IntRange(1, 3).Draw(t, "ops") {
		op, by := w.randomOp(t)
		ops = append(ops, op)
		signed[by] = true
	}
	if rapid.IntRange(0, 9).Draw(t, "all sign") > 0 {
		for _, p := range append(append([]string(nil), w.banks...), w.people...) {
			signed[p] = true
		}
	}
	var parties []string
	for _, p := range append(append([]string(nil), w.banks...), w.people...) {
		if signed[p] {
			parties = append(parties, p)
		}
	}
	tx := w.tx(parties, ops...)
	for i := range ops {
		if ops[i].Kind == ledger.KindMoneyHold {
			w.holds = append(w.holds, ledger.DerivedID(w.Suite, tx.ID, i, 0))
		}
	}
	return tx
}

// TestRandomPaymentsConserve: whatever is tried, every bank owes what its accounts hold, every failed transaction leaves
// nothing behind, and a block gives the same on any number of threads. Audit is the slow twin of the checks at commit.
func TestRandomPaymentsConserve(t *testing.T) {
	failed, succeeded := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := newTown(t)
		for range rapid.IntRange(1, 4).Draw(t, "blocks") {
			var txs []exec.Tx
			for range rapid.IntRange(1, 12).Draw(t, "txs") {
				txs = append(txs, w.randomTx(t))
			}
			want := encode(t, w, txs)
			receipts := w.block(t, txs...)
			var events int
			for i := range receipts {
				if receipts[i].Code == ledger.CodeOK {
					succeeded++
				} else {
					failed++
					events += len(receipts[i].Events)
				}
			}
			if events > 0 {
				t.Fatalf("failed transactions emitted %d events", events)
			}
			if got := result(w.Last); got != want {
				t.Fatalf("block %d gave\n%s\nand before\n%s", w.Height, got, want)
			}
		}
	})
	if failed == 0 || succeeded == 0 {
		t.Fatalf("%d transactions failed and %d succeeded: the test says little", failed, succeeded)
	}
}

// encode executes the next block without committing it.
func encode(t fataler, w *town, txs []exec.Tx) string {
	t.Helper()
	r, err := w.Executor.Apply(w, &exec.Input{Header: w.Header(ledger.Second), Txs: txs}, w)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return result(r)
}

func result(r *exec.Result) string {
	return fmt.Sprintf("%x %x %v %v", codec.MustMarshal(r.Receipts), r.Changes, r.Spent, r.WorkLeft)
}

// blockOf is a world and transactions to execute on it.
type blockOf struct {
	*chaos
	txs []exec.Tx
}

// TestThreadsDoNotMatter executes one block on the same view at once in many goroutines, on 1, 2 and 8 threads.
func TestThreadsDoNotMatter(t *testing.T) {
	w := rapid.Custom(func(t *rapid.T) blockOf {
		b := blockOf{chaos: newChaos(t)}
		b.pass(3 * ledger.Day)
		b.learn()
		for range 40 {
			b.txs = append(b.txs, b.randomTx(t), b.tx(b.parties, b.op()))
		}
		return b
	}).Example(7)
	want := encode(t, w.town, w.txs)
	for _, threads := range []int{1, 2, 8} {
		before := runtime.GOMAXPROCS(threads)
		got := make([]string, 8)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				r, err := w.Executor.Apply(w, &exec.Input{Header: w.Header(ledger.Second), Txs: w.txs}, w)
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				got[i] = result(r)
			})
		}
		all.Wait()
		runtime.GOMAXPROCS(before)
		for i := range got {
			if got[i] != want {
				t.Fatalf("%d threads, run %d:\n%s\nwant\n%s", threads, i, got[i], want)
			}
		}
	}
}

func sortedKeys(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }
