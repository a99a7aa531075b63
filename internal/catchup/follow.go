package catchup

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Follow keeps the chain at the head of its peers until ctx ends: the way of a node that does not vote. It asks one peer
// after another, and stays with one that serves. As that one may hold back what the others have, it asks the others in turn
// whether there is more, and takes it from them.
func (c *Catchup) Follow(ctx context.Context) error {
	if len(c.cfg.Peers) == 0 {
		return errors.New("catchup: no peer to follow")
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if len(c.cfg.Peers) > 1 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c.watch(ctx)
		}()
	}
	backoff := backoffFirst
	for at := 0; ctx.Err() == nil; {
		p := &c.cfg.Peers[at%len(c.cfg.Peers)]
		got := c.fetch(ctx, p, followWait)
		behind := got.head > c.height()
		if got.err == nil && got.blocks > 0 && !(behind && got.took > slowAfter) {
			backoff = backoffFirst
			continue
		}
		at++                                                       // also a silent peer is left: it may be cut off from the others
		if got.err == nil && !behind && got.took >= followWait/2 { // nothing new, and it waited for it
			backoff = backoffFirst
			continue
		}
		c.log.DebugContext(ctx, "peer left", slog.String("peer", p.Name), slog.Any("error", got.err))
		if !c.pause(ctx, backoff) {
			break
		}
		backoff = min(2*backoff, backoffLast)
	}
	return ctx.Err()
}

// watch asks the peers in turn for their heads. If a claimed block does not come soon by itself, it is fetched from who
// claims it.
func (c *Catchup) watch(ctx context.Context) {
	for at := 1; c.pause(ctx, watchEvery); at++ {
		p := &c.cfg.Peers[at%len(c.cfg.Peers)]
		r, err := c.call(ctx, p, Request{From: c.height() + 1})
		if err != nil {
			c.log.DebugContext(ctx, "peer does not answer", slog.String("peer", p.Name), slog.Any("error", err))
			continue
		}
		grace, cancel := context.WithTimeout(ctx, watchGrace)
		late := c.cfg.Chain.WaitCommitted(grace, r.Head) != nil
		cancel()
		for late && ctx.Err() == nil && r.Head > c.height() {
			got := c.fetch(ctx, p, 0)
			if got.err != nil {
				c.log.WarnContext(ctx, "peer could not serve blocks", slog.String("peer", p.Name), slog.Any("error", got.err))
			}
			if got.err != nil || got.blocks == 0 || got.took > slowAfter {
				break
			}
		}
	}
}

// pause waits for d and reports whether ctx still runs.
func (c *Catchup) pause(ctx context.Context, d time.Duration) bool {
	t := c.cfg.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}
