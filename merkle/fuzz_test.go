package merkle_test

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/merkle"
	"aval/suite"
)

// seed adds the proofs of one kind in the vector files to the corpus.
func seed(f *testing.F, kind string) {
	f.Helper()
	for _, s := range suites(f) {
		v := loadVectors(f, s)
		for _, r := range v.Refused {
			if r.Kind == kind {
				f.Add(unhex(f, r.Proof))
			}
		}
		for _, b := range v.Blocks {
			for _, p := range b.States {
				if kind == "state" {
					f.Add(unhex(f, p.Proof))
				}
			}
			for _, p := range b.Written {
				if kind == "write" {
					f.Add(unhex(f, p.Proof))
				}
			}
		}
		for _, l := range v.Lists {
			for _, p := range l.Proofs {
				if kind == "list" {
					f.Add(unhex(f, p))
				}
			}
		}
	}
}

// FuzzDecodeStateProof checks that what decodes encodes back and can be verified without a panic.
func FuzzDecodeStateProof(f *testing.F) {
	seed(f, "state")
	s := suites(f)[1]
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = merkle.DecodeStateProof(b) })
		p, err := merkle.DecodeStateProof(b)
		if err != nil {
			return
		}
		same(t, b, p)
		if _, _, _, err := merkle.VerifyState(s, suite.Hash{1}, p, []byte("key")); err == nil {
			t.Fatal("a proof leads to a root without a preimage")
		}
	})
}

// FuzzDecodeWriteProof checks that what decodes encodes back and can be verified without a panic.
func FuzzDecodeWriteProof(f *testing.F) {
	seed(f, "write")
	s := suites(f)[1]
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = merkle.DecodeWriteProof(b) })
		p, err := merkle.DecodeWriteProof(b)
		if err != nil {
			return
		}
		same(t, b, p)
		if _, err := merkle.VerifyWrite(s, suite.Hash{1}, 9, p, []byte("key")); err == nil {
			t.Fatal("a proof leads to a root without a preimage")
		}
	})
}

// FuzzDecodeProof checks that what decodes encodes back and can be verified without a panic.
func FuzzDecodeProof(f *testing.F) {
	seed(f, "list")
	s := suites(f)[1]
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = merkle.DecodeProof(b) })
		p, err := merkle.DecodeProof(b)
		if err != nil {
			return
		}
		same(t, b, p)
		if err := merkle.Verify(s, suite.Hash{1}, []byte("leaf"), p); err == nil {
			t.Fatal("a proof leads to a root without a preimage")
		}
	})
}

func same(t *testing.T, b []byte, p any) {
	t.Helper()
	if again := codec.MustMarshal(p); !bytes.Equal(again, b) {
		t.Fatalf("%x encodes back as %x", b, again)
	}
}
