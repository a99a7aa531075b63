package voucher

import (
	"slices"

	"aval/codec"
	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// enterWaiting puts a voucher, offer or request into the list of what waits for party's answer and returns its slot.
func enterWaiting(c *vm.Context, party ledger.PartyID, kind ledger.WaitingKind, id suite.Hash) uint64 {
	return vm.Append(c.Journal, ledger.Incoming(party), codec.MustMarshal(&ledger.Waiting{Kind: kind, ID: id}))
}

// leaveWaiting takes the item at slot out of the list of what waits for party's answer, and tells the item that moved there.
func leaveWaiting(c *vm.Context, party ledger.PartyID, slot uint64) {
	moved := vm.Remove(c.Journal, ledger.Incoming(party), slot)
	if moved == nil {
		return
	}
	var w ledger.Waiting
	err := codec.Unmarshal(moved, &w)
	invariant.Check(err == nil, "list of what waits for %s: %v", party, err)
	switch w.Kind {
	case ledger.WaitingVoucher:
		update(c, ledger.VoucherKey(w.ID), func(v *ledger.Voucher) { v.Waiting = slot })
	case ledger.WaitingOffer:
		update(c, ledger.OfferKey(w.ID), func(o *ledger.Offer) { o.Slot = slot })
	case ledger.WaitingRequest:
		update(c, ledger.RequestKey(w.ID), func(r *ledger.Request) {
			i := slices.Index(r.Funders, party)
			invariant.Check(i >= 0, "request %s waits for %s unasked", r.ID, party)
			r.Slots[i] = slot
		})
	default:
		invariant.Check(false, "an item of kind %d waits for %s", w.Kind, party)
	}
}

// update changes the record under key, which exists.
func update[T any](c *vm.Context, key []byte, f func(*T)) {
	record, ok := vm.Load[T](c.Journal, key)
	invariant.Check(ok, "state record %x is missing", key)
	f(&record)
	vm.Store(c.Journal, key, &record)
}
