package snapshot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/ledger"
)

// world is a network with one chain that makes blocks, and the blocks it made.
type world struct {
	testing.TB
	n      *chaintest.Network
	source *chain.Chain
	blocks []*ledger.Block
	txs    [][]byte // the first transaction of each block, encoded; nil for a tick
	salt   int
}

func newWorld(t testing.TB, o chaintest.Options) *world {
	t.Helper()
	n := chaintest.New(t, o)
	return &world{TB: t, n: n, source: n.Open(t)}
}

// step makes a block of so many transactions after d.
func (w *world) step(d time.Duration, txs int) {
	w.Helper()
	w.n.Clock.Advance(d)
	var requests [][]byte
	var first []byte
	for range txs {
		w.salt++
		tx := w.n.Scope(w, fmt.Sprintf("/s%d", w.salt))
		if requests = append(requests, w.n.BatchRequest(tx)); first == nil {
			first = tx
		}
	}
	if txs == 0 {
		head := w.source.Head().Header
		requests = append(requests, chaintest.TickRequest(ledger.Tick{Height: head.Height + 1}))
	}
	w.blocks = append(w.blocks, w.n.Commit(w, w.source, requests...))
	w.txs = append(w.txs, first)
}

// grow makes blocks that span the window in which ids are remembered, and some more.
func (w *world) grow() *world {
	w.Helper()
	for i := range 50 {
		w.step(time.Duration(i%5)*17*time.Second, i%4)
	}
	w.step(time.Second, 3)
	w.step(0, 1)
	w.step(0, 2)
	return w
}

// frozen freezes the newest height of the source and certifies it.
func (w *world) frozen() *chain.Frozen {
	w.Helper()
	w.step(0, 0)
	w.step(0, 1)
	f, err := w.source.Freeze()
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(f.Release)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.Settle(ctx); err != nil {
		w.Fatal(err)
	}
	return f
}

// file writes a snapshot of the newest height of the source.
func (w *world) file() (string, *snapshot.Manifest) {
	w.Helper()
	f := w.frozen()
	defer f.Release()
	path := filepath.Join(w.TempDir(), "one"+snapshot.Suffix)
	m, err := snapshot.WriteFile(context.Background(), w.n.Suite, f, path)
	if err != nil {
		w.Fatal(err)
	}
	return path, m
}

// stores are those of one node.
type stores struct{ blocks, state kv.Store }

func memory() stores { return stores{kv.NewMemory(), kv.NewMemory()} }

// open opens a chain over stores, which the test closes.
func (w *world) open(s stores) *chain.Chain {
	w.Helper()
	c, err := chain.Open(w.n.Config(w, s.blocks, s.state))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	})
	return c
}

// restored returns a chain that begins from a snapshot's file.
func (w *world) restored(path string) (*chain.Chain, stores) {
	w.Helper()
	f, err := snapshot.OpenFile(path)
	if err != nil {
		w.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			w.Error(err)
		}
	}()
	s := memory()
	if err := snapshot.Restore(context.Background(), w.n.Config(w, s.blocks, s.state), f); err != nil {
		w.Fatal(err)
	}
	return w.open(s), s
}

// follow brings a chain to the head of the source and compares what both computed.
func (w *world) follow(c *chain.Chain) {
	w.Helper()
	for _, b := range w.blocks[c.Head().Header.Height:] {
		if err := w.n.Import(w, c, b); err != nil {
			w.Fatal(err)
		}
	}
	head := w.source.Head().Header.Height
	w.n.Wait(w, c, head)
	want, err := w.source.Roots(head)
	if err != nil {
		w.Fatal(err)
	}
	if got, err := c.Roots(head); err != nil || got != want {
		w.Fatalf("height %d: roots %v, %v; the source has %v", head, got, err, want)
	}
}

func verifyFile(w *world, path string) error {
	f, err := snapshot.OpenFile(path)
	if err != nil {
		return err
	}
	err = snapshot.Verify(context.Background(), w.n.Suite, w.n.Genesis, f)
	if cerr := f.Close(); cerr != nil {
		w.Error(cerr)
	}
	return err
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
