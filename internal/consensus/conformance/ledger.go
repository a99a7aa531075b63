package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// Epoch is a validator set and the first height that it certifies.
type Epoch struct {
	From ledger.Height
	Set  ledger.ValidatorSet
}

// Ledger is a consensus.Ledger in memory. Its execution is a hash over the payloads. It outlives the engines that
// drive it, as a disk would.
type Ledger struct {
	suite   suite.Suite
	network suite.Hash
	epochs  []Epoch
	audit   *Audit

	mu      sync.Mutex
	blocks  []*ledger.Block
	roots   []suite.Hash
	ordered map[consensus.RequestID]ledger.Height
	unfit   map[consensus.RequestID]bool
	skew    ledger.Time
	held    chan struct{}
}

// NewLedger returns a ledger at genesis whose validator sets are those of epochs, the first from height 1.
func NewLedger(s suite.Suite, network suite.Hash, audit *Audit, epochs ...Epoch) *Ledger {
	genesis := &ledger.Block{Header: ledger.Header{Version: ledger.HeaderVersion, Suite: s.ID(), Network: network}}
	return &Ledger{suite: s, network: network, epochs: epochs, audit: audit, blocks: []*ledger.Block{genesis},
		roots: []suite.Hash{{}}, ordered: map[consensus.RequestID]ledger.Height{}, unfit: map[consensus.RequestID]bool{}}
}

// Head implements consensus.Ledger.
func (l *Ledger) Head() *ledger.Block {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks[len(l.blocks)-1]
}

// Height returns the height of the head.
func (l *Ledger) Height() ledger.Height { return l.Head().Header.Height }

// Block implements consensus.Ledger.
func (l *Ledger) Block(h ledger.Height) (*ledger.Block, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h == 0 || int(h) >= len(l.blocks) {
		return nil, fmt.Errorf("conformance: no block %d", h)
	}
	return l.blocks[h], nil
}

// Epoch implements consensus.Ledger.
func (l *Ledger) Epoch() (uint64, ledger.ValidatorSet) { return l.epochAt(l.Height() + 1) }

func (l *Ledger) epochAt(h ledger.Height) (uint64, ledger.ValidatorSet) {
	i := len(l.epochs) - 1
	for i > 0 && l.epochs[i].From > h {
		i--
	}
	return uint64(i), l.epochs[i].Set
}

// Now implements consensus.Ledger.
func (l *Ledger) Now() ledger.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ledger.Time(time.Now().UnixMilli()) + l.skew
}

// Skew sets how far this node's clock is ahead.
func (l *Ledger) Skew(d ledger.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skew = d
}

// Hold makes Assemble wait until Release.
func (l *Ledger) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = make(chan struct{})
}

// Release ends Hold.
func (l *Ledger) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held)
	l.held = nil
}

// Expire makes a request one that can be in no block any more.
func (l *Ledger) Expire(id consensus.RequestID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unfit[id] = true
}

// Truncate forgets the blocks above h, as restoring an old backup does.
func (l *Ledger) Truncate(h ledger.Height) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blocks, l.roots = l.blocks[:h+1], l.roots[:h+1]
	for id, at := range l.ordered {
		if at > h {
			delete(l.ordered, id)
		}
	}
}

// Assemble implements consensus.Ledger.
func (l *Ledger) Assemble(ctx context.Context, metadata []byte, sequence uint64, requests [][]byte) (*ledger.Block, error) {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var p ledger.Payload
	var seen []consensus.RequestID
	for _, raw := range requests {
		id, err := l.RequestID(raw)
		if err != nil || slices.Contains(seen, id) || l.Ordered(id) || l.expired(id) {
			continue
		}
		r, err := ledger.DecodeOrderingRequest(raw)
		if err != nil {
			return nil, err
		}
		switch {
		case r.Kind == ledger.RequestTick:
			t, err := ledger.DecodeTick(r.Body)
			if err != nil || len(p.Ticks) == ledger.BlockTicksMax {
				continue
			}
			p.Ticks = append(p.Ticks, *t)
		case len(p.Entries) < ledger.BlockBatchesMax:
			p.Entries = append(p.Entries, ledger.Entry{Digest: l.digest(r.Body), Certificate: r.Body})
		default:
			continue
		}
		seen = append(seen, id)
	}
	b := &ledger.Block{Payload: codec.MustMarshal(&p), Metadata: bytes.Clone(metadata), Sequence: sequence}
	b.Header = l.header(b, &p, max(l.Now(), l.Head().Header.Wall))
	l.audit.built(b)
	return b, nil
}

