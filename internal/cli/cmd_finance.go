package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/ledger"
	"aval/suite"
)

func newFinanceCmd(s *session) *cobra.Command {
	return group("finance", "Selling a lot to a bank or factor before it is due",
		"  aval finance request 5f3a… --as hengxin --from 3,500,000.00 --amount 2,000,000.00 --accept-by 10d --sign hx-li --sign hx-wang\n  aval finance show 91aa…",
		financeRequest(s), financeWithdraw(s), financeQuote(s), financeAccept(s), financeApprove(s), financeRegister(s),
		financeDisburse(s), financeExpire(s), financeShow(s))
}

func financeRequest(s *session) *cobra.Command {
	return operation{
		use: "request", short: "Ask funders to buy a range of a free lot",
		example: "  aval finance request 5f3a… --as hengxin --from 3,500,000.00 --amount 2,000,000.00 --funder dongjiang --accept-by 10d --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceRequest{Funders: []ledger.PartyID{}}
			b.id(&op.Voucher, "VOUCHER")
			b.stretch(&op.From, &op.To)
			b.each("funder", "funder that is asked; without any, all are", func(_ context.Context, text string) error {
				id, err := s.party(text)
				op.Funders = append(op.Funders, id)
				return err
			}).optional()
			b.moment(&op.AcceptBy, "accept-by", "until when the lot stays locked")
			return op
		},
	}.command(s)
}

func financeWithdraw(s *session) *cobra.Command {
	return operation{
		use: "withdraw", short: "Take back a request whose terms are not yet fixed", example: "  aval finance withdraw 91aa… --as hengxin --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceWithdraw{}
			b.id(&op.Request, "REQUEST")
			return op
		},
	}.command(s)
}

func financeQuote(s *session) *cobra.Command {
	return operation{
		use: "quote", short: "Bid for a request; a later quote replaces your earlier one",
		example: "  aval finance quote 91aa… --as dongjiang --rate 3.20 --pay-bank dongjiang --valid-until 5d --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceQuote{Basis: 360}
			b.id(&op.Request, "REQUEST")
			b.flag("rate", "yearly rate in percent", into(&op.RateBps, parseRate))
			b.flag("basis", "days of a year: 360, the default, or 365", into(&op.Basis, func(text string) (uint16, error) {
				return pick(text, []string{"360", "365"}, []uint16{360, 365})
			})).optional()
			b.amount(&op.Fee, "fee", "fee deducted from the price").optional()
			b.yes(&op.Recourse, "recourse", "you may fall back on the holder if the issuer does not pay")
			b.party(&op.PayBank, "pay-bank", "whose money you pay with")
			b.moment(&op.ValidUntil, "valid-until", "until when the quote holds")
			return op
		},
	}.command(s)
}

func financeAccept(s *session) *cobra.Command {
	return operation{
		use: "accept", short: "Choose one quote", example: "  aval finance accept 91aa… --as hengxin --funder dongjiang --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceAccept{}
			var rate uint32
			b.id(&op.Request, "REQUEST")
			b.party(&op.Funder, "funder", "whose quote")
			given := b.flag("rate", "yearly rate in percent that you agree to; default: that of the quote", into(&rate, parseRate)).optional()
			b.then(func(ctx context.Context) (err error) {
				op.Terms, err = s.termsOf(ctx, op.Request, op.Funder)
				if b.cmd.Flags().Changed(given.name) {
					op.Terms.RateBps = rate // another rate than the quote's is refused
				}
				return err
			})
			return op
		},
	}.command(s)
}

func financeApprove(s *session) *cobra.Command {
	return operation{
		use: "approve", short: "Fix the terms after your limit and duplicate checks", example: "  aval finance approve 91aa… --as dongjiang --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceApprove{}
			b.id(&op.Request, "REQUEST")
			return op
		},
	}.command(s)
}

func financeRegister(s *session) *cobra.Command {
	return operation{
		use: "register", short: "Record the public movable-asset registration",
		example: "  aval finance register 91aa… --as dongjiang --number 0997-2026 --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceRegister{}
			b.id(&op.Request, "REQUEST")
			b.text(&op.Number, "number", "registration number")
			bindPast(b, &op.At, "at", "time of registration, such as 2026-09-15T09:00; default: now")
			return op
		},
	}.command(s)
}

func financeDisburse(s *session) *cobra.Command {
	return operation{
		use: "disburse", short: "Pay the net price and take the lot, both or neither",
		example: "  aval finance disburse 91aa… --as dongjiang --sign dj-li --sign dj-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceDisburse{}
			b.id(&op.Request, "REQUEST")
			net := b.amount(&op.Net, "net", "what is paid; default: what the node computes from your quote for today")
			net.optional()
			b.then(func(ctx context.Context) (err error) {
				if op.Net == 0 {
					op.Net, err = s.netToday(ctx, op.Request)
				}
				return err
			})
			return op
		},
	}.command(s)
}

