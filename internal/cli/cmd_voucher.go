package cli

import (
	"context"

	"github.com/spf13/cobra"

	"aval/ledger"
)

func newVoucherCmd(s *session) *cobra.Command {
	return group("voucher", "Payable vouchers: issue, accept, split and pass on, pledge, freeze, fund",
		"  aval voucher show 5f3a…\n  aval voucher lots 5f3a…",
		voucherIssue(s), voucherAccept(s), voucherReject(s), voucherExpire(s), voucherCancel(s),
		voucherOffer(s), voucherAcceptOffer(s), voucherRejectOffer(s), voucherExpireOffer(s), voucherWithdrawOffer(s),
		voucherPledge(s), voucherRecordPledge(s), voucherReleasePledge(s), voucherFreeze(s), voucherUnfreeze(s),
		voucherFund(s), voucherFundDay(s),
		voucherShow(s), voucherLots(s), voucherTransfers(s), voucherList(s), voucherShowOffer(s))
}

func voucherIssue(s *session) *cobra.Command {
	return operation{
		use: "issue", short: "Promise to pay a face on a due date",
		example: "  aval voucher issue --as huachen --payee ruida --face 12,000,000.00 --due 2027-01-13 --bank dongjiang \\\n" +
			"    --invoice INV-1=4,520,000.00 --invoice INV-2=3,955,000.00 --invoice INV-3=3,525,000.00 --accept-by 10d --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherIssue{}
			var invoices []string
			b.party(&op.Payee, "payee", "who is promised")
			b.amount(&op.Face, "face", "how much is promised")
			b.date(&op.Due, "due", "when it is due")
			b.party(&op.Bank, "bank", "whose limit it uses and whose money pays")
			b.each("invoice", "invoice of the payee that it pays, as NUMBER=AMOUNT; a lone one needs no amount", func(_ context.Context, text string) error {
				invoices = append(invoices, text)
				return nil
			})
			b.moment(&op.AcceptBy, "accept-by", "until when the payee may accept")
			b.then(func(context.Context) (err error) {
				op.Evidence, err = s.parseUses(op.Payee, op.Face, invoices)
				return err
			})
			return op
		},
	}.command(s)
}

func voucherAccept(s *session) *cobra.Command {
	return operation{
		use: "accept", short: "Accept a voucher and become its holder", example: "  aval voucher accept 5f3a… --as ruida --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherAccept{}
			b.id(&op.Voucher, "VOUCHER")
			return op
		},
	}.command(s)
}

func voucherReject(s *session) *cobra.Command {
	return operation{
		use: "reject", short: "Decline a voucher and free what it reserved",
		example: "  aval voucher reject 5f3a… --as ruida --reason 'wrong due date' --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherReject{}
			b.id(&op.Voucher, "VOUCHER")
			b.text(&op.Reason, "reason", "why").optional()
			return op
		},
	}.command(s)
}

func voucherExpire(s *session) *cobra.Command {
	return operation{
		use: "expire", short: "Free what a voucher reserved that was not accepted in time",
		example: "  aval voucher expire 5f3a… --as huachen --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherExpire{}
			b.id(&op.Voucher, "VOUCHER")
			return op
		},
	}.command(s)
}

func voucherCancel(s *session) *cobra.Command {
	return operation{
		use: "cancel", short: "End an unsplit, unfinanced voucher; the holder signs too",
		example: "  aval voucher cancel 5f3a… --as huachen --reason 'order cancelled' --sign hc-li --sign hc-wang --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherCancel{}
			b.id(&op.Voucher, "VOUCHER")
			b.text(&op.Reason, "reason", "why").optional()
			return op
		},
	}.command(s)
}

func voucherAcceptOffer(s *session) *cobra.Command {
	return operation{
		use: "accept-offer", short: "Accept an offer and become the holder", example: "  aval voucher accept-offer 77c0… --as hengxin --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.OfferAccept{}
			b.id(&op.Offer, "OFFER")
			return op
		},
	}.command(s)
}

func voucherRejectOffer(s *session) *cobra.Command {
	return operation{
		use: "reject-offer", short: "Decline an offer and free what it reserved", example: "  aval voucher reject-offer 77c0… --as hengxin --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.OfferReject{}
			b.id(&op.Offer, "OFFER")
			b.text(&op.Reason, "reason", "why").optional()
			return op
		},
	}.command(s)
}

func voucherExpireOffer(s *session) *cobra.Command {
	return operation{
		use: "expire-offer", short: "Free what an offer reserved that was not accepted in time",
		example: "  aval voucher expire-offer 77c0… --as ruida --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.OfferExpire{}
			b.id(&op.Offer, "OFFER")
			return op
		},
	}.command(s)
}