func (l *Ledger) expired(id consensus.RequestID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unfit[id]
}

func (l *Ledger) digest(body []byte) suite.Hash { return l.suite.Hash(ledger.DomainBatch, body) }

// header returns the one header that b can have after the head.
func (l *Ledger) header(b *ledger.Block, p *ledger.Payload, wall ledger.Time) ledger.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	head := &l.blocks[len(l.blocks)-1].Header
	height := head.Height + 1
	epoch, set := l.epochAt(height)
	_, next := l.epochAt(height + 1)
	h := ledger.Header{
		Version: ledger.HeaderVersion, Suite: l.suite.ID(), Network: l.network, Epoch: epoch, Height: height,
		Previous: head.Hash(l.suite), Wall: wall, Time: wall,
		Proposal:    ledger.ProposalHash(l.suite, b.Metadata, b.Sequence),
		PayloadHash: l.suite.Hash(ledger.DomainPayload, b.Payload), PayloadRoot: p.Root(l.suite),
		Validators: set.Hash(l.suite), NextValidators: next.Hash(l.suite),
	}
	if height == 1 {
		h.Previous = l.network
	}
	if height >= ledger.Lag {
		h.StateRoot = l.roots[height-ledger.Lag]
	}
	return h
}

// Validate implements consensus.Ledger.
func (l *Ledger) Validate(_ context.Context, b *ledger.Block) error {
	l.audit.built(b)
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return err
	}
	if head := l.Head(); b.Header.Height != head.Header.Height+1 || b.Header.Wall < head.Header.Wall {
		return fmt.Errorf("conformance: block %d of %s does not follow block %d", b.Header.Height, b.Header.Wall, head.Header.Height)
	}
	if want := l.header(b, p, b.Header.Wall); want != b.Header {
		return fmt.Errorf("conformance: the header of block %d is not the one expected", b.Header.Height)
	}
	ids, err := l.Requests(b.Payload)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if l.Ordered(id) || slices.Contains(ids[:i], id) {
			return fmt.Errorf("conformance: request %s is ordered twice", id)
		}
	}
	return nil
}

// Requests implements consensus.Ledger.
func (l *Ledger) Requests(payload []byte) ([]consensus.RequestID, error) {
	p, err := ledger.DecodePayload(payload)
	if err != nil {
		return nil, err
	}
	var out []consensus.RequestID
	for i := range p.Entries {
		if p.Entries[i].Digest != l.digest(p.Entries[i].Certificate) {
			return nil, errors.New("conformance: an entry of another digest")
		}
		out = append(out, consensus.RequestID(p.Entries[i].Digest.String()))
	}
	for i := range p.Ticks {
		out = append(out, tickID(&p.Ticks[i]))
	}
	return out, nil
}

func tickID(t *ledger.Tick) consensus.RequestID {
	return consensus.RequestID("tick/" + strconv.FormatUint(uint64(t.Height), 10))
}

// RequestID implements consensus.Ledger.
func (l *Ledger) RequestID(raw []byte) (consensus.RequestID, error) {
	r, err := ledger.DecodeOrderingRequest(raw)
	if err != nil {
		return "", err
	}
	if r.Kind == ledger.RequestTick {
		t, err := ledger.DecodeTick(r.Body)
		if err != nil {
			return "", err
		}
		return tickID(t), nil
	}
	return consensus.RequestID(l.digest(r.Body).String()), nil
}

// Ordered implements consensus.Ledger.
func (l *Ledger) Ordered(id consensus.RequestID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ordered[id]
	return ok
}

// Commit implements consensus.Ledger.
func (l *Ledger) Commit(b *ledger.Block) error {
	h := &b.Header
	_, set := l.epochAt(h.Height)
	if err := ledger.VerifyCertificate(l.suite, set, h, &b.Certificate); err != nil {
		return err
	}
	ids, err := l.Requests(b.Payload)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	head := &l.blocks[len(l.blocks)-1].Header
	if h.Height <= head.Height {
		if l.blocks[h.Height].Header != *h {
			return fmt.Errorf("conformance: FORK: two certified blocks at height %d", h.Height)
		}
		return nil
	}
	if previous := head.Hash(l.suite); h.Height != head.Height+1 || h.Height > 1 && h.Previous != previous {
		return fmt.Errorf("conformance: block %d does not follow block %d", h.Height, head.Height)
	}
	l.blocks = append(l.blocks, b)
	l.roots = append(l.roots, l.suite.Hash("test state", l.roots[len(l.roots)-1][:], b.Payload))
	for _, id := range ids {
		l.ordered[id] = h.Height
	}
	return nil
}
