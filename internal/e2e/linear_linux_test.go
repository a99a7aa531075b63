package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"aval/client"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

const (
	// callers is how many clients ask at the same time.
	callers = 6
	// historyVouchers is how many vouchers a history moves.
	historyVouchers = 2
)

// TestLinearizable records what clients of all nodes are told about balances and lots while validators are killed, paused
// and cut off, and has the history checked. Writes and fresh reads must be linearizable; what a node says of its state at
// some height must be what the acknowledged writes up to that height make of it.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	if !isolated(t) {
		return
	}
	w := foundWorld(t, "sm")
	w.switched()
	w.startAll()
	rounds := 1
	if *faults {
		rounds = 30
	}
	c := w.client(0, 1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	m := w.newMarket(ctx, c)
	cancel()
	for round := range rounds {
		w.linearRound(m, c, round)
	}
}

// linearRound records and checks one history.
func (w *world) linearRound(m *market, c *client.Client, round int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var vouchers []suite.Hash
	var initial [][]lot
	for range historyVouchers {
		vouchers = append(vouchers, m.voucher(ctx, c))
		initial = append(initial, []lot{{from: 0, to: faceValue, holder: 0}})
	}
	base := w.mustOpenScope(c).Height
	for i := range w.nodes {
		w.poll("all nodes are where the history begins", func() error { return w.near(i, base) })
	}
	var money balances
	for i := range money {
		a, err := c.Account(ctx, m.bank.id, m.holders[i].id)
		if err != nil || a.AsOf.Height < base {
			w.t.Fatalf("the first balances: %v, %+v", err, a)
		}
		money[i] = a.Balance
	}
	rec := &recorder{start: time.Now()}
	w.record(m, rec, vouchers, round)
	w.resolve(rec, c)
	w.t.Logf("round %d: %d writes, %d reads", round, len(rec.writes), len(rec.reads))
	if !linearizable(w.t, model(money, initial), rec.history) {
		w.t.Errorf("round %d: the history is not linearizable", round)
	}
	w.checkReads(rec, base, money, initial)
}

// record has clients work while faults come and go.
func (w *world) record(m *market, rec *recorder, vouchers []suite.Hash, round int) {
	span := 15 * time.Second
	if *faults {
		span = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), span)
	defer cancel()
	var nodes []*client.Client
	for i := range w.nodes {
		nodes = append(nodes, w.client(i))
	}
	var wg sync.WaitGroup
	for n := range callers {
		order := []int{n % 5, (n + 1) % 5, (n + 2) % 5, (n + 3) % 5, (n + 4) % 5}
		k := &caller{m: m, rec: rec, number: n, all: w.patientClient(order...), nodes: nodes, vouchers: vouchers,
			random: w.random(fmt.Sprintf("caller %d of round %d", n, round)), seen: make([][]lot, len(vouchers))}
		wg.Go(func() { k.work(ctx) })
	}
	w.disturb(ctx, w.random(fmt.Sprintf("faults of round %d", round)))
	wg.Wait()
}

// patientClient is a client whose transactions cannot be included for longer than it is worth waiting to learn their fate.
func (w *world) patientClient(nodes ...int) *client.Client {
	w.t.Helper()
	var urls []string
	for _, i := range nodes {
		urls = append(urls, w.url(i))
	}
	c, err := client.New(client.Config{Endpoints: urls, Genesis: codec.MustMarshal(w.net.Genesis), AcceptLab: true,
		AttemptTimeout: 3 * time.Second, Validity: 20 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// disturb kills, pauses and cuts off one node after another until ctx ends, and leaves the network whole.
func (w *world) disturb(ctx context.Context, random *rand.Rand) {
	for pause(ctx, time.Duration(300+random.IntN(700))*time.Millisecond) == nil {
		victim := random.IntN(5)
		if random.IntN(2) == 0 {
			victim = w.newestLeader()
		}
		span := time.Duration(200+random.IntN(2800)) * time.Millisecond
		kind := random.IntN(4)
		w.t.Logf("%s: fault %d for %v", w.nodes[victim].Name, kind, span)
		switch kind {
		case 0:
			w.kill(victim)
			_ = pause(ctx, span/3) // the end of ctx ends the fault
			w.start(victim)
			w.awaitUp(victim)
		case 1:
			w.signal(victim, syscall.SIGSTOP)
			_ = pause(ctx, span)
			w.signal(victim, syscall.SIGCONT)
		case 2:
			mend, _ := off(w, victim)
			_ = pause(ctx, span)
			mend()
		case 3:
			a := []int{victim, (victim + 1) % 5}
			b := slices.DeleteFunc([]int{0, 1, 2, 3, 4}, func(i int) bool { return slices.Contains(a, i) })
			w.part(true, a, b)
			_ = pause(ctx, span)
			w.part(false, a, b)
		}
	}
}

// resolve learns what became of writes that were not answered: they took effect, or cannot any more.
func (w *world) resolve(rec *recorder, c *client.Client) {
	w.t.Helper()
	found := 0
	for i := range rec.unknown {
		u := rec.unknown[i]
		out, err := c.Transaction(w.t.Context(), u.id)
		if client.IsNotFound(err) {
			w.passed(c, u.until)
			out, err = c.Transaction(w.t.Context(), u.id)
		}
		if client.IsNotFound(err) {
			continue // it can never take effect
		}
		if err != nil {
			w.t.Fatal(err)
		}
		found++
		u.fill(w.net.Suite, out)
		rec.writes = append(rec.writes, u)
		rec.history = append(rec.history, porcupine.Operation{ClientId: callers + i, Input: u.ask, Output: u.answer, Call: u.call, Return: forever})
	}
	w.t.Logf("%d writes were never answered, %d of them took effect", len(rec.unknown), found)
}

// passed returns when whoever c asks has executed a block later than a wall time.
func (w *world) passed(c *client.Client, until ledger.Time) {
	w.t.Helper()
	w.poll("a block later than "+until.String(), func() error {
		b, err := c.Block(w.t.Context(), w.mustOpenScope(c).Height)
		if err == nil && b.Header.Wall <= until {
			err = fmt.Errorf("the newest is of %s", b.Header.Wall)
		}
		return err
	})
}

// checkReads replays the writes in the order of the ledger and compares every read with the state at its height.
func (w *world) checkReads(rec *recorder, base ledger.Height, money balances, initial [][]lot) {
	w.t.Helper()
	step := model(money, initial).Step
	states := make([]any, 1+len(initial))
	inOrder(rec.writes)
	slices.SortStableFunc(rec.reads, func(a, b read) int { return int(a.height) - int(b.height) })
	next := 0
	for _, r := range rec.reads {
		if r.height < base {
			w.t.Errorf("%s answered with a state of height %d, before the history began at %d", w.nodes[r.node].Name, r.height, base)
			continue
		}
		for ; next < len(rec.writes) && rec.writes[next].height <= r.height; next++ {
			x := &rec.writes[next]
			ok, state := step(states[x.ask.voucher], x.ask, x.answer)
			if !ok {
				w.t.Errorf("height %d, transaction %d: %+v cannot have been answered %+v", x.height, x.index, x.ask, x.answer)
			}
			states[x.ask.voucher] = state
		}
		if ok, _ := step(states[r.ask.voucher], r.ask, r.answer); !ok {
			w.t.Errorf("%s said of height %d (fresh %v): %+v was %+v, the state was %+v", w.nodes[r.node].Name, r.height, r.fresh, r.ask, r.answer,
				states[r.ask.voucher])
		}
	}
}
