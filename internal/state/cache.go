package state

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"
)

// cacheShards spreads readers over locks.
const cacheShards = 16

// slotBytes is charged for each entry beside its key and value: the slot, its part of the index, and what the allocator rounds up.
const slotBytes = int(unsafe.Sizeof(slot{})) + 8 + 8

// cache keeps recently used values of the head within a bound of bytes. An entry that was used since the hand last
// passed it gets a second chance (the CLOCK rule). What is evicted has no influence on any result.
type cache struct {
	seed         maphash.Seed
	shards       [cacheShards]shard
	hits, misses atomic.Uint64
}

// shard is a table of slots. Entries are many and small, so it is laid out to take little beside them: a key and its value are one
// allocation, and the index is a table of open addressing that holds nothing but numbers of slots.
type shard struct {
	mu sync.Mutex
	// index holds numbers of slots, counted from 1, at or behind the place that their tag names; 0 is empty. Its length is a power
	// of two. Invariant: at most three quarters are in use, and no empty place lies between a tag's place and its slot's.
	index []uint32
	slots []slot
	free  []uint32
	live  int
	hand  int
	bytes int
	max   int
}

type slot struct {
	// row is the key and behind it the value, nil if the slot is unused. It never changes: readers may hold the value.
	row    []byte
	height uint64
	// tag is part of the key's hash.
	tag     uint32
	keySize uint16
	used    bool
}

func (s *slot) key() []byte   { return s.row[:s.keySize] }
func (s *slot) value() []byte { return s.row[s.keySize:len(s.row):len(s.row)] }
func (s *slot) bytes() int    { return slotBytes + len(s.row) }

func newCache(bytesMax int) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].index = make([]uint32, 16)
		c.shards[i].max = bytesMax / cacheShards
	}
	return c
}

func (c *cache) shard(key []byte) (s *shard, tag uint32) {
	h := maphash.Bytes(c.seed, key)
	return &c.shards[h%cacheShards], uint32(h >> 32)
}

// get returns the value of key; nobody may change it.
func (c *cache) get(key []byte) (value []byte, height uint64, ok bool) {
	s, tag := c.shard(key)
	s.mu.Lock()
	e, _ := s.find(key, tag)
	if e == nil {
		s.mu.Unlock()
		c.misses.Add(1)
		return nil, 0, false
	}
	e.used = true
	value, height = e.value(), e.height
	s.mu.Unlock()
	c.hits.Add(1)
	return value, height, true
}

// put stores a copy of value, unless it would take too much of the cache.
func (c *cache) put(key, value []byte, height uint64) {
	s, tag := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, at := s.find(key, tag)
	size := slotBytes + len(key) + len(value)
	switch {
	case size > s.max/8:
		if e != nil {
			s.clear(at)
		}
		return
	case e == nil:
		e = s.add(tag, size)
	default:
		s.bytes -= e.bytes()
		e.used = true
	}
	// Readers may hold the old value, so it is not overwritten.
	e.row = append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	e.height, e.tag, e.keySize = height, tag, uint16(len(key))
	s.bytes += size
	for s.bytes > s.max {
		s.evict()
	}
}

// remove forgets key.
func (c *cache) remove(key []byte) {
	s, tag := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, at := s.find(key, tag); e != nil {
		s.clear(at)
	}
}

// find returns the slot of key, nil if there is none, and its place in the index.
func (s *shard) find(key []byte, tag uint32) (e *slot, at int) {
	mask := len(s.index) - 1
	for at = int(tag) & mask; s.index[at] != 0; at = (at + 1) & mask {
		if e = &s.slots[s.index[at]-1]; e.tag == tag && bytes.Equal(e.key(), key) {
			return e, at
		}
	}
	return nil, at
}

// add returns an unused slot, entered in the index under tag, after making place for size bytes.
func (s *shard) add(tag uint32, size int) *slot {
	for s.bytes+size > s.max {
		s.evict()
	}
	if 4*(s.live+1) > 3*len(s.index) {
		s.index = make([]uint32, 2*len(s.index))
		for i := range s.slots {
			if s.slots[i].row != nil {
				s.enter(s.slots[i].tag, uint32(i+1))
			}
		}
	}
	var number uint32
	if n := len(s.free); n > 0 {
		number = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		s.slots = append(s.slots, slot{})
		number = uint32(len(s.slots))
	}
	s.enter(tag, number)
	s.live++
	return &s.slots[number-1]
}

func (s *shard) enter(tag, number uint32) {
	mask := len(s.index) - 1
	at := int(tag) & mask
	for s.index[at] != 0 {
		at = (at + 1) & mask
	}
	s.index[at] = number
}

// clear empties the slot whose number stands at a place of the index. What stands behind it moves up, as far as its tag allows.
func (s *shard) clear(at int) {
	number := s.index[at]
	e := &s.slots[number-1]
	s.bytes -= e.bytes()
	*e = slot{}
	s.free = append(s.free, number)
	s.live--
	mask := len(s.index) - 1
	for next := (at + 1) & mask; s.index[next] != 0; next = (next + 1) & mask {
		home := int(s.slots[s.index[next]-1].tag) & mask
		if (next-home)&mask >= (next-at)&mask {
			s.index[at] = s.index[next]
			at = next
		}
	}
	s.index[at] = 0
}

// evict removes one entry. The caller knows that there is one.
func (s *shard) evict() {
	for {
		s.hand = (s.hand + 1) % len(s.slots)
		e := &s.slots[s.hand]
		switch {
		case e.row == nil:
		case e.used:
			e.used = false
		default:
			_, at := s.find(e.key(), e.tag)
			s.clear(at)
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
		entries += s.live
		s.mu.Unlock()
	}
	return total, entries
}

// holds reports whether the cache has exactly this entry, or none of this key.
func (c *cache) holds(key, value []byte, height uint64) bool {
	s, tag := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.find(key, tag)
	return e == nil || e.height == height && bytes.Equal(e.value(), value)
}
