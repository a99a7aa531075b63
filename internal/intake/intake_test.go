package intake_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/codec"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/exec"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

// fakeChain is what intake sees of a chain. Its clock is the machine's, which stands still in a test of synctest.
type fakeChain struct {
	n     *chaintest.Network
	begin time.Time

	mu    sync.Mutex
	epoch uint64
	spent map[suite.Hash]*ledger.Receipt
	held  map[suite.Hash][]byte
	err   error
	// ahead is how far the wall clock is off.
	ahead ledger.Time
}

func newFakeChain(n *chaintest.Network) *fakeChain {
	return &fakeChain{n: n, begin: time.Now(), spent: map[suite.Hash]*ledger.Receipt{}, held: map[suite.Hash][]byte{}}
}

func (c *fakeChain) Suite() suite.Suite  { return c.n.Suite }
func (c *fakeChain) Network() suite.Hash { return c.n.ID }
func (c *fakeChain) Now() ledger.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return chaintest.Start + c.ahead + ledger.Time(time.Since(c.begin).Milliseconds())
}

// set sets how far the wall clock is off.
func (c *fakeChain) set(ahead ledger.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}

func (c *fakeChain) Epoch() (uint64, ledger.ValidatorSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch, c.n.Genesis.Validators
}

func (c *fakeChain) Genesis() *ledger.Genesis { return c.n.Genesis }

func (c *fakeChain) Hold(body []byte, origin suite.PublicKey) (suite.Hash, *ledger.BatchHead, error) {
	head, _, err := ledger.ReadBatch(c.n.Suite, body)
	if err != nil {
		return suite.Hash{}, nil, err
	}
	if string(head.Origin) != string(origin) {
		return suite.Hash{}, nil, errors.New("a batch of another origin")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[head.Digest(c.n.Suite)] = body
	return head.Digest(c.n.Suite), head, c.err
}

func (c *fakeChain) HoldOwn(batch *ledger.Batch, body []byte, txs []exec.Tx, _ bool) (suite.Hash, *ledger.BatchHead, error) {
	for i := range txs {
		if raw := codec.MustMarshal(txs[i].Body); string(raw) != string(batch.Txs[i]) {
			return suite.Hash{}, nil, errors.New("a decoded transaction is not the encoded one")
		}
	}
	return c.Hold(body, batch.Origin)
}

func (c *fakeChain) VerifyHeld(digest suite.Hash) error {
	c.mu.Lock()
	body, ok := c.held[digest]
	c.mu.Unlock()
	if !ok {
		return errors.New("no such batch is held")
	}
	_, txs, err := ledger.ReadBatch(c.n.Suite, body)
	if err != nil {
		return err
	}
	for _, tx := range txs {
		if err := tx.VerifySignatures(c.n.Suite); err != nil {
			return err
		}
	}
	return nil
}

// batch returns the bytes of a batch that is held.
func (c *fakeChain) batch(digest suite.Hash) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, ok := c.held[digest]
	return string(body), ok
}

func (c *fakeChain) Spent(id suite.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spent[id] != nil || c.err != nil
}

func (c *fakeChain) SpentBy(id suite.Hash) (*ledger.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spent[id], c.err
}

// bench is an intake under test with what it hands to ordering.
type bench struct {
	*testing.T
	n     *chaintest.Network
	chain *fakeChain
	in    *intake.Intake

	mu       sync.Mutex
	orders   []order
	order    func(ctx context.Context, attempt int) error // nil takes every batch
	push     func(ctx context.Context, validator uint16, push []byte) ([]byte, error)
	attempts map[suite.Hash]int
	height   ledger.Height
}

// order is a batch that was handed in, by its certificate.
type order struct {
	batch   *ledger.Batch
	cert    *ledger.BatchCertificate
	body    string
	attempt int
}

// under runs fn with an intake in a bubble of synctest, where time passes only while everybody waits, and no goroutine may
// be left in the end. The intake is that of a validator alone.
func under(t *testing.T, change func(*intake.Config), fn func(b *bench)) {
	t.Helper()
	underNetwork(t, chaintest.New(t, chaintest.Options{}), change, fn)
}

