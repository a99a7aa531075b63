package suite

import "sync"

// keyCache remembers what was computed from public keys, for the few thousand keys in use: decoding a key
// costs a square root, which is a sixth of a verification. It holds at most 2·generation entries: when the
// young map is full it becomes the old one, so keys in use survive and a flood of fresh keys only costs the
// work that no cache would cost. It changes speed, never results.
type keyCache[K comparable, V any] struct {
	generation int
	mu         sync.RWMutex
	young, old map[K]V
}

func newKeyCache[K comparable, V any](generation int) *keyCache[K, V] {
	return &keyCache[K, V]{generation: generation, young: make(map[K]V)}
}

// get returns the value for k.
func (c *keyCache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	v, ok := c.young[k]
	stale := false
	if !ok {
		v, ok = c.old[k]
		stale = ok
	}
	c.mu.RUnlock()
	if stale {
		c.put(k, v)
	}
	return v, ok
}

// put stores v, which must be what any caller would compute from k, and is not changed any more.
func (c *keyCache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.generation {
		c.old, c.young = c.young, make(map[K]V, c.generation)
	}
	c.young[k] = v
}
