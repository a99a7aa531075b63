package merkle

import (
	"fmt"
	"math/bits"

	"aval/codec"
	"aval/suite"
)

// Bounds of the encoded proofs. The largest state proof has DepthMax levels of three siblings; real ones have about ten.
const (
	StateProofBytesMax = ValueBytesMax + DepthMax*(1+(Arity-1)*suite.HashSize) + 256
	WriteProofBytesMax = ValueBytesMax + 24*suite.HashSize + 256
)

// maskBits are the siblings that one level of a proof may have.
const maskBits = 1<<(Arity-1) - 1

// End says what stands where the key's path ends.
type End uint8

// The ends of a path. Numbers are appended and never reused.
const (
	// EndValue is the key's own leaf with a value.
	EndValue End = 1
	// EndTombstone is the key's own leaf, deleted at its height.
	EndTombstone End = 2
	// EndEmpty is an absent child: no key begins with these digits.
	EndEmpty End = 3
	// EndOther is the leaf of another key, the only one that begins with these digits.
	EndOther End = 4
)

// StateProof shows the value of a key under a state root, or that the key has none. Every field is bound by the root
// or fixed by the form, so that no byte of a proof can change without notice.
type StateProof struct {
	// Version is 1.
	Version uint8 `cbor:"1,keyasint" json:"version"`
	End     End   `cbor:"2,keyasint" json:"end"`
	// Height and Previous are those of the leaf at the end, zero for EndEmpty.
	Height   uint64 `cbor:"3,keyasint" json:"height,string"`
	Previous uint64 `cbor:"4,keyasint" json:"previous,string"`
	// Value is the value for EndValue, empty otherwise.
	Value []byte `cbor:"5,keyasint" json:"value"`
	// Other is the hashed key and the hash of the value of the leaf for EndOther, 64 bytes, empty otherwise. So an
	// absence proof does not reveal another's value.
	Other []byte `cbor:"6,keyasint" json:"other"`
	// Mask has one byte for each inner node on the path, from the root down. Its bit i is set if the i-th sibling, in
	// order of digits without the path's own, is not empty.
	Mask []byte `cbor:"7,keyasint" json:"mask"`
	// Siblings are the siblings that are not empty, 32 bytes each, from the root down and in order of digits.
	Siblings []byte `cbor:"8,keyasint" json:"siblings"`
}

