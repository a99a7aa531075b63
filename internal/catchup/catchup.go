package catchup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aval/codec"
	"aval/internal/clock"
	"aval/ledger"
)

// Chain is what catch-up asks of the chain.
type Chain interface {
	// Head returns the newest committed block.
	Head() *ledger.Block
	// BlockBytes returns an encoded committed block.
	BlockBytes(height ledger.Height) ([]byte, error)
	// Import verifies a block's certificate and commits it.
	Import(b *ledger.Block) error
	// WaitCommitted returns once height is committed or ctx ends.
	WaitCommitted(ctx context.Context, height ledger.Height) error
}

// Peer is another node that can be asked.
type Peer struct {
	Name string
	// Call sends an encoded Request and returns an encoded Response.
	Call func(ctx context.Context, request []byte) ([]byte, error)
}

// Config is what a Catchup needs.
type Config struct {
	Chain Chain
	Peers []Peer
	Clock clock.Clock
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// CallTimeout bounds one exchange, beside its waiting. Default 5 s.
	CallTimeout time.Duration
}

// Catchup fetches and serves blocks. Its methods are safe for concurrent use.
type Catchup struct {
	cfg Config
	log *slog.Logger
	// importing makes fetches one at a time: two would only fetch the same blocks twice.
	importing sync.Mutex
}

// New returns a Catchup.
func New(cfg Config) (*Catchup, error) {
	if cfg.Chain == nil || cfg.Clock == nil {
		return nil, errors.New("catchup: Chain and Clock are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 5 * time.Second
	}
	return &Catchup{cfg: cfg, log: cfg.Logger}, nil
}

// Serve answers an encoded Request.
func (c *Catchup) Serve(ctx context.Context, request []byte) ([]byte, error) {
	r, err := DecodeRequest(request)
	if err != nil {
		return nil, err
	}
	if r.WaitMs > 0 {
		wait, cancel := context.WithTimeout(ctx, time.Duration(r.WaitMs)*time.Millisecond)
		err := c.cfg.Chain.WaitCommitted(wait, r.From)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	response := Response{Head: c.cfg.Chain.Head().Header.Height, Wall: ledger.Time(c.cfg.Clock.Now().UnixMilli())}
	for bytes, h := 0, r.From; h <= response.Head && len(response.Blocks) < int(r.Count); h++ {
		b, err := c.cfg.Chain.BlockBytes(h)
		if err != nil {
			return nil, err
		}
		if bytes += len(b); bytes > BytesMax && len(response.Blocks) > 0 {
			break
		}
		response.Blocks = append(response.Blocks, b)
	}
	return codec.Marshal(&response)
}

// Sync implements consensus.Syncer: it asks every peer at once for what is missing, imports it, and repeats until no
// peer that answers is ahead. It fails if no peer answers.
func (c *Catchup) Sync(ctx context.Context) error {
	for {
		heads := c.askAll(ctx)
		if len(heads) == 0 {
			return fmt.Errorf("catchup: none of %d peers answers", len(c.cfg.Peers))
		}
		ahead := false
		for i, head := range heads {
			if head <= c.height() {
				continue
			}
			ahead = true
			if err := c.fetchTo(ctx, &c.cfg.Peers[i], head); err != nil {
				c.log.WarnContext(ctx, "peer could not serve blocks", slog.String("peer", c.cfg.Peers[i].Name), slog.Any("error", err))
				delete(heads, i)
			}
		}
		if !ahead || len(heads) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// askAll returns the heads of the peers that answer, by the index of the peer.
func (c *Catchup) askAll(ctx context.Context) map[int]ledger.Height {
	var mu sync.Mutex
	var wg sync.WaitGroup
	heads := map[int]ledger.Height{}
	for i := range c.cfg.Peers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := c.call(ctx, &c.cfg.Peers[i], Request{From: c.height() + 1})
			if err != nil {
				c.log.DebugContext(ctx, "peer does not answer", slog.String("peer", c.cfg.Peers[i].Name), slog.Any("error", err))
				return
			}
			mu.Lock()
			heads[i] = r.Head
			mu.Unlock()
		}()
	}
	wg.Wait()
	return heads
}

// fetchTo imports blocks from one peer until height is committed.
func (c *Catchup) fetchTo(ctx context.Context, p *Peer, height ledger.Height) error {
	c.importing.Lock()
	defer c.importing.Unlock()
	for c.height() < height {
		n, err := c.fetch(ctx, p, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("catchup: %s claims height %d but serves no block after %d", p.Name, height, c.height())
		}
	}
	return nil
}

// fetch asks one peer for the next blocks, waiting up to wait for the first, and imports them. It returns how many.
func (c *Catchup) fetch(ctx context.Context, p *Peer, wait time.Duration) (int, error) {
	from := c.height() + 1
	r, err := c.call(ctx, p, Request{From: from, Count: BlocksMax, WaitMs: uint16(wait.Milliseconds())})
	if err != nil {
		return 0, err
	}
	for i, raw := range r.Blocks {
		b, err := ledger.DecodeBlock(raw)
		if err != nil {
			return i, fmt.Errorf("catchup: %s sent a block that does not decode: %w", p.Name, err)
		}
		if b.Header.Height != from+ledger.Height(i) {
			return i, fmt.Errorf("catchup: %s sent block %d for %d", p.Name, b.Header.Height, from+ledger.Height(i))
		}
		if err := c.cfg.Chain.Import(b); err != nil {
			return i, fmt.Errorf("catchup: block %d from %s: %w", b.Header.Height, p.Name, err)
		}
	}
	return len(r.Blocks), nil
}

func (c *Catchup) call(ctx context.Context, p *Peer, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout+time.Duration(r.WaitMs)*time.Millisecond)
	defer cancel()
	b, err := p.Call(ctx, codec.MustMarshal(&r))
	if err != nil {
		return nil, err
	}
	return DecodeResponse(b)
}

// Probe asks one peer, by its index in Config.Peers, for its head and clock.
func (c *Catchup) Probe(ctx context.Context, peer int) (*Response, error) {
	return c.call(ctx, &c.cfg.Peers[peer], Request{From: c.height() + 1})
}

func (c *Catchup) height() ledger.Height { return c.cfg.Chain.Head().Header.Height }

// Follow keeps the chain at the head of its peers until ctx ends: the way of a node that does not vote. It asks one
// peer after another, and stays with one that serves.
func (c *Catchup) Follow(ctx context.Context) error {
	if len(c.cfg.Peers) == 0 {
		return errors.New("catchup: no peer to follow")
	}
	backoff := 100 * time.Millisecond
	for at := 0; ctx.Err() == nil; {
		p := &c.cfg.Peers[at%len(c.cfg.Peers)]
		c.importing.Lock()
		n, err := c.fetch(ctx, p, followWait)
		c.importing.Unlock()
		if err == nil && n > 0 {
			backoff = 100 * time.Millisecond
			continue
		}
		at++ // also a silent peer is left: it may be cut off from the others
		if err == nil {
			continue
		}
		c.log.DebugContext(ctx, "peer left", slog.String("peer", p.Name), slog.Any("error", err))
		if !c.pause(ctx, backoff) {
			break
		}
		backoff = min(2*backoff, 2*time.Second)
	}
	return ctx.Err()
}

// followWait is how long a follower lets one peer wait for the next block before it asks another.
const followWait = 2 * time.Second

func (c *Catchup) pause(ctx context.Context, d time.Duration) bool {
	t := c.cfg.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}
