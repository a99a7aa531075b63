package ledger

import "aval/suite"

// LimitGrant sets the acting bank's (or factor's) limit for Core as a new version: how much of it may stand issued, or financed,
// at any time. What is used stays used, even above a lowered limit.
type LimitGrant struct {
	Core    PartyID      `cbor:"1,keyasint" json:"core"`
	Purpose LimitPurpose `cbor:"2,keyasint" json:"purpose"`
	Amount  Fen          `cbor:"3,keyasint" json:"amount"`
	From    Date         `cbor:"4,keyasint" json:"from"`  // first day of validity
	Until   Date         `cbor:"5,keyasint" json:"until"` // last day of validity
}

// Kind returns KindLimitGrant.
func (*LimitGrant) Kind() Kind { return KindLimitGrant }

// EvidenceRegister records an invoice with the fingerprints of its contract and goods receipt, and opens headroom of its face. Acting:
// the seller or the buyer; the other confirms, by EvidenceConfirm or by using it.
type EvidenceRegister struct {
	Scheme      InvoiceScheme `cbor:"1,keyasint" json:"scheme"`
	Fingerprint suite.Hash    `cbor:"2,keyasint" json:"fingerprint"` // see InvoiceFingerprint
	Twin        suite.Hash    `cbor:"3,keyasint" json:"twin"`        // see InvoiceTwin
	Seller      PartyID       `cbor:"4,keyasint" json:"seller"`
	Buyer       PartyID       `cbor:"5,keyasint" json:"buyer"`
	Face        Fen           `cbor:"6,keyasint" json:"face"`
	Issued      Date          `cbor:"7,keyasint" json:"issued"`
	Contract    suite.Hash    `cbor:"8,keyasint" json:"contract"`
	Receipt     suite.Hash    `cbor:"9,keyasint" json:"receipt"`
}

// Kind returns KindEvidenceRegister.
func (*EvidenceRegister) Kind() Kind { return KindEvidenceRegister }

// EvidenceConfirm confirms an invoice that the other side registered. Acting: its buyer or its seller.
type EvidenceConfirm struct {
	Fingerprint suite.Hash `cbor:"1,keyasint" json:"fingerprint"`
}

// Kind returns KindEvidenceConfirm.
func (*EvidenceConfirm) Kind() Kind { return KindEvidenceConfirm }

// VoucherIssue promises to pay Face on Due to whoever holds the voucher then. Acting: the core enterprise. It reserves the limit that
// Bank granted and the headroom of the invoices in Evidence, whose amounts sum to Face; the payee accepts until AcceptBy.
// Bank is also whose money will pay.
type VoucherIssue struct {
	Payee    PartyID       `cbor:"1,keyasint" json:"payee"`
	Face     Fen           `cbor:"2,keyasint" json:"face"`
	Due      Date          `cbor:"3,keyasint" json:"due"`
	Bank     PartyID       `cbor:"4,keyasint" json:"bank"`
	Evidence []EvidenceUse `cbor:"5,keyasint" json:"evidence"`
	AcceptBy Time          `cbor:"6,keyasint" json:"accept_by"` // ledger time
}

// Kind returns KindVoucherIssue.
func (*VoucherIssue) Kind() Kind { return KindVoucherIssue }

// VoucherAccept makes the acting payee the holder of the whole voucher.
type VoucherAccept struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
}

// Kind returns KindVoucherAccept.
func (*VoucherAccept) Kind() Kind { return KindVoucherAccept }

// VoucherReject declines a voucher and frees what it reserved. Acting: the payee.
type VoucherReject struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Reason  string     `cbor:"2,keyasint" json:"reason"`
}

// Kind returns KindVoucherReject.
func (*VoucherReject) Kind() Kind { return KindVoucherReject }

// VoucherExpire frees what an unaccepted voucher reserved, after its AcceptBy. Acting: the issuer or the payee.
type VoucherExpire struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
}

