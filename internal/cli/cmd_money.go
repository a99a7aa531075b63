package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

func newMoneyCmd(s *session) *cobra.Command {
	return group("money", "Bank money: accounts, minting, paying, holds, interbank mandates",
		"  aval money balance huachen\n  aval money transfer --as huachen --bank dongjiang --to ruida --to-bank dongjiang --amount 1,000.00 --sign hc-li --sign hc-wang",
		moneyOpen(s), moneyMint(s), moneyBurn(s), moneyTransfer(s), moneyHold(s), moneyEndHold(s), moneyMandate(s), moneySettle(s),
		moneyBalance(s), moneyShowHold(s), moneyShowMandate(s))
}

func moneyOpen(s *session) *cobra.Command {
	return operation{
		use: "open", short: "Open an account of a holder with your bank; the holder signs too",
		example: "  aval money open --as dongjiang --holder huachen --sign dj-li --sign dj-wang --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.AccountOpen{}
			b.party(&op.Holder, "holder", "whose account")
			return op
		},
	}.command(s)
}

func moneyMint(s *session) *cobra.Command {
	return operation{
		use: "mint", short: "Credit a holder with new money of your bank, which thereby owes it",
		example: "  aval money mint --as dongjiang --holder huachen --amount 20,000,000.00 --ref CB-88 --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MoneyMint{}
			b.party(&op.Holder, "holder", "who is credited")
			b.amount(&op.Amount, "amount", "how much")
			b.text(&op.Ref, "ref", "your own reference").optional()
			return op
		},
	}.command(s)
}

func moneyBurn(s *session) *cobra.Command {
	return operation{
		use: "burn", short: "Debit a holder and extinguish as much of your bank's debt; the holder signs too",
		example: "  aval money burn --as dongjiang --holder huachen --amount 5,000.00 --sign dj-li --sign dj-wang --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MoneyBurn{}
			b.party(&op.Holder, "holder", "who is debited")
			b.amount(&op.Amount, "amount", "how much")
			b.text(&op.Ref, "ref", "your own reference").optional()
			return op
		},
	}.command(s)
}

func moneyTransfer(s *session) *cobra.Command {
	return operation{
		use: "transfer", short: "Pay from your account, also to an account with another bank under the two banks' mandate",
		example: "  aval money transfer --as huachen --bank dongjiang --to ruida --to-bank dongjiang --amount 1,000.00 --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MoneyTransfer{}
			b.party(&op.Bank, "bank", "bank you pay from")
			b.party(&op.To, "to", "who is paid")
			b.party(&op.ToBank, "to-bank", "bank of the payee; default: --bank").optional()
			b.amount(&op.Amount, "amount", "how much")
			b.text(&op.Ref, "ref", "your own reference").optional()
			b.then(func(context.Context) error {
				if op.ToBank == "" {
					op.ToBank = op.Bank
				}
				return nil
			})
			return op
		},
	}.command(s)
}

func moneyHold(s *session) *cobra.Command {
	return operation{
		use: "hold", short: "Set money aside for a beneficiary",
		example: "  aval money hold --as huachen --bank dongjiang --beneficiary ruida --amount 500.00 --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MoneyHold{}
			b.party(&op.Bank, "bank", "bank of your account")
			b.party(&op.Beneficiary, "beneficiary", "for whom")
			b.amount(&op.Amount, "amount", "how much")
			b.text(&op.Ref, "ref", "your own reference").optional()
			return op
		},
	}.command(s)
}

func moneyEndHold(s *session) *cobra.Command {
	return operation{
		use: "end-hold", short: "End a hold: give the money back, or pay it with --pay",
		example: "  aval money end-hold 5f3a… --as huachen --pay --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.HoldEnd{}
			b.id(&op.Hold, "HOLD")
			b.yes(&op.Pay, "pay", "pay the beneficiary instead of giving back")
			return op
		},
	}.command(s)
}

func moneyMandate(s *session) *cobra.Command {
	return operation{
		use: "mandate", short: "Let your bank's money be paid into another bank's, up to a cap; the creditor signs too",
		example: "  aval money mandate --as dongjiang --creditor linhai --cap 50,000,000.00 --not-after 2027-12-31 --sign dj-li --sign dj-wang --sign lh-li --sign lh-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MandateGrant{}
			b.party(&op.Creditor, "creditor", "bank that your bank will owe")
			b.amount(&op.Cap, "cap", "how much it may come to")
			b.date(&op.NotAfter, "not-after", "last day")
			return op
		},
	}.command(s)
}

func moneySettle(s *session) *cobra.Command {
	return operation{
		use: "settle", short: "Record that a bank has settled what it owes yours outside the ledger; the debtor signs too",
		example: "  aval money settle --as linhai --debtor dongjiang --amount 1,000,000.00 --sign lh-li --sign lh-wang --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.MandateSettle{}
			b.party(&op.Debtor, "debtor", "bank that has settled")
			b.amount(&op.Amount, "amount", "how much")
			b.text(&op.Ref, "ref", "your own reference").optional()
			return op
		},
	}.command(s)
}

func moneyBalance(s *session) *cobra.Command {
	return listing(s, "balance", "List a party's accounts", "  aval money balance huachen",
		func(ctx context.Context, id ledger.PartyID, n uint64) (*api.List[api.Account], error) {
			return s.client.PartyAccounts(ctx, id, n)
		},
		func(o *output, items []api.Account) {
			var rows [][]string
			for i := range items {
				a := &items[i]
				rows = append(rows, []string{s.partyName(a.Bank), a.Balance.String(), a.Held.String()})
			}
			o.table([]string{"bank", ">balance", ">held"}, rows)
		})
}

var holdReasons = map[ledger.HoldReason]string{
	ledger.HoldByOwner: "set aside by its owner", ledger.HoldFrozen: "paid on a frozen lot",
	ledger.HoldPledged: "paid on a pledged lot, deposited", ledger.HoldUnrouted: "its holder could not be reached",
}

func moneyShowHold(s *session) *cobra.Command {
	return query(s, "show-hold", "Show money set aside", "  aval money show-hold 5f3a…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "HOLD")
		return func(ctx context.Context) error {
			h, err := s.client.Hold(ctx, id)
			if err != nil {
				return err
			}
			var next []string
			for _, claim := range h.Next {
				next = append(next, s.partyName(claim.Controller))
			}
			return s.print(h, func(o *output) {
				o.fields("Hold", h.ID, "Bank", s.partyName(h.Bank), "Owner", s.partyName(h.Owner), "Beneficiary", s.partyName(h.Beneficiary),
					"Controller", s.partyName(h.Controller), "Then", strings.Join(next, ", "), "Amount", h.Amount, "Why", holdReasons[h.Reason], "Reference", h.Ref)
			})
		}
	})
}

func moneyShowMandate(s *session) *cobra.Command {
	return query(s, "show-mandate", "Show what one bank owes another and may owe", "  aval money show-mandate --debtor dongjiang --creditor linhai",
		func(b *binder) func(context.Context) error {
			var debtor, creditor ledger.PartyID
			b.party(&debtor, "debtor", "bank that owes")
			b.party(&creditor, "creditor", "bank that is owed")
			return func(ctx context.Context) error {
				m, err := s.client.Mandate(ctx, debtor, creditor)
				if err != nil {
					return err
				}
				return s.print(m, func(o *output) {
					o.fields("Debtor", s.partyName(m.Debtor), "Creditor", s.partyName(m.Creditor), "Owed", m.Owed, "Cap", m.Cap, "Free", m.Free,
						"Last day", m.NotAfter, "In force", yes(m.Valid))
				})
			}
		})
}
