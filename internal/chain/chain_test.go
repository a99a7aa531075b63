package chain_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

func open(t testing.TB, cfg chain.Config) *chain.Chain {
	t.Helper()
	c, err := chain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, c) })
	return c
}

func shut(t testing.TB, c *chain.Chain) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// scopeExists reads whether a scope stands in the executed state.
func scopeExists(t testing.TB, c *chain.Chain, path string) (exists bool) {
	t.Helper()
	err := c.Read(func(j *vm.Journal, _ chain.At) error {
		_, exists = vm.Load[ledger.ScopeRecord](j, ledger.ScopeKey(ledger.Scope(path)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return exists
}

func TestGenesisState(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Lab: true})
	c := n.Open(t)
	err := c.Read(func(j *vm.Journal, at chain.At) error {
		if at.Height != 0 || at.Time != chaintest.Start {
			t.Errorf("the genesis state is at %+v", at)
		}
		g, ok := vm.Load[ledger.Genesis](j, ledger.GenesisKey())
		if !ok || g.NetworkID(n.Suite) != n.ID {
			t.Error("the state does not hold the genesis")
		}
		p, ok := vm.Load[ledger.Party](j, ledger.PartyKey(n.Authority))
		if !ok || len(p.Members) != 3 {
			t.Errorf("the authority is %+v", p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := c.Progress(); p != (chain.Progress{Time: chaintest.Start, Wall: chaintest.Start}) {
		t.Errorf("progress of an empty chain: %+v", p)
	}
	if _, err := c.ProveState(ledger.ClockKey()); !errors.Is(err, chain.ErrNotProven) {
		t.Errorf("a state that no header covers: %v", err)
	}
	if h := c.Head().Header; h.Height != 0 || h.Network != n.ID {
		t.Errorf("the head of an empty chain is %+v", h)
	}
}

func TestTransactionTakesEffectAndIsFound(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	good := n.NewTx(n.OpenScope("/a"))
	raw := n.Sign(t, good, "authority.a")
	receipt := n.Submit(t, c, raw)
	if receipt.Code != ledger.CodeOK || !receipt.Final || receipt.Height != 1 || !scopeExists(t, c, "/a") {
		t.Fatalf("receipt %+v", receipt)
	}
	position, err := c.FindTx(good.Tx.ID(n.Suite))
	if err != nil || position != (chain.Position{Height: 1}) {
		t.Errorf("found at %+v, %v", position, err)
	}
	if spent, err := c.SpentBy(receipt.Tx); err != nil || !reflect.DeepEqual(spent, receipt) {
		t.Errorf("spent by %+v, %v", spent, err)
	}
	if _, err := c.FindAttempt(receipt.Signed); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a final receipt is an attempt: %v", err)
	}
	if again := n.Submit(t, c, n.Tx(t, []string{"authority.a"}, n.OpenScope("/a"))); again.Code != ledger.CodeScope || !again.Final {
		t.Errorf("the scope opened twice: %+v", again)
	}
	if _, err := c.Receipt(chain.Position{Height: 1, Index: 1}); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a receipt that does not exist: %v", err)
	}
	if _, err := c.Block(9); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a block that does not exist: %v", err)
	}
	if none, err := c.SpentBy(suite.Hash{1}); none != nil || err != nil {
		t.Errorf("an unknown id is spent by %+v, %v", none, err)
	}
}

func TestHalfSignedAttemptSpendsNothing(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	tx := n.NewTx(n.OpenScope("/a"))
	half := n.Sign(t, tx, "authority.m")
	attempt := n.Submit(t, c, half)
	if attempt.Code.Spends() || attempt.Final {
		t.Fatalf("a half signed attempt: %+v", attempt)
	}
	id := tx.Tx.ID(n.Suite)
	if spent, err := c.SpentBy(id); spent != nil || err != nil {
		t.Fatalf("it spent the id: %+v, %v", spent, err)
	}
	position, err := c.FindAttempt(attempt.Signed)
	if err != nil || position.Height != 1 {
		t.Fatalf("the attempt is at %+v, %v", position, err)
	}
	if full := n.Submit(t, c, n.Sign(t, tx, "authority.a")); full.Code != ledger.CodeOK || full.Tx != id {
		t.Fatalf("the complete transaction: %+v", full)
	}
}

func TestReplayIsRefusedAlsoAfterRestart(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	raw := n.Scope(t, "/a")
	first := n.Submit(t, c, raw)
	n.Clock.Advance(time.Second)
	if r := n.Submit(t, c, raw); r.Code != ledger.CodeReplay || r.Final {
		t.Fatalf("repeated at once: %+v", r)
	}
	if p, err := c.FindTx(first.Tx); err != nil || p.Height != 1 {
		t.Fatalf("the repetition hides the receipt: %+v, %v", p, err)
	}
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	n.Clock.Advance(4 * time.Minute)
	if r := n.Submit(t, c, raw); r.Code != ledger.CodeReplay {
		t.Fatalf("repeated after a restart: %+v", r)
	}
	n.Clock.Advance(2 * time.Minute)
	if r := n.Submit(t, c, raw); r.Code != ledger.CodeExpired {
		t.Fatalf("repeated after its window: %+v", r)
	}
}

// Blocks that change no state leave no trace in the state's log, so a restart executes them again, however old they are. What
// was spent before them must be known then, although it is long out of the window at the head.
func TestReplayOfOldQuietBlocksKnowsWhatWasSpentBeforeThem(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	tx := n.NewTx(n.OpenScope("/a"))
	tx.Tx.ValidUntil = n.Now() + ledger.TxWindowMax
	raw := n.Sign(t, tx, "authority.a")
	n.Submit(t, c, raw)
	n.Clock.Advance(time.Minute)
	n.Submit(t, c, raw)
	for range 5 {
		n.Clock.Advance(20 * time.Minute)
		if r := n.Submit(t, c, n.Tx(t, []string{"authority.m"}, n.OpenScope("/b"))); r.Code.Spends() {
			t.Fatalf("a transaction without effect has one: %+v", r)
		}
	}
	want, err := c.Receipts(2)
	if err != nil || want[0].Code != ledger.CodeReplay {
		t.Fatalf("receipts %+v, %v", want, err)
	}
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	if got, err := c.Receipts(2); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("after the restart the receipts are %+v, %v", got, err)
	}
	// A state that is lost altogether is made again too.
	shut(t, c)
	c = open(t, n.Config(t, blocks, kv.NewMemory()))
	if p, _ := c.Progress(); p.Executed != 7 || !scopeExists(t, c, "/a") {
		t.Fatalf("remade up to %+v", p)
	}
}

func TestQuietChainProvesItsLastTransactionAndRests(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	if tick, need, err := c.NeedTick(); need || err != nil || tick.Height != 1 {
		t.Fatalf("an empty chain asks for %+v, %t, %v", tick, need, err)
	}
	r := n.Submit(t, c, n.Scope(t, "/a"))
	if _, err := c.ProveReceipt(chain.Position{Height: r.Height, Index: r.Index}); !errors.Is(err, chain.ErrNotProven) {
		t.Fatalf("a receipt that no header covers: %v", err)
	}
	rows := state.Metrics().Writes
	if ticks := n.Rest(t, c); ticks != ledger.Lag {
		t.Fatalf("the chain rests after %d ticks, not %d", ticks, ledger.Lag)
	}
	if p, _ := c.Progress(); p.Proven != r.Height || p.Committed != r.Height+ledger.Lag {
		t.Fatalf("at rest the progress is %+v", p)
	}
	if got := state.Metrics().Writes; got != rows {
		t.Errorf("blocks without content wrote %d rows to the state", got-rows)
	}
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	if _, need, err := c.NeedTick(); need || err != nil {
		t.Fatalf("after a restart the chain does not rest: %v", err)
	}
	// A transaction without effect has a receipt, which is worth proving.
	n.Submit(t, c, n.Tx(t, []string{"authority.m"}, n.OpenScope("/b")))
	if ticks := n.Rest(t, c); ticks != ledger.Lag {
		t.Fatalf("after a failed transaction the chain rests after %d ticks", ticks)
	}
}

func TestLabClockShowsTwoBlocksLater(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Lab: true})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	offsets := map[ledger.Height]ledger.Time{0: n.Genesis.Offset()}
	check := func(b *ledger.Block) {
		t.Helper()
		err := c.Read(func(j *vm.Journal, at chain.At) error {
			record, _ := vm.Load[ledger.ClockRecord](j, ledger.ClockKey())
			offsets[at.Height] = record.Offset
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h := b.Header.Height
		if want := offsets[h-min(h, ledger.Lag)]; b.Header.Time-b.Header.Wall != want {
			t.Fatalf("block %d adds %d ms to wall time, the record of %d blocks before says %d", h, b.Header.Time-b.Header.Wall, ledger.Lag, want)
		}
	}
	to := chaintest.Start + 120*ledger.Day
	check(n.Commit(t, c, n.BatchRequest(n.Tx(t, []string{"clock"}, ledger.NewOp("", &ledger.ClockAdvance{To: to})))))
	for i := 0; ; i++ {
		tick, need, err := c.NeedTick()
		if err != nil {
			t.Fatal(err)
		}
		if !need {
			break
		}
		if i == 3 { // the clock goes on after a restart
			shut(t, c)
			c = open(t, n.Config(t, blocks, state))
		}
		n.Clock.Advance(time.Millisecond)
		check(n.Commit(t, c, chaintest.TickRequest(tick)))
	}
	if got := c.Head().Header.Time; got < to || got > to+ledger.Second {
		t.Fatalf("the clock came to rest at %s, not at %s", got, to)
	}
}

func TestWallTimeNeverGoesBack(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	n.Clock.Advance(time.Hour)
	n.Commit(t, c, n.BatchRequest(n.Scope(t, "/a")))
	before := c.Head().Header.Wall
	late := *n // another validator whose clock is an hour behind
	cfg := late.Config(t, kv.NewMemory(), kv.NewMemory())
	slow := chaintest.New(t, chaintest.Options{})
	cfg.Clock = slow.Clock
	other := open(t, cfg)
	if err := n.Import(t, other, c.Head()); err != nil {
		t.Fatal(err)
	}
	n.Wait(t, other, 1)
	b, err := other.Assemble(t.Context(), nil, 0, nil)
	if err != nil || b.Header.Wall != before {
		t.Fatalf("a proposer with a slow clock proposes %s after %s, %v", b.Header.Wall, before, err)
	}
	if err := c.Validate(t.Context(), b); err != nil {
		t.Error(err)
	}
}

func TestCommitWaitsWhileExecutionIsBehind(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	source := n.Open(t)
	var made []*ledger.Block
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e"} {
		made = append(made, n.Commit(t, source, n.BatchRequest(n.Scope(t, path))))
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
		release := make(chan struct{})
		cfg.OnExecuted = func(*ledger.Header, []ledger.Receipt) { <-release }
		c, err := chain.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range made {
			n.Hold(t, c, b)
		}
		var done ledger.Height
		go func() {
			for _, b := range made {
				if err := c.Commit(b); err != nil {
					t.Error(err)
				}
				done = b.Header.Height
			}
		}()
		synctest.Wait()
		// Height 1 is executed and being announced.
		if p, _ := c.Progress(); done != 3 || p.Committed != 3 || p.Executed != 1 {
			t.Errorf("with execution held up, %d commits returned, progress %+v", done, p)
		}
		release <- struct{}{}
		synctest.Wait()
		if p, _ := c.Progress(); done != 4 || p.Committed != 4 || p.Executed != 2 {
			t.Errorf("one block later %d commits have returned, progress %+v", done, p)
		}
		close(release)
		synctest.Wait()
		if p, _ := c.Progress(); p.Executed != 5 {
			t.Errorf("in the end the progress is %+v", p)
		}
		shut(t, c)
	})
}

