package merkle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// TestListTwin compares list roots and proofs of every size with the recursion of RFC 6962.
func TestListTwin(t *testing.T) {
	s := suites(t)[0]
	var leaves [][]byte
	var hashes []suite.Hash
	acc := merkle.NewAccumulator(s)
	for n := 0; n <= 70; n++ {
		want := merkletest.ListRoot(s, leaves)
		if got := merkle.Root(s, leaves); got != want {
			t.Fatalf("root of %d leaves is %s, want %s", n, got, want)
		}
		if got := merkle.RootOfHashes(s, hashes); got != want {
			t.Fatalf("root of %d hashes is %s, want %s", n, got, want)
		}
		if got := acc.Root(); got != want || acc.Size() != uint64(n) {
			t.Fatalf("the accumulator of %d leaves has size %d, root %s, want %s", n, acc.Size(), got, want)
		}
		for i := range leaves {
			p, err := merkle.ProveHashes(s, hashes, i)
			if err != nil {
				t.Fatal(err)
			}
			if want := merkletest.ListProof(s, leaves, i); !bytes.Equal(codec.MustMarshal(p), codec.MustMarshal(want)) {
				t.Fatalf("proof of leaf %d of %d is %v, want %v", i, n, p, want)
			}
			if err := merkle.Verify(s, want, leaves[i], p); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, n, err)
			}
		}
		leaf := []byte{byte(n)}
		leaves = append(leaves, leaf)
		hashes = append(hashes, merkle.LeafHash(s, leaf))
		acc.Append(merkle.LeafHash(s, leaf))
	}
	for _, i := range []int{-1, len(leaves)} {
		if _, err := merkle.Prove(s, leaves, i); err == nil {
			t.Fatalf("leaf %d of %d was proved", i, len(leaves))
		}
	}
}

// TestEveryByte changes every byte of a proof of every kind: none is without meaning.
func TestEveryByte(t *testing.T) {
	for _, s := range suites(t) {
		twin := refusedTwin(s)
		leaves := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d"), []byte("e")}
		spoilBytes(t, s, "list", merkletest.ListRoot(s, leaves), 0, codec.MustMarshal(merkletest.ListProof(s, leaves, 2)), leaves[2])
		keys := [][]byte{[]byte("key 8"), []byte("key 7"), withEnd(twin, merkle.EndEmpty), withEnd(twin, merkle.EndOther)}
		for _, key := range keys {
			spoilBytes(t, s, "state", twin.StateRoot(), 0, codec.MustMarshal(twin.Prove(key)), key)
		}
		for _, key := range keys[:2] {
			spoilBytes(t, s, "write", twin.WriteRoot(), 2, codec.MustMarshal(twin.ProveWrite(key)), key)
		}
	}
}

func spoilBytes(t *testing.T, s suite.Suite, kind string, root suite.Hash, height uint64, proof, key []byte) {
	t.Helper()
	if err := verifyAny(s, kind, root, height, proof, key); err != nil {
		t.Fatalf("%s proof of %q: %v", kind, key, err)
	}
	for i := range proof {
		for _, flip := range []byte{0x01, 0x02, 0x20, 0x80, 0xff} {
			bad := bytes.Clone(proof)
			bad[i] ^= flip
			err := verifyAny(s, kind, root, height, bad, key)
			if err == nil {
				t.Fatalf("%s proof of %q: byte %d changed from %#x to %#x, and accepted", kind, key, i, proof[i], bad[i])
			}
			if !errors.Is(err, merkle.ErrMalformed) && !errors.Is(err, merkle.ErrMismatch) {
				t.Fatalf("%s proof of %q: byte %d: an error without a name: %v", kind, key, i, err)
			}
		}
	}
}

// TestStateTwin verifies the twin's proofs of random states.
func TestStateTwin(t *testing.T) {
	s := suites(t)[1]
	rapid.Check(t, func(t *rapid.T) {
		twin := merkletest.NewTwin(s)
		names := rapid.SliceOfNDistinct(rapid.StringN(1, 8, -1), 1, 30, rapid.ID[string]).Draw(t, "keys")
		var writes []merkletest.Write
		for _, n := range names[1:] {
			writes = append(writes, merkletest.Write{Key: []byte(n), Value: []byte(n)})
		}
		twin.Apply(1, writes)
		root := twin.StateRoot()
		for i, n := range names {
			value, height, present, err := merkle.VerifyState(s, root, twin.Prove([]byte(n)), []byte(n))
			if err != nil || present != (i > 0) || present && (string(value) != n || height != 1) {
				t.Fatalf("key %q: %q of height %d, %t, %v", n, value, height, present, err)
			}
		}
	})
}

