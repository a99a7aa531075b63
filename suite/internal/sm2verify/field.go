package sm2verify

import (
	"encoding/binary"
	"math/bits"
)

// fe is an element of the prime field of the curve (GB/T 32918.5 section 2): x·2^256 mod p as four 64-bit limbs, least
// first. Invariant: below p, so that equal elements are equal arrays.
type fe [4]uint64

// The limbs of p = 2^256 − 2^224 − 2^96 + 2^64 − 1; the other two are all ones.
const (
	p1   = 0xffffffff00000000
	p3   = 0xfffffffeffffffff
	ones = 0xffffffffffffffff
)

// Constants, as fe.
var (
	feOne   = fe{0x0000000000000001, 0x00000000ffffffff, 0x0000000000000000, 0x0000000100000000}
	feR2    = fe{0x0000000200000003, 0x00000002ffffffff, 0x0000000100000001, 0x0000000400000002} // 2^512 mod p
	feThree = fe{3, 0x2fffffffd, 0, 0x300000000}
	curveB  = fe{0x90d230632bc0dd42, 0x71cf379ae9b537ab, 0x527981505ea51c3c, 0x240fe188ba20e2c8}
)

// fold is two steps of Montgomery reduction at once. Because p = −1 mod 2^64, the multiple m of p that clears the low
// limbs t0, t1 needs no multiplication: m0 = t0 and m1 = t1 + t0 − t0·2^32. What m·p adds to the four limbs above,
// the borrow and carry of the lower two included, is q + carry; it never overflows.
func fold(t0, t1 uint64) (q0, q1, q2, q3, carry uint64) {
	a0 := t0 << 32
	m1, carry := bits.Add64(t1, t0, 0)
	m1, b := bits.Sub64(m1, a0, 0)
	a1, a2 := t0>>32|m1<<32, m1>>32
	q0, b = bits.Sub64(m1, a1, b)
	q1, b = bits.Sub64(0, a0|a2, b)
	q2, b = bits.Sub64(t0, a1, b)
	q3, _ = bits.Sub64(m1, a2, b)
	return
}

// mulGo sets z = x·y: Montgomery multiplication (P. Montgomery, "Modular multiplication without trial division", Math.
// Comp. 1985), row by row, reducing after every second row.
func (z *fe) mulGo(x, y *fe) {
	x0, x1, x2, x3, v := x[0], x[1], x[2], x[3], y[0]
	var c, k uint64
	h0, t0 := bits.Mul64(x0, v)
	h1, t1 := bits.Mul64(x1, v)
	h2, t2 := bits.Mul64(x2, v)
	t4, t3 := bits.Mul64(x3, v)
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 += c

	v = y[1]
	h0, l0 := bits.Mul64(x0, v)
	h1, l1 := bits.Mul64(x1, v)
	h2, l2 := bits.Mul64(x2, v)
	t5, l3 := bits.Mul64(x3, v)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t5 += c
	t1, c = bits.Add64(t1, l0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, l2, c)
	t4, c = bits.Add64(t4, l3, c)
	t5 += c

	q0, q1, q2, q3, c := fold(t0, t1)
	t2, c = bits.Add64(t2, q0, c)
	t3, c = bits.Add64(t3, q1, c)
	t4, c = bits.Add64(t4, q2, c)
	t5, k = bits.Add64(t5, q3, c)

	v = y[2]
	h0, l0 = bits.Mul64(x0, v)
	h1, l1 = bits.Mul64(x1, v)
	h2, l2 = bits.Mul64(x2, v)
	t6, l3 := bits.Mul64(x3, v)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t6 += c + k // no overflow: x < p leaves room
	t2, c = bits.Add64(t2, l0, 0)
	t3, c = bits.Add64(t3, l1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, l3, c)
	t6 += c

	v = y[3]
	h0, l0 = bits.Mul64(x0, v)
	h1, l1 = bits.Mul64(x1, v)
	h2, l2 = bits.Mul64(x2, v)
	t7, l3 := bits.Mul64(x3, v)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t7 += c
	t3, c = bits.Add64(t3, l0, 0)
	t4, c = bits.Add64(t4, l1, c)
	t5, c = bits.Add64(t5, l2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 += c

	q0, q1, q2, q3, c = fold(t2, t3)
	t4, c = bits.Add64(t4, q0, c)
	t5, c = bits.Add64(t5, q1, c)
	t6, c = bits.Add64(t6, q2, c)
	t7, k = bits.Add64(t7, q3, c)
	z.reduce(t4, t5, t6, t7, k)
}

// sqrGo sets z = x²: six products for the sides, doubled, and four for the diagonal.
func (z *fe) sqrGo(x *fe) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	var c, k uint64
	t2, t1 := bits.Mul64(x0, x1)
	h, l := bits.Mul64(x0, x2)
	t4, t3 := bits.Mul64(x0, x3)
	t2, c = bits.Add64(t2, l, 0)
	t3, c = bits.Add64(t3, h, c)
	t4 += c
	h, l = bits.Mul64(x1, x2)
	g, m := bits.Mul64(x1, x3)
	t6, t5 := bits.Mul64(x2, x3)
	t3, c = bits.Add64(t3, l, 0)
	t4, c = bits.Add64(t4, h, c)
	t5, c = bits.Add64(t5, g, c)
	t6 += c
	t4, c = bits.Add64(t4, m, 0)
	t5, c = bits.Add64(t5, 0, c)
	t6 += c

	t1, c = bits.Add64(t1, t1, 0)
	t2, c = bits.Add64(t2, t2, c)
	t3, c = bits.Add64(t3, t3, c)
	t4, c = bits.Add64(t4, t4, c)
	t5, c = bits.Add64(t5, t5, c)
	t6, t7 := bits.Add64(t6, t6, c)

	h, t0 := bits.Mul64(x0, x0)
	g, m = bits.Mul64(x1, x1)
	t1, c = bits.Add64(t1, h, 0)
	t2, c = bits.Add64(t2, m, c)
	t3, k = bits.Add64(t3, g, c)
	h, l = bits.Mul64(x2, x2)
	g, m = bits.Mul64(x3, x3)
	t4, c = bits.Add64(t4, l, k)
	t5, c = bits.Add64(t5, h, c)
	t6, c = bits.Add64(t6, m, c)
	t7 += g + c

	q0, q1, q2, q3, c := fold(t0, t1)
	t2, c = bits.Add64(t2, q0, c)
	t3, c = bits.Add64(t3, q1, c)
	t4, c = bits.Add64(t4, q2, c)
	t5, k = bits.Add64(t5, q3, c)
	q0, q1, q2, q3, c = fold(t2, t3)
	t4, c = bits.Add64(t4, q0, c)
	t5, c = bits.Add64(t5, q1, c)
	q2, g = bits.Add64(q2, k, 0) // the carry of the first fold belongs to t6
	q3 += g
	t6, c = bits.Add64(t6, q2, c)
	t7, k = bits.Add64(t7, q3, c)
	z.reduce(t4, t5, t6, t7, k)
}

