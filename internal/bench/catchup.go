package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aval/client"
	"aval/internal/fleet"
	"aval/ledger"
)

// making is how long the validators took for the blocks on the ledger.
type making struct {
	// full is the time in which as much was submitted as they took, setting up included.
	full time.Duration
	// paced counts the transactions that were offered at a given rate, whose blocks would have come faster if more had been.
	paced int64
}

// add adds one load.
func (m *making) add(o *Order, t *Tally, took time.Duration) {
	if o.Rate > 0 {
		m.paced += t.Committed
		return
	}
	m.full += took
}

// seconds returns how long it took, or would have taken at peak transactions a second.
func (m *making) seconds(peak float64) float64 { return m.full.Seconds() + float64(m.paced)/peak }

const (
	// catchUpEvery is how often a node that catches up is asked for its height.
	catchUpEvery = 50 * time.Millisecond
	// catchUpPatience is for how long it may stand still.
	catchUpPatience = time.Minute
)

// catchUp starts an empty node and measures until it has executed the validators' newest block.
func (r *run) catchUp(ctx context.Context) error {
	if err := r.net.idle(ctx); err != nil {
		return err
	}
	head, err := r.net.head(ctx)
	if err != nil {
		return err
	}
	node := r.net.fleet.Nodes[len(r.net.fleet.Nodes)-1]
	c, err := r.net.client(node)
	if err != nil {
		return err
	}
	r.out.say("an empty node starts; the validators have %d blocks", head)
	begin := time.Now()
	if err := node.Start(); err != nil {
		return err
	}
	if err := r.follow(ctx, node, c, head); err != nil {
		return err
	}
	took := time.Since(begin)
	cpu, err := processCPU(node.PID())
	if err != nil {
		return err
	}
	r.caughtUp = true
	r.result.setCatchUp(r.acknowledged, r.made.seconds(r.result.TxPerS), took, cpu)
	r.out.say("an empty node caught up with %d transactions in %.1f s: %.0f tx/s, %.2f times the rate at which they were made", r.acknowledged, took.Seconds(),
		r.result.CatchUpTxPerS, r.result.CatchUpRatio)
	return nil
}

// follow waits until node has executed the block at head.
func (r *run) follow(ctx context.Context, node *fleet.Node, c *client.Client, head ledger.Height) error {
	var at ledger.Height
	moved := time.Now()
	for ctx.Err() == nil {
		s, err := c.Status(ctx, 0)
		if err == nil && s.Heights.Executed > at {
			at, moved = s.Heights.Executed, time.Now()
			r.out.show("an empty node catches up: block %d of %d", at, head)
		}
		if at >= head {
			return nil
		}
		if dead := r.net.fleet.Dead(); dead != nil {
			return dead
		}
		if time.Since(moved) > catchUpPatience {
			return errors.Join(fmt.Errorf("%s has executed block %d of %d and nothing more for %s", node.Name, at, head, catchUpPatience), err)
		}
		pause(ctx, catchUpEvery)
	}
	return ctx.Err()
}

// head returns the height of the newest block of any validator.
func (n *network) head(ctx context.Context) (head ledger.Height, err error) {
	for _, c := range n.clients {
		s, err := c.Status(ctx, 0)
		if err != nil {
			return 0, err
		}
		head = max(head, s.Heights.Committed)
	}
	return head, nil
}

// setCatchUp works out the figures of an empty node that caught up with so many transactions, which were made in so many seconds.
func (r *Result) setCatchUp(txs int64, made float64, took, cpu time.Duration) {
	r.CatchUpS = round(took.Seconds())
	r.CatchUpTxPerS, r.MadeTxPerS = round(float64(txs)/took.Seconds()), round(float64(txs)/made)
	r.CatchUpRatio = round(made / took.Seconds())
	r.CatchUpCPUMSPerTx = round4(millis(cpu) / float64(txs))
}
