package vm_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/internal/invariant"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// view is a state in memory; err is what reading it fails with.
type view struct {
	values map[string][]byte
	err    error
}

func (v view) Get(key []byte) ([]byte, bool, error) {
	b, ok := v.values[string(key)]
	return b, ok, v.err
}

// model is the slow twin of a journal: it copies everything at every mark.
type model struct {
	values map[string][]byte
	events []string
}

func (m *model) clone() *model { return &model{maps.Clone(m.values), slices.Clone(m.events)} }

// changes compares two states key by key.
func changes(before, after map[string][]byte) []vm.Change {
	var out []vm.Change
	keys := slices.Sorted(maps.Keys(before))
	for key := range after {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		was, had := before[key]
		is, has := after[key]
		if had != has || !bytes.Equal(was, is) {
			out = append(out, vm.Change{Key: []byte(key), Old: was, New: is})
		}
	}
	return out
}

// TestJournalAgainstCopies runs random writes, deletions, marks and reverts on a journal and on copies of a map.
func TestJournalAgainstCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		value := rapid.SliceOfN(rapid.Byte(), 0, 2)
		base := map[string][]byte{}
		for _, k := range rapid.SliceOfN(key, 0, 4).Draw(t, "base") {
			base[k] = append([]byte{}, value.Draw(t, "value")...)
		}
		j, m := vm.NewJournal(view{values: base}), &model{values: maps.Clone(base)}
		var marks []vm.Mark
		var copies []*model
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch k := key.Draw(t, "key"); rapid.IntRange(0, 6).Draw(t, "do") {
			case 0, 1:
				v := append([]byte{}, value.Draw(t, "value")...)
				j.Put([]byte(k), v)
				m.values[k] = v
			case 2:
				j.Delete([]byte(k))
				delete(m.values, k)
			case 3:
				j.Emit(ledger.Event{Kind: fmt.Sprint(step)})
				m.events = append(m.events, fmt.Sprint(step))
			case 4:
				marks, copies = append(marks, j.Mark()), append(copies, m.clone())
			case 5:
				if n := len(marks); n > 0 {
					at := rapid.IntRange(0, n-1).Draw(t, "mark")
					j.Revert(marks[at])
					m = copies[at].clone()
					marks, copies = marks[:at+1], copies[:at+1]
				}
			default:
				if got, want := j.Get([]byte(k)), m.values[k]; !bytes.Equal(got, want) || (got == nil) != (want == nil) {
					t.Fatalf("%s is %x, want %x", k, got, want)
				}
			}
		}
		if got, want := fmt.Sprintf("%q", j.Changes()), fmt.Sprintf("%q", changes(base, m.values)); got != want {
			t.Fatalf("changes %s, want %s", got, want)
		}
		if j.EventCount() != len(m.events) {
			t.Fatalf("%d events, want %d", j.EventCount(), len(m.events))
		}
		for i, e := range j.TakeEvents() {
			if e.Kind != m.events[i] {
				t.Fatalf("event %d is %s, want %s", i, e.Kind, m.events[i])
			}
		}
		if j.EventCount() != 0 || j.Err() != nil {
			t.Fatalf("%d events left, %v", j.EventCount(), j.Err())
		}
	})
}

// TestJournalKeepsTheFirstFailure: after a failed read nothing is there, and Err says why.
func TestJournalKeepsTheFirstFailure(t *testing.T) {
	broken := errors.New("broken")
	j := vm.NewJournal(view{values: map[string][]byte{"a": {1}}, err: broken})
	if j.Get([]byte("a")) != nil || !errors.Is(j.Err(), broken) {
		t.Fatalf("%x, %v", j.Get([]byte("a")), j.Err())
	}
}

// TestSettledStays: what was written before Settle is not taken back by a later mark, what comes after it is.
func TestSettledStays(t *testing.T) {
	j := vm.NewJournal(view{})
	j.Put([]byte("a"), []byte{1})
	j.Settle()
	m := j.Mark()
	j.Put([]byte("a"), []byte{2})
	j.Put([]byte("b"), []byte{3})
	j.Revert(m)
	if got := j.Changes(); len(got) != 1 || !bytes.Equal(got[0].New, []byte{1}) {
		t.Fatalf("%q", got)
	}
}

// TestRewrittenIsNoChange: a value that ends up as it was is not a change.
func TestRewrittenIsNoChange(t *testing.T) {
	j := vm.NewJournal(view{values: map[string][]byte{"a": {1}, "e": {}}})
	j.Put([]byte("a"), []byte{2})
	j.Put([]byte("a"), []byte{1})
	j.Put([]byte("b"), []byte{1})
	j.Delete([]byte("b"))
	if got := j.Changes(); len(got) != 0 {
		t.Fatalf("%q", got)
	}
	j.Delete([]byte("e"))
	if got := j.Changes(); len(got) != 1 || got[0].New != nil || got[0].Old == nil {
		t.Fatalf("%q", got)
	}
}

