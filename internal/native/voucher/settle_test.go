package voucher

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// slowProportions gives one fen at a time to whichever unpaid lot is furthest below its exact share; of those alike, to the first.
func slowProportions(lots []ledger.Lot, funds ledger.Fen) []ledger.Fen {
	total := new(big.Rat)
	for i := range lots {
		if lots[i].State != ledger.LotPaid {
			total.Add(total, new(big.Rat).SetUint64(uint64(lots[i].Amount())))
		}
	}
	shares := make([]ledger.Fen, len(lots))
	exact := make([]*big.Rat, len(lots))
	left := funds
	for i := range lots {
		if exact[i] = new(big.Rat); lots[i].State != ledger.LotPaid {
			exact[i].Mul(new(big.Rat).SetUint64(uint64(lots[i].Amount())), new(big.Rat).SetUint64(uint64(funds)))
			exact[i].Quo(exact[i], total)
			shares[i] = ledger.Fen(new(big.Int).Quo(exact[i].Num(), exact[i].Denom()).Uint64())
			left -= shares[i]
		}
	}
	// What is left is shared out by remainder.
	for ; left > 0; left-- {
		best, most := -1, new(big.Rat)
		for i := range lots {
			below := new(big.Rat).Sub(exact[i], new(big.Rat).SetUint64(uint64(shares[i])))
			if lots[i].State != ledger.LotPaid && (best < 0 || below.Cmp(most) > 0) {
				best, most = i, below
			}
		}
		shares[best]++
	}
	return shares
}

func TestProportions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]uint64{3, 20, uint64(ledger.AmountMax) / 20}).Draw(t, "most")
		var lots []ledger.Lot
		at, unpaid := ledger.Fen(0), uint64(0)
		for range rapid.IntRange(1, 12).Draw(t, "lots") {
			l := ledger.Lot{From: at, To: at + ledger.Fen(rapid.Uint64Range(1, most).Draw(t, "amount")), State: ledger.LotHeld}
			if rapid.IntRange(0, 3).Draw(t, "paid") == 0 {
				l.State = ledger.LotPaid
			} else {
				unpaid += uint64(l.Amount())
			}
			lots, at = append(lots, l), l.To
		}
		if unpaid == 0 {
			t.Skip("nothing is unpaid")
		}
		funds := ledger.Fen(rapid.Uint64Range(0, unpaid).Draw(t, "funds"))
		shares := proportions(lots, funds)
		if want := slowProportions(lots, funds); !slices.Equal(shares, want) {
			t.Fatalf("%d over %v: %v, not %v", funds, lots, shares, want)
		}
		sum := ledger.Fen(0)
		for i, share := range shares {
			sum += share
			if share > lots[i].Amount() || share > 0 && lots[i].State == ledger.LotPaid {
				t.Fatalf("%d over %v: lot %d gets %d", funds, lots, i, share)
			}
		}
		if sum != funds {
			t.Fatalf("%d over %v: %v sum to %d", funds, lots, shares, sum)
		}
	})
}