// reduce sets z to t0 … t3 and a carry of 2^256, less p if that is not negative. The value is below 2p.
func (z *fe) reduce(t0, t1, t2, t3, carry uint64) {
	s0, b := bits.Sub64(t0, ones, 0)
	s1, b := bits.Sub64(t1, p1, b)
	s2, b := bits.Sub64(t2, ones, b)
	s3, b := bits.Sub64(t3, p3, b)
	if carry < b {
		s0, s1, s2, s3 = t0, t1, t2, t3
	}
	z[0], z[1], z[2], z[3] = s0, s1, s2, s3
}

// add sets z = x + y.
func (z *fe) add(x, y *fe) {
	t0, c := bits.Add64(x[0], y[0], 0)
	t1, c := bits.Add64(x[1], y[1], c)
	t2, c := bits.Add64(x[2], y[2], c)
	t3, c := bits.Add64(x[3], y[3], c)
	z.reduce(t0, t1, t2, t3, c)
}

// sub sets z = x − y.
func (z *fe) sub(x, y *fe) {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	mask := -b
	var c uint64
	z[0], c = bits.Add64(t0, mask, 0)
	z[1], c = bits.Add64(t1, mask&p1, c)
	z[2], c = bits.Add64(t2, mask, c)
	z[3], _ = bits.Add64(t3, mask&p3, c)
}

// neg sets z = −x.
func (z *fe) neg(x *fe) {
	if x.isZero() {
		*z = fe{}
		return
	}
	var b uint64
	z[0], b = bits.Sub64(ones, x[0], 0)
	z[1], b = bits.Sub64(p1, x[1], b)
	z[2], b = bits.Sub64(ones, x[2], b)
	z[3], _ = bits.Sub64(p3, x[3], b)
}

// isZero reports whether z = 0.
func (z *fe) isZero() bool { return z[0]|z[1]|z[2]|z[3] == 0 }

// setLimbs sets z to the number with these limbs, least first, and reports whether it is below p; else z is undefined.
func (z *fe) setLimbs(v [4]uint64) bool {
	_, b := bits.Sub64(v[0], ones, 0)
	_, b = bits.Sub64(v[1], p1, b)
	_, b = bits.Sub64(v[2], ones, b)
	_, b = bits.Sub64(v[3], p3, b)
	*z = v
	z.mul(&feR2, z)
	return b == 1
}

// limbs returns the number that z stands for, least limb first.
func (z *fe) limbs() [4]uint64 {
	var out fe
	out.mul(z, &fe{1})
	return out
}

// isOdd reports whether the number that z stands for is odd.
func (z *fe) isOdd() bool { return z.limbs()[0]&1 == 1 }

// readLimbs reads 32 bytes, big-endian.
func readLimbs(b *[32]byte) [4]uint64 {
	return [4]uint64{
		binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[16:]),
		binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[:]),
	}
}

// writeLimbs is the inverse of readLimbs.
func writeLimbs(v [4]uint64) (b [32]byte) {
	for i, limb := range v {
		binary.BigEndian.PutUint64(b[24-8*i:], limb)
	}
	return b
}
