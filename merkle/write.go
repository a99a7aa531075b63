package merkle

import (
	"fmt"

	"aval/codec"
	"aval/suite"
)

// WriteProof shows what one block wrote to one key, under the block's write-set root. The height is the block's and
// given by whoever knows the root.
type WriteProof struct {
	// Version is 1.
	Version uint8 `cbor:"1,keyasint" json:"version"`
	// Previous is the height of the leaf that the write replaced, HeightNone if there was none.
	Previous uint64 `cbor:"2,keyasint" json:"previous,string"`
	// Deleted says that the key was deleted; Value is then empty.
	Deleted bool   `cbor:"3,keyasint" json:"deleted"`
	Value   []byte `cbor:"4,keyasint" json:"value"`
	// List places the leaf among the block's writes, which are sorted by hashed key.
	List Proof `cbor:"5,keyasint" json:"list"`
}

// Write is what a WriteProof shows.
type Write struct {
	// Value is what was written, nil for a deletion.
	Value   []byte
	Deleted bool
	// Previous is the height of the leaf that the write replaced, HeightNone if there was none.
	Previous uint64
}

// DecodeWriteProof decodes b strictly and checks the proof's form.
func DecodeWriteProof(b []byte) (*WriteProof, error) {
	if len(b) > WriteProofBytesMax {
		return nil, fmt.Errorf("%w: a write proof has at most %d bytes, not %d", ErrMalformed, WriteProofBytesMax, len(b))
	}
	var p WriteProof
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// VerifyWrite checks that the block at height, whose write-set root is root, wrote to rawKey what it returns.
func VerifyWrite(s suite.Suite, root suite.Hash, height uint64, p *WriteProof, rawKey []byte) (Write, error) {
	if err := checkKey(rawKey); err != nil {
		return Write{}, err
	}
	if err := p.check(); err != nil {
		return Write{}, err
	}
	if err := checkHeights(EndValue, height, p.Previous); err != nil {
		return Write{}, err
	}
	h := NewHasher(s)
	leaf := Leaf{Key: h.Key(rawKey), Height: height, Previous: p.Previous}
	if !p.Deleted {
		leaf.Value = h.Value(p.Value)
	}
	if err := VerifyHash(s, root, h.Leaf(&leaf), &p.List); err != nil {
		return Write{}, err
	}
	w := Write{Deleted: p.Deleted, Previous: p.Previous}
	if !p.Deleted {
		w.Value = p.Value
	}
	return w, nil
}

// check refuses a proof whose form no prover makes.
func (p *WriteProof) check() error {
	if p == nil || p.Version != proofVersion {
		return fmt.Errorf("%w: not a write proof of version %d", ErrMalformed, proofVersion)
	}
	if len(p.Value) > ValueBytesMax || p.Deleted && len(p.Value) > 0 {
		return fmt.Errorf("%w: a value of %d bytes, deleted %t", ErrMalformed, len(p.Value), p.Deleted)
	}
	if p.Deleted && p.Previous == HeightNone {
		return fmt.Errorf("%w: a deletion without a value before it", ErrMalformed)
	}
	return p.List.check()
}
