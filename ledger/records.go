package ledger

import "aval/suite"

// Party is an organisation: the record under PartyKey.
type Party struct {
	ID       PartyID    `cbor:"1,keyasint" json:"id"`
	Name     string     `cbor:"2,keyasint" json:"name"`
	Scope    Scope      `cbor:"3,keyasint" json:"scope"`
	Roles    Role       `cbor:"4,keyasint" json:"roles"`
	Size     Size       `cbor:"5,keyasint" json:"size"`
	Evidence suite.Hash `cbor:"6,keyasint" json:"evidence"`
	Policies []Policy   `cbor:"7,keyasint" json:"policies"`
	// Members are the keys ever granted and not revoked, in the order of their grants.
	Members []suite.PublicKey `cbor:"8,keyasint" json:"members"`
	// Bank is where the party is paid: the bank of its first account; empty without one.
	Bank  PartyID `cbor:"9,keyasint" json:"bank"`
	Since Time    `cbor:"10,keyasint" json:"since"`
}

// Member is one key of one party: the record under MemberKey. It stays after revocation, so that a key never
// serves two parties.
type Member struct {
	Party     PartyID         `cbor:"1,keyasint" json:"party"`
	Key       suite.PublicKey `cbor:"2,keyasint" json:"key"`
	Caps      Capability      `cbor:"3,keyasint" json:"caps"`
	Person    suite.Hash      `cbor:"4,keyasint" json:"person"`
	Issuer    suite.PublicKey `cbor:"5,keyasint" json:"issuer"`
	NotBefore Time            `cbor:"6,keyasint" json:"not_before"`
	// NotAfter is the earlier of the grant's and the credential's end.
	NotAfter Time `cbor:"7,keyasint" json:"not_after"`
	// RevokedAt is ledger time; 0 while the key stands.
	RevokedAt Time   `cbor:"8,keyasint" json:"revoked_at"`
	Reason    string `cbor:"9,keyasint" json:"reason"`
}

// ScopeRecord is the record under ScopeKey.
type ScopeRecord struct {
	Path      Scope   `cbor:"1,keyasint" json:"path"`
	Authority PartyID `cbor:"2,keyasint" json:"authority"`
}

// Account is one party's claim on one bank: the record under AccountKey. Held is part of what the bank owes, beside
// Balance. Invariant: over all accounts of a bank, the sum of Balance + Held equals Supply.Minted − Supply.Burned.
type Account struct {
	Bank    PartyID `cbor:"1,keyasint" json:"bank"`
	Holder  PartyID `cbor:"2,keyasint" json:"holder"`
	Balance Fen     `cbor:"3,keyasint" json:"balance"`
	Held    Fen     `cbor:"4,keyasint" json:"held"`
}

// Supply is what a bank has minted and burnt in all: the record under SupplyKey.
type Supply struct {
	Bank   PartyID `cbor:"1,keyasint" json:"bank"`
	Minted Fen     `cbor:"2,keyasint" json:"minted"`
	Burned Fen     `cbor:"3,keyasint" json:"burned"`
}

// HoldReason says why money is held.
type HoldReason uint8

// The reasons.
const (
	HoldByOwner  HoldReason = 1 // set aside by its owner (MoneyHold)
	HoldFrozen   HoldReason = 2 // paid on a lot under a court order
	HoldPledged  HoldReason = 3 // paid on a pledged lot whose proceeds are deposited
	HoldUnrouted HoldReason = 4 // the holder could not be reached: no account or no mandate
)

// Hold is money in Owner's account at Bank set aside for Beneficiary: the record under HoldKey.
type Hold struct {
	ID          suite.Hash `cbor:"1,keyasint" json:"id"`
	Bank        PartyID    `cbor:"2,keyasint" json:"bank"`
	Owner       PartyID    `cbor:"3,keyasint" json:"owner"`
	Beneficiary PartyID    `cbor:"4,keyasint" json:"beneficiary"`
	// Controller decides beside or instead of owner and beneficiary, see HoldEnd; empty without one.
	Controller PartyID    `cbor:"5,keyasint" json:"controller"`
	Amount     Fen        `cbor:"6,keyasint" json:"amount"`
	Reason     HoldReason `cbor:"7,keyasint" json:"reason"`
	// Subject is the voucher the money was paid on, if any.
	Subject suite.Hash `cbor:"8,keyasint" json:"subject"`
	Ref     string     `cbor:"9,keyasint" json:"ref"`
	// Next are those whose control follows, in turn, when the present controller lets the money go: the bodies of later orders
	// on the lot, then its pledgee.
	Next []HoldClaim `cbor:"10,keyasint" json:"next"`
}

