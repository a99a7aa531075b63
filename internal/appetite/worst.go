package appetite

import (
	"bytes"
	"reflect"
)

// Malformed returns inputs of at most so many bytes that claim more than they hold, in CBOR (RFC 8949) and in general.
func Malformed(bytesMax int) [][]byte {
	huge := []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	out := [][]byte{{}}
	for _, head := range []byte{0x1b, 0x5b, 0x7b, 0x9b, 0xbb} { // number, bytes, text, array, map, with eight bytes of length
		out = append(out, append([]byte{head}, huge...), append([]byte{0xa1, 0x01, head}, huge...))
	}
	out = append(out, []byte{0x9a, 0x00, 0x01, 0xff, 0xff}, []byte{0x81, 0x9a, 0x00, 0x01, 0xff, 0xff}, []byte{0xba, 0x00, 0x01, 0xff, 0xff})
	for _, unit := range [][]byte{{0x81}, {0x80}, {0xa0}, {0x40}, {0x60}, {0x00}, {0xa1, 0x01}, {0xa1, 0x01, 0x81}, {0x9f}, {0xbf}, {0x5f}, {0xff}, {0xc0}, []byte("["), []byte("{\"a\":"), []byte("[[]\n"), []byte("<")} {
		out = append(out, bytes.Repeat(unit, max(1, bytesMax/len(unit))))
	}
	return out
}

// Worst returns encodings of at most about so many bytes of values whose lists, one at a time, hold as many empty elements as fit,
// and of each some that go wrong at the end. zero is a pointer to a zero value of the decoder's type; encode encodes such values.
func Worst(zero any, encode func(v any) ([]byte, error), bytesMax int) [][]byte {
	var out [][]byte
	lists(reflect.TypeOf(zero).Elem(), nil, func(path []int) {
		most, step := 0, 1<<13
		var best []byte
		for ; step > 0; step /= 2 { // the largest number that fits
			b, err := encode(filled(zero, path, most+step))
			if err == nil && len(b) <= bytesMax {
				most, best = most+step, b
			}
		}
		if best == nil {
			return
		}
		out = append(out, best, append(bytes.Clone(best), 0))
		for _, last := range []byte{0x00, 0xf6, 0x80, 0xa0, 0x18} {
			spoilt := bytes.Clone(best)
			spoilt[len(spoilt)-1] = last
			out = append(out, spoilt)
		}
	})
	return out
}

// step marks in a path that it goes into the only element of a list.
const intoElement = -1

// lists calls yield with the path of every list in a type.
func lists(t reflect.Type, path []int, yield func(path []int)) {
	if len(path) > 12 {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				lists(t.Field(i).Type, append(path[:len(path):len(path)], i), yield)
			}
		}
	case reflect.Pointer:
		if len(path) < 8 {
			lists(t.Elem(), path, yield)
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return
		}
		yield(path)
		lists(t.Elem(), append(path[:len(path):len(path)], intoElement), yield)
	default: // what cannot hold a list
	}
}

// filled returns a pointer to a value that is zero but for the list at path, which has n zero elements, and what encloses it.
func filled(zero any, path []int, n int) any {
	root := reflect.New(reflect.TypeOf(zero).Elem())
	v := root.Elem()
	into := func() {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
	}
	for _, i := range path {
		into()
		if i == intoElement {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			v = v.Index(0)
		} else {
			v = v.Field(i)
		}
	}
	into()
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	return root.Interface()
}
