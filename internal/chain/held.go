package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// A node holds batches apart from blocks: those that a block ordered for good, loose ones, which none has ordered yet,
// until they can no longer be. The bytes are durable before a batch counts as held.

// Bounds of the loose batches of one origin: a node that floods is refused, others are not held up.
const (
	looseMax      = 1024
	looseBytesMax = 128 << 20
)

// looseRow is what is stored of a loose batch beside its bytes.
type looseRow struct {
	Origin suite.PublicKey `cbor:"1,keyasint"`
	Wall   ledger.Time     `cbor:"2,keyasint"`
	Bytes  uint32          `cbor:"3,keyasint"`
}

// looseBatches counts loose batches by origin. The chain's mu guards it.
type looseBatches struct {
	rows     map[suite.Hash]looseRow
	byOrigin map[string]looseSum
}

type looseSum struct{ count, bytes int }

func newLooseBatches() *looseBatches {
	return &looseBatches{rows: map[suite.Hash]looseRow{}, byOrigin: map[string]looseSum{}}
}

func (l *looseBatches) has(digest suite.Hash) bool {
	_, ok := l.rows[digest]
	return ok
}

func (l *looseBatches) full(origin suite.PublicKey, bytes int) bool {
	sum := l.byOrigin[string(origin)]
	return sum.count >= looseMax || sum.bytes+bytes > looseBytesMax
}

func (l *looseBatches) add(digest suite.Hash, row looseRow) {
	l.rows[digest] = row
	sum := l.byOrigin[string(row.Origin)]
	l.byOrigin[string(row.Origin)] = looseSum{sum.count + 1, sum.bytes + int(row.Bytes)}
}

func (l *looseBatches) remove(digest suite.Hash) {
	row, ok := l.rows[digest]
	if !ok {
		return
	}
	delete(l.rows, digest)
	sum := l.byOrigin[string(row.Origin)]
	if sum = (looseSum{sum.count - 1, sum.bytes - int(row.Bytes)}); sum.count > 0 {
		l.byOrigin[string(row.Origin)] = sum
	} else {
		delete(l.byOrigin, string(row.Origin))
	}
}

// Hold decodes a batch that origin sent, checks its form, and makes it durable. It does not verify signatures. It refuses a
// batch of another origin, epoch or time, and one too many. A batch held already is held again.
func (c *Chain) Hold(body []byte, origin suite.PublicKey) (suite.Hash, *ledger.BatchHead, error) {
	b, err := c.decodeBatch(body)
	if err != nil {
		return suite.Hash{}, nil, err
	}
	if string(b.head.Origin) != string(origin) {
		return suite.Hash{}, nil, fmt.Errorf("chain: a batch of origin %s was sent by %s", b.head.Origin, origin)
	}
	return b.digest, &b.head, c.hold(b, body)
}

// HoldOwn takes a batch of this node's own intake, which has decoded and verified its transactions. With durable it is held
// as if it had come from a peer: a node that does not acknowledge batches need not.
func (c *Chain) HoldOwn(batch *ledger.Batch, body []byte, txs []exec.Tx, durable bool) (suite.Hash, *ledger.BatchHead, error) {
	b := c.openedBatch(batch, len(body), txs)
	b.verified.Store(true)
	if !durable {
		return b.digest, &b.head, nil
	}
	return b.digest, &b.head, c.hold(b, body)
}

func (c *Chain) hold(b *openBatch, body []byte) error {
	if err := c.checkEpoch(b.head.Epoch); err != nil {
		return err
	}
	_, err, _ := c.storing.Do(string(b.digest[:]), func() (any, error) {
		return nil, c.storeBatch(b, body, false)
	})
	return err
}

// storeBatch makes a batch durable unless it is, and notes that it is loose unless a block has ordered it. No block is
// committed meanwhile, so that none orders it in between. It is called once at a time for one batch. What was ordered is
// remembered for as long as a batch may be held; the caller says that it was ordered if that may be longer ago.
func (c *Chain) storeBatch(b *openBatch, body []byte, ordered bool) error {
	c.orderMu.RLock()
	defer c.orderMu.RUnlock()
	row := looseRow{Origin: b.head.Origin, Wall: b.head.Wall, Bytes: b.head.Bytes}
	if !ordered {
		if err := checkBatchAge(b.head.Wall, max(c.Now(), c.Head().Header.Wall)); err != nil {
			return err
		}
		ordered = c.Ordered(batchID(b.digest))
	}
	if ordered {
		if _, err := c.BatchBytes(b.digest); !errors.Is(err, ErrNotFound) {
			return err
		}
	} else {
		added, err := c.addLoose(b.digest, row)
		if err != nil {
			return err
		}
		if !added {
			c.batches.put(b)
			return nil
		}
	}
	batch := c.cfg.Blocks.NewBatch()
	batch.Set(hashKey(rowBatch, b.digest), body)
	if !ordered {
		batch.Set(hashKey(rowLoose, b.digest), codec.MustMarshal(&row))
	}
	err := c.cfg.Blocks.Apply(batch, true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.loose.remove(b.digest)
		return fmt.Errorf("chain: store batch %s: %w", b.digest, err)
	}
	c.batches.put(b)
	close(c.arrived)
	c.arrived = make(chan struct{})
	return nil
}

