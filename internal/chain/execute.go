package chain

import (
	"context"
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/invariant"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/internal/vm"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// task is a committed block on its way to execution.
type task struct {
	block   *ledger.Block
	payload *ledger.Payload
	// again is true if it may have been executed before, in an earlier life of this node.
	again bool
}

// Commit stores a decided block with its certificate durably and hands it to execution. It first waits until height − Lag is
// executed. A block already held is accepted again if it is the same; another one at its height breaks an invariant. After
// an error the block may be stored or not. The caller has validated the block or verified its certificate.
func (c *Chain) Commit(b *ledger.Block) error { return c.commit(b, nil, nil) }

// commit is Commit of a block with which its batches may have come, as they were sent and decoded.
func (c *Chain) commit(b *ledger.Block, bodies [][]byte, batches []*openBatch) error {
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	head, headHash := c.headAndHash()
	h := b.Header.Height
	if h <= head.Header.Height {
		return c.recommit(b)
	}
	if h != head.Header.Height+1 || b.Header.Previous != headHash {
		return fmt.Errorf("chain: block %d does not follow block %d", h, head.Header.Height)
	}
	payload, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return fmt.Errorf("chain: payload of decided block %d: %w", h, err)
	}
	if err := c.waitLag(context.Background(), h); err != nil {
		return err
	}
	if err := c.store(b, payload, bodies); err != nil {
		c.fail(err)
		return err
	}
	for _, batch := range batches {
		c.batches.put(batch)
	}
	c.metrics.committed(b)
	c.queue <- task{block: b, payload: payload} // has room: at most Lag blocks are not executed
	return nil
}

