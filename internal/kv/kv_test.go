package kv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"aval/internal/kv"
	"aval/internal/kv/kvtest"
)

func TestMemory(t *testing.T) {
	kvtest.Run(t, func(kvtest.TB) (kv.Store, func() kv.Store) { return kv.NewMemory(), nil })
}

func TestPebble(t *testing.T) {
	kvtest.Run(t, func(tb kvtest.TB) (kv.Store, func() kv.Store) {
		fs := vfs.NewMem()
		var s *kv.Pebble
		open := func() kv.Store {
			var err error
			if s, err = kv.OpenPebble(kv.PebbleConfig{Dir: "store", FS: fs, MemTableBytes: 64 << 10}); err != nil {
				tb.Fatalf("open: %v", err)
			}
			return s
		}
		return open(), func() kv.Store {
			if err := s.Close(); err != nil {
				tb.Fatalf("close: %v", err)
			}
			return open()
		}
	})
}

func TestPebbleOnDisk(t *testing.T) {
	dir := t.TempDir()
	s, err := kv.OpenPebble(kv.PebbleConfig{Dir: dir + "/a/b"})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	if err := s.Apply(b, false); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.OpenPebble(kv.PebbleConfig{Dir: dir + "/a/b"}); !errors.Is(err, kv.ErrInUse) {
		t.Fatalf("a store was opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = kv.OpenPebble(kv.PebbleConfig{Dir: dir + "/a/b"}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get([]byte("k")); err != nil || string(v) != "v" {
		t.Fatalf("after reopening: %q, %v", v, err)
	}
	if s.Metrics().DiskBytes == 0 {
		t.Fatal("the store uses no disk")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPebbleConfig(t *testing.T) {
	_, err := kv.OpenPebble(kv.PebbleConfig{CacheBytes: -1, MemTableBytes: 2 << 30})
	if err == nil {
		t.Fatal("a bad configuration was accepted")
	}
	for _, field := range []string{"Dir", "CacheBytes", "MemTableBytes"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
}

func TestFaulty(t *testing.T) {
	kvtest.Run(t, func(tb kvtest.TB) (kv.Store, func() kv.Store) {
		s, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{})
		if err != nil {
			tb.Fatalf("open: %v", err)
		}
		// A restart that loses nothing is a reopening.
		return s, func() kv.Store {
			s.Crash()
			if err := s.Restart(s.Unsynced()); err != nil {
				tb.Fatalf("restart: %v", err)
			}
			return s
		}
	})
}

// TestFaultyOverPebble runs the suite on a Faulty whose durable rows lie in Pebble.
func TestFaultyOverPebble(t *testing.T) {
	kvtest.Run(t, func(tb kvtest.TB) (kv.Store, func() kv.Store) {
		p, err := kv.OpenPebble(kv.PebbleConfig{Dir: "store", FS: vfs.NewMem(), MemTableBytes: 64 << 10})
		if err != nil {
			tb.Fatalf("open: %v", err)
		}
		s, err := kv.NewFaulty(p, kv.Faults{})
		if err != nil {
			tb.Fatalf("open: %v", err)
		}
		return s, nil
	})
}

// TestFaultyCrash crashes at every change of five batches, two of them synced, and restarts with every possible
// number of survivors: what is there is always a whole prefix of the batches and has all that was synced.
func TestFaultyCrash(t *testing.T) {
	const batches, rowsEach = 5, 3
	synced := map[int]bool{1: true, 3: true}
	for crash := 1; crash <= batches*rowsEach; crash++ {
		for survivors := 0; ; survivors++ {
			s, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{CrashAtWrite: crash})
			if err != nil {
				t.Fatal(err)
			}
			durable := writeUntilCrash(t, s, batches, rowsEach, synced)
			if got, want := s.Writes(), crash; got != want {
				t.Fatalf("crashed after %d changes, not %d", got, want)
			}
			if survivors > s.Unsynced() {
				if err := s.Restart(survivors); err == nil {
					t.Fatal("more batches survived than there were")
				}
				break
			}
			if err := s.Restart(survivors); err != nil {
				t.Fatal(err)
			}
			rows := 0
			count := func(_, _ []byte) error { rows++; return nil }
			if err := s.Iterate(kv.Range{Limit: 100}, count); err != nil {
				t.Fatal(err)
			}
			if want := (durable + survivors) * rowsEach; rows != want {
				t.Fatalf("crash at change %d, %d survivors: %d rows, want %d", crash, survivors, rows, want)
			}
		}
	}
}

// writeUntilCrash applies batches until one crashes and returns how many are durable.
func writeUntilCrash(t *testing.T, s *kv.Faulty, batches, rowsEach int, synced map[int]bool) (durable int) {
	t.Helper()
	for i := range batches {
		b := s.NewBatch()
		for j := range rowsEach {
			b.Set(fmt.Appendf(nil, "%d/%d", i, j), []byte("v"))
		}
		err := s.Apply(b, synced[i])
		if errors.Is(err, kv.ErrCrashed) {
			if _, err := s.Get([]byte("0/0")); !errors.Is(err, kv.ErrCrashed) || !s.Crashed() {
				t.Fatalf("a call without power: %v", err)
			}
			if err := s.Close(); !errors.Is(err, kv.ErrCrashed) {
				t.Fatalf("close without power: %v", err)
			}
			return durable
		}
		if err != nil {
			t.Fatal(err)
		}
		if synced[i] {
			durable = i + 1
		}
	}
	t.Fatal("it never crashed")
	return 0
}

func TestFaultyErrors(t *testing.T) {
	s, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{ApplyErrorAt: 2, GetErrorAt: 2, IterateErrorAt: 1})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) error {
		b := s.NewBatch()
		b.Set([]byte(key), []byte("v"))
		return s.Apply(b, true)
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	if err := put("b"); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("the second apply: %v", err)
	}
	if _, err := s.Get([]byte("b")); !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("the failed apply had an effect: %v", err)
	}
	if _, err := s.Get([]byte("a")); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("the second get: %v", err)
	}
	none := func(_, _ []byte) error { return nil }
	if err := s.Iterate(kv.Range{Limit: 1}, none); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("the first iterate: %v", err)
	}
	s.Arm(kv.Faults{ApplyErrorAt: 1})
	if err := put("c"); !errors.Is(err, kv.ErrInjected) {
		t.Fatalf("the first apply after arming: %v", err)
	}
	if err := put("c"); err != nil {
		t.Fatal(err)
	}
}

