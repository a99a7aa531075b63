package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
)

// The liars here make batches: an observer, and a validator, which can also acknowledge whatever it likes. Meanwhile honest
// clients send transactions to honest nodes.

// A liar gives every validator another batch of the same transaction, and orders two of them. Each takes what it was given;
// no two batches are mixed up, and the transaction takes effect once.
func TestLiarOriginEquivocates(t *testing.T) {
	c, puppets := honestFour(t, "intl", 3, ends{})
	end := c.traffic(0, 1, 2, 4)
	for _, p := range puppets {
		tx, path := c.scopeTx()
		raw := codec.MustMarshal(tx)
		var acks []ledger.BatchAck
		var first []byte
		for _, i := range []int{0, 1, 2} {
			body, _ := p.batch(raw)
			if first == nil {
				first = body
			}
			acks = append(acks, p.mustPush(body, true, i)...)
		}
		p.order(p.certificate(first, acks...)) // acknowledgements of three batches are none of one
		one, digestOne := p.batch(raw)
		two, digestTwo := p.batch(raw)
		acksOne, acksTwo := p.mustPush(one, true, 0, 1, 2), p.mustPush(two, true, 0, 1, 2)
		p.order(p.certificate(one, acksOne...), 0, 1)
		p.order(p.certificate(two, acksTwo...), 1, 2)
		c.until("both batches are ordered", func() bool { return c.ordered(0, digestOne)+c.ordered(0, digestTwo) == 2 })
		for _, i := range []int{0, 1, 2, 4} {
			c.awaitScope(i, path)
			c.tookEffect(i, tx)
		}
		if c.ordered(0, p.head(first).Digest(c.net.Suite)) != 0 {
			t.Error("a batch that one validator holds was ordered")
		}
	}
	end()
}

// A liar pushes a batch to two validators and is heard of no more; or has it certified and tells one validator alone. What is
// certified is ordered all the same, and who missed the batch gets it from those who hold it.
func TestLiarOriginDisappears(t *testing.T) {
	c, puppets := honestFour(t, "intl", 3, ends{})
	end := c.traffic(0, 1, 2, 4)
	for _, p := range puppets {
		tx, _ := c.scopeTx()
		body, digest := p.batch(codec.MustMarshal(tx))
		p.mustPush(body, true, 0, 1)
		known, path := c.scopeTx()
		certified, _ := p.batch(codec.MustMarshal(known))
		acks := p.mustPush(certified, true, 1, 2)
		if p.validator() { // so that validator 0 never sees it
			acks = append(acks, p.ack(p.head(certified).Digest(c.net.Suite), true))
		} else {
			acks = slices.Concat(p.mustPush(certified, true, 0), acks)
		}
		p.order(p.certificate(certified, acks...), 2)
		for _, i := range []int{0, 1, 2, 4} {
			c.awaitScope(i, path)
			c.tookEffect(i, known)
		}
		if c.ordered(0, digest) != 0 {
			t.Error("a batch that nobody certified was ordered")
		}
		// Its client asks elsewhere.
		if _, err := c.client(4).Submit(t.Context(), tx, "committed"); err != nil {
			t.Errorf("a transaction that a liar keeps back: %v", err)
		}
		c.tookEffect(0, tx)
	}
	end()
}

// A liar has a batch with a bad signature stored, which anybody does, and says itself that it verified it. One liar is not
// enough: f + 1 must say so.
func TestLiarOriginPushesABadSignature(t *testing.T) {
	for _, s := range []string{"intl", "sm"} {
		t.Run(s, func(t *testing.T) {
			c, puppets := honestFour(t, s, 3, ends{})
			end := c.traffic(0, 4)
			for _, p := range puppets {
				body, digest := p.batch(c.forgedTx())
				if _, err := p.push(0, body, true); err == nil || !strings.Contains(err.Error(), "not valid") {
					t.Errorf("a bad signature is acknowledged as verified: %v", err)
				}
				stored := p.mustPush(body, false, 0, 1, 2)
				claimed := slices.Clone(stored)
				claimed[0].Verified, claimed[1].Verified = true, true
				p.order(p.certificate(body, stored...))
				p.order(p.certificate(body, claimed...))
				if p.validator() {
					p.order(p.certificate(body, stored[0], stored[1], p.ack(digest, true)))
					p.order(p.certificate(body, append(stored, p.ack(digest, true))...))
				}
				c.notOrdered(p, digest)
			}
			end()
		})
	}
}

