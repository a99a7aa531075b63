package sm2verify

import "sync"

// nafDigits is the length of a non-adjacent form: 256 digits and one more, and a length with many divisors.
const nafDigits = 260

// Shapes of tables. The odd multiples below 2^(width−1) of 2^(spacing·j)·P are kept for each j < nafDigits/spacing.
const (
	spacing   = 20 // of tables that are kept
	keyWidth  = 6
	baseWidth = 10 // for G
	onceWidth = 5  // for a key that has no table
)

// table holds multiples of one point.
type table struct {
	width   uint
	spacing int
	odds    []affine // of j = 0, then of j = 1, and so on
}

// perBase returns how many multiples a base has.
func (t *table) perBase() int { return 1 << (t.width - 2) }

// makeTable computes a table; spacing divides nafDigits.
func makeTable(p *affine, width uint, spacing int) *table {
	t := &table{width: width, spacing: spacing}
	bases, n := nafDigits/spacing, t.perBase()
	var acc jacobian
	acc.set(p)
	pairs := make([]jacobian, 2*bases) // each base, and its double
	for j := range bases {
		for i := 0; i < spacing && j > 0; i++ {
			acc.double()
		}
		pairs[2*j], pairs[2*j+1] = acc, acc
		pairs[2*j+1].double()
	}
	first := make([]affine, 2*bases)
	normalize(first, pairs)
	all := make([]jacobian, bases*n)
	for j := range bases {
		acc.set(&first[2*j])
		for i := range n {
			all[j*n+i] = acc
			acc.add(&first[2*j+1])
		}
	}
	t.odds = make([]affine, len(all))
	normalize(t.odds, all)
	return t
}

// generatorTable is the table of G, 213 KB, made when it is first needed.
var generatorTable = sync.OnceValue(func() *table { return makeTable(&generator, baseWidth, spacing) })

// combine returns s·G + k·P for the table of P, whose spacing is at least that of the table of G.
func combine(t *table, s, k *scalar) (acc jacobian) {
	var ds, dk [nafDigits]int16
	naf(&ds, s, baseWidth)
	naf(&dk, k, t.width)
	g := generatorTable()
	for shift := t.spacing - 1; shift >= 0; shift-- {
		acc.double()
		acc.addColumn(t, &dk, shift)
		if shift < g.spacing {
			acc.addColumn(g, &ds, shift)
		}
	}
	return acc
}

// addColumn adds for each base of a table the multiple that the digit at the given distance from the base calls for.
func (p *jacobian) addColumn(t *table, digits *[nafDigits]int16, shift int) {
	odds := t.odds
	for at := shift; at < nafDigits; at += t.spacing {
		switch d := digits[at]; {
		case d > 0:
			p.add(&odds[d>>1])
		case d < 0:
			var q affine
			q.neg(&odds[-d>>1])
			p.add(&q)
		}
		odds = odds[t.perBase():]
	}
}
