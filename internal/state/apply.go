package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"aval/internal/kv"
	"aval/merkle"
	"aval/suite"
)

// pending is a block on its way into the state.
type pending struct {
	height uint64
	// writes are the effective writes, sorted by place; rows holds their rows.
	writes []pendingWrite
	// leaving are tombstones that leave, sorted by place; left and expired are the queue's position after them.
	leaving []suite.Hash
	left    int
	expired tombstone
	// changes are both, sorted by place.
	changes []change
	root    outcome
	roots   Roots
	// moved are old rows that the block copies; seq numbers begin at first.
	moved     []moved
	movedRows [][]byte
	tail      uint64
}

type pendingWrite struct {
	Write
	place    suite.Hash
	previous uint64
	old      ref
}

// moved is a leaf whose row is copied to the end of the log.
type moved struct {
	leaf ref
	seq  uint64
}

// Apply makes the state of height from that of the height before, and returns its roots. Heights follow one another
// without gaps, the first is free. If it fails the state stays as it was; after an error of the store it must be
// opened again.
func (s *State) Apply(height uint64, writes []Write) (Roots, error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.stopped != nil {
		return Roots{}, fmt.Errorf("%w: %w", ErrStopped, s.stopped)
	}
	if !s.empty && height != s.height+1 {
		return Roots{}, fmt.Errorf("%w: %d does not follow %d", ErrHeight, height, s.height)
	}
	p := &pending{height: height}
	var err error
	if p.writes, err = s.resolve(writes); err != nil {
		return Roots{}, err
	}
	if len(p.writes) == 0 {
		return s.publishQuiet(height), nil
	}
	if err := s.edit(p); err != nil {
		return Roots{}, err
	}
	if err := s.sweep(p); err != nil {
		s.tree.discard()
		return Roots{}, err
	}
	if err := s.commit(p); err != nil {
		s.tree.discard()
		s.stopped = err
		return Roots{}, err
	}
	s.publish(p)
	return p.roots, nil
}

// resolve checks writes, sorts them by place and drops deletions of what is not there.
func (s *State) resolve(writes []Write) ([]pendingWrite, error) {
	if len(writes) > merkle.WritesMax {
		return nil, fmt.Errorf("%w: %d, the most is %d", ErrWrites, len(writes), merkle.WritesMax)
	}
	size := 0
	for i := range writes {
		w := &writes[i]
		size += len(w.Key) + len(w.Value)
		if err := checkKey(w.Key); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrWrites, err)
		}
		if len(w.Value) > merkle.ValueBytesMax || w.Delete && len(w.Value) > 0 {
			return nil, fmt.Errorf("%w: key %x with a value of %d bytes, delete %t", ErrWrites, w.Key, len(w.Value), w.Delete)
		}
	}
	if size > WriteSetBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, the most is %d", ErrWrites, size, WriteSetBytesMax)
	}
	places := make([]suite.Hash, len(writes))
	s.tree.parallel(len(writes), func(w *worker, from, to int) {
		w.keys(from, to, func(i int) []byte { return writes[i].Key }, places)
	})
	out := make([]pendingWrite, 0, len(writes))
	var last *suite.Hash
	for _, i := range sortedByPlace(places) {
		w := pendingWrite{Write: writes[i], place: places[i], previous: merkle.HeightNone}
		if last != nil && *last == w.place {
			return nil, fmt.Errorf("%w: key %x twice", ErrWrites, w.Key)
		}
		last = &places[i]
		w.old = s.tree.find(s.headVersion().root, &w.place)
		live := false
		if w.old != 0 {
			l := s.tree.leaves.at(w.old.index())
			w.previous, live = l.height, !l.deleted()
		}
		if !w.Delete || live {
			out = append(out, w)
		}
	}
	return out, nil
}

// sortedByPlace returns the order of places.
func sortedByPlace(places []suite.Hash) []uint32 {
	type entry struct {
		prefix uint64
		index  uint32
	}
	entries := make([]entry, len(places))
	for i := range places {
		entries[i] = entry{binary.BigEndian.Uint64(places[i][:]), uint32(i)}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.prefix < b.prefix:
			return -1
		case a.prefix > b.prefix:
			return 1
		}
		return compare(&places[a.index], &places[b.index])
	})
	order := make([]uint32, len(entries))
	for i, e := range entries {
		order[i] = e.index
	}
	return order
}

// edit changes the tree, unpublished, and computes the roots. It fails only if the tree is full.
func (s *State) edit(p *pending) error {
	// A change makes DepthMax nodes at most, in all practice a handful.
	room := uint64(len(p.writes)) * (merkle.DepthMax + 1)
	if uint64(s.tree.nodes.next)+room > refsMax || uint64(s.tree.leaves.next)+room > refsMax {
		return errors.New("state: the tree is full")
	}
	s.pickLeaving(p)
	s.makeLeaves(p)
	head := s.headVersion()
	p.root = s.tree.reshape(head.root, &head.hash, p.changes)
	p.roots.State = s.tree.rehash(p.root)
	return nil
}

