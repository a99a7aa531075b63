package suite

import (
	"crypto/rand"
	"encoding/binary"
	"runtime"
	"sync/atomic"

	"aval/internal/invariant"
	"aval/suite/internal/sm2verify"
)

// smEquationMin is how many signatures one equation should have before another goroutine is given its own: equations get
// cheaper per signature as they grow.
const smEquationMin = 512

// smDigests is how many digests of signed messages are made at once at most.
const smDigests = 64

// smRecheckEvery is how many answers of the fast verifier one is computed again with the library for.
const smRecheckEvery = 1024

// smVerifier verifies SM2 signatures: with suite/internal/sm2verify, or with the library. Both accept the same signatures.
type smVerifier struct {
	fast *sm2verify.Verifier
	// library says that the library verifies. It may change at any time.
	library atomic.Bool
	// answers is how many answers the fast verifier gave.
	answers atomic.Uint64
}

func newSMVerifier() *smVerifier {
	return &smVerifier{fast: sm2verify.New(sm2verify.Config{Label: sm2ZA})}
}

// SetFastSM2 turns fast verification of SM2 signatures on or off for the whole program; it is on unless this is called. Off,
// every signature is verified by the library that signs, several times slower. What is accepted is the same: this is for
// operators who distrust the fast code, and may be called at any time.
func SetFastSM2(on bool) {
	for _, s := range registry {
		if sm, ok := s.(*sm); ok {
			sm.verifier.library.Store(!on)
		}
	}
}

// item fills in what the fast verifier needs but the digest, and reports false if the signature cannot be valid.
func (s *sm) item(signed *Signed, out *sm2verify.Item) bool {
	if len(signed.Key) != sm2PublicKeySize || len(signed.Sig) != sm2SignatureSize || signed.Sig[2*sm2ScalarSize] > sm2FlagOdd|sm2FlagOverflow {
		return false
	}
	key, ok := s.verifier.fast.Key((*[sm2PublicKeySize]byte)(signed.Key))
	if !ok {
		return false
	}
	out.Key, out.Signature = key, [sm2SignatureSize]byte(signed.Sig)
	return true
}

// one verifies one signature with the fast verifier.
func (s *sm) one(signed *Signed) bool {
	var it sm2verify.Item
	if !s.item(signed, &it) {
		return false
	}
	s.signed(signed.Domain, signed.Message, func(m []byte) { it.Digest = sm2Digest(it.Key.Label(), m) })
	return s.verifier.fast.One(&it)
}

// digests fills in the digests of list, list[j] being that of items[at[j]], many at once.
func (s *sm) digests(items []Signed, at []int, list []sm2verify.Item) {
	var messages [smDigests][]byte
	var out [smDigests]Hash
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	for len(at) > 0 {
		// As many as there is room for. A longer message, alone, has a place of its own.
		b, n := (*buf)[:0], 0
		for n < min(smDigests, len(at)) {
			signed := &items[at[n]]
			size := HashSize + s.tagSize(signed.Domain) + len(signed.Message)
			if n > 0 && len(b)+size > cap(b) {
				break
			}
			start := len(b)
			b = append(b, list[n].Key.Label()[:]...)
			b = append(s.appendTag(b, signed.Domain), signed.Message...)
			messages[n] = b[start:]
			n++
		}
		SumMany(s, nil, messages[:n], out[:n])
		for j := range n {
			list[j].Digest = out[j]
		}
		at, list = at[n:], list[n:]
	}
}

// verifyFast verifies one signature.
func (s *sm) verifyFast(signed *Signed) bool {
	ok := s.one(signed)
	if s.verifier.answers.Add(1)%smRecheckEvery == 0 {
		s.recheck(signed, ok)
	}
	return ok
}

// verifyBatchFast verifies a batch, in as many equations as there are processors, if that leaves each large enough.
func (s *sm) verifyBatchFast(items []Signed, out []bool) {
	equations := max(1, min(runtime.GOMAXPROCS(0), len(items)/smEquationMin))
	inParallel(len(items), (len(items)+equations-1)/equations, func(low, high int) {
		list, at := make([]sm2verify.Item, high-low), make([]int, 0, high-low)
		for i := low; i < high; i++ {
			if s.item(&items[i], &list[len(at)]) {
				at = append(at, i)
			}
		}
		s.digests(items, at, list)
		answers := make([]bool, len(at))
		s.verifier.fast.Batch(list[:len(at)], answers)
		for i, ok := range answers {
			out[at[i]] = ok
		}
	})
	n := uint64(len(items))
	after := s.verifier.answers.Add(n)
	for range after/smRecheckEvery - (after-n)/smRecheckEvery {
		var b [8]byte
		rand.Read(b[:]) // never fails
		i := binary.LittleEndian.Uint64(b[:]) % n
		s.recheck(&items[i], out[i])
	}
}

// verifyLibrary verifies one signature with the library. Under a key that the library cannot read, the fast verifier decides.
func (s *sm) verifyLibrary(signed *Signed) bool {
	if len(signed.Sig) != sm2SignatureSize || signed.Sig[2*sm2ScalarSize] > sm2FlagOdd|sm2FlagOverflow {
		return false
	}
	key, err := s.key(signed.Key)
	if err != nil {
		return false
	}
	if key.foreign {
		return s.one(signed)
	}
	var e Hash
	s.signed(signed.Domain, signed.Message, func(m []byte) { e = key.digest(m) })
	return key.verify(e, signed.Sig)
}

// recheck stops the node if the library does not give the same answer: to go on with a verifier that is wrong would be worse.
func (s *sm) recheck(signed *Signed, fast bool) {
	library := s.verifyLibrary(signed)
	invariant.Check(library == fast, "SM2: the fast verifier says %v, the library %v: key %x, domain %q, message %x, signature %x",
		fast, library, []byte(signed.Key), signed.Domain, signed.Message, []byte(signed.Sig))
}
