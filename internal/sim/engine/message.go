package engine

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// messageBytesMax bounds a message.
const messageBytesMax = 2 << 20

// domainPrepare is what a prepare is signed under.
const domainPrepare suite.Domain = "reference prepare"

// kind says what a message carries.
type kind uint8

const (
	kindProposal kind = 1
	kindPrepare  kind = 2
	kindVote     kind = 3
	kindStand    kind = 4
)

// Message is one message between validators. Fields that its kind does not use are zero.
type Message struct {
	Kind   kind          `cbor:"1,keyasint"`
	Height ledger.Height `cbor:"2,keyasint"`
	View   uint64        `cbor:"3,keyasint"`
	// Hash is the value of a prepare, the header of a vote.
	Hash suite.Hash      `cbor:"4,keyasint"`
	Sig  suite.Signature `cbor:"5,keyasint"`
	// Block is the encoded block of a proposal, without certificate. Proof shows that its value was prepared in an earlier view.
	Block []byte `cbor:"6,keyasint"`
	Proof *Proof `cbor:"7,keyasint"`
	// Head is the sender's newest block, in a stand.
	Head ledger.Height `cbor:"8,keyasint"`
}

// Proof is a quorum of prepares for one value in one view.
type Proof struct {
	View     uint64        `cbor:"1,keyasint"`
	Prepares []ledger.Vote `cbor:"2,keyasint"`
}

// metadata is what a block carries of its view.
type metadata struct {
	View uint64 `cbor:"1,keyasint"`
}

// prepared is what a prepare signs.
type prepared struct {
	Network suite.Hash    `cbor:"1,keyasint"`
	Height  ledger.Height `cbor:"2,keyasint"`
	View    uint64        `cbor:"3,keyasint"`
	Value   suite.Hash    `cbor:"4,keyasint"`
}

// decode strictly decodes a message.
func decode(b []byte) (*Message, error) {
	if len(b) > messageBytesMax {
		return nil, fmt.Errorf("engine: a message of %d bytes", len(b))
	}
	var m Message
	if err := codec.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Kind < kindProposal || m.Kind > kindStand || m.Proof != nil && len(m.Proof.Prepares) > ledger.ValidatorsMax {
		return nil, errors.New("engine: a message of no known kind, or a proof of too many prepares")
	}
	return &m, nil
}

// ViewOf returns the view that a block was proposed in.
func ViewOf(b *ledger.Block) (uint64, error) {
	var m metadata
	err := codec.Unmarshal(b.Metadata, &m)
	return m.View, err
}

// inView returns a block with the same content, proposed in a view.
func inView(s suite.Suite, b *ledger.Block, view uint64) *ledger.Block {
	out := *b
	out.Metadata = codec.MustMarshal(&metadata{View: view})
	out.Header.Proposal = ledger.ProposalHash(s, out.Metadata, out.Sequence)
	return &out
}

// valueOf returns what a header decides, whatever view it was proposed in.
func valueOf(s suite.Suite, h *ledger.Header) suite.Hash {
	value := *h
	value.Proposal = suite.Hash{}
	return s.Hash(domainPrepare, codec.MustMarshal(&value))
}
