package state

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"sync"

	"aval/internal/kv"
	"aval/merkle"
	"aval/suite"
)

const (
	// UndoHeights is for how many heights below the head Prove answers, fewer while blocks write so much that keeping these would take
	// more than a tenth of the memory.
	UndoHeights = 16
	// HistoryBlocks is how many of the newest blocks with writes ProveWrite and RootsAt know.
	HistoryBlocks = 1024
	// WriteSetBytesMax bounds the keys and values of one block's writes.
	WriteSetBytesMax = 256 << 20
)

// What bounds the memory of older heights, beside Config.undoBytes: one part in undoShare of all. But undoMin heights are always
// kept: headers certify roots that lag behind by two.
const (
	undoMin   = 4
	undoShare = 10
)

// Errors of State. Errors of the store pass through, wrapped.
var (
	// ErrHeight reports a height out of order: already applied, beyond the next, or not executed yet.
	ErrHeight = errors.New("state: height out of order")
	// ErrPruned reports a height that is too old to be answered for.
	ErrPruned = errors.New("state: height no longer kept")
	// ErrNotWritten reports that a block did not write to a key.
	ErrNotWritten = errors.New("state: the block did not write to this key")
	// ErrWrites reports writes that break a bound or name a key twice.
	ErrWrites = errors.New("state: invalid writes")
	// ErrStopped reports that the store failed before; the state must be opened again.
	ErrStopped = errors.New("state: stopped by an earlier error of the store")
	// ErrRoot reports that the log does not lead to the root it names.
	ErrRoot = errors.New("state: the log does not lead to its own root")
	// ErrSuite reports a log written under another suite.
	ErrSuite = errors.New("state: the log was written under another suite")
)

// Config says where a state is kept.
type Config struct {
	// Store holds the log and nothing else. Required. The caller closes it.
	Store kv.Store
	// Suite is the network's. Required.
	Suite suite.Suite
	// Sync makes each Apply durable before it returns. Default false: after a loss of power the newest heights may be
	// missing, whole, and are executed again from the blocks, which are durable before they are executed.
	Sync bool
	// CacheBytes bounds the value cache. Default 24 MiB.
	CacheBytes int
	// Workers is how many goroutines hash. Default: the processors. Roots do not depend on it.
	Workers int

	// sweepSlack is how many dead rows a log may have beside its share. Default 4096.
	sweepSlack uint64
	// sweepFar is how many times its due length a log may reach before rows of older versions are given up. Default 4.
	sweepFar uint64
	// undoBytes is what older heights may take in any case. Default 16 MiB.
	undoBytes uint64
}

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("state: Store is nil"))
	}
	if c.Suite == nil {
		errs = append(errs, errors.New("state: Suite is nil"))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("state: CacheBytes is %d", c.CacheBytes))
	}
	if c.Workers < 0 || c.Workers > 256 {
		errs = append(errs, fmt.Errorf("state: Workers is %d, not 0 to 256", c.Workers))
	}
	return errors.Join(errs...)
}

// Write is one write of a block: Value under Key, or Key deleted. Deleting a key that has no value is no write.
type Write struct {
	Key    []byte
	Value  []byte
	Delete bool
}

// Roots are what a header commits to for one height.
type Roots struct {
	// State is the root of the tree, WriteSet that of the block's writes.
	State    suite.Hash
	WriteSet suite.Hash
}

// State is the authenticated state at the executed height. One goroutine may apply while others read.
type State struct {
	cfg     Config
	noWrite suite.Hash // the write-set root of no writes

	// writer is held by Apply. The tree's edit and arenas belong to its holder.
	writer sync.Mutex
	// stopped is the error after which Apply refuses, guarded by writer.
	stopped error
	tree    *tree
	cache   *cache
	// deleted is the first row of the log that is still in the store. Invariant: deleted ≤ tail.
	deleted uint64

	// mu is held for writing only while a height is published; it guards the rest.
	mu sync.RWMutex
	// height is the executed height, if empty is false.
	height uint64
	empty  bool
	// versions are the trees of the newest heights with writes, oldest first, at most UndoHeights + 1. The oldest may
	// be the empty tree before the first block. Invariant: there is one at least.
	versions []version
	// blocks are the newest blocks with writes, oldest first, at most HistoryBlocks. The first may be an imported state instead, of
	// which no writes are known.
	blocks []block
	// frozen is the tree that is kept beside the versions, nil if there is none.
	frozen *Frozen
	// tombstones are the deleted keys of the tree in the order in which they leave; some may have been written again.
	tombstones []tombstone
	expired    tombstone
	// The log's rows are tail to head − 1. Invariant: every leaf of every version has its row there, unless the log was
	// far too long, see sweepLimit.
	tail, head                     uint64
	leafCount, copied, memoryBytes uint64
}

// version is the tree of one height.
type version struct {
	height uint64
	root   ref
	hash   suite.Hash
	// retiredNodes and retiredLeaves belong to the version before, but not to this one; oldest is the first of the
	// retired leaves' rows.
	retiredNodes, retiredLeaves []uint32
	oldest                      uint64
}

