package merkle_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// ranged is one range of a tree with all that proves it.
type ranged struct {
	root, from, to suite.Hash
	leaves         []merkle.Leaf
	stubs          []merkle.Stub
}

func (r *ranged) verify(s suite.Suite) error {
	return merkle.VerifyRange(s, r.root, r.from, r.to, r.leaves, r.stubs)
}

// rangesOf cuts a twin's tree into ranges of count leaves.
func rangesOf(twin *merkletest.Twin, count int) (out []ranged) {
	for from := (suite.Hash{}); ; {
		to, leaves, stubs := twin.Range(from, count)
		r := ranged{root: twin.StateRoot(), from: from, to: to, stubs: stubs}
		for _, l := range leaves {
			r.leaves = append(r.leaves, twin.MerkleLeaf(l))
		}
		out = append(out, r)
		if from = to; to.IsZero() {
			return out
		}
	}
}

func grown(s suite.Suite, keys int) *merkletest.Twin {
	twin := merkletest.NewTwin(s)
	var writes []merkletest.Write
	for i := range keys {
		writes = append(writes, merkletest.Write{Key: fmt.Appendf(nil, "key %d", i), Value: []byte{byte(i)}})
	}
	twin.Apply(1, writes)
	if keys > 3 {
		twin.Apply(2, []merkletest.Write{{Key: []byte("key 1"), Delete: true}, {Key: []byte("key 2"), Value: []byte("new")}})
	}
	return twin
}

func TestRangesOfEverySizeVerify(t *testing.T) {
	for _, s := range suites(t) {
		for keys := range 40 {
			twin := grown(s, keys)
			for count := 1; count <= keys+1; count++ {
				sum := 0
				for i, r := range rangesOf(twin, count) {
					if err := r.verify(s); err != nil {
						t.Fatalf("%s: range %d of %d leaves among %d: %v", s.Name(), i, count, keys, err)
					}
					sum += len(r.leaves)
				}
				if sum != keys {
					t.Fatalf("%s: ranges of %d leaves have %d of %d together", s.Name(), count, sum, keys)
				}
			}
		}
	}
}

// TestRangeBindsEverything changes one thing in a range after another: none of it verifies any more.
func TestRangeBindsEverything(t *testing.T) {
	s := suites(t)[1]
	rapid.Check(t, func(t *rapid.T) {
		all := rangesOf(grown(s, rapid.IntRange(2, 60).Draw(t, "keys")), rapid.IntRange(1, 9).Draw(t, "count"))
		r := rapid.SampledFrom(all).Draw(t, "range")
		r.leaves, r.stubs = slices.Clone(r.leaves), slices.Clone(r.stubs)
		i := rapid.IntRange(0, len(r.leaves)-1).Draw(t, "leaf")
		change := rapid.SampledFrom([]string{"omit", "height", "previous", "value", "key", "root", "twice", "stub", "widen", "extra"}).Draw(t, "change")
		switch change {
		case "omit":
			r.leaves = slices.Delete(r.leaves, i, i+1)
		case "height":
			r.leaves[i].Height++
		case "previous":
			r.leaves[i].Previous--
		case "value":
			r.leaves[i].Value[7] ^= 1
		case "key":
			r.leaves[i].Key[suite.HashSize-1] ^= 1
		case "root":
			r.root[0] ^= 1
		case "twice":
			r.leaves = slices.Insert(r.leaves, i, r.leaves[i])
		case "stub":
			if len(r.stubs) == 0 {
				return
			}
			r.stubs[len(r.stubs)/2].Hash[3] ^= 1
		case "widen": // claims that a neighbour's leaves do not exist
			if r.to.IsZero() {
				return
			}
			r.to = suite.Hash{}
		case "extra":
			extra := r.leaves[i]
			extra.Key[suite.HashSize-1] ^= 1
			r.leaves = append(r.leaves, extra)
			slices.SortFunc(r.leaves, func(a, b merkle.Leaf) int { return bytes.Compare(a.Key[:], b.Key[:]) })
		}
		if err := r.verify(s); !errors.Is(err, merkle.ErrMismatch) && !errors.Is(err, merkle.ErrMalformed) {
			t.Fatalf("after %q: %v", change, err)
		}
	})
}

