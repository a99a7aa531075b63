package voucher

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"aval/codec"
	"aval/internal/invariant"
	"aval/internal/native/credit"
	"aval/internal/native/money"
	"aval/internal/vm"
	"aval/ledger"
)

// pay pays v.Funded out over v's unpaid lots, in proportion, and stores v.
func (s *settler) pay(v *ledger.Voucher) error {
	funds := v.Funded
	if funds > 0 {
		if err := s.payLots(v, funds); err != nil {
			return err
		}
		v.Funded = 0
		v.Paid += funds
		credit.Free(s.Context, v.Bank, v.Issuer, ledger.LimitIssue, funds)
	}
	if v.Paid == v.Face {
		v.Status = ledger.VoucherPaid
		emit(s.Context, v, "voucher.paid")
	} else {
		e := eventOf(v, "voucher.overdue")
		e.Amount = v.Face - v.Paid
		s.Emit(e)
	}
	store(s.Context, v)
	return nil
}

// payLots walks the chain once. before is the lot that ends where the present one begins, if it was paid before.
func (s *settler) payLots(v *ledger.Voucher, funds ledger.Fen) error {
	lots := lotsIn(s.Journal, v, 0, v.Face)
	s.left -= len(lots)
	shares := proportions(lots, funds)
	var before *ledger.Lot
	frozen := ledger.Fen(0)
	for i := range lots {
		if shares[i] > 0 {
			l := mustLot(s.Journal, v.ID, lots[i].From) // its lock or its slot may have changed since the walk
			endLock(s.Context, v, &l)
			l = mustLot(s.Journal, v.ID, lots[i].From)
			if len(l.Freezes) > 0 {
				frozen += shares[i]
			}
			if err := s.payLot(v, &l, shares[i]); err != nil {
				return err
			}
			settleLot(s.Context, v, &l, shares[i], before)
		}
		before = nil
		if isPaid(&lots[i]) {
			before = &lots[i]
		}
	}
	takeFromLadder(s.Context, v.Issuer, v.Settles, funds, frozen)
	return nil
}

// proportions divides funds, at most what is unpaid, over the unpaid lots in proportion to their amounts: largest remainder, ties
// by the start of the range.
func proportions(lots []ledger.Lot, funds ledger.Fen) []ledger.Fen {
	var total uint64
	for i := range lots {
		if !isPaid(&lots[i]) {
			total += uint64(lots[i].Amount())
		}
	}
	invariant.Check(uint64(funds) <= total, "%d of funds for %d unpaid", funds, total)
	shares, rest, left := make([]ledger.Fen, len(lots)), make([]uint64, len(lots)), funds
	var order []int
	for i := range lots {
		if isPaid(&lots[i]) {
			continue
		}
		hi, lo := bits.Mul64(uint64(funds), uint64(lots[i].Amount()))
		share, remainder := bits.Div64(hi, lo, total) // hi < total, because funds ≤ total and a lot is below 2^64
		shares[i], rest[i] = ledger.Fen(share), remainder
		left -= shares[i]
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case rest[a] > rest[b]:
			return -1
		case rest[a] < rest[b]:
			return 1
		}
		return a - b
	})
	for _, i := range order[:left] {
		shares[i]++
	}
	return shares
}

// payLot moves amount of the issuer's held money for the lot l: to its holder or pledgee, or into a hold.
func (s *settler) payLot(v *ledger.Voucher, l *ledger.Lot, amount ledger.Fen) error {
	payee, effective := l.Holder, l.Pledge != nil && l.Pledge.Number != ""
	if effective && l.Pledge.Proceeds == ledger.ProceedsPledgee {
		payee = l.Pledge.Pledgee
	}
	h := ledger.Hold{Bank: v.Bank, Owner: v.Issuer, Beneficiary: payee, Amount: amount, Subject: v.ID, Ref: v.ID.String()}
	claims := s.claims(v, l)
	if len(l.Freezes) > 0 {
		h.Reason, h.Controller, h.Next = claims[0].Reason, claims[0].Controller, claims[1:]
		return s.hold(v, l, h, money.CreateHoldOfHeld, "held under a court order")
	}
	mark := s.Mark()
	bank := money.BankFor(s.Journal, payee, v.Bank)
	err := s.payOut(v, payee, bank, amount)
	if err == nil && effective && l.Pledge.Proceeds == ledger.ProceedsDeposit {
		err = s.deposit(v, l, h, bank)
	} else if err == nil {
		s.emitPaid(v, l, &h, payee, bank, "")
	}
	var refused *ledger.Failure
	if !errors.As(err, &refused) {
		return err
	}
	s.Revert(mark)
	h.Reason, h.Controller = ledger.HoldUnrouted, v.Bank
	if len(claims) > 0 {
		h.Reason, h.Controller = claims[0].Reason, claims[0].Controller
	}
	return s.hold(v, l, h, money.CreateHoldOfHeld, "held at the issuer's bank: "+refused.Message)
}