// block is what is remembered of a block with writes.
type block struct {
	height        uint64
	first, writes uint64
	roots         Roots
}

// Open reads the log in c.Store and returns the state of the last height with writes; see Empty for a new store.
// It fails with ErrRoot, ErrDamaged or ErrSuite if the log is not what a State of this configuration wrote.
func Open(c Config) (*State, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 24 << 20
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.sweepSlack == 0 {
		c.sweepSlack = 4096
	}
	if c.sweepFar == 0 {
		c.sweepFar = 4
	}
	if c.undoBytes == 0 {
		c.undoBytes = 16 << 20
	}
	s := &State{cfg: c, noWrite: merkle.RootOfHashes(c.Suite, nil), cache: newCache(c.CacheBytes)}
	s.reset()
	if err := s.load(); err != nil {
		s.tree.memory.release()
		return nil, err
	}
	// Methods hold a mutex of s until they return, so none is at work any more when s is out of reach.
	runtime.AddCleanup(s, (*memory).release, s.tree.memory)
	return s, nil
}

// reset makes s the state of an empty log.
func (s *State) reset() {
	if s.tree != nil {
		s.tree.memory.release() // a rebuild that led nowhere
	}
	s.tree = newTree(s.cfg.Suite, s.cfg.Workers)
	s.empty, s.height = true, 0
	s.versions = []version{{}}
	s.blocks, s.tombstones, s.expired = nil, nil, tombstone{}
	s.tail, s.head, s.leafCount = 0, 0, 0
}

// Empty reports whether no height was applied, or at least none with writes before the last Open.
func (s *State) Empty() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.empty
}

// Height returns the executed height; after Open, the last one that wrote anything. It is 0 if Empty.
func (s *State) Height() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.height
}

// Get returns the value of key at the executed height, the height that wrote it, and whether there is one. The value
// must not be changed.
func (s *State) Get(key []byte) (value []byte, height uint64, ok bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, false, err
	}
	if value, height, ok = s.cache.get(key); ok {
		return value, height, true, nil
	}
	place := s.place(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.tree.find(s.headVersion().root, &place)
	if r == 0 || s.tree.leaves.at(r.index()).deleted() {
		return nil, 0, false, nil
	}
	l := s.tree.leaves.at(r.index())
	row, err := s.row(l)
	if err != nil {
		return nil, 0, false, err
	}
	// Published heights change the cache under mu, so this cannot put back what was just replaced.
	s.cache.put(key, row.value, row.height)
	return row.value, row.height, true, nil
}

// RootsAt returns the roots of an executed height.
func (s *State) RootsAt(height uint64) (Roots, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.empty || height > s.height {
		return Roots{}, fmt.Errorf("%w: %d is not executed yet", ErrHeight, height)
	}
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].height > height }) - 1
	switch {
	case i < 0 && len(s.blocks) > 0 && s.blocks[0].first > 0:
		return Roots{}, fmt.Errorf("%w: %d", ErrPruned, height)
	case i < 0:
		return Roots{WriteSet: s.noWrite}, nil
	case s.blocks[i].height < height:
		return Roots{State: s.blocks[i].roots.State, WriteSet: s.noWrite}, nil
	}
	return s.blocks[i].roots, nil
}

// Root returns the state root of an executed height.
func (s *State) Root(height uint64) (suite.Hash, error) {
	roots, err := s.RootsAt(height)
	return roots.State, err
}

// headVersion is the tree of the executed height. The caller holds mu, or is the writer.
func (s *State) headVersion() *version { return &s.versions[len(s.versions)-1] }

// place hashes a raw key. Hashers are the writer's, so readers go to the suite.
func (s *State) place(key []byte) suite.Hash { return s.cfg.Suite.Hash(merkle.DomainStateKey, key) }

// row reads the row of a leaf. The caller holds mu, so that the row is not moved meanwhile.
func (s *State) row(l *leaf) (row, error) {
	b, err := s.cfg.Store.Get(appendKey(nil, l.row()))
	if errors.Is(err, kv.ErrNotFound) && l.row() < s.tail {
		return row{}, fmt.Errorf("%w: its rows left the log", ErrPruned)
	}
	if err != nil {
		return row{}, fmt.Errorf("state: row %d of the log: %w", l.row(), err)
	}
	r, err := decodeRow(b)
	if err != nil {
		return row{}, err
	}
	if r.height != l.height || r.deleted != l.deleted() {
		return row{}, fmt.Errorf("%w: row %d is of height %d, not %d", ErrDamaged, l.row(), r.height, l.height)
	}
	return r, nil
}

func checkKey(key []byte) error {
	if len(key) < merkle.KeyBytesMin || len(key) > merkle.KeyBytesMax {
		return fmt.Errorf("state: a key has %d to %d bytes, not %d", merkle.KeyBytesMin, merkle.KeyBytesMax, len(key))
	}
	return nil
}

// sameKey reports whether a row is of key; place is key's.
func (r *row) sameKey(key []byte) bool { return bytes.Equal(r.key, key) }
