package appetite

import (
	"flag"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
)

const (
	// Factor is how many bytes a decoder may allocate for each byte of input.
	Factor = 10
	// Slack is what it may allocate besides, whatever the input: an error with its text, tables of the type, a buffer that is
	// kept for the next one.
	Slack = 32 << 10
)

// Bound returns how much a decoder may allocate for an input of so many bytes.
func Bound(input int) uint64 { return uint64(Factor*input + Slack) }

// Check runs decode, which decodes an input of so many bytes and nothing else, and fails the test if it allocates too much, also
// what it gives back. Others in the process may allocate meanwhile, so it is run again if it seems too much; decode must
// be the same every time.
func Check(t testing.TB, input int, decode func()) {
	t.Helper()
	if got := least(Bound(input), decode); got > Bound(input) {
		t.Errorf("%d bytes are allocated to decode %d, %d times as many; the most is %d times and %d", got, input, got/uint64(max(1, input)), Factor, Slack)
	}
}

// Of returns how many bytes decode allocates, at the least of some runs.
func Of(decode func()) uint64 { return least(0, decode) }

// tries is how often decode is run before it is believed that it takes so much.
const tries = 4

func least(enough uint64, decode func()) uint64 {
	if fuzzing() && executions.Add(1)%exactEvery != 0 {
		if got := quickly(decode); got <= enough {
			return got
		}
	}
	best := exactly(decode)
	for i := 1; i < tries && best > enough; i++ {
		best = min(best, exactly(decode))
	}
	return best
}

// exactly counts all bytes. It stops the world twice.
func exactly(decode func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Fuzzing executes millions of inputs, most of them tiny, so it counts exactly only now and then. What is counted at once in
// between are large allocations, which are what matters.
const exactEvery = 32

var executions atomic.Uint64

func fuzzing() bool {
	f := flag.Lookup("test.fuzz")
	return f != nil && f.Value.String() != ""
}

func quickly(decode func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	decode()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// CheckAll gives decode each input, in a try that does not count and in one that does.
func CheckAll(t testing.TB, inputs [][]byte, decode func(b []byte)) {
	t.Helper()
	if len(inputs) == 0 {
		t.Error("there is nothing to decode")
	}
	for _, b := range inputs {
		decode(b) // what is made once for a type is made
		Check(t, len(b), func() { decode(b) })
		if t.Failed() {
			t.Fatalf("of %d bytes that begin with %x", len(b), b[:min(32, len(b))])
		}
	}
}