// claims are the controls over what is paid on l, in turn: of the bodies whose orders lie on it, oldest first, and then of the pledgee for
// whom the proceeds are deposited.
func (s *settler) claims(v *ledger.Voucher, l *ledger.Lot) []ledger.HoldClaim {
	var claims []ledger.HoldClaim
	for _, fingerprint := range l.Freezes {
		order, ok := vm.Load[ledger.Order](s.Journal, ledger.OrderKey(v.ID, fingerprint))
		invariant.Check(ok, "order %s lies on voucher %s without a record", fingerprint, v.ID)
		claim := ledger.HoldClaim{Reason: ledger.HoldFrozen, Controller: order.Body}
		if !slices.Contains(claims, claim) {
			claims = append(claims, claim)
		}
	}
	if p := l.Pledge; p != nil && p.Number != "" && p.Proceeds == ledger.ProceedsDeposit {
		claims = append(claims, ledger.HoldClaim{Reason: ledger.HoldPledged, Controller: p.Pledgee})
	}
	return claims
}

// payOut pays to the payee's account with bank. A *ledger.Failure says that this is not possible; part may have been written.
func (s *settler) payOut(v *ledger.Voucher, payee, bank ledger.PartyID, amount ledger.Fen) error {
	if bank == "" {
		return ledger.Failf(ledger.CodeAccountUnknown, "%s has no account", payee)
	}
	return money.PayHeld(s.Context, v.Issuer, v.Bank, payee, bank, amount, v.ID.String())
}

// deposit keeps what the holder has just been paid in its account with bank, for the pledgee to take or to release.
func (s *settler) deposit(v *ledger.Voucher, l *ledger.Lot, h ledger.Hold, bank ledger.PartyID) error {
	h.Bank, h.Owner, h.Beneficiary, h.Controller, h.Reason = bank, l.Holder, l.Pledge.Pledgee, l.Pledge.Pledgee, ledger.HoldPledged
	return s.hold(v, l, h, money.CreateHold, "deposited with the holder's bank for the pledgee")
}

// hold records h by create: of money that is held already, or of a balance.
func (s *settler) hold(v *ledger.Voucher, l *ledger.Lot, h ledger.Hold, create func(*vm.Context, ledger.Hold) error, note string) error {
	h.ID = s.BoundaryID(s.holds)
	s.holds++
	if err := create(s.Context, h); err != nil {
		return fmt.Errorf("hold the money of the lot at %d of voucher %s: %w", l.From, v.ID, err)
	}
	payee := h.Beneficiary
	if h.Owner != v.Issuer {
		payee = h.Owner // a deposit lies in the holder's own account
	}
	s.emitPaid(v, l, &h, payee, h.Bank, note)
	return nil
}

func (s *settler) emitPaid(v *ledger.Voucher, l *ledger.Lot, h *ledger.Hold, payee, bank ledger.PartyID, note string) {
	s.Emit(ledger.Event{Kind: "lot.paid", Subject: v.ID, Ref: h.ID, Party: v.Issuer, Counterparty: payee, Bank: bank,
		From: l.From, To: l.From + h.Amount, Amount: h.Amount, Note: note})
}

// settleLot marks the first amount of l as paid and takes it off its holder's list. A part that continues what was paid of the same
// lot before is joined to it, so that payment in many parts does not multiply lots. The caller stores v.
func settleLot(c *vm.Context, v *ledger.Voucher, l *ledger.Lot, amount ledger.Fen, before *ledger.Lot) {
	freeLimited(c, v, l, amount)
	delist(c, l)
	paid := *l
	paid.To = l.From + amount
	unlock(&paid)
	paid.State, paid.Pledge, paid.Freezes, paid.Slot, paid.Limited = ledger.LotPaid, nil, nil, 0, false
	if paid.To < l.To {
		rest := *l
		rest.From = paid.To
		enlist(c, &rest)
		storeLot(c, &rest)
		v.Lots++
	}
	if before != nil && continues(before, &paid) {
		c.Delete(ledger.LotKey(v.ID, paid.From))
		paid.From = before.From
		v.Lots--
	}
	storeLot(c, &paid)
}

// continues reports whether two paid lots, one ending where the other begins, are alike but for their ranges.
func continues(a, b *ledger.Lot) bool {
	x, y := *a, *b
	x.From, x.To, y.From, y.To = 0, 0, 0, 0
	return a.To == b.From && bytes.Equal(codec.MustMarshal(&x), codec.MustMarshal(&y))
}
