package ledger

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/merkle"
	"aval/suite"
)

// FalseAttestation proves that validators lied: each signed that it had verified every signature in a batch that holds a
// transaction with an invalid one. Whoever has the genesis, or the validator set of the epoch, can check it. It has no field
// that is not signed for or fixed by the form.
type FalseAttestation struct {
	Version uint8      `cbor:"1,keyasint" json:"version"`
	Network suite.Hash `cbor:"2,keyasint" json:"network"`
	Head    BatchHead  `cbor:"3,keyasint" json:"head"`
	// Acks are those that say "verified", sorted by validator.
	Acks []BatchAck `cbor:"4,keyasint" json:"acks"`
	// Tx is the encoded SignedTx, Path its place under Head.TxRoot.
	Tx   []byte       `cbor:"5,keyasint" json:"tx"`
	Path merkle.Proof `cbor:"6,keyasint" json:"path"`
}

// FalseAttestationBytesMax bounds an encoded FalseAttestation.
const FalseAttestationBytesMax = TxBytesMax + BatchCertificateBytesMax + 4<<10

// NewFalseAttestation returns the proof against those who say in c that they verified the batch, whose transaction at index is
// tx and whose transactions have the hashes signed. It does not check it.
func NewFalseAttestation(s suite.Suite, network suite.Hash, c *BatchCertificate, tx []byte, signed []suite.Hash, index int) (*FalseAttestation, error) {
	leaves := make([][]byte, len(signed))
	for i := range signed {
		leaves[i] = signed[i][:]
	}
	path, err := merkle.Prove(s, leaves, index)
	if err != nil {
		return nil, err
	}
	f := &FalseAttestation{Version: ProofVersion, Network: network, Head: c.Head, Tx: tx, Path: *path}
	for _, a := range c.Acks {
		if a.Verified {
			f.Acks = append(f.Acks, a)
		}
	}
	return f, nil
}

// DecodeFalseAttestation strictly decodes a proof of at most FalseAttestationBytesMax bytes. It does not verify it.
func DecodeFalseAttestation(b []byte) (*FalseAttestation, error) {
	if len(b) > FalseAttestationBytesMax {
		return nil, fmt.Errorf("the proof has %d bytes, the most is %d", len(b), FalseAttestationBytesMax)
	}
	var f FalseAttestation
	if err := codec.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	if f.Version != ProofVersion {
		return nil, fmt.Errorf("proof version %d is not %d", f.Version, ProofVersion)
	}
	if len(f.Acks) == 0 || len(f.Acks) > ValidatorsMax {
		return nil, fmt.Errorf("the proof accuses %d validators", len(f.Acks))
	}
	return &f, nil
}

// Accusation is what a FalseAttestation proves.
type Accusation struct {
	Batch suite.Hash `json:"batch"`
	// Tx is the id of the transaction, Key the one whose signature is not valid.
	Tx  suite.Hash      `json:"tx"`
	Key suite.PublicKey `json:"key"`
	// Validators are the names of those who said that they had verified it.
	Validators []string `json:"validators"`
}

// Verify checks f against the network and the validator set of its epoch and returns what it proves.
func (f *FalseAttestation) Verify(s suite.Suite, network suite.Hash, set ValidatorSet) (*Accusation, error) {
	if f.Network != network {
		return nil, fmt.Errorf("the proof is about network %s, this is %s", f.Network, network)
	}
	digest := f.Head.Digest(s)
	a := &Accusation{Batch: digest}
	last := -1
	for i := range f.Acks {
		ack := &f.Acks[i]
		if int(ack.Validator) <= last || !ack.Verified {
			return nil, errors.New("acknowledgements are not sorted, or do not say that the batch was verified")
		}
		last = int(ack.Validator)
		if err := ack.Verify(s, network, set, f.Head.Epoch, digest); err != nil {
			return nil, err
		}
		a.Validators = append(a.Validators, set[ack.Validator].Name)
	}
	signed := s.Hash(DomainSignedTx, f.Tx)
	if err := merkle.Verify(s, f.Head.TxRoot, signed[:], &f.Path); err != nil {
		return nil, fmt.Errorf("the transaction is not in the batch: %w", err)
	}
	tx, err := DecodeSignedTx(f.Tx)
	if err != nil {
		return nil, fmt.Errorf("the transaction does not decode: %w", err)
	}
	a.Tx = tx.Tx.ID(s)
	for _, sig := range tx.Sigs {
		if !s.Verify(sig.Key, DomainTxSignature, a.Tx[:], sig.Sig) {
			a.Key = sig.Key
			return a, nil
		}
	}
	return nil, errors.New("every signature of the transaction is valid: nobody lied")
}
