package ledger

import "aval/suite"

// FinanceRequest asks Funders (any funder if empty) to buy the range [From, To) of a free lot, which is locked until AcceptBy.
type FinanceRequest struct {
	Voucher  suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From     Fen        `cbor:"2,keyasint" json:"from"`
	To       Fen        `cbor:"3,keyasint" json:"to"`
	Funders  []PartyID  `cbor:"4,keyasint" json:"funders"`
	AcceptBy Time       `cbor:"5,keyasint" json:"accept_by"` // ledger time
}

// Kind returns KindFinanceRequest.
func (*FinanceRequest) Kind() Kind { return KindFinanceRequest }

// FinanceWithdraw takes back a request whose terms are not yet fixed and unlocks the lot. Acting: the holder.
type FinanceWithdraw struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
}

// Kind returns KindFinanceWithdraw.
func (*FinanceWithdraw) Kind() Kind { return KindFinanceWithdraw }

// FinanceQuote bids for a request. Acting: a bank or factor; a later quote of the same funder replaces its earlier one.
type FinanceQuote struct {
	Request    suite.Hash `cbor:"1,keyasint" json:"request"`
	RateBps    uint32     `cbor:"2,keyasint" json:"rate_bps"` // annual, basis points
	Basis      uint16     `cbor:"3,keyasint" json:"basis"`    // 360 or 365
	Fee        Fen        `cbor:"4,keyasint" json:"fee"`      // deducted from the price
	Recourse   bool       `cbor:"5,keyasint" json:"recourse"`
	PayBank    PartyID    `cbor:"6,keyasint" json:"pay_bank"`    // whose money the funder pays with
	ValidUntil Time       `cbor:"7,keyasint" json:"valid_until"` // ledger time
}

// Kind returns KindFinanceQuote.
func (*FinanceQuote) Kind() Kind { return KindFinanceQuote }

// FinanceAccept chooses one quote, by its terms: a funder cannot replace them after the holder has seen them. Acting: the holder.
type FinanceAccept struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
	Funder  PartyID    `cbor:"2,keyasint" json:"funder"`
	Terms   QuoteTerms `cbor:"3,keyasint" json:"terms"` // of Funder's quote, exactly
}

// Kind returns KindFinanceAccept.
func (*FinanceAccept) Kind() Kind { return KindFinanceAccept }

// QuoteTerms are what a funder bids and the holder agrees to.
type QuoteTerms struct {
	RateBps    uint32  `cbor:"1,keyasint" json:"rate_bps"` // annual, basis points
	Basis      uint16  `cbor:"2,keyasint" json:"basis"`    // 360 or 365
	Fee        Fen     `cbor:"3,keyasint" json:"fee"`      // deducted from the price
	Recourse   bool    `cbor:"4,keyasint" json:"recourse"`
	PayBank    PartyID `cbor:"5,keyasint" json:"pay_bank"`
	ValidUntil Time    `cbor:"6,keyasint" json:"valid_until"` // ledger time
}

// FinanceApprove fixes the terms after the funder's limit and duplicate checks. Acting: the chosen funder.
type FinanceApprove struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
}

// Kind returns KindFinanceApprove.
func (*FinanceApprove) Kind() Kind { return KindFinanceApprove }

// FinanceRegister records the number and time of the public movable-asset registration. Acting: the chosen funder.
type FinanceRegister struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
	Number  string     `cbor:"2,keyasint" json:"number"`
	At      Time       `cbor:"3,keyasint" json:"at"`
}

// Kind returns KindFinanceRegister.
func (*FinanceRegister) Kind() Kind { return KindFinanceRegister }

// FinanceDisburse pays Net and takes the lot, both or neither. Acting: the chosen funder. Net must equal principal − interest − fee for the
// actual days from this block's date to the settlement day.
type FinanceDisburse struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
	Net     Fen        `cbor:"2,keyasint" json:"net"`
}

// Kind returns KindFinanceDisburse.
func (*FinanceDisburse) Kind() Kind { return KindFinanceDisburse }

// FinanceExpire unlocks the lot of a request that reached its AcceptBy, or whose chosen quote lapsed. Acting: the holder
// or the chosen funder.
type FinanceExpire struct {
	Request suite.Hash `cbor:"1,keyasint" json:"request"`
}

// Kind returns KindFinanceExpire.
func (*FinanceExpire) Kind() Kind { return KindFinanceExpire }
