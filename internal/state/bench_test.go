package state

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"aval/internal/kv"
	"aval/merkle"
	"aval/suite"
)

// benchState returns a state of n entries in Pebble, and a function that applies a block of writes to random ones and returns the
// processor time of it.
func benchState(b *testing.B, s suite.Suite, n int) (state *State, next func(writes int) time.Duration) {
	b.Helper()
	store, err := kv.OpenLog(kv.LogConfig{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	if state, err = Open(Config{Store: store, Suite: s}); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 100)
	height, seed := uint64(0), uint64(1)
	apply := func(writes []Write) time.Duration {
		start := cpuTime()
		if _, err := state.Apply(height, writes); err != nil {
			b.Fatal(err)
		}
		height++
		return cpuTime() - start
	}
	for from := 0; from < n; from += 50_000 {
		var writes []Write
		for i := from; i < min(from+50_000, n); i++ {
			writes = append(writes, Write{Key: benchKey(i), Value: value})
		}
		apply(writes)
	}
	return state, func(count int) time.Duration {
		writes := make([]Write, 0, count)
		seen := make(map[int]bool, count)
		for len(writes) < count {
			seed = seed*6364136223846793005 + 1442695040888963407
			if i := int(seed>>33) % n; !seen[i] {
				seen[i] = true
				writes = append(writes, Write{Key: benchKey(i), Value: value})
			}
		}
		return apply(writes)
	}
}

func benchKey(i int) []byte {
	return binary.BigEndian.AppendUint64([]byte("bench/key/"), uint64(i))
}

// BenchmarkApply measures one block of updates of random entries: processor time per key, all in, in turn with hashing at once and
// with the library alone, and the former beside the library's single SM2 verification, which depends on the machine as it
// does. Select the large one by name: -bench 'Apply/sm/1M'.
func BenchmarkApply(b *testing.B) {
	for _, name := range []string{"sm", "intl"} {
		for _, size := range []struct {
			name string
			n    int
		}{{"100k", 100_000}, {"1M", 1_000_000}} {
			for _, writes := range []int{1000, 10_000} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, size.name, writes), func(b *testing.B) {
					state, next := benchState(b, suiteOf(b, name), size.n)
					verify := benchVerify(b)
					defer suite.SetFastSM3(true)
					var used [2]time.Duration
					var reference time.Duration
					rounds := 0
					for b.Loop() {
						for i := range used {
							suite.SetFastSM3(i == 0)
							used[i] += next(writes)
						}
						rounds++
						reference += verify()
					}
					keys := float64(rounds * writes)
					b.ReportMetric(float64(used[0].Nanoseconds())/keys, "cpu-ns/key")
					b.ReportMetric(float64(used[1].Nanoseconds())/keys, "cpu-ns/key-library")
					b.ReportMetric(float64(reference.Nanoseconds())/float64(rounds), "cpu-ns/sm2-verify")
					b.ReportMetric(float64(used[0].Nanoseconds())/float64(writes)/float64(reference.Nanoseconds()), "of-sm2-verify")
					b.ReportMetric(float64(state.Metrics().MemoryBytes)/float64(size.n), "B/entry")
				})
			}
		}
	}
}

// benchVerify returns a function that returns the processor time of one SM2 verification by the library, over a few.
func benchVerify(b *testing.B) func() time.Duration {
	s := suiteOf(b, "sm")
	signer, err := s.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	sig, err := signer.Sign("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	key := signer.Public()
	return func() time.Duration {
		const count = 50
		suite.SetFastSM2(false)
		defer suite.SetFastSM2(true)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := threadTime()
		for range count {
			if !s.Verify(key, "bench", nil, sig) {
				b.Fatal("not valid")
			}
		}
		return (threadTime() - start) / count
	}
}

// BenchmarkProve measures a proof of a random present key at the head and its verification.
func BenchmarkProve(b *testing.B) {
	s := suiteOf(b, "sm")
	state, _ := benchState(b, s, 100_000)
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100_000
		if _, err := state.Prove(state.Height(), benchKey(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify measures the verification of a state proof.
func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{"sm", "intl"} {
		b.Run(name, func(b *testing.B) {
			s := suiteOf(b, name)
			state, _ := benchState(b, s, 100_000)
			root, err := state.Root(state.Height())
			if err != nil {
				b.Fatal(err)
			}
			proof, err := state.Prove(state.Height(), benchKey(1))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, _, _, err := merkle.VerifyState(s, root, proof, benchKey(1)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen measures reading a log and rebuilding the tree.
func BenchmarkOpen(b *testing.B) {
	s := suiteOf(b, "sm")
	state, _ := benchState(b, s, 100_000)
	for b.Loop() {
		if _, err := Open(Config{Store: state.cfg.Store, Suite: s}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet measures reads that hit the cache and reads that go to the store.
func BenchmarkGet(b *testing.B) {
	for _, cached := range []bool{true, false} {
		b.Run(fmt.Sprintf("cached=%t", cached), func(b *testing.B) {
			state, _ := benchState(b, suiteOf(b, "sm"), 100_000)
			if !cached {
				state.cache = newCache(1)
			}
			i := 0
			for b.Loop() {
				i = (i + 7919) % 100_000
				if _, _, ok, err := state.Get(benchKey(i)); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
