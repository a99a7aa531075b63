package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"aval/client"
	"aval/ledger"
	"aval/suite"
)

// Refusal is one planted case and what became of it.
type Refusal struct {
	Case string `json:"case"`
	// Want and Got are codes of the ledger; Got is 0 if the ledger let the case pass.
	Want ledger.Code `json:"want"`
	Got  ledger.Code `json:"got"`
	Name string      `json:"name"`
	// Message is the ledger's own.
	Message string `json:"message"`
	OK      bool   `json:"ok"`
}

// attempt is a planted case: a transaction that must be refused with code want.
type attempt struct {
	name string
	want ledger.Code
	deal *deal
}

// try submits a transaction that must be refused with code want and records what became of it.
func (p *play) try(ctx context.Context, name string, want ledger.Code, t *deal) {
	p.tryAll(ctx, attempt{name, want, t})
}

// tryAll tries independent cases at the same time and records them in their order.
func (p *play) tryAll(ctx context.Context, attempts ...attempt) {
	outcomes := make([]Refusal, len(attempts))
	var wg sync.WaitGroup
	for i, a := range attempts {
		wg.Go(func() {
			_, err := a.deal.submit(ctx)
			outcomes[i] = judge(a.name, a.want, err)
		})
	}
	wg.Wait()
	p.result.Refusals = append(p.result.Refusals, outcomes...)
}

// judge says whether err is the refusal that was expected.
func judge(name string, want ledger.Code, err error) Refusal {
	r := Refusal{Case: name, Want: want}
	switch code, ok := client.CodeOf(err); {
	case err == nil:
		r.Message = "the ledger let it pass"
	case !ok:
		r.Message = err.Error()
	default:
		r.Got, r.Name, r.Message, r.OK = code, code.String(), messageOf(err), code == want
	}
	return r
}

// messageOf returns the ledger's words without the code, which stands beside them.
func messageOf(err error) string {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, ": "); ok {
		text = rest
	}
	text, _, _ = strings.Cut(text, "; ")
	return text
}

// plantedTrade tries what must fail on the first day, once the voucher has been passed on and a lot is pledged.
func (p *play) plantedTrade(ctx context.Context) error {
	free := creditLimit - face - smallFace
	overLimit := &ledger.VoucherIssue{Payee: p.p(ruida).id, Face: free + 1, Due: dayDue, Bank: p.p(dongjiang).id, AcceptBy: nine(dayOpen + 3),
		Evidence: []ledger.EvidenceUse{{Invoice: p.numbered(ruida, "RD-2026-0904"), Amount: free + 1}}}
	overused := &ledger.VoucherIssue{Payee: p.p(ruida).id, Face: 1, Due: dayDue, Bank: p.p(dongjiang).id, AcceptBy: nine(dayOpen + 3),
		Evidence: []ledger.EvidenceUse{{Invoice: p.fingerprint(sales[0]), Amount: 1}}}
	swapped := sale{"YC-2O26-OO77", yongcheng, ruida, 2_300_000_00}
	confirm := p.as(huachen, &ledger.EvidenceConfirm{Fingerprint: p.numbered(ruida, "RD-2026-0904")})
	whole := func(by, to string, from, amount ledger.Fen) act {
		return p.as(by, &ledger.VoucherOffer{Voucher: p.voucher, Lot: from, AcceptBy: nine(dayOpen + 3), Parts: []ledger.OfferPart{
			{Amount: amount, To: p.p(to).id, Discharge: ledger.DischargeAtPayment,
				Evidence: []ledger.EvidenceUse{{Invoice: p.fingerprint(sales[3]), Amount: amount}}}}})
	}
	keep := whole(ruida, hengxin, 0, 3_500_000_00)
	p.tryAll(ctx,
		attempt{"a voucher over the credit limit by 0.01", ledger.CodeCreditLimit, p.deal(p.as(huachen, overLimit))},
		attempt{"an invoice drawn on above its face by 0.01", ledger.CodeInvoiceHeadroom, p.deal(p.as(huachen, overused))},
		attempt{"an invoice registered again with O and 0 swapped", ledger.CodeInvoiceExists, p.deal(p.as(yongcheng, p.register(swapped)))},
		attempt{"a forged confirmation: Ruida's staff sign for Huachen", ledger.CodeKeyUnknown, p.unsigned(confirm).cosign(p.p(ruida))},
		attempt{"a confirmation with a counterfeit signature of Huachen's", ledger.CodeSignature, p.deal(confirm).counterfeit()},
		attempt{"a transfer without a checker", ledger.CodePolicyUnmet, p.unsigned(keep).sign(p.p(ruida).maker.signer)},
		attempt{"maker and checker are one person with two keys", ledger.CodeSamePerson,
			p.unsigned(keep).sign(p.p(ruida).maker.signer, p.p(ruida).second.signer)},
		attempt{"a transfer of a pledged lot", ledger.CodeLotPledged, p.deal(whole(jingwei, lanxi, pledged.from, pledged.to-pledged.from))},
	)
	p.plantedRace(ctx)
	return nil
}

