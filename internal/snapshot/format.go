package snapshot

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/state"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// Version is that of the format.
const Version = 1

// Bounds of the format.
const (
	// ChunkBytes is the size at which a chunk is closed. It is part of the format: all nodes cut alike.
	ChunkBytes = 1 << 20
	// ChunkBytesMax bounds an encoded chunk: ChunkBytes and the largest thing that may follow.
	ChunkBytesMax = 4 << 20
	// ChunksMax bounds the chunks of a snapshot, ManifestBytesMax its encoded manifest.
	ChunksMax        = codec.ElementsMax
	ManifestBytesMax = 12 << 20
	// heightReceiptsBytesMax bounds the receipts of one height, which are one row of a store.
	heightReceiptsBytesMax = 64 << 20
)

// domainChunk is the domain under which chunks are hashed.
const domainChunk suite.Domain = "snapshot chunk"

// ErrInvalid reports a snapshot that is not what it claims to be: damaged, cut off, or made up.
var ErrInvalid = errors.New("snapshot: not valid")

// ErrNetwork reports a snapshot of another network.
var ErrNetwork = errors.New("snapshot: of another network")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Kind says what a chunk holds.
type Kind uint8

// The kinds. Numbers are appended and never reused.
const (
	KindBlocks   Kind = 1
	KindReceipts Kind = 2
	KindBatches  Kind = 3
	KindState    Kind = 4
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case KindBlocks:
		return "blocks"
	case KindReceipts:
		return "receipts"
	case KindBatches:
		return "batches"
	case KindState:
		return "state"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Manifest says of which height a snapshot is and lists its chunks.
type Manifest struct {
	Version uint8      `cbor:"1,keyasint" json:"version"`
	Suite   suite.ID   `cbor:"2,keyasint" json:"suite"`
	Network suite.Hash `cbor:"3,keyasint" json:"network"`
	// Height is that of the state.
	Height ledger.Height `cbor:"4,keyasint" json:"height"`
	// Header is the header of Height + Lag, which commits to the roots of Height; Certificate is a quorum of votes for it.
	Header      ledger.Header      `cbor:"5,keyasint" json:"header"`
	Certificate ledger.Certificate `cbor:"6,keyasint" json:"certificate"`
	// Leaves is how many leaves the state has, tombstones included.
	Leaves uint64  `cbor:"7,keyasint" json:"leaves,string"`
	Chunks []Chunk `cbor:"8,keyasint" json:"chunks"`
}

// Chunk describes one chunk.
type Chunk struct {
	Kind  Kind       `cbor:"1,keyasint" json:"kind"`
	Bytes uint32     `cbor:"2,keyasint" json:"bytes"`
	Hash  suite.Hash `cbor:"3,keyasint" json:"hash"`
	// From is the place at which leaves begin, zero for other kinds.
	From suite.Hash `cbor:"4,keyasint" json:"from"`
}

// Bytes returns the size of all chunks together.
func (m *Manifest) Bytes() (sum uint64) {
	for i := range m.Chunks {
		sum += uint64(m.Chunks[i].Bytes)
	}
	return sum
}

// Roots returns the roots of the height, as the header commits to them.
func (m *Manifest) Roots() state.Roots {
	return state.Roots{State: m.Header.StateRoot, WriteSet: m.Header.WriteRoot}
}

// DecodeManifest strictly decodes a manifest and checks its form, but no signature; see Verify.
func DecodeManifest(b []byte) (*Manifest, error) {
	if len(b) > ManifestBytesMax {
		return nil, invalid("the manifest has %d bytes", len(b))
	}
	var m Manifest
	if err := codec.Unmarshal(b, &m); err != nil {
		return nil, invalid("manifest: %v", err)
	}
	if m.Version != Version {
		return nil, invalid("version %d is not %d", m.Version, Version)
	}
	if m.Height == 0 || m.Header.Height != m.Height+ledger.Lag {
		return nil, invalid("the header of height %d does not certify height %d", m.Header.Height, m.Height)
	}
	if len(m.Certificate.Votes) > ledger.ValidatorsMax {
		return nil, invalid("%d votes", len(m.Certificate.Votes))
	}
	return &m, m.checkChunks()
}

func (m *Manifest) checkChunks() error {
	var seen [KindState + 1]bool
	last := KindBlocks
	for i := range m.Chunks {
		c := &m.Chunks[i]
		if c.Kind < last || c.Kind > KindState || c.Bytes == 0 || c.Bytes > ChunkBytesMax {
			return invalid("chunk %d of %d bytes, %s after %s", i, c.Bytes, c.Kind, last)
		}
		if first := c.Kind != KindState || !seen[KindState]; first != c.From.IsZero() {
			return invalid("chunk %d begins at %s", i, c.From)
		}
		last, seen[c.Kind] = c.Kind, true
	}
	if !seen[KindBlocks] || !seen[KindState] {
		return invalid("%d chunks lack blocks or state", len(m.Chunks))
	}
	return nil
}

// Verify checks that the manifest is of the genesis' network and its header certified by the network's validators.
func (m *Manifest) Verify(s suite.Suite, g *ledger.Genesis) error {
	network := g.NetworkID(s)
	if m.Network != network || m.Header.Network != network || m.Suite != s.ID() || m.Header.Suite != s.ID() {
		return fmt.Errorf("%w: %s, this is %s", ErrNetwork, m.Network, network)
	}
	if m.Header.Version != ledger.HeaderVersion {
		return invalid("header version %d", m.Header.Version)
	}
	if err := ledger.VerifyCertificate(s, g.Validators, &m.Header, &m.Certificate); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// HashChunk returns the hash by which a manifest names a chunk.
func HashChunk(s suite.Suite, chunk []byte) suite.Hash { return s.Hash(domainChunk, chunk) }

// blocksChunk holds encoded blocks of consecutive heights.
type blocksChunk struct {
	Blocks [][]byte `cbor:"1,keyasint"`
}

// receiptsChunk holds encoded receipts, in order of heights.
type receiptsChunk struct {
	Parts []receiptsPart `cbor:"1,keyasint"`
}

// receiptsPart is some of the receipts of one height, at least one, from an index on. A height without receipts has no part.
type receiptsPart struct {
	Height   ledger.Height `cbor:"1,keyasint"`
	Index    uint32        `cbor:"2,keyasint"`
	Receipts [][]byte      `cbor:"3,keyasint"`
}

// batchesChunk holds encoded batches in the order in which blocks order them.
type batchesChunk struct {
	Batches [][]byte `cbor:"1,keyasint"`
}

// stateChunk holds the leaves of a range, which ends before To; a zero To is the end of the tree.
type stateChunk struct {
	To      suite.Hash    `cbor:"1,keyasint"`
	Entries []state.Entry `cbor:"2,keyasint"`
	Stubs   []merkle.Stub `cbor:"3,keyasint"`
}
