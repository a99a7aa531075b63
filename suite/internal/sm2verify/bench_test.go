package sm2verify

import (
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"testing"
)

// benchItems makes n valid items by so many keys.
func benchItems(b *testing.B, v *Verifier, n, keys int) []Item {
	cases := make([]testCase, n)
	private := make([]testKey, keys)
	for i := range private {
		private[i] = newTestKey(modN(new(big.Int).Exp(big.NewInt(3), big.NewInt(int64(1000+i)), bigN)))
	}
	for i := range cases {
		k := private[i%keys]
		c := testCase{key: k.public, digest: bytes32(new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(1000+i)), bigN))}
		var ok bool
		if c.sig, ok = k.sign(new(big.Int).Exp(big.NewInt(7), big.NewInt(int64(1000+i)), bigN), c.digest); !ok {
			b.Fatal("nonce")
		}
		cases[i] = c
	}
	out := make([]Item, n)
	for i, c := range cases {
		k, ok := v.Key(&c.key)
		if !ok {
			b.Fatal("key")
		}
		out[i] = Item{k, c.digest, c.sig}
	}
	return out
}

// fastest returns the shortest time of a few runs, in ns for each of n operations: what other work on the machine adds is
// never negative.
func fastest(best float64, n int, do func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := now()
	do()
	return min(best, float64((now()-start).Nanoseconds())/float64(n))
}

// BenchmarkVerify reports µs per signature, one at a time with a table and without, and in batches of cached keys, beside the
// library's single verification in turn with it, and the quotients, which depend on the machine less than the times.
func BenchmarkVerify(b *testing.B) {
	v := New(Config{})
	one := benchItems(b, v, 1, 1)[0]
	library := func() {
		x, y := one.Key.Coordinates()
		if !libraryVerify(b, twinPoint{number(x[:]), number(y[:])}, one.Digest, one.Signature) {
			b.Fatal("not valid")
		}
	}
	sets := map[string][]Item{}
	for _, size := range [][2]int{{2, 2}, {4, 4}, {8, 8}, {16, 16}, {64, 64}, {256, 256}, {1024, 1024}, {4096, 64}, {4096, 4096}} {
		sets[fmt.Sprintf("batch of %d by %d", size[0], size[1])] = benchItems(b, v, size[0], size[1])
	}
	best, reference := map[string]float64{}, 1e18
	measure := func(name string, n int, do func()) {
		reference = fastest(reference, 1, library)
		if _, ok := best[name]; !ok {
			best[name] = 1e18
		}
		best[name] = fastest(best[name], n, do)
	}
	for b.Loop() {
		measure("one, no table", 1, func() {
			one.Key.singles.Store(-1)
			v.tables = newCache[*table](1)
			v.One(&one)
		})
		one.Key.singles.Store(v.patience)
		v.One(&one)
		for range 8 {
			measure("one, table", 1, func() { v.One(&one) })
		}
		for name, list := range sets {
			out := make([]bool, len(list))
			for range max(1, 256/len(list)) {
				measure(name, len(list), func() { v.Batch(list, out) })
			}
			if slices.Contains(out, false) {
				b.Fatal(name, " is not valid")
			}
		}
	}
	b.ReportMetric(reference/1000, "µs-library")
	names := make([]string, 0, len(best))
	for name := range best {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.Logf("%-22s %7.2f µs, %.3f of the library's", name, best[name]/1000, best[name]/reference)
	}
}

// BenchmarkBatch is 1,024 signatures by as many cached keys, for profiles.
func BenchmarkBatch(b *testing.B) {
	v := New(Config{})
	list := benchItems(b, v, 1024, 1024)
	out := make([]bool, len(list))
	for b.Loop() {
		v.Batch(list, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/signature")
}

// BenchmarkField is one operation of the field.
func BenchmarkField(b *testing.B) {
	x, y := generator.x, generator.y
	for name, do := range map[string]func(){
		"mul": func() { x.mul(&x, &y) }, "mulGo": func() { x.mulGo(&x, &y) },
		"sqr": func() { x.sqr(&x) }, "sqrGo": func() { x.sqrGo(&x) },
		"add": func() { x.add(&x, &y) }, "sub": func() { x.sub(&x, &y) }, "inv": func() { x.inv(&x) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
	}
}

// BenchmarkKey is what a key costs when it is first seen, and a table that is kept.
func BenchmarkKey(b *testing.B) {
	k := newTestKey(big.NewInt(3)).public
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, ok := decode(&k); !ok {
				b.Fatal("refused")
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			makeTable(&generator, keyWidth, spacing)
		}
	})
}