// termsOf asks a node for the terms that a funder quotes. What is signed binds to them.
func (s *session) termsOf(ctx context.Context, request suite.Hash, funder ledger.PartyID) (ledger.QuoteTerms, error) {
	if _, err := s.connect(); err != nil {
		return ledger.QuoteTerms{}, err
	}
	quotes, err := s.quotes(ctx, request)
	if err != nil {
		return ledger.QuoteTerms{}, err
	}
	for i := range quotes {
		if quotes[i].Funder == funder {
			return quotes[i].Terms(), nil
		}
	}
	return ledger.QuoteTerms{}, fmt.Errorf("request %s has no quote of %s", request, s.partyName(funder))
}

// netToday asks a node what the chosen quote comes to today.
func (s *session) netToday(ctx context.Context, request suite.Hash) (ledger.Fen, error) {
	c, err := s.connect()
	if err != nil {
		return 0, err
	}
	r, err := c.Request(ctx, request)
	if err != nil {
		return 0, err
	}
	quotes, err := s.quotes(ctx, request)
	if err != nil {
		return 0, err
	}
	for i := range quotes {
		if quotes[i].Funder == r.Chosen && quotes[i].Net > 0 {
			return quotes[i].Net, nil
		}
	}
	if r.Chosen == "" {
		return 0, fmt.Errorf("request %s is %s: the holder has chosen no quote, so there is nothing to pay (aval finance show %s)", request, r.State, request)
	}
	return 0, fmt.Errorf("request %s is %s, and the quote of %s says nothing to pay (aval finance show %s)", request, r.State, s.partyName(r.Chosen), request)
}

func (s *session) quotes(ctx context.Context, request suite.Hash) ([]api.Quote, error) {
	return client.All(ctx, func(ctx context.Context, n uint64) (*api.List[api.Quote], error) {
		return s.client.RequestQuotes(ctx, request, n)
	})
}

func financeExpire(s *session) *cobra.Command {
	return operation{
		use: "expire", short: "Unlock the lot of a request whose time, or whose chosen quote, is over",
		example: "  aval finance expire 91aa… --as hengxin --sign hx-li --sign hx-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.FinanceExpire{}
			b.id(&op.Request, "REQUEST")
			return op
		},
	}.command(s)
}

func financeShow(s *session) *cobra.Command {
	return query(s, "show", "Show a request and its quotes side by side", "  aval finance show 91aa…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "REQUEST")
		return func(ctx context.Context) error {
			r, err := s.client.Request(ctx, id)
			if err != nil {
				return err
			}
			quotes, err := s.quotes(ctx, id)
			if err != nil {
				return err
			}
			return s.print(struct {
				*api.Request
				Quotes []api.Quote `json:"quotes"`
			}{r, quotes}, func(o *output) { s.showRequest(o, r, quotes) })
		}
	})
}

func (s *session) showRequest(o *output, r *api.Request, quotes []api.Quote) {
	asked := []string{}
	for _, id := range r.Funders {
		asked = append(asked, s.partyName(id))
	}
	if len(asked) == 0 {
		asked = append(asked, "every funder")
	}
	days, interest, net := "", "", ""
	if r.Net > 0 {
		days, interest, net = strconv.Itoa(int(r.Days)), r.Interest.String(), r.Net.String()
	}
	o.fields("Request", r.ID, "State", r.State, "Voucher", r.Voucher, "Range", span(r.From, r.To), "Amount", r.Amount,
		"Holder", s.partyName(r.Holder), "Asked", strings.Join(asked, ", "), "Until", when(r.AcceptBy), "Chosen", s.partyName(r.Chosen),
		"Registered", r.Number, "Days", days, "Interest", interest, "Net", net)
	o.line("")
	if len(quotes) == 0 {
		o.line("No quotes yet")
		return
	}
	var rows [][]string
	for i := range quotes {
		q := &quotes[i]
		days, interest, net := "–", "–", "–" // of a quote by which nothing can be disbursed any more
		if q.Net > 0 {
			days, interest, net = strconv.Itoa(int(q.Days)), q.Interest.String(), q.Net.String()
		}
		rows = append(rows, []string{s.partyName(q.Funder), percent(q.RateBps), strconv.Itoa(int(q.Basis)), q.Fee.String(),
			days, interest, net, when(q.ValidUntil), words(q.Recourse, "recourse", q.Lapsed, "lapsed")})
	}
	o.table([]string{"funder", ">rate", ">basis", ">fee", ">days", ">interest", ">net today", "valid until", "terms"}, rows)
}
