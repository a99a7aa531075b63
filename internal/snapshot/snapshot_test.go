package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/internal/state"
	"aval/ledger"
)

func TestRestoredNodeGoesOn(t *testing.T) {
	for _, s := range []string{"sm", "intl"} {
		w := newWorld(t, chaintest.Options{Suite: s, Validators: 4, Lab: true}).grow()
		path, m := w.file()
		if err := verifyFile(w, path); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		w.step(time.Second, 2) // what the snapshot does not have
		c, _ := w.restored(path)
		if got := c.Head().Header.Height; got != m.Height+ledger.Lag {
			t.Errorf("%s: restored at %d, want %d", s, got, m.Height+ledger.Lag)
		}
		w.follow(c)
		for range 5 {
			w.step(time.Second, 3)
			w.follow(c)
		}
	}
}

// TestRoundTripAnywhere restores at random heights of random chains, restarts, restores from the restored, and lets each go on.
func TestRoundTripAnywhere(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, chaintest.Options{Lab: rapid.Bool().Draw(r, "lab")})
		defer func() { w.source = nil }()
		for range rapid.IntRange(1, 12).Draw(r, "blocks") {
			w.step(time.Duration(rapid.IntRange(0, 400).Draw(r, "seconds"))*time.Second, rapid.IntRange(0, 3).Draw(r, "txs"))
		}
		w.step(0, 1)
		path, _ := w.file()
		c, s := w.restored(path)
		w.follow(c)
		for range rapid.IntRange(0, 8).Draw(r, "more") {
			w.step(time.Duration(rapid.IntRange(0, 400).Draw(r, "seconds"))*time.Second, rapid.IntRange(0, 3).Draw(r, "txs"))
		}
		w.follow(c)
		if err := c.Close(); err != nil {
			r.Fatal(err)
		}
		again := w.open(s) // restarts
		w.follow(again)
		w.source = again
		path, _ = w.file() // a snapshot of who began from a snapshot
		third, _ := w.restored(path)
		w.follow(third)
	})
}

// TestRestoredNodeRemembers: ids are spent, digests ordered, receipts found, as far back as they count.
func TestRestoredNodeRemembers(t *testing.T) {
	w := newWorld(t, chaintest.Options{}).grow()
	path, m := w.file()
	c, _ := w.restored(path)
	at, err := w.source.Block(m.Height)
	if err != nil {
		t.Fatal(err)
	}
	spent, forgotten := 0, 0
	for i, b := range w.blocks[:m.Height] {
		if w.txs[i] == nil {
			continue
		}
		tx, err := ledger.DecodeSignedTx(w.txs[i])
		if err != nil {
			t.Fatal(err)
		}
		id := tx.Tx.ID(w.n.Suite)
		want, got := w.source.Spent(id), c.Spent(id)
		if want != got {
			t.Errorf("block %d: the source says spent %t, the restored node %t", i+1, want, got)
		}
		if got {
			spent++
			wantPos, err := w.source.FindTx(id)
			gotPos, gerr := c.FindTx(id)
			if err = errors.Join(err, gerr); err != nil || gotPos != wantPos {
				t.Errorf("block %d: its transaction is found at %v, %v, want %v", i+1, gotPos, err, wantPos)
			}
			wantReceipt, err := w.source.Receipt(wantPos)
			gotReceipt, gerr := c.Receipt(gotPos)
			if err = errors.Join(err, gerr); err != nil || !reflect.DeepEqual(gotReceipt, wantReceipt) {
				t.Errorf("block %d: its receipt differs: %v", i+1, err)
			}
		} else {
			forgotten++
		}
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for k := range payload.Entries {
			id := ledger.RequestID(payload.Entries[k].Digest.String())
			if b.Header.Wall >= at.Header.Wall-ledger.BatchAgeMax && !c.Ordered(id) || !w.source.Ordered(id) && c.Ordered(id) {
				t.Errorf("block %d: the source says ordered %t, the restored node %t", i+1, w.source.Ordered(id), c.Ordered(id))
			}
		}
	}
	if spent < 10 || forgotten < 10 {
		t.Fatalf("%d ids are remembered and %d forgotten: the test shows nothing", spent, forgotten)
	}
	_, err = c.Block(1)
	if !errors.Is(err, chain.ErrPruned) {
		t.Errorf("a block from before the snapshot: %v", err)
	}
	if _, _, err := c.BlockBytes(m.Height); !errors.Is(err, chain.ErrPruned) {
		t.Errorf("the batches of the restored height: %v", err)
	}
}

// TestAllWriteTheSame: two nodes with the same blocks write the same chunks, but for certificates.
func TestAllWriteTheSame(t *testing.T) {
	w := newWorld(t, chaintest.Options{Validators: 4}).grow()
	s := memory()
	other := w.open(s)
	for i, b := range w.blocks {
		b := *b
		if i%2 == 0 {
			w.n.Certify(t, &b, 1, 2, 3)
		}
		if err := w.n.Import(t, other, &b); err != nil {
			t.Fatal(err)
		}
	}
	w.n.Wait(t, other, other.Head().Header.Height)
	_, m := w.file()
	w.follow(other)
	f, err := other.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if err := f.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m2, err := snapshot.Write(t.Context(), w.n.Suite, f, &out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m2.Chunks) != len(m.Chunks) || m.Height != m2.Height {
		t.Fatalf("%d chunks of height %d, the other node wrote %d of %d", len(m.Chunks), m.Height, len(m2.Chunks), m2.Height)
	}
	for i := range m.Chunks {
		if same := m.Chunks[i].Hash == m2.Chunks[i].Hash; same == (m.Chunks[i].Kind == snapshot.KindBlocks) {
			t.Errorf("chunk %d (%s) is the same: %t", i, m.Chunks[i].Kind, same)
		}
	}
}

