package catchup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/kv"
	"aval/ledger"
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
		requests := [][]byte{w.n.BatchRequest(w.n.Scope(t, fmt.Sprintf("/s%d", i)))}
		if i%3 == 0 {
			requests = append(requests, w.n.BatchRequest(w.n.Scope(t, fmt.Sprintf("/t%d", i))))
		}
		w.blocks = append(w.blocks, w.n.Commit(t, source, requests...))
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
		if err := w.n.Import(w, c, b); err != nil {
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

// sealed returns a block of the history with its batches, or nothing.
func (w *world) sealed(h ledger.Height) catchup.Sealed {
	w.Helper()
	if h < 1 || int(h) > len(w.blocks) {
		return catchup.Sealed{}
	}
	return catchup.Sealed{Block: codec.MustMarshal(w.blocks[h-1]), Batches: w.n.Bodies(w, w.blocks[h-1])}
}

// liars are peers that waste time in every way known. All claim to be far ahead but one.
func (w *world) liars() map[string]catchup.Peer {
	const far = 1 << 40
	claim := func(blocks ...catchup.Sealed) *catchup.Response {
		return &catchup.Response{Head: far, Blocks: blocks}
	}
	// with serves the block that is asked for with what change makes of it and its batches.
	with := func(change func(s *catchup.Sealed)) catchup.Peer {
		return liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			s := w.sealed(r.From)
			if len(s.Block) == 0 {
				return claim()
			}
			change(&s)
			return claim(s)
		})
	}
	return map[string]catchup.Peer{
		"serves no batches":         with(func(s *catchup.Sealed) { s.Batches = nil }),
		"serves a batch too many":   with(func(s *catchup.Sealed) { s.Batches = append(s.Batches, s.Batches[0]) }),
		"serves far too many":       with(func(s *catchup.Sealed) { s.Batches = slices.Repeat(s.Batches, ledger.BlockBatchesMax+1) }),
		"serves another's batch":    with(func(s *catchup.Sealed) { s.Batches = w.sealed(ledger.Height(1 + len(w.blocks)/2)).Batches }),
		"serves batches swapped":    with(func(s *catchup.Sealed) { slices.Reverse(s.Batches) }),
		"serves an empty batch":     with(func(s *catchup.Sealed) { s.Batches[0] = []byte{} }),
		"serves a garbage batch":    with(func(s *catchup.Sealed) { s.Batches[0] = []byte("garbage") }),
		"serves a huge batch":       with(func(s *catchup.Sealed) { s.Batches[0] = make([]byte, ledger.BatchBytesMax+1) }),
		"serves a tampered batch":   with(func(s *catchup.Sealed) { s.Batches[0] = slices.Clone(s.Batches[0]); s.Batches[0][90] ^= 1 }),
		"serves a batch and a byte": with(func(s *catchup.Sealed) { s.Batches[0] = append(slices.Clone(s.Batches[0]), 0) }),
		"claims and serves nothing": liar("", func(context.Context, *catchup.Request) *catchup.Response { return claim() }),
		"serves the next but one":   liar("", func(_ context.Context, r *catchup.Request) *catchup.Response { return claim(w.sealed(r.From + 1)) }),
		"leaves a gap": liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			return claim(w.sealed(r.From), w.sealed(r.From+2))
		}),
		"serves garbage": liar("", func(context.Context, *catchup.Request) *catchup.Response {
			return claim(catchup.Sealed{Block: []byte("garbage")}, catchup.Sealed{})
		}),
		"serves a tampered block": with(func(s *catchup.Sealed) {
			b, err := ledger.DecodeBlock(s.Block)
			if err != nil {
				w.Fatal(err)
			}
			b.Header.Wall++
			s.Block = codec.MustMarshal(b)
		}),
		"serves too many": liar("", func(_ context.Context, r *catchup.Request) *catchup.Response {
			return claim(make([]catchup.Sealed, int(r.Count)+1)...)
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
			if s := w.sealed(r.From); len(s.Block) > 0 {
				return claim(s)
			}
			return claim()
		}),
		"drips and says that this is all": liar("", func(ctx context.Context, r *catchup.Request) *catchup.Response {
			if s := w.sealed(r.From); len(s.Block) > 0 && r.Count > 0 {
				select {
				case <-time.After(4900 * time.Millisecond):
				case <-ctx.Done():
				}
				return &catchup.Response{Head: r.From, Blocks: []catchup.Sealed{s}}
			}
			return &catchup.Response{Head: r.From}
		}),
	}
}
