package catchup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"aval/codec"
	"aval/internal/clock"
	"aval/ledger"
	"aval/suite"
)

// Chain is what catch-up asks of the chain.
type Chain interface {
	// Head returns the newest committed block.
	Head() *ledger.Block
	// BlockBytes returns an encoded committed block and the batches that it orders. It fails if one of them has not come yet.
	BlockBytes(height ledger.Height) (block []byte, batches [][]byte, err error)
	// Import verifies a block's certificate and that the batches are its own, and commits it.
	Import(b *ledger.Block, batches [][]byte) error
	// First returns the lowest height of which blocks are kept.
	First() ledger.Height
	// WaitCommitted returns once height is committed or ctx ends.
	WaitCommitted(ctx context.Context, height ledger.Height) error
}

// Peer is another node that can be asked.
type Peer struct {
	Name string
	// Call sends an encoded Request and returns an encoded Response.
	Call func(ctx context.Context, request []byte) ([]byte, error)
}

// Snapshots are those that a node offers.
type Snapshots interface {
	// Newest returns the height of the newest one; it fails if there is none.
	Newest() (ledger.Height, error)
	// Manifest returns the encoded manifest of a snapshot, Chunk one of its chunks.
	Manifest(height ledger.Height) ([]byte, error)
	Chunk(height ledger.Height, hash suite.Hash) ([]byte, error)
}

// Config is what a Catchup needs.
type Config struct {
	Chain Chain
	// Snapshots are offered to peers. Default: none.
	Snapshots Snapshots
	Peers     []Peer
	Clock     clock.Clock
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// CallTimeout bounds one exchange, beside its waiting. Default 5 s.
	CallTimeout time.Duration
}

// Catchup fetches and serves blocks. Its methods are safe for concurrent use.
type Catchup struct {
	cfg Config
	log *slog.Logger
	// importing keeps two fetches from verifying the same blocks.
	importing sync.Mutex
	// serving bounds the answers with blocks that are made at once.
	serving chan struct{}
	// pruned is the lowest height that a peer keeps blocks of which this node lacks earlier ones, 0 since some came.
	pruned atomic.Uint64
}

const (
	// servingMax is how many answers with blocks are made at once, each of up to BytesMax.
	servingMax = 8
	// slowAfter is how long an answer with blocks may take before another peer is preferred.
	slowAfter = 2 * time.Second
	// headGrace is how long the last few peers are waited for once most have said their heads.
	headGrace = 500 * time.Millisecond
	// followWait is how long a follower lets one peer wait for the next block before it asks another.
	followWait = 2 * time.Second
	// watchEvery is how often a follower asks another peer whether there is more than it is told of, and watchGrace how
	// long it then waits for it.
	watchEvery = 2 * time.Second
	watchGrace = time.Second
	// backoffFirst and backoffLast bound the pause after a peer that did not serve.
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 2 * time.Second
)

// New returns a Catchup.
func New(cfg Config) (*Catchup, error) {
	if cfg.Chain == nil || cfg.Clock == nil {
		return nil, errors.New("catchup: Chain and Clock are required")
	}
	if cfg.CallTimeout < 0 {
		return nil, errors.New("catchup: CallTimeout is negative")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 5 * time.Second
	}
	return &Catchup{cfg: cfg, log: cfg.Logger, serving: make(chan struct{}, servingMax)}, nil
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
	response := Response{Head: c.height(), Wall: ledger.Time(c.cfg.Clock.Now().UnixMilli()), First: c.cfg.Chain.First(), Snapshot: c.offered()}
	wanted := r.Count > 0 && r.From <= response.Head && r.From >= response.First
	if !wanted && r.Snapshot == 0 {
		return codec.Marshal(&response)
	}
	select {
	case c.serving <- struct{}{}:
		defer func() { <-c.serving }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.Snapshot > 0 {
		if response.Data, err = c.part(r); err != nil {
			return nil, err
		}
		return codec.Marshal(&response)
	}
	for bytes, h := 0, r.From; h <= response.Head && len(response.Blocks) < int(r.Count); h++ {
		block, batches, err := c.cfg.Chain.BlockBytes(h)
		if err != nil && h > r.From { // the batches of the newest may be on their way
			break
		}
		if err != nil {
			return nil, err
		}
		sealed := Sealed{Block: block, Batches: batches}
		if bytes += sealed.size(); bytes > BytesMax && len(response.Blocks) > 0 {
			break
		}
		response.Blocks = append(response.Blocks, sealed)
	}
	return codec.Marshal(&response)
}

// Sync implements consensus.Syncer. It asks all peers for their heads and imports what is missing from those that are
// ahead, in turn, until none is. A peer that does not keep what it claims is not asked again, one that is slow only if no
// other is left: so a liar costs one exchange. It fails if no peer answers.
func (c *Catchup) Sync(ctx context.Context) error {
	out := map[int]bool{}
	for round := 0; ; round++ {
		heads := c.askAll(ctx, out)
		if len(heads) == 0 && round == 0 {
			return fmt.Errorf("catchup: none of %d peers answers", len(c.cfg.Peers))
		}
		begin := c.cfg.Clock.Now()
		if c.fetchFrom(ctx, heads, out) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		// What came while we fetched for a moment only will come by the ordinary way. A busy network never stands still.
		if c.cfg.Clock.Now().Sub(begin) < watchGrace {
			return nil
		}
	}
}

// fetchFrom imports blocks from the peers in turn while one of them claims more than there is, and returns how many
// blocks came. It adds to out those that fail.
func (c *Catchup) fetchFrom(ctx context.Context, heads map[int]ledger.Height, out map[int]bool) (blocks int) {
	for at := 0; ctx.Err() == nil; at++ {
		var ahead []int
		for i := range c.cfg.Peers {
			if head, ok := heads[i]; ok && !out[i] && head > c.height() {
				ahead = append(ahead, i)
			}
		}
		if len(ahead) == 0 {
			return blocks
		}
		i := ahead[at%len(ahead)]
		got := c.fetch(ctx, &c.cfg.Peers[i], 0)
		blocks += got.blocks
		if got.err == nil && got.blocks == 0 {
			got.err = fmt.Errorf("catchup: it claims height %d and serves no block after %d", heads[i], c.height())
		}
		if got.err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "peer could not serve blocks", slog.String("peer", c.cfg.Peers[i].Name), slog.Any("error", got.err))
		}
		out[i] = got.err != nil || got.took > slowAfter && len(ahead) > 1
	}
	return blocks
}

