package catchup_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/consensus"
	"aval/ledger"
)

var (
	_ consensus.Syncer = (*catchup.Catchup)(nil)
	_ catchup.Chain    = (*chain.Chain)(nil)
)

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
				w.n.Hold(w, c, b)
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
		if r := ask(catchup.Request{From: 6, Count: 256}); len(r.Blocks) != 3 || !reflect.DeepEqual(r.Blocks[0], w.sealed(6)) {
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

// A server whose newest blocks lack a batch, since it is on its way to it, serves those before, and says nothing false about them.
func TestServeStopsBeforeAMissingBatch(t *testing.T) {
	under(t, 6, func(w *world) {
		c := w.open(4)
		for _, b := range w.blocks[4:] { // as the engine hands them, without their batches
			if err := c.Commit(b); err != nil {
				w.Fatal(err)
			}
		}
		s := w.catchup(c)
		ask := func(from ledger.Height) (*catchup.Response, error) {
			b, err := s.Serve(context.Background(), codec.MustMarshal(&catchup.Request{From: from, Count: 256}))
			if err != nil {
				return nil, err
			}
			return catchup.DecodeResponse(b)
		}
		if r, err := ask(2); err != nil || len(r.Blocks) != 3 {
			w.Fatalf("%+v, %v", r, err)
		}
		if r, err := ask(5); !errors.Is(err, chain.ErrNotFound) {
			w.Errorf("a block without its batch is served: %+v, %v", r, err)
		}
		// One that follows it has what there is, and the rest once the batches are there.
		follower := w.open(0)
		stop := w.follow(follower, catchup.Peer{Name: "one", Call: s.Serve})
		defer stop()
		if !w.within(follower, 4, time.Second) || w.within(follower, 5, time.Minute) {
			w.Errorf("the follower is at %d", follower.Head().Header.Height)
		}
		for _, b := range w.blocks[4:] {
			w.n.Hold(w, c, b)
		}
		if !w.within(follower, 6, 5*time.Second) {
			w.Errorf("with all batches the follower is at %d", follower.Head().Header.Height)
		}
	})
}

// heavyChain has blocks of whatever weight, half of it in batches.
type heavyChain struct {
	catchup.Chain
	bytes []int
}

func (c heavyChain) Head() *ledger.Block {
	return &ledger.Block{Header: ledger.Header{Height: ledger.Height(len(c.bytes))}}
}

func (c heavyChain) First() ledger.Height { return 1 }

func (c heavyChain) BlockBytes(h ledger.Height) ([]byte, [][]byte, error) {
	n := c.bytes[h-1]
	batches := make([][]byte, ledger.BlockBatchesMax)
	for i := range batches {
		batches[i] = make([]byte, n/2/len(batches))
	}
	return make([]byte, n-n/2/len(batches)*len(batches)), batches, nil
}

// Answers stay within their bound whatever the blocks weigh, and hold at least one block.
func TestServeBoundsBytes(t *testing.T) {
	const largest = ledger.BlockBytesMax + ledger.PayloadBytesMax + ledger.MetadataBytesMax + 64<<10
	many := slices.Repeat([]int{8 << 10}, 1000)
	for _, tc := range []struct {
		bytes []int
		want  int
	}{
		{[]int{5 << 20, 5 << 20, 5 << 20}, 2}, {[]int{largest, largest}, 1}, {many, catchup.BlocksMax},
		{slices.Repeat([]int{catchup.BytesMax / catchup.BlocksMax}, 1000), catchup.BlocksMax},
		{slices.Repeat([]int{catchup.BytesMax/catchup.BlocksMax + 1}, 1000), catchup.BlocksMax - 1},
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
