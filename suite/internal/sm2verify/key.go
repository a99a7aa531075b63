package sm2verify

import "sync/atomic"

// KeySize is the length in bytes of a compressed public key.
const KeySize = 33

// Key is a decoded public key. It is shared; what it stands for never changes.
type Key struct {
	id      [KeySize]byte
	point   affine
	label   [32]byte
	high    atomic.Pointer[affine] // 2^128·P, when it was needed
	singles atomic.Int32           // how many signatures it verified one by one without a table
}

// Label returns what Config.Label computed for the key.
func (k *Key) Label() *[32]byte { return &k.label }

// Coordinates returns x and y, big-endian.
func (k *Key) Coordinates() (x, y [32]byte) {
	return writeLimbs(k.point.x.limbs()), writeLimbs(k.point.y.limbs())
}

// Decode decodes a compressed public key into x and y, big-endian. It reports false unless the bytes are 2 or 3, the parity of
// y, and the x, below p, of a point of the curve (GB/T 32918.1 section 4.2.9). O has no such encoding, and since the order of
// the curve is prime, every other point is a public key (section 6.2.1).
func Decode(encoded *[KeySize]byte) (x, y [32]byte, ok bool) {
	k, ok := decode(encoded)
	if !ok {
		return x, y, false
	}
	x, y = k.Coordinates()
	return x, y, true
}

// Key does what Decode does, or finds the key decoded.
func (v *Verifier) Key(encoded *[KeySize]byte) (*Key, bool) {
	if k, ok := v.keys.get(encoded); ok {
		return k, true
	}
	k, ok := decode(encoded)
	if !ok {
		return nil, false
	}
	if v.label != nil {
		x, y := k.Coordinates()
		k.label = v.label(&x, &y)
	}
	return v.keys.put(encoded, k), true
}

func decode(encoded *[KeySize]byte) (*Key, bool) {
	if encoded[0] != 2 && encoded[0] != 3 {
		return nil, false
	}
	b := [32]byte(encoded[1:])
	var x [1]fe
	if !x[0].setLimbs(readLimbs(&b)) {
		return nil, false
	}
	var point [1]affine
	var found [1]bool
	lift(point[:], x[:], []bool{encoded[0] == 3}, found[:])
	return &Key{id: *encoded, point: point[0]}, found[0]
}

// raise returns 2^128·P.
func raise(p *affine) *affine {
	var acc [1]jacobian
	acc[0].set(p)
	for range coefficientBits {
		acc[0].double()
	}
	var out [1]affine
	normalize(out[:], acc[:])
	return &out[0]
}

// raised returns 2^128·P, computed once, or by whoever comes at the same time.
func (k *Key) raised() *affine {
	if p := k.high.Load(); p != nil {
		return p
	}
	p := raise(&k.point)
	k.high.Store(p)
	return p
}

// table returns the key's table. It makes one to keep if the key has been asked for often enough.
func (v *Verifier) table(k *Key) *table {
	if t, ok := v.tables.get(&k.id); ok {
		return t
	}
	if k.singles.Add(1) <= v.patience {
		return makeTable(&k.point, onceWidth, nafDigits)
	}
	k.singles.Store(0)
	return v.tables.put(&k.id, makeTable(&k.point, keyWidth, spacing))
}
