package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
)

// rewrite regenerates the vector file: go test ./codec -run TestVectorsAreCurrent -rewrite.
var rewrite = flag.Bool("rewrite", false, "rewrite the files under testdata/vectors")

const vectorPath = "../testdata/vectors/codec.json"

// vectorFile is the shape of codec.json, for programs in any language.
type vectorFile struct {
	Description []string      `json:"description"`
	DepthMax    int           `json:"depth_max"`
	ElementsMax int           `json:"elements_max"`
	Values      []vectorValue `json:"values"`
	Leaves      []vectorLeaf  `json:"leaves"`
}

// vectorValue is one input that every reader must take or refuse, whatever type it expects.
type vectorValue struct {
	Name   string `json:"name"`
	Hex    string `json:"hex"`
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"`
}

// vectorLeaf is one input to be read as the map {1: unsigned 64-bit, 2: text, 3: bytes}.
type vectorLeaf struct {
	vectorValue
	Number string `json:"number,omitempty"`
	Text   string `json:"text,omitempty"`
	Blob   string `json:"blob,omitempty"`
}

var vectorDescription = []string{
	"values: hex is accepted by a strict reader of deterministic CBOR if and only if valid; no type is expected.",
	"leaves: hex is read as a map {1: unsigned 64-bit integer, 2: text, 3: bytes}, all three required, nothing else allowed;",
	"a valid one has the contents number (decimal), text, blob (hexadecimal), and encodes to exactly hex.",
	"reason: canonical (well-formed, but not the deterministic encoding), truncated, trailing, forbidden (tag, float,",
	"undefined, other simple value, indefinite length, reserved head), limit, utf8, type (not the type asked for).",
}

var reasons = map[string]error{
	"canonical": ErrNotCanonical,
	"truncated": ErrTruncated,
	"trailing":  ErrTrailing,
	"forbidden": ErrForbidden,
	"limit":     ErrLimit,
	"utf8":      ErrUTF8,
}

func validValues() []vectorValue {
	ok := func(name, h string) vectorValue { return vectorValue{Name: name, Hex: h, Valid: true} }
	return []vectorValue{
		ok("0", "00"), ok("23", "17"), ok("24", "1818"), ok("255", "18ff"), ok("256", "190100"), ok("65535", "19ffff"),
		ok("65536", "1a00010000"), ok("2^32-1", "1affffffff"), ok("2^32", "1b0000000100000000"),
		ok("2^64-1", "1bffffffffffffffff"), ok("-1", "20"), ok("-24", "37"), ok("-25", "3818"),
		ok("-2^64", "3bffffffffffffffff"), ok("false", "f4"), ok("true", "f5"), ok("null", "f6"),
		ok("empty bytes", "40"), ok("empty text", "60"), ok("text of two characters", "66e6b187e7a5a8"),
		ok("empty array", "80"), ok("array of three", "83010203"), ok("empty map", "a0"), ok("map of two", "a201020304"),
		ok("keys 1, -1, bytes, text, array", "a501002000400060008000"),
		ok("key 24 before key 256", "a218180119010002"), ok("key 256 before key -1", "a2190100012002"),
		ok("nested", "a1018182a0f6"), ok("24 bytes", "5818"+strings.Repeat("00", 24)),
		ok("deepest array", strings.Repeat("81", DepthMax)+"00"), ok("deepest map", strings.Repeat("a100", DepthMax)+"00"),
	}
}

func refusedValues() []vectorValue {
	no := func(name, h, reason string) vectorValue { return vectorValue{Name: name, Hex: h, Reason: reason} }
	return []vectorValue{
		no("nothing", "", "truncated"), no("head without its argument", "18", "truncated"),
		no("half an argument", "1901", "truncated"), no("bytes cut short", "4201", "truncated"),
		no("array cut short", "8201", "truncated"), no("map without its value", "a101", "truncated"),
		no("array that claims 2^32 elements", "9b0000000100000000", "limit"),
		no("array that claims 131072 elements", "9a00020000", "truncated"),
		no("array that claims 131073 elements", "9a00020001", "limit"),
		no("map that claims 131072 pairs", "ba00020000", "truncated"), no("map that claims 131073 pairs", "ba00020001", "limit"),
		no("bytes that claim 2^63", "5b8000000000000000", "truncated"), no("text that claims 2^64-1", "7bffffffffffffffff", "truncated"),
		no("two values", "0000", "trailing"), no("map and a byte", "a000", "trailing"),
		no("23 in two bytes", "1817", "canonical"), no("255 in three bytes", "1900ff", "canonical"),
		no("65535 in five bytes", "1a0000ffff", "canonical"), no("2^32-1 in nine bytes", "1b00000000ffffffff", "canonical"),
		no("-24 in two bytes", "3817", "canonical"), no("length 1 in two bytes", "580100", "canonical"),
		no("text length 0 in two bytes", "7800", "canonical"), no("array length 1 in two bytes", "980100", "canonical"),
		no("map length 0 in three bytes", "b90000", "canonical"),
		no("duplicate key", "a201000101", "canonical"), no("duplicate text key", "a2616100616101", "canonical"),
		no("descending keys", "a202000100", "canonical"), no("key 256 before key 24", "a219010001181802", "canonical"),
		no("shorter key first although bytewise later", "a220000a00", "canonical"),
		no("duplicate key in an array", "81a201000101", "canonical"), no("not shortest inside a map", "a1011817", "canonical"),
		no("indefinite bytes", "5f4100ff", "forbidden"), no("indefinite text", "7f6161ff", "forbidden"),
		no("indefinite array", "9f01ff", "forbidden"), no("indefinite map", "bf0102ff", "forbidden"),
		no("break alone", "ff", "forbidden"), no("date tag", "c074323032362d30392d31355430393a30303a30305a", "forbidden"),
		no("bignum tag", "c2420100", "forbidden"), no("self-described tag", "d9d9f700", "forbidden"),
		no("tag inside an array", "81c100", "forbidden"), no("half float 1.5", "f93e00", "forbidden"),
		no("NaN", "f97e00", "forbidden"), no("NaN in four bytes", "fa7fc00000", "forbidden"), no("infinity", "f97c00", "forbidden"),
		no("single float", "fa3fc00000", "forbidden"), no("double float", "fb3ff8000000000000", "forbidden"),
		no("undefined", "f7", "forbidden"), no("simple value 0", "e0", "forbidden"), no("simple value 32", "f820", "forbidden"),
		no("false in two bytes", "f814", "forbidden"), no("reserved head 28", "1c", "forbidden"), no("reserved head 30", "5e", "forbidden"),
		no("indefinite integer", "1f", "forbidden"),
		no("text that is not UTF-8", "61ff", "utf8"), no("overlong UTF-8", "62c080", "utf8"),
		no("surrogate in UTF-8", "63eda080", "utf8"), no("UTF-8 cut inside a character", "62e6b1", "utf8"),
		no("key that is not UTF-8", "a161ff00", "utf8"),
		no("array too deep", strings.Repeat("81", DepthMax+1)+"00", "limit"),
		no("map too deep", strings.Repeat("a100", DepthMax)+"80", "limit"),
	}
}

