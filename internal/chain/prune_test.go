package chain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/ledger"
	"aval/suite"
)

// pruned is a chain that grows, is pruned and restarts, beside one that keeps everything.
type pruned struct {
	testing.TB
	n             *chaintest.Network
	blocks, state kv.Store
	c, whole      *chain.Chain
	salt          int
}

func newPruned(t testing.TB) *pruned {
	p := &pruned{TB: t, n: chaintest.New(t, chaintest.Options{Lab: true}), blocks: kv.NewMemory(), state: kv.NewMemory()}
	p.whole = p.n.Open(t)
	p.open()
	t.Cleanup(func() {
		if err := p.c.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *pruned) open() {
	p.Helper()
	var err error
	if p.c, err = chain.Open(p.n.Config(p, p.blocks, p.state)); err != nil {
		p.Fatal(err)
	}
}

func (p *pruned) restart() {
	p.Helper()
	if err := p.c.Close(); err != nil {
		p.Fatal(err)
	}
	p.open()
}

func (p *pruned) step(d time.Duration, txs int) {
	p.Helper()
	p.n.Clock.Advance(d)
	var requests [][]byte
	for range txs {
		p.salt++
		path := fmt.Sprintf("/s%d", p.salt)
		if p.salt%5 == 0 {
			path = "/s1" // which fails, for ever
		}
		requests = append(requests, p.n.BatchRequest(p.n.Scope(p, path)))
	}
	if txs == 0 {
		requests = append(requests, chaintest.TickRequest(ledger.Tick{Height: p.whole.Head().Header.Height + 1}))
	}
	b := p.n.Commit(p, p.whole, requests...)
	if err := p.n.Import(p, p.c, b); err != nil {
		p.Fatal(err)
	}
	p.n.Wait(p, p.c, b.Header.Height)
	want, err := p.whole.Roots(b.Header.Height)
	got, gerr := p.c.Roots(b.Header.Height)
	if err = errors.Join(err, gerr); err != nil || got != want {
		p.Fatalf("height %d: roots %v, want %v, %v", b.Header.Height, got, want, err)
	}
}

func (p *pruned) prune(keep uint64) chain.Pruned {
	p.Helper()
	out, err := p.c.Prune(context.Background(), chain.Retention{Heights: keep})
	if err != nil {
		p.Fatal(err)
	}
	return out
}

// proveAll proves every live record of the state from the pruned chain alone.
func (p *pruned) proveAll() (proven int) {
	p.Helper()
	f, err := p.c.Freeze()
	if err != nil {
		p.Fatal(err)
	}
	defer f.Release()
	for from, done := (suite.Hash{}), false; !done; done = from.IsZero() {
		r, err := f.Range(from, 1<<20)
		if err != nil {
			p.Fatal(err)
		}
		for i := range r.Entries {
			if r.Entries[i].Deleted {
				continue
			}
			proof, err := p.c.ProveState(r.Entries[i].Key)
			if err != nil {
				p.Fatalf("key %x: %v", r.Entries[i].Key, err)
			}
			v, err := ledger.VerifyProof(p.n.Suite, p.n.Genesis, proof, ledger.VerifyOptions{Lab: true})
			if err != nil || !v.Present {
				p.Fatalf("key %x: present %t, %v", r.Entries[i].Key, v != nil && v.Present, err)
			}
			// The block that wrote it is shown by its certified header, if it was ever held.
			for _, h := range []ledger.Height{v.Written, v.Written + ledger.Lag} {
				if h == 0 || h > p.c.Head().Header.Height {
					continue
				}
				header, cert, err := p.c.Header(h)
				if err != nil {
					p.Fatalf("key %x was written at height %d, whose header is gone: %v", r.Entries[i].Key, h, err)
				}
				if err := ledger.VerifyCertificate(p.n.Suite, p.n.Genesis.Validators, header, cert); err != nil {
					p.Fatal(err)
				}
			}
			proven++
		}
		from = r.To
	}
	return proven
}

func TestPrunedChainProvesEveryLiveRecordAndGoesOn(t *testing.T) {
	p := newPruned(t)
	for i := range 150 {
		p.step(time.Duration(i%7)*6*time.Second, i%4)
	}
	p.step(0, 1)
	p.step(0, 0)
	p.step(0, 0)
	before := p.proveAll()
	out := p.prune(1)
	if out.Blocks < 20 || out.Batches == 0 || out.Receipts == 0 || out.Headers == 0 || out.Headers >= out.Blocks {
		t.Fatalf("pruned %+v: the test shows nothing", out)
	}
	if after := p.proveAll(); after != before {
		t.Errorf("%d live records are proven, %d were before", after, before)
	}
	if got := p.c.First(); got != out.First || got != ledger.Height(out.Blocks)+1 {
		t.Errorf("the chain keeps blocks from %d on, %d were dropped", got, out.Blocks)
	}
	for h := ledger.Height(1); h <= p.c.Head().Header.Height; h++ {
		_, berr := p.c.Block(h)
		_, _, bberr := p.c.BlockBytes(h)
		_, rerr := p.c.Receipts(h)
		for what, err := range map[string]error{"block": berr, "batches": bberr, "receipts": rerr} {
			if h < out.First && !errors.Is(err, chain.ErrPruned) || h >= out.First && err != nil {
				t.Errorf("%s of height %d, kept from %d: %v", what, h, out.First, err)
			}
		}
	}
	p.checkIndex(out.First)
	p.restart()
	if p.c.First() != out.First {
		t.Errorf("after a restart the chain keeps blocks from %d on", p.c.First())
	}
	for range 5 {
		p.step(time.Second, 2)
	}
	p.step(0, 0)
	p.step(0, 0)
	p.proveAll()
}

// checkIndex compares what is found of transactions with what is kept.
func (p *pruned) checkIndex(first ledger.Height) {
	p.Helper()
	kept, gone := 0, 0
	for h := ledger.Height(1); h <= p.whole.Head().Header.Height; h++ {
		receipts, err := p.whole.Receipts(h)
		if err != nil {
			p.Fatal(err)
		}
		for i := range receipts {
			if !receipts[i].Final || receipts[i].Boundary {
				continue
			}
			_, err := p.c.FindTx(receipts[i].Tx)
			if h < first != errors.Is(err, chain.ErrNotFound) {
				p.Errorf("transaction of height %d, kept from %d: %v", h, first, err)
			}
			if err == nil {
				kept++
			} else {
				gone++
			}
		}
	}
	if kept == 0 || gone == 0 {
		p.Errorf("%d transactions are found and %d not: the test shows nothing", kept, gone)
	}
}

// TestPruneAnywhere prunes, restarts and grows in any order; the roots stay those of the chain that keeps everything.
func TestPruneAnywhere(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := newPruned(t)
		r.Repeat(map[string]func(*rapid.T){
			"grow": func(r *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(r, "blocks") {
					p.step(time.Duration(rapid.IntRange(0, 400).Draw(r, "seconds"))*time.Second, rapid.IntRange(0, 2).Draw(r, "txs"))
				}
			},
			"prune":   func(r *rapid.T) { p.prune(uint64(rapid.IntRange(1, 50).Draw(r, "keep"))) },
			"restart": func(*rapid.T) { p.restart() },
		})
		p.step(0, 1)
		p.step(0, 0)
		p.step(0, 0)
		p.proveAll()
	})
}

