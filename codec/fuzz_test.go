package codec

import (
	"bytes"
	"testing"
)

// fuzzFactor bounds allocation: bytes allocated per byte of input, for the shapes of this file, of which the
// largest element takes about 300 bytes; append and re-encoding double it a few times.
const (
	fuzzFactor = 4096
	fuzzSlack  = 1 << 18
)

// FuzzUnmarshal holds the promise of Unmarshal for several shapes: no panic, bounded memory, and whatever is
// accepted encodes to exactly the input.
func FuzzUnmarshal(f *testing.F) {
	f.Add(MustMarshal(sample()))
	f.Add(MustMarshal(leaf{Number: 300, Name: "x", Blob: []byte{1}}))
	f.Add(MustMarshal([]leaf{{}, {}}))
	f.Add(MustMarshal(tuple{Low: -5, High: 3}))
	f.Add(MustMarshal(map[uint32]leaf{3: {}}))
	f.Add(MustMarshal(&chain{Next: &chain{}}))
	f.Add([]byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{
			new(record), new(leaf), new([]leaf), new(tuple), new(map[uint32]leaf), new(chain),
			new(RawMessage), new([][]byte), new(uint64), new(string), new([32]byte), new(any),
		} {
			var err error
			run := func() { err = Unmarshal(b, v) }
			if len(b) < 64 {
				run()
			} else if n := allocatedOnce(run); n > uint64(fuzzFactor*len(b)+fuzzSlack) {
				t.Fatalf("%T: %d bytes allocated for %d bytes of input %x", v, n, len(b), b)
			}
			if err != nil {
				continue
			}
			again, err := Marshal(v)
			if err != nil {
				t.Fatalf("%T: accepted %x, cannot encode it: %v", v, b, err)
			}
			if !bytes.Equal(again, b) {
				t.Fatalf("%T: accepted %x, encodes as %x", v, b, again)
			}
		}
	})
}

// FuzzCheck compares Check with the decoder of the library: whatever Check accepts is well-formed there.
func FuzzCheck(f *testing.F) {
	f.Add(MustMarshal(sample()))
	f.Add([]byte{0xa2, 0x01, 0x02, 0x01, 0x03})
	f.Add([]byte{0x9f, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b) != nil {
			return
		}
		if err := decMode.Wellformed(b); err != nil {
			t.Fatalf("Check accepts %x, the library says: %v", b, err)
		}
		var raw RawMessage
		if err := Unmarshal(b, &raw); err != nil || !bytes.Equal(raw, b) {
			t.Fatalf("Check accepts %x, RawMessage does not carry it: %x, %v", b, raw, err)
		}
	})
}
