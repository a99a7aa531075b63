package sm2verify

import (
	"sync"
	"sync/atomic"
)

// cache remembers values by public key. It holds at most a fixed number; when it is full, a hand goes round and drops the
// first entry that was not used since the hand last passed (F. Corbató, "A paging experiment with the Multics system", 1968). So
// keys in use survive a flood of keys seen once. It changes speed, never results. It is safe for concurrent use.
type cache[V any] struct {
	limit int
	mu    sync.RWMutex
	at    map[[KeySize]byte]*slot[V]
	ring  []*slot[V]
	hand  int
}

// slot is one entry of a cache.
type slot[V any] struct {
	key   [KeySize]byte
	value V
	used  atomic.Bool
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{limit: max(1, limit), at: make(map[[KeySize]byte]*slot[V])}
}

// get returns the value of a key.
func (c *cache[V]) get(key *[KeySize]byte) (v V, ok bool) {
	c.mu.RLock()
	s := c.at[*key]
	c.mu.RUnlock()
	if s == nil {
		return v, false
	}
	if !s.used.Load() {
		s.used.Store(true)
	}
	return s.value, true
}

// put stores the value of a key and returns it, or the one that another goroutine stored in the meantime.
func (c *cache[V]) put(key *[KeySize]byte, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.at[*key]; s != nil {
		return s.value
	}
	s := &slot[V]{key: *key, value: v}
	c.at[*key] = s
	if len(c.ring) < c.limit {
		c.ring = append(c.ring, s)
		return v
	}
	for c.ring[c.hand].used.Swap(false) {
		c.hand = (c.hand + 1) % len(c.ring)
	}
	delete(c.at, c.ring[c.hand].key)
	c.ring[c.hand] = s
	c.hand = (c.hand + 1) % len(c.ring)
	return v
}

// len returns how many values there are.
func (c *cache[V]) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.ring)
}
