package demo

import (
	"context"
	"fmt"

	"aval/internal/fleet"
	"aval/ledger"
	"aval/suite"
)

// The demo case's days. It begins on the first at nine in the morning.
var (
	dayOpen     = ledger.CivilDate(2026, 9, 15)
	dayOverdue  = ledger.CivilDate(2026, 10, 9)
	dayFinance1 = ledger.CivilDate(2026, 10, 12)
	dayFinance2 = ledger.CivilDate(2026, 10, 16)
	dayFinance3 = ledger.CivilDate(2026, 10, 20)
	dayBefore   = ledger.CivilDate(2027, 1, 12)
	dayDue      = ledger.CivilDate(2027, 1, 13)
)

// nine returns nine in the morning of a day.
func nine(d ledger.Date) ledger.Time { return d.Start() + 9*ledger.Hour }

// sale is one invoice of the case.
type sale struct {
	number        string
	seller, buyer string
	face          ledger.Fen
}

// sales are the invoices behind the voucher: three of tier 1 to the car maker, one for each later step.
var sales = []sale{
	{"RD-2026-0901", ruida, huachen, 4_520_000_00},
	{"RD-2026-0902", ruida, huachen, 3_955_000_00},
	{"RD-2026-0903", ruida, huachen, 3_525_000_00},
	{"HX-2026-1440", hengxin, ruida, 5_200_000_00},
	{"YC-2026-0077", yongcheng, ruida, 2_300_000_00},
	{"JW-2026-3105", jingwei, hengxin, 1_850_000_00},
	{"BL-2026-0006", baoli, hengxin, 640_000_00},
	{"LX-2026-0811", lanxi, jingwei, 415_300_50},
	// These two stand behind the small voucher of the planted case and the attempt beyond the limit.
	{"YC-2026-0078", yongcheng, huachen, smallFace + 50_000_00},
	{"RD-2026-0904", ruida, huachen, creditLimit},
}

const (
	face      ledger.Fen = 12_000_000_00
	smallFace ledger.Fen = 80_000_00
)

// slice is one part of a split: to is "" for what stays with the holder.
type slice struct {
	amount ledger.Fen
	to     string
}

// split is what one tier does with the lot that it received, whose first fen is from.
type split struct {
	by    string
	from  ledger.Fen
	parts []slice
}

// splits are the demo case's table. What is financed, pledged or set aside stays with the holder as a lot of its own.
var splits = []split{
	{ruida, 0, []slice{{3_500_000_00, ""}, {5_200_000_00, hengxin}, {2_300_000_00, yongcheng}, {1_000_000_00, ""}}},
	{hengxin, 3_500_000_00, []slice{{1_850_000_00, jingwei}, {640_000_00, baoli}, {2_000_000_00, ""}, {710_000_00, ""}}},
	{jingwei, 3_500_000_00, []slice{{415_300_50, lanxi}, {1_000_000_00, ""}, {300_000_00, ""}, {134_699_50, ""}}},
}

// financing is one sale of a lot to a funder.
type financing struct {
	day      ledger.Date
	holder   string
	funder   string
	bank     string // whose money the funder pays with
	from, to ledger.Fen
	rateBps  uint32
	number   string // of the public registration
	days     uint32
	interest ledger.Fen
	net      ledger.Fen
}

// financings are the demo case's three, with what they must come to.
var financings = []financing{
	{dayFinance1, hengxin, dongjiang, dongjiang, 5_990_000_00, 7_990_000_00, 320, "ZDW-2026-1012-0417", 93, 16_533_33, 1_983_466_67},
	{dayFinance2, jingwei, hengtong, linhai, 3_915_300_50, 4_915_300_50, 380, "ZDW-2026-1016-0093", 89, 9_394_44, 990_605_56},
	{dayFinance3, lanxi, linhai, linhai, 3_500_000_00, 3_915_300_50, 345, "ZDW-2026-1020-0258", 85, 3_382_97, 411_917_53},
}

// pledge is the lot that Jingwei pledges to Dongjiang.
var pledged = struct {
	from, to ledger.Fen
	number   string
}{4_915_300_50, 5_215_300_50, "ZDW-2026-0915-1188"}

// play is one performance.
type play struct {
	*desk
	out *reporter
	// voucher and small are the ids of the case's voucher and of the planted one.
	voucher, small suite.Hash
	result         *Result
	// check says to verify everything and, if cluster is not nil, which means that the nodes are child processes, to kill one.
	check   bool
	cluster *fleet.Fleet
	victim  int
	outage  string
}

