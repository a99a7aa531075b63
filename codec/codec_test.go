package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// leaf, tuple and record are the shapes the ledger uses: integer keys, fixed arrays, optional parts, lists.
type leaf struct {
	Number uint64 `cbor:"1,keyasint"`
	Name   string `cbor:"2,keyasint"`
	Blob   []byte `cbor:"3,keyasint"`
}

type tuple struct {
	_    struct{} `cbor:",toarray"`
	Low  int64
	High uint8
}

type record struct {
	Digest   [32]byte        `cbor:"1,keyasint"`
	Optional *leaf           `cbor:"2,keyasint"`
	Leaves   []leaf          `cbor:"3,keyasint"`
	Blobs    [][]byte        `cbor:"4,keyasint"`
	ByID     map[uint32]leaf `cbor:"5,keyasint"`
	ByName   map[string]bool `cbor:"6,keyasint"`
	Pair     tuple           `cbor:"7,keyasint"`
	Small    [3]uint16       `cbor:"8,keyasint"`
	Flag     bool            `cbor:"-9,keyasint"`
	Signed   int32           `cbor:"300,keyasint"`
	Later    RawMessage      `cbor:"301,keyasint"`
}

type chain struct {
	Next *chain `cbor:"1,keyasint"`
}

func sample() record {
	return record{
		Optional: &leaf{Number: math.MaxUint64, Name: "汇票", Blob: []byte{1}},
		Leaves:   []leaf{{}, {Number: 24}},
		Blobs:    [][]byte{{}, {0xff}},
		ByID:     map[uint32]leaf{65536: {}, 1: {Number: 1}, 24: {}},
		ByName:   map[string]bool{"b": true, "aa": false, "": true},
		Pair:     tuple{Low: math.MinInt64, High: 255},
		Small:    [3]uint16{1, 256, 65535},
		Flag:     true,
		Signed:   -1,
		Later:    RawMessage{0x81, 0x01},
	}
}

func TestRoundTrip(t *testing.T) {
	b, err := Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := Unmarshal(b, &got); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	if again := MustMarshal(got); !bytes.Equal(again, b) {
		t.Fatalf("got  %x\nwant %x", again, b)
	}
	if got.Optional.Name != "汇票" || got.Pair.Low != math.MinInt64 || got.ByID[1].Number != 1 {
		t.Fatalf("fields lost: %+v", got)
	}
}

func TestNilAndEmptyEncodeAlike(t *testing.T) {
	a := MustMarshal(leaf{})
	b := MustMarshal(leaf{Blob: []byte{}})
	if !bytes.Equal(a, b) {
		t.Fatalf("nil %x, empty %x", a, b)
	}
	if want := "a3010002600340"; hex.EncodeToString(a) != want {
		t.Fatalf("got %x, want %s", a, want)
	}
	for name, v := range map[string][2]any{
		"slice": {[]uint64(nil), []uint64{}},
		"map":   {map[string]bool(nil), map[string]bool{}},
		"bytes": {[]byte(nil), []byte{}},
	} {
		if x, y := MustMarshal(v[0]), MustMarshal(v[1]); !bytes.Equal(x, y) {
			t.Errorf("%s: nil %x, empty %x", name, x, y)
		}
	}
}

// TestTypedRefusals holds input that is deterministic CBOR but not of the type asked for.
func TestTypedRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		into any
	}{
		{"null for a struct", "f6", new(leaf)},
		{"null for a list", "f6", new([]uint64)},
		{"null for bytes", "f6", new([]byte)},
		{"null for a map", "f6", new(map[string]bool)},
		{"null for an integer", "f6", new(uint64)},
		{"null for a field", "a301f602600340", new(leaf)},
		{"missing field", "a201000260", new(leaf)},
		{"unknown field", "a401000260034004f5", new(leaf)},
		{"unknown text field", "a40100026003406161f5", new(leaf)},
		{"field by its Go name", "a1664e756d62657201", new(leaf)},
		{"fields in an array", "83006040", new(leaf)},
		{"text for bytes", "a3010002600360", new(leaf)},
		{"bytes for text", "a3010002400340", new(leaf)},
		{"array for bytes", "8101", new([]byte)},
		{"integer for bool", "01", new(bool)},
		{"bool for integer", "f5", new(uint64)},
		{"negative for unsigned", "20", new(uint64)},
		{"256 for uint8", "190100", new(uint8)},
		{"2^63 for int64", "1b8000000000000000", new(int64)},
		{"-2^63-1 for int64", "3b8000000000000000", new(int64)},
		{"integer for float", "01", new(float64)},
		{"31 bytes for an array of 32", "581f" + strings.Repeat("00", 31), new([32]byte)},
		{"33 bytes for an array of 32", "5821" + strings.Repeat("00", 33), new([32]byte)},
		{"2 elements for an array of 3", "820102", new([3]uint16)},
		{"4 elements for an array of 3", "8401020304", new([3]uint16)},
		{"short tuple", "8101", new(tuple)},
		{"long tuple", "83010203", new(tuple)},
		{"text for time", "6161", new(time.Time)},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if err := Check(b); err != nil {
			t.Errorf("%s: %s is not deterministic CBOR, so this row tests nothing: %v", c.name, c.hex, err)
		}
		if err := Unmarshal(b, c.into); err == nil {
			t.Errorf("%s: %s was accepted as %T", c.name, c.hex, c.into)
		}
	}
}

