package merkle

import (
	"bytes"
	"encoding/binary"
	"math"

	"aval/suite"
)

// Scheme numbers the rules by which roots are made: hash inputs, arity, the empty rule, the order of write sets and
// when tombstones leave. It is stored beside every state and refused where it differs.
const Scheme = 1

// DomainStateKey is the domain under which a raw key is hashed to its place in the state tree.
const DomainStateKey suite.Domain = "state key"

// The measures of the state tree.
const (
	// Arity is the number of children of an inner node.
	Arity = 4
	// DepthMax is the greatest depth of a leaf: the digits of a key.
	DepthMax = 8 * suite.HashSize / digitBits
	// KeyBytesMin and KeyBytesMax bound a raw key.
	KeyBytesMin = 1
	KeyBytesMax = 256
	// ValueBytesMax bounds a value. An empty value is a value.
	ValueBytesMax = 64 << 10
	// WritesMax bounds the writes of one block.
	WritesMax = 1 << 20
	// TombstoneHeights is how many heights a deleted key stays in the tree at least.
	TombstoneHeights = 1024

	digitBits = 2
)

// HeightNone is the previous height of a key that was not in the tree before. Height 0 is the genesis.
const HeightNone = math.MaxUint64

// The first byte of everything hashed.
const (
	prefixLeaf  = 0
	prefixNode  = 1
	prefixInner = 2
	prefixRoot  = 3
)

// Sizes in bytes of what is hashed for the state tree; each kind has one size, so that many can be hashed together.
const (
	// LeafBytes is the size of a state leaf's preimage.
	LeafBytes = 1 + suite.HashSize + 8 + 8 + suite.HashSize
	// InnerBytes is the size of an inner node's preimage.
	InnerBytes = 1 + Arity*suite.HashSize
)

// TombstonesLeaving returns how many tombstones leave the tree, at most, in a block of writes effective writes. The
// rule, part of Scheme: a block at height h that writes anything first applies its writes; then, of the
// tombstones in the tree whose height is at most h − TombstoneHeights, the first TombstonesLeaving(writes) in order of
// (height, key) leave. A block that writes nothing leaves the tree as it is.
func TombstonesLeaving(writes int) int { return 64 + 2*writes }

// Digit returns the child, 0 to 3, in which key lies below an inner node at depth.
func Digit(key *suite.Hash, depth int) int {
	return int(key[depth>>2]>>(6-2*(depth&3))) & (Arity - 1)
}

// SamePrefix reports whether a and b agree in their first depth digits.
func SamePrefix(a, b *suite.Hash, depth int) bool {
	whole, rest := depth>>2, depth&3
	if !bytes.Equal(a[:whole], b[:whole]) {
		return false
	}
	return rest == 0 || (a[whole]^b[whole])>>(8-2*rest) == 0
}

// Leaf is what a state leaf's hash commits to.
type Leaf struct {
	// Key is the hashed key.
	Key suite.Hash
	// Height is that of the block which wrote the value, or deleted it.
	Height uint64
	// Previous is the height of the leaf that this one replaced, HeightNone if there was none.
	Previous uint64
	// Value is the hash of the value, zero for a tombstone.
	Value suite.Hash
}

// AppendLeaf appends the preimage of l's hash to b: LeafBytes bytes.
func AppendLeaf(b []byte, l *Leaf) []byte {
	b = append(b, prefixLeaf)
	b = append(b, l.Key[:]...)
	b = binary.BigEndian.AppendUint64(b, l.Height)
	b = binary.BigEndian.AppendUint64(b, l.Previous)
	return append(b, l.Value[:]...)
}

// AppendInner appends the preimage of an inner node's hash to b: InnerBytes bytes.
func AppendInner(b []byte, children *[Arity]suite.Hash) []byte {
	b = append(b, prefixInner)
	for i := range children {
		b = append(b, children[i][:]...)
	}
	return b
}

// Hasher hashes the nodes of both trees without allocating. It is not safe for concurrent use.
type Hasher struct {
	s      suite.Suite
	parts  [1][]byte
	buf    [InnerBytes]byte
	packed []byte // nodes of a list's tree that are hashed together
}

// NewHasher returns a Hasher of s.
func NewHasher(s suite.Suite) *Hasher { return &Hasher{s: s} }

func (h *Hasher) sum(b []byte) suite.Hash {
	h.parts[0] = b
	return h.s.Sum(h.parts[:]...)
}

// Key returns the place of a raw key in the state tree.
func (h *Hasher) Key(raw []byte) suite.Hash {
	h.parts[0] = raw
	return h.s.Hash(DomainStateKey, h.parts[:]...)
}

// Keys sets out[i] to Key(raw[i]), many at once.
func (h *Hasher) Keys(raw [][]byte, out []suite.Hash) { suite.HashMany(h.s, DomainStateKey, raw, out) }

// Values sets out[i] to Value(values[i]), many at once.
func (h *Hasher) Values(values [][]byte, out []suite.Hash) { suite.SumMany(h.s, nil, values, out) }

// Value returns the hash of a value.
func (h *Hasher) Value(value []byte) suite.Hash { return h.sum(value) }

// Leaf returns the hash of a state leaf.
func (h *Hasher) Leaf(l *Leaf) suite.Hash { return h.sum(AppendLeaf(h.buf[:0], l)) }

// Inner returns the hash of an inner node of the state tree.
func (h *Hasher) Inner(children *[Arity]suite.Hash) suite.Hash {
	return h.sum(AppendInner(h.buf[:0], children))
}

// Node returns the hash of a node of a list's tree.
func (h *Hasher) Node(left, right *suite.Hash) suite.Hash {
	b := append(h.buf[:0], prefixNode)
	b = append(b, left[:]...)
	return h.sum(append(b, right[:]...))
}

// SumMany hashes len(out) messages of size bytes that lie one after another in packed: a part of a level of a tree. Where suite
// and processor allow, they are hashed several at once.
func (h *Hasher) SumMany(size int, packed []byte, out []suite.Hash) {
	suite.SumPacked(h.s, size, packed, out)
}

func (h *Hasher) root(size uint64, top *suite.Hash) suite.Hash {
	b := append(h.buf[:0], prefixRoot)
	b = binary.BigEndian.AppendUint64(b, size)
	return h.sum(append(b, top[:]...))
}