// fingerprint returns that of an invoice of this network.
func (p *play) fingerprint(s sale) suite.Hash { return p.numbered(s.seller, s.number) }

func (p *play) numbered(seller, number string) suite.Hash {
	return ledger.InvoiceFingerprint(p.net.suite, p.net.id, p.p(seller).id, number)
}

// register returns the seller's registration of an invoice.
func (p *play) register(s sale) *ledger.EvidenceRegister {
	seller, buyer, issued := p.p(s.seller).id, p.p(s.buyer).id, dayOpen-5
	return &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain, Fingerprint: p.fingerprint(s), Seller: seller, Buyer: buyer, Face: s.face,
		Issued: issued, Twin: ledger.InvoiceTwin(p.net.suite, p.net.id, seller, buyer, s.face, issued),
		Contract: document(p.net.suite, "contract behind "+s.number), Receipt: document(p.net.suite, "goods receipt behind "+s.number)}
}

// evidence returns the use of the invoice that seller wrote to buyer for amount, which is all of it.
func (p *play) evidence(seller, buyer string, amount ledger.Fen) []ledger.EvidenceUse {
	for _, s := range sales {
		if s.seller == seller && s.buyer == buyer && s.face == amount {
			return []ledger.EvidenceUse{{Invoice: p.fingerprint(s), Amount: amount}}
		}
	}
	return nil
}

// registerSales records every invoice, each seller in a transaction of its own.
func (p *play) registerSales(ctx context.Context) error {
	bySeller := map[string][]act{}
	var order []string
	for _, s := range sales {
		if bySeller[s.seller] == nil {
			order = append(order, s.seller)
		}
		bySeller[s.seller] = append(bySeller[s.seller], p.as(s.seller, p.register(s)))
	}
	var deals []*deal
	for _, seller := range order {
		deals = append(deals, p.deal(bySeller[seller]...))
	}
	if _, err := together(ctx, deals...); err != nil {
		return fmt.Errorf("register the invoices: %w", err)
	}
	p.out.say(dayOpen, "%d invoices are registered by their sellers, with contract and goods receipt", len(sales))
	return nil
}

// issue makes the voucher on the three invoices of tier 1, and the small one, and has both accepted.
func (p *play) issue(ctx context.Context) error {
	var uses []ledger.EvidenceUse
	for _, s := range sales[:3] {
		uses = append(uses, ledger.EvidenceUse{Invoice: p.fingerprint(s), Amount: s.face})
	}
	big := &ledger.VoucherIssue{Payee: p.p(ruida).id, Face: face, Due: dayDue, Bank: p.p(dongjiang).id, Evidence: uses,
		AcceptBy: nine(dayOpen + 3)}
	small := &ledger.VoucherIssue{Payee: p.p(yongcheng).id, Face: smallFace, Due: dayOverdue, Bank: p.p(dongjiang).id,
		Evidence: []ledger.EvidenceUse{{Invoice: p.numbered(yongcheng, "YC-2026-0078"), Amount: smallFace}}, AcceptBy: nine(dayOpen + 3)}
	issued, err := p.deal(p.as(huachen, big), p.as(huachen, small)).submit(ctx)
	if err != nil {
		return fmt.Errorf("issue: %w", err)
	}
	p.voucher, p.small = issued.made(0, 0), issued.made(1, 0)
	p.result.Voucher, p.result.Issued = p.voucher, issued.id
	p.out.say(dayOpen, "Huachen Auto issues voucher %s over %s to Ruida E-Drive, due %s, on three invoices", short(p.voucher), face, dayDue)
	_, err = together(ctx, p.deal(p.as(ruida, &ledger.VoucherAccept{Voucher: p.voucher})),
		p.deal(p.as(yongcheng, &ledger.VoucherAccept{Voucher: p.small})))
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	p.out.say(dayOpen, "Ruida E-Drive accepts and holds it whole")
	return nil
}

