package voucher

import (
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// PledgeCreate pledges a range of a free lot; the pledgee signs too. From now on the range does not change hands; the pledge is
// effective against others once it is recorded.
func PledgeCreate(c *vm.Context, op *ledger.PledgeCreate) error {
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	l, err := heldRange(c, v, op.From, op.To)
	if err != nil {
		return err
	}
	if err := checkKnown(c, op.Pledgee); err != nil {
		return err
	}
	switch {
	case op.Proceeds != ledger.ProceedsPledgee && op.Proceeds != ledger.ProceedsDeposit:
		return ledger.Failf(ledger.CodeArgument, "proceeds %d is unknown", op.Proceeds)
	case op.Pledgee == c.Acting || op.Pledgee == v.Issuer:
		return ledger.Failf(ledger.CodeArgument, "%s is the holder or the issuer; the pledgee is somebody else", op.Pledgee)
	case len(op.Ref) > ledger.RefBytesMax:
		return ledger.Failf(ledger.CodeArgument, "the reference has %d bytes, the most is %d", len(op.Ref), ledger.RefBytesMax)
	}
	if err := c.Auth.Require(op.Pledgee, ledger.ClassFinance); err != nil {
		return err
	}
	endLock(c, v, &l)
	if err := carve(c, v, &l, op.From, op.To); err != nil {
		return err
	}
	l = mustLot(c.Journal, v.ID, op.From)
	l.Pledge = &ledger.Pledge{Pledgee: op.Pledgee, Proceeds: op.Proceeds, Ref: op.Ref}
	storeLot(c, &l)
	store(c, v)
	emitPledge(c, &l, "pledge.created")
	return nil
}

// pledgedLot returns a lot that is pledged to the acting party and not paid.
func pledgedLot(c *vm.Context, voucher suite.Hash, from ledger.Fen) (*ledger.Lot, error) {
	v, err := LoadActive(c, voucher)
	if err != nil {
		return nil, err
	}
	l, ok := vm.Load[ledger.Lot](c.Journal, ledger.LotKey(v.ID, from))
	switch {
	case !ok:
		return nil, ledger.Failf(ledger.CodeLotUnknown, "voucher %s has no lot that begins at %s", v.ID, from)
	case l.State == ledger.LotPaid:
		return nil, ledger.Failf(ledger.CodeLotPaid, "the lot at %s is paid", from)
	case l.Pledge == nil:
		return nil, ledger.Failf(ledger.CodePledgeState, "the lot at %s is not pledged", from)
	case l.Pledge.Pledgee != c.Acting:
		return nil, ledger.Failf(ledger.CodePledgeState, "the lot at %s is pledged to %s, not to %s", from, l.Pledge.Pledgee, c.Acting)
	}
	return &l, nil
}

// PledgeRecord records the public registration, which makes the pledge effective.
func PledgeRecord(c *vm.Context, op *ledger.PledgeRecord) error {
	l, err := pledgedLot(c, op.Voucher, op.Lot)
	if err != nil {
		return err
	}
	if l.Pledge.Number != "" {
		return ledger.Failf(ledger.CodePledgeState, "the pledge has been recorded under %s", l.Pledge.Number)
	}
	if err := CheckRegistration(c, op.Number, op.At); err != nil {
		return err
	}
	l.Pledge.Number, l.Pledge.At = op.Number, op.At
	storeLot(c, l)
	emitPledge(c, l, "pledge.recorded")
	return nil
}

// CheckRegistration verifies the form of a public registration's number and that its time has come.
func CheckRegistration(c *vm.Context, number string, at ledger.Time) error {
	switch {
	case number == "" || len(number) > ledger.RefBytesMax:
		return ledger.Failf(ledger.CodeArgument, "a registration number has 1 to %d bytes", ledger.RefBytesMax)
	case at <= 0 || at > c.Time:
		return ledger.Failf(ledger.CodeArgument, "the registration is dated %s, now is %s", at, c.Time)
	}
	return nil
}

// PledgeRelease ends a pledge. Its lot is free again, unless an order lies on it.
func PledgeRelease(c *vm.Context, op *ledger.PledgeRelease) error {
	l, err := pledgedLot(c, op.Voucher, op.Lot)
	if err != nil {
		return err
	}
	emitPledge(c, l, "pledge.released")
	l.Pledge = nil
	storeLot(c, l)
	return nil
}

func emitPledge(c *vm.Context, l *ledger.Lot, kind string) {
	c.Emit(ledger.Event{Kind: kind, Subject: l.Voucher, Party: l.Holder, Counterparty: l.Pledge.Pledgee,
		From: l.From, To: l.To, Amount: l.Amount(), Note: l.Pledge.Number})
}
