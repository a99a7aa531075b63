package sm2verify

import "math/bits"

// scalar is a number below n, the order of the curve (GB/T 32918.5 section 2), as 64-bit limbs, least first.
type scalar [4]uint64

var (
	order   = scalar{0x53bbf40939d54123, 0x7203df6b21c6052b, 0xffffffffffffffff, 0xfffffffeffffffff}
	orderR2 = scalar{0x901192af7c114f20, 0x3464504ade6fa2fa, 0x620fc84c3affe0d4, 0x1eb5e412a22b3d3b} // 2^512 mod n
)

// orderInverse is −1/n mod 2^64.
const orderInverse = 0x327f9e8872350975

// less reports whether v < w.
func less(v, w [4]uint64) bool {
	_, b := bits.Sub64(v[0], w[0], 0)
	_, b = bits.Sub64(v[1], w[1], b)
	_, b = bits.Sub64(v[2], w[2], b)
	_, b = bits.Sub64(v[3], w[3], b)
	return b == 1
}

// reduced returns v + carry·2^256, which is below 2n, mod n.
func reduced(v [4]uint64, carry uint64) scalar {
	var s scalar
	var b uint64
	s[0], b = bits.Sub64(v[0], order[0], 0)
	s[1], b = bits.Sub64(v[1], order[1], b)
	s[2], b = bits.Sub64(v[2], order[2], b)
	s[3], b = bits.Sub64(v[3], order[3], b)
	if carry < b {
		return v
	}
	return s
}

// isZero reports whether s = 0.
func (s *scalar) isZero() bool { return *s == scalar{} }

// plus returns s + t mod n.
func (s *scalar) plus(t *scalar) scalar {
	v, c := sum(*s, *t)
	return reduced(v, c)
}

// minus returns s − t mod n.
func (s *scalar) minus(t *scalar) scalar {
	if t.isZero() {
		return *s
	}
	var v scalar
	var b uint64
	v[0], b = bits.Sub64(order[0], t[0], 0)
	v[1], b = bits.Sub64(order[1], t[1], b)
	v[2], b = bits.Sub64(order[2], t[2], b)
	v[3], _ = bits.Sub64(order[3], t[3], b)
	return v.plus(s)
}

// sum returns v + w and the carry.
func sum(v, w [4]uint64) (out [4]uint64, carry uint64) {
	out[0], carry = bits.Add64(v[0], w[0], 0)
	out[1], carry = bits.Add64(v[1], w[1], carry)
	out[2], carry = bits.Add64(v[2], w[2], carry)
	out[3], carry = bits.Add64(v[3], w[3], carry)
	return out, carry
}

// wide collects a sum of products: up to 2^64 products of 128 and 256 bits.
type wide [7]uint64

// addProduct adds z·s.
func (a *wide) addProduct(z [2]uint64, s *scalar) {
	for i, v := range z {
		var carry uint64
		for j, w := range s {
			hi, lo := bits.Mul64(v, w)
			var c uint64
			lo, c = bits.Add64(lo, carry, 0)
			hi += c
			a[i+j], c = bits.Add64(a[i+j], lo, 0)
			carry = hi + c
		}
		for j := i + len(s); j < len(a) && carry != 0; j++ {
			a[j], carry = bits.Add64(a[j], carry, 0)
		}
	}
}

// mod returns the sum mod n.
func (a *wide) mod() scalar {
	low := reduced([4]uint64(a[:4]), 0)
	high := mulMont(scalar{a[4], a[5], a[6]}, orderR2)
	return low.plus(&high)
}

// mulMont returns x·y/2^256 mod n (P. Montgomery 1985); y is below n, x any number.
func mulMont(x, y scalar) scalar {
	var t [6]uint64
	for _, v := range x {
		var carry, c uint64
		for j, w := range y {
			hi, lo := bits.Mul64(v, w)
			lo, c = bits.Add64(lo, t[j], 0)
			hi += c
			t[j], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		t[4], c = bits.Add64(t[4], carry, 0)
		t[5] = c
		m := t[0] * orderInverse
		hi, lo := bits.Mul64(m, order[0])
		_, c = bits.Add64(lo, t[0], 0)
		carry = hi + c
		for j := 1; j < 4; j++ {
			hi, lo := bits.Mul64(m, order[j])
			lo, c = bits.Add64(lo, t[j], 0)
			hi += c
			t[j-1], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		t[3], c = bits.Add64(t[4], carry, 0)
		t[4] = t[5] + c
	}
	return reduced([4]uint64(t[:4]), t[4])
}

// digits writes the signed digits of k in base 2^width, least first, each in (−2^(width−1), 2^(width−1)]. No carry is left
// if width·len(out) > 128.
func digits(out []int16, k [2]uint64, width uint) {
	half, carry := int16(1)<<(width-1), int16(0)
	for i := range out {
		d := int16(k[0]&(1<<width-1)) + carry
		k[0] = k[0]>>width | k[1]<<(64-width)
		k[1] >>= width
		if carry = 0; d > half {
			d -= half << 1
			carry = 1
		}
		out[i] = d
	}
}

// naf writes the non-adjacent form of s of the given width: at most one of width consecutive digits is not zero, and that
// one is odd and less than 2^(width−1) in size (J. Solinas, "Efficient arithmetic on Koblitz curves", 2000).
func naf(out *[nafDigits]int16, s *scalar, width uint) {
	*out = [nafDigits]int16{}
	carry := uint64(0)
	for at := uint(0); at < nafDigits; {
		if s.bits(at, 1) == carry {
			at++
			continue
		}
		d := s.bits(at, width) + carry
		carry = d >> (width - 1) & 1
		out[at] = int16(d) - int16(carry<<width)
		at += width
	}
}

// bits returns count ≤ 16 bits of s from position at on; above 255 they are zero.
func (s *scalar) bits(at, count uint) uint64 {
	word, shift := at/64, at%64
	if word >= 4 {
		return 0
	}
	v := s[word] >> shift
	if word < 3 {
		v |= s[word+1] << (64 - shift)
	}
	return v & (1<<count - 1)
}
