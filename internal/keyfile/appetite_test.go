package keyfile

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
)

// TestAppetite gives the decoder what is worst for it, and more than it reads.
func TestAppetite(t *testing.T) {
	inputs := append(appetite.Malformed(1<<18), codec.MustMarshal(&File{Sealed: make([]byte, BytesMax)}))
	appetite.CheckAll(t, inputs, func(b []byte) { _, _ = Decode(b) })
}
