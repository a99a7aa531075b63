package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// What Check refuses, besides ErrNotCanonical. Each error says at which byte.
var (
	// ErrTruncated reports input that ends inside a value, or a length that exceeds the input.
	ErrTruncated = errors.New("codec: input ends inside a value")
	// ErrTrailing reports bytes after the first value.
	ErrTrailing = errors.New("codec: bytes after the value")
	// ErrForbidden reports a kind of value the ledger has no use for: tags, floats, undefined, simple values,
	// reserved heads.
	ErrForbidden = errors.New("codec: forbidden kind of value")
	// ErrLimit reports nesting beyond DepthMax or more than ElementsMax elements.
	ErrLimit = errors.New("codec: too deep or too many elements")
	// ErrUTF8 reports a text string that is not valid UTF-8.
	ErrUTF8 = errors.New("codec: text is not valid UTF-8")
)

// The major types of RFC 8949 section 3.1.
const (
	majorUint byte = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// The simple values that are allowed (RFC 8949 section 3.3).
const (
	simpleFalse = 20
	simpleTrue  = 21
	simpleNull  = 22
)

// null is the encoding of no value.
const null = majorSimple<<5 | simpleNull

// Check reports whether b is exactly one value in deterministic encoding (RFC 8949 section 4.2.1) within this
// package's bounds, whatever its type: integers and lengths in their shortest form, definite lengths only, map
// keys strictly ascending in bytewise order of their encodings, text in UTF-8, no tags, floats, undefined or
// other simple values than false, true and null. It allocates nothing unless it fails. It holds for content
// that is carried as RawMessage too.
func Check(b []byte) error { return check(b, nil) }

// CheckTexts is Check, and besides calls text for every text string in b, whether it is a key or a value and in whatever it is nested.
// It stops at the first error that text returns.
func CheckTexts(b []byte, text func(s []byte) error) error { return check(b, text) }

func check(b []byte, text func([]byte) error) error {
	c := checker{b: b, text: text}
	if err := c.value(0); err != nil {
		return fmt.Errorf("at byte %d: %w", c.off, err)
	}
	if c.off != len(b) {
		return fmt.Errorf("at byte %d: %w", c.off, ErrTrailing)
	}
	return nil
}

// checker walks over b. Invariant: 0 <= off <= len(b).
type checker struct {
	b    []byte
	off  int
	text func(s []byte) error // nil if texts need only be UTF-8
	// room is what lists may still take while a plan reads: see ListsFactor.
	room int
}

// value checks the value at off and moves behind it; depth is how many arrays and maps enclose it.
func (c *checker) value(depth int) error {
	major, arg, err := c.head()
	if err != nil {
		return err
	}
	switch major {
	case majorUint, majorNegative:
		return nil
	case majorBytes, majorText:
		return c.str(major, arg)
	case majorArray:
		return c.array(depth+1, arg)
	case majorMap:
		return c.pairs(depth+1, arg)
	case majorSimple:
		return nil // head let only false, true and null through
	default:
		return ErrForbidden
	}
}

// head reads the initial byte and its argument (RFC 8949 section 3) and moves behind them.
func (c *checker) head() (major byte, arg uint64, err error) {
	rest := c.b[c.off:]
	if len(rest) == 0 {
		return 0, 0, ErrTruncated
	}
	major, info := rest[0]>>5, rest[0]&31
	if major == majorSimple && info != simpleFalse && info != simpleTrue && info != simpleNull {
		return 0, 0, fmt.Errorf("%w: float, undefined, break or simple value", ErrForbidden)
	}
	if major == majorTag {
		return 0, 0, fmt.Errorf("%w: tag", ErrForbidden)
	}
	if info < 24 {
		c.off++
		return major, uint64(info), nil
	}
	if info > 27 {
		return 0, 0, fmt.Errorf("%w: indefinite length or reserved head", ErrForbidden)
	}
	size := 1 << (info - 24)
	if len(rest) < 1+size {
		return 0, 0, ErrTruncated
	}
	var floor uint64 // the least argument that needs this many bytes
	switch size {
	case 1:
		arg, floor = uint64(rest[1]), 24
	case 2:
		arg, floor = uint64(binary.BigEndian.Uint16(rest[1:])), 1<<8
	case 4:
		arg, floor = uint64(binary.BigEndian.Uint32(rest[1:])), 1<<16
	default:
		arg, floor = binary.BigEndian.Uint64(rest[1:]), 1<<32
	}
	if arg < floor {
		return 0, 0, fmt.Errorf("%w: integer or length is not in its shortest form", ErrNotCanonical)
	}
	c.off += 1 + size
	return major, arg, nil
}

func (c *checker) str(major byte, length uint64) error {
	if length > uint64(len(c.b)-c.off) {
		return ErrTruncated
	}
	s := c.b[c.off : c.off+int(length)]
	if major == majorText && !utf8.Valid(s) {
		return ErrUTF8
	}
	if major == majorText && c.text != nil {
		if err := c.text(s); err != nil {
			return err
		}
	}
	c.off += int(length)
	return nil
}

func (c *checker) array(depth int, count uint64) error {
	if depth > DepthMax || count > ElementsMax {
		return ErrLimit
	}
	if count > uint64(len(c.b)-c.off) {
		return ErrTruncated // every element takes a byte at least
	}
	for range count {
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) pairs(depth int, count uint64) error {
	if depth > DepthMax || count > ElementsMax {
		return ErrLimit
	}
	if 2*count > uint64(len(c.b)-c.off) {
		return ErrTruncated // every pair takes two bytes at least
	}
	var previous []byte
	for i := range count {
		start := c.off
		if err := c.value(depth); err != nil {
			return err
		}
		key := c.b[start:c.off]
		if i > 0 && bytes.Compare(previous, key) >= 0 {
			c.off = start
			return fmt.Errorf("%w: map keys are not strictly ascending", ErrNotCanonical)
		}
		previous = key
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return nil
}
