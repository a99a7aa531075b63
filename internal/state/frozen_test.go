package state

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/kv"
	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// frozenPair is a pair of which an old height is kept at times, and which moves into an imported copy at others.
type frozenPair struct {
	*pair
	frozen *Frozen
	old    *merkletest.Twin // of the frozen height
	next   suite.Hash       // where the next range begins
}

// TestFrozenTwin compares ranges of a frozen height with the twin's while blocks are applied, and goes on with states that were
// imported from them: their roots are those of the original for ever.
func TestFrozenTwin(t *testing.T) {
	for _, store := range []string{"memory", "log"} {
		t.Run(store, func(t *testing.T) {
			s := suiteOf(t, "intl")
			rapid.Check(t, func(rt *rapid.T) { checkFrozen(rt, s, stores[store]) })
		})
	}
}

func checkFrozen(t *rapid.T, s suite.Suite, open func(tb) kv.Store) {
	p := &frozenPair{pair: newPair(t, s, Config{Store: open(t), Workers: 1, sweepSlack: 8})}
	key := rapid.Map(rapid.IntRange(0, 60), func(n int) []byte { return fmt.Appendf(nil, "key %d", n) })
	p.apply(put("key 1", "first"))
	t.Repeat(map[string]func(*rapid.T){
		"apply": func(t *rapid.T) {
			p.t = t
			seen := map[string]bool{}
			var writes []Write
			for range rapid.IntRange(0, 12).Draw(t, "writes") {
				w := Write{Key: key.Draw(t, "key"), Delete: rapid.IntRange(0, 2).Draw(t, "delete") == 0}
				if !w.Delete {
					w.Value = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
				}
				if !seen[string(w.Key)] {
					seen[string(w.Key)] = true
					writes = append(writes, w)
				}
			}
			p.apply(writes...)
		},
		"quiet": func(t *rapid.T) {
			p.t = t
			p.quiet(rapid.SampledFrom([]int{1, 2, merkle.TombstoneHeights}).Draw(t, "heights"))
		},
		"reopen":  func(t *rapid.T) { p.t = t; p.frozen = nil; p.reopen() },
		"freeze":  func(t *rapid.T) { p.t = t; p.freeze() },
		"release": func(t *rapid.T) { p.t = t; p.release() },
		"range":   func(t *rapid.T) { p.t = t; p.checkRange(rapid.IntRange(1, 400).Draw(t, "bytes")) },
		"import":  func(t *rapid.T) { p.t = t; p.moveInto(open(t), rapid.IntRange(1, 900).Draw(t, "bytes")) },
		"": func(t *rapid.T) {
			p.t = t
			k := key.Draw(t, "look")
			p.checkHead(k)
			p.checkProof(p.height, p.twin, k)
		},
	})
}

func (p *frozenPair) freeze() {
	p.t.Helper()
	if p.frozen == nil {
		p.checkOlder()
	}
	f, err := p.state.Freeze(p.height)
	if p.frozen != nil {
		if !errors.Is(err, ErrFrozen) {
			p.t.Fatalf("frozen twice: %v", err)
		}
		return
	}
	if err != nil {
		p.t.Fatalf("freeze: %v", err)
	}
	p.frozen, p.old, p.next = f, p.twin.Clone(), suite.Hash{}
	if f.Roots().State != p.twin.StateRoot() || int(f.Len()) != p.twin.Len() || f.Height() > p.height {
		p.t.Fatalf("height %d with %d leaves is frozen, root %s; the twin has %d leaves, root %s", f.Height(), f.Len(), f.Roots().State,
			p.twin.Len(), p.twin.StateRoot())
	}
}

