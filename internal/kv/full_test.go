package kv_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"aval/internal/kv"
)

// fullFS has no room for another table.
type fullFS struct{ vfs.FS }

// Create implements vfs.FS.
func (f fullFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, category)
}

// TestPebbleDoesNotOpenOnAFullDisk has rows in the write-ahead log that opening wants to write to a table. Pebble would try for
// ever; the store says why it does not open, and opens when there is room.
func TestPebbleDoesNotOpenOnAFullDisk(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := kv.OpenPebble(kv.PebbleConfig{Dir: "store", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	if err := s.Apply(b, true); err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.OpenPebble(kv.PebbleConfig{Dir: "store", FS: fullFS{crashed}}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("opened on a full disk: %v", err)
	}
	again := crashed.CrashClone(vfs.CrashCloneCfg{}) // what failed to open still holds its lock
	if s, err = kv.OpenPebble(kv.PebbleConfig{Dir: "store", FS: again}); err != nil {
		t.Fatalf("with room: %v", err)
	}
	if v, err := s.Get([]byte("k")); err != nil || string(v) != "v" {
		t.Errorf("with room: %q, %v", v, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