// addLoose counts a batch as loose. It returns false if it is already, and an error if its origin has too many.
func (c *Chain) addLoose(digest suite.Hash, row looseRow) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.loose.has(digest):
		return false, nil
	case c.loose.full(row.Origin, int(row.Bytes)):
		return false, ledger.Failf(ledger.CodeBusy, "too many batches of origin %s wait to be ordered", row.Origin)
	}
	c.loose.add(digest, row)
	return true, nil
}

// VerifyHeld verifies every signature in a batch that is held, once.
func (c *Chain) VerifyHeld(digest suite.Hash) error {
	b, err := c.heldBatch(digest)
	if err != nil || b.verified.Load() {
		return err
	}
	_, err, _ = c.checking.Do(string(digest[:]), func() (any, error) {
		if b.verified.Load() {
			return nil, nil
		}
		if b.forged == nil {
			b.forged = c.verifySignatures(b)
		}
		b.verified.Store(b.forged == nil)
		return nil, b.forged
	})
	return err
}

// BatchBytes returns the bytes of a batch that is held, or ErrNotFound.
func (c *Chain) BatchBytes(digest suite.Hash) ([]byte, error) {
	b, err := c.cfg.Blocks.Get(hashKey(rowBatch, digest))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, fmt.Errorf("batch %s: %w", digest, ErrNotFound)
	}
	return b, err
}

// heldBatch returns a batch that is held, decoded.
func (c *Chain) heldBatch(digest suite.Hash) (*openBatch, error) {
	if b := c.batches.get(digest); b != nil {
		return b, nil
	}
	body, err := c.BatchBytes(digest)
	if err != nil {
		return nil, err
	}
	b, err := c.decodeBatch(body)
	if err != nil {
		return nil, fmt.Errorf("batch %s is damaged: %w", digest, err)
	}
	if b.digest != digest {
		return nil, fmt.Errorf("batch %s is damaged: it is %s", digest, b.digest)
	}
	return c.batches.put(b), nil
}

// orderedTxs returns the transactions of a decided block in order, and fetches the batches that are not held. A quorum vouches
// that each can be had and read; the signatures of each were verified by an honest validator at least.
func (c *Chain) orderedTxs(p *ledger.Payload) ([]exec.Tx, error) {
	var txs []exec.Tx
	for i := range p.Entries {
		b, err := c.obtain(&p.Entries[i])
		if err != nil {
			return nil, err
		}
		c.audit(b, &p.Entries[i])
		c.batches.remove(b.digest)
		txs = append(txs, b.txs...)
	}
	return txs, nil
}

const (
	// obtainGrace is how long a batch that was ordered before it came is waited for before others are asked for it.
	obtainGrace = 100 * time.Millisecond
	// obtainTry bounds one round of asking, obtainPause is how long to wait for the next.
	obtainTry   = 5 * time.Second
	obtainPause = 200 * time.Millisecond
)

// obtain returns an ordered batch, however long it takes to come. It ends only with the chain.
func (c *Chain) obtain(e *ledger.Entry) (*openBatch, error) {
	pause := obtainGrace
	for round := 0; ; round++ {
		b, err := c.await(e.Digest, pause)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return b, err
		}
		pause = obtainPause
		if err := c.fetch(e, round); err != nil {
			c.log.Warn("an ordered batch cannot be had yet", slog.Any("batch", e.Digest), slog.Int("round", round), slog.Any("error", err))
		}
	}
}