// TestDigits checks the digits of a key and common prefixes against its bits.
func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b suite.Hash
		copy(a[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "a"))
		b = a
		at := rapid.IntRange(0, merkle.DepthMax-1).Draw(t, "digit")
		b[at/4] ^= byte(rapid.IntRange(1, 3).Draw(t, "flip")) << (6 - 2*(at%4))
		for depth := 0; depth <= merkle.DepthMax; depth++ {
			if got, want := merkle.SamePrefix(&a, &b, depth), depth <= at; got != want {
				t.Fatalf("%s and %s differ in digit %d; same prefix of %d: %t", a, b, at, depth, got)
			}
			if depth < merkle.DepthMax && (merkle.Digit(&a, depth) == merkle.Digit(&b, depth)) != (depth != at) {
				t.Fatalf("digit %d of %s is %d, of %s %d", depth, a, merkle.Digit(&a, depth), b, merkle.Digit(&b, depth))
			}
		}
	})
}

// TestLimits checks how the limits relate.
func TestLimits(t *testing.T) {
	if merkle.DepthMax != 128 || merkle.LeafBytes != 81 || merkle.InnerBytes != 129 {
		t.Fatalf("depth %d, leaf %d, inner %d", merkle.DepthMax, merkle.LeafBytes, merkle.InnerBytes)
	}
	if merkle.WritesMax > merkle.LeavesMax {
		t.Fatal("a write set can be larger than a list")
	}
	worst := &merkle.StateProof{Version: 1, End: merkle.EndValue, Height: 1 << 63, Previous: merkle.HeightNone,
		Value: make([]byte, merkle.ValueBytesMax), Mask: bytes.Repeat([]byte{7}, merkle.DepthMax),
		Siblings: bytes.Repeat([]byte{1}, merkle.DepthMax*3*suite.HashSize)}
	if _, err := merkle.DecodeStateProof(codec.MustMarshal(worst)); err != nil {
		t.Fatalf("the largest state proof: %v", err)
	}
	write := &merkle.WriteProof{Version: 1, Previous: merkle.HeightNone, Value: worst.Value,
		List: merkle.Proof{Version: 1, Index: 0, Size: merkle.LeavesMax, Path: make([]byte, 24*suite.HashSize)}}
	if _, err := merkle.DecodeWriteProof(codec.MustMarshal(write)); err != nil {
		t.Fatalf("the largest write proof: %v", err)
	}
	if _, err := merkle.DecodeProof(codec.MustMarshal(&write.List)); err != nil {
		t.Fatalf("the largest list proof: %v", err)
	}
	worst.Value = append(worst.Value, 0)
	if _, err := merkle.DecodeStateProof(codec.MustMarshal(worst)); !errors.Is(err, merkle.ErrMalformed) {
		t.Fatalf("a value over the limit: %v", err)
	}
	for name, decode := range map[string]func([]byte) error{
		"state": func(b []byte) error { _, err := merkle.DecodeStateProof(b); return err },
		"write": func(b []byte) error { _, err := merkle.DecodeWriteProof(b); return err },
		"list":  func(b []byte) error { _, err := merkle.DecodeProof(b); return err },
	} {
		if err := decode(make([]byte, 1<<20)); !errors.Is(err, merkle.ErrMalformed) {
			t.Fatalf("a %s proof of a mebibyte: %v", name, err)
		}
	}
}

// TestJSON checks that proofs survive JSON, with integers as strings.
func TestJSON(t *testing.T) {
	s := suites(t)[0]
	want := refusedTwin(s).Prove([]byte("key 8"))
	want.Previous = merkle.HeightNone
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`"previous":"18446744073709551615"`)) {
		t.Fatalf("%s has no previous height as a string", b)
	}
	var got merkle.StateProof
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(codec.MustMarshal(got), codec.MustMarshal(want)) {
		t.Fatalf("%s came back as %v", b, got)
	}
}

// TestNilProof checks that a missing proof is refused, not followed.
func TestNilProof(t *testing.T) {
	s := suites(t)[0]
	if err := merkle.Verify(s, suite.Hash{}, nil, nil); !errors.Is(err, merkle.ErrMalformed) {
		t.Fatal(err)
	}
	if _, _, _, err := merkle.VerifyState(s, suite.Hash{}, nil, []byte("k")); !errors.Is(err, merkle.ErrMalformed) {
		t.Fatal(err)
	}
	if _, err := merkle.VerifyWrite(s, suite.Hash{}, 0, nil, []byte("k")); !errors.Is(err, merkle.ErrMalformed) {
		t.Fatal(err)
	}
}
