package intake_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/chain/chaintest"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

// pusher answers a push in the place of one validator.
type pusher func(ctx context.Context, push []byte) ([]byte, error)

// peers are the other validators of a network of four, honest unless replaced.
type peers struct {
	b *bench

	mu      sync.Mutex
	answers [4]pusher
	// verify says how often each was asked to verify, plain how often only to hold.
	verify, plain [4]int
}

// amongFour runs fn with the intake of the first of four validators.
func amongFour(t *testing.T, change func(*intake.Config), fn func(b *bench, p *peers)) {
	t.Helper()
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	underNetwork(t, n, change, func(b *bench) {
		p := &peers{b: b}
		for i := 1; i < 4; i++ {
			attestor := intake.NewAttestor(newFakeChain(n), n.Signer(n.Genesis.Validators[i].Name))
			p.answers[i] = func(ctx context.Context, push []byte) ([]byte, error) {
				return attestor.Serve(ctx, n.Genesis.Validators[0].Key, push)
			}
		}
		b.push = p.push
		fn(b, p)
	})
}

func (p *peers) push(ctx context.Context, validator uint16, message []byte) ([]byte, error) {
	decoded, err := intake.DecodePush(message)
	if err != nil {
		p.b.Errorf("a push that nobody takes: %v", err)
		return nil, err
	}
	p.mu.Lock()
	if decoded.Verify {
		p.verify[validator]++
	} else {
		p.plain[validator]++
	}
	answer := p.answers[validator]
	p.mu.Unlock()
	return answer(ctx, message)
}

func (p *peers) set(validator int, answer pusher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[validator] = answer
}

// asked returns how often each was asked since the last time, to verify and only to hold.
func (p *peers) asked() (verify, plain [4]int) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	verify, plain = p.verify, p.plain
	p.verify, p.plain = [4]int{}, [4]int{}
	return verify, plain
}

func silent(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }

func refusing(context.Context, []byte) ([]byte, error) { return nil, errors.New("not here") }

// ack returns what a validator of n acknowledges in an answer, changed by forge.
func ack(b *bench, push []byte, validator int, forge func(a *ledger.BatchAck, m *ledger.AckMessage)) ([]byte, error) {
	p, err := intake.DecodePush(push)
	if err != nil {
		return nil, err
	}
	head, _, err := ledger.ReadBatch(b.n.Suite, p.Body)
	if err != nil {
		return nil, err
	}
	a := &ledger.BatchAck{Validator: uint16(validator), Verified: true}
	m := &ledger.AckMessage{Network: b.n.ID, Digest: head.Digest(b.n.Suite), Verified: true}
	forge(a, m)
	if a.Sig == nil {
		if a.Sig, err = b.n.Signer(b.n.Genesis.Validators[validator].Name).Sign(ledger.DomainBatchAck, codec.MustMarshal(m)); err != nil {
			return nil, err
		}
	}
	return codec.MustMarshal(a), nil
}

// plainTx is a transaction of no guarded kind.
func (b *bench) plainTx() []byte {
	tx := b.n.NewTx(ledger.NewOp(b.n.Authority, &ledger.AccountOpen{Holder: b.n.Authority}))
	tx.Tx.ValidUntil = b.chain.Now() + 5*ledger.Minute
	return b.n.Sign(b, tx, "authority.a")
}

// verifiers returns who says in the certificate that they verified, and everybody in it.
func (o *order) verifiers() (verified, all []uint16) {
	for _, a := range o.cert.Acks {
		all = append(all, a.Validator)
		if a.Verified {
			verified = append(verified, a.Validator)
		}
	}
	return verified, all
}

