package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aval/api"
	"aval/codec"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// spammer makes transactions that nobody wants.
type spammer struct {
	w      *world
	random *rand.Rand
	key    suite.Signer // of nobody
	good   []byte       // a transaction that took effect already
	serial uint64
}

func (w *world) newSpammer(name string, good []byte) *spammer {
	key, err := w.net.Suite.GenerateKey(nil)
	w.must(err)
	return &spammer{w: w, random: w.random(name), key: key, good: good}
}

// spamKinds are what a spammer sends, in turn.
var spamKinds = []string{"junk", "a forged signature", "a stranger's", "of another network", "expired", "far ahead", "a replay", "nested", "many empty parts"}

// make returns one transaction of a kind. What can be valid in form and signature is, so that it costs the node the most.
func (s *spammer) make(kind int) []byte {
	s.serial++
	authority := s.w.net.Genesis.Authority.ID
	tx := &ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Network: s.w.net.Genesis.NetworkID(s.w.net.Suite),
		ValidUntil: ledger.Time(time.Now().UnixMilli()) + 5*ledger.Minute,
		Ops:        []ledger.Op{ledger.NewOp(authority, &ledger.ScopeOpen{Path: ledger.Scope(fmt.Sprintf("/spam%d", s.serial)), Authority: authority})}}}
	for i := range tx.Tx.Salt {
		tx.Tx.Salt[i] = byte(s.random.Uint32())
	}
	switch spamKinds[kind] {
	case "junk":
		return bytes.Repeat([]byte{byte(s.random.Uint32())}, 300)
	case "of another network":
		tx.Tx.Network = suite.Hash{1}
	case "expired":
		tx.Tx.ValidUntil -= 10 * ledger.Minute
	case "far ahead":
		tx.Tx.ValidUntil += ledger.Hour
	case "a replay":
		return s.good
	case "nested":
		return bytes.Repeat([]byte{0x81}, 300)
	case "many empty parts":
		return append(codec.MustMarshal(tx)[:1], bytes.Repeat([]byte{0xa0}, 300)...)
	}
	id := tx.Tx.ID(s.w.net.Suite)
	sig, err := s.key.Sign(ledger.DomainTxSignature, id[:])
	s.w.must(err)
	if spamKinds[kind] == "a forged signature" {
		sig[5] ^= 1
	}
	tx.AddSignature(ledger.TxSignature{Key: s.key.Public(), Sig: sig})
	return codec.MustMarshal(tx)
}

// run sends bulks of spam to a node until ctx ends, and counts what was sent. Of one kind alone if only is not negative.
func (s *spammer) run(ctx context.Context, node int, only int, sent *atomic.Int64) {
	const bulk = 500
	var txs [][]byte
	for range 4 * bulk {
		kind := only
		if only < 0 {
			kind = len(txs) % len(spamKinds)
		}
		txs = append(txs, s.make(kind))
	}
	for ctx.Err() == nil {
		for part := range slices.Chunk(txs, bulk) {
			if s.send(ctx, node, part) {
				sent.Add(int64(len(part)))
			}
		}
		for i := 2; i < len(txs) && ctx.Err() == nil; i += 16 { // some are new each time
			txs[i] = s.make(max(only, 2))
		}
	}
}

// send sends a bulk and reports whether the node answered.
func (s *spammer) send(ctx context.Context, node int, txs [][]byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.w.url(node)+api.PathBatches+"?wait=none", bytes.NewReader(codec.MustMarshal(txs)))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", api.MediaCBOR)
	response, err := http.DefaultClient.Do(req)
	return err == nil && response.Body.Close() == nil
}

// TestSpam floods every validator with transactions that nobody wants, of all kinds and then of the one that costs most: whole, in time and
// rightly signed, by keys that are nobody's. Honest transactions commit meanwhile, and none of the spam changes anything.
func TestSpam(t *testing.T) {
	w := newWorld(t, "sm")
	c := w.client(0)
	authority := w.net.Genesis.Authority.ID
	tx, err := c.NewTx(ledger.NewOp(authority, &ledger.ScopeOpen{Path: "/good", Authority: authority}))
	w.must(err, c.Sign(tx, w.net.Keys[genesis.KeyAuthorityAdmin]))
	_, err = c.Submit(t.Context(), tx, api.WaitCommitted)
	w.must(err)
	target := int64(20_000)
	if *faults {
		target = 500_000
	}
	for _, only := range []int{-1, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		var sent atomic.Int64
		var wg sync.WaitGroup
		for node := range 4 {
			s := w.newSpammer(fmt.Sprintf("spammer %d", node), codec.MustMarshal(tx))
			wg.Go(func() { s.run(ctx, node, only, &sent) })
		}
		var slowest time.Duration
		start := time.Now()
		for done := int64(0); done < target || slowest == 0; done = sent.Load() {
			slowest = max(slowest, w.honest(int(done)%4, 1))
		}
		cancel()
		wg.Wait()
		t.Logf("kind %d: %d in %v; slowest honest commit %v", only, sent.Load(), time.Since(start).Round(time.Millisecond), slowest)
		if *faults && slowest > honestMax {
			t.Errorf("an honest transaction took %v, at most %v are promised", slowest, honestMax)
		}
	}
	o := w.mustOpenScope(w.client(0, 1, 2, 3))
	w.agree(min(o.Height, 40), 0, 1, 2, 3)
	if again, err := w.client(1).Submit(t.Context(), tx, api.WaitCommitted); err != nil || again.Receipt.Code != ledger.CodeOK {
		t.Errorf("the transaction that was replayed a thousand times: %+v, %v", again, err)
	}
}
