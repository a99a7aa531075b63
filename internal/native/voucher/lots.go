package voucher

import (
	"aval/codec"
	"aval/internal/invariant"
	"aval/internal/native/credit"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Load returns a voucher, or a *ledger.Failure if there is none with this id.
func Load(c *vm.Context, id suite.Hash) (*ledger.Voucher, error) {
	v, ok := vm.Load[ledger.Voucher](c.Journal, ledger.VoucherKey(id))
	if !ok {
		return nil, ledger.Failf(ledger.CodeVoucherUnknown, "voucher %s does not exist", id)
	}
	return &v, nil
}

// LoadActive returns a voucher that has lots, or a *ledger.Failure.
func LoadActive(c *vm.Context, id suite.Hash) (*ledger.Voucher, error) {
	v, err := Load(c, id)
	if err != nil {
		return nil, err
	}
	switch v.Status {
	case ledger.VoucherActive:
		return v, nil
	case ledger.VoucherPaid:
		return nil, ledger.Failf(ledger.CodeLotPaid, "voucher %s is paid in full", id)
	default:
		return nil, ledger.Failf(ledger.CodeVoucherState, "voucher %s has no lots: it is %s", id, statusNames[v.Status])
	}
}

var statusNames = map[ledger.VoucherStatus]string{
	ledger.VoucherOffered: "not accepted yet", ledger.VoucherActive: "active", ledger.VoucherRejected: "rejected",
	ledger.VoucherExpired: "expired", ledger.VoucherCancelled: "cancelled", ledger.VoucherPaid: "paid",
}

func store(c *vm.Context, v *ledger.Voucher) { vm.Store(c.Journal, ledger.VoucherKey(v.ID), v) }

func storeLot(c *vm.Context, l *ledger.Lot) {
	vm.Store(c.Journal, ledger.LotKey(l.Voucher, l.From), l)
}

// mustLot returns the lot that begins at from.
func mustLot(j *vm.Journal, voucher suite.Hash, from ledger.Fen) ledger.Lot {
	l, ok := vm.Load[ledger.Lot](j, ledger.LotKey(voucher, from))
	invariant.Check(ok && l.From == from && l.To > from, "voucher %s: the chain of lots breaks at %d", voucher, from)
	return l
}

// lotContaining returns the lot of v that contains the fen at, which lies in [0, Face). A lot that begins there is found at once,
// another by walking the chain.
func lotContaining(j *vm.Journal, v *ledger.Voucher, at ledger.Fen) ledger.Lot {
	if l, ok := vm.Load[ledger.Lot](j, ledger.LotKey(v.ID, at)); ok {
		return l
	}
	from, to := ledger.Fen(0), endOfLot(j, v.ID, 0)
	for to <= at {
		from, to = to, endOfLot(j, v.ID, to)
	}
	return mustLot(j, v.ID, from)
}

// endOfLot returns where the lot that begins at from ends, without decoding the rest of it: whoever names a point in the middle of a
// voucher of many lots, allowed to or not, has us walk over all before it.
func endOfLot(j *vm.Journal, voucher suite.Hash, from ledger.Fen) ledger.Fen {
	const keyOfTo = 3 // of ledger.Lot
	to, ok := codec.Uint(j.Get(ledger.LotKey(voucher, from)), keyOfTo)
	invariant.Check(ok && ledger.Fen(to) > from, "voucher %s: the chain of lots breaks at %d", voucher, from)
	return ledger.Fen(to)
}

// lotsIn returns the lots of v that overlap [from, to), in order.
func lotsIn(j *vm.Journal, v *ledger.Voucher, from, to ledger.Fen) []ledger.Lot {
	l := lotContaining(j, v, from)
	lots := []ledger.Lot{l}
	for l.To < to {
		l = mustLot(j, v.ID, l.To)
		lots = append(lots, l)
	}
	return lots
}

// heldLot returns the lot that begins at from if the acting party may dispose of it; see CheckFree.
func heldLot(c *vm.Context, v *ledger.Voucher, from ledger.Fen) (ledger.Lot, error) {
	l, ok := vm.Load[ledger.Lot](c.Journal, ledger.LotKey(v.ID, from))
	if !ok {
		return l, ledger.Failf(ledger.CodeLotUnknown, "voucher %s has no lot that begins at %s", v.ID, from)
	}
	return l, checkFree(c, v, &l)
}

// heldRange returns the lot that contains [from, to) if the acting party may dispose of it.
func heldRange(c *vm.Context, v *ledger.Voucher, from, to ledger.Fen) (ledger.Lot, error) {
	if err := checkRange(v, from, to); err != nil {
		return ledger.Lot{}, err
	}
	l := lotContaining(c.Journal, v, from)
	if to > l.To {
		return l, ledger.Failf(ledger.CodeLotUnknown, "the range [%s, %s) is not within one lot: one ends at %s", from, to, l.To)
	}
	return l, checkFree(c, v, &l)
}

func checkRange(v *ledger.Voucher, from, to ledger.Fen) error {
	if from >= to || to > v.Face {
		return ledger.Failf(ledger.CodeArgument, "[%s, %s) is no range within [0, %s)", from, to, v.Face)
	}
	return nil
}

// checkFree returns a *ledger.Failure unless the acting party holds l and nothing stands in the way of passing it on: l is not paid, the
// voucher has not matured, no order and no pledge lies on l, and it is not locked, or its lock has lapsed.
func checkFree(c *vm.Context, v *ledger.Voucher, l *ledger.Lot) error {
	switch {
	case l.Holder != c.Acting:
		return ledger.Failf(ledger.CodeNotHolder, "the lot at %s is held by %s, not by %s", l.From, l.Holder, c.Acting)
	case l.State == ledger.LotPaid:
		return ledger.Failf(ledger.CodeLotPaid, "the lot at %s is paid", l.From)
	case len(l.Freezes) > 0:
		return failFrozen(l)
	case l.Pledge != nil:
		return ledger.Failf(ledger.CodeLotPledged, "the lot at %s is pledged to %s", l.From, l.Pledge.Pledgee)
	case Locked(l, c.Time):
		return ledger.Failf(ledger.CodeLotLocked, "the lot at %s is locked by %s %s until %s",
			l.From, lockNames[l.State], l.Lock, l.LockUntil)
	}
	return checkNotMatured(c, v)
}

func checkNotMatured(c *vm.Context, v *ledger.Voucher) error {
	if c.Today() >= v.Settles {
		return ledger.Failf(ledger.CodeMatured, "voucher %s was to be paid on %s: its lots no longer change hands", v.ID, v.Settles)
	}
	return nil
}

func failFrozen(l *ledger.Lot) error {
	return ledger.Failf(ledger.CodeLotFrozen, "the lot at %s is frozen by order %s", l.From, l.Freezes[0])
}

// checkRoom returns a *ledger.Failure if n more lots would take v beyond max.
func checkRoom(v *ledger.Voucher, n, max int) error {
	if int(v.Lots)+n > max {
		return ledger.Failf(ledger.CodeLotsMany, "voucher %s has %d lots; it cannot be cut into more than %d", v.ID, v.Lots, max)
	}
	return nil
}

// cut splits the lot that begins at from into [from, at) and [at, its end): the only way in which lots multiply. Both parts keep
// holder, state, lock and encumbrances. The caller stores v.
func cut(c *vm.Context, v *ledger.Voucher, from, at ledger.Fen) {
	left := mustLot(c.Journal, v.ID, from)
	invariant.Check(from < at && at < left.To, "voucher %s: cut [%d, %d) at %d", v.ID, from, left.To, at)
	right := left
	left.To, right.From = at, at
	if right.State != ledger.LotPaid {
		enlist(c, &right)
	}
	storeLot(c, &left)
	storeLot(c, &right)
	v.Lots++
}

// carve makes [from, to) a lot of its own, by at most two cuts of the one lot that contains it. The caller stores v.
func carve(c *vm.Context, v *ledger.Voucher, l *ledger.Lot, from, to ledger.Fen) error {
	n := 0
	if from > l.From {
		n++
	}
	if to < l.To {
		n++
	}
	if err := checkRoom(v, n, ledger.VoucherSplitsMax); err != nil {
		return err
	}
	if to < l.To {
		cut(c, v, l.From, to)
	}
	if from > l.From {
		cut(c, v, l.From, from)
	}
	return nil
}

// enlist puts l at the end of its holder's list and sets its slot. The caller stores l.
func enlist(c *vm.Context, l *ledger.Lot) {
	l.Slot = vm.Append(c.Journal, ledger.LotsOf(l.Holder), codec.MustMarshal(&ledger.LotRef{Voucher: l.Voucher, From: l.From}))
}

// delist takes l out of its holder's list. It rewrites the record of the lot that takes its slot: copies of other lots that
// the caller holds may be out of date afterwards.
func delist(c *vm.Context, l *ledger.Lot) {
	moved := vm.Remove(c.Journal, ledger.LotsOf(l.Holder), l.Slot)
	if moved == nil {
		return
	}
	var ref ledger.LotRef
	err := codec.Unmarshal(moved, &ref)
	invariant.Check(err == nil, "list of the lots of %s: %v", l.Holder, err)
	other := mustLot(c.Journal, ref.Voucher, ref.From)
	other.Slot = l.Slot
	storeLot(c, &other)
}

// handOver makes to the holder of every lot in [from, to): all of them unpaid, unfrozen and of one holder. It ends the lock. limited says
// that the new holder's limit for the issuer has been drawn on for the range.
func handOver(c *vm.Context, v *ledger.Voucher, from, to ledger.Fen, holder ledger.PartyID, limited bool) {
	for at := from; at < to; {
		l := mustLot(c.Journal, v.ID, at)
		freeLimited(c, v, &l, l.Amount())
		delist(c, &l)
		l.Holder, l.Depth, l.Since, l.Limited = holder, l.Depth+1, c.Time, limited
		unlock(&l)
		enlist(c, &l)
		storeLot(c, &l)
		at = l.To
	}
}

// freeLimited gives amount back to the holder's limit for the issuer, if l counts in it.
func freeLimited(c *vm.Context, v *ledger.Voucher, l *ledger.Lot, amount ledger.Fen) {
	if l.Limited {
		credit.Free(c, l.Holder, v.Issuer, ledger.LimitFinance, amount)
	}
}

// recordTransfer appends t to the voucher's transfers, with the time that counts as notice to the debtor. The caller stores v.
func recordTransfer(c *vm.Context, v *ledger.Voucher, t ledger.Transfer) {
	t.Voucher, t.Number, t.NotifiedAt = v.ID, v.Transfers, c.Time
	vm.Store(c.Journal, ledger.TransferKey(v.ID, t.Number), &t)
	v.Transfers++
}
