package sm2verify

// adder adds up groups of points. Its buffers are kept from one use to the next; it is not safe for concurrent use.
type adder struct {
	points []affine // the groups, one after another
	size   []int32  // how many points each group has
	next   []int32  // where the next point of each group goes
	pairs  []int32  // where the first of each pair stands
	prefix []fe     // products of the denominators of later pairs
	below  []fe     // denominator of each pair
}

// move puts one point into a group. from is twice the index of the point, plus one to negate it.
type move struct {
	group, from int32
}

// grow returns a slice of n elements, v if it has room; what they hold is undefined.
func grow[T any](v []T, n int) []T {
	if cap(v) < n {
		return make([]T, n, n+n/4)
	}
	return v[:n]
}

// collect gathers points of src into groups 0 … groups−1 and adds up each group. It returns the sums, one after another, and
// for every group 1 if it has a sum and 0 if that is O. Both slices belong to the adder.
func (a *adder) collect(src []affine, moves []move, groups int) ([]affine, []int32) {
	a.size, a.next = grow(a.size, groups), grow(a.next, groups)
	clear(a.size)
	for i := range moves {
		a.size[moves[i].group]++
	}
	at := int32(0)
	for g, n := range a.size {
		a.next[g] = at
		at += n
	}
	a.points = grow(a.points, len(moves))
	for _, m := range moves {
		to := &a.points[a.next[m.group]]
		a.next[m.group]++
		*to = src[m.from>>1]
		if m.from&1 == 1 {
			to.y.neg(&to.y)
		}
	}
	for a.findPairs() {
		a.points = a.points[:a.round()]
	}
	return a.points, a.size
}

// findPairs pairs the points of each group and reports whether there is any pair.
func (a *adder) findPairs() bool {
	a.pairs = a.pairs[:0]
	at := int32(0)
	for _, n := range a.size {
		for i := int32(1); i < n; i += 2 {
			a.pairs = append(a.pairs, at+i-1)
		}
		at += n
	}
	return len(a.pairs) > 0
}

// round replaces every pair by its sum, and returns how many points are left. A pair of equal points is doubled, a pair of
// opposite ones vanishes: denominators are x2 − x1, 2y, and 1. None is zero, so all are inverted at once. The products are
// kept in two chains, for pairs of even and odd number, so that one does not wait for the other.
func (a *adder) round() int {
	n := len(a.pairs)
	a.prefix, a.below = grow(a.prefix, n), grow(a.below, n)
	acc := [2]fe{feOne, feOne}
	for j := n - 1; j >= 0; j-- {
		p, q, d := &a.points[a.pairs[j]], &a.points[a.pairs[j]+1], &a.below[j]
		d.sub(&q.x, &p.x)
		switch {
		case !d.isZero():
		case p.y == q.y:
			d.add(&p.y, &p.y)
		default:
			*d = feOne
		}
		a.prefix[j] = acc[j&1]
		acc[j&1].mul(&acc[j&1], d)
	}
	var both fe
	both.mul(&acc[0], &acc[1])
	both.inv(&both)
	acc[0].mul(&acc[0], &both)
	acc[1].mul(&acc[1], &both)
	acc[0], acc[1] = acc[1], acc[0]

	j, from, to := 0, 0, 0
	for g, size := range a.size {
		first := to
		for range size / 2 {
			var inverse fe
			inverse.mul(&acc[j&1], &a.prefix[j])
			acc[j&1].mul(&acc[j&1], &a.below[j])
			if addPair(&a.points[to], &a.points[from], &a.points[from+1], &inverse) {
				to++
			}
			from += 2
			j++
		}
		if size&1 == 1 {
			a.points[to] = a.points[from]
			to++
			from++
		}
		a.size[g] = int32(to - first)
	}
	return to
}

// addPair sets out = p + q, given the inverse of the denominator, and reports whether that is a point other than O (GB/T
// 32918.1 section 3.2.3.1). out may be p or q or lie before them.
func addPair(out, p, q *affine, inverse *fe) bool {
	var slope, x, y fe
	if p.x != q.x {
		slope.sub(&q.y, &p.y)
	} else {
		if p.y != q.y {
			return false
		}
		y.sqr(&p.x)
		slope.add(&y, &y)
		slope.add(&slope, &y)
		slope.sub(&slope, &feThree)
	}
	slope.mul(&slope, inverse)
	x.sqr(&slope)
	x.sub(&x, &p.x)
	x.sub(&x, &q.x)
	y.sub(&p.x, &x)
	y.mul(&y, &slope)
	y.sub(&y, &p.y)
	out.x, out.y = x, y
	return true
}
