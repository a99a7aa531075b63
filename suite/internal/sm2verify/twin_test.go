package sm2verify

import (
	"crypto/rand"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm2/sm2ec"
)

// The slow twin: the library's curve, and math/big.

// libraryCurve is what is needed of the library's curve beyond its parameters.
type libraryCurve interface {
	CombinedMult(px, py *big.Int, s1, s2 []byte) (x, y *big.Int)
	IsOnCurve(x, y *big.Int) bool
}

var (
	bigCurve = sm2ec.P256().(libraryCurve)
	bigP     = sm2ec.P256().Params().P
	bigN     = sm2ec.P256().Params().N
	bigR     = new(big.Int).Lsh(big.NewInt(1), 256)
)

// reporter is what fails a test: a *testing.T, B or F, or a *rapid.T.
type reporter interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// bytes32 writes a number of at most 256 bits.
func bytes32(v *big.Int) (out [32]byte) {
	v.FillBytes(out[:])
	return out
}

// number reads bytes, big-endian.
func number(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// modN returns v mod n.
func modN(v *big.Int) *big.Int { return new(big.Int).Mod(v, bigN) }

// limbsOf splits a number of at most 256 bits.
func limbsOf(v *big.Int) [4]uint64 { b := bytes32(v); return readLimbs(&b) }

// numberOf joins limbs.
func numberOf(v [4]uint64) *big.Int { b := writeLimbs(v); return number(b[:]) }

// twinPoint is a point of the library, (0, 0) for O.
type twinPoint struct{ x, y *big.Int }

// twinMult returns s·G + t·P.
func twinMult(s, t *big.Int, p twinPoint) twinPoint {
	sb, tb := bytes32(modN(s)), bytes32(modN(t))
	x, y := bigCurve.CombinedMult(p.x, p.y, sb[:], tb[:])
	return twinPoint{x, y}
}

// twinBase returns k·G.
func twinBase(k *big.Int) twinPoint {
	g := sm2ec.P256().Params()
	return twinMult(k, new(big.Int), twinPoint{g.Gx, g.Gy})
}

// compress returns the point's encoding.
func (p twinPoint) compress() (out [KeySize]byte) {
	out[0] = 2 + byte(p.y.Bit(0))
	p.x.FillBytes(out[1:])
	return out
}

// affine returns the point as ours.
func (p twinPoint) affine(t reporter) (out affine) {
	t.Helper()
	if !out.x.setLimbs(limbsOf(p.x)) || !out.y.setLimbs(limbsOf(p.y)) {
		t.Fatalf("(%x, %x) is not below p", p.x, p.y)
	}
	return out
}

// twin returns one of our points as the library's.
func (p *affine) twin() twinPoint { return twinPoint{numberOf(p.x.limbs()), numberOf(p.y.limbs())} }

// twin returns one of our points as the library's, (0, 0) for O.
func (p *jacobian) twin() twinPoint {
	if p.isIdentity() {
		return twinPoint{new(big.Int), new(big.Int)}
	}
	var out [1]affine
	normalize(out[:], []jacobian{*p})
	return out[0].twin()
}

// equal reports whether two points are the same.
func (p twinPoint) equal(q twinPoint) bool { return p.x.Cmp(q.x) == 0 && p.y.Cmp(q.y) == 0 }

// twinDecode decodes a key with math/big, nil if it is none. The library's own decoding is not used: it multiplies field elements
// wrongly where the low limbs of the two have the product 2^63 mod 2^64 (v0.44.0, amd64 with BMI2), so that an x with that low
// limb becomes another.
func twinDecode(b *[KeySize]byte) (p twinPoint, ok bool) {
	x := number(b[1:])
	if b[0] != 2 && b[0] != 3 || x.Cmp(bigP) >= 0 {
		return p, false
	}
	y := new(big.Int).ModSqrt(bigRHS(x), bigP)
	if y == nil {
		return p, false
	}
	if byte(y.Bit(0)) != b[0]&1 {
		y.Sub(bigP, y)
	}
	return twinPoint{x, y}, true
}

// bigRHS returns x³ − 3x + b.
func bigRHS(x *big.Int) *big.Int {
	v := new(big.Int).Mul(x, x)
	v.Sub(v, big.NewInt(3)).Mul(v, x).Add(v, sm2ec.P256().Params().B)
	return v.Mod(v, bigP)
}

// bigAdd returns p + q by the schoolbook, (0, 0) for O.
func bigAdd(p, q twinPoint) twinPoint {
	isO := func(p twinPoint) bool { return p.x.Sign() == 0 && p.y.Sign() == 0 }
	above, below := new(big.Int).Sub(q.y, p.y), new(big.Int).Sub(q.x, p.x)
	switch {
	case isO(p):
		return q
	case isO(q):
		return p
	case p.equal(q):
		above.Mul(p.x, p.x).Sub(above, big.NewInt(1)).Mul(above, big.NewInt(3))
		below.Lsh(p.y, 1)
	case p.x.Cmp(q.x) == 0:
		return twinPoint{new(big.Int), new(big.Int)}
	}
	slope := below.ModInverse(below.Mod(below, bigP), bigP)
	slope.Mul(slope, above).Mod(slope, bigP)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, bigP)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, bigP)
	return twinPoint{x, y}
}

