package kv_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"aval/internal/kv"
)

// TestPebbleTellsOfDamage flips a bit in a table, or in a file of large values: whoever reads what it held gets an error and not a
// wrong value, and OnDamage is told the file.
func TestPebbleTellsOfDamage(t *testing.T) {
	for suffix, size := range map[string]int{".sst": 1000, ".blob": 10_000} {
		t.Run(suffix, func(t *testing.T) { checkDamage(t, suffix, size) })
	}
}

func checkDamage(t *testing.T, suffix string, size int) {
	fs := vfs.NewMem()
	open := func(c kv.PebbleConfig) *kv.Pebble {
		c.Dir, c.FS = "store", fs
		s, err := kv.OpenPebble(c)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(kv.PebbleConfig{})
	b := s.NewBatch()
	b.Set([]byte("key"), make([]byte, size))
	if err := s.Apply(b, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(kv.PebbleConfig{}) // what was in the write-ahead log goes to a table
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := flipBit(t, fs, suffix)
	var told []error
	s = open(kv.PebbleConfig{OnDamage: func(err error) { told = append(told, err) }})
	_, got := s.Get([]byte("key"))
	if !errors.Is(got, kv.ErrDamaged) {
		t.Errorf("a damaged value is read: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || !errors.Is(told[0], kv.ErrDamaged) || !strings.Contains(told[0].Error(), strings.TrimSuffix(name, suffix)) {
		t.Errorf("told %v, the damage is in %s; the call %v", told, name, got)
	}
}

// flipBit flips one bit early in the only file with this suffix.
func flipBit(t *testing.T, fs vfs.FS, suffix string) string {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, suffix) })
	if i < 0 {
		t.Fatalf("there is no %s: %v", suffix, names)
	}
	f, err := fs.OpenReadWrite(fs.PathJoin("store", names[i]), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 10); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, 10); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return names[i]
}