func voucherWithdrawOffer(s *session) *cobra.Command {
	return operation{
		use: "withdraw-offer", short: "Take back an offer not yet accepted", example: "  aval voucher withdraw-offer 77c0… --as ruida --sign rd-li --sign rd-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.OfferWithdraw{}
			b.id(&op.Offer, "OFFER")
			return op
		},
	}.command(s)
}

func voucherPledge(s *session) *cobra.Command {
	return operation{
		use: "pledge", short: "Pledge a range of a free lot; the pledgee signs too",
		example: "  aval voucher pledge 5f3a… --as jingwei --from 1,000,000.00 --amount 300,000.00 --pledgee dongjiang --proceeds pledgee --ref LOAN-7 \\\n" +
			"    --sign jw-li --sign jw-wang --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.PledgeCreate{Proceeds: ledger.ProceedsPledgee}
			b.id(&op.Voucher, "VOUCHER")
			b.stretch(&op.From, &op.To)
			b.party(&op.Pledgee, "pledgee", "to whom")
			b.flag("proceeds", "where the money goes at maturity: pledgee, the default, or deposit, which holds it until the release", into(&op.Proceeds, func(text string) (ledger.Proceeds, error) {
				return pick(text, []string{"pledgee", "deposit"}, []ledger.Proceeds{ledger.ProceedsPledgee, ledger.ProceedsDeposit})
			})).optional()
			b.text(&op.Ref, "ref", "the secured debt").optional()
			return op
		},
	}.command(s)
}

func voucherRecordPledge(s *session) *cobra.Command {
	return operation{
		use: "record-pledge", short: "Record the public registration of a pledge, which makes it effective",
		example: "  aval voucher record-pledge 5f3a… --as dongjiang --lot 1,000,000.00 --number 0998-2026 --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.PledgeRecord{}
			b.id(&op.Voucher, "VOUCHER")
			b.amount(&op.Lot, "lot", "where the lot begins in the voucher")
			b.text(&op.Number, "number", "registration number")
			bindPast(b, &op.At, "at", "time of registration, such as 2026-09-15T09:00; default: now")
			return op
		},
	}.command(s)
}

func voucherReleasePledge(s *session) *cobra.Command {
	return operation{
		use: "release-pledge", short: "End a pledge when the debt is discharged",
		example: "  aval voucher release-pledge 5f3a… --as dongjiang --lot 1,000,000.00 --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.PledgeRelease{}
			b.id(&op.Voucher, "VOUCHER")
			b.amount(&op.Lot, "lot", "where the lot begins in the voucher")
			return op
		},
	}.command(s)
}

// bindPast declares a time that defaults to the ledger's now.
func bindPast(b *binder, p *ledger.Time, name, usage string) {
	b.flag(name, usage, into(p, parseClock)).optional()
	b.then(func(ctx context.Context) (err error) {
		if *p == 0 {
			*p, err = b.s.ledgerNow(ctx)
		}
		return err
	})
}

func voucherFreeze(s *session) *cobra.Command {
	return operation{
		use: "freeze", short: "Block a range of a voucher by a court order",
		example: "  aval voucher freeze 5f3a… --as court --from 0.00 --amount 100,000.00 --order order.pdf --note '(2026) 12' --sign ct-li --sign ct-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.LotFreeze{}
			b.id(&op.Voucher, "VOUCHER")
			b.stretch(&op.From, &op.To)
			b.document(&op.Order, "order", "the order")
			b.text(&op.Note, "note", "what to say to those concerned").optional()
			return op
		},
	}.command(s)
}

func voucherUnfreeze(s *session) *cobra.Command {
	return operation{
		use: "unfreeze", short: "Lift an order from a range of a voucher",
		example: "  aval voucher unfreeze 5f3a… --as court --from 0.00 --amount 100,000.00 --order order.pdf --sign ct-li --sign ct-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.LotUnfreeze{}
			b.id(&op.Voucher, "VOUCHER")
			b.stretch(&op.From, &op.To)
			b.document(&op.Order, "order", "the order")
			return op
		},
	}.command(s)
}

func voucherFund(s *session) *cobra.Command {
	return operation{
		use: "fund", short: "Set money aside to pay a voucher", example: "  aval voucher fund 5f3a… --as huachen --amount 12,000,000.00 --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.VoucherFund{}
			b.id(&op.Voucher, "VOUCHER")
			b.amount(&op.Amount, "amount", "how much")
			return op
		},
	}.command(s)
}

func voucherFundDay(s *session) *cobra.Command {
	return operation{
		use: "fund-day", short: "Set money aside for all your vouchers due on a day, in proportion",
		example: "  aval voucher fund-day --as huachen --bank dongjiang --due 2027-01-13 --amount 40,000,000.00 --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.DayFund{}
			b.party(&op.Bank, "bank", "bank of your account")
			b.date(&op.Due, "due", "due date as on the vouchers")
			b.amount(&op.Amount, "amount", "how much")
			return op
		},
	}.command(s)
}
