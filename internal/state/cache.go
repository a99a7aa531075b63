package state

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// cacheShards spreads readers over locks.
const cacheShards = 16

// slotBytes is charged for each entry beside its key and value.
const slotBytes = 112

// cache keeps recently used values of the head within a bound of bytes. An entry that was used since the hand last
// passed it gets a second chance (the CLOCK rule). What is evicted has no influence on any result.
type cache struct {
	seed         maphash.Seed
	shards       [cacheShards]shard
	hits, misses atomic.Uint64
}

type shard struct {
	mu    sync.Mutex
	index map[string]int
	slots []slot
	free  []int
	hand  int
	bytes int
	max   int
}

type slot struct {
	key    string
	value  []byte
	height uint64
	used   bool
	filled bool
}

func (s *slot) bytes() int { return slotBytes + len(s.key) + len(s.value) }

func newCache(bytesMax int) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].index = map[string]int{}
		c.shards[i].max = bytesMax / cacheShards
	}
	return c
}

func (c *cache) shard(key []byte) *shard {
	return &c.shards[maphash.Bytes(c.seed, key)%cacheShards]
}

// get returns the value of key; nobody may change it.
func (c *cache) get(key []byte) (value []byte, height uint64, ok bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[string(key)]
	if !ok {
		c.misses.Add(1)
		return nil, 0, false
	}
	c.hits.Add(1)
	s.slots[i].used = true
	return s.slots[i].value, s.slots[i].height, true
}

// put stores a copy of value, unless it would take too much of the cache.
func (c *cache) put(key, value []byte, height uint64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[string(key)]
	if size := slotBytes + len(key) + len(value); size > s.max/8 {
		s.drop(key)
		return
	} else if !ok {
		i = s.room(size)
		s.slots[i].key = string(key)
		s.index[s.slots[i].key] = i
		s.bytes += slotBytes + len(key)
	}
	e := &s.slots[i]
	s.bytes += len(value) - len(e.value)
	// Readers may hold the old value, so it is not overwritten.
	e.value, e.height, e.filled = append(make([]byte, 0, len(value)), value...), height, true
	e.used = ok
	for s.bytes > s.max {
		s.evict()
	}
}

// room returns an unused slot after making place for size bytes.
func (s *shard) room(size int) int {
	for s.bytes+size > s.max {
		s.evict()
	}
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.slots = append(s.slots, slot{})
	return len(s.slots) - 1
}

// remove forgets key.
func (c *cache) remove(key []byte) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(key)
}

func (s *shard) drop(key []byte) {
	if i, ok := s.index[string(key)]; ok {
		s.clear(i)
	}
}

func (s *shard) clear(i int) {
	s.bytes -= s.slots[i].bytes()
	delete(s.index, s.slots[i].key)
	s.slots[i] = slot{}
	s.free = append(s.free, i)
}

// evict removes one entry. The caller knows that there is one.
func (s *shard) evict() {
	for {
		s.hand = (s.hand + 1) % len(s.slots)
		e := &s.slots[s.hand]
		switch {
		case !e.filled:
		case e.used:
			e.used = false
		default:
			s.clear(s.hand)
			return
		}
	}
}

// size returns the bytes and entries held.
func (c *cache) size() (total, entries int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		total += s.bytes
		entries += len(s.index)
		s.mu.Unlock()
	}
	return total, entries
}

// holds reports whether the cache has exactly this entry, or none of this key.
func (c *cache) holds(key, value []byte, height uint64) bool {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[string(key)]
	return !ok || s.slots[i].height == height && bytes.Equal(s.slots[i].value, value)
}
