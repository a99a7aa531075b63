package sm2verify

// lanes is how many square roots are computed side by side: one squaring waits for the one before it, four chains keep the
// processor busy.
const lanes = 4

// squaresGo replaces every element by its n-th square, x^(2^n).
func squaresGo(v []fe, n int) {
	for range n {
		for i := range v {
			v[i].sqrGo(&v[i])
		}
	}
}

// times multiplies element by element.
func times(v, w []fe) {
	for i := range v {
		v[i].mul(&v[i], &w[i])
	}
}

// runs are powers of some elements whose exponents are runs of ones: x1 = x, x30 = x^(2^30 − 1), and so on.
type runs struct {
	x1, x30, x31, x32 [lanes]fe
}

// set computes the runs of at most four elements by an addition chain: 2, 4, 8, 16, 24, 28, 30, 31, 32.
func (r *runs) set(v []fe) {
	n := len(v)
	copy(r.x1[:], v)
	var x2, x4, x8, x16 [lanes]fe
	step := func(out, from, with *[lanes]fe, k int) {
		t := *from
		squares(t[:n], k)
		times(t[:n], with[:n])
		*out = t
	}
	step(&x2, &r.x1, &r.x1, 1)
	step(&x4, &x2, &x2, 2)
	step(&x8, &x4, &x4, 4)
	step(&x16, &x8, &x8, 8)
	step(&x16, &x16, &x8, 8) // 24
	step(&x16, &x16, &x4, 4) // 28
	step(&r.x30, &x16, &x2, 2)
	step(&r.x31, &r.x30, &r.x1, 1)
	step(&r.x32, &r.x31, &r.x1, 1)
}

// head returns x^(2^160 − 2^128 − 1), whose exponent is the first 160 bits that (p+1)/4 and p−2 share: 31 ones, a zero,
// 128 ones.
func (r *runs) head(n int) [lanes]fe {
	acc := r.x31
	squares(acc[:n], 1)
	for range 4 {
		squares(acc[:n], 32)
		times(acc[:n], r.x32[:n])
	}
	return acc
}

// roots replaces at most four elements by candidates for their square roots: x^((p+1)/4), right for squares because p = 3
// mod 4 (GB/T 32918.1 annex B.1.4). (p+1)/4 = 2^62·((2^160 − 2^128 − 1)·2^32 + 1).
func roots(v []fe) {
	var r runs
	r.set(v)
	acc := r.head(len(v))
	squares(acc[:len(v)], 32)
	times(acc[:len(v)], r.x1[:len(v)])
	squares(acc[:len(v)], 62)
	copy(v, acc[:len(v)])
}

// inv sets z = 1/x by Fermat's theorem, 0 for 0: x^(p−2), p−2 = (((2^160 − 2^128 − 1)·2^64 + 2^32 − 1)·2^30 + 2^30 − 1)·4 + 1.
func (z *fe) inv(x *fe) {
	var r runs
	r.set([]fe{*x})
	acc := r.head(1)
	squares(acc[:1], 64)
	times(acc[:1], r.x32[:1])
	squares(acc[:1], 30)
	times(acc[:1], r.x30[:1])
	squares(acc[:1], 2)
	z.mul(&acc[0], &r.x1[0])
}

// invAll replaces every element, none of which is zero, by its inverse, with one inversion in all (P. Montgomery 1987).
// scratch has room for as many.
func invAll(v, scratch []fe) {
	if len(v) == 0 {
		return
	}
	acc := feOne
	for i := range v {
		scratch[i] = acc
		acc.mul(&acc, &v[i])
	}
	acc.inv(&acc)
	for i := len(v) - 1; i >= 0; i-- {
		var t fe
		t.mul(&acc, &scratch[i])
		acc.mul(&acc, &v[i])
		v[i] = t
	}
}
