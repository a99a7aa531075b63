package state

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"aval/internal/kv"
	"aval/merkle"
	"aval/suite"
)

// load rebuilds everything from the log. It first builds the tree of the block UndoHeights below the newest and
// applies the later ones, so that Prove answers for as many heights as before. The rows of leaves that the later
// blocks replaced are in the log unless it once was far too long; then the newest tree is built alone.
func (s *State) load() error {
	last, err := s.lastMarker()
	if err != nil || last == nil {
		return err
	}
	if err := s.firstRow(last); err != nil {
		return err
	}
	blocks, bases, err := s.history(last)
	if err != nil {
		return err
	}
	for _, base := range bases {
		s.reset()
		s.blocks, s.tail, s.head = blocks, last.tail, last.head+1
		if err = s.rebuild(base, last); !errors.Is(err, errBase) {
			return err
		}
	}
	return fmt.Errorf("%w: height %d", ErrRoot, last.height)
}

// errBase reports that the log does not lead to the root of the block that a rebuild starts from.
var errBase = errors.New("state: the base differs")

// lastMarker returns the end of the log, nil if there is none, and checks that the log is this configuration's.
func (s *State) lastMarker() (*marker, error) {
	var m *marker
	foreign := func(key, _ []byte) error { return fmt.Errorf("%w: a row has the key %x", ErrDamaged, key) }
	err := s.cfg.Store.Iterate(kv.Range{Limit: 1, End: []byte{logPrefix}}, foreign)
	if err == nil {
		err = s.cfg.Store.Iterate(kv.Range{Limit: 1, Reverse: true}, func(key, value []byte) error {
			seq, err := parseKey(key)
			if err != nil {
				return err
			}
			if m, err = decodeMarker(value); err == nil && m.head != seq {
				err = fmt.Errorf("%w: the marker in row %d says it is row %d", ErrDamaged, seq, m.head)
			}
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	if m != nil && m.suite != s.cfg.Suite.ID() {
		return nil, fmt.Errorf("%w: %d, the network has %d", ErrSuite, m.suite, s.cfg.Suite.ID())
	}
	return m, nil
}

// firstRow finds out which rows before the log's beginning are still in the store.
func (s *State) firstRow(last *marker) error {
	return s.cfg.Store.Iterate(kv.Range{Limit: 1}, func(key, _ []byte) error {
		seq, err := parseKey(key)
		if err == nil && seq > last.tail {
			err = fmt.Errorf("%w: it begins at row %d, not %d", ErrDamaged, seq, last.tail)
		}
		s.deleted = seq
		return err
	})
}

// history follows the markers back and returns what is remembered of the newest blocks, and the blocks a rebuild may
// start from, the best first. A nil base is the empty tree before the first block.
func (s *State) history(last *marker) ([]block, []*marker, error) {
	var blocks []block
	bases := []*marker{nil}
	for m := last; ; {
		blocks = append(blocks, block{m.height, m.first, m.writes, Roots{m.state, m.writeSet}})
		if len(blocks) == UndoHeights+1 {
			bases[0] = m
		}
		if m.base {
			if bases[0] == nil {
				bases[0] = m
			}
			break
		}
		if len(blocks) == HistoryBlocks || m.first <= last.tail {
			break
		}
		value, err := s.cfg.Store.Get(appendKey(nil, m.first-1))
		if err != nil {
			return nil, nil, fmt.Errorf("state: marker in row %d: %w", m.first-1, err)
		}
		before, err := decodeMarker(value)
		if err != nil {
			return nil, nil, err
		}
		if before.head != m.first-1 || before.height >= m.height {
			return nil, nil, fmt.Errorf("%w: height %d comes before height %d", ErrDamaged, before.height, m.height)
		}
		m = before
	}
	slices.Reverse(blocks)
	if bases[0] == nil && blocks[0].first > 0 {
		return nil, nil, fmt.Errorf("%w: it begins in the middle of its history", ErrDamaged)
	}
	return blocks, append(bases, last), nil
}

// loaded is one row of the log, hashed.
type loaded struct {
	change
	height, previous, seq uint64
	deleted               bool
}

// loader builds a tree from rows.
type loader struct {
	s    *State
	root outcome
	// base is the height up to which rows go into the tree; later ones are kept in later. With none they all are later.
	base  uint64
	none  bool
	batch []raw
	later map[uint64][]loaded
}

// raw is one row of the log.
type raw struct {
	row
	seq uint64
}

// loadRows is how many rows are hashed and put into the tree at once.
const loadRows = 1 << 13

// rebuild makes the state of last from base and the blocks after it. It fails with errBase if the log has not all of
// base.
func (s *State) rebuild(base, last *marker) error {
	l := &loader{s: s, none: base == nil, later: map[uint64][]loaded{}}
	if base != nil {
		l.base = base.height
	}
	err := s.scan(last.tail, last.head+1, func(seq uint64, value []byte) error {
		if isMarker(value) {
			return nil
		}
		r, err := decodeRow(bytes.Clone(value))
		if err != nil {
			return err
		}
		l.batch = append(l.batch, raw{r, seq})
		if len(l.batch) == loadRows {
			l.flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.flush()
	if err := s.settleBase(l, base); err != nil {
		return err
	}
	for i := range s.blocks {
		if b := &s.blocks[i]; l.none || b.height > l.base {
			if err := s.redo(b, l.later[b.height]); err != nil {
				return err
			}
		}
	}
	s.memoryBytes = s.tree.memoryBytes()
	if s.leafCount != last.leaves || s.expired != last.expired || s.height != last.height {
		return fmt.Errorf("%w: height %d with %d leaves, the marker has height %d with %d",
			ErrRoot, s.height, s.leafCount, last.height, last.leaves)
	}
	return nil
}

// flush hashes the batch and puts its rows into the tree, or aside.
func (l *loader) flush() {
	rows, keys, hashes := make([]loaded, len(l.batch)), make([]suite.Hash, len(l.batch)), make([]suite.Hash, len(l.batch))
	l.s.tree.parallel(len(rows), func(w *worker, from, to int) {
		w.keys(from, to, func(i int) []byte { return l.batch[i].key }, keys)
		w.leafHashes(from, to, func(i int) (merkle.Leaf, []byte, bool) {
			b := &l.batch[i]
			return merkle.Leaf{Key: keys[i], Height: b.height, Previous: b.previous}, b.value, b.deleted
		}, hashes)
		for i := from; i < to; i++ {
			b := &l.batch[i]
			rows[i] = loaded{change: change{key: keys[i], hash: hashes[i]}, height: b.height, previous: b.previous, seq: b.seq, deleted: b.deleted}
		}
	})
	l.batch = l.batch[:0]
	kept := rows[:0]
	for _, r := range rows {
		if l.none || r.height > l.base {
			l.later[r.height] = append(l.later[r.height], r)
		} else {
			kept = append(kept, r)
		}
	}
	l.put(kept)
}

// put inserts rows of which each key's newest counts.
func (l *loader) put(rows []loaded) {
	t := l.s.tree
	slices.SortFunc(rows, func(a, b loaded) int {
		if order := compare(&a.key, &b.key); order != 0 {
			return order
		}
		// The newest row comes first: the later height, or the copy.
		if a.height > b.height || a.height == b.height && a.seq > b.seq {
			return -1
		}
		return 1
	})
	changes := make([]change, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if i > 0 && rows[i-1].key == r.key {
			continue
		}
		if old := t.find(l.root.ref, &r.key); old != 0 {
			at := t.leaves.at(old.index())
			if at.height > r.height {
				continue
			}
			if at.height == r.height {
				at.seq = at.seq&tombstoneBit | max(at.row(), r.seq)
				continue
			}
		}
		changes = append(changes, l.s.leafChange(r))
	}
	l.apply(changes)
}

// leafChange makes the leaf of a row.
func (s *State) leafChange(r *loaded) change {
	n := s.tree.leaves.alloc()
	*s.tree.leaves.at(n) = leaf{key: r.key, height: r.height, seq: r.seq}
	if r.deleted {
		s.tree.leaves.at(n).seq |= tombstoneBit
	}
	return change{r.key, r.hash, leafBit | ref(n)}
}

// apply changes the shape of the tree and at once gives back what it replaced. Inner hashes stay missing.
func (l *loader) apply(changes []change) {
	t := l.s.tree
	if len(changes) == 0 {
		return
	}
	l.root = t.reshape(l.root.ref, &l.root.hash, changes)
	t.nodes.release(t.edit.retiredNodes)
	t.leaves.release(t.edit.retiredLeaves)
}

// settleBase removes the tombstones that had left at base, hashes the tree and compares its root.
func (s *State) settleBase(l *loader, base *marker) error {
	if base == nil {
		return nil
	}
	var leaving []change
	s.walk(l.root.ref, func(lf *leaf) {
		if t := (tombstone{lf.height, lf.key}); lf.deleted() && !t.after(&base.expired) {
			leaving = append(leaving, change{key: lf.key})
		}
	})
	l.apply(leaving)
	s.walk(l.root.ref, func(lf *leaf) {
		s.leafCount++
		if lf.deleted() {
			s.tombstones = append(s.tombstones, tombstone{lf.height, lf.key})
		}
	})
	slices.SortFunc(s.tombstones, func(a, b tombstone) int {
		if a.after(&b) {
			return 1
		}
		return -1
	})
	s.listNodes(l.root)
	if s.tree.rehash(l.root) != base.state || s.leafCount != base.leaves {
		return errBase
	}
	s.versions = []version{{height: base.height, root: l.root.ref, hash: base.state, oldest: math.MaxUint64}}
	s.empty, s.height, s.expired = false, base.height, base.expired
	return nil
}

// walk calls fn for the leaves below r, in order of their keys.
func (s *State) walk(r ref, fn func(*leaf)) {
	switch {
	case r == 0:
	case r.isLeaf():
		fn(s.tree.leaves.at(r.index()))
	default:
		for _, child := range s.tree.nodes.at(r.index()).child {
			s.walk(child, fn)
		}
	}
}

// listNodes makes the whole tree the edit, so that rehash computes every hash.
func (s *State) listNodes(root outcome) {
	e := &s.tree.edit
	for depth := range e.levels {
		e.levels[depth] = e.levels[depth][:0]
	}
	e.deep = 0
	if root.ref == 0 || root.ref.isLeaf() {
		return
	}
	e.levels[0] = append(e.levels[0], place{node: root.ref.index()})
	for depth := 0; len(e.levels[depth]) > 0; depth++ {
		e.deep = depth
		for _, p := range e.levels[depth] {
			for digit, child := range s.tree.nodes.at(p.node).child {
				if child != 0 && !child.isLeaf() {
					e.levels[depth+1] = append(e.levels[depth+1], place{child.index(), p.node, uint8(digit)})
				}
			}
		}
	}
}

// redo applies a block of the log again, to the memory only, and compares its roots.
func (s *State) redo(b *block, rows []loaded) error {
	if uint64(len(rows)) != b.writes {
		return fmt.Errorf("%w: height %d has %d rows, not %d", ErrDamaged, b.height, len(rows), b.writes)
	}
	p := &pending{height: b.height, tail: s.tail, writes: make([]pendingWrite, len(rows))}
	hashes := make([]suite.Hash, len(rows))
	for i := range rows {
		r := &rows[i]
		if r.seq != b.first+uint64(i) || i > 0 && compare(&rows[i-1].key, &r.key) >= 0 {
			return fmt.Errorf("%w: height %d is out of order at row %d", ErrDamaged, b.height, r.seq)
		}
		p.writes[i].place, p.writes[i].Delete = r.key, r.deleted
		p.writes[i].old = s.tree.find(s.headVersion().root, &r.key)
		hashes[i] = r.hash
	}
	s.pickLeaving(p)
	for i := range rows {
		p.changes = append(p.changes, s.leafChange(&rows[i]))
	}
	for _, key := range p.leaving {
		p.changes = append(p.changes, change{key: key})
	}
	slices.SortFunc(p.changes, func(a, b change) int { return compare(&a.key, &b.key) })
	head := s.headVersion()
	p.root = s.tree.reshape(head.root, &head.hash, p.changes)
	p.roots = Roots{s.tree.rehash(p.root), merkle.RootOfHashes(s.cfg.Suite, hashes)}
	if p.roots != b.roots {
		return fmt.Errorf("%w: height %d", ErrRoot, b.height)
	}
	s.leafCount = s.leavesAfter(p)
	s.remember(p)
	return nil
}
