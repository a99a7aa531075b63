package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/ledger"
	"aval/suite"
)

func voucherOffer(s *session) *cobra.Command {
	return operation{
		use: "offer", short: "Cut a lot into parts and offer them to others as payment",
		more: "A part pays the invoices that it names. The debt is discharged when the offer is accepted; with 'discharge payment', only when the\n" +
			"voucher is paid. With 'recourse' the new holder may fall back on you if the issuer does not pay.",
		example: "  aval voucher offer 5f3a… --as ruida --lot 0.00 --accept-by 10d --sign rd-li --sign rd-wang \\\n" +
			"    --part '5,200,000.00 to hengxin invoice HX-1' --part '2,300,000.00 to yongcheng invoice YC-1 recourse' --part 'rest keep'",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherOffer{}
			var parts []string
			b.id(&op.Voucher, "VOUCHER")
			b.amount(&op.Lot, "lot", "where the lot begins in the voucher").optional()
			b.each("part", "'AMOUNT keep' or 'AMOUNT to PARTY invoice NUMBER[=AMOUNT] … [recourse] [discharge payment]'; AMOUNT may be 'rest'",
				func(_ context.Context, text string) error { parts = append(parts, text); return nil })
			b.moment(&op.AcceptBy, "accept-by", "until when the others may accept")
			b.then(func(ctx context.Context) (err error) {
				op.Parts, err = s.parseParts(ctx, op, parts)
				return err
			})
			return op
		},
	}.command(s)
}

// parseParts reads the parts of a lot. One of them may be the rest, for which a node is asked how long the lot is.
func (s *session) parseParts(ctx context.Context, op *ledger.VoucherOffer, texts []string) ([]ledger.OfferPart, error) {
	amounts := make([]ledger.Fen, len(texts))
	rest, sum := -1, ledger.Fen(0)
	for i, text := range texts {
		word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		if word == "rest" {
			if rest >= 0 {
				return nil, usage("only one part can be the rest")
			}
			rest = i
			continue
		}
		var err error
		if amounts[i], err = parseAmount(word); err != nil {
			return nil, err
		}
		if sum, err = sum.Add(amounts[i]); err != nil {
			return nil, err
		}
	}
	if rest >= 0 {
		c, err := s.connect()
		if err != nil {
			return nil, err
		}
		lot, err := c.Lot(ctx, op.Voucher, op.Lot)
		if client.IsNotFound(err) {
			return nil, fmt.Errorf("no lot begins at %s of the voucher; `aval voucher lots %s` lists them", op.Lot, op.Voucher)
		}
		if err != nil {
			return nil, err
		}
		if amounts[rest], err = lot.Amount.Sub(sum); err != nil || amounts[rest] == 0 {
			return nil, usage("the parts come to %s, the lot is %s: there is no rest", sum, lot.Amount)
		}
	}
	parts := make([]ledger.OfferPart, len(texts))
	for i, text := range texts {
		part, err := s.parsePart(amounts[i], strings.Fields(text)[1:])
		if err != nil {
			return nil, fmt.Errorf("part %q: %w", text, err)
		}
		parts[i] = part
	}
	return parts, nil
}

// parsePart reads what follows the amount of one part.
func (s *session) parsePart(amount ledger.Fen, rest []string) (p ledger.OfferPart, err error) {
	p.Amount = amount
	if len(rest) == 1 && rest[0] == "keep" {
		return p, nil
	}
	if len(rest) < 2 || rest[0] != "to" {
		return p, usage("say 'keep' or 'to PARTY' after the amount")
	}
	if p.To, err = s.party(rest[1]); err != nil {
		return p, err
	}
	p.Discharge = ledger.DischargeAtTransfer
	var invoices []string
	for i := 2; i < len(rest); i++ {
		value := ""
		if i+1 < len(rest) {
			value = rest[i+1]
		}
		switch {
		case rest[i] == "recourse":
			p.Recourse = true
			continue
		case rest[i] == "invoice" && value != "":
			invoices = append(invoices, value)
		case rest[i] == "discharge" && value == "payment":
			p.Discharge = ledger.DischargeAtPayment
		case rest[i] == "discharge" && value == "transfer":
		default:
			return p, usage("%q is not understood; after the party come 'invoice NUMBER', 'recourse', 'discharge transfer|payment'", rest[i])
		}
		i++
	}
	if len(invoices) == 0 {
		return p, usage("say which invoice of %s it pays: 'invoice NUMBER'", rest[1])
	}
	p.Evidence, err = s.parseUses(p.To, amount, invoices)
	return p, err
}

func voucherShow(s *session) *cobra.Command {
	return query(s, "show", "Show a voucher and who holds it", "  aval voucher show 5f3a…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "VOUCHER")
		return func(ctx context.Context) error {
			v, err := s.client.Voucher(ctx, id)
			if err != nil {
				return err
			}
			lots, err := s.voucherLots(ctx, id)
			if err != nil {
				return err
			}
			return s.print(struct {
				*api.Voucher
				LotList []api.Lot `json:"lot_list"`
			}{v, lots}, func(o *output) {
				s.showVoucher(o, v)
				o.line("")
				s.showLots(o, lots)
			})
		}
	})
}