// plantedRace lets two requests to finance the same lot reach two nodes at the same time. Exactly one may get the lot; it is withdrawn.
func (p *play) plantedRace(ctx context.Context) {
	const name = "two financings of one lot at the same time"
	from, to := ledger.Fen(8_700_000_00), ledger.Fen(11_000_000_00)
	ask := func(funder string) *deal {
		return p.deal(p.as(yongcheng, &ledger.FinanceRequest{Voucher: p.voucher, From: from, To: to, Funders: []ledger.PartyID{p.p(funder).id},
			AcceptBy: nine(dayOpen + 3)}))
	}
	results, errs := race(ctx, ask(dongjiang).at(p.nodes[0]), ask(hengtong).at(p.nodes[len(p.nodes)-1]))
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	r := judge(name, ledger.CodeLotLocked, errs[1-winner])
	if errs[winner] != nil {
		r.OK, r.Message = false, fmt.Sprintf("both were refused: %v; %v", errs[0], errs[1])
	} else if _, err := p.deal(p.as(yongcheng, &ledger.FinanceWithdraw{Request: results[winner].made(0, 0)})).submit(ctx); err != nil {
		r.OK, r.Message = false, fmt.Sprintf("the winner could not be withdrawn: %v", err)
	}
	p.result.Refusals = append(p.result.Refusals, r)
}

// plantedFreeze freezes Baoli's lot by a court order while it is on its way from Hengxin. Neither can it be accepted nor passed to
// another; after the order is lifted the transfer goes on.
func (p *play) plantedFreeze(ctx context.Context, offers map[string]suite.Hash) error {
	from, to := ledger.Fen(5_350_000_00), ledger.Fen(5_990_000_00)
	order := document(p.net.suite, "order (2026) Donghai 0115 enforcement 3307")
	if _, err := p.deal(p.as(court, &ledger.LotFreeze{Voucher: p.voucher, From: from, To: to, Order: order, Note: "preservation order"})).submit(ctx); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	p.tryAll(ctx,
		attempt{"acceptance of a lot that a court froze in mid-transfer", ledger.CodeLotFrozen,
			p.deal(p.as(baoli, &ledger.OfferAccept{Offer: offers[baoli]}))},
		attempt{"a second transfer of a lot that is on offer", ledger.CodeLotLocked,
			p.deal(p.as(hengxin, &ledger.VoucherOffer{Voucher: p.voucher, Lot: 3_500_000_00, AcceptBy: nine(dayOpen + 3), Parts: []ledger.OfferPart{
				{Amount: 1_850_000_00, To: p.p(baoli).id, Discharge: ledger.DischargeAtPayment,
					Evidence: []ledger.EvidenceUse{{Invoice: p.numbered(baoli, "BL-2026-0006"), Amount: 1_850_000_00}}}}}))})
	if _, err := p.deal(p.as(court, &ledger.LotUnfreeze{Voucher: p.voucher, From: from, To: to, Order: order})).submit(ctx); err != nil {
		return fmt.Errorf("unfreeze: %w", err)
	}
	return nil
}

// plantedOverdue: the small voucher has been unpaid for three days, so its issuer may not issue; once it is paid, it may again.
func (p *play) plantedOverdue(ctx context.Context) error {
	again := p.as(huachen, &ledger.VoucherIssue{Payee: p.p(yongcheng).id, Face: 50_000_00, Due: dayDue, Bank: p.p(dongjiang).id,
		Evidence: []ledger.EvidenceUse{{Invoice: p.numbered(yongcheng, "YC-2026-0078"), Amount: 50_000_00}}, AcceptBy: nine(dayFinance1 + 3)})
	v, err := p.front.Voucher(ctx, p.small)
	if err != nil {
		return err
	}
	core, err := p.front.Party(ctx, p.p(huachen).id)
	if err != nil {
		return err
	}
	days := v.AsOf.Time.Date() - v.Settles
	p.result.flag("a voucher overdue by 3 days is flagged and bars its issuer", v.Overdue && core.Barred && days == 3,
		fmt.Sprintf("voucher %s is %s by %d days, barred: %t, overdue: %s", short(p.small), v.State, days, core.Barred, core.Overdue))
	p.try(ctx, "a new voucher while one is overdue", ledger.CodeIssuerBarred, p.deal(again))
	if _, err := p.deal(p.as(huachen, &ledger.VoucherFund{Voucher: p.small, Amount: smallFace})).submit(ctx); err != nil {
		return fmt.Errorf("fund the overdue voucher: %w", err)
	}
	err = poll(ctx, awaitTimeout, "payment of the overdue voucher", func(ctx context.Context) (bool, error) {
		v, err := p.front.Voucher(ctx, p.small)
		return err == nil && v.Status == ledger.VoucherPaid, err
	})
	if err != nil {
		return err
	}
	issued, err := p.deal(again).submit(ctx)
	cured := err == nil
	if cured {
		_, err = p.deal(p.as(yongcheng, &ledger.VoucherReject{Voucher: issued.made(0, 0), Reason: "the order was cancelled"})).submit(ctx)
	}
	p.result.flag("paid, the issuer may issue again", cured, orOK(err, "issued, and rejected by the payee, which frees the limit"))
	p.out.say(dayFinance1, "Huachen Auto pays a small voucher three days late; until then it could issue nothing")
	return err
}

func orOK(err error, ok string) string {
	if err != nil {
		return err.Error()
	}
	return ok
}

// counterfeit makes the transaction carry a signature that its key did not make.
func (t *deal) counterfeit() *deal {
	for i, s := range t.signers {
		t.signers[i] = forger{s}
	}
	return t
}

// forger signs other messages than it is asked to.
type forger struct{ suite.Signer }

// Sign implements suite.Signer.
func (f forger) Sign(domain suite.Domain, _ []byte) (suite.Signature, error) {
	return f.Signer.Sign(domain, []byte("something else"))
}
