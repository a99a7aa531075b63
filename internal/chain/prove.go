package chain

import (
	"errors"
	"fmt"

	"aval/ledger"
)

// ErrNotProven reports a receipt whose height no certified header covers yet.
var ErrNotProven = errors.New("chain: not proven yet, ask again in a moment")

// ProveReceipt returns the portable proof of one receipt.
func (c *Chain) ProveReceipt(p Position) (*ledger.Proof, error) {
	receipt, leaves, err := c.receiptAmong(p)
	if err != nil {
		return nil, err
	}
	b, err := c.Block(p.Height + ledger.Lag)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("height %d: %w", p.Height, ErrNotProven)
	}
	if err != nil {
		return nil, err
	}
	return ledger.NewReceiptProof(c.suite, nil, b.Header, b.Certificate, receipt, leaves)
}

// ProveState returns the portable proof of what stands under key, or that nothing does, at the newest proven height.
func (c *Chain) ProveState(key []byte) (*ledger.Proof, error) {
	c.stateMu.RLock()
	defer c.stateMu.RUnlock()
	progress, _ := c.Progress()
	if progress.Committed < ledger.Lag || progress.Proven > ledger.Height(c.state.Height()) {
		return nil, fmt.Errorf("state: %w", ErrNotProven)
	}
	path, err := c.state.Prove(uint64(progress.Proven), key)
	if err != nil {
		return nil, err
	}
	b, err := c.Block(progress.Proven + ledger.Lag)
	if err != nil {
		return nil, err
	}
	return ledger.NewStateProof(nil, b.Header, b.Certificate, key, path)
}
