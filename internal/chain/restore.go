package chain

import (
	"errors"
	"fmt"
	"log/slog"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/ledger"
)

// restore brings the chain to where its stores stand. Blocks are durable before anything else, receipts before state, and
// state is written without waiting for the disk. So after a crash the state may be any number of heights behind the blocks,
// even empty, and is made again from them; it is never ahead of blocks or receipts unless the stores come from different
// backups.
func (c *Chain) restore() error {
	if err := c.checkNetwork(); err != nil {
		return err
	}
	if err := c.restoreFirst(); err != nil {
		return err
	}
	if err := c.restoreHead(); err != nil {
		return err
	}
	if err := c.restoreState(); err != nil {
		return err
	}
	if err := c.restoreOutcomes(); err != nil {
		return err
	}
	if err := c.restoreOrdered(); err != nil {
		return err
	}
	if err := c.restoreLoose(); err != nil {
		return err
	}
	if err := c.restoreSpent(); err != nil {
		return err
	}
	return c.replay()
}

func (c *Chain) checkNetwork() error {
	key := []byte{rowNetwork}
	have, err := c.cfg.Blocks.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		batch := c.cfg.Blocks.NewBatch()
		batch.Set(key, c.network[:])
		return c.cfg.Blocks.Apply(batch, true)
	}
	if err == nil && string(have) != string(c.network[:]) {
		err = fmt.Errorf("chain: the data directory belongs to network %x, the genesis file to %s", have, c.network)
	}
	return err
}

func (c *Chain) restoreHead() error {
	c.head = &ledger.Block{Header: ledger.Header{Network: c.network, Suite: c.suite.ID(),
		Wall: c.cfg.Genesis.Wall, Time: c.cfg.Genesis.Start, Validators: c.valHash, NextValidators: c.valHash}}
	c.headHash = c.network
	r := kv.Range{Start: []byte{rowBlock}, End: []byte{rowBlock + 1}, Limit: 1, Reverse: true}
	return c.cfg.Blocks.Iterate(r, func(_, value []byte) error {
		b, err := ledger.DecodeBlock(append([]byte(nil), value...))
		if err != nil {
			return fmt.Errorf("chain: the newest block is damaged: %w", err)
		}
		c.head, c.headHash = b, b.Header.Hash(c.suite)
		return nil
	})
}

// restoreState opens the state and, if it is empty, writes that of height 0. The height of a state is that of its newest
// writes: blocks that wrote nothing are executed again.
func (c *Chain) restoreState() (err error) {
	if c.state, err = state.Open(state.Config{Store: c.cfg.State, Suite: c.suite}); err != nil {
		return err
	}
	if c.state.Empty() {
		changes, err := exec.Genesis(exec.Config{Suite: c.suite, Genesis: c.cfg.Genesis})
		if err != nil {
			return err
		}
		if _, err := c.state.Apply(0, writesOf(changes)); err != nil {
			return err
		}
	}
	genesis, _, _, err := c.state.Get(ledger.GenesisKey())
	if err != nil {
		return err
	}
	if string(genesis) != string(codec.MustMarshal(c.cfg.Genesis)) {
		return fmt.Errorf("chain: the state belongs to another network than the genesis file, which is of %s", c.network)
	}
	c.executed = ledger.Height(c.state.Height())
	if head := c.head.Header.Height; c.executed > head {
		return fmt.Errorf("chain: the state is at height %d but the newest block is %d: the block store is older than the state; "+
			"restore both from one backup, or remove the state, which is then made from the blocks", c.executed, head)
	}
	c.at = At{Time: c.cfg.Genesis.Start}
	if c.executed > 0 {
		b, err := c.Block(c.executed)
		if err != nil {
			return err
		}
		c.at = At{Height: c.executed, Time: b.Header.Time}
	}
	return nil
}

// restoreOutcomes rebuilds what headers need of the newest executed heights. The next header needs that of the height before the
// executed one; of those below, as many as there are.
func (c *Chain) restoreOutcomes() error {
	lowest := c.executed - min(c.executed, keepOutcomes)
	for h := c.executed; ; h-- {
		o, err := c.restoreOutcome(h)
		if errors.Is(err, ErrPruned) && h+1 < c.executed {
			return nil
		}
		if err != nil {
			return err
		}
		if c.outcomes[h] = o; h == lowest {
			return nil
		}
	}
}

