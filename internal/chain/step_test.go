package chain_test

import (
	"errors"
	"testing"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
)

// A stepped chain does nothing by itself: it executes when it is told to, names the batch that it lacks, and refuses to commit
// where it would have to wait. What it executes is the same.
func TestStep(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	running := n.Open(t)
	cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
	cfg.Stepped = true
	stepped, err := chain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stepped.Close(); err != nil {
			t.Error(err)
		}
	}()
	first := n.Commit(t, running, n.BatchRequest(n.Scope(t, "/a")))
	second := n.Commit(t, running, n.BatchRequest(n.Scope(t, "/b")))
	third := n.Commit(t, running, n.BatchRequest(n.Scope(t, "/c")))
	if err := stepped.Commit(first); err != nil {
		t.Fatal(err)
	}
	executed, missing := stepped.Step()
	if executed || missing == nil || len(missing.Holders) != 1 {
		t.Fatalf("without the batch: executed %t, missing %+v", executed, missing)
	}
	if err := stepped.HoldOrdered(missing.Digest, n.Bodies(t, second)[0]); err == nil {
		t.Fatal("it takes another batch for the missing one")
	}
	if err := n.Import(t, stepped, second); err != nil {
		t.Fatal(err)
	}
	if err := n.Import(t, stepped, third); err == nil {
		t.Fatal("three blocks are committed and none is executed")
	}
	if executed, missing = stepped.Step(); executed || missing == nil {
		t.Fatal("it goes on to the second block without the batch of the first")
	}
	if err := stepped.HoldOrdered(missing.Digest, n.Bodies(t, first)[0]); err != nil {
		t.Fatal(err)
	}
	for h := range 2 {
		if executed, missing = stepped.Step(); !executed || missing != nil {
			t.Fatalf("block %d: executed %t, missing %+v", h+1, executed, missing)
		}
	}
	if executed, _ = stepped.Step(); executed {
		t.Fatal("it executes what there is not")
	}
	for h := first.Header.Height; h <= second.Header.Height; h++ {
		a, err := running.Roots(h)
		b, also := stepped.Roots(h)
		if err != nil || also != nil || a != b {
			t.Fatalf("roots of height %d: %+v and %+v, %v, %v", h, a, b, err, also)
		}
	}
	if _, err := stepped.Roots(third.Header.Height); !errors.Is(err, chain.ErrNotFound) {
		t.Fatalf("roots of a height that is not executed: %v", err)
	}
}
