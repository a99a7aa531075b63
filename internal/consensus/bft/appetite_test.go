package bft

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/suite"
)

// TestAppetite gives the decoders of engine messages and of the log what is worst for them: in protobuf an empty message inside another
// takes two bytes. (A packed start of a view is the exception: it names payloads instead of repeating them, and what it
// unpacks to is bounded by the number of validators.)
func TestAppetite(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	inputs := append(appetite.Worst(&envelope{}, codec.Marshal, 1<<16), appetite.Malformed(1<<16)...)
	for field := byte(1); field < 16; field++ {
		for inner := byte(1); inner < 8; inner++ {
			many := bytes.Repeat([]byte{inner<<3 | 2, 0}, 1<<15)
			for _, body := range [][]byte{many, append([]byte{field<<3 | 2, 0x80, 0x80, 0x04}, many...)} {
				inputs = append(inputs, body, encodeEnvelope(0, kindKernel, body))
			}
		}
	}
	appetite.CheckAll(t, inputs, func(b []byte) {
		_, _ = decodePulse(b)
		_, _ = decodeKernel(b)
	})
	appetite.CheckAll(t, inputs, func(b []byte) {
		if e, err := decodeEnvelope(b); err == nil && e.Kind == kindKernel {
			_, _ = e.kernelMessage(4)
		}
	})
	appetite.CheckAll(t, inputs, func(b []byte) { _, _ = readLog(s, [][]byte{b}) })
}
