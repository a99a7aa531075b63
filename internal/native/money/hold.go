package money

import (
	"aval/internal/invariant"
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
)

// HoldFunds sets amount of holder's balance with bank aside.
func HoldFunds(c *vm.Context, bank, holder ledger.PartyID, amount ledger.Fen) error {
	return shift(c, bank, holder, amount, fromBalance)
}

// ReleaseFunds gives amount of what is held back to holder's balance.
func ReleaseFunds(c *vm.Context, bank, holder ledger.PartyID, amount ledger.Fen) error {
	return shift(c, bank, holder, amount, fromHeld)
}

func shift(c *vm.Context, bank, holder ledger.PartyID, amount ledger.Fen, src source) error {
	if err := checkAmount(amount); err != nil {
		return err
	}
	a, err := requireAccount(c.Journal, bank, holder)
	if err != nil {
		return err
	}
	if err := take(&a, amount, src); err != nil {
		return err
	}
	into := &a.Held
	if src == fromHeld {
		into = &a.Balance
	}
	if *into, err = add("the account", *into, amount); err != nil {
		return err
	}
	store(c.Journal, &a)
	return nil
}

// CreateHold sets h.Amount of h.Owner's balance with h.Bank aside and records h under its ID, which must be new.
func CreateHold(c *vm.Context, h ledger.Hold) error {
	if err := HoldFunds(c, h.Bank, h.Owner, h.Amount); err != nil {
		return err
	}
	recordHold(c, &h)
	return nil
}

// CreateHoldOfHeld records h for money of h.Owner that is held already.
func CreateHoldOfHeld(c *vm.Context, h ledger.Hold) error {
	if err := checkAmount(h.Amount); err != nil {
		return err
	}
	a, err := requireAccount(c.Journal, h.Bank, h.Owner)
	if err != nil {
		return err
	}
	if a.Held < h.Amount {
		return ledger.Failf(ledger.CodeInsufficientFunds, "%s has held %s with %s; %s is needed", a.Holder, a.Held, a.Bank, h.Amount)
	}
	recordHold(c, &h)
	return nil
}

func recordHold(c *vm.Context, h *ledger.Hold) {
	invariant.Check(c.Get(ledger.HoldKey(h.ID)) == nil, "hold %s exists already", h.ID)
	vm.Store(c.Journal, ledger.HoldKey(h.ID), h)
	c.Emit(ledger.Event{
		Kind: "money.held", Subject: h.Subject, Ref: h.ID, Party: h.Owner, Counterparty: h.Beneficiary, Bank: h.Bank, Amount: h.Amount,
		Note: h.Ref,
	})
}

// MoneyHold sets money of the acting party aside for a beneficiary.
func MoneyHold(c *vm.Context, op *ledger.MoneyHold) error {
	if err := checkRef(op.Ref); err != nil {
		return err
	}
	if op.Beneficiary == c.Acting {
		return ledger.Failf(ledger.CodeArgument, "owner and beneficiary of a hold are two parties")
	}
	if _, err := identity.RequireParty(c.Journal, op.Beneficiary); err != nil {
		return err
	}
	return CreateHold(c, ledger.Hold{
		ID: c.NewID(0), Bank: op.Bank, Owner: c.Acting, Beneficiary: op.Beneficiary, Amount: op.Amount,
		Reason: ledger.HoldByOwner, Ref: op.Ref,
	})
}

// HoldEnd pays a hold to its beneficiary or gives it back to its owner, or hands it to whoever controls it next.
func HoldEnd(c *vm.Context, op *ledger.HoldEnd) error {
	h, ok := vm.Load[ledger.Hold](c.Journal, ledger.HoldKey(op.Hold))
	if !ok {
		return ledger.Failf(ledger.CodeHoldUnknown, "there is no hold %s", op.Hold)
	}
	if !mayEnd(&h, c.Acting, op.Pay) {
		return ledger.Failf(ledger.CodeNotHolder, "%s may not do that to hold %s: %s", c.Acting, h.ID, whoEnds(&h))
	}
	if len(h.Next) > 0 {
		handHold(c, &h)
		return nil
	}
	c.Delete(ledger.HoldKey(h.ID))
	c.Emit(ledger.Event{
		Kind: "hold.ended", Subject: h.Subject, Ref: h.ID, Party: c.Acting, Counterparty: h.Beneficiary, Bank: h.Bank, Amount: h.Amount,
	})
	if !op.Pay || h.Beneficiary == h.Owner {
		return ReleaseFunds(c, h.Bank, h.Owner, h.Amount)
	}
	bank := BankFor(c.Journal, h.Beneficiary, h.Bank)
	if bank == "" {
		return ledger.Failf(ledger.CodeAccountUnknown, "%s has no account to be paid on", h.Beneficiary)
	}
	return PayHeld(c, h.Owner, h.Bank, h.Beneficiary, bank, h.Amount, h.Ref)
}

// handHold ends the present control over h; the next one in turn begins.
func handHold(c *vm.Context, h *ledger.Hold) {
	h.Reason, h.Controller, h.Next = h.Next[0].Reason, h.Next[0].Controller, h.Next[1:]
	vm.Store(c.Journal, ledger.HoldKey(h.ID), h)
	c.Emit(ledger.Event{
		Kind: "hold.passed", Subject: h.Subject, Ref: h.ID, Party: c.Acting, Counterparty: h.Controller, Bank: h.Bank, Amount: h.Amount,
	})
}

// stays reports whether the money of a pledged hold still lies with the bank of the issuer, who owes it to the holder no more.
func stays(h *ledger.Hold) bool {
	return h.Reason == ledger.HoldPledged && h.Controller != h.Beneficiary
}

// mayEnd says who decides. No bank or pledgee sends what was paid on a lot back to the issuer, and neither issuer nor holder
// acts over the head of a court or a pledgee.
func mayEnd(h *ledger.Hold, party ledger.PartyID, pay bool) bool {
	controls := h.Controller != "" && party == h.Controller
	switch {
	case h.Reason == ledger.HoldFrozen:
		return controls && (pay || len(h.Next) == 0)
	case stays(h):
		return controls && pay
	case h.Reason == ledger.HoldPledged:
		return controls || pay && party == h.Owner
	}
	return pay && (party == h.Owner || controls) || !pay && party == h.Beneficiary
}

func whoEnds(h *ledger.Hold) string {
	switch {
	case h.Reason == ledger.HoldFrozen && len(h.Next) > 0:
		return "its court alone lets it go, and then the next one controls it"
	case h.Reason == ledger.HoldFrozen:
		return "its court alone decides"
	case stays(h):
		return "its pledgee alone lets it go to the holder"
	case h.Reason == ledger.HoldPledged:
		return "its pledgee decides, its owner may pay the pledgee"
	case h.Reason == ledger.HoldUnrouted:
		return "the issuer or its bank may pay it, its beneficiary may give it back"
	}
	return "its owner may pay it, its beneficiary may give it back"
}

// BankFor returns where party takes money of bank: with bank itself if it is that bank or has an account there, else with
// its settlement bank, which is empty for a party without any account.
func BankFor(j *vm.Journal, party, bank ledger.PartyID) ledger.PartyID {
	if _, ok := Account(j, bank, party); ok || party == bank {
		return bank
	}
	p, ok := identity.Party(j, party)
	switch {
	case ok && p.Bank != "":
		return p.Bank
	case ok && p.Roles.Has(ledger.RoleBank):
		return party // a bank is paid in its own money
	}
	return ""
}
