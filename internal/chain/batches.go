package chain

import (
	"container/list"
	"fmt"
	"strconv"
	"sync"

	"aval/internal/exec"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// checkedBatch is a batch whose form and signatures have been verified.
type checkedBatch struct {
	digest suite.Hash
	// body is the hash of the batch's bytes. The encoding is strict: one digest has one body.
	body  suite.Hash
	epoch uint64
	wall  ledger.Time
	txs   []exec.Tx
	bytes int // what it takes in memory, about
}

// batchCache remembers verified batches until they are executed, so that signatures are verified once. The least recently
// used leave when it is full. It is safe for concurrent use.
type batchCache struct {
	mu       sync.Mutex
	bytesMax int
	// bytes is the sum over the batches held. Invariant: at most bytesMax, unless one batch alone is larger.
	bytes    int
	byDigest map[suite.Hash]*list.Element
	byBody   map[suite.Hash]*list.Element
	order    *list.List // front: most recently used
}

func newBatchCache(bytesMax int) *batchCache {
	return &batchCache{bytesMax: bytesMax, byDigest: map[suite.Hash]*list.Element{}, byBody: map[suite.Hash]*list.Element{}, order: list.New()}
}

func (c *batchCache) get(digest suite.Hash) *checkedBatch { return c.find(c.byDigest, digest) }

func (c *batchCache) getBody(body suite.Hash) *checkedBatch { return c.find(c.byBody, body) }

func (c *batchCache) find(index map[suite.Hash]*list.Element, hash suite.Hash) *checkedBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := index[hash]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*checkedBatch)
}

func (c *batchCache) put(b *checkedBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byDigest[b.digest]; ok {
		return
	}
	e := c.order.PushFront(b)
	c.byDigest[b.digest], c.byBody[b.body] = e, e
	c.bytes += b.bytes
	for c.bytes > c.bytesMax && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
}

func (c *batchCache) remove(digest suite.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byDigest[digest]; ok {
		c.drop(e)
	}
}

func (c *batchCache) drop(e *list.Element) {
	b := e.Value.(*checkedBatch)
	c.order.Remove(e)
	delete(c.byDigest, b.digest)
	delete(c.byBody, b.body)
	c.bytes -= b.bytes
}

func (c *batchCache) size() (bytes, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, c.order.Len()
}

// batchID is the request id of a batch.
func batchID(digest suite.Hash) ledger.RequestID { return ledger.RequestID(digest.String()) }

// tickID is the request id of a tick: the same from every validator, so that one per height is ordered.
func tickID(t *ledger.Tick) ledger.RequestID {
	return ledger.RequestID("tick/" + strconv.FormatUint(t.Epoch, 10) + "/" + strconv.FormatUint(uint64(t.Height), 10))
}

// decodeBatch decodes a batch and its transactions and checks their form, but not their signatures.
func (c *Chain) decodeBatch(body []byte) (*checkedBatch, error) {
	batch, err := ledger.DecodeBatch(body)
	if err != nil {
		return nil, err
	}
	leaves := make([]suite.Hash, len(batch.Txs))
	out := &checkedBatch{epoch: batch.Epoch, wall: batch.Wall, txs: make([]exec.Tx, len(batch.Txs))}
	for i, raw := range batch.Txs {
		signed, err := ledger.DecodeSignedTx(raw)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		if err := signed.CheckForm(c.network); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		out.txs[i] = exec.Tx{ID: signed.Tx.ID(c.suite), Signed: c.suite.Hash(ledger.DomainSignedTx, raw), Body: signed}
		leaves[i] = merkle.LeafHash(c.suite, raw)
		out.bytes += txBytes(raw, signed)
	}
	out.digest = batch.DigestOf(c.suite, merkle.RootOfHashes(c.suite, leaves))
	return out, nil
}

// txBytes is about what a decoded transaction takes in memory: its own bytes, and the structures around them.
func txBytes(raw []byte, t *ledger.SignedTx) int {
	return len(raw) + 256 + 64*len(t.Tx.Ops) + 96*len(t.Sigs)
}

// checkBatch decodes a batch and verifies every signature in it, unless it is remembered as verified, or was ordered: then
// it must not be proposed again whatever its signatures. Callers ask Ordered afterwards. Several callers with one batch, as
// when its origin and the leader send it at once, wait for one verification.
func (c *Chain) checkBatch(body []byte) (*checkedBatch, error) {
	if len(body) > ledger.BatchBytesMax {
		return nil, ledger.Failf(ledger.CodeTooLarge, "the batch has %d bytes, the most is %d", len(body), ledger.BatchBytesMax)
	}
	hash := c.suite.Sum(body)
	if known := c.batches.getBody(hash); known != nil {
		return known, nil
	}
	b, err, _ := c.checking.Do(string(hash[:]), func() (any, error) {
		if known := c.batches.getBody(hash); known != nil {
			return known, nil
		}
		return c.checkNewBatch(hash, body)
	})
	if err != nil {
		return nil, err
	}
	return b.(*checkedBatch), nil
}

