package demo

import (
	"aval/ledger"
)

// leaf is one lot of the voucher as it must stand on the day of the last financing.
type leaf struct {
	holder string
	amount ledger.Fen
	// pledgee is who is paid in the holder's place, "" for none.
	pledgee string
}

// leaves are the ten leaf lots in the order of their ranges.
var leaves = []leaf{
	{ruida, 3_500_000_00, ""},
	{linhai, 415_300_50, ""},
	{hengtong, 1_000_000_00, ""},
	{jingwei, 300_000_00, dongjiang},
	{jingwei, 134_699_50, ""},
	{baoli, 640_000_00, ""},
	{dongjiang, 2_000_000_00, ""},
	{hengxin, 710_000_00, ""},
	{yongcheng, 2_300_000_00, ""},
	{ruida, 1_000_000_00, ""}, // set aside for the ABS
}

// sum adds up the amounts of items.
func sum[T any](items []T, amount func(*T) ledger.Fen) ledger.Fen {
	total := ledger.Fen(0)
	for i := range items {
		total += amount(&items[i])
	}
	return total
}

// statement is what the demo case must leave behind, worked out from its table and nothing else.
type statement struct {
	// balances are by holder; every holder has one account, with its bank.
	balances map[string]ledger.Fen
	// owed is what Dongjiang owes Linhai.
	owed ledger.Fen
}

// bankOf returns whose money a member of the demo's cast holds; a bank is paid in its own.
func bankOf(alias string) string {
	for _, o := range demoCast {
		if o.alias == alias && o.bank != "" {
			return o.bank
		}
	}
	return alias
}

// expectedStatement works out the balances before (cleared false) or after the voucher is paid.
func expectedStatement(cleared bool) statement {
	s := statement{balances: map[string]ledger.Fen{huachen: huachenDeposit - smallFace, hengtong: factorDeposit, yongcheng: smallFace}}
	for _, o := range demoCast {
		if o.bank != "" {
			s.balances[o.alias] += 0
		}
	}
	for _, f := range financings {
		s.balances[f.holder] += f.net
		if f.funder != f.bank {
			s.balances[f.funder] -= f.net
		}
	}
	if !cleared {
		return s
	}
	for _, l := range leaves {
		beneficiary := l.holder
		if l.pledgee != "" {
			beneficiary = l.pledgee
		}
		s.balances[huachen] -= l.amount
		bank := bankOf(beneficiary)
		if bank != dongjiang {
			s.owed += l.amount
		}
		if bank != beneficiary {
			s.balances[beneficiary] += l.amount
		}
	}
	return s
}
