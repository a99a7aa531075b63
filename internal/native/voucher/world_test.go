package voucher

import (
	"encoding/binary"
	"errors"
	"testing"

	"aval/internal/native/money"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// world is a small state in memory: an issuer, two suppliers, one bank, and an invoice of each supplier.
type world struct {
	suite  suite.Suite
	params ledger.Params
	state  map[string][]byte
	now    ledger.Time
	height ledger.Height
	txs    uint64
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

type consent struct{}

func (consent) Require(ledger.PartyID, ledger.Class) error           { return nil }
func (consent) RequireAny(ledger.PartyID) ([]suite.PublicKey, error) { return nil, nil }
func (consent) HasKey(suite.PublicKey) bool                          { return true }

func (w *world) Get(key []byte) (value []byte, ok bool, err error) {
	v, ok := w.state[string(key)]
	return v, ok, nil
}

// face is what each invoice and the limit admit.
const face = ledger.AmountMax

func newWorld(t fataler) *world {
	t.Helper()
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatalf("%v", err)
	}
	w := &world{suite: s, params: ledger.DefaultParams(1), state: map[string][]byte{}, now: ledger.CivilDate(2026, 9, 15).Start()}
	w.apply(t, func(c *vm.Context) error {
		for id, roles := range map[ledger.PartyID]ledger.Role{"core": ledger.RoleCore, "ann": 0, "ben": 0, "bank": ledger.RoleBank} {
			vm.Store(c.Journal, ledger.PartyKey(id), &ledger.Party{ID: id, Scope: "/", Roles: roles, Bank: "bank"})
			vm.Store(c.Journal, ledger.AccountKey("bank", id), &ledger.Account{Bank: "bank", Holder: id})
		}
		vm.Store(c.Journal, ledger.AccountKey("bank", "core"), &ledger.Account{Bank: "bank", Holder: "core", Balance: face})
		vm.Store(c.Journal, ledger.SupplyKey("bank"), &ledger.Supply{Bank: "bank", Minted: face})
		vm.Store(c.Journal, ledger.LimitKey("bank", "core", ledger.LimitIssue), &ledger.Limit{Grantor: "bank", Core: "core",
			Purpose: ledger.LimitIssue, Version: 1, Amount: face, Until: ledger.DateMax})
		for i, pair := range [][2]ledger.PartyID{{"ann", "core"}, {"ben", "ann"}, {"ann", "ben"}} {
			inv := ledger.Invoice{Fingerprint: suite.Hash{byte(i)}, Seller: pair[0], Buyer: pair[1], Face: face, SellerConfirmed: true}
			vm.Store(c.Journal, ledger.InvoiceKey(inv.Fingerprint), &inv)
		}
		return nil
	})
	return w
}

// context returns the context of a new transaction by nobody yet.
func (w *world) context(j *vm.Journal) *vm.Context {
	w.txs++
	w.height++
	var tx suite.Hash
	binary.BigEndian.PutUint64(tx[:], w.txs)
	return &vm.Context{Journal: j, Suite: w.suite, Params: &w.params, Height: w.height, Time: w.now, Tx: tx, Auth: consent{}}
}

// apply commits what f does, checked as a block is, and returns the changes and the id of the first thing made.
func (w *world) apply(t fataler, f func(c *vm.Context) error) ([]vm.Change, suite.Hash) {
	t.Helper()
	j := vm.NewJournal(w)
	c := w.context(j)
	if err := f(c); err != nil {
		t.Fatalf("%v", err)
	}
	changes := j.Changes()
	if err := errors.Join(CheckConservation(changes), money.CheckConservation(changes)); err != nil {
		t.Fatalf("%v", err)
	}
	for _, change := range changes {
		if change.New == nil {
			delete(w.state, string(change.Key))
		} else {
			w.state[string(change.Key)] = change.New
		}
	}
	return changes, c.NewID(0)
}

func (w *world) as(t fataler, acting ledger.PartyID, f func(c *vm.Context) error) suite.Hash {
	t.Helper()
	_, id := w.apply(t, func(c *vm.Context) error { c.Acting = acting; return f(c) })
	return id
}

// refuse fails unless f is refused with code.
func (w *world) refuse(t fataler, acting ledger.PartyID, code ledger.Code, f func(c *vm.Context) error) {
	t.Helper()
	c := w.context(vm.NewJournal(w))
	c.Acting = acting
	var refused *ledger.Failure
	if err := f(c); !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("not refused with %s: %v", code, err)
	}
}

// voucher issues and accepts a voucher for Ann that is due in days.
func (w *world) voucher(t fataler, amount ledger.Fen, days int) suite.Hash {
	t.Helper()
	id := w.as(t, "core", func(c *vm.Context) error {
		return VoucherIssue(c, &ledger.VoucherIssue{Payee: "ann", Face: amount, Due: c.Today() + ledger.Date(days), Bank: "bank",
			Evidence: []ledger.EvidenceUse{{Invoice: suite.Hash{0}, Amount: amount}}, AcceptBy: c.Time + 1})
	})
	w.as(t, "ann", func(c *vm.Context) error { return VoucherAccept(c, &ledger.VoucherAccept{Voucher: id}) })
	return id
}

