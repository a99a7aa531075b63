package chain

import (
	"fmt"
	"log/slog"

	"aval/ledger"
	"aval/suite"
)

// audit verifies every signature of an ordered batch again. What it finds does not change what the block does, which a quorum
// decided; it is evidence against those who attested the batch.
func (c *Chain) audit(b *openBatch, e *ledger.Entry) {
	if !c.cfg.Audit || b.verified.Load() {
		return
	}
	c.metrics.audited.Inc()
	var items []suite.Signed
	var owner []int // index of the transaction that has the signature
	for i := range b.txs {
		for range b.txs[i].Body.Sigs {
			owner = append(owner, i)
		}
		items = b.txs[i].Body.Signed(b.txs[i].ID, items)
	}
	for i, ok := range c.suite.VerifyBatch(items) {
		if ok {
			continue
		}
		c.metrics.lies.Inc()
		proof, err := c.accuse(b, e, owner[i])
		if err != nil {
			c.log.Error("a false attestation was found and cannot be proven", slog.Any("batch", b.digest), slog.Any("error", err))
			return
		}
		c.cfg.OnFalseAttestation(b.digest, proof)
		return
	}
}

// accuse makes the proof against those who attested a batch whose transaction at index has an invalid signature.
func (c *Chain) accuse(b *openBatch, e *ledger.Entry, index int) (*ledger.FalseAttestation, error) {
	cert, err := ledger.DecodeBatchCertificate(e.Certificate)
	if err != nil {
		return nil, err
	}
	body, err := c.BatchBytes(b.digest)
	if err != nil {
		return nil, err
	}
	batch, err := ledger.DecodeBatch(body)
	if err != nil {
		return nil, err
	}
	signed := make([]suite.Hash, len(b.txs))
	for i := range b.txs {
		signed[i] = b.txs[i].Signed
	}
	proof, err := ledger.NewFalseAttestation(c.suite, c.network, cert, batch.Txs[index], signed, index)
	if err != nil {
		return nil, err
	}
	if _, err := proof.Verify(c.suite, c.network, c.validators); err != nil {
		return nil, fmt.Errorf("chain: the proof does not hold: %w", err)
	}
	return proof, nil
}