// DecodeStateProof decodes b strictly and checks the proof's form.
func DecodeStateProof(b []byte) (*StateProof, error) {
	if len(b) > StateProofBytesMax {
		return nil, fmt.Errorf("%w: a state proof has at most %d bytes, not %d", ErrMalformed, StateProofBytesMax, len(b))
	}
	var p StateProof
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// VerifyState checks what p says about rawKey under root, the state root of some height. If the key has a value it
// returns it, the height that wrote it, and true. If not it returns false, and the height of the deletion while the
// tree still has it, else 0.
func VerifyState(s suite.Suite, root suite.Hash, p *StateProof, rawKey []byte) (
	value []byte, height uint64, present bool, err error) {
	if err := checkKey(rawKey); err != nil {
		return nil, 0, false, err
	}
	if err := p.check(); err != nil {
		return nil, 0, false, err
	}
	h := NewHasher(s)
	key := h.Key(rawKey)
	end, err := p.endHash(h, &key)
	if err != nil {
		return nil, 0, false, err
	}
	if p.climb(h, &key, end) != root {
		return nil, 0, false, ErrMismatch
	}
	switch p.End {
	case EndValue:
		return p.Value, p.Height, true, nil
	case EndTombstone:
		return nil, p.Height, false, nil
	default:
		return nil, 0, false, nil
	}
}

// endHash returns the hash at the end of the path of key.
func (p *StateProof) endHash(h *Hasher, key *suite.Hash) (suite.Hash, error) {
	leaf := Leaf{Key: *key, Height: p.Height, Previous: p.Previous}
	switch p.End {
	case EndEmpty:
		return suite.Hash{}, nil
	case EndTombstone:
		leaf.Value = suite.Hash{}
	case EndValue:
		leaf.Value = h.Value(p.Value)
	case EndOther:
		leaf.Key = suite.Hash(p.Other[:suite.HashSize])
		leaf.Value = suite.Hash(p.Other[suite.HashSize:])
		if leaf.Key == *key || !SamePrefix(&leaf.Key, key, len(p.Mask)) {
			return suite.Hash{}, fmt.Errorf("%w: the other leaf does not lie on the key's path", ErrMalformed)
		}
	}
	return h.Leaf(&leaf), nil
}

// climb returns the root that follows from hash at the end of the path of key.
func (p *StateProof) climb(h *Hasher, key *suite.Hash, hash suite.Hash) suite.Hash {
	siblings := p.Siblings
	for depth := len(p.Mask) - 1; depth >= 0; depth-- {
		mask := p.Mask[depth]
		from := len(siblings) - bits.OnesCount8(mask)*suite.HashSize
		here := siblings[from:]
		siblings = siblings[:from]
		var children [Arity]suite.Hash
		own := Digit(key, depth)
		for digit, bit := 0, 0; digit < Arity; digit++ {
			if digit == own {
				children[digit] = hash
				continue
			}
			if mask>>bit&1 == 1 {
				children[digit] = suite.Hash(here[:suite.HashSize])
				here = here[suite.HashSize:]
			}
			bit++
		}
		hash = h.Inner(&children)
	}
	return hash
}

// check refuses a proof whose form no prover makes.
func (p *StateProof) check() error {
	if p == nil || p.Version != proofVersion {
		return fmt.Errorf("%w: not a state proof of version %d", ErrMalformed, proofVersion)
	}
	if err := p.checkEnd(); err != nil {
		return err
	}
	if len(p.Mask) > DepthMax {
		return fmt.Errorf("%w: a path of %d levels", ErrMalformed, len(p.Mask))
	}
	count := 0
	for _, mask := range p.Mask {
		if mask > maskBits {
			return fmt.Errorf("%w: mask %#x", ErrMalformed, mask)
		}
		count += bits.OnesCount8(mask)
	}
	if n := len(p.Mask); n > 0 && p.Mask[n-1] == 0 {
		return fmt.Errorf("%w: the last inner node has no other child", ErrMalformed)
	}
	if len(p.Siblings) != count*suite.HashSize {
		return fmt.Errorf("%w: %d siblings, but %d bytes", ErrMalformed, count, len(p.Siblings))
	}
	for i := 0; i < len(p.Siblings); i += suite.HashSize {
		if suite.Hash(p.Siblings[i : i+suite.HashSize]).IsZero() {
			return fmt.Errorf("%w: an empty sibling is written out", ErrMalformed)
		}
	}
	return nil
}

// checkEnd refuses fields that do not belong to the kind of end.
func (p *StateProof) checkEnd() error {
	var otherBytes, valueMax int
	switch p.End {
	case EndValue:
		valueMax = ValueBytesMax
	case EndTombstone:
		if p.Previous == HeightNone {
			return fmt.Errorf("%w: a tombstone without a value before it", ErrMalformed)
		}
	case EndEmpty:
		if p.Height != 0 || p.Previous != 0 {
			return fmt.Errorf("%w: nothing has heights %d and %d", ErrMalformed, p.Height, p.Previous)
		}
	case EndOther:
		otherBytes = 2 * suite.HashSize
	default:
		return fmt.Errorf("%w: end %d", ErrMalformed, p.End)
	}
	if len(p.Value) > valueMax || len(p.Other) != otherBytes {
		return fmt.Errorf("%w: end %d with a value of %d bytes and %d bytes of another leaf",
			ErrMalformed, p.End, len(p.Value), len(p.Other))
	}
	return checkHeights(p.End, p.Height, p.Previous)
}

// checkHeights refuses a leaf that is not younger than the one it replaced.
func checkHeights(end End, height, previous uint64) error {
	if end != EndEmpty && previous != HeightNone && previous >= height {
		return fmt.Errorf("%w: height %d does not follow %d", ErrMalformed, height, previous)
	}
	return nil
}

func checkKey(rawKey []byte) error {
	if len(rawKey) < KeyBytesMin || len(rawKey) > KeyBytesMax {
		return fmt.Errorf("merkle: a key has %d to %d bytes, not %d", KeyBytesMin, KeyBytesMax, len(rawKey))
	}
	return nil
}