// bigMult returns s·G + t·P by the schoolbook.
func bigMult(s, t *big.Int, p twinPoint) (acc twinPoint) {
	g := sm2ec.P256().Params()
	acc = twinPoint{new(big.Int), new(big.Int)}
	for i := 255; i >= 0; i-- {
		acc = bigAdd(acc, acc)
		if s.Bit(i) == 1 {
			acc = bigAdd(acc, twinPoint{g.Gx, g.Gy})
		}
		if t.Bit(i) == 1 {
			acc = bigAdd(acc, p)
		}
	}
	return acc
}

// twinVerify is the rule of the package comment, written with the library and with its own verification. Where these two
// differ, or the library cannot read the key, since it multiplies wrongly, the schoolbook decides.
func twinVerify(t reporter, key [KeySize]byte, digest [32]byte, sig [SignatureSize]byte) bool {
	t.Helper()
	p, ok := twinDecode(&key)
	if !ok {
		return false
	}
	r, s := number(sig[:32]), number(sig[32:64])
	sum := modN(new(big.Int).Add(r, s))
	if r.Sign() == 0 || s.Sign() == 0 || sum.Sign() == 0 || r.Cmp(bigN) >= 0 || s.Cmp(bigN) >= 0 {
		if libraryVerify(t, p, digest, sig) {
			t.Fatalf("the library accepts signature %x out of range", sig)
		}
		return false
	}
	rule := func(nonce twinPoint) (valid bool, flag byte) {
		if flag = byte(nonce.y.Bit(0)); nonce.x.Cmp(bigN) >= 0 {
			flag |= flagOverflow
		}
		isO := nonce.x.Sign() == 0 && nonce.y.Sign() == 0
		return !isO && modN(new(big.Int).Add(number(digest[:]), nonce.x)).Cmp(r) == 0, flag
	}
	if bigCurve.IsOnCurve(p.x, p.y) {
		if valid, flag := rule(twinMult(s, sum, p)); valid == libraryVerify(t, p, digest, sig) {
			return valid && flag == sig[64]
		}
	}
	valid, flag := rule(bigMult(s, sum, p))
	return valid && flag == sig[64]
}

// libraryVerify is the library's verification of r ‖ s, which knows no flag.
func libraryVerify(t reporter, p twinPoint, digest [32]byte, sig [SignatureSize]byte) bool {
	t.Helper()
	x, y := bytes32(p.x), bytes32(p.y)
	public, err := sm2.NewPublicKey(append(append([]byte{4}, x[:]...), y[:]...))
	if err != nil {
		return false // the library cannot read every key
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{number(sig[:32]), number(sig[32:64])})
	if err != nil {
		t.Fatal(err)
	}
	return sm2.VerifyASN1(public, digest[:], der)
}

// testKey is a private key.
type testKey struct {
	d      *big.Int
	public [KeySize]byte
}

func newTestKey(d *big.Int) testKey { return testKey{d, twinBase(d).compress()} }

