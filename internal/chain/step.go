package chain

import (
	"errors"
	"fmt"

	"aval/internal/state"
	"aval/ledger"
	"aval/suite"
)

// Missing is a batch that a block ordered and this node does not hold yet.
type Missing struct {
	Digest suite.Hash
	// Holders are the validators that signed that they hold it.
	Holders []uint16
}

// Step executes the next committed block of a stepped chain and returns whether it did. If a batch that the block orders is
// missing it returns that one instead; HoldOrdered takes it, from whoever sends it. Broken says whether execution has failed.
func (c *Chain) Step() (executed bool, missing *Missing) {
	if c.Broken() != nil {
		return false, nil
	}
	if c.next == nil {
		select {
		case t := <-c.queue:
			c.next = &t
		default:
			return false, nil
		}
	}
	for i := range c.next.payload.Entries {
		e := &c.next.payload.Entries[i]
		if _, err := c.heldBatch(e.Digest); errors.Is(err, ErrNotFound) {
			return false, &Missing{Digest: e.Digest, Holders: holdersOf(e, 0)}
		}
	}
	t := *c.next
	c.next = nil
	return c.advance(t), nil
}

// Roots returns the roots that this node computed for an executed height, of the newest ones.
func (c *Chain) Roots(height ledger.Height) (state.Roots, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.outcomes[height]
	if o == nil {
		return state.Roots{}, fmt.Errorf("chain: the roots of height %d: %w", height, ErrNotFound)
	}
	return o.roots, nil
}