// askAll returns the heads of the peers that answer, by the index of the peer, without those in out. It does not wait long
// for the last third, so that peers that keep silent cannot hold up the others.
func (c *Catchup) askAll(ctx context.Context, out map[int]bool) map[int]ledger.Height {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		peer int
		head ledger.Height
		err  error
	}
	answers := make(chan answer, len(c.cfg.Peers))
	asked := 0
	for i := range c.cfg.Peers {
		if out[i] {
			continue
		}
		asked++
		go func() {
			r, err := c.call(ctx, &c.cfg.Peers[i], Request{From: c.height() + 1})
			if err != nil {
				answers <- answer{peer: i, err: err}
				return
			}
			answers <- answer{peer: i, head: r.Head}
		}()
	}
	heads := map[int]ledger.Height{}
	var enough <-chan time.Time
	for range asked {
		select {
		case a := <-answers:
			if a.err != nil {
				c.log.DebugContext(ctx, "peer does not answer", slog.String("peer", c.cfg.Peers[a.peer].Name), slog.Any("error", a.err))
				continue
			}
			heads[a.peer] = a.head
		case <-enough:
			return heads
		}
		if enough == nil && len(heads) >= asked-asked/3 {
			enough = c.cfg.Clock.After(headGrace)
		}
	}
	return heads
}

// fetched is what one exchange brought.
type fetched struct {
	// head is the peer's, as it says; blocks is how many it sent, took how long it took to send them.
	head   ledger.Height
	blocks int
	took   time.Duration
	err    error
}

// fetch asks one peer for the next blocks, waiting up to wait for the first, and imports them.
func (c *Catchup) fetch(ctx context.Context, p *Peer, wait time.Duration) (out fetched) {
	from := c.height() + 1
	begin := c.cfg.Clock.Now()
	r, err := c.call(ctx, p, Request{From: from, Count: BlocksMax, WaitMs: uint16(wait.Milliseconds())})
	out.took = c.cfg.Clock.Now().Sub(begin)
	if err != nil {
		out.err = err
		return out
	}
	out.head = r.Head
	if len(r.Blocks) == 0 && r.First > from && r.Head >= from {
		c.pruned.Store(uint64(r.First))
		out.err = fmt.Errorf("%w: it keeps blocks from %d on, %d is needed", ErrPruned, r.First, from)
		return out
	}
	if out.blocks, out.err = c.take(from, r); out.blocks > 0 {
		c.pruned.Store(0)
	}
	return out
}

// take imports the blocks of a response, which begin at from, and returns how many were good.
func (c *Catchup) take(from ledger.Height, r *Response) (blocks int, err error) {
	c.importing.Lock()
	defer c.importing.Unlock()
	for i := range r.Blocks {
		height := from + ledger.Height(i)
		if height > c.height() { // another fetch may have been faster
			if err := c.importBlock(height, &r.Blocks[i]); err != nil {
				return blocks, err
			}
		}
		blocks++
	}
	return blocks, nil
}

// Take imports what a peer answered to a request, encoded, for callers that carry the messages themselves. It returns the peer's
// head, as it says, and how many blocks of it are held now.
func (c *Catchup) Take(request Request, answer []byte) (head ledger.Height, blocks int, err error) {
	r, err := readResponse(request, answer)
	if err != nil {
		return 0, 0, err
	}
	blocks, err = c.take(request.From, r)
	return r.Head, blocks, err
}

func (c *Catchup) importBlock(height ledger.Height, sealed *Sealed) error {
	b, err := ledger.DecodeBlock(sealed.Block)
	if err != nil {
		return fmt.Errorf("catchup: block %d does not decode: %w", height, err)
	}
	if b.Header.Height != height {
		return fmt.Errorf("catchup: block %d was sent for %d", b.Header.Height, height)
	}
	if err := c.cfg.Chain.Import(b, sealed.Batches); err != nil {
		return fmt.Errorf("catchup: block %d: %w", height, err)
	}
	return nil
}

func (c *Catchup) call(ctx context.Context, p *Peer, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout+time.Duration(r.WaitMs)*time.Millisecond)
	defer cancel()
	b, err := p.Call(ctx, codec.MustMarshal(&r))
	if err != nil {
		return nil, err
	}
	return readResponse(r, b)
}

// readResponse decodes the response to a request.
func readResponse(r Request, b []byte) (*Response, error) {
	response, err := DecodeResponse(b)
	if err == nil && len(response.Blocks) > int(r.Count) {
		return nil, fmt.Errorf("catchup: %d blocks came, %d were asked for", len(response.Blocks), r.Count)
	}
	return response, err
}

// Probe asks one peer, by its index in Config.Peers, for its head and clock.
func (c *Catchup) Probe(ctx context.Context, peer int) (*Response, error) {
	return c.call(ctx, &c.cfg.Peers[peer], Request{From: c.height() + 1})
}

func (c *Catchup) height() ledger.Height { return c.cfg.Chain.Head().Header.Height }
