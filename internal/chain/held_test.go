package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/exec"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// forgedTx returns a transaction whose signature is not valid.
func forgedTx(t testing.TB, n *chaintest.Network) []byte {
	t.Helper()
	tx := n.NewTx(n.OpenScope("/forged"))
	n.Sign(t, tx, "authority.a")
	tx.Sigs[0].Sig[5] ^= 1
	return codec.MustMarshal(tx)
}

func digestOf(t testing.TB, n *chaintest.Network, body []byte) suite.Hash {
	t.Helper()
	head, _, err := ledger.ReadBatch(n.Suite, body)
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest(n.Suite)
}

// held reports an error unless c holds the batch, or does not, as want says.
func held(t testing.TB, n *chaintest.Network, c *chain.Chain, body []byte, want bool, what string) {
	t.Helper()
	got, err := c.BatchBytes(digestOf(t, n, body))
	if want && (err != nil || !bytes.Equal(got, body)) {
		t.Errorf("%s: the batch is not held: %v", what, err)
	}
	if !want && !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("%s: the batch is held: %v", what, err)
	}
}

func TestHoldRefuses(t *testing.T) {
	n, other := chaintest.New(t, chaintest.Options{Validators: 4}), chaintest.New(t, chaintest.Options{Validators: 4, Name: " other"})
	store := kv.NewMemory()
	c := open(t, n.Config(t, store, kv.NewMemory()))
	n.Clock.Advance(time.Hour)
	origin, now, tx := n.Genesis.Validators[0].Key, n.Now(), n.Scope(t, "/a")
	good := n.Batch(tx)
	batch := func(change func(b *ledger.Batch)) []byte {
		b := &ledger.Batch{Origin: origin, Wall: now, Txs: [][]byte{tx}}
		change(b)
		return codec.MustMarshal(b)
	}
	before := store.Metrics().Writes
	for _, tc := range []struct {
		what string
		body []byte
		why  string
	}{
		{"nothing", nil, ""}, {"junk", []byte("junk"), ""}, {"a byte too many", append(bytes.Clone(good), 0), ""}, {"a byte too few", good[:len(good)-1], ""},
		{"another origin's", batch(func(b *ledger.Batch) { b.Origin = n.Genesis.Validators[1].Key }), "was sent by"},
		{"no origin's", batch(func(b *ledger.Batch) { b.Origin = nil }), "names no origin"},
		{"another epoch's", batch(func(b *ledger.Batch) { b.Epoch = 1 }), "epoch 1"},
		{"too old", batch(func(b *ledger.Batch) { b.Wall = now - ledger.BatchAgeMax - 1 }), "cannot be in a block"},
		{"too far ahead", batch(func(b *ledger.Batch) { b.Wall = now + ledger.Minute + 1 }), "cannot be in a block"},
		{"of nothing", batch(func(b *ledger.Batch) { b.Txs = nil }), "1 to"},
		{"of too many", batch(func(b *ledger.Batch) { b.Txs = slices.Repeat([][]byte{make([]byte, 8)}, ledger.BatchTxsMax+1) }), "1 to"},
		{"of junk", batch(func(b *ledger.Batch) { b.Txs = append(b.Txs, []byte("junk")) }), "transaction 1"},
		{"with another network's transaction", n.Batch(tx, other.Scope(t, "/a")), "WRONG_NETWORK"},
		{"too large", make([]byte, ledger.BatchBytesMax+1), "the most is"},
	} {
		_, _, err := c.Hold(tc.body, origin)
		if err == nil || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("a batch that is %s: %v; want a refusal that says %q", tc.what, err, tc.why)
		}
	}
	if got := store.Metrics().Writes; got != before {
		t.Errorf("refused batches left %d rows", got-before)
	}
	for what, body := range map[string][]byte{
		"now": good, "as old as may be": batch(func(b *ledger.Batch) { b.Wall = now - ledger.BatchAgeMax }),
		"as early as may be": batch(func(b *ledger.Batch) { b.Wall = now + ledger.Minute }), "with a forged signature": n.Batch(forgedTx(t, n)),
	} {
		digest, head, err := c.Hold(body, origin)
		if err != nil || digest != digestOf(t, n, body) || head.Digest(n.Suite) != digest {
			t.Errorf("a batch %s: %v", what, err)
		}
		held(t, n, c, body, true, what)
		wrote := store.Metrics().Writes
		if again, _, err := c.Hold(body, origin); err != nil || again != digest || store.Metrics().Writes != wrote {
			t.Errorf("a batch %s, a second time: %v, %d rows", what, err, store.Metrics().Writes-wrote)
		}
	}
}