// pickLeaving chooses the tombstones that leave in this block, by the rule of merkle.TombstonesLeaving.
func (s *State) pickLeaving(p *pending) {
	p.expired = s.expired
	if p.height < merkle.TombstoneHeights {
		return
	}
	limit, most := p.height-merkle.TombstoneHeights, merkle.TombstonesLeaving(len(p.writes))
	root := s.headVersion().root
	for _, t := range s.tombstones {
		if t.height > limit || len(p.leaving) == most {
			break
		}
		p.left++
		r := s.tree.find(root, &t.key)
		if r == 0 {
			continue
		}
		if l := s.tree.leaves.at(r.index()); !l.deleted() || l.height != t.height {
			continue
		}
		_, rewritten := slices.BinarySearchFunc(p.writes, t.key, func(w pendingWrite, key suite.Hash) int {
			return compare(&w.place, &key)
		})
		if !rewritten {
			p.leaving = append(p.leaving, t.key)
			p.expired = t
		}
	}
	slices.SortFunc(p.leaving, func(a, b suite.Hash) int { return compare(&a, &b) })
}

// makeLeaves makes the new leaves, their hashes and the write-set root, and merges what leaves into the changes.
func (s *State) makeLeaves(p *pending) {
	hashes := make([]suite.Hash, len(p.writes))
	s.tree.parallel(len(p.writes), func(w *worker, from, to int) {
		w.leafHashes(from, to, func(i int) (merkle.Leaf, []byte, bool) {
			write := &p.writes[i]
			return merkle.Leaf{Key: write.place, Height: p.height, Previous: write.previous}, write.Value, write.Delete
		}, hashes)
	})
	p.roots.WriteSet = merkle.RootOfHashes(s.cfg.Suite, hashes)
	p.changes = make([]change, 0, len(p.writes)+len(p.leaving))
	leaving := p.leaving
	for i := range p.writes {
		w := &p.writes[i]
		for len(leaving) > 0 && compare(&leaving[0], &w.place) < 0 {
			p.changes = append(p.changes, change{key: leaving[0]})
			leaving = leaving[1:]
		}
		n := s.tree.leaves.alloc()
		l := leaf{key: w.place, height: p.height, seq: s.head + uint64(i)}
		if w.Delete {
			l.seq |= tombstoneBit
		}
		*s.tree.leaves.at(n) = l
		p.changes = append(p.changes, change{w.place, hashes[i], leafBit | ref(n)})
	}
	for _, key := range leaving {
		p.changes = append(p.changes, change{key: key})
	}
}

// The share of the log's beginning that a block goes over, in rows: so many for each of its writes, and some.
const (
	sweepPerWrite = 4
	sweepRows     = 64
)

// sweep copies live rows from the log's beginning if too much of the log is dead.
func (s *State) sweep(p *pending) error {
	p.tail = s.tail
	limit := s.sweepLimit()
	if limit <= s.tail {
		return nil
	}
	count := min(limit-s.tail, uint64(sweepPerWrite*len(p.writes)+sweepRows), kv.RowsMax)
	r := kv.Range{Start: appendKey(nil, s.tail), End: appendKey(nil, s.tail+count), Limit: int(count)}
	seq := s.head + uint64(len(p.writes))
	err := s.cfg.Store.Iterate(r, func(key, value []byte) error {
		at, err := parseKey(key)
		if err != nil {
			return err
		}
		if at != p.tail {
			return fmt.Errorf("%w: row %d is missing", ErrDamaged, p.tail)
		}
		p.tail++
		if isMarker(value) {
			return nil
		}
		old, err := decodeRow(value)
		if err != nil {
			return err
		}
		place := s.place(old.key)
		leaf := s.tree.find(p.root.ref, &place)
		if leaf == 0 || s.tree.leaves.at(leaf.index()).row() != at {
			return nil
		}
		p.moved = append(p.moved, moved{leaf, seq})
		p.movedRows = append(p.movedRows, slices.Clone(value))
		seq++
		return nil
	})
	if err == nil && p.tail != s.tail+count {
		err = fmt.Errorf("%w: row %d is missing", ErrDamaged, p.tail)
	}
	return err
}

// sweepLimit returns up to which row the log's beginning may advance: not at all while the log is short, never into the
// blocks that ProveWrite knows, and not over rows that an older version needs, unless the log is far too long.
func (s *State) sweepLimit() uint64 {
	window := s.head
	if keep := HistoryBlocks - 1; len(s.blocks) > 0 {
		window = s.blocks[max(0, len(s.blocks)-keep)].first
	}
	due := 2*(s.leafCount+s.head-window) + s.cfg.sweepSlack
	rows := s.head - s.tail
	if rows <= due {
		return s.tail
	}
	limit := window
	if rows > s.cfg.sweepFar*due {
		return limit
	}
	for i := range s.versions[1:] {
		limit = min(limit, s.versions[1+i].oldest)
	}
	return min(limit, s.oldestRow(s.tree.edit.retiredLeaves), s.frozenRow())
}

// oldestRow returns the first of the rows of leaves.
func (s *State) oldestRow(leaves []uint32) uint64 {
	oldest := uint64(math.MaxUint64)
	for _, i := range leaves {
		oldest = min(oldest, s.tree.leaves.at(i).row())
	}
	return oldest
}

