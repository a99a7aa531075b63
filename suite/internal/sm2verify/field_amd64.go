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
