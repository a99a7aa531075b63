package catchup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/consensus"
	"aval/internal/kv"
	"aval/ledger"
)

var (
	_ consensus.Syncer = (*catchup.Catchup)(nil)
	_ catchup.Chain    = (*chain.Chain)(nil)
)

// world is a network with a history, in which peers are made that have all, some or none of it.
type world struct {
	*testing.T
	n      *chaintest.Network
	blocks []*ledger.Block
}

// under makes a history of some length outside, and runs fn in a bubble of synctest, where time passes only while everybody
// waits.
func under(t *testing.T, length int, fn func(w *world)) {
	t.Helper()
	w := &world{n: chaintest.New(t, chaintest.Options{})}
	source := w.n.Open(t)
	for i := range length {
		w.blocks = append(w.blocks, w.n.Commit(t, source, w.n.BatchRequest(w.n.Scope(t, fmt.Sprintf("/s%d", i)))))
	}
	synctest.Test(t, func(t *testing.T) {
		w.T = t
		fn(w)
	})
}

// open returns a chain that has the first blocks of the history.
func (w *world) open(have int) *chain.Chain {
	w.Helper()
	c, err := chain.Open(w.n.Config(w, kv.NewMemory(), kv.NewMemory()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	})
	w.extend(c, have)
	return c
}

func (w *world) extend(c *chain.Chain, to int) {
	w.Helper()
	for _, b := range w.blocks[c.Head().Header.Height:to] {
		if err := c.Import(b); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) catchup(c *chain.Chain, peers ...catchup.Peer) *catchup.Catchup {
	w.Helper()
	out, err := catchup.New(catchup.Config{Chain: c, Peers: peers, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// peer serves c honestly.
func (w *world) peer(name string, c *chain.Chain) catchup.Peer {
	return catchup.Peer{Name: name, Call: w.catchup(c).Serve}
}

// liar answers with what fn makes of the request.
func liar(name string, fn func(ctx context.Context, r *catchup.Request) *catchup.Response) catchup.Peer {
	return catchup.Peer{Name: name, Call: func(ctx context.Context, request []byte) ([]byte, error) {
		r, err := catchup.DecodeRequest(request)
		if err != nil {
			return nil, err
		}
		response := fn(ctx, r)
		if response == nil {
			return nil, errors.New("no answer")
		}
		return codec.MustMarshal(response), nil
	}}
}

// liars are peers that waste time in every way known. All claim to be far ahead but one.
func (w *world) liars() map[string]catchup.Peer {
	bytesOf := func(h ledger.Height) []byte {
		if h < 1 || int(h) > len(w.blocks) {
			return nil
		}
		return codec.MustMarshal(w.blocks[h-1])
	}
	const far = 1 << 40
	claim := func(blocks ...[]byte) *catchup.Response { return &catchup.Response{Head: far, Blocks: blocks} }
	return map[string]catchup.Peer{
		"claims and serves nothing": liar("", func(context.Context, *catchup.Request) *catchup.Response { return claim() }),
		"serves the next but one":   liar("", func(_ context.Context, r *catchup.Request) *catchup.Response { return claim(bytesOf(r.From + 1)) }),
		"leaves a gap": liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			return claim(bytesOf(r.From), bytesOf(r.From+2))
		}),
		"serves garbage": liar("", func(context.Context, *catchup.Request) *catchup.Response { return claim([]byte("garbage"), nil) }),
		"serves a tampered block": liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			if int(r.From) > len(w.blocks) {
				return claim()
			}
			b := *w.blocks[r.From-1]
			b.Header.Wall++
			return claim(codec.MustMarshal(&b))
		}),
		"serves too many": liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			return claim(make([][]byte, int(r.Count)+1)...)
		}),
		"is huge": {Call: func(context.Context, []byte) ([]byte, error) {
			return make([]byte, catchup.BytesMax+catchup.BytesMax/2), nil
		}},
		"is junk": {Call: func(context.Context, []byte) ([]byte, error) { return []byte("junk"), nil }},
		"fails":   liar("", func(context.Context, *catchup.Request) *catchup.Response { return nil }),
		"hangs": liar("", func(ctx context.Context, _ *catchup.Request) *catchup.Response {
			<-ctx.Done()
			return nil
		}),
		"hangs once it is believed": liar("", func(ctx context.Context, r *catchup.Request) *catchup.Response {
			if r.Count > 0 {
				<-ctx.Done()
			}
			return claim()
		}),
		"drips": liar("", func(ctx context.Context, r *catchup.Request) *catchup.Response {
			if r.Count == 0 {
				return claim()
			}
			select {
			case <-time.After(4900 * time.Millisecond):
			case <-ctx.Done():
			}
			if b := bytesOf(r.From); b != nil {
				return claim(b)
			}
			return claim()
		}),
		"drips and says that this is all": liar("", func(ctx context.Context, r *catchup.Request) *catchup.Response {
			if b := bytesOf(r.From); b != nil && r.Count > 0 {
				select {
				case <-time.After(4900 * time.Millisecond):
				case <-ctx.Done():
				}
				return &catchup.Response{Head: r.From, Blocks: [][]byte{b}}
			}
			return &catchup.Response{Head: r.From}
		}),
	}
}

