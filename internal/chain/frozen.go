package chain

import (
	"context"
	"errors"
	"fmt"

	"aval/internal/state"
	"aval/ledger"
	"aval/suite"
)

// Frozen is a height and all that a node needs to go on from there: the state of the height, the blocks that certify it, and as many
// blocks and receipts before it as what was ordered and spent is remembered for. Its methods are for one goroutine.
type Frozen struct {
	c     *Chain
	state *state.Frozen
	// blocks and receipts are the first heights of which those belong to it.
	blocks, receipts ledger.Height
}

// Freeze keeps the state of the newest certified height with writes until Release. Settle comes next. It fails with state.ErrFrozen
// while another is kept, and with ErrNotProven if nothing but the genesis is certified yet.
func (c *Chain) Freeze() (*Frozen, error) {
	p, _ := c.Progress()
	return c.freeze(c.state.Freeze(uint64(p.Proven)))
}

// FreezeFrom is Freeze of the oldest height with writes from least on. All nodes that have come that far, and not much further,
// choose the same. It fails with ErrNotProven if there is none at hand.
func (c *Chain) FreezeFrom(least ledger.Height) (*Frozen, error) {
	p, _ := c.Progress()
	return c.freeze(c.state.FreezeFrom(uint64(least), uint64(p.Proven)))
}

func (c *Chain) freeze(s *state.Frozen, err error) (*Frozen, error) {
	if err == nil && s.Height() == 0 {
		s.Release()
		err = state.ErrHeight
	}
	if errors.Is(err, state.ErrHeight) {
		return nil, fmt.Errorf("%w: no certified height with writes is at hand", ErrNotProven)
	}
	if err != nil {
		return nil, err
	}
	return &Frozen{c: c, state: s}, nil
}

// Settle waits until the blocks up to the one that certifies the height are executed. The methods beside Height, Len and Release need
// it.
func (f *Frozen) Settle(ctx context.Context) error {
	if err := f.c.WaitExecuted(ctx, f.Height()+ledger.Lag); err != nil {
		return fmt.Errorf("chain: waiting for the height that certifies %d: %w", f.Height(), err)
	}
	at, err := f.c.Block(f.Height())
	if err != nil {
		return err
	}
	window, err := NewWindow(&at.Header)
	if err != nil {
		return err
	}
	f.blocks, f.receipts = f.Height(), f.Height()
	for !window.Complete() && f.blocks > 1 {
		b, err := f.c.Block(f.blocks - 1)
		if err != nil {
			return err
		}
		f.blocks--
		if window.Add(&b.Header) {
			f.receipts = f.blocks
		}
	}
	return nil
}

// Release lets the height go. It may be called more than once.
func (f *Frozen) Release() { f.state.Release() }

// Height returns the height.
func (f *Frozen) Height() ledger.Height { return ledger.Height(f.state.Height()) }

// Len counts the leaves of the state.
func (f *Frozen) Len() uint64 { return f.state.Len() }

// Range returns leaves of the state, see state.Frozen.Range.
func (f *Frozen) Range(from suite.Hash, bytesMax int) (*state.Range, error) {
	return f.state.Range(from, bytesMax)
}

// FirstBlock returns the first height of the blocks that belong to it; the last is Height + Lag.
func (f *Frozen) FirstBlock() ledger.Height { return f.blocks }

// FirstReceipts returns the first height of the receipts that belong to it; the last is Height.
func (f *Frozen) FirstReceipts() ledger.Height { return f.receipts }

// Receipts returns the encoded receipts of a height.
func (f *Frozen) Receipts(height ledger.Height) ([][]byte, error) { return f.c.encodedReceipts(height) }

// Block returns the encoding of a block, and that of its batches if it lies above the height.
func (f *Frozen) Block(height ledger.Height) (block []byte, batches [][]byte, err error) {
	if height > f.Height() {
		return f.c.BlockBytes(height)
	}
	block, err = f.c.cfg.Blocks.Get(heightKey(rowBlock, height))
	return block, nil, err
}

// Window says which blocks, and which receipts, before a height have to be known to go on from there.
type Window struct {
	at   ledger.Header
	last ledger.Header
}

// NewWindow returns the window of the height of a header.
func NewWindow(at *ledger.Header) (*Window, error) {
	if at.Height == 0 {
		return nil, errors.New("chain: there is no window before the first block")
	}
	return &Window{at: *at, last: *at}, nil
}

// Add takes the header before the last one, and reports whether the receipts of its height have to be known.
func (w *Window) Add(h *ledger.Header) (receipts bool) {
	w.last = *h
	return w.Receipts(h)
}

// Receipts reports whether the receipts of the height of h have to be known.
func (w *Window) Receipts(h *ledger.Header) bool {
	return h.Height <= w.at.Height && h.Wall >= w.at.Wall-ledger.TxWindowMax
}

// Complete reports whether the last header taken lies before the window, or is the first of the chain.
func (w *Window) Complete() bool { return w.last.Height == 1 || w.last.Wall < w.at.Wall-orderedKeep }
