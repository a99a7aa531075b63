package sm2verify

import "sync/atomic"

// KeySize is the length in bytes of a compressed public key.
const KeySize = 33

// Key is a decoded public key. It is shared and never changed.
type Key struct {
	id    [KeySize]byte
	terms [2]affine // P and 2^128·P
	label [32]byte

	singles atomic.Int32 // how many signatures it verified one by one without a table
}

// Label returns what Config.Label computed for the key.
func (k *Key) Label() *[32]byte { return &k.label }

// Coordinates returns x and y, big-endian.
func (k *Key) Coordinates() (x, y [32]byte) {
	return writeLimbs(k.terms[0].x.limbs()), writeLimbs(k.terms[0].y.limbs())
}

// Key decodes a compressed public key, or finds it decoded. It reports false unless the bytes are 2 or 3, the parity of
// y, and the x, below p, of a point of the curve (GB/T 32918.1 section 4.2.9). O has no such encoding, and since the order
// of the curve is prime, every other point is a public key (section 6.2.1).
func (v *Verifier) Key(encoded *[KeySize]byte) (*Key, bool) {
	if k, ok := v.keys.get(encoded); ok {
		return k, true
	}
	k, ok := v.decode(encoded)
	if !ok {
		return nil, false
	}
	return v.keys.put(encoded, k), true
}

// decode decodes a key and prepares it.
func (v *Verifier) decode(encoded *[KeySize]byte) (*Key, bool) {
	if encoded[0] != 2 && encoded[0] != 3 {
		return nil, false
	}
	xBytes := [32]byte(encoded[1:])
	var x [1]fe
	if !x[0].setLimbs(readLimbs(&xBytes)) {
		return nil, false
	}
	var found [1]bool
	k := &Key{id: *encoded}
	lift(k.terms[:1], x[:], []bool{encoded[0] == 3}, found[:])
	if !found[0] {
		return nil, false
	}
	var high [1]jacobian
	high[0].set(&k.terms[0])
	for range coefficientBits {
		high[0].double()
	}
	normalize(k.terms[1:], high[:])
	if v.label != nil {
		x, y := k.Coordinates()
		k.label = v.label(&x, &y)
	}
	return k, true
}

// table returns the key's table. It makes one to keep if the key has been asked for often enough.
func (v *Verifier) table(k *Key) *table {
	if t, ok := v.tables.get(&k.id); ok {
		return t
	}
	if k.singles.Add(1) <= v.patience {
		return makeTable(&k.terms[0], onceWidth, nafDigits)
	}
	k.singles.Store(0)
	return v.tables.put(&k.id, makeTable(&k.terms[0], keyWidth, spacing))
}