func TestSyncFetchesWhatIsMissing(t *testing.T) {
	under(t, 300, func(w *world) { // more than one answer holds
		c := w.open(3)
		s := w.catchup(c, w.peer("one", w.open(10)), w.peer("two", w.open(300)), w.peer("three", w.open(0)))
		if err := s.Sync(context.Background()); err != nil {
			w.Fatal(err)
		}
		if got := c.Head().Header.Height; got != 300 {
			w.Fatalf("synchronised to %d", got)
		}
		if err := s.Sync(context.Background()); err != nil {
			w.Fatalf("with nothing missing: %v", err)
		}
	})
}

func TestSyncBearsEveryLiar(t *testing.T) {
	under(t, 20, func(w *world) {
		source := w.open(20)
		for name, l := range w.liars() {
			for _, first := range []bool{true, false} {
				c := w.open(2)
				peers := []catchup.Peer{w.peer("honest", source), w.peer("honest too", source), l}
				if first {
					peers[0], peers[2] = peers[2], peers[0]
				}
				begin := time.Now()
				if err := w.catchup(c, peers...).Sync(context.Background()); err != nil {
					w.Errorf("a peer that %s: %v", name, err)
				}
				if got := c.Head().Header.Height; got != 20 {
					w.Errorf("beside a peer that %s: synchronised to %d", name, got)
				}
				if took := time.Since(begin); took > 12*time.Second {
					w.Errorf("beside a peer that %s it took %s", name, took)
				}
			}
		}
	})
}

