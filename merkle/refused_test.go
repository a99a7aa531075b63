package merkle_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"

	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// refusal is one way to spoil a proof of type P.
type refusal[P any] struct {
	name  string
	spoil func(p *P)
}

func refusedLists(s suite.Suite) []refusedVector {
	leaves := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d"), []byte("e")}
	root := merkletest.ListRoot(s, leaves)
	out := []refusedVector{
		refused("list: another leaf", "list", root, 0, leaves[1], merkletest.ListProof(s, leaves, 2)),
		refused("list: a node as a leaf", "list", root, 0,
			append(hashOf(s, leaves[0]), hashOf(s, leaves[1])...), merkletest.ListProof(s, leaves[:4], 0)),
		refused("list: the top without its size", "list", topOf(s, leaves[:2]), 0, leaves[0],
			merkletest.ListProof(s, leaves[:2], 0)),
	}
	for _, r := range []refusal[merkle.Proof]{
		{"version 0", func(p *merkle.Proof) { p.Version = 0 }},
		{"version 2", func(p *merkle.Proof) { p.Version = 2 }},
		{"index below", func(p *merkle.Proof) { p.Index-- }},
		{"index above", func(p *merkle.Proof) { p.Index++ }},
		{"index at size", func(p *merkle.Proof) { p.Index = p.Size }},
		{"size above, path of the same length", func(p *merkle.Proof) { p.Size = 6 }},
		{"size of 8, path of the same length", func(p *merkle.Proof) { p.Size = 8 }},
		{"size 0", func(p *merkle.Proof) { p.Size = 0 }},
		{"size over the limit", func(p *merkle.Proof) { p.Size = merkle.LeavesMax + 1 }},
		{"path too short", func(p *merkle.Proof) { p.Path = p.Path[:64] }},
		{"path too long", func(p *merkle.Proof) { p.Path = append(p.Path, make([]byte, 32)...) }},
		{"path not whole", func(p *merkle.Proof) { p.Path = p.Path[:95] }},
		{"siblings swapped", func(p *merkle.Proof) {
			p.Path = append(append(bytes.Clone(p.Path[32:64]), p.Path[:32]...), p.Path[64:]...)
		}},
	} {
		p := merkletest.ListProof(s, leaves, 2)
		r.spoil(p)
		out = append(out, refused("list: "+r.name, "list", root, 0, leaves[2], p))
	}
	return append(out, encodings("list", root, 0, leaves[2], merkletest.ListProof(s, leaves, 2))...)
}

func hashOf(s suite.Suite, leaf []byte) []byte {
	h := merkle.LeafHash(s, leaf)
	return h[:]
}

// topOf is the root as RFC 6962 has it.
func topOf(s suite.Suite, leaves [][]byte) suite.Hash {
	return s.Sum([]byte{1}, hashOf(s, leaves[0]), hashOf(s, leaves[1]))
}

func refused(name, kind string, root suite.Hash, height uint64, key []byte, proof any) refusedVector {
	return refusedVector{name, kind, root.String(), hex.EncodeToString(key), height, encode(proof)}
}

// encodings spoils the encoding of a proof that is good.
func encodings(kind string, root suite.Hash, height uint64, key []byte, proof any) []refusedVector {
	good := unhexed(encode(proof))
	out := []refusedVector{}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"no bytes", []byte{}},
		{"zeros", make([]byte, len(good))},
		{"truncated", good[:len(good)-1]},
		{"trailing byte", append(bytes.Clone(good), 0)},
		{"version not in its shortest form", append([]byte{good[0], good[1], 0x18}, good[2:]...)},
		{"a field twice", append([]byte{good[0] + 1, good[1], good[2]}, good[1:]...)},
		{"a field too many", append(append([]byte{good[0] + 1}, good[1:]...), 0x17, 0)},
		{"a field missing", append([]byte{good[0] - 1}, good[3:]...)},
	} {
		out = append(out, refusedVector{kind + ": " + c.name, kind, root.String(), hex.EncodeToString(key), height,
			hex.EncodeToString(c.b)})
	}
	return out
}

