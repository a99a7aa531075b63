package catchup_test

import (
	"bytes"
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/internal/catchup"
	"aval/ledger"
)

func FuzzDecodeRequest(f *testing.F) {
	for _, r := range []catchup.Request{{From: 1}, {From: 1 << 40, Count: catchup.BlocksMax, WaitMs: 10_000}, {}, {Snapshot: 7},
		{Snapshot: 7, Chunk: bytes.Repeat([]byte{9}, 32)}, {Snapshot: 7, Chunk: []byte{9}}} {
		f.Add(codec.MustMarshal(&r))
	}
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = catchup.DecodeRequest(b) })
		r, err := catchup.DecodeRequest(b)
		if err != nil {
			return
		}
		if (r.From == 0) != (r.Snapshot > 0) || len(r.Chunk) > 32 || r.Count > catchup.BlocksMax || r.WaitMs > 10_000 {
			t.Fatalf("a request out of bounds: %+v", r)
		}
		if !bytes.Equal(codec.MustMarshal(r), b) {
			t.Fatalf("%x decodes to what encodes otherwise", b)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	for _, r := range []catchup.Response{{}, {Head: 3, Wall: 5, Blocks: []catchup.Sealed{{Block: []byte{1}, Batches: [][]byte{{2}}}, {Block: []byte{}},
		{Block: bytes.Repeat([]byte{7}, 300), Batches: [][]byte{{}, bytes.Repeat([]byte{8}, 300), {9}}}}},
		{Head: 9, First: 3, Snapshot: 7, Data: bytes.Repeat([]byte{7}, 300)},
		{Head: ^ledger.Height(0), Blocks: make([]catchup.Sealed, catchup.BlocksMax+1)},
		{Head: 1, Blocks: []catchup.Sealed{{Batches: make([][]byte, ledger.BlockBatchesMax+1)}}}} {
		f.Add(codec.MustMarshal(&r))
	}
	f.Add([]byte("junk"))
	f.Add([]byte{0xa3, 0x01, 0x00, 0x02, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // an array without end
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = catchup.DecodeResponse(b) })
		r, err := catchup.DecodeResponse(b)
		if err != nil {
			return
		}
		if len(r.Blocks) > catchup.BlocksMax {
			t.Fatalf("a response of %d blocks", len(r.Blocks))
		}
		sum := len(r.Data)
		for _, block := range r.Blocks {
			sum += len(block.Block)
			if len(block.Batches) > ledger.BlockBatchesMax {
				t.Fatalf("a block of %d batches", len(block.Batches))
			}
			for _, batch := range block.Batches {
				sum += len(batch)
			}
		}
		if sum > len(b) || !bytes.Equal(codec.MustMarshal(r), b) {
			t.Fatalf("%x decodes to what encodes otherwise", b)
		}
	})
}
