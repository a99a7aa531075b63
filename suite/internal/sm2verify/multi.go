package sm2verify

// coefficientBits is the length of the coefficients in a sum; widthMin to widthMax of them make a digit.
const (
	coefficientBits = 128
	widthMin        = 3
	widthMax        = 13
	// movesMax bounds how many points are gathered at a time, so that they stay in the processor's cache.
	movesMax = 8192
)

// equation decides whether Σ k·P = O for points P and coefficients k of 128 bits. Its buffers are kept from one use to the
// next; it is not safe for concurrent use.
type equation struct {
	points       []affine
	coefficients [][2]uint64

	adder   adder
	digits  []int16 // of each point in turn, least first
	moves   []move
	buckets []affine // sums that are not O
	place   []int32  // window and digit of each bucket: window<<16 | digit
}

// reset empties the sum.
func (e *equation) reset() { e.points, e.coefficients = e.points[:0], e.coefficients[:0] }

// add adds the term k·p.
func (e *equation) add(p *affine, k [2]uint64) {
	e.points = append(e.points, *p)
	e.coefficients = append(e.coefficients, k)
}

// holds reports whether the sum is O.
func (e *equation) holds() bool {
	width, windows := e.plan()
	e.fill(width, windows)
	sums, size := e.bits(width, windows)
	var acc jacobian
	for at, i := len(size)-1, len(sums); at >= 0; at-- {
		acc.double()
		if size[at] == 1 {
			i--
			acc.add(&sums[i])
		}
	}
	return acc.isIdentity()
}

// plan chooses the width of the digits, by the number of additions: one for each point and window to fill the buckets, and
// about 9/4 for each bucket to add them up. There is room for the carry beyond the last digit.
func (e *equation) plan() (width uint, windows int) {
	best := -1
	for w := uint(widthMin); w <= widthMax; w++ {
		n := coefficientBits/int(w) + 1
		if cost := n * (len(e.points) + 9<<(w-1)/4); best < 0 || cost < best {
			best, width, windows = cost, w, n
		}
	}
	return width, windows
}

// fill computes the buckets: for each window and each digit d > 0 the sum of the points that have d there, less those that
// have −d.
func (e *equation) fill(width uint, windows int) {
	n := len(e.points)
	e.digits = grow(e.digits, n*windows)
	for i := range e.points {
		digits(e.digits[i*windows:(i+1)*windows], e.coefficients[i], width)
	}
	e.buckets, e.place = e.buckets[:0], e.place[:0]
	half := int32(1) << (width - 1)
	step := max(1, movesMax/max(1, n))
	for low := 0; low < windows; low += step {
		high := min(low+step, windows)
		e.moves = e.moves[:0]
		for w := low; w < high; w++ {
			base := int32(w-low)*half - 1
			for i := range n {
				switch d := int32(e.digits[i*windows+w]); {
				case d > 0:
					e.moves = append(e.moves, move{base + d, int32(i) << 1})
				case d < 0:
					e.moves = append(e.moves, move{base - d, int32(i)<<1 | 1})
				}
			}
		}
		sums, size := e.adder.collect(e.points, e.moves, (high-low)*int(half))
		e.buckets = append(e.buckets, sums...)
		for g, k := range size {
			if k == 1 {
				e.place = append(e.place, (int32(low)+int32(g)/half)<<16|int32(g)%half+1)
			}
		}
	}
}

// bits adds up the buckets by the bits of their digits: group width·w + b of the result is the sum of the buckets of window w
// whose digit has bit b, so that Σ k·P = Σ 2^i·group i. Two steps save most of the additions: first the digits are cut into a
// high and a low half, and the buckets that share a window and a half are added; then the bits of the halves are taken.
func (e *equation) bits(width uint, windows int) ([]affine, []int32) {
	low := width / 2
	span := int32(1)<<low + int32(1)<<(width-low) // groups of a window: low halves, then high halves
	e.moves = e.moves[:0]
	for i, place := range e.place {
		d, base := place&0xffff, place>>16*span
		if l := d & (1<<low - 1); l != 0 {
			e.moves = append(e.moves, move{base + l, int32(i) << 1})
		}
		if h := d >> low; h != 0 {
			e.moves = append(e.moves, move{base + 1<<low + h, int32(i) << 1})
		}
	}
	halves, size := e.adder.collect(e.buckets, e.moves, windows*int(span))
	e.buckets = append(e.buckets[:0], halves...)
	e.moves = e.moves[:0]
	i := int32(0)
	for g, k := range size {
		if k == 0 {
			continue
		}
		value, bit := int32(g)%span, int32(g)/span*int32(width)
		if value >= 1<<low {
			value, bit = value-1<<low, bit+int32(low)
		}
		for ; value != 0; value, bit = value>>1, bit+1 {
			if value&1 == 1 {
				e.moves = append(e.moves, move{bit, i << 1})
			}
		}
		i++
	}
	return e.adder.collect(e.buckets, e.moves, windows*int(width))
}