func (s *session) voucherLots(ctx context.Context, id suite.Hash) ([]api.Lot, error) {
	return client.All(ctx, func(ctx context.Context, n uint64) (*api.List[api.Lot], error) {
		return s.client.VoucherLots(ctx, id, n)
	})
}

func (s *session) showVoucher(o *output, v *api.Voucher) {
	o.fields("Voucher", v.ID, "State", v.State, "Issuer", s.partyName(v.Issuer), "Payee", s.partyName(v.Payee), "Face", v.Face,
		"Issued", v.Issued, "Due", v.Voucher.Due, "Settles", v.Settles, "Bank", s.partyName(v.Bank), "Accept by", when(v.AcceptBy),
		"Accepted", when(v.AcceptedAt), "Paid", v.Paid, "Funded", v.Funded, "Unpaid", v.Unpaid, "Scope", v.Scope)
	for _, e := range v.Evidence {
		o.line("Invoice %s for %s", e.Invoice, e.Amount)
	}
}

func (s *session) showLots(o *output, lots []api.Lot) {
	var rows [][]string
	var sum ledger.Fen
	for i := range lots {
		l := &lots[i]
		sum += l.Amount
		rows = append(rows, []string{l.From.String(), l.Amount.String(), s.partyName(l.Holder), s.lotText(l), when(l.Since), fmt.Sprint(l.Depth)})
	}
	o.table([]string{">from", ">amount", "holder", "state", "since", ">transfers"}, rows)
	o.line("")
	o.line("%d lot(s), %s in all", len(lots), sum)
}

func voucherLots(s *session) *cobra.Command {
	return query(s, "lots", "List a voucher's lots in order of their ranges", "  aval voucher lots 5f3a…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "VOUCHER")
		return func(ctx context.Context) error {
			lots, err := s.voucherLots(ctx, id)
			if err != nil {
				return err
			}
			return s.print(lots, func(o *output) { s.showLots(o, lots) })
		}
	})
}

var causeNames = map[ledger.TransferCause]string{
	ledger.TransferIssue: "issue", ledger.TransferOffer: "payment", ledger.TransferFinance: "finance",
}

func voucherTransfers(s *session) *cobra.Command {
	return query(s, "transfers", "List a voucher's changes of hands, oldest first; --at traces one fen", "  aval voucher transfers 5f3a… --at 3,500,000.00",
		func(b *binder) func(context.Context) error {
			var id suite.Hash
			var at ledger.Fen
			b.id(&id, "VOUCHER")
			b.amount(&at, "at", "only the transfers of this point of the voucher").optional()
			return func(ctx context.Context) error {
				all, err := client.All(ctx, func(ctx context.Context, n uint64) (*api.List[api.Transfer], error) {
					return s.client.VoucherTransfers(ctx, id, n)
				})
				if err != nil {
					return err
				}
				items := []api.Transfer{}
				for i := range all {
					if t := &all[i]; !b.cmd.Flags().Changed("at") || t.From <= at && at < t.To {
						items = append(items, *t)
					}
				}
				return s.print(items, func(o *output) { s.showTransfers(o, items) })
			}
		})
}

// terms says on what terms a part changes hands.
func terms(recourse bool, d ledger.Discharge) string {
	return words(recourse, "recourse", d == ledger.DischargeAtTransfer, "discharges at transfer", d == ledger.DischargeAtPayment, "discharges at payment")
}

func (s *session) showTransfers(o *output, items []api.Transfer) {
	var rows [][]string
	for i := range items {
		t := &items[i]
		on := terms(t.Recourse, t.Discharge)
		if t.Cause == ledger.TransferFinance { // a sale pays no debt between the two
			on = words(t.Recourse, "recourse")
		}
		rows = append(rows, []string{fmt.Sprint(t.Number), when(t.NotifiedAt), t.From.String(), t.Amount.String(), s.partyName(t.Transferor),
			s.partyName(t.Transferee), causeNames[t.Cause], on})
	}
	o.table([]string{">no", "time", ">from", ">amount", "from", "to", "by", "terms"}, rows)
}

func voucherList(s *session) *cobra.Command {
	return listing(s, "list", "List the vouchers that a party has issued", "  aval voucher list huachen",
		func(ctx context.Context, id ledger.PartyID, n uint64) (*api.List[api.Voucher], error) {
			return s.client.PartyIssued(ctx, id, n)
		},
		s.showVouchers)
}

func voucherShowOffer(s *session) *cobra.Command {
	return query(s, "show-offer", "Show an offer", "  aval voucher show-offer 77c0…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "OFFER")
		return func(ctx context.Context) error {
			f, err := s.client.Offer(ctx, id)
			if err != nil {
				return err
			}
			return s.print(f, func(o *output) {
				o.fields("Offer", f.ID, "State", f.State, "Voucher", f.Voucher, "Range", span(f.From, f.To), "Amount", f.Amount,
					"From", s.partyName(f.Transferor), "To", s.partyName(f.Transferee), "Accept by", when(f.AcceptBy),
					"Terms", terms(f.Recourse, f.Discharge))
			})
		}
	})
}