// commit writes the block's rows, as one batch.
func (s *State) commit(p *pending) error {
	b := s.cfg.Store.NewBatch()
	b.Grow(p.batchSize())
	seq := s.head
	var key, value []byte
	for i := range p.writes {
		w := &p.writes[i]
		r := row{deleted: w.Delete, height: p.height, previous: w.previous, key: w.Key, value: w.Value}
		key, value = appendKey(key[:0], seq), r.append(value[:0])
		b.Set(key, value)
		seq++
	}
	for _, value := range p.movedRows {
		key = appendKey(key[:0], seq)
		b.Set(key, value)
		seq++
	}
	m := marker{suite: s.cfg.Suite.ID(), height: p.height, first: s.head, writes: uint64(len(p.writes)), head: seq,
		tail: p.tail, leaves: s.leavesAfter(p), state: p.roots.State, writeSet: p.roots.WriteSet, expired: p.expired}
	key, value = appendKey(key[:0], seq), m.append(value[:0])
	b.Set(key, value)
	// No reader looks for rows before s.tail, which was published; the ones up to p.tail may still be wanted. They are
	// deleted many at once, because each deletion is a range that every read of the store must heed.
	deleted := s.deleted
	if s.tail-deleted >= s.cfg.sweepSlack {
		b.DeleteRange(appendKey(nil, deleted), appendKey(nil, s.tail))
		deleted = s.tail
	}
	if err := s.cfg.Store.Apply(b, s.cfg.Sync); err != nil {
		return fmt.Errorf("state: append height %d to the log: %w", p.height, err)
	}
	s.deleted = deleted
	return nil
}

// batchSize returns the number of changes in p's batch and the bytes of their keys and values.
func (p *pending) batchSize() (changes, size int) {
	for i := range p.writes {
		size += rowHead + len(p.writes[i].Key) + len(p.writes[i].Value)
	}
	for _, value := range p.movedRows {
		size += len(value)
	}
	changes = len(p.writes) + len(p.movedRows) + 2
	return changes, size + markerBytes + 9*(changes+1)
}

// leavesAfter is the number of leaves once p is applied.
func (s *State) leavesAfter(p *pending) uint64 {
	n := s.leafCount - uint64(len(p.leaving))
	for i := range p.writes {
		if p.writes[i].old == 0 {
			n++
		}
	}
	return n
}

// publishQuiet makes a height without writes the head.
func (s *State) publishQuiet(height uint64) Roots {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty, s.height = false, height
	return Roots{State: s.headVersion().hash, WriteSet: s.noWrite}
}

// publish makes p the head.
func (s *State) publish(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leafCount = s.leavesAfter(p)
	for _, m := range p.moved {
		l := s.tree.leaves.at(m.leaf.index())
		l.seq = l.seq&tombstoneBit | m.seq
	}
	s.copied += uint64(len(p.moved))
	for i := range p.writes {
		w := &p.writes[i]
		if w.Delete {
			s.cache.remove(w.Key)
		} else {
			s.cache.put(w.Key, w.Value, p.height)
		}
	}
	first := s.head
	s.head += uint64(len(p.writes)+len(p.moved)) + 1
	s.tail = p.tail
	s.blocks = append(s.blocks, block{p.height, first, uint64(len(p.writes)), p.roots})
	if len(s.blocks) > HistoryBlocks {
		s.blocks = slices.Delete(s.blocks, 0, 1)
	}
	s.remember(p)
}

// undoHeavy reports whether what only older heights need takes more than its share of memory.
func (s *State) undoHeavy() bool {
	undo := uint64(0)
	for i := range s.versions[1:] {
		v := &s.versions[1+i]
		undo += uint64(len(v.retiredNodes))*uint64(unsafe.Sizeof(node{})) + uint64(len(v.retiredLeaves))*uint64(unsafe.Sizeof(leaf{}))
	}
	return undo > s.cfg.undoBytes && undo > s.tree.memoryBytes()/undoShare
}

// remember makes p's tree the head and forgets the oldest.
func (s *State) remember(p *pending) {
	s.empty, s.height = false, p.height
	e := &s.tree.edit
	s.versions = append(s.versions, version{height: p.height, root: p.root.ref, hash: p.roots.State,
		retiredNodes: e.retiredNodes, retiredLeaves: e.retiredLeaves, oldest: s.oldestRow(e.retiredLeaves)})
	for len(s.versions) > UndoHeights+1 || len(s.versions) > undoMin+1 && s.undoHeavy() {
		s.versions = slices.Delete(s.versions, 0, 1)
		s.giveBack(&s.versions[0])
		s.versions[0].retiredNodes, s.versions[0].retiredLeaves = nil, nil
		s.versions[0].oldest = math.MaxUint64
	}
	s.tombstones, s.expired = s.tombstones[p.left:], p.expired
	for i := range p.writes {
		if p.writes[i].Delete {
			s.tombstones = append(s.tombstones, tombstone{p.height, p.writes[i].place})
		}
	}
	s.memoryBytes = s.tree.memoryBytes()
}
