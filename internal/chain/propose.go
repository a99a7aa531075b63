package chain

import (
	"context"
	"errors"
	"fmt"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// ErrInvalid reports a proposal that must not be voted for.
var ErrInvalid = errors.New("chain: invalid proposal")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Assemble implements consensus.Ledger.
func (c *Chain) Assemble(ctx context.Context, metadata []byte, sequence uint64, requests [][]byte) (*ledger.Block, error) {
	head, _ := c.headAndHash()
	height := head.Header.Height + 1
	if err := c.waitLag(ctx, height); err != nil {
		return nil, err
	}
	wall := max(c.Now(), head.Header.Wall)
	payload := codec.MustMarshal(c.selectRequests(wall, requests))
	b := &ledger.Block{Payload: payload, Metadata: metadata, Sequence: sequence}
	p, err := ledger.DecodePayload(payload)
	if err != nil {
		return nil, err
	}
	b.Header = c.headerFor(head, b, p, wall)
	return b, nil
}

// selectRequests returns the payload of those requests that may be proposed at wall, within the limits of a block.
func (c *Chain) selectRequests(wall ledger.Time, requests [][]byte) *ledger.Payload {
	var p ledger.Payload
	seen := map[ledger.RequestID]bool{}
	bytes := 1024
	for _, raw := range requests {
		id, err := c.RequestID(raw)
		if err != nil || seen[id] || c.Ordered(id) {
			continue
		}
		r, err := ledger.DecodeOrderingRequest(raw)
		if err != nil {
			continue
		}
		seen[id] = true
		if r.Kind == ledger.RequestTick {
			if t, err := ledger.DecodeTick(r.Body); err == nil && len(p.Ticks) < ledger.BlockTicksMax {
				p.Ticks = append(p.Ticks, *t)
			}
			continue
		}
		b, err := c.checkBatch(r.Body)
		if err != nil || c.checkAge(b.wall, wall) != nil ||
			len(p.Entries) == ledger.BlockBatchesMax || bytes+len(r.Body)+128 > ledger.BlockBytesMax {
			continue
		}
		bytes += len(r.Body) + 128
		p.Entries = append(p.Entries, ledger.Entry{Digest: b.digest, Body: r.Body})
	}
	return &p
}

func (c *Chain) checkAge(batch, block ledger.Time) error {
	if batch+ledger.BatchAgeMax < block || batch > block+ledger.Minute {
		return invalid("a batch of wall time %s cannot be in a block of %s", batch, block)
	}
	return nil
}

// headerFor returns the one header that a block with this payload and wall time can have after head.
func (c *Chain) headerFor(head *ledger.Block, b *ledger.Block, p *ledger.Payload, wall ledger.Time) ledger.Header {
	previous := head.Header.Hash(c.suite)
	height := head.Header.Height + 1
	if height == 1 {
		previous = c.network
	}
	roots := c.rootsFor(height)
	epoch, set := c.Epoch()
	return ledger.Header{
		Version: ledger.HeaderVersion, Suite: c.suite.ID(), Network: c.network, Epoch: epoch, Height: height,
		Previous: previous, Wall: wall, Time: max(wall+roots.offset, head.Header.Time),
		Proposal:    ledger.ProposalHash(c.suite, b.Metadata, b.Sequence),
		PayloadHash: c.suite.Hash(ledger.DomainPayload, b.Payload), PayloadRoot: p.Root(c.suite),
		StateRoot: roots.state, WriteRoot: roots.write, ReceiptsRoot: roots.receipts,
		Validators: set.Hash(c.suite), NextValidators: set.Hash(c.suite),
	}
}

// lagged is what a header carries from height − Lag.
type lagged struct {
	state, write, receipts suite.Hash
	offset                 ledger.Time
}

// rootsFor returns what the header at height carries; height − Lag must be executed and recent.
func (c *Chain) rootsFor(height ledger.Height) lagged {
	if height < ledger.Lag {
		return lagged{offset: c.cfg.Genesis.Offset()}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.outcomes[height-ledger.Lag]
	return lagged{state: o.roots.State, write: o.roots.WriteSet, receipts: o.receipts, offset: o.offset}
}

// waitLag waits until height − Lag is executed.
func (c *Chain) waitLag(ctx context.Context, height ledger.Height) error {
	if height <= ledger.Lag {
		return nil
	}
	return c.WaitExecuted(ctx, height-ledger.Lag)
}

// Validate implements consensus.Ledger.
func (c *Chain) Validate(ctx context.Context, b *ledger.Block) error {
	head, _ := c.headAndHash()
	if b.Header.Height != head.Header.Height+1 {
		return invalid("height %d does not follow %d", b.Header.Height, head.Header.Height)
	}
	if b.Header.Wall < head.Header.Wall {
		return invalid("wall time %s is before %s of the block before", b.Header.Wall, head.Header.Wall)
	}
	if len(b.Metadata) > ledger.MetadataBytesMax {
		return invalid("metadata of %d bytes", len(b.Metadata))
	}
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return invalid("payload: %v", err)
	}
	if err := c.waitLag(ctx, b.Header.Height); err != nil {
		return err
	}
	if want := c.headerFor(head, b, p, b.Header.Wall); want != b.Header {
		return invalid("header of block %d differs from what this node computes: %s", b.Header.Height, headerDifference(&want, &b.Header))
	}
	return c.validatePayload(&b.Header, p)
}

func (c *Chain) validatePayload(h *ledger.Header, p *ledger.Payload) error {
	seen := map[ledger.RequestID]bool{}
	check := func(id ledger.RequestID) error {
		if seen[id] || c.Ordered(id) {
			return invalid("request %s is ordered twice", id)
		}
		seen[id] = true
		return nil
	}
	for i := range p.Ticks {
		if p.Ticks[i].Epoch != h.Epoch {
			return invalid("tick of epoch %d", p.Ticks[i].Epoch)
		}
		if err := check(tickID(&p.Ticks[i])); err != nil {
			return err
		}
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		b, err := c.checkBatch(e.Body)
		if err != nil {
			return invalid("batch %d: %v", i, err)
		}
		if b.digest != e.Digest || b.epoch != h.Epoch || len(e.Certificate) != 0 {
			return invalid("batch %d does not match its digest, or is of another epoch", i)
		}
		if err := c.checkAge(b.wall, h.Wall); err != nil {
			return err
		}
		if err := check(batchID(b.digest)); err != nil {
			return err
		}
	}
	return nil
}

// headerDifference names the first field in which two headers differ, for the log.
func headerDifference(want, got *ledger.Header) string {
	for _, f := range []struct {
		name      string
		want, got any
	}{
		{"version", want.Version, got.Version}, {"suite", want.Suite, got.Suite}, {"network", want.Network, got.Network},
		{"epoch", want.Epoch, got.Epoch}, {"previous", want.Previous, got.Previous}, {"time", want.Time, got.Time},
		{"proposal", want.Proposal, got.Proposal}, {"payload hash", want.PayloadHash, got.PayloadHash},
		{"payload root", want.PayloadRoot, got.PayloadRoot}, {"state root", want.StateRoot, got.StateRoot},
		{"write root", want.WriteRoot, got.WriteRoot}, {"receipts root", want.ReceiptsRoot, got.ReceiptsRoot},
		{"validators", want.Validators, got.Validators}, {"next validators", want.NextValidators, got.NextValidators},
	} {
		if f.want != f.got {
			return fmt.Sprintf("%s is %v, expected %v", f.name, f.got, f.want)
		}
	}
	return "nothing"
}
