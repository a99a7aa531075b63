package api

import (
	"aval/ledger"
	"aval/suite"
)

// SubmitRequest is the JSON body of a submission. The same bytes may be sent raw as application/cbor.
type SubmitRequest struct {
	// Tx is an encoded ledger.SignedTx.
	Tx []byte `json:"tx" doc:"The signed transaction in deterministic CBOR, in base64" minLength:"1" maxLength:"87384"`
}

// Wait says how far a transaction must have come before a submission is answered.
type Wait string

// The stages. WaitCommitted is the default.
const (
	// WaitNone answers 202 as soon as the transaction is taken in.
	WaitNone Wait = "none"
	// WaitCommitted answers once a quorum has certified the block and it was executed here.
	WaitCommitted Wait = "committed"
	// WaitProven answers once a certified header commits to the receipt, so that its proof can be fetched.
	WaitProven Wait = "proven"
)

// Stage says how far a transaction has come.
type Stage string

// The stages.
const (
	// StagePending is a transaction that was taken in and not yet ordered.
	StagePending Stage = "pending"
	// StageCommitted is a transaction in a certified block that was executed here.
	StageCommitted Stage = "committed"
	// StageProven is a transaction whose receipt a certified header commits to.
	StageProven Stage = "proven"
)

// Outcome is what is known about a transaction. Submitting the same bytes again yields the same receipt.
type Outcome struct {
	ID     suite.Hash `json:"id" doc:"Transaction id, without signatures"`
	Signed suite.Hash `json:"signed" doc:"Hash of the transaction with its signatures"`
	Stage  Stage      `json:"stage" enum:"pending,committed,proven" doc:"How far the transaction has come"`
	// Height is that of the block, 0 while pending.
	Height ledger.Height `json:"height" doc:"Height of the block, 0 while pending" example:"42"`
	// Receipt is nil while pending. A code other than 0 says why nothing took effect.
	Receipt *ledger.Receipt `json:"receipt" doc:"What became of it; null while pending. Code 0 is success"`
	// Proven says that the proof can be fetched.
	Proven bool `json:"proven" doc:"True once a certified header commits to the receipt"`
}

// Operation is one operation with its body decoded.
type Operation struct {
	Kind  ledger.Kind    `json:"kind" doc:"Name of the operation" example:"voucher.issue"`
	Party ledger.PartyID `json:"party" doc:"Party in whose name it is done"`
	Body  any            `json:"body" doc:"What the operation says; its members depend on kind"`
}

// NewOperations decodes the bodies of ops, which must have passed ledger.SignedTx.CheckForm or come from the state.
func NewOperations(ops []ledger.Op) ([]Operation, error) {
	out := make([]Operation, len(ops))
	for i := range ops {
		body, err := ops[i].Decode()
		if err != nil {
			return nil, err
		}
		out[i] = Operation{Kind: ops[i].Kind, Party: ops[i].Party, Body: body}
	}
	return out, nil
}
