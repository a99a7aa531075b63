package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"aval/internal/kv"
)

// Opener makes a new empty store for one test. Reopen, if not nil, closes the store and opens the same rows again.
type Opener func(t TB) (store kv.Store, reopen func() kv.Store)

// TB is what a test and a property check have in common.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Run runs the suite against the stores that open makes.
func Run(t *testing.T, open Opener) {
	t.Run("Rows", func(t *testing.T) { rows(t, open) })
	t.Run("Ranges", func(t *testing.T) { ranges(t, open) })
	t.Run("Bounds", func(t *testing.T) { bounds(t, open) })
	t.Run("Batches", func(t *testing.T) { batches(t, open) })
	t.Run("Snapshot", func(t *testing.T) { snapshot(t, open) })
	t.Run("Owned", func(t *testing.T) { owned(t, open) })
	t.Run("Concurrent", func(t *testing.T) { concurrent(t, open) })
	t.Run("Closed", func(t *testing.T) { closed(t, open) })
	t.Run("Model", func(t *testing.T) { rapid.Check(t, func(rt *rapid.T) { model(rt, open) }) })
}

func set(t TB, s kv.Store, pairs ...string) {
	t.Helper()
	b := s.NewBatch()
	for pair := range slices.Chunk(pairs, 2) {
		b.Set([]byte(pair[0]), []byte(pair[1]))
	}
	apply(t, s, b)
}

func apply(t TB, s kv.Store, b *kv.Batch) {
	t.Helper()
	if err := s.Apply(b, true); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func want(t TB, s kv.Store, key, value string) {
	t.Helper()
	got, err := s.Get([]byte(key))
	if err != nil || string(got) != value {
		t.Fatalf("get %q: %q, %v; want %q", key, got, err, value)
	}
}

func wantNone(t TB, s kv.Store, key string) {
	t.Helper()
	if got, err := s.Get([]byte(key)); !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("get %q: %q, %v; want kv.ErrNotFound", key, got, err)
	}
}

// list returns the rows of r as "key=value".
func list(t TB, s kv.Store, r kv.Range) []string {
	t.Helper()
	var out []string
	err := s.Iterate(r, func(key, value []byte) error {
		out = append(out, fmt.Sprintf("%s=%s", key, value))
		return nil
	})
	if err != nil {
		t.Fatalf("iterate %q to %q: %v", r.Start, r.End, err)
	}
	return out
}

func wantList(t TB, s kv.Store, r kv.Range, rows ...string) {
	t.Helper()
	if got := list(t, s, r); !slices.Equal(got, rows) {
		t.Fatalf("iterate %q to %q, limit %d, reverse %t: %q; want %q", r.Start, r.End, r.Limit, r.Reverse, got, rows)
	}
}

func rows(t *testing.T, open Opener) {
	s, reopen := open(t)
	wantNone(t, s, "a")
	set(t, s, "a", "1", "b", "", "c\x00", "3")
	want(t, s, "a", "1")
	want(t, s, "b", "")
	want(t, s, "c\x00", "3")
	wantNone(t, s, "c")
	set(t, s, "a", "one")
	want(t, s, "a", "one")
	b := s.NewBatch()
	b.Delete([]byte("a"))
	b.Delete([]byte("never there"))
	apply(t, s, b)
	wantNone(t, s, "a")
	if reopen != nil {
		s = reopen()
		wantNone(t, s, "a")
		want(t, s, "b", "")
		want(t, s, "c\x00", "3")
	}
	if m := s.Metrics(); m.Gets == 0 {
		t.Fatalf("the store counted no gets: %+v", m)
	}
}

