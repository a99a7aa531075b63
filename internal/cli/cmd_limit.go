package cli

import (
	"context"

	"github.com/spf13/cobra"

	"aval/ledger"
	"aval/suite"
)

func newLimitCmd(s *session) *cobra.Command {
	return group("limit", "Credit limits that banks and factors grant to issuers", "  aval limit show --grantor dongjiang --core huachen",
		limitGrant(s), limitShow(s))
}

func parsePurpose(text string) (ledger.LimitPurpose, error) {
	return pick(text, []string{"issue", "finance"}, []ledger.LimitPurpose{ledger.LimitIssue, ledger.LimitFinance})
}

func limitGrant(s *session) *cobra.Command {
	return operation{
		use: "grant", short: "Set your bank's limit for an issuer as a new version",
		example: "  aval limit grant --as dongjiang --core huachen --purpose issue --limit 80,000,000.00 --from 2026-01-01 --until 2027-12-31 --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.LimitGrant{Purpose: ledger.LimitIssue}
			b.party(&op.Core, "core", "whose promises it bounds")
			b.flag("purpose", "issue: what may stand issued; finance: what you may hold by financing", into(&op.Purpose, parsePurpose)).optional()
			b.amount(&op.Amount, "limit", "how much")
			b.date(&op.From, "from", "first day")
			b.date(&op.Until, "until", "last day")
			return op
		},
	}.command(s)
}

func limitShow(s *session) *cobra.Command {
	return query(s, "show", "Show a credit limit and what of it is free", "  aval limit show --grantor dongjiang --core huachen --purpose issue",
		func(b *binder) func(context.Context) error {
			var grantor, core ledger.PartyID
			purpose := ledger.LimitIssue
			b.party(&grantor, "grantor", "bank or factor")
			b.party(&core, "core", "issuer")
			b.flag("purpose", "issue or finance", into(&purpose, parsePurpose)).optional()
			return func(ctx context.Context) error {
				l, err := s.client.Limit(ctx, grantor, core, purpose)
				if err != nil {
					return err
				}
				return s.print(l, func(o *output) {
					o.fields("Grantor", s.partyName(l.Grantor), "Issuer", s.partyName(l.Core), "Version", l.Version, "Limit", l.Amount,
						"Used", l.Used, "Free", l.Free, "From", l.From, "Until", l.Until, "In force", yes(l.Valid))
				})
			}
		})
}

func newEvidenceCmd(s *session) *cobra.Command {
	return group("evidence", "Trade evidence: invoices with their contracts and receipts",
		"  aval evidence show --seller ruida --number 'INV-2026-001'", evidenceRegister(s), evidenceConfirm(s), evidenceShow(s))
}

func evidenceRegister(s *session) *cobra.Command {
	return operation{
		use: "register", short: "Record an invoice with its contract and goods receipt, and open headroom of its face",
		example: "  aval evidence register --as ruida --seller ruida --buyer huachen --number INV-2026-001 --face 4,520,000.00 \\\n" +
			"    --issued 2026-09-10 --contract contract.pdf --receipt receipt.pdf --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.EvidenceRegister{Scheme: ledger.InvoicePlain}
			var number string
			b.party(&op.Seller, "seller", "who invoices")
			b.party(&op.Buyer, "buyer", "who is invoiced")
			b.text(&number, "number", "number on the invoice")
			b.amount(&op.Face, "face", "face of the invoice")
			b.date(&op.Issued, "issued", "date on the invoice")
			b.document(&op.Contract, "contract", "contract")
			b.document(&op.Receipt, "receipt", "goods receipt")
			b.then(func(context.Context) (err error) {
				if op.Fingerprint, err = s.invoice(op.Seller, number); err != nil {
					return err
				}
				if err := s.loadGenesis(); err != nil {
					return err
				}
				op.Twin = ledger.InvoiceTwin(s.suite, s.genesis.NetworkID(s.suite), op.Seller, op.Buyer, op.Face, op.Issued)
				return nil
			})
			return op
		},
	}.command(s)
}

// bindInvoice declares how an invoice is named: by seller and number, or by fingerprint.
func bindInvoice(b *binder, fp *suite.Hash) {
	var seller ledger.PartyID
	var number string
	b.party(&seller, "seller", "who invoices").optional()
	b.text(&number, "number", "number on the invoice").optional()
	b.flag("fingerprint", "fingerprint, instead of seller and number", into(fp, parseHash)).optional()
	b.then(func(context.Context) (err error) {
		if !fp.IsZero() {
			return nil
		}
		if seller == "" || number == "" {
			return usage("name the invoice by --seller and --number, or by --fingerprint")
		}
		*fp, err = b.s.invoice(seller, number)
		return err
	})
}

func evidenceConfirm(s *session) *cobra.Command {
	return operation{
		use: "confirm", short: "Confirm an invoice that the other side registered",
		example: "  aval evidence confirm --as huachen --seller ruida --number INV-2026-001 --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.EvidenceConfirm{}
			bindInvoice(b, &op.Fingerprint)
			return op
		},
	}.command(s)
}

func evidenceShow(s *session) *cobra.Command {
	return query(s, "show", "Show an invoice and what may still be drawn on it", "  aval evidence show --seller ruida --number INV-2026-001",
		func(b *binder) func(context.Context) error {
			var fp suite.Hash
			bindInvoice(b, &fp)
			return func(ctx context.Context) error {
				i, err := s.client.Invoice(ctx, fp)
				if err != nil {
					return err
				}
				return s.print(i, func(o *output) {
					o.fields("Invoice", i.Fingerprint, "Seller", s.partyName(i.Seller), "Buyer", s.partyName(i.Buyer), "Face", i.Face,
						"Reserved", i.Reserved, "Used", i.Used, "Free", i.Headroom, "Issued", i.Issued, "Contract", i.Contract, "Receipt", i.Receipt,
						"Confirmed", words(i.SellerConfirmed, "by the seller", i.BuyerConfirmed, "by the buyer"), "Registered", when(i.At))
				})
			}
		})
}