// underNetwork is under for the first validator of a network.
func underNetwork(t *testing.T, n *chaintest.Network, change func(*intake.Config), fn func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, n: n, chain: newFakeChain(n), attempts: map[suite.Hash]int{}}
		cfg := intake.Config{Chain: b.chain, Signer: n.Signer("validator-0"), Order: b.take, Clock: clock.Real(),
			Push: func(ctx context.Context, validator uint16, push []byte) ([]byte, error) {
				return b.push(ctx, validator, push)
			},
			Logger: slog.New(slog.DiscardHandler)}
		if change != nil {
			change(&cfg)
		}
		var err error
		if b.in, err = intake.New(cfg); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(b.in.Close(), b.in.Close()); err != nil {
				t.Error(err)
			}
		}()
		fn(b)
	})
}

func (b *bench) take(ctx context.Context, request []byte) error {
	o, err := b.read(request)
	if err != nil {
		b.Errorf("what is handed in nobody takes: %v", err)
		return err
	}
	b.mu.Lock()
	digest := o.cert.Head.Digest(b.n.Suite)
	o.attempt = b.attempts[digest]
	b.attempts[digest]++
	b.orders = append(b.orders, *o)
	fn := b.order
	b.mu.Unlock()
	if fn != nil {
		return fn(ctx, o.attempt)
	}
	return nil
}

// read reads an ordering request as validators do, and looks up the batch that it certifies.
func (b *bench) read(request []byte) (*order, error) {
	r, err := ledger.DecodeOrderingRequest(request)
	if err != nil {
		return nil, err
	}
	if r.Kind != ledger.RequestCertificate {
		return nil, fmt.Errorf("a request of kind %d", r.Kind)
	}
	o := &order{}
	if o.cert, err = ledger.DecodeBatchCertificate(r.Body); err != nil {
		return nil, err
	}
	if err := o.cert.Verify(b.n.Suite, b.n.ID, b.n.Genesis.Validators, b.n.Genesis.Params.VerifyQuorum); err != nil {
		return nil, err
	}
	body, ok := b.chain.batch(o.cert.Head.Digest(b.n.Suite))
	if !ok {
		return nil, errors.New("the batch is not held here")
	}
	o.body = body
	o.batch, err = ledger.DecodeBatch([]byte(body))
	return o, err
}

// ordered waits until nothing moves and returns the batches handed in since it was last called.
func (b *bench) ordered() []order {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.orders
	b.orders = nil
	return out
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) { <-time.After(d) }

func (b *bench) tx(signers ...string) []byte {
	tx := b.n.NewTx(b.n.OpenScope("/a"))
	tx.Tx.ValidUntil = b.chain.Now() + 5*ledger.Minute
	return b.n.Sign(b, tx, signers...)
}

