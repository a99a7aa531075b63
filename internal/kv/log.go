package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged reports rows on disk that no crash can leave: the medium or another program changed them.
var ErrDamaged = errors.New("kv: the store is damaged")

// LogConfig says where and how a Log is kept.
type LogConfig struct {
	// Dir is the folder, made if it does not exist. Required.
	Dir string
	// SegmentBytes is the size at which another file is begun, which is also the least that is freed at once. Default 16 MiB.
	SegmentBytes int64
	// FS is the file system. Default: the machine's.
	FS vfs.FS
}

// Validate reports every problem at once.
func (c *LogConfig) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("kv: Dir is empty"))
	}
	if c.SegmentBytes < 0 || c.SegmentBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("kv: SegmentBytes is %d, not 0 to %d", c.SegmentBytes, 1<<30))
	}
	return errors.Join(errs...)
}

// Log is a Store for rows that are appended at the end and deleted from the beginning: keys have one byte, the same for all, and
// a number of eight bytes, big-endian, that follows the one before. Apply refuses other changes. A row is read with one read
// of its file and nothing is ever rewritten, which makes it several times cheaper than a general store.
//
// Rows applied without sync become durable when a file is full, or with the next sync; a loss of power may lose some of the
// newest, whole batches, never one from the middle.
type Log struct {
	cfg    LogConfig
	lock   io.Closer
	dir    vfs.File
	writer sync.Mutex // held by Apply
	buffer []byte     // Apply's
	// failed is the error after which Apply refuses, guarded by writer.
	failed error

	// mu is held for writing while rows are published; it guards the rest.
	mu     sync.RWMutex
	closed bool
	prefix byte
	// segments hold consecutive rows, oldest first. Invariant: there is one, unless the log never had a row.
	segments []*segment
	// start is the first row that was not deleted, next the number of the row after the last.
	start, next uint64

	buffers sync.Pool
	counters
}

// OpenLog opens the log in c.Dir or makes one. What a crash left of a batch at its end is dropped; damage before that is
// ErrDamaged.
func OpenLog(c LogConfig) (_ *Log, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 16 << 20
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	l := &Log{cfg: c}
	l.buffers.New = func() any { return new([]byte) }
	if err := makeDir(c.FS, c.Dir); err != nil {
		return nil, fmt.Errorf("kv: open %s: %w", c.Dir, err)
	}
	if l.lock, err = c.FS.Lock(c.FS.PathJoin(c.Dir, "LOCK")); err != nil {
		if inUse(err) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, c.Dir)
		}
		return nil, fmt.Errorf("kv: open %s: %w", c.Dir, err)
	}
	if l.dir, err = c.FS.OpenDir(c.Dir); err == nil {
		err = l.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kv: open %s: %w", c.Dir, err), l.closeFiles())
	}
	return l, nil
}

// makeDir makes a folder that a loss of power does not take away.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parent := fs.PathDir(dir)
	if parent == "." {
		parent = ""
	}
	f, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

const segmentSuffix = ".rows"

func (l *Log) path(name string) string { return l.cfg.FS.PathJoin(l.cfg.Dir, name) }

// load opens the segments and finds the log's beginning and end.
func (l *Log) load() error {
	names, err := l.cfg.FS.List(l.cfg.Dir)
	if err != nil {
		return err
	}
	slices.Sort(names) // numbers have a fixed width
	var segments []string
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, segmentSuffix):
			segments = append(segments, name)
		case strings.HasSuffix(name, tempSuffix):
			if err := l.cfg.FS.Remove(l.path(name)); err != nil {
				return err
			}
		case name != "LOCK":
			return fmt.Errorf("%w: %s is no file of this store", ErrDamaged, name)
		}
	}
	for i, name := range segments {
		if err := l.loadSegment(name, i == len(segments)-1); err != nil {
			return err
		}
	}
	if n := len(l.segments); n > 0 {
		l.start = max(l.start, l.segments[0].first)
		l.next = l.segments[n-1].next()
	}
	return nil
}