// TestFaultyMedium: a full medium refuses and keeps what it has, one that lies loses what it said was durable, and a flipped bit stays.
func TestFaultyMedium(t *testing.T) {
	s, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) error {
		b := s.NewBatch()
		b.Set([]byte(key), []byte("value"))
		return s.Apply(b, true)
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	s.Arm(kv.Faults{Full: true})
	if err := put("b"); !errors.Is(err, kv.ErrFull) {
		t.Fatalf("full: %v", err)
	}
	s.Arm(kv.Faults{LoseSync: true})
	if err := put("c"); err != nil {
		t.Fatal(err)
	}
	s.Crash()
	if err := s.Restart(0); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{"a": nil, "b": kv.ErrNotFound, "c": kv.ErrNotFound} {
		if _, err := s.Get([]byte(key)); !errors.Is(err, want) {
			t.Fatalf("%s: %v", key, err)
		}
	}
	var flipped []string
	for range 2 { // the second undoes the first
		key, err := s.FlipBit(7, 10)
		if err != nil || string(key) != "a" {
			t.Fatalf("flipped %q: %v", key, err)
		}
		s.Crash()
		if err := s.Restart(0); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get([]byte("a"))
		if err != nil {
			t.Fatal(err)
		}
		flipped = append(flipped, string(got))
	}
	if flipped[0] != "velue" || flipped[1] != "value" {
		t.Fatalf("flipped once and twice: %q", flipped)
	}
}
