package sm2verify

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// drawScalar draws a number below n.
func drawScalar(t *rapid.T, name string) scalar {
	if rapid.IntRange(0, 3).Draw(t, name+" edge") == 0 {
		return limbsOf(rapid.SampledFrom(edges(bigN)).Draw(t, name))
	}
	return limbsOf(modN(numberOf(drawLimbs(t, name))))
}

func TestScalarMatchesBig(t *testing.T) {
	rInverse := new(big.Int).ModInverse(bigR, bigN)
	rapid.Check(t, func(t *rapid.T) {
		s, u, any256 := drawScalar(t, "s"), drawScalar(t, "t"), drawLimbs(t, "v")
		bs, bu, bv := numberOf(s), numberOf(u), numberOf(any256)
		product := new(big.Int).Mul(bv, bu)
		for name, c := range map[string]struct {
			got  scalar
			want *big.Int
		}{
			"plus":    {s.plus(&u), new(big.Int).Add(bs, bu)},
			"minus":   {s.minus(&u), new(big.Int).Sub(bs, bu)},
			"reduced": {reduced(any256, 0), bv},
			"mulMont": {mulMont(any256, u), product.Mul(product, rInverse)},
		} {
			if want := modN(c.want); numberOf(c.got).Cmp(want) != 0 {
				t.Fatalf("%s: %x, want %x", name, c.got, want)
			}
		}
		if s.isZero() != (bs.Sign() == 0) || less(any256, s) != (bv.Cmp(bs) < 0) {
			t.Fatalf("isZero or less of %x, %x", any256, s)
		}
	})
}

func TestScalarConstants(t *testing.T) {
	if numberOf(order).Cmp(bigN) != 0 {
		t.Errorf("n: %x", order)
	}
	if want := modN(new(big.Int).Mul(bigR, bigR)); numberOf(orderR2).Cmp(want) != 0 {
		t.Errorf("2^512 mod n: %x, want %x", orderR2, want)
	}
	if k := uint64(orderInverse); k*order[0] != ones {
		t.Error("−1/n mod 2^64")
	}
}

// TestWide adds up products, from a start near the largest sum there can be, too.
func TestWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a wide
		if rapid.Bool().Draw(t, "full") {
			a = wide{ones, ones, ones, ones, ones, ones, ones - 16}
		}
		want := new(big.Int)
		for i := len(a) - 1; i >= 0; i-- {
			want.Lsh(want, 64).Or(want, new(big.Int).SetUint64(a[i]))
		}
		for range rapid.IntRange(0, 8).Draw(t, "terms") {
			l, s := drawLimbs(t, "z"), drawScalar(t, "s")
			z := [2]uint64{l[0], l[1]}
			a.addProduct(z, &s)
			want.Add(want, new(big.Int).Mul(numberOf([4]uint64{z[0], z[1]}), numberOf(s)))
		}
		if got := a.mod(); numberOf(got).Cmp(modN(want)) != 0 {
			t.Fatalf("%x, want %x", got, modN(want))
		}
	})
}

// TestDigits: the digits are in their range and add up to the number, for every width that a plan may choose.
func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLimbs(t, "k")
		k := [2]uint64{l[0], l[1]}
		for width := uint(widthMin); width <= widthMax; width++ {
			out := make([]int16, coefficientBits/int(width)+1)
			digits(out, k, width)
			sum, half := new(big.Int), int16(1)<<(width-1)
			for i := len(out) - 1; i >= 0; i-- {
				if out[i] <= -half || out[i] > half {
					t.Fatalf("width %d: digit %d", width, out[i])
				}
				sum.Lsh(sum, width).Add(sum, big.NewInt(int64(out[i])))
			}
			if want := numberOf([4]uint64{k[0], k[1]}); sum.Cmp(want) != 0 {
				t.Fatalf("width %d: %x, want %x", width, sum, want)
			}
		}
	})
}

// TestNAF: the digits add up to the number, are odd and in their range, and keep their distance.
func TestNAF(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScalar(t, "s")
		for _, width := range []uint{keyWidth, baseWidth} {
			var out [nafDigits]int16
			naf(&out, &s, width)
			sum, last := new(big.Int), nafDigits+int(width)
			for i := len(out) - 1; i >= 0; i-- {
				sum.Lsh(sum, 1).Add(sum, big.NewInt(int64(out[i])))
				if out[i] == 0 {
					continue
				}
				if limit := int16(1) << (width - 1); out[i]&1 == 0 || out[i] >= limit || -out[i] >= limit || last-i < int(width) {
					t.Fatalf("width %d: digit %d at %d, the next at %d", width, out[i], i, last)
				}
				last = i
			}
			if sum.Cmp(numberOf(s)) != 0 {
				t.Fatalf("width %d: %x, want %x", width, sum, s)
			}
		}
	})
}
