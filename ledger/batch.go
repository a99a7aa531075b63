package ledger

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/merkle"
	"aval/suite"
)

// Batch is what intake collects, validators hold and consensus orders: transactions in a row.
type Batch struct {
	// Origin is the key of the node that made the batch.
	Origin suite.PublicKey `cbor:"1,keyasint"`
	Epoch  uint64          `cbor:"2,keyasint"`
	// Wall is the origin's clock when it closed the batch.
	Wall Time `cbor:"3,keyasint"`
	// Txs are encoded SignedTx, 1 to BatchTxsMax.
	Txs [][]byte `cbor:"4,keyasint"`
}

// DecodeBatch strictly decodes a batch of at most BatchBytesMax bytes.
func DecodeBatch(b []byte) (*Batch, error) {
	if len(b) > BatchBytesMax {
		return nil, fmt.Errorf("the batch has %d bytes, the most is %d", len(b), BatchBytesMax)
	}
	var batch Batch
	if err := codec.Unmarshal(b, &batch); err != nil {
		return nil, err
	}
	if len(batch.Txs) == 0 || len(batch.Txs) > BatchTxsMax {
		return nil, fmt.Errorf("a batch has 1 to %d transactions, not %d", BatchTxsMax, len(batch.Txs))
	}
	if len(batch.Origin) == 0 {
		return nil, errors.New("the batch names no origin")
	}
	return &batch, nil
}

// BatchHead says of a batch what ordering must know without having it. Whoever acknowledges a batch vouches that its head
// is true.
type BatchHead struct {
	Origin suite.PublicKey `cbor:"1,keyasint" json:"origin"`
	Epoch  uint64          `cbor:"2,keyasint" json:"epoch,string"`
	Wall   Time            `cbor:"3,keyasint" json:"wall"`
	// TxRoot is the Merkle root whose leaves are the hashes of the whole signed transactions (DomainSignedTx).
	TxRoot suite.Hash `cbor:"4,keyasint" json:"tx_root"`
	// Bytes is the length of the encoded batch.
	Bytes uint32 `cbor:"5,keyasint" json:"bytes"`
	// Guarded is true if an operation in it is of a guarded kind (Kind.Guarded).
	Guarded bool `cbor:"6,keyasint" json:"guarded"`
}

// Digest identifies the batch; it is the engine's request id and a leaf of the payload root.
func (h *BatchHead) Digest(s suite.Suite) suite.Hash {
	return s.Hash(DomainBatch, codec.MustMarshal(h))
}

// TxRoot returns the Merkle root of a batch whose transactions, signatures included, have these hashes.
func TxRoot(s suite.Suite, signed []suite.Hash) suite.Hash {
	leaves := make([][]byte, len(signed))
	for i := range signed {
		leaves[i] = signed[i][:]
	}
	return merkle.Root(s, leaves)
}

// Head returns the head of b, whose encoding has size bytes and whose transactions have these hashes. guarded says whether
// one of them is.
func (b *Batch) Head(s suite.Suite, signed []suite.Hash, size int, guarded bool) BatchHead {
	return BatchHead{Origin: b.Origin, Epoch: b.Epoch, Wall: b.Wall, TxRoot: TxRoot(s, signed), Bytes: uint32(size), Guarded: guarded}
}

