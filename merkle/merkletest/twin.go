package merkletest

import (
	"bytes"
	"maps"
	"slices"

	"aval/merkle"
	"aval/suite"
)

// Write is one write of a block.
type Write struct {
	Key    []byte
	Value  []byte
	Delete bool
}

// Leaf is one leaf of the twin's tree.
type Leaf struct {
	Raw      []byte
	Place    suite.Hash
	Height   uint64
	Previous uint64
	Value    []byte
	Deleted  bool
}

// Twin is the state as a plain map, hashed anew by recursion whenever it is asked for.
type Twin struct {
	s      suite.Suite
	leaves map[string]Leaf
	// writes are the effective writes of the last block, in order of their places.
	writes []Leaf
}

// NewTwin returns a Twin of an empty state.
func NewTwin(s suite.Suite) *Twin { return &Twin{s: s, leaves: map[string]Leaf{}} }

// Clone returns a copy that changes apart from t.
func (t *Twin) Clone() *Twin {
	return &Twin{s: t.s, leaves: maps.Clone(t.leaves), writes: slices.Clone(t.writes)}
}

// Get returns the value of a key, the height that wrote it, and whether there is one.
func (t *Twin) Get(raw []byte) (value []byte, height uint64, ok bool) {
	l, ok := t.leaves[string(raw)]
	if !ok || l.Deleted {
		return nil, 0, false
	}
	return l.Value, l.Height, true
}

// Apply makes the state of height: first the writes, then the tombstones that leave.
func (t *Twin) Apply(height uint64, writes []Write) {
	t.writes = nil
	for _, w := range writes {
		old, ok := t.leaves[string(w.Key)]
		if w.Delete && (!ok || old.Deleted) {
			continue
		}
		l := Leaf{Raw: bytes.Clone(w.Key), Place: t.s.Hash(merkle.DomainStateKey, w.Key), Height: height,
			Previous: merkle.HeightNone, Deleted: w.Delete}
		if ok {
			l.Previous = old.Height
		}
		if !w.Delete {
			l.Value = append([]byte{}, w.Value...)
		}
		t.leaves[string(w.Key)] = l
		t.writes = append(t.writes, l)
	}
	byPlace(t.writes)
	if len(t.writes) > 0 && height >= merkle.TombstoneHeights {
		t.expire(height - merkle.TombstoneHeights)
	}
}

