package demo

import (
	"context"
	"fmt"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// lotsOf returns the lots of a voucher at one node, in order.
func lotsOf(ctx context.Context, c *client.Client, voucher suite.Hash) ([]api.Lot, error) {
	return client.All(ctx, func(ctx context.Context, page uint64) (*api.List[api.Lot], error) {
		return c.VoucherLots(ctx, voucher, page)
	})
}

// checkChain verifies that lots are disjoint and cover [0, face) without a gap, and that what is paid is marked so.
func checkChain(v *api.Voucher, lots []api.Lot) error {
	at, paid := ledger.Fen(0), ledger.Fen(0)
	for i := range lots {
		l := &lots[i]
		if l.Voucher != v.ID || l.From != at || l.To <= l.From {
			return fmt.Errorf("voucher %s: lot %d is [%s, %s), the one before ends at %s", short(v.ID), i, l.From, l.To, at)
		}
		if l.State == ledger.LotPaid {
			paid += l.To - l.From
		}
		at = l.To
	}
	hasLots := v.Status == ledger.VoucherActive || v.Status == ledger.VoucherPaid
	switch {
	case !hasLots && len(lots) == 0:
		return nil
	case at != v.Face:
		return fmt.Errorf("voucher %s: its lots end at %s, its face is %s", short(v.ID), at, v.Face)
	case paid != v.Paid:
		return fmt.Errorf("voucher %s: lots of %s are paid, the voucher says %s", short(v.ID), paid, v.Paid)
	}
	return nil
}

// checkVouchers walks the chain of every voucher that issuer has issued and returns how many there are.
func checkVouchers(ctx context.Context, c *client.Client, issuer ledger.PartyID) (int, error) {
	vouchers, err := client.All(ctx, func(ctx context.Context, page uint64) (*api.List[api.Voucher], error) {
		return c.PartyIssued(ctx, issuer, page)
	})
	if err != nil {
		return 0, err
	}
	for i := range vouchers {
		lots, err := lotsOf(ctx, c, vouchers[i].ID)
		if err != nil {
			return 0, err
		}
		if err := checkChain(&vouchers[i], lots); err != nil {
			return 0, err
		}
	}
	return len(vouchers), nil
}

// checkMoney verifies for a bank that all accounts together hold what it has minted and not burnt. The supply comes with a proof.
func checkMoney(ctx context.Context, c *client.Client, bank ledger.PartyID, holders []ledger.PartyID) (ledger.Fen, error) {
	held := ledger.Fen(0)
	for _, holder := range holders {
		a, err := c.Account(ctx, bank, holder)
		if client.IsNotFound(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		held += a.Balance + a.Held
	}
	proof, err := c.StateProof(ctx, ledger.SupplyKey(bank))
	if err != nil {
		return 0, fmt.Errorf("supply: %w", err)
	}
	var supply ledger.Supply
	if err := codec.Unmarshal(proof.Verdict.Value, &supply); err != nil {
		return 0, fmt.Errorf("supply: %w", err)
	}
	if supply.Minted-supply.Burned != held {
		return 0, fmt.Errorf("minted %s, burnt %s, but accounts hold %s", supply.Minted, supply.Burned, held)
	}
	return held, nil
}

// accounts returns the demo's accounts at one node, in the order of the cast.
func (d *desk) accounts(ctx context.Context, c *client.Client) ([]Balance, error) {
	var out []Balance
	for _, o := range demoCast {
		if o.bank == "" {
			continue
		}
		a, err := c.Account(ctx, d.p(o.bank).id, d.p(o.alias).id)
		if err != nil {
			return nil, fmt.Errorf("account of %s: %w", o.name, err)
		}
		out = append(out, Balance{Holder: o.name, Bank: d.p(o.bank).name, Balance: a.Balance, Held: a.Held, alias: o.alias})
	}
	return out, nil
}

// names returns what every party is called.
func (d *desk) names() map[ledger.PartyID]string {
	out := map[ledger.PartyID]string{}
	for _, p := range d.net.parties {
		out[p.id] = p.name
	}
	return out
}

// ids returns every party of the cast, in its order.
func (d *desk) ids() []ledger.PartyID {
	var out []ledger.PartyID
	for _, o := range demoCast {
		out = append(out, d.p(o.alias).id)
	}
	return out
}
