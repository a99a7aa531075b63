package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/invariant"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// history makes blocks on a chain of their own, most of them of several transactions.
func history(t testing.TB, n *chaintest.Network, blocks int) []*ledger.Block {
	t.Helper()
	c := n.Open(t)
	var out []*ledger.Block
	for i := range blocks {
		n.Clock.Advance(700_000_000)
		var txs [][]byte
		for k := range 1 + 7*i%5 {
			txs = append(txs, n.Scope(t, "/h"+strings.Repeat("i", i)+strings.Repeat("k", k)))
		}
		requests := [][]byte{n.BatchRequest(txs...)}
		if i%4 == 3 { // now and then a block without transactions
			requests = [][]byte{chaintest.TickRequest(ledger.Tick{Height: c.Head().Header.Height + 1})}
		}
		if i%5 == 4 { // and one that only fails
			requests = [][]byte{n.BatchRequest(n.Tx(t, []string{"authority.m"}, n.OpenScope("/never")))}
		}
		out = append(out, n.Commit(t, c, requests...))
	}
	return out
}

func TestImport(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	blocks := history(t, n, 6)
	c := n.Open(t)
	if err := n.Import(t, c, blocks[1]); err == nil {
		t.Error("a gap is imported")
	}
	for i, b := range blocks {
		for what, change := range map[string]func(b *ledger.Block){
			"no certificate":        func(b *ledger.Block) { b.Certificate = ledger.Certificate{} },
			"two votes":             func(b *ledger.Block) { b.Certificate.Votes = b.Certificate.Votes[:2] },
			"another's certificate": func(b *ledger.Block) { b.Certificate = blocks[(i+1)%len(blocks)].Certificate },
			"payload":               func(b *ledger.Block) { b.Payload = codec.MustMarshal(&ledger.Payload{}) },
			"metadata":              func(b *ledger.Block) { b.Metadata = []byte{7} },
			"sequence":              func(b *ledger.Block) { b.Sequence++ },
			"wall":                  func(b *ledger.Block) { b.Header.Wall++ },
			"time":                  func(b *ledger.Block) { b.Header.Time++ },
			"state root":            func(b *ledger.Block) { b.Header.StateRoot[0] ^= 1 },
			"epoch":                 func(b *ledger.Block) { b.Header.Epoch++; n.Certify(t, b) },
			"network":               func(b *ledger.Block) { b.Header.Network[0] ^= 1; n.Certify(t, b) },
			"previous":              func(b *ledger.Block) { b.Header.Previous[0] ^= 1; n.Certify(t, b) },
			"validators":            func(b *ledger.Block) { b.Header.Validators[0] ^= 1; n.Certify(t, b) },
			"version":               func(b *ledger.Block) { b.Header.Version++; n.Certify(t, b) },
		} {
			bad := *b
			change(&bad)
			if err := n.Import(t, c, &bad); err == nil {
				t.Fatalf("block %d with another %s is imported", b.Header.Height, what)
			}
		}
		if err := n.Import(t, c, b); err != nil {
			t.Fatal(err)
		}
		if err := n.Import(t, c, b); err != nil {
			t.Fatalf("a second time: %v", err)
		}
	}
	n.Wait(t, c, 6)
	stranger := chaintest.New(t, chaintest.Options{Validators: 4, Name: " of strangers"}).Open(t)
	if err := n.Import(t, stranger, blocks[0]); err == nil {
		t.Error("another network's block is imported")
	}
}

// The batches that come with a block are those that it orders, or nothing of it stays.
func TestImportNeedsTheBatches(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	source := n.Open(t)
	block := n.Commit(t, source, n.BatchRequest(n.Scope(t, "/a")), n.BatchRequest(n.Scope(t, "/b"), n.Scope(t, "/c")))
	bodies := n.Bodies(t, block)
	payload, err := ledger.DecodePayload(block.Payload)
	if err != nil {
		t.Fatal(err)
	}
	other := n.Batch(n.Scope(t, "/d"))
	store := kv.NewMemory()
	c := open(t, n.Config(t, store, kv.NewMemory()))
	before := store.Metrics().Writes
	for what, bad := range map[string][][]byte{
		"no batches": nil, "one missing": bodies[:1], "the first missing": bodies[1:], "one too many": {bodies[0], bodies[1], other},
		"one twice": {bodies[0], bodies[0]}, "swapped": {bodies[1], bodies[0]}, "another": {bodies[0], other}, "an empty one": {bodies[0], nil},
		"a byte too many": {bodies[0], append(bytes.Clone(bodies[1]), 0)}, "a byte too few": {bodies[0], bodies[1][:len(bodies[1])-1]},
		"a changed byte": {bodies[0], changed(bodies[1], 9)}, "a changed signature": {changed(bodies[0], len(bodies[0])-1), bodies[1]},
	} {
		if err := c.Import(block, bad); err == nil {
			t.Fatalf("with %s the block is imported", what)
		}
		if c.Head().Header.Height != 0 || store.Metrics().Writes != before {
			t.Fatalf("with %s, %d rows are written", what, store.Metrics().Writes-before)
		}
		for _, id := range payload.Entries {
			if err := c.VerifyHeld(id.Digest); !errors.Is(err, chain.ErrNotFound) {
				t.Fatalf("with %s, batch %s is held: %v", what, id.Digest, err)
			}
		}
	}
	if err := c.Import(block, bodies); err != nil {
		t.Fatal(err)
	}
	n.Wait(t, c, 1)
	holds(t, n, c, []*ledger.Block{block})
}

