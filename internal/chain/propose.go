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
	head, headHash := c.headAndHash()
	if err := c.waitLag(ctx, head.Header.Height+1); err != nil {
		return nil, err
	}
	wall := max(c.Now(), head.Header.Wall)
	p := c.selectRequests(&head.Header, wall, requests)
	b := &ledger.Block{Payload: codec.MustMarshal(p), Metadata: metadata, Sequence: sequence}
	header, err := c.headerFor(&head.Header, headHash, b, p, wall)
	if err != nil {
		return nil, err
	}
	b.Header = header
	return b, nil
}

// selectRequests returns the payload of those requests that may be proposed at wall after head, within the limits of a
// block.
func (c *Chain) selectRequests(head *ledger.Header, wall ledger.Time, requests [][]byte) *ledger.Payload {
	var p ledger.Payload
	seen := map[ledger.RequestID]bool{}
	bytes := 0
	for _, raw := range requests {
		r, err := c.readRequest(raw)
		if err != nil || seen[r.id] || c.Ordered(r.id) {
			continue
		}
		if r.tick != nil {
			if r.tick.Height <= head.Height+1 && len(p.Ticks) < ledger.BlockTicksMax {
				seen[r.id] = true
				p.Ticks = append(p.Ticks, *r.tick)
			}
			continue
		}
		size := int(r.cert.Head.Bytes)
		if checkBatchAge(r.cert.Head.Wall, wall) != nil || len(p.Entries) == ledger.BlockBatchesMax || bytes+size > ledger.BlockBytesMax {
			continue
		}
		seen[r.id] = true
		bytes += size
		p.Entries = append(p.Entries, ledger.Entry{Digest: r.cert.Head.Digest(c.suite), Certificate: r.body})
	}
	return &p
}

func checkBatchAge(batch, block ledger.Time) error {
	if batch+ledger.BatchAgeMax < block || batch > block+orderedAhead {
		return invalid("a batch of wall time %s cannot be in a block of %s", batch, block)
	}
	return nil
}

// headerFor returns the one header that a block with this payload and wall time can have after head.
func (c *Chain) headerFor(head *ledger.Header, headHash suite.Hash, b *ledger.Block, p *ledger.Payload, wall ledger.Time) (ledger.Header, error) {
	height := head.Height + 1
	roots, err := c.rootsFor(height)
	if err != nil {
		return ledger.Header{}, err
	}
	epoch, set := c.Epoch()
	return ledger.Header{
		Version: ledger.HeaderVersion, Suite: c.suite.ID(), Network: c.network, Epoch: epoch, Height: height,
		Previous: headHash, Wall: wall, Time: max(wall+roots.offset, head.Time),
		Proposal:    ledger.ProposalHash(c.suite, b.Metadata, b.Sequence),
		PayloadHash: c.suite.Hash(ledger.DomainPayload, b.Payload), PayloadRoot: p.Root(c.suite),
		StateRoot: roots.state, WriteRoot: roots.write, ReceiptsRoot: roots.receipts,
		Validators: set.Hash(c.suite), NextValidators: set.Hash(c.suite),
	}, nil
}

// lagged is what a header carries from height − Lag.
type lagged struct {
	state, write, receipts suite.Hash
	offset                 ledger.Time
}

// rootsFor returns what the header at height carries. It fails if height − Lag is not executed, or long ago.
func (c *Chain) rootsFor(height ledger.Height) (lagged, error) {
	if height < ledger.Lag {
		return lagged{offset: c.cfg.Genesis.Offset()}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.outcomes[height-ledger.Lag]
	if o == nil {
		return lagged{}, fmt.Errorf("chain: the results of height %d are not at hand, the head is %d", height-ledger.Lag, c.head.Header.Height)
	}
	return lagged{state: o.roots.State, write: o.roots.WriteSet, receipts: o.receipts, offset: o.offset}, nil
}

// waitLag waits until height − Lag is executed. It fails if execution has stopped: a node that knows that it is wrong
// neither proposes nor votes.
func (c *Chain) waitLag(ctx context.Context, height ledger.Height) error {
	lagging := ledger.Height(0)
	if height > ledger.Lag {
		lagging = height - ledger.Lag
	}
	if c.cfg.Stepped {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel() // nobody would execute meanwhile
	}
	if err := c.WaitExecuted(ctx, lagging); err != nil {
		return err
	}
	if err := c.Broken(); err != nil {
		return stoppedBy(err)
	}
	select {
	case <-c.stop:
		return ErrClosed
	default:
		return nil
	}
}

// Validate implements consensus.Ledger.
func (c *Chain) Validate(ctx context.Context, b *ledger.Block) error {
	head, headHash := c.headAndHash()
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
	want, err := c.headerFor(&head.Header, headHash, b, p, b.Header.Wall)
	if err != nil {
		return err
	}
	if want != b.Header {
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
		if t := &p.Ticks[i]; t.Epoch != h.Epoch || t.Height > h.Height {
			return invalid("tick of epoch %d for height %d", t.Epoch, t.Height)
		}
		if err := check(tickID(&p.Ticks[i])); err != nil {
			return err
		}
	}
	bytes := 0
	for i := range p.Entries {
		e := &p.Entries[i]
		cert, digest, err := c.checkCertificate(e.Certificate)
		if err != nil {
			return invalid("batch %d: %v", i, err)
		}
		if digest != e.Digest || cert.Head.Epoch != h.Epoch {
			return invalid("batch %d does not match its digest, or is of another epoch", i)
		}
		if err := checkBatchAge(cert.Head.Wall, h.Wall); err != nil {
			return err
		}
		if err := check(batchID(digest)); err != nil {
			return err
		}
		if bytes += int(cert.Head.Bytes); bytes > ledger.BlockBytesMax {
			return invalid("the batches have more than %d bytes", ledger.BlockBytesMax)
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
		{"epoch", want.Epoch, got.Epoch}, {"height", want.Height, got.Height}, {"previous", want.Previous, got.Previous}, {"time", want.Time, got.Time},
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