// TestPassOverBlocks pays the pool of one day, with money that comes before, during and after the pass, in blocks of few lots: it ends,
// every fen of the funds is paid out, and each voucher gets no less than the share of the funds of the beginning, rounded down.
func TestPassOverBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		due := w.now.Date() + 30
		var ids []suite.Hash
		total := ledger.Fen(0)
		for range rapid.IntRange(1, 7).Draw(t, "vouchers") {
			amount := ledger.Fen(rapid.Uint64Range(1, 1000).Draw(t, "face"))
			id := w.voucher(t, amount, 30)
			for range rapid.IntRange(0, 3).Draw(t, "splits") {
				l := lotContaining(vm.NewJournal(w), &ledger.Voucher{ID: id, Face: amount}, ledger.Fen(rapid.Uint64Range(0, uint64(amount-1)).Draw(t, "at")))
				w.split(t, id, l.From, ledger.Fen(rapid.Uint64Range(1, uint64(l.Amount())).Draw(t, "part")))
			}
			ids, total = append(ids, id), total+amount
		}
		funds := ledger.Fen(rapid.Uint64Range(1, uint64(total)).Draw(t, "funds"))
		w.fundDay(t, due, funds)
		w.now = w.params.Calendar.Following(due).Start()
		lots := rapid.IntRange(1, 6).Draw(t, "lots a block")
		late := ledger.Fen(0)
		for left, n := true, 0; left; n++ {
			if n > 300 {
				t.Fatalf("after %d blocks work is still left", n)
			}
			w.apply(t, func(c *vm.Context) (err error) { left, err = settleDue(c, lots); return err })
			w.audit(t)
			if n < 3 && rapid.Bool().Draw(t, "late") {
				late += w.fundMore(t, ids, due)
				left = true
			}
		}
		paid := ledger.Fen(0)
		for _, id := range ids {
			v := get[ledger.Voucher](w, ledger.VoucherKey(id))
			paid += v.Paid
			share, err := funds.MulDiv(uint64(v.Face), uint64(total))
			if err != nil || v.Funded != 0 || v.Paid < share {
				t.Fatalf("of %d over %d voucher %+v was paid %d", funds, total, v, v.Paid)
			}
		}
		if paid != funds+late {
			t.Fatalf("%d and %d were set aside, %d paid", funds, late, paid)
		}
		if days := get[ledger.Days](w, ledger.DueDaysKey()); len(days.Days) > 0 {
			t.Fatalf("work is left for %s", days.Days)
		}
	})
}

// fundMore sets aside what it can for one voucher or for the day, and returns how much.
func (w *world) fundMore(t *rapid.T, ids []suite.Hash, due ledger.Date) ledger.Fen {
	if rapid.Bool().Draw(t, "day") {
		p := get[ledger.DayPool](w, ledger.DayPoolKey("core", "bank", w.params.Calendar.Following(due)))
		if p.Need == p.Funds {
			return 0
		}
		amount := ledger.Fen(rapid.Uint64Range(1, uint64(p.Need-p.Funds)).Draw(t, "more"))
		w.fundDay(t, due, amount)
		return amount
	}
	v := get[ledger.Voucher](w, ledger.VoucherKey(rapid.SampledFrom(ids).Draw(t, "voucher")))
	if v.Status != ledger.VoucherActive || need(&v) == 0 {
		return 0
	}
	amount := ledger.Fen(rapid.Uint64Range(1, uint64(need(&v))).Draw(t, "more"))
	held := get[ledger.Account](w, ledger.AccountKey("bank", "core")).Held
	w.fund(t, v.ID, amount)
	// Less than amount if the pool gave money back that its need no longer asks for.
	return get[ledger.Account](w, ledger.AccountKey("bank", "core")).Held - held
}

// TestInstalments pays one voucher in many small instalments: the paid parts of a lot are one lot.
func TestInstalments(t *testing.T) {
	w := newWorld(t)
	id := w.voucher(t, 1000, 30)
	for at := range ledger.Fen(9) {
		w.split(t, id, at*100, 100)
	}
	w.now = get[ledger.Voucher](w, ledger.VoucherKey(id)).Settles.Start()
	w.settle(t, ledger.DueLotsPerBlock)
	for range 40 {
		w.fund(t, id, 7)
		w.settle(t, ledger.DueLotsPerBlock)
		w.audit(t)
	}
	v := get[ledger.Voucher](w, ledger.VoucherKey(id))
	if v.Lots > 20 || v.Paid != 280 {
		t.Fatalf("%d lots after 40 instalments of 7 on 10 lots, %d paid", v.Lots, v.Paid)
	}
}

