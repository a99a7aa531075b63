package demo

import (
	"context"
	"fmt"

	"aval/ledger"
)

// onboarding returns the operation by which authority `by` admits each of the parties.
func (d *desk) onboarding(by string, aliases ...string) ([]act, error) {
	var acts []act
	for _, alias := range aliases {
		op, err := d.net.identity.onboard(d.net.id, d.p(alias), d.net.genesis.Start)
		if err != nil {
			return nil, fmt.Errorf("credentials for %s: %w", alias, err)
		}
		acts = append(acts, d.as(by, op))
	}
	return acts, nil
}

// parties returns the parties of these aliases.
func (d *desk) parties(aliases ...string) []*party {
	var out []*party
	for _, a := range aliases {
		out = append(out, d.p(a))
	}
	return out
}

// institutions are who the root authority admits besides the car maker; chain is whom the car maker admits to its own scope.
var (
	institutions = []string{dongjiang, linhai, hengtong, regulator, court, operator}
	chain        = []string{ruida, hengxin, yongcheng, jingwei, baoli, lanxi}
)

// Sums with which the case begins.
const (
	creditLimit    ledger.Fen = 80_000_000_00
	huachenDeposit ledger.Fen = 15_000_000_00
	factorDeposit  ledger.Fen = 3_000_000_00
	mandateCap     ledger.Fen = 20_000_000_00
)

// setUp onboards everybody and opens scopes, accounts, the interbank mandate and the limit.
func (d *desk) setUp(ctx context.Context) error {
	core, err := d.onboarding(authority, huachen)
	if err != nil {
		return err
	}
	others, err := d.onboarding(authority, institutions...)
	if err != nil {
		return err
	}
	acts := []act{d.as(authority, &ledger.ScopeOpen{Path: scopeSector, Authority: d.p(authority).id}), core[0],
		d.as(authority, &ledger.ScopeOpen{Path: scopeChain, Authority: d.p(huachen).id})}
	if _, err := d.deal(append(acts, others...)...).allKeys(d.parties(append(institutions, huachen)...)...).submit(ctx); err != nil {
		return fmt.Errorf("onboard the institutions: %w", err)
	}
	suppliers, err := d.onboarding(huachen, chain...)
	if err != nil {
		return err
	}
	if _, err := d.deal(suppliers...).allKeys(d.parties(chain...)...).submit(ctx); err != nil {
		return fmt.Errorf("onboard the suppliers: %w", err)
	}
	return d.openBooks(ctx)
}

// openBooks opens an account for everybody who holds money, and grants mandate and limit. Holders sign with their bank.
func (d *desk) openBooks(ctx context.Context) error {
	var acts []act
	var holders []*party
	for _, o := range demoCast {
		if o.bank != "" {
			acts = append(acts, d.as(o.bank, &ledger.AccountOpen{Holder: d.p(o.alias).id}))
			holders = append(holders, d.p(o.alias))
		}
	}
	today := d.net.genesis.Start.Date()
	acts = append(acts,
		d.as(dongjiang, &ledger.MandateGrant{Creditor: d.p(linhai).id, Cap: mandateCap, NotAfter: ledger.CivilDate(2027, 12, 31)}),
		d.as(dongjiang, &ledger.LimitGrant{Core: d.p(huachen).id, Purpose: ledger.LimitIssue, Amount: creditLimit,
			From: today, Until: ledger.CivilDate(2027, 9, 14)}),
		d.as(dongjiang, &ledger.MoneyMint{Holder: d.p(huachen).id, Amount: huachenDeposit, Ref: "deposit"}),
		d.as(linhai, &ledger.MoneyMint{Holder: d.p(hengtong).id, Amount: factorDeposit, Ref: "deposit"}))
	if _, err := d.deal(acts...).cosign(holders...).submit(ctx); err != nil {
		return fmt.Errorf("open accounts, mandate and limit: %w", err)
	}
	return nil
}
