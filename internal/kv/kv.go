package kv

import (
	"errors"
	"fmt"
	"slices"
)

// Bounds of what a store accepts.
const (
	// KeyBytesMax bounds a key, which has at least one byte.
	KeyBytesMax = 1 << 10
	// ValueBytesMax bounds a value.
	ValueBytesMax = 64 << 20
	// BatchBytesMax bounds the keys and values of one batch.
	BatchBytesMax = 1 << 30
	// RowsMax bounds the rows of one Iterate.
	RowsMax = 1 << 20
)

// Errors of stores. Others come from the medium.
var (
	// ErrNotFound reports that a store has no row with the key.
	ErrNotFound = errors.New("kv: not found")
	// ErrClosed reports a call on a closed store.
	ErrClosed = errors.New("kv: the store is closed")
	// ErrInUse reports that another process, or this one, has the store open.
	ErrInUse = errors.New("kv: the store is open elsewhere")
	// ErrStop returned by the function given to Iterate ends it early and without error.
	ErrStop = errors.New("kv: stop")
)

// Store holds rows in bytewise order of their keys. Its methods are safe for concurrent use.
type Store interface {
	// Get returns the value of key, which is the caller's own, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// NewBatch returns an empty batch.
	NewBatch() *Batch
	// Apply makes the changes of b, in their order, all or none; b is spent. With sync it returns once they are durable.
	// After an error it is not known whether they were made; the store should be closed and opened again.
	Apply(b *Batch, sync bool) error
	// Iterate calls fn for the rows of r as they were at one moment. The slices are valid only until fn returns and
	// must not be changed. An error of fn ends it and is returned, except ErrStop. fn may use the store.
	Iterate(r Range, fn func(key, value []byte) error) error
	// Metrics returns counters since the store was opened.
	Metrics() Metrics
	// Close releases the store. What was applied is durable when it returns without error.
	Close() error
}

// Range selects rows.
type Range struct {
	// Start is the first key, nil for the beginning. End is the key after the last, nil for the end of the store.
	Start, End []byte
	// Limit is the most rows wanted, 1 to RowsMax.
	Limit int
	// Reverse goes from the end of the range to its start.
	Reverse bool
}

func (r *Range) check() error {
	if r.Limit < 1 || r.Limit > RowsMax {
		return fmt.Errorf("kv: a limit of %d rows is not in 1 to %d", r.Limit, RowsMax)
	}
	return nil
}

// PrefixEnd returns the key after the last key that begins with prefix, nil if there is none.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// Batch is a list of changes. It copies what it is given and is not safe for concurrent use.
type Batch struct {
	ops []op
	// data holds the keys and values that ops point into.
	data []byte
	// err is the first change refused; it is returned by Apply.
	err   error
	spent bool
}

type opKind uint8

const (
	opSet opKind = iota
	opDelete
	opDeleteRange
)

// op is one change: key is data[from:mid], the value or the end of a range data[mid:to].
type op struct {
	kind          opKind
	from, mid, to int
}

// Set stores value under key. A key or value out of bounds is reported by Apply.
func (b *Batch) Set(key, value []byte) { b.add(opSet, key, value) }

// Delete removes the row of key, if there is one.
func (b *Batch) Delete(key []byte) { b.add(opDelete, key, nil) }

// DeleteRange removes the rows from start up to but not including end.
func (b *Batch) DeleteRange(start, end []byte) { b.add(opDeleteRange, start, end) }

// Grow makes room for so many more changes with so many bytes of keys and values.
func (b *Batch) Grow(changes, bytes int) {
	b.ops = slices.Grow(b.ops, changes)
	b.data = slices.Grow(b.data, bytes)
}

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns the size of all keys and values.
func (b *Batch) Bytes() int { return len(b.data) }

func (b *Batch) add(kind opKind, key, value []byte) {
	if err := checkOp(kind, key, value); err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	if len(b.data)+len(key)+len(value) > BatchBytesMax {
		b.err = fmt.Errorf("kv: a batch has at most %d bytes", BatchBytesMax)
		return
	}
	from := len(b.data)
	b.data = append(append(b.data, key...), value...)
	b.ops = append(b.ops, op{kind, from, from + len(key), len(b.data)})
}

func checkOp(kind opKind, key, value []byte) error {
	if len(key) < 1 || len(key) > KeyBytesMax || kind == opDeleteRange && len(value) > KeyBytesMax {
		return fmt.Errorf("kv: a key has 1 to %d bytes, not %d", KeyBytesMax, len(key))
	}
	if len(value) > ValueBytesMax {
		return fmt.Errorf("kv: a value has at most %d bytes, not %d", ValueBytesMax, len(value))
	}
	return nil
}

// take checks that b may be applied and marks it spent.
func (b *Batch) take() error {
	if b.err != nil {
		return b.err
	}
	if b.spent {
		return errors.New("kv: the batch was applied before")
	}
	b.spent = true
	return nil
}

// each calls fn for every change, in order. The slices cannot be appended to in place.
func (b *Batch) each(fn func(kind opKind, key, value []byte) error) error {
	for _, o := range b.ops {
		if err := fn(o.kind, b.data[o.from:o.mid:o.mid], b.data[o.mid:o.to:o.to]); err != nil {
			return err
		}
	}
	return nil
}
