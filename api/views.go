package api

import (
	"aval/ledger"
	"aval/suite"
)

// AsOf says of which state an answer speaks: the newest executed block.
type AsOf struct {
	Height ledger.Height `json:"height" doc:"Height of the newest executed block" example:"42"`
	Time   ledger.Time   `json:"time" doc:"Ledger time of that block, ms since 1970"`
}

// List is one page of a list.
type List[T any] struct {
	AsOf  AsOf   `json:"as_of"`
	Items []T    `json:"items" nullable:"false"`
	Page  uint64 `json:"page,string" doc:"Number of this page, from 0"`
	Count uint64 `json:"count,string" doc:"Number of items on all pages"`
}

// Pages returns how many pages the list has.
func (l *List[T]) Pages() uint64 { return (l.Count + PageSize - 1) / PageSize }

// Party is an organisation.
type Party struct {
	ledger.Party
	AsOf      AsOf     `json:"as_of"`
	RoleNames []string `json:"role_names" doc:"The roles in words"`
	// Keys are the party's members that are not revoked, in the order of their grants.
	Keys []Member `json:"keys" nullable:"false"`
	// Barred says that something of this issuer is unpaid past its day of settlement.
	Barred bool `json:"barred" doc:"True if the party may not issue: something it owes is overdue"`
	// Overdue is what the issuer owes past its day of settlement, frozen ranges aside.
	Overdue ledger.Fen `json:"overdue" doc:"What the party owes past its day of settlement, in fen"`
}

// Member is one key of a party.
type Member struct {
	ledger.Member
	CapNames []string `json:"cap_names" doc:"The capabilities in words"`
	Valid    bool     `json:"valid" doc:"True if the key may sign now"`
}

// Voucher is a promise to pay.
type Voucher struct {
	ledger.Voucher
	AsOf AsOf `json:"as_of"`
	// State is what the voucher is at AsOf: see VoucherStates.
	State string `json:"state" enum:"offered,lapsed,active,matured,overdue,defaulted,paid,rejected,expired,cancelled"`
	// Unpaid is what is still owed on an accepted voucher.
	Unpaid    ledger.Fen `json:"unpaid" doc:"What is still owed, in fen"`
	Lapsed    bool       `json:"lapsed" doc:"Offered, and the time to accept is over"`
	Matured   bool       `json:"matured" doc:"The due date has come"`
	Payable   bool       `json:"payable" doc:"The day of settlement has come and something is unpaid"`
	Overdue   bool       `json:"overdue" doc:"The day of settlement is over and something is unpaid"`
	Defaulted bool       `json:"defaulted" doc:"Overdue beyond the days of grace"`
}

// Lot is a range of a voucher with one holder.
type Lot struct {
	ledger.Lot
	AsOf   AsOf       `json:"as_of"`
	Amount ledger.Fen `json:"amount" doc:"To − From, in fen"`
	// Effective is what the lot is at AsOf: a lock that has lapsed counts no more.
	Effective string `json:"effective" enum:"held,offered,requested,matured,overdue,paid"`
	Lapsed    bool   `json:"lapsed" doc:"The lock's time is over"`
	Frozen    bool   `json:"frozen" doc:"A court order lies on the lot"`
	Pledged   bool   `json:"pledged" doc:"The lot is pledged"`
	Free      bool   `json:"free" doc:"The holder may offer, finance or pledge the lot"`
	Matured   bool   `json:"matured" doc:"The due date has come"`
	Overdue   bool   `json:"overdue" doc:"The day of settlement is over and the lot is unpaid"`
	// Issuer, Bank, Due and Settles are those of the voucher.
	Issuer  ledger.PartyID `json:"issuer" doc:"Who owes"`
	Bank    ledger.PartyID `json:"bank" doc:"Whose money pays"`
	Due     ledger.Date    `json:"due" doc:"Due date"`
	Settles ledger.Date    `json:"settles" doc:"Day of settlement"`
}

// Offer is a transfer that waits, or waited, for the transferee.
type Offer struct {
	ledger.Offer
	AsOf   AsOf       `json:"as_of"`
	Amount ledger.Fen `json:"amount" doc:"To − From, in fen"`
	State  string     `json:"state" enum:"open,lapsed,accepted,rejected,expired,withdrawn"`
	Lapsed bool       `json:"lapsed" doc:"Open, and the time to accept is over"`
}

// Request is a holder's wish to sell a lot.
type Request struct {
	ledger.Request
	AsOf   AsOf       `json:"as_of"`
	Amount ledger.Fen `json:"amount" doc:"To − From, in fen"`
	State  string     `json:"state" enum:"open,lapsed,accepted,approved,registered,disbursed,withdrawn,expired"`
	Lapsed bool       `json:"lapsed" doc:"Undecided, and its time is over"`
}

// Quote is one funder's bid, with what it would pay today.
type Quote struct {
	ledger.Quote
	Lapsed bool `json:"lapsed" doc:"The quote is no longer valid"`
	// Days, Interest and Net are what a disbursement at AsOf would come to; zero once nothing can be disbursed.
	Days     uint32     `json:"days" doc:"Days from today to the day of settlement"`
	Interest ledger.Fen `json:"interest" doc:"Interest for these days, in fen"`
	Net      ledger.Fen `json:"net" doc:"What the holder would receive, in fen"`
}

// Transfer is one change of hands.
type Transfer struct {
	ledger.Transfer
	Amount ledger.Fen `json:"amount" doc:"To − From, in fen"`
}

// Incoming is something that waits for a party's answer. One of the pointers is set, by Kind.
type Incoming struct {
	Kind    string     `json:"kind" enum:"voucher,offer,request"`
	ID      suite.Hash `json:"id"`
	Voucher *Voucher   `json:"voucher,omitempty"`
	Offer   *Offer     `json:"offer,omitempty"`
	Request *Request   `json:"request,omitempty"`
}

// Invoice is trade evidence.
type Invoice struct {
	ledger.Invoice
	AsOf AsOf `json:"as_of"`
	// Headroom is Face − Reserved − Used.
	Headroom ledger.Fen `json:"headroom" doc:"What may still be drawn on the invoice, in fen"`
}

// Limit is a credit limit in its newest version.
type Limit struct {
	ledger.Limit
	AsOf AsOf `json:"as_of"`
	// Free is Amount − Used, 0 if more is used or the limit is not in force.
	Free  ledger.Fen `json:"free" doc:"What may still be used, in fen"`
	Valid bool       `json:"valid" doc:"In force on the ledger's date"`
}

// Hold is money set aside.
type Hold struct {
	ledger.Hold
	AsOf AsOf `json:"as_of"`
}

// Mandate is a standing interbank arrangement.
type Mandate struct {
	ledger.Mandate
	AsOf AsOf `json:"as_of"`
	// Free is Cap − Owed, 0 if more is owed or the mandate has ended.
	Free  ledger.Fen `json:"free" doc:"What may still be paid under it, in fen"`
	Valid bool       `json:"valid" doc:"In force on the ledger's date"`
}

// Account is a party's claim on a bank.
type Account struct {
	ledger.Account
	AsOf AsOf `json:"as_of"`
}

// Proposal is a stored list of operations.
type Proposal struct {
	ledger.Proposal
	AsOf AsOf `json:"as_of"`
	// Operations are those of the record with their bodies decoded.
	Operations []Operation `json:"operations" nullable:"false"`
	State      string      `json:"state" enum:"open,lapsed,executed,withdrawn"`
	Lapsed     bool        `json:"lapsed" doc:"Open, and its time is over"`
}
