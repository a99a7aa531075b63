package money

import (
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// Account returns holder's account with bank.
func Account(j *vm.Journal, bank, holder ledger.PartyID) (ledger.Account, bool) {
	return vm.Load[ledger.Account](j, ledger.AccountKey(bank, holder))
}

// requireAccount returns holder's account with bank, or a failure with CodeAccountUnknown.
func requireAccount(j *vm.Journal, bank, holder ledger.PartyID) (ledger.Account, error) {
	a, ok := Account(j, bank, holder)
	if !ok {
		if len(bank) > ledger.PartyIDBytesMax || len(holder) > ledger.PartyIDBytesMax {
			return a, ledger.Failf(ledger.CodeAccountUnknown, "there is no such account")
		}
		return a, ledger.Failf(ledger.CodeAccountUnknown, "%s has no account with bank %q; the bank opens one by account.open", holder, bank)
	}
	return a, nil
}

func store(j *vm.Journal, a *ledger.Account) { vm.Store(j, ledger.AccountKey(a.Bank, a.Holder), a) }

// supply returns what bank has minted and burnt.
func supply(j *vm.Journal, bank ledger.PartyID) ledger.Supply {
	s, ok := vm.Load[ledger.Supply](j, ledger.SupplyKey(bank))
	if !ok {
		s.Bank = bank
	}
	return s
}

// checkAmount refuses nothing and too much.
func checkAmount(amount ledger.Fen) error {
	if amount == 0 {
		return ledger.Failf(ledger.CodeArgument, "the amount must be above zero")
	}
	if amount > ledger.AmountMax {
		return ledger.Failf(ledger.CodeOverflow, "amount %s exceeds the largest, %s", amount, ledger.AmountMax)
	}
	return nil
}

func checkRef(ref string) error {
	if len(ref) > ledger.RefBytesMax {
		return ledger.Failf(ledger.CodeArgument, "the reference has %d bytes, the most is %d", len(ref), ledger.RefBytesMax)
	}
	return nil
}

// add returns a + b, or a failure with CodeOverflow that names what.
func add(what string, a, b ledger.Fen) (ledger.Fen, error) {
	sum, err := a.Add(b)
	if err != nil {
		return 0, ledger.Failf(ledger.CodeOverflow, "%s: %s and %s are more than the largest amount, %s", what, a, b, ledger.AmountMax)
	}
	return sum, nil
}

// AccountOpen opens an account of a party with the acting bank.
func AccountOpen(c *vm.Context, op *ledger.AccountOpen) error {
	if err := identity.RequireRole(c.Journal, c.Acting, ledger.RoleBank); err != nil {
		return err
	}
	if op.Holder == c.Acting {
		return ledger.Failf(ledger.CodeArgument, "a bank holds none of its own money")
	}
	holder, err := identity.RequireParty(c.Journal, op.Holder)
	if err != nil {
		return err
	}
	if err := c.Auth.Require(op.Holder, ledger.ClassMoney); err != nil {
		return err
	}
	if _, ok := Account(c.Journal, c.Acting, op.Holder); ok {
		return ledger.Failf(ledger.CodeAccountExists, "%s has an account with %s already", op.Holder, c.Acting)
	}
	store(c.Journal, &ledger.Account{Bank: c.Acting, Holder: op.Holder})
	vm.Append(c.Journal, ledger.AccountsOf(op.Holder), []byte(c.Acting))
	if holder.Bank == "" {
		holder.Bank = c.Acting
		vm.Store(c.Journal, ledger.PartyKey(holder.ID), &holder)
	}
	c.Emit(ledger.Event{Kind: "account.opened", Party: c.Acting, Counterparty: op.Holder, Bank: c.Acting})
	return nil
}

// MoneyMint credits a holder with new money of the acting bank.
func MoneyMint(c *vm.Context, op *ledger.MoneyMint) error {
	if err := checkRef(op.Ref); err != nil {
		return err
	}
	if err := checkAmount(op.Amount); err != nil {
		return err
	}
	if err := mint(c.Journal, c.Acting, op.Holder, op.Amount); err != nil {
		return err
	}
	c.Emit(ledger.Event{Kind: "money.minted", Party: c.Acting, Counterparty: op.Holder, Bank: c.Acting, Amount: op.Amount, Note: op.Ref})
	return nil
}

// MoneyBurn debits a holder and extinguishes that much of the acting bank's debt.
func MoneyBurn(c *vm.Context, op *ledger.MoneyBurn) error {
	if err := checkRef(op.Ref); err != nil {
		return err
	}
	if err := checkAmount(op.Amount); err != nil {
		return err
	}
	if _, err := requireAccount(c.Journal, c.Acting, op.Holder); err != nil {
		return err
	}
	if err := c.Auth.Require(op.Holder, ledger.ClassMoney); err != nil {
		return err
	}
	if err := burn(c.Journal, c.Acting, op.Holder, op.Amount, fromBalance); err != nil {
		return err
	}
	c.Emit(ledger.Event{Kind: "money.burned", Party: c.Acting, Counterparty: op.Holder, Bank: c.Acting, Amount: op.Amount, Note: op.Ref})
	return nil
}

// MoneyTransfer pays from the acting party's account.
func MoneyTransfer(c *vm.Context, op *ledger.MoneyTransfer) error {
	if err := checkRef(op.Ref); err != nil {
		return err
	}
	return Pay(c, c.Acting, op.Bank, op.To, op.ToBank, op.Amount, op.Ref)
}

// source says which part of an account pays.
type source bool

const (
	fromBalance source = false
	fromHeld    source = true
)

// take lowers a's balance, or what is held of it.
func take(a *ledger.Account, amount ledger.Fen, src source) error {
	part, word := &a.Balance, "has"
	if src == fromHeld {
		part, word = &a.Held, "has held"
	}
	left, err := part.Sub(amount)
	if err != nil {
		return ledger.Failf(ledger.CodeInsufficientFunds, "%s %s %s with %s; %s is needed", a.Holder, word, *part, a.Bank, amount)
	}
	*part = left
	return nil
}

// mint makes new money of bank for holder.
func mint(j *vm.Journal, bank, holder ledger.PartyID, amount ledger.Fen) error {
	if err := identity.RequireRole(j, bank, ledger.RoleBank); err != nil {
		return err
	}
	a, err := requireAccount(j, bank, holder)
	if err != nil {
		return err
	}
	s := supply(j, bank)
	if s.Minted, err = add("what the bank has minted in all", s.Minted, amount); err != nil {
		return err
	}
	if a.Balance, err = add("the balance", a.Balance, amount); err != nil {
		return err
	}
	vm.Store(j, ledger.SupplyKey(bank), &s)
	store(j, &a)
	return nil
}

// burn destroys money of bank that holder has.
func burn(j *vm.Journal, bank, holder ledger.PartyID, amount ledger.Fen, src source) error {
	a, err := requireAccount(j, bank, holder)
	if err != nil {
		return err
	}
	if err := take(&a, amount, src); err != nil {
		return err
	}
	s := supply(j, bank)
	if s.Burned, err = add("what the bank has burnt in all", s.Burned, amount); err != nil {
		return err
	}
	vm.Store(j, ledger.SupplyKey(bank), &s)
	store(j, &a)
	return nil
}
