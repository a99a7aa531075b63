package ledger

import (
	"fmt"

	"aval/suite"
)

// Failure is an operation or transaction that was refused: a stable number and a message that names the rule or
// precondition and says what to do.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error returns the code's name and the message.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s (%d): %s", f.Code, uint16(f.Code), f.Message)
}

// Failf makes a *Failure.
func Failf(code Code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Receipt says what became of one transaction, or of the due-date work at a block boundary (Boundary).
type Receipt struct {
	Height Height `cbor:"1,keyasint" json:"height"`
	// Index is the receipt's position in its block.
	Index uint32 `cbor:"2,keyasint" json:"index"`
	// Tx is the transaction's id and Signed the hash that includes its signatures; both zero for boundary work.
	Tx       suite.Hash `cbor:"3,keyasint" json:"tx"`
	Signed   suite.Hash `cbor:"4,keyasint" json:"signed"`
	Boundary bool       `cbor:"5,keyasint" json:"boundary"`
	// Code is CodeOK if every operation took effect; otherwise none did.
	Code    Code   `cbor:"6,keyasint" json:"code"`
	Message string `cbor:"7,keyasint" json:"message"`
	// FailedOp is the index of the operation that failed, or −1.
	FailedOp int32 `cbor:"8,keyasint" json:"failed_op"`
	// Final says that the id is spent: no other attempt under this id can ever take effect. An attempt whose
	// policies were not met is not final and is found by Signed only.
	Final  bool    `cbor:"9,keyasint" json:"final"`
	Events []Event `cbor:"10,keyasint" json:"events"`
	// Rules are the rules that were applied, in order.
	Rules []RuleRef `cbor:"11,keyasint" json:"rules"`
	// Time is the ledger time of the block.
	Time Time `cbor:"12,keyasint" json:"time"`
}

// RuleRef cites one version of one rule of one scope.
type RuleRef struct {
	Rule    string `cbor:"1,keyasint" json:"rule"`
	Version uint32 `cbor:"2,keyasint" json:"version"`
	Scope   Scope  `cbor:"3,keyasint" json:"scope"`
}

// Event is one thing that happened, for projections, inboxes and alerts. Unused fields are zero.
type Event struct {
	// Kind is a dotted name such as "voucher.issued".
	Kind string `cbor:"1,keyasint" json:"kind"`
	// Subject is the id of the voucher, or of the account's or proposal's own; Ref a second id (offer, request, hold).
	Subject suite.Hash `cbor:"2,keyasint" json:"subject"`
	Ref     suite.Hash `cbor:"3,keyasint" json:"ref"`
	// Party acted or paid; Counterparty received.
	Party        PartyID `cbor:"4,keyasint" json:"party"`
	Counterparty PartyID `cbor:"5,keyasint" json:"counterparty"`
	// Bank is whose money moved.
	Bank PartyID `cbor:"6,keyasint" json:"bank"`
	// From and To are the range of fen of a lot.
	From   Fen    `cbor:"7,keyasint" json:"from"`
	To     Fen    `cbor:"8,keyasint" json:"to"`
	Amount Fen    `cbor:"9,keyasint" json:"amount"`
	Note   string `cbor:"10,keyasint" json:"note"`
}