// HoldClaim is one control over a hold.
type HoldClaim struct {
	Reason     HoldReason `cbor:"1,keyasint" json:"reason"`
	Controller PartyID    `cbor:"2,keyasint" json:"controller"`
}

// Mandate is a standing, capped interbank arrangement: the record under MandateKey. Debtor's money may be paid into
// Creditor's; Owed is what Debtor owes Creditor for it. Invariant: Owed grows only while Owed ≤ Cap.
type Mandate struct {
	Debtor   PartyID `cbor:"1,keyasint" json:"debtor"`
	Creditor PartyID `cbor:"2,keyasint" json:"creditor"`
	Cap      Fen     `cbor:"3,keyasint" json:"cap"`
	Owed     Fen     `cbor:"4,keyasint" json:"owed"`
	NotAfter Date    `cbor:"5,keyasint" json:"not_after"`
}

// Limit is a credit limit in its newest version: the record under LimitKey; each version also stays under
// LimitVersionKey as it was granted.
type Limit struct {
	Grantor PartyID      `cbor:"1,keyasint" json:"grantor"`
	Core    PartyID      `cbor:"2,keyasint" json:"core"`
	Purpose LimitPurpose `cbor:"3,keyasint" json:"purpose"`
	Version uint32       `cbor:"4,keyasint" json:"version"`
	Amount  Fen          `cbor:"5,keyasint" json:"amount"`
	Used    Fen          `cbor:"6,keyasint" json:"used"`
	From    Date         `cbor:"7,keyasint" json:"from"`
	Until   Date         `cbor:"8,keyasint" json:"until"`
}

// Invoice is trade evidence: the record under InvoiceKey. Invariant: Reserved + Used ≤ Face.
type Invoice struct {
	Scheme          InvoiceScheme `cbor:"1,keyasint" json:"scheme"`
	Fingerprint     suite.Hash    `cbor:"2,keyasint" json:"fingerprint"`
	Twin            suite.Hash    `cbor:"3,keyasint" json:"twin"`
	Seller          PartyID       `cbor:"4,keyasint" json:"seller"`
	Buyer           PartyID       `cbor:"5,keyasint" json:"buyer"`
	Face            Fen           `cbor:"6,keyasint" json:"face"`
	Issued          Date          `cbor:"7,keyasint" json:"issued"`
	Contract        suite.Hash    `cbor:"8,keyasint" json:"contract"`
	Receipt         suite.Hash    `cbor:"9,keyasint" json:"receipt"`
	SellerConfirmed bool          `cbor:"10,keyasint" json:"seller_confirmed"`
	BuyerConfirmed  bool          `cbor:"11,keyasint" json:"buyer_confirmed"`
	// Reserved is drawn by offers not yet accepted, Used by accepted ones.
	Reserved Fen  `cbor:"12,keyasint" json:"reserved"`
	Used     Fen  `cbor:"13,keyasint" json:"used"`
	At       Time `cbor:"14,keyasint" json:"at"`
}

// VoucherStatus says how far a voucher has come. What time alone decides (lapsed, due, overdue) is computed.
type VoucherStatus uint8

// The statuses.
const (
	VoucherOffered   VoucherStatus = 1 // issued, not yet accepted
	VoucherActive    VoucherStatus = 2 // accepted; lots live
	VoucherRejected  VoucherStatus = 3
	VoucherExpired   VoucherStatus = 4 // never accepted in time; reservations freed
	VoucherCancelled VoucherStatus = 5
	VoucherPaid      VoucherStatus = 6 // every lot paid
)