func changed(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// holds reports an error unless c can serve these blocks with their batches.
func holds(t testing.TB, n *chaintest.Network, c *chain.Chain, blocks []*ledger.Block) {
	t.Helper()
	for _, b := range blocks {
		_, bodies, err := c.BlockBytes(b.Header.Height)
		if err != nil || !slices.EqualFunc(bodies, n.Bodies(t, b), bytes.Equal) {
			t.Errorf("block %d has %d batches here, %v", b.Header.Height, len(bodies), err)
		}
	}
}

// serve returns a source of all batches that n knows.
func serve(n *chaintest.Network) func(context.Context, suite.Hash, []uint16, func([]byte) error) error {
	return func(_ context.Context, digest suite.Hash, _ []uint16, take func([]byte) error) error {
		body, ok := n.Known(digest)
		if !ok {
			return fmt.Errorf("batch %s is unknown", digest)
		}
		return take(body)
	}
}

// Blocks arrive from the engine and from peers at once. Whoever comes first commits; nobody is harmed.
func TestImportRacesWithCommit(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	blocks := history(t, n, 30)
	cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
	cfg.Clock, cfg.Fetch = clock.Real(), serve(n)
	c := open(t, cfg)
	var wg sync.WaitGroup
	for who := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for _, b := range blocks {
				if who < 3 {
					for c.Head().Header.Height+1 < b.Header.Height {
						if err := c.WaitCommitted(t.Context(), b.Header.Height-1); err != nil {
							t.Error(err)
							return
						}
					}
					if err := n.Import(t, c, b); err != nil {
						t.Errorf("import %d: %v", b.Header.Height, err)
					}
					continue
				}
				if err := c.WaitCommitted(t.Context(), b.Header.Height-1); err != nil {
					t.Error(err)
					return
				}
				if err := c.Commit(b); err != nil {
					t.Errorf("commit %d: %v", b.Header.Height, err)
				}
			}
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	readers := make(chan struct{})
	go func() {
		defer close(readers)
		for ctx.Err() == nil {
			scopeExists(t, c, "/hi")
			if _, err := c.ProveState(ledger.GenesisKey()); err != nil && !errors.Is(err, chain.ErrNotProven) {
				t.Error(err)
			}
			if _, _, err := c.NeedTick(); err != nil {
				t.Error(err)
			}
			if _, err := c.Assemble(ctx, nil, 0, nil); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "not at hand") {
				t.Error(err)
			}
		}
	}()
	wg.Wait()
	n.Wait(t, c, 30)
	cancel()
	<-readers
	if got, want := c.Head().Header.Hash(n.Suite), blocks[29].Header.Hash(n.Suite); got != want {
		t.Errorf("the head is %s, not %s", got, want)
	}
	holds(t, n, c, blocks)
}

// Every header commits to the results of two heights before, which execution compares: importing is replaying under test.
func TestRootsDoNotDependOnThreads(t *testing.T) {
	for _, name := range []string{"intl", "sm"} {
		n := chaintest.New(t, chaintest.Options{Suite: name})
		c := n.Open(t)
		var blocks []*ledger.Block
		for i := range 3 {
			var txs [][]byte
			for k := range 24 {
				op, signers := n.Onboard(t, strings.Repeat("p", i+1)+strings.Repeat("q", k), ledger.RoleSupplier)
				txs = append(txs, n.Tx(t, signers, op))
			}
			blocks = append(blocks, n.Commit(t, c, n.BatchRequest(txs...)))
		}
		for range ledger.Lag {
			blocks = append(blocks, n.Commit(t, c))
		}
		for _, threads := range []int{1, 2, 8} {
			func() {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
				other := n.Open(t)
				for _, b := range blocks {
					if err := n.Import(t, other, b); err != nil {
						t.Fatalf("%s on %d threads: %v", name, threads, err)
					}
				}
				n.Wait(t, other, c.Head().Header.Height)
			}()
		}
	}
}