// loadSegment opens one segment and appends it. Only the newest may end in what a crash left.
func (l *Log) loadSegment(name string, newest bool) error {
	file, err := l.cfg.FS.OpenReadWrite(l.path(name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	s := &segment{file: file, name: name}
	s.users.Store(1)
	info, err := file.Stat()
	if err == nil {
		err = l.scanSegment(s, info.Size())
	}
	switch {
	case err == nil:
	case errors.Is(err, errTorn) && newest && s.end == 0 && info.Size() <= segmentHead:
		// A crash before the head was durable: nothing was ever in it.
		return errors.Join(file.Close(), l.cfg.FS.Remove(l.path(name)), l.dir.Sync())
	case errors.Is(err, errTorn) && newest && s.end > 0:
		err = l.cut(s)
	case errors.Is(err, errTorn):
		err = fmt.Errorf("%w: %s at byte %d", ErrDamaged, name, s.end)
	}
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	l.segments = append(l.segments, s)
	return nil
}

// scanSegment reads all of s, which must continue the log. s.end is 0 if there is not even a head.
func (l *Log) scanSegment(s *segment, size int64) error {
	head := make([]byte, min(segmentHead, size))
	if err := s.readAt(head, 0); err != nil {
		return err
	}
	prefix, first, err := decodeSegmentHead(head)
	if err != nil {
		return err
	}
	s.first, s.end = first, segmentHead
	if n := len(l.segments); n > 0 && (l.segments[n-1].next() != first || l.prefix != prefix) || s.name != segmentName(first) {
		return fmt.Errorf("%w: %s begins with row %d", ErrDamaged, s.name, first)
	}
	l.prefix = prefix
	start, err := s.scan(size)
	l.start = max(l.start, start)
	return err
}

// tempSuffix ends the name of a file that is being made.
const tempSuffix = ".tmp"

// cut makes the file of s end where s.end is, by putting a copy in its place.
func (l *Log) cut(s *segment) error {
	whole := make([]byte, s.end)
	if err := s.readAt(whole, 0); err != nil {
		return err
	}
	temp := l.path(s.name + tempSuffix)
	if err := l.writeFile(temp, whole); err != nil {
		return err
	}
	if err := errors.Join(s.file.Close(), l.cfg.FS.Rename(temp, l.path(s.name)), l.dir.Sync()); err != nil {
		return err
	}
	var err error
	s.file, err = l.openEnd(s.name, s.end)
	return err
}

func (l *Log) writeFile(path string, content []byte) error {
	f, err := l.cfg.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// openEnd opens a segment of this size for reading and appending.
func (l *Log) openEnd(name string, size int64) (vfs.File, error) {
	f, err := l.cfg.FS.OpenReadWrite(l.path(name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("kv: %s has %d bytes, not %d", name, info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// NewBatch returns an empty batch.
func (l *Log) NewBatch() *Batch { return &Batch{} }

// Apply appends the rows of b and deletes up to the end of its ranges. Other changes are refused.
func (l *Log) Apply(b *Batch, sync bool) error {
	l.writer.Lock()
	defer l.writer.Unlock()
	if l.isClosed() {
		return ErrClosed
	}
	if err := b.take(); err != nil {
		return err
	}
	if l.failed != nil {
		return fmt.Errorf("kv: stopped by an earlier error: %w", l.failed)
	}
	h, err := l.encode(b)
	if err == nil {
		if h.rows > 0 || h.start > l.start {
			err = l.append(h)
		}
		if n := len(l.segments); err == nil && sync && n > 0 {
			err = l.segments[n-1].file.SyncData()
		}
		l.failed = err
	}
	if err != nil {
		return fmt.Errorf("kv: apply: %w", err)
	}
	l.counters.applied(b, sync)
	return nil
}

// encode puts the batch into l.buffer, its head not filled in yet.
func (l *Log) encode(b *Batch) (*batchOf, error) {
	if b.Bytes()+segmentRow*b.Len() > math.MaxInt32 {
		return nil, fmt.Errorf("a batch of %d bytes in %d rows is too large", b.Bytes(), b.Len())
	}
	h := &batchOf{first: l.next, start: l.start}
	l.buffer = append(l.buffer[:0], make([]byte, batchHead)...)
	empty := len(l.segments) == 0
	err := b.each(func(kind opKind, key, value []byte) error {
		if len(key) != 9 || !empty && key[0] != l.prefix {
			return fmt.Errorf("key %x is not of this log", key)
		}
		number := binary.BigEndian.Uint64(key[1:])
		switch {
		case kind == opSet && empty:
			l.begin(key[0])
			h.first, h.start, empty = number, number, false
			fallthrough
		case kind == opSet && number == h.first+uint64(h.rows):
			l.buffer = appendRow(l.buffer, number, value)
			h.rows++
			return nil
		case kind == opDeleteRange && len(value) == 9 && value[0] == key[0] && number <= h.start:
			h.start = max(h.start, min(binary.BigEndian.Uint64(value[1:]), h.first))
			return nil
		}
		return fmt.Errorf("key %x: rows are appended after row %d and deleted from row %d", key, l.next, l.start)
	})
	h.size = uint32(len(l.buffer) - batchHead)
	h.put(l.buffer)
	return h, err
}

// begin sets the prefix of all keys.
func (l *Log) begin(prefix byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prefix = prefix
}

// append writes l.buffer to the newest segment, or to a new one, and publishes its rows.
func (l *Log) append(h *batchOf) error {
	if n := len(l.segments); n == 0 || l.segments[n-1].end+int64(len(l.buffer)) > l.cfg.SegmentBytes && len(l.segments[n-1].offsets) > 0 {
		if err := l.rotate(h.first); err != nil {
			return err
		}
	}
	s := l.segments[len(l.segments)-1]
	if _, err := s.file.WriteAt(l.buffer, s.end); err != nil {
		return err
	}
	offset := uint32(s.end) + batchHead
	rows := l.buffer[batchHead:]
	l.mu.Lock()
	defer l.mu.Unlock()
	for range h.rows {
		s.offsets = append(s.offsets, offset)
		size := segmentRow + binary.LittleEndian.Uint32(rows)
		offset, rows = offset+size, rows[size:]
	}
	s.end += int64(len(l.buffer))
	l.start, l.next = h.start, s.next()
	if cap(l.buffer) > 4<<20 {
		l.buffer = nil // a rare large batch does not keep its room
	}
	return nil
}

// rotate makes the newest segment durable, begins another with row first, and removes those whose rows were all deleted. Since
// all rows up to first are durable by then, none is removed that an earlier state of the log needs.
func (l *Log) rotate(first uint64) error {
	if n := len(l.segments); n > 0 {
		if err := l.segments[n-1].file.Sync(); err != nil {
			return err
		}
	}
	s := &segment{name: segmentName(first), first: first, end: segmentHead}
	s.users.Store(1)
	if err := l.writeFile(l.path(s.name), appendSegmentHead(nil, l.prefix, first)); err != nil {
		return err
	}
	if err := l.dir.Sync(); err != nil {
		return err
	}
	var err error
	if s.file, err = l.openEnd(s.name, s.end); err != nil {
		return err
	}
	var dead []*segment
	l.mu.Lock()
	for len(l.segments) > 0 && l.segments[0].next() <= l.start {
		dead = append(dead, l.segments[0])
		l.segments = slices.Delete(l.segments, 0, 1)
	}
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	for _, d := range dead {
		err = errors.Join(err, d.release(), l.cfg.FS.Remove(l.path(d.name)))
	}
	return err
}

// Metrics returns counters since the store was opened.
func (l *Log) Metrics() Metrics {
	m := l.counters.metrics()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.segments {
		m.DiskBytes += uint64(s.end)
	}
	return m
}

func (l *Log) isClosed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// Close makes everything durable and releases the files.
func (l *Log) Close() error {
	l.writer.Lock()
	defer l.writer.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.closed = true
	var err error
	if n := len(l.segments); n > 0 {
		err = l.segments[n-1].file.Sync()
	}
	if err = errors.Join(err, l.closeFiles()); err != nil {
		return fmt.Errorf("kv: close: %w", err)
	}
	return nil
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, s := range l.segments {
		errs = append(errs, s.release())
	}
	if l.dir != nil {
		errs = append(errs, l.dir.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}
