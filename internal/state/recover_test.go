package state

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"aval/internal/kv"
	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// script is a history of blocks in which every kind of row is written and rows are copied and deleted.
func script(height uint64) []Write {
	switch height % 4 {
	case 3:
		return nil
	case 2:
		return []Write{put("hot", fmt.Sprint(height)), del(fmt.Sprintf("key %d", height-2)), del("absent")}
	}
	return []Write{put("hot", fmt.Sprint(height)), put(fmt.Sprintf("key %d", height), "v"), put("warm", fmt.Sprint(height))}
}

func twinWrites(writes []Write) (out []merkletest.Write) {
	for _, w := range writes {
		out = append(out, merkletest.Write{Key: w.Key, Value: w.Value, Delete: w.Delete})
	}
	return out
}

// TestCrash crashes at every single change that a history of blocks makes to the store, lets every possible number of
// the newest batches survive, and checks that what is opened is exactly one height, old or new, and goes on from there.
func TestCrash(t *testing.T) {
	s := suiteOf(t, "intl")
	const heights = 14
	roots := make([]suite.Hash, heights)
	twin := merkletest.NewTwin(s)
	for h := range uint64(heights) {
		twin.Apply(h, twinWrites(script(h)))
		roots[h] = twin.StateRoot()
	}
	for _, sync := range []bool{false, true} {
		for crash, crashed := 1, true; crashed; crash++ {
			for survivors, last := 0, false; !last; survivors++ {
				crashed, last = crashOnce(t, Config{Suite: s, Sync: sync}, roots, crash, survivors)
			}
		}
	}
}

// crashOnce reports whether the crash happened, and whether more survivors are impossible.
func crashOnce(t *testing.T, c Config, roots []suite.Hash, crash, survivors int) (crashed, last bool) {
	t.Helper()
	store, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{CrashAtWrite: crash})
	if err != nil {
		t.Fatal(err)
	}
	c.Store = store
	state, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	reached := -1 // the last height whose Apply returned
	for h := range uint64(len(roots)) {
		if _, err = state.Apply(h, script(h)); err != nil {
			break
		}
		reached = int(h)
	}
	if err == nil {
		return false, true
	}
	if !errors.Is(err, kv.ErrCrashed) {
		t.Fatalf("crash at change %d: %v", crash, err)
	}
	if _, err := state.Apply(uint64(reached+1), nil); !errors.Is(err, ErrStopped) {
		t.Fatalf("apply after a crash: %v", err)
	}
	unsynced := store.Unsynced()
	if err := store.Restart(min(survivors, unsynced)); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("sync %t, crash at change %d, %d of %d survive", c.Sync, crash, survivors, unsynced)
	checkRecovered(t, c, roots, name, reached, survivors == unsynced)
	return true, survivors >= unsynced
}

// checkRecovered opens the state after a crash and plays the rest of the history.
func checkRecovered(t *testing.T, c Config, roots []suite.Hash, name string, reached int, all bool) {
	t.Helper()
	state, err := Open(c)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	from := 0
	if !state.Empty() {
		at := state.Height()
		from = int(at) + 1
		if root, err := state.Root(at); err != nil || root != roots[at] {
			t.Fatalf("%s: height %d has root %s, %v; want %s", name, at, root, err, roots[at])
		}
	}
	// Quiet heights leave no row, so the last one with writes is what can be asked for.
	durable := reached
	for durable >= 0 && script(uint64(durable)) == nil {
		durable--
	}
	if from > reached+2 || (all || c.Sync) && from < durable+1 {
		t.Fatalf("%s: opened at %d, height %d was reached", name, from-1, reached)
	}
	for h := uint64(from); h < uint64(len(roots)); h++ {
		got, err := state.Apply(h, script(h))
		if err != nil || got.State != roots[h] {
			t.Fatalf("%s: height %d again: %s, %v; want %s", name, h, got.State, err, roots[h])
		}
	}
}

