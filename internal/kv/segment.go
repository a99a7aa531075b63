package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A segment is a file of a Log: a head, then batches one after another, the first row of each being the one after the last
// row of the batch before. Numbers are little-endian; checksums are CRC-32C.
//
//	head:  magic(8) ‖ version(2) ‖ prefix(1) ‖ 0(1) ‖ number of its first row(8) ‖ checksum of all that(4)
//	batch: size of its rows(4) ‖ rows(4) ‖ number of its first row(8) ‖ first row of the log after it(8) ‖ checksum of all that(4)
//	row:   size of its value(4) ‖ checksum of its number and value(4) ‖ value
const (
	segmentMagic   = "avalrows"
	segmentVersion = 1
	segmentHead    = 8 + 2 + 1 + 1 + 8 + 4
	batchHead      = 4 + 4 + 8 + 8 + 4
	segmentRow     = 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn reports a batch that is not there as a whole.
var errTorn = errors.New("kv: not a whole batch")

// segment is one open file. Its rows do not change once they are entered under Log.mu.
type segment struct {
	file vfs.File
	name string
	// prefix is the first byte of all keys. Only views of readers have it.
	prefix byte
	first  uint64
	// offsets are the places of its rows in the file; end is the size of what is valid.
	offsets []uint32
	end     int64
	// users are those who read without holding the log's mutex, and the log itself.
	users atomic.Int32
}

// next is the number of the row after the segment's last.
func (s *segment) next() uint64 { return s.first + uint64(len(s.offsets)) }

// release closes the file once nobody reads it any more.
func (s *segment) release() error {
	if s.users.Add(-1) > 0 {
		return nil
	}
	return s.file.Close()
}

// appendSegmentHead appends the head of a segment whose first row is first.
func appendSegmentHead(b []byte, prefix byte, first uint64) []byte {
	at := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint16(b, segmentVersion)
	b = append(b, prefix, 0)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// decodeSegmentHead is the strict inverse.
func decodeSegmentHead(b []byte) (prefix byte, first uint64, err error) {
	if len(b) < segmentHead || string(b[:8]) != segmentMagic ||
		crc32.Checksum(b[:segmentHead-4], castagnoli) != binary.LittleEndian.Uint32(b[segmentHead-4:]) {
		return 0, 0, errTorn
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != segmentVersion || b[11] != 0 {
		return 0, 0, fmt.Errorf("kv: a segment of version %d, this program knows version %d", v, segmentVersion)
	}
	return b[10], binary.LittleEndian.Uint64(b[12:]), nil
}

// batchOf is what the head of a batch says.
type batchOf struct {
	size, rows   uint32
	first, start uint64
}

// put writes the head to the beginning of b.
func (h *batchOf) put(b []byte) {
	binary.LittleEndian.PutUint32(b, h.size)
	binary.LittleEndian.PutUint32(b[4:], h.rows)
	binary.LittleEndian.PutUint64(b[8:], h.first)
	binary.LittleEndian.PutUint64(b[16:], h.start)
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
}

// decodeBatchHead reads the head of a batch whose first row must be next.
func decodeBatchHead(b []byte, next uint64) (batchOf, error) {
	if len(b) < batchHead || crc32.Checksum(b[:24], castagnoli) != binary.LittleEndian.Uint32(b[24:]) {
		return batchOf{}, errTorn
	}
	h := batchOf{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]),
		binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
	if h.first != next || h.start > next || uint64(h.rows)*segmentRow > uint64(h.size) {
		return batchOf{}, errTorn
	}
	return h, nil
}

// rowChecksum binds a value to its number, so that a row in the wrong place is seen.
func rowChecksum(number uint64, value []byte) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], number)
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, value)
}

func appendRow(b []byte, number uint64, value []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	b = binary.LittleEndian.AppendUint32(b, rowChecksum(number, value))
	return append(b, value...)
}

// decodeRowAt returns the value of row number, which begins b.
func decodeRowAt(b []byte, number uint64) ([]byte, error) {
	if len(b) < segmentRow {
		return nil, errTorn
	}
	size := uint64(binary.LittleEndian.Uint32(b))
	if size > uint64(len(b)-segmentRow) {
		return nil, errTorn
	}
	value := b[segmentRow : segmentRow+size : segmentRow+size]
	if rowChecksum(number, value) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, errTorn
	}
	return value, nil
}

// scan enters the rows of all whole batches, and returns the first row of the log as the last batch names it. It stops with errTorn
// at what is not a whole batch; s.end is then the end of the last whole one.
func (s *segment) scan(size int64) (start uint64, err error) {
	s.end, s.offsets = segmentHead, nil
	var buffer []byte
	for s.end < size {
		head := make([]byte, batchHead)
		if err := s.readAt(head, s.end); err != nil {
			return start, err
		}
		h, err := decodeBatchHead(head, s.next())
		if err != nil {
			return start, err
		}
		if s.end+batchHead+int64(h.size) > size {
			return start, errTorn
		}
		if uint64(cap(buffer)) < uint64(h.size) {
			buffer = make([]byte, h.size)
		}
		if err := s.readAt(buffer[:h.size], s.end+batchHead); err != nil {
			return start, err
		}
		if err := s.enter(&h, buffer[:h.size]); err != nil {
			return start, err
		}
		start = h.start
	}
	return start, nil
}

// enter checks the rows of a batch at the segment's end and enters them, all or none.
func (s *segment) enter(h *batchOf, rows []byte) error {
	before := len(s.offsets)
	at := 0
	for i := range uint64(h.rows) {
		value, err := decodeRowAt(rows[at:], h.first+i)
		if err != nil {
			s.offsets = s.offsets[:before]
			return err
		}
		s.offsets = append(s.offsets, uint32(s.end+batchHead)+uint32(at))
		at += segmentRow + len(value)
	}
	if at != len(rows) {
		s.offsets = s.offsets[:before]
		return errTorn
	}
	s.end += batchHead + int64(len(rows))
	return nil
}

// readAt fills b from the file; less is errTorn.
func (s *segment) readAt(b []byte, at int64) error {
	n, err := s.file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return errTorn
	}
	return fmt.Errorf("kv: read %s at %d: %w", s.name, at, err)
}

// rowGuess is how much is read of a row at first, in the hope that it is all.
const rowGuess = 384

// row returns the value of the row with this number, in a buffer that grows as needed.
func (s *segment) row(number uint64, buffer *[]byte) ([]byte, error) {
	at := int64(s.offsets[number-s.first])
	want := min(rowGuess, s.end-at)
	for {
		if int64(cap(*buffer)) < want {
			*buffer = make([]byte, want)
		}
		b := (*buffer)[:want]
		if err := s.readAt(b, at); err != nil {
			return nil, s.damaged(number, err)
		}
		full := segmentRow + int64(binary.LittleEndian.Uint32(b))
		if full <= want {
			value, err := decodeRowAt(b, number)
			return value, s.damaged(number, err)
		}
		if full > s.end-at {
			return nil, s.damaged(number, errTorn)
		}
		want = full
	}
}

// damaged names the place of what must be whole and is not.
func (s *segment) damaged(number uint64, err error) error {
	if errors.Is(err, errTorn) {
		return fmt.Errorf("%w: row %d in %s", ErrDamaged, number, s.name)
	}
	return err
}