// Voucher is a promise to pay: the record under VoucherKey. Its lots form a chain over [0, Face): the lot at 0, then
// the lot that begins where that one ends, and so on, so they can be listed without an index.
type Voucher struct {
	ID     suite.Hash    `cbor:"1,keyasint" json:"id"`
	Issuer PartyID       `cbor:"2,keyasint" json:"issuer"`
	Payee  PartyID       `cbor:"3,keyasint" json:"payee"`
	Face   Fen           `cbor:"4,keyasint" json:"face"`
	Status VoucherStatus `cbor:"5,keyasint" json:"status"`
	Issued Date          `cbor:"6,keyasint" json:"issued"`
	Due    Date          `cbor:"7,keyasint" json:"due"`
	// Settles is the following business day of Due: the day on which it is paid and until which interest runs.
	Settles      Date          `cbor:"8,keyasint" json:"settles"`
	Bank         PartyID       `cbor:"9,keyasint" json:"bank"`
	LimitVersion uint32        `cbor:"10,keyasint" json:"limit_version"`
	Evidence     []EvidenceUse `cbor:"11,keyasint" json:"evidence"`
	AcceptBy     Time          `cbor:"12,keyasint" json:"accept_by"`
	// Lots counts the lots of the chain, Transfers the transfers recorded under TransferKey.
	Lots      uint32 `cbor:"13,keyasint" json:"lots"`
	Transfers uint32 `cbor:"14,keyasint" json:"transfers"`
	// Paid is what lots have been paid; Funded what the issuer has set aside for this voucher and is not yet paid out.
	Paid   Fen   `cbor:"15,keyasint" json:"paid"`
	Funded Fen   `cbor:"16,keyasint" json:"funded"`
	Scope  Scope `cbor:"17,keyasint" json:"scope"`
	// Slot is the voucher's place in its issuer's list.
	Slot uint64 `cbor:"18,keyasint" json:"slot,string"`
	// AcceptedAt is the ledger time of acceptance, 0 before.
	AcceptedAt Time `cbor:"19,keyasint" json:"accepted_at"`
	// Waiting is, while the status is offered, the voucher's place in the payee's list of what waits for it.
	Waiting uint64 `cbor:"20,keyasint" json:"waiting,string"`
	// Queued says that a DueItem of this voucher's own stands in its settlement day's list.
	Queued bool `cbor:"21,keyasint" json:"queued"`
}

// LotState says what a lot is doing.
type LotState uint8

// The states.
const (
	LotHeld      LotState = 1 // free, but for encumbrances
	LotOffered   LotState = 2 // locked by the offer Lock
	LotRequested LotState = 3 // locked by the finance request Lock
	LotPaid      LotState = 4
)

// Lot is the sub-range [From, To) of a voucher with one holder: the record under LotKey.
type Lot struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From    Fen        `cbor:"2,keyasint" json:"from"`
	To      Fen        `cbor:"3,keyasint" json:"to"`
	Holder  PartyID    `cbor:"4,keyasint" json:"holder"`
	State   LotState   `cbor:"5,keyasint" json:"state"`
	// Lock is the offer or request that locks the lot; LockUntil its end in ledger time, after which the lot is free
	// again whether or not anybody has said so.
	Lock      suite.Hash `cbor:"6,keyasint" json:"lock"`
	LockUntil Time       `cbor:"7,keyasint" json:"lock_until"`
	// Pledge is nil without a pledge.
	Pledge *Pledge `cbor:"8,keyasint" json:"pledge"`
	// Freezes are the orders that lie on the lot, oldest first.
	Freezes []suite.Hash `cbor:"9,keyasint" json:"freezes"`
	// Depth counts the transfers since issue.
	Depth uint32 `cbor:"10,keyasint" json:"depth"`
	// Slot is the lot's place in its holder's list.
	Slot uint64 `cbor:"11,keyasint" json:"slot,string"`
	// Since is when Holder became the holder.
	Since Time `cbor:"12,keyasint" json:"since"`
	// Limited says that the lot counts in Holder's limit for the issuer (LimitFinance).
	Limited bool `cbor:"13,keyasint" json:"limited"`
}

// Amount returns To − From.
func (l *Lot) Amount() Fen { return l.To - l.From }

// Pledge is an encumbrance in favour of a creditor.
type Pledge struct {
	Pledgee  PartyID  `cbor:"1,keyasint" json:"pledgee"`
	Proceeds Proceeds `cbor:"2,keyasint" json:"proceeds"`
	Ref      string   `cbor:"3,keyasint" json:"ref"`
	// Number and At are the public registration; the pledge is effective once they are recorded.
	Number string `cbor:"4,keyasint" json:"number"`
	At     Time   `cbor:"5,keyasint" json:"at"`
}

// Order is a court order on a voucher: the record under OrderKey.
type Order struct {
	Voucher     suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Fingerprint suite.Hash `cbor:"2,keyasint" json:"fingerprint"`
	Body        PartyID    `cbor:"3,keyasint" json:"body"`
	Since       Time       `cbor:"4,keyasint" json:"since"`
	Note        string     `cbor:"5,keyasint" json:"note"`
}

// OfferStatus says what became of an offer.
type OfferStatus uint8

// The statuses.
const (
	OfferOpen      OfferStatus = 1
	OfferAccepted  OfferStatus = 2
	OfferRejected  OfferStatus = 3
	OfferExpired   OfferStatus = 4
	OfferWithdrawn OfferStatus = 5
)

