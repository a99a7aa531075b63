package chain

import (
	"aval/ledger"
	"aval/suite"
)

// window remembers hashes until a wall time. It is not safe for concurrent use. What it answers depends on the blocks
// alone: entries leave by the wall time of blocks, not by a clock.
type window struct {
	until map[suite.Hash]ledger.Time
	// buckets holds the hashes by the minute in which they leave.
	buckets map[ledger.Time][]suite.Hash
	// swept is the first minute not yet swept. Invariant: no bucket is older.
	swept ledger.Time
}

func newWindow() *window {
	return &window{until: map[suite.Hash]ledger.Time{}, buckets: map[ledger.Time][]suite.Hash{}}
}

// add remembers h until the wall time until.
func (w *window) add(h suite.Hash, until ledger.Time) {
	if _, ok := w.until[h]; ok {
		return
	}
	w.until[h] = until
	minute := until / ledger.Minute
	w.swept = min(w.swept, minute)
	w.buckets[minute] = append(w.buckets[minute], h)
}

// has reports whether h is remembered.
func (w *window) has(h suite.Hash) bool {
	_, ok := w.until[h]
	return ok
}

// advance forgets whole minutes that lie before wall.
func (w *window) advance(wall ledger.Time) {
	now := wall / ledger.Minute
	if now-w.swept > ledger.Time(len(w.buckets)) { // a long silence: go by what is there, not by the time that passed
		for minute := range w.buckets {
			if minute < now {
				w.forget(minute)
			}
		}
		w.swept = now
	}
	for ; w.swept < now; w.swept++ {
		w.forget(w.swept)
	}
}

func (w *window) forget(minute ledger.Time) {
	for _, h := range w.buckets[minute] {
		delete(w.until, h)
	}
	delete(w.buckets, minute)
}

// len returns how many hashes are remembered.
func (w *window) len() int { return len(w.until) }

// spentView is the replay window as execution sees it.
type spentView struct{ c *Chain }

// Spent implements exec.Window.
func (v spentView) Spent(id suite.Hash) bool { return v.c.Spent(id) }

// Spent reports whether an executed block spent a transaction id in the replay window. One that was spent before it cannot be
// that of a transaction whose valid_until has not passed.
func (c *Chain) Spent(id suite.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spent.has(id)
}