// flood has an origin send batches until one is refused, and returns how many were taken.
func flood(t testing.TB, n *chaintest.Network, c *chain.Chain, origin suite.PublicKey, tx []byte) (count int) {
	t.Helper()
	for {
		b := &ledger.Batch{Origin: origin, Wall: n.Now() - ledger.Time(count), Txs: [][]byte{tx}}
		_, _, err := c.Hold(codec.MustMarshal(b), origin)
		if f := new(ledger.Failure); errors.As(err, &f) && f.Code == ledger.CodeBusy {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
}

// An origin that floods is refused, before and after a restart; others are not held up. Once a block shows that its batches can
// no longer be ordered, or orders some, it is heard again.
func TestFloodOfBatchesIsRefused(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	n.Clock.Advance(time.Hour)
	flooder, other, tx := n.Genesis.Validators[0].Key, n.Genesis.Validators[1].Key, n.Scope(t, "/a")
	first := codec.MustMarshal(&ledger.Batch{Origin: flooder, Wall: n.Now(), Txs: [][]byte{tx}})
	if got := flood(t, n, c, flooder, tx); got != 1024 {
		t.Fatalf("%d batches are taken", got)
	}
	honest := func(txs ...[]byte) []byte {
		return codec.MustMarshal(&ledger.Batch{Origin: other, Wall: n.Now(), Txs: txs})
	}
	for range 2 {
		if _, _, err := c.Hold(honest(n.Scope(t, "/b")), other); err != nil {
			t.Errorf("beside a flood: %v", err)
		}
		if _, _, err := c.Hold(first, flooder); err != nil {
			t.Errorf("what is held already: %v", err)
		}
		shut(t, c)
		c = open(t, n.Config(t, blocks, state))
		if got := flood(t, n, c, flooder, n.Scope(t, "/c")); got != 0 {
			t.Errorf("after a restart %d more batches are taken", got)
		}
	}
	n.Commit(t, c, n.Request(first))
	if got := flood(t, n, c, flooder, n.Scope(t, "/d")); got != 1 {
		t.Errorf("one was ordered, and there is room for %d", got)
	}
	n.Clock.Advance(20 * time.Minute)
	if got := flood(t, n, c, flooder, n.Scope(t, "/e")); got != 0 {
		t.Errorf("before a block shows the time, there is room for %d", got)
	}
	n.Commit(t, c)
	if got := flood(t, n, c, flooder, n.Scope(t, "/f")); got != 1024 {
		t.Errorf("when all are over, there is room for %d", got)
	}
	held(t, n, c, first, true, "what was ordered in time")
}

// A network at rest in which a flood, or a long outage, has taken an origin's room would not hear it: there a block is asked for.
func TestRestEndsWhenBatchesWaitToBeDropped(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	n.Submit(t, c, n.Scope(t, "/a"))
	n.Rest(t, c)
	body := n.Batch(n.Scope(t, "/b"))
	if _, _, err := c.Hold(body, n.Genesis.Validators[0].Key); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		need  bool
	}{{0, false}, {15 * time.Minute, false}, {time.Minute, false}, {time.Millisecond, true}} {
		n.Clock.Advance(step.after)
		if _, need, err := c.NeedTick(); err != nil || need != step.need {
			t.Fatalf("%s later a block is asked for: %t, %v", step.after, need, err)
		}
	}
	held(t, n, c, body, true, "before a block")
	if blocks := n.Rest(t, c); blocks != 1 {
		t.Errorf("%d blocks are asked for", blocks)
	}
	held(t, n, c, body, false, "after it")
}

// What nobody can order any more leaves the disk; what was ordered never does, whether it came before its block, after it, after
// a restart, or with it.
func TestLooseBatchesAreSwept(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	origin := n.Genesis.Validators[0].Key
	take := func(c *chain.Chain, body []byte) {
		t.Helper()
		if _, _, err := c.Hold(body, origin); err != nil {
			t.Fatal(err)
		}
	}
	before, late, restarted, loose := n.Batch(n.Scope(t, "/a")), n.Batch(n.Scope(t, "/b")), n.Batch(n.Scope(t, "/c")), n.Batch(n.Scope(t, "/d"))
	take(c, before)
	take(c, loose)
	take(c, restarted)
	n.Commit(t, c, n.Request(before))
	b := n.Assemble(t, c, n.Request(late)) // which comes when the block is there
	if err := c.Commit(b); err != nil {
		t.Fatal(err)
	}
	take(c, late)
	n.Wait(t, c, 2)
	take(c, late)
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	n.Commit(t, c, n.Request(restarted))
	n.Clock.Advance(14 * time.Minute)
	fresh := n.Batch(n.Scope(t, "/f"))
	take(c, fresh)
	n.Commit(t, c)
	held(t, n, c, loose, true, "after 14 minutes")
	n.Clock.Advance(time.Minute)
	n.Commit(t, c)
	held(t, n, c, loose, true, "after 15 minutes")
	n.Clock.Advance(time.Minute)
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	n.Commit(t, c)
	held(t, n, c, loose, false, "after 16 minutes")
	if err := c.VerifyHeld(digestOf(t, n, loose)); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a batch that was dropped is verified: %v", err)
	}
	n.Clock.Advance(time.Minute)
	n.Commit(t, c)
	held(t, n, c, fresh, true, "a younger one")
	for range 3 {
		n.Clock.Advance(time.Hour)
		n.Commit(t, c)
		shut(t, c)
		c = open(t, n.Config(t, blocks, state))
		for what, body := range map[string][]byte{"before": before, "after": late, "restarted": restarted} {
			held(t, n, c, body, true, "hours later, what came "+what)
		}
		held(t, n, c, fresh, false, "hours later")
	}
	if _, _, err := c.Hold(loose, origin); err == nil {
		t.Error("a batch that was dropped is taken again")
	}
}

