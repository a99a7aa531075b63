package intake

import (
	"context"
	"errors"
	"fmt"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Push asks a validator to hold a batch and to acknowledge it.
type Push struct {
	// Body is the encoded ledger.Batch.
	Body []byte `cbor:"1,keyasint"`
	// Verify asks for every signature in it to be verified before it is acknowledged.
	Verify bool `cbor:"2,keyasint"`
}

// PushBytesMax bounds an encoded Push.
const PushBytesMax = ledger.BatchBytesMax + 16

// DecodePush strictly decodes a push and checks its bounds.
func DecodePush(b []byte) (*Push, error) {
	if len(b) > PushBytesMax {
		return nil, fmt.Errorf("intake: the push has %d bytes, the most is %d", len(b), PushBytesMax)
	}
	var p Push
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// Attestor acknowledges batches on a validator. Its methods are safe for concurrent use.
type Attestor struct {
	chain  Chain
	signer suite.Signer
}

// NewAttestor returns the attestor of the validator with this key.
func NewAttestor(chain Chain, signer suite.Signer) *Attestor {
	return &Attestor{chain: chain, signer: signer}
}

// Serve answers an encoded Push of the authenticated node from with an encoded ledger.BatchAck. Whatever is wrong with the
// batch is an error, and nothing is signed.
func (a *Attestor) Serve(_ context.Context, from suite.PublicKey, push []byte) ([]byte, error) {
	p, err := DecodePush(push)
	if err != nil {
		return nil, err
	}
	digest, head, err := a.chain.Hold(p.Body, from)
	if err != nil {
		return nil, err
	}
	if p.Verify {
		if err := a.chain.VerifyHeld(digest); err != nil {
			return nil, err
		}
	}
	ack, err := a.ack(digest, head.Epoch, p.Verify)
	if err != nil {
		return nil, err
	}
	return codec.MustMarshal(ack), nil
}

// ack signs that this validator holds a batch, and verified it if so. The caller has made sure of both.
func (a *Attestor) ack(digest suite.Hash, epoch uint64, verified bool) (*ledger.BatchAck, error) {
	now, set := a.chain.Epoch()
	i, ok := place(set, a.signer.Public())
	if !ok || epoch != now {
		return nil, errors.New("intake: this node is not a validator of the batch's epoch")
	}
	sig, err := a.signer.Sign(ledger.DomainBatchAck, ledger.AckBytes(a.chain.Network(), epoch, digest, verified))
	if err != nil {
		return nil, fmt.Errorf("intake: sign an acknowledgement: %w", err)
	}
	return &ledger.BatchAck{Validator: i, Verified: verified, Sig: sig}, nil
}

// place finds a key in a validator set.
func place(set ledger.ValidatorSet, key suite.PublicKey) (uint16, bool) {
	for i := range set {
		if string(set[i].Key) == string(key) {
			return uint16(i), true
		}
	}
	return 0, false
}