// await returns a batch that is held or comes within a time, or ErrNotFound.
func (c *Chain) await(digest suite.Hash, within time.Duration) (*openBatch, error) {
	b, err := c.heldBatch(digest)
	if !errors.Is(err, ErrNotFound) {
		return b, err
	}
	timer := c.cfg.Clock.NewTimer(within)
	defer timer.Stop()
	for {
		c.mu.Lock()
		arrived := c.arrived
		c.mu.Unlock()
		if b, err = c.heldBatch(digest); !errors.Is(err, ErrNotFound) { // it may have come since
			return b, err
		}
		select {
		case <-arrived:
		case <-timer.C():
			return nil, err
		case <-c.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// fetch asks others for an ordered batch and stores it. Every round begins with another of its holders, so that those who keep
// silent do not take all the time of each.
func (c *Chain) fetch(e *ledger.Entry, round int) error {
	if c.cfg.Fetch == nil {
		return errors.New("chain: nobody to ask")
	}
	holders := holdersOf(e, round)
	ctx, cancel := context.WithTimeout(c.ctx, obtainTry)
	defer cancel()
	c.metrics.fetched.Inc()
	return c.cfg.Fetch(ctx, e.Digest, holders, func(body []byte) error { return c.HoldOrdered(e.Digest, body) })
}

// holdersOf returns who signed that they hold a batch, in each round beginning with another.
func holdersOf(e *ledger.Entry, round int) (holders []uint16) {
	if cert, err := ledger.DecodeBatchCertificate(e.Certificate); err == nil {
		for i := range cert.Acks {
			holders = append(holders, cert.Acks[(i+round)%len(cert.Acks)].Validator)
		}
	}
	return holders
}

// HoldOrdered stores a batch that a block ordered, if it is the one.
func (c *Chain) HoldOrdered(digest suite.Hash, body []byte) error {
	b, err := c.decodeBatch(body)
	if err != nil {
		return err
	}
	if b.digest != digest {
		return fmt.Errorf("batch %s came for %s", b.digest, digest)
	}
	_, err, _ = c.storing.Do(string(digest[:]), func() (any, error) {
		return nil, c.storeBatch(b, body, true)
	})
	return err
}

// settleLoose notes, as part of the write that commits a block, that its batches are loose no more, and drops those whose
// time is over.
func (c *Chain) settleLoose(w *kv.Batch, b *ledger.Block, p *ledger.Payload) {
	for i := range p.Entries {
		w.Delete(hashKey(rowLoose, p.Entries[i].Digest))
	}
	if b.Header.Wall-c.looseSwept < ledger.Minute {
		return
	}
	c.looseSwept = b.Header.Wall
	ordered := map[suite.Hash]bool{}
	for i := range p.Entries {
		ordered[p.Entries[i].Digest] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for digest, row := range c.loose.rows {
		if row.Wall+ledger.BatchAgeMax < b.Header.Wall && !ordered[digest] {
			w.Delete(hashKey(rowLoose, digest))
			w.Delete(hashKey(rowBatch, digest))
			c.loose.remove(digest)
			c.batches.remove(digest)
		}
	}
}

// restoreLoose reads which batches are loose. One that a block has ordered since its row was written is not.
func (c *Chain) restoreLoose() error {
	r := kv.Range{Start: []byte{rowLoose}, End: []byte{rowLoose + 1}, Limit: kv.RowsMax}
	return c.cfg.Blocks.Iterate(r, func(key, value []byte) error {
		var row looseRow
		if err := codec.Unmarshal(value, &row); err != nil || len(key) != 1+suite.HashSize {
			return fmt.Errorf("chain: the row of a loose batch is damaged: %w", errors.Join(err, ErrNotFound))
		}
		var digest suite.Hash
		copy(digest[:], key[1:])
		if !c.ordered.has(c.requestHash(batchID(digest))) {
			c.loose.add(digest, row)
		}
		return nil
	})
}

// batchesOf opens the batches that came with a block of a peer, which must be those that it orders.
func (c *Chain) batchesOf(p *ledger.Payload, bodies [][]byte) ([]*openBatch, error) {
	if len(bodies) != len(p.Entries) {
		return nil, fmt.Errorf("chain: %d batches came with a block of %d", len(bodies), len(p.Entries))
	}
	out := make([]*openBatch, len(bodies))
	for i := range bodies {
		b, err := c.decodeBatch(bodies[i])
		if err != nil {
			return nil, fmt.Errorf("batch %d: %w", i, err)
		}
		if b.digest != p.Entries[i].Digest {
			return nil, fmt.Errorf("batch %d is %s, the block orders %s", i, b.digest, p.Entries[i].Digest)
		}
		out[i] = b
	}
	return out, nil
}
