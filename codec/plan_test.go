package codec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
)

type level uint8

type inner struct {
	Level level  `cbor:"1,keyasint"`
	Names []name `cbor:"24,keyasint"`
}

type name string

// plain has every shape that a plan knows.
type plain struct {
	Count  uint64           `cbor:"1,keyasint"`
	Small  uint16           `cbor:"2,keyasint"`
	Signed int64            `cbor:"3,keyasint"`
	Short  int32            `cbor:"4,keyasint"`
	Flag   bool             `cbor:"5,keyasint"`
	Name   name             `cbor:"6,keyasint"`
	Blob   []byte           `cbor:"7,keyasint"`
	Key    key              `cbor:"8,keyasint"`
	Hash   digest           `cbor:"9,keyasint"`
	Four   [4]byte          `cbor:"10,keyasint"`
	Inner  inner            `cbor:"11,keyasint"`
	List   []inner          `cbor:"12,keyasint"`
	Blobs  [][]byte         `cbor:"13,keyasint"`
	Raw    codec.RawMessage `cbor:"300,keyasint"`
	Before int8             `cbor:"-1,keyasint"`
	Nested [][]uint64       `cbor:"-2,keyasint"`
	Maybe  *inner           `cbor:"-3,keyasint"`
}

// digest has a way of its own to be encoded, which is that of every byte array.
type digest [32]byte

func (d digest) MarshalCBOR() ([]byte, error) { return append([]byte{0x58, 32}, d[:]...), nil }

func (d *digest) UnmarshalCBOR(b []byte) error {
	if len(b) != 34 || b[0] != 0x58 || b[1] != 32 {
		return errors.New("not a digest")
	}
	copy(d[:], b[2:])
	return nil
}

// odd is encoded as text.
type odd [2]byte

func (o odd) MarshalCBOR() ([]byte, error) { return append([]byte{0x62}, o[:]...), nil }

type key []byte

// account is a record as the state has many.
type account struct {
	Bank    name   `cbor:"1,keyasint"`
	Holder  name   `cbor:"2,keyasint"`
	Balance uint64 `cbor:"3,keyasint"`
	Held    uint64 `cbor:"4,keyasint"`
}

// planned are types that must have a plan.
var planned = []reflect.Type{
	reflect.TypeFor[plain](), reflect.TypeFor[inner](), reflect.TypeFor[[]inner](), reflect.TypeFor[codec.RawMessage](),
	reflect.TypeFor[uint64](), reflect.TypeFor[name](), reflect.TypeFor[digest](), reflect.TypeFor[account](),
}

func TestPlanned(t *testing.T) {
	for _, typ := range planned {
		if !codec.Planned(typ) {
			t.Errorf("%v takes the long way", typ)
		}
	}
	type unnamed struct{ A uint64 }
	type hidden struct {
		a uint64 `cbor:"1,keyasint"` //nolint:unused // that it is hidden is the point
	}
	type twice struct {
		A uint64 `cbor:"1,keyasint"`
		B uint64 `cbor:"1,keyasint"`
	}
	for _, v := range []any{unnamed{}, hidden{}, twice{}, map[uint64]bool{}, []level{}, new(uint64), [3]uint16{}, 1.5, []any{}, odd{}, struct {
		A **inner `cbor:"1,keyasint"`
	}{}} {
		if codec.Planned(reflect.TypeOf(v)) {
			t.Errorf("%T has a plan", v)
		}
	}
}

// fill draws a value of any planned type.
func fill(t *rapid.T, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[codec.RawMessage]():
		raw := rapid.SampledFrom([]string{"00", "f6", "8101", "a10102", "6161", "1801", "", "0101", "8181818181818181818181818181818101", "ff"})
		b, _ := hex.DecodeString(raw.Draw(t, "raw"))
		v.SetBytes(b)
	case v.CanUint():
		n := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}))
		v.SetUint(n.Draw(t, "uint") & math.MaxUint64 >> (64 - v.Type().Bits()))
	case v.CanInt():
		v.SetInt(rapid.Int64().Draw(t, "int") >> rapid.IntRange(64-v.Type().Bits(), 63).Draw(t, "shift"))
	case v.Kind() == reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case v.Kind() == reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "汇票", "\xff", "0123456789012345678901234"}).Draw(t, "text"))
	case v.Kind() == reflect.Array:
		reflect.Copy(v, reflect.ValueOf(rapid.SliceOfN(rapid.Byte(), v.Len(), v.Len()).Draw(t, "bytes")))
	case v.Type() == reflect.TypeFor[[]byte](), v.Type() == reflect.TypeFor[key]():
		v.SetBytes(rapid.SampledFrom([][]byte{nil, {}, {1}, make([]byte, 33), make([]byte, 300)}).Draw(t, "blob"))
	case v.Kind() == reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case v.Kind() == reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("nothing to fill %v with", v.Type())
	}
}

