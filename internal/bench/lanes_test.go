package bench

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestLanesAreReadBack(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 50), 1, 4), 0, 20).Draw(t, "lanes")
		cut := rapid.IntRange(0, len(lanes)).Draw(t, "cut")
		var paths []string
		for i, part := range [][][][]byte{lanes[:cut], lanes[cut:]} {
			var b []byte
			for _, l := range part {
				b = appendLane(b, l)
			}
			paths = append(paths, filepath.Join(dir, string(rune('a'+i))))
			if err := os.WriteFile(paths[i], b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := laneReader{paths: paths}
		for i := range lanes {
			l, err := r.read()
			if err != nil || len(l.txs) != len(lanes[i]) {
				t.Fatalf("lane %d: %v, %v", i, l, err)
			}
			for k := range l.txs {
				if !bytes.Equal(l.txs[k], lanes[i][k]) {
					t.Fatalf("lane %d, transaction %d: %x, want %x", i, k, l.txs[k], lanes[i][k])
				}
			}
		}
		if l, err := r.read(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last lane: %v, %v", l, err)
		}
	})
}

func FuzzReadLane(f *testing.F) {
	f.Add(appendLane(nil, [][]byte{[]byte("one"), {}}))
	f.Add([]byte{0, 0})
	f.Add([]byte{0, 1, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		from := bytes.NewReader(b)
		l, err := readLane(from)
		if err != nil {
			if !errors.Is(err, errDamaged) && (len(b) > 0 || !errors.Is(err, io.EOF)) {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if again := appendLane(nil, l.txs); !bytes.Equal(again, b[:len(b)-from.Len()]) {
			t.Fatalf("%x was read as %x", b, again)
		}
	})
}

// A lane's next step is handed out only after the one before took effect, and lanes that were begun go first.
func TestLanesGoStepByStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lanes")
	var b []byte
	for _, l := range [][][]byte{{{'a', 1}, {'a', 2}}, {{'b', 1}}, {{'c', 1}}} {
		b = appendLane(b, l)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := laneSource{reader: laneReader{paths: []string{path}}}
	s.wake = sync.NewCond(&s.mu)
	steps := func(lanes []*lane, err error) string {
		if err != nil {
			return err.Error()
		}
		var out []byte
		for _, l := range lanes {
			out = append(out, l.txs[l.next]...)
		}
		return string(out)
	}
	first, err := s.take(1)
	if got := steps(first, err); got != "a\x01" {
		t.Fatalf("first %q", got)
	}
	second, err := s.takeNow(1)
	if got := steps(second, err); got != "b\x01" {
		t.Fatalf("then %q", got)
	}
	s.advance(first)
	s.drop(1)
	last, err := s.take(5)
	if got := steps(last, err); got != "a\x02c\x01" {
		t.Fatalf("after the first took effect %q", got)
	}
	if got := steps(s.takeNow(1)); got != "" {
		t.Fatalf("while two are under way %q", got)
	}
	s.advance(last)
	if got := steps(s.takeNow(1)); got != io.EOF.Error() {
		t.Fatalf("in the end %q", got)
	}
	if got, err := s.take(1); len(got) != 0 || err != nil {
		t.Fatalf("in the end %v, %v", got, err)
	}
	if !reflect.DeepEqual(s.ready, []*lane(nil)) && len(s.ready) != 0 {
		t.Fatalf("lanes are left: %v", s.ready)
	}
}