// checkOlder freezes a height a few blocks back.
func (p *frozenPair) checkOlder() {
	p.t.Helper()
	back := min(p.height, 5)
	old := p.past[p.height-back]
	if old == nil || old.Len() == 0 {
		return
	}
	for _, freeze := range []func() (*Frozen, error){
		func() (*Frozen, error) { return p.state.Freeze(p.height - back) },
		func() (*Frozen, error) { return p.state.FreezeFrom(p.height-back, p.height) },
	} {
		f, err := freeze()
		if errors.Is(err, ErrHeight) || errors.Is(err, ErrPruned) { // after an import, or with nothing written since
			continue
		}
		if err != nil {
			p.t.Fatalf("freeze: %v", err)
		}
		if twin := p.past[f.Height()]; twin != nil && (f.Roots().State != twin.StateRoot() || int(f.Len()) != twin.Len()) {
			p.t.Fatalf("the frozen height %d has root %s, the twin's is %s", f.Height(), f.Roots().State, twin.StateRoot())
		}
		f.Release()
	}
}

func (p *frozenPair) release() {
	if p.frozen != nil {
		p.frozen.Release()
		p.frozen = nil
	}
}

// checkRange compares the next range of the frozen height with the twin's, and verifies it.
func (p *frozenPair) checkRange(bytes int) *Range {
	p.t.Helper()
	if p.frozen == nil {
		return nil
	}
	r, err := p.frozen.Range(p.next, bytes)
	if err != nil {
		p.t.Fatalf("range from %s: %v", p.next, err)
	}
	to, leaves, stubs := p.old.Range(p.next, len(r.Entries))
	var want []Entry
	var proven []merkle.Leaf
	for _, l := range leaves {
		want = append(want, Entry{Key: l.Raw, Height: l.Height, Previous: l.Previous, Deleted: l.Deleted, Value: l.Value})
		proven = append(proven, p.old.MerkleLeaf(l))
	}
	if r.From != p.next || r.To != to || encode(r.Entries) != encode(want) || fmt.Sprint(r.Stubs) != fmt.Sprint(stubs) {
		p.t.Fatalf("range from %s: %+v\nthe twin's: to %s %+v %v", p.next, *r, to, want, stubs)
	}
	if err := merkle.VerifyRange(p.s, p.frozen.Roots().State, r.From, r.To, proven, r.Stubs); err != nil {
		p.t.Fatalf("range from %s: %v", p.next, err)
	}
	p.next = r.To
	return r
}

// moveInto makes a copy of the frozen height, brings it to the head, and goes on with it.
func (p *frozenPair) moveInto(store kv.Store, bytes int) {
	p.t.Helper()
	p.release()
	p.freeze()
	cfg := p.cfg
	cfg.Store = store
	im, err := NewImporter(cfg, p.frozen.Height())
	if err != nil {
		p.t.Fatalf("import: %v", err)
	}
	for done := false; !done; done = p.next.IsZero() {
		if err := im.Add(p.checkRange(bytes).Entries); err != nil {
			p.t.Fatalf("import: %v", err)
		}
	}
	roots := p.frozen.Roots()
	if err := im.Finish(roots); err != nil {
		p.t.Fatalf("import: %v", err)
	}
	height := p.frozen.Height()
	p.release()
	p.cfg = cfg
	p.open()
	got, err := p.state.RootsAt(height)
	if err != nil || got != roots || p.state.Height() != height {
		p.t.Fatalf("the import of height %d has height %d and roots %v, %v; want %v", height, p.state.Height(), got, err, roots)
	}
	if height > 0 {
		if _, err := p.state.RootsAt(height - 1); !errors.Is(err, ErrPruned) {
			p.t.Fatalf("the import of height %d knows the height before: %v", height, err)
		}
	}
	if _, err := p.state.ProveWrite(height, []byte("key 1")); !errors.Is(err, ErrPruned) {
		p.t.Fatalf("the import of height %d proves what it wrote: %v", height, err)
	}
	for p.state.Height() < p.height {
		if _, err := p.state.Apply(p.state.Height()+1, nil); err != nil {
			p.t.Fatalf("quiet height: %v", err)
		}
	}
}