// passOn plays one split: the offer, and the acceptance of each part; between those two meanwhile, if it is not nil, with the offers' ids.
func (p *play) passOn(ctx context.Context, s split, meanwhile func(ctx context.Context, offers map[string]suite.Hash) error) error {
	op := &ledger.VoucherOffer{Voucher: p.voucher, Lot: s.from, AcceptBy: nine(dayOpen + 10)}
	for _, part := range s.parts {
		out := ledger.OfferPart{Amount: part.amount, Evidence: []ledger.EvidenceUse{}}
		if part.to != "" {
			out.To, out.Evidence, out.Discharge = p.p(part.to).id, p.evidence(part.to, s.by, part.amount), ledger.DischargeAtPayment
		}
		op.Parts = append(op.Parts, out)
	}
	offered, err := p.deal(p.as(s.by, op)).submit(ctx)
	if err != nil {
		return fmt.Errorf("%s splits: %w", p.p(s.by).name, err)
	}
	offers := map[string]suite.Hash{}
	var deals []*deal
	for i, part := range s.parts {
		if part.to != "" {
			offers[part.to] = offered.made(0, i)
			deals = append(deals, p.deal(p.as(part.to, &ledger.OfferAccept{Offer: offers[part.to]})))
			p.out.say(dayOpen, "%s pays %s with %s of it", p.p(s.by).name, p.p(part.to).name, part.amount)
		}
	}
	if meanwhile != nil {
		if err := meanwhile(ctx, offers); err != nil {
			return err
		}
	}
	if _, err := together(ctx, deals...); err != nil {
		return fmt.Errorf("accept what %s passed on: %w", p.p(s.by).name, err)
	}
	return nil
}

// pledgeLot pledges Jingwei's 300,000 to Dongjiang and records the public registration.
func (p *play) pledgeLot(ctx context.Context) error {
	create := p.as(jingwei, &ledger.PledgeCreate{Voucher: p.voucher, From: pledged.from, To: pledged.to, Pledgee: p.p(dongjiang).id,
		Proceeds: ledger.ProceedsPledgee, Ref: "working capital loan DJ-2026-552"})
	record := p.as(dongjiang, &ledger.PledgeRecord{Voucher: p.voucher, Lot: pledged.from, Number: pledged.number, At: nine(dayOpen) - ledger.Hour})
	if _, err := p.deal(create, record).submit(ctx); err != nil {
		return fmt.Errorf("pledge: %w", err)
	}
	p.out.say(dayOpen, "Jingwei IGBT pledges %s to Dongjiang Bank, registered as %s", pledged.to-pledged.from, pledged.number)
	return nil
}

// finance plays one financing from the request to the money.
func (p *play) finance(ctx context.Context, f financing) error {
	now := nine(f.day)
	asked, err := p.deal(p.as(f.holder, &ledger.FinanceRequest{Voucher: p.voucher, From: f.from, To: f.to,
		Funders: []ledger.PartyID{p.p(f.funder).id}, AcceptBy: now + 10*ledger.Day})).submit(ctx)
	if err != nil {
		return fmt.Errorf("%s asks for finance: %w", p.p(f.holder).name, err)
	}
	request := asked.made(0, 0)
	terms := ledger.QuoteTerms{RateBps: f.rateBps, Basis: 360, PayBank: p.p(f.bank).id, ValidUntil: now + 5*ledger.Day}
	steps := []act{
		p.as(f.funder, &ledger.FinanceQuote{Request: request, RateBps: terms.RateBps, Basis: terms.Basis, PayBank: terms.PayBank,
			ValidUntil: terms.ValidUntil}),
		p.as(f.holder, &ledger.FinanceAccept{Request: request, Funder: p.p(f.funder).id, Terms: terms}),
		p.as(f.funder, &ledger.FinanceApprove{Request: request}),
	}
	for _, step := range steps {
		if _, err := p.deal(step).submit(ctx); err != nil {
			return fmt.Errorf("%s by %s: %w", step.body.Kind(), step.by.name, err)
		}
	}
	disburse := p.as(f.funder, &ledger.FinanceDisburse{Request: request, Net: f.net})
	if f.day == dayFinance1 {
		p.try(ctx, "disbursement before the public registration", ledger.CodeNotRegistered, p.deal(disburse))
	}
	register := p.as(f.funder, &ledger.FinanceRegister{Request: request, Number: f.number, At: now - ledger.Hour})
	if _, err := p.deal(register).submit(ctx); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	paid, err := p.deal(disburse).submit(ctx)
	if err != nil {
		return fmt.Errorf("disburse: %w", err)
	}
	p.result.addFinancing(p.net, f, request, paid)
	p.out.say(f.day, "%s sells %s to %s at %s for %d days: interest %s, receives %s", p.p(f.holder).name, f.to-f.from,
		p.p(f.funder).name, percent(f.rateBps), f.days, f.interest, f.net)
	return nil
}

// percent returns basis points as a percentage with two decimals.
func percent(bps uint32) string { return fmt.Sprintf("%d.%02d %%", bps/100, bps%100) }

// short returns the first digits of an id, enough to tell things apart on screen.
func short(h suite.Hash) string { return h.String()[:8] }