func TestPruneKeepsWhatItIsTold(t *testing.T) {
	p := newPruned(t)
	for range 100 {
		p.step(time.Minute, 1)
	}
	if out := p.prune(100); out.Blocks != 0 || out.First != 1 {
		t.Errorf("with all kept: %+v", out)
	}
	if out := p.prune(90); out.First != 11 || out.Blocks != 10 {
		t.Errorf("with 90 of 100 kept: %+v", out)
	}
	out, err := p.c.Prune(t.Context(), chain.Retention{Heights: 1, From: 30})
	if err != nil || out.First != 30 {
		t.Errorf("with all from 30 on kept: %+v, %v", out, err)
	}
	if out := p.prune(1); out.First != 82 { // what a restart needs
		t.Errorf("with one kept: %+v", out)
	}
	if _, err := p.c.Prune(t.Context(), chain.Retention{}); err == nil {
		t.Error("nothing is kept")
	}
	f, err := p.c.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.c.Prune(t.Context(), chain.Retention{Heights: 1}); !errors.Is(err, state.ErrFrozen) {
		t.Errorf("while a height is frozen: %v", err)
	}
	f.Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		p.step(time.Minute, 1)
	}
	if _, err := p.c.Prune(ctx, chain.Retention{Heights: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if out := p.prune(1); out.Blocks == 0 {
		t.Error("what an interrupted prune left is not dropped by the next")
	}
}
