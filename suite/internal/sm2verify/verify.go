package sm2verify

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"
)

// SignatureSize is the length in bytes of a signature r ‖ s ‖ flag.
const SignatureSize = 65

// The bits of the flag.
const (
	flagOdd      = 1 // y1 is odd
	flagOverflow = 2 // x1 >= n
)

// What one entry of a cache takes in memory, with its share of the map and of the allocator's rounding, in bytes.
const (
	keyBytes   = 400
	tableBytes = nafDigits / spacing * (1 << (keyWidth - 2)) * 64 * 5 / 4
)

// Config says how a Verifier works. It changes speed, never results.
type Config struct {
	// Random is where the coefficients of batches come from; default crypto/rand.Reader, anything else is for tests.
	Random io.Reader
	// Label computes from the coordinates of a public key what is remembered with it: ZA. None if nil.
	Label func(x, y *[32]byte) [32]byte
	// KeyBytesMax bounds the memory for decoded keys; default 48 MiB, about 125,000 keys.
	KeyBytesMax int
	// TableBytesMax bounds the memory for tables; default 16 MiB, about 1,200 keys.
	TableBytesMax int
	// TableAfter is how many signatures of a key are verified one by one before a table is kept; default 4, none if negative.
	TableAfter int
	// BatchMin is how many signatures are worth an equation; 0, the default, for an estimate of what costs less.
	BatchMin int
}

// Verifier verifies signatures. It is safe for concurrent use.
type Verifier struct {
	random   io.Reader
	label    func(x, y *[32]byte) [32]byte
	patience int32
	batchMin int
	keys     *cache[*Key]
	tables   *cache[*table]
	scratch  sync.Pool // of *batch
}

// New returns a Verifier.
func New(c Config) *Verifier {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	set := func(v *int, value int) {
		if *v == 0 {
			*v = value
		}
	}
	set(&c.KeyBytesMax, 48<<20)
	set(&c.TableBytesMax, 16<<20)
	set(&c.TableAfter, 4)
	return &Verifier{
		random: c.Random, label: c.Label, patience: int32(c.TableAfter), batchMin: c.BatchMin,
		keys:    newCache[*Key](c.KeyBytesMax / keyBytes),
		tables:  newCache[*table](c.TableBytesMax / tableBytes),
		scratch: sync.Pool{New: func() any { return new(batch) }},
	}
}

// Item is one signature to verify: of digest e by key.
type Item struct {
	Key       *Key
	Digest    [32]byte
	Signature [SignatureSize]byte
}

// signature is a signature that may be valid.
type signature struct {
	s, t scalar
	x    fe   // of the nonce point
	odd  bool // y of the nonce point
}

// parse reads a signature of digest e. It reports false if r, s or t = r + s mod n is not in [1, n−1] (GB/T 32918.2 section
// 7.1, steps B1, B2 and B5), or if no point can have the x that r, e and the flag call for.
func parse(digest *[32]byte, sig *[SignatureSize]byte) (out signature, ok bool) {
	rBytes, sBytes, flag := [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64]
	r, s := scalar(readLimbs(&rBytes)), scalar(readLimbs(&sBytes))
	if flag > flagOdd|flagOverflow || r.isZero() || s.isZero() || !less(r, order) || !less(s, order) {
		return out, false
	}
	out.s, out.t, out.odd = s, r.plus(&s), flag&flagOdd != 0
	if out.t.isZero() {
		return out, false
	}
	e := reduced(readLimbs(digest), 0)
	x := r.minus(&e)
	if flag&flagOverflow != 0 {
		var carry uint64
		if x, carry = sum(x, order); carry != 0 {
			return out, false
		}
	}
	return out, out.x.setLimbs(x)
}

// One verifies one signature.
func (v *Verifier) One(it *Item) bool {
	sig, ok := parse(&it.Digest, &it.Signature)
	if !ok {
		return false
	}
	p := combine(v.table(it.Key), &sig.s, &sig.t)
	if p.isIdentity() {
		return false
	}
	var zz, y fe
	zz.sqr(&p.z)
	y.mul(&zz, &sig.x)
	if y != p.x {
		return false
	}
	zz.mul(&zz, &p.z)
	zz.inv(&zz)
	y.mul(&p.y, &zz)
	return y.isOdd() == sig.odd
}

// Flag returns the flag that belongs to a standard signature r ‖ s of a digest by key, and whether it is valid: what a signer
// needs whose library hides the nonce point.
func (v *Verifier) Flag(key *Key, digest *[32]byte, rs *[SignatureSize - 1]byte) (flag byte, ok bool) {
	r, s := scalar(readLimbs((*[32]byte)(rs[:32]))), scalar(readLimbs((*[32]byte)(rs[32:])))
	if r.isZero() || s.isZero() || !less(r, order) || !less(s, order) {
		return 0, false
	}
	t := r.plus(&s)
	if t.isZero() {
		return 0, false
	}
	p := combine(v.table(key), &s, &t)
	if p.isIdentity() {
		return 0, false
	}
	var zz, zzz, x, y fe
	zz.sqr(&p.z)
	zzz.mul(&zz, &p.z)
	zzz.inv(&zzz)
	y.mul(&p.y, &zzz)
	zz.mul(&zzz, &p.z) // 1/z²
	x.mul(&p.x, &zz)
	if y.isOdd() {
		flag = flagOdd
	}
	limbs := x.limbs()
	if !less(limbs, order) {
		flag |= flagOverflow
	}
	e, x1 := reduced(readLimbs(digest), 0), reduced(limbs, 0)
	return flag, e.plus(&x1) == r
}

