package codec

import (
	"reflect"
	"unicode/utf8"
)

// marshalPlanned appends the encoding of v to b, or returns false if that takes the long way.
func marshalPlanned(b []byte, v any) ([]byte, bool) {
	value := reflect.ValueOf(v)
	switch {
	case value.Kind() == reflect.Pointer && !value.IsNil():
		value = value.Elem()
	case value.Kind() == reflect.Struct:
		addressable := reflect.New(value.Type()).Elem()
		addressable.Set(value)
		value = addressable
	default:
		return b, false
	}
	p := planOf(value.Type())
	if p == nil {
		return b, false
	}
	return p.append(b, value, 0)
}

// append appends the encoding of v, which is addressable; depth is how many arrays and maps enclose it. It returns false for what Marshal
// might refuse.
func (p *plan) append(b []byte, v reflect.Value, depth int) ([]byte, bool) {
	switch p.shape {
	case shapeUint:
		return appendHead(b, majorUint, v.Uint()), true
	case shapeInt:
		return appendInt(b, v.Int()), true
	case shapeBool:
		if v.Bool() {
			return append(b, majorSimple<<5|simpleTrue), true
		}
		return append(b, majorSimple<<5|simpleFalse), true
	case shapeText:
		s := v.String()
		return append(appendHead(b, majorText, uint64(len(s))), s...), utf8.ValidString(s)
	case shapeBytes:
		s := v.Bytes()
		return append(appendHead(b, majorBytes, uint64(len(s))), s...), true
	case shapeByteArray:
		return append(append(b, p.head...), v.Bytes()...), true
	case shapeRaw:
		c := checker{b: v.Bytes()}
		ok := c.value(depth) == nil && c.off == len(c.b)
		return append(b, c.b...), ok
	case shapePointer:
		if v.IsNil() {
			return append(b, null), true
		}
		return p.elem.append(b, v.Elem(), depth)
	case shapeList:
		return p.appendList(b, v, depth+1)
	default:
		return p.appendStruct(b, v, depth+1)
	}
}

func (p *plan) appendList(b []byte, v reflect.Value, depth int) ([]byte, bool) {
	count := v.Len()
	ok := depth <= DepthMax && count <= ElementsMax
	b = appendHead(b, majorArray, uint64(count))
	for i := 0; i < count && ok; i++ {
		b, ok = p.elem.append(b, v.Index(i), depth)
	}
	return b, ok
}

func (p *plan) appendStruct(b []byte, v reflect.Value, depth int) ([]byte, bool) {
	ok := depth <= DepthMax
	b = append(b, p.head...)
	for i := 0; i < len(p.fields) && ok; i++ {
		f := &p.fields[i]
		b, ok = f.plan.append(append(b, f.key...), v.Field(f.index), depth)
	}
	return b, ok
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNegative, uint64(^n))
	}
	return appendHead(b, majorUint, uint64(n))
}

// appendHead appends an initial byte and its argument in the shortest form (RFC 8949 section 3).
func appendHead(b []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg < 1<<8:
		return append(b, major|24, byte(arg))
	case arg < 1<<16:
		return append(b, major|25, byte(arg>>8), byte(arg))
	case arg < 1<<32:
		return append(b, major|26, byte(arg>>24), byte(arg>>16), byte(arg>>8), byte(arg))
	default:
		return append(b, major|27, byte(arg>>56), byte(arg>>48), byte(arg>>40), byte(arg>>32),
			byte(arg>>24), byte(arg>>16), byte(arg>>8), byte(arg))
	}
}
