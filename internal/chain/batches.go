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
	epoch  uint64
	wall   ledger.Time
	txs    []exec.Tx
	bytes  int
}

// batchCache remembers verified batches by digest until they are executed, so that signatures are verified once. The
// least recently used leave when it is full. It is safe for concurrent use.
type batchCache struct {
	mu       sync.Mutex
	bytesMax int
	bytes    int
	byDigest map[suite.Hash]*list.Element
	order    *list.List // front: most recently used
}

func newBatchCache(bytesMax int) *batchCache {
	return &batchCache{bytesMax: bytesMax, byDigest: map[suite.Hash]*list.Element{}, order: list.New()}
}

func (c *batchCache) get(digest suite.Hash) *checkedBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byDigest[digest]
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
	c.byDigest[b.digest] = c.order.PushFront(b)
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
	c.bytes -= b.bytes
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
	out := &checkedBatch{epoch: batch.Epoch, wall: batch.Wall, bytes: 3 * len(body), txs: make([]exec.Tx, len(batch.Txs))}
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
	}
	out.digest = batch.DigestOf(c.suite, merkle.RootOfHashes(c.suite, leaves))
	return out, nil
}

// checkBatch decodes a batch and verifies every signature in it, unless it is remembered as verified.
func (c *Chain) checkBatch(body []byte) (*checkedBatch, error) {
	b, err := c.decodeBatch(body)
	if err != nil {
		return nil, err
	}
	if known := c.batches.get(b.digest); known != nil {
		return known, nil
	}
	var items []suite.Signed
	for i := range b.txs {
		items = b.txs[i].Body.Signed(b.txs[i].ID, items)
	}
	for i, ok := range c.suite.VerifyBatch(items) {
		if !ok {
			return nil, ledger.Failf(ledger.CodeSignature, "a signature by key %s in batch %s is not valid", items[i].Key, b.digest)
		}
	}
	c.batches.put(b)
	return b, nil
}

// RequestID implements consensus.Ledger.
func (c *Chain) RequestID(request []byte) (ledger.RequestID, error) {
	r, err := ledger.DecodeOrderingRequest(request)
	if err != nil {
		return "", err
	}
	if r.Kind == ledger.RequestTick {
		t, err := ledger.DecodeTick(r.Body)
		if err != nil {
			return "", err
		}
		return tickID(t), c.checkEpoch(t.Epoch)
	}
	b, err := c.checkBatch(r.Body)
	if err != nil {
		return "", err
	}
	return batchID(b.digest), c.checkEpoch(b.epoch)
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
	ids := make([]ledger.RequestID, 0, len(p.Entries)+len(p.Ticks))
	for i := range p.Entries {
		ids = append(ids, batchID(p.Entries[i].Digest))
	}
	for i := range p.Ticks {
		ids = append(ids, tickID(&p.Ticks[i]))
	}
	return ids, nil
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

// noteOrdered remembers what a committed block ordered. The caller holds mu, or nobody else has c yet.
func (c *Chain) noteOrdered(b *ledger.Block, p *ledger.Payload) {
	until := b.Header.Wall + ledger.BatchAgeMax + ledger.Minute
	for i := range p.Entries {
		c.ordered.add(c.requestHash(batchID(p.Entries[i].Digest)), until)
	}
	for i := range p.Ticks {
		c.ordered.add(c.requestHash(tickID(&p.Ticks[i])), until)
	}
	c.ordered.advance(b.Header.Wall)
}

// decodeTxs returns the transactions of a decided block in order. Their signatures were verified by a quorum.
func (c *Chain) decodeTxs(b *ledger.Block) ([]exec.Tx, error) {
	payload, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return nil, err
	}
	var txs []exec.Tx
	for i := range payload.Entries {
		e := &payload.Entries[i]
		batch := c.batches.get(e.Digest)
		if batch == nil {
			if batch, err = c.decodeBatch(e.Body); err != nil {
				return nil, fmt.Errorf("batch %s: %w", e.Digest, err)
			}
		}
		c.batches.remove(e.Digest)
		txs = append(txs, batch.txs...)
	}
	return txs, nil
}