// notOrdered waits until all validators have handled what a puppet sent them, which they do in order, and fails if they
// ordered a batch.
func (c *cluster) notOrdered(p *puppet, digests ...suite.Hash) {
	c.t.Helper()
	for _, i := range c.honest() {
		tx, _ := c.scopeTx()
		body, last := p.batch(codec.MustMarshal(tx))
		p.order(p.certificate(body, p.mustPush(body, true, c.honest()[:3]...)...), i)
		c.until("an honest certificate is ordered after false ones", func() bool { return c.ordered(i, last) == 1 })
		for _, digest := range digests {
			if c.nodes[i].chain.Ordered(ledger.RequestID(digest.String())) || c.ordered(i, digest) != 0 {
				c.t.Errorf("%s: batch %s was ordered", c.configs[i].Name, digest)
			}
		}
	}
}

// A liar sends batches in the name of another, as if it had made them.
func TestLiarOriginClaimsAnother(t *testing.T) {
	c, puppets := honestFour(t, "intl", 3, ends{})
	end := c.traffic(0, 1, 2, 4)
	for _, p := range puppets {
		tx, _ := c.scopeTx()
		for _, other := range []suite.PublicKey{p.key(0), p.key(1), c.net.Observers[0].Public(), tx.Sigs[0].Key} {
			p.wall++
			body, digest := p.batchAs(other, codec.MustMarshal(tx))
			if _, err := p.push(0, body, false); err == nil || !strings.Contains(err.Error(), "was sent by") {
				t.Errorf("a batch in the name of another: %v", err)
			}
			if _, err := c.nodes[0].chain.BatchBytes(digest); err == nil {
				t.Error("a batch in the name of another is held")
			}
		}
	}
	end()
}

// A liar fills its quota: it is refused, and nobody else is.
func TestLiarOriginFloods(t *testing.T) {
	c, puppets := honestFour(t, "intl", -1, ends{})
	p := puppets[0]
	end := c.traffic(0, 1, 2, 4)
	tx, _ := c.scopeTx()
	raw := codec.MustMarshal(tx)
	var taken, busy atomic.Int64
	var mu sync.Mutex // for the puppet's wall
	var tasks sync.WaitGroup
	for range 8 {
		tasks.Go(func() {
			for busy.Load() == 0 && taken.Load() <= 1024 {
				mu.Lock()
				body, _ := p.batch(raw)
				mu.Unlock()
				switch _, err := p.push(0, body, false); {
				case err == nil:
					taken.Add(1)
				case strings.Contains(err.Error(), "too many batches"):
					busy.Add(1)
				default:
					t.Errorf("a batch too many is refused with %v", err)
					busy.Add(1)
				}
			}
		})
	}
	tasks.Wait()
	if busy.Load() == 0 || taken.Load() != 1024 {
		t.Errorf("%d batches are held for one origin, %d were refused", taken.Load(), busy.Load())
	}
	end()
}

// A liar sends forged certificates as fast as its links carry them. Those of others come through meanwhile.
func TestLiarOriginFloodsCertificates(t *testing.T) {
	c, puppets := honestFour(t, "intl", -1, ends{})
	p := puppets[0]
	tx, _ := c.scopeTx()
	body, digest := p.batch(codec.MustMarshal(tx))
	forged := &ledger.BatchCertificate{Head: *p.head(body), Acks: p.mustPush(body, true, 0, 1, 2)}
	forged.Acks[2].Sig[5] ^= 1 // two good ones cost the reader a verification each
	request := orderingRequest(forged)
	ctx, over := context.WithCancel(t.Context())
	defer over()
	sent := make(chan int, 1)
	go func() {
		count, burst := 0, time.NewTicker(5*time.Millisecond)
		defer burst.Stop()
		for {
			select {
			case <-ctx.Done():
				sent <- count
				return
			case <-burst.C:
			}
			for k := range 400 {
				if p.links.Send(p.key(k%4), transport.Intake, request) == nil { // else its queue is full
					count++
				}
			}
		}
	}()
	end := c.traffic(0, 4)
	begin := time.Now()
	for range 5 {
		c.mustOpenScope(c.client(4))
	}
	t.Logf("five transactions in %v", time.Since(begin))
	over()
	n := <-sent
	end()
	if n < 1000 || c.ordered(0, digest) != 0 {
		t.Errorf("after %d forged certificates the batch was ordered %d times", n, c.ordered(0, digest))
	}
}