func sum(counts [4]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// Nobody verifies more than is needed: f + 1 validators with the origin, a quorum if the batch is guarded. All are given it.
func TestEnoughVerifyAndAllHold(t *testing.T) {
	for _, tc := range []struct {
		what     string
		tx       func(b *bench) []byte
		verified int
	}{{"a batch", (*bench).plainTx, 2}, {"a guarded batch", func(b *bench) []byte { return b.tx("authority.a") }, 3}} {
		amongFour(t, nil, func(b *bench, p *peers) {
			begin := time.Now()
			b.admit(tc.tx(b))
			got := b.ordered()
			if len(got) != 1 || time.Since(begin) != 0 {
				b.Fatalf("%s: after %s %d were handed in", tc.what, time.Since(begin), len(got))
			}
			verified, all := got[0].verifiers()
			if len(verified) != tc.verified || len(all) != 3 || !slices.Contains(verified, 0) {
				b.Errorf("%s: of %v these verified: %v", tc.what, all, verified)
			}
			if verify, plain := p.asked(); sum(verify) != tc.verified-1 || sum(verify)+sum(plain) != 3 {
				b.Errorf("%s: asked to verify: %v, to hold: %v", tc.what, verify, plain)
			}
		})
	}
}

// The work is shared: over many batches everybody is asked to verify about as often.
func TestVerificationIsShared(t *testing.T) {
	amongFour(t, nil, func(b *bench, p *peers) {
		for range 60 {
			raw := b.plainTx()
			b.admit(raw)
			b.ordered()
			b.execute(ledger.CodeOK, raw)
		}
		verify, _ := p.asked()
		if sum(verify) != 60 || slices.Min(verify[1:]) < 8 {
			b.Errorf("of 60 batches, these many were verified by each: %v", verify)
		}
	})
}

// Those asked first say nothing: after verifyPatience the others are asked, and the batch goes on. From then on the silent
// ones are asked last, so that nothing waits for them, until they had time to mend.
func TestSilentVerifiersAreNotWaitedFor(t *testing.T) {
	amongFour(t, nil, func(b *bench, p *peers) {
		p.set(1, silent)
		waited := 0
		send := func() {
			raw := b.plainTx()
			p.asked()
			b.admit(raw)
			got := b.ordered()
			if len(got) == 0 {
				waited++
				b.pass(499 * time.Millisecond)
				if got := b.ordered(); len(got) != 0 {
					b.Fatal("patience ended early")
				}
				b.pass(time.Millisecond)
				got = b.ordered()
				if verify, _ := p.asked(); sum(verify) != 2 { // one more in the place of the silent one, not all
					b.Errorf("asked to verify: %v", verify)
				}
			}
			if len(got) != 1 {
				b.Fatalf("a silent validator holds up a batch: %d handed in", len(got))
			}
			if _, all := got[0].verifiers(); !slices.Equal(all, []uint16{0, 2, 3}) {
				b.Fatalf("certified by %v", all)
			}
			b.execute(ledger.CodeOK, raw)
		}
		for k := 0; waited == 0 && k < 50; k++ {
			send()
		}
		for range 20 {
			if send(); waited != 1 {
				b.Fatal("a silent validator is waited for again at once")
			}
		}
		b.pass(16 * time.Second) // slowFor, and the pushes that were under way
		for k := 0; waited == 1 && k < 50; k++ {
			send()
		}
		if waited != 2 {
			b.Error("a validator that was silent once is never asked again")
		}
	})
}

// One that cannot be reached, refuses, or only says that it holds the batch is not waited for at all: the next is asked.
func TestNextIsAskedAtOnceWhenOneRefuses(t *testing.T) {
	for what, answer := range map[string]func(b *bench) pusher{
		"refuses":    func(*bench) pusher { return refusing },
		"only holds": onlyHolds,
	} {
		amongFour(t, nil, func(b *bench, p *peers) {
			p.set(2, answer(b))
			for range 20 {
				raw, begin := b.plainTx(), time.Now()
				b.admit(raw)
				if got := b.ordered(); len(got) != 1 || time.Since(begin) != 0 {
					b.Fatalf("%s: %d handed in after %s", what, len(got), time.Since(begin))
				}
				b.execute(ledger.CodeOK, raw)
			}
		})
	}
}

func onlyHolds(b *bench) pusher {
	return func(_ context.Context, push []byte) ([]byte, error) {
		return ack(b, push, 2, func(a *ledger.BatchAck, m *ledger.AckMessage) { a.Verified, m.Verified = false, false })
	}
}

// What a liar acknowledges counts for nothing, and the batch goes on without it; with too few honest ones left it waits.
func TestFalseAcknowledgementsDoNotCount(t *testing.T) {
	for what, forge := range map[string]func(a *ledger.BatchAck, m *ledger.AckMessage){
		"forged":                func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Sig = make([]byte, 64) },
		"no signature":          func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Sig = []byte{} },
		"of another batch":      func(_ *ledger.BatchAck, m *ledger.AckMessage) { m.Digest[0] ^= 1 },
		"of another network":    func(_ *ledger.BatchAck, m *ledger.AckMessage) { m.Network[0] ^= 1 },
		"of another epoch":      func(_ *ledger.BatchAck, m *ledger.AckMessage) { m.Epoch++ },
		"of stored as verified": func(_ *ledger.BatchAck, m *ledger.AckMessage) { m.Verified = false },
		"as another":            func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Validator = 2 },
		"as the origin":         func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Validator = 0 },
		"as one that is not":    func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Validator = 40 },
		"as another, with junk": func(a *ledger.BatchAck, _ *ledger.AckMessage) { a.Validator, a.Sig = 3, []byte("signature") },
	} {
		liar := func(b *bench, validator int) pusher {
			return func(_ context.Context, push []byte) ([]byte, error) { return ack(b, push, validator, forge) }
		}
		amongFour(t, nil, func(b *bench, p *peers) {
			p.set(1, liar(b, 1))
			raw := b.plainTx()
			b.admit(raw)
			got := b.ordered()
			if len(got) != 1 {
				b.Fatalf("%s: an honest quorum is held up", what)
			}
			if _, all := got[0].verifiers(); !slices.Equal(all, []uint16{0, 2, 3}) {
				b.Errorf("%s: certified by %v", what, all)
			}
			b.execute(ledger.CodeOK, raw)
			p.set(3, refusing)
			b.admit(b.plainTx())
			b.pass(5 * time.Second)
			if got := b.ordered(); len(got) != 0 {
				_, all := got[0].verifiers()
				b.Errorf("%s: with two honest of four, certified by %v", what, all)
			}
			p.set(3, onlyHonest(b, 3))
			b.pass(5 * time.Second)
			if got := b.ordered(); len(got) == 0 {
				b.Errorf("%s: once the third is back nothing is certified", what)
			}
		})
	}
}

