package kv

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
)

// Memory is a Store without a disk, for tests, simulation and throw-away networks. Close discards nothing: the rows
// are gone with the value itself.
type Memory struct {
	mu     sync.RWMutex
	rows   skipList
	closed bool
	counters
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{rows: newSkipList()} }

// Get returns the value of key or ErrNotFound.
func (m *Memory) Get(key []byte) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.gets.Add(1)
	if row := m.rows.seek(key); row != nil && bytes.Equal(row.key, key) {
		return bytes.Clone(row.value), nil
	}
	return nil, ErrNotFound
}

// NewBatch returns an empty batch.
func (m *Memory) NewBatch() *Batch { return &Batch{} }

// Apply makes the changes of b.
func (m *Memory) Apply(b *Batch, sync bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if err := b.take(); err != nil {
		return err
	}
	m.counters.applied(b, sync)
	return b.each(func(kind opKind, key, value []byte) error {
		switch kind {
		case opSet:
			m.rows.set(key, value)
		case opDelete:
			m.rows.remove(key)
		case opDeleteRange:
			for row := m.rows.seek(key); row != nil && bytes.Compare(row.key, value) < 0; row = row.next[0] {
				m.rows.remove(row.key)
			}
		}
		return nil
	})
}

// Iterate calls fn for the rows of r.
func (m *Memory) Iterate(r Range, fn func(key, value []byte) error) error {
	if err := r.check(); err != nil {
		return err
	}
	rows, err := m.collect(r)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := fn(row.key, row.value); err != nil {
			return unlessStop(err)
		}
	}
	return nil
}

// row is a key and its value as they were when it was collected.
type row struct{ key, value []byte }

func (m *Memory) collect(r Range) ([]row, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.iterates.Add(1)
	var out []row
	if r.Reverse {
		n := m.rows.before(r.End)
		for ; n != nil && len(out) < r.Limit && bytes.Compare(n.key, r.Start) >= 0; n = m.rows.before(n.key) {
			out = append(out, row{n.key, n.value})
		}
		return out, nil
	}
	for n := m.rows.seek(r.Start); n != nil && len(out) < r.Limit; n = n.next[0] {
		if r.End != nil && bytes.Compare(n.key, r.End) >= 0 {
			break
		}
		out = append(out, row{n.key, n.value})
	}
	return out, nil
}

// Metrics returns counters since the store was made.
func (m *Memory) Metrics() Metrics { return m.counters.metrics() }

// Close makes every later call fail with ErrClosed.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.closed = true
	return nil
}

func unlessStop(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// skipLevels is enough for 4¹² rows.
const skipLevels = 12

// skipList keeps rows in order of their keys. A row's height comes from a hash of its key, so that equal contents have
// equal shapes within a process.
type skipList struct {
	head *skipNode
	seed maphash.Seed
}

type skipNode struct {
	key, value []byte
	next       []*skipNode
}

func newSkipList() skipList {
	return skipList{head: &skipNode{next: make([]*skipNode, skipLevels)}, seed: maphash.MakeSeed()}
}

// path returns, for each level, the last node whose key is below key.
func (l *skipList) path(key []byte) [skipLevels]*skipNode {
	var path [skipLevels]*skipNode
	n := l.head
	for level := skipLevels - 1; level >= 0; level-- {
		for n.next[level] != nil && bytes.Compare(n.next[level].key, key) < 0 {
			n = n.next[level]
		}
		path[level] = n
	}
	return path
}

// seek returns the first node whose key is at least key, nil if there is none.
func (l *skipList) seek(key []byte) *skipNode {
	path := l.path(key)
	return path[0].next[0]
}

// before returns the last node whose key is below end, the last of all if end is nil, nil if there is none.
func (l *skipList) before(end []byte) *skipNode {
	n := l.head
	for level := skipLevels - 1; level >= 0; level-- {
		for n.next[level] != nil && (end == nil || bytes.Compare(n.next[level].key, end) < 0) {
			n = n.next[level]
		}
	}
	if n == l.head {
		return nil
	}
	return n
}

// set stores a value. It never changes a slice it was given before, so collected rows stay as they were.
func (l *skipList) set(key, value []byte) {
	path := l.path(key)
	if n := path[0].next[0]; n != nil && bytes.Equal(n.key, key) {
		n.value = bytes.Clone(value)
		return
	}
	levels := 1 + bits.TrailingZeros64(maphash.Bytes(l.seed, key)|1<<(2*skipLevels-2))/2
	n := &skipNode{key: bytes.Clone(key), value: bytes.Clone(value), next: make([]*skipNode, levels)}
	for level := range n.next {
		n.next[level], path[level].next[level] = path[level].next[level], n
	}
}

func (l *skipList) remove(key []byte) {
	path := l.path(key)
	n := path[0].next[0]
	if n == nil || !bytes.Equal(n.key, key) {
		return
	}
	for level := range n.next {
		path[level].next[level] = n.next[level]
	}
}
