package state

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"aval/internal/kv"
	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

func suiteOf(t testing.TB, name string) suite.Suite {
	t.Helper()
	s, err := suite.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tb is what a test and a property check have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// pair is a state and its twin, with the twin's copies at the newest heights.
type pair struct {
	t     tb
	s     suite.Suite
	cfg   Config
	state *State
	twin  *merkletest.Twin
	// past are copies of the twin by height; writes the heights that wrote something.
	past   map[uint64]*merkletest.Twin
	height uint64
	empty  bool
}

func newPair(t tb, s suite.Suite, c Config) *pair {
	p := &pair{t: t, s: s, cfg: c, twin: merkletest.NewTwin(s), past: map[uint64]*merkletest.Twin{}, empty: true}
	p.cfg.Suite = s
	p.open()
	return p
}

func (p *pair) open() {
	p.t.Helper()
	var err error
	if p.state, err = Open(p.cfg); err != nil {
		p.t.Fatalf("open: %v", err)
	}
}

// reopen opens the state again and applies the quiet heights that it does not remember.
func (p *pair) reopen() {
	p.t.Helper()
	p.open()
	for !p.empty && (p.state.Empty() || p.state.Height() < p.height) {
		h := p.state.Height() + 1
		if p.state.Empty() {
			h = 0
		}
		if _, err := p.state.Apply(h, nil); err != nil {
			p.t.Fatalf("replay quiet height %d: %v", h, err)
		}
	}
}

// apply applies writes to both and compares the roots.
func (p *pair) apply(writes ...Write) Roots {
	p.t.Helper()
	if !p.empty {
		p.height++
	}
	p.empty = false
	var tw []merkletest.Write
	for _, w := range writes {
		tw = append(tw, merkletest.Write{Key: w.Key, Value: w.Value, Delete: w.Delete})
	}
	p.twin.Apply(p.height, tw)
	p.past[p.height] = p.twin.Clone()
	got, err := p.state.Apply(p.height, writes)
	if err != nil {
		p.t.Fatalf("apply height %d: %v", p.height, err)
	}
	want := Roots{p.twin.StateRoot(), p.twin.WriteRoot()}
	if got != want {
		p.t.Fatalf("height %d: roots %s, %s; the twin has %s, %s", p.height, got.State, got.WriteSet, want.State, want.WriteSet)
	}
	if p.state.Height() != p.height || p.state.Empty() {
		p.t.Fatalf("height %d, empty %t; want %d", p.state.Height(), p.state.Empty(), p.height)
	}
	return got
}

// quiet applies n heights without writes.
func (p *pair) quiet(n int) {
	p.t.Helper()
	for range n {
		p.height++
		if _, err := p.state.Apply(p.height, nil); err != nil {
			p.t.Fatalf("apply quiet height %d: %v", p.height, err)
		}
	}
	p.twin.Apply(p.height, nil)
	p.past[p.height] = p.twin.Clone()
}

// checkKey compares everything that is said about key, at every height that is kept.
func (p *pair) checkKey(key []byte) {
	p.t.Helper()
	p.checkHead(key)
	for back := range uint64(UndoHeights + 1) {
		p.checkBack(back, key)
	}
}

// checkHead compares what is read under key.
func (p *pair) checkHead(key []byte) {
	p.t.Helper()
	value, height, ok, err := p.state.Get(key)
	wantValue, wantHeight, wantOK := p.twin.Get(key)
	if err != nil || ok != wantOK || height != wantHeight || !bytes.Equal(value, wantValue) {
		p.t.Fatalf("get %q at height %d: %q of height %d, %t, %v; want %q of height %d, %t",
			key, p.height, value, height, ok, err, wantValue, wantHeight, wantOK)
	}
	if !p.state.cache.holds(key, wantValue, wantHeight) {
		p.t.Fatalf("the cache has another value for %q", key)
	}
}

// checkBack compares what is proved about key some heights back, if the twin of that height is kept.
func (p *pair) checkBack(back uint64, key []byte) {
	p.t.Helper()
	if back > p.height || p.past[p.height-back] == nil {
		return
	}
	at := p.height - back
	p.checkProof(at, p.past[at], key)
	p.checkWriteProof(at, p.past[at], key)
}

func (p *pair) checkProof(at uint64, twin *merkletest.Twin, key []byte) {
	p.t.Helper()
	proof, err := p.state.Prove(at, key)
	if err != nil {
		p.t.Fatalf("prove %q at height %d: %v", key, at, err)
	}
	if want := twin.Prove(key); fmt.Sprint(*proof) != fmt.Sprint(*want) {
		p.t.Fatalf("proof of %q at height %d:\n%v\nthe twin's:\n%v", key, at, *proof, *want)
	}
	value, _, present, err := merkle.VerifyState(p.s, twin.StateRoot(), proof, key)
	wantValue, _, wantPresent := twin.Get(key)
	if err != nil || present != wantPresent || !bytes.Equal(value, wantValue) {
		p.t.Fatalf("verify %q at height %d: %q, %t, %v; want %q, %t", key, at, value, present, err, wantValue, wantPresent)
	}
	root, err := p.state.Root(at)
	if err != nil || root != twin.StateRoot() {
		p.t.Fatalf("root of height %d: %s, %v; want %s", at, root, err, twin.StateRoot())
	}
}

func (p *pair) checkWriteProof(at uint64, twin *merkletest.Twin, key []byte) {
	p.t.Helper()
	want := twin.ProveWrite(key)
	proof, err := p.state.ProveWrite(at, key)
	if want == nil {
		if !errors.Is(err, ErrNotWritten) {
			p.t.Fatalf("prove a write that was not made, %q at height %d: %v", key, at, err)
		}
		return
	}
	if err != nil || fmt.Sprint(*proof) != fmt.Sprint(*want) {
		p.t.Fatalf("write proof of %q at height %d: %v\n%v\nthe twin's:\n%v", key, at, err, proof, *want)
	}
	roots, err := p.state.RootsAt(at)
	if err != nil {
		p.t.Fatalf("roots of height %d: %v", at, err)
	}
	got, err := merkle.VerifyWrite(p.s, roots.WriteSet, at, proof, key)
	if err != nil || got.Deleted != want.Deleted || got.Previous != want.Previous || !bytes.Equal(got.Value, want.Value) {
		p.t.Fatalf("verify write of %q at height %d: %v, %v; want %v", key, at, got, err, want)
	}
}

func put(key, value string) Write { return Write{Key: []byte(key), Value: []byte(value)} }
func del(key string) Write        { return Write{Key: []byte(key), Delete: true} }

// stores are the stores that the properties are checked on.
var stores = map[string]func(t tb) kv.Store{
	"memory": func(tb) kv.Store { return kv.NewMemory() },
	"log": func(t tb) kv.Store {
		l, err := kv.OpenLog(kv.LogConfig{Dir: "state", SegmentBytes: 64 << 10, FS: vfs.NewMem()})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		return l
	},
}

// TestTwin compares the state with the naive recursive twin under random writes, deletions, quiet heights, reopenings
// and proofs of every kind.
func TestTwin(t *testing.T) {
	for _, name := range []string{"sm", "intl"} {
		for _, store := range []string{"memory", "log"} {
			t.Run(name+"/"+store, func(t *testing.T) {
				s := suiteOf(t, name)
				rapid.Check(t, func(rt *rapid.T) { checkTwin(rt, s, stores[store]) })
			})
		}
	}
}

func checkTwin(t *rapid.T, s suite.Suite, open func(tb) kv.Store) {
	store := open(t)
	p := newPair(t, s, Config{Store: store, CacheBytes: rapid.SampledFrom([]int{0, 1, 32 << 10}).Draw(t, "cache"),
		Workers: rapid.IntRange(1, 4).Draw(t, "workers"), sweepSlack: 8})
	key := rapid.Map(rapid.IntRange(0, 60), func(n int) []byte { return fmt.Appendf(nil, "key %d", n) })
	t.Repeat(map[string]func(*rapid.T){
		"apply": func(t *rapid.T) {
			p.t = t
			seen := map[string]bool{}
			var writes []Write
			for range rapid.IntRange(0, 12).Draw(t, "writes") {
				k := key.Draw(t, "key")
				if seen[string(k)] {
					continue
				}
				seen[string(k)] = true
				if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
					writes = append(writes, Write{Key: k, Delete: true})
				} else {
					writes = append(writes, Write{Key: k, Value: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")})
				}
			}
			p.apply(writes...)
		},
		"quiet": func(t *rapid.T) {
			p.t = t
			if p.empty {
				return
			}
			p.quiet(rapid.SampledFrom([]int{1, 2, 30, merkle.TombstoneHeights}).Draw(t, "heights"))
		},
		"reopen": func(t *rapid.T) { p.t = t; p.reopen() },
		"": func(t *rapid.T) {
			p.t = t
			if p.empty {
				return
			}
			k := key.Draw(t, "look")
			p.checkHead(k)
			p.checkBack(0, k)
			p.checkBack(uint64(rapid.IntRange(1, UndoHeights).Draw(t, "back")), k)
		},
	})
	if err := store.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// TestOrder checks that roots do not depend on the order of writes or on the number of threads.
func TestOrder(t *testing.T) {
	s := suiteOf(t, "sm")
	const n = 3000
	var want Roots
	for i, workers := range []int{1, 2, 8} {
		state, err := Open(Config{Store: kv.NewMemory(), Suite: s, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		var writes []Write
		for j := range n {
			// 7 and n are coprime: each run has another order.
			k := (j*(1+6*i) + i) % n
			writes = append(writes, put(fmt.Sprint(k), fmt.Sprintf("value %d", k)))
		}
		got, err := state.Apply(0, writes)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = got
			twin := merkletest.NewTwin(s)
			var tw []merkletest.Write
			for _, w := range writes {
				tw = append(tw, merkletest.Write{Key: w.Key, Value: w.Value})
			}
			twin.Apply(0, tw)
			if twin.StateRoot() != want.State || twin.WriteRoot() != want.WriteSet {
				t.Fatal("the twin has other roots")
			}
		} else if got != want {
			t.Fatalf("%d workers: %v, want %v", workers, got, want)
		}
	}
}