// Offer is a transfer of [From, To) that waits for the transferee: the record under OfferKey. Freezes may cut the
// range into several lots while it waits.
type Offer struct {
	ID         suite.Hash    `cbor:"1,keyasint" json:"id"`
	Voucher    suite.Hash    `cbor:"2,keyasint" json:"voucher"`
	From       Fen           `cbor:"3,keyasint" json:"from"`
	To         Fen           `cbor:"4,keyasint" json:"to"`
	Transferor PartyID       `cbor:"5,keyasint" json:"transferor"`
	Transferee PartyID       `cbor:"6,keyasint" json:"transferee"`
	Evidence   []EvidenceUse `cbor:"7,keyasint" json:"evidence"`
	Recourse   bool          `cbor:"8,keyasint" json:"recourse"`
	Discharge  Discharge     `cbor:"9,keyasint" json:"discharge"`
	AcceptBy   Time          `cbor:"10,keyasint" json:"accept_by"`
	Status     OfferStatus   `cbor:"11,keyasint" json:"status"`
	// Slot is the offer's place in the transferee's list of what waits for it.
	Slot uint64 `cbor:"12,keyasint" json:"slot,string"`
}

// TransferCause says by what a range changed hands.
type TransferCause uint8

// The causes.
const (
	TransferIssue   TransferCause = 1
	TransferOffer   TransferCause = 2
	TransferFinance TransferCause = 3
)

// Transfer records that [From, To) changed hands: the record under TransferKey, numbered from 0 per voucher, never
// changed. The path of any fen is the transfers of its voucher whose range contains it.
type Transfer struct {
	Voucher    suite.Hash    `cbor:"1,keyasint" json:"voucher"`
	Number     uint32        `cbor:"2,keyasint" json:"number"`
	From       Fen           `cbor:"3,keyasint" json:"from"`
	To         Fen           `cbor:"4,keyasint" json:"to"`
	Transferor PartyID       `cbor:"5,keyasint" json:"transferor"`
	Transferee PartyID       `cbor:"6,keyasint" json:"transferee"`
	Cause      TransferCause `cbor:"7,keyasint" json:"cause"`
	// Ref is the offer or request.
	Ref       suite.Hash    `cbor:"8,keyasint" json:"ref"`
	Evidence  []EvidenceUse `cbor:"9,keyasint" json:"evidence"`
	Recourse  bool          `cbor:"10,keyasint" json:"recourse"`
	Discharge Discharge     `cbor:"11,keyasint" json:"discharge"`
	// NotifiedAt is the ledger time at which the record was made, which the membership agreement makes the notice to
	// the debtor (Civil Code 546).
	NotifiedAt Time `cbor:"12,keyasint" json:"notified_at"`
}

// RequestStatus says how far a finance request has come.
type RequestStatus uint8

// The statuses.
const (
	RequestOpen       RequestStatus = 1 // quotes may come in
	RequestAccepted   RequestStatus = 2 // the holder has chosen a quote
	RequestApproved   RequestStatus = 3 // the funder has fixed the terms; no way back but expiry
	RequestRegistered RequestStatus = 4 // the public registration is recorded
	RequestDisbursed  RequestStatus = 5
	RequestWithdrawn  RequestStatus = 6
	RequestExpired    RequestStatus = 7
)

// Request is a holder's wish to sell [From, To): the record under RequestKey.
type Request struct {
	ID       suite.Hash    `cbor:"1,keyasint" json:"id"`
	Voucher  suite.Hash    `cbor:"2,keyasint" json:"voucher"`
	From     Fen           `cbor:"3,keyasint" json:"from"`
	To       Fen           `cbor:"4,keyasint" json:"to"`
	Holder   PartyID       `cbor:"5,keyasint" json:"holder"`
	Funders  []PartyID     `cbor:"6,keyasint" json:"funders"`
	AcceptBy Time          `cbor:"7,keyasint" json:"accept_by"`
	Status   RequestStatus `cbor:"8,keyasint" json:"status"`
	// Quoted are the funders that have quoted, in order; each quote is under QuoteKey.
	Quoted []PartyID `cbor:"9,keyasint" json:"quoted"`
	// Chosen is the funder whose quote the holder took.
	Chosen   PartyID `cbor:"10,keyasint" json:"chosen"`
	Number   string  `cbor:"11,keyasint" json:"number"`
	At       Time    `cbor:"12,keyasint" json:"at"`
	Interest Fen     `cbor:"13,keyasint" json:"interest"`
	Net      Fen     `cbor:"14,keyasint" json:"net"`
	Days     uint32  `cbor:"15,keyasint" json:"days"`
	// Slots are the request's places in the lists of what waits for Funders, in their order.
	Slots []uint64 `cbor:"16,keyasint" json:"-"`
	// Limited says that the amount counts in the chosen funder's limit for the issuer (LimitFinance).
	Limited bool `cbor:"17,keyasint" json:"limited"`
}

