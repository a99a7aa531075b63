package sm3lanes

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"pgregory.net/rapid"
)

// String names an engine in the output of tests.
func (e engine) String() string { return [...]string{"library", "avx2", "avx512"}[e] }

type hash [Size]byte

// twin hashes with the library what a frame and a message stand for.
func twin(f Frame, message []byte) hash {
	b := bytes.Clone(f.Prefix)
	if f.Sized {
		b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	}
	return sm3.Sum(append(b, message...))
}

// pattern returns n bytes that depend on seed.
func pattern(seed, n int) []byte {
	out := make([]byte, n)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = byte(x >> 56)
	}
	return out
}

// compare hashes messages with every engine.
func compare(t interface {
	Helper()
	Fatalf(format string, arguments ...any)
}, f Frame, messages [][]byte,
) {
	t.Helper()
	for _, e := range engines() {
		got := make([]hash, len(messages))
		sum(e, &f, messages, got)
		for i := range got {
			if want := twin(f, messages[i]); got[i] != want {
				t.Fatalf("%s: message %d of %d, %d bytes after a prefix of %d, sized %t: %x, the library %x",
					e, i, len(messages), len(messages[i]), len(f.Prefix), f.Sized, got[i], want)
			}
		}
	}
}

// TestStandard is the two examples of GB/T 32905, appendix A, in every lane.
func TestStandard(t *testing.T) {
	for message, want := range map[string]string{
		"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		"abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd": "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
	} {
		for _, e := range engines() {
			messages, out := make([][]byte, laneCount), make([]hash, laneCount)
			for i := range messages {
				messages[i] = []byte(message)
			}
			sum(e, &Frame{}, messages, out)
			for i := range out {
				if got := hex.EncodeToString(out[i][:]); got != want {
					t.Errorf("%s, lane %d: %s, want %s", e, i, got, want)
				}
			}
		}
	}
}

// TestEveryLength has every length around the first blocks, in every place among the lanes.
func TestEveryLength(t *testing.T) {
	for n := range 300 {
		for _, count := range []int{1, 2, 7, 8, 9} {
			var messages [][]byte
			for i := range count {
				messages = append(messages, pattern(n+i, n))
			}
			compare(t, Frame{}, messages)
		}
	}
}

// boundaries are lengths at which the number of blocks changes, and neighbours.
var boundaries = []int{0, 1, 54, 55, 56, 63, 64, 65, 118, 119, 120, 127, 128, 183, 184, 511, 512, 513, 1023, 1024, 5000}

// TestBoundaries mixes all boundaries, after prefixes of boundary lengths.
func TestBoundaries(t *testing.T) {
	var messages [][]byte
	for i, n := range boundaries {
		messages = append(messages, pattern(i, n))
	}
	for _, prefix := range boundaries {
		for _, sized := range []bool{false, true} {
			compare(t, Frame{Prefix: pattern(7, prefix), Sized: sized}, messages)
		}
	}
}

// TestRandom draws counts, lengths and frames.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom(boundaries))
		f := Frame{Prefix: pattern(1, rapid.OneOf(rapid.Just(0), rapid.Just(1), length).Draw(t, "prefix")), Sized: rapid.Bool().Draw(t, "sized")}
		lengths := rapid.SliceOfN(length, 0, 40).Draw(t, "lengths")
		messages := make([][]byte, len(lengths))
		for i, n := range lengths {
			messages[i] = pattern(i, n)
		}
		compare(t, f, messages)
	})
}

// TestWindows has more messages than are put in order at once, and more blocks than are told apart.
func TestWindows(t *testing.T) {
	messages := make([][]byte, 2*window+3)
	for i := range messages {
		messages[i] = pattern(i, i*37%200)
		if i%101 == 0 {
			messages[i] = pattern(i, lengthMax*blockSize+i)
		}
	}
	compare(t, Frame{Prefix: []byte{1}}, messages)
}

// TestPacked compares packed messages of every size and number, with bytes behind them.
func TestPacked(t *testing.T) {
	for _, e := range engines() {
		for size := range 200 {
			for n := range 18 {
				packed, out := pattern(size, size*n+size%3), make([]hash, n)
				sumPacked(e, size, packed, out)
				for i := range out {
					if want := sm3.Sum(packed[i*size : (i+1)*size]); out[i] != want {
						t.Fatalf("%s: message %d of %d, %d bytes: %x, the library %x", e, i, n, size, out[i], want)
					}
				}
			}
		}
	}
}

// TestInputStays: messages may lie in one another and are only read; what is behind them is not.
func TestInputStays(t *testing.T) {
	all := pattern(3, 1000)
	before := bytes.Clone(all)
	var messages [][]byte
	for i := range 40 {
		messages = append(messages, all[i*3:i*20:i*20+1])
	}
	compare(t, Frame{}, messages)
	if !bytes.Equal(all, before) {
		t.Fatal("a message changed")
	}
}

// TestMisuse: lengths that do not fit are mistakes of the program.
func TestMisuse(t *testing.T) {
	for name, do := range map[string]func(){
		"few digests":  func() { Sum(Frame{}, make([][]byte, 2), make([]hash, 1)) },
		"many digests": func() { Sum(Frame{}, make([][]byte, 1), make([]hash, 2)) },
		"short":        func() { SumPacked(10, make([]byte, 29), make([]hash, 3)) },
		"negative":     func() { SumPacked(-1, nil, make([]hash, 1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			do()
		}()
	}
}

// TestNoGarbage: the lanes do not allocate.
func TestNoGarbage(t *testing.T) {
	messages, out := make([][]byte, 20), make([]hash, 20)
	for i := range messages {
		messages[i] = pattern(i, 17*i)
	}
	packed := pattern(0, 129*len(out))
	for _, e := range engines()[1:] {
		f := Frame{Prefix: []byte{0}}
		if n := testing.AllocsPerRun(20, func() { sum(e, &f, messages, out); sumPacked(e, 129, packed, out) }); n != 0 {
			t.Errorf("%s: %v allocations", e, n)
		}
	}
}

// FuzzSum cuts its input into a prefix and messages. The first byte says how long the prefix is, then each message begins
// with two bytes of its length.
func FuzzSum(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'})
	for seed, n := range boundaries[:15] {
		b := []byte{byte(seed)}
		b = append(b, pattern(seed, seed)...)
		for i := range 9 {
			b = binary.BigEndian.AppendUint16(b, uint16(n+i))
			b = append(b, pattern(i, n+i)...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 1<<16 {
			return
		}
		frame := Frame{Sized: b[0]&0x80 != 0}
		n := min(int(b[0]&0x7f), len(b)-1)
		frame.Prefix, b = b[1:1+n], b[1+n:]
		var messages [][]byte
		for len(b) >= 2 && len(messages) < 64 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			messages = append(messages, b[2:2+n])
			b = b[2+n:]
		}
		compare(t, frame, messages)
		for _, e := range engines() {
			for _, m := range messages {
				size := max(1, len(m)/3)
				out := make([]hash, len(m)/size)
				sumPacked(e, size, m, out)
				for i := range out {
					if want := sm3.Sum(m[i*size : (i+1)*size]); out[i] != want {
						t.Fatalf("%s: %d packed messages of %d bytes: number %d is %x, the library %x", e, len(out), size, i, out[i], want)
					}
				}
			}
		}
	})
}

// ExampleSum hashes two messages after the same byte.
func ExampleSum() {
	out := make([][Size]byte, 2)
	Sum(Frame{Prefix: []byte("a")}, [][]byte{[]byte("bc"), []byte("bd")}, out)
	fmt.Printf("%x\n", out[0])
	// Output: 66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0
}
