package bft

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"aval/ledger"
	"aval/suite"
)

func hashOf(n byte) suite.Hash { return suite.Hash{n} }

func openTestGuard(t interface{ Fatal(...any) }, dir string) (*guard, bool) {
	g, fresh, err := openGuard(dir)
	if err != nil {
		t.Fatal(err)
	}
	return g, fresh
}

func TestGuardRefusesTwoHeaders(t *testing.T) {
	dir := t.TempDir()
	g, fresh := openTestGuard(t, dir)
	if !fresh {
		t.Error("a new record is not fresh")
	}
	for _, step := range []struct {
		epoch  uint64
		height ledger.Height
		view   uint64
		header byte
		ok     bool
	}{
		{0, 5, 1, 1, true},
		{0, 5, 1, 1, true},  // the same again
		{0, 5, 1, 2, false}, // another in the same place
		{0, 5, 2, 2, true},  // two views at one height are legal
		{0, 5, 1, 1, true},
		{0, 4, 9, 3, false}, // behind
		{0, 6, 0, 4, true},
		{0, 5, 1, 1, false},
		{1, 6, 0, 5, true}, // another epoch
		{0, 7, 0, 6, false},
	} {
		err := g.permit(step.epoch, step.height, step.view, hashOf(step.header))
		if (err == nil) != step.ok || err != nil && !errors.Is(err, ErrEquivocation) {
			t.Errorf("%+v: %v", step, err)
		}
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
		if g, fresh = openTestGuard(t, dir); fresh {
			t.Error("a used record is fresh")
		}
	}
	if err := g.update(func(s *guardState) { s.ObserveUntil = 9 }); err != nil {
		t.Fatal(err)
	}
	if err := g.permit(1, 8, 0, hashOf(9)); !errors.Is(err, ErrEquivocation) {
		t.Errorf("voted while observing: %v", err)
	}
}

// TestGuardAgainstModel compares the guard with a map of all votes ever made, through restarts and writes cut short.
func TestGuardAgainstModel(t *testing.T) {
	type spot struct {
		height ledger.Height
		view   uint64
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		g, _ := openTestGuard(rt, dir)
		signed := map[spot]suite.Hash{}
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			at := spot{ledger.Height(rapid.IntRange(1, 4).Draw(rt, "height")), uint64(rapid.IntRange(0, 80).Draw(rt, "view"))}
			header := hashOf(byte(rapid.IntRange(1, 3).Draw(rt, "header")))
			if err := g.permit(0, at.height, at.view, header); err == nil {
				if other, dup := signed[at]; dup && other != header {
					rt.Fatalf("signed %s and %s at %+v", other, header, at)
				}
				signed[at] = header
			} else if !errors.Is(err, ErrEquivocation) {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				serial := g.current().Serial
				if err := g.close(); err != nil {
					rt.Fatal(err)
				}
				tearNextSlot(rt, dir, serial)
				g, _ = openTestGuard(rt, dir)
			}
		}
		if err := g.close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// tearNextSlot writes half of a slot where the next write would go, as a crash during that write does.
func tearNextSlot(t *rapid.T, dir string, serial uint64) {
	f, err := os.OpenFile(filepath.Join(dir, "votes"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, rapid.IntRange(0, guardSlotBytes).Draw(t, "torn"))
	for i := range junk {
		junk[i] = byte(rand.Uint32())
	}
	if _, err := f.WriteAt(junk, int64((serial+1)%2)*guardSlotBytes); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestGuardSaysWhenDamaged(t *testing.T) {
	dir := t.TempDir()
	g, _ := openTestGuard(t, dir)
	if err := errors.Join(g.permit(0, 1, 0, hashOf(1)), g.close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "votes")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	g, fresh, err := openGuard(dir)
	if !errors.Is(err, errGuardDamaged) || fresh || g == nil {
		t.Fatalf("a damaged record: %v, fresh %v", err, fresh)
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openGuard(dir); err != nil {
		t.Errorf("the record that replaces a damaged one: %v", err)
	}
}