func TestVerifyHeldFindsForgedSignatures(t *testing.T) {
	for _, name := range []string{"sm", "intl"} {
		n := chaintest.New(t, chaintest.Options{Suite: name})
		blocks, state := kv.NewMemory(), kv.NewMemory()
		c := open(t, n.Config(t, blocks, state))
		origin := n.Genesis.Validators[0].Key
		good, forged := n.Batch(n.Scope(t, "/a"), n.Scope(t, "/b")), n.Batch(n.Scope(t, "/c"), forgedTx(t, n))
		if err := c.VerifyHeld(digestOf(t, n, good)); !errors.Is(err, chain.ErrNotFound) {
			t.Errorf("%s: a batch that is not held: %v", name, err)
		}
		for _, body := range [][]byte{good, forged} {
			if _, _, err := c.Hold(body, origin); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 6 {
			if i == 3 { // what was found out is forgotten, and found out again
				shut(t, c)
				c = open(t, n.Config(t, blocks, state))
			}
			if err := c.VerifyHeld(digestOf(t, n, good)); err != nil {
				t.Errorf("%s: a good batch: %v", name, err)
			}
			if f := new(ledger.Failure); !errors.As(c.VerifyHeld(digestOf(t, n, forged)), &f) || f.Code != ledger.CodeSignature {
				t.Errorf("%s: a forged batch, asked %d times: %v", name, i+1, f)
			}
			if _, _, err := c.Hold(forged, origin); err != nil {
				t.Errorf("%s: it is held already: %v", name, err)
			}
		}
	}
}

// A batch that this node's intake made is not verified a second time, and is held as any other if it is to be.
func TestHoldOwnIsTakenAsVerified(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	own := func(durable bool, batch *ledger.Batch) ([]byte, error) {
		body := codec.MustMarshal(batch)
		var txs []exec.Tx
		for _, raw := range batch.Txs {
			signed, err := ledger.DecodeSignedTx(raw)
			if err != nil {
				t.Fatal(err)
			}
			txs = append(txs, exec.Tx{ID: signed.Tx.ID(n.Suite), Signed: n.Suite.Hash(ledger.DomainSignedTx, raw), Body: signed})
		}
		digest, head, err := c.HoldOwn(batch, body, txs, durable)
		if read, _, _ := ledger.ReadBatch(n.Suite, body); digest != read.Digest(n.Suite) || head.Digest(n.Suite) != digest {
			t.Errorf("the batch is %s, %+v, and read again %+v", digest, head, read)
		}
		return body, err
	}
	origin := n.Genesis.Validators[0].Key
	batch := &ledger.Batch{Origin: origin, Wall: n.Now(), Txs: [][]byte{forgedTx(t, n)}}
	body, err := own(false, batch)
	if err != nil {
		t.Fatal(err)
	}
	held(t, n, c, body, false, "not durable")
	if err := c.VerifyHeld(digestOf(t, n, body)); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("what is not durable counts as held: %v", err)
	}
	if _, err = own(true, batch); err != nil {
		t.Fatal(err)
	}
	held(t, n, c, body, true, "durable")
	if err := c.VerifyHeld(digestOf(t, n, body)); err != nil {
		t.Errorf("an own batch is verified again: %v", err)
	}
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	held(t, n, c, body, true, "after a restart")
	if err := c.VerifyHeld(digestOf(t, n, body)); err == nil {
		t.Error("after a restart an own batch counts as verified")
	}
	for what, bad := range map[string]*ledger.Batch{
		"too old":         {Origin: origin, Wall: n.Now() - ledger.BatchAgeMax - 1, Txs: batch.Txs},
		"another epoch's": {Origin: origin, Epoch: 1, Wall: n.Now(), Txs: batch.Txs},
	} {
		if _, err := own(true, bad); err == nil {
			t.Errorf("an own batch that is %s is held", what)
		}
	}
}