func unhexed(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// refusedTwin is a state with a leaf, a tombstone and room for every kind of absence.
func refusedTwin(s suite.Suite) *merkletest.Twin {
	twin := merkletest.NewTwin(s)
	var writes []merkletest.Write
	for i := range 30 {
		writes = append(writes, merkletest.Write{Key: fmt.Appendf(nil, "key %d", i), Value: fmt.Appendf(nil, "value %d", i)})
	}
	twin.Apply(1, writes)
	twin.Apply(2, []merkletest.Write{{Key: []byte("key 7"), Delete: true}, {Key: []byte("key 8"), Value: []byte("new")}})
	return twin
}

// withEnd returns the first key "absent N" whose path ends so.
func withEnd(twin *merkletest.Twin, end merkle.End) []byte {
	for i := 0; ; i++ {
		if key := fmt.Appendf(nil, "absent %d", i); twin.Prove(key).End == end {
			return key
		}
	}
}

func refusedStates(s suite.Suite) []refusedVector {
	twin := refusedTwin(s)
	root := twin.StateRoot()
	value, tomb := []byte("key 8"), []byte("key 7")
	empty, other := withEnd(twin, merkle.EndEmpty), withEnd(twin, merkle.EndOther)
	out := []refusedVector{
		refused("state: another key's value", "state", root, 0, tomb, twin.Prove(value)),
		refused("state: an older root", "state", suite.Hash{}, 0, value, twin.Prove(value)),
		refused("state: no key", "state", root, 0, nil, twin.Prove(value)),
		refused("state: a key too long", "state", root, 0, make([]byte, merkle.KeyBytesMax+1), twin.Prove(value)),
		refused("state: absence of a key that is there", "state", root, 0, value, hide(twin, s, value, other)),
	}
	type spoil = refusal[merkle.StateProof]
	for _, c := range []struct {
		kind     string
		key      []byte
		refusals []spoil
	}{
		{"value", value, append(spoilAny(), []spoil{
			{"another value", func(p *merkle.StateProof) { p.Value = []byte("newer") }},
			{"no value", func(p *merkle.StateProof) { p.Value = nil }},
			{"another height", func(p *merkle.StateProof) { p.Height++ }},
			{"another previous height", func(p *merkle.StateProof) { p.Previous-- }},
			{"no previous height", func(p *merkle.StateProof) { p.Previous = merkle.HeightNone }},
			{"the previous height not before the height", func(p *merkle.StateProof) { p.Previous = p.Height }},
			{"as a tombstone", func(p *merkle.StateProof) { p.End, p.Value = merkle.EndTombstone, nil }},
			{"as an empty child", func(p *merkle.StateProof) {
				p.End, p.Value, p.Height, p.Previous = merkle.EndEmpty, nil, 0, 0
			}},
			{"with another leaf", func(p *merkle.StateProof) { p.Other = make([]byte, 64) }},
			{"as its own neighbour", func(p *merkle.StateProof) {
				place, h := s.Hash(merkle.DomainStateKey, value), s.Sum(p.Value)
				p.End, p.Value, p.Other = merkle.EndOther, nil, slices.Concat(place[:], h[:])
			}},
		}...)},
		{"tombstone", tomb, append(spoilAny(), []spoil{
			{"as a value", func(p *merkle.StateProof) { p.End = merkle.EndValue }},
			{"with a value", func(p *merkle.StateProof) { p.Value = []byte{0} }},
			{"without a value before", func(p *merkle.StateProof) { p.Previous = merkle.HeightNone }},
		}...)},
		{"empty", empty, append(spoilAny(), []spoil{
			{"with a height", func(p *merkle.StateProof) { p.Height = 1 }},
			{"with a previous height", func(p *merkle.StateProof) { p.Previous = 1 }},
			{"with a value", func(p *merkle.StateProof) { p.Value = []byte{0} }},
		}...)},
		{"other", other, append(spoilAny(), []spoil{
			{"another neighbour", func(p *merkle.StateProof) { p.Other[31] ^= 1 }},
			{"another value of the neighbour", func(p *merkle.StateProof) { p.Other[63] ^= 1 }},
			{"a neighbour off the path", func(p *merkle.StateProof) { p.Other[0] ^= 0x80 }},
			{"no neighbour", func(p *merkle.StateProof) { p.Other = nil }},
			{"half a neighbour", func(p *merkle.StateProof) { p.Other = p.Other[:32] }},
			{"with a value", func(p *merkle.StateProof) { p.Value = []byte{0} }},
		}...)},
	} {
		for _, r := range c.refusals {
			p := twin.Prove(c.key)
			r.spoil(p)
			out = append(out, refused("state, "+c.kind+": "+r.name, "state", root, 0, c.key, p))
		}
	}
	return append(out, encodings("state", root, 0, value, twin.Prove(value))...)
}

// hide returns a proof that puts the leaf of another key where key's is.
func hide(twin *merkletest.Twin, s suite.Suite, key, other []byte) *merkle.StateProof {
	p, from := twin.Prove(key), twin.Prove(other)
	p.End, p.Value, p.Other, p.Height, p.Previous = merkle.EndOther, nil, from.Other, from.Height, from.Previous
	return p
}

// spoilAny are the ways to spoil the path of any state proof.
func spoilAny() []refusal[merkle.StateProof] {
	return []refusal[merkle.StateProof]{
		{"version 0", func(p *merkle.StateProof) { p.Version = 0 }},
		{"version 2", func(p *merkle.StateProof) { p.Version = 2 }},
		{"end 0", func(p *merkle.StateProof) { p.End = 0 }},
		{"end 5", func(p *merkle.StateProof) { p.End = 5 }},
		{"a mask of four siblings", func(p *merkle.StateProof) { p.Mask[0] = 15 }},
		{"a sibling less in the mask", func(p *merkle.StateProof) { p.Mask[0] &= p.Mask[0] - 1 }},
		{"a level less", func(p *merkle.StateProof) {
			p.Mask, p.Siblings = p.Mask[1:], p.Siblings[3*suite.HashSize:]
		}},
		{"an empty level at the end", func(p *merkle.StateProof) { p.Mask = append(p.Mask, 0) }},
		{"an empty level at the root", func(p *merkle.StateProof) { p.Mask = append([]byte{0}, p.Mask...) }},
		{"129 levels", func(p *merkle.StateProof) { p.Mask = append(make([]byte, 128), p.Mask[len(p.Mask)-1]) }},
		{"a sibling too many", func(p *merkle.StateProof) { p.Siblings = append(p.Siblings, 1) }},
		{"a sibling of zeros", func(p *merkle.StateProof) { copy(p.Siblings, make([]byte, suite.HashSize)) }},
		{"another sibling", func(p *merkle.StateProof) { p.Siblings[0] ^= 1 }},
		{"siblings swapped", func(p *merkle.StateProof) {
			first := bytes.Clone(p.Siblings[:32])
			copy(p.Siblings, p.Siblings[32:64])
			copy(p.Siblings[32:], first)
		}},
	}
}

func refusedWrites(s suite.Suite) []refusedVector {
	twin := refusedTwin(s)
	root := twin.WriteRoot()
	value, tomb := []byte("key 8"), []byte("key 7")
	out := []refusedVector{
		refused("write: another key", "write", root, 2, tomb, twin.ProveWrite(value)),
		refused("write: another height", "write", root, 3, value, twin.ProveWrite(value)),
		refused("write: the height before", "write", root, 1, value, twin.ProveWrite(value)),
		refused("write: the state root", "write", twin.StateRoot(), 2, value, twin.ProveWrite(value)),
		refused("write: no key", "write", root, 2, nil, twin.ProveWrite(value)),
	}
	type spoil = refusal[merkle.WriteProof]
	for _, c := range []struct {
		key      []byte
		refusals []spoil
	}{
		{value, []spoil{
			{"version 0", func(p *merkle.WriteProof) { p.Version = 0 }},
			{"list version 2", func(p *merkle.WriteProof) { p.List.Version = 2 }},
			{"another value", func(p *merkle.WriteProof) { p.Value = []byte("newer") }},
			{"another previous height", func(p *merkle.WriteProof) { p.Previous = 0 }},
			{"no previous height", func(p *merkle.WriteProof) { p.Previous = merkle.HeightNone }},
			{"as a deletion", func(p *merkle.WriteProof) { p.Deleted, p.Value = true, nil }},
			{"as a deletion with a value", func(p *merkle.WriteProof) { p.Deleted = true }},
			{"another index", func(p *merkle.WriteProof) { p.List.Index ^= 1 }},
			{"another size", func(p *merkle.WriteProof) { p.List.Size = 1; p.List.Index = 0; p.List.Path = nil }},
		}},
		{tomb, []spoil{
			{"as a value", func(p *merkle.WriteProof) { p.Deleted = false }},
			{"a deletion of nothing", func(p *merkle.WriteProof) { p.Previous = merkle.HeightNone }},
			{"a deletion with a value", func(p *merkle.WriteProof) { p.Value = []byte{0} }},
		}},
	} {
		for _, r := range c.refusals {
			p := twin.ProveWrite(c.key)
			r.spoil(p)
			out = append(out, refused("write: "+r.name, "write", root, 2, c.key, p))
		}
	}
	return append(out, encodings("write", root, 2, value, twin.ProveWrite(value))...)
}
