package voucher

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// CheckConservation verifies, from what one block changed, that it made and lost nothing of any voucher:
//
//   - the changed lots of a voucher cover what they covered before, without overlap; at acceptance they cover [0, Face) from
//     nothing, at cancellation nothing from [0, Face); what was paid stays paid;
//   - Voucher.Paid and Voucher.Lots moved with the lots, an issuer's ladder and its used limits with the vouchers;
//   - no invoice is drawn above its face.
//
// Together with a state that was right before, it proves a state that is right after; Audit checks one voucher from the ground. An error
// means that this program is wrong.
func CheckConservation(changes []vm.Change) error {
	b := &books{vouchers: map[suite.Hash]*voucherChange{}, ladder: map[string]sides{}, limits: map[string]sides{}}
	var errs []error
	for i := range changes {
		if err := b.enter(&changes[i]); err != nil {
			errs = append(errs, fmt.Errorf("record %x: %w", changes[i].Key, err))
		}
	}
	for _, id := range b.order {
		if err := b.vouchers[id].check(); err != nil {
			errs = append(errs, fmt.Errorf("voucher %s: %w", id, err))
		}
		b.expect(b.vouchers[id])
	}
	return errors.Join(append(errs, b.compare("ladder", b.ladder), b.compare("limit", b.limits))...)
}

// sides is a change of one sum as the vouchers imply it and as its record has it. They wrap modulo 2^64, which keeps equality.
type sides struct{ implied, recorded uint64 }

// books is what one block changed, by record.
type books struct {
	vouchers map[suite.Hash]*voucherChange
	order    []suite.Hash // of first appearance: changes come sorted by key
	ladder   map[string]sides
	limits   map[string]sides
}

// voucherChange is what one block changed of one voucher. before and after are nil if the voucher's own record is absent or
// has not changed.
type voucherChange struct {
	before, after         *ledger.Voucher
	lotsBefore, lotsAfter []ledger.Lot
}

func (b *books) of(id suite.Hash) *voucherChange {
	v, ok := b.vouchers[id]
	if !ok {
		v = &voucherChange{}
		b.vouchers[id] = v
		b.order = append(b.order, id)
	}
	return v
}

// enter files one changed record.
func (b *books) enter(change *vm.Change) error {
	switch ledger.TableOf(change.Key) {
	case ledger.TableVoucher:
		before, after, err := decode[ledger.Voucher](change)
		if err != nil || before == nil && after == nil {
			return err
		}
		v := b.of(cmp.Or(after, before).ID)
		v.before, v.after = before, after
	case ledger.TableLot:
		before, after, err := decode[ledger.Lot](change)
		if err != nil {
			return err
		}
		if before != nil {
			v := b.of(before.Voucher)
			v.lotsBefore = append(v.lotsBefore, *before)
		}
		if after != nil {
			v := b.of(after.Voucher)
			v.lotsAfter = append(v.lotsAfter, *after)
		}
	case ledger.TableInvoice:
		return checkInvoice(change)
	case ledger.TableLadder:
		before, after, err := decode[ledger.LadderDay](change)
		if err != nil {
			return err
		}
		old, now := cmp.Or(before, &ledger.LadderDay{}), cmp.Or(after, &ledger.LadderDay{})
		if now.Frozen > now.Outstanding {
			return fmt.Errorf("%d frozen of %d outstanding", now.Frozen, now.Outstanding)
		}
		record(b.ladder, change.Key, uint64(now.Outstanding)-uint64(old.Outstanding))
	case ledger.TableLimit:
		before, after, err := decode[ledger.Limit](change)
		if err != nil {
			return err
		}
		old, now := cmp.Or(before, &ledger.Limit{}), cmp.Or(after, &ledger.Limit{})
		if now.Purpose == ledger.LimitIssue {
			record(b.limits, change.Key, uint64(now.Used)-uint64(old.Used))
		}
	default:
	}
	return nil
}

func record(sums map[string]sides, key []byte, delta uint64) {
	s := sums[string(key)]
	s.recorded += delta
	sums[string(key)] = s
}

func imply(sums map[string]sides, key []byte, delta uint64) {
	s := sums[string(key)]
	s.implied += delta
	sums[string(key)] = s
}

func checkInvoice(change *vm.Change) error {
	before, after, err := decode[ledger.Invoice](change)
	switch {
	case err != nil:
		return err
	case after == nil:
		return errors.New("an invoice was deleted")
	case after.Reserved > after.Face || after.Used > after.Face-after.Reserved:
		return fmt.Errorf("%d reserved and %d used of a face of %d", after.Reserved, after.Used, after.Face)
	case before != nil && before.Face != after.Face:
		return fmt.Errorf("the face changed from %d to %d", before.Face, after.Face)
	}
	return nil
}

// expect enters what a voucher's change implies for its issuer's ladder and limit.
func (b *books) expect(v *voucherChange) {
	for _, side := range []struct {
		v    *ledger.Voucher
		sign uint64
	}{{v.before, ^uint64(0)}, {v.after, 1}} {
		if side.v == nil {
			continue
		}
		unpaid := uint64(side.v.Face - side.v.Paid)
		if side.v.Status == ledger.VoucherActive {
			imply(b.ladder, ledger.LadderKey(side.v.Issuer, side.v.Settles), side.sign*unpaid)
		}
		if side.v.Status == ledger.VoucherActive || side.v.Status == ledger.VoucherOffered {
			imply(b.limits, ledger.LimitKey(side.v.Bank, side.v.Issuer, ledger.LimitIssue), side.sign*unpaid)
		}
	}
}

