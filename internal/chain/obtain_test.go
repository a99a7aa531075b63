package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// made is a network with blocks of one batch each, and one more batch that none of them orders.
type made struct {
	*chaintest.Network
	blocks  []*ledger.Block
	foreign []byte
}

// ahead makes blocks at a source outside the bubble in which fn runs, where time passes only while everybody waits. The blocks
// are as far apart as step says.
func ahead(t *testing.T, step time.Duration, fn func(t *testing.T, m *made)) {
	t.Helper()
	m := &made{Network: chaintest.New(t, chaintest.Options{Validators: 4})}
	source := m.Open(t)
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
		m.blocks = append(m.blocks, m.Commit(t, source, m.BatchRequest(m.Scope(t, path))))
		m.Clock.Advance(step)
	}
	m.foreign = m.Batch(m.Scope(t, "/never"))
	synctest.Test(t, func(t *testing.T) { fn(t, m) })
}

func (m *made) open(t *testing.T, blocks, state kv.Store, fetch func(context.Context, suite.Hash, []uint16, func([]byte) error) error) *chain.Chain {
	t.Helper()
	cfg := m.Config(t, blocks, state)
	cfg.Clock, cfg.Fetch = clock.Real(), fetch
	return open(t, cfg)
}

func executed(c *chain.Chain) ledger.Height {
	p, _ := c.Progress()
	return p.Executed
}

// A block whose batch has not come is committed and waits, and the next but one waits for it, until the batch comes late.
func TestBlockWaitsForItsBatch(t *testing.T) {
	ahead(t, time.Second, func(t *testing.T, m *made) {
		c := m.open(t, kv.NewMemory(), kv.NewMemory(), nil)
		var committed ledger.Height
		go func() {
			for _, b := range m.blocks {
				if err := c.Commit(b); err != nil {
					t.Error(err)
				}
				committed = b.Header.Height
			}
		}()
		<-time.After(time.Hour)
		synctest.Wait()
		if committed != ledger.Lag || executed(c) != 0 {
			t.Fatalf("without the first batch %d blocks are committed and %d executed", committed, executed(c))
		}
		if _, _, err := c.BlockBytes(1); !errors.Is(err, chain.ErrNotFound) {
			t.Errorf("a block without its batch is served: %v", err)
		}
		if _, need, err := c.NeedTick(); need || err != nil {
			t.Errorf("a tick is asked for: %t, %v", need, err)
		}
		for i, b := range m.blocks {
			m.Hold(t, c, b)
			synctest.Wait()
			if got := executed(c); got != ledger.Height(i+1) {
				t.Fatalf("%d batches have come, %d blocks are executed", i+1, got)
			}
		}
		holds(t, m.Network, c, m.blocks)
		shut(t, c)
	})
}

