package snapshot

import (
	"bytes"
	"context"
	"errors"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/state"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// Sink takes what is in a snapshot, piece by piece, once it is verified.
type Sink interface {
	Block(height ledger.Height, encoded []byte) error
	Receipts(height ledger.Height, encoded [][]byte) error
	Batch(digest suite.Hash, encoded []byte) error
	State(entries []state.Entry) error
}

// discard is the sink of who wants to know only whether a snapshot is valid.
type discard struct{}

func (discard) Block(ledger.Height, []byte) error      { return nil }
func (discard) Receipts(ledger.Height, [][]byte) error { return nil }
func (discard) Batch(suite.Hash, []byte) error         { return nil }
func (discard) State([]state.Entry) error              { return nil }

// Verifier verifies the chunks of one snapshot in their order. Errors that wrap ErrInvalid are the snapshot's fault, others the
// sink's.
type Verifier struct {
	suite    suite.Suite
	set      ledger.ValidatorSet
	manifest *Manifest
	sink     Sink
	next     int // the chunk expected

	// headers are those of the blocks, from the lowest on.
	headers []ledger.Header
	// due are the heights whose receipts are still to come, in order; receipts are those that came of the first.
	due           []ledger.Height
	receipts      [][]byte
	receiptsBytes int
	// digests are the batches still to come, in order.
	digests []suite.Hash
	// place is where the next leaves begin; leaves is how many came.
	place  suite.Hash
	leaves uint64
	whole  bool // the state is complete
}

// NewVerifier verifies the manifest and returns a verifier of its chunks. A nil sink takes nothing.
func NewVerifier(s suite.Suite, g *ledger.Genesis, m *Manifest, sink Sink) (*Verifier, error) {
	if err := m.Verify(s, g); err != nil {
		return nil, err
	}
	if sink == nil {
		sink = discard{}
	}
	return &Verifier{suite: s, set: g.Validators, manifest: m, sink: sink}, nil
}

// Chunk verifies the next chunk and hands what is in it to the sink.
func (v *Verifier) Chunk(b []byte) error {
	if v.next == len(v.manifest.Chunks) {
		return invalid("more than %d chunks", v.next)
	}
	c := &v.manifest.Chunks[v.next]
	if len(b) != int(c.Bytes) || HashChunk(v.suite, b) != c.Hash {
		return invalid("chunk %d is not the one that the manifest names", v.next)
	}
	if err := v.take(c, b); err != nil {
		return err
	}
	next := KindState
	if v.next++; v.next < len(v.manifest.Chunks) {
		next = v.manifest.Chunks[v.next].Kind
	}
	if next != c.Kind {
		return v.finish(c.Kind, next)
	}
	return nil
}

func (v *Verifier) take(c *Chunk, b []byte) error {
	switch c.Kind {
	case KindBlocks:
		return each(b, func(c *blocksChunk) error { return v.takeBlocks(c.Blocks) })
	case KindReceipts:
		return each(b, func(c *receiptsChunk) error { return v.takeReceipts(c.Parts) })
	case KindBatches:
		return each(b, func(c *batchesChunk) error { return v.takeBatches(c.Batches) })
	default:
		return each(b, func(chunk *stateChunk) error { return v.takeState(c.From, chunk) })
	}
}

// each decodes a chunk and hands it on.
func each[T any](b []byte, take func(*T) error) error {
	if len(b) > ChunkBytesMax {
		return invalid("a chunk of %d bytes", len(b))
	}
	var c T
	if err := codec.Unmarshal(b, &c); err != nil {
		return invalid("%v", err)
	}
	return take(&c)
}

// finish checks that all of a kind has come, and of the kinds up to next, which may have no chunk.
func (v *Verifier) finish(k, next Kind) error {
	if k == KindBlocks {
		if err := v.finishBlocks(); err != nil {
			return err
		}
	}
	if k <= KindReceipts && next > KindReceipts {
		return v.finishReceiptsBelow(v.manifest.Height + 1)
	}
	return nil
}

// Finish checks that nothing is missing at the end.
func (v *Verifier) Finish() error {
	switch {
	case v.next < len(v.manifest.Chunks):
		return invalid("chunk %d of %d is missing", v.next, len(v.manifest.Chunks))
	case len(v.digests) > 0:
		return invalid("batch %s is missing", v.digests[0])
	case !v.whole:
		return invalid("the state ends at %s", v.place)
	case v.leaves != v.manifest.Leaves:
		return invalid("%d leaves, the manifest says %d", v.leaves, v.manifest.Leaves)
	}
	return nil
}

func (v *Verifier) takeBlocks(blocks [][]byte) error {
	if len(blocks) == 0 {
		return invalid("a chunk without blocks")
	}
	for _, encoded := range blocks {
		b, err := ledger.DecodeBlock(encoded)
		if err != nil {
			return invalid("%v", err)
		}
		if err := v.checkBlock(b); err != nil {
			return err
		}
		v.headers = append(v.headers, b.Header)
		if err := v.sink.Block(b.Header.Height, encoded); err != nil {
			return err
		}
	}
	return nil
}

// checkBlock checks that a block follows the one before, is certified, and has the payload that its header names.
func (v *Verifier) checkBlock(b *ledger.Block) error {
	h := &b.Header
	switch n := len(v.headers); {
	case h.Height == 0 || h.Height > v.manifest.Header.Height:
		return invalid("a block of height %d", h.Height)
	case n == 0 && h.Height == 1 && h.Previous != v.manifest.Network:
		return invalid("block 1 does not follow the genesis")
	case n > 0 && (h.Height != v.headers[n-1].Height+1 || h.Previous != v.headers[n-1].Hash(v.suite)):
		return invalid("block %d does not follow block %d", h.Height, v.headers[n-1].Height)
	case h.Version != ledger.HeaderVersion || h.Network != v.manifest.Network || h.Suite != v.suite.ID():
		return invalid("block %d is of network %s, version %d", h.Height, h.Network, h.Version)
	case h.Proposal != ledger.ProposalHash(v.suite, b.Metadata, b.Sequence) || h.PayloadHash != v.suite.Hash(ledger.DomainPayload, b.Payload):
		return invalid("block %d has another payload than its header names", h.Height)
	}
	if err := ledger.VerifyCertificate(v.suite, v.set, h, &b.Certificate); err != nil {
		return invalid("%v", err)
	}
	if h.Height <= v.manifest.Height {
		return nil
	}
	payload, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return invalid("payload of block %d: %v", h.Height, err)
	}
	for i := range payload.Entries {
		v.digests = append(v.digests, payload.Entries[i].Digest)
	}
	return nil
}

