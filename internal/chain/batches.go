package chain

import (
	"container/list"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"aval/codec"
	"aval/internal/exec"
	"aval/ledger"
	"aval/suite"
)

// openBatch is a batch that was decoded, with what its head must be.
type openBatch struct {
	digest suite.Hash
	head   ledger.BatchHead
	txs    []exec.Tx
	bytes  int // what it takes in memory, about
	// verified is set once every signature in it was found valid here; forged is the refusal if one was not, so that who sends
	// it again does not have it verified again. Chain.checking guards forged.
	verified atomic.Bool
	forged   error
}

// batchCache remembers decoded batches until they are executed, so that each is decoded, and verified, once. The least
// recently used leave when it is full. It is safe for concurrent use. Invariant: each is durable, since what is here counts as
// held and may be executed.
type batchCache struct {
	mu       sync.Mutex
	bytesMax int
	// bytes is the sum over the batches here. Invariant: at most bytesMax, unless one batch alone is larger.
	bytes    int
	byDigest map[suite.Hash]*list.Element
	order    *list.List // front: most recently used
}

func newBatchCache(bytesMax int) *batchCache {
	return &batchCache{bytesMax: bytesMax, byDigest: map[suite.Hash]*list.Element{}, order: list.New()}
}

func (c *batchCache) get(digest suite.Hash) *openBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byDigest[digest]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*openBatch)
}

// put remembers b, or returns the same batch if it is here already.
func (c *batchCache) put(b *openBatch) *openBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byDigest[b.digest]; ok {
		return e.Value.(*openBatch)
	}
	c.byDigest[b.digest] = c.order.PushFront(b)
	c.bytes += b.bytes
	for c.bytes > c.bytesMax && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
	return b
}

func (c *batchCache) remove(digest suite.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byDigest[digest]; ok {
		c.drop(e)
	}
}

func (c *batchCache) drop(e *list.Element) {
	b := e.Value.(*openBatch)
	c.order.Remove(e)
	delete(c.byDigest, b.digest)
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
func (c *Chain) decodeBatch(body []byte) (*openBatch, error) {
	batch, err := ledger.DecodeBatch(body)
	if err != nil {
		return nil, err
	}
	txs, unsigned := make([]exec.Tx, len(batch.Txs)), make([][]byte, len(batch.Txs))
	for i, raw := range batch.Txs {
		signed, err := ledger.DecodeSignedTx(raw)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		if err := signed.CheckForm(c.network); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		txs[i].Body, unsigned[i] = signed, codec.MustMarshal(&signed.Tx)
	}
	hashes := make([]suite.Hash, len(txs))
	suite.HashMany(c.suite, ledger.DomainTx, unsigned, hashes)
	for i := range txs {
		txs[i].ID = hashes[i]
	}
	suite.HashMany(c.suite, ledger.DomainSignedTx, batch.Txs, hashes)
	for i := range txs {
		txs[i].Signed = hashes[i]
	}
	return c.openedBatch(batch, len(body), txs), nil
}

// openedBatch returns the batch of these transactions, whose encoding has size bytes.
func (c *Chain) openedBatch(batch *ledger.Batch, size int, txs []exec.Tx) *openBatch {
	signed, guarded := make([]suite.Hash, len(txs)), false
	out := &openBatch{txs: txs}
	for i := range txs {
		signed[i] = txs[i].Signed
		guarded = guarded || txs[i].Body.Tx.Guarded()
		out.bytes += txBytes(batch.Txs[i], txs[i].Body)
	}
	out.head = batch.Head(c.suite, signed, size, guarded)
	out.digest = out.head.Digest(c.suite)
	return out
}

// txBytes is about what a decoded transaction takes in memory: its own bytes, and the structures around them.
func txBytes(raw []byte, t *ledger.SignedTx) int {
	return len(raw) + 256 + 64*len(t.Tx.Ops) + 96*len(t.Sigs)
}

func (c *Chain) verifySignatures(b *openBatch) error {
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

// request is an ordering request, read: a batch certificate with its bytes, or a tick.
type request struct {
	id   ledger.RequestID
	cert *ledger.BatchCertificate
	body []byte
	tick *ledger.Tick
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
	cert, digest, err := c.checkCertificate(r.Body)
	if err != nil {
		return nil, err
	}
	return &request{id: batchID(digest), cert: cert, body: r.Body}, c.checkEpoch(cert.Head.Epoch)
}

// recent remembers the newest hashes it was given, at least recentMin and at most twice as many. It is safe for concurrent
// use.
type recent struct {
	mu          sync.Mutex
	now, before map[suite.Hash]struct{}
}

const recentMin = 4096

func (r *recent) has(h suite.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, now := r.now[h]
	_, before := r.before[h]
	return now || before
}

func (r *recent) add(h suite.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || len(r.now) == recentMin {
		r.now, r.before = map[suite.Hash]struct{}{}, r.now
	}
	r.now[h] = struct{}{}
}

// checkCertificate decodes and verifies a batch certificate, unless these very bytes were found valid before, and returns
// the digest of its batch.
func (c *Chain) checkCertificate(raw []byte) (*ledger.BatchCertificate, suite.Hash, error) {
	cert, err := ledger.DecodeBatchCertificate(raw)
	if err != nil {
		return nil, suite.Hash{}, err
	}
	digest, hash := cert.Head.Digest(c.suite), c.suite.Sum(raw)
	if c.certificates.has(hash) {
		return cert, digest, nil
	}
	if err := c.checkEpoch(cert.Head.Epoch); err != nil {
		return nil, digest, err
	}
	_, set := c.Epoch()
	if err := cert.Verify(c.suite, c.network, set, c.cfg.Genesis.Params.VerifyQuorum); err != nil {
		return nil, digest, err
	}
	c.certificates.add(hash)
	return cert, digest, nil
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
	for i := range p.Entries {
		c.loose.remove(p.Entries[i].Digest)
	}
	c.ordered.advance(b.Header.Wall)
}
