package money

import (
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// MandateGrant lets money of the acting bank be paid into a creditor's, up to a cap.
func MandateGrant(c *vm.Context, op *ledger.MandateGrant) error {
	if op.Creditor == c.Acting {
		return ledger.Failf(ledger.CodeArgument, "a bank owes itself nothing")
	}
	for _, bank := range []ledger.PartyID{c.Acting, op.Creditor} {
		if err := identity.RequireRole(c.Journal, bank, ledger.RoleBank); err != nil {
			return err
		}
	}
	if err := c.Auth.Require(op.Creditor, ledger.ClassMoney); err != nil {
		return err
	}
	switch {
	case op.Cap > ledger.AmountMax:
		return ledger.Failf(ledger.CodeOverflow, "cap %s exceeds the largest amount, %s", op.Cap, ledger.AmountMax)
	case op.NotAfter > ledger.DateMax:
		return ledger.Failf(ledger.CodeArgument, "the last day lies after %s", ledger.DateMax)
	}
	m, _ := Mandate(c.Journal, c.Acting, op.Creditor)
	m.Debtor, m.Creditor, m.Cap, m.NotAfter = c.Acting, op.Creditor, op.Cap, op.NotAfter
	vm.Store(c.Journal, ledger.MandateKey(m.Debtor, m.Creditor), &m)
	c.Emit(ledger.Event{Kind: "mandate.granted", Party: m.Debtor, Counterparty: m.Creditor, Amount: m.Cap, Note: m.NotAfter.String()})
	return nil
}

// MandateSettle records that a debtor has settled outside the ledger what it owes the acting bank.
func MandateSettle(c *vm.Context, op *ledger.MandateSettle) error {
	if err := checkRef(op.Ref); err != nil {
		return err
	}
	if err := checkAmount(op.Amount); err != nil {
		return err
	}
	m, err := requireMandate(c.Journal, op.Debtor, c.Acting)
	if err != nil {
		return err
	}
	if err := c.Auth.Require(op.Debtor, ledger.ClassMoney); err != nil {
		return err
	}
	left, err := m.Owed.Sub(op.Amount)
	if err != nil {
		return ledger.Failf(ledger.CodeArgument, "%s owes %s under its mandate, less than %s", m.Debtor, m.Owed, op.Amount)
	}
	m.Owed = left
	vm.Store(c.Journal, ledger.MandateKey(m.Debtor, m.Creditor), &m)
	c.Emit(ledger.Event{Kind: "mandate.settled", Party: m.Debtor, Counterparty: m.Creditor, Amount: op.Amount, Note: op.Ref})
	return nil
}
