package state

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// check fails unless the shard's index and sums are what its slots say.
func (s *shard) check(t *rapid.T) {
	live, total := 0, 0
	for i := range s.slots {
		e := &s.slots[i]
		if e.row == nil {
			continue
		}
		live++
		total += e.bytes()
		found, at := s.find(e.key(), e.tag)
		if found != e || s.index[at] != uint32(i+1) {
			t.Fatalf("slot %d with key %q is not found", i, e.key())
		}
	}
	places := 0
	for _, number := range s.index {
		if number != 0 {
			places++
		}
	}
	if live != s.live || places != live || total != s.bytes || total > s.max || len(s.free)+live != len(s.slots) || 4*live > 3*len(s.index) {
		t.Fatalf("%d entries with %d bytes in %d of %d places, %d free; it says %d, %d, most %d",
			live, total, places, len(s.index), len(s.free), s.live, s.bytes, s.max)
	}
}

// TestCacheAgainstMap: the cache never has anything but what was put last, and everything if there is room.
func TestCacheAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roomy := rapid.Bool().Draw(t, "roomy")
		bytesMax := cacheShards * 1500
		if roomy {
			bytesMax = 1 << 30
		}
		c := newCache(bytesMax)
		type entry struct {
			value  string
			height uint64
		}
		want := map[string]entry{}
		seed := rapid.Uint64().Draw(t, "seed")
		draw := func(n uint64) uint64 {
			seed = seed*6364136223846793005 + 1442695040888963407
			return seed >> 33 % n
		}
		for step := range uint64(rapid.IntRange(1, 3000).Draw(t, "steps")) {
			key := fmt.Append(nil, draw(700))
			switch draw(4) {
			case 0:
				c.remove(key)
				delete(want, string(key))
			case 1:
				value, height, ok := c.get(key)
				is, has := want[string(key)]
				if ok && (!has || is.value != string(value) || is.height != height) || roomy && ok != has {
					t.Fatalf("step %d: %s is %q of %d, %t; want %v, %t", step, key, value, height, ok, is, has)
				}
			default:
				value := make([]byte, draw(120))
				value = fmt.Append(value, step)
				c.put(key, value, step)
				want[string(key)] = entry{string(value), step}
			}
		}
		for i := range c.shards {
			c.shards[i].check(t)
		}
		if _, entries := c.size(); roomy && entries != len(want) {
			t.Fatalf("%d entries of %d", entries, len(want))
		}
	})
}
