package bench

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"sync"

	"github.com/emmansun/gmsm/sm2/sm2ec"
	"github.com/emmansun/gmsm/sm3"

	"aval/suite"
)

// quick returns a signer with the same key that is to sign very much ahead of a load. What it signs with SM2 is verified like any
// other signature and costs as much to verify, but is made at a third of the cost: the flag comes from the nonce's point, which
// is at hand, where a node's signer works it out by verifying what it has signed. It does not run in constant time, and the
// keys of a measurement are worth nothing. Signers of other suites are returned as they are.
func quick(s suite.Suite, signer suite.Signer) (suite.Signer, error) {
	if s.ID() != suite.SM {
		return signer, nil
	}
	d := new(big.Int).SetBytes(signer.Private())
	inverse := new(big.Int).Add(d, big.NewInt(1))
	if inverse.ModInverse(inverse, sm2Order) == nil {
		return nil, fmt.Errorf("the key %s cannot sign", signer.Public())
	}
	return &quickSM2{Signer: signer, suite: s, public: signer.Public(), d: d, inverse: inverse}, nil
}

var (
	sm2Curve = sm2ec.P256()
	sm2Order = sm2Curve.Params().N
)

// quickSM2 signs with SM2 (GB/T 32918.2 section 6.1).
type quickSM2 struct {
	suite.Signer
	suite  suite.Suite
	public suite.PublicKey
	// d is the private key, inverse that of 1 + d mod n.
	d, inverse *big.Int

	once sync.Once
	za   suite.Hash
	err  error
}

// The bytes of a signature: r, s and the flag; and how many are drawn for a nonce, so many more than it has that every nonce is
// as likely as any other.
const (
	sm2Scalar     = 32
	sm2NonceBytes = sm2Scalar + 16
)

// Public implements suite.Signer. The caller must not change it.
func (q *quickSM2) Public() suite.PublicKey { return q.public }

// Sign implements suite.Signer.
func (q *quickSM2) Sign(domain suite.Domain, message []byte) (suite.Signature, error) {
	if q.once.Do(func() { q.za, q.err = suite.SM2ZA(q.public) }); q.err != nil {
		return nil, q.err
	}
	e := sm3.Sum(append(q.za[:], suite.SignedBytes(q.suite, domain, message)...))
	for {
		var b [sm2NonceBytes]byte
		rand.Read(b[:]) // never fails
		k := new(big.Int).SetBytes(b[:])
		k.Mod(k, sm2Order)
		if sig := q.with(k, new(big.Int).SetBytes(e[:])); sig != nil {
			return sig, nil
		}
	}
}

// with signs digest e with nonce k, or returns nil if that gives no signature.
func (q *quickSM2) with(k, e *big.Int) suite.Signature {
	x, y := sm2Curve.ScalarBaseMult(k.Bytes())
	r := e.Add(e, x)
	r.Mod(r, sm2Order)
	s := new(big.Int).Mul(r, q.d)
	s.Sub(k, s).Mul(s, q.inverse).Mod(s, sm2Order)
	if r.Sign() == 0 || s.Sign() == 0 || k.Sign() == 0 || new(big.Int).Add(r, k).Cmp(sm2Order) == 0 {
		return nil
	}
	sig := make(suite.Signature, 2*sm2Scalar+1)
	r.FillBytes(sig[:sm2Scalar])
	s.FillBytes(sig[sm2Scalar : 2*sm2Scalar])
	sig[2*sm2Scalar] = byte(y.Bit(0))
	if x.Cmp(sm2Order) >= 0 {
		sig[2*sm2Scalar] |= 2
	}
	return sig
}
