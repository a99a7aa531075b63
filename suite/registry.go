package suite

import "fmt"

// registry lists every suite, in the order of their ids. It is explicit: nothing registers itself.
var registry = []Suite{newSM(), newIntl()}

// All returns every suite of this version, in the order of their ids.
func All() []Suite { return append([]Suite(nil), registry...) }

// ByID returns the suite with this id, or an error that wraps ErrUnknown.
func ByID(id ID) (Suite, error) {
	for _, s := range registry {
		if s.ID() == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: id %d", ErrUnknown, id)
}

// ByName returns the suite with this name ("sm" or "intl"), or an error that wraps ErrUnknown.
func ByName(name string) (Suite, error) {
	for _, s := range registry {
		if s.Name() == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
}

// Deterministic returns a signer with the same key whose signatures depend on nothing but key, domain and
// message: RFC 6979 with HMAC-SM3 in sm; Ed25519 is so by nature. It is for simulations and test vectors,
// which must repeat; elsewhere the hedged signatures of sm, which also take fresh randomness, resist faults.
func Deterministic(s Signer) Signer {
	if sm, ok := s.(*smSigner); ok {
		c := *sm
		c.nonce = nil
		return &c
	}
	return s
}
