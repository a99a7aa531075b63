package finance

import (
	"slices"

	"aval/internal/invariant"
	"aval/internal/native/identity"
	"aval/internal/native/money"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
)

// FinanceQuote records the acting funder's bid; a later one replaces its earlier one.
func FinanceQuote(c *vm.Context, op *ledger.FinanceQuote) error {
	if err := identity.RequireRole(c.Journal, c.Acting, funderRoles); err != nil {
		return err
	}
	r, v, err := load(c, op.Request, ledger.RequestOpen)
	if err != nil {
		return err
	}
	if err := checkOpen(c, r, v); err != nil {
		return err
	}
	if err := checkQuote(c, r, v, op); err != nil {
		return err
	}
	if !slices.Contains(r.Quoted, c.Acting) {
		if len(r.Quoted) >= ledger.QuotesMax {
			return ledger.Failf(ledger.CodeLimitExceeded, "finance request %s has %d quotes, the most there may be", r.ID, len(r.Quoted))
		}
		r.Quoted = append(r.Quoted, c.Acting)
		store(c, r)
	}
	vm.Store(c.Journal, ledger.QuoteKey(r.ID, c.Acting), &ledger.Quote{Request: r.ID, Funder: c.Acting, RateBps: op.RateBps,
		Basis: op.Basis, Fee: op.Fee, Recourse: op.Recourse, PayBank: op.PayBank, ValidUntil: op.ValidUntil})
	emit(c, r, "finance.quoted", c.Acting, r.To-r.From)
	return nil
}

// checkQuote verifies who bids, with whose money and on what terms.
func checkQuote(c *vm.Context, r *ledger.Request, v *ledger.Voucher, op *ledger.FinanceQuote) error {
	switch {
	case c.Acting == r.Holder || c.Acting == v.Issuer:
		return ledger.Failf(ledger.CodeNotAddressed, "%s is the holder or the issuer", c.Acting)
	case len(r.Funders) > 0 && !slices.Contains(r.Funders, c.Acting):
		return ledger.Failf(ledger.CodeNotAddressed, "finance request %s is not addressed to %s", r.ID, c.Acting)
	case op.Basis != 360 && op.Basis != 365:
		return ledger.Failf(ledger.CodeArgument, "day-count basis %d is neither 360 nor 365", op.Basis)
	case op.RateBps > ledger.RateBpsMax:
		return ledger.Failf(ledger.CodeArgument, "a rate of %d basis points exceeds %d", op.RateBps, ledger.RateBpsMax)
	case op.Fee >= r.To-r.From:
		return ledger.Failf(ledger.CodeArgument, "a fee of %s leaves nothing of %s", op.Fee, r.To-r.From)
	case op.ValidUntil <= c.Time:
		return ledger.Failf(ledger.CodeQuoteExpired, "valid_until %s is not after now, %s", op.ValidUntil, c.Time)
	case op.ValidUntil > c.Time+ledger.OfferOpenMax:
		return ledger.Failf(ledger.CodeArgument, "valid_until %s is more than %d days ahead", op.ValidUntil, ledger.OfferOpenMax/ledger.Day)
	}
	if err := identity.RequireRole(c.Journal, op.PayBank, ledger.RoleBank); err != nil {
		return err
	}
	if _, ok := money.Account(c.Journal, op.PayBank, c.Acting); !ok && op.PayBank != c.Acting {
		return ledger.Failf(ledger.CodeAccountUnknown, "%s has no account with %s to pay from", c.Acting, op.PayBank)
	}
	return nil
}

// quoteOf returns funder's quote, which exists.
func quoteOf(c *vm.Context, r *ledger.Request, funder ledger.PartyID) *ledger.Quote {
	q, ok := vm.Load[ledger.Quote](c.Journal, ledger.QuoteKey(r.ID, funder))
	invariant.Check(ok, "request %s: the quote of %s is missing", r.ID, funder)
	return &q
}

func checkValid(c *vm.Context, q *ledger.Quote) error {
	if c.Time >= q.ValidUntil {
		return ledger.Failf(ledger.CodeQuoteExpired, "the quote of %s was valid until %s, now is %s", q.Funder, q.ValidUntil, c.Time)
	}
	return nil
}

// FinanceAccept chooses one quote, if it still says what the holder has agreed to. From now on the lock ends with the quote, if that is before the request's own end.
func FinanceAccept(c *vm.Context, op *ledger.FinanceAccept) error {
	r, v, err := load(c, op.Request, ledger.RequestOpen)
	if err != nil {
		return err
	}
	if err := checkHolder(c, r); err != nil {
		return err
	}
	if err := checkOpen(c, r, v); err != nil {
		return err
	}
	if !slices.Contains(r.Quoted, op.Funder) {
		return ledger.Failf(ledger.CodeQuoteUnknown, "finance request %s has no quote of that funder", r.ID)
	}
	q := quoteOf(c, r, op.Funder)
	if err := checkValid(c, q); err != nil {
		return err
	}
	if q.Terms() != op.Terms {
		return ledger.Failf(ledger.CodeTermsMismatch, "the quote of %s is now %d basis points a year of %d days, fee %s, recourse %t, money of %s, until %s; "+
			"that is not what was accepted", q.Funder, q.RateBps, q.Basis, q.Fee, q.Recourse, q.PayBank, q.ValidUntil)
	}
	voucher.ShortenLock(c, v, r, q.ValidUntil)
	r.Status, r.Chosen = ledger.RequestAccepted, op.Funder
	store(c, r)
	emit(c, r, "finance.accepted", r.Chosen, r.To-r.From)
	return nil
}