// TestEveryByteCounts flips bits all over a file, and cuts it everywhere: it is refused, and nothing panics.
func TestEveryByteCounts(t *testing.T) {
	w := newWorld(t, chaintest.Options{})
	for range 5 {
		w.step(time.Second, 2)
	}
	path, _ := w.file()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	step := max(1, len(good)/400)
	for at := 0; at < len(good); at += step {
		flipped := bytes.Clone(good)
		flipped[at] ^= 1 << (at % 8)
		write(t, bad, flipped)
		if err := verifyFile(w, bad); at >= 8 && !errors.Is(err, snapshot.ErrInvalid) && !errors.Is(err, snapshot.ErrNetwork) {
			t.Errorf("byte %d of %d changed: %v", at, len(good), err)
		}
		write(t, bad, good[:at])
		if err := verifyFile(w, bad); !errors.Is(err, snapshot.ErrInvalid) {
			t.Errorf("cut off at %d of %d: %v", at, len(good), err)
		}
	}
	write(t, bad, append(bytes.Clone(good), 0))
	if err := verifyFile(w, bad); !errors.Is(err, snapshot.ErrInvalid) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestOtherNetworkIsRefused(t *testing.T) {
	w := newWorld(t, chaintest.Options{}).grow()
	path, _ := w.file()
	other := newWorld(t, chaintest.Options{Name: "other"})
	if err := verifyFile(other, path); !errors.Is(err, snapshot.ErrNetwork) {
		t.Errorf("another network's snapshot: %v", err)
	}
	f, err := snapshot.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := memory()
	if err := snapshot.Restore(t.Context(), other.n.Config(t, s.blocks, s.state), f); !errors.Is(err, snapshot.ErrNetwork) {
		t.Errorf("another network's snapshot is restored: %v", err)
	}
	full := memory()
	w.open(full)
	if err := snapshot.Restore(t.Context(), w.n.Config(t, full.blocks, full.state), f); err == nil {
		t.Error("a node's stores are overwritten")
	}
}

// TestInterruptedRestoreIsAllOrNothing cuts the power at every write of a restore to either store: what is left is a whole node or
// none.
func TestInterruptedRestoreIsAllOrNothing(t *testing.T) {
	w := newWorld(t, chaintest.Options{})
	for range 5 {
		w.step(time.Second, 2)
	}
	path, m := w.file()
	f, err := snapshot.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, inState := range []bool{false, true} {
		for crash, done := 1, false; !done; crash++ {
			var stores [2]*kv.Faulty // blocks, state
			for i := range stores {
				faults := kv.Faults{}
				if (i == 1) == inState {
					faults.CrashAtWrite = crash
				}
				if stores[i], err = kv.NewFaulty(kv.NewMemory(), faults); err != nil {
					t.Fatal(err)
				}
			}
			cfg := w.n.Config(t, stores[0], stores[1])
			if done = snapshot.Restore(t.Context(), cfg, f) == nil; done {
				continue
			}
			for _, s := range stores {
				s.Crash()
				if err := s.Restart(crash % (s.Unsynced() + 1)); err != nil {
					t.Fatal(err)
				}
			}
			s, err := state.Open(state.Config{Store: stores[1], Suite: w.n.Suite})
			if err != nil || s.Empty() {
				continue // nobody takes it for a node
			}
			c, err := chain.Open(cfg)
			if err != nil {
				t.Fatalf("a restore that was cut off at write %d (state %t) left a state without its blocks: %v", crash, inState, err)
			}
			if got := c.Head().Header.Height; got != m.Height+ledger.Lag {
				t.Errorf("a restore that was cut off at write %d left height %d", crash, got)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDirKeepsTheNewest(t *testing.T) {
	w := newWorld(t, chaintest.Options{}).grow()
	path := filepath.Join(t.TempDir(), "snapshots")
	d, err := snapshot.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := d.Newest(); !errors.Is(err, snapshot.ErrNone) {
		t.Errorf("the newest of none: %v", err)
	}
	var heights []ledger.Height
	for range 4 {
		f := w.frozen()
		if _, _, err := d.Create(context.Background(), w.n.Suite, f); err != nil {
			t.Fatal(err)
		}
		heights = append(heights, f.Height())
		f.Release()
		w.step(time.Second, 1)
	}
	write(t, filepath.Join(path, "x.part"), []byte("left"))
	write(t, filepath.Join(path, "notes.txt"), nil)
	if err := d.Keep(2); err != nil {
		t.Fatal(err)
	}
	got, err := d.Heights()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(heights[2:]) {
		t.Errorf("kept %v, %v; want %v", got, err, heights[2:])
	}
	encoded, err := d.Manifest(heights[3])
	if err != nil {
		t.Fatal(err)
	}
	m, err := snapshot.DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Chunks {
		if b, err := d.Chunk(heights[3], m.Chunks[i].Hash); err != nil || len(b) != int(m.Chunks[i].Bytes) {
			t.Errorf("chunk %d: %d bytes, %v", i, len(b), err)
		}
	}
	if _, err := d.Chunk(heights[3], w.n.ID); err == nil {
		t.Error("an unknown chunk is served")
	}
	if _, err := d.Manifest(heights[0]); !errors.Is(err, snapshot.ErrNone) {
		t.Errorf("a snapshot that was removed: %v", err)
	}
	if _, err := snapshot.OpenDir(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "x.part")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left unfinished: %v", err)
	}
}
