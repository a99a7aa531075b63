package voucher

import (
	"strings"

	"aval/internal/native/evidence"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// VoucherOffer cuts a free lot of the acting holder into parts; each part with a transferee is locked for it.
func VoucherOffer(c *vm.Context, op *ledger.VoucherOffer) error {
	v, err := LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	l, err := heldLot(c, v, op.Lot)
	if err != nil {
		return err
	}
	if err := checkAcceptBy(c, op.AcceptBy, v.Settles); err != nil {
		return err
	}
	if err := checkParts(c, v, &l, op.Parts); err != nil {
		return err
	}
	endLock(c, v, &l)
	if err := checkRoom(v, len(op.Parts)-1, ledger.VoucherSplitsMax); err != nil {
		return err
	}
	at := l.From
	for i := range op.Parts {
		p := &op.Parts[i]
		if i < len(op.Parts)-1 {
			cut(c, v, at, at+p.Amount)
		}
		if p.To != "" {
			if err := makeOffer(c, v, at, p, c.NewID(i), op.AcceptBy); err != nil {
				return err
			}
		}
		at += p.Amount
	}
	store(c, v)
	return nil
}

// checkParts verifies that the parts make up l exactly and that each may go where it is offered.
func checkParts(c *vm.Context, v *ledger.Voucher, l *ledger.Lot, parts []ledger.OfferPart) error {
	if len(parts) == 0 || len(parts) > ledger.OfferPartsMax {
		return ledger.Failf(ledger.CodeArgument, "a lot is cut into 1 to %d parts, not %d", ledger.OfferPartsMax, len(parts))
	}
	if l.Depth >= ledger.LotDepthMax {
		return failDeep(l)
	}
	var sum ledger.Fen
	offered := 0
	for i := range parts {
		var err error
		if sum, err = sum.Add(parts[i].Amount); err != nil {
			return ledger.Failf(ledger.CodeOverflow, "the parts exceed %s", ledger.AmountMax)
		}
		if err := checkPart(c, v, i, &parts[i]); err != nil {
			return err
		}
		if parts[i].To != "" {
			offered++
		}
	}
	switch {
	case sum != l.Amount():
		return ledger.Failf(ledger.CodePartsMismatch, "the parts sum to %s, the lot at %s has %s", sum, l.From, l.Amount())
	case offered == 0:
		return ledger.Failf(ledger.CodeArgument, "no part names a transferee")
	}
	return nil
}

func failDeep(l *ledger.Lot) error {
	return ledger.Failf(ledger.CodeLotsMany, "the lot at %s has been passed on %d times, the most there is", l.From, l.Depth)
}

func checkPart(c *vm.Context, v *ledger.Voucher, i int, p *ledger.OfferPart) error {
	switch {
	case p.Amount == 0:
		return ledger.Failf(ledger.CodeArgument, "part %d has an amount of 0", i)
	case p.To == "" && (len(p.Evidence) > 0 || p.Recourse || p.Discharge != 0):
		return ledger.Failf(ledger.CodeArgument, "part %d stays with the holder: evidence, recourse and discharge must be empty", i)
	case p.To == "":
		return nil
	}
	if err := checkKnown(c, p.To); err != nil {
		return err
	}
	switch {
	case p.To == c.Acting || p.To == v.Issuer:
		return ledger.Failf(ledger.CodeArgument, "part %d is offered to %s, who offers it or owes it", i, p.To)
	case p.Discharge != ledger.DischargeAtTransfer && p.Discharge != ledger.DischargeAtPayment:
		return ledger.Failf(ledger.CodeArgument, "part %d does not say when it discharges the debt: discharge is %d", i, p.Discharge)
	}
	return nil
}

// makeOffer locks the lot that begins at from for p.To, with its evidence reserved.
func makeOffer(c *vm.Context, v *ledger.Voucher, from ledger.Fen, p *ledger.OfferPart, id suite.Hash, acceptBy ledger.Time) error {
	if err := evidence.Reserve(c, p.To, c.Acting, p.Evidence, p.Amount); err != nil {
		return err
	}
	lock(c, v, from, ledger.LotOffered, id, acceptBy)
	o := ledger.Offer{ID: id, Voucher: v.ID, From: from, To: from + p.Amount, Transferor: c.Acting, Transferee: p.To,
		Evidence: p.Evidence, Recourse: p.Recourse, Discharge: p.Discharge, AcceptBy: acceptBy, Status: ledger.OfferOpen}
	o.Slot = enterWaiting(c, o.Transferee, ledger.WaitingOffer, id)
	vm.Store(c.Journal, ledger.OfferKey(id), &o)
	c.Emit(ledger.Event{Kind: "offer.made", Subject: v.ID, Ref: id, Party: o.Transferor, Counterparty: o.Transferee,
		From: o.From, To: o.To, Amount: p.Amount})
	return nil
}

// openOffer returns an open offer and its voucher.
func openOffer(c *vm.Context, id suite.Hash) (*ledger.Offer, *ledger.Voucher, error) {
	o, ok := vm.Load[ledger.Offer](c.Journal, ledger.OfferKey(id))
	if !ok {
		return nil, nil, ledger.Failf(ledger.CodeOfferUnknown, "offer %s does not exist", id)
	}
	switch o.Status {
	case ledger.OfferOpen:
	case ledger.OfferExpired:
		return nil, nil, ledger.Failf(ledger.CodeOfferExpired, "offer %s has expired", id)
	default:
		return nil, nil, ledger.Failf(ledger.CodeOfferUnknown, "offer %s is not open: it has been %s", id, strings.TrimPrefix(offerEvents[o.Status], "offer."))
	}
	v, err := Load(c, o.Voucher)
	return &o, v, err
}

// OfferAccept makes the transferee the holder of what was offered to it.
func OfferAccept(c *vm.Context, op *ledger.OfferAccept) error {
	o, v, err := openOffer(c, op.Offer)
	if err != nil {
		return err
	}
	if o.Transferee != c.Acting {
		return ledger.Failf(ledger.CodeNotAddressed, "offer %s is addressed to %s", o.ID, o.Transferee)
	}
	if c.Time >= o.AcceptBy {
		return ledger.Failf(ledger.CodeOfferExpired, "offer %s could be accepted until %s, now is %s", o.ID, o.AcceptBy, c.Time)
	}
	if err := checkNotMatured(c, v); err != nil {
		return err
	}
	if err := lockedLots(c, v, o.From, o.To, o.ID); err != nil {
		return err
	}
	evidence.Commit(c, o.Evidence)
	handOver(c, v, o.From, o.To, o.Transferee, false)
	recordTransfer(c, v, ledger.Transfer{From: o.From, To: o.To, Transferor: o.Transferor, Transferee: o.Transferee,
		Cause: ledger.TransferOffer, Ref: o.ID, Evidence: o.Evidence, Recourse: o.Recourse, Discharge: o.Discharge})
	store(c, v)
	closeOffer(c, o, ledger.OfferAccepted, "")
	return nil
}

// OfferReject declines an offer.
func OfferReject(c *vm.Context, op *ledger.OfferReject) error {
	o, v, err := openOffer(c, op.Offer)
	if err != nil {
		return err
	}
	if o.Transferee != c.Acting {
		return ledger.Failf(ledger.CodeNotAddressed, "offer %s is addressed to %s", o.ID, o.Transferee)
	}
	if err := checkText("reason", op.Reason); err != nil {
		return err
	}
	endOffer(c, v, o, ledger.OfferRejected, op.Reason)
	return nil
}

// OfferExpire ends an offer whose time of acceptance has passed.
func OfferExpire(c *vm.Context, op *ledger.OfferExpire) error {
	o, v, err := openOffer(c, op.Offer)
	if err != nil {
		return err
	}
	if c.Acting != o.Transferor && c.Acting != o.Transferee {
		return ledger.Failf(ledger.CodeNotAddressed, "%s is no party to offer %s", c.Acting, o.ID)
	}
	if c.Time < o.AcceptBy {
		return ledger.Failf(ledger.CodeOfferOpen, "offer %s may be accepted until %s, now is %s", o.ID, o.AcceptBy, c.Time)
	}
	endOffer(c, v, o, ledger.OfferExpired, "")
	return nil
}

// OfferWithdraw takes an offer back.
func OfferWithdraw(c *vm.Context, op *ledger.OfferWithdraw) error {
	o, v, err := openOffer(c, op.Offer)
	if err != nil {
		return err
	}
	if o.Transferor != c.Acting {
		return ledger.Failf(ledger.CodeNotHolder, "offer %s was made by %s", o.ID, o.Transferor)
	}
	endOffer(c, v, o, ledger.OfferWithdrawn, "")
	return nil
}
