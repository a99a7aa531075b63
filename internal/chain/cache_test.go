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
				had := c.byDigest[hashOf(i)] != nil
				b := &openBatch{digest: hashOf(i), bytes: sizes[i]}
				if got := c.put(b); got != c.get(hashOf(i)) || (got == b) == had {
					t.Fatalf("batch %d was put and is not there, or is there twice", i)
				}
			case 2:
				c.remove(hashOf(i))
				if c.get(hashOf(i)) != nil {
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
			if bytes, count := c.size(); bytes != sum || bytes > most || count != len(c.byDigest) {
				t.Fatalf("%d bytes in %d batches; %d are indexed, with %d bytes", bytes, count, len(c.byDigest), sum)
			}
		}
	})
}

func TestBatchCacheForgetsTheLeastUsed(t *testing.T) {
	c := newBatchCache(30)
	for i := range 3 {
		c.put(&openBatch{digest: hashOf(i), bytes: 10})
	}
	c.get(hashOf(0))
	c.put(&openBatch{digest: hashOf(3), bytes: 10})
	for i, want := range []bool{true, false, true, true} {
		if got := c.get(hashOf(i)) != nil; got != want {
			t.Errorf("batch %d is held: %t", i, got)
		}
	}
	c.put(&openBatch{digest: hashOf(4), bytes: 100})
	if _, count := c.size(); count != 1 || c.get(hashOf(4)) == nil {
		t.Errorf("with one batch over the bound, %d are held", count)
	}
}

// Each origin has room of its own, by count and by bytes, and gets it back: the twin adds up what is there.
func TestLooseBatchesAreBoundedByOrigin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, twin := newLooseBatches(), map[suite.Hash]looseRow{}
		origins := []suite.PublicKey{{1}, {2}, {3}}
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			h := hashOf(rapid.IntRange(0, i).Draw(t, "batch"))
			if _, ok := twin[h]; ok && rapid.Bool().Draw(t, "remove") {
				delete(twin, h)
				l.remove(h)
			}
			l.remove(hashOf(1000)) // what is not there
			row := looseRow{Origin: origins[rapid.IntRange(0, 2).Draw(t, "origin")], Bytes: rapid.Uint32Range(1, 16<<20).Draw(t, "bytes")}
			count, bytes := 0, 0
			for _, r := range twin {
				if string(r.Origin) == string(row.Origin) {
					count, bytes = count+1, bytes+int(r.Bytes)
				}
			}
			full := count >= looseMax || bytes+int(row.Bytes) > looseBytesMax
			if got := l.full(row.Origin, int(row.Bytes)); got != full {
				t.Fatalf("with %d batches of %d bytes, another of %d bytes is refused: %t", count, bytes, row.Bytes, got)
			}
			if _, ok := twin[h]; !ok && !full {
				twin[h] = row
				l.add(h, row)
			}
			if l.has(h) != (twin[h].Bytes > 0) || len(l.rows) != len(twin) || len(l.byOrigin) > 3 {
				t.Fatalf("%d batches of %d origins are counted, there are %d", len(l.rows), len(l.byOrigin), len(twin))
			}
		}
		for h := range twin {
			l.remove(h)
		}
		if len(l.rows)+len(l.byOrigin) > 0 {
			t.Fatalf("when all are gone, %d are left of %d origins", len(l.rows), len(l.byOrigin))
		}
	})
}

// What was noted last is remembered, at least recentMin of it and at most twice as many.
func TestRecentRemembersTheNewest(t *testing.T) {
	var r recent
	if r.has(hashOf(0)) {
		t.Error("something is remembered of nothing")
	}
	for i := range 5 * recentMin {
		r.add(hashOf(i))
		if back := max(0, i-recentMin+1); !r.has(hashOf(i)) || !r.has(hashOf(back)) || len(r.now)+len(r.before) > 2*recentMin {
			t.Fatalf("after %d, number %d is forgotten, or %d are remembered", i, back, len(r.now)+len(r.before))
		}
		if i >= 2*recentMin && r.has(hashOf(i-2*recentMin)) {
			t.Fatalf("after %d, number %d is still remembered", i, i-2*recentMin)
		}
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
