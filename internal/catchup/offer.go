package catchup

import (
	"errors"
	"fmt"

	"aval/ledger"
	"aval/suite"
)

// ErrPruned reports a peer that has given up the blocks that are needed.
var ErrPruned = errors.New("catchup: the peer no longer keeps these blocks")

// offered returns the height of the newest snapshot that this node offers, 0 if there is none, or none that its blocks reach: after a
// restore it may have newer ones.
func (c *Catchup) offered() ledger.Height {
	if c.cfg.Snapshots == nil {
		return 0
	}
	h, err := c.cfg.Snapshots.Newest()
	if err != nil || h+ledger.Lag > c.height() {
		return 0
	}
	return h
}

// part returns the part of a snapshot that a request asks for.
func (c *Catchup) part(r *Request) ([]byte, error) {
	switch {
	case c.cfg.Snapshots == nil:
		return nil, fmt.Errorf("catchup: no snapshot of height %d", r.Snapshot)
	case len(r.Chunk) == 0:
		return c.cfg.Snapshots.Manifest(r.Snapshot)
	default:
		return c.cfg.Snapshots.Chunk(r.Snapshot, suite.Hash(r.Chunk))
	}
}

// Pruned returns the lowest height of which peers keep blocks if this node cannot go on because it lacks earlier ones, else 0.
func (c *Catchup) Pruned() ledger.Height { return ledger.Height(c.pruned.Load()) }
