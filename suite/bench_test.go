package suite

import (
	"fmt"
	"testing"
)

func forEachBench(b *testing.B, bench func(b *testing.B, s Suite)) {
	for _, s := range All() {
		b.Run(s.Name(), func(b *testing.B) {
			b.ReportAllocs()
			bench(b, s)
		})
	}
}

// BenchmarkVerify is one signature by a key that was seen before.
func BenchmarkVerify(b *testing.B) {
	forEachBench(b, func(b *testing.B, s Suite) {
		signer := testSigner(b, s, "bench")
		k, m := signer.Public(), make([]byte, 200)
		sig := mustSign(b, signer, "d", m)
		for b.Loop() {
			if !s.Verify(k, "d", m, sig) {
				b.Fatal("not valid")
			}
		}
	})
}

// BenchmarkVerifyFreshKey is one signature by a key that is not in the cache: a cache of two entries, three keys.
func BenchmarkVerifyFreshKey(b *testing.B) {
	smallSM, smallIntl := newSM(), newIntl()
	smallSM.keys.generation, smallIntl.keys.generation = 1, 1
	for _, s := range []Suite{smallSM, smallIntl} {
		b.Run(s.Name(), func(b *testing.B) { benchmarkFreshKey(b, s) })
	}
}

func benchmarkFreshKey(b *testing.B, s Suite) {
	m := make([]byte, 200)
	var items [3]Signed
	for i := range items {
		signer := testSigner(b, s, fmt.Sprint("bench", i))
		items[i] = Signed{signer.Public(), "d", m, mustSign(b, signer, "d", m)}
	}
	for i := 0; b.Loop(); i = (i + 1) % len(items) {
		if !s.Verify(items[i].Key, "d", m, items[i].Sig) {
			b.Fatal("not valid")
		}
	}
}

// BenchmarkVerifyBatch is per signature, for batches of several sizes by several numbers of keys, which were seen before. The
// library is what sm would take without its own verifier.
func BenchmarkVerifyBatch(b *testing.B) {
	for name, s := range map[string]Suite{"sm": newSM(), "sm-library": withLibrary(), "intl": newIntl()} {
		for _, size := range [][2]int{{256, 16}, {1024, 1024}, {4096, 64}} {
			b.Run(fmt.Sprintf("%s/%d-by-%d", name, size[0], size[1]), func(b *testing.B) {
				b.ReportAllocs()
				items, signers := make([]Signed, size[0]), make([]Signer, size[1])
				for i := range signers {
					signers[i] = testSigner(b, s, fmt.Sprint("bench", i))
				}
				for i := range items {
					signer := signers[i%size[1]]
					m := fmt.Append(nil, "message ", i)
					items[i] = Signed{signer.Public(), "d", m, mustSign(b, signer, "d", m)}
				}
				for b.Loop() {
					for i, ok := range s.VerifyBatch(items) {
						if !ok {
							b.Fatal("item ", i, " is not valid")
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/signature")
			})
		}
	}
}

func BenchmarkSign(b *testing.B) {
	forEachBench(b, func(b *testing.B, s Suite) {
		signer, err := s.GenerateKey(nil)
		if err != nil {
			b.Fatal(err)
		}
		m := make([]byte, 200)
		for b.Loop() {
			mustSign(b, signer, "d", m)
		}
	})
}

// BenchmarkHash is one hash of two 32-byte parts, as an inner node would be, and of one kilobyte.
func BenchmarkHash(b *testing.B) {
	for _, s := range All() {
		for _, parts := range [][][]byte{{make([]byte, 32), make([]byte, 32)}, {make([]byte, 1024)}} {
			b.Run(fmt.Sprintf("%s/%dx%d", s.Name(), len(parts), len(parts[0])), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Hash("d", parts...)
				}
			})
		}
	}
}

func BenchmarkSum(b *testing.B) {
	forEachBench(b, func(b *testing.B, s Suite) {
		parts := [][]byte{make([]byte, 1), make([]byte, 128)}
		for b.Loop() {
			s.Sum(parts...)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	forEachBench(b, func(b *testing.B, s Suite) {
		key, plain := make([]byte, s.KeySize()), make([]byte, 1024)
		for b.Loop() {
			if _, err := s.Seal(key, plain, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
