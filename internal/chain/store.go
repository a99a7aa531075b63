package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// Rows of the block store: a table byte and a key.
const (
	rowBlock    = 'b' // height → encoded ledger.Block with certificate
	rowReceipts = 'r' // height → encoded receiptsRow
	rowTx       = 't' // id → position of the receipt that spent it
	rowAttempt  = 'a' // hash with signatures → position of an attempt's receipt that did not spend the id
	rowBatch    = 'p' // digest → encoded ledger.Batch
	rowLoose    = 'l' // digest → encoded looseRow, while no block has ordered the batch
	rowNetwork  = 'n' // → network id, to refuse another network's store
	rowFirst    = 'f' // → encoded firstRow
	rowHeader   = 'h' // height → encoded headerRow, of a block that was pruned
)

// ErrNotFound reports a block, receipt or transaction that this node does not hold.
var ErrNotFound = errors.New("chain: not found")

// receiptsRow is what execution of a height leaves beside state.
type receiptsRow struct {
	// Receipts are encoded ledger.Receipt: the leaves of the receipts root.
	Receipts [][]byte    `cbor:"1,keyasint"`
	Offset   ledger.Time `cbor:"2,keyasint"`
	Eventful bool        `cbor:"3,keyasint"`
	WorkLeft bool        `cbor:"4,keyasint"`
}

// Position is where a receipt stands.
type Position struct {
	Height ledger.Height `cbor:"1,keyasint"`
	Index  uint32        `cbor:"2,keyasint"`
}

func heightKey(row byte, h ledger.Height) []byte {
	return binary.BigEndian.AppendUint64([]byte{row}, uint64(h))
}

func hashKey(row byte, h suite.Hash) []byte { return append([]byte{row}, h[:]...) }

func (c *Chain) load(key []byte, v any) error {
	b, err := c.cfg.Blocks.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := codec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("chain: row %q is damaged: %w", key[0], err)
	}
	return nil
}

// Block returns the committed block at height with its certificate.
func (c *Chain) Block(height ledger.Height) (*ledger.Block, error) {
	var b ledger.Block
	if err := c.load(heightKey(rowBlock, height), &b); err != nil {
		return nil, fmt.Errorf("block %d: %w", height, c.absent(err, height))
	}
	return &b, nil
}

// BlockBytes returns the encoding of the committed block at height, and those of the batches that it orders. It returns
// ErrNotFound if one of them has not come yet, and ErrPruned if they are not kept.
func (c *Chain) BlockBytes(height ledger.Height) (block []byte, batches [][]byte, err error) {
	block, err = c.cfg.Blocks.Get(heightKey(rowBlock, height))
	if errors.Is(err, kv.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, nil, fmt.Errorf("block %d: %w", height, c.absent(err, height))
	}
	b, err := ledger.DecodeBlock(block)
	if err != nil {
		return nil, nil, fmt.Errorf("chain: block %d is damaged: %w", height, err)
	}
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		return nil, nil, fmt.Errorf("chain: payload of block %d is damaged: %w", height, err)
	}
	batches = make([][]byte, len(p.Entries))
	for i := range p.Entries {
		if batches[i], err = c.BatchBytes(p.Entries[i].Digest); err != nil {
			return nil, nil, fmt.Errorf("block %d: %w", height, c.absent(err, height))
		}
	}
	return block, batches, nil
}

// Receipts returns the receipts of an executed height.
func (c *Chain) Receipts(height ledger.Height) ([]ledger.Receipt, error) {
	encoded, err := c.encodedReceipts(height)
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Receipt, len(encoded))
	for i, b := range encoded {
		if err := codec.Unmarshal(b, &out[i]); err != nil {
			return nil, fmt.Errorf("receipt %d of height %d is damaged: %w", i, height, err)
		}
	}
	return out, nil
}

// Receipt returns one receipt.
func (c *Chain) Receipt(p Position) (*ledger.Receipt, error) {
	r, _, err := c.receiptAmong(p)
	return r, err
}

// receiptAmong returns one receipt, and all of its height encoded: the leaves of the receipts root.
func (c *Chain) receiptAmong(p Position) (*ledger.Receipt, [][]byte, error) {
	encoded, err := c.encodedReceipts(p.Height)
	if err != nil {
		return nil, nil, err
	}
	if uint64(p.Index) >= uint64(len(encoded)) {
		return nil, nil, fmt.Errorf("receipt %d of height %d: %w", p.Index, p.Height, ErrNotFound)
	}
	var r ledger.Receipt
	if err := codec.Unmarshal(encoded[p.Index], &r); err != nil {
		return nil, nil, fmt.Errorf("receipt %d of height %d is damaged: %w", p.Index, p.Height, err)
	}
	return &r, encoded, nil
}

func (c *Chain) encodedReceipts(height ledger.Height) ([][]byte, error) {
	var row receiptsRow
	if err := c.load(heightKey(rowReceipts, height), &row); err != nil {
		return nil, fmt.Errorf("receipts of height %d: %w", height, c.absent(err, height))
	}
	return row.Receipts, nil
}

// FindTx returns the position of the receipt that spent the transaction id.
func (c *Chain) FindTx(id suite.Hash) (Position, error) {
	var p Position
	if err := c.load(hashKey(rowTx, id), &p); err != nil {
		return p, fmt.Errorf("transaction %s: %w%s", id, err, c.sinceWhen())
	}
	return p, nil
}

// FindAttempt returns the position of the newest receipt of an attempt, by the hash that includes its signatures,
// that did not spend its id.
func (c *Chain) FindAttempt(signed suite.Hash) (Position, error) {
	var p Position
	if err := c.load(hashKey(rowAttempt, signed), &p); err != nil {
		return p, fmt.Errorf("attempt %s: %w%s", signed, err, c.sinceWhen())
	}
	return p, nil
}

// SpentBy returns the receipt that spent the transaction id, or nil if none has.
func (c *Chain) SpentBy(id suite.Hash) (*ledger.Receipt, error) {
	p, err := c.FindTx(id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.Receipt(p)
}
