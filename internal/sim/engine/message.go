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

// What prepares and commits are signed under.
const (
	domainPrepare suite.Domain = "reference prepare"
	domainCommit  suite.Domain = "reference commit"
)

// kind says what a message carries.
type kind uint8

const (
	kindProposal kind = 1
	kindPrepare  kind = 2
	kindCommit   kind = 3
	kindVote     kind = 4
	kindStand    kind = 5
)

// Message is one message between validators. Fields that its kind does not use are zero.
type Message struct {
	Kind   kind          `cbor:"1,keyasint"`
	Height ledger.Height `cbor:"2,keyasint"`
	View   uint64        `cbor:"3,keyasint"`
	// Hash is the header that is prepared, committed to or voted for.
	Hash suite.Hash      `cbor:"4,keyasint"`
	Sig  suite.Signature `cbor:"5,keyasint"`
	// Block is the encoded block of a proposal or vote, without certificate. Proof shows, with a proposal, that it was prepared in an
	// earlier view, with a vote that it is decided.
	Block []byte `cbor:"6,keyasint"`
	Proof *Proof `cbor:"7,keyasint"`
	// Head is the sender's newest block, in a stand.
	Head ledger.Height `cbor:"8,keyasint"`
}

// Proof is a quorum of prepares, or of commits, for one header in one view.
type Proof struct {
	View uint64        `cbor:"1,keyasint"`
	Sigs []ledger.Vote `cbor:"2,keyasint"`
}

// metadata is what a block carries of its view.
type metadata struct {
	View uint64 `cbor:"1,keyasint"`
}

// said is what prepares and commits sign.
type said struct {
	Network suite.Hash    `cbor:"1,keyasint"`
	Height  ledger.Height `cbor:"2,keyasint"`
	View    uint64        `cbor:"3,keyasint"`
	Header  suite.Hash    `cbor:"4,keyasint"`
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
	if m.Kind < kindProposal || m.Kind > kindStand || m.Proof != nil && len(m.Proof.Sigs) > ledger.ValidatorsMax {
		return nil, errors.New("engine: a message of no known kind, or a proof of too many signatures")
	}
	return &m, nil
}

// ViewOf returns the view that a block was proposed in.
func ViewOf(b *ledger.Block) (uint64, error) {
	var m metadata
	err := codec.Unmarshal(b.Metadata, &m)
	return m.View, err
}

// Resign returns a prepare, commit or vote like m, signed by signer, for other instead if that is not nil: what liars send.
func Resign(s suite.Suite, network suite.Hash, signer suite.Signer, m *Message, other *ledger.Block) (*Message, error) {
	out := *m
	if other != nil {
		out.Hash = other.Header.Hash(s)
	}
	message := codec.MustMarshal(&said{Network: network, Height: m.Height, View: m.View, Header: out.Hash})
	var err error
	switch m.Kind {
	case kindPrepare:
		out.Sig, err = signer.Sign(domainPrepare, message)
	case kindCommit:
		out.Sig, err = signer.Sign(domainCommit, message)
	case kindVote:
		out.Sig, err = signer.Sign(ledger.DomainVote, codec.MustMarshal(&ledger.VoteMessage{Network: network, Header: out.Hash}))
	case kindProposal, kindStand:
		err = errors.New("engine: this kind of message is not signed")
	}
	return &out, err
}