// Batches come from several sides at once, while blocks order them. In the end each is there once and nothing is loose.
func TestHoldRacesWithCommit(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	source := n.Open(t)
	var made []*ledger.Block
	for i := range 20 {
		made = append(made, n.Commit(t, source, n.BatchRequest(n.Scope(t, fmt.Sprintf("/a%d", i))), n.BatchRequest(n.Scope(t, fmt.Sprintf("/b%d", i)))))
	}
	blocks, state := kv.NewMemory(), kv.NewMemory()
	c := open(t, n.Config(t, blocks, state))
	done := make(chan struct{})
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			for _, b := range made {
				for _, body := range n.Bodies(t, b) {
					digest, _, err := c.Hold(body, n.Genesis.Validators[0].Key)
					if err == nil {
						err = c.VerifyHeld(digest)
					}
					if err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	for _, b := range made {
		if err := c.Commit(b); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		<-done
	}
	n.Wait(t, c, 20)
	holds(t, n, c, made)
	err := blocks.Iterate(kv.Range{Start: []byte{'l'}, End: []byte{'m'}, Limit: kv.RowsMax}, func(key, _ []byte) error {
		return fmt.Errorf("row %x is left", key)
	})
	if err != nil {
		t.Error(err)
	}
	shut(t, c)
	c = open(t, n.Config(t, blocks, state))
	n.Clock.Advance(time.Hour)
	n.Commit(t, c)
	holds(t, n, c, made)
}

// What a quorum ordered stays, even if it was too old for that.
func TestBatchOrderedTooLateStays(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{})
	c := n.Open(t)
	body := n.Batch(n.Scope(t, "/a"))
	if _, _, err := c.Hold(body, n.Genesis.Validators[0].Key); err != nil {
		t.Fatal(err)
	}
	n.Clock.Advance(time.Hour)
	b := withPayload(n, n.Assemble(t, c), &ledger.Payload{Entries: []ledger.Entry{n.Entry(body)}})
	refused(t, c, "a batch an hour old", b, "cannot be in a block")
	n.Certify(t, b)
	if err := c.Commit(b); err != nil {
		t.Fatal(err)
	}
	n.Wait(t, c, 1)
	held(t, n, c, body, true, "ordered too late")
}
