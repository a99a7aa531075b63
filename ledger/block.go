package ledger

import (
	"fmt"
	"strconv"

	"aval/codec"
	"aval/merkle"
	"aval/suite"
)

// HeaderVersion is the version of headers of this protocol.
const HeaderVersion = 1

// Height numbers blocks; the genesis state has height 0 and the first block height 1.
type Height uint64

// MarshalText returns h as decimal digits.
func (h Height) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(h), 10), nil }

// UnmarshalText reads decimal digits.
func (h *Height) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 64)
	*h = Height(n)
	return err
}

// Header commits to everything in and behind a block.
type Header struct {
	Version uint8      `cbor:"1,keyasint" json:"version"`
	Suite   suite.ID   `cbor:"2,keyasint" json:"suite"`
	Network suite.Hash `cbor:"3,keyasint" json:"network"`
	Epoch   uint64     `cbor:"4,keyasint" json:"epoch,string"`
	Height  Height     `cbor:"5,keyasint" json:"height"`
	// Previous is the hash of the header before; at height 1 it is the network id.
	Previous suite.Hash `cbor:"6,keyasint" json:"previous"`
	// Wall is the proposer's clock, never behind the header before; Time is Wall plus the offset of the lab clock.
	Wall Time `cbor:"7,keyasint" json:"wall"`
	Time Time `cbor:"8,keyasint" json:"time"`
	// Proposal is the hash of the engine's metadata and verification sequence.
	Proposal suite.Hash `cbor:"9,keyasint" json:"proposal"`
	// PayloadHash is the hash of the exact payload bytes; PayloadRoot the Merkle root over batch digests.
	PayloadHash suite.Hash `cbor:"10,keyasint" json:"payload_hash"`
	PayloadRoot suite.Hash `cbor:"11,keyasint" json:"payload_root"`
	// StateRoot, WriteRoot and ReceiptsRoot are those of Height − Lag; zero below it.
	StateRoot    suite.Hash `cbor:"12,keyasint" json:"state_root"`
	WriteRoot    suite.Hash `cbor:"13,keyasint" json:"write_root"`
	ReceiptsRoot suite.Hash `cbor:"14,keyasint" json:"receipts_root"`
	// Validators hashes the set that certifies this block, NextValidators that of the next.
	Validators     suite.Hash `cbor:"15,keyasint" json:"validators"`
	NextValidators suite.Hash `cbor:"16,keyasint" json:"next_validators"`
}

// Hash returns the block hash.
func (h *Header) Hash(s suite.Suite) suite.Hash { return s.Hash(DomainHeader, codec.MustMarshal(h)) }

// VoteMessage is what a validator signs under DomainVote, and nothing else.
type VoteMessage struct {
	Network suite.Hash `cbor:"1,keyasint"`
	Epoch   uint64     `cbor:"2,keyasint"`
	Header  suite.Hash `cbor:"3,keyasint"`
}

// VoteBytes returns the message that a vote for h signs.
func (h *Header) VoteBytes(s suite.Suite) []byte {
	return codec.MustMarshal(&VoteMessage{Network: h.Network, Epoch: h.Epoch, Header: h.Hash(s)})
}

// Vote is one validator's signature over a VoteMessage.
type Vote struct {
	Validator uint16          `cbor:"1,keyasint" json:"validator"`
	Sig       suite.Signature `cbor:"2,keyasint" json:"sig"`
}

// Certificate proves that a quorum voted for a header. Votes are sorted by validator index. It stands outside the
// block hash: which quorum signed may differ from node to node.
type Certificate struct {
	Votes []Vote `cbor:"1,keyasint" json:"votes"`
}

// Validator is one member of a validator set; its index is its position.
type Validator struct {
	Name string          `cbor:"1,keyasint" json:"name"`
	Key  suite.PublicKey `cbor:"2,keyasint" json:"key"`
}

// ValidatorSet is the validators of one epoch, in index order.
type ValidatorSet []Validator

// Quorum returns ⌈(n+f+1)/2⌉ with f = ⌊(n−1)/3⌋: any two quorums share an honest validator.
func (v ValidatorSet) Quorum() int {
	n := len(v)
	f := v.Faulty()
	return (n + f + 2) / 2
}

// Faulty returns f, the number of validators that may fail or lie: ⌊(n−1)/3⌋.
func (v ValidatorSet) Faulty() int { return (len(v) - 1) / 3 }

// Hash returns the hash that headers carry for v.
func (v ValidatorSet) Hash(s suite.Suite) suite.Hash {
	return s.Hash(DomainValidators, codec.MustMarshal(v))
}

