package client

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/ledger"
)

// TestAppetite gives the decoder of pins what is worst for it.
func TestAppetite(t *testing.T) {
	inputs := append(appetite.Worst(&ledger.Pin{}, codec.Marshal, 1<<16), appetite.Malformed(1<<16)...)
	appetite.CheckAll(t, inputs, func(b []byte) { _, _ = decodePin(b) })
}
