package node

import (
	"context"
	"slices"
	"sync"
	"testing"

	"aval/internal/transport"
)

// The liar here is the first leader. The others must replace it; meanwhile clients wait, and lose nothing.

func TestLiarLeaderIsSilent(t *testing.T) {
	c := foundCluster(t, "intl", 4, 1)
	p := newPuppet(c, 0, ends{push: hang, fetch: hang, consensus: func(context.Context, transport.Peer, []byte) {}})
	c.startBut(0)
	c.meshed()
	p.connect()
	end := c.traffic(1, 2, 3, 4)
	c.until("the others have another leader", func() bool {
		return !slices.ContainsFunc(c.honest(), func(i int) bool { return c.leader(i) == 0 })
	})
	c.mustOpenScope(c.client(1))
	end()
}

// The leader sends everybody what it ever heard from anybody, again and again, and some of it damaged: votes, complaints and
// view changes of others, as if they were its own, stale and in any order.
func TestLiarLeaderReplays(t *testing.T) {
	c := foundCluster(t, "intl", 4, 1)
	var mu sync.Mutex
	var heard [][]byte
	p := newPuppet(c, 0, ends{consensus: func(_ context.Context, _ transport.Peer, message []byte) {
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < 500 {
			heard = append(heard, message)
		}
	}})
	c.startBut(0)
	c.meshed()
	p.connect()
	end := c.traffic(1, 2, 3, 4)
	replay := func() {
		mu.Lock()
		messages := slices.Clone(heard)
		mu.Unlock()
		for k, message := range messages {
			if k%5 == 4 {
				message = slices.Clone(message)
				message[(31*k)%len(message)] ^= 1 << (k % 8)
			}
			for _, i := range c.honest() {
				// A full queue or a link that was cut for it is the liar's own trouble.
				if err := p.links.Send(p.key(i), transport.Consensus, message); err != nil {
					t.Logf("not sent to validator %d: %v", i, err)
				}
			}
		}
	}
	c.until("the others have another leader, and commit", func() bool {
		replay()
		replaced := !slices.ContainsFunc(c.honest(), func(i int) bool { return c.leader(i) == 0 })
		return replaced && c.nodes[1].chain.Head().Header.Height > 3
	})
	replay()
	c.mustOpenScope(c.client(1))
	end()
}
