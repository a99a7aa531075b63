package kv

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpointer is a Store that can copy itself to another folder as it is at one moment, without stopping.
type Checkpointer interface {
	Store
	// Checkpoint makes dir, which must not exist, a store with everything that was applied before the call, durably.
	Checkpoint(dir string) error
}

// Checkpoint implements Checkpointer. Tables are linked where the file system allows it, so it costs little.
func (p *Pebble) Checkpoint(dir string) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	// Batches applied without sync may still be in a buffer of the write-ahead log, which is copied.
	err := errors.Join(p.db.LogData(nil, pebble.Sync), p.db.Checkpoint(dir))
	if err != nil {
		return fmt.Errorf("kv: checkpoint %s: %w", dir, err)
	}
	return nil
}
