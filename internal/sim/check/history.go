package check

import (
	"bytes"
	"maps"
	"slices"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Finish reads the agreed history from its beginning: it compares headers with results, every answer to a client with the history,
// and books every transaction. It returns the books, to be compared with the states of nodes. It is called once, in the end.
func (j *Judge) Finish() *Books {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.checkHeaders()
	b := newBooks(j)
	h := &history{Judge: j, books: b, final: map[suite.Hash]ledger.Height{}, receipts: map[suite.Hash][][]byte{}, ordered: map[suite.Hash]ledger.Height{}}
	for at := ledger.Height(1); at <= j.top; at++ {
		if seen := j.heights[at]; seen == nil || seen.receipts == nil || !h.read(at, seen) {
			break // what is beyond was executed by no honest node, or cannot be read: answers from there are refused below
		}
		b.height = at
	}
	h.checkAnswers()
	return b
}

// history is the reading of the agreed history.
type history struct {
	*Judge
	books *Books
	// final says at which height an id was spent.
	final map[suite.Hash]ledger.Height
	// receipts are all encoded receipts by the hash with signatures, final ones also by the id.
	receipts map[suite.Hash][][]byte
	ordered  map[suite.Hash]ledger.Height // batches
}

// read reads one height and returns whether it could.
func (h *history) read(at ledger.Height, seen *height) bool {
	payload, err := ledger.DecodePayload(seen.block.Payload)
	if err != nil {
		h.report(Certificates, "the payload of block %d does not decode: %v", at, err)
		return false
	}
	var raws [][]byte
	for i := range payload.Entries {
		digest := payload.Entries[i].Digest
		if first, twice := h.ordered[digest]; twice {
			h.report(Acknowledged, "batch %s was ordered at height %d and again at %d", digest, first, at)
		}
		h.ordered[digest] = at
		body, ok := h.batches[digest]
		if !ok {
			h.report(Acknowledged, "block %d orders batch %s, which nobody has", at, digest)
			return false
		}
		batch, err := ledger.DecodeBatch(body)
		if err != nil {
			h.report(Certificates, "batch %s does not decode: %v", digest, err)
			return false
		}
		raws = append(raws, batch.Txs...)
	}
	return h.settle(at, seen, raws)
}

// settle pairs the transactions of a block with their receipts.
func (h *history) settle(at ledger.Height, seen *height, raws [][]byte) bool {
	var receipts []ledger.Receipt
	for i, encoded := range seen.receipts {
		var r ledger.Receipt
		if err := codec.Unmarshal(encoded, &r); err != nil || r.Height != at || int(r.Index) != i {
			h.report(Roots, "receipt %d of height %d is not of that place: %v", i, at, err)
			return false
		}
		receipts = append(receipts, r)
	}
	if len(receipts) > 0 && receipts[0].Boundary {
		h.books.boundary(&receipts[0])
		receipts = receipts[1:]
	}
	if len(receipts) != len(raws) {
		h.report(Acknowledged, "block %d orders %d transactions and has %d receipts", at, len(raws), len(receipts))
		return false
	}
	for i, raw := range raws {
		tx, err := ledger.DecodeSignedTx(raw)
		if err != nil {
			h.report(Certificates, "transaction %d of block %d does not decode: %v", i, at, err)
			return false
		}
		h.transaction(&seen.block.Header, tx, raw, &receipts[i])
	}
	return true
}

// transaction judges one receipt and books what it says.
func (h *history) transaction(head *ledger.Header, tx *ledger.SignedTx, raw []byte, r *ledger.Receipt) {
	id, signed := tx.Tx.ID(h.suite), h.suite.Hash(ledger.DomainSignedTx, raw)
	if r.Boundary || r.Tx != id || r.Signed != signed {
		h.report(Acknowledged, "receipt %d/%d is not that of transaction %s", r.Height, r.Index, id)
		return
	}
	first, spent := h.final[id]
	switch {
	case spent && (r.Final || r.Code == ledger.CodeOK):
		h.report(Acknowledged, "transaction %s was applied at height %d and again at %d", id, first, r.Height)
	case !spent && r.Code == ledger.CodeReplay:
		h.report(Acknowledged, "transaction %s was refused as a repetition at height %d and was never applied", id, r.Height)
	case r.Code == ledger.CodeOK && (!r.Final || tx.Tx.Network != h.network || tx.Tx.ValidUntil < head.Wall ||
		tx.Tx.ValidUntil > head.Wall+ledger.TxWindowMax):
		h.report(Acknowledged, "transaction %s, valid until %s, took effect in block %d of %s", id, tx.Tx.ValidUntil, r.Height, head.Wall)
	}
	for i := range tx.Sigs {
		s := &tx.Sigs[i]
		if r.Code == ledger.CodeOK && !h.suite.Verify(s.Key, ledger.DomainTxSignature, id[:], s.Sig) {
			h.report(Acknowledged, "transaction %s took effect at height %d with an invalid signature", id, r.Height)
		}
	}
	encoded := codec.MustMarshal(r)
	h.receipts[signed] = append(h.receipts[signed], encoded)
	if r.Final {
		h.final[id] = r.Height
		h.receipts[id] = append(h.receipts[id], encoded)
	}
	if r.Code == ledger.CodeOK && !spent {
		h.books.apply(id, &tx.Tx)
	}
}

// checkAnswers compares what clients were told with the history.
func (h *history) checkAnswers() {
	byHash := func(a, b suite.Hash) int { return bytes.Compare(a[:], b[:]) }
	for _, signed := range slices.SortedFunc(maps.Keys(h.answers), byHash) {
		a := h.answers[signed]
		encoded := codec.MustMarshal(&a.receipt)
		same := func(r []byte) bool { return bytes.Equal(r, encoded) }
		// A repetition with other signatures is told the receipt that spent the id.
		if !slices.ContainsFunc(h.receipts[signed], same) && !slices.ContainsFunc(h.receipts[a.receipt.Tx], same) {
			h.report(Acknowledged, "node %d told that transaction %s has receipt %d/%d (%s); the history does not have it",
				a.node, a.receipt.Tx, a.receipt.Height, a.receipt.Index, a.receipt.Code)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(h.never), byHash) {
		if at, ok := h.final[id]; ok {
			h.report(Acknowledged, "node %d told that transaction %s can never take effect; it did at height %d", h.never[id], id, at)
		}
	}
}
