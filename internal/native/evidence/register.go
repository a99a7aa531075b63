package evidence

import (
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// EvidenceRegister records an invoice in the name of its seller or buyer, which thereby confirms it.
func EvidenceRegister(c *vm.Context, op *ledger.EvidenceRegister) error {
	if err := checkInvoice(c, op); err != nil {
		return err
	}
	if old, ok := vm.Load[ledger.Invoice](c.Journal, ledger.InvoiceKey(op.Fingerprint)); ok {
		return ledger.Failf(ledger.CodeInvoiceExists, "invoice %s has been registered by %s for %s over %s; draw on that record",
			op.Fingerprint, old.Seller, old.Buyer, old.Face)
	}
	inv := ledger.Invoice{Scheme: op.Scheme, Fingerprint: op.Fingerprint, Twin: op.Twin, Seller: op.Seller, Buyer: op.Buyer,
		Face: op.Face, Issued: op.Issued, Contract: op.Contract, Receipt: op.Receipt,
		SellerConfirmed: c.Acting == op.Seller, BuyerConfirmed: c.Acting == op.Buyer, At: c.Time}
	store(c, &inv)
	c.Emit(ledger.Event{Kind: "invoice.registered", Subject: inv.Fingerprint, Party: inv.Seller, Counterparty: inv.Buyer,
		Amount: inv.Face})
	tagTwin(c, &inv)
	return nil
}

// tagTwin remembers the first invoice with this twin tag, and announces every later one as a possible duplicate.
func tagTwin(c *vm.Context, inv *ledger.Invoice) {
	key := ledger.InvoiceTwinKey(inv.Twin)
	first, ok := vm.Load[suite.Hash](c.Journal, key)
	if !ok {
		vm.Store(c.Journal, key, &inv.Fingerprint)
		return
	}
	c.Emit(ledger.Event{Kind: "invoice.twin", Subject: inv.Fingerprint, Ref: first, Party: inv.Seller, Counterparty: inv.Buyer,
		Amount: inv.Face, Note: "same seller, buyer, amount and date as an invoice registered before"})
}

// checkInvoice verifies everything about op but that it is new.
func checkInvoice(c *vm.Context, op *ledger.EvidenceRegister) error {
	for _, id := range []ledger.PartyID{op.Seller, op.Buyer} {
		if _, err := identity.RequireParty(c.Journal, id); err != nil {
			return err
		}
	}
	switch {
	case op.Scheme != ledger.InvoicePlain:
		return ledger.Failf(ledger.CodeArgument, "fingerprint scheme %d is unknown", op.Scheme)
	case op.Fingerprint.IsZero() || op.Contract.IsZero() || op.Receipt.IsZero():
		return ledger.Failf(ledger.CodeArgument, "an invoice needs its own fingerprint and those of contract and goods receipt")
	case op.Seller == op.Buyer:
		return ledger.Failf(ledger.CodeArgument, "seller and buyer of an invoice are two parties")
	case c.Acting != op.Seller && c.Acting != op.Buyer:
		return ledger.Failf(ledger.CodeConfirmation, "%s is neither seller nor buyer of the invoice", c.Acting)
	case op.Face == 0:
		return ledger.Failf(ledger.CodeArgument, "the face of an invoice is more than 0")
	case op.Face > ledger.AmountMax:
		return ledger.Failf(ledger.CodeOverflow, "the face of the invoice exceeds %s", ledger.AmountMax)
	case op.Issued > c.Today() || op.Issued < 0:
		return ledger.Failf(ledger.CodeArgument, "the invoice is dated %s, today is %s", op.Issued, c.Today())
	}
	if twin := ledger.InvoiceTwin(c.Suite, c.Network, op.Seller, op.Buyer, op.Face, op.Issued); op.Twin != twin {
		return ledger.Failf(ledger.CodeArgument, "the twin tag of seller, buyer, face and date is %s, not %s", twin, op.Twin)
	}
	return nil
}

// EvidenceConfirm confirms an invoice that the other side registered.
func EvidenceConfirm(c *vm.Context, op *ledger.EvidenceConfirm) error {
	inv, err := load(c.Journal, op.Fingerprint)
	if err != nil {
		return err
	}
	side := &inv.BuyerConfirmed
	switch c.Acting {
	case inv.Buyer:
	case inv.Seller:
		side = &inv.SellerConfirmed
	default:
		return ledger.Failf(ledger.CodeConfirmation, "%s is neither seller nor buyer of invoice %s", c.Acting, op.Fingerprint)
	}
	if *side {
		return ledger.Failf(ledger.CodeConfirmation, "%s has confirmed invoice %s before", c.Acting, op.Fingerprint)
	}
	*side = true
	store(c, inv)
	c.Emit(ledger.Event{Kind: "invoice.confirmed", Subject: inv.Fingerprint, Party: c.Acting, Amount: inv.Face})
	return nil
}

// load returns an invoice or a *ledger.Failure.
func load(j *vm.Journal, fingerprint suite.Hash) (*ledger.Invoice, error) {
	inv, ok := vm.Load[ledger.Invoice](j, ledger.InvoiceKey(fingerprint))
	if !ok {
		return nil, ledger.Failf(ledger.CodeInvoiceUnknown, "invoice %s is not registered", fingerprint)
	}
	return &inv, nil
}

func store(c *vm.Context, inv *ledger.Invoice) {
	vm.Store(c.Journal, ledger.InvoiceKey(inv.Fingerprint), inv)
}
