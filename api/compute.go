package api

import (
	"strings"

	"aval/ledger"
	"aval/suite"
)

// What a record is at a moment follows from the record and the ledger time alone. These functions say it once, for the
// server, the command line and the console.

// NewMember says whether m may sign at a moment.
func NewMember(m ledger.Member, at AsOf) Member {
	valid := m.RevokedAt == 0 && at.Time >= m.NotBefore && at.Time < m.NotAfter
	return Member{Member: m, CapNames: strings.Split(m.Caps.String(), "+"), Valid: valid}
}

// NewParty names p's roles; keys are its members, overdue what it owes past its days of settlement.
func NewParty(p ledger.Party, keys []ledger.Member, overdue ledger.Fen, at AsOf) Party {
	out := Party{Party: p, AsOf: at, RoleNames: strings.Split(p.Roles.String(), "+"), Keys: make([]Member, len(keys)),
		Overdue: overdue, Barred: overdue > 0}
	for i := range keys {
		out.Keys[i] = NewMember(keys[i], at)
	}
	return out
}

// voucherStates are the names of what a voucher is, where time adds nothing.
var voucherStates = map[ledger.VoucherStatus]string{
	ledger.VoucherOffered: "offered", ledger.VoucherActive: "active", ledger.VoucherRejected: "rejected",
	ledger.VoucherExpired: "expired", ledger.VoucherCancelled: "cancelled", ledger.VoucherPaid: "paid",
}

// NewVoucher says what v is at a moment, with the network's days of grace.
func NewVoucher(v ledger.Voucher, graceDays uint16, at AsOf) Voucher {
	out := Voucher{Voucher: v, AsOf: at, State: voucherStates[v.Status]}
	switch v.Status {
	case ledger.VoucherOffered:
		if out.Lapsed = at.Time >= v.AcceptBy; out.Lapsed {
			out.State = "lapsed"
		}
	case ledger.VoucherActive:
		today := at.Time.Date()
		out.Unpaid = v.Face - v.Paid
		out.Matured = today >= v.Due
		out.Payable = today >= v.Settles
		out.Overdue = today > v.Settles
		out.Defaulted = today > v.Settles+ledger.Date(graceDays)
		switch {
		case out.Defaulted:
			out.State = "defaulted"
		case out.Overdue:
			out.State = "overdue"
		case out.Matured:
			out.State = "matured"
		}
	case ledger.VoucherRejected, ledger.VoucherExpired, ledger.VoucherCancelled, ledger.VoucherPaid: // time adds nothing
	}
	return out
}

// NewLot says what l, a lot of v, is at a moment.
func NewLot(l ledger.Lot, v *ledger.Voucher, at AsOf) Lot {
	today := at.Time.Date()
	out := Lot{Lot: l, AsOf: at, Amount: l.To - l.From, Frozen: len(l.Freezes) > 0, Pledged: l.Pledge != nil,
		Issuer: v.Issuer, Bank: v.Bank, Due: v.Due, Settles: v.Settles, Matured: today >= v.Due}
	if l.State == ledger.LotPaid {
		out.Effective = "paid"
		return out
	}
	out.Overdue = today > v.Settles
	locked := l.State == ledger.LotOffered || l.State == ledger.LotRequested
	out.Lapsed = locked && at.Time >= l.LockUntil
	switch {
	case out.Overdue:
		out.Effective = "overdue"
	case out.Matured:
		out.Effective = "matured"
	case l.State == ledger.LotOffered && !out.Lapsed:
		out.Effective = "offered"
	case l.State == ledger.LotRequested && !out.Lapsed:
		out.Effective = "requested"
	default:
		out.Effective = "held"
	}
	out.Free = out.Effective == "held" && !out.Frozen && !out.Pledged
	return out
}

var offerStates = map[ledger.OfferStatus]string{
	ledger.OfferOpen: "open", ledger.OfferAccepted: "accepted", ledger.OfferRejected: "rejected",
	ledger.OfferExpired: "expired", ledger.OfferWithdrawn: "withdrawn",
}

// NewOffer says what o is at a moment.
func NewOffer(o ledger.Offer, at AsOf) Offer {
	out := Offer{Offer: o, AsOf: at, Amount: o.To - o.From, State: offerStates[o.Status]}
	if out.Lapsed = o.Status == ledger.OfferOpen && at.Time >= o.AcceptBy; out.Lapsed {
		out.State = "lapsed"
	}
	return out
}

