package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"aval/codec"
	"aval/internal/kv"
	"aval/merkle"
)

func encode(v any) string { return hex.EncodeToString(codec.MustMarshal(v)) }

// TestRefusals checks what Apply, Get and the proofs refuse, and that a refused Apply changes nothing.
func TestRefusals(t *testing.T) {
	s := suiteOf(t, "intl")
	p := newPair(t, s, Config{Store: kv.NewMemory()})
	for _, at := range []uint64{0, 1} {
		if _, err := p.state.Prove(at, []byte("k")); !errors.Is(err, ErrHeight) {
			t.Fatalf("a proof of an empty state: %v", err)
		}
	}
	if _, err := p.state.RootsAt(0); !errors.Is(err, ErrHeight) {
		t.Fatalf("roots of an empty state: %v", err)
	}
	p.apply(put("k", "v"))
	p.apply(put("k", "w"))
	for _, h := range []uint64{0, 1, 3, merkle.HeightNone} {
		if _, err := p.state.Apply(h, []Write{put("k", "x")}); !errors.Is(err, ErrHeight) {
			t.Fatalf("height %d after 1: %v", h, err)
		}
	}
	long := strings.Repeat("k", merkle.KeyBytesMax+1)
	for name, writes := range map[string][]Write{
		"no key":            {put("", "v")},
		"a long key":        {put(long, "v")},
		"a long value":      {put("k", strings.Repeat("v", merkle.ValueBytesMax+1))},
		"a deletion with v": {{Key: []byte("k"), Value: []byte("v"), Delete: true}},
		"a key twice":       {put("k", "1"), put("j", "2"), put("k", "3")},
		"put and delete":    {put("k", "1"), del("k")},
		"too many":          make([]Write, merkle.WritesMax+1),
	} {
		if _, err := p.state.Apply(2, writes); !errors.Is(err, ErrWrites) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var big []Write
	value := strings.Repeat("v", merkle.ValueBytesMax)
	for i := range WriteSetBytesMax/merkle.ValueBytesMax + 1 {
		big = append(big, Write{Key: fmt.Appendf(nil, "%d", i), Value: []byte(value)})
	}
	if _, err := p.state.Apply(2, big); !errors.Is(err, ErrWrites) {
		t.Errorf("too many bytes: %v", err)
	}
	for _, key := range []string{"", long} {
		if _, _, _, err := p.state.Get([]byte(key)); err == nil {
			t.Errorf("get of a key of %d bytes", len(key))
		}
		if _, err := p.state.Prove(1, []byte(key)); err == nil {
			t.Errorf("proof of a key of %d bytes", len(key))
		}
		if _, err := p.state.ProveWrite(1, []byte(key)); err == nil {
			t.Errorf("write proof of a key of %d bytes", len(key))
		}
	}
	if _, err := p.state.Prove(2, []byte("k")); !errors.Is(err, ErrHeight) {
		t.Errorf("a proof of a height to come: %v", err)
	}
	if _, err := p.state.ProveWrite(2, []byte("k")); !errors.Is(err, ErrHeight) {
		t.Errorf("a write proof of a height to come: %v", err)
	}
	p.apply(put("k", "y"))
	p.checkKey([]byte("k"))
}

// TestLargest applies the largest key and value.
func TestLargest(t *testing.T) {
	p := newPair(t, suiteOf(t, "sm"), Config{Store: kv.NewMemory()})
	key, value := strings.Repeat("k", merkle.KeyBytesMax), strings.Repeat("v", merkle.ValueBytesMax)
	p.apply(put(key, value), put("k", ""))
	p.reopen()
	p.checkKey([]byte(key))
	p.checkKey([]byte("k"))
}

// TestQuiet checks that a height without effect writes no row and keeps the root.
func TestQuiet(t *testing.T) {
	store := kv.NewMemory()
	p := newPair(t, suiteOf(t, "sm"), Config{Store: store})
	first := p.apply()
	if !first.State.IsZero() {
		t.Fatalf("the root of nothing is %s", first.State)
	}
	p.apply(put("k", "v"))
	before := store.Metrics().Writes
	p.quiet(3)
	p.apply(del("absent"))
	if after := store.Metrics().Writes; after != before {
		t.Fatalf("quiet heights made %d changes", after-before)
	}
	p.checkKey([]byte("k"))
	p.reopen()
	p.checkKey([]byte("k"))
	if roots, err := p.state.RootsAt(0); err != nil || roots != first {
		t.Fatalf("roots of height 0: %v, %v; want %v", roots, err, first)
	}
}

// TestUndoAfterOpen checks that a state opened again answers for older heights as before.
func TestUndoAfterOpen(t *testing.T) {
	p := newPair(t, suiteOf(t, "intl"), Config{Store: kv.NewMemory()})
	for range 60 {
		p.apply(script(p.height)...)
	}
	versions := len(p.state.versions)
	p.reopen()
	if len(p.state.versions) != versions || versions != UndoHeights+1 {
		t.Fatalf("%d versions before, %d after", versions, len(p.state.versions))
	}
	for i := range 60 {
		p.checkKey(fmt.Appendf(nil, "key %d", i))
	}
}

// TestUndoOfLargeBlocks checks that blocks which write much are kept for fewer heights, before and after an Open, and that
// small ones are kept for all heights again.
func TestUndoOfLargeBlocks(t *testing.T) {
	cfg := Config{Suite: suiteOf(t, "intl"), Store: kv.NewMemory(), CacheBytes: 1 << 20, undoBytes: 100 << 10}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	height := uint64(0)
	apply := func(writes int) {
		t.Helper()
		height++
		out := make([]Write, writes)
		for i := range out {
			out[i] = put(fmt.Sprintf("key %d", i), fmt.Sprint(height))
		}
		if _, err := s.Apply(height, out); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		apply(1_000)
	}
	for range 2 {
		if n := len(s.versions); n != undoMin+1 {
			t.Fatalf("large blocks leave %d versions, not %d", n, undoMin+1)
		}
		if _, err := s.Prove(height-undoMin, []byte("key 1")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Prove(height-undoMin-1, []byte("key 1")); !errors.Is(err, ErrPruned) {
			t.Fatalf("a proof of what is not kept: %v", err)
		}
		if s, err = Open(cfg); err != nil {
			t.Fatal(err)
		}
	}
	for range UndoHeights {
		apply(10)
	}
	if n := len(s.versions); n != UndoHeights+1 {
		t.Fatalf("small blocks leave %d versions, not %d", n, UndoHeights+1)
	}
}

// TestTombstonesLeave checks the bound on how many tombstones leave in one block, across an Open in the middle.
func TestTombstonesLeave(t *testing.T) {
	p := newPair(t, suiteOf(t, "intl"), Config{Store: kv.NewMemory()})
	var puts, dels []Write
	for i := range 300 {
		key := fmt.Sprintf("key %d", i)
		puts, dels = append(puts, put(key, "v")), append(dels, del(key))
	}
	p.apply(puts...)
	p.apply(dels[:200]...)
	p.apply(dels[200:]...)
	p.quiet(merkle.TombstoneHeights)
	for i, want := range []int{300 - 66 + 1, 300 - 132 + 1, 300 - 198 + 1, 300 - 264 + 1, 1, 1} {
		p.apply(put("tick", fmt.Sprint(i)))
		if got := p.state.Metrics().Leaves; got != uint64(want) || p.twin.Len() != want {
			t.Fatalf("block %d leaves %d leaves, the twin %d, want %d", i, got, p.twin.Len(), want)
		}
		p.checkKey([]byte("key 0"))
		p.checkKey([]byte("key 250"))
		p.reopen()
	}
}

// TestTombstoneRewritten checks a deleted key that is written again before it would leave, the last in its queue.
func TestTombstoneRewritten(t *testing.T) {
	p := newPair(t, suiteOf(t, "intl"), Config{Store: kv.NewMemory()})
	p.apply(put("a", "v"), put("b", "v"))
	p.apply(del("a"))
	p.apply(del("b"))
	p.apply(put("b", "again"))
	// Open starts from a block after this one, which does not know of b's tombstone.
	for range UndoHeights + 4 {
		p.apply(put("tick", "v"))
	}
	p.quiet(merkle.TombstoneHeights)
	for range 3 {
		p.apply(put("tick", "v"))
		p.reopen()
		p.checkHead([]byte("a"))
		p.checkHead([]byte("b"))
	}
}

// TestDrop empties the tree and fills it again: nodes are given back and used again.
func TestDrop(t *testing.T) {
	p := newPair(t, suiteOf(t, "intl"), Config{Store: kv.NewMemory()})
	var puts, dels []Write
	for i := range 200 {
		key := fmt.Sprintf("key %d", i)
		puts, dels = append(puts, put(key, "v")), append(dels, del(key))
	}
	var inUse [3]int
	for round := range inUse {
		p.apply(puts...)
		for range UndoHeights + 1 {
			p.apply(put("tick", "v"))
		}
		inUse[round] = p.state.tree.nodes.live()
		p.apply(dels...)
		p.quiet(merkle.TombstoneHeights)
		for range 6 {
			p.apply(put("tick", "v"))
		}
		if p.state.Metrics().Leaves != 1 {
			t.Fatalf("%d leaves are left", p.state.Metrics().Leaves)
		}
	}
	if inUse[1] != inUse[0] || inUse[2] != inUse[0] {
		t.Fatalf("%v nodes are in use after equal writes", inUse)
	}
}

// TestConcurrent reads and proves while blocks are applied; every answer is that of one height.
func TestConcurrent(t *testing.T) {
	s := suiteOf(t, "intl")
	const heights = 300
	state, err := Open(Config{Store: kv.NewMemory(), Suite: s, CacheBytes: 4096, sweepSlack: 8, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	block := func(h uint64) (writes []Write) {
		for i := range 20 {
			writes = append(writes, put(fmt.Sprint((int(h)*7+i)%90), fmt.Sprint(h)))
		}
		return writes
	}
	if _, err := state.Apply(0, block(0)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	errs := make(chan error, 4)
	var wg sync.WaitGroup
	for reader := range 3 {
		wg.Go(func() { errs <- readUntil(done, state, reader) })
	}
	for h := uint64(1); h < heights; h++ {
		if _, err := state.Apply(h, block(h)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// readUntil checks reads and proofs until done is closed, and once after that.
func readUntil(done chan struct{}, state *State, i int) error {
	for {
		i = (i + 1) % 95
		select {
		case <-done:
			return readOnce(state, fmt.Append(nil, i))
		default:
		}
		// The blocks may outrun a reader between its question for the height and the one for the proof.
		if err := readOnce(state, fmt.Append(nil, i)); err != nil && !errors.Is(err, ErrPruned) {
			return err
		}
	}
}

func readOnce(state *State, key []byte) error {
	value, height, ok, err := state.Get(key)
	if err != nil || ok && string(value) != fmt.Sprint(height) {
		return fmt.Errorf("get %s: %q of height %d, %w", key, value, height, err)
	}
	at := state.Height()
	proof, err := state.Prove(at, key)
	if err != nil {
		return fmt.Errorf("prove %s at %d: %w", key, at, err)
	}
	root, err := state.Root(at)
	if err != nil {
		return fmt.Errorf("root of %d: %w", at, err)
	}
	if _, _, _, err := merkle.VerifyState(state.cfg.Suite, root, proof, key); err != nil {
		return fmt.Errorf("verify %s at %d: %w", key, at, err)
	}
	if _, err := state.ProveWrite(at, key); err != nil && !errors.Is(err, ErrNotWritten) {
		return fmt.Errorf("prove write %s at %d: %w", key, at, err)
	}
	return nil
}

// TestCache checks the bound of the cache and that recently used entries outlive others.
func TestCache(t *testing.T) {
	c := newCache(cacheShards * 8192)
	for i := range 5000 {
		c.get([]byte("keep"))
		c.put(fmt.Append(nil, i), make([]byte, i%100), uint64(i))
		if i == 0 {
			c.put([]byte("keep"), []byte("v"), 7)
		}
		if total, _ := c.size(); total > cacheShards*8192 {
			t.Fatalf("the cache holds %d bytes", total)
		}
	}
	if v, h, ok := c.get([]byte("keep")); !ok || string(v) != "v" || h != 7 {
		t.Fatalf("the entry in use is gone: %q, %d, %t", v, h, ok)
	}
	if _, entries := c.size(); entries < 100 {
		t.Fatalf("the cache holds %d entries", entries)
	}
	c.put([]byte("keep"), make([]byte, 4000), 8)
	if _, _, ok := c.get([]byte("keep")); ok {
		t.Fatal("an entry of half a shard was kept, or the old one was")
	}
	c.put([]byte("x"), []byte("1"), 1)
	c.put([]byte("x"), []byte("2"), 2)
	c.remove([]byte("x"))
	if _, _, ok := c.get([]byte("x")); ok {
		t.Fatal("a removed entry is there")
	}
}

// TestConfig checks that every problem is reported at once.
func TestConfig(t *testing.T) {
	_, err := Open(Config{CacheBytes: -1, Workers: -1})
	if err == nil {
		t.Fatal("a bad configuration was accepted")
	}
	for _, field := range []string{"Store", "Suite", "CacheBytes", "Workers"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
}

// FuzzDecodeRow checks that what decodes encodes back.
func FuzzDecodeRow(f *testing.F) {
	for _, r := range []row{
		{height: 1, previous: merkle.HeightNone, key: []byte("k")},
		{height: 9, previous: 3, key: []byte("key"), value: []byte("value")},
		{deleted: true, height: 9, previous: 3, key: []byte("key")},
		{deleted: true, height: 9, previous: 9, key: []byte("key")},
		{height: 1, previous: merkle.HeightNone, key: make([]byte, merkle.KeyBytesMax+1)},
	} {
		f.Add(r.append(nil))
	}
	f.Add([]byte{kindValue})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRow(b)
		if err != nil {
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes back as %x", b, again)
		}
	})
}

// FuzzDecodeMarker checks that what decodes encodes back.
func FuzzDecodeMarker(f *testing.F) {
	for _, m := range []marker{
		{suite: 1, height: 7, first: 10, writes: 2, head: 13, tail: 4, leaves: 9},
		{suite: 2, first: 1, writes: 1, head: 2, expired: tombstone{height: 3}},
		{suite: 2, first: 9, writes: 9, head: 2},
		{base: true, suite: 2, height: 7, first: 3, head: 3, leaves: 3},
		{base: true, suite: 2, height: 7, first: 3, writes: 1, head: 4, leaves: 3},
	} {
		f.Add(m.append(nil))
	}
	f.Add(make([]byte, markerBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMarker(b)
		if err != nil {
			return
		}
		if again := m.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes back as %x", b, again)
		}
	})
}

// FuzzOpen puts arbitrary rows into a log: Open refuses it or returns a state that goes on.
func FuzzOpen(f *testing.F) {
	r := row{height: 1, previous: merkle.HeightNone, key: []byte("k")}
	m := marker{suite: 2, height: 1, writes: 1, head: 1, leaves: 1}
	f.Add(r.append(nil), m.append(nil))
	f.Add(m.append(nil), r.append(nil))
	base := marker{base: true, suite: 2, height: 1, first: 1, head: 1, leaves: 1}
	f.Add(r.append(nil), base.append(nil))
	s := suiteOf(f, "intl")
	f.Fuzz(func(t *testing.T, first, second []byte) {
		store := kv.NewMemory()
		b := store.NewBatch()
		b.Set(appendKey(nil, 0), first)
		b.Set(appendKey(nil, 1), second)
		if err := store.Apply(b, true); err != nil {
			return // larger than any row of a store
		}
		state, err := Open(Config{Store: store, Suite: s, CacheBytes: 1})
		if err != nil {
			return
		}
		if _, err := state.Apply(state.Height()+1, []Write{put("k", "v")}); err != nil {
			t.Fatalf("a log that opens does not go on: %v", err)
		}
	})
}
