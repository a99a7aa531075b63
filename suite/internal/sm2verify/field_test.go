package sm2verify

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// edgeLimbs are where carries come from.
var edgeLimbs = []uint64{0, 1, 2, 1 << 31, 1 << 32, 1<<32 - 1, 1 << 63, ones, ones - 1, p1, p1 - 1, p1 + 1, p3, p3 - 1, 0xfffffffe00000000}

// drawLimbs draws 256 bits, many of them at an edge.
func drawLimbs(t *rapid.T, name string) (v [4]uint64) {
	for i := range v {
		v[i] = rapid.OneOf(rapid.SampledFrom(edgeLimbs), rapid.Uint64()).Draw(t, name)
	}
	return v
}

// edges are numbers below m around which a mistake would hide.
func edges(m *big.Int) (out []*big.Int) {
	for _, base := range []*big.Int{new(big.Int), m, new(big.Int).Mod(bigR, m), new(big.Int).Rsh(m, 1), new(big.Int).Lsh(big.NewInt(1), 128)} {
		for d := int64(-3); d <= 3; d++ {
			v := new(big.Int).Add(base, big.NewInt(d))
			out = append(out, v.Mod(v, m))
		}
	}
	return out
}

// drawElement draws an element of the field: its limbs are any below p, which is what the arithmetic sees.
func drawElement(t *rapid.T, name string) fe {
	if rapid.IntRange(0, 3).Draw(t, name+" edge") == 0 {
		return limbsOf(rapid.SampledFrom(edges(bigP)).Draw(t, name))
	}
	return limbsOf(new(big.Int).Mod(numberOf(drawLimbs(t, name)), bigP))
}

// wantElement compares a result with what math/big says.
func wantElement(t *rapid.T, name string, got fe, want *big.Int) {
	t.Helper()
	if want = new(big.Int).Mod(want, bigP); numberOf(got).Cmp(want) != 0 {
		t.Fatalf("%s: %x, want %x", name, numberOf(got), want)
	}
}

// TestFieldMatchesBig compares every operation, the one in Go and the one for this machine, in place and apart.
func TestFieldMatchesBig(t *testing.T) {
	rInverse := new(big.Int).ModInverse(bigR, bigP)
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawElement(t, "x"), drawElement(t, "y")
		bx, by := numberOf(x), numberOf(y)
		product := new(big.Int).Mul(bx, by)
		product.Mul(product, rInverse)
		square := new(big.Int).Mul(bx, bx)
		square.Mul(square, rInverse)
		for name, op := range map[string]struct {
			do   func(z, x, y *fe)
			want *big.Int
		}{
			"mul":   {(*fe).mul, product},
			"mulGo": {(*fe).mulGo, product},
			"sqr":   {func(z, x, _ *fe) { z.sqr(x) }, square},
			"sqrGo": {func(z, x, _ *fe) { z.sqrGo(x) }, square},
			"add":   {(*fe).add, new(big.Int).Add(bx, by)},
			"sub":   {(*fe).sub, new(big.Int).Sub(bx, by)},
			"neg":   {func(z, x, _ *fe) { z.neg(x) }, new(big.Int).Neg(bx)},
		} {
			var z fe
			op.do(&z, &x, &y)
			wantElement(t, name, z, op.want)
			z = x
			op.do(&z, &z, &y)
			wantElement(t, name+" onto x", z, op.want)
			z = y
			op.do(&z, &x, &z)
			wantElement(t, name+" onto y", z, op.want)
		}
		if x.isZero() != (bx.Sign() == 0) {
			t.Fatalf("isZero(%x)", bx)
		}
	})
}

func TestFieldConstants(t *testing.T) {
	mont := func(v *big.Int) fe { return limbsOf(new(big.Int).Mod(new(big.Int).Mul(v, bigR), bigP)) }
	b := new(big.Int)
	b.SetString("28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93", 16)
	for name, c := range map[string]struct {
		got  fe
		want *big.Int
	}{
		"1": {feOne, big.NewInt(1)}, "3": {feThree, big.NewInt(3)}, "R2": {feR2, bigR}, "b": {curveB, b},
		"G.x": {generator.x, twinBase(big.NewInt(1)).x}, "G.y": {generator.y, twinBase(big.NewInt(1)).y},
	} {
		if c.got != mont(c.want) {
			t.Errorf("%s: %x, want %x", name, c.got, mont(c.want))
		}
	}
	if p := (fe{ones, p1, ones, p3}); numberOf(p).Cmp(bigP) != 0 {
		t.Errorf("p: %x", p)
	}
}

// TestFieldConversion: numbers below p come back, others are refused.
func TestFieldConversion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawLimbs(t, "v")
		if rapid.Bool().Draw(t, "near p") {
			v = limbsOf(new(big.Int).Add(bigP, big.NewInt(rapid.Int64Range(-4, 4).Draw(t, "offset"))))
		}
		var z fe
		ok := z.setLimbs(v)
		if want := numberOf(v).Cmp(bigP) < 0; ok != want {
			t.Fatalf("%x is below p: %v, want %v", v, ok, want)
		}
		if ok && (z.limbs() != v || z.isOdd() != (v[0]&1 == 1)) {
			t.Fatalf("%x came back as %x", v, z.limbs())
		}
	})
}

// TestInverseAndRoot checks one to four roots at a time, and inverses alone and together.
func TestInverseAndRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, lanes).Draw(t, "n")
		v := make([]fe, n)
		for i := range v {
			v[i] = drawElement(t, "v")
		}
		r := append([]fe(nil), v...)
		roots(r)
		for i := range v {
			var square, minus fe
			square.sqr(&r[i])
			minus.neg(&v[i])
			if plain := numberOf(v[i].limbs()); big.Jacobi(plain, bigP) >= 0 && square != v[i] || square != v[i] && square != minus {
				t.Fatalf("root %d of %x: %x", i, plain, numberOf(r[i].limbs()))
			}
			squared, want := append([]fe(nil), v...), append([]fe(nil), v...)
			k := rapid.IntRange(1, 5).Draw(t, "squares")
			squares(squared, k)
			squaresGo(want, k)
			if squared[i] != want[i] {
				t.Fatalf("%d squares of %x: %x, want %x", k, v[i], squared[i], want[i])
			}
			var z, one fe
			z.inv(&v[i])
			one.mul(&z, &v[i])
			if v[i].isZero() && !z.isZero() || !v[i].isZero() && one != feOne {
				t.Fatalf("inverse of %x: %x", v[i], z)
			}
			if v[i].isZero() {
				v[i] = feThree
			}
		}
		w := append([]fe(nil), v...)
		invAll(w, make([]fe, n))
		for i := range v {
			if w[i].mul(&w[i], &v[i]); w[i] != feOne {
				t.Fatalf("inverse %d of %d", i, n)
			}
		}
	})
}
