package intake_test

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/internal/chain/chaintest"
	"aval/internal/intake"
	"aval/ledger"
)

// What decodes is within bounds and is the one encoding of what it decodes to.
func FuzzDecodePush(f *testing.F) {
	n := chaintest.New(f, chaintest.Options{})
	batch := n.Batch(n.Scope(f, "/a"), n.Scope(f, "/b"))
	for _, p := range []intake.Push{{}, {Body: batch}, {Body: batch, Verify: true}, {Body: []byte("junk"), Verify: true}} {
		encoded := codec.MustMarshal(&p)
		f.Add(encoded)
		f.Add(append(encoded, 0))
		f.Add(encoded[:len(encoded)-1])
	}
	f.Add([]byte{0xa2, 0x01, 0x58, 0x01, 0x00, 0x02, 0xf5}) // a length longer than it need be
	f.Add([]byte{0xa2, 0x02, 0xf5, 0x01, 0x40})             // keys out of order
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = intake.DecodePush(b) })
		p, err := intake.DecodePush(b)
		if err != nil {
			return
		}
		if again := codec.MustMarshal(p); len(b) > intake.PushBytesMax || !bytes.Equal(again, b) {
			t.Errorf("%d bytes %x decode to what is encoded as %x", len(b), b, again)
		}
	})
}

func TestPushBounds(t *testing.T) {
	largest := codec.MustMarshal(&intake.Push{Body: make([]byte, ledger.BatchBytesMax), Verify: true})
	if p, err := intake.DecodePush(largest); err != nil || len(p.Body) != ledger.BatchBytesMax || !p.Verify {
		t.Errorf("the largest batch cannot be pushed: %v", err)
	}
	if _, err := intake.DecodePush(make([]byte, intake.PushBytesMax+1)); err == nil {
		t.Error("a push of more than PushBytesMax decodes")
	}
}
