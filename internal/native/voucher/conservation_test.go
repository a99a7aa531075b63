package voucher

import (
	"slices"
	"strings"
	"testing"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// TestConservationSees spoils what a block really changed, in every way that the check is there for.
func TestConservationSees(t *testing.T) {
	w := newWorld(t)
	id := w.voucher(t, 100, 30)
	w.split(t, id, 0, 40)
	w.fund(t, id, 50)
	settles := get[ledger.Voucher](w, ledger.VoucherKey(id)).Settles
	w.now = settles.Start()
	lot := func(from ledger.Fen) []byte { return ledger.LotKey(id, from) }
	// The block pays [0, 20) of Ben's lot and [40, 70) of Ann's.
	changes, _ := w.apply(t, func(c *vm.Context) error { _, err := SettleDue(c); return err })
	for name, spoil := range map[string]func([]vm.Change) []vm.Change{
		"a lot lost":        without(lot(20)),
		"a lot shortened":   with(lot(20), func(l *ledger.Lot) { l.To = 39 }),
		"a lot lengthened":  with(lot(70), func(l *ledger.Lot) { l.To = 101 }),
		"an overlap":        with(lot(0), func(l *ledger.Lot) { l.To = 21 }),
		"an empty lot":      with(lot(0), func(l *ledger.Lot) { l.To = 0 }),
		"paid and not":      with(lot(0), func(l *ledger.Lot) { l.State = ledger.LotHeld }),
		"not paid, but is":  with(lot(20), func(l *ledger.Lot) { l.State = ledger.LotPaid }),
		"a wrong sum":       with(ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Paid++ }),
		"a wrong count":     with(ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Lots++ }),
		"another face":      with(ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Face++ }),
		"another issuer":    with(ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Issuer = "ann" }),
		"a later day":       with(ledger.VoucherKey(id), func(v *ledger.Voucher) { v.Settles++ }),
		"a voucher lost":    without(ledger.VoucherKey(id)),
		"a voucher deleted": deleted(ledger.VoucherKey(id)),
		"the ladder":        with(ledger.LadderKey("core", settles), func(d *ledger.LadderDay) { d.Outstanding++ }),
		"the ladder lost":   without(ledger.LadderKey("core", settles)),
		"frozen above all":  with(ledger.LadderKey("core", settles), func(d *ledger.LadderDay) { d.Frozen = d.Outstanding + 1 }),
		"the limit":         with(ledger.LimitKey("bank", "core", ledger.LimitIssue), func(l *ledger.Limit) { l.Used++ }),
		"the limit lost":    without(ledger.LimitKey("bank", "core", ledger.LimitIssue)),
		"a strange record":  replaced(lot(0), []byte{0xff}),
	} {
		if err := CheckConservation(spoil(slices.Clone(changes))); err == nil {
			t.Errorf("%s is not seen", name)
		}
	}
	if err := CheckConservation(changes); err != nil {
		t.Errorf("the test has changed what it was given: %v", err)
	}
}

// TestConservationSeesUnpaying reverses a payment.
func TestConservationSeesUnpaying(t *testing.T) {
	w := newWorld(t)
	id := w.voucher(t, 100, 30)
	w.fund(t, id, 50)
	w.now = get[ledger.Voucher](w, ledger.VoucherKey(id)).Settles.Start()
	changes, _ := w.apply(t, func(c *vm.Context) error { _, err := SettleDue(c); return err })
	for i := range changes {
		changes[i].Old, changes[i].New = changes[i].New, changes[i].Old
	}
	if err := CheckConservation(changes); err == nil || !strings.Contains(err.Error(), "was paid and is not") {
		t.Errorf("unpaying is not seen: %v", err)
	}
}

func TestConservationOfInvoices(t *testing.T) {
	key := ledger.InvoiceKey(suite.Hash{1})
	inv := func(face, reserved, used ledger.Fen) []byte {
		return codec.MustMarshal(&ledger.Invoice{Face: face, Reserved: reserved, Used: used})
	}
	for name, c := range map[string]struct {
		change vm.Change
		good   bool
	}{
		"drawn to the face": {vm.Change{Key: key, Old: inv(10, 0, 4), New: inv(10, 6, 4)}, true},
		"above the face":    {vm.Change{Key: key, Old: inv(10, 0, 4), New: inv(10, 7, 4)}, false},
		"far above":         {vm.Change{Key: key, New: inv(10, 1, ^ledger.Fen(0))}, false},
		"another face":      {vm.Change{Key: key, Old: inv(10, 0, 4), New: inv(11, 0, 4)}, false},
		"deleted":           {vm.Change{Key: key, Old: inv(10, 0, 4)}, false},
	} {
		if err := CheckConservation([]vm.Change{c.change}); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// with rewrites the new value under key.
func with[T any](key []byte, f func(*T)) func([]vm.Change) []vm.Change {
	return func(changes []vm.Change) []vm.Change {
		for i := range changes {
			if string(changes[i].Key) == string(key) {
				var record T
				if err := codec.Unmarshal(changes[i].New, &record); err != nil {
					panic(err)
				}
				f(&record)
				changes[i].New = codec.MustMarshal(&record)
				return changes
			}
		}
		panic("the block did not change this record")
	}
}

// without leaves out the change under key.
func without(key []byte) func([]vm.Change) []vm.Change {
	return func(changes []vm.Change) []vm.Change {
		return slices.DeleteFunc(changes, func(c vm.Change) bool { return string(c.Key) == string(key) })
	}
}

// deleted turns the change under key into a deletion.
func deleted(key []byte) func([]vm.Change) []vm.Change { return replaced(key, nil) }

// replaced puts other bytes under key.
func replaced(key, value []byte) func([]vm.Change) []vm.Change {
	return func(changes []vm.Change) []vm.Change {
		for i := range changes {
			if string(changes[i].Key) == string(key) {
				changes[i].New = value
			}
		}
		return changes
	}
}
