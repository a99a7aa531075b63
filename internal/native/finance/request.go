package finance

import (
	"aval/internal/native/identity"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// funderRoles are those of who may buy.
const funderRoles = ledger.RoleBank | ledger.RoleFactor

// FinanceRequest locks a range of a free lot of the acting holder and asks funders for quotes.
func FinanceRequest(c *vm.Context, op *ledger.FinanceRequest) error {
	v, err := voucher.LoadActive(c, op.Voucher)
	if err != nil {
		return err
	}
	if err := checkFunders(c, v, op.Funders); err != nil {
		return err
	}
	r := ledger.Request{ID: c.NewID(0), Voucher: v.ID, From: op.From, To: op.To, Holder: c.Acting, Funders: op.Funders,
		AcceptBy: op.AcceptBy, Status: ledger.RequestOpen}
	if err := voucher.LockForRequest(c, v, &r); err != nil {
		return err
	}
	emit(c, &r, "finance.requested", "", op.To-op.From)
	return nil
}

func checkFunders(c *vm.Context, v *ledger.Voucher, funders []ledger.PartyID) error {
	if len(funders) > ledger.FundersMax {
		return ledger.Failf(ledger.CodeArgument, "a request addresses at most %d funders, not %d", ledger.FundersMax, len(funders))
	}
	seen := make(map[ledger.PartyID]bool, len(funders))
	for _, f := range funders {
		if err := identity.RequireRole(c.Journal, f, funderRoles); err != nil {
			return err
		}
		if seen[f] || f == c.Acting || f == v.Issuer {
			return ledger.Failf(ledger.CodeArgument, "%s is named twice, or is the holder or the issuer", f)
		}
		seen[f] = true
	}
	return nil
}

// load returns a request and its voucher. The request must stand in one of the statuses.
func load(c *vm.Context, id suite.Hash, statuses ...ledger.RequestStatus) (*ledger.Request, *ledger.Voucher, error) {
	r, ok := vm.Load[ledger.Request](c.Journal, ledger.RequestKey(id))
	if !ok {
		return nil, nil, ledger.Failf(ledger.CodeRequestUnknown, "finance request %s does not exist", id)
	}
	v, err := voucher.Load(c, r.Voucher)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range statuses {
		if r.Status == s {
			return &r, v, nil
		}
	}
	return nil, nil, ledger.Failf(ledger.CodeRequestState, "this cannot be done with finance request %s: it is %s", id, statusNames[r.Status])
}

var statusNames = map[ledger.RequestStatus]string{
	ledger.RequestOpen: "open for quotes", ledger.RequestAccepted: "waiting for the funder's approval",
	ledger.RequestApproved: "waiting for its registration", ledger.RequestRegistered: "registered",
	ledger.RequestDisbursed: "disbursed", ledger.RequestWithdrawn: "withdrawn", ledger.RequestExpired: "expired",
}

// checkOpen returns a *ledger.Failure unless the request has neither lapsed by time nor matured.
func checkOpen(c *vm.Context, r *ledger.Request, v *ledger.Voucher) error {
	if c.Today() >= v.Settles {
		return ledger.Failf(ledger.CodeMatured, "voucher %s was to be paid on %s", v.ID, v.Settles)
	}
	if c.Time >= r.AcceptBy {
		return ledger.Failf(ledger.CodeOfferExpired, "finance request %s was open until %s, now is %s", r.ID, r.AcceptBy, c.Time)
	}
	return nil
}

// FinanceWithdraw takes a request back before the funder has approved it.
func FinanceWithdraw(c *vm.Context, op *ledger.FinanceWithdraw) error {
	r, v, err := load(c, op.Request, ledger.RequestOpen, ledger.RequestAccepted)
	if err != nil {
		return err
	}
	if err := checkHolder(c, r); err != nil {
		return err
	}
	voucher.EndRequest(c, v, r, ledger.RequestWithdrawn)
	return nil
}

// FinanceExpire ends a request that reached its AcceptBy, or whose chosen quote has lapsed. The chosen funder may do so too, whose
// limit the request would otherwise hold for as long as the holder likes.
func FinanceExpire(c *vm.Context, op *ledger.FinanceExpire) error {
	r, v, err := load(c, op.Request, ledger.RequestOpen, ledger.RequestAccepted, ledger.RequestApproved, ledger.RequestRegistered)
	if err != nil {
		return err
	}
	if c.Acting != r.Chosen {
		if err := checkHolder(c, r); err != nil {
			return err
		}
	}
	end := r.AcceptBy
	if r.Status != ledger.RequestOpen {
		end = min(end, quoteOf(c, r, r.Chosen).ValidUntil)
	}
	if c.Time < end {
		return ledger.Failf(ledger.CodeOfferOpen, "finance request %s is open until %s, now is %s", r.ID, end, c.Time)
	}
	voucher.EndRequest(c, v, r, ledger.RequestExpired)
	return nil
}

func checkHolder(c *vm.Context, r *ledger.Request) error {
	if r.Holder != c.Acting {
		return ledger.Failf(ledger.CodeNotHolder, "finance request %s was made by %s", r.ID, r.Holder)
	}
	return nil
}

func emit(c *vm.Context, r *ledger.Request, kind string, funder ledger.PartyID, amount ledger.Fen) {
	c.Emit(ledger.Event{Kind: kind, Subject: r.Voucher, Ref: r.ID, Party: r.Holder, Counterparty: funder,
		From: r.From, To: r.To, Amount: amount})
}

func store(c *vm.Context, r *ledger.Request) { vm.Store(c.Journal, ledger.RequestKey(r.ID), r) }