// store makes a block durable, with the batches that came with it, and makes it the head.
func (c *Chain) store(b *ledger.Block, payload *ledger.Payload, bodies [][]byte) error {
	c.orderMu.Lock()
	defer c.orderMu.Unlock()
	batch := c.cfg.Blocks.NewBatch()
	batch.Set(heightKey(rowBlock, b.Header.Height), codec.MustMarshal(b))
	for i := range bodies {
		batch.Set(hashKey(rowBatch, payload.Entries[i].Digest), bodies[i])
	}
	c.settleLoose(batch, b, payload)
	if err := c.cfg.Blocks.Apply(batch, true); err != nil {
		return fmt.Errorf("chain: store block %d: %w", b.Header.Height, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.headHash = b, b.Header.Hash(c.suite)
	c.noteOrdered(b, payload)
	c.notify()
	return nil
}

// Import verifies the certificate of a block from anywhere, and that the batches with it are those that it orders, and commits
// it. A height that is held already is not looked at.
func (c *Chain) Import(b *ledger.Block, bodies [][]byte) error {
	head, headHash := c.headAndHash()
	if b.Header.Height <= head.Header.Height {
		return nil
	}
	epoch, set := c.Epoch()
	want := ledger.Header{
		Version: ledger.HeaderVersion, Suite: c.suite.ID(), Network: c.network, Epoch: epoch, Height: head.Header.Height + 1,
		Previous: headHash, Wall: b.Header.Wall, Time: b.Header.Time,
		Proposal:    ledger.ProposalHash(c.suite, b.Metadata, b.Sequence),
		PayloadHash: c.suite.Hash(ledger.DomainPayload, b.Payload),
		StateRoot:   b.Header.StateRoot, WriteRoot: b.Header.WriteRoot, ReceiptsRoot: b.Header.ReceiptsRoot,
		PayloadRoot: b.Header.PayloadRoot, Validators: c.valHash, NextValidators: c.valHash,
	}
	if want != b.Header {
		return fmt.Errorf("chain: block %d does not follow this node's block %d on network %s: %s",
			b.Header.Height, head.Header.Height, c.network, headerDifference(&want, &b.Header))
	}
	if err := ledger.VerifyCertificate(c.suite, set, &b.Header, &b.Certificate); err != nil {
		return err
	}
	payload, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return fmt.Errorf("chain: payload of block %d: %w", b.Header.Height, err)
	}
	batches, err := c.batchesOf(payload, bodies)
	if err != nil {
		return err
	}
	return c.commit(b, bodies, batches)
}

func (c *Chain) headAndHash() (*ledger.Block, suite.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, c.headHash
}

// recommit accepts a block that is held already, if it is the same one.
func (c *Chain) recommit(b *ledger.Block) error {
	held, err := c.Block(b.Header.Height)
	if err != nil {
		return err
	}
	if held.Header != b.Header {
		err := &invariant.Violation{Message: fmt.Sprintf("two blocks are certified at height %d: %s and %s",
			b.Header.Height, held.Header.Hash(c.suite), b.Header.Hash(c.suite))}
		c.fail(err)
		return err
	}
	return nil
}

// run executes committed blocks in order.
func (c *Chain) run() {
	defer close(c.done)
	for {
		select {
		case t := <-c.queue:
			if !c.advance(t) {
				return
			}
		case <-c.stop:
			return
		}
	}
}

// advance executes one block and announces it. It returns false if execution has ended.
func (c *Chain) advance(t task) bool {
	receipts, err := c.guardedExecute(t)
	if err == nil {
		c.cfg.OnExecuted(&t.block.Header, receipts)
	} else if !errors.Is(err, ErrClosed) {
		c.fail(fmt.Errorf("execute block %d: %w", t.block.Header.Height, err))
	}
	return err == nil
}

// guardedExecute is execute with a broken invariant as its error.
func (c *Chain) guardedExecute(t task) (receipts []ledger.Receipt, err error) {
	err = guard(func() error {
		receipts, err = c.execute(t)
		return err
	})
	return receipts, err
}

// execute runs one block, commits what it does and returns its receipts. It is called for one height after another.
func (c *Chain) execute(t task) ([]ledger.Receipt, error) {
	h := &t.block.Header
	begin := c.cfg.Clock.Now()
	if err := c.checkRoots(h); err != nil {
		return nil, err
	}
	txs, err := c.orderedTxs(t.payload)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.spent.advance(h.Wall)
	c.mu.Unlock()
	result, err := c.executor.Apply(stateView{c.state}, &exec.Input{Header: h, Txs: txs}, spentView{c})
	if err != nil {
		return nil, err
	}
	row := receiptsRow{Receipts: make([][]byte, len(result.Receipts)), WorkLeft: result.WorkLeft,
		Eventful: len(result.Receipts)+len(result.Changes) > 0}
	for i := range result.Receipts {
		row.Receipts[i] = codec.MustMarshal(&result.Receipts[i])
	}
	if row.Offset, err = c.offsetAfter(h, result); err != nil {
		return nil, err
	}
	if err := c.storeReceipts(h, result, &row, t.again); err != nil {
		return nil, err
	}
	c.stateMu.Lock()
	roots, err := c.state.Apply(uint64(h.Height), writesOf(result.Changes))
	if err == nil {
		c.at = At{Height: h.Height, Time: h.Time}
	}
	c.stateMu.Unlock()
	if err != nil {
		return nil, err
	}
	c.metrics.executed(result.Receipts, c.cfg.Clock.Now().Sub(begin)) // before anybody is told
	c.finish(h, result, c.newOutcome(roots, &row))
	return result.Receipts, nil
}

// checkRoots compares the certified roots of height − Lag with our own. A difference means that this node has
// diverged from a quorum: it must stop.
func (c *Chain) checkRoots(h *ledger.Header) error {
	want, err := c.rootsFor(h.Height)
	if err != nil {
		return err
	}
	invariant.Check(want.state == h.StateRoot && want.write == h.WriteRoot && want.receipts == h.ReceiptsRoot,
		"block %d certifies state %s, writes %s, receipts %s for height %d; this node computed %s, %s, %s",
		h.Height, h.StateRoot, h.WriteRoot, h.ReceiptsRoot, h.Height-ledger.Lag, want.state, want.write, want.receipts)
	return nil
}

// storeReceipts makes the receipts of a height and their indexes durable. It must precede the state of that height: a
// state that is ahead of its receipts could not make them again. A block that is executed again makes the same.
func (c *Chain) storeReceipts(h *ledger.Header, r *exec.Result, row *receiptsRow, again bool) error {
	key, value := heightKey(rowReceipts, h.Height), codec.MustMarshal(row)
	if again {
		have, err := c.cfg.Blocks.Get(key)
		if err == nil {
			invariant.Check(string(have) == string(value), "block %d had other receipts when it was executed before", h.Height)
			return nil
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return err
		}
	}
	batch := c.cfg.Blocks.NewBatch()
	batch.Set(key, value)
	for i := range r.Receipts {
		setReceiptIndex(batch, &r.Receipts[i], h.Height)
	}
	return c.cfg.Blocks.Apply(batch, true)
}

// setReceiptIndex adds to a write where a receipt is found.
func setReceiptIndex(w *kv.Batch, r *ledger.Receipt, height ledger.Height) {
	pos := codec.MustMarshal(&Position{Height: height, Index: r.Index})
	switch {
	case r.Boundary || r.Code == ledger.CodeReplay:
	case r.Final:
		w.Set(hashKey(rowTx, r.Tx), pos)
	default:
		w.Set(hashKey(rowAttempt, r.Signed), pos)
	}
}

// finish makes the results of a height visible.
func (c *Chain) finish(h *ledger.Header, result *exec.Result, o *outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range result.Spent {
		c.spent.add(s.ID, h.Wall+ledger.TxWindowMax)
	}
	c.outcomes[h.Height] = o
	if h.Height > keepOutcomes {
		delete(c.outcomes, h.Height-keepOutcomes-1)
	}
	c.executed = h.Height
	c.notify()
}

func (c *Chain) newOutcome(roots state.Roots, row *receiptsRow) *outcome {
	return &outcome{roots: roots, receipts: merkle.Root(c.suite, row.Receipts), offset: row.Offset,
		eventful: row.Eventful, workLeft: row.WorkLeft}
}

// offsetAfter returns the clock offset once result is applied.
func (c *Chain) offsetAfter(h *ledger.Header, result *exec.Result) (ledger.Time, error) {
	for i := range result.Changes {
		if ledger.TableOf(result.Changes[i].Key) == ledger.TableClock {
			var record ledger.ClockRecord
			err := codec.Unmarshal(result.Changes[i].New, &record)
			return record.Offset, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcomes[h.Height-1].offset, nil
}

func writesOf(changes []vm.Change) []state.Write {
	out := make([]state.Write, len(changes))
	for i, ch := range changes {
		out[i] = state.Write{Key: ch.Key, Value: ch.New, Delete: ch.New == nil}
	}
	return out
}
