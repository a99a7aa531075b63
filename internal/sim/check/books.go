package check

import (
	"cmp"
	"maps"
	"slices"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// account names an account by bank and holder.
type account struct{ bank, holder ledger.PartyID }

// piece is a range of a voucher and who has it.
type piece struct {
	from, to ledger.Fen
	holder   ledger.PartyID
	paid     bool
}

// promise is a voucher as the books have it. pieces cover [0, face) once it is accepted.
type promise struct {
	issuer, payee, bank ledger.PartyID
	face                ledger.Fen
	pieces              []piece
	accepted            bool
}

// sale is a part of a voucher that an offer or a finance request is about.
type sale struct {
	voucher      suite.Hash
	from, to     ledger.Fen
	giver, taker ledger.PartyID
	payBank      map[ledger.PartyID]ledger.PartyID // of quotes, by funder
}

// Books are the money and the vouchers of a network as its transactions imply them, kept without the program that is judged.
// Operations that they do not know make them vague where they touch: there only sums are compared.
type Books struct {
	judge *Judge
	// height is the last one that was booked.
	height ledger.Height

	money    map[account]int64
	opened   map[ledger.PartyID][]ledger.PartyID // banks of a holder, in order
	promises map[suite.Hash]*promise
	offers   map[suite.Hash]*sale
	requests map[suite.Hash]*sale
	// vague says that balances or holders cannot be known exactly.
	vagueMoney, vagueLots bool
	applied               int
}

func newBooks(j *Judge) *Books {
	return &Books{judge: j, money: map[account]int64{}, opened: map[ledger.PartyID][]ledger.PartyID{}, promises: map[suite.Hash]*promise{},
		offers: map[suite.Hash]*sale{}, requests: map[suite.Hash]*sale{}}
}

// Height returns the last height in the books.
func (b *Books) Height() ledger.Height { return b.height }

// Applied returns how many transactions took effect.
func (b *Books) Applied() int { return b.applied }

// Vouchers returns how many vouchers were issued.
func (b *Books) Vouchers() int { return len(b.promises) }

// apply books a transaction that took effect.
func (b *Books) apply(id suite.Hash, tx *ledger.Tx) {
	b.applied++
	for i := range tx.Ops {
		op := &tx.Ops[i]
		body, err := op.Decode()
		if err != nil {
			b.judge.report(Acknowledged, "transaction %s took effect and operation %d does not decode: %v", id, i, err)
			return
		}
		made := func(n int) suite.Hash { return ledger.DerivedID(b.judge.suite, id, i, n) }
		if !b.applyMoney(op.Party, body) && !b.applyVoucher(op.Party, body, made) {
			b.applyOther(op.Kind)
		}
	}
}

// applyMoney books operations of money.
func (b *Books) applyMoney(by ledger.PartyID, body ledger.Body) bool {
	switch op := body.(type) {
	case *ledger.AccountOpen:
		b.money[account{by, op.Holder}] += 0
		b.opened[op.Holder] = append(b.opened[op.Holder], by)
	case *ledger.MoneyMint:
		b.money[account{by, op.Holder}] += int64(op.Amount)
	case *ledger.MoneyBurn:
		b.money[account{by, op.Holder}] -= int64(op.Amount)
	case *ledger.MoneyTransfer:
		b.pay(by, op.Bank, op.To, op.ToBank, op.Amount)
	case *ledger.VoucherFund, *ledger.DayFund, *ledger.MoneyHold: // money stays in its account, set aside
	default:
		return false
	}
	return true
}

// pay moves money. What is a bank's own does not stand in an account.
func (b *Books) pay(from, fromBank, to, toBank ledger.PartyID, amount ledger.Fen) {
	if from != fromBank {
		b.money[account{fromBank, from}] -= int64(amount)
	}
	if to != toBank {
		b.money[account{toBank, to}] += int64(amount)
	}
}

// applyVoucher books operations by which vouchers come to be and change hands.
func (b *Books) applyVoucher(by ledger.PartyID, body ledger.Body, made func(int) suite.Hash) bool {
	switch op := body.(type) {
	case *ledger.VoucherIssue:
		b.promises[made(0)] = &promise{issuer: by, payee: op.Payee, bank: op.Bank, face: op.Face}
	case *ledger.VoucherAccept:
		if v := b.promises[op.Voucher]; v != nil {
			v.accepted, v.pieces = true, []piece{{0, v.face, v.payee, false}}
		}
	case *ledger.VoucherOffer:
		at := op.Lot
		for n, part := range op.Parts {
			if part.To != "" {
				b.offers[made(n)] = &sale{voucher: op.Voucher, from: at, to: at + part.Amount, giver: by, taker: part.To}
			}
			at += part.Amount
		}
	case *ledger.OfferAccept:
		b.handOver(b.offers[op.Offer], by)
	case *ledger.FinanceRequest:
		b.requests[made(0)] = &sale{voucher: op.Voucher, from: op.From, to: op.To, giver: by, payBank: map[ledger.PartyID]ledger.PartyID{}}
	case *ledger.FinanceQuote:
		if r := b.requests[op.Request]; r != nil {
			r.payBank[by] = op.PayBank
		}
	case *ledger.FinanceAccept:
		if r := b.requests[op.Request]; r != nil {
			r.taker = op.Funder
		}
	case *ledger.FinanceDisburse:
		r := b.requests[op.Request]
		if r == nil || r.taker != by {
			b.judge.report(Conservation, "%s bought by finance request %s, which the books do not have for it", by, op.Request)
			return true
		}
		b.pay(by, r.payBank[by], r.giver, b.bankFor(r.giver, r.payBank[by]), op.Net)
		b.handOver(r, by)
	default:
		return false
	}
	return true
}

// applyOther judges how much an operation that the books do not follow leaves vague.
func (b *Books) applyOther(kind ledger.Kind) {
	switch kind {
	case ledger.KindHoldEnd, ledger.KindProposalApprove, ledger.KindProposalCreate:
		b.vagueMoney, b.vagueLots = true, true
	case ledger.KindVoucherCancel, ledger.KindPledgeCreate, ledger.KindLotFreeze:
		b.vagueLots, b.vagueMoney = true, true
	default: // neither money nor lots change hands
	}
}

// bankFor is where a holder is paid by money of a bank: with that bank if it has an account there, else with its first.
func (b *Books) bankFor(holder, bank ledger.PartyID) ledger.PartyID {
	banks := b.opened[holder]
	if slices.Contains(banks, bank) || len(banks) == 0 {
		return bank
	}
	return banks[0]
}

// handOver gives the range of a sale to its taker.
func (b *Books) handOver(s *sale, by ledger.PartyID) {
	if s == nil || s.taker != by {
		b.judge.report(Conservation, "%s took over a part of a voucher that nobody had offered to it", by)
		return
	}
	v := b.promises[s.voucher]
	if v == nil {
		b.vagueLots = true
		return
	}
	for i := range b.cut(v, s.from, s.to) {
		p := &v.pieces[i]
		if p.from < s.from || p.to > s.to {
			continue
		}
		if p.holder != s.giver || p.paid {
			b.judge.report(Conservation, "[%d, %d) of voucher %s went from %s to %s; it was %s's, paid %t", p.from, p.to, s.voucher,
				s.giver, s.taker, p.holder, p.paid)
		}
		p.holder = s.taker
	}
}

// cut makes pieces begin and end at from and to, and returns all of them.
func (b *Books) cut(v *promise, from, to ledger.Fen) []piece {
	var out []piece
	for _, p := range v.pieces {
		for _, at := range []ledger.Fen{from, to} {
			if p.from < at && at < p.to {
				left := p
				left.to, p.from = at, at
				out = append(out, left)
			}
		}
		out = append(out, p)
	}
	v.pieces = out
	return out
}

// boundary books what was paid on due days.
func (b *Books) boundary(r *ledger.Receipt) {
	for i := range r.Events {
		e := &r.Events[i]
		if e.Kind != "lot.paid" {
			continue
		}
		v := b.promises[e.Subject]
		if v == nil || !e.Ref.IsZero() { // into a hold: whose it is depends on why
			b.vagueMoney, b.vagueLots = true, true
			continue
		}
		if e.To-e.From != e.Amount {
			b.judge.report(Conservation, "voucher %s: [%d, %d) was paid with %d", e.Subject, e.From, e.To, e.Amount)
		}
		b.pay(v.issuer, v.bank, e.Counterparty, e.Bank, e.Amount)
		paid := ledger.Fen(0)
		for k := range b.cut(v, e.From, e.To) {
			p := &v.pieces[k]
			if p.from < e.From || p.to > e.To {
				continue
			}
			if (p.paid || p.holder != e.Counterparty) && !b.vagueLots {
				b.judge.report(Conservation, "voucher %s: [%d, %d) of %s (paid before: %t) was paid to %s", e.Subject, p.from, p.to, p.holder,
					p.paid, e.Counterparty)
			}
			p.paid = true
			paid += p.to - p.from
		}
		if paid != e.Amount {
			b.judge.report(Conservation, "voucher %s: %d was paid for [%d, %d), of which %d exist", e.Subject, e.Amount, e.From, e.To, paid)
		}
	}
}

// Get reads one node's executed state; the value is nil if there is none.
type Get func(key []byte) (value []byte, err error)

// read decodes the record under a key and returns whether there is one.
func read(get Get, key []byte, into any) (bool, error) {
	value, err := get(key)
	if err != nil || value == nil {
		return false, err
	}
	return true, codec.Unmarshal(value, into)
}

// Compare compares the books with the state of an honest node that executed exactly Height.
func (b *Books) Compare(node int, get Get) {
	b.compareMoney(node, get)
	byHash := func(x, y suite.Hash) int { return slices.Compare(x[:], y[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(b.promises), byHash) {
		b.compareVoucher(node, get, id, b.promises[id])
	}
}

// compareMoney compares every account, and what every bank owes.
func (b *Books) compareMoney(node int, get Get) {
	held := map[ledger.PartyID]int64{}
	order := func(x, y account) int { return cmp.Or(cmp.Compare(x.bank, y.bank), cmp.Compare(x.holder, y.holder)) }
	for _, at := range slices.SortedFunc(maps.Keys(b.money), order) {
		var a ledger.Account
		ok, err := read(get, ledger.AccountKey(at.bank, at.holder), &a)
		if err != nil || !ok {
			b.judge.Report(Conservation, "node %d: account of %s with %s: there %t, %v", node, at.holder, at.bank, ok, err)
			continue
		}
		have := int64(a.Balance) + int64(a.Held)
		held[at.bank] += have
		if have != b.money[at] && !b.vagueMoney {
			b.judge.Report(Conservation, "node %d: %s has %d with %s, its transactions leave %d", node, at.holder, have, at.bank, b.money[at])
		}
	}
	for _, bank := range slices.Sorted(maps.Keys(held)) {
		var s ledger.Supply
		if _, err := read(get, ledger.SupplyKey(bank), &s); err != nil {
			b.judge.Report(Conservation, "node %d: supply of %s: %v", node, bank, err)
		}
		if owed := int64(s.Minted) - int64(s.Burned); owed != held[bank] {
			b.judge.Report(Conservation, "node %d: bank %s owes %d, its accounts hold %d", node, bank, owed, held[bank])
		}
	}
}

// compareVoucher walks the lots of a voucher from 0 to its face.
func (b *Books) compareVoucher(node int, get Get, id suite.Hash, v *promise) {
	bad := func(format string, args ...any) {
		b.judge.Report(Conservation, "node %d: voucher %s: "+format, append([]any{node, id}, args...)...)
	}
	var record ledger.Voucher
	if ok, err := read(get, ledger.VoucherKey(id), &record); err != nil || !ok || record.Face != v.face || record.Issuer != v.issuer {
		bad("it is not there as it was issued: there %t, face %d, %v", ok, record.Face, err)
		return
	}
	if record.Status != ledger.VoucherActive && record.Status != ledger.VoucherPaid {
		if v.accepted && !b.vagueLots {
			bad("it was accepted and has status %d", record.Status)
		}
		return
	}
	var paid ledger.Fen
	for at := ledger.Fen(0); at < v.face; {
		var lot ledger.Lot
		ok, err := read(get, ledger.LotKey(id, at), &lot)
		if err != nil || !ok || lot.From != at || lot.To <= at || lot.To > v.face {
			bad("its lots break off at %d: %v", at, err)
			return
		}
		if lot.State == ledger.LotPaid {
			paid += lot.To - lot.From
		}
		if !b.vagueLots && !v.has(&lot) {
			bad("[%d, %d) is %s's, state %d; its transactions say %v", lot.From, lot.To, lot.Holder, lot.State, v.pieces)
		}
		at = lot.To
	}
	if paid != record.Paid {
		bad("%d of it are paid, it says %d", paid, record.Paid)
	}
}

// has reports whether the books agree with a lot.
func (v *promise) has(lot *ledger.Lot) bool {
	covered := lot.From
	for _, p := range v.pieces {
		if p.to <= lot.From || p.from >= lot.To {
			continue
		}
		if p.holder != lot.Holder || p.paid != (lot.State == ledger.LotPaid) {
			return false
		}
		covered = min(p.to, lot.To)
	}
	return covered == lot.To
}
