package state

import "sync"

// regionBytes is how much memory is asked for at once.
const regionBytes = 4 << 20

// memory is where a tree's nodes and leaves live: outside the heap of the garbage collector, which would otherwise wait for as much
// garbage as there is tree before it collects any. It is given back as a whole.
type memory struct {
	mu      sync.Mutex
	regions [][]byte
	// rest is what is left of the newest region.
	rest []byte
}

// take returns size zeroed bytes, aligned to eight.
func (m *memory) take(size int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	size = (size + 7) &^ 7
	if size > len(m.rest) {
		m.rest = mapMemory(max(size, regionBytes))
		m.regions = append(m.regions, m.rest)
	}
	out := m.rest[:size:size]
	m.rest = m.rest[size:]
	return out
}

// release gives all back. Nothing that was taken may be used any more.
func (m *memory) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.regions {
		unmapMemory(r)
	}
	m.regions, m.rest = nil, nil
}
