package ledger

import "aval/suite"

// ProposalCreate stores operations that run once enough keys have approved. Parties are those whose members may approve: all acting
// parties and those that must sign besides. The creator's signatures count as approvals. It reserves nothing.
type ProposalCreate struct {
	Ops     []Op      `cbor:"1,keyasint" json:"ops"`
	Parties []PartyID `cbor:"2,keyasint" json:"parties"`
	Expires Time      `cbor:"3,keyasint" json:"expires"` // ledger time
	Note    string    `cbor:"4,keyasint" json:"note"`
}

// Kind returns KindProposalCreate.
func (*ProposalCreate) Kind() Kind { return KindProposalCreate }

// ProposalApprove adds the signing keys of the acting party as approvals; the last one needed executes the operations.
type ProposalApprove struct {
	Proposal suite.Hash `cbor:"1,keyasint" json:"proposal"`
}

// Kind returns KindProposalApprove.
func (*ProposalApprove) Kind() Kind { return KindProposalApprove }

// ProposalWithdraw ends a proposal. Acting: the party that made it.
type ProposalWithdraw struct {
	Proposal suite.Hash `cbor:"1,keyasint" json:"proposal"`
}

// Kind returns KindProposalWithdraw.
func (*ProposalWithdraw) Kind() Kind { return KindProposalWithdraw }
