package voucher

import (
	"slices"

	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// LotFreeze lays an order on the unpaid lots of a range. Lots are cut where the range begins and ends, whatever locks them: an
// offer or request over a frozen lot is suspended.
func LotFreeze(c *vm.Context, op *ledger.LotFreeze) error {
	v, err := checkFreeze(c, op)
	if err != nil {
		return err
	}
	key := ledger.OrderKey(v.ID, op.Order)
	order, known := vm.Load[ledger.Order](c.Journal, key)
	if known && order.Body != c.Acting {
		return ledger.Failf(ledger.CodeOrderUnknown, "order %s was made by %s", op.Order, order.Body)
	}
	if !known {
		order = ledger.Order{Voucher: v.ID, Fingerprint: op.Order, Body: c.Acting, Since: c.Time, Note: op.Note}
		vm.Store(c.Journal, key, &order)
	}
	if err := cutEnds(c, v, op.From, op.To); err != nil {
		return err
	}
	frozen, touched := ledger.Fen(0), ledger.Fen(0)
	for _, l := range lotsIn(c.Journal, v, op.From, op.To) {
		if l.State == ledger.LotPaid || slices.Contains(l.Freezes, op.Order) {
			continue
		}
		if len(l.Freezes) >= ledger.FreezesMax {
			return ledger.Failf(ledger.CodeLimitExceeded, "%d orders lie on the lot at %s, the most there may be", len(l.Freezes), l.From)
		}
		if len(l.Freezes) == 0 {
			frozen += l.Amount()
		}
		touched += l.Amount()
		l.Freezes = append(l.Freezes, op.Order)
		storeLot(c, &l)
	}
	if touched == 0 {
		return ledger.Failf(ledger.CodeLotPaid, "[%s, %s) is paid, or lies under this order already", op.From, op.To)
	}
	changeFrozen(c, v.Issuer, v.Settles, frozen, 0)
	store(c, v)
	c.Emit(ledger.Event{Kind: "lot.frozen", Subject: v.ID, Ref: op.Order, Party: c.Acting, From: op.From, To: op.To,
		Amount: touched, Note: op.Note})
	return nil
}

func checkFreeze(c *vm.Context, op *ledger.LotFreeze) (*ledger.Voucher, error) {
	if err := identity.RequireRole(c.Journal, c.Acting, ledger.RoleCourt); err != nil {
		return nil, err
	}
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return nil, err
	}
	if op.Order.IsZero() {
		return nil, ledger.Failf(ledger.CodeArgument, "an order needs its fingerprint")
	}
	if err := checkText("note", op.Note); err != nil {
		return nil, err
	}
	return v, checkRange(v, op.From, op.To)
}

// cutEnds cuts the unpaid lots in which from and to lie, so that the range is made of whole lots.
func cutEnds(c *vm.Context, v *ledger.Voucher, from, to ledger.Fen) error {
	for _, at := range []ledger.Fen{from, to} {
		if at == v.Face {
			continue
		}
		l := lotContaining(c.Journal, v, at)
		if l.From == at || l.State == ledger.LotPaid {
			continue
		}
		if err := checkRoom(v, 1, ledger.VoucherFreezesMax); err != nil {
			return err
		}
		cut(c, v, l.From, at)
	}
	return nil
}

// LotUnfreeze lifts an order from a range; lots are cut where the range begins and ends. No rule and no lock stands in its way.
func LotUnfreeze(c *vm.Context, op *ledger.LotUnfreeze) error {
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	if err := checkRange(v, op.From, op.To); err != nil {
		return err
	}
	order, ok := vm.Load[ledger.Order](c.Journal, ledger.OrderKey(v.ID, op.Order))
	switch {
	case !ok:
		return ledger.Failf(ledger.CodeOrderUnknown, "order %s does not lie on voucher %s", op.Order, v.ID)
	case order.Body != c.Acting:
		return ledger.Failf(ledger.CodeOrderUnknown, "order %s was made by %s, who alone lifts it", op.Order, order.Body)
	}
	if err := cutEnds(c, v, op.From, op.To); err != nil {
		return err
	}
	thawed, touched := ledger.Fen(0), ledger.Fen(0)
	for _, l := range lotsIn(c.Journal, v, op.From, op.To) {
		i := slices.Index(l.Freezes, op.Order)
		if i < 0 {
			continue
		}
		l.Freezes = slices.Delete(l.Freezes, i, i+1)
		if len(l.Freezes) == 0 {
			thawed += l.Amount()
		}
		touched += l.Amount()
		storeLot(c, &l)
	}
	if touched == 0 {
		return ledger.Failf(ledger.CodeOrderUnknown, "order %s lies on no unpaid lot in [%s, %s)", op.Order, op.From, op.To)
	}
	changeFrozen(c, v.Issuer, v.Settles, 0, thawed)
	store(c, v)
	c.Emit(ledger.Event{Kind: "lot.unfrozen", Subject: v.ID, Ref: op.Order, Party: c.Acting, From: op.From, To: op.To, Amount: touched})
	return nil
}