// Quote is one funder's bid: the record under QuoteKey.
type Quote struct {
	Request    suite.Hash `cbor:"1,keyasint" json:"request"`
	Funder     PartyID    `cbor:"2,keyasint" json:"funder"`
	RateBps    uint32     `cbor:"3,keyasint" json:"rate_bps"`
	Basis      uint16     `cbor:"4,keyasint" json:"basis"`
	Fee        Fen        `cbor:"5,keyasint" json:"fee"`
	Recourse   bool       `cbor:"6,keyasint" json:"recourse"`
	PayBank    PartyID    `cbor:"7,keyasint" json:"pay_bank"`
	ValidUntil Time       `cbor:"8,keyasint" json:"valid_until"`
}

// Terms returns what a holder agrees to by accepting q.
func (q *Quote) Terms() QuoteTerms {
	return QuoteTerms{RateBps: q.RateBps, Basis: q.Basis, Fee: q.Fee, Recourse: q.Recourse, PayBank: q.PayBank, ValidUntil: q.ValidUntil}
}

// LadderDay is what one issuer owes on one day of settlement: the record under LadderKey. Overdue, and the bar that
// follows from it, are computed from the days before today.
type LadderDay struct {
	// Outstanding is the unpaid face, Frozen the part of it under court orders.
	Outstanding Fen `cbor:"1,keyasint" json:"outstanding"`
	Frozen      Fen `cbor:"2,keyasint" json:"frozen"`
}

// DayPool is money set aside for all vouchers of an issuer on one bank and settlement day: the record under
// DayPoolKey. Need is what of them is neither paid nor funded by itself. Invariant: Funds ≤ Need.
type DayPool struct {
	Funds Fen `cbor:"1,keyasint" json:"funds"`
	Need  Fen `cbor:"2,keyasint" json:"need"`
	// Queued says that a DueItem of the pool stands in the day's list. Its work is one pass over the pool's vouchers, which
	// may take several blocks.
	Queued bool `cbor:"3,keyasint" json:"queued"`
	// Next is where the pass stands in the list PoolOf; the pass has begun if Passing.
	Next    uint64 `cbor:"4,keyasint" json:"next,string"`
	Passing bool   `cbor:"5,keyasint" json:"passing"`
	// PassFunds and PassNeed are what is left to share out in this pass, and among how much need.
	PassFunds Fen `cbor:"6,keyasint" json:"pass_funds"`
	PassNeed  Fen `cbor:"7,keyasint" json:"pass_need"`
}

// DueCursor is how far the list of one day's due-date work has been done: the record under DueCursorKey, absent at 0.
type DueCursor struct {
	Next uint64 `cbor:"1,keyasint"`
}

// Days is a sorted list of days without repeats: the records under DueDaysKey and LadderDaysKey.
type Days struct {
	Days []Date `cbor:"1,keyasint" json:"days"`
}

// ProposalStatus says what became of a proposal.
type ProposalStatus uint8

// The statuses.
const (
	ProposalOpen      ProposalStatus = 1
	ProposalExecuted  ProposalStatus = 2
	ProposalWithdrawn ProposalStatus = 3
)

// Proposal is a stored list of operations: the record under ProposalKey.
type Proposal struct {
	ID      suite.Hash     `cbor:"1,keyasint" json:"id"`
	Maker   PartyID        `cbor:"2,keyasint" json:"maker"`
	Ops     []Op           `cbor:"3,keyasint" json:"ops"`
	Parties []PartyID      `cbor:"4,keyasint" json:"parties"`
	Expires Time           `cbor:"5,keyasint" json:"expires"`
	Note    string         `cbor:"6,keyasint" json:"note"`
	Status  ProposalStatus `cbor:"7,keyasint" json:"status"`
	// Approvals are the keys that have approved, in order, without repeats.
	Approvals []suite.PublicKey `cbor:"8,keyasint" json:"approvals"`
}

// ClockRecord is the lab clock: the record under ClockKey.
type ClockRecord struct {
	// Offset is added to wall time, in ms.
	Offset Time `cbor:"1,keyasint" json:"offset"`
	// Target is the ledger time being advanced to; 0 when the clock runs freely.
	Target Time `cbor:"2,keyasint" json:"target"`
}