// Batch verifies many signatures and stores in out, which has room for as many, what One would say of each.
func (v *Verifier) Batch(items []Item, out []bool) {
	b := v.scratch.Get().(*batch)
	defer v.scratch.Put(b)
	b.verifier, b.items, b.out = v, items, out
	defer b.release()
	b.parse()
	b.budget = checksMax * len(b.live)
	b.decide(b.live, false)
}

// checksMax bounds how many signatures equations are computed for, as a multiple of the batch: what a liar can cost beyond one
// by one.
const checksMax = 3

// batch is the work on one batch.
type batch struct {
	verifier *Verifier
	items    []Item
	out      []bool
	budget   int // signatures that equations may still be computed for

	live     []live
	equation equation
	random   []byte
	slots    map[*Key]int
	keys     []*Key
	sums     []wide // for each key, Σ z·t
}

// live is a signature that may be valid, and minus its nonce point.
type live struct {
	item     int
	s, t     scalar
	negative affine
}

// release drops what belongs to the caller.
func (b *batch) release() {
	b.verifier, b.items, b.out = nil, nil, nil
	clear(b.slots)
	clear(b.keys)
}

// parse reads the signatures and finds their nonce points. Those without one are not valid.
func (b *batch) parse() {
	b.live = b.live[:0]
	var x [lanes]fe
	var odd, found [lanes]bool
	var points [lanes]affine
	waiting := 0
	flush := func() {
		first := len(b.live) - waiting
		lift(points[:waiting], x[:waiting], odd[:waiting], found[:waiting])
		kept := b.live[:first]
		for i, l := range b.live[first:] {
			if found[i] {
				l.negative = points[i]
				kept = append(kept, l)
			}
		}
		b.live, waiting = kept, 0
	}
	for i := range b.items {
		b.out[i] = false
		sig, ok := parse(&b.items[i].Digest, &b.items[i].Signature)
		if !ok {
			continue
		}
		// The point with the other y is minus the nonce point.
		x[waiting], odd[waiting] = sig.x, !sig.odd
		b.live = append(b.live, live{item: i, s: sig.s, t: sig.t})
		if waiting++; waiting == lanes {
			flush()
		}
	}
	flush()
}

// decide decides some signatures and reports whether all are valid. suspect is true if they are known to contain one that is
// not, so that no equation needs to say so again.
func (b *batch) decide(list []live, suspect bool) (all bool) {
	if !b.worthwhile(list) || len(list) < 2 && suspect || b.budget < len(list) {
		all = true
		for i := range list {
			at := list[i].item
			b.out[at] = b.verifier.One(&b.items[at])
			all = all && b.out[at]
		}
		return all
	}
	if !suspect {
		b.budget -= len(list)
		if !b.holds(list) {
			return b.decide(list, true)
		}
		for i := range list {
			b.out[list[i].item] = true
		}
		return true
	}
	half := len(list) / 2
	all = b.decide(list[:half], false)
	b.decide(list[half:], all)
	return false
}

// Costs as measured, in hundredths of the library's single verification.
const (
	costTable    = 32  // one signature of a key with a table
	costNoTable  = 125 // of a key without
	costEquation = 120 // an equation without signatures
	costTerm     = 26  // each signature in it
)

// worthwhile reports whether an equation costs less than verifying one by one.
func (b *batch) worthwhile(list []live) bool {
	if least := b.verifier.batchMin; least > 0 {
		return len(list) >= least
	}
	single, equation := 0, costEquation+costTerm*len(list)
	if costTable*len(list) > equation {
		return true
	}
	for i := range list {
		if _, ok := b.verifier.tables.get(&b.items[list[i].item].Key.id); ok {
			single += costTable
		} else {
			single += costNoTable
		}
	}
	return single > equation
}

// holds reports whether Σ z·(s·G + t·P − R) = O for random z. Without randomness it does not hold, which decides nothing.
func (b *batch) holds(list []live) bool {
	b.random = grow(b.random, 16*len(list))
	if _, err := io.ReadFull(b.verifier.random, b.random); err != nil {
		return false
	}
	if b.slots == nil {
		b.slots = make(map[*Key]int)
	}
	clear(b.slots)
	b.keys, b.sums = b.keys[:0], b.sums[:0]
	b.equation.reset()
	var base wide
	for i := range list {
		l := &list[i]
		z := [2]uint64{binary.LittleEndian.Uint64(b.random[16*i:]), binary.LittleEndian.Uint64(b.random[16*i+8:])}
		key := b.items[l.item].Key
		slot, ok := b.slots[key]
		if !ok {
			slot = len(b.keys)
			b.slots[key] = slot
			b.keys, b.sums = append(b.keys, key), append(b.sums, wide{})
		}
		base.addProduct(z, &l.s)
		b.sums[slot].addProduct(z, &l.t)
		b.equation.add(&l.negative, z)
	}
	b.addTerm(&generator, raisedGenerator(), &base)
	for i, key := range b.keys {
		b.addTerm(&key.point, key.raised(), &b.sums[i])
	}
	return b.equation.holds()
}

// addTerm adds k·P to the equation, in two parts; high is 2^128·P.
func (b *batch) addTerm(p, high *affine, k *wide) {
	v := k.mod()
	b.equation.add(p, [2]uint64{v[0], v[1]})
	b.equation.add(high, [2]uint64{v[2], v[3]})
}

// raisedGenerator returns 2^128·G.
var raisedGenerator = sync.OnceValue(func() *affine { return raise(&generator) })