func TestUnmarshalNeedsPointer(t *testing.T) {
	for _, v := range []any{nil, leaf{}, (*leaf)(nil)} {
		if err := Unmarshal([]byte{0xa0}, v); err == nil {
			t.Errorf("%T was accepted as a target", v)
		}
	}
}

func TestUnmarshalIntoUsedTarget(t *testing.T) {
	v := map[uint32]leaf{9: {}}
	if err := Unmarshal([]byte{0xa0}, &v); !errors.Is(err, ErrNotCanonical) {
		t.Fatalf("stale content went unnoticed: %v", err)
	}
}

func TestDecodedSharesNoMemory(t *testing.T) {
	b := MustMarshal(leaf{Name: "a", Blob: []byte{7}})
	var v leaf
	if err := Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xff
	}
	if v.Name != "a" || v.Blob[0] != 7 {
		t.Fatalf("decoded value changed with its input: %+v", v)
	}
}

// TestMarshalRefuses holds values that no reader would accept.
func TestMarshalRefuses(t *testing.T) {
	deep := func(n int) *chain {
		var c *chain
		for range n {
			c = &chain{Next: c}
		}
		return c
	}
	for name, v := range map[string]any{
		"float":              1.5,
		"NaN":                math.NaN(),
		"invalid UTF-8":      "\xff",
		"channel":            make(chan int),
		"raw with two items": RawMessage{0x01, 0x01},
		"raw not shortest":   RawMessage{0x18, 0x01},
		"raw with tag":       RawMessage{0xc0, 0x60},
		"too deep":           deep(DepthMax + 1),
		"too many elements":  make([]bool, ElementsMax+1),
	} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%s: encoded as %x", name, b[:min(len(b), 16)])
		}
	}
	b := MustMarshal(deep(DepthMax))
	if err := Unmarshal(b, new(chain)); err != nil {
		t.Errorf("depth %d: %v", DepthMax, err)
	}
	b = MustMarshal(make([]bool, ElementsMax))
	if err := Unmarshal(b, new([]bool)); err != nil {
		t.Errorf("%d elements: %v", ElementsMax, err)
	}
}

func TestMustMarshalPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	MustMarshal(make(chan int))
}

// TestAllocationIsBounded feeds inputs that claim far more than they hold.
func TestAllocationIsBounded(t *testing.T) {
	const allowed = 1 << 16
	for _, h := range []string{
		"9b7fffffffffffffff", "9a7fffffff", "9a00020000", "bb7fffffffffffffff", "ba0001ffff",
		"5b7fffffffffffffff", "5a7fffffff", "7b7fffffffffffffff", "7a7fffffff",
		"819a7fffffff", "a1049a7fffffff", "a1055a7fffffff",
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []func() any{
			func() any { return new(record) }, func() any { return new([]record) },
			func() any { return new([]byte) }, func() any { return new(string) }, func() any { return new(map[uint64]record) },
		} {
			v := target()
			if n := allocated(func() { err = Unmarshal(b, v) }); n > allowed {
				t.Errorf("%s into %T: %d bytes allocated for %d bytes of input", h, v, n, len(b))
			}
			if err == nil {
				t.Errorf("%s into %T: accepted", h, v)
			}
		}
	}
}

// allocated returns the bytes f allocates; the least of three runs, since the runtime allocates too.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		least = min(least, allocatedOnce(f))
	}
	return least
}

// allocatedOnce returns the bytes allocated by the process while f runs.
func allocatedOnce(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestCheckAllocatesNothing(t *testing.T) {
	b := MustMarshal(sample())
	if n := testing.AllocsPerRun(100, func() {
		if err := Check(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func genLeaf() *rapid.Generator[leaf] {
	return rapid.Custom(func(t *rapid.T) leaf {
		return leaf{
			Number: rapid.Uint64().Draw(t, "number"),
			Name:   rapid.String().Draw(t, "name"),
			Blob:   rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "blob"),
		}
	})
}

func genRecord() *rapid.Generator[record] {
	return rapid.Custom(func(t *rapid.T) record {
		r := record{
			Leaves: rapid.SliceOfN(genLeaf(), 0, 30).Draw(t, "leaves"),
			Blobs:  rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 30), 0, 5).Draw(t, "blobs"),
			ByID:   rapid.MapOfN(rapid.Uint32(), genLeaf(), 0, 30).Draw(t, "byID"),
			ByName: rapid.MapOfN(rapid.String(), rapid.Bool(), 0, 30).Draw(t, "byName"),
			Pair:   tuple{Low: rapid.Int64().Draw(t, "low"), High: rapid.Uint8().Draw(t, "high")},
			Flag:   rapid.Bool().Draw(t, "flag"),
			Signed: rapid.Int32().Draw(t, "signed"),
			Later:  MustMarshal(rapid.Int64().Draw(t, "later")),
		}
		if rapid.Bool().Draw(t, "optional") {
			l := genLeaf().Draw(t, "leaf")
			r.Optional = &l
		}
		return r
	})
}

func TestPropertyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRecord().Draw(t, "record")
		b, err := Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got record
		if err := Unmarshal(b, &got); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if again := MustMarshal(&got); !bytes.Equal(b, again) {
			t.Fatalf("got  %x\nwant %x", again, b)
		}
	})
}