// A liar sends certificates that are forged, too small, out of order, of another network or epoch, or old; and rubbish.
func TestLiarOriginForgesCertificates(t *testing.T) {
	c, puppets := honestFour(t, "intl", 3, ends{})
	end := c.traffic(0, 1, 2, 4)
	for _, p := range puppets {
		var digests []suite.Hash
		for what, forge := range map[string]func(cert *ledger.BatchCertificate){
			"too few acknowledgements": func(cert *ledger.BatchCertificate) { cert.Acks = cert.Acks[:2] },
			"the same one twice":       func(cert *ledger.BatchCertificate) { cert.Acks[1] = cert.Acks[0] },
			"out of order":             func(cert *ledger.BatchCertificate) { slices.Reverse(cert.Acks) },
			"a signature forged":       func(cert *ledger.BatchCertificate) { cert.Acks[2].Sig[5] ^= 1 },
			"as another validator":     func(cert *ledger.BatchCertificate) { cert.Acks[2].Validator = 3 },
			"as one that is not":       func(cert *ledger.BatchCertificate) { cert.Acks[2].Validator = 9 },
			"another head":             func(cert *ledger.BatchCertificate) { cert.Head.Wall++ },
			"not guarded":              func(cert *ledger.BatchCertificate) { cert.Head.Guarded = false },
			"another epoch":            func(cert *ledger.BatchCertificate) { cert.Head.Epoch++ },
			"another network": func(cert *ledger.BatchCertificate) {
				for k := range cert.Acks {
					message := ledger.AckBytes(suite.Hash{1}, 0, cert.Head.Digest(c.net.Suite), true)
					sig, err := c.net.Validators[cert.Acks[k].Validator].Sign(ledger.DomainBatchAck, message)
					if err != nil {
						t.Errorf("%v", err)
					}
					cert.Acks[k].Sig = sig
				}
			},
		} {
			tx, _ := c.scopeTx()
			body, digest := p.batch(codec.MustMarshal(tx))
			cert := &ledger.BatchCertificate{Head: *p.head(body), Acks: p.mustPush(body, true, 0, 1, 2)}
			forge(cert)
			if err := cert.Verify(c.net.Suite, c.net.Genesis.NetworkID(c.net.Suite), c.net.Genesis.Validators, c.net.Genesis.Params.VerifyQuorum); err == nil {
				t.Errorf("%s: the certificate is good", what)
			}
			digests = append(digests, digest, cert.Head.Digest(c.net.Suite))
			p.order(orderingRequest(cert))
		}
		for _, rubbish := range [][]byte{nil, []byte("rubbish"), make([]byte, 4<<10)} {
			p.order(rubbish)
		}
		c.notOrdered(p, digests...)
	}
	tx, _ := c.scopeTx()
	p := puppets[0]
	body, digest := p.batch(codec.MustMarshal(tx))
	request := p.certificate(body, p.mustPush(body, true, 0, 1, 2)...)
	for range 3 { // the same again, before and after it was ordered
		p.order(request)
		c.tookEffect(0, tx)
	}
	c.notOrdered(p)
	end()
	if n := c.ordered(0, digest); n != 1 {
		t.Errorf("a certificate sent again and again was ordered %d times", n)
	}
}

// An observer has no voice among validators: what it sends them as if it were one changes nothing.
func TestLiarObserverSpeaksAsAValidator(t *testing.T) {
	c, puppets := honestFour(t, "intl", -1, ends{})
	end := c.traffic(0, 4)
	p := puppets[0]
	for _, channel := range []transport.Channel{transport.Consensus, transport.Request} {
		for _, i := range c.honest() {
			p.connect()
			if err := p.links.Send(p.key(i), channel, []byte("a vote")); err != nil && !errors.Is(err, transport.ErrNotConnected) {
				t.Logf("channel %s: %v", channel, err)
			}
		}
	}
	end()
}