// split offers the first amount of the lot that begins at from to the other supplier, which accepts.
func (w *world) split(t fataler, id suite.Hash, from, amount ledger.Fen) {
	t.Helper()
	l := get[ledger.Lot](w, ledger.LotKey(id, from))
	to, invoice := ledger.PartyID("ben"), byte(1)
	if l.Holder == "ben" {
		to, invoice = "ann", 2
	}
	parts := []ledger.OfferPart{{Amount: amount, To: to, Evidence: []ledger.EvidenceUse{{Invoice: suite.Hash{invoice}, Amount: amount}},
		Discharge: ledger.DischargeAtPayment}}
	if amount < l.Amount() {
		parts = append(parts, ledger.OfferPart{Amount: l.Amount() - amount})
	}
	offer := w.as(t, l.Holder, func(c *vm.Context) error {
		return VoucherOffer(c, &ledger.VoucherOffer{Voucher: id, Lot: from, Parts: parts, AcceptBy: c.Time + 1})
	})
	w.as(t, to, func(c *vm.Context) error { return OfferAccept(c, &ledger.OfferAccept{Offer: offer}) })
}

func (w *world) fund(t fataler, id suite.Hash, amount ledger.Fen) {
	t.Helper()
	w.as(t, "core", func(c *vm.Context) error { return VoucherFund(c, &ledger.VoucherFund{Voucher: id, Amount: amount}) })
}

func (w *world) fundDay(t fataler, due ledger.Date, amount ledger.Fen) {
	t.Helper()
	w.as(t, "core", func(c *vm.Context) error { return DayFund(c, &ledger.DayFund{Bank: "bank", Due: due, Amount: amount}) })
}

// settle does due-date work of at most so many lots a block until none is left, and returns the number of blocks.
func (w *world) settle(t fataler, lots int) (blocks int) {
	t.Helper()
	for left := true; left; blocks++ {
		w.apply(t, func(c *vm.Context) (err error) {
			left, err = settleDue(c, lots)
			return err
		})
	}
	return blocks
}

func get[T any](w *world, key []byte) T {
	record, _ := vm.Load[T](vm.NewJournal(w), key)
	return record
}

func (w *world) audit(t fataler) {
	t.Helper()
	if err := AuditIssuer(vm.NewJournal(w), "core"); err != nil {
		t.Fatalf("%v", err)
	}
}

func TestAuditSees(t *testing.T) {
	w := newWorld(t)
	id := w.voucher(t, 100, 30)
	w.split(t, id, 0, 40)
	w.audit(t)
	for name, spoil := range map[string]func(*vm.Journal){
		"a gap":        func(j *vm.Journal) { j.Delete(ledger.LotKey(id, 40)) },
		"an overlap":   func(j *vm.Journal) { change(j, ledger.LotKey(id, 0), func(l *ledger.Lot) { l.To = 41 }) },
		"a lot beyond": func(j *vm.Journal) { change(j, ledger.LotKey(id, 40), func(l *ledger.Lot) { l.To = 101 }) },
		"a count":      func(j *vm.Journal) { change(j, ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Lots = 3 }) },
		"a payment":    func(j *vm.Journal) { change(j, ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Paid = 1 }) },
		"a slot":       func(j *vm.Journal) { change(j, ledger.LotKey(id, 0), func(l *ledger.Lot) { l.Slot = 9 }) },
		"a holder":     func(j *vm.Journal) { change(j, ledger.LotKey(id, 0), func(l *ledger.Lot) { l.Holder = "ann" }) },
		"a lock": func(j *vm.Journal) {
			change(j, ledger.LotKey(id, 0), func(l *ledger.Lot) { l.State = ledger.LotOffered })
		},
		"a status": func(j *vm.Journal) {
			change(j, ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Status = ledger.VoucherPaid })
		},
		"a ladder": func(j *vm.Journal) {
			v := get[ledger.Voucher](w, ledger.VoucherKey(id))
			change(j, ledger.LadderKey("core", v.Settles), func(d *ledger.LadderDay) { d.Outstanding++ })
		},
		"a limit": func(j *vm.Journal) {
			change(j, ledger.LimitKey("bank", "core", ledger.LimitIssue), func(l *ledger.Limit) { l.Used-- })
		},
	} {
		j := vm.NewJournal(w)
		spoil(j)
		if AuditIssuer(j, "core") == nil {
			t.Errorf("%s is not seen", name)
		}
	}
}

// change rewrites one record.
func change[T any](j *vm.Journal, key []byte, f func(*T)) {
	record, _ := vm.Load[T](j, key)
	f(&record)
	vm.Store(j, key, &record)
}
