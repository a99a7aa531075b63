package finance

import (
	"aval/internal/native/credit"
	"aval/internal/native/money"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// chosen returns a request in one of the statuses whose chosen funder acts, with its quote still valid.
func chosen(c *vm.Context, id suite.Hash, statuses ...ledger.RequestStatus) (*ledger.Request, *ledger.Voucher, *ledger.Quote, error) {
	r, v, err := load(c, id, statuses...)
	if err != nil {
		return nil, nil, nil, err
	}
	if r.Chosen != c.Acting {
		return nil, nil, nil, ledger.Failf(ledger.CodeNotAddressed, "the holder did not choose %s for finance request %s", c.Acting, r.ID)
	}
	if err := checkOpen(c, r, v); err != nil {
		return nil, nil, nil, err
	}
	q := quoteOf(c, r, r.Chosen)
	return r, v, q, checkValid(c, q)
}

// FinanceApprove fixes the terms. If the funder has granted a limit for the issuer, it is drawn on. That the lot is sold to nobody else
// is certain: the request locks it.
func FinanceApprove(c *vm.Context, op *ledger.FinanceApprove) error {
	r, v, _, err := chosen(c, op.Request, ledger.RequestAccepted)
	if err != nil {
		return err
	}
	if err := voucher.CheckRequestLots(c, v, r); err != nil {
		return err
	}
	if credit.Granted(c.Journal, r.Chosen, v.Issuer, ledger.LimitFinance) {
		if _, err := credit.Use(c, r.Chosen, v.Issuer, ledger.LimitFinance, r.To-r.From); err != nil {
			return err
		}
		r.Limited = true
	}
	r.Status = ledger.RequestApproved
	store(c, r)
	emit(c, r, "finance.approved", r.Chosen, r.To-r.From)
	return nil
}

// FinanceRegister records the public registration of the assignment.
func FinanceRegister(c *vm.Context, op *ledger.FinanceRegister) error {
	r, _, _, err := chosen(c, op.Request, ledger.RequestApproved)
	if err != nil {
		return err
	}
	if err := voucher.CheckRegistration(c, op.Number, op.At); err != nil {
		return err
	}
	r.Status, r.Number, r.At = ledger.RequestRegistered, op.Number, op.At
	store(c, r)
	emit(c, r, "finance.registered", r.Chosen, r.To-r.From)
	return nil
}

// FinanceDisburse pays the price and takes the lot.
func FinanceDisburse(c *vm.Context, op *ledger.FinanceDisburse) error {
	r, v, q, err := chosen(c, op.Request, ledger.RequestAccepted, ledger.RequestApproved, ledger.RequestRegistered)
	if err != nil {
		return err
	}
	if r.Status != ledger.RequestRegistered {
		return ledger.Failf(ledger.CodeNotRegistered, "finance request %s is %s; the registration's number and time come before the money",
			r.ID, statusNames[r.Status])
	}
	if err := voucher.CheckRequestLots(c, v, r); err != nil {
		return err
	}
	if err := price(c, r, v, q); err != nil {
		return err
	}
	if op.Net != r.Net {
		return ledger.Failf(ledger.CodeTermsMismatch, "principal %s at %d basis points over %d/%d days: interest %s, fee %s, net %s, not %s",
			r.To-r.From, q.RateBps, r.Days, q.Basis, r.Interest, q.Fee, r.Net, op.Net)
	}
	bank := money.BankFor(c.Journal, r.Holder, q.PayBank)
	if bank == "" {
		return ledger.Failf(ledger.CodeAccountUnknown, "%s has no account to be paid on", r.Holder)
	}
	if err := money.Pay(c, r.Chosen, q.PayBank, r.Holder, bank, r.Net, r.ID.String()); err != nil {
		return err
	}
	voucher.SellToFunder(c, v, r, q.Recourse)
	return nil
}

// price sets days, interest and net of r as of today.
func price(c *vm.Context, r *ledger.Request, v *ledger.Voucher, q *ledger.Quote) error {
	principal := r.To - r.From
	r.Days = uint32(v.Settles - c.Today()) // positive: the voucher has not matured
	interest, err := ledger.Interest(principal, q.RateBps, r.Days, q.Basis)
	if err != nil {
		return ledger.Failf(ledger.CodeOverflow, "the interest on %s overflows", principal)
	}
	if interest+q.Fee >= principal {
		return ledger.Failf(ledger.CodeTermsMismatch, "interest %s and fee %s leave nothing of %s", interest, q.Fee, principal)
	}
	r.Interest, r.Net = interest, principal-interest-q.Fee
	return nil
}
