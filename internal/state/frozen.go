package state

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sort"

	"aval/merkle"
	"aval/suite"
)

// ErrFrozen reports that the state is frozen already: one reader at a time may keep an old height.
var ErrFrozen = errors.New("state: frozen already")

// Entry is a leaf of the tree with its raw key and value; a deleted one has no value.
type Entry struct {
	Key      []byte `cbor:"1,keyasint"`
	Height   uint64 `cbor:"2,keyasint"`
	Previous uint64 `cbor:"3,keyasint"`
	Deleted  bool   `cbor:"4,keyasint"`
	Value    []byte `cbor:"5,keyasint"`
}

// size is what an entry counts against the bound of a range.
func (e *Entry) size() int { return len(e.Key) + len(e.Value) + 32 }

// Frozen is the tree of one height, kept readable while later blocks are applied. Its methods are for one goroutine.
type Frozen struct {
	s      *State
	height uint64
	roots  Roots
	root   ref

	// nodes and leaves belong to this tree but to no later one, or to ones in between. oldest is the first row of such leaves.
	// The state's mu guards them.
	nodes, leaves []uint32
	oldest        uint64
}

// Freeze keeps the tree of the newest height with writes up to most until Release, beside those that Prove answers for. It fails with
// ErrFrozen if one is kept already, and with ErrHeight if there is no such height any more, or yet. While a tree is kept, replaced
// nodes use memory and their rows stay in the log.
func (s *State) Freeze(most uint64) (*Frozen, error) {
	return s.freeze(func(v []version) int {
		return sort.Search(len(v), func(i int) bool { return v[i].height > most }) - 1
	})
}

// FreezeFrom is Freeze of the oldest height with writes from least on, if it is at most most.
func (s *State) FreezeFrom(least, most uint64) (*Frozen, error) {
	return s.freeze(func(v []version) int {
		i := sort.Search(len(v), func(i int) bool { return v[i].height >= least })
		if i == len(v) || v[i].height > most {
			return -1
		}
		return i
	})
}

func (s *State) freeze(choose func(v []version) int) (*Frozen, error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		return nil, ErrFrozen
	}
	i := choose(s.versions)
	if s.empty || i < 0 || s.versions[i].root == 0 {
		return nil, fmt.Errorf("%w: no tree of such a height is at hand", ErrHeight)
	}
	v := &s.versions[i]
	at := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].height >= v.height })
	if at == len(s.blocks) || s.blocks[at].height != v.height {
		return nil, fmt.Errorf("%w: the writes of height %d", ErrPruned, v.height)
	}
	s.frozen = &Frozen{s: s, height: v.height, roots: s.blocks[at].roots, root: v.root, oldest: math.MaxUint64}
	return s.frozen, nil
}

// Release lets the tree go. It may be called more than once.
func (f *Frozen) Release() {
	s := f.s
	s.writer.Lock() // the arenas belong to its holder
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != f {
		return
	}
	s.frozen = nil
	s.tree.nodes.release(f.nodes)
	s.tree.leaves.release(f.leaves)
}

// giveBack releases what a version replaced, now that no version needs it, unless a frozen tree does.
func (s *State) giveBack(v *version) {
	if f := s.frozen; f != nil && v.height > f.height {
		f.nodes = append(f.nodes, v.retiredNodes...)
		f.leaves = append(f.leaves, v.retiredLeaves...)
		f.oldest = min(f.oldest, v.oldest)
		return
	}
	s.tree.nodes.release(v.retiredNodes)
	s.tree.leaves.release(v.retiredLeaves)
}

// frozenRow returns the first row that a frozen tree needs and no later one.
func (s *State) frozenRow() uint64 {
	if s.frozen == nil {
		return math.MaxUint64
	}
	return s.frozen.oldest
}

// Height returns the height of the tree: it wrote something.
func (f *Frozen) Height() uint64 { return f.height }

// Roots returns the roots of the height.
func (f *Frozen) Roots() Roots { return f.roots }

// Len counts the leaves, tombstones included.
func (f *Frozen) Len() (n uint64) {
	defer runtime.KeepAlive(f.s) // the tree's memory goes with it
	f.visit(f.root, suite.Hash{}, 0, suite.Hash{}, func(*leaf, suite.Hash) bool {
		n++
		return true
	})
	return n
}

