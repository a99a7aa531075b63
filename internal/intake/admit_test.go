package intake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"aval/codec"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

// forgedTx is a transaction whose one signature is not valid.
func (b *bench) forgedTx() []byte {
	tx := b.n.NewTx(b.n.OpenScope("/f"))
	tx.Tx.ValidUntil = b.chain.Now() + ledger.Minute
	b.n.Sign(b, tx, "authority.a")
	tx.Sigs[0].Sig[7] ^= 1
	return codec.MustMarshal(tx)
}

// says tells of each admission what became of it.
func says(admissions []intake.Admission) (out []string) {
	for _, a := range admissions {
		var failure *ledger.Failure
		switch {
		case errors.As(a.Err, &failure):
			out = append(out, failure.Code.String())
		case a.Err != nil || a.Ticket == nil:
			out = append(out, fmt.Sprint(a.Err))
		default:
			out = append(out, "admitted")
		}
	}
	return out
}

// One bad signature among good ones, in a transaction of several signers too, refuses that transaction alone.
func TestAdmitAllRefusesWhatIsBadAlone(t *testing.T) {
	under(t, nil, func(b *bench) {
		half := b.n.NewTx(b.n.OpenScope("/h"))
		b.n.Sign(b, half, "authority.m", "authority.c", "authority.a")
		half.Sigs[1].Sig[7] ^= 1
		known := b.tx("authority.a")
		ticket := b.admit(known)
		done := b.tx("authority.a")
		b.admit(done)
		b.execute(ledger.CodeOK, done)
		raws := [][]byte{b.tx("authority.m", "authority.c"), b.forgedTx(), b.tx("authority.a"), []byte("junk"), known, codec.MustMarshal(half), done, b.tx("authority.a")}
		got := b.in.AdmitAll(raws)
		want := []string{"admitted", "BAD_SIGNATURE", "admitted", "ENCODING", "admitted", "BAD_SIGNATURE", "admitted", "admitted"}
		if !slices.Equal(says(got), want) {
			b.Fatalf("%v, want %v", says(got), want)
		}
		for i, a := range got {
			if a.Ticket != nil && a.Ticket.Signed != b.n.Suite.Hash(ledger.DomainSignedTx, raws[i]) {
				b.Errorf("the answer for transaction %d is that of another", i)
			}
		}
		if got[4].Ticket != ticket || b.outcome(got[6].Ticket) != "OK" || b.in.Pending() != 4 {
			b.Errorf("what was known is not found; %d pending", b.in.Pending())
		}
		if got := b.in.AdmitAll(nil); len(got) != 0 {
			b.Errorf("of nothing, %v", says(got))
		}
	})
}

// A node that is full refuses before it verifies: whoever floods it costs it no verification.
func TestFullNodeVerifiesNothing(t *testing.T) {
	counted := &countingSuite{}
	under(t, func(c *intake.Config) {
		counted.Suite = c.Chain.Suite()
		c.Chain = countingChain{c.Chain, counted}
		c.PendingMax = 1
	}, func(b *bench) {
		b.admit(b.tx("authority.a"))
		before := counted.count()
		var failure *ledger.Failure
		if _, err := b.in.Admit(b.tx("authority.a")); !errors.As(err, &failure) || failure.Code != ledger.CodeBusy {
			b.Errorf("a full node says %v", err)
		}
		if got := counted.count(); before != 1 || got != before {
			b.Errorf("%d signatures were verified, then %d", before, got)
		}
	})
}

// Of a bulk for which there is room in part, no more is verified than there is room for. What was refused for its signature makes
// room again.
func TestBulkBeyondTheRoomIsNotVerified(t *testing.T) {
	counted := &countingSuite{}
	under(t, func(c *intake.Config) {
		counted.Suite = c.Chain.Suite()
		c.Chain = countingChain{c.Chain, counted}
		c.PendingMax = 5
	}, func(b *bench) {
		known := b.tx("authority.a")
		b.admit(known)
		before := counted.count()
		raws := [][]byte{b.forgedTx(), known}
		want := []string{"BAD_SIGNATURE", "admitted", "admitted", "admitted", "admitted", "BUSY", "BUSY", "admitted", "BUSY"}
		for range 5 {
			raws = append(raws, b.tx("authority.a"))
		}
		raws = append(raws, known, b.tx("authority.a"))
		if got := says(b.in.AdmitAll(raws)); !slices.Equal(got, want) {
			b.Fatalf("%v, want %v", got, want)
		}
		if got := counted.count() - before; got != 4 {
			b.Errorf("%d signatures were verified, there was room for 4 transactions", got)
		}
		if l := b.in.Load(); l.Busy != 3 || l.Pending != 4 {
			b.Errorf("the load is %+v", l)
		}
		if got := says(b.in.AdmitAll(raws[5:7])); !slices.Equal(got, []string{"admitted", "BUSY"}) {
			b.Errorf("after that, %v", got)
		}
	})
}

// countingSuite counts the signatures that it verifies in batches.
type countingSuite struct {
	suite.Suite
	mu       sync.Mutex
	verified int
}

func (s *countingSuite) VerifyBatch(items []suite.Signed) []bool {
	s.mu.Lock()
	s.verified += len(items)
	s.mu.Unlock()
	return s.Suite.VerifyBatch(items)
}

func (s *countingSuite) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verified
}

type countingChain struct {
	intake.Chain
	suite suite.Suite
}

func (c countingChain) Suite() suite.Suite { return c.suite }

// Many admit at once, good and bad mixed: everybody gets the answers to their own, in order.
func TestAdmitAllAtOnce(t *testing.T) {
	under(t, func(c *intake.Config) { c.FlightsMax = 1 }, func(b *bench) {
		b.order = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		const callers, each = 12, 24
		var raws [callers][][]byte
		var want [callers][]string
		for i := range raws {
			for k := range each {
				if (i+k)%5 == 0 {
					raws[i], want[i] = append(raws[i], b.forgedTx()), append(want[i], "BAD_SIGNATURE")
				} else {
					raws[i], want[i] = append(raws[i], b.tx("authority.a")), append(want[i], "admitted")
				}
			}
		}
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if got := says(b.in.AdmitAll(raws[i])); !slices.Equal(got, want[i]) {
					b.Errorf("caller %d: %v, want %v", i, got, want[i])
				}
			})
		}
		wg.Wait()
	})
}