// expire removes the tombstones that leave in a block whose limit of heights is limit.
func (t *Twin) expire(limit uint64) {
	var due []Leaf
	for _, l := range t.leaves {
		if l.Deleted && l.Height <= limit {
			due = append(due, l)
		}
	}
	slices.SortFunc(due, func(a, b Leaf) int {
		if a.Height != b.Height {
			if a.Height < b.Height {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.Place[:], b.Place[:])
	})
	for i, l := range due {
		if i == 64+2*len(t.writes) {
			break
		}
		delete(t.leaves, string(l.Raw))
	}
}

// Len returns the number of leaves, tombstones included.
func (t *Twin) Len() int { return len(t.leaves) }

// StateRoot returns the root of the tree.
func (t *Twin) StateRoot() suite.Hash { return t.subtree(t.sorted(), 0) }

// WriteRoot returns the root of the last block's write set.
func (t *Twin) WriteRoot() suite.Hash {
	leaves := make([][]byte, len(t.writes))
	for i, l := range t.writes {
		leaves[i] = t.preimage(l)[1:]
	}
	return t.s.Sum([]byte{3}, be(uint64(len(leaves))), t.list(leaves))
}

// ProveWrite returns a proof for a write of the last block, nil if it wrote no such key.
func (t *Twin) ProveWrite(raw []byte) *merkle.WriteProof {
	leaves := make([][]byte, len(t.writes))
	at := -1
	for i, l := range t.writes {
		leaves[i] = t.preimage(l)[1:]
		if bytes.Equal(l.Raw, raw) {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	l := t.writes[at]
	return &merkle.WriteProof{Version: 1, Previous: l.Previous, Deleted: l.Deleted, Value: append([]byte{}, l.Value...),
		List: merkle.Proof{Version: 1, Index: uint64(at), Size: uint64(len(leaves)), Path: t.path(leaves, at)}}
}

// Prove returns a proof for a key, present or not.
func (t *Twin) Prove(raw []byte) *merkle.StateProof {
	place := t.s.Hash(merkle.DomainStateKey, raw)
	p := &merkle.StateProof{Version: 1, Value: []byte{}, Other: []byte{}, Mask: []byte{}, Siblings: []byte{}}
	leaves := t.sorted()
	for depth := 0; len(leaves) > 1; depth++ {
		mask, bit := byte(0), 0
		own := digit(place, depth)
		for d := range 4 {
			if d == own {
				continue
			}
			if h := t.subtree(child(leaves, depth, d), depth+1); !h.IsZero() {
				mask |= 1 << bit
				p.Siblings = append(p.Siblings, h[:]...)
			}
			bit++
		}
		p.Mask = append(p.Mask, mask)
		leaves = child(leaves, depth, own)
	}
	if len(leaves) == 0 {
		p.End = merkle.EndEmpty
		return p
	}
	l := leaves[0]
	p.Height, p.Previous = l.Height, l.Previous
	switch {
	case l.Place != place:
		p.End = merkle.EndOther
		value := t.valueHash(l)
		p.Other = append(append(p.Other, l.Place[:]...), value[:]...)
	case l.Deleted:
		p.End = merkle.EndTombstone
	default:
		p.End = merkle.EndValue
		p.Value = append(p.Value, l.Value...)
	}
	return p
}

func (t *Twin) sorted() []Leaf {
	all := make([]Leaf, 0, len(t.leaves))
	for _, l := range t.leaves {
		all = append(all, l)
	}
	byPlace(all)
	return all
}

func byPlace(leaves []Leaf) {
	slices.SortFunc(leaves, func(a, b Leaf) int { return bytes.Compare(a.Place[:], b.Place[:]) })
}

// subtree is the rule of shape: nothing is zero, one leaf is that leaf, more are an inner node.
func (t *Twin) subtree(leaves []Leaf, depth int) suite.Hash {
	switch len(leaves) {
	case 0:
		return suite.Hash{}
	case 1:
		return t.s.Sum(t.preimage(leaves[0]))
	}
	in := []byte{2}
	for d := range 4 {
		h := t.subtree(child(leaves, depth, d), depth+1)
		in = append(in, h[:]...)
	}
	return t.s.Sum(in)
}

func child(leaves []Leaf, depth, d int) []Leaf {
	var out []Leaf
	for _, l := range leaves {
		if digit(l.Place, depth) == d {
			out = append(out, l)
		}
	}
	return out
}

func digit(place suite.Hash, depth int) int {
	return int(place[depth/4]) >> (6 - 2*(depth%4)) % 4
}

func (t *Twin) preimage(l Leaf) []byte {
	value := t.valueHash(l)
	out := append([]byte{0}, l.Place[:]...)
	out = append(out, be(l.Height)...)
	out = append(out, be(l.Previous)...)
	return append(out, value[:]...)
}

func (t *Twin) valueHash(l Leaf) suite.Hash {
	if l.Deleted {
		return suite.Hash{}
	}
	return t.s.Sum(l.Value)
}

// list is RFC 6962 section 2.1, as it stands there.
func (t *Twin) list(leaves [][]byte) []byte {
	var h suite.Hash
	switch n := len(leaves); n {
	case 0:
		h = t.s.Sum(nil)
	case 1:
		h = t.s.Sum([]byte{0}, leaves[0])
	default:
		k := split(n)
		h = t.s.Sum([]byte{1}, t.list(leaves[:k]), t.list(leaves[k:]))
	}
	return h[:]
}

// path is RFC 6962 section 2.1.1, as it stands there.
func (t *Twin) path(leaves [][]byte, at int) []byte {
	n := len(leaves)
	if n == 1 {
		return []byte{}
	}
	k := split(n)
	if at < k {
		return append(t.path(leaves[:k], at), t.list(leaves[k:])...)
	}
	return append(t.path(leaves[k:], at-k), t.list(leaves[:k])...)
}

// split returns the largest power of two below n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

func be(n uint64) []byte {
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(n >> (56 - 8*i))
	}
	return out
}

// ListRoot returns the root of a list of leaves.
func ListRoot(s suite.Suite, leaves [][]byte) suite.Hash {
	return s.Sum([]byte{3}, be(uint64(len(leaves))), NewTwin(s).list(leaves))
}

// ListProof returns the proof for a leaf of a list.
func ListProof(s suite.Suite, leaves [][]byte, at int) *merkle.Proof {
	return &merkle.Proof{Version: 1, Index: uint64(at), Size: uint64(len(leaves)), Path: NewTwin(s).path(leaves, at)}
}
