package merkle_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// manyLeaves returns n leaves of different lengths.
func manyLeaves(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = bytes.Repeat(fmt.Append(nil, i), 1+i%90)
	}
	return out
}

// TestManyTwin compares roots and proofs of lists whose levels are hashed in several parts with the recursion of RFC 6962, and
// with the accumulator.
func TestManyTwin(t *testing.T) {
	for _, s := range suites(t) {
		for _, n := range []int{126, 127, 128, 129, 130, 131, 255, 256, 257, 1000} {
			leaves, hashes, acc := manyLeaves(n), make([]suite.Hash, n), merkle.NewAccumulator(s)
			merkle.LeafHashes(s, leaves, hashes)
			for i := range leaves {
				leaf := merkle.LeafHash(s, leaves[i])
				if hashes[i] != leaf {
					t.Fatalf("%s: leaf %d of %d is %s, alone %s", s.Name(), i, n, hashes[i], leaf)
				}
				acc.Append(leaf)
			}
			want := merkletest.ListRoot(s, leaves)
			if root, ofHashes := merkle.Root(s, leaves), merkle.RootOfHashes(s, hashes); root != want || ofHashes != want || acc.Root() != want {
				t.Fatalf("%s: root of %d leaves is %s, of their hashes %s, of the accumulator %s, want %s",
					s.Name(), n, root, ofHashes, acc.Root(), want)
			}
			if hashes[n-1] != merkle.LeafHash(s, leaves[n-1]) || hashes[0] != merkle.LeafHash(s, leaves[0]) {
				t.Fatalf("%s: the hashes of %d leaves changed", s.Name(), n)
			}
			for _, i := range []int{0, n / 2, n - 1} {
				p, err := merkle.Prove(s, leaves, i)
				if err != nil {
					t.Fatal(err)
				}
				if err := merkle.Verify(s, want, leaves[i], p); err != nil {
					t.Fatalf("%s: leaf %d of %d: %v", s.Name(), i, n, err)
				}
			}
		}
	}
}

// TestHasherMany: keys and values hashed together have the hashes they have alone.
func TestHasherMany(t *testing.T) {
	for _, s := range suites(t) {
		h, raw := merkle.NewHasher(s), manyLeaves(100)
		keys, values := make([]suite.Hash, len(raw)), make([]suite.Hash, len(raw))
		h.Keys(raw, keys)
		h.Values(raw, values)
		for i := range raw {
			if keys[i] != h.Key(raw[i]) || values[i] != h.Value(raw[i]) {
				t.Errorf("%s: %d", s.Name(), i)
			}
		}
	}
}

// BenchmarkRoot is the root of 1,000 leaves of 273 bytes, of their hashes, and through an accumulator, in turn with the lanes and
// with the library alone: ns per leaf, and the quotient.
func BenchmarkRoot(b *testing.B) {
	s, err := suite.ByName("sm")
	if err != nil {
		b.Fatal(err)
	}
	defer suite.SetFastSM3(true)
	leaves, hashes := make([][]byte, 1000), make([]suite.Hash, 1000)
	for i := range leaves {
		leaves[i] = bytes.Repeat([]byte{byte(i)}, 273)
	}
	merkle.LeafHashes(s, leaves, hashes)
	for name, do := range map[string]func(){
		"leaves": func() { merkle.Root(s, leaves) },
		"hashes": func() { merkle.RootOfHashes(s, hashes) },
		"accumulator": func() {
			acc := merkle.NewAccumulator(s)
			for i := range leaves {
				acc.Append(merkle.LeafHash(s, leaves[i]))
			}
			acc.Root()
		},
	} {
		b.Run(name, func(b *testing.B) {
			best := map[bool]time.Duration{true: time.Hour, false: time.Hour}
			for b.Loop() {
				for on := range best {
					suite.SetFastSM3(on)
					start := time.Now()
					do()
					best[on] = min(best[on], time.Since(start))
				}
			}
			b.ReportMetric(float64(best[true].Nanoseconds())/1000, "ns/leaf")
			b.ReportMetric(float64(best[false].Nanoseconds())/1000, "ns/leaf-library")
			b.ReportMetric(float64(best[true])/float64(best[false]), "of-library")
		})
	}
}
