package merkle

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/suite"
)

// LeavesMax bounds the leaves of a list.
const LeavesMax = 1 << 24

// proofVersion is the first field of every proof.
const proofVersion = 1

// Errors of verification. A proof that fails says nothing about the claim.
var (
	// ErrMalformed reports a proof that breaks a rule of form or a bound.
	ErrMalformed = errors.New("merkle: malformed proof")
	// ErrMismatch reports a proof that leads to another root.
	ErrMismatch = errors.New("merkle: the proof leads to another root")
)

// Proof shows that a leaf stands at an index of a list of a known size.
type Proof struct {
	// Version is 1.
	Version uint8 `cbor:"1,keyasint" json:"version"`
	// Index counts from 0; Size is the number of leaves. The root commits to both.
	Index uint64 `cbor:"2,keyasint" json:"index,string"`
	Size  uint64 `cbor:"3,keyasint" json:"size,string"`
	// Path is the siblings from the leaf upwards, 32 bytes each.
	Path []byte `cbor:"4,keyasint" json:"path"`
}

// ProofBytesMax bounds an encoded Proof.
const ProofBytesMax = 24*suite.HashSize + 64

// DecodeProof decodes b strictly and checks the proof's form.
func DecodeProof(b []byte) (*Proof, error) {
	if len(b) > ProofBytesMax {
		return nil, fmt.Errorf("%w: a list proof has at most %d bytes, not %d", ErrMalformed, ProofBytesMax, len(b))
	}
	var p Proof
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// LeafHash returns H(0 ‖ leaf), what the tree holds for a leaf.
func LeafHash(s suite.Suite, leaf []byte) suite.Hash {
	return s.Sum([]byte{prefixLeaf}, leaf)
}

// LeafHashes sets out[i] to LeafHash of leaves[i], many at once. The slices must have the same length.
func LeafHashes(s suite.Suite, leaves [][]byte, out []suite.Hash) {
	suite.SumMany(s, []byte{prefixLeaf}, leaves, out)
}

// Root returns the root of a list of leaves.
func Root(s suite.Suite, leaves [][]byte) suite.Hash {
	hashes := make([]suite.Hash, len(leaves))
	LeafHashes(s, leaves, hashes)
	return foldToRoot(s, hashes)
}

// RootOfHashes returns the root of a list whose leaves are hashed already, see LeafHash.
func RootOfHashes(s suite.Suite, leaves []suite.Hash) suite.Hash {
	return foldToRoot(s, append([]suite.Hash(nil), leaves...))
}

// foldToRoot returns the root of a list whose leaves' hashes are level, which it overwrites.
func foldToRoot(s suite.Suite, level []suite.Hash) suite.Hash {
	h, size := NewHasher(s), uint64(len(level))
	if size == 0 {
		top := h.sum(nil)
		return h.root(0, &top)
	}
	for len(level) > 1 {
		level = h.fold(level)
	}
	return h.root(size, &level[0])
}

// foldMax is how many nodes of a list's tree are hashed in one call.
const foldMax = 64

// fold replaces level by its parents, in place. A last node without a sibling moves up as it is, which gives the same tree
// as splitting at powers of two.
func (h *Hasher) fold(level []suite.Hash) []suite.Hash {
	const nodeBytes = 1 + 2*suite.HashSize
	pairs := len(level) / 2
	if need := nodeBytes * min(pairs, foldMax); cap(h.packed) < need {
		h.packed = make([]byte, 0, need)
	}
	for from := 0; from < pairs; from += foldMax {
		to := min(from+foldMax, pairs)
		b := h.packed[:0]
		for i := from; i < to; i++ {
			b = append(b, prefixNode)
			b = append(b, level[2*i][:]...)
			b = append(b, level[2*i+1][:]...)
		}
		h.SumMany(nodeBytes, b, level[from:to])
	}
	if len(level)%2 == 1 {
		level[pairs] = level[len(level)-1]
		pairs++
	}
	return level[:pairs]
}

// Accumulator computes the root of a growing list in memory for its height. It is not safe for concurrent use.
type Accumulator struct {
	h *Hasher
	// peaks are the tops of the perfect subtrees that make up the list, the largest first.
	// Invariant: one for each bit set in size.
	peaks []suite.Hash
	size  uint64
}

// NewAccumulator returns an Accumulator of an empty list.
func NewAccumulator(s suite.Suite) *Accumulator { return &Accumulator{h: NewHasher(s)} }

// Append adds a leaf by its hash, see LeafHash.
func (a *Accumulator) Append(leaf suite.Hash) {
	for n := a.size; n&1 == 1; n >>= 1 {
		last := len(a.peaks) - 1
		leaf = a.h.Node(&a.peaks[last], &leaf)
		a.peaks = a.peaks[:last]
	}
	a.peaks = append(a.peaks, leaf)
	a.size++
}

// Size returns the number of leaves.
func (a *Accumulator) Size() uint64 { return a.size }

// Root returns the root of the list so far. More leaves may follow.
func (a *Accumulator) Root() suite.Hash {
	if a.size == 0 {
		top := a.h.sum(nil)
		return a.h.root(0, &top)
	}
	top := a.peaks[len(a.peaks)-1]
	for i := len(a.peaks) - 2; i >= 0; i-- {
		top = a.h.Node(&a.peaks[i], &top)
	}
	return a.h.root(a.size, &top)
}

// Prove returns a proof for the leaf at index.
func Prove(s suite.Suite, leaves [][]byte, index int) (*Proof, error) {
	hashes := make([]suite.Hash, len(leaves))
	LeafHashes(s, leaves, hashes)
	return proveInPlace(s, hashes, index)
}

// ProveHashes returns a proof for the leaf at index of a list whose leaves are hashed already.
func ProveHashes(s suite.Suite, leaves []suite.Hash, index int) (*Proof, error) {
	return proveInPlace(s, append([]suite.Hash(nil), leaves...), index)
}

// proveInPlace folds level into its parents, level by level.
func proveInPlace(s suite.Suite, level []suite.Hash, index int) (*Proof, error) {
	if len(level) > LeavesMax {
		return nil, fmt.Errorf("merkle: a list has at most %d leaves, not %d", LeavesMax, len(level))
	}
	if index < 0 || index >= len(level) {
		return nil, fmt.Errorf("merkle: no leaf %d in a list of %d", index, len(level))
	}
	p := &Proof{Version: proofVersion, Index: uint64(index), Size: uint64(len(level)), Path: []byte{}}
	h := NewHasher(s)
	for len(level) > 1 {
		if sibling := index ^ 1; sibling < len(level) {
			p.Path = append(p.Path, level[sibling][:]...)
		}
		level, index = h.fold(level), index>>1
	}
	return p, nil
}

// Verify checks that leaf stands at p.Index of the list of p.Size leaves that root commits to.
func Verify(s suite.Suite, root suite.Hash, leaf []byte, p *Proof) error {
	return VerifyHash(s, root, LeafHash(s, leaf), p)
}

// VerifyHash is Verify for a leaf that is hashed already, see LeafHash.
func VerifyHash(s suite.Suite, root, leaf suite.Hash, p *Proof) error {
	if err := p.check(); err != nil {
		return err
	}
	h := NewHasher(s)
	path, index := p.Path, p.Index
	for size := p.Size; size > 1; size = (size + 1) >> 1 {
		if index^1 < size {
			sibling := suite.Hash(path[:suite.HashSize])
			path = path[suite.HashSize:]
			if index&1 == 0 {
				leaf = h.Node(&leaf, &sibling)
			} else {
				leaf = h.Node(&sibling, &leaf)
			}
		}
		index >>= 1
	}
	if h.root(p.Size, &leaf) != root {
		return ErrMismatch
	}
	return nil
}

// check refuses a proof whose form no prover makes.
func (p *Proof) check() error {
	if p == nil || p.Version != proofVersion {
		return fmt.Errorf("%w: not a list proof of version %d", ErrMalformed, proofVersion)
	}
	if p.Size > LeavesMax || p.Index >= p.Size {
		return fmt.Errorf("%w: leaf %d of a list of %d", ErrMalformed, p.Index, p.Size)
	}
	siblings, index := 0, p.Index
	for size := p.Size; size > 1; size = (size + 1) >> 1 {
		if index^1 < size {
			siblings++
		}
		index >>= 1
	}
	if len(p.Path) != siblings*suite.HashSize {
		return fmt.Errorf("%w: leaf %d of %d has %d siblings, the path %d bytes",
			ErrMalformed, p.Index, p.Size, siblings, len(p.Path))
	}
	return nil
}
