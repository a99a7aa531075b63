package merkle_test

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/merkle"
)

// TestAppetite gives every decoder what is worst for it.
func TestAppetite(t *testing.T) {
	const most = 1 << 17
	for _, d := range []struct {
		zero   any
		decode func(b []byte)
	}{
		{&merkle.Proof{}, func(b []byte) { _, _ = merkle.DecodeProof(b) }},
		{&merkle.StateProof{}, func(b []byte) { _, _ = merkle.DecodeStateProof(b) }},
		{&merkle.WriteProof{}, func(b []byte) { _, _ = merkle.DecodeWriteProof(b) }},
	} {
		appetite.CheckAll(t, append(appetite.Worst(d.zero, codec.Marshal, most), appetite.Malformed(most)...), d.decode)
	}
}
