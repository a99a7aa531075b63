package catchup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"aval/codec"
	"aval/internal/clock"
	"aval/internal/snapshot"
	"aval/ledger"
	"aval/suite"
)

// ErrNoSnapshot reports that no peer has a snapshot that is of use.
var ErrNoSnapshot = errors.New("catchup: no peer has a snapshot that is of use")

// SnapshotConfig is what fetching a snapshot needs.
type SnapshotConfig struct {
	Genesis *ledger.Genesis
	Suite   suite.Suite
	Peers   []Peer
	// Dir is where chunks are kept as they come. What is there from before is used if it fits.
	Dir   string
	Clock clock.Clock
	// Above is a height that the snapshot must exceed.
	Above ledger.Height
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// CallTimeout bounds one exchange. Default 5 s.
	CallTimeout time.Duration
}

// Validate reports every problem of c at once.
func (c *SnapshotConfig) Validate() error {
	var errs []error
	if c.Genesis == nil || c.Suite == nil || c.Clock == nil {
		errs = append(errs, errors.New("catchup: Genesis, Suite and Clock are required"))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("catchup: Dir is required"))
	}
	if c.CallTimeout < 0 {
		errs = append(errs, errors.New("catchup: CallTimeout is negative"))
	}
	return errors.Join(errs...)
}

const (
	// fetchAhead is how many chunks are on their way at once.
	fetchAhead = 4
	// failuresMax is how many exchanges a peer may fail before it is not asked any more.
	failuresMax = 3
	// chunksName is the folder of chunks below SnapshotConfig.Dir.
	chunksName = "chunks"
)

// Fetched is a snapshot that was fetched and verified, on disk. It is a snapshot.Source.
type Fetched struct {
	dir      string
	manifest *snapshot.Manifest
}

// Manifest implements snapshot.Source.
func (f *Fetched) Manifest() *snapshot.Manifest { return f.manifest }

// Chunk implements snapshot.Source.
func (f *Fetched) Chunk(i int) ([]byte, error) {
	return os.ReadFile(chunkPath(f.dir, f.manifest.Chunks[i].Hash))
}

func chunkPath(dir string, h suite.Hash) string { return filepath.Join(dir, chunksName, h.String()) }

// FetchSnapshot fetches the newest snapshot that one of the peers has, and verifies every chunk of it as it comes. A peer whose
// snapshot is not what it claims, or who does not serve it, is left for the next; chunks that were good stay, also over a restart.
// It fails with ErrNoSnapshot if no peer is left.
func FetchSnapshot(ctx context.Context, cfg SnapshotConfig) (*Fetched, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 5 * time.Second
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, chunksName), 0o700); err != nil {
		return nil, fmt.Errorf("catchup: %w", err)
	}
	f := &fetcher{cfg: cfg, out: map[int]bool{}, failures: map[int]int{}}
	for ctx.Err() == nil {
		offers := f.ask(ctx)
		if len(offers) == 0 {
			break
		}
		m, err := f.try(ctx, offers)
		if err == nil {
			return &Fetched{dir: cfg.Dir, manifest: m}, nil
		}
		var local *localError
		if errors.As(err, &local) {
			return nil, err
		}
		f.leave(ctx, offers[0].peer, err)
	}
	return nil, errors.Join(ErrNoSnapshot, ctx.Err(), errors.Join(f.errs...))
}

// localError is an error that is no peer's fault.
type localError struct{ err error }

// Error returns the cause's text.
func (e *localError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *localError) Unwrap() error { return e.err }

// fetcher is one attempt to fetch a snapshot.
type fetcher struct {
	cfg SnapshotConfig
	// mu guards the rest: chunks are fetched side by side.
	mu sync.Mutex
	// out are the peers that are not asked any more, and why; failures counts exchanges that failed.
	out      map[int]bool
	failures map[int]int
	errs     []error
}

// offer is the newest snapshot that a peer says it has.
type offer struct {
	peer   int
	height ledger.Height
}

// ask returns the offers of the peers, the newest first. Offers that no peer's blocks follow are of no use.
func (f *fetcher) ask(ctx context.Context) []offer {
	answers := make([]*Response, len(f.cfg.Peers))
	var wg sync.WaitGroup
	for i := range f.cfg.Peers {
		if f.isOut(i) {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := f.call(ctx, i, Request{From: 1})
			if err != nil {
				f.leave(ctx, i, err)
				return
			}
			answers[i] = r
		}()
	}
	wg.Wait()
	var offers []offer
	for i, r := range answers {
		if r == nil {
			continue
		}
		followed := slices.ContainsFunc(answers, func(o *Response) bool { return o != nil && o.First <= r.Snapshot+ledger.Lag+1 })
		switch {
		case r.Snapshot == 0 || r.Snapshot <= f.cfg.Above:
		case r.Snapshot+ledger.Lag > r.Head || !followed:
			f.leave(ctx, i, fmt.Errorf("catchup: it offers a snapshot of height %d that no blocks follow", r.Snapshot))
		default:
			offers = append(offers, offer{i, r.Snapshot})
		}
	}
	slices.SortStableFunc(offers, func(a, b offer) int {
		if a.height > b.height {
			return -1
		}
		if a.height < b.height {
			return 1
		}
		return 0
	})
	return offers
}

func (f *fetcher) isOut(peer int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out[peer]
}

