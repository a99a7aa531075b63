package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"aval/merkle"
	"aval/suite"
)

// The first byte of a row. Numbers are appended and never reused.
const (
	kindValue     = 1
	kindTombstone = 2
	kindMarker    = 3
	kindBase      = 4
)

// logPrefix begins every key of the store.
const logPrefix = 'L'

const (
	rowHead     = 1 + 8 + 8 + 2
	markerBytes = 1 + 1 + 1 + 6*8 + 3*suite.HashSize + 8
)

// ErrDamaged reports a log that no crash can leave: the medium or another program changed it.
var ErrDamaged = errors.New("state: the log is damaged")

// appendKey appends the store key of a row of the log.
func appendKey(b []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, logPrefix), seq)
}

func parseKey(key []byte) (seq uint64, err error) {
	if len(key) != 9 || key[0] != logPrefix {
		return 0, fmt.Errorf("%w: a row has the key %x", ErrDamaged, key)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// row is one write: kind ‖ height ‖ previous height ‖ length of key ‖ key ‖ value.
type row struct {
	deleted  bool
	height   uint64
	previous uint64
	key      []byte
	value    []byte
}

func (r *row) append(b []byte) []byte {
	kind := byte(kindValue)
	if r.deleted {
		kind = kindTombstone
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, r.height)
	b = binary.BigEndian.AppendUint64(b, r.previous)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.key)))
	b = append(b, r.key...)
	return append(b, r.value...)
}

// decodeRow reads a write strictly. Its slices point into b.
func decodeRow(b []byte) (row, error) {
	if len(b) < rowHead || b[0] != kindValue && b[0] != kindTombstone {
		return row{}, fmt.Errorf("%w: a row of %d bytes is no write", ErrDamaged, len(b))
	}
	r := row{deleted: b[0] == kindTombstone, height: binary.BigEndian.Uint64(b[1:]), previous: binary.BigEndian.Uint64(b[9:])}
	size := int(binary.BigEndian.Uint16(b[17:]))
	if size < merkle.KeyBytesMin || size > merkle.KeyBytesMax || len(b) < rowHead+size {
		return row{}, fmt.Errorf("%w: a row of %d bytes with a key of %d", ErrDamaged, len(b), size)
	}
	r.key, r.value = b[rowHead:rowHead+size], b[rowHead+size:]
	if len(r.value) > merkle.ValueBytesMax || r.deleted && len(r.value) > 0 {
		return row{}, fmt.Errorf("%w: a value of %d bytes, deleted %t", ErrDamaged, len(r.value), r.deleted)
	}
	if r.previous != merkle.HeightNone && r.previous >= r.height || r.deleted && r.previous == merkle.HeightNone {
		return row{}, fmt.Errorf("%w: height %d after %d", ErrDamaged, r.height, r.previous)
	}
	return r, nil
}

// marker ends a block's batch. A log ends with a marker.
type marker struct {
	// base says that the log begins here: the rows before are the state of this height, imported, and not its writes.
	base   bool
	suite  suite.ID
	height uint64
	// first is the block's first row and writes how many are its writes; copies of old rows follow.
	first, writes uint64
	// head is the marker's own row, tail the first row of the log.
	head, tail uint64
	// leaves is the number of leaves, tombstones included.
	leaves          uint64
	state, writeSet suite.Hash
	// expired is the last tombstone that left the tree: none at or before it, by height and key, is in it.
	expired tombstone
}

// tombstone is a deleted key in the order in which such leave.
type tombstone struct {
	height uint64
	key    suite.Hash
}

// after reports whether t leaves after o.
func (t *tombstone) after(o *tombstone) bool {
	return t.height > o.height || t.height == o.height && compare(&t.key, &o.key) > 0
}

func (m *marker) append(b []byte) []byte {
	kind := byte(kindMarker)
	if m.base {
		kind = kindBase
	}
	b = append(b, kind, merkle.Scheme, byte(m.suite))
	for _, n := range []uint64{m.height, m.first, m.writes, m.head, m.tail, m.leaves} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(append(b, m.state[:]...), m.writeSet[:]...)
	b = binary.BigEndian.AppendUint64(b, m.expired.height)
	return append(b, m.expired.key[:]...)
}

// isMarker reports whether a row of the log is a marker and no write.
func isMarker(b []byte) bool { return len(b) > 0 && (b[0] == kindMarker || b[0] == kindBase) }

// decodeMarker reads a marker strictly.
func decodeMarker(b []byte) (*marker, error) {
	if len(b) != markerBytes || !isMarker(b) {
		return nil, fmt.Errorf("%w: a row of %d bytes is no marker", ErrDamaged, len(b))
	}
	if b[1] != merkle.Scheme {
		return nil, fmt.Errorf("state: the log was written under scheme %d, this program has scheme %d", b[1], merkle.Scheme)
	}
	m := &marker{base: b[0] == kindBase, suite: suite.ID(b[2])}
	at := 3
	for _, n := range []*uint64{&m.height, &m.first, &m.writes, &m.head, &m.tail, &m.leaves} {
		*n = binary.BigEndian.Uint64(b[at:])
		at += 8
	}
	m.state, m.writeSet = suite.Hash(b[at:at+suite.HashSize]), suite.Hash(b[at+suite.HashSize:at+2*suite.HashSize])
	at += 2 * suite.HashSize
	m.expired.height, m.expired.key = binary.BigEndian.Uint64(b[at:]), suite.Hash(b[at+8:])
	if (m.writes == 0) != m.base || m.writes > merkle.WritesMax || m.tail > m.first || m.first > m.head || m.head-m.first < m.writes ||
		m.base && (m.first != m.head || m.tail != 0 || m.leaves != m.first) {
		return nil, fmt.Errorf("%w: marker of height %d: rows %d to %d, %d writes, log from %d",
			ErrDamaged, m.height, m.first, m.head, m.writes, m.tail)
	}
	return m, nil
}

func compare(a, b *suite.Hash) int {
	x, y := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])
	for at := 8; x == y && at < suite.HashSize; at += 8 {
		x, y = binary.BigEndian.Uint64(a[at:]), binary.BigEndian.Uint64(b[at:])
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
