package evidence

import (
	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Reserve draws uses, which sum to amount, on invoices of seller to buyer, for a promise that waits for its acceptance. The use is
// the buyer's own act and confirms the invoice for its side; the seller must have confirmed before. Its errors are *ledger.Failure, and
// nothing is drawn unless all is.
func Reserve(c *vm.Context, seller, buyer ledger.PartyID, uses []ledger.EvidenceUse, amount ledger.Fen) error {
	if err := checkUses(uses, amount); err != nil {
		return err
	}
	drawn := make([]*ledger.Invoice, len(uses))
	for i, u := range uses {
		inv, err := load(c.Journal, u.Invoice)
		if err != nil {
			return err
		}
		if inv.Seller != seller || inv.Buyer != buyer {
			return ledger.Failf(ledger.CodeInvoiceParties, "invoice %s is from %s to %s, not from %s to %s",
				u.Invoice, inv.Seller, inv.Buyer, seller, buyer)
		}
		if !inv.SellerConfirmed {
			return ledger.Failf(ledger.CodeConfirmation, "invoice %s has not been confirmed by its seller %s", u.Invoice, seller)
		}
		if left := inv.Face - inv.Reserved - inv.Used; u.Amount > left {
			return ledger.Failf(ledger.CodeInvoiceHeadroom, "invoice %s: face %s, reserved %s, used %s, asked %s, short by %s",
				u.Invoice, inv.Face, inv.Reserved, inv.Used, u.Amount, u.Amount-left)
		}
		inv.Reserved += u.Amount
		inv.BuyerConfirmed = true
		drawn[i] = inv
	}
	for _, inv := range drawn {
		store(c, inv)
	}
	return nil
}

// checkUses verifies the form of uses: 1 to EvidenceUsesMax, no invoice twice, none of 0, the sum exactly amount.
func checkUses(uses []ledger.EvidenceUse, amount ledger.Fen) error {
	if len(uses) == 0 || len(uses) > ledger.EvidenceUsesMax {
		return ledger.Failf(ledger.CodeArgument, "1 to %d invoices stand behind a promise, not %d", ledger.EvidenceUsesMax, len(uses))
	}
	seen := make(map[suite.Hash]bool, len(uses))
	var sum ledger.Fen
	for _, u := range uses {
		if seen[u.Invoice] || u.Amount == 0 {
			return ledger.Failf(ledger.CodeArgument, "invoice %s is named twice or with an amount of 0", u.Invoice)
		}
		seen[u.Invoice] = true
		var err error
		if sum, err = sum.Add(u.Amount); err != nil {
			return ledger.Failf(ledger.CodeOverflow, "the amounts drawn on invoices exceed %s", ledger.AmountMax)
		}
	}
	if sum != amount {
		return ledger.Failf(ledger.CodePartsMismatch, "the amounts drawn on invoices sum to %s, the promise is over %s", sum, amount)
	}
	return nil
}

// Commit turns what uses reserved into used, on acceptance.
func Commit(c *vm.Context, uses []ledger.EvidenceUse) {
	change(c, uses, func(inv *ledger.Invoice, amount ledger.Fen) {
		invariant.Check(amount <= inv.Reserved, "invoice %s: commit %d of %d reserved", inv.Fingerprint, amount, inv.Reserved)
		inv.Reserved -= amount
		inv.Used += amount
	})
}

// Free gives back what uses reserved, when a promise was not accepted.
func Free(c *vm.Context, uses []ledger.EvidenceUse) {
	change(c, uses, func(inv *ledger.Invoice, amount ledger.Fen) {
		invariant.Check(amount <= inv.Reserved, "invoice %s: free %d of %d reserved", inv.Fingerprint, amount, inv.Reserved)
		inv.Reserved -= amount
	})
}

// Unuse gives back what uses had used, when an accepted promise is cancelled.
func Unuse(c *vm.Context, uses []ledger.EvidenceUse) {
	change(c, uses, func(inv *ledger.Invoice, amount ledger.Fen) {
		invariant.Check(amount <= inv.Used, "invoice %s: give back %d of %d used", inv.Fingerprint, amount, inv.Used)
		inv.Used -= amount
	})
}

func change(c *vm.Context, uses []ledger.EvidenceUse, f func(*ledger.Invoice, ledger.Fen)) {
	for _, u := range uses {
		inv, err := load(c.Journal, u.Invoice)
		invariant.Check(err == nil, "a use of an invoice outlives it: %v", err)
		f(inv, u.Amount)
		store(c, inv)
	}
}
