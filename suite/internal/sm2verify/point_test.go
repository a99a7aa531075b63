package sm2verify

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// drawNumber draws a number in [1, n−1] whose multiples of G may be known to be near each other.
func drawNumber(t *rapid.T, name string) *big.Int {
	if rapid.Bool().Draw(t, name+" small") {
		return big.NewInt(rapid.Int64Range(1, 6).Draw(t, name))
	}
	s := drawScalar(t, name)
	if s.isZero() {
		s[0] = 1
	}
	return numberOf(s)
}

// TestPointsMatchLibrary: additions of every kind, O, equal and opposite points among them, and doublings.
func TestPointsMatchLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var acc jacobian
		sum := new(big.Int)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "double") == 0 {
				acc.double()
				sum.Lsh(sum, 1)
			} else {
				k := drawNumber(t, "k")
				if modN(sum).Sign() != 0 && rapid.IntRange(0, 3).Draw(t, "again") == 0 {
					k = modN(sum)
				}
				if rapid.Bool().Draw(t, "negative") {
					k = modN(new(big.Int).Neg(k))
				}
				q := twinBase(k).affine(t)
				acc.add(&q)
				sum.Add(sum, k)
			}
			if got, want := acc.twin(), twinBase(sum); !got.equal(want) {
				t.Fatalf("%x·G: (%x, %x), want (%x, %x)", modN(sum), got.x, got.y, want.x, want.y)
			}
		}
	})
}

// TestLift: every x gives the two points that math/big finds, or none.
func TestLift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, lanes).Draw(t, "n")
		x, odd, found, out := make([]fe, n), make([]bool, n), make([]bool, n), make([]affine, n)
		for i := range x {
			if x[i], odd[i] = drawElement(t, "x"), rapid.Bool().Draw(t, "odd"); rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
				x[i] = fe{}
			}
		}
		lift(out, x, odd, found)
		for i := range x {
			b := [KeySize]byte{2}
			if odd[i] {
				b[0] = 3
			}
			numberOf(x[i].limbs()).FillBytes(b[1:])
			want, ok := twinDecode(&b)
			if found[i] != ok || found[i] && !out[i].twin().equal(want) {
				t.Fatalf("%x: %v, want %v", b, found[i], ok)
			}
		}
	})
}

// TestCombine compares sums from tables with the library's, O and near misses among them.
func TestCombine(t *testing.T) {
	tables := map[string]*table{}
	rapid.Check(t, func(t *rapid.T) {
		k := big.NewInt(rapid.Int64Range(1, 5).Draw(t, "key"))
		point := twinBase(k)
		key, once := tables[k.String()], rapid.Bool().Draw(t, "once")
		if p := point.affine(t); once {
			key = makeTable(&p, onceWidth, nafDigits)
		} else if key == nil {
			key = makeTable(&p, keyWidth, spacing)
			tables[k.String()] = key
		}
		u := drawScalar(t, "t")
		s := drawScalar(t, "s")
		if rapid.IntRange(0, 3).Draw(t, "cancel") == 0 { // s·G = −t·P, or nearly
			v := new(big.Int).Mul(numberOf(u), k)
			s = limbsOf(modN(v.Neg(v).Add(v, big.NewInt(rapid.Int64Range(-1, 1).Draw(t, "off")))))
		}
		got := combine(key, &s, &u)
		if want := twinMult(numberOf(s), numberOf(u), point); !got.twin().equal(want) {
			t.Fatalf("%x·G + %x·%s·G: (%x, %x), want (%x, %x)", s, u, k, got.twin().x, got.twin().y, want.x, want.y)
		}
	})
}

// TestCollect adds groups of points with many equal and opposite ones, and compares with adding their logarithms.
func TestCollect(t *testing.T) {
	const variety = 12
	var src []affine
	for k := range int64(variety) {
		src = append(src, twinBase(big.NewInt(k+1)).affine(t))
	}
	var a adder
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(1, 6).Draw(t, "groups")
		moves := make([]move, rapid.IntRange(0, 60).Draw(t, "moves"))
		want := make([]int64, groups)
		few := rapid.Int32Range(1, variety).Draw(t, "variety")
		for i := range moves {
			g, k, sign := rapid.Int32Range(0, int32(groups)-1).Draw(t, "g"), rapid.Int32Range(0, few-1).Draw(t, "k"), rapid.Int32Range(0, 1).Draw(t, "sign")
			moves[i] = move{g, k<<1 | sign}
			want[g] += int64(k+1) * int64(1-2*sign)
		}
		sums, size := a.collect(src, moves, groups)
		at := 0
		for g, k := range want {
			if size[g] != 0 && size[g] != 1 || (size[g] == 0) != (k == 0) {
				t.Fatalf("group %d: %d sums of %d·G", g, size[g], k)
			}
			if k == 0 {
				continue
			}
			if !sums[at].twin().equal(twinBase(big.NewInt(k))) {
				t.Fatalf("group %d is not %d·G", g, k)
			}
			at++
		}
		if at != len(sums) {
			t.Fatalf("%d sums, want %d", len(sums), at)
		}
	})
}

// TestEquation: a sum whose last term is solved for holds, and does not with any coefficient or point changed.
func TestEquation(t *testing.T) {
	var e equation
	two128 := new(big.Int).Lsh(big.NewInt(1), coefficientBits)
	rapid.Check(t, func(t *rapid.T) {
		e.reset()
		n := rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(0, 120)).Draw(t, "terms")
		sum := new(big.Int)
		add := func(log, k *big.Int) {
			if log = modN(log); log.Sign() == 0 {
				return
			}
			p, l := twinBase(log).affine(t), limbsOf(k)
			e.add(&p, [2]uint64{l[0], l[1]})
			sum.Add(sum, new(big.Int).Mul(log, k))
		}
		for range n {
			l := drawLimbs(t, "k")
			add(drawNumber(t, "log"), numberOf([4]uint64{l[0], l[1]}))
		}
		// Two more terms, so that the last coefficient has 128 bits.
		rest := modN(new(big.Int).Neg(sum))
		high, low := new(big.Int).DivMod(rest, two128, new(big.Int))
		add(two128, high)
		add(big.NewInt(1), low)
		if !e.holds() {
			t.Fatalf("%d terms: does not hold", len(e.points))
		}
		add(drawNumber(t, "log"), big.NewInt(rapid.Int64Range(0, 2).Draw(t, "extra")))
		if got, want := e.holds(), modN(sum).Sign() == 0; got != want {
			t.Fatalf("%d terms: holds %v, want %v", len(e.points), got, want)
		}
	})
}

// TestPlan: every size has a width, and the digits have room for the carry.
func TestPlan(t *testing.T) {
	var e equation
	for n := 0; n < 20_000; n = n*5/4 + 1 {
		e.points = make([]affine, n)
		width, windows := e.plan()
		if width < widthMin || width > widthMax || int(width)*windows <= coefficientBits {
			t.Fatalf("%d terms: width %d, %d windows", n, width, windows)
		}
	}
}
