//go:build !amd64 || purego

package sm2verify

// mul sets z = x·y.
func (z *fe) mul(x, y *fe) { z.mulGo(x, y) }

// sqr sets z = x².
func (z *fe) sqr(x *fe) { z.sqrGo(x) }

// squares replaces every element by its n-th square, x^(2^n).
func squares(v []fe, n int) { squaresGo(v, n) }
