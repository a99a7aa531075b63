package voucher

import (
	"aval/internal/native/credit"
	"aval/internal/native/evidence"
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// VoucherIssue makes a promise that waits for the payee. It reserves limit and evidence.
func VoucherIssue(c *vm.Context, op *ledger.VoucherIssue) error {
	settles, err := checkIssue(c, op)
	if err != nil {
		return err
	}
	if err := checkNotBarred(c, c.Acting); err != nil {
		return err
	}
	version, err := credit.Use(c, op.Bank, c.Acting, ledger.LimitIssue, op.Face)
	if err != nil {
		return err
	}
	if err := evidence.Reserve(c, op.Payee, c.Acting, op.Evidence, op.Face); err != nil {
		return err
	}
	issuer, _ := identity.Party(c.Journal, c.Acting)
	id := c.NewID(0)
	v := ledger.Voucher{ID: id, Issuer: c.Acting, Payee: op.Payee, Face: op.Face, Status: ledger.VoucherOffered,
		Issued: c.Today(), Due: op.Due, Settles: settles, Bank: op.Bank, LimitVersion: version, Evidence: op.Evidence,
		AcceptBy: op.AcceptBy, Scope: issuer.Scope}
	v.Slot = vm.Append(c.Journal, ledger.IssuedBy(v.Issuer), id[:])
	v.Waiting = enterWaiting(c, v.Payee, ledger.WaitingVoucher, id)
	store(c, &v)
	emit(c, &v, "voucher.issued")
	return nil
}

// checkIssue verifies the parties, the amount and the dates of op and returns the day of settlement.
func checkIssue(c *vm.Context, op *ledger.VoucherIssue) (settles ledger.Date, err error) {
	if err := identity.RequireRole(c.Journal, c.Acting, ledger.RoleCore); err != nil {
		return 0, err
	}
	if err := checkKnown(c, op.Payee); err != nil {
		return 0, err
	}
	if err := checkKnown(c, op.Bank); err != nil {
		return 0, err
	}
	switch {
	case op.Payee == c.Acting:
		return 0, ledger.Failf(ledger.CodeArgument, "%s cannot owe itself", c.Acting)
	case op.Face == 0:
		return 0, ledger.Failf(ledger.CodeArgument, "the face of a voucher is more than 0")
	case op.Face > ledger.AmountMax:
		return 0, ledger.Failf(ledger.CodeOverflow, "the face of the voucher exceeds %s", ledger.AmountMax)
	}
	if c.Get(ledger.AccountKey(op.Bank, c.Acting)) == nil {
		return 0, ledger.Failf(ledger.CodeAccountUnknown, "%s has no account with %s, whose money is to pay", c.Acting, op.Bank)
	}
	today := c.Today()
	if op.Due <= today || int(op.Due)-int(today) > int(c.Params.TenorDays) {
		return 0, ledger.Failf(ledger.CodeTenor, "due %s is %d days after today, %s; a voucher runs 1 to %d days",
			op.Due, int(op.Due)-int(today), today, c.Params.TenorDays)
	}
	return c.Params.Calendar.Following(op.Due), checkAcceptBy(c, op.AcceptBy, op.Due)
}

// checkAcceptBy verifies that an offer stays open for a while, not for too long, and ends before day begins.
func checkAcceptBy(c *vm.Context, acceptBy ledger.Time, day ledger.Date) error {
	switch {
	case acceptBy <= c.Time:
		return ledger.Failf(ledger.CodeOfferExpired, "accept_by %s is not after now, %s", acceptBy, c.Time)
	case acceptBy > c.Time+ledger.OfferOpenMax:
		return ledger.Failf(ledger.CodeArgument, "accept_by %s is more than %d days ahead", acceptBy, ledger.OfferOpenMax/ledger.Day)
	case acceptBy > day.Start():
		return ledger.Failf(ledger.CodeArgument, "accept_by %s is not before %s, when the voucher is to be paid", acceptBy, day)
	}
	return nil
}

func checkKnown(c *vm.Context, id ledger.PartyID) error {
	_, err := identity.RequireParty(c.Journal, id)
	return err
}

// VoucherAccept makes the payee the holder of the one lot [0, Face).
func VoucherAccept(c *vm.Context, op *ledger.VoucherAccept) error {
	v, err := waitingFor(c, op.Voucher)
	if err != nil {
		return err
	}
	if c.Time >= v.AcceptBy {
		return ledger.Failf(ledger.CodeOfferExpired, "voucher %s could be accepted until %s, now is %s", v.ID, v.AcceptBy, c.Time)
	}
	if err := checkNotBarred(c, v.Issuer); err != nil {
		return err
	}
	evidence.Commit(c, v.Evidence)
	leaveWaiting(c, v.Payee, v.Waiting)
	v.Status, v.Waiting, v.Lots, v.AcceptedAt = ledger.VoucherActive, 0, 1, c.Time
	l := ledger.Lot{Voucher: v.ID, From: 0, To: v.Face, Holder: v.Payee, State: ledger.LotHeld, Since: c.Time}
	enlist(c, &l)
	storeLot(c, &l)
	recordTransfer(c, v, ledger.Transfer{From: 0, To: v.Face, Transferor: v.Issuer, Transferee: v.Payee,
		Cause: ledger.TransferIssue, Ref: v.ID, Evidence: v.Evidence, Discharge: ledger.DischargeAtPayment})
	addToLadder(c, v.Issuer, v.Settles, v.Face)
	joinPool(c, v)
	store(c, v)
	emit(c, v, "voucher.accepted")
	return nil
}

// waitingFor returns a voucher that waits for the acting payee's answer.
func waitingFor(c *vm.Context, id suite.Hash) (*ledger.Voucher, error) {
	v, err := Load(c, id)
	switch {
	case err != nil:
		return nil, err
	case v.Payee != c.Acting:
		return nil, ledger.Failf(ledger.CodeNotAddressed, "voucher %s is made out to %s", v.ID, v.Payee)
	}
	return v, checkOffered(v)
}

func checkOffered(v *ledger.Voucher) error {
	if v.Status != ledger.VoucherOffered {
		return ledger.Failf(ledger.CodeVoucherState, "voucher %s waits for no answer: it is %s", v.ID, statusNames[v.Status])
	}
	return nil
}

// VoucherReject declines a voucher. Its reservations are freed.
func VoucherReject(c *vm.Context, op *ledger.VoucherReject) error {
	v, err := waitingFor(c, op.Voucher)
	if err != nil {
		return err
	}
	if err := checkText("reason", op.Reason); err != nil {
		return err
	}
	decline(c, v, ledger.VoucherRejected, "voucher.rejected", op.Reason)
	return nil
}

// VoucherExpire frees the reservations of a voucher whose time of acceptance has passed.
func VoucherExpire(c *vm.Context, op *ledger.VoucherExpire) error {
	v, err := Load(c, op.Voucher)
	if err != nil {
		return err
	}
	if c.Acting != v.Issuer && c.Acting != v.Payee {
		return ledger.Failf(ledger.CodeNotAddressed, "%s is neither issuer nor payee of voucher %s", c.Acting, v.ID)
	}
	if err := checkOffered(v); err != nil {
		return err
	}
	if c.Time < v.AcceptBy {
		return ledger.Failf(ledger.CodeOfferOpen, "voucher %s may be accepted until %s, now is %s", v.ID, v.AcceptBy, c.Time)
	}
	decline(c, v, ledger.VoucherExpired, "voucher.expired", "")
	return nil
}

// decline ends a voucher that was never accepted.
func decline(c *vm.Context, v *ledger.Voucher, status ledger.VoucherStatus, event, reason string) {
	evidence.Free(c, v.Evidence)
	credit.Free(c, v.Bank, v.Issuer, ledger.LimitIssue, v.Face)
	leaveWaiting(c, v.Payee, v.Waiting)
	v.Status, v.Waiting = status, 0
	store(c, v)
	e := eventOf(v, event)
	e.Note = reason
	c.Emit(e)
}

// VoucherCancel undoes a voucher that its payee still holds whole and free; the payee signs too. What it used is freed.
func VoucherCancel(c *vm.Context, op *ledger.VoucherCancel) error {
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	if c.Acting != v.Issuer {
		return ledger.Failf(ledger.CodeNotAddressed, "voucher %s was issued by %s; only the issuer cancels", v.ID, v.Issuer)
	}
	if err := checkText("reason", op.Reason); err != nil {
		return err
	}
	if v.Lots != 1 || v.Transfers != 1 || v.Paid != 0 {
		return ledger.Failf(ledger.CodeVoucherState, "voucher %s has been split, passed on or paid; it can no longer be cancelled", v.ID)
	}
	l := mustLot(c.Journal, v.ID, 0)
	switch {
	case len(l.Freezes) > 0:
		return failFrozen(&l)
	case l.Pledge != nil:
		return ledger.Failf(ledger.CodeLotPledged, "the voucher is pledged to %s", l.Pledge.Pledgee)
	case Locked(&l, c.Time):
		return ledger.Failf(ledger.CodeLotLocked, "the voucher is locked by %s %s until %s", lockNames[l.State], l.Lock, l.LockUntil)
	}
	if err := c.Auth.Require(l.Holder, ledger.ClassTrade); err != nil {
		return err
	}
	endLock(c, v, &l)
	return cancel(c, v, op.Reason)
}

// cancel takes the voucher's one lot, and everything it had used, out of the books.
func cancel(c *vm.Context, v *ledger.Voucher, reason string) error {
	if err := leavePool(c, v); err != nil {
		return err
	}
	l := mustLot(c.Journal, v.ID, 0)
	delist(c, &l)
	c.Delete(ledger.LotKey(v.ID, 0))
	evidence.Unuse(c, v.Evidence)
	credit.Free(c, v.Bank, v.Issuer, ledger.LimitIssue, v.Face)
	takeFromLadder(c, v.Issuer, v.Settles, v.Face, 0)
	v.Status, v.Lots = ledger.VoucherCancelled, 0
	store(c, v)
	e := eventOf(v, "voucher.cancelled")
	e.Note = reason
	c.Emit(e)
	return nil
}

func emit(c *vm.Context, v *ledger.Voucher, kind string) { c.Emit(eventOf(v, kind)) }

// eventOf returns an event about the whole of v.
func eventOf(v *ledger.Voucher, kind string) ledger.Event {
	return ledger.Event{Kind: kind, Subject: v.ID, Party: v.Issuer, Counterparty: v.Payee, Bank: v.Bank, To: v.Face, Amount: v.Face}
}

func checkText(name, text string) error {
	if len(text) > ledger.TextBytesMax {
		return ledger.Failf(ledger.CodeArgument, "%s has %d bytes, the most is %d", name, len(text), ledger.TextBytesMax)
	}
	return nil
}
