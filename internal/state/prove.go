package state

import (
	"fmt"
	"sort"

	"aval/internal/kv"
	"aval/merkle"
	"aval/suite"
)

// Prove returns a proof of what rawKey holds, or that it holds nothing, under the state root of height, which is one of
// the last UndoHeights executed heights. It fails with ErrHeight or ErrPruned for others.
func (s *State) Prove(height uint64, rawKey []byte) (*merkle.StateProof, error) {
	if err := checkKey(rawKey); err != nil {
		return nil, err
	}
	place := s.place(rawKey)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.empty || height > s.height {
		return nil, fmt.Errorf("%w: %d is not executed yet", ErrHeight, height)
	}
	i := sort.Search(len(s.versions), func(i int) bool { return s.versions[i].height > height }) - 1
	if i < 0 {
		return nil, fmt.Errorf("%w: %d", ErrPruned, height)
	}
	p := &merkle.StateProof{Version: 1, Value: []byte{}, Other: []byte{}, Mask: []byte{}, Siblings: []byte{}}
	end := s.path(p, s.versions[i].root, &place)
	if end == 0 {
		p.End = merkle.EndEmpty
		return p, nil
	}
	l := s.tree.leaves.at(end.index())
	r, err := s.row(l)
	if err != nil {
		return nil, err
	}
	p.Height, p.Previous = r.height, r.previous
	switch {
	case l.key != place:
		p.End = merkle.EndOther
		var value suite.Hash
		if !r.deleted {
			value = s.cfg.Suite.Sum(r.value)
		}
		p.Other = append(append(p.Other, l.key[:]...), value[:]...)
	case r.deleted:
		p.End = merkle.EndTombstone
	default:
		p.End = merkle.EndValue
		p.Value = r.value
	}
	return p, nil
}

// path fills in the siblings on the way to place and returns what stands at its end.
func (s *State) path(p *merkle.StateProof, r ref, place *suite.Hash) ref {
	for depth := 0; r != 0 && !r.isLeaf(); depth++ {
		n := s.tree.nodes.at(r.index())
		own, mask, bit := merkle.Digit(place, depth), byte(0), 0
		for digit := range merkle.Arity {
			if digit == own {
				continue
			}
			if n.child[digit] != 0 {
				mask |= 1 << bit
				p.Siblings = append(p.Siblings, n.hash[digit][:]...)
			}
			bit++
		}
		p.Mask = append(p.Mask, mask)
		r = n.child[own]
	}
	return r
}

// ProveWrite returns a proof of what the block at height wrote to rawKey, under its write-set root. It fails with
// ErrNotWritten if it wrote nothing there, ErrHeight if the height is not executed yet, and ErrPruned if it is not
// among the last HistoryBlocks blocks with writes.
func (s *State) ProveWrite(height uint64, rawKey []byte) (*merkle.WriteProof, error) {
	if err := checkKey(rawKey); err != nil {
		return nil, err
	}
	b, err := s.blockAt(height)
	if err != nil {
		return nil, err
	}
	p := &merkle.WriteProof{Version: 1, Value: []byte{}}
	h := merkle.NewHasher(s.cfg.Suite)
	hashes := make([]suite.Hash, 0, b.writes)
	at := -1
	// The lock is not held: rows do not change, and if this block becomes too old meanwhile they are simply gone.
	err = s.scan(b.first, b.first+b.writes, func(_ uint64, value []byte) error {
		r, err := decodeRow(value)
		if err != nil {
			return err
		}
		if r.sameKey(rawKey) {
			at = len(hashes)
			p.Previous, p.Deleted = r.previous, r.deleted
			p.Value = append(p.Value, r.value...)
		}
		l := merkle.Leaf{Key: h.Key(r.key), Height: r.height, Previous: r.previous}
		if !r.deleted {
			l.Value = h.Value(r.value)
		}
		hashes = append(hashes, h.Leaf(&l))
		return nil
	})
	if err != nil {
		if _, gone := s.blockAt(height); gone != nil {
			return nil, gone
		}
		return nil, err
	}
	if at < 0 {
		return nil, fmt.Errorf("%w: height %d", ErrNotWritten, height)
	}
	if merkle.RootOfHashes(s.cfg.Suite, hashes) != b.roots.WriteSet {
		return nil, fmt.Errorf("%w: the rows of height %d do not lead to its write-set root", ErrDamaged, height)
	}
	list, err := merkle.ProveHashes(s.cfg.Suite, hashes, at)
	if err != nil {
		return nil, err
	}
	p.List = *list
	return p, nil
}

// blockAt returns the block of an executed height that wrote something.
func (s *State) blockAt(height uint64) (block, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.empty || height > s.height {
		return block{}, fmt.Errorf("%w: %d is not executed yet", ErrHeight, height)
	}
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].height >= height })
	if i < len(s.blocks) && s.blocks[i].height == height {
		if s.blocks[i].writes == 0 {
			return block{}, fmt.Errorf("%w: the writes of height %d, at which this state was imported", ErrPruned, height)
		}
		return s.blocks[i], nil
	}
	if i == 0 && len(s.blocks) > 0 && s.blocks[0].first > 0 {
		return block{}, fmt.Errorf("%w: %d", ErrPruned, height)
	}
	return block{}, fmt.Errorf("%w: height %d wrote nothing", ErrNotWritten, height)
}

// scanRows is how many rows are read at once.
const scanRows = 1 << 12

// scan calls fn for the rows from up to but not including to, every one of which must be there.
func (s *State) scan(from, to uint64, fn func(seq uint64, value []byte) error) error {
	for from < to {
		r := kv.Range{Start: appendKey(nil, from), End: appendKey(nil, to), Limit: scanRows}
		start := from
		err := s.cfg.Store.Iterate(r, func(key, value []byte) error {
			seq, err := parseKey(key)
			if err != nil {
				return err
			}
			if seq != from {
				return fmt.Errorf("%w: row %d is missing", ErrDamaged, from)
			}
			from++
			return fn(seq, value)
		})
		if err != nil {
			return err
		}
		if from == start {
			return fmt.Errorf("%w: row %d is missing", ErrDamaged, from)
		}
	}
	return nil
}
