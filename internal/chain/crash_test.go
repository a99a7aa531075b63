package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// disks are the two stores of a node that lose power together.
type disks struct {
	blocks, state *kv.Faulty
}

func newDisks(t testing.TB) *disks {
	t.Helper()
	d := &disks{}
	for _, s := range []**kv.Faulty{&d.blocks, &d.state} {
		var err error
		if *s, err = kv.NewFaulty(kv.NewMemory(), kv.Faults{}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// crash cuts the power of both. What a store has not synced survives up to the given number of batches.
func (d *disks) restart(t testing.TB, blockBatches, stateBatches int) {
	t.Helper()
	d.blocks.Crash()
	d.state.Crash()
	if err := errors.Join(d.blocks.Restart(min(blockBatches, d.blocks.Unsynced())), d.state.Restart(min(stateBatches, d.state.Unsynced()))); err != nil {
		t.Fatal(err)
	}
}

// witness is what a node said before its power failed.
type witness struct {
	// executed is the newest height that it announced.
	executed ledger.Height
	// held are the batches that it acknowledged, by digest.
	held map[suite.Hash][]byte
}

// give hands a block to a node and waits until it is executed: every third block with its batches, the others after them, as a
// validator gets them. With each comes a batch that is never ordered.
func (w *witness) give(t testing.TB, n *chaintest.Network, c *chain.Chain, b *ledger.Block) error {
	t.Helper()
	spare := codec.MustMarshal(&ledger.Batch{Origin: n.Genesis.Validators[0].Key, Wall: b.Header.Wall, Txs: [][]byte{spareTx(t, n)}})
	bodies := [][]byte{spare}
	if b.Header.Height%3 > 0 {
		bodies = append(n.Bodies(t, b), spare)
	}
	for _, body := range bodies {
		digest, _, err := c.Hold(body, n.Genesis.Validators[0].Key)
		if err != nil {
			return err
		}
		w.held[digest] = body
	}
	if b.Header.Height%3 > 0 {
		if err := c.Commit(b); err != nil {
			return err
		}
	} else if err := n.Import(t, c, b); err != nil {
		return err
	}
	return c.WaitExecuted(t.Context(), b.Header.Height)
}

var spareTxs = map[*chaintest.Network][]byte{}

func spareTx(t testing.TB, n *chaintest.Network) []byte {
	if spareTxs[n] == nil {
		spareTxs[n] = n.Scope(t, "/spare")
	}
	return spareTxs[n]
}

// life runs a node over d and hands it blocks until it breaks. It returns what it said, and whether it did not break.
func (d *disks) life(t testing.TB, n *chaintest.Network, blocks []*ledger.Block) (w *witness, ok bool) {
	t.Helper()
	w = &witness{held: map[suite.Hash][]byte{}}
	cfg := n.Config(t, d.blocks, d.state)
	cfg.OnBroken = func(err error) {
		if !errors.Is(err, kv.ErrCrashed) {
			t.Errorf("the node breaks of %v", err)
		}
	}
	cfg.OnExecuted = func(h *ledger.Header, _ []ledger.Receipt) { w.executed = h.Height }
	c, err := chain.Open(cfg)
	if errors.Is(err, kv.ErrCrashed) {
		return w, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { shut(t, c) }()
	for _, b := range blocks[c.Head().Header.Height:] {
		if err := w.give(t, n, c, b); err != nil {
			if !errors.Is(err, kv.ErrCrashed) {
				t.Fatalf("block %d: %v", b.Header.Height, err)
			}
			shut(t, c)
			return w, false
		}
	}
	shut(t, c)
	return w, c.Broken() == nil
}

// The power fails at every single write of either store, and of what the disks had not confirmed every number of batches
// survives. The node then stands at a height that contains all it acknowledged, with its receipts, and goes on to the end.
func TestCrashBetweenAnyTwoWritesLosesNothing(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Lab: true})
	blocks := history(t, n, 9)
	whole := newDisks(t)
	if _, ok := whole.life(t, n, blocks); !ok {
		t.Fatal("a life without faults breaks")
	}
	for _, which := range []string{"blocks", "state"} {
		writes := whole.blocks.Writes()
		if which == "state" {
			writes = whole.state.Writes()
		}
		for at := 1; at <= writes; at++ {
			for survivors := range 4 {
				d := newDisks(t)
				f := d.blocks
				if which == "state" {
					f = d.state
				}
				f.Arm(kv.Faults{CrashAtWrite: at})
				said, ok := d.life(t, n, blocks)
				if ok {
					t.Fatalf("write %d of %s does not crash", at, which)
				}
				// All of the state's batches, or none, or some: it is written without waiting for the disk.
				d.restart(t, survivors%2, survivors*survivors)
				checkSurvivor(t, n, d, blocks, said, fmt.Sprintf("crash at write %d of %s, %d survivors", at, which, survivors))
			}
		}
	}
}

func checkSurvivor(t *testing.T, n *chaintest.Network, d *disks, blocks []*ledger.Block, said *witness, where string) {
	t.Helper()
	c, err := chain.Open(n.Config(t, d.blocks, d.state))
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	defer func() { shut(t, c) }()
	p, _ := c.Progress()
	if p.Committed < said.executed || p.Executed != p.Committed || p.Committed > said.executed+1 {
		t.Fatalf("%s: height %d was acknowledged, the node stands at %+v", where, said.executed, p)
	}
	for h := ledger.Height(1); h <= p.Committed; h++ {
		if _, err := c.Receipts(h); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	holds(t, n, c, blocks[:p.Committed])
	for digest, body := range said.held {
		if have, err := c.BatchBytes(digest); err != nil || !bytes.Equal(have, body) {
			t.Fatalf("%s: batch %s was acknowledged and is not held: %v", where, digest, err)
		}
	}
	for _, b := range blocks[p.Committed:] {
		if err := said.give(t, n, c, b); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	holds(t, n, c, blocks)
	if t.Failed() {
		t.Fatal(where)
	}
	// The next header commits to the roots of the last but one height, and so on: two more compare all.
	for range ledger.Lag {
		n.Commit(t, c)
	}
	head := c.Head().Header
	if expected := expectedRoots(t, n, blocks); head.StateRoot != expected.StateRoot || head.WriteRoot != expected.WriteRoot || head.ReceiptsRoot != expected.ReceiptsRoot {
		t.Fatalf("%s: in the end the roots differ", where)
	}
}

// expected holds the header that certifies the last block of a history made without faults.
var expected = map[*ledger.Block]*ledger.Header{}

func expectedRoots(t *testing.T, n *chaintest.Network, blocks []*ledger.Block) *ledger.Header {
	t.Helper()
	last := blocks[len(blocks)-1]
	if expected[last] == nil {
		c := n.Open(t)
		for _, b := range blocks {
			if err := n.Import(t, c, b); err != nil {
				t.Fatal(err)
			}
		}
		for range ledger.Lag {
			n.Commit(t, c)
		}
		expected[last] = &c.Head().Header
	}
	return expected[last]
}

// A store that fails without losing power breaks the node too, and nothing is half done.
func TestFailingStoreStopsTheNode(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks := history(t, n, 5)
	whole := newDisks(t)
	if _, ok := whole.life(t, n, blocks); !ok {
		t.Fatal("a life without faults breaks")
	}
	for name, faults := range map[string]func(at int) kv.Faults{
		"apply":   func(at int) kv.Faults { return kv.Faults{ApplyErrorAt: at} },
		"get":     func(at int) kv.Faults { return kv.Faults{GetErrorAt: at} },
		"iterate": func(at int) kv.Faults { return kv.Faults{IterateErrorAt: at} },
	} {
		for at := range 24 {
			for _, state := range []bool{false, true} {
				d := newDisks(t)
				f := d.blocks
				if state {
					f = d.state
				}
				f.Arm(faults(at + 1))
				failUntilRestart(t, n, d, blocks, fmt.Sprintf("%s %d fails, of the state: %t", name, at+1, state))
			}
		}
	}
}

func failUntilRestart(t *testing.T, n *chaintest.Network, d *disks, blocks []*ledger.Block, where string) {
	t.Helper()
	said := &witness{held: map[suite.Hash][]byte{}}
	cfg := n.Config(t, d.blocks, d.state)
	cfg.OnBroken = func(err error) {
		if !errors.Is(err, kv.ErrInjected) {
			t.Errorf("%s: the node breaks of %v", where, err)
		}
	}
	cfg.OnExecuted = func(h *ledger.Header, _ []ledger.Receipt) { said.executed = h.Height }
	c, err := chain.Open(cfg)
	if err != nil && !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("%s: %v", where, err)
	}
	if err == nil {
		for _, b := range blocks {
			if said.give(t, n, c, b) != nil {
				break
			}
		}
		shut(t, c)
	}
	d.blocks.Arm(kv.Faults{})
	d.state.Arm(kv.Faults{})
	checkSurvivor(t, n, d, blocks, said, where)
}