func TestSyncAmongLiarsAloneEnds(t *testing.T) {
	under(t, 5, func(w *world) {
		var all []catchup.Peer
		for _, l := range w.liars() {
			all = append(all, l)
		}
		c := w.open(0)
		begin := time.Now()
		if err := w.catchup(c, all...).Sync(context.Background()); err != nil {
			w.Logf("the end: %v", err)
		}
		if took := time.Since(begin); took > 2*time.Minute {
			w.Errorf("it took %s", took)
		}
		dead := liar("", func(context.Context, *catchup.Request) *catchup.Response { return nil })
		for _, peers := range [][]catchup.Peer{nil, {dead}, {dead, dead, dead}} {
			if err := w.catchup(c, peers...).Sync(context.Background()); err == nil || !strings.Contains(err.Error(), "none of") {
				w.Errorf("nobody answers: %v", err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := w.catchup(w.open(0), w.liars()["hangs"]).Sync(ctx); err == nil {
			w.Error("an ended context synchronises")
		}
	})
}

// follow runs a follower and returns what ends it.
func (w *world) follow(c *chain.Chain, peers ...catchup.Peer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.catchup(c, peers...).Follow(ctx) }()
	return func() {
		w.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			w.Errorf("following ends with %v", err)
		}
	}
}

// within waits until c has height, at most for d.
func (w *world) within(c *chain.Chain, height ledger.Height, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return c.WaitCommitted(ctx, height) == nil
}

func TestFollowIsThereAtOnce(t *testing.T) {
	under(t, 50, func(w *world) {
		c, source := w.open(0), w.open(30)
		var calls atomic.Int64
		peer := w.peer("one", source)
		counted := catchup.Peer{Name: "one", Call: func(ctx context.Context, r []byte) ([]byte, error) {
			calls.Add(1)
			return peer.Call(ctx, r)
		}}
		stop := w.follow(c, counted)
		defer stop()
		if !w.within(c, 30, time.Second) {
			w.Fatalf("after a second the follower is at %d", c.Head().Header.Height)
		}
		for h := 31; h <= 50; h++ {
			<-time.After(333 * time.Millisecond)
			w.extend(source, h)
			begin := time.Now()
			if !w.within(c, ledger.Height(h), 10*time.Millisecond) {
				w.Fatalf("block %d has not come after %s", h, time.Since(begin))
			}
		}
		before := calls.Load()
		<-time.After(time.Minute)
		if got := calls.Load() - before; got > 40 {
			w.Errorf("a minute of silence takes %d calls", got)
		}
	})
}

func TestFollowBearsEveryLiar(t *testing.T) {
	under(t, 40, func(w *world) {
		early, late := w.peer("honest", w.open(20)), w.peer("honest", w.open(40))
		for name, l := range w.liars() {
			for _, first := range []bool{true, false} {
				c := w.open(0)
				var now atomic.Pointer[catchup.Peer]
				now.Store(&early)
				peers := []catchup.Peer{{Name: "honest", Call: func(ctx context.Context, r []byte) ([]byte, error) { return now.Load().Call(ctx, r) }}, l}
				if first {
					peers = []catchup.Peer{l, peers[0]}
				}
				stop := w.follow(c, peers...)
				if !w.within(c, 20, 15*time.Second) {
					w.Errorf("beside a peer that %s: after 15 s the follower is at %d of 20", name, c.Head().Header.Height)
				}
				now.Store(&late)
				if !w.within(c, 40, 15*time.Second) {
					w.Errorf("beside a peer that %s: 15 s later the follower is at %d of 40", name, c.Head().Header.Height)
				}
				stop()
			}
		}
	})
}

func TestFollowAmongLiarsDoesNotSpin(t *testing.T) {
	under(t, 5, func(w *world) {
		for name, l := range w.liars() {
			var calls atomic.Int64
			counted := catchup.Peer{Call: func(ctx context.Context, r []byte) ([]byte, error) {
				calls.Add(1)
				return l.Call(ctx, r)
			}}
			stop := w.follow(w.open(0), counted)
			<-time.After(time.Minute)
			stop()
			if got := calls.Load(); got > 60 {
				w.Errorf("a peer that %s is called %d times in a minute", name, got)
			}
		}
		if err := w.catchup(w.open(0)).Follow(context.Background()); err == nil {
			w.Error("a follower without peers follows")
		}
	})
}

// While peers serve, the engine commits on its own. Nobody gets into the other's way.
func TestSyncBesideAnEngine(t *testing.T) {
	under(t, 60, func(w *world) {
		c := w.open(0)
		s := w.catchup(c, w.peer("one", w.open(60)), w.peer("two", w.open(60)))
		done := make(chan error)
		for range 3 {
			go func() { done <- s.Sync(context.Background()) }()
		}
		for _, b := range w.blocks {
			if h := c.Head().Header.Height; b.Header.Height <= h+1 {
				if err := c.Commit(b); err != nil {
					w.Error(err)
				}
			}
		}
		for range 3 {
			if err := <-done; err != nil {
				w.Error(err)
			}
		}
		if got := c.Head().Header.Height; got != 60 {
			w.Errorf("the head is %d", got)
		}
	})
}

func TestServe(t *testing.T) {
	under(t, 10, func(w *world) {
		c := w.open(8)
		s := w.catchup(c)
		ask := func(r catchup.Request) *catchup.Response {
			w.Helper()
			b, err := s.Serve(context.Background(), codec.MustMarshal(&r))
			if err != nil {
				w.Fatal(err)
			}
			out, err := catchup.DecodeResponse(b)
			if err != nil {
				w.Fatal(err)
			}
			return out
		}
		if r := ask(catchup.Request{From: 1}); r.Head != 8 || len(r.Blocks) != 0 || r.Wall != ledger.Time(time.Now().UnixMilli()) {
			w.Errorf("asked for the head: %+v", r)
		}
		if r := ask(catchup.Request{From: 6, Count: 256}); len(r.Blocks) != 3 || string(r.Blocks[0]) != string(codec.MustMarshal(w.blocks[5])) {
			w.Errorf("asked from 6: %d blocks", len(r.Blocks))
		}
		if r := ask(catchup.Request{From: 2, Count: 2}); len(r.Blocks) != 2 {
			w.Errorf("asked for two: %d blocks", len(r.Blocks))
		}
		begin := time.Now()
		if r := ask(catchup.Request{From: 9, Count: 1, WaitMs: 700}); len(r.Blocks) != 0 || time.Since(begin) != 700*time.Millisecond {
			w.Errorf("asked to wait in vain: %d blocks after %s", len(r.Blocks), time.Since(begin))
		}
		go func() {
			<-time.After(100 * time.Millisecond)
			w.extend(c, 9)
		}()
		begin = time.Now()
		if r := ask(catchup.Request{From: 9, Count: 9, WaitMs: 10_000}); len(r.Blocks) != 1 || time.Since(begin) != 100*time.Millisecond {
			w.Errorf("asked to wait: %d blocks after %s", len(r.Blocks), time.Since(begin))
		}
		for _, bad := range []catchup.Request{{}, {From: 1, Count: catchup.BlocksMax + 1}, {From: 1, WaitMs: 10_001}} {
			if _, err := s.Serve(context.Background(), codec.MustMarshal(&bad)); err == nil {
				w.Errorf("%+v is served", bad)
			}
		}
		for _, junk := range [][]byte{nil, []byte("junk"), make([]byte, 1000)} {
			if _, err := s.Serve(context.Background(), junk); err == nil {
				w.Errorf("junk of %d bytes is served", len(junk))
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.Serve(ctx, codec.MustMarshal(&catchup.Request{From: 99, WaitMs: 1000})); err == nil {
			w.Error("nobody waits for the answer, and it is given")
		}
		r, err := w.catchup(w.open(0), w.peer("one", c)).Probe(context.Background(), 0)
		if err != nil || r.Head != 9 {
			w.Errorf("probed: %+v, %v", r, err)
		}
	})
}

// heavyChain has blocks of whatever weight.
type heavyChain struct {
	catchup.Chain
	bytes []int
}

func (c heavyChain) Head() *ledger.Block {
	return &ledger.Block{Header: ledger.Header{Height: ledger.Height(len(c.bytes))}}
}

func (c heavyChain) BlockBytes(h ledger.Height) ([]byte, error) {
	return make([]byte, c.bytes[h-1]), nil
}

// Answers stay within their bound whatever the blocks weigh, and hold at least one block.
func TestServeBoundsBytes(t *testing.T) {
	const largest = ledger.BlockBytesMax + ledger.MetadataBytesMax + 64<<10
	many := make([]int, 1000)
	for _, tc := range []struct {
		bytes []int
		want  int
	}{
		{[]int{5 << 20, 5 << 20, 5 << 20}, 2}, {[]int{largest, largest}, 1}, {many, catchup.BlocksMax},
	} {
		s, err := catchup.New(catchup.Config{Chain: heavyChain{bytes: tc.bytes}, Clock: clock.Real()})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Serve(t.Context(), codec.MustMarshal(&catchup.Request{From: 1, Count: catchup.BlocksMax}))
		if err != nil {
			t.Fatal(err)
		}
		r, err := catchup.DecodeResponse(b)
		if err != nil || len(r.Blocks) != tc.want {
			t.Errorf("of %d blocks, the first of %d bytes, %d come in %d bytes, %v; want %d", len(tc.bytes), tc.bytes[0], len(r.Blocks), len(b), err, tc.want)
		}
	}
	if _, err := catchup.DecodeResponse(make([]byte, catchup.BytesMax+1<<20)); err == nil {
		t.Error("an answer over the bound is read")
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := catchup.New(catchup.Config{}); err == nil {
		t.Error("nothing is a configuration")
	}
	n := chaintest.New(t, chaintest.Options{})
	if _, err := catchup.New(catchup.Config{Chain: n.Open(t), Clock: clock.Real(), CallTimeout: -1}); err == nil {
		t.Error("a negative timeout is taken")
	}
}