func onlyHonest(b *bench, validator int) pusher {
	attestor := intake.NewAttestor(newFakeChain(b.n), b.n.Signer(b.n.Genesis.Validators[validator].Name))
	return func(ctx context.Context, push []byte) ([]byte, error) {
		return attestor.Serve(ctx, b.n.Genesis.Validators[0].Key, push)
	}
}

func TestGarbageAnswersDoNotCount(t *testing.T) {
	for what, answer := range map[string][]byte{"nothing": nil, "junk": []byte("junk"), "too much": make([]byte, 1<<20)} {
		amongFour(t, nil, func(b *bench, p *peers) {
			garbage := func(context.Context, []byte) ([]byte, error) { return answer, nil }
			p.set(2, garbage)
			b.admit(b.plainTx())
			if got := b.ordered(); len(got) != 1 {
				b.Errorf("%s: an honest quorum is held up", what)
			}
		})
	}
}

// A validator that never answers, or always refuses, is pushed to no more often than a bound says, and a batch that is over
// not at all.
func TestPushesAreBounded(t *testing.T) {
	for what, tc := range map[string]struct {
		answer pusher
		most   int // pushes to one validator in the half minute in which its batch is tried
	}{"silent": {silent, 16}, "refusing": {refusing, 60}} {
		amongFour(t, nil, func(b *bench, p *peers) {
			p.set(1, tc.answer)
			p.set(3, tc.answer)
			raw := b.plainTx()
			b.admit(raw)
			b.pass(30 * time.Second)
			verify, plain := p.asked()
			for _, i := range []int{1, 3} {
				if n := verify[i] + plain[i]; n == 0 || n > tc.most {
					b.Errorf("%s: validator %d was pushed to %d times in 30 s", what, i, n)
				}
			}
			if got := b.ordered(); len(got) != 0 {
				b.Fatalf("%s: certified by two", what)
			}
			b.execute(ledger.CodeOK, raw) // by another way
			b.pass(6 * time.Second)       // what was under way ends
			p.asked()
			b.pass(time.Minute)
			if verify, plain := p.asked(); sum(verify)+sum(plain) != 0 {
				b.Errorf("%s: a batch that is over is pushed: %v %v", what, verify, plain)
			}
		})
	}
}

func TestCloseEndsPushes(t *testing.T) {
	amongFour(t, nil, func(b *bench, p *peers) {
		for i := 1; i < 4; i++ {
			p.set(i, silent)
		}
		ticket := b.admit(b.plainTx())
		b.pass(time.Second)
		begin := time.Now()
		if err := b.in.Close(); err != nil {
			b.Fatal(err)
		}
		if got := b.outcome(ticket); got != intake.ErrClosed.Error() || time.Since(begin) != 0 {
			b.Errorf("closed after %s; the ticket says %s", time.Since(begin), got)
		}
	})
}

func TestAttestorRefuses(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	c := newFakeChain(n)
	honest := intake.NewAttestor(c, n.Signer("validator-1"))
	origin := n.Genesis.Validators[0].Key
	forged := n.NewTx(n.OpenScope("/f"))
	n.Sign(t, forged, "authority.a")
	forged.Sigs[0].Sig[3] ^= 1
	bad := n.Batch(n.Scope(t, "/a"), codec.MustMarshal(forged))
	good := codec.MustMarshal(&intake.Push{Body: n.Batch(n.Scope(t, "/a")), Verify: true})
	for _, tc := range []struct {
		what string
		a    *intake.Attestor
		from suite.PublicKey
		push []byte
		want string // of the error; empty if there is none
	}{
		{"a good batch", honest, origin, good, ""},
		{"junk", honest, origin, []byte("junk"), "codec"},
		{"no batch", honest, origin, codec.MustMarshal(&intake.Push{Body: []byte("junk")}), "codec"},
		{"a batch of another origin", honest, n.Genesis.Validators[2].Key, good, "another origin"},
		{"a bad signature to verify", honest, origin, codec.MustMarshal(&intake.Push{Body: bad, Verify: true}), "not valid"},
		{"a bad signature only to hold", honest, origin, codec.MustMarshal(&intake.Push{Body: bad}), ""},
		{"on a node that is no validator", intake.NewAttestor(c, n.Signer("observer")), origin, good, "not a validator"},
	} {
		answer, err := tc.a.Serve(t.Context(), tc.from, tc.push)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
		if (err == nil) != (answer != nil) {
			t.Errorf("%s: answered %x beside %v", tc.what, answer, err)
		}
	}
	c.epoch = 1
	if _, err := honest.Serve(t.Context(), origin, good); err == nil {
		t.Error("a batch of an epoch that is over is acknowledged")
	}
}
