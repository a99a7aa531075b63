package ledger

import (
	"fmt"

	"aval/codec"
	"aval/suite"
)

// TxVersion is the version of transactions of this protocol.
const TxVersion = 1

// Tx is an ordered list of operations that happen all or not at all.
type Tx struct {
	Version uint8      `cbor:"1,keyasint" json:"version"`
	Network suite.Hash `cbor:"2,keyasint" json:"network"`
	// ValidUntil is wall time; at inclusion it lies at most TxWindowMax ahead and not in the past.
	ValidUntil Time `cbor:"3,keyasint" json:"valid_until"`
	// Salt tells transactions apart that are otherwise alike.
	Salt [16]byte `cbor:"4,keyasint" json:"-"`
	// Ops holds 1 to TxOpsMax operations.
	Ops []Op `cbor:"5,keyasint" json:"ops"`
}

// Op is one operation, done in the name of Party. Body is the encoding of the type that Kind names.
type Op struct {
	Kind  Kind             `cbor:"1,keyasint" json:"kind"`
	Party PartyID          `cbor:"2,keyasint" json:"party"`
	Body  codec.RawMessage `cbor:"3,keyasint" json:"-"`
}

// SignedTx is a transaction with the signatures of any number of parties, as it travels and is stored. Sigs are
// sorted by key, without repeats, so that nobody can make copies that differ in their order.
type SignedTx struct {
	Tx   Tx            `cbor:"1,keyasint" json:"tx"`
	Sigs []TxSignature `cbor:"2,keyasint" json:"sigs"`
}

// TxSignature is one signature over the transaction id under DomainTxSignature. It carries its public key, so that
// it can be verified without state.
type TxSignature struct {
	Key suite.PublicKey `cbor:"1,keyasint" json:"key"`
	Sig suite.Signature `cbor:"2,keyasint" json:"sig"`
}

// ID returns the transaction's id, which excludes signatures.
func (t *Tx) ID(s suite.Suite) suite.Hash { return s.Hash(DomainTx, codec.MustMarshal(t)) }

// Sign adds signer's signature in its place, replacing an earlier one by the same key.
func (t *SignedTx) Sign(s suite.Suite, signer suite.Signer) error {
	id := t.Tx.ID(s)
	sig, err := signer.Sign(DomainTxSignature, id[:])
	if err != nil {
		return fmt.Errorf("sign transaction %s: %w", id, err)
	}
	t.AddSignature(TxSignature{Key: signer.Public(), Sig: sig})
	return nil
}

// AddSignature puts sig in its sorted place, replacing an earlier one by the same key. It verifies nothing.
func (t *SignedTx) AddSignature(sig TxSignature) {
	i := 0
	for i < len(t.Sigs) && string(t.Sigs[i].Key) < string(sig.Key) {
		i++
	}
	if i < len(t.Sigs) && string(t.Sigs[i].Key) == string(sig.Key) {
		t.Sigs[i] = sig
		return
	}
	t.Sigs = append(t.Sigs, TxSignature{})
	copy(t.Sigs[i+1:], t.Sigs[i:])
	t.Sigs[i] = sig
}

// CheckForm verifies everything about t that needs no state and no cryptography: version, network, counts,
// strictly decoded operation bodies, sorted signatures. Its errors are *Failure.
func (t *SignedTx) CheckForm(network suite.Hash) error {
	switch {
	case t.Tx.Version != TxVersion:
		return Failf(CodeEncoding, "transaction version %d is not %d", t.Tx.Version, TxVersion)
	case t.Tx.Network != network:
		return Failf(CodeNetwork, "the transaction is for network %s, this is %s", t.Tx.Network, network)
	case len(t.Tx.Ops) == 0 || len(t.Tx.Ops) > TxOpsMax:
		return Failf(CodeEncoding, "a transaction has 1 to %d operations, not %d", TxOpsMax, len(t.Tx.Ops))
	case len(t.Sigs) == 0 || len(t.Sigs) > TxSignaturesMax:
		return Failf(CodeSignature, "a transaction has 1 to %d signatures, not %d", TxSignaturesMax, len(t.Sigs))
	}
	for i := range t.Tx.Ops {
		if _, err := t.Tx.Ops[i].Decode(); err != nil {
			return Failf(CodeEncoding, "operation %d: %v", i, err)
		}
	}
	for i := 1; i < len(t.Sigs); i++ {
		if string(t.Sigs[i-1].Key) >= string(t.Sigs[i].Key) {
			return Failf(CodeEncoding, "signatures are not sorted by key, or a key signs twice")
		}
	}
	return nil
}

// Signed appends the signature checks that t needs, given its id.
func (t *SignedTx) Signed(id suite.Hash, items []suite.Signed) []suite.Signed {
	for _, sig := range t.Sigs {
		items = append(items, suite.Signed{Key: sig.Key, Domain: DomainTxSignature, Message: id[:], Sig: sig.Sig})
	}
	return items
}

// VerifySignatures checks every signature; an invalid one is a *Failure with CodeSignature.
func (t *SignedTx) VerifySignatures(s suite.Suite) error {
	id := t.Tx.ID(s)
	for _, sig := range t.Sigs {
		if !s.Verify(sig.Key, DomainTxSignature, id[:], sig.Sig) {
			return InvalidSignature(sig.Key, id)
		}
	}
	return nil
}

// InvalidSignature returns the refusal of a transaction with an invalid signature.
func InvalidSignature(key suite.PublicKey, id suite.Hash) *Failure {
	return Failf(CodeSignature, "the signature by key %s is not valid for transaction %s", key, id)
}

// DecodeSignedTx strictly decodes at most TxBytesMax bytes. Its errors are *Failure.
func DecodeSignedTx(b []byte) (*SignedTx, error) {
	if len(b) > TxBytesMax {
		return nil, Failf(CodeTooLarge, "the transaction has %d bytes, the most is %d", len(b), TxBytesMax)
	}
	var t SignedTx
	if err := codec.Unmarshal(b, &t); err != nil {
		return nil, Failf(CodeEncoding, "%v", err)
	}
	return &t, nil
}

// NewOp returns an operation with its body encoded; body is a pointer to the type that its kind names.
func NewOp(party PartyID, body Body) Op {
	return Op{Kind: body.Kind(), Party: party, Body: codec.MustMarshal(body)}
}

// Decode returns the operation's body as a pointer to the type its kind names. A body with text that holds controls or invisible
// characters is an error.
func (o *Op) Decode() (Body, error) {
	info, ok := kinds[o.Kind]
	if !ok {
		return nil, fmt.Errorf("operation kind %d is unknown", o.Kind)
	}
	body := info.New()
	if err := codec.Unmarshal(o.Body, body); err != nil {
		return nil, fmt.Errorf("%s: %w", info.Name, err)
	}
	if err := codec.CheckTexts(o.Body, checkText); err != nil {
		return nil, fmt.Errorf("%s: %w", info.Name, err)
	}
	return body, nil
}

// DerivedID returns the id of the n-th thing (voucher, offer part, request, hold, proposal) that operation op of
// transaction tx makes.
func DerivedID(s suite.Suite, tx suite.Hash, op, n int) suite.Hash {
	return s.Hash(DomainDerivedID, tx[:], []byte{byte(op >> 8), byte(op), byte(n >> 8), byte(n)})
}
