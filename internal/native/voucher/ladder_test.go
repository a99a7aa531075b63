package voucher

import (
	"testing"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// TestBarAndCure follows an issuer over a long weekend: due on Friday, with a holiday on Monday.
func TestBarAndCure(t *testing.T) {
	w := newWorld(t)
	friday := ledger.CivilDate(2026, 10, 16)
	w.params.Calendar.Holidays = []ledger.Date{friday + 3}
	id := w.voucher(t, 100, int(friday-w.now.Date()))
	issue := func(c *vm.Context) error {
		return VoucherIssue(c, &ledger.VoucherIssue{Payee: "ann", Face: 1, Due: c.Today() + 30, Bank: "bank",
			Evidence: []ledger.EvidenceUse{{Invoice: suite.Hash{0}, Amount: 1}}, AcceptBy: c.Time + 1})
	}
	for _, step := range []struct {
		day                        ledger.Date
		overdue, defaulted, barred bool
	}{
		{friday, false, false, false},
		{friday + 1, true, false, false},
		{friday + 3, true, false, false}, // the holiday: no business day has come since
		{friday + 4, true, false, true},
		{friday + 5, true, false, true},
		{friday + 6, true, true, true},
	} {
		w.now = step.day.Start()
		w.settle(t, ledger.DueLotsPerBlock)
		v := get[ledger.Voucher](w, ledger.VoucherKey(id))
		since, barred := Barred(w.context(vm.NewJournal(w)), "core")
		if got := Overdue(&v, step.day); got != step.overdue {
			t.Errorf("%s: overdue %v", step.day, got)
		}
		if got := Defaulted(&v, step.day, 5); got != step.defaulted {
			t.Errorf("%s: defaulted %v", step.day, got)
		}
		if barred != step.barred || barred && since != friday {
			t.Errorf("%s: barred %v since %s", step.day, barred, since)
		}
		if barred {
			w.refuse(t, "core", ledger.CodeIssuerBarred, issue)
		} else {
			w.as(t, "core", issue)
		}
	}
	// What lies under an order does not count.
	w.apply(t, func(c *vm.Context) error {
		change(c.Journal, ledger.PartyKey("bank"), func(p *ledger.Party) { p.Roles |= ledger.RoleCourt })
		return nil
	})
	order := suite.Hash{9}
	w.as(t, "bank", func(c *vm.Context) error {
		return LotFreeze(c, &ledger.LotFreeze{Voucher: id, From: 0, To: 99, Order: order})
	})
	w.refuse(t, "core", ledger.CodeIssuerBarred, issue)
	w.as(t, "bank", func(c *vm.Context) error {
		return LotFreeze(c, &ledger.LotFreeze{Voucher: id, From: 99, To: 100, Order: order})
	})
	w.as(t, "core", issue)
	w.as(t, "bank", func(c *vm.Context) error {
		return LotUnfreeze(c, &ledger.LotUnfreeze{Voucher: id, From: 0, To: 1, Order: order})
	})
	w.refuse(t, "core", ledger.CodeIssuerBarred, issue)
	w.fund(t, id, 100)
	w.settle(t, ledger.DueLotsPerBlock)
	w.as(t, "core", issue)
	w.audit(t)
}

// TestQueue funds many overdue vouchers one by one: they are paid in the order in which they were funded, a bounded number a block, and
// the queue leaves nothing behind.
func TestQueue(t *testing.T) {
	w := newWorld(t)
	var ids []suite.Hash
	for range 3*ledger.ListPageItems + 5 {
		ids = append(ids, w.voucher(t, 10, 30))
	}
	settles := get[ledger.Voucher](w, ledger.VoucherKey(ids[0])).Settles
	w.now = settles.Start()
	if blocks := w.settle(t, 10); blocks < len(ids)/10 {
		t.Fatalf("a pass over %d vouchers took %d blocks", len(ids), blocks)
	}
	for _, id := range ids {
		w.fund(t, id, 4)
		w.fund(t, id, 6)
	}
	var paid []suite.Hash
	for left := true; left; {
		w.apply(t, func(c *vm.Context) (err error) {
			left, err = settleDue(c, 10)
			before := len(paid)
			for _, e := range c.TakeEvents() {
				if e.Kind == "lot.paid" {
					paid = append(paid, e.Subject)
				}
			}
			if n := len(paid) - before; n > 5 {
				t.Errorf("%d lots paid in one block", n)
			}
			return err
		})
	}
	if len(paid) != len(ids) {
		t.Fatalf("%d of %d are paid", len(paid), len(ids))
	}
	for i := range ids {
		if paid[i] != ids[i] {
			t.Fatalf("payment %d is of another voucher", i)
		}
	}
	for key := range w.state {
		switch ledger.TableOf([]byte(key)) {
		case ledger.TableDueDays, ledger.TableDueCursor, ledger.TableLadder, ledger.TableLadderDays, ledger.TableDayPool:
			t.Errorf("record %x is left", key)
		}
	}
	for _, name := range []ledger.ListName{ledger.DueOn(settles), ledger.PoolOf("core", "bank", settles)} {
		if w.state[string(ledger.ListHeadKey(name))] != nil || w.state[string(ledger.ListPageKey(name, 0))] != nil {
			t.Errorf("list %x is left", name)
		}
	}
	if changes, _ := w.apply(t, func(c *vm.Context) error { _, err := SettleDue(c); return err }); len(changes) != 0 {
		t.Errorf("with nothing due %d records change", len(changes))
	}
	w.audit(t)
}