var requestStates = map[ledger.RequestStatus]string{
	ledger.RequestOpen: "open", ledger.RequestAccepted: "accepted", ledger.RequestApproved: "approved",
	ledger.RequestRegistered: "registered", ledger.RequestDisbursed: "disbursed",
	ledger.RequestWithdrawn: "withdrawn", ledger.RequestExpired: "expired",
}

// NewRequest says what r is at a moment.
func NewRequest(r ledger.Request, at AsOf) Request {
	out := Request{Request: r, AsOf: at, Amount: r.To - r.From, State: requestStates[r.Status]}
	if out.Lapsed = r.Status <= ledger.RequestRegistered && at.Time >= r.AcceptBy; out.Lapsed {
		out.State = "lapsed"
	}
	return out
}

// NewQuote says what q, a bid for r on a lot of v, would come to at a moment.
func NewQuote(q ledger.Quote, r *ledger.Request, v *ledger.Voucher, at AsOf) Quote {
	out := Quote{Quote: q, Lapsed: at.Time >= q.ValidUntil}
	days := v.Settles - at.Time.Date()
	if out.Lapsed || days <= 0 || r.Status > ledger.RequestRegistered {
		return out
	}
	principal := r.To - r.From
	interest, err := ledger.Interest(principal, q.RateBps, uint32(days), q.Basis)
	if err != nil {
		return out
	}
	net, err := principal.Sub(interest)
	if err == nil {
		net, err = net.Sub(q.Fee)
	}
	if err != nil {
		return out
	}
	out.Days, out.Interest, out.Net = uint32(days), interest, net
	return out
}

// NewInvoice computes an invoice's headroom.
func NewInvoice(i ledger.Invoice, at AsOf) Invoice {
	return Invoice{Invoice: i, AsOf: at, Headroom: floorSub(i.Face, i.Reserved+i.Used)}
}

// NewLimit says what is free of a limit at a moment.
func NewLimit(l ledger.Limit, at AsOf) Limit {
	today := at.Time.Date()
	out := Limit{Limit: l, AsOf: at, Valid: l.From <= today && today <= l.Until}
	if out.Valid {
		out.Free = floorSub(l.Amount, l.Used)
	}
	return out
}

// NewMandate says what is free of a mandate at a moment.
func NewMandate(m ledger.Mandate, at AsOf) Mandate {
	out := Mandate{Mandate: m, AsOf: at, Valid: at.Time.Date() <= m.NotAfter}
	if out.Valid {
		out.Free = floorSub(m.Cap, m.Owed)
	}
	return out
}

// NewProposal decodes p's operations and says what p is at a moment.
func NewProposal(p ledger.Proposal, at AsOf) (Proposal, error) {
	ops, err := NewOperations(p.Ops)
	if err != nil {
		return Proposal{}, err
	}
	out := Proposal{Proposal: p, AsOf: at, Operations: ops}
	switch p.Status {
	case ledger.ProposalExecuted:
		out.State = "executed"
	case ledger.ProposalOpen:
		out.State = "open"
		if out.Lapsed = at.Time >= p.Expires; out.Lapsed {
			out.State = "lapsed"
		}
	case ledger.ProposalWithdrawn:
		out.State = "withdrawn"
	}
	return out, nil
}

// NewBlock names the signers of a certified block; set is the validators of its epoch.
func NewBlock(hash suite.Hash, h ledger.Header, c ledger.Certificate, set ledger.ValidatorSet, receipts []ledger.Receipt) Block {
	out := Block{Hash: hash, Header: h, Certificate: c, Signers: []string{}, Receipts: []BlockReceipt{}}
	for _, v := range c.Votes {
		if int(v.Validator) < len(set) {
			out.Signers = append(out.Signers, set[v.Validator].Name)
		}
	}
	for i := range receipts {
		r := &receipts[i]
		out.Receipts = append(out.Receipts, BlockReceipt{r.Tx, r.Signed, r.Boundary, r.Code, r.Code.String()})
	}
	return out
}

func floorSub(a, b ledger.Fen) ledger.Fen {
	if b >= a {
		return 0
	}
	return a - b
}