func (b *bench) admit(raw []byte) *intake.Ticket {
	b.Helper()
	t, err := b.in.Admit(raw)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

// execute makes a block of transactions with a code each.
func (b *bench) execute(code ledger.Code, raws ...[]byte) {
	b.Helper()
	b.height++
	var receipts []ledger.Receipt
	for i, raw := range raws {
		tx, err := ledger.DecodeSignedTx(raw)
		if err != nil {
			b.Fatal(err)
		}
		r := ledger.Receipt{Height: b.height, Index: uint32(i), Tx: tx.Tx.ID(b.n.Suite), Signed: b.n.Suite.Hash(ledger.DomainSignedTx, raw),
			Code: code, Final: code.Spends()}
		receipts = append(receipts, r)
		if r.Final {
			b.chain.mu.Lock()
			b.chain.spent[r.Tx] = &r
			b.chain.mu.Unlock()
		}
	}
	b.in.Executed(&ledger.Header{Height: b.height, Wall: b.chain.Now()}, receipts)
	synctest.Wait()
}

// outcome returns what a ticket says by now.
func (b *bench) outcome(t *intake.Ticket) string {
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := t.Wait(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		return "waits"
	case err != nil:
		return err.Error()
	}
	return r.Code.String()
}

// sizes returns how many transactions the batches have, sorted: each is handed in by a goroutine of its own.
func sizes(orders []order) (out []int) {
	for _, o := range orders {
		out = append(out, len(o.batch.Txs))
	}
	slices.Sort(out)
	return out
}

func TestLoneTransactionLeavesAtOnce(t *testing.T) {
	under(t, nil, func(b *bench) {
		begin := time.Now()
		raw := b.tx("authority.a")
		ticket := b.admit(raw)
		got := b.ordered()
		if len(got) != 1 || len(got[0].batch.Txs) != 1 || string(got[0].batch.Txs[0]) != string(raw) || time.Since(begin) != 0 {
			b.Fatalf("after %s the batches are %v", time.Since(begin), sizes(got))
		}
		if batch := got[0].batch; string(batch.Origin) != string(b.n.Genesis.Validators[0].Key) || batch.Wall != chaintest.Start || batch.Epoch != 0 {
			b.Errorf("the batch is %+v", batch)
		}
		if b.outcome(ticket) != "waits" || b.in.Pending() != 1 {
			b.Errorf("unordered, it %s; %d pending", b.outcome(ticket), b.in.Pending())
		}
		b.execute(ledger.CodeOK, raw)
		if b.outcome(ticket) != "OK" || b.in.Pending() != 0 {
			b.Errorf("executed, it says %s; %d pending", b.outcome(ticket), b.in.Pending())
		}
	})
}

func TestBatchesFormWhileOthersAreUnderWay(t *testing.T) {
	under(t, func(c *intake.Config) { c.BatchTxs = 4 }, func(b *bench) {
		first := b.tx("authority.a")
		b.admit(first)
		b.ordered()
		var raws [][]byte
		add := func(k int) {
			for range k {
				raws = append(raws, b.tx("authority.a"))
				b.admit(raws[len(raws)-1])
			}
		}
		add(3)
		b.pass(9 * time.Millisecond)
		if got := b.ordered(); len(got) != 0 {
			b.Fatalf("before their age they leave as %v", sizes(got))
		}
		b.pass(time.Millisecond)
		if got := b.ordered(); !slices.Equal(sizes(got), []int{3}) {
			b.Fatalf("at their age they leave as %v", sizes(got))
		}
		add(9) // two full batches leave at once, the rest grows old
		if got := sizes(b.ordered()); !slices.Equal(got, []int{4, 4}) {
			b.Fatalf("nine leave as %v", got)
		}
		b.execute(ledger.CodeOK, first)
		b.execute(ledger.CodeOK, raws[:7]...)
		if got := sizes(b.ordered()); len(got) != 0 {
			b.Fatalf("with a batch under way the rest leaves as %v", got)
		}
		b.execute(ledger.CodeOK, raws[7:11]...)
		if got := sizes(b.ordered()); !slices.Equal(got, []int{1}) {
			b.Fatalf("with nothing under way the next leaves as %v", got)
		}
	})
}

func TestFullBytesCloseABatch(t *testing.T) {
	under(t, func(c *intake.Config) { c.BatchBytes = 1500 }, func(b *bench) {
		b.admit(b.tx("authority.a"))
		b.ordered()
		size := len(b.tx("authority.a")) + 5
		for range 2 * (1500/size + 1) {
			b.admit(b.tx("authority.a"))
		}
		if got := sizes(b.ordered()); !slices.Equal(got, []int{1500/size + 1, 1500/size + 1}) {
			b.Fatalf("transactions of %d bytes leave as %v", size, got)
		}
	})
}

// With many batches under way and none executed, transactions wait for room, full batch or not.
func TestBatchesUnderWayAreBounded(t *testing.T) {
	under(t, func(c *intake.Config) { c.FlightsMax, c.BatchTxs = 3, 5 }, func(b *bench) {
		var raws [][]byte
		add := func() {
			raws = append(raws, b.tx("authority.a"))
			b.admit(raws[len(raws)-1])
			b.pass(20 * time.Millisecond)
		}
		for range 7 {
			add()
		}
		if got := sizes(b.ordered()); !slices.Equal(got, []int{1, 1, 1}) {
			b.Fatalf("seven leave as %v", got)
		}
		add()
		add()
		if got := sizes(b.ordered()); len(got) != 0 {
			b.Fatalf("without room, a full batch leaves as %v", got)
		}
		b.execute(ledger.CodeOK, raws[0], raws[1])
		if got := sizes(b.ordered()); !slices.Equal(got, []int{1, 5}) {
			b.Fatalf("with room again, the rest leaves as %v", got)
		}
	})
}

func TestAdmitIsIdempotent(t *testing.T) {
	under(t, nil, func(b *bench) {
		raw := b.tx("authority.a")
		ticket := b.admit(raw)
		if again := b.admit(slices.Clone(raw)); again != ticket {
			b.Error("the same bytes get another ticket")
		}
		orders := b.ordered()
		b.execute(ledger.CodeOK, raw)
		later := b.admit(raw)
		if len(orders) != 1 || len(b.ordered()) != 0 || b.outcome(later) != "OK" || b.in.Pending() != 0 {
			b.Errorf("admitted three times, it was ordered %d times and says %s", len(orders), b.outcome(later))
		}
		b.pass(time.Hour) // and so for ever
		if b.outcome(b.admit(raw)) != "OK" {
			b.Error("an hour later the receipt is not found")
		}
	})
}

// The caller's buffer may be used again as soon as Admit returns.
func TestAdmitCopies(t *testing.T) {
	under(t, nil, func(b *bench) {
		raw := b.tx("authority.a")
		kept := string(raw)
		b.admit(raw)
		clear(raw)
		if got := b.ordered(); len(got) != 1 || string(got[0].batch.Txs[0]) != kept {
			b.Error("the batch carries what the buffer holds now")
		}
	})
}

func TestUnorderedBatchIsHandedInAgain(t *testing.T) {
	under(t, nil, func(b *bench) {
		b.order = func(_ context.Context, attempt int) error {
			if attempt == 1 {
				return errors.New("nobody there")
			}
			return nil
		}
		raw := b.tx("authority.a")
		b.admit(raw)
		first := b.ordered()
		b.pass(900 * time.Millisecond)
		if got := b.ordered(); len(got) != 0 {
			b.Fatalf("handed in again after 0.9 s")
		}
		b.pass(6800 * time.Millisecond) // 1 s, 2 s and 4 s after the one before
		got := b.ordered()
		if len(got) != 3 {
			b.Fatalf("within 7.7 s handed in again %d times", len(got))
		}
		for i, o := range got {
			if o.attempt != i+1 || o.body != first[0].body {
				b.Errorf("attempt %d hands in attempt %d, the same batch: %t", i+1, o.attempt, o.body == first[0].body)
			}
		}
		b.execute(ledger.CodeOK, raw)
		b.pass(10 * time.Second)
		if got := b.ordered(); len(got) != 0 {
			b.Error("an executed batch is handed in again")
		}
	})
}

// An engine may have dropped a batch for good. Its transactions come in another, soon enough to make room.
func TestBatchThatIsNeverOrderedIsMadeAnew(t *testing.T) {
	under(t, func(c *intake.Config) { c.FlightsMax = 1 }, func(b *bench) {
		lost, waiting := b.tx("authority.a"), b.tx("authority.a")
		b.admit(lost)
		b.pass(time.Millisecond)
		b.admit(waiting)
		b.pass(32 * time.Second)
		digests := map[suite.Hash]int{}
		for _, o := range b.ordered() {
			digests[o.cert.Head.Digest(b.n.Suite)]++
			if len(digests) == 2 && len(o.batch.Txs) != 2 {
				b.Errorf("the second batch has %d transactions", len(o.batch.Txs))
			}
		}
		if len(digests) != 2 {
			b.Errorf("within 32 s there are %d batches", len(digests))
		}
	})
}

func TestHangingOrderIsNotDoubledAndEnds(t *testing.T) {
	under(t, nil, func(b *bench) {
		b.order = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		b.admit(b.tx("authority.a"))
		b.pass(9 * time.Second)
		if got := b.ordered(); len(got) != 1 {
			b.Fatalf("while one attempt hangs there are %d", len(got))
		}
		b.pass(2 * time.Second)
		if got := b.ordered(); len(got) != 1 || got[0].attempt != 1 {
			b.Fatalf("after ten times ResendAfter there are %d more", len(got))
		}
	})
}

func TestBusyWhenFull(t *testing.T) {
	const room = 1100
	for name, change := range map[string]func(*intake.Config){
		"by count": func(c *intake.Config) { c.PendingMax = 3 },
		"by bytes": func(c *intake.Config) { c.PendingBytesMax = room },
	} {
		under(t, change, func(b *bench) {
			var raws [][]byte
			var failure *ledger.Failure
			for len(raws) < 10 {
				raw := b.tx("authority.a")
				if _, err := b.in.Admit(raw); errors.As(err, &failure) {
					break
				}
				raws = append(raws, raw)
			}
			if failure == nil || failure.Code != ledger.CodeBusy || len(raws) != map[string]int{"by count": 3, "by bytes": room / len(raws[0])}[name] {
				b.Fatalf("%s: after %d the refusal is %v", name, len(raws), failure)
			}
			b.admit(raws[0]) // what is known needs no room
			b.execute(ledger.CodeOK, raws[1])
			b.admit(b.tx("authority.a"))
		})
	}
}

// A clock alone says nothing about what a block may hold that was proposed in time and is decided late. Only a later block
// does.
func TestNotIncludedOnceABlockIsLater(t *testing.T) {
	under(t, nil, func(b *bench) {
		raw := b.tx("authority.a")
		ticket := b.admit(raw)
		b.pass(6 * time.Minute)
		if got := b.outcome(ticket); got != "waits" {
			b.Fatalf("while the network stands still, after its window it says %s", got)
		}
		b.execute(ledger.CodeOK)
		b.pass(200 * time.Millisecond)
		if _, err := ticket.Wait(context.Background()); !errors.Is(err, intake.ErrNotIncluded) {
			b.Fatalf("after a later block it says %v", err)
		}
		var failure *ledger.Failure
		if _, err := b.in.Admit(raw); !errors.As(err, &failure) || failure.Code != ledger.CodeWindow || !strings.Contains(failure.Message, "never take effect") {
			b.Errorf("submitted again: %v", err)
		}
		b.ordered()
		b.pass(time.Minute)
		if got := b.ordered(); len(got) != 0 {
			b.Errorf("given up, it is handed in %d more times", len(got))
		}
	})
}

func TestBlockWithinTheWindowGivesNothingUp(t *testing.T) {
	under(t, nil, func(b *bench) {
		raw := b.tx("authority.a")
		ticket := b.admit(raw)
		b.pass(5 * time.Minute) // exactly valid_until
		b.execute(ledger.CodeOK)
		b.pass(200 * time.Millisecond)
		if got := b.outcome(ticket); got != "waits" {
			b.Fatalf("a block at valid_until settles it: %s", got)
		}
		b.execute(ledger.CodeOK, raw)
		if got := b.outcome(ticket); got != "OK" {
			b.Fatalf("included at last, it says %s", got)
		}
	})
}

// Another attempt under the same id, submitted elsewhere, took effect: that is what became of the transaction.
func TestOtherAttemptsReceiptIsGiven(t *testing.T) {
	under(t, nil, func(b *bench) {
		tx := b.n.NewTx(b.n.OpenScope("/a"))
		tx.Tx.ValidUntil = b.chain.Now() + ledger.Minute
		one := b.n.Sign(t, tx, "authority.a")
		two := b.n.Sign(t, tx, "authority.c")
		never, replayed := b.admit(one), b.admit(b.n.Sign(t, tx, "authority.m"))
		b.execute(ledger.CodeOK, two)
		if got := b.outcome(replayed); got != "waits" {
			b.Fatalf("it says %s", got)
		}
		b.execute(ledger.CodeReplay, b.n.Sign(t, tx, "authority.m"))
		if got := b.outcome(replayed); got != "OK" {
			b.Errorf("the repetition says %s", got)
		}
		b.pass(2 * time.Minute)
		b.execute(ledger.CodeOK)
		b.pass(200 * time.Millisecond)
		if got := b.outcome(never); got != "OK" {
			b.Errorf("the attempt that was never included says %s", got)
		}
		lost := b.tx("authority.a")
		ticket := b.admit(lost)
		b.execute(ledger.CodeReplay, lost)
		if got := b.outcome(ticket); got != "REPLAY" {
			b.Errorf("a repetition of something unknown says %s", got)
		}
		failing := b.tx("authority.a")
		ticket = b.admit(failing)
		b.chain.mu.Lock()
		b.chain.err = errors.New("the disk is gone")
		b.chain.mu.Unlock()
		b.execute(ledger.CodeReplay, failing)
		if got := b.outcome(ticket); got != "the disk is gone" {
			b.Errorf("with the store gone it says %s", got)
		}
	})
}

func TestUnmetAttemptSettlesAndMayBeRetried(t *testing.T) {
	under(t, nil, func(b *bench) {
		tx := b.n.NewTx(b.n.OpenScope("/a"))
		half := b.n.Sign(t, tx, "authority.m")
		ticket := b.admit(half)
		orders := b.ordered()
		b.execute(ledger.CodePolicyUnmet, half)
		if got := b.outcome(ticket); got != "POLICY_UNMET" {
			b.Fatalf("half signed, it says %s", got)
		}
		// The same bytes again are a new attempt, in a batch that is not taken for the first although no time has passed.
		again := b.admit(half)
		orders = append(orders, b.ordered()...)
		if again == ticket || len(orders) != 2 || orders[0].body == orders[1].body {
			b.Fatalf("retried in %d batches", len(orders))
		}
		full := b.n.Sign(t, tx, "authority.a")
		complete := b.admit(full)
		b.execute(ledger.CodePolicyUnmet, half)
		b.execute(ledger.CodeOK, full)
		if b.outcome(again) != "POLICY_UNMET" || b.outcome(complete) != "OK" {
			b.Errorf("retried: %s; complete: %s", b.outcome(again), b.outcome(complete))
		}
	})
}

// A batch that has grown too old, or whose epoch is over, can no longer be ordered. What is open in it goes into another,
// so that the network says for certain what became of it.
func TestBatchThatCannotBeOrderedIsMadeAnew(t *testing.T) {
	under(t, nil, func(b *bench) {
		done, open := b.tx("authority.a"), b.tx("authority.a")
		ticket := b.admit(done)
		b.admit(open)
		b.pass(time.Second)
		first := b.ordered()
		b.execute(ledger.CodeOK, done)
		b.pass(17 * time.Minute)
		got := b.ordered()
		last := got[len(got)-1]
		if last.body == first[len(first)-1].body || len(last.batch.Txs) != 1 || last.batch.Wall < chaintest.Start+15*ledger.Minute {
			b.Fatalf("after 17 minutes the batch is still that of %s", last.batch.Wall)
		}
		b.execute(ledger.CodeExpired, open)
		if b.outcome(ticket) != "OK" || b.in.Pending() != 0 {
			b.Errorf("%d are pending", b.in.Pending())
		}
		raw := b.tx("authority.a")
		b.admit(raw)
		b.ordered()
		b.chain.mu.Lock()
		b.chain.epoch = 1
		b.chain.mu.Unlock()
		b.pass(time.Second)
		if got := b.ordered(); len(got) != 1 || got[0].batch.Epoch != 1 || string(got[0].batch.Txs[0]) != string(raw) {
			b.Errorf("in the next epoch %d batches are handed in", len(got))
		}
	})
}

func TestCloseTellsWhoWaits(t *testing.T) {
	under(t, nil, func(b *bench) {
		b.order = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		var waits []chan error
		for range 5 {
			ticket := b.admit(b.tx("authority.a"))
			wait := make(chan error, 1)
			waits = append(waits, wait)
			go func() {
				_, err := ticket.Wait(context.Background())
				wait <- err
			}()
		}
		synctest.Wait()
		if err := b.in.Close(); err != nil {
			b.Fatal(err)
		}
		for _, wait := range waits {
			if err := <-wait; !errors.Is(err, intake.ErrClosed) {
				b.Errorf("told %v", err)
			}
		}
		if _, err := b.in.Admit(b.tx("authority.a")); !errors.Is(err, intake.ErrClosed) {
			b.Errorf("a closed intake says %v", err)
		}
		b.in.Executed(&ledger.Header{}, nil)
	})
}

func TestRefusals(t *testing.T) {
	other := chaintest.New(t, chaintest.Options{Name: " other"})
	under(t, nil, func(b *bench) {
		forged := b.n.NewTx(b.n.OpenScope("/a"))
		b.n.Sign(t, forged, "authority.a")
		forged.Sigs[0].Sig[7] ^= 1
		unsigned := b.n.NewTx(b.n.OpenScope("/a"))
		at := func(until ledger.Time) []byte {
			tx := b.n.NewTx(b.n.OpenScope("/a"))
			tx.Tx.ValidUntil = until
			return b.n.Sign(t, tx, "authority.a")
		}
		for _, tc := range []struct {
			what string
			raw  []byte
			want ledger.Code
		}{
			{"nothing", nil, ledger.CodeEncoding},
			{"zeros", make([]byte, 1000), ledger.CodeEncoding},
			{"a byte too many", append(b.tx("authority.a"), 0), ledger.CodeEncoding},
			{"too large", make([]byte, ledger.TxBytesMax+1), ledger.CodeTooLarge},
			{"another network", other.Scope(t, "/a"), ledger.CodeNetwork},
			{"no signature", codec.MustMarshal(unsigned), ledger.CodeSignature},
			{"a forged signature", codec.MustMarshal(forged), ledger.CodeSignature},
			{"too late, as far as is known", at(b.chain.Now() - 1), ledger.CodeWindow},
			{"too far ahead", at(b.chain.Now() + ledger.TxWindowMax + 1), ledger.CodeWindow},
		} {
			var failure *ledger.Failure
			if _, err := b.in.Admit(tc.raw); !errors.As(err, &failure) || failure.Code != tc.want {
				b.Errorf("%s: %v, want %s", tc.what, err, tc.want)
			}
		}
		for _, until := range []ledger.Time{b.chain.Now(), b.chain.Now() + ledger.TxWindowMax} {
			b.admit(at(until))
		}
		b.chain.mu.Lock()
		b.chain.err = errors.New("the disk is gone")
		b.chain.mu.Unlock()
		if _, err := b.in.Admit(b.tx("authority.a")); !errors.Is(err, b.chain.err) {
			b.Errorf("with the store gone: %v", err)
		}
	})
}

// The largest batches that the configuration allows are batches that validators take.
func TestLargestBatchesAreWithinTheProtocolsBounds(t *testing.T) {
	const most = ledger.BatchBytesMax - ledger.TxBytesMax - 5 - 256
	if err := (&intake.Config{BatchBytes: most + 1}).Validate(); err == nil || !strings.Contains(err.Error(), "BatchBytes must be") {
		t.Errorf("one byte more: %v", err)
	}
	under(t, func(c *intake.Config) { c.BatchTxs, c.BatchBytes = ledger.BatchTxsMax, most }, func(b *bench) {
		b.admit(b.tx("authority.a"))
		b.ordered()
		note := strings.Repeat("x", ledger.TextBytesMax)
		for count := 0; len(b.orders) == 0 && count < 200; count++ {
			ops := make([]ledger.Op, ledger.TxOpsMax)
			for i := range ops {
				ops[i] = ledger.NewOp(b.n.Authority, &ledger.MemberRevoke{Key: make([]byte, 900), Reason: note})
			}
			b.admit(b.n.Tx(t, []string{"authority.a"}, ops...))
			synctest.Wait() // full batches leave; no time passes
		}
		orders := b.ordered()
		if len(orders) != 1 || len(orders[0].body) < most {
			b.Fatalf("%d batches", len(orders))
		}
	})
}

func TestConfigReportsEveryProblem(t *testing.T) {
	_, err := intake.New(intake.Config{BatchTxs: -1, BatchBytes: -1, BatchAge: -1})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("a bad configuration: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	under(t, func(c *intake.Config) { c.Registerer = registry }, func(b *bench) {
		raw := b.tx("authority.a")
		b.admit(raw)
		b.admit(raw)
		if _, err := b.in.Admit(nil); err == nil {
			b.Error("nothing is admitted")
		}
		b.pass(1100 * time.Millisecond)
		b.ordered()
		families, err := registry.Gather()
		if err != nil {
			b.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += "/" + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		want := map[string]float64{"aval_intake_admitted_total": 2, "aval_intake_batches_total": 1, "aval_intake_resent_total": 1, "aval_intake_verify_escalated_total": 0,
			"aval_intake_refused_total/ENCODING": 1, "aval_intake_pending": 1, "aval_intake_pending_bytes": float64(len(raw)), "aval_intake_flights": 1}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			b.Errorf("metrics %v, want %v", got, want)
		}
		if err := b.in.Close(); err != nil {
			b.Error(err)
		}
		if families, err = registry.Gather(); err != nil || len(families) != 0 {
			b.Errorf("a closed intake still has %d metrics, %v", len(families), err)
		}
	})
}

