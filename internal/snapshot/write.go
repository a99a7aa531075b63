package snapshot

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"aval/codec"
	"aval/internal/chain"
	"aval/ledger"
	"aval/suite"
)

// magic begins and ends a file.
const magic = "AVALSNP1"

// trailerBytes is what follows the manifest in a file.
const trailerBytes = 8 + len(magic)

// Write writes the snapshot of a frozen height and returns its manifest. It ends early if ctx does.
func Write(ctx context.Context, s suite.Suite, f *chain.Frozen, to io.Writer) (*Manifest, error) {
	w := &writer{ctx: ctx, suite: s, to: to, frozen: f}
	w.raw([]byte(magic))
	for _, part := range []func(){w.blocks, w.receipts, w.batches, w.state} {
		if w.err == nil {
			part()
		}
	}
	if w.err == nil && len(w.manifest.Chunks) > ChunksMax {
		w.err = fmt.Errorf("snapshot: %d chunks, the most is %d", len(w.manifest.Chunks), ChunksMax)
	}
	if w.err != nil {
		return nil, w.err
	}
	encoded := codec.MustMarshal(&w.manifest)
	w.raw(encoded)
	w.raw(binary.BigEndian.AppendUint64(nil, uint64(len(encoded))))
	w.raw([]byte(magic))
	return &w.manifest, w.err
}

// writer writes one file. After an error it does nothing.
type writer struct {
	ctx      context.Context
	suite    suite.Suite
	to       io.Writer
	frozen   *chain.Frozen
	manifest Manifest
	err      error
}

func (w *writer) raw(b []byte) {
	if w.err == nil {
		_, w.err = w.to.Write(b)
	}
}

// chunk writes one chunk and lists it.
func (w *writer) chunk(kind Kind, from suite.Hash, content any) {
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err != nil {
		return
	}
	b := codec.MustMarshal(content)
	if len(b) > ChunkBytesMax {
		w.err = fmt.Errorf("snapshot: a chunk of %s has %d bytes, the most is %d", kind, len(b), ChunkBytesMax)
		return
	}
	w.manifest.Chunks = append(w.manifest.Chunks, Chunk{Kind: kind, Bytes: uint32(len(b)), Hash: HashChunk(w.suite, b), From: from})
	w.raw(b)
}

func (w *writer) blocks() {
	f, c, size := w.frozen, blocksChunk{}, 0
	last := f.Height() + ledger.Lag
	var encoded []byte
	for h := f.FirstBlock(); h <= last && w.err == nil; h++ {
		if encoded, _, w.err = f.Block(h); w.err != nil {
			return
		}
		if size += len(encoded); size > ChunkBytes && len(c.Blocks) > 0 {
			w.chunk(KindBlocks, suite.Hash{}, &c)
			c, size = blocksChunk{}, len(encoded)
		}
		c.Blocks = append(c.Blocks, encoded)
	}
	w.chunk(KindBlocks, suite.Hash{}, &c)
	var b *ledger.Block
	if w.err == nil {
		b, w.err = ledger.DecodeBlock(encoded)
	}
	if w.err == nil {
		m := &w.manifest
		m.Version, m.Suite, m.Network, m.Height = Version, w.suite.ID(), b.Header.Network, f.Height()
		m.Header, m.Certificate, m.Leaves = b.Header, b.Certificate, f.Len()
	}
}

func (w *writer) receipts() {
	f, c, size := w.frozen, receiptsChunk{}, 0
	for h := f.FirstReceipts(); h <= f.Height() && w.err == nil; h++ {
		all, err := f.Receipts(h)
		if err != nil {
			w.err = err
			return
		}
		part := receiptsPart{Height: h}
		size += 16
		for i, r := range all {
			if size += len(r) + 4; size > ChunkBytes && (len(part.Receipts) > 0 || len(c.Parts) > 0) {
				w.receiptsChunk(&c, &part)
				c, part, size = receiptsChunk{}, receiptsPart{Height: h, Index: uint32(i)}, len(r)+20
			}
			part.Receipts = append(part.Receipts, r)
		}
		c.add(&part)
	}
	w.receiptsChunk(&c, &receiptsPart{})
}

// receiptsChunk writes a chunk with a last part, unless there is nothing in either.
func (w *writer) receiptsChunk(c *receiptsChunk, last *receiptsPart) {
	if c.add(last); len(c.Parts) > 0 {
		w.chunk(KindReceipts, suite.Hash{}, c)
	}
}

// add appends a part unless it is empty.
func (c *receiptsChunk) add(p *receiptsPart) {
	if len(p.Receipts) > 0 {
		c.Parts = append(c.Parts, *p)
	}
}

func (w *writer) batches() {
	f, c, size := w.frozen, batchesChunk{}, 0
	for h := f.Height() + 1; h <= f.Height()+ledger.Lag; h++ {
		_, batches, err := f.Block(h)
		if err != nil {
			w.err = err
			return
		}
		for _, b := range batches {
			if size += len(b); size > ChunkBytes && len(c.Batches) > 0 {
				w.chunk(KindBatches, suite.Hash{}, &c)
				c, size = batchesChunk{}, len(b)
			}
			c.Batches = append(c.Batches, b)
		}
	}
	if len(c.Batches) > 0 {
		w.chunk(KindBatches, suite.Hash{}, &c)
	}
}

func (w *writer) state() {
	for from, done := (suite.Hash{}), false; !done && w.err == nil; done = from.IsZero() {
		r, err := w.frozen.Range(from, ChunkBytes)
		if err != nil {
			w.err = err
			return
		}
		w.chunk(KindState, from, &stateChunk{To: r.To, Entries: r.Entries, Stubs: r.Stubs})
		from = r.To
	}
}
