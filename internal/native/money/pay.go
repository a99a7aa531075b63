package money

import (
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// Pay moves amount from from's money with fromBank to to's account with toBank. A bank's own money is never held by itself:
// paying with it mints, being paid in it burns. Between two banks it burns at one, mints at the other and books what
// fromBank then owes toBank under their mandate. On failure it may have written part: the caller's operation fails too.
func Pay(c *vm.Context, from, fromBank, to, toBank ledger.PartyID, amount ledger.Fen, ref string) error {
	return pay(c, &payment{from: from, fromBank: fromBank, to: to, toBank: toBank, amount: amount, ref: ref})
}

// PayHeld is Pay out of what is held of from's account, which must not be with itself.
func PayHeld(c *vm.Context, from, fromBank, to, toBank ledger.PartyID, amount ledger.Fen, ref string) error {
	return pay(c, &payment{from: from, fromBank: fromBank, to: to, toBank: toBank, amount: amount, ref: ref, source: fromHeld})
}

type payment struct {
	from, fromBank, to, toBank ledger.PartyID
	amount                     ledger.Fen
	ref                        string
	source                     source
}

func pay(c *vm.Context, p *payment) error {
	if err := checkAmount(p.amount); err != nil {
		return err
	}
	if p.from == p.to && p.fromBank == p.toBank {
		return ledger.Failf(ledger.CodeArgument, "payer and payee are the same account")
	}
	if p.from == p.fromBank && p.source == fromHeld {
		return ledger.Failf(ledger.CodeAccountUnknown, "a bank holds none of its own money")
	}
	var err error
	switch {
	case p.fromBank != p.toBank:
		err = payAcross(c, p)
	case p.from == p.fromBank:
		err = mint(c.Journal, p.fromBank, p.to, p.amount)
	case p.to == p.toBank:
		err = burn(c.Journal, p.fromBank, p.from, p.amount, p.source)
	default:
		err = move(c.Journal, p)
	}
	if err != nil {
		return err
	}
	c.Emit(ledger.Event{Kind: "money.paid", Party: p.from, Counterparty: p.to, Bank: p.fromBank, Amount: p.amount, Note: p.ref})
	if p.fromBank != p.toBank {
		c.Emit(ledger.Event{Kind: "money.interbank", Party: p.fromBank, Counterparty: p.toBank, Amount: p.amount})
	}
	return nil
}

// move pays within one bank between two others.
func move(j *vm.Journal, p *payment) error {
	from, err := requireAccount(j, p.fromBank, p.from)
	if err != nil {
		return err
	}
	to, err := requireAccount(j, p.toBank, p.to)
	if err != nil {
		return err
	}
	if err := take(&from, p.amount, p.source); err != nil {
		return err
	}
	if to.Balance, err = add("the balance", to.Balance, p.amount); err != nil {
		return err
	}
	store(j, &from)
	store(j, &to)
	return nil
}

// payAcross pays from one bank's money into another's.
func payAcross(c *vm.Context, p *payment) error {
	var err error
	if p.from == p.fromBank {
		err = identity.RequireRole(c.Journal, p.from, ledger.RoleBank)
	} else {
		err = burn(c.Journal, p.fromBank, p.from, p.amount, p.source)
	}
	if err != nil {
		return err
	}
	if p.to != p.toBank {
		if err := mint(c.Journal, p.toBank, p.to, p.amount); err != nil {
			return err
		}
	}
	m, err := requireMandate(c.Journal, p.fromBank, p.toBank)
	if err != nil {
		return err
	}
	owed, err := m.Owed.Add(p.amount)
	switch {
	case c.Today() > m.NotAfter:
		return ledger.Failf(ledger.CodeMandate, "the mandate of %s for %s ended on %s", m.Debtor, m.Creditor, m.NotAfter)
	case err != nil || owed > m.Cap:
		return ledger.Failf(ledger.CodeMandate, "the mandate of %s for %s is capped at %s; %s are owed and %s would come on top",
			m.Debtor, m.Creditor, m.Cap, m.Owed, p.amount)
	}
	m.Owed = owed
	vm.Store(c.Journal, ledger.MandateKey(m.Debtor, m.Creditor), &m)
	return nil
}

// Mandate returns what lets debtor's money be paid into creditor's.
func Mandate(j *vm.Journal, debtor, creditor ledger.PartyID) (ledger.Mandate, bool) {
	return vm.Load[ledger.Mandate](j, ledger.MandateKey(debtor, creditor))
}

func requireMandate(j *vm.Journal, debtor, creditor ledger.PartyID) (ledger.Mandate, error) {
	m, ok := Mandate(j, debtor, creditor)
	if !ok {
		if len(debtor) > ledger.PartyIDBytesMax || len(creditor) > ledger.PartyIDBytesMax {
			return m, ledger.Failf(ledger.CodeMandate, "there is no such mandate")
		}
		return m, ledger.Failf(ledger.CodeMandate, "%q has granted %q no mandate; both banks sign one by mandate.grant", debtor, creditor)
	}
	return m, nil
}
