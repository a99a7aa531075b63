package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

// Proven is a proof that this client has verified.
type Proven struct {
	// File is the proof file, for `aval verify` and anybody else.
	File []byte
	// Verdict is what it shows.
	Verdict *ledger.Verdict
}

// TransactionProof fetches and verifies the proof of what became of id. It waits while the receipt is not yet certified.
func (c *Client) TransactionProof(ctx context.Context, id suite.Hash) (*Proven, error) {
	p, err := c.prove(ctx, api.Path(api.PathTransactionProof, id.String()), func(*ledger.Verdict) error { return nil })
	if err != nil {
		return nil, err
	}
	switch r := p.Verdict.Receipt; {
	case r == nil || r.Boundary || r.Tx != id:
		return nil, fmt.Errorf("the node proved something else than transaction %s", id)
	case !r.Final: // another attempt may have succeeded
		return nil, fmt.Errorf("the node proved an attempt at transaction %s that settles nothing", id)
	}
	return p, nil
}

// errBehind reports a node that proves a state older than one that was proven before: it is behind, or keeps back what came since.
var errBehind = errors.New("the node is behind what has been proven before")

// StateProof fetches and verifies the proof of what stands under a raw state key, such as ledger.LotKey gives, in the newest
// certified state. A node cannot pass off a state older than the newest that this client has verified; how old the state is otherwise
// Verdict.Header.Wall says.
func (c *Client) StateProof(ctx context.Context, key []byte) (*Proven, error) {
	p, err := c.prove(ctx, api.Path(api.PathStateProof, hex.EncodeToString(key)), func(v *ledger.Verdict) error {
		if v.Pin.Epoch > v.Header.Epoch || v.Pin.Height > v.Header.Height {
			return fmt.Errorf("%w: its state is certified at height %d, height %d has been verified", errBehind, v.Header.Height, v.Pin.Height)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.Verdict.Kind != ledger.ProofState || string(p.Verdict.Key) != string(key) {
		return nil, fmt.Errorf("the node proved something else than state key %x", key)
	}
	return p, nil
}

// SubmitProven submits tx, waits until its receipt is proven, verifies the proof and compares it with the node's answer.
func (c *Client) SubmitProven(ctx context.Context, tx *ledger.SignedTx) (*api.Outcome, *Proven, error) {
	out, failed := c.Submit(ctx, tx, api.WaitProven)
	if out == nil {
		return nil, nil, failed
	}
	if !out.Receipt.Final {
		return out, nil, failed
	}
	p, err := c.TransactionProof(ctx, out.ID)
	if err != nil {
		return out, nil, err
	}
	if r := p.Verdict.Receipt; r.Signed != out.Signed || r.Code != out.Receipt.Code || r.Height != out.Receipt.Height {
		return out, p, fmt.Errorf("the node answered %s at height %d, but what is proven is %s at height %d",
			out.Receipt.Code, out.Receipt.Height, r.Code, r.Height)
	}
	return out, p, failed
}

// prove fetches a proof, verifies it and asks for it again, of another node too, while it cannot be made yet or judge says that the
// node is behind, until ctx ends.
func (c *Client) prove(ctx context.Context, path string, judge func(*ledger.Verdict) error) (*Proven, error) {
	if c.genesis == nil {
		return nil, ErrNoGenesis
	}
	pause := c.cfg.BackoffMin
	for {
		b, err := c.getBytes(ctx, path, ledger.ProofBytesMax)
		if err == nil {
			var v *ledger.Verdict
			if v, err = c.Verify(b, 0); err != nil {
				return nil, err
			}
			if err = judge(v); err == nil {
				return &Proven{File: b, Verdict: v}, nil
			}
			c.preferred.Store((c.preferred.Load() + 1) % uint32(len(c.endpoints)))
		}
		if !IsNotProven(err) && !errors.Is(err, errBehind) {
			return nil, err
		}
		if serr := c.sleep(ctx, pause); serr != nil {
			return nil, errors.Join(err, serr)
		}
		pause = min(2*pause, c.cfg.BackoffMax)
	}
}

// Verify checks a proof file against the genesis and the pinned epoch, and moves the pin forward. maxAge 0 accepts any age; a
// stale proof yields its verdict and an error that wraps ledger.ErrStaleProof.
func (c *Client) Verify(file []byte, maxAge ledger.Time) (*ledger.Verdict, error) {
	if c.genesis == nil {
		return nil, ErrNoGenesis
	}
	p, err := ledger.DecodeProof(file)
	if err != nil {
		return nil, err
	}
	c.pinning.Lock()
	defer c.pinning.Unlock()
	pin, err := c.cfg.Pins.Load(c.network)
	if err != nil {
		return nil, fmt.Errorf("pinned epoch: %w", err)
	}
	v, err := ledger.VerifyProof(c.suite, c.genesis, p, ledger.VerifyOptions{Lab: c.cfg.AcceptLab, MaxAge: maxAge,
		Now: ledger.Time(c.cfg.Now().UnixMilli()), Pin: pin})
	if v == nil {
		return nil, err
	}
	if pin == nil || v.Pin.Epoch != pin.Epoch || v.Pin.Height != pin.Height {
		if serr := c.cfg.Pins.Save(&v.Pin); serr != nil {
			return nil, fmt.Errorf("pin epoch %d: %w", v.Pin.Epoch, serr)
		}
	}
	return v, err
}