func TestDivergenceStopsTheNode(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	for _, root := range []string{"state", "write", "receipts"} {
		blocks, state := kv.NewMemory(), kv.NewMemory()
		cfg := n.Config(t, blocks, state)
		broken := make(chan error, 10)
		cfg.OnBroken = func(err error) { broken <- err }
		c := open(t, cfg)
		n.Commit(t, c, n.BatchRequest(n.Scope(t, "/a")))
		n.Commit(t, c, n.BatchRequest(n.Scope(t, "/b")))
		b := n.Assemble(t, c, n.BatchRequest(n.Scope(t, "/c")))
		n.Hold(t, c, b)
		switch root {
		case "state":
			b.Header.StateRoot[3] ^= 1
		case "write":
			b.Header.WriteRoot[3] ^= 1
		default:
			b.Header.ReceiptsRoot[3] ^= 1
		}
		refused(t, c, "another "+root+" root", b, root+" root is")
		n.Certify(t, b) // what a quorum that computed otherwise would do
		if err := n.Import(t, c, b); err != nil {
			t.Fatal(err)
		}
		err := <-broken
		var violation *invariant.Violation
		if !errors.As(err, &violation) || !errors.Is(c.Broken(), err) {
			t.Fatalf("the node is told %v, the chain says %v", err, c.Broken())
		}
		if p, _ := c.Progress(); p.Executed != 2 || p.Committed != 3 {
			t.Errorf("progress %+v", p)
		}
		// It neither proposes nor votes nor goes on, and whoever waits is told.
		if _, err := c.Assemble(t.Context(), nil, 0, nil); !errors.Is(err, c.Broken()) {
			t.Errorf("assemble: %v", err)
		}
		next := &ledger.Block{Header: b.Header, Payload: b.Payload}
		next.Header.Height, next.Header.Previous = 4, b.Header.Hash(n.Suite)
		if err := c.Validate(t.Context(), next); !errors.Is(err, c.Broken()) {
			t.Errorf("validate: %v", err)
		}
		if err := c.Commit(next); !errors.Is(err, c.Broken()) {
			t.Errorf("commit: %v", err)
		}
		if err := c.WaitExecuted(t.Context(), 3); !errors.Is(err, c.Broken()) {
			t.Errorf("wait for execution: %v", err)
		}
		if err := c.WaitCommitted(t.Context(), 4); !errors.Is(err, c.Broken()) {
			t.Errorf("wait for the next block: %v", err)
		}
		shut(t, c)
		if len(broken) > 0 {
			t.Errorf("the node is told again: %v", <-broken)
		}
		if _, err := chain.Open(cfg); !errors.As(err, &violation) || !strings.Contains(err.Error(), "replay of block 3") {
			t.Errorf("opened again: %v", err)
		}
	}
}

func TestTwoCertifiedBlocksAtOneHeightStopTheNode(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
	var broken error
	cfg.OnBroken = func(err error) { broken = err }
	c := open(t, cfg)
	one := n.Assemble(t, c, n.BatchRequest(n.Scope(t, "/a")))
	two := n.Assemble(t, c, n.BatchRequest(n.Scope(t, "/b")))
	n.Hold(t, c, one)
	if err := errors.Join(c.Commit(one), c.Commit(one)); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(two); err == nil || broken == nil || !strings.Contains(err.Error(), "two blocks are certified at height 1") {
		t.Errorf("the second block: %v; the node is told %v", err, broken)
	}
}

func TestStoresOfAnotherNetworkAreRefused(t *testing.T) {
	n, other := chaintest.New(t, chaintest.Options{}), chaintest.New(t, chaintest.Options{Name: " other"})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	n.Commit(t, c, n.BatchRequest(n.Scope(t, "/a")))
	shut(t, c)
	if _, err := chain.Open(other.Config(t, blocks, kv.NewMemory())); err == nil || !strings.Contains(err.Error(), "belongs to network") {
		t.Errorf("another network's blocks: %v", err)
	}
	if _, err := chain.Open(other.Config(t, kv.NewMemory(), state)); err == nil || !strings.Contains(err.Error(), "belongs to another network") {
		t.Errorf("another network's state: %v", err)
	}
	if _, err := chain.Open(n.Config(t, kv.NewMemory(), state)); err == nil || !strings.Contains(err.Error(), "older than the state") {
		t.Errorf("a state ahead of the blocks: %v", err)
	}
}