func ranges(t *testing.T, open Opener) {
	s, _ := open(t)
	set(t, s, "d", "4", "b", "2", "a", "1", "c", "3", "\xff\xff", "z")
	all := []string{"a=1", "b=2", "c=3", "d=4", "\xff\xff=z"}
	wantList(t, s, kv.Range{Limit: 10}, all...)
	wantList(t, s, kv.Range{Limit: 2}, all[:2]...)
	wantList(t, s, kv.Range{Start: []byte("b"), End: []byte("d"), Limit: 10}, "b=2", "c=3")
	wantList(t, s, kv.Range{Start: []byte("bb"), Limit: 1}, "c=3")
	wantList(t, s, kv.Range{Start: []byte("d"), End: []byte("b"), Limit: 10})
	wantList(t, s, kv.Range{Start: []byte("d"), End: []byte("b"), Limit: 10, Reverse: true})
	wantList(t, s, kv.Range{Limit: 1, Reverse: true}, "\xff\xff=z")
	wantList(t, s, kv.Range{Start: []byte("b"), End: []byte("d"), Limit: 10, Reverse: true}, "c=3", "b=2")
	wantList(t, s, kv.Range{End: []byte("c"), Limit: 10, Reverse: true}, "b=2", "a=1")
	if end := kv.PrefixEnd([]byte("a\xff")); string(end) != "b" {
		t.Fatalf("the end of prefix a\\xff is %q", end)
	}
	if end := kv.PrefixEnd([]byte("\xff\xff")); end != nil {
		t.Fatalf("the end of prefix \\xff\\xff is %q", end)
	}
	seen := 0
	err := s.Iterate(kv.Range{Limit: 10}, func(_, _ []byte) error { seen++; return kv.ErrStop })
	if err != nil || seen != 1 {
		t.Fatalf("stopped after %d rows with %v; want 1 and no error", seen, err)
	}
	boom := errors.New("boom")
	if err := s.Iterate(kv.Range{Limit: 10}, func(_, _ []byte) error { return boom }); !errors.Is(err, boom) {
		t.Fatalf("iterate returned %v; want the function's error", err)
	}
}

func bounds(t *testing.T, open Opener) {
	s, _ := open(t)
	refuse := func(what string, change func(b *kv.Batch)) {
		t.Helper()
		b := s.NewBatch()
		b.Set([]byte("good"), []byte("1"))
		change(b)
		if err := s.Apply(b, true); err == nil {
			t.Fatalf("%s was accepted", what)
		}
		wantNone(t, s, "good")
	}
	refuse("an empty key", func(b *kv.Batch) { b.Set(nil, []byte("v")) })
	refuse("a long key", func(b *kv.Batch) { b.Set(make([]byte, kv.KeyBytesMax+1), nil) })
	refuse("a long value", func(b *kv.Batch) { b.Set([]byte("k"), make([]byte, kv.ValueBytesMax+1)) })
	refuse("an empty key to delete", func(b *kv.Batch) { b.Delete(nil) })
	refuse("an empty start", func(b *kv.Batch) { b.DeleteRange(nil, []byte("z")) })
	for _, limit := range []int{-1, 0, kv.RowsMax + 1} {
		if err := s.Iterate(kv.Range{Limit: limit}, func(_, _ []byte) error { return nil }); err == nil {
			t.Fatalf("a limit of %d rows was accepted", limit)
		}
	}
	long := string(bytes.Repeat([]byte{'k'}, kv.KeyBytesMax))
	set(t, s, long, "v")
	want(t, s, long, "v")
}

func batches(t *testing.T, open Opener) {
	s, _ := open(t)
	set(t, s, "a", "1", "b", "2", "c", "3", "d", "4")
	b := s.NewBatch()
	b.Set([]byte("b"), []byte("new"))
	b.DeleteRange([]byte("b"), []byte("d"))
	b.Set([]byte("c"), []byte("again"))
	b.Delete([]byte("a"))
	b.Set([]byte("a"), []byte("last"))
	if b.Len() != 5 || b.Bytes() == 0 {
		t.Fatalf("the batch has %d changes and %d bytes", b.Len(), b.Bytes())
	}
	if err := s.Apply(b, false); err != nil {
		t.Fatalf("apply: %v", err)
	}
	wantList(t, s, kv.Range{Limit: 10}, "a=last", "c=again", "d=4")
	if err := s.Apply(b, false); err == nil {
		t.Fatalf("a spent batch was accepted")
	}
	apply(t, s, s.NewBatch())
	wantList(t, s, kv.Range{Limit: 10}, "a=last", "c=again", "d=4")
}

// snapshot checks that Iterate shows one moment, and that its function may use the store.
func snapshot(t *testing.T, open Opener) {
	s, _ := open(t)
	set(t, s, "a", "1", "b", "2", "c", "3")
	var got []string
	err := s.Iterate(kv.Range{Limit: 10}, func(key, value []byte) error {
		got = append(got, string(key)+"="+string(value))
		set(t, s, "b", "changed", "bb", "new")
		want(t, s, "b", "changed")
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"a=1", "b=2", "c=3"}) {
		t.Fatalf("iterate: %q, %v; want the rows of one moment", got, err)
	}
}