func (c *Chain) restoreOutcome(h ledger.Height) (*outcome, error) {
	roots, err := c.state.RootsAt(uint64(h))
	if errors.Is(err, state.ErrPruned) {
		return c.certifiedOutcome(h)
	}
	if err != nil {
		return nil, fmt.Errorf("chain: roots of executed height %d: %w", h, err)
	}
	if h == 0 {
		return c.newOutcome(roots, &receiptsRow{Offset: c.cfg.Genesis.Offset(), Eventful: true}), nil
	}
	var row receiptsRow
	if err := c.load(heightKey(rowReceipts, h), &row); err != nil {
		return nil, fmt.Errorf("chain: receipts of executed height %d: %w", h, c.absent(err, h))
	}
	return c.newOutcome(roots, &row), nil
}

// certifiedOutcome returns the outcome of a height below the one at which the state was imported, as the header above certifies
// it. Its offset is never asked for: the block that would need it is the one above, which is certified.
func (c *Chain) certifiedOutcome(h ledger.Height) (*outcome, error) {
	header, _, err := c.Header(h + ledger.Lag)
	if err != nil {
		return nil, err
	}
	return &outcome{roots: state.Roots{State: header.StateRoot, WriteSet: header.WriteRoot}, receipts: header.ReceiptsRoot,
		offset: c.outcomes[h+1].offset, eventful: true}, nil
}

// restoreOrdered rebuilds what committed blocks ordered, as far back as it counts for the next proposal.
func (c *Chain) restoreOrdered() error {
	return c.recent(c.head.Header.Height, c.head.Header.Wall-orderedKeep, func(b *ledger.Block) error {
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			return fmt.Errorf("chain: payload of block %d is damaged: %w", b.Header.Height, err)
		}
		c.noteOrdered(b, payload)
		return nil
	})
}

// restoreSpent rebuilds which transaction ids executed blocks spent, as far back as it counts for the next block to be
// executed. That block may be much older than the head.
func (c *Chain) restoreSpent() error {
	next := c.head.Header.Wall
	if c.executed < c.head.Header.Height {
		b, err := c.Block(c.executed + 1)
		if err != nil {
			return err
		}
		next = b.Header.Wall
	}
	return c.recent(c.executed, next-ledger.TxWindowMax, func(b *ledger.Block) error {
		receipts, err := c.Receipts(b.Header.Height)
		if err != nil {
			return err
		}
		for i := range receipts {
			if receipts[i].Final && !receipts[i].Boundary {
				c.spent.add(receipts[i].Tx, b.Header.Wall+ledger.TxWindowMax)
			}
		}
		return nil
	})
}

// recent calls fn, in order, for the blocks up to newest whose wall time is oldest or later. It holds one at a time.
func (c *Chain) recent(newest ledger.Height, oldest ledger.Time, fn func(*ledger.Block) error) error {
	first := newest + 1
	for first > 1 {
		b, err := c.Block(first - 1)
		if errors.Is(err, ErrPruned) { // which leaves as much as counts
			break
		}
		if err != nil {
			return err
		}
		if b.Header.Wall < oldest {
			break
		}
		first--
	}
	for h := first; h <= newest; h++ {
		b, err := c.Block(h)
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}

// replay executes the committed blocks that state has not seen. From the first one on whose batches have not all come it
// leaves them to the ordinary way, which fetches them: those are the last Lag blocks at most, since batches are durable
// before they are executed.
func (c *Chain) replay() error {
	from, head := c.executed+1, c.head.Header.Height
	waiting := false
	for h := from; h <= head; h++ {
		b, err := c.Block(h)
		if err != nil {
			return err
		}
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			return fmt.Errorf("chain: payload of block %d is damaged: %w", h, err)
		}
		t := task{block: b, payload: payload, again: true}
		held, err := c.holdsAll(payload)
		if err != nil {
			return err
		}
		if waiting = waiting || !held; waiting {
			if head > c.executed+ledger.Lag {
				return fmt.Errorf("chain: batches of block %d are missing although later blocks were executed: the store is damaged", h)
			}
			c.queue <- t
			continue
		}
		if _, err := c.guardedExecute(t); err != nil {
			return fmt.Errorf("chain: replay of block %d: %w", h, err)
		}
	}
	if from <= c.executed {
		c.log.Info("blocks executed that the state lacked", slog.Uint64("from", uint64(from)), slog.Uint64("to", uint64(c.executed)))
	}
	return nil
}

// holdsAll reports whether all batches of a payload are held.
func (c *Chain) holdsAll(p *ledger.Payload) (bool, error) {
	for i := range p.Entries {
		_, err := c.BatchBytes(p.Entries[i].Digest)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