// Many submit and wait at once while blocks of whatever was handed in are executed. Everybody is told, once.
func TestManyAtOnce(t *testing.T) {
	under(t, func(c *intake.Config) { c.BatchTxs = 16 }, func(b *bench) {
		const clients, each = 16, 20
		var raws [clients][each][]byte
		for i := range clients {
			for k := range each {
				raws[i][k] = b.tx("authority.a")
			}
		}
		b.order = func(context.Context, int) error { // everything is executed at once, by whoever hands it in
			b.mu.Lock()
			defer b.mu.Unlock()
			o := b.orders[len(b.orders)-1]
			b.height++
			var receipts []ledger.Receipt
			for i, raw := range o.batch.Txs {
				receipts = append(receipts, ledger.Receipt{Index: uint32(i), Signed: b.n.Suite.Hash(ledger.DomainSignedTx, raw), Final: true})
			}
			b.in.Executed(&ledger.Header{Height: b.height, Wall: b.chain.Now()}, receipts)
			return nil
		}
		var wg sync.WaitGroup
		for i := range clients {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for k := range each {
					ticket, err := b.in.Admit(raws[i][k])
					if err != nil {
						b.Error(err)
						return
					}
					if r, err := ticket.Wait(context.Background()); err != nil || r.Signed != ticket.Signed {
						b.Errorf("client %d, transaction %d: %v", i, k, err)
					}
				}
			}()
		}
		wg.Wait()
		if b.in.Pending() != 0 {
			b.Errorf("%d are pending in the end", b.in.Pending())
		}
	})
}

// A clock that was wrong for a while does not keep a node from batching once it is right again: what was batched meanwhile is batched
// anew at once, and new batches have the right time.
func TestClockSetBack(t *testing.T) {
	for _, ahead := range []ledger.Time{2 * ledger.Hour, -2 * ledger.Hour} {
		under(t, nil, func(b *bench) {
			b.chain.set(ahead)
			tx := b.n.NewTx(b.n.OpenScope("/a"))
			tx.Tx.ValidUntil = b.chain.Now() + 5*ledger.Minute
			if _, err := b.in.Admit(b.n.Sign(b, tx, "authority.a")); err != nil {
				b.Fatal(err)
			}
			synctest.Wait()
			b.chain.set(0)
			<-time.After(200 * time.Millisecond)
			synctest.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.orders) < 2 {
				b.Fatalf("handed in %d times", len(b.orders))
			}
			last := b.orders[len(b.orders)-1].batch
			if off := last.Wall - b.chain.Now(); off > ledger.Second || off < -ledger.Second || len(last.Txs) != 1 {
				b.Fatalf("%d transactions in a batch of %s, it is %s", len(last.Txs), last.Wall, b.chain.Now())
			}
		})
	}
}
