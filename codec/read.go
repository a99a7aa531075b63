package codec

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"unicode/utf8"
)

// unmarshalPlanned decodes b into v, or returns done false if that takes the long way; then v is zero. It is done with an error
// where lists have more elements than ListsFactor lets them, and where b is long.
func unmarshalPlanned(b []byte, v any) (done bool, err error) {
	value := reflect.ValueOf(v)
	if value.Kind() != reflect.Pointer || value.IsNil() {
		return false, nil
	}
	value = value.Elem()
	p := planOf(value.Type())
	if p == nil {
		return false, nil
	}
	c := checker{b: b, room: ListsFactor*len(b) + ListsFree}
	if p.read(&c, value, 0) && c.off == len(b) {
		return true, nil
	}
	value.SetZero()
	if c.room < 0 {
		return true, fmt.Errorf("codec: decode %T: at byte %d: %w", v, c.off, ErrLimit)
	}
	if len(b) <= explainMax {
		return false, nil
	}
	if err := Check(b); err != nil {
		return true, fmt.Errorf("codec: decode %T: %w", v, err)
	}
	return true, fmt.Errorf("codec: decode %T: %w: it differs at byte %d or in the value there", v, ErrNotCanonical, c.off)
}

// read decodes the value at c.off into v and moves behind it; depth is how many arrays and maps enclose it. It returns false for
// anything but the one deterministic encoding of a value of the plan's type; then v holds anything.
func (p *plan) read(c *checker, v reflect.Value, depth int) bool {
	switch p.shape {
	case shapeByteArray:
		if !c.skip(p.head) || len(c.b)-c.off < v.Len() {
			return false
		}
		c.off += copy(v.Bytes(), c.b[c.off:])
		return true
	case shapeRaw:
		start := c.off
		if c.value(depth) != nil {
			return false
		}
		v.SetBytes(bytes.Clone(c.b[start:c.off]))
		return true
	case shapePointer:
		if c.skip([]byte{null}) {
			v.SetZero()
			return true
		}
		if c.room -= p.elem.unit; c.room < 0 {
			return false
		}
		v.Set(reflect.New(p.typ.Elem()))
		return p.elem.read(c, v.Elem(), depth)
	case shapeStruct:
		return p.readStruct(c, v, depth+1)
	default:
		major, arg, ok := c.shortHead()
		return ok && p.readHeaded(c, v, depth, major, arg)
	}
}

// readHeaded goes on after the head.
func (p *plan) readHeaded(c *checker, v reflect.Value, depth int, major byte, arg uint64) bool {
	switch p.shape {
	case shapeUint:
		v.SetUint(arg)
		return major == majorUint && v.Uint() == arg
	case shapeInt:
		n := int64(arg)
		if major == majorNegative {
			n = ^n
		}
		v.SetInt(n)
		return (major == majorUint || major == majorNegative) && arg <= math.MaxInt64 && v.Int() == n
	case shapeBool:
		v.SetBool(arg == simpleTrue)
		return major == majorSimple && arg != simpleNull
	case shapeText:
		s, ok := c.bytes(arg)
		if !ok || major != majorText || !utf8.Valid(s) {
			return false
		}
		v.SetString(string(s))
		return true
	case shapeBytes:
		s, ok := c.bytes(arg)
		if !ok || major != majorBytes {
			return false
		}
		v.SetBytes(append(make([]byte, 0, len(s)), s...))
		return true
	default:
		return major == majorArray && p.readList(c, v, depth+1, arg)
	}
}

func (p *plan) readList(c *checker, v reflect.Value, depth int, count uint64) bool {
	if depth > DepthMax || count > ElementsMax || int(count)*p.elem.least > len(c.b)-c.off {
		return false
	}
	if c.room -= int(count) * p.elem.unit; c.room < 0 {
		return false
	}
	list := reflect.MakeSlice(p.typ, int(count), int(count))
	for i := range int(count) {
		if !p.elem.read(c, list.Index(i), depth) {
			return false
		}
	}
	v.Set(list)
	return true
}

func (p *plan) readStruct(c *checker, v reflect.Value, depth int) bool {
	if depth > DepthMax || !c.skip(p.head) {
		return false
	}
	for i := range p.fields {
		f := &p.fields[i]
		if !c.skip(f.key) || !f.plan.read(c, v.Field(f.index), depth) {
			return false
		}
	}
	return true
}

// skip moves behind want if that is what stands at off.
func (c *checker) skip(want []byte) bool {
	if len(want) == 1 { // as nearly always
		if c.off == len(c.b) || c.b[c.off] != want[0] {
			return false
		}
	} else if !bytes.HasPrefix(c.b[c.off:], want) {
		return false
	}
	c.off += len(want)
	return true
}

// bytes returns the next count bytes and moves behind them.
func (c *checker) bytes(count uint64) ([]byte, bool) {
	if count > uint64(len(c.b)-c.off) {
		return nil, false
	}
	s := c.b[c.off : c.off+int(count)]
	c.off += int(count)
	return s, true
}

// shortHead is head for callers that do not ask why it fails.
func (c *checker) shortHead() (major byte, arg uint64, ok bool) {
	if c.off < len(c.b) {
		if first := c.b[c.off]; first&31 < 24 && first < majorTag<<5 {
			c.off++
			return first >> 5, uint64(first & 31), true
		}
	}
	major, arg, err := c.head()
	return major, arg, err == nil
}
