package sm2verify

// affine is a point of the curve y² = x³ − 3x + b (GB/T 32918.5 section 2) other than the identity O.
type affine struct {
	x, y fe
}

// jacobian is the point (x/z², y/z³), or the identity O if z = 0 (GB/T 32918.1 annex A.1.2.3.3).
type jacobian struct {
	x, y, z fe
}

// generator is G (GB/T 32918.5 section 2).
var generator = affine{
	x: fe{0x61328990f418029e, 0x3e7981eddca6c050, 0xd6a1ed99ac24c3c3, 0x91167a5ee1c13b05},
	y: fe{0xc1354e593c2d0ddd, 0xc1f5e5788d3295fa, 0x8d4cfb066e2a48f8, 0x63cd65d481d735bd},
}

// neg sets p = −q.
func (p *affine) neg(q *affine) {
	p.x = q.x
	p.y.neg(&q.y)
}

// isIdentity reports whether p = O.
func (p *jacobian) isIdentity() bool { return p.z.isZero() }

// set sets p = q.
func (p *jacobian) set(q *affine) { p.x, p.y, p.z = q.x, q.y, feOne }

// double sets p = 2p: the formulas dbl-2001-b for a = −3 (D. Bernstein, "A software implementation of NIST P-224", 2001), which
// are right for O too.
func (p *jacobian) double() {
	var delta, gamma, beta, alpha, t fe
	delta.sqr(&p.z)
	gamma.sqr(&p.y)
	beta.mul(&p.x, &gamma)
	t.sub(&p.x, &delta)
	alpha.add(&p.x, &delta)
	alpha.mul(&alpha, &t)
	t.add(&alpha, &alpha)
	alpha.add(&alpha, &t)
	p.z.add(&p.z, &p.y)
	p.z.sqr(&p.z)
	p.z.sub(&p.z, &gamma)
	p.z.sub(&p.z, &delta)
	beta.add(&beta, &beta)
	beta.add(&beta, &beta)
	t.add(&beta, &beta)
	p.x.sqr(&alpha)
	p.x.sub(&p.x, &t)
	beta.sub(&beta, &p.x)
	gamma.sqr(&gamma)
	gamma.add(&gamma, &gamma)
	gamma.add(&gamma, &gamma)
	gamma.add(&gamma, &gamma)
	p.y.mul(&alpha, &beta)
	p.y.sub(&p.y, &gamma)
}

// add sets p = p + q for any two points (H. Cohen, A. Miyaji, T. Ono, "Efficient elliptic curve exponentiation using mixed
// coordinates", ASIACRYPT 1998, with z of q one).
func (p *jacobian) add(q *affine) {
	if p.isIdentity() {
		p.set(q)
		return
	}
	var zz, h, r, hh, v fe
	zz.sqr(&p.z)
	h.mul(&q.x, &zz)
	h.sub(&h, &p.x)
	zz.mul(&zz, &p.z)
	r.mul(&q.y, &zz)
	r.sub(&r, &p.y)
	if h.isZero() {
		if r.isZero() {
			p.double()
		} else {
			*p = jacobian{}
		}
		return
	}
	hh.sqr(&h)
	v.mul(&p.x, &hh)
	hh.mul(&hh, &h)
	p.z.mul(&p.z, &h)
	p.x.sqr(&r)
	p.x.sub(&p.x, &hh)
	p.x.sub(&p.x, &v)
	p.x.sub(&p.x, &v)
	v.sub(&v, &p.x)
	hh.mul(&hh, &p.y)
	p.y.mul(&r, &v)
	p.y.sub(&p.y, &hh)
}

// normalize writes points, none of which is O, in affine coordinates, with one inversion.
func normalize(out []affine, points []jacobian) {
	z := make([]fe, 2*len(points))
	for i := range points {
		z[i] = points[i].z
	}
	z, scratch := z[:len(points)], z[len(points):]
	invAll(z, scratch)
	for i := range points {
		var zz fe
		zz.sqr(&z[i])
		out[i].x.mul(&points[i].x, &zz)
		zz.mul(&zz, &z[i])
		out[i].y.mul(&points[i].y, &zz)
	}
}

// rhs returns x³ − 3x + b.
func rhs(x *fe) fe {
	var t, u fe
	t.sqr(x)
	t.mul(&t, x)
	u.add(x, x)
	u.add(&u, x)
	t.sub(&t, &u)
	t.add(&t, &curveB)
	return t
}

// lift finds for at most four x the points with that x and the given parity of y, and reports for which there is one. y = 0
// does not occur: the order of the curve is odd.
func lift(out []affine, x []fe, odd []bool, found []bool) {
	var squared, y [lanes]fe
	n := len(x)
	for i := range n {
		squared[i] = rhs(&x[i])
	}
	copy(y[:n], squared[:n])
	roots(y[:n])
	for i := range n {
		var t fe
		t.sqr(&y[i])
		found[i] = t == squared[i]
		if y[i].isOdd() != odd[i] {
			y[i].neg(&y[i])
		}
		out[i] = affine{x: x[i], y: y[i]}
	}
}
