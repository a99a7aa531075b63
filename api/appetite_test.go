package api

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
)

// TestAppetite gives every decoder what is worst for it.
func TestAppetite(t *testing.T) {
	for _, d := range []struct {
		zero   any
		decode func(b []byte)
	}{
		{&[][]byte{}, func(b []byte) { _, _ = DecodeBatch(b) }},
		{&[]Submitted{}, func(b []byte) { _, _ = DecodeSubmitted(b, BatchTxsMax) }},
	} {
		appetite.CheckAll(t, append(appetite.Worst(d.zero, codec.Marshal, 1<<18), appetite.Malformed(1<<18)...), d.decode)
	}
}
