//go:build !purego

package sm2verify

import "golang.org/x/sys/cpu"

// hasADX reports whether the processor has the instructions of field_amd64.s; since Broadwell and Zen, it has.
var hasADX = cpu.X86.HasBMI2 && cpu.X86.HasADX

// mulADX sets z = x·y.
//
//go:noescape
func mulADX(z, x, y *fe)

// sqrADX sets z = x².
//
//go:noescape
func sqrADX(z, x *fe)

// squaresADX squares count elements from v on, n times. Both numbers are at least 1.
//
//go:noescape
func squaresADX(v *fe, count, n int)

// mul sets z = x·y.
func (z *fe) mul(x, y *fe) {
	if hasADX {
		mulADX(z, x, y)
	} else {
		z.mulGo(x, y)
	}
}

// sqr sets z = x².
func (z *fe) sqr(x *fe) {
	if hasADX {
		sqrADX(z, x)
	} else {
		z.sqrGo(x)
	}
}

// squares replaces every element by its n-th square, x^(2^n), n at least 1.
func squares(v []fe, n int) {
	if hasADX && len(v) > 0 {
		squaresADX(&v[0], len(v), n)
	} else {
		squaresGo(v, n)
	}
}
