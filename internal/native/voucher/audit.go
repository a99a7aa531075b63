package voucher

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Audit walks the chain of a voucher's lots from 0 to Face and verifies everything its records say: that the lots follow each other without
// gap or overlap, their number, what is paid, each lot's place in its holder's list, and that offers and requests hold the lots that
// name them. It reads all lots; CheckConservation is what runs at every commit.
func Audit(j *vm.Journal, id suite.Hash) error {
	v, ok := vm.Load[ledger.Voucher](j, ledger.VoucherKey(id))
	if !ok {
		return fmt.Errorf("voucher %s does not exist", id)
	}
	if v.Status != ledger.VoucherActive && v.Status != ledger.VoucherPaid {
		if v.Lots != 0 || v.Paid != 0 || v.Funded != 0 || j.Get(ledger.LotKey(id, 0)) != nil {
			return fmt.Errorf("voucher %s is %s and has lots or money", id, statusNames[v.Status])
		}
		return nil
	}
	lots, err := chain(j, &v)
	if err != nil {
		return fmt.Errorf("voucher %s: %w", id, err)
	}
	paid := ledger.Fen(0)
	for i := range lots {
		if isPaid(&lots[i]) {
			paid += lots[i].Amount()
		}
		if err := auditLot(j, &lots[i]); err != nil {
			return fmt.Errorf("voucher %s: lot [%d, %d): %w", id, lots[i].From, lots[i].To, err)
		}
	}
	switch {
	case len(lots) != int(v.Lots):
		return fmt.Errorf("voucher %s counts %d lots and has %d", id, v.Lots, len(lots))
	case paid != v.Paid:
		return fmt.Errorf("voucher %s counts %d paid and has %d", id, v.Paid, paid)
	case v.Funded > v.Face-v.Paid:
		return fmt.Errorf("voucher %s: %d funded for %d unpaid", id, v.Funded, v.Face-v.Paid)
	case (v.Paid == v.Face) != (v.Status == ledger.VoucherPaid):
		return fmt.Errorf("voucher %s is %s with %d of %d paid", id, statusNames[v.Status], v.Paid, v.Face)
	}
	return nil
}

// chain returns the lots of v from 0 to Face.
func chain(j *vm.Journal, v *ledger.Voucher) ([]ledger.Lot, error) {
	var lots []ledger.Lot
	for at := ledger.Fen(0); at < v.Face; {
		l, ok := vm.Load[ledger.Lot](j, ledger.LotKey(v.ID, at))
		if !ok || l.From != at || l.To <= at || l.To > v.Face || l.Voucher != v.ID {
			return nil, fmt.Errorf("the chain of lots breaks at %d", at)
		}
		lots = append(lots, l)
		at = l.To
	}
	return lots, nil
}

// auditLot verifies that a lot's list and lock know it.
func auditLot(j *vm.Journal, l *ledger.Lot) error {
	if isPaid(l) {
		if l.Pledge != nil || len(l.Freezes) > 0 || l.Limited || !l.Lock.IsZero() {
			return errors.New("paid, and still encumbered")
		}
		return nil
	}
	ref := codec.MustMarshal(&ledger.LotRef{Voucher: l.Voucher, From: l.From})
	if string(vm.Item(j, ledger.LotsOf(l.Holder), l.Slot)) != string(ref) {
		return fmt.Errorf("the list of %s does not have it at slot %d", l.Holder, l.Slot)
	}
	switch l.State {
	case ledger.LotHeld:
		if !l.Lock.IsZero() || l.LockUntil != 0 {
			return errors.New("held, and locked")
		}
	case ledger.LotOffered:
		o, ok := vm.Load[ledger.Offer](j, ledger.OfferKey(l.Lock))
		if !ok || o.Status != ledger.OfferOpen || o.Voucher != l.Voucher || l.From < o.From || l.To > o.To || o.Transferor != l.Holder {
			return fmt.Errorf("locked by offer %s, which does not know it", l.Lock)
		}
	case ledger.LotRequested:
		r, ok := vm.Load[ledger.Request](j, ledger.RequestKey(l.Lock))
		if !ok || r.Status > ledger.RequestRegistered || r.Voucher != l.Voucher || l.From < r.From || l.To > r.To || r.Holder != l.Holder {
			return fmt.Errorf("locked by request %s, which does not know it", l.Lock)
		}
	default:
		return fmt.Errorf("state %d is unknown", l.State)
	}
	return nil
}

// AuditIssuer audits every voucher that issuer has issued, and verifies that its ladder, its pools and the limits it uses are the sums of
// them. It reads everything: for demonstrations and tests.
func AuditIssuer(j *vm.Journal, issuer ledger.PartyID) error {
	ladder, pools, limits := map[ledger.Date]ledger.LadderDay{}, map[string]ledger.Fen{}, map[ledger.PartyID]ledger.Fen{}
	name := ledger.IssuedBy(issuer)
	for i := range vm.Count(j, name) {
		id := suite.Hash(vm.Item(j, name, i))
		if err := Audit(j, id); err != nil {
			return err
		}
		v, _ := vm.Load[ledger.Voucher](j, ledger.VoucherKey(id))
		switch v.Status {
		case ledger.VoucherActive:
			rung := ladder[v.Settles]
			rung.Outstanding += v.Face - v.Paid
			lots, err := chain(j, &v)
			if err != nil {
				return err
			}
			rung.Frozen += ledger.Fen(total(lots, func(l *ledger.Lot) bool { return !isPaid(l) && len(l.Freezes) > 0 }))
			ladder[v.Settles] = rung
			pools[string(poolKey(&v))] += need(&v)
			limits[v.Bank] += v.Face - v.Paid
		case ledger.VoucherOffered:
			limits[v.Bank] += v.Face
		default: // nothing stands
		}
	}
	return errors.Join(auditLadder(j, issuer, ladder), auditSums(j, issuer, pools, limits))
}

func auditLadder(j *vm.Journal, issuer ledger.PartyID, want map[ledger.Date]ledger.LadderDay) error {
	days, _ := vm.Load[ledger.Days](j, ledger.LadderDaysKey(issuer))
	if len(days.Days) != len(want) || !slices.IsSorted(days.Days) {
		return fmt.Errorf("the ladder of %s has days %v, its vouchers %d", issuer, days.Days, len(want))
	}
	for _, day := range days.Days {
		if have, _ := vm.Load[ledger.LadderDay](j, ledger.LadderKey(issuer, day)); have != want[day] {
			return fmt.Errorf("the ladder of %s on %s says %+v, its vouchers %+v", issuer, day, have, want[day])
		}
	}
	return nil
}

func auditSums(j *vm.Journal, issuer ledger.PartyID, pools map[string]ledger.Fen, limits map[ledger.PartyID]ledger.Fen) error {
	for _, key := range slices.Sorted(maps.Keys(pools)) {
		want := pools[key]
		if have, _ := vm.Load[ledger.DayPool](j, []byte(key)); have.Need != want || have.Funds > have.Need {
			return fmt.Errorf("pool %x of %s needs %d and has %d, its vouchers need %d", key, issuer, have.Need, have.Funds, want)
		}
	}
	for _, bank := range slices.Sorted(maps.Keys(limits)) {
		want := limits[bank]
		if have, _ := vm.Load[ledger.Limit](j, ledger.LimitKey(bank, issuer, ledger.LimitIssue)); have.Used != want {
			return fmt.Errorf("%s has used %d of its limit by %s, its vouchers say %d", issuer, have.Used, bank, want)
		}
	}
	return nil
}