// TestFrozenOutlivesItsRows freezes a height of a log that is swept all the time: its rows stay until it is released.
func TestFrozenOutlivesItsRows(t *testing.T) {
	s := suiteOf(t, "intl")
	state, err := Open(Config{Store: kv.NewMemory(), Suite: s, sweepSlack: 1, sweepFar: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	apply := func(writes ...Write) {
		t.Helper()
		if _, err := state.Apply(next, writes); err != nil {
			t.Fatal(err)
		}
		next++
	}
	var writes []Write
	for i := range 200 {
		writes = append(writes, put(fmt.Sprintf("key %d", i), "first"))
	}
	apply(writes...)
	f, err := state.Freeze(next)
	if err != nil {
		t.Fatal(err)
	}
	rounds := func() {
		for round := range 4 * HistoryBlocks {
			apply(put(fmt.Sprintf("key %d", round%200), fmt.Sprint(round)), del(fmt.Sprintf("key %d", (round+77)%200)))
		}
	}
	rounds()
	for from, done := (suite.Hash{}), false; !done; done = from.IsZero() {
		r, err := f.Range(from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Entries {
			if string(e.Value) != "first" || e.Height != 0 {
				t.Fatalf("the frozen height has %q of height %d", e.Value, e.Height)
			}
		}
		from = r.To
	}
	tail, live := state.tail, state.tree.nodes.live()
	f.Release()
	if after := state.tree.nodes.live(); after >= live {
		t.Errorf("%d nodes are in use after the release, %d were before", after, live)
	}
	rounds()
	if tail != 0 || state.tail == 0 {
		t.Errorf("the log began at row %d while the height was frozen, and at %d later", tail, state.tail)
	}
	if f, err = state.Freeze(next); err != nil {
		t.Fatal(err)
	}
	heights := 0
	f.Heights(func(h uint64) {
		if h >= next {
			t.Errorf("a leaf of height %d", h)
		}
		heights++
	})
	if heights == 0 || heights >= 200 {
		t.Errorf("%d of 200 leaves have a value; a part was deleted", heights)
	}
	f.Release()
	f.Release() // harmless
}

// TestFrozenGivesUp freezes a height of a log that grows far too long meanwhile: the reader is told.
func TestFrozenGivesUp(t *testing.T) {
	s := suiteOf(t, "intl")
	p := &frozenPair{pair: newPair(t, s, Config{Store: kv.NewMemory(), sweepSlack: 1, sweepFar: 1})}
	p.apply(put("a", "1"), put("b", "1"))
	p.freeze()
	for round := range 3 * HistoryBlocks {
		p.apply(put("a", fmt.Sprint(round)))
	}
	if _, err := p.frozen.Range(suite.Hash{}, 1000); !errors.Is(err, ErrPruned) {
		t.Fatalf("after its rows left the log: %v", err)
	}
}

func TestImportRefuses(t *testing.T) {
	s := suiteOf(t, "intl")
	store := kv.NewMemory()
	if _, err := NewImporter(Config{Suite: s}, 1); err == nil {
		t.Error("no store is a configuration")
	}
	im, err := NewImporter(Config{Store: store, Suite: s}, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Finish(Roots{}); err == nil {
		t.Error("nothing is a state")
	}
	good := Entry{Key: []byte("k"), Height: 3, Previous: merkle.HeightNone, Value: []byte("v")}
	for name, change := range map[string]func(e *Entry){
		"without a key":           func(e *Entry) { e.Key = nil },
		"of a later height":       func(e *Entry) { e.Height = 8 },
		"after itself":            func(e *Entry) { e.Previous = 3 },
		"deleted with a value":    func(e *Entry) { e.Deleted, e.Previous = true, 1 },
		"deleted without another": func(e *Entry) { e.Deleted, e.Value = true, nil },
		"that is too large":       func(e *Entry) { e.Value = make([]byte, merkle.ValueBytesMax+1) },
	} {
		bad := good
		change(&bad)
		if err := im.Add([]Entry{bad}); err == nil {
			t.Errorf("an entry %s is taken", name)
		}
	}
	if err := im.Add([]Entry{good}); err != nil {
		t.Fatal(err)
	}
	if err := im.Finish(Roots{State: suite.Hash{1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Store: store, Suite: s}); !errors.Is(err, ErrRoot) {
		t.Errorf("a state under another root opens: %v", err)
	}
	if _, err := NewImporter(Config{Store: store, Suite: s}, 7); err == nil {
		t.Error("a store that is not empty is taken")
	}
}