// TestRangeHidesNothing leaves out leaves of a range and puts the stubs of their subtrees in their place.
func TestRangeHidesNothing(t *testing.T) {
	s := suites(t)[1]
	twin := grown(s, 30)
	whole := rangesOf(twin, 100)[0]
	for _, r := range rangesOf(twin, 4) {
		hidden := ranged{root: r.root, from: r.from, to: r.to}
		_, _, hidden.stubs = twin.Range(r.to, 100) // a stub for everything before r.to, r's own leaves too
		if r.to.IsZero() {
			continue
		}
		hidden.leaves = nil
		for _, l := range whole.leaves {
			if bytes.Compare(l.Key[:], r.to[:]) >= 0 {
				hidden.leaves = append(hidden.leaves, l)
			}
		}
		hidden.to = suite.Hash{}
		if err := hidden.verify(s); !errors.Is(err, merkle.ErrMalformed) {
			t.Fatalf("leaves from %s to %s hide behind stubs: %v", r.from, r.to, err)
		}
		hidden.from = r.to
		if err := hidden.verify(s); err != nil {
			t.Fatalf("the same from %s on: %v", r.to, err)
		}
	}
}

func TestPlaceAfter(t *testing.T) {
	var last suite.Hash
	for i := range last {
		last[i] = 0xff
	}
	for depth := range merkle.DepthMax + 1 {
		if got := merkle.PlaceAfter(last, depth); !got.IsZero() {
			t.Fatalf("behind the last place at depth %d lies %s", depth, got)
		}
	}
	for _, tc := range []struct {
		prefix byte
		depth  int
		want   byte
	}{{0, 1, 0x40}, {0x40, 1, 0x80}, {0x0c, 3, 0x10}, {0x3c, 3, 0x40}, {0x3f, 4, 0x40}, {0x3e, 4, 0x3f}} {
		if got := merkle.PlaceAfter(suite.Hash{tc.prefix}, tc.depth); got != (suite.Hash{tc.want}) {
			t.Errorf("behind %02x at depth %d lies %s", tc.prefix, tc.depth, got)
		}
	}
	if got := merkle.PlaceAfter(suite.Hash{1, 0xff, 0xff}, 12); got != (suite.Hash{2}) {
		t.Errorf("the carry leads to %s", got)
	}
}

// FuzzVerifyRange checks that no bytes make a range verify under a root without a preimage, or panic.
func FuzzVerifyRange(f *testing.F) {
	s := suites(f)[1]
	for _, r := range rangesOf(grown(s, 12), 5) {
		b := append(append([]byte{byte(len(r.leaves))}, r.from[:]...), r.to[:]...)
		for _, l := range r.leaves {
			b = append(append(b, l.Key[:]...), l.Value[:]...)
		}
		for _, stub := range r.stubs {
			b = append(append(append(b, stub.Depth), stub.Prefix[:]...), stub.Hash[:]...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		take := func(n int) []byte {
			out := make([]byte, n)
			b = b[copy(out, b):]
			return out
		}
		leaves := take(1)[0]
		r := ranged{root: suite.Hash{1}, from: suite.Hash(take(suite.HashSize)), to: suite.Hash(take(suite.HashSize))}
		for range leaves {
			r.leaves = append(r.leaves, merkle.Leaf{Key: suite.Hash(take(suite.HashSize)), Height: 5, Value: suite.Hash(take(suite.HashSize))})
		}
		for len(b) > 0 {
			r.stubs = append(r.stubs, merkle.Stub{Depth: take(1)[0], Prefix: suite.Hash(take(suite.HashSize)), Hash: suite.Hash(take(suite.HashSize))})
		}
		if err := r.verify(s); err == nil {
			t.Fatal("a range leads to a root without a preimage")
		}
	})
}