func TestClosedChainRefuses(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := open(t, n.Config(t, kv.NewMemory(), kv.NewMemory()))
	b := n.Assemble(t, c, n.BatchRequest(n.Scope(t, "/a")))
	waiting := make(chan error)
	go func() { waiting <- c.WaitExecuted(context.Background(), 1) }()
	go func() { waiting <- c.WaitCommitted(context.Background(), 1) }()
	shut(t, c)
	for range 2 {
		if err := <-waiting; !errors.Is(err, chain.ErrClosed) {
			t.Errorf("a waiting caller is told %v", err)
		}
	}
	if err := c.Commit(b); !errors.Is(err, chain.ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if _, err := c.Assemble(t.Context(), nil, 0, nil); !errors.Is(err, chain.ErrClosed) {
		t.Errorf("assemble: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.WaitExecuted(ctx, 1); err == nil {
		t.Error("an ended context waits")
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	_, err := chain.Open(chain.Config{OpenBytesMax: -1})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("an empty configuration: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	registry := prometheus.NewRegistry()
	cfg := n.Config(t, kv.NewMemory(), kv.NewMemory())
	cfg.Registerer = registry
	c := open(t, cfg)
	n.Submit(t, c, n.Scope(t, "/a"))
	n.Submit(t, c, n.Tx(t, []string{"authority.m"}, n.OpenScope("/b")))
	waiting := n.Batch(n.Scope(t, "/c"))
	if _, _, err := c.Hold(waiting, n.Genesis.Validators[0].Key); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if got := values["aval_chain_open_batches_bytes"]; got < float64(len(waiting)) || got > 10*float64(len(waiting)) {
		t.Errorf("a batch of %d bytes takes %v in memory", len(waiting), got)
	}
	for name, want := range map[string]float64{
		"aval_chain_height": 2, "aval_chain_executed_height": 2, "aval_chain_transactions_total/OK": 1,
		"aval_chain_transactions_total/POLICY_UNMET": 1, "aval_chain_block_bytes": 2, "aval_chain_execution_seconds": 2,
		"aval_chain_loose_batches": 1, "aval_chain_loose_batches_bytes": float64(len(waiting)), "aval_chain_batch_fetches_total": 0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	shut(t, c)
	families, err = registry.Gather()
	if err != nil || len(families) > 0 {
		t.Errorf("a closed chain still has %d metrics, %v", len(families), err)
	}
}

func TestOnExecutedTellsEveryHeightOnceInOrder(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	cfg := n.Config(t, blocks, state)
	var told []ledger.Height
	cfg.OnExecuted = func(h *ledger.Header, receipts []ledger.Receipt) {
		told = append(told, h.Height)
		if len(receipts) != 1 || receipts[0].Height != h.Height {
			t.Errorf("height %d is told with %+v", h.Height, receipts)
		}
	}
	c := open(t, cfg)
	for _, path := range []string{"/a", "/b", "/c"} {
		n.Commit(t, c, n.BatchRequest(n.Scope(t, path)))
	}
	shut(t, c)
	c = open(t, cfg)
	n.Commit(t, c, n.BatchRequest(n.Scope(t, "/d")))
	shut(t, c)
	if !slices.Equal(told, []ledger.Height{1, 2, 3, 4}) {
		t.Errorf("told %v", told)
	}
}