// sign signs with a chosen nonce (GB/T 32918.2 section 6.1). It reports false if the nonce will not do.
func (k testKey) sign(nonce *big.Int, digest [32]byte) (sig [SignatureSize]byte, ok bool) {
	point := twinBase(nonce)
	r := modN(new(big.Int).Add(number(digest[:]), point.x))
	inverse := new(big.Int).ModInverse(modN(new(big.Int).Add(k.d, big.NewInt(1))), bigN)
	if inverse == nil || r.Sign() == 0 || modN(new(big.Int).Add(r, nonce)).Sign() == 0 {
		return sig, false
	}
	s := new(big.Int).Mul(r, k.d)
	s.Sub(nonce, s).Mul(s, inverse).Mod(s, bigN)
	if s.Sign() == 0 {
		return sig, false
	}
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:64])
	sig[64] = byte(point.y.Bit(0))
	return sig, true
}

// testCase is one signature by its bytes.
type testCase struct {
	key    [KeySize]byte
	digest [32]byte
	sig    [SignatureSize]byte
}

func (c testCase) String() string {
	return fmt.Sprintf("key %x, digest %x, signature %x", c.key, c.digest, c.sig)
}

// signed makes a valid case.
func signed(t reporter, d, nonce, digest int64) testCase {
	t.Helper()
	k := newTestKey(big.NewInt(d))
	c := testCase{key: k.public, digest: bytes32(big.NewInt(digest))}
	var ok bool
	if c.sig, ok = k.sign(big.NewInt(nonce), c.digest); !ok {
		t.Fatalf("nonce %d will not do for digest %d", nonce, digest)
	}
	return c
}

// crafted makes a valid case whose nonce point is any point R, even one of which nobody knows the logarithm: for any r and s
// it solves P = (R − s·G)/(r+s) and e = r − x1.
func crafted(t reporter, point twinPoint, r, s *big.Int) testCase {
	t.Helper()
	inverse := new(big.Int).ModInverse(modN(new(big.Int).Add(r, s)), bigN)
	difference := bigMult(modN(new(big.Int).Neg(s)), big.NewInt(1), point)
	c := testCase{
		key:    bigMult(new(big.Int), inverse, difference).compress(),
		digest: bytes32(modN(new(big.Int).Sub(r, point.x))),
	}
	modN(r).FillBytes(c.sig[:32])
	modN(s).FillBytes(c.sig[32:64])
	c.sig[64] = byte(point.y.Bit(0))
	if point.x.Cmp(bigN) >= 0 {
		c.sig[64] |= flagOverflow
	}
	return c
}

// pointAbove returns the point with the least x of at least this, and the parity of y.
func pointAbove(x *big.Int, odd uint) twinPoint {
	var b [KeySize]byte
	b[0] = 2 + byte(odd)
	for x = new(big.Int).Set(x); ; x.Add(x, big.NewInt(1)) {
		x.FillBytes(b[1:])
		if p, ok := twinDecode(&b); ok {
			return p
		}
	}
}

// newTestVerifier returns a Verifier that makes tables at once and equations even for one signature.
func newTestVerifier(c Config) *Verifier {
	if c.TableAfter == 0 {
		c.TableAfter = -1
	}
	if c.BatchMin == 0 {
		c.BatchMin = 1
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return New(c)
}

// items decodes the cases with good keys, and returns what the twin says of each.
func items(t reporter, v *Verifier, cases []testCase) (out []Item, want []bool) {
	t.Helper()
	for _, c := range cases {
		k, ok := v.Key(&c.key)
		if _, want := twinDecode(&c.key); ok != want {
			t.Fatalf("key %x: decoded %v, by the twin %v", c.key, ok, want)
		}
		if ok {
			out = append(out, Item{Key: k, Digest: c.digest, Signature: c.sig})
			want = append(want, twinVerify(t, c.key, c.digest, c.sig))
		}
	}
	return out, want
}

// agree checks cases one by one and in a batch against the twin, and returns the twin's answers.
func agree(t reporter, v *Verifier, cases ...testCase) []bool {
	t.Helper()
	list, want := items(t, v, cases)
	for i := range list {
		if ok := v.One(&list[i]); ok != want[i] {
			t.Fatalf("one: %v, the twin %v: %s", ok, want[i], cases[i])
		}
	}
	got := make([]bool, len(list))
	v.Batch(list, got)
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("batch: %v, the twin %v: item %d of %v", got[i], want[i], i, cases)
		}
	}
	return want
}
