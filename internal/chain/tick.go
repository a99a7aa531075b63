package chain

import (
	"aval/internal/exec"
	"aval/internal/vm"
	"aval/ledger"
)

// NeedTick reports whether a validator should ask for a block although it has no transaction: the newest results are
// not certified yet, the lab clock is on its way, or due-date work waits. It returns the tick to submit. When the last
// Lag blocks are uneventful, nothing is due and no batches wait to be dropped, it reports false and the network rests.
func (c *Chain) NeedTick() (ledger.Tick, bool, error) {
	c.mu.Lock()
	head, executed := c.head.Header.Height, c.executed
	epoch, _ := c.Epoch()
	tick := ledger.Tick{Epoch: epoch, Height: head + 1}
	if executed < head {
		c.mu.Unlock()
		return tick, false, nil // more will be known in a moment
	}
	last := c.outcomes[head]
	need := last.workLeft
	for h := head; h > 0 && h+ledger.Lag > head; h-- {
		need = need || c.outcomes[h].eventful
	}
	need = need || c.looseStale()
	now := c.Now() + last.offset
	c.mu.Unlock()
	if need {
		return tick, true, nil
	}
	err := c.Read(func(j *vm.Journal, _ At) (err error) {
		need, err = exec.WorkPending(j, now)
		return err
	})
	return tick, need, err
}

// looseStale reports whether there are batches which can no longer be ordered, and no block that drops them has come for some
// time: they would keep their origin from being heard for as long as the network rests. The caller holds mu.
func (c *Chain) looseStale() bool {
	now := c.Now()
	if now-c.head.Header.Wall < ledger.Minute {
		return false
	}
	for _, row := range c.loose.rows {
		if row.Wall+ledger.BatchAgeMax+ledger.Minute < now {
			return true
		}
	}
	return false
}