// finishBlocks checks that the blocks reach from before the window to the certified header, and notes which receipts follow.
func (v *Verifier) finishBlocks() error {
	n := len(v.headers)
	if n <= ledger.Lag || v.headers[n-1] != v.manifest.Header {
		return invalid("the blocks do not end with the header of height %d", v.manifest.Header.Height)
	}
	below := v.headers[:n-ledger.Lag]
	at := &below[len(below)-1]
	window, err := chain.NewWindow(at)
	if err != nil {
		return invalid("%v", err)
	}
	for i := len(below) - 2; i >= 0; i-- {
		if window.Complete() {
			return invalid("block %d lies before the window", below[i].Height)
		}
		window.Add(&below[i])
	}
	if !window.Complete() {
		return invalid("the blocks begin at %d, in the middle of the window", below[0].Height)
	}
	for i := range below {
		if window.Receipts(&below[i]) {
			v.due = append(v.due, below[i].Height)
		}
	}
	return nil
}

func (v *Verifier) takeReceipts(parts []receiptsPart) error {
	if len(parts) == 0 {
		return invalid("a chunk without receipts")
	}
	for i := range parts {
		p := &parts[i]
		if p.Index == 0 {
			if err := v.finishReceiptsBelow(p.Height); err != nil {
				return err
			}
		}
		if len(v.due) == 0 || p.Height != v.due[0] || int(p.Index) != len(v.receipts) || len(p.Receipts) == 0 {
			return invalid("receipts of height %d from %d on", p.Height, p.Index)
		}
		for _, r := range p.Receipts {
			v.receiptsBytes += len(r)
		}
		if v.receiptsBytes > heightReceiptsBytesMax {
			return invalid("the receipts of height %d have more than %d bytes", p.Height, heightReceiptsBytesMax)
		}
		v.receipts = append(v.receipts, p.Receipts...)
	}
	return nil
}

// finishReceiptsBelow finishes the heights that are due below one: the first has the receipts that came, the others have none.
func (v *Verifier) finishReceiptsBelow(height ledger.Height) error {
	for len(v.due) > 0 && v.due[0] < height {
		if err := v.finishReceipts(); err != nil {
			return err
		}
	}
	return nil
}

// finishReceipts compares the receipts of the first height that is due with the root certified for it.
func (v *Verifier) finishReceipts() error {
	height := v.due[0]
	certified := &v.headers[height+ledger.Lag-v.headers[0].Height]
	if merkle.Root(v.suite, v.receipts) != certified.ReceiptsRoot {
		return invalid("the receipts of height %d do not lead to their root", height)
	}
	if err := v.sink.Receipts(height, v.receipts); err != nil {
		return err
	}
	v.due, v.receipts, v.receiptsBytes = v.due[1:], nil, 0
	return nil
}

