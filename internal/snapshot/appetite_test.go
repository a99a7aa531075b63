package snapshot

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
)

// TestDecodersTakeNoMoreThanTheyShould measures what a liar can make a decoder allocate.
func TestDecodersTakeNoMoreThanTheyShould(t *testing.T) {
	const most = 1 << 18
	for _, d := range []struct {
		name   string
		zero   any
		decode func(b []byte)
	}{
		{"manifest", &Manifest{}, func(b []byte) { _, _ = DecodeManifest(b) }},
		{"blocks", &blocksChunk{}, chunk[blocksChunk]},
		{"receipts", &receiptsChunk{}, chunk[receiptsChunk]},
		{"batches", &batchesChunk{}, chunk[batchesChunk]},
		{"state", &stateChunk{}, chunk[stateChunk]},
	} {
		t.Run(d.name, func(t *testing.T) {
			appetite.CheckAll(t, append(appetite.Worst(d.zero, codec.Marshal, most), appetite.Malformed(most)...), d.decode)
		})
	}
}

func chunk[T any](b []byte) { _ = each(b, func(*T) error { return nil }) }
