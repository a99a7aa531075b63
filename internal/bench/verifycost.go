package bench

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"aval/ledger"
	"aval/suite"
)

// verifyKeys is how many signatures by different keys one round verifies, verifyRounds how many rounds there are.
const (
	verifyKeys   = 256
	verifyRounds = 9
)

// verifyCost returns the processor time of one verification by the stock library of a suite, without caches, tables or
// batches: the median over rounds, on one thread. It is what bound_ratio is measured against.
func verifyCost(s suite.Suite) (time.Duration, error) {
	checks := make([]func() bool, verifyKeys)
	for i := range checks {
		signer, err := s.GenerateKey(nil)
		if err != nil {
			return 0, err
		}
		id := s.Hash(ledger.DomainTx, signer.Public())
		sig, err := signer.Sign(ledger.DomainTxSignature, id[:])
		if err != nil {
			return 0, err
		}
		if checks[i], err = stockCheck(s, signer, suite.SignedBytes(s, ledger.DomainTxSignature, id[:]), sig); err != nil {
			return 0, err
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	costs := make([]time.Duration, verifyRounds)
	for round := range costs {
		before, err := threadCPU()
		if err != nil {
			return 0, err
		}
		for i, check := range checks {
			if !check() {
				return 0, fmt.Errorf("the stock library refuses signature %d of %s", i, s.Name())
			}
		}
		after, err := threadCPU()
		if err != nil {
			return 0, err
		}
		costs[round] = (after - before) / verifyKeys
	}
	slices.Sort(costs)
	return costs[verifyRounds/2], nil
}

// stockCheck returns what verifies one signature with the library that the suite builds on.
func stockCheck(s suite.Suite, signer suite.Signer, message []byte, sig suite.Signature) (func() bool, error) {
	switch s.ID() {
	case suite.SM:
		private, err := sm2.NewPrivateKey(signer.Private())
		if err != nil {
			return nil, err
		}
		e, err := suite.SM2Digest(signer.Public(), message)
		if err != nil {
			return nil, err
		}
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])})
		return func() bool { return sm2.VerifyASN1(&private.PublicKey, e[:], der) }, err
	case suite.Intl:
		key := ed25519.PublicKey(signer.Public())
		return func() bool { return ed25519.Verify(key, message, sig) }, nil
	default:
		return nil, fmt.Errorf("suite %d is unknown", s.ID())
	}
}