// The holders of a batch are asked for it in turn. What liars send is refused and not kept; an honest one is enough.
func TestMissingBatchIsFetched(t *testing.T) {
	ahead(t, time.Second, func(t *testing.T, m *made) {
		right := serve(m.Network)
		var first []uint16
		rounds := 0
		store := kv.NewMemory()
		c := m.open(t, store, kv.NewMemory(), func(ctx context.Context, digest suite.Hash, holders []uint16, take func([]byte) error) error {
			rounds++
			first = append(first, holders[0])
			if sorted := slices.Sorted(slices.Values(holders)); !slices.Equal(sorted, []uint16{0, 1, 2}) {
				t.Errorf("the holders are %v", holders)
			}
			body, _ := m.Known(digest)
			for _, lie := range [][]byte{nil, []byte("junk"), m.foreign, append(bytes.Clone(body), 0), changed(body, len(body)-1),
				m.Bodies(t, m.blocks[1])[0], make([]byte, ledger.BatchBytesMax+1)} {
				if err := take(lie); err == nil {
					t.Errorf("a lie of %d bytes is taken", len(lie))
				}
			}
			switch rounds {
			case 1:
				return errors.New("nobody has it")
			case 2:
				return nil // although it brought nothing
			case 3:
				<-ctx.Done()
				return ctx.Err()
			default:
				return right(ctx, digest, holders, take)
			}
		})
		begin := time.Now()
		if err := c.Commit(m.blocks[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitExecuted(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); rounds != 4 || took > 6*time.Second {
			t.Errorf("it took %d rounds and %s", rounds, took)
		}
		if !slices.Equal(first, []uint16{0, 1, 2, 0}) {
			t.Errorf("those asked first are %v", first)
		}
		holds(t, m.Network, c, m.blocks[:1])
		held(t, m.Network, c, m.foreign, false, "what liars sent")
		for what, p := range map[string]byte{"batch": 'p', "loose row": 'l'} {
			rows := 0
			if err := store.Iterate(kv.Range{Start: []byte{p}, End: []byte{p + 1}, Limit: 9}, func([]byte, []byte) error { rows++; return nil }); err != nil {
				t.Fatal(err)
			}
			if want := map[byte]int{'p': 1, 'l': 0}[p]; rows != want {
				t.Errorf("there are %d of a %s", rows, what)
			}
		}
		shut(t, c)
	})
}

// Between the block and its batch more time may pass than what was ordered is remembered. The batch is one that was ordered all
// the same: it does not count as loose, and stays.
func TestBatchThatComesVeryLateStays(t *testing.T) {
	ahead(t, 40*time.Minute, func(t *testing.T, m *made) {
		blocks, state := kv.NewMemory(), kv.NewMemory()
		var here atomic.Bool
		c := m.open(t, blocks, state, func(ctx context.Context, digest suite.Hash, holders []uint16, take func([]byte) error) error {
			if !here.Load() {
				return errors.New("not yet")
			}
			return serve(m.Network)(ctx, digest, holders, take)
		})
		for _, b := range m.blocks[:ledger.Lag] {
			if err := c.Commit(b); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		here.Store(true)
		for _, b := range m.blocks[ledger.Lag:] {
			if err := m.Import(t, c, b); err != nil {
				t.Fatal(err)
			}
		}
		m.Wait(t, c, 5)
		shut(t, c)
		c = m.open(t, blocks, state, nil)
		holds(t, m.Network, c, m.blocks)
		shut(t, c)
		c = m.open(t, blocks, kv.NewMemory(), nil) // all is executed again
		if got := executed(c); got != 5 {
			t.Errorf("executed again up to %d", got)
		}
		shut(t, c)
	})
}

// A node that is shut while it waits comes to its end, and when it is opened again it waits again: no start fails for want of a
// batch that others have.
func TestCloseEndsTheWaitAndRestartResumesIt(t *testing.T) {
	ahead(t, time.Second, func(t *testing.T, m *made) {
		blocks, state := kv.NewMemory(), kv.NewMemory()
		for life := range 3 {
			ended := make(chan error, 1)
			c := m.open(t, blocks, state, func(ctx context.Context, _ suite.Hash, _ []uint16, _ func([]byte) error) error {
				<-ctx.Done()
				return ctx.Err()
			})
			if life == 0 {
				if err := m.Import(t, c, m.blocks[0]); err != nil {
					t.Fatal(err)
				}
				m.Wait(t, c, 1)
				for _, b := range m.blocks[1:3] {
					if err := c.Commit(b); err != nil {
						t.Fatal(err)
					}
				}
			}
			go func() { ended <- c.Commit(m.blocks[3]) }()
			<-time.After(7 * time.Second)
			if p, _ := c.Progress(); p.Committed != 3 || p.Executed != 1 {
				t.Fatalf("in life %d the progress is %+v", life, p)
			}
			shut(t, c)
			if err := <-ended; !errors.Is(err, chain.ErrClosed) {
				t.Errorf("the next block: %v", err)
			}
		}
		var told []ledger.Height
		cfg := m.Config(t, blocks, state)
		cfg.Clock, cfg.Fetch = clock.Real(), serve(m.Network)
		cfg.OnExecuted = func(h *ledger.Header, _ []ledger.Receipt) { told = append(told, h.Height) }
		c := open(t, cfg)
		for _, b := range m.blocks[3:] {
			if err := c.Commit(b); err != nil {
				t.Fatal(err)
			}
		}
		m.Wait(t, c, 5)
		holds(t, m.Network, c, m.blocks)
		shut(t, c)
		if fmt.Sprint(told) != "[2 3 4 5]" {
			t.Errorf("told %v", told)
		}
	})
}

// A store from which the batch of an old block is gone is damaged, and so is one in which a batch is not what its key says.
func TestDamagedBatchesAreFound(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	blocks := history(t, n, 5)
	entries, err := ledger.DecodePayload(blocks[1].Payload)
	if err != nil {
		t.Fatal(err)
	}
	key := append([]byte{'p'}, entries.Entries[0].Digest[:]...)
	for what, damage := range map[string]func(b *kv.Batch){
		"are missing": func(b *kv.Batch) { b.Delete(key) },
		"is damaged":  func(b *kv.Batch) { b.Set(key, n.Bodies(t, blocks[0])[0]) },
		"damaged":     func(b *kv.Batch) { b.Set(key, []byte("junk")) },
	} {
		store := kv.NewMemory()
		c := open(t, n.Config(t, store, kv.NewMemory()))
		for _, b := range blocks {
			if err := n.Import(t, c, b); err != nil {
				t.Fatal(err)
			}
		}
		n.Wait(t, c, 5)
		shut(t, c)
		b := store.NewBatch()
		damage(b)
		if err := store.Apply(b, true); err != nil {
			t.Fatal(err)
		}
		if c, err := chain.Open(n.Config(t, store, kv.NewMemory())); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("a store whose batches %s: %v", what, err)
			if err == nil {
				shut(t, c)
			}
		}
	}
}
