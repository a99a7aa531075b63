package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"aval/ledger"
)

// leader returns the validator that node i takes for the leader.
func (c *cluster) leader(i int) int { return int(c.nodes[i].engine.Status().Leader) }

func TestAnyValidatorMayStop(t *testing.T) {
	c := newCluster(t, "intl", 4, 0)
	c.mustOpenScope(c.client(0, 1, 2, 3))
	for _, lost := range []string{"leader", "follower"} {
		victim := c.leader(0)
		if lost == "follower" {
			victim = (c.leader(0) + 1) % 4
		}
		other := (victim + 1) % 4
		c.stop(victim)
		start := time.Now()
		c.mustOpenScope(c.client(other))
		t.Logf("%s stopped: the next commit came after %v", lost, time.Since(start))
		c.start(victim)
		height := c.nodes[other].chain.Head().Header.Height
		c.await(victim, height)
		c.mustOpenScope(c.client(victim))
	}
	c.sameChain(c.nodes[0].chain.Head().Header.Height)
}

func TestTwoDownStopsAndResumes(t *testing.T) {
	c := newCluster(t, "intl", 4, 1)
	c.mustOpenScope(c.client(0))
	c.stop(2)
	c.stop(3)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	path, err := c.openScope(ctx, c.client(0))
	cancel()
	if err == nil {
		t.Fatal("two of four validators committed a transaction")
	}
	if cause := c.awaitCause(0, "quorum lost"); !strings.Contains(cause, "validator-2") || !strings.Contains(cause, "validator-3") {
		t.Errorf("status does not name the missing validators: %q", cause)
	}
	c.start(3)
	start := time.Now()
	c.mustOpenScope(c.client(0, 1, 3))
	t.Logf("one returned: the next commit came after %v", time.Since(start))
	c.awaitScope(4, path) // what was taken in before is not forgotten while its window lasts
}

// awaitCause waits until status of node i names a cause that contains want.
func (c *cluster) awaitCause(i int, want string) string {
	c.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if cause := c.nodes[i].Status().Cause; strings.Contains(cause, want) {
			return cause
		}
		select {
		case <-deadline:
			c.t.Fatalf("%s: status never named %q: %+v", c.configs[i].Name, want, c.nodes[i].Status())
		case <-tick.C:
		}
	}
}

// awaitScope waits until node i shows the scope.
func (c *cluster) awaitScope(i int, path ledger.Scope) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		p, changed := c.nodes[i].chain.Progress()
		err := c.hasScope(i, path)
		if err == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.t.Fatalf("%s at %+v: %v", c.configs[i].Name, p, err)
		}
	}
}

func TestNodeThatWasAwayCatchesUp(t *testing.T) {
	c := newCluster(t, "sm", 4, 1)
	c.mustOpenScope(c.client(0))
	c.stop(3)
	c.stop(4)
	for range 20 {
		c.mustOpenScope(c.client(0, 1, 2))
	}
	height := c.nodes[0].chain.Head().Header.Height
	c.start(3)
	c.start(4)
	c.await(3, height)
	c.await(4, height)
	c.mustOpenScope(c.client(3))
	c.mustOpenScope(c.client(4))
	c.sameChain(height)
}

func TestQuietNetworkProvesThenRests(t *testing.T) {
	c := newCluster(t, "intl", 4, 0)
	c.mustOpenScope(c.client(0))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	progress, _ := c.nodes[0].chain.Progress()
	if err := c.nodes[0].chain.WaitCommitted(ctx, progress.Executed+ledger.Lag); err != nil {
		t.Fatalf("the last transaction was never proven: %v", err)
	}
	// Whatever was under way ends; then no block comes.
	rest, cancelRest := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancelRest()
	last := c.nodes[0].chain.Head().Header.Height
	err := c.nodes[0].chain.WaitCommitted(rest, last+3)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a quiet network went on from height %d to %d", last, c.nodes[0].chain.Head().Header.Height)
	}
}