// TestSplitsBound cuts a voucher into as many lots as it may have, and no more; a court may cut further.
func TestSplitsBound(t *testing.T) {
	w := newWorld(t)
	id := w.voucher(t, 100_000, 30)
	offer := func(from ledger.Fen, parts int) func(c *vm.Context) error {
		return func(c *vm.Context) error {
			l := get[ledger.Lot](w, ledger.LotKey(id, from))
			rest := l.Amount()
			op := &ledger.VoucherOffer{Voucher: id, Lot: from, AcceptBy: c.Time + 1}
			for range parts - 1 {
				op.Parts = append(op.Parts, ledger.OfferPart{Amount: 1})
			}
			op.Parts = append(op.Parts, ledger.OfferPart{Amount: rest - ledger.Fen(parts-1), To: "ben", Discharge: ledger.DischargeAtPayment,
				Evidence: []ledger.EvidenceUse{{Invoice: suite.Hash{1}, Amount: rest - ledger.Fen(parts-1)}}})
			return VoucherOffer(c, op)
		}
	}
	at := ledger.Fen(0)
	for n := 1; n < ledger.VoucherSplitsMax; {
		parts := min(ledger.OfferPartsMax, ledger.VoucherSplitsMax-n+1)
		w.as(t, "ann", offer(at, parts))
		w.now++ // the offer lapses, and the next one takes its lot over
		n, at = n+parts-1, at+ledger.Fen(parts-1)
	}
	w.audit(t)
	w.refuse(t, "ann", ledger.CodeLotsMany, offer(at, 2))
	freeze := func(from, to ledger.Fen) func(c *vm.Context) error {
		return func(c *vm.Context) error {
			return LotFreeze(c, &ledger.LotFreeze{Voucher: id, From: from, To: to, Order: suite.Hash{7}})
		}
	}
	w.apply(t, func(c *vm.Context) error {
		change(c.Journal, ledger.PartyKey("bank"), func(p *ledger.Party) { p.Roles |= ledger.RoleCourt })
		return nil
	})
	for n := ledger.VoucherSplitsMax; n < ledger.VoucherFreezesMax; n += 2 {
		w.as(t, "bank", freeze(at+1, at+2))
		at += 2
	}
	w.refuse(t, "bank", ledger.CodeLotsMany, freeze(at+1, at+2))
	w.as(t, "bank", freeze(0, 100_000))
	w.audit(t)
	w.now = get[ledger.Voucher](w, ledger.VoucherKey(id)).Settles.Start()
	w.fund(t, id, 99_000)
	w.settle(t, ledger.DueLotsPerBlock)
	w.audit(t)
	if v := get[ledger.Voucher](w, ledger.VoucherKey(id)); v.Lots > ledger.VoucherLotsMax {
		t.Fatalf("payment in part made %d lots", v.Lots)
	}
}

// TestNobodyStarves: an issuer that is overdue pays one fen a block on a voucher whose lots take up all the work of a block, on one day and on
// many. What settles today, and what another one cures, is paid all the same.
func TestNobodyStarves(t *testing.T) {
	const lots = 4 // a block
	w := newWorld(t)
	var rogue []suite.Hash
	for day := range 6 {
		id := w.voucher(t, 1000, 10+day)
		for at := range ledger.Fen(2 * lots) {
			w.split(t, id, at*10, 10)
		}
		rogue = append(rogue, id)
	}
	cured, today := w.voucher(t, 100, 12), w.voucher(t, 100, 30)
	w.now = get[ledger.Voucher](w, ledger.VoucherKey(rogue[5])).Settles.Start()
	w.settle(t, 1000)
	w.fund(t, today, 100)
	w.now = get[ledger.Voucher](w, ledger.VoucherKey(today)).Settles.Start()
	w.fund(t, cured, 100)
	paid := func(id suite.Hash) bool {
		v := get[ledger.Voucher](w, ledger.VoucherKey(id))
		return v.Status == ledger.VoucherPaid
	}
	blocks := map[suite.Hash]int{}
	base := w.height
	for n := 1; n <= 60; n++ {
		for _, id := range rogue {
			if v := get[ledger.Voucher](w, ledger.VoucherKey(id)); v.Funded == 0 {
				w.fund(t, id, 1)
			}
		}
		w.height = base + ledger.Height(n) - 1
		w.apply(t, func(c *vm.Context) error { _, err := settleDue(c, lots); return err })
		w.audit(t)
		for _, id := range []suite.Hash{cured, today} {
			if blocks[id] == 0 && paid(id) {
				blocks[id] = n
			}
		}
	}
	if n := blocks[today]; n == 0 || n > 3 {
		t.Errorf("what settles today is paid after %d blocks (0: never)", n)
	}
	if n := blocks[cured]; n == 0 || n > 40 {
		t.Errorf("an overdue voucher of another day is paid after %d blocks (0: never)", n)
	}
}
