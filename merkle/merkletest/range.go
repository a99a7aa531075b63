package merkletest

import (
	"bytes"

	"aval/merkle"
	"aval/suite"
)

// Range returns the first count leaves at or behind the place from, the place to at which the leaf behind them begins to be alone
// (zero if there is none), and the stubs for what lies outside.
func (t *Twin) Range(from suite.Hash, count int) (to suite.Hash, leaves []Leaf, stubs []merkle.Stub) {
	all := t.sorted()
	t.alone(all, suite.Hash{}, 0, func(l Leaf, place suite.Hash, _ int) {
		switch {
		case bytes.Compare(l.Place[:], from[:]) < 0:
		case len(leaves) < count:
			leaves = append(leaves, l)
		case to.IsZero():
			to = place
		}
	})
	return to, leaves, t.stubs(all, suite.Hash{}, 0, from, to)
}

// alone calls fn for every leaf with the place and depth at which it stands alone.
func (t *Twin) alone(leaves []Leaf, place suite.Hash, depth int, fn func(l Leaf, place suite.Hash, depth int)) {
	if len(leaves) == 1 {
		fn(leaves[0], place, depth)
		return
	}
	for d := range 4 {
		if len(leaves) > 1 {
			t.alone(child(leaves, depth, d), childPlace(place, depth, d), depth+1, fn)
		}
	}
}

// stubs are the highest subtrees that lie outside from and to.
func (t *Twin) stubs(leaves []Leaf, place suite.Hash, depth int, from, to suite.Hash) []merkle.Stub {
	if len(leaves) == 0 {
		return nil
	}
	end := bytes.Repeat([]byte{0xff}, suite.HashSize) // the last place of the subtree
	copy(end, place[:depth/4])
	for i := depth / 4 * 4; i < depth; i++ {
		end[i/4] = end[i/4]&^(3<<(6-2*(i%4))) | byte(digit(place, i))<<(6-2*(i%4))
	}
	switch {
	case bytes.Compare(end, from[:]) < 0, !to.IsZero() && bytes.Compare(place[:], to[:]) >= 0:
		return []merkle.Stub{{Depth: uint8(depth), Prefix: place, Hash: t.subtree(leaves, depth)}}
	case len(leaves) == 1:
		return nil
	}
	var out []merkle.Stub
	for d := range 4 {
		out = append(out, t.stubs(child(leaves, depth, d), childPlace(place, depth, d), depth+1, from, to)...)
	}
	return out
}

func childPlace(place suite.Hash, depth, d int) suite.Hash {
	place[depth/4] |= byte(d) << (6 - 2*(depth%4))
	return place
}

// MerkleLeaf is what the leaf's hash commits to.
func (t *Twin) MerkleLeaf(l Leaf) merkle.Leaf {
	return merkle.Leaf{Key: l.Place, Height: l.Height, Previous: l.Previous, Value: t.valueHash(l)}
}