// TestStoreErrors injects an error into every read and write of the store: Apply and Open return it, and a state that is
// opened again is right.
func TestStoreErrors(t *testing.T) {
	s := suiteOf(t, "intl")
	store, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: store, Suite: s, CacheBytes: 1}
	p := newPair(t, s, cfg)
	for range 40 {
		p.apply(script(p.height)...)
	}
	store.Arm(kv.Faults{ApplyErrorAt: 1})
	if _, err := p.state.Apply(p.height+1, []Write{put("x", "y")}); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("apply: %v", err)
	}
	if root, err := p.state.Root(p.height); err != nil || root != p.twin.StateRoot() {
		t.Fatalf("a failed apply changed the head: %s, %v", root, err)
	}
	if _, err := p.state.Apply(p.height+1, []Write{put("x", "y")}); !errors.Is(err, ErrStopped) {
		t.Fatalf("apply after a failure: %v", err)
	}
	store.Arm(kv.Faults{GetErrorAt: 1})
	if _, _, _, err := p.state.Get([]byte("hot")); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("get: %v", err)
	}
	store.Arm(kv.Faults{GetErrorAt: 1})
	if _, err := p.state.Prove(p.height, []byte("hot")); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("prove: %v", err)
	}
	for at := 1; ; at++ {
		store.Arm(kv.Faults{GetErrorAt: at, IterateErrorAt: at})
		_, err := Open(cfg)
		if err == nil {
			break
		}
		if !errors.Is(err, kv.ErrInjected) {
			t.Fatalf("open with an error in call %d: %v", at, err)
		}
		if at > 1000 {
			t.Fatal("open fails for ever")
		}
	}
	store.Arm(kv.Faults{})
	p.reopen()
	p.apply(put("x", "y"))
	p.checkKey([]byte("hot"))
}

// TestSweep runs long enough for the log's beginning to advance over many rows, on a state with cold, warm and hot keys,
// and checks that the log stays in proportion, that everything is still there, and that it opens.
func TestSweep(t *testing.T) {
	s := suiteOf(t, "intl")
	store := kv.NewMemory()
	p := newPair(t, s, Config{Store: store, CacheBytes: 1, sweepSlack: 16})
	var cold []Write
	for i := range 300 {
		cold = append(cold, put(fmt.Sprintf("cold %d", i), fmt.Sprint(i)))
	}
	const blocks = 4 * HistoryBlocks
	var roots []Roots
	copied := uint64(0)
	apply := func(writes []Write) {
		h := uint64(len(roots))
		r, err := p.state.Apply(h, writes)
		if err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
		roots = append(roots, r)
		p.twin.Apply(h, twinWrites(writes))
		// The twin's copies are needed where something is proved: here and there, and at the end.
		if h%997 < UndoHeights || h+UndoHeights >= blocks {
			p.past[h] = p.twin.Clone()
		}
		p.height, p.empty = h, false
	}
	apply(cold)
	for i := range blocks {
		apply([]Write{put("hot", fmt.Sprint(i)), put(fmt.Sprintf("warm %d", i%50), fmt.Sprint(i))})
		if i%997 == UndoHeights {
			copied += p.state.Metrics().CopiedRows
			p.reopen()
			p.checkKey([]byte("hot"))
			p.checkKey([]byte("cold 7"))
		}
	}
	m := p.state.Metrics()
	// Every block of the window has two writes and a marker.
	if due := 2*(m.Leaves+3*HistoryBlocks) + 16; m.LogRows > due+100 {
		t.Fatalf("the log has %d rows, its due is %d", m.LogRows, due)
	}
	if copied == 0 {
		t.Fatal("no row was copied")
	}
	rows := 0
	err := store.Iterate(kv.Range{Limit: kv.RowsMax}, func(_, _ []byte) error { rows++; return nil })
	if err != nil || uint64(rows) > m.LogRows+100 {
		t.Fatalf("the store has %d rows, the log %d, %v", rows, m.LogRows, err)
	}
	for i := range 300 {
		p.checkHead(fmt.Appendf(nil, "cold %d", i))
		p.checkBack(uint64(i%(UndoHeights+1)), fmt.Appendf(nil, "cold %d", i))
	}
	for i := range 50 {
		p.checkHead(fmt.Appendf(nil, "warm %d", i))
		p.checkBack(uint64(i%(UndoHeights+1)), fmt.Appendf(nil, "warm %d", i))
	}
	if root, err := p.state.Root(p.height); err != nil || root != p.twin.StateRoot() {
		t.Fatalf("root %s, %v; the twin has %s", root, err, p.twin.StateRoot())
	}
	checkWindow(t, p, s, roots)
}