// VerifyCertificate checks that c holds a quorum of valid votes of set for h, sorted, without repeats and without
// any invalid one, and that h names set as its validators.
func VerifyCertificate(s suite.Suite, set ValidatorSet, h *Header, c *Certificate) error {
	if h.Validators != set.Hash(s) {
		return fmt.Errorf("block %d names another validator set", h.Height)
	}
	if len(c.Votes) < set.Quorum() || len(c.Votes) > len(set) {
		return fmt.Errorf("block %d has %d votes, a quorum is %d of %d", h.Height, len(c.Votes), set.Quorum(), len(set))
	}
	msg := h.VoteBytes(s)
	last := -1
	for _, v := range c.Votes {
		if int(v.Validator) <= last || int(v.Validator) >= len(set) {
			return fmt.Errorf("block %d: votes are not sorted, or validator %d does not exist", h.Height, v.Validator)
		}
		last = int(v.Validator)
		if !s.Verify(set[last].Key, DomainVote, msg, v.Sig) {
			return fmt.Errorf("block %d: the vote of validator %d (%s) is not valid", h.Height, last, set[last].Name)
		}
	}
	return nil
}

// Tick asks the engine for a block although there is no transaction, so that roots which stand uncertified become
// certified and time-driven work gets done. A stale tick is legal and does nothing.
type Tick struct {
	Epoch  uint64 `cbor:"1,keyasint"`
	Height Height `cbor:"2,keyasint"`
}

// Entry is one batch in a payload: its digest, and the encoded BatchCertificate that proves that it is available and
// checked. The batch itself travels and is stored apart from blocks.
type Entry struct {
	Digest      suite.Hash `cbor:"1,keyasint"`
	Certificate []byte     `cbor:"2,keyasint"`
}

// Payload is what a block orders.
type Payload struct {
	Entries []Entry `cbor:"1,keyasint"`
	Ticks   []Tick  `cbor:"2,keyasint"`
}

// Block is a header, its payload bytes, the engine's metadata and, once decided, its certificate.
type Block struct {
	Header Header `cbor:"1,keyasint"`
	// Payload is the encoding of a Payload.
	Payload []byte `cbor:"2,keyasint"`
	// Metadata and Sequence are the engine's own; Header.Proposal binds them.
	Metadata    []byte      `cbor:"3,keyasint"`
	Sequence    uint64      `cbor:"4,keyasint"`
	Certificate Certificate `cbor:"5,keyasint"`
}

// ProposalHash binds the engine's metadata and verification sequence into a header.
func ProposalHash(s suite.Suite, metadata []byte, sequence uint64) suite.Hash {
	var be [8]byte
	for i := range be {
		be[i] = byte(sequence >> (56 - 8*i))
	}
	return s.Hash(DomainProposal, metadata, be[:])
}

// DecodePayload strictly decodes a payload of at most PayloadBytesMax bytes and checks its counts.
func DecodePayload(b []byte) (*Payload, error) {
	if len(b) > PayloadBytesMax {
		return nil, fmt.Errorf("the payload has %d bytes, the most is %d", len(b), PayloadBytesMax)
	}
	var p Payload
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if len(p.Entries) > BlockBatchesMax || len(p.Ticks) > BlockTicksMax {
		return nil, fmt.Errorf("a payload has at most %d batches and %d ticks, not %d and %d",
			BlockBatchesMax, BlockTicksMax, len(p.Entries), len(p.Ticks))
	}
	return &p, nil
}

// DecodeBlock strictly decodes a block.
func DecodeBlock(b []byte) (*Block, error) {
	if len(b) > PayloadBytesMax+MetadataBytesMax+64<<10 {
		return nil, fmt.Errorf("the block has %d bytes", len(b))
	}
	var block Block
	if err := codec.Unmarshal(b, &block); err != nil {
		return nil, err
	}
	if len(block.Metadata) > MetadataBytesMax || len(block.Certificate.Votes) > ValidatorsMax {
		return nil, fmt.Errorf("block %d: metadata or certificate over its limit", block.Header.Height)
	}
	return &block, nil
}

// Root returns the Merkle root over the digests of p's batches.
func (p *Payload) Root(s suite.Suite) suite.Hash {
	leaves := make([][]byte, len(p.Entries))
	for i := range p.Entries {
		leaves[i] = p.Entries[i].Digest[:]
	}
	return merkle.Root(s, leaves)
}

// RequestKind says what an ordering request carries.
type RequestKind uint8

// The kinds.
const (
	RequestCertificate RequestKind = 1
	RequestTick        RequestKind = 2
)

// OrderingRequest is what an engine orders: the bytes of a BatchCertificate or of a Tick.
type OrderingRequest struct {
	Kind RequestKind `cbor:"1,keyasint"`
	Body []byte      `cbor:"2,keyasint"`
}

// RequestID identifies an ordering request: the batch digest in hexadecimal, or "tick/", the epoch, "/" and the height.
type RequestID string

// DecodeOrderingRequest strictly decodes an ordering request.
func DecodeOrderingRequest(b []byte) (*OrderingRequest, error) {
	if len(b) > BatchCertificateBytesMax+64 {
		return nil, fmt.Errorf("the ordering request has %d bytes", len(b))
	}
	var r OrderingRequest
	if err := codec.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	if r.Kind != RequestCertificate && r.Kind != RequestTick {
		return nil, fmt.Errorf("ordering request kind %d is unknown", r.Kind)
	}
	return &r, nil
}

// DecodeTick strictly decodes a tick.
func DecodeTick(b []byte) (*Tick, error) {
	var t Tick
	if err := codec.Unmarshal(b, &t); err != nil {
		return nil, err
	}
	return &t, nil
}
