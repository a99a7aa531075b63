package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"

	"aval/codec"
	"aval/internal/kv"
	"aval/ledger"
)

// ErrPruned reports a block, or what it did, that this node has given up, or never had because it began from a snapshot.
var ErrPruned = errors.New("chain: no longer kept")

// firstRow says from which height on this node keeps blocks with their batches and receipts. What stands below may be there still.
type firstRow struct {
	First ledger.Height `cbor:"1,keyasint"`
}

// headerRow is what is kept of a block that is pruned: enough to show what was certified.
type headerRow struct {
	Header      ledger.Header      `cbor:"1,keyasint"`
	Certificate ledger.Certificate `cbor:"2,keyasint"`
}

// First returns the lowest height of which this node keeps block, batches and receipts; 1 if all.
func (c *Chain) First() ledger.Height {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// restoreFirst reads from where on blocks are kept.
func (c *Chain) restoreFirst() error {
	row := firstRow{First: 1}
	if err := c.load([]byte{rowFirst}, &row); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	c.first = row.First
	return nil
}

// absent says why something of a height is not there.
func (c *Chain) absent(err error, height ledger.Height) error {
	if first := c.First(); errors.Is(err, ErrNotFound) && height > 0 && height < first {
		return fmt.Errorf("%w: this node keeps blocks from %d on", ErrPruned, first)
	}
	return err
}

// sinceWhen says from where on transactions are found here, unless it is from the first on.
func (c *Chain) sinceWhen() string {
	if first := c.First(); first > 1 {
		return fmt.Sprintf("; this node has what happened from height %d on", first)
	}
	return ""
}

// Header returns the header of a block and its certificate, which outlive the block if live state was written by it.
func (c *Chain) Header(height ledger.Height) (*ledger.Header, *ledger.Certificate, error) {
	b, err := c.Block(height)
	if err == nil {
		return &b.Header, &b.Certificate, nil
	}
	var row headerRow
	if errors.Is(err, ErrPruned) && c.load(heightKey(rowHeader, height), &row) == nil {
		return &row.Header, &row.Certificate, nil
	}
	return nil, nil, err
}

// Retention says what Prune keeps.
type Retention struct {
	// Heights is how many of the newest heights are kept, at least 1.
	Heights uint64
	// From is a height that is kept with all above it; 0: no matter which.
	From ledger.Height
}

// Pruned is what Prune did.
type Pruned struct {
	// First is the lowest height that is kept now.
	First ledger.Height `json:"first"`
	// Blocks is how many blocks went, with their Batches and Receipts; of Headers of them header and certificate were kept.
	Blocks   int `json:"blocks"`
	Batches  int `json:"batches"`
	Receipts int `json:"receipts"`
	Headers  int `json:"headers"`
}

// pruneBlocks is how many blocks are dropped by one write.
const pruneBlocks = 64

// Prune drops blocks, their batches and receipts, and the transactions' index, below what r keeps. It keeps what this node needs to
// restart and to judge proposals whatever r says, and of dropped blocks header and certificate where a live record was last written
// there, or where the roots of such a height are certified. State and its proofs are not touched: they never need an old block.
// It may be called again after a crash or an error. It fails with state.ErrFrozen while a snapshot is being made.
func (c *Chain) Prune(ctx context.Context, r Retention) (Pruned, error) {
	if r.Heights == 0 {
		return Pruned{}, errors.New("chain: at least one height is kept")
	}
	frozen, err := c.Freeze()
	if errors.Is(err, ErrNotProven) {
		return Pruned{First: c.First()}, nil
	}
	if err != nil {
		return Pruned{}, err
	}
	defer frozen.Release()
	limit, err := c.pruneLimit(r, frozen.Height())
	if err != nil {
		return Pruned{}, err
	}
	out := Pruned{First: max(limit, c.First())}
	if err := c.setFirst(out.First); err != nil {
		return out, err
	}
	named := map[ledger.Height]bool{}
	frozen.state.Heights(func(h uint64) { named[ledger.Height(h)] = true })
	frozen.Release()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if more, err = c.pruneSome(limit, named, &out); err != nil {
			return out, err
		}
	}
	err = c.pruneHeaders(named)
	c.log.Info("pruned", slog.Uint64("first", uint64(out.First)), slog.Int("blocks", out.Blocks), slog.Int("headers", out.Headers))
	return out, err
}