// ReadBatch decodes a batch and its transactions and returns its head.
func ReadBatch(s suite.Suite, encoded []byte) (*BatchHead, []*SignedTx, error) {
	b, err := DecodeBatch(encoded)
	if err != nil {
		return nil, nil, err
	}
	txs, signed, guarded := make([]*SignedTx, len(b.Txs)), make([]suite.Hash, len(b.Txs)), false
	for i, raw := range b.Txs {
		if txs[i], err = DecodeSignedTx(raw); err != nil {
			return nil, nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		signed[i] = s.Hash(DomainSignedTx, raw)
		guarded = guarded || txs[i].Tx.Guarded()
	}
	head := b.Head(s, signed, len(encoded), guarded)
	return &head, txs, nil
}

// Guarded reports whether an operation of t is of a guarded kind.
func (t *Tx) Guarded() bool {
	for i := range t.Ops {
		if t.Ops[i].Kind.Guarded() {
			return true
		}
	}
	return false
}

// AckMessage is what a validator signs under DomainBatchAck when it acknowledges a batch, and nothing else.
type AckMessage struct {
	Network suite.Hash `cbor:"1,keyasint"`
	Epoch   uint64     `cbor:"2,keyasint"`
	Digest  suite.Hash `cbor:"3,keyasint"`
	// Verified is true if the validator checked every signature in the batch, and not only holds it on its disk.
	Verified bool `cbor:"4,keyasint"`
}

// BatchAck is one validator's statement that it holds a batch durably, that its head is true and, if Verified, that every
// signature in it is valid.
type BatchAck struct {
	Validator uint16          `cbor:"1,keyasint" json:"validator"`
	Verified  bool            `cbor:"2,keyasint" json:"verified"`
	Sig       suite.Signature `cbor:"3,keyasint" json:"sig"`
}

// AckBytes returns the message that an acknowledgement of the batch signs.
func AckBytes(network suite.Hash, epoch uint64, digest suite.Hash, verified bool) []byte {
	return codec.MustMarshal(&AckMessage{Network: network, Epoch: epoch, Digest: digest, Verified: verified})
}

// DecodeBatchAck strictly decodes an acknowledgement.
func DecodeBatchAck(b []byte) (*BatchAck, error) {
	var a BatchAck
	if len(b) > 256 {
		return nil, fmt.Errorf("the acknowledgement has %d bytes", len(b))
	}
	if err := codec.Unmarshal(b, &a); err != nil {
		return nil, err
	}
	return &a, nil
}

// Verify checks that a is by the validator of set that it names, for the batch with this digest.
func (a *BatchAck) Verify(s suite.Suite, network suite.Hash, set ValidatorSet, epoch uint64, digest suite.Hash) error {
	if int(a.Validator) >= len(set) {
		return fmt.Errorf("batch %s: validator %d does not exist", digest, a.Validator)
	}
	if !s.Verify(set[a.Validator].Key, DomainBatchAck, AckBytes(network, epoch, digest, a.Verified), a.Sig) {
		return fmt.Errorf("batch %s: the acknowledgement of validator %d (%s) is not valid", digest, a.Validator, set[a.Validator].Name)
	}
	return nil
}

// BatchCertificate proves that a batch can be had and was checked: a quorum holds it, and enough of those verified every
// signature in it. It is what an engine orders. Acknowledgements are sorted by validator.
type BatchCertificate struct {
	Head BatchHead  `cbor:"1,keyasint" json:"head"`
	Acks []BatchAck `cbor:"2,keyasint" json:"acks"`
}

// VerifiersNeeded returns how many of set must have verified a batch with this head: verifyQuorum of the genesis, or a quorum
// of set if that is more and the batch is guarded.
func (h *BatchHead) VerifiersNeeded(set ValidatorSet, verifyQuorum uint16) int {
	if h.Guarded {
		return max(set.Quorum(), int(verifyQuorum))
	}
	return int(verifyQuorum)
}

// Verify checks that c holds a quorum of valid acknowledgements of set, sorted, without repeats and without any invalid one,
// and enough of those that verified.
func (c *BatchCertificate) Verify(s suite.Suite, network suite.Hash, set ValidatorSet, verifyQuorum uint16) error {
	digest := c.Head.Digest(s)
	if len(c.Acks) < set.Quorum() || len(c.Acks) > len(set) {
		return fmt.Errorf("batch %s has %d acknowledgements, a quorum is %d of %d", digest, len(c.Acks), set.Quorum(), len(set))
	}
	verified, last := 0, -1
	for i := range c.Acks {
		a := &c.Acks[i]
		if int(a.Validator) <= last {
			return fmt.Errorf("batch %s: acknowledgements are not sorted", digest)
		}
		last = int(a.Validator)
		if a.Verified {
			verified++
		}
	}
	if need := c.Head.VerifiersNeeded(set, verifyQuorum); verified < need {
		return fmt.Errorf("batch %s was verified by %d validators, %d are needed", digest, verified, need)
	}
	for i := range c.Acks {
		if err := c.Acks[i].Verify(s, network, set, c.Head.Epoch, digest); err != nil {
			return err
		}
	}
	return nil
}

// DecodeBatchCertificate strictly decodes a certificate of at most BatchCertificateBytesMax bytes. It does not verify it.
func DecodeBatchCertificate(b []byte) (*BatchCertificate, error) {
	if len(b) > BatchCertificateBytesMax {
		return nil, fmt.Errorf("the batch certificate has %d bytes, the most is %d", len(b), BatchCertificateBytesMax)
	}
	var c BatchCertificate
	if err := codec.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	if len(c.Acks) > ValidatorsMax || len(c.Head.Origin) == 0 || c.Head.Bytes == 0 || c.Head.Bytes > BatchBytesMax {
		return nil, errors.New("the batch certificate names no origin, an impossible size or too many validators")
	}
	return &c, nil
}
