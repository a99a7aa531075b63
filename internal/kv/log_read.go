package kv

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Get returns the value of key or ErrNotFound.
func (l *Log) Get(key []byte) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, ErrClosed
	}
	l.gets.Add(1)
	number, ok := l.number(key)
	if !ok || number < l.start || number >= l.next {
		return nil, ErrNotFound
	}
	buffer := l.buffers.Get().(*[]byte)
	defer l.buffers.Put(buffer)
	value, err := l.segments[l.segmentOf(number)].row(number, buffer)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(value)), value...), nil
}

// number returns the row that a key names.
func (l *Log) number(key []byte) (uint64, bool) {
	if len(key) != 9 || key[0] != l.prefix {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// segmentOf returns the index of the segment that holds a row.
func (l *Log) segmentOf(number uint64) int {
	at, found := slices.BinarySearchFunc(l.segments, number, func(s *segment, n uint64) int {
		switch {
		case s.first < n:
			return -1
		case s.first > n:
			return 1
		}
		return 0
	})
	if found {
		return at
	}
	return at - 1
}

// Iterate calls fn for the rows of r.
func (l *Log) Iterate(r Range, fn func(key, value []byte) error) error {
	if err := r.check(); err != nil {
		return err
	}
	segments, from, to, err := l.view(&r)
	if err != nil || len(segments) == 0 {
		return err
	}
	defer func() {
		for _, s := range segments {
			_ = s.release() // the file was read only
		}
	}()
	buffer := l.buffers.Get().(*[]byte)
	defer l.buffers.Put(buffer)
	key := []byte{segments[0].prefix, 8: 0}
	read := reader{segments: segments}
	for rows := 0; from < to && rows < r.Limit; rows++ {
		number := from
		if r.Reverse {
			to--
			number = to
		} else {
			from++
		}
		value, err := read.row(number, r.Reverse, buffer)
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(key[1:], number)
		if err := fn(key, value); err != nil {
			return unlessStop(err)
		}
	}
	return nil
}

// view returns the segments of the rows from to to that r selects, kept open for the caller.
func (l *Log) view(r *Range) (segments []*segment, from, to uint64, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, 0, 0, ErrClosed
	}
	l.iterates.Add(1)
	from, to = max(l.start, l.bound(r.Start, 0)), min(l.next, l.bound(r.End, math.MaxUint64))
	if from >= to {
		return nil, 0, 0, nil
	}
	for _, s := range l.segments[l.segmentOf(from) : l.segmentOf(to-1)+1] {
		s.users.Add(1)
		// The log enters further rows; these do not change.
		view := &segment{name: s.name, prefix: l.prefix, first: s.first, offsets: s.offsets, end: s.end}
		segments = append(segments, view)
		view.users.Store(1)
		view.file = sharedFile{s.file, s}
	}
	return segments, from, to, nil
}

// bound returns the first row at or after a key, and otherwise if there is no key.
func (l *Log) bound(key []byte, otherwise uint64) uint64 {
	if key == nil {
		return otherwise
	}
	switch {
	case len(key) == 0 || key[0] < l.prefix:
		return 0
	case key[0] > l.prefix:
		return math.MaxUint64
	}
	var b [9]byte
	copy(b[:], key)
	n := binary.BigEndian.Uint64(b[1:])
	if len(key) > 9 && n < math.MaxUint64 {
		n++
	}
	return n
}

// sharedFile is a segment's file in the hands of a reader.
type sharedFile struct {
	vfs.File
	of *segment
}

// Close gives the file back.
func (f sharedFile) Close() error { return f.of.release() }

// reader reads rows one after another, forward many at once.
type reader struct {
	segments []*segment
	current  *segment
	window   []byte
	at       int64 // where in the file window begins
}

// readAhead is how much a reader reads at once.
const readAhead = 256 << 10

func (r *reader) row(number uint64, reverse bool, buffer *[]byte) ([]byte, error) {
	if r.current == nil || number < r.current.first || number >= r.current.next() {
		i := slices.IndexFunc(r.segments, func(s *segment) bool { return number >= s.first && number < s.next() })
		r.current, r.window = r.segments[i], r.window[:0]
	}
	s := r.current
	if reverse {
		return s.row(number, buffer)
	}
	offset := int64(s.offsets[number-s.first])
	for range 2 {
		if from := offset - r.at; from >= 0 && from < int64(len(r.window)) {
			if value, err := decodeRowAt(r.window[from:], number); err == nil {
				return value, nil
			}
		}
		size := min(readAhead, s.end-offset)
		r.window, r.at = slices.Grow(r.window[:0], int(size))[:size], offset
		if err := s.readAt(r.window, offset); err != nil {
			return nil, s.damaged(number, err)
		}
	}
	return s.row(number, buffer) // larger than the window, or damaged
}
