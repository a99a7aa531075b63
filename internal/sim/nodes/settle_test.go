package nodes

import (
	"errors"
	"fmt"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/kv"
	"aval/internal/node"
	"aval/internal/vm"
	"aval/ledger"
)

// quietFor is for how long nothing may come any more, for the network to be at rest: liars may still send what is late.
const quietFor = 4 * time.Second

// rest waits until nothing happens any more and returns the height of all nodes, 0 if it does not come to that.
func (w *world) rest() (last ledger.Height) {
	var since time.Time
	rests := w.await(levelMax+quietFor, func() bool {
		top := w.top()
		still := top == last && w.all(func(n *node.Node) bool {
			p, _ := n.Chain().Progress()
			_, need, err := n.Chain().NeedTick()
			return p.Executed == top && p.Committed == top && n.Intake().Pending() == 0 && !need && err == nil
		})
		if !still {
			last, since = top, time.Now()
		}
		return time.Since(since) >= quietFor
	})
	if rests >= 0 {
		rests = max(0, rests-quietFor)
	} else {
		last = 0
	}
	w.judge.Took("rest on every node", rests, levelMax)
	return last
}

// settle waits until the network rests and judges the whole history.
func (w *world) settle() {
	last := w.rest()
	if last == 0 {
		w.describe()
		return
	}
	var sound []*machine
	for _, m := range w.machines {
		if n := m.running(); m.honest && n != nil && w.review(m, n.Chain(), last) {
			sound = append(sound, m)
		}
	}
	books := w.judge.Finish()
	for _, m := range sound {
		n := m.running()
		if n == nil { // it met damage after all
			continue
		}
		err := n.Chain().Read(func(j *vm.Journal, at chain.At) error {
			if at.Height != books.Height() {
				return fmt.Errorf("executed height %d, the books end at %d", at.Height, books.Height())
			}
			books.Compare(m.site, func(key []byte) ([]byte, error) { return j.Get(key), nil })
			return nil
		})
		if err != nil {
			w.fail("%s: %v", m.base.Name, err)
		}
	}
}

// review shows the judge all that a node keeps. It returns false if it meets what was damaged on disk and nobody had read since: the
// node stops then, as it must.
func (w *world) review(m *machine, c *chain.Chain, last ledger.Height) bool {
	for h := ledger.Height(1); h <= last; h++ {
		b, err := c.Block(h)
		if err != nil {
			return w.failRead(m, fmt.Errorf("block %d: %w", h, err))
		}
		w.judge.Committed(m.site, b)
		_, batches, err := c.BlockBytes(h)
		receipts, rerr := c.Receipts(h)
		if err = errors.Join(err, rerr); err != nil {
			return w.failRead(m, fmt.Errorf("height %d: %w", h, err))
		}
		for _, body := range batches {
			w.judge.Batch(body)
		}
		w.judge.Executed(m.site, h, receipts)
		if len(receipts) == 0 || h+ledger.Lag > last {
			continue
		}
		proof, err := c.ProveReceipt(chain.Position{Height: h, Index: 0})
		if err != nil {
			return w.failRead(m, fmt.Errorf("proof of receipt %d/0: %w", h, err))
		}
		w.judge.Proof(m.site, codec.MustMarshal(proof), &receipts[0])
	}
	if roots, err := c.Roots(last); err == nil {
		w.judge.Rooted(m.site, last, roots.State, roots.WriteSet)
	} else {
		w.fail("%s: roots of height %d: %v", m.base.Name, last, err)
	}
	return true
}

// failRead judges an error of a node's store. It returns false.
func (w *world) failRead(m *machine, err error) bool {
	if m.damaged() && (errors.Is(err, kv.ErrDamaged) || errors.Is(err, kv.ErrClosed)) {
		w.note("%s: what was damaged is found: %v", m.base.Name, err)
		return false
	}
	w.fail("%s: %v", m.base.Name, err)
	return false
}
