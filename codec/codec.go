package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Bounds that every encoding and decoding obeys, whatever the caller's type allows.
const (
	// DepthMax is the deepest nesting of arrays and maps; a lone integer has depth 0, [] has depth 1.
	DepthMax = 16
	// ElementsMax is the largest number of elements in one array or pairs in one map.
	ElementsMax = 131072
	// ListsFactor and ListsFree bound what the lists of a value may take in memory, so that nobody fills it with elements that cost
	// him a byte each: all lists and pointers together, per byte of input and besides. An element counts its own size for
	// a number or truth value (1 to 8), 8 for a pointer, 16 for a text, 24 for bytes or a list, its length for an array of bytes,
	// and for a struct the sum of its fields. Values that anybody has a use for stay far below.
	ListsFactor = 3
	ListsFree   = 16 << 10
)

// ErrNotCanonical reports input that is well-formed CBOR but not the one deterministic encoding of its value.
var ErrNotCanonical = errors.New("codec: not the deterministic encoding of its value")

// RawMessage holds the encoding of one value that is decoded later, when its type is known. Its content was
// checked to be deterministic by Unmarshal, and is checked again by Marshal.
type RawMessage = cbor.RawMessage

// bufferKeepMax is the largest buffer in bytes that goes back to the pool, so that one large value does not
// pin its memory for ever.
const bufferKeepMax = 1 << 18

var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		ShortestFloat: cbor.ShortestFloat16,
		NaNConvert:    cbor.NaNConvertReject,
		InfConvert:    cbor.InfConvertReject,
		BigIntConvert: cbor.BigIntConvertReject,
		Time:          cbor.TimeRFC3339,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		ByteArray:     cbor.ByteArrayToByteSlice,
	}.UserBufferEncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   DepthMax,
		MaxArrayElements:  ElementsMax,
		MaxMapPairs:       ElementsMax,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		IntDec:            cbor.IntDecConvertNone,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
	}.DecMode())
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// Marshal returns the deterministic CBOR encoding of v (RFC 8949 section 4.2.1).
// Nil slices and maps encode as empty ones, so that a value and its decoded copy encode alike; byte arrays
// encode as byte strings. A value that Unmarshal would refuse to read back (a float, a string that is not
// UTF-8, nesting beyond DepthMax, more than ElementsMax elements or than ListsFactor lets them, a RawMessage that is not deterministic) is
// an error, so that nothing is ever sent that a reader would have to refuse.
func Marshal(v any) ([]byte, error) {
	buf := getBuffer()
	defer putBuffer(buf)
	b, ok := marshalPlanned(buf.AvailableBuffer(), v)
	if ok {
		b = bytes.Clone(b)
		buf.Write(b) // leaves the room that was needed with the buffer
	} else {
		var err error
		if b, err = marshalLong(buf, v); err != nil {
			return nil, err
		}
	}
	if overweight(b, v) {
		return nil, fmt.Errorf("codec: encode %T: %w", v, ErrLimit)
	}
	return b, nil
}

// overweight reports whether the lists of v have more elements than a reader of its encoding b would take.
func overweight(b []byte, v any) bool {
	value := reflect.ValueOf(v)
	if !value.IsValid() {
		return false
	}
	if value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	p := planOf(value.Type())
	return p != nil && p.weight(value) > ListsFactor*len(b)+ListsFree
}

// marshalLong is Marshal for all types, on the library. What plans write is what it writes.
func marshalLong(buf *bytes.Buffer, v any) ([]byte, error) {
	if err := encMode.MarshalToBuffer(v, buf); err != nil {
		return nil, fmt.Errorf("codec: encode %T: %w", v, err)
	}
	if err := Check(buf.Bytes()); err != nil {
		return nil, fmt.Errorf("codec: encode %T: %w", v, err)
	}
	return bytes.Clone(buf.Bytes()), nil
}

// MustMarshal is Marshal for values whose type cannot fail to encode; it panics if one does.
func MustMarshal(v any) []byte {
	b, err := Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Unmarshal decodes exactly one value from b into v, which must be a non-nil pointer to a zero value.
// It refuses everything that Check refuses, unknown and missing fields, and any other input that is not the
// deterministic encoding of what it decodes to: Unmarshal(b, &v) == nil implies Marshal(v) == b.
// What it allocates is linear in len(b): for types of plain shapes at most ten times as much and a little.
// The decoded value shares no memory with b.
func Unmarshal(b []byte, v any) error {
	if done, err := unmarshalPlanned(b, v); done {
		return err
	}
	return unmarshalLong(b, v)
}

// explainMax is up to how many bytes the library is asked to say what is wrong with bytes that a plan refuses: it makes the value
// once more for that.
const explainMax = 1 << 10

// unmarshalLong is Unmarshal for all types, on the library. What plans read is what it reads.
func unmarshalLong(b []byte, v any) error {
	if err := Check(b); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	if err := encMode.MarshalToBuffer(v, buf); err != nil {
		return fmt.Errorf("codec: re-encode %T: %w", v, err)
	}
	if !bytes.Equal(buf.Bytes(), b) {
		return ErrNotCanonical
	}
	return nil
}

func getBuffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

func putBuffer(b *bytes.Buffer) {
	if b.Cap() > bufferKeepMax {
		return
	}
	b.Reset()
	buffers.Put(b)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