// leave gives a peer up.
func (f *fetcher) leave(ctx context.Context, peer int, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out[peer] {
		return
	}
	f.out[peer] = true
	f.errs = append(f.errs, fmt.Errorf("%s: %w", f.cfg.Peers[peer].Name, why))
	if ctx.Err() == nil {
		f.cfg.Logger.WarnContext(ctx, "no snapshot from a peer", slog.String("peer", f.cfg.Peers[peer].Name), slog.Any("error", why))
	}
}

func (f *fetcher) call(ctx context.Context, peer int, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.CallTimeout)
	defer cancel()
	b, err := f.cfg.Peers[peer].Call(ctx, codec.MustMarshal(&r))
	if err != nil {
		return nil, err
	}
	return DecodeResponse(b)
}

// try fetches the first offer: the manifest from who offers it, chunks from whoever has the same height. Errors other than a
// localError are the offering peer's fault.
func (f *fetcher) try(ctx context.Context, offers []offer) (*snapshot.Manifest, error) {
	first := offers[0]
	r, err := f.call(ctx, first.peer, Request{Snapshot: first.height})
	if err != nil {
		return nil, err
	}
	m, err := snapshot.DecodeManifest(r.Data)
	if err != nil {
		return nil, err
	}
	if m.Height != first.height {
		return nil, fmt.Errorf("catchup: it offers height %d and serves %d", first.height, m.Height)
	}
	v, err := snapshot.NewVerifier(f.cfg.Suite, f.cfg.Genesis, m, nil)
	if err != nil {
		return nil, err
	}
	f.cfg.Logger.InfoContext(ctx, "fetching a snapshot", slog.String("from", f.cfg.Peers[first.peer].Name), slog.Uint64("height", uint64(m.Height)),
		slog.Int("chunks", len(m.Chunks)), slog.Uint64("bytes", m.Bytes()))
	var sources []int
	for _, o := range offers {
		if o.height == first.height {
			sources = append(sources, o.peer)
		}
	}
	return m, f.chunks(ctx, m, v, sources)
}

// arrival is a chunk that came, or why it did not.
type arrival struct {
	b   []byte
	err error
}

// chunks fetches all chunks, some of them at once, and verifies them in order.
func (f *fetcher) chunks(ctx context.Context, m *snapshot.Manifest, v *snapshot.Verifier, sources []int) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := make([]chan arrival, len(m.Chunks))
	begin := func(i int) {
		if i >= len(arrivals) {
			return
		}
		arrivals[i] = make(chan arrival, 1)
		arrived := arrivals[i]
		running.Go(func() {
			b, err := f.chunk(ctx, m, i, sources)
			arrived <- arrival{b, err}
		})
	}
	for i := range fetchAhead {
		begin(i)
	}
	for i := range m.Chunks {
		a := <-arrivals[i]
		arrivals[i] = nil
		if a.err != nil {
			return a.err
		}
		if err := v.Chunk(a.b); err != nil {
			return errors.Join(err, os.Remove(chunkPath(f.cfg.Dir, m.Chunks[i].Hash)))
		}
		begin(i + fetchAhead)
	}
	return v.Finish()
}

// chunk returns a chunk from disk, else from one of the peers, each of which is asked once at most.
func (f *fetcher) chunk(ctx context.Context, m *snapshot.Manifest, i int, sources []int) ([]byte, error) {
	c := &m.Chunks[i]
	path := chunkPath(f.cfg.Dir, c.Hash)
	if b, err := os.ReadFile(path); err == nil && len(b) == int(c.Bytes) && snapshot.HashChunk(f.cfg.Suite, b) == c.Hash {
		return b, nil
	}
	err := fmt.Errorf("catchup: nobody serves chunk %d", i)
	for _, peer := range f.preferred(sources) {
		if f.isOut(peer) {
			continue
		}
		begin := f.cfg.Clock.Now()
		r, cerr := f.call(ctx, peer, Request{Snapshot: m.Height, Chunk: c.Hash[:]})
		if cerr != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if cerr == nil && (len(r.Data) != int(c.Bytes) || snapshot.HashChunk(f.cfg.Suite, r.Data) != c.Hash) {
			f.leave(ctx, peer, fmt.Errorf("catchup: chunk %d is not the one asked for", i))
			continue
		}
		f.note(ctx, peer, cerr, f.cfg.Clock.Now().Sub(begin))
		if cerr != nil {
			err = errors.Join(err, cerr)
			continue
		}
		if werr := writeChunk(path, r.Data); werr != nil {
			return nil, &localError{werr}
		}
		return r.Data, nil
	}
	return nil, err
}

// preferred returns the peers, those with fewer failures first.
func (f *fetcher) preferred(sources []int) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(sources)
	slices.SortStableFunc(out, func(a, b int) int { return f.failures[a] - f.failures[b] })
	return out
}

// note counts an exchange that failed or was slow against a peer.
func (f *fetcher) note(ctx context.Context, peer int, err error, took time.Duration) {
	f.mu.Lock()
	if err != nil || took > slowAfter {
		f.failures[peer]++
	}
	failed := err != nil && f.failures[peer] >= failuresMax
	f.mu.Unlock()
	if failed {
		f.leave(ctx, peer, err)
	}
}

// writeChunk writes a chunk whole or not at all. It need not be durable: what is read is compared with its hash. The same chunk may
// be written twice at once, if a liar's manifest lists it twice.
func writeChunk(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "*.part")
	if err != nil {
		return fmt.Errorf("catchup: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("catchup: %w", err), os.Remove(f.Name()))
	}
	return nil
}
