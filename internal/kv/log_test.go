package kv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"aval/internal/kv"
)

func rowKey(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'L'}, number) }

// logModel is what a Log should hold: rows start to start + len(rows).
type logModel struct {
	start uint64
	rows  [][]byte
}

func (m *logModel) next() uint64 { return m.start + uint64(len(m.rows)) }

func (m *logModel) clone() logModel { return logModel{m.start, slices.Clone(m.rows)} }

func (m *logModel) check(t *rapid.T, l *kv.Log) {
	t.Helper()
	at := m.start
	err := l.Iterate(kv.Range{Limit: kv.RowsMax}, func(key, value []byte) error {
		if at >= m.next() || !bytes.Equal(key, rowKey(at)) || !bytes.Equal(value, m.rows[at-m.start]) {
			return fmt.Errorf("row %x is not row %d of %d to %d, or its value of %d bytes is another", key, at, m.start, m.next(), len(value))
		}
		at++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if at != m.next() {
		t.Fatalf("the rows end before %d, not before %d", at, m.next())
	}
}

// logMachine drives a Log and its model.
type logMachine struct {
	fs    *vfs.MemFS
	log   *kv.Log
	model logModel
	// since are the states after each batch since the last that is durable.
	since []logModel
}

func (m *logMachine) open(t *rapid.T) {
	t.Helper()
	var err error
	if m.log, err = kv.OpenLog(kv.LogConfig{Dir: "log", SegmentBytes: 4 << 10, FS: m.fs}); err != nil {
		t.Fatalf("open: %v", err)
	}
}

func (m *logMachine) apply(t *rapid.T) {
	b := m.log.NewBatch()
	sync := rapid.Bool().Draw(t, "sync")
	sizes := rapid.SampledFrom([]int{0, 1, 100, 376, 377, 2000, 5000, 300_000})
	for i := range rapid.IntRange(0, 5).Draw(t, "rows") {
		value := bytes.Repeat([]byte{byte(i + 1)}, sizes.Draw(t, "size"))
		b.Set(rowKey(m.model.next()), value)
		m.model.rows = append(m.model.rows, value)
	}
	if most := len(m.model.rows); rapid.IntRange(0, 3).Draw(t, "delete") == 0 && most > b.Len() {
		n := rapid.IntRange(0, most-b.Len()).Draw(t, "deleted")
		b.DeleteRange(rowKey(m.model.start), rowKey(m.model.start+uint64(n)))
		m.model.start += uint64(n)
		m.model.rows = m.model.rows[n:]
	}
	if err := m.log.Apply(b, sync); err != nil {
		t.Fatalf("apply: %v", err)
	}
	if sync {
		m.since = nil
	}
	m.since = append(m.since, m.model.clone())
}

func (m *logMachine) read(t *rapid.T) {
	from := rapid.Uint64Range(0, m.model.next()+2).Draw(t, "from")
	value, err := m.log.Get(rowKey(from))
	if there := from >= m.model.start && from < m.model.next(); there {
		if err != nil || !bytes.Equal(value, m.model.rows[from-m.model.start]) {
			t.Fatalf("row %d: %d bytes, %v", from, len(value), err)
		}
	} else if !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("row %d of %d to %d: %v", from, m.model.start, m.model.next(), err)
	}
	to := rapid.Uint64Range(from, m.model.next()+3).Draw(t, "to")
	r := kv.Range{Start: rowKey(from), End: rowKey(to), Limit: rapid.IntRange(1, 20).Draw(t, "limit"), Reverse: rapid.Bool().Draw(t, "reverse")}
	var want []uint64
	for n := max(from, m.model.start); n < min(to, m.model.next()); n++ {
		want = append(want, n)
	}
	if r.Reverse {
		slices.Reverse(want)
	}
	want = want[:min(len(want), r.Limit)]
	err = m.log.Iterate(r, func(key, value []byte) error {
		if len(want) == 0 || !bytes.Equal(key, rowKey(want[0])) || !bytes.Equal(value, m.model.rows[want[0]-m.model.start]) {
			return fmt.Errorf("row %x comes first, of %v", key, want)
		}
		want = want[1:]
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Fatalf("range %d to %d, %+v: %v, left %v", from, to, r, err, want)
	}
}

func (m *logMachine) reopen(t *rapid.T) {
	if err := m.log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.since = []logModel{m.model.clone()}
	m.open(t)
}

// crash loses power: what remains is the log after some batch that is not older than the last durable one.
func (m *logMachine) crash(t *rapid.T) {
	seed := rapid.Uint64().Draw(t, "seed")
	percent := rapid.SampledFrom([]int{0, 50, 90, 100}).Draw(t, "percent")
	m.fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 1))})
	m.open(t)
	var next, start uint64
	_ = m.log.Iterate(kv.Range{Limit: 1}, func(key, _ []byte) error { start = binary.BigEndian.Uint64(key[1:]); return nil })
	_ = m.log.Iterate(kv.Range{Limit: 1, Reverse: true}, func(key, _ []byte) error { next = binary.BigEndian.Uint64(key[1:]) + 1; return nil })
	for i := len(m.since) - 1; i >= 0; i-- {
		s := &m.since[i]
		if s.next() == next && s.start == start || len(s.rows) == 0 && next == 0 {
			m.model, m.since = s.clone(), []logModel{s.clone()}
			return
		}
	}
	t.Fatalf("after a loss of power the log has rows %d to %d, which no batch since the last durable one left", start, next)
}

func TestLogModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &logMachine{fs: vfs.NewCrashableMem(), since: []logModel{{}}}
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){"apply": m.apply, "read": m.read, "reopen": m.reopen, "crash": m.crash,
			"": func(t *rapid.T) { m.model.check(t, m.log) }})
		if err := m.log.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// newLog returns a log of 100 rows in several segments, and its file system.
func newLog(t testing.TB) (*kv.Log, *vfs.MemFS) {
	t.Helper()
	fs := vfs.NewMem()
	l, err := kv.OpenLog(kv.LogConfig{Dir: "log", SegmentBytes: 1 << 10, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(50) {
		b := l.NewBatch()
		b.Set(rowKey(2*i), bytes.Repeat([]byte{byte(i)}, 40))
		b.Set(rowKey(2*i+1), bytes.Repeat([]byte{byte(i)}, 60))
		if err := l.Apply(b, false); err != nil {
			t.Fatal(err)
		}
	}
	return l, fs
}

func TestLogRefuses(t *testing.T) {
	l, fs := newLog(t)
	refused := func(what string, change func(b *kv.Batch)) {
		t.Helper()
		b := l.NewBatch()
		change(b)
		if err := l.Apply(b, true); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	refused("a gap", func(b *kv.Batch) { b.Set(rowKey(101), nil) })
	refused("a row again", func(b *kv.Batch) { b.Set(rowKey(99), nil) })
	refused("another prefix", func(b *kv.Batch) { b.Set(append([]byte("M"), rowKey(100)[1:]...), nil) })
	refused("a key of another size", func(b *kv.Batch) { b.Set([]byte("L"), nil) })
	refused("the deletion of one row", func(b *kv.Batch) { b.Delete(rowKey(0)) })
	refused("a deletion in the middle", func(b *kv.Batch) { b.DeleteRange(rowKey(3), rowKey(5)) })
	if _, err := kv.OpenLog(kv.LogConfig{Dir: "log", FS: fs}); !errors.Is(err, kv.ErrInUse) {
		t.Errorf("a log is opened twice: %v", err)
	}
	if _, err := kv.OpenLog(kv.LogConfig{SegmentBytes: -1}); err == nil {
		t.Error("a bad configuration is accepted")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(rowKey(1)); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("a closed log answers %v", err)
	}
}

// content reads a file of fs whole.
func content(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func replace(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever bit of whatever file turns, the log opens with a beginning of its batches or says that it is damaged; it never
// returns a row that was not written.
func TestLogDamage(t *testing.T) {
	l, fs := newLog(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "LOCK" })
	outcomes := map[string]int{}
	for i, name := range names {
		path := fs.PathJoin("log", name)
		whole := content(t, fs, path)
		for bit := range 8 * len(whole) {
			broken := bytes.Clone(whole)
			broken[bit/8] ^= 1 << (bit % 8)
			replace(t, fs, path, broken)
			outcomes[openDamaged(t, fs, i == len(names)-1, path, bit)]++
		}
		replace(t, fs, path, whole)
	}
	if outcomes["refused"] == 0 || outcomes["cut"] == 0 {
		t.Errorf("outcomes %v: some of each were expected", outcomes)
	}
}

func openDamaged(t *testing.T, fs vfs.FS, newest bool, path string, bit int) string {
	t.Helper()
	l, err := kv.OpenLog(kv.LogConfig{Dir: "log", FS: fs})
	if err != nil {
		if !errors.Is(err, kv.ErrDamaged) && !bytes.Contains([]byte(err.Error()), []byte("version")) {
			t.Fatalf("%s, bit %d: %v", path, bit, err)
		}
		return "refused"
	}
	if !newest {
		t.Fatalf("%s, bit %d: nobody noticed", path, bit)
	}
	rows := uint64(0)
	err = l.Iterate(kv.Range{Limit: kv.RowsMax}, func(key, value []byte) error {
		if n := binary.BigEndian.Uint64(key[1:]); n != rows || len(value) < 40 || value[0] != byte(n/2) || value[39] != byte(n/2) {
			return fmt.Errorf("row %d is %d: %x", rows, n, value)
		}
		rows++
		return nil
	})
	if err != nil || rows%2 != 0 || rows == 100 {
		t.Fatalf("%s, bit %d: %d rows, %v", path, bit, rows, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "cut"
}

// A row that goes bad while the log is open is not returned.
func TestLogRowGoesBad(t *testing.T) {
	dir := t.TempDir()
	l, err := kv.OpenLog(kv.LogConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := l.NewBatch()
	b.Set(rowKey(7), []byte("what was written"))
	if err := l.Apply(b, true); err != nil {
		t.Fatal(err)
	}
	path := vfs.Default.PathJoin(dir, "00000000000000000007.rows")
	bad := bytes.Replace(content(t, vfs.Default, path), []byte("what was"), []byte("what is "), 1)
	f, err := vfs.Default.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bad, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := l.Get(rowKey(7)); !errors.Is(err, kv.ErrDamaged) {
		t.Errorf("get: %q, %v", v, err)
	}
	if err := l.Iterate(kv.Range{Limit: 1}, func(_, _ []byte) error { return nil }); !errors.Is(err, kv.ErrDamaged) {
		t.Errorf("iterate: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzLog opens files of any content.
func FuzzLog(f *testing.F) {
	l, fs := newLog(f)
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"00000000000000000000.rows", "00000000000000000016.rows"} {
		if _, err := fs.Stat(fs.PathJoin("log", name)); err == nil {
			f.Add(content(f, fs, fs.PathJoin("log", name)))
		}
	}
	f.Add([]byte("avalrows"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("log", 0o700); err != nil {
			t.Fatal(err)
		}
		replace(t, fs, fs.PathJoin("log", "00000000000000000000.rows"), b)
		l, err := kv.OpenLog(kv.LogConfig{Dir: "log", FS: fs})
		if err != nil {
			return
		}
		if err := l.Iterate(kv.Range{Limit: kv.RowsMax}, func(_, _ []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkGet(b *testing.B) {
	const rows = 200_000
	value := bytes.Repeat([]byte("v"), 150)
	stores := map[string]func() (kv.Store, error){
		"log":    func() (kv.Store, error) { return kv.OpenLog(kv.LogConfig{Dir: b.TempDir()}) },
		"pebble": func() (kv.Store, error) { return kv.OpenPebble(kv.PebbleConfig{Dir: b.TempDir(), CacheBytes: 8 << 20}) },
	}
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			s, err := open()
			if err != nil {
				b.Fatal(err)
			}
			for n := uint64(0); n < rows; {
				batch := s.NewBatch()
				for range 1000 {
					batch.Set(rowKey(n), value)
					n++
				}
				if err := s.Apply(batch, false); err != nil {
					b.Fatal(err)
				}
			}
			r := rand.New(rand.NewPCG(1, 1))
			b.ResetTimer()
			for range b.N {
				if _, err := s.Get(rowKey(r.Uint64N(rows))); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