// compare reports the first sum, in the order of keys, whose record did not move with the vouchers.
func (b *books) compare(what string, sums map[string]sides) error {
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		if s := sums[key]; s.implied != s.recorded {
			return fmt.Errorf("%s %x moved by %d, its vouchers by %d", what, key, int64(s.recorded), int64(s.implied))
		}
	}
	return nil
}

// span is a range [from, to) of fen.
type span struct{ from, to ledger.Fen }

// spans returns the ranges of the lots that are in, joined where they touch. Lots that overlap are an error.
func spans(lots []ledger.Lot, in func(*ledger.Lot) bool) ([]span, error) {
	sorted := slices.Clone(lots)
	slices.SortFunc(sorted, func(a, b ledger.Lot) int { return cmp.Compare(a.From, b.From) })
	var out []span
	for i := range sorted {
		l := &sorted[i]
		switch {
		case !in(l):
		case l.From >= l.To:
			return nil, fmt.Errorf("lot [%d, %d) is empty", l.From, l.To)
		case len(out) == 0 || out[len(out)-1].to < l.From:
			out = append(out, span{l.From, l.To})
		case out[len(out)-1].to == l.From:
			out[len(out)-1].to = l.To
		default:
			return nil, fmt.Errorf("lot [%d, %d) overlaps the one that ends at %d", l.From, l.To, out[len(out)-1].to)
		}
	}
	return out, nil
}

func every(*ledger.Lot) bool { return true }

func isPaid(l *ledger.Lot) bool { return l.State == ledger.LotPaid }

// check verifies the change of one voucher.
func (v *voucherChange) check() error {
	before, err := spans(v.lotsBefore, every)
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	after, err := spans(v.lotsAfter, every)
	if err != nil {
		return err
	}
	if b, a := v.extra(before, after); !slices.Equal(b, a) {
		return fmt.Errorf("its lots covered %v and cover %v", before, after)
	}
	return errors.Join(v.checkTerms(), v.checkSums())
}

// extra adds what came into being at acceptance to the side before, and what went at cancellation to the side after.
func (v *voucherChange) extra(before, after []span) (b, a []span) {
	hadLots := v.before != nil && (v.before.Status == ledger.VoucherActive || v.before.Status == ledger.VoucherPaid)
	hasLots := v.after != nil && (v.after.Status == ledger.VoucherActive || v.after.Status == ledger.VoucherPaid)
	switch {
	case v.after == nil || hadLots == hasLots:
	case hasLots:
		before = append(slices.Clone(before), span{0, v.after.Face})
	case hadLots && v.after.Status == ledger.VoucherCancelled:
		after = append(slices.Clone(after), span{0, v.after.Face})
	}
	return before, after
}

// checkTerms verifies that what a voucher promises does not change.
func (v *voucherChange) checkTerms() error {
	if v.before == nil {
		return nil
	}
	if v.after == nil {
		return errors.New("the voucher was deleted")
	}
	b, a := v.before, v.after
	if b.Issuer != a.Issuer || b.Payee != a.Payee || b.Face != a.Face || b.Due != a.Due || b.Settles != a.Settles || b.Bank != a.Bank {
		return errors.New("the terms of the promise changed")
	}
	return nil
}

// checkSums verifies that Paid and Lots moved with the lots, and that nothing paid became unpaid.
func (v *voucherChange) checkSums() error {
	var old, now ledger.Voucher
	if v.before != nil {
		old = *v.before
	}
	if v.after != nil {
		now = *v.after
	}
	before, after := total(v.lotsBefore, isPaid), total(v.lotsAfter, isPaid)
	if after-before != uint64(now.Paid)-uint64(old.Paid) {
		return fmt.Errorf("paid moved from %d to %d, its paid lots from %d to %d", old.Paid, now.Paid, before, after)
	}
	if len(v.lotsAfter)-len(v.lotsBefore) != int(now.Lots)-int(old.Lots) {
		return fmt.Errorf("lots moved from %d to %d, the records of lots from %d to %d", old.Lots, now.Lots, len(v.lotsBefore), len(v.lotsAfter))
	}
	was, err := spans(v.lotsBefore, isPaid)
	if err != nil {
		return err
	}
	is, err := spans(v.lotsAfter, isPaid)
	if err != nil {
		return err
	}
	for _, w := range was {
		if !slices.ContainsFunc(is, func(s span) bool { return s.from <= w.from && w.to <= s.to }) {
			return fmt.Errorf("[%d, %d) was paid and is not", w.from, w.to)
		}
	}
	return nil
}

func total(lots []ledger.Lot, in func(*ledger.Lot) bool) (sum uint64) {
	for i := range lots {
		if in(&lots[i]) {
			sum += uint64(lots[i].Amount())
		}
	}
	return sum
}

// decode returns the record before and after a change, nil where there is none.
func decode[T any](change *vm.Change) (before, after *T, err error) {
	for _, side := range []struct {
		bytes []byte
		into  **T
	}{{change.Old, &before}, {change.New, &after}} {
		if side.bytes == nil {
			continue
		}
		*side.into = new(T)
		if err := codec.Unmarshal(side.bytes, *side.into); err != nil {
			return nil, nil, err
		}
	}
	return before, after, nil
}