func (v *Verifier) takeBatches(batches [][]byte) error {
	if len(batches) == 0 {
		return invalid("a chunk without batches")
	}
	for _, encoded := range batches {
		head, _, err := ledger.ReadBatch(v.suite, encoded)
		if err != nil {
			return invalid("%v", err)
		}
		digest := head.Digest(v.suite)
		if len(v.digests) == 0 || digest != v.digests[0] {
			return invalid("batch %s is not the next that is ordered", digest)
		}
		v.digests = v.digests[1:]
		if err := v.sink.Batch(digest, encoded); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) takeState(from suite.Hash, c *stateChunk) error {
	if from != v.place || v.whole || len(c.Entries) == 0 {
		return invalid("leaves from %s on, expected from %s", from, v.place)
	}
	leaves, err := leavesOf(v.suite, c.Entries)
	if err != nil {
		return err
	}
	if err := merkle.VerifyRange(v.suite, v.manifest.Header.StateRoot, from, c.To, leaves, c.Stubs); err != nil {
		return invalid("leaves from %s on: %v", from, err)
	}
	v.place, v.whole = c.To, c.To.IsZero()
	v.leaves += uint64(len(leaves))
	return v.sink.State(c.Entries)
}

// leavesOf returns what the hashes of entries commit to.
func leavesOf(s suite.Suite, entries []state.Entry) ([]merkle.Leaf, error) {
	h := merkle.NewHasher(s)
	keys, values, live := make([][]byte, len(entries)), [][]byte{}, []int{}
	for i := range entries {
		e := &entries[i]
		if n := len(e.Key); n < merkle.KeyBytesMin || n > merkle.KeyBytesMax || len(e.Value) > merkle.ValueBytesMax || e.Deleted && len(e.Value) > 0 {
			return nil, invalid("an entry with a key of %d and a value of %d bytes", n, len(e.Value))
		}
		keys[i] = e.Key
		if !e.Deleted {
			values, live = append(values, e.Value), append(live, i)
		}
	}
	places, hashes := make([]suite.Hash, len(entries)), make([]suite.Hash, len(values))
	h.Keys(keys, places)
	h.Values(values, hashes)
	leaves := make([]merkle.Leaf, len(entries))
	for i := range entries {
		leaves[i] = merkle.Leaf{Key: places[i], Height: entries[i].Height, Previous: entries[i].Previous}
	}
	for i, at := range live {
		leaves[at].Value = hashes[i]
	}
	return leaves, nil
}

// Source is where a snapshot comes from.
type Source interface {
	// Manifest returns the manifest.
	Manifest() *Manifest
	// Chunk returns a chunk by its place in the manifest.
	Chunk(i int) ([]byte, error)
}

// Verify verifies a whole snapshot against the genesis.
func Verify(ctx context.Context, s suite.Suite, g *ledger.Genesis, src Source) error {
	return feed(ctx, s, g, src, nil)
}

// Restore verifies a snapshot and fills empty stores with it, of which the configuration names those of blocks and state, and the
// genesis. After an error they hold a part and are of no use. A chain opened over them compares the state with its root once more.
func Restore(ctx context.Context, cfg chain.Config, src Source) error {
	r, err := chain.NewRestorer(cfg, src.Manifest().Height)
	if err != nil {
		return err
	}
	if err := feed(ctx, cfg.Suite, cfg.Genesis, src, r); err != nil {
		return err
	}
	return r.Finish(src.Manifest().Roots())
}

// RestoreState verifies a snapshot and fills an empty store with its state alone, for who has the blocks. After an error the store
// holds a part and is of no use.
func RestoreState(ctx context.Context, cfg chain.Config, src Source) error {
	im, err := state.NewImporter(state.Config{Store: cfg.State, Suite: cfg.Suite}, uint64(src.Manifest().Height))
	if err != nil {
		return err
	}
	if err := feed(ctx, cfg.Suite, cfg.Genesis, src, stateSink{im: im}); err != nil {
		return err
	}
	return im.Finish(src.Manifest().Roots())
}

// stateSink takes the state alone.
type stateSink struct {
	discard
	im *state.Importer
}

// State implements Sink.
func (s stateSink) State(entries []state.Entry) error { return s.im.Add(entries) }

func feed(ctx context.Context, s suite.Suite, g *ledger.Genesis, src Source, sink Sink) error {
	m := src.Manifest()
	v, err := NewVerifier(s, g, m, sink)
	if err != nil {
		return err
	}
	for i := range m.Chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := src.Chunk(i)
		if err != nil {
			return err
		}
		if err := v.Chunk(b); err != nil {
			return err
		}
	}
	return v.Finish()
}

// IsMagic reports whether b begins as a snapshot's file does.
func IsMagic(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }

// ErrNone reports that there is no snapshot.
var ErrNone = errors.New("snapshot: there is none")
