package node

import (
	"context"
	"testing"
	"time"

	"aval/ledger"
)

func TestAloneCommitsAndProves(t *testing.T) {
	c := newCluster(t, "intl", 1, 0)
	cl := c.client(0)
	path := c.mustOpenScope(cl)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	progress, _ := c.nodes[0].chain.Progress()
	if err := c.nodes[0].chain.WaitCommitted(ctx, progress.Executed+ledger.Lag); err != nil {
		t.Fatal(err)
	}
	proven, err := cl.StateProof(ctx, ledger.ScopeKey(path))
	if err != nil {
		t.Fatal(err)
	}
	if !proven.Verdict.Present {
		t.Fatalf("scope %s is not proven present: %+v", path, proven.Verdict)
	}
}

func TestFourCommitThroughAnyNode(t *testing.T) {
	for _, s := range []string{"sm", "intl"} {
		t.Run(s, func(t *testing.T) {
			c := newCluster(t, s, 4, 1)
			for i := range c.nodes {
				start := time.Now()
				c.mustOpenScope(c.client(i))
				t.Logf("through %s: %v", c.configs[i].Name, time.Since(start))
			}
			height := c.nodes[0].chain.Head().Header.Height
			for i := range c.nodes {
				c.await(i, height)
			}
			c.sameChain(height)
		})
	}
}

// sameChain waits until all running nodes hold height and fails unless their blocks are the same up to it.
func (c *cluster) sameChain(height ledger.Height) {
	c.t.Helper()
	for i, n := range c.nodes {
		if n != nil {
			c.await(i, height)
		}
	}
	for h := ledger.Height(1); h <= height; h++ {
		var first *ledger.Header
		for i, n := range c.nodes {
			if n == nil {
				continue
			}
			b, err := n.chain.Block(h)
			if err != nil {
				c.t.Fatalf("%s: %v", c.configs[i].Name, err)
			}
			if first == nil {
				first = &b.Header
			}
			if b.Header != *first {
				c.t.Fatalf("%s has another block at height %d", c.configs[i].Name, h)
			}
		}
	}
}