// TestPropertyOneEncoding flips one byte of a valid encoding: what is still accepted must encode to exactly
// the changed bytes, so it is a different value and not a second spelling of the old one.
func TestPropertyOneEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := MustMarshal(genRecord().Draw(t, "record"))
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		var got record
		if Unmarshal(b, &got) != nil {
			return
		}
		if again := MustMarshal(got); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, encodes as %x", b, again)
		}
	})
}

func BenchmarkMarshal(b *testing.B) {
	v := sample()
	b.ReportAllocs()
	for b.Loop() {
		MustMarshal(&v)
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data := MustMarshal(sample())
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var v record
		if err := Unmarshal(data, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	data := MustMarshal(sample())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := Check(data); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCheckTextsSeesEveryText: keys, values and whatever nests them, and nothing that is not text.
func TestCheckTextsSeesEveryText(t *testing.T) {
	b := MustMarshal(map[string]any{"a": []any{"b", []byte("not text"), map[string]any{"c": "d"}, 7, ""}})
	var seen []string
	if err := CheckTexts(b, func(s []byte) error { seen = append(seen, string(s)); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c", "d", ""}; !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q", seen, want)
	}
	stop := errors.New("stop")
	if err := CheckTexts(b, func(s []byte) error {
		if string(s) == "c" {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("an error of text gives %v", err)
	}
	if err := CheckTexts(append(b, 0), func([]byte) error { return nil }); !errors.Is(err, ErrTrailing) {
		t.Errorf("bytes after the value give %v", err)
	}
}

func TestUintFindsWhatUnmarshalReads(t *testing.T) {
	type record struct {
		A []byte `cbor:"1,keyasint"`
		B uint64 `cbor:"2,keyasint"`
		C string `cbor:"3,keyasint"`
		D uint64 `cbor:"300,keyasint"`
	}
	rapid.Check(t, func(t *rapid.T) {
		r := record{rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "a"), rapid.Uint64().Draw(t, "b"), rapid.String().Draw(t, "c"), rapid.Uint64().Draw(t, "d")}
		b := MustMarshal(&r)
		for key, want := range map[uint64]uint64{2: r.B, 300: r.D} {
			if n, ok := Uint(b, key); !ok || n != want {
				t.Fatalf("key %d of %x: %d, %v, want %d", key, b, n, ok, want)
			}
		}
		for _, key := range []uint64{0, 1, 3, 4, 299, 301} {
			if n, ok := Uint(b, key); ok {
				t.Fatalf("key %d of %x: %d", key, b, n)
			}
		}
		for i := range b {
			if n, ok := Uint(b[:i], 300); ok {
				t.Fatalf("the first %d bytes of %x have %d", i, b, n)
			}
		}
	})
}

// TestAppendBytesAgainstEncoding grows a list step by step, past the counts at which heads get longer.
func TestAppendBytesAgainstEncoding(t *testing.T) {
	type list struct {
		Items [][]byte `cbor:"1,keyasint"`
	}
	rapid.Check(t, func(t *rapid.T) {
		var want list
		b := MustMarshal(&want)
		for range rapid.IntRange(0, 300).Draw(t, "items") {
			item := bytes.Repeat([]byte{7}, rapid.SampledFrom([]int{0, 1, 23, 24, 32, 255, 256}).Draw(t, "length"))
			want.Items = append(want.Items, item)
			var ok bool
			if b, ok = AppendBytes(b, item); !ok || !bytes.Equal(b, MustMarshal(&want)) {
				t.Fatalf("%d items: %x, %t, want %x", len(want.Items), b, ok, MustMarshal(&want))
			}
		}
	})
	for _, h := range []string{"", "a1", "a101", "a10160", "a2018002f5", "a1616180", "8180", "a1019b7fffffffffffffff", "a10182"} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		if grown, ok := AppendBytes(b, []byte{1}); ok {
			t.Errorf("%s grew to %x", h, grown)
		}
	}
}