func (c *Chain) checkNewBatch(hash suite.Hash, body []byte) (*checkedBatch, error) {
	b, err := c.decodeBatch(body)
	if err != nil || c.Ordered(batchID(b.digest)) {
		return b, err
	}
	b.body = hash
	if err := c.verifyBatch(b); err != nil {
		return nil, err
	}
	c.batches.put(b)
	return b, nil
}

// Vouch remembers a batch of this node's own intake, which has verified every signature in it, as verified.
func (c *Chain) Vouch(body []byte) error {
	b, err := c.decodeBatch(body)
	if err != nil {
		return err
	}
	b.body = c.suite.Sum(body)
	c.batches.put(b)
	return nil
}

func (c *Chain) verifyBatch(b *checkedBatch) error {
	var items []suite.Signed
	for i := range b.txs {
		items = b.txs[i].Body.Signed(b.txs[i].ID, items)
	}
	for i, ok := range c.suite.VerifyBatch(items) {
		if !ok {
			return ledger.Failf(ledger.CodeSignature, "a signature by key %s in batch %s is not valid", items[i].Key, b.digest)
		}
	}
	return nil
}

// request is an ordering request, read: a batch with its bytes, or a tick.
type request struct {
	id    ledger.RequestID
	batch *checkedBatch
	body  []byte
	tick  *ledger.Tick
}

// readRequest decodes an ordering request and verifies all that depends neither on the clock nor on what was ordered.
func (c *Chain) readRequest(raw []byte) (*request, error) {
	r, err := ledger.DecodeOrderingRequest(raw)
	if err != nil {
		return nil, err
	}
	if r.Kind == ledger.RequestTick {
		t, err := ledger.DecodeTick(r.Body)
		if err != nil {
			return nil, err
		}
		return &request{id: tickID(t), tick: t}, c.checkEpoch(t.Epoch)
	}
	b, err := c.checkBatch(r.Body)
	if err != nil {
		return nil, err
	}
	return &request{id: batchID(b.digest), batch: b, body: r.Body}, c.checkEpoch(b.epoch)
}

// RequestID implements consensus.Ledger. It refuses a tick for a height that is not the next one yet: ordered ahead of
// its time, it would keep the real one from being ordered.
func (c *Chain) RequestID(raw []byte) (ledger.RequestID, error) {
	r, err := c.readRequest(raw)
	if err != nil {
		return "", err
	}
	if next := c.Head().Header.Height + 1; r.tick != nil && r.tick.Height > next {
		return "", fmt.Errorf("a tick for height %d, the next block is %d", r.tick.Height, next)
	}
	return r.id, nil
}

func (c *Chain) checkEpoch(epoch uint64) error {
	if now, _ := c.Epoch(); epoch != now {
		return fmt.Errorf("the request is for epoch %d, this is %d", epoch, now)
	}
	return nil
}

// Requests implements consensus.Ledger.
func (c *Chain) Requests(payload []byte) ([]ledger.RequestID, error) {
	p, err := ledger.DecodePayload(payload)
	if err != nil {
		return nil, err
	}
	return requestsOf(p), nil
}

func requestsOf(p *ledger.Payload) []ledger.RequestID {
	ids := make([]ledger.RequestID, 0, len(p.Entries)+len(p.Ticks))
	for i := range p.Entries {
		ids = append(ids, batchID(p.Entries[i].Digest))
	}
	for i := range p.Ticks {
		ids = append(ids, tickID(&p.Ticks[i]))
	}
	return ids
}

// Ordered implements consensus.Ledger.
func (c *Chain) Ordered(id ledger.RequestID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ordered.has(c.requestHash(id))
}

func (c *Chain) requestHash(id ledger.RequestID) suite.Hash {
	return c.suite.Hash(ledger.DomainBatch, []byte("request"), []byte(id))
}

// orderedKeep is how long what a block ordered is remembered, by the wall time of blocks. The batch's own wall time is
// at most orderedAhead later than the block's, so that nothing is forgotten while it could be proposed again.
const (
	orderedAhead = ledger.Minute
	orderedKeep  = ledger.BatchAgeMax + orderedAhead
)

// noteOrdered remembers what a committed block ordered. The caller holds mu, or nobody else has c yet.
func (c *Chain) noteOrdered(b *ledger.Block, p *ledger.Payload) {
	for _, id := range requestsOf(p) {
		c.ordered.add(c.requestHash(id), b.Header.Wall+orderedKeep)
	}
	c.ordered.advance(b.Header.Wall)
}

// decodeTxs returns the transactions of a decided block's payload in order. Their signatures were verified by a quorum.
func (c *Chain) decodeTxs(p *ledger.Payload) ([]exec.Tx, error) {
	var txs []exec.Tx
	for i := range p.Entries {
		e := &p.Entries[i]
		batch := c.batches.get(e.Digest)
		if batch == nil {
			var err error
			if batch, err = c.decodeBatch(e.Body); err != nil {
				return nil, fmt.Errorf("batch %s: %w", e.Digest, err)
			}
		}
		c.batches.remove(e.Digest)
		txs = append(txs, batch.txs...)
	}
	return txs, nil
}
