package voucher

import (
	"fmt"

	"aval/internal/invariant"
	"aval/internal/native/credit"
	"aval/internal/native/evidence"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

var lockNames = map[ledger.LotState]string{ledger.LotOffered: "offer", ledger.LotRequested: "finance request"}

// Locked reports whether an offer or a finance request locks l at time now. A lock ends at its LockUntil by itself.
func Locked(l *ledger.Lot, now ledger.Time) bool {
	return (l.State == ledger.LotOffered || l.State == ledger.LotRequested) && now < l.LockUntil
}

// lock marks the lot that begins at from. The lot is free: a lapsed lock on it has been ended.
func lock(c *vm.Context, v *ledger.Voucher, from ledger.Fen, state ledger.LotState, by suite.Hash, until ledger.Time) {
	l := mustLot(c.Journal, v.ID, from)
	invariant.Check(l.State == ledger.LotHeld, "voucher %s: lock the lot at %d in state %d", v.ID, from, l.State)
	l.State, l.Lock, l.LockUntil = state, by, until
	storeLot(c, &l)
}

func unlock(l *ledger.Lot) { l.State, l.Lock, l.LockUntil = ledger.LotHeld, suite.Hash{}, 0 }

// endLock ends what locks l, in whatever lots it lies, and gives back what it had reserved.
func endLock(c *vm.Context, v *ledger.Voucher, l *ledger.Lot) {
	switch l.State {
	case ledger.LotOffered:
		o, ok := vm.Load[ledger.Offer](c.Journal, ledger.OfferKey(l.Lock))
		invariant.Check(ok && o.Status == ledger.OfferOpen, "offer %s locks a lot in status %d", l.Lock, o.Status)
		endOffer(c, v, &o, ledger.OfferExpired, "")
	case ledger.LotRequested:
		r, ok := vm.Load[ledger.Request](c.Journal, ledger.RequestKey(l.Lock))
		invariant.Check(ok && r.Status <= ledger.RequestRegistered, "request %s locks a lot in status %d", l.Lock, r.Status)
		EndRequest(c, v, &r, ledger.RequestExpired)
	default: // nothing locks it
	}
}

// unlockRange frees the lots of v in [from, to) from the lock by.
func unlockRange(c *vm.Context, v *ledger.Voucher, from, to ledger.Fen, by suite.Hash) {
	for _, l := range lotsIn(c.Journal, v, from, to) {
		if l.State != ledger.LotPaid && l.Lock == by {
			unlock(&l)
			storeLot(c, &l)
		}
	}
}

// lockedLots returns the lots of [from, to), all of which by must lock and none of which may be frozen.
func lockedLots(c *vm.Context, v *ledger.Voucher, from, to ledger.Fen, by suite.Hash) error {
	for _, l := range lotsIn(c.Journal, v, from, to) {
		invariant.Check(l.Lock == by, "%s does not lock the lot at %d of voucher %s", by, l.From, v.ID)
		if len(l.Freezes) > 0 {
			return failFrozen(&l)
		}
	}
	return nil
}

var offerEvents = map[ledger.OfferStatus]string{
	ledger.OfferAccepted: "offer.accepted", ledger.OfferRejected: "offer.rejected",
	ledger.OfferExpired: "offer.expired", ledger.OfferWithdrawn: "offer.withdrawn",
}

// endOffer ends an open offer without a transfer: its evidence is given back and its lots are free.
func endOffer(c *vm.Context, v *ledger.Voucher, o *ledger.Offer, status ledger.OfferStatus, note string) {
	evidence.Free(c, o.Evidence)
	unlockRange(c, v, o.From, o.To, o.ID)
	closeOffer(c, o, status, note)
}

// closeOffer sets an open offer's last status and takes it from the transferee's list.
func closeOffer(c *vm.Context, o *ledger.Offer, status ledger.OfferStatus, note string) {
	o.Status = status
	leaveWaiting(c, o.Transferee, o.Slot)
	vm.Store(c.Journal, ledger.OfferKey(o.ID), o)
	c.Emit(ledger.Event{Kind: offerEvents[status], Subject: o.Voucher, Ref: o.ID, Party: o.Transferor, Counterparty: o.Transferee,
		From: o.From, To: o.To, Amount: o.To - o.From, Note: note})
}

// LockForRequest cuts [r.From, r.To) out of one free lot of the acting party, locks it for r until r.AcceptBy and tells the funders whom
// r addresses. It sets r.Slots and stores voucher and request. Its errors are *ledger.Failure.
func LockForRequest(c *vm.Context, v *ledger.Voucher, r *ledger.Request) error {
	l, err := heldRange(c, v, r.From, r.To)
	if err != nil {
		return err
	}
	if l.Depth >= ledger.LotDepthMax {
		return failDeep(&l)
	}
	if err := checkAcceptBy(c, r.AcceptBy, v.Settles); err != nil {
		return err
	}
	endLock(c, v, &l)
	if err := carve(c, v, &l, r.From, r.To); err != nil {
		return err
	}
	lock(c, v, r.From, ledger.LotRequested, r.ID, r.AcceptBy)
	r.Slots = nil
	for _, f := range r.Funders {
		r.Slots = append(r.Slots, enterWaiting(c, f, ledger.WaitingRequest, r.ID))
	}
	store(c, v)
	vm.Store(c.Journal, ledger.RequestKey(r.ID), r)
	return nil
}

// ShortenLock lets the lock of r end at until, if that is before its AcceptBy.
func ShortenLock(c *vm.Context, v *ledger.Voucher, r *ledger.Request, until ledger.Time) {
	for _, l := range lotsIn(c.Journal, v, r.From, r.To) {
		if l.Lock == r.ID && until < l.LockUntil {
			l.LockUntil = until
			storeLot(c, &l)
		}
	}
}

// CheckRequestLots returns a *ledger.Failure if an order lies on a lot that r locks.
func CheckRequestLots(c *vm.Context, v *ledger.Voucher, r *ledger.Request) error {
	return lockedLots(c, v, r.From, r.To, r.ID)
}

// EndRequest ends a request that has not been disbursed: what the funder's limit held for it is given back and its lots are free.
func EndRequest(c *vm.Context, v *ledger.Voucher, r *ledger.Request, status ledger.RequestStatus) {
	unlockRange(c, v, r.From, r.To, r.ID)
	if r.Limited {
		credit.Free(c, r.Chosen, v.Issuer, ledger.LimitFinance, r.To-r.From)
		r.Limited = false
	}
	r.Status = status
	kind := "finance.expired"
	if status == ledger.RequestWithdrawn {
		kind = "finance.withdrawn"
	}
	closeRequest(c, r, kind, "")
}

// SellToFunder hands the lots that r locks to the chosen funder, records the transfer and closes r as disbursed. It stores voucher and
// request.
func SellToFunder(c *vm.Context, v *ledger.Voucher, r *ledger.Request, recourse bool) {
	handOver(c, v, r.From, r.To, r.Chosen, r.Limited)
	recordTransfer(c, v, ledger.Transfer{From: r.From, To: r.To, Transferor: r.Holder, Transferee: r.Chosen,
		Cause: ledger.TransferFinance, Ref: r.ID, Recourse: recourse, Discharge: ledger.DischargeAtTransfer})
	store(c, v)
	r.Status = ledger.RequestDisbursed
	closeRequest(c, r, "finance.disbursed", fmt.Sprintf("interest %s, net %s, %d days", r.Interest, r.Net, r.Days))
}

// closeRequest takes r from the lists of the funders whom it addressed and stores it.
func closeRequest(c *vm.Context, r *ledger.Request, event, note string) {
	for i, f := range r.Funders {
		leaveWaiting(c, f, r.Slots[i])
	}
	r.Slots = nil
	vm.Store(c.Journal, ledger.RequestKey(r.ID), r)
	c.Emit(ledger.Event{Kind: event, Subject: r.Voucher, Ref: r.ID, Party: r.Holder, Counterparty: r.Chosen,
		From: r.From, To: r.To, Amount: r.To - r.From, Note: note})
}
