package kv

import "sync/atomic"

// Metrics counts what a store did since it was opened.
type Metrics struct {
	// Gets, Iterates, Batches and Syncs count calls; Syncs are the batches applied with sync.
	Gets     uint64
	Iterates uint64
	Batches  uint64
	Syncs    uint64
	// Writes counts the changes in all batches, WrittenBytes the bytes of their keys and values.
	Writes       uint64
	WrittenBytes uint64
	// DiskBytes is the space in use, and CacheHits and CacheMisses those of the block cache; zero in memory.
	DiskBytes   uint64
	CacheHits   uint64
	CacheMisses uint64
}

// counters are the live form of Metrics.
type counters struct {
	gets, iterates, batches, syncs, writes, writtenBytes atomic.Uint64
}

func (c *counters) applied(b *Batch, sync bool) {
	c.batches.Add(1)
	if sync {
		c.syncs.Add(1)
	}
	c.writes.Add(uint64(b.Len()))
	c.writtenBytes.Add(uint64(b.Bytes()))
}

func (c *counters) metrics() Metrics {
	return Metrics{
		Gets: c.gets.Load(), Iterates: c.iterates.Load(), Batches: c.batches.Load(), Syncs: c.syncs.Load(),
		Writes: c.writes.Load(), WrittenBytes: c.writtenBytes.Load(),
	}
}