// pruneLimit returns the lowest height to be kept. written is a height with writes: on a restart everything after the newest such is
// executed again.
func (c *Chain) pruneLimit(r Retention, written ledger.Height) (ledger.Height, error) {
	lowest := ledger.Height(0)
	err := c.cfg.Blocks.Iterate(kv.Range{Start: []byte{rowBlock}, End: []byte{rowBlock + 1}, Limit: 1}, func(_, value []byte) error {
		b, err := ledger.DecodeBlock(append([]byte(nil), value...))
		if err == nil {
			lowest = b.Header.Height
		}
		return err
	})
	if err != nil || lowest == 0 {
		return 0, err
	}
	head := c.Head().Header
	below := func(h ledger.Height, n uint64) ledger.Height { return h - min(h, ledger.Height(n)) }
	limit := min(below(head.Height+1, r.Heights), below(head.Height, keepOutcomes+ledger.Lag), below(written, keepOutcomes))
	if r.From > 0 {
		limit = min(limit, r.From)
	}
	if limit <= lowest {
		return lowest, nil
	}
	// What was ordered, and spent, is remembered by the wall time of blocks; one block before tells that nothing is missing.
	var failed error
	recent := lowest + ledger.Height(sort.Search(int(limit-lowest)+1, func(i int) bool {
		b, err := c.Block(lowest + ledger.Height(i))
		failed = errors.Join(failed, err)
		return err == nil && b.Header.Wall >= head.Wall-orderedKeep
	}))
	return max(lowest, min(limit, recent-1)), failed
}

// setFirst records durably from where on blocks are kept, before any goes.
func (c *Chain) setFirst(first ledger.Height) error {
	if first == c.First() {
		return nil
	}
	batch := c.cfg.Blocks.NewBatch()
	batch.Set([]byte{rowFirst}, codec.MustMarshal(&firstRow{First: first}))
	if err := c.cfg.Blocks.Apply(batch, true); err != nil {
		return fmt.Errorf("chain: prune: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = first
	return nil
}

// pruneSome drops some of the lowest blocks, all below limit, and reports whether there may be more.
func (c *Chain) pruneSome(limit ledger.Height, named map[ledger.Height]bool, out *Pruned) (more bool, err error) {
	var old []*ledger.Block
	r := kv.Range{Start: []byte{rowBlock}, End: heightKey(rowBlock, limit), Limit: pruneBlocks}
	err = c.cfg.Blocks.Iterate(r, func(_, value []byte) error {
		b, err := ledger.DecodeBlock(append([]byte(nil), value...))
		old = append(old, b)
		return err
	})
	if err != nil || len(old) == 0 {
		return false, err
	}
	batch := c.cfg.Blocks.NewBatch()
	for _, b := range old {
		if err := c.pruneBlock(batch, b, named, out); err != nil {
			return false, fmt.Errorf("chain: prune block %d: %w", b.Header.Height, err)
		}
	}
	return len(old) == pruneBlocks, c.cfg.Blocks.Apply(batch, false)
}

// pruneBlock adds to a write what drops one block.
func (c *Chain) pruneBlock(w *kv.Batch, b *ledger.Block, named map[ledger.Height]bool, out *Pruned) error {
	h := b.Header.Height
	payload, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return err
	}
	for i := range payload.Entries {
		w.Delete(hashKey(rowBatch, payload.Entries[i].Digest))
	}
	out.Batches += len(payload.Entries)
	if named[h] || h >= ledger.Lag && named[h-ledger.Lag] {
		w.Set(heightKey(rowHeader, h), codec.MustMarshal(&headerRow{b.Header, b.Certificate}))
		out.Headers++
	}
	receipts, err := c.Receipts(h)
	if err != nil && !errors.Is(err, ErrPruned) {
		return err
	}
	for i := range receipts {
		for _, key := range [][]byte{hashKey(rowTx, receipts[i].Tx), hashKey(rowAttempt, receipts[i].Signed)} {
			var p Position
			if err := c.load(key, &p); err == nil && p.Height == h {
				w.Delete(key)
			} else if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	w.Delete(heightKey(rowReceipts, h))
	w.Delete(heightKey(rowBlock, h))
	out.Blocks++
	out.Receipts += len(receipts)
	return nil
}

// pruneHeaders drops headers that were kept for records which have been written again since, and makes all of it durable.
func (c *Chain) pruneHeaders(named map[ledger.Height]bool) error {
	start := heightKey(rowHeader, 0)
	for more := true; more; {
		batch, rows := c.cfg.Blocks.NewBatch(), 0
		r := kv.Range{Start: start, End: []byte{rowHeader + 1}, Limit: 4096}
		err := c.cfg.Blocks.Iterate(r, func(key, value []byte) error {
			var row headerRow
			if err := codec.Unmarshal(value, &row); err != nil {
				return fmt.Errorf("chain: a header that was kept is damaged: %w", err)
			}
			rows++
			h := row.Header.Height
			if start = heightKey(rowHeader, h+1); !named[h] && (h < ledger.Lag || !named[h-ledger.Lag]) {
				batch.Delete(key)
			}
			return nil
		})
		if more = rows == r.Limit; err == nil {
			err = c.cfg.Blocks.Apply(batch, !more)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