// owned checks that neither side sees the other's later changes of a slice.
func owned(t *testing.T, open Opener) {
	s, _ := open(t)
	key, value := []byte("key"), []byte("value")
	b := s.NewBatch()
	b.Set(key, value)
	key[0], value[0] = 'X', 'X'
	apply(t, s, b)
	got, err := s.Get([]byte("key"))
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	got[0] = 'Y'
	want(t, s, "key", "value")
}

func concurrent(t *testing.T, open Opener) {
	s, _ := open(t)
	set(t, s, "x", "0", "y", "0")
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 3 {
		wg.Go(func() {
			for range 50 {
				var rows []string
				err := s.Iterate(kv.Range{Limit: 2}, func(_, value []byte) error {
					rows = append(rows, string(value))
					return nil
				})
				if err != nil || len(rows) != 2 || rows[0] != rows[1] {
					errs <- fmt.Errorf("a torn batch was seen: %q, %w", rows, err)
					return
				}
			}
		})
	}
	for i := range 50 {
		n := fmt.Sprint(i)
		set(t, s, "x", n, "y", n)
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
}

func closed(t *testing.T, open Opener) {
	s, _ := open(t)
	set(t, s, "a", "1")
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	_, err := s.Get([]byte("a"))
	wantClosed(t, "get", err)
	wantClosed(t, "apply", s.Apply(s.NewBatch(), true))
	wantClosed(t, "iterate", s.Iterate(kv.Range{Limit: 1}, func(_, _ []byte) error { return nil }))
	wantClosed(t, "close", s.Close())
	_ = s.Metrics() // Metrics of a closed store are defined: the counters.
}

func wantClosed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, kv.ErrClosed) {
		t.Fatalf("%s on a closed store: %v; want kv.ErrClosed", what, err)
	}
}

// model compares a store with a map under random batches, reads and reopenings.
func model(t *rapid.T, open Opener) {
	s, reopen := open(t)
	rows := map[string]string{}
	key := rapid.SampledFrom([]string{"a", "aa", "ab", "b", "ba", "\x00", "\xff", "\xff\xff", "b\xff", "c"})
	t.Repeat(map[string]func(*rapid.T){
		"apply": func(t *rapid.T) {
			b := s.NewBatch()
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				k := key.Draw(t, "key")
				switch rapid.IntRange(0, 3).Draw(t, "change") {
				case 0:
					b.Delete([]byte(k))
					delete(rows, k)
				case 1:
					end := key.Draw(t, "end")
					b.DeleteRange([]byte(k), []byte(end))
					maps.DeleteFunc(rows, func(at, _ string) bool { return at >= k && at < end })
				default:
					v := rapid.StringN(0, 8, -1).Draw(t, "value")
					b.Set([]byte(k), []byte(v))
					rows[k] = v
				}
			}
			if err := s.Apply(b, rapid.Bool().Draw(t, "sync")); err != nil {
				t.Fatalf("apply: %v", err)
			}
		},
		"reopen": func(*rapid.T) {
			if reopen != nil {
				s = reopen()
			}
		},
		"": func(t *rapid.T) { compare(t, s, rows, key) },
	})
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func compare(t *rapid.T, s kv.Store, rows map[string]string, key *rapid.Generator[string]) {
	k := key.Draw(t, "get")
	if v, ok := rows[k]; ok {
		want(t, s, k, v)
	} else {
		wantNone(t, s, k)
	}
	r := kv.Range{Limit: rapid.IntRange(1, 12).Draw(t, "limit"), Reverse: rapid.Bool().Draw(t, "reverse")}
	if rapid.Bool().Draw(t, "bounded") {
		r.Start, r.End = []byte(key.Draw(t, "start")), []byte(key.Draw(t, "end"))
	}
	var expect []string
	keys := slices.Sorted(maps.Keys(rows))
	if r.Reverse {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if len(expect) < r.Limit && k >= string(r.Start) && (r.End == nil || k < string(r.End)) {
			expect = append(expect, fmt.Sprintf("%s=%s", k, rows[k]))
		}
	}
	wantList(t, s, r, expect...)
}
