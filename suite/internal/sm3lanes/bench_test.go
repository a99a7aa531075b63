package sm3lanes

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// job is something to hash: messages one by one, or packed.
type job struct {
	name   string
	blocks int // of all messages together
	do     func(e engine)
}

// jobs are what a ledger hashes: long messages, transactions as leaves, nodes of trees, messages of all lengths.
func jobs() []job {
	out := []job{}
	each := func(name string, n int, length func(i int) int) {
		messages, digests, total := make([][]byte, n), make([]hash, n), 0
		f := Frame{Prefix: []byte{0}}
		for i := range messages {
			messages[i] = pattern(i, length(i))
			total += blocks(1 + len(messages[i]))
		}
		out = append(out, job{name, total, func(e engine) { sum(e, &f, messages, digests) }})
	}
	packed := func(name string, n, size int) {
		all, digests := pattern(0, n*size), make([]hash, n)
		out = append(out, job{name, n * blocks(size), func(e engine) { sumPacked(e, size, all, digests) }})
	}
	each("8 of 4 KiB", 8, func(int) int { return 4096 })
	each("1000 leaves of 273", 1000, func(int) int { return 273 })
	each("1000 of 0 to 300", 1000, func(i int) int { return i * 7919 % 301 })
	each("2 of 273", 2, func(int) int { return 273 })
	packed("64 list nodes of 65", 64, 65)
	packed("64 state leaves of 81", 64, 81)
	packed("64 inner nodes of 129", 64, 129)
	packed("8 inner nodes of 129", 8, 129)
	packed("3 inner nodes of 129", 3, 129)
	return out
}

// BenchmarkSum reports ns per compression, padding and all, for the library and every engine in turn, and the quotients.
func BenchmarkSum(b *testing.B) {
	list := jobs()
	shortest := map[string]float64{}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		for _, j := range list {
			for _, e := range engines() {
				start := now()
				rounds := 1 + 2000/j.blocks
				for range rounds {
					j.do(e)
				}
				name := fmt.Sprintf("%s/%s", j.name, e)
				if _, ok := shortest[name]; !ok {
					shortest[name] = math.MaxFloat64
				}
				shortest[name] = min(shortest[name], float64((now()-start).Nanoseconds())/float64(rounds*j.blocks))
			}
		}
	}
	var text strings.Builder
	for _, j := range list {
		reference := shortest[j.name+"/library"]
		fmt.Fprintf(&text, "\n%-22s library %6.1f ns", j.name, reference)
		for _, e := range engines()[1:] {
			x := shortest[fmt.Sprintf("%s/%s", j.name, e)]
			fmt.Fprintf(&text, ", %s %6.1f ns (%.3f)", e, x, x/reference)
		}
	}
	b.Log("per compression, padding and all; in parentheses, of the library's:", text.String())
	leaves := "1000 leaves of 273/"
	b.ReportMetric(shortest[leaves+library.String()], "ns-library")
	b.ReportMetric(shortest[leaves+best.String()], "ns-lanes")
}