// Kind returns KindVoucherExpire.
func (*VoucherExpire) Kind() Kind { return KindVoucherExpire }

// VoucherCancel ends an unsplit voucher and frees what it reserved. Acting: the issuer; the holder signs too.
type VoucherCancel struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Reason  string     `cbor:"2,keyasint" json:"reason"`
}

// Kind returns KindVoucherCancel.
func (*VoucherCancel) Kind() Kind { return KindVoucherCancel }

// VoucherOffer cuts the lot that begins at Lot into Parts, in order, whose amounts sum to the lot's; each part with a transferee is
// locked for it until AcceptBy, the others stay with the acting holder.
type VoucherOffer struct {
	Voucher  suite.Hash  `cbor:"1,keyasint" json:"voucher"`
	Lot      Fen         `cbor:"2,keyasint" json:"lot"` // start of the lot
	Parts    []OfferPart `cbor:"3,keyasint" json:"parts"`
	AcceptBy Time        `cbor:"4,keyasint" json:"accept_by"` // ledger time
}

// Kind returns KindVoucherOffer.
func (*VoucherOffer) Kind() Kind { return KindVoucherOffer }

// OfferAccept makes the acting transferee the holder.
type OfferAccept struct {
	Offer suite.Hash `cbor:"1,keyasint" json:"offer"`
}

// Kind returns KindOfferAccept.
func (*OfferAccept) Kind() Kind { return KindOfferAccept }

// OfferReject declines an offer and frees what it reserved. Acting: the transferee.
type OfferReject struct {
	Offer  suite.Hash `cbor:"1,keyasint" json:"offer"`
	Reason string     `cbor:"2,keyasint" json:"reason"`
}

// Kind returns KindOfferReject.
func (*OfferReject) Kind() Kind { return KindOfferReject }

// OfferExpire frees what an unaccepted offer reserved, after its AcceptBy. Acting: the transferor or the transferee.
type OfferExpire struct {
	Offer suite.Hash `cbor:"1,keyasint" json:"offer"`
}

// Kind returns KindOfferExpire.
func (*OfferExpire) Kind() Kind { return KindOfferExpire }

// OfferWithdraw takes back an offer not yet accepted. Acting: the transferor.
type OfferWithdraw struct {
	Offer suite.Hash `cbor:"1,keyasint" json:"offer"`
}

// Kind returns KindOfferWithdraw.
func (*OfferWithdraw) Kind() Kind { return KindOfferWithdraw }

// PledgeCreate pledges the range [From, To) of a free lot to Pledgee, which signs too. Effective once recorded (Civil Code 445).
type PledgeCreate struct {
	Voucher  suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From     Fen        `cbor:"2,keyasint" json:"from"`
	To       Fen        `cbor:"3,keyasint" json:"to"`
	Pledgee  PartyID    `cbor:"4,keyasint" json:"pledgee"`
	Proceeds Proceeds   `cbor:"5,keyasint" json:"proceeds"` // where the money goes at maturity
	Ref      string     `cbor:"6,keyasint" json:"ref"`      // the secured debt
}

// Kind returns KindPledgeCreate.
func (*PledgeCreate) Kind() Kind { return KindPledgeCreate }

// PledgeRecord records the number and time under which the public registry recorded the pledge. Acting: the pledgee.
type PledgeRecord struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Lot     Fen        `cbor:"2,keyasint" json:"lot"` // start of the lot
	Number  string     `cbor:"3,keyasint" json:"number"`
	At      Time       `cbor:"4,keyasint" json:"at"`
}

// Kind returns KindPledgeRecord.
func (*PledgeRecord) Kind() Kind { return KindPledgeRecord }

// PledgeRelease ends a pledge when the debt is discharged. Acting: the pledgee.
type PledgeRelease struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Lot     Fen        `cbor:"2,keyasint" json:"lot"` // start of the lot
}

// Kind returns KindPledgeRelease.
func (*PledgeRelease) Kind() Kind { return KindPledgeRelease }

