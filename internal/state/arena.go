package state

import (
	"sync/atomic"
	"unsafe"

	"aval/merkle"
	"aval/suite"
)

// ref points to a node, a leaf or nothing (0).
type ref uint32

// leafBit marks a ref to a leaf.
const leafBit ref = 1 << 31

// refsMax is how many nodes, and how many leaves, an arena can hold.
const refsMax = 1<<31 - 1

func (r ref) isLeaf() bool  { return r&leafBit != 0 }
func (r ref) index() uint32 { return uint32(r &^ leafBit) }

// node is an inner node: 144 bytes without a pointer, so that the garbage collector never looks inside.
// Invariant: it has two leaves or more below it; hash[i] is zero exactly if child[i] is 0.
type node struct {
	hash  [merkle.Arity]suite.Hash
	child [merkle.Arity]ref
}

// leaf is 48 bytes without a pointer. The height is kept here so that a write need not read the row it replaces.
type leaf struct {
	key    suite.Hash
	height uint64
	// seq is the row of the log, with tombstoneBit set if the key is deleted. It alone changes after a leaf is
	// published, under State.mu, when the row is copied to the log's end.
	seq uint64
}

// tombstoneBit marks the seq of a deleted key.
const tombstoneBit = 1 << 63

func (l *leaf) deleted() bool { return l.seq&tombstoneBit != 0 }
func (l *leaf) row() uint64   { return l.seq &^ tombstoneBit }

// chunkLen is the number of elements that an arena allocates at once.
const chunkLen = 1 << 8

// arena hands out elements by index, from 1. Its methods belong to the writer, except at, which readers may call for
// indexes that were published to them. T has no pointers: the garbage collector does not look at elements.
type arena[T any] struct {
	memory *memory
	chunks atomic.Pointer[[]*[chunkLen]T]
	// next is the first index that was never used.
	next uint32
	free []uint32
}

func newArena[T any](m *memory) *arena[T] {
	a := &arena[T]{memory: m, next: 1}
	a.chunks.Store(&[]*[chunkLen]T{a.chunk()})
	return a
}

// chunk returns another chunk of zeroed elements.
func (a *arena[T]) chunk() *[chunkLen]T {
	return (*[chunkLen]T)(unsafe.Pointer(&a.memory.take(int(unsafe.Sizeof([chunkLen]T{})))[0]))
}

func (a *arena[T]) at(i uint32) *T { return &(*a.chunks.Load())[i/chunkLen][i%chunkLen] }

// alloc returns an element with arbitrary contents.
func (a *arena[T]) alloc() uint32 {
	if n := len(a.free); n > 0 {
		i := a.free[n-1]
		a.free = a.free[:n-1]
		return i
	}
	i := a.next
	a.next++
	if chunks := *a.chunks.Load(); int(i/chunkLen) == len(chunks) {
		// Readers keep the slice they loaded: an append within capacity writes beyond its length.
		chunks = append(chunks, a.chunk())
		a.chunks.Store(&chunks)
	}
	return i
}

// release takes back elements that nobody can reach any more.
func (a *arena[T]) release(indexes []uint32) { a.free = append(a.free, indexes...) }

// live is the number of elements in use.
func (a *arena[T]) live() int { return int(a.next) - 1 - len(a.free) }
