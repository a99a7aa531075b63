package chain

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

func hashOf(i int) (h suite.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(i)+1)
	return h
}

func TestBatchCacheIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 1000
		c := newBatchCache(most)
		sizes := map[int]int{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, 30).Draw(t, "batch")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				if _, ok := sizes[i]; !ok {
					sizes[i] = rapid.IntRange(1, 600).Draw(t, "bytes")
				}
				body := hashOf(1000 + i)
				c.put(&checkedBatch{digest: hashOf(i), body: body, bytes: sizes[i]})
				if c.get(hashOf(i)) == nil || c.getBody(body) != c.get(hashOf(i)) {
					t.Fatalf("batch %d was put and is not there", i)
				}
			case 2:
				c.remove(hashOf(i))
				if c.get(hashOf(i)) != nil || c.getBody(hashOf(1000+i)) != nil {
					t.Fatalf("batch %d was removed and is there", i)
				}
			default:
				c.get(hashOf(i))
			}
			sum := 0
			for k := range 31 {
				if c.byDigest[hashOf(k)] != nil {
					sum += sizes[k]
				}
			}
			if bytes, count := c.size(); bytes != sum || bytes > most || count != len(c.byDigest) || count != len(c.byBody) {
				t.Fatalf("%d bytes in %d batches; %d and %d are indexed, with %d bytes", bytes, count, len(c.byDigest), len(c.byBody), sum)
			}
		}
	})
}

func TestBatchCacheForgetsTheLeastUsed(t *testing.T) {
	c := newBatchCache(30)
	for i := range 3 {
		c.put(&checkedBatch{digest: hashOf(i), body: hashOf(10 + i), bytes: 10})
	}
	c.get(hashOf(0))
	c.put(&checkedBatch{digest: hashOf(3), body: hashOf(13), bytes: 10})
	for i, want := range []bool{true, false, true, true} {
		if got := c.get(hashOf(i)) != nil; got != want {
			t.Errorf("batch %d is held: %t", i, got)
		}
	}
	c.put(&checkedBatch{digest: hashOf(4), body: hashOf(14), bytes: 100})
	if _, count := c.size(); count != 1 || c.get(hashOf(4)) == nil {
		t.Errorf("with one batch over the bound, %d are held", count)
	}
}

// A window forgets what is past, whole minutes at a time, and never before its time: whatever the twin holds is held.
func TestWindowHoldsWhatIsNotPast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, twin := newWindow(), map[suite.Hash]ledger.Time{}
		wall := ledger.Time(rapid.Int64Range(0, 1<<41).Draw(t, "start"))
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			step := rapid.SampledFrom([]ledger.Time{0, 1, ledger.Second, ledger.Minute, 20 * ledger.Minute, 400 * ledger.Day}).Draw(t, "step")
			wall += step
			w.advance(wall)
			until := wall + ledger.Time(rapid.Int64Range(0, int64(16*ledger.Minute)).Draw(t, "keep"))
			h := hashOf(rapid.IntRange(0, i).Draw(t, "hash"))
			if old, ok := twin[h]; !ok || old < wall-ledger.Minute {
				twin[h] = until
				w.add(h, until)
			}
			for h, until := range twin {
				if until >= wall && !w.has(h) {
					t.Fatalf("at %d a hash to be held until %d is forgotten", wall, until)
				}
				if until < wall-ledger.Minute && w.has(h) {
					t.Fatalf("at %d a hash to be held until %d is still there", wall, until)
				}
			}
			if w.len() > len(twin) {
				t.Fatalf("%d hashes are held of %d", w.len(), len(twin))
			}
		}
	})
}
