package engine_test

import (
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/sim/engine"
	"aval/ledger"
	"aval/suite"
)

// validator is one engine over a chain, both stepped.
type validator struct {
	net    *town
	index  uint16
	chain  *chain.Chain
	store  *kv.Memory
	engine *engine.Engine
	voted  []suite.Hash
	behind int
}

// town is four validators whose messages wait in one queue.
type town struct {
	*testing.T
	n     *chaintest.Network
	all   []*validator
	queue []func()
	// deaf hear nothing.
	deaf map[uint16]bool
}

func newTown(t *testing.T) *town {
	w := &town{T: t, n: chaintest.New(t, chaintest.Options{Validators: 4}), deaf: map[uint16]bool{}}
	for i := range uint16(4) {
		v := &validator{net: w, index: i, store: kv.NewMemory()}
		cfg := w.n.Config(t, kv.NewMemory(), kv.NewMemory())
		cfg.Stepped = true
		var err error
		if v.chain, err = chain.Open(cfg); err != nil {
			t.Fatal(err)
		}
		w.all = append(w.all, v)
		v.start(false)
	}
	return w
}

func (v *validator) start(restored bool) {
	var err error
	v.engine, err = engine.New(engine.Config{Suite: v.net.n.Suite, Network: v.net.n.ID, Self: v.index,
		Signer: v.net.n.Signer(v.net.n.Genesis.Validators[v.index].Name), Ledger: v.chain, Store: v.store, Links: v, Clock: v.net.n.Clock,
		Restored: restored, Behind: func(uint16) { v.behind++ },
		Ready: func(h ledger.Height) bool {
			p, _ := v.chain.Progress()
			return p.Executed+ledger.Lag >= h
		},
		Signing: func(h *ledger.Header) { v.voted = append(v.voted, h.Hash(v.net.n.Suite)) }})
	if err != nil {
		v.net.Fatal(err)
	}
}

// Send implements consensus.Links.
func (v *validator) Send(to uint16, message []byte) {
	v.net.queue = append(v.net.queue, func() {
		if !v.net.deaf[to] {
			v.net.all[to].engine.Receive(v.index, message)
		}
	})
}

// SendRequest implements consensus.Links.
func (v *validator) SendRequest(to uint16, request []byte) {
	v.net.queue = append(v.net.queue, func() {
		if !v.net.deaf[to] {
			if err := v.net.all[to].engine.Submit(request); err != nil {
				v.net.Log(err)
			}
		}
	})
}

// pass lets time go by, and everything that comes of it happen.
func (w *town) pass(d time.Duration) {
	for ; d > 0; d -= 50 * time.Millisecond {
		w.n.Clock.Advance(50 * time.Millisecond)
		for _, v := range w.all {
			v.engine.Tick()
		}
		for len(w.queue) > 0 {
			next := w.queue[0]
			w.queue = w.queue[1:]
			next()
			for _, v := range w.all {
				for done := true; done; {
					done, _ = v.chain.Step()
					v.engine.Poke()
				}
			}
		}
	}
}

// ask has one validator ask for a block.
func (w *town) ask(i int) {
	tick := ledger.Tick{Height: w.all[i].chain.Head().Header.Height + 1}
	if err := w.all[i].engine.Submit(chaintest.TickRequest(tick)); err != nil {
		w.Fatal(err)
	}
}

// heads fails unless all validators but the deaf have the same block at a height.
func (w *town) heads(want ledger.Height) {
	w.Helper()
	first := ""
	for _, v := range w.all {
		head := v.chain.Head()
		if w.deaf[v.index] {
			continue
		}
		hash := head.Header.Hash(w.n.Suite).String()
		if first == "" {
			first = hash
		}
		if head.Header.Height != want || hash != first {
			w.Fatalf("validator %d is at %d (%s), expected %d (%s)", v.index, head.Header.Height, hash, want, first)
		}
		if len(v.voted) > int(want) {
			w.Fatalf("validator %d voted %d times for %d heights", v.index, len(v.voted), want)
		}
	}
}

func TestOrders(t *testing.T) {
	w := newTown(t)
	for h := ledger.Height(1); h <= 5; h++ {
		w.ask(int(h) % 4) // of the first view's leader or another
		w.pass(time.Second)
		w.heads(h)
	}
}

// TestLeaderDead: the others go on to the next view, whose leader orders, and stay there.
func TestLeaderDead(t *testing.T) {
	w := newTown(t)
	w.deaf[0] = true
	w.ask(1)
	w.pass(3 * time.Second)
	w.heads(1)
	if view, err := engine.ViewOf(w.all[1].chain.Head()); err != nil || view != 1 {
		t.Fatalf("ordered in view %d: %v", view, err)
	}
	w.ask(2)
	w.pass(time.Second)
	w.heads(2)
	w.deaf[0] = false
	w.pass(time.Second)
	if w.all[0].behind == 0 {
		t.Fatal("the one that was deaf is not told that it is behind")
	}
}

// TestRecord: a validator that lost its record, or finds it damaged, signs nothing until it knows what it could have signed.
func TestRecord(t *testing.T) {
	w := newTown(t)
	w.ask(0)
	w.pass(time.Second)
	v := w.all[3]
	for _, damage := range []func(raw []byte) []byte{
		func(raw []byte) []byte { return append(raw[:9:9], raw[10:]...) },
		func(raw []byte) []byte { raw[len(raw)/2] ^= 1; return raw },
		func([]byte) []byte { return nil },
	} {
		raw, err := v.store.Get([]byte{'v'})
		if err != nil {
			t.Fatal(err)
		}
		b := v.store.NewBatch()
		if raw = damage(raw); raw == nil {
			b.Delete([]byte{'v'})
		} else {
			b.Set([]byte{'v'}, raw)
		}
		if err := v.store.Apply(b, true); err != nil {
			t.Fatal(err)
		}
		v.start(false)
		if !v.engine.Unsettled() || !v.engine.Observing() {
			t.Fatal("it goes on without its record")
		}
		votes, height := len(v.voted), v.chain.Head().Header.Height
		if err := v.engine.Settle(height); err != nil {
			t.Fatal(err)
		}
		w.ask(0)
		w.pass(time.Second)
		w.heads(height + 1)
		if len(v.voted) != votes {
			t.Fatal("it voted at a height at which it could have voted before")
		}
		w.ask(0)
		w.pass(time.Second)
		w.heads(height + 2)
		if len(v.voted) != votes+1 {
			t.Fatal("it never votes again")
		}
	}
}

// FuzzReceive: whatever comes is taken or refused, and what is taken changes nothing that is certified.
func FuzzReceive(f *testing.F) {
	for kind := uint8(0); kind < 7; kind++ {
		f.Add(codec.MustMarshal(&engine.Message{Height: 1, View: uint64(kind), Sig: suite.Signature{1}, Proof: &engine.Proof{}}))
	}
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := newTown(t)
		w.all[0].engine.Receive(1, raw)
		if w.all[0].chain.Head().Header.Height != 0 || len(w.all[0].voted) > 0 {
			t.Fatal("one message made a block")
		}
	})
}
