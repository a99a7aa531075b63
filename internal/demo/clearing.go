package demo

import (
	"context"
	"fmt"

	"aval/api"
	"aval/client"
	"aval/ledger"
)

// snapshot records who holds what on the day of the last financing, and what the ledger wrote down of the financings.
func (p *play) snapshot(ctx context.Context) error {
	lots, err := lotsOf(ctx, p.front, p.voucher)
	if err != nil {
		return err
	}
	transfers, err := client.All(ctx, func(ctx context.Context, page uint64) (*api.List[api.Transfer], error) {
		return p.front.VoucherTransfers(ctx, p.voucher, page)
	})
	if err != nil {
		return err
	}
	p.result.Lots = nil
	for i := range lots {
		l := newLot(p.net, &lots[i])
		l.Note = p.note(&lots[i], transfers)
		p.result.Lots = append(p.result.Lots, l)
	}
	for i := range p.result.Financings {
		f := &p.result.Financings[i]
		r, err := p.front.Request(ctx, f.Request)
		if err != nil {
			return err
		}
		f.Days, f.Interest, f.Net = r.Days, r.Interest, r.Net
	}
	return nil
}

// note says in words how a lot stands.
func (p *play) note(l *api.Lot, transfers []api.Transfer) string {
	names := p.names()
	if l.Pledge != nil {
		return "pledged to " + names[l.Pledge.Pledgee] + ", " + l.Pledge.Number
	}
	if l.Holder == p.p(ruida).id && l.To == face {
		return l.Effective + ", set aside for the ABS"
	}
	for i := len(transfers) - 1; i >= 0; i-- {
		if t := &transfers[i]; t.From <= l.From && l.To <= t.To {
			if t.Cause == ledger.TransferFinance {
				return l.Effective + ", bought from " + names[t.Transferor]
			}
			break
		}
	}
	return l.Effective
}

// fund lets the issuer set the voucher's face aside.
func (p *play) fund(ctx context.Context) error {
	if _, err := p.deal(p.as(huachen, &ledger.VoucherFund{Voucher: p.voucher, Amount: face})).submit(ctx); err != nil {
		return err
	}
	p.out.say(dayBefore, "Huachen Auto sets %s aside to pay the voucher", face)
	return nil
}

// clear waits until the ledger has paid the voucher and records what each lot was paid, and what everybody has.
func (p *play) clear(ctx context.Context) error {
	err := poll(ctx, awaitTimeout, "payment of the voucher", func(ctx context.Context) (bool, error) {
		v, err := p.front.Voucher(ctx, p.voucher)
		return err == nil && v.Status == ledger.VoucherPaid, err
	})
	if err != nil {
		return err
	}
	lots, err := lotsOf(ctx, p.front, p.voucher)
	if err != nil {
		return err
	}
	p.result.Payments = nil
	for i := range lots { // neighbours of one holder may have become one
		if lots[i].State != ledger.LotPaid {
			return fmt.Errorf("the voucher is paid, but its lot at %s is %s", lots[i].From, lots[i].Effective)
		}
	}
	for i := range p.result.Lots {
		p.result.Payments = append(p.result.Payments, p.payment(&p.result.Lots[i]))
	}
	if p.result.Balances, err = p.accounts(ctx, p.front); err != nil {
		return err
	}
	mandate, err := p.front.Mandate(ctx, p.p(dongjiang).id, p.p(linhai).id)
	if err != nil {
		return err
	}
	p.result.Interbank = mandate.Owed
	network, err := p.front.NetworkInfo(ctx)
	if err != nil {
		return err
	}
	p.result.Height = network.Height
	p.out.say(dayDue, "the ledger pays the holders of all %d lots, %s in all", len(p.result.Lots), face)
	return nil
}

// payment says how the money of a lot went.
func (p *play) payment(l *Lot) Payment {
	out := Payment{From: l.From, Amount: l.Amount, Holder: l.Holder, Paid: l.Holder}
	to := l.alias
	if l.pledge != "" {
		out.Paid = p.names()[l.pledge] + " (pledgee)"
		for alias, member := range p.net.parties {
			if member.id == l.pledge {
				to = alias
			}
		}
	}
	switch bank := bankOf(to); {
	case bank == dongjiang && to == dongjiang:
		out.Way = "Dongjiang money returns to its issuer and is extinguished"
	case bank == dongjiang:
		out.Way = "Dongjiang money, account to account"
	case to == linhai:
		out.Way = "interbank: burnt at Dongjiang, owed to Linhai"
	default:
		out.Way = "interbank: burnt at Dongjiang, minted at Linhai"
	}
	return out
}
