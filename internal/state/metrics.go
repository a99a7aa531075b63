package state

// Metrics describes the state and what its store holds.
type Metrics struct {
	// Height is the executed height, and Leaves the leaves of its tree, tombstones included.
	Height uint64
	Leaves uint64
	// MemoryBytes is what nodes and leaves take, those of older heights included.
	MemoryBytes uint64
	// LogRows is the number of rows from the log's beginning to its end, dead ones included.
	LogRows uint64
	// CopiedRows counts old rows copied to the end of the log since Open.
	CopiedRows uint64
	// CacheBytes, CacheEntries, CacheHits and CacheMisses describe the value cache.
	CacheBytes   uint64
	CacheEntries uint64
	CacheHits    uint64
	CacheMisses  uint64
}

// Metrics returns a description of the state as it is now.
func (s *State) Metrics() Metrics {
	s.mu.RLock()
	m := Metrics{
		Height: s.height, Leaves: s.leafCount, LogRows: s.head - s.tail, CopiedRows: s.copied,
		MemoryBytes: s.memoryBytes,
	}
	s.mu.RUnlock()
	total, entries := s.cache.size()
	m.CacheBytes, m.CacheEntries = uint64(total), uint64(entries)
	m.CacheHits, m.CacheMisses = s.cache.hits.Load(), s.cache.misses.Load()
	return m
}