// Heights calls fn for every leaf that has a value with the height that wrote it.
func (f *Frozen) Heights(fn func(height uint64)) {
	defer runtime.KeepAlive(f.s)
	// A leaf's key and height never change; its seq does, so that it is read under the lock.
	f.visit(f.root, suite.Hash{}, 0, suite.Hash{}, func(l *leaf, _ suite.Hash) bool {
		f.s.mu.RLock()
		deleted := l.deleted()
		f.s.mu.RUnlock()
		if !deleted {
			fn(l.height)
		}
		return true
	})
}

// Range is consecutive leaves of a tree in order of their places, all that lie from From up to but not including To. A zero To is
// the end. Stubs are what merkle.VerifyRange needs.
type Range struct {
	From, To suite.Hash
	Entries  []Entry
	Stubs    []merkle.Stub
}

// Range returns the leaves that begin at the place from: as many as have bytesMax together, but one at least. It fails with
// ErrPruned if the log grew so long meanwhile that their rows were given up.
func (f *Frozen) Range(from suite.Hash, bytesMax int) (*Range, error) {
	defer runtime.KeepAlive(f.s)
	out, size := &Range{From: from}, 0
	var failed error
	f.visit(f.root, suite.Hash{}, 0, from, func(l *leaf, place suite.Hash) bool {
		e, err := f.entry(l)
		if err != nil {
			failed = err
			return false
		}
		if size += e.size(); size > bytesMax && len(out.Entries) > 0 {
			out.To = place
			return false
		}
		out.Entries = append(out.Entries, e)
		return true
	})
	if failed != nil {
		return nil, failed
	}
	out.Stubs = f.stubs(nil, f.root, place0, out)
	return out, nil
}

// entry reads a leaf's row.
func (f *Frozen) entry(l *leaf) (Entry, error) {
	f.s.mu.RLock()
	defer f.s.mu.RUnlock()
	r, err := f.s.row(l)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Key: r.key, Height: r.height, Previous: r.previous, Deleted: r.deleted, Value: r.value}, nil
}

// visit calls fn for the leaves below r that lie at from or behind it, in order, each with the place at which it stands alone,
// until fn returns false. r lies at depth and holds the keys that begin with prefix.
func (f *Frozen) visit(r ref, prefix suite.Hash, depth int, from suite.Hash, fn func(l *leaf, place suite.Hash) bool) bool {
	if r == 0 {
		return true
	}
	if end := merkle.PlaceAfter(prefix, depth); !end.IsZero() && bytes.Compare(end[:], from[:]) <= 0 {
		return true
	}
	if r.isLeaf() {
		l := f.s.tree.leaves.at(r.index())
		return bytes.Compare(l.key[:], from[:]) < 0 || fn(l, prefix)
	}
	for digit, child := range f.s.tree.nodes.at(r.index()).child {
		if !f.visit(child, merkle.ChildPlace(prefix, depth, digit), depth+1, from, fn) {
			return false
		}
	}
	return true
}

// subtree is where a subtree lies, and its hash.
type subtree struct {
	prefix suite.Hash
	depth  int
	hash   suite.Hash
}

// place0 is the whole tree, which is never a stub.
var place0 = subtree{}

// stubs appends the highest subtrees below r that lie outside the range.
func (f *Frozen) stubs(out []merkle.Stub, r ref, at subtree, within *Range) []merkle.Stub {
	if r == 0 {
		return out
	}
	end := merkle.PlaceAfter(at.prefix, at.depth)
	before := !end.IsZero() && bytes.Compare(end[:], within.From[:]) <= 0
	behind := !within.To.IsZero() && bytes.Compare(at.prefix[:], within.To[:]) >= 0
	if before || behind {
		return append(out, merkle.Stub{Depth: uint8(at.depth), Prefix: at.prefix, Hash: at.hash})
	}
	inside := bytes.Compare(at.prefix[:], within.From[:]) >= 0 &&
		(within.To.IsZero() || !end.IsZero() && bytes.Compare(end[:], within.To[:]) <= 0)
	if inside || r.isLeaf() {
		return out
	}
	n := f.s.tree.nodes.at(r.index())
	for digit, child := range n.child {
		out = f.stubs(out, child, subtree{merkle.ChildPlace(at.prefix, at.depth, digit), at.depth + 1, n.hash[digit]}, within)
	}
	return out
}