// TestPeekSeesWhatLoadDoes: a record that is kept decoded is never older than the value.
func TestPeekSeesWhatLoadDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := vm.NewJournal(view{values: map[string][]byte{"a": codec.MustMarshal(&ledger.ListHead{Count: 7})}})
		var marks []vm.Mark
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			key := []byte(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"))
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				vm.Store(j, key, &ledger.ListHead{Count: rapid.Uint64Range(0, 3).Draw(t, "count")})
			case 1:
				j.Delete(key)
			case 2:
				marks = append(marks, j.Mark())
			case 3:
				if n := len(marks); n > 0 {
					j.Revert(marks[n-1])
					marks = marks[:n-1]
				}
			default:
				peeked := vm.Peek[ledger.ListHead](j, key)
				loaded, ok := vm.Load[ledger.ListHead](j, key)
				if ok != (peeked != nil) || ok && *peeked != loaded {
					t.Fatalf("%s: peeked %v, loaded %v, %v", key, peeked, loaded, ok)
				}
			}
		}
	})
}

// TestListAgainstSlice keeps slots as natives do and compares with a slice.
func TestListAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, name := vm.NewJournal(view{}), ledger.LotsOf("p")
		var want []string
		slots := map[string]uint64{}
		for n := range rapid.IntRange(1, 120).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "do") > 0 || len(want) == 0 {
				item := fmt.Sprint("item ", n)
				slot := vm.Append(j, name, []byte(item))
				if slot != uint64(len(want)) {
					t.Fatalf("%s got slot %d of %d", item, slot, len(want))
				}
				slots[item], want = slot, append(want, item)
				continue
			}
			gone := rapid.SampledFrom(want).Draw(t, "gone")
			slot := slots[gone]
			moved := vm.Remove(j, name, slot)
			last := len(want) - 1
			if int(slot) == last && moved != nil || int(slot) != last && string(moved) != want[last] {
				t.Fatalf("removing %s moved %q", gone, moved)
			}
			slots[want[last]] = slot
			want[slot] = want[last]
			want = want[:last]
			delete(slots, gone)
		}
		if got := vm.Count(j, name); got != uint64(len(want)) {
			t.Fatalf("%d items, want %d", got, len(want))
		}
		for i, item := range want {
			if got := vm.Item(j, name, uint64(i)); string(got) != item {
				t.Fatalf("slot %d holds %s, want %s", i, got, item)
			}
		}
		if vm.Item(j, name, uint64(len(want))) != nil {
			t.Fatal("there is something behind the end")
		}
		pages := (len(want) + ledger.ListPageItems - 1) / ledger.ListPageItems
		if got := len(j.Changes()); got != pages+1 {
			t.Fatalf("%d entries for %d items", got, len(want))
		}
	})
}

// TestBrokenRecords: state that this program cannot have written stops it.
func TestBrokenRecords(t *testing.T) {
	for name, do := range map[string]func(j *vm.Journal){
		"not a record": func(j *vm.Journal) { vm.Load[ledger.Account](j, []byte("bad")) },
		"too large": func(j *vm.Journal) {
			vm.Store(j, []byte("x"), &ledger.Order{Note: string(make([]byte, ledger.StateValueBytesMax))})
		},
		"no such slot": func(j *vm.Journal) { vm.Remove(j, ledger.LotsOf("p"), 0) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*invariant.Violation); !ok {
					t.Errorf("%s: no violation", name)
				}
			}()
			do(vm.NewJournal(view{values: map[string][]byte{"bad": {0}}}))
		}()
	}
}

// TestContextIDs: ids differ by operation, number, transaction, and from those of boundary work.
func TestContextIDs(t *testing.T) {
	s, err := suite.ByID(suite.Intl)
	if err != nil {
		t.Fatal(err)
	}
	c := vm.Context{Suite: s, Network: suite.Hash{9}, Height: 4, Time: 20 * ledger.Hour, Tx: suite.Hash{1}, Op: 2}
	seen := map[suite.Hash]bool{c.NewID(0): true, c.NewID(1): true, c.BoundaryID(0): true, c.BoundaryID(1): true}
	if c.NewID(1) != ledger.DerivedID(s, c.Tx, 2, 1) {
		t.Error("a client cannot compute the id")
	}
	c.Op = 3
	seen[c.NewID(0)] = true
	c.Tx[0] = 2
	seen[c.NewID(0)] = true
	c.Height++
	seen[c.BoundaryID(0)] = true
	if len(seen) != 7 {
		t.Errorf("%d different ids of 7", len(seen))
	}
	if c.Today() != 1 {
		t.Errorf("20:00 UTC is on day %d at UTC+8", c.Today())
	}
}