// checkWindow proves a write of every height of the window, and asks for one beyond it.
func checkWindow(t *testing.T, p *pair, s suite.Suite, roots []Roots) {
	t.Helper()
	for back := range uint64(HistoryBlocks) {
		h := p.height - back
		proof, err := p.state.ProveWrite(h, []byte("hot"))
		if err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
		if _, err := merkle.VerifyWrite(s, roots[h].WriteSet, h, proof, []byte("hot")); err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
		if got, err := p.state.RootsAt(h); err != nil || got != roots[h] {
			t.Fatalf("roots of height %d: %v, %v; want %v", h, got, err, roots[h])
		}
	}
	old := p.height - HistoryBlocks
	if _, err := p.state.ProveWrite(old, []byte("hot")); !errors.Is(err, ErrPruned) {
		t.Fatalf("a write beyond the window: %v", err)
	}
	if _, err := p.state.RootsAt(old); !errors.Is(err, ErrPruned) {
		t.Fatalf("roots beyond the window: %v", err)
	}
	if _, err := p.state.Prove(p.height-UndoHeights-1, []byte("hot")); !errors.Is(err, ErrPruned) {
		t.Fatalf("a proof beyond the undo heights: %v", err)
	}
}

// TestLongLog checks the way out when rows that older versions need hold the log's beginning for too long: they are
// given up, proofs of those versions say so, and Open serves the head alone.
func TestLongLog(t *testing.T) {
	s := suiteOf(t, "intl")
	store := kv.NewMemory()
	// At first the log may grow without bound.
	p := newPair(t, s, Config{Store: store, CacheBytes: 1, sweepSlack: 1 << 30})
	const slow = 64
	var first []Write
	for i := range slow {
		first = append(first, put(fmt.Sprintf("slow %d", i), "v"))
	}
	p.apply(first...)
	for range 3 * HistoryBlocks {
		p.apply(put("hot", "v"))
		clear(p.past)
	}
	order := p.rowsOf(t, first)
	p.cfg.sweepSlack = 1
	p.state.cfg.sweepSlack, p.state.cfg.sweepFar = 1, 0
	// Rows at the log's beginning are overwritten just before they are gone over.
	for i := range first {
		first[i].Value = []byte("w")
	}
	p.apply(first...)
	at := p.height - 1
	p.apply(put("hot", "v"))
	pruned := 0
	for _, key := range order {
		if _, err := p.state.Prove(at, []byte(key)); errors.Is(err, ErrPruned) {
			pruned++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if pruned == 0 {
		t.Fatal("no row was given up")
	}
	p.past = map[uint64]*merkletest.Twin{p.height: p.twin.Clone()}
	p.reopen()
	if len(p.state.versions) != 1 {
		t.Fatalf("%d versions were rebuilt", len(p.state.versions))
	}
	for _, key := range order {
		p.checkKey([]byte(key))
	}
	p.apply(put("hot", "w"))
}

// rowsOf returns the keys of writes in the order of their rows.
func (p *pair) rowsOf(t *testing.T, writes []Write) (keys []string) {
	t.Helper()
	err := p.state.scan(0, uint64(len(writes)), func(_ uint64, value []byte) error {
		r, err := decodeRow(value)
		keys = append(keys, string(r.key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestDamage changes, removes and adds rows of a log and checks that Open refuses each with an error that says why.
func TestDamage(t *testing.T) {
	s := suiteOf(t, "intl")
	fill := func() *kv.Memory {
		store := kv.NewMemory()
		p := newPair(t, s, Config{Store: store})
		for range 30 {
			p.apply(script(p.height)...)
		}
		return store
	}
	var keys, values [][]byte
	err := fill().Iterate(kv.Range{Limit: kv.RowsMax}, func(key, value []byte) error {
		keys, values = append(keys, append([]byte(nil), key...)), append(values, append([]byte(nil), value...))
		return nil
	})
	if err != nil || len(keys) < 60 {
		t.Fatal(len(keys), err)
	}
	refuse := func(name string, want error, damage func(b *kv.Batch)) {
		t.Helper()
		store := fill()
		b := store.NewBatch()
		damage(b)
		if err := store.Apply(b, true); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Store: store, Suite: s}); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", name, err, want)
		}
	}
	for i := range keys {
		refuse(fmt.Sprintf("row %d truncated", i), ErrDamaged, func(b *kv.Batch) { b.Set(keys[i], values[i][:5]) })
	}
	end := len(keys) - 1
	refuse("a row missing", ErrDamaged, func(b *kv.Batch) { b.Delete(keys[4]) })
	refuse("the marker missing", ErrDamaged, func(b *kv.Batch) { b.Delete(keys[end]) })
	refuse("the beginning missing", ErrDamaged, func(b *kv.Batch) { b.DeleteRange(keys[0], keys[9]) })
	refuse("a row after the end", ErrDamaged, func(b *kv.Batch) { b.Set(appendKey(nil, uint64(end+1)), values[0]) })
	refuse("a foreign row before", ErrDamaged, func(b *kv.Batch) { b.Set([]byte("A"), nil) })
	refuse("a foreign row after", ErrDamaged, func(b *kv.Batch) { b.Set([]byte("Z"), nil) })
	refuse("another suite", ErrSuite, func(b *kv.Batch) { b.Set(keys[end], with(values[end], 2, byte(suite.SM))) })
	refuse("another state root", ErrRoot, func(b *kv.Batch) { b.Set(keys[end], with(values[end], 60, 0xaa)) })
	refuse("another write-set root", ErrRoot, func(b *kv.Batch) { b.Set(keys[end], with(values[end], 90, 0xaa)) })
	refuse("another number of leaves", ErrRoot, func(b *kv.Batch) { b.Set(keys[end], with(values[end], 50, 0xaa)) })
	store := fill()
	b := store.NewBatch()
	b.Set(keys[end], with(values[end], 1, merkle.Scheme+1))
	if err := store.Apply(b, true); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Store: store, Suite: s}); err == nil {
		t.Error("another scheme was accepted")
	}
}

// TestDamagedRow changes the last byte of every write of a log: if Open does not need the row, ProveWrite says so.
func TestDamagedRow(t *testing.T) {
	s := suiteOf(t, "intl")
	opened := 0
	for seq := uint64(0); ; seq++ {
		store := kv.NewMemory()
		p := newPair(t, s, Config{Store: store})
		for range 30 {
			p.apply(script(p.height)...)
		}
		value, err := store.Get(appendKey(nil, seq))
		if errors.Is(err, kv.ErrNotFound) {
			break
		}
		r, err := decodeRow(value)
		if err != nil {
			continue // a marker
		}
		b := store.NewBatch()
		b.Set(appendKey(nil, seq), with(value, len(value)-1, value[len(value)-1]^1))
		if err := store.Apply(b, true); err != nil {
			t.Fatal(err)
		}
		state, err := Open(Config{Store: store, Suite: s})
		if err == nil {
			opened++
			_, err = state.ProveWrite(r.height, r.key)
		}
		if !errors.Is(err, ErrRoot) && !errors.Is(err, ErrDamaged) {
			t.Fatalf("row %d, %q of height %d: %v", seq, r.key, r.height, err)
		}
	}
	if opened == 0 {
		t.Fatal("no log opened; the write proofs were not tried")
	}
}

func with(b []byte, at int, to byte) []byte {
	out := append([]byte(nil), b...)
	out[at] = to
	return out
}

// TestVectors plays the histories of the golden vectors.
func TestVectors(t *testing.T) {
	for _, name := range []string{"sm", "intl"} {
		b, err := os.ReadFile("../../testdata/vectors/merkle-" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var v vectorFile
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		state, err := Open(Config{Store: kv.NewMemory(), Suite: suiteOf(t, name)})
		if err != nil || len(v.Blocks) < 5 {
			t.Fatal(len(v.Blocks), err)
		}
		for _, b := range v.Blocks {
			for !state.Empty() && state.Height()+1 < b.Height {
				if _, err := state.Apply(state.Height()+1, nil); err != nil {
					t.Fatal(err)
				}
			}
			checkVector(t, state, &b)
		}
	}
}

type vectorFile struct {
	Blocks []vectorBlock
}

type vectorBlock struct {
	Height uint64 `json:",string"`
	Writes []struct {
		Key, Value string
		Delete     bool
	}
	StateRoot string `json:"state_root"`
	WriteRoot string `json:"write_root"`
	States    []struct{ Key, Proof string }
	Written   []struct{ Key, Proof string }
}

func checkVector(t *testing.T, state *State, b *vectorBlock) {
	t.Helper()
	unhex := func(s string) []byte {
		out, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var writes []Write
	for _, w := range b.Writes {
		writes = append(writes, Write{Key: unhex(w.Key), Value: unhex(w.Value), Delete: w.Delete})
	}
	got, err := state.Apply(b.Height, writes)
	if err != nil || got.State.String() != b.StateRoot || got.WriteSet.String() != b.WriteRoot {
		t.Fatalf("height %d: %s, %s, %v; want %s, %s", b.Height, got.State, got.WriteSet, err, b.StateRoot, b.WriteRoot)
	}
	for _, v := range b.States {
		p, err := state.Prove(b.Height, unhex(v.Key))
		if err != nil || encode(p) != v.Proof {
			t.Errorf("height %d, key %s: proof %v, %v", b.Height, v.Key, p, err)
		}
	}
	for _, v := range b.Written {
		p, err := state.ProveWrite(b.Height, unhex(v.Key))
		if err != nil || encode(p) != v.Proof {
			t.Errorf("height %d, key %s: write proof %v, %v", b.Height, v.Key, p, err)
		}
	}
}