func leafCases() []vectorLeaf {
	ok := func(name, h, number, text, blob string) vectorLeaf {
		return vectorLeaf{vectorValue{Name: name, Hex: h, Valid: true}, number, text, blob}
	}
	no := func(name, h, reason string) vectorLeaf {
		return vectorLeaf{vectorValue: vectorValue{Name: name, Hex: h, Reason: reason}}
	}
	return []vectorLeaf{
		ok("zero", "a3010002600340", "0", "", ""),
		ok("full", "a3011bffffffffffffffff0266e6b187e7a5a803420001", "18446744073709551615", "汇票", "0001"),
		no("missing field", "a201000260", "type"), no("unknown field", "a40100026003400400", "type"),
		no("unknown text field", "a4010002600340616100", "type"), no("null field", "a301f602600340", "type"),
		no("null", "f6", "type"), no("array", "83006040", "type"), no("negative number", "a3012002600340", "type"),
		no("bytes for text", "a3010002400340", "type"), no("text for bytes", "a3010002600360", "type"),
		no("bool for number", "a301f402600340", "type"), no("fields out of order", "a3026001000340", "canonical"),
		no("field twice", "a40100010002600340", "canonical"), no("number not shortest", "a301180002600340", "canonical"),
		no("trailing byte", "a301000260034000", "trailing"), no("last field cut", "a30100026003", "truncated"),
	}
}

func vectors() vectorFile {
	return vectorFile{
		Description: vectorDescription,
		DepthMax:    DepthMax,
		ElementsMax: ElementsMax,
		Values:      append(validValues(), refusedValues()...),
		Leaves:      leafCases(),
	}
}

// TestVectorsAreCurrent compares the file with the tables above, or writes it with -rewrite.
func TestVectorsAreCurrent(t *testing.T) {
	want, err := json.MarshalIndent(vectors(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.WriteFile(vectorPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s is out of date: run go test ./codec -run TestVectorsAreCurrent -rewrite and read the diff", vectorPath)
	}
}

func readVectors(t *testing.T) vectorFile {
	t.Helper()
	b, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVectorValues(t *testing.T) {
	for _, c := range readVectors(t).Values {
		t.Run(c.Name, func(t *testing.T) {
			b, err := hex.DecodeString(c.Hex)
			if err != nil {
				t.Fatal(err)
			}
			err = Check(b)
			if c.Valid != (err == nil) || !errors.Is(err, reasons[c.Reason]) {
				t.Fatalf("%s: got %v, want valid %v %s", c.Hex, err, c.Valid, c.Reason)
			}
			var raw RawMessage
			if err := Unmarshal(b, &raw); c.Valid != (err == nil) {
				t.Fatalf("%s: decode: got %v, want valid %v", c.Hex, err, c.Valid)
			}
		})
	}
}

func TestVectorLeaves(t *testing.T) {
	for _, c := range readVectors(t).Leaves {
		t.Run(c.Name, func(t *testing.T) {
			b, err := hex.DecodeString(c.Hex)
			if err != nil {
				t.Fatal(err)
			}
			var v leaf
			err = Unmarshal(b, &v)
			if c.Valid != (err == nil) {
				t.Fatalf("%s: got %v, want valid %v", c.Hex, err, c.Valid)
			}
			if want := reasons[c.Reason]; want != nil && !errors.Is(err, want) {
				t.Fatalf("%s: got %v, want %s", c.Hex, err, c.Reason)
			}
			if c.Reason == "type" && Check(b) != nil {
				t.Fatalf("%s: refused for its encoding, not for its type: %v", c.Hex, err)
			}
			if !c.Valid {
				return
			}
			if strconv.FormatUint(v.Number, 10) != c.Number || v.Name != c.Text || hex.EncodeToString(v.Blob) != c.Blob {
				t.Fatalf("%s: decoded as %+v", c.Hex, v)
			}
		})
	}
}
