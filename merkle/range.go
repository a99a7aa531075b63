package merkle

import (
	"bytes"
	"fmt"

	"aval/suite"
)

// StubsMax bounds the stubs of one range: three for each level of the path to either end.
const StubsMax = 2 * (Arity - 1) * (DepthMax + 1)

// Stub stands for a subtree of the state tree of which nothing but its hash is told.
type Stub struct {
	// Depth is where the subtree's root lies, 1 to DepthMax; it holds the keys that begin with the first Depth digits of Prefix,
	// whose other digits are zero.
	Depth  uint8      `cbor:"1,keyasint" json:"depth"`
	Prefix suite.Hash `cbor:"2,keyasint" json:"prefix"`
	Hash   suite.Hash `cbor:"3,keyasint" json:"hash"`
}

// End returns the first place behind the subtree, zero if it reaches to the last.
func (b *Stub) End() suite.Hash { return PlaceAfter(b.Prefix, int(b.Depth)) }

// PlaceAfter returns the first place behind those that begin with the first depth digits of prefix, zero if there is none.
func PlaceAfter(prefix suite.Hash, depth int) suite.Hash {
	p := CutPlace(&prefix, depth)
	if depth == 0 {
		return suite.Hash{}
	}
	at := (depth - 1) >> 2
	step := byte(1) << (6 - 2*((depth-1)&3))
	for ; at >= 0; at-- {
		p[at] += step
		if p[at] >= step { // no carry
			break
		}
		step = 1
	}
	return p
}

// CutPlace returns p with all digits but the first depth set to zero.
func CutPlace(p *suite.Hash, depth int) (out suite.Hash) {
	whole, rest := depth>>2, depth&3
	copy(out[:whole], p[:whole])
	if rest > 0 {
		out[whole] = p[whole] &^ (0xff >> (2 * rest))
	}
	return out
}

// ChildPlace returns the place at which child digit begins of a subtree at depth that begins at prefix.
func ChildPlace(prefix suite.Hash, depth, digit int) suite.Hash {
	if depth < DepthMax {
		prefix[depth>>2] |= byte(digit) << (6 - 2*(depth&3))
	}
	return prefix
}

// VerifyRange checks that leaves are those of the state tree of root whose keys lie from from up to but not including to, all of
// them and no other. A zero to is the end of the tree. Leaves are in order of their keys. Stubs, in order too, stand for what lies
// outside the range.
func VerifyRange(s suite.Suite, root, from, to suite.Hash, leaves []Leaf, stubs []Stub) error {
	items, err := rangeItems(&from, &to, leaves, stubs)
	if err != nil {
		return err
	}
	h := NewHasher(s)
	hashLeaves(h, items, leaves)
	top, err := climbRange(h, items, 0)
	if err != nil {
		return err
	}
	if top != root {
		return ErrMismatch
	}
	return nil
}

// rangeItem is a leaf or a stub on its way into the tree.
type rangeItem struct {
	key  suite.Hash
	hash suite.Hash
	// depth is that of a stub, 0 for a leaf.
	depth int
}

// rangeItems puts the stubs before a range, its leaves and the stubs behind it in one list, and refuses what is out of order or
// out of place.
func rangeItems(from, to *suite.Hash, leaves []Leaf, stubs []Stub) ([]rangeItem, error) {
	if len(stubs) > StubsMax {
		return nil, fmt.Errorf("%w: %d stubs", ErrMalformed, len(stubs))
	}
	if !to.IsZero() && bytes.Compare(from[:], to[:]) >= 0 {
		return nil, fmt.Errorf("%w: a range from %s to %s", ErrMalformed, from, to)
	}
	items := make([]rangeItem, 0, len(leaves)+len(stubs))
	var end suite.Hash // of the stub before, zero at the beginning
	at := 0
	for ; at < len(stubs) && bytes.Compare(stubs[at].Prefix[:], from[:]) < 0; at++ {
		if err := placeStub(&stubs[at], &end, at == 0); err != nil {
			return nil, err
		}
		if end = stubs[at].End(); end.IsZero() || bytes.Compare(end[:], from[:]) > 0 {
			return nil, fmt.Errorf("%w: a stub reaches into the range", ErrMalformed)
		}
		items = append(items, rangeItem{stubs[at].Prefix, stubs[at].Hash, int(stubs[at].Depth)})
	}
	for i := range leaves {
		key := &leaves[i].Key
		inside := bytes.Compare(key[:], from[:]) >= 0 && (to.IsZero() || bytes.Compare(key[:], to[:]) < 0)
		if !inside || i > 0 && bytes.Compare(leaves[i-1].Key[:], key[:]) >= 0 {
			return nil, fmt.Errorf("%w: leaf %d of the range is out of order or outside it", ErrMalformed, i)
		}
		items = append(items, rangeItem{key: *key})
	}
	for end = *to; at < len(stubs); at++ {
		if to.IsZero() || placeStub(&stubs[at], &end, false) != nil {
			return nil, fmt.Errorf("%w: stub %d lies in the range or is out of order", ErrMalformed, at)
		}
		end = stubs[at].End()
		items = append(items, rangeItem{stubs[at].Prefix, stubs[at].Hash, int(stubs[at].Depth)})
	}
	return items, nil
}

// placeStub refuses a stub of impossible form, and one that begins before end, where the one before ends. A zero end is that of the
// whole tree, behind which nothing lies, unless it is the first.
func placeStub(b *Stub, end *suite.Hash, first bool) error {
	switch {
	case b.Depth < 1 || b.Depth > DepthMax || CutPlace(&b.Prefix, int(b.Depth)) != b.Prefix || b.Hash.IsZero():
		return fmt.Errorf("%w: a stub at depth %d", ErrMalformed, b.Depth)
	case !first && (end.IsZero() || bytes.Compare(b.Prefix[:], end[:]) < 0):
		return fmt.Errorf("%w: stubs overlap or are out of order", ErrMalformed)
	}
	return nil
}

// hashLeaves fills in the hashes of the leaves among items, many at once.
func hashLeaves(h *Hasher, items []rangeItem, leaves []Leaf) {
	const pack = 256
	packed, hashes := make([]byte, 0, pack*LeafBytes), make([]suite.Hash, pack)
	at := 0
	for from := 0; from < len(leaves); from += pack {
		end := min(from+pack, len(leaves))
		packed = packed[:0]
		for i := from; i < end; i++ {
			packed = AppendLeaf(packed, &leaves[i])
		}
		h.SumMany(LeafBytes, packed, hashes[:end-from])
		for i := range end - from {
			for items[at].depth > 0 {
				at++
			}
			items[at].hash = hashes[i]
			at++
		}
	}
}

// climbRange returns the hash of the subtree of items at depth.
func climbRange(h *Hasher, items []rangeItem, depth int) (suite.Hash, error) {
	switch {
	case len(items) == 0:
		return suite.Hash{}, nil
	case len(items) == 1 && (items[0].depth == 0 || items[0].depth == depth):
		return items[0].hash, nil
	case items[0].depth != 0 && items[0].depth <= depth || depth == DepthMax:
		return suite.Hash{}, fmt.Errorf("%w: something lies beside or below a stub", ErrMalformed)
	}
	var children [Arity]suite.Hash
	from := 0
	for digit := range children {
		end := from
		for end < len(items) && Digit(&items[end].key, depth) == digit {
			end++
		}
		var err error
		if children[digit], err = climbRange(h, items[from:end], depth+1); err != nil {
			return suite.Hash{}, err
		}
		from = end
	}
	return h.Inner(&children), nil
}
