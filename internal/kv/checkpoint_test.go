package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"aval/internal/kv"
)

// TestCheckpointIsOneMoment copies a store while it is written to: the copy has a prefix of the batches, each whole, and at least
// those that were applied before.
func TestCheckpointIsOneMoment(t *testing.T) {
	dir := t.TempDir()
	var p kv.Checkpointer
	p, err := kv.OpenPebble(kv.PebbleConfig{Dir: filepath.Join(dir, "store"), MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	write := func(i int) {
		b := p.NewBatch()
		for k := range 10 {
			b.Set(fmt.Appendf(nil, "%06d/%d", i, k), bytes.Repeat([]byte{byte(i)}, 1000))
		}
		if err := p.Apply(b, i%50 == 0); err != nil {
			t.Error(err)
		}
	}
	const before, all = 200, 600
	for i := range before {
		write(i)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := before; i < all; i++ {
			write(i)
		}
	})
	copied := filepath.Join(dir, "copy")
	if err := p.Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := p.Checkpoint(copied); err == nil {
		t.Error("a checkpoint goes over another")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Checkpoint(filepath.Join(dir, "late")); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	c, err := kv.OpenPebble(kv.PebbleConfig{Dir: copied})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	err = c.Iterate(kv.Range{Limit: kv.RowsMax}, func(key, _ []byte) error {
		if want := fmt.Sprintf("%06d/%d", rows/10, rows%10); string(key) != want {
			return fmt.Errorf("row %d is %q, want %q", rows, key, want)
		}
		rows++
		return nil
	})
	if err != nil || rows%10 != 0 || rows < before*10 || rows > all*10 {
		t.Errorf("the copy has %d rows, %v", rows, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
