package kv

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// Errors that Faulty makes up.
var (
	// ErrCrashed reports a call while the power is out.
	ErrCrashed = errors.New("kv: crashed")
	// ErrInjected reports an error that was asked for.
	ErrInjected = errors.New("kv: injected error")
	// ErrFull reports a write to a medium without room.
	ErrFull = errors.New("kv: no space left on device")
)

// Faults says what goes wrong, each counted from 1 since Arm or NewFaulty. Zero means never.
type Faults struct {
	// CrashAtWrite crashes the store while it makes that change, be it in the middle of a batch.
	CrashAtWrite int
	// ApplyErrorAt, GetErrorAt and IterateErrorAt fail that call with ErrInjected and without effect.
	ApplyErrorAt   int
	GetErrorAt     int
	IterateErrorAt int
	// Full fails every Apply with ErrFull and without effect.
	Full bool
	// LoseSync makes the medium lie: what was applied with sync may be lost like the rest, until something is synced without it.
	LoseSync bool
}

// Faulty is a Store that fails on command. Batches applied without sync stay out of the store below until a synced
// one carries them there, so that a crash can lose them.
type Faulty struct {
	mu    sync.Mutex
	inner Store
	// live holds what callers see: inner and the unsynced batches.
	live *Memory
	// unsynced are the batches that a crash may lose, oldest first.
	unsynced []*Batch
	faults   Faults
	crashed  bool

	writes, applies, gets, iterates int
}

// NewFaulty returns a Faulty over inner, which it owns from now on.
func NewFaulty(inner Store, faults Faults) (*Faulty, error) {
	f := &Faulty{inner: inner, faults: faults}
	return f, f.load()
}

// load reads inner into live.
func (f *Faulty) load() error {
	f.live = NewMemory()
	b := f.live.NewBatch()
	rows := 0
	err := f.inner.Iterate(Range{Limit: RowsMax}, func(key, value []byte) error {
		b.Set(key, value)
		rows++
		return nil
	})
	if err == nil && rows == RowsMax {
		err = fmt.Errorf("kv: the store below has more than %d rows", RowsMax-1)
	}
	return errors.Join(err, f.live.Apply(b, true))
}

// Arm replaces the faults and starts counting anew.
func (f *Faulty) Arm(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
	f.writes, f.applies, f.gets, f.iterates = 0, 0, 0, 0
}

// Crash cuts the power now. Every call fails with ErrCrashed until Restart.
func (f *Faulty) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
}

// Crashed reports whether the power is out.
func (f *Faulty) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Writes returns the number of changes made since counting began.
func (f *Faulty) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Unsynced returns how many batches a crash may lose, one in flight at the crash included.
func (f *Faulty) Unsynced() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.unsynced)
}

// Restart brings the power back, without faults. Of the unsynced batches the first survivors are there, whole; the
// others are lost, whole.
func (f *Faulty) Restart(survivors int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if survivors < 0 || survivors > len(f.unsynced) {
		return fmt.Errorf("kv: %d of %d unsynced batches cannot survive", survivors, len(f.unsynced))
	}
	for _, b := range f.unsynced[:survivors] {
		if err := f.inner.Apply(b, true); err != nil {
			return err
		}
	}
	f.unsynced, f.crashed, f.faults = nil, false, Faults{}
	return f.load()
}

// FlipBit inverts one bit of a value on the medium, picked by the numbers row and bit, and returns the key; nil if there is nothing to
// invert. What was not synced is not touched.
func (f *Faulty) FlipBit(row, bit uint64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys, values [][]byte
	err := f.inner.Iterate(Range{Limit: RowsMax}, func(key, value []byte) error {
		if len(value) > 0 {
			keys, values = append(keys, bytes.Clone(key)), append(values, bytes.Clone(value))
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	key, value := keys[row%uint64(len(keys))], values[row%uint64(len(keys))]
	value[bit/8%uint64(len(value))] ^= 1 << (bit % 8)
	for _, s := range []Store{f.inner, f.live} {
		b := s.NewBatch()
		b.Set(key, value)
		if err := s.Apply(b, true); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// step counts one call and says whether it fails.
func (f *Faulty) step(count *int, failAt int) error {
	if f.crashed {
		return ErrCrashed
	}
	if *count++; *count == failAt {
		return ErrInjected
	}
	return nil
}

// Get returns the value of key or ErrNotFound.
func (f *Faulty) Get(key []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(&f.gets, f.faults.GetErrorAt); err != nil {
		return nil, err
	}
	return f.live.Get(key)
}

// NewBatch returns an empty batch.
func (f *Faulty) NewBatch() *Batch { return &Batch{} }

// Apply makes the changes of b, unless a fault comes first.
func (f *Faulty) Apply(b *Batch, sync bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.step(&f.applies, f.faults.ApplyErrorAt); err != nil {
		return err
	}
	if f.faults.Full {
		return ErrFull
	}
	mine := &Batch{ops: b.ops, data: b.data}
	before := f.writes
	if b.err == nil && !b.spent {
		f.writes += b.Len()
	}
	if at := f.faults.CrashAtWrite; at > before && at <= f.writes {
		f.writes = at
		f.crashed = true
		f.unsynced = append(f.unsynced, mine)
		return ErrCrashed
	}
	if err := f.live.Apply(b, sync); err != nil {
		return err
	}
	f.unsynced = append(f.unsynced, mine)
	if sync && !f.faults.LoseSync {
		return f.flush()
	}
	return nil
}

// flush carries the unsynced batches to the store below.
func (f *Faulty) flush() error {
	for len(f.unsynced) > 0 {
		if err := f.inner.Apply(f.unsynced[0], true); err != nil {
			return err
		}
		f.unsynced = f.unsynced[1:]
	}
	return nil
}

// Iterate calls fn for the rows of r.
func (f *Faulty) Iterate(r Range, fn func(key, value []byte) error) error {
	f.mu.Lock()
	err := f.step(&f.iterates, f.faults.IterateErrorAt)
	live := f.live
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return live.Iterate(r, fn)
}

// Metrics returns counters since the last restart.
func (f *Faulty) Metrics() Metrics {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live.Metrics()
}

// Close makes everything durable and closes the store below; after a crash it fails with ErrCrashed and leaves
// that store open, for Restart.
func (f *Faulty) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	if err := f.live.Close(); err != nil {
		return err
	}
	return errors.Join(f.flush(), f.inner.Close())
}