// LotFreeze blocks the range [From, To) of a voucher by an order whose fingerprint is Order; lots are cut where the range begins and
// ends. Acting: a party with the court role.
type LotFreeze struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From    Fen        `cbor:"2,keyasint" json:"from"`
	To      Fen        `cbor:"3,keyasint" json:"to"`
	Order   suite.Hash `cbor:"4,keyasint" json:"order"`
	Note    string     `cbor:"5,keyasint" json:"note"`
}

// Kind returns KindLotFreeze.
func (*LotFreeze) Kind() Kind { return KindLotFreeze }

// LotUnfreeze lifts Order from the range [From, To). Acting: the party that froze.
type LotUnfreeze struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	From    Fen        `cbor:"2,keyasint" json:"from"`
	To      Fen        `cbor:"3,keyasint" json:"to"`
	Order   suite.Hash `cbor:"4,keyasint" json:"order"`
}

// Kind returns KindLotUnfreeze.
func (*LotUnfreeze) Kind() Kind { return KindLotUnfreeze }

// VoucherFund sets Amount of the acting issuer's money aside to pay this voucher; after the due date it is paid out at the next block.
type VoucherFund struct {
	Voucher suite.Hash `cbor:"1,keyasint" json:"voucher"`
	Amount  Fen        `cbor:"2,keyasint" json:"amount"`
}

// Kind returns KindVoucherFund.
func (*VoucherFund) Kind() Kind { return KindVoucherFund }

// DayFund sets Amount of the acting issuer's money with Bank aside for all its vouchers due on Due, in proportion.
type DayFund struct {
	Bank   PartyID `cbor:"1,keyasint" json:"bank"`
	Due    Date    `cbor:"2,keyasint" json:"due"` // due date as on the vouchers
	Amount Fen     `cbor:"3,keyasint" json:"amount"`
}

// Kind returns KindDayFund.
func (*DayFund) Kind() Kind { return KindDayFund }

// EvidenceUse draws Amount on the headroom of the invoice with this fingerprint.
type EvidenceUse struct {
	Invoice suite.Hash `cbor:"1,keyasint" json:"invoice"`
	Amount  Fen        `cbor:"2,keyasint" json:"amount"`
}

// OfferPart is one part of a lot that is cut. To is empty for a part that stays with the holder, and then the
// other fields are zero. Amounts in Evidence sum to Amount.
type OfferPart struct {
	Amount   Fen           `cbor:"1,keyasint" json:"amount"`
	To       PartyID       `cbor:"2,keyasint" json:"to"`
	Evidence []EvidenceUse `cbor:"3,keyasint" json:"evidence"`
	// Recourse says that the holder may fall back on the transferor if the issuer does not pay.
	Recourse bool `cbor:"4,keyasint" json:"recourse"`
	// Discharge says when the transfer discharges the debt it pays.
	Discharge Discharge `cbor:"5,keyasint" json:"discharge"`
}

// Discharge says when a transfer discharges the underlying debt between transferor and transferee.
type Discharge uint8

// The moments of discharge. Zero stands for a part that is not transferred.
const (
	DischargeAtTransfer Discharge = 1
	DischargeAtPayment  Discharge = 2
)

// Proceeds says where a pledged lot's money goes at maturity.
type Proceeds uint8

// The places.
const (
	// ProceedsPledgee pays the pledgee.
	ProceedsPledgee Proceeds = 1
	// ProceedsDeposit holds the money for the holder until the pledgee releases it.
	ProceedsDeposit Proceeds = 2
)

// LimitPurpose says what a credit limit bounds.
type LimitPurpose uint8

// The purposes.
const (
	// LimitIssue bounds what the core enterprise may have issued and not paid on this bank.
	LimitIssue LimitPurpose = 1
	// LimitFinance bounds what the funder holds, by financing, of this core enterprise's promises.
	LimitFinance LimitPurpose = 2
)
