package catchup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/ledger"
)

// offering returns a peer that has the first blocks of the history and offers a snapshot of a height of it.
func (w *world) offering(name string, snapshotAt, have int) catchup.Peer {
	w.Helper()
	c, dir := w.open(snapshotAt+ledger.Lag), w.snapshots()
	w.n.Wait(w, c, ledger.Height(snapshotAt+ledger.Lag))
	f, err := c.Freeze()
	if err != nil {
		w.Fatal(err)
	}
	defer f.Release()
	w.extend(c, have)
	if err := f.Settle(context.Background()); err != nil {
		w.Fatal(err)
	}
	if _, _, err := dir.Create(context.Background(), w.n.Suite, f); err != nil {
		w.Fatal(err)
	}
	s, err := catchup.New(catchup.Config{Chain: c, Snapshots: dir, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	return catchup.Peer{Name: name, Call: s.Serve}
}

func (w *world) snapshots() *snapshot.Dir {
	w.Helper()
	dir, err := snapshot.OpenDir(filepath.Join(w.TempDir(), "snapshots"))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := dir.Close(); err != nil {
			w.Error(err)
		}
	})
	return dir
}

func (w *world) fetchSnapshot(dir string, peers ...catchup.Peer) (*catchup.Fetched, error) {
	return catchup.FetchSnapshot(context.Background(), catchup.SnapshotConfig{Genesis: w.n.Genesis, Suite: w.n.Suite, Peers: peers, Dir: dir,
		Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
}

// begin opens a chain from what was fetched.
func (w *world) begin(f *catchup.Fetched) *chain.Chain {
	w.Helper()
	cfg := w.n.Config(w, kv.NewMemory(), kv.NewMemory())
	if err := snapshot.Restore(context.Background(), cfg, f); err != nil {
		w.Fatal(err)
	}
	c, err := chain.Open(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	})
	return c
}

// changed returns a peer whose answers change alters; it may return nil for no answer.
func changed(p catchup.Peer, change func(ctx context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response) catchup.Peer {
	return catchup.Peer{Name: "liar", Call: func(ctx context.Context, request []byte) ([]byte, error) {
		q, err := catchup.DecodeRequest(request)
		if err != nil {
			return nil, err
		}
		b, err := p.Call(ctx, request)
		if err != nil {
			return nil, err
		}
		r, err := catchup.DecodeResponse(b)
		if err != nil {
			return nil, err
		}
		if r = change(ctx, q, r); r == nil {
			return nil, errors.New("no answer")
		}
		return codec.MustMarshal(r), nil
	}}
}

// snapshotLiars are peers that have the newest snapshot, and lie about it in every way known.
func (w *world) snapshotLiars() map[string]catchup.Peer {
	base := w.offering("liar", 30, 36)
	manifest := func(change func(m *snapshot.Manifest)) catchup.Peer {
		return changed(base, func(_ context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			if q.Snapshot > 0 && len(q.Chunk) == 0 {
				m, err := snapshot.DecodeManifest(r.Data)
				if err != nil {
					w.Fatal(err)
				}
				change(m)
				r.Data = codec.MustMarshal(m)
			}
			return r
		})
	}
	chunk := func(change func(b []byte) []byte) catchup.Peer {
		return changed(base, func(_ context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			if len(q.Chunk) > 0 {
				r.Data = change(r.Data)
			}
			return r
		})
	}
	out := map[string]catchup.Peer{
		"claims what it has not": changed(base, func(_ context.Context, _ *catchup.Request, r *catchup.Response) *catchup.Response {
			r.Head, r.Snapshot = 1<<40, 1<<39
			return r
		}),
		"claims a height beyond its head": changed(base, func(_ context.Context, _ *catchup.Request, r *catchup.Response) *catchup.Response {
			r.Snapshot = 1 << 39
			return r
		}),
		"serves no manifest":        changed(base, withData(func(q *catchup.Request) bool { return len(q.Chunk) == 0 }, nil)),
		"serves a garbage manifest": changed(base, withData(func(q *catchup.Request) bool { return len(q.Chunk) == 0 }, []byte("garbage"))),
		"serves another height":     manifest(func(m *snapshot.Manifest) { m.Height++; m.Header.Height++ }),
		"serves another network":    manifest(func(m *snapshot.Manifest) { m.Network[3] ^= 1; m.Header.Network[3] ^= 1 }),
		"forges the root":           manifest(func(m *snapshot.Manifest) { m.Header.StateRoot[3] ^= 1 }),
		"forges a vote":             manifest(func(m *snapshot.Manifest) { m.Certificate.Votes[0].Sig[5] ^= 1 }),
		"has no quorum":             manifest(func(m *snapshot.Manifest) { m.Certificate.Votes = nil }),
		"lists no state":            manifest(func(m *snapshot.Manifest) { m.Chunks = m.Chunks[:len(m.Chunks)-1] }),
		"lists another chunk":       manifest(func(m *snapshot.Manifest) { m.Chunks[0].Hash[3] ^= 1 }),
		"lists a chunk twice":       manifest(func(m *snapshot.Manifest) { m.Chunks = slices.Insert(m.Chunks, 0, m.Chunks[0]) }),
		"lists a huge chunk":        manifest(func(m *snapshot.Manifest) { m.Chunks[0].Bytes = snapshot.ChunkBytesMax + 1 }),
		"counts other leaves":       manifest(func(m *snapshot.Manifest) { m.Leaves++ }),
		"serves wrong chunks":       chunk(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }),
		"serves truncated chunks":   chunk(func(b []byte) []byte { return b[:len(b)/2] }),
		"serves empty chunks":       chunk(func([]byte) []byte { return nil }),
		"serves huge chunks":        chunk(func(b []byte) []byte { return append(b, make([]byte, 8<<20)...) }),
		"is huge": {Name: "liar", Call: func(ctx context.Context, request []byte) ([]byte, error) {
			if q, err := catchup.DecodeRequest(request); err == nil && q.Snapshot > 0 {
				return make([]byte, 2*catchup.BytesMax), nil
			}
			return base.Call(ctx, request)
		}},
		"serves no chunks": changed(base, func(_ context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			if len(q.Chunk) > 0 {
				return nil
			}
			return r
		}),
		"hangs": changed(base, func(ctx context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			if q.Snapshot > 0 {
				<-ctx.Done()
				return nil
			}
			return r
		}),
		"drips": changed(base, func(ctx context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			if q.Snapshot > 0 {
				select {
				case <-time.After(4900 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			return r
		}),
	}
	for name, p := range w.rewritten(base) {
		out[name] = p
	}
	return out
}

// withData replaces the data of some answers about snapshots.
func withData(which func(q *catchup.Request) bool, data []byte) func(context.Context, *catchup.Request, *catchup.Response) *catchup.Response {
	return func(_ context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
		if q.Snapshot > 0 && which(q) {
			r.Data = data
		}
		return r
	}
}

// rewritten are peers whose manifest names, rightly, chunks that they made up: one of each kind with a byte changed.
func (w *world) rewritten(base catchup.Peer) map[string]catchup.Peer {
	out := map[string]catchup.Peer{}
	for _, kind := range []snapshot.Kind{snapshot.KindBlocks, snapshot.KindReceipts, snapshot.KindBatches, snapshot.KindState} {
		var made []byte
		out["makes up "+kind.String()] = changed(base, func(ctx context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
			switch {
			case q.Snapshot == 0:
			case len(q.Chunk) == 0:
				m, err := snapshot.DecodeManifest(r.Data)
				if err != nil {
					w.Fatal(err)
				}
				i := slices.IndexFunc(m.Chunks, func(c snapshot.Chunk) bool { return c.Kind == kind })
				answer, err := base.Call(ctx, codec.MustMarshal(&catchup.Request{Snapshot: m.Height, Chunk: m.Chunks[i].Hash[:]}))
				if err != nil {
					w.Fatal(err)
				}
				part, err := catchup.DecodeResponse(answer)
				if err != nil {
					w.Fatal(err)
				}
				made = part.Data
				made[len(made)/2] ^= 1
				m.Chunks[i].Hash = snapshot.HashChunk(w.n.Suite, made)
				r.Data = codec.MustMarshal(m)
			}
			return r
		})
		liar := out["makes up "+kind.String()]
		out["makes up "+kind.String()] = catchup.Peer{Name: "liar", Call: func(ctx context.Context, request []byte) ([]byte, error) {
			q, err := catchup.DecodeRequest(request)
			if err == nil && len(q.Chunk) > 0 {
				if h := snapshot.HashChunk(w.n.Suite, made); string(h[:]) == string(q.Chunk) {
					return codec.MustMarshal(&catchup.Response{Data: made}), nil
				}
			}
			return liar.Call(ctx, request)
		}}
	}
	return out
}

func TestFetchSnapshotAndGoOn(t *testing.T) {
	under(t, 60, func(w *world) {
		source := w.offering("one", 50, 60)
		f, err := w.fetchSnapshot(w.TempDir(), w.peer("two", w.open(55)), source, w.offering("stale", 20, 60))
		if err != nil {
			w.Fatal(err)
		}
		if got := f.Manifest().Height; got != 50 {
			w.Errorf("a snapshot of height %d was fetched, the newest is of 50", got)
		}
		c := w.begin(f)
		if err := w.catchup(c, source).Sync(context.Background()); err != nil {
			w.Fatal(err)
		}
		whole := w.open(60)
		w.n.Wait(w, whole, 60)
		w.n.Wait(w, c, 60)
		want, err := whole.Roots(60)
		got, gerr := c.Roots(60)
		if err = errors.Join(err, gerr); err != nil || got != want {
			w.Errorf("after catching up the roots are %v, %v; want %v", got, err, want)
		}
	})
}

func TestFetchSnapshotBearsEveryLiar(t *testing.T) {
	under(t, 36, func(w *world) {
		honest := w.offering("honest", 30, 36)
		for name, l := range w.snapshotLiars() {
			for _, first := range []bool{true, false} {
				peers := []catchup.Peer{honest, l}
				if first {
					peers = []catchup.Peer{l, honest}
				}
				begin := time.Now()
				f, err := w.fetchSnapshot(w.TempDir(), peers...)
				if err != nil {
					w.Errorf("beside a peer that %s: %v", name, err)
					continue
				}
				if took := time.Since(begin); took > 40*time.Second {
					w.Errorf("beside a peer that %s it took %s", name, took)
				}
				if got := w.begin(f).Head().Header.Height; got != 32 {
					w.Errorf("beside a peer that %s the node begins at %d", name, got)
				}
			}
		}
	})
}

func TestFetchSnapshotAmongLiarsAloneEnds(t *testing.T) {
	under(t, 36, func(w *world) {
		for name, l := range w.snapshotLiars() {
			if name == "drips" { // slow is no lie
				continue
			}
			if _, err := w.fetchSnapshot(w.TempDir(), l, l); !errors.Is(err, catchup.ErrNoSnapshot) {
				w.Errorf("a peer that %s: %v", name, err)
			}
		}
		if _, err := w.fetchSnapshot(w.TempDir()); !errors.Is(err, catchup.ErrNoSnapshot) {
			w.Errorf("nobody: %v", err)
		}
		if _, err := w.fetchSnapshot(w.TempDir(), w.peer("has none", w.open(36))); !errors.Is(err, catchup.ErrNoSnapshot) {
			w.Errorf("somebody without a snapshot: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := catchup.FetchSnapshot(ctx, catchup.SnapshotConfig{Genesis: w.n.Genesis, Suite: w.n.Suite, Dir: w.TempDir(), Clock: clock.Real(),
			Peers: []catchup.Peer{w.snapshotLiars()["hangs"]}, Logger: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("an ended context: %v", err)
		}
	})
}

// TestFetchSnapshotResumes has peers that die after some chunks, one after another: no chunk is fetched twice.
func TestFetchSnapshotResumes(t *testing.T) {
	under(t, 40, func(w *world) {
		source, dir := w.offering("one", 36, 40), w.TempDir()
		var served atomic.Int64
		for attempt := 0; ; attempt++ {
			if attempt > 100 {
				w.Fatal("it never ends")
			}
			var now atomic.Int64
			dying := changed(source, func(_ context.Context, q *catchup.Request, r *catchup.Response) *catchup.Response {
				if len(q.Chunk) > 0 && now.Add(1) > 1 {
					return nil
				}
				if len(q.Chunk) > 0 {
					served.Add(1)
				}
				return r
			})
			f, err := w.fetchSnapshot(dir, dying)
			if err != nil {
				continue
			}
			if attempt == 0 || int(served.Load()) != len(f.Manifest().Chunks) {
				w.Errorf("%d chunks were served in %d attempts, the snapshot has %d", served.Load(), attempt+1, len(f.Manifest().Chunks))
			}
			// What is damaged on disk is fetched again.
			names, err := filepath.Glob(filepath.Join(dir, "chunks", "*"))
			if err != nil || len(names) == 0 {
				w.Fatal(err)
			}
			if err := os.WriteFile(names[0], []byte("damaged"), 0o600); err != nil {
				w.Fatal(err)
			}
			if f, err = w.fetchSnapshot(dir, source); err != nil {
				w.Fatal(err)
			}
			w.begin(f)
			return
		}
	})
}

// TestPrunedPeerSaysSo: a peer that gave up what is needed is no liar; another one serves, and if there is none it is known why.
func TestPrunedPeerSaysSo(t *testing.T) {
	long := func(t *testing.T, fn func(w *world)) {
		w := &world{n: chaintest.New(t, chaintest.Options{})}
		source := w.n.Open(t)
		for i := range 60 {
			w.n.Clock.Advance(time.Minute)
			w.blocks = append(w.blocks, w.n.Commit(t, source, w.n.BatchRequest(w.n.Scope(t, fmt.Sprintf("/s%d", i)))))
		}
		w.T = t
		fn(w)
	}
	long(t, func(w *world) {
		pruned := w.open(60)
		out, err := pruned.Prune(context.Background(), chain.Retention{Heights: 20})
		if err != nil || out.First < 30 {
			w.Fatalf("pruned %+v, %v", out, err)
		}
		c := w.open(5)
		s := w.catchup(c, w.peer("pruned", pruned))
		if err := s.Sync(context.Background()); err != nil {
			w.Fatal(err)
		}
		if got := s.Pruned(); got != out.First || c.Head().Header.Height != 5 {
			w.Errorf("peers keep blocks from %d, the node is told %d", out.First, got)
		}
		s = w.catchup(c, w.peer("pruned", pruned), w.peer("whole", w.open(60)))
		if err := s.Sync(context.Background()); err != nil {
			w.Fatal(err)
		}
		if got := c.Head().Header.Height; got != 60 || s.Pruned() != 0 {
			w.Errorf("beside a peer that keeps all the node is at %d, told %d", got, s.Pruned())
		}
		b, err := w.catchup(pruned).Serve(context.Background(), codec.MustMarshal(&catchup.Request{From: 7, Count: 4}))
		if err != nil {
			w.Fatal(err)
		}
		r, err := catchup.DecodeResponse(b)
		if err != nil || r.First != out.First || len(r.Blocks) != 0 || r.Head != 60 {
			w.Errorf("a request for what is pruned: %+v, %v", r, err)
		}
	})
}

func TestSnapshotRequestsAreChecked(t *testing.T) {
	for what, r := range map[string]catchup.Request{
		"nothing":              {},
		"a chunk of nothing":   {From: 1, Chunk: make([]byte, 32)},
		"both":                 {From: 1, Snapshot: 3},
		"a short hash":         {Snapshot: 3, Chunk: make([]byte, 31)},
		"to wait for a chunk":  {Snapshot: 3, WaitMs: 1},
		"blocks of a snapshot": {Snapshot: 3, Count: 1},
	} {
		if _, err := catchup.DecodeRequest(codec.MustMarshal(&r)); err == nil {
			t.Errorf("a request for %s is taken", what)
		}
	}
	if _, err := catchup.FetchSnapshot(t.Context(), catchup.SnapshotConfig{CallTimeout: -1}); err == nil {
		t.Error("nothing is a configuration")
	}
	if _, err := catchup.DecodeRequest(codec.MustMarshal(&catchup.Request{Snapshot: ledger.Height(3), Chunk: make([]byte, 32)})); err != nil {
		t.Error(err)
	}
}