// same fails unless both ways decode b to the same value of typ, or neither does and for the same reason.
func same(t interface{ Fatalf(string, ...any) }, typ reflect.Type, b []byte) {
	short, long := reflect.New(typ), reflect.New(typ)
	shortErr, longErr := codec.Unmarshal(b, short.Interface()), codec.UnmarshalLong(b, long.Interface())
	if (shortErr == nil) != (longErr == nil) || shortErr != nil && shortErr.Error() != longErr.Error() {
		t.Fatalf("%x as %v: %v, the long way %v", b, typ, shortErr, longErr)
	}
	if shortErr == nil && !reflect.DeepEqual(short.Interface(), long.Interface()) {
		t.Fatalf("%x as %v: %#v, the long way %#v", b, typ, short, long)
	}
}

// TestPlansAgainstLibrary encodes random values both ways and decodes them, and changed bytes of them, both ways.
func TestPlansAgainstLibrary(t *testing.T) {
	for _, typ := range planned {
		rapid.Check(t, func(t *rapid.T) {
			v := reflect.New(typ)
			fill(t, v.Elem())
			b, err := codec.Marshal(v.Interface())
			long, longErr := codec.MarshalLong(v.Interface())
			if !bytes.Equal(b, long) || (err == nil) != (longErr == nil) || err != nil && err.Error() != longErr.Error() {
				t.Fatalf("%#v: %x, %v, the long way %x, %v", v, b, err, long, longErr)
			}
			byValue, _ := codec.Marshal(v.Elem().Interface())
			if !bytes.Equal(b, byValue) {
				t.Fatalf("%#v: %x, by value %x", v, b, byValue)
			}
			if err != nil {
				return
			}
			same(t, typ, b)
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			flipped := bytes.Clone(b)
			flipped[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
			same(t, typ, flipped)
			same(t, typ, b[:at])
			same(t, typ, append(bytes.Clone(b), b[at:]...))
		})
	}
}

// FuzzPlans compares both ways on bytes that nobody encoded.
func FuzzPlans(f *testing.F) {
	for i := range planned {
		f.Add(i, codec.MustMarshal(reflect.New(reflect.TypeFor[inner]()).Interface()))
	}
	f.Fuzz(func(t *testing.T, at int, b []byte) {
		same(t, planned[uint(at)%uint(len(planned))], b)
	})
}

// TestPlansAtTheBounds holds values at the bounds of depth and count.
func TestPlansAtTheBounds(t *testing.T) {
	type deep struct {
		Raw codec.RawMessage `cbor:"1,keyasint"`
	}
	for depth := range codec.DepthMax + 2 {
		raw := append(bytes.Repeat([]byte{0x81}, depth), 0)
		b, err := codec.Marshal(&deep{raw})
		long, longErr := codec.MarshalLong(&deep{raw})
		if !bytes.Equal(b, long) || (err == nil) != (longErr == nil) || (err == nil) != (depth < codec.DepthMax) {
			t.Fatalf("depth %d: %x, %v, the long way %x, %v", depth, b, err, long, longErr)
		}
		same(t, reflect.TypeFor[deep](), append([]byte{0xa1, 1}, raw...))
	}
	for _, count := range []int{codec.ElementsMax, codec.ElementsMax + 1} {
		v := make([]bool, count)
		b, err := codec.Marshal(&v)
		long, longErr := codec.MarshalLong(&v)
		if !bytes.Equal(b, long) || (err == nil) != (longErr == nil) || (err == nil) != (count == codec.ElementsMax) {
			t.Fatalf("%d elements: %v, the long way %v", count, err, longErr)
		}
	}
}

// BenchmarkPlans compares both ways on a record of the state.
func BenchmarkPlans(b *testing.B) {
	record := &account{Bank: "91310000MA1FL00B4X", Holder: "91310000MA1FL00A4X", Balance: 10_000_000_000, Held: 7}
	encoded := codec.MustMarshal(record)
	ways := []struct {
		name      string
		marshal   func(any) ([]byte, error)
		unmarshal func([]byte, any) error
	}{{"plan", codec.Marshal, codec.Unmarshal}, {"library", codec.MarshalLong, codec.UnmarshalLong}}
	for _, way := range ways {
		b.Run("write/"+way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := way.marshal(record); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("read/"+way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v account
				if err := way.unmarshal(encoded, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
