package bench

import (
	"context"
	"fmt"
	"time"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// vouchers is the life of payable vouchers: a lane is one voucher. Its supplier registers the invoice, the core enterprise issues,
// the supplier accepts, passes a part on to a supplier of its own against that one's invoice, who accepts; and in every second
// lane sells that part to the bank: request, quote, choice, approval, registration, disbursement. Every transaction is signed by
// a maker and a checker.
type vouchers struct {
	suite    suite.Suite
	network  suite.Hash
	keys     int
	calendar *ledger.Calendar
	circles  []circle
	banks    []firm
}

const (
	workloadVoucher = "voucher"
	// voucherFen is the face of every voucher, partFen what is passed on of it.
	voucherFen ledger.Fen = 1_000_000_00
	partFen    ledger.Fen = 400_000_00
	// voucherDays is how long vouchers run, openDays how long offers stay open, rateBps at what rate they are sold.
	voucherDays = 120
	openDays    = 30
	rateBps     = 345
	// lanePlain and laneFinanced are the transactions of the two kinds of lanes.
	lanePlain    = 6
	laneFinanced = 12
)

// setUp implements workload.
func (v *vouchers) setUp(ctx context.Context, s *setup) (err error) {
	v.calendar = &s.net.Genesis.Params.Calendar
	if v.banks, err = s.newBanks(ctx, 'B', circleBanks); err != nil {
		return err
	}
	v.circles, err = s.newCircles(ctx, 'A', (v.keys+circleKeys-1)/circleKeys, v.banks)
	return err
}

// signatures implements workload.
func (v *vouchers) signatures() float64 { return 2 }

// steps implements workload.
func (v *vouchers) steps() float64 { return float64(lanePlain+laneFinanced) / 2 }

// story is one lane in the making.
type story struct {
	*vouchers
	validUntil ledger.Time
	lane       [][]byte
	err        error
}

// by adds a transaction of one firm and returns its id.
func (t *story) by(f *firm, body ledger.Body) (id suite.Hash) {
	if t.err != nil {
		return id
	}
	raw, id, err := decided(t.suite, t.network, t.validUntil, f, body)
	t.lane, t.err = append(t.lane, raw), err
	return id
}

// made returns the id of what the transaction id made.
func (t *story) made(id suite.Hash, n int) suite.Hash { return ledger.DerivedID(t.suite, id, 0, n) }

// lane implements workload.
func (v *vouchers) lane(i int, validUntil ledger.Time) ([][]byte, error) {
	c := &v.circles[i%len(v.circles)]
	n := len(c.suppliers)
	first := i / len(v.circles) % n
	second := (first + 1 + int(mix(uint64(i))%uint64(n-1))) % n
	now := ledger.Time(time.Now().UnixMilli())
	t := &story{vouchers: v, validUntil: validUntil}
	voucher := t.trade(c, &c.suppliers[first], &c.suppliers[second], i, now)
	if i/len(v.circles)%2 == 1 {
		t.finance(c, &c.suppliers[second], voucher, i, now)
	}
	return t.lane, t.err
}

// trade plays the voucher from the invoices to the second supplier's acceptance of its part.
func (t *story) trade(c *circle, first, second *firm, i int, now ledger.Time) (voucher suite.Hash) {
	today, acceptBy := now.Date(), now+openDays*ledger.Day
	sale := invoice(t.suite, t.network, first.id, c.core.id, fmt.Sprintf("A-%d", i), voucherFen, today)
	purchase := invoice(t.suite, t.network, second.id, first.id, fmt.Sprintf("B-%d", i), partFen, today)
	t.by(first, sale)
	t.by(second, purchase)
	issued := t.by(&c.core, &ledger.VoucherIssue{Payee: first.id, Face: voucherFen, Due: today + voucherDays, Bank: c.bank.id, AcceptBy: acceptBy,
		Evidence: []ledger.EvidenceUse{{Invoice: sale.Fingerprint, Amount: voucherFen}}})
	voucher = t.made(issued, 0)
	t.by(first, &ledger.VoucherAccept{Voucher: voucher})
	offered := t.by(first, &ledger.VoucherOffer{Voucher: voucher, AcceptBy: acceptBy, Parts: []ledger.OfferPart{
		{Amount: voucherFen - partFen, Evidence: []ledger.EvidenceUse{}},
		{Amount: partFen, To: second.id, Evidence: []ledger.EvidenceUse{{Invoice: purchase.Fingerprint, Amount: partFen}}, Discharge: ledger.DischargeAtPayment},
	}})
	t.by(second, &ledger.OfferAccept{Offer: t.made(offered, 1)})
	return voucher
}

// finance sells the second supplier's part to the bank.
func (t *story) finance(c *circle, holder *firm, voucher suite.Hash, i int, now ledger.Time) {
	acceptBy := now + openDays*ledger.Day
	asked := t.by(holder, &ledger.FinanceRequest{Voucher: voucher, From: voucherFen - partFen, To: voucherFen, AcceptBy: acceptBy,
		Funders: []ledger.PartyID{c.bank.id}})
	request := t.made(asked, 0)
	terms := ledger.QuoteTerms{RateBps: rateBps, Basis: 360, PayBank: c.bank.id, ValidUntil: acceptBy}
	t.by(c.bank, &ledger.FinanceQuote{Request: request, RateBps: terms.RateBps, Basis: terms.Basis, PayBank: terms.PayBank, ValidUntil: terms.ValidUntil})
	t.by(holder, &ledger.FinanceAccept{Request: request, Funder: c.bank.id, Terms: terms})
	t.by(c.bank, &ledger.FinanceApprove{Request: request})
	t.by(c.bank, &ledger.FinanceRegister{Request: request, Number: fmt.Sprintf("REG-%d", i), At: now - ledger.Hour})
	days := uint32(t.calendar.Following(now.Date()+voucherDays) - now.Date())
	interest, err := ledger.Interest(partFen, rateBps, days, 360)
	if t.err == nil {
		t.err = err
	}
	t.by(c.bank, &ledger.FinanceDisburse{Request: request, Net: partFen - interest})
}

// count implements workload: the lots of every voucher cover it, what the core enterprises owe is the sum of the vouchers, and the
// banks' money is what the suppliers hold.
func (v *vouchers) count(j *vm.Journal) ([]string, error) {
	var b voucherBooks
	for i := range v.circles {
		if err := b.add(j, &v.circles[i]); err != nil {
			return nil, err
		}
	}
	var minted ledger.Fen
	for i := range v.banks {
		supply, _ := vm.Load[ledger.Supply](j, ledger.SupplyKey(v.banks[i].id))
		minted += supply.Minted - supply.Burned
	}
	if minted != b.money {
		return nil, fmt.Errorf("the banks owe %s, the suppliers hold %s", minted, b.money)
	}
	return []string{fmt.Sprintf("%d vouchers over %s, covered exactly by %d lots, are owed; the banks paid %s for what they bought, which the suppliers hold",
		b.vouchers, b.owed, b.lots, b.money)}, nil
}

// voucherBooks sums up circles.
type voucherBooks struct {
	vouchers, lots int
	owed, money    ledger.Fen
}

func (b *voucherBooks) add(j *vm.Journal, c *circle) error {
	list := ledger.IssuedBy(c.core.id)
	var active ledger.Fen
	for slot := range vm.Count(j, list) {
		voucher, ok := vm.Load[ledger.Voucher](j, ledger.VoucherKey(suite.Hash(vm.Item(j, list, slot))))
		if !ok {
			return fmt.Errorf("voucher %d of %s is not there", slot, c.core.id)
		}
		if voucher.Status != ledger.VoucherActive {
			continue
		}
		active += voucher.Face
		b.vouchers++
		for at := ledger.Fen(0); at < voucher.Face; b.lots++ {
			lot, ok := vm.Load[ledger.Lot](j, ledger.LotKey(voucher.ID, at))
			if !ok || lot.To <= at || lot.To > voucher.Face {
				return fmt.Errorf("voucher %s: the chain of lots breaks at %s", voucher.ID, at)
			}
			at = lot.To
		}
	}
	days, _ := vm.Load[ledger.Days](j, ledger.LadderDaysKey(c.core.id))
	var owed ledger.Fen
	for _, day := range days.Days {
		rung, _ := vm.Load[ledger.LadderDay](j, ledger.LadderKey(c.core.id, day))
		owed += rung.Outstanding
	}
	if owed != active {
		return fmt.Errorf("%s owes %s by its ladder, %s by its vouchers", c.core.id, owed, active)
	}
	b.owed += owed
	for i := range c.suppliers {
		a, _ := vm.Load[ledger.Account](j, ledger.AccountKey(c.bank.id, c.suppliers[i].id))
		b.money += a.Balance + a.Held
	}
	return nil
}
