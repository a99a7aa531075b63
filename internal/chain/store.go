package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/ledger"
	"aval/suite"
)

// Rows of the block store: a table byte and a key.
const (
	rowBlock    = 'b' // height → encoded ledger.Block with certificate
	rowReceipts = 'r' // height → encoded receiptsRow
	rowTx       = 't' // id → position of the receipt that spent it
	rowAttempt  = 'a' // hash with signatures → position of an attempt's receipt that did not spend the id
	rowNetwork  = 'n' // → network id, to refuse another network's store
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
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	return &b, nil
}

// BlockBytes returns the encoding of the committed block at height.
func (c *Chain) BlockBytes(height ledger.Height) ([]byte, error) {
	b, err := c.cfg.Blocks.Get(heightKey(rowBlock, height))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, fmt.Errorf("block %d: %w", height, ErrNotFound)
	}
	return b, err
}

// Receipts returns the receipts of an executed height.
func (c *Chain) Receipts(height ledger.Height) ([]ledger.Receipt, error) {
	var row receiptsRow
	if err := c.load(heightKey(rowReceipts, height), &row); err != nil {
		return nil, fmt.Errorf("receipts of height %d: %w", height, err)
	}
	out := make([]ledger.Receipt, len(row.Receipts))
	for i, b := range row.Receipts {
		if err := codec.Unmarshal(b, &out[i]); err != nil {
			return nil, fmt.Errorf("receipt %d of height %d is damaged: %w", i, height, err)
		}
	}
	return out, nil
}

// FindTx returns the position of the receipt that spent the transaction id.
func (c *Chain) FindTx(id suite.Hash) (Position, error) {
	var p Position
	if err := c.load(hashKey(rowTx, id), &p); err != nil {
		return p, fmt.Errorf("transaction %s: %w", id, err)
	}
	return p, nil
}

// FindAttempt returns the position of the newest receipt of an attempt, by the hash that includes its signatures,
// that did not spend its id.
func (c *Chain) FindAttempt(signed suite.Hash) (Position, error) {
	var p Position
	if err := c.load(hashKey(rowAttempt, signed), &p); err != nil {
		return p, fmt.Errorf("attempt %s: %w", signed, err)
	}
	return p, nil
}

// Receipt returns one receipt.
func (c *Chain) Receipt(p Position) (*ledger.Receipt, error) {
	all, err := c.Receipts(p.Height)
	if err != nil {
		return nil, err
	}
	if int(p.Index) >= len(all) {
		return nil, fmt.Errorf("receipt %d of height %d: %w", p.Index, p.Height, ErrNotFound)
	}
	return &all[p.Index], nil
}

// storeReceipts makes the receipts of a height and their indexes durable. It must precede the state of that height:
// a state that is ahead of its receipts could not make them again.
func (c *Chain) storeReceipts(h *ledger.Header, r *exec.Result, row *receiptsRow) error {
	batch := c.cfg.Blocks.NewBatch()
	batch.Set(heightKey(rowReceipts, h.Height), codec.MustMarshal(row))
	for i := range r.Receipts {
		receipt := &r.Receipts[i]
		pos := codec.MustMarshal(&Position{Height: h.Height, Index: receipt.Index})
		switch {
		case receipt.Boundary || receipt.Code == ledger.CodeReplay:
		case receipt.Final:
			batch.Set(hashKey(rowTx, receipt.Tx), pos)
		default:
			batch.Set(hashKey(rowAttempt, receipt.Signed), pos)
		}
	}
	return c.cfg.Blocks.Apply(batch, true)
}

// restore brings the chain to where its stores stand and replays blocks that are not in state.
func (c *Chain) restore() error {
	if err := c.checkNetwork(); err != nil {
		return err
	}
	st, err := state.Open(state.Config{Store: c.cfg.State, Suite: c.suite})
	if err != nil {
		return err
	}
	c.state = st
	if err := c.restoreHead(); err != nil {
		return err
	}
	if err := c.restoreGenesisState(); err != nil {
		return err
	}
	c.executed = min(ledger.Height(c.state.Height()), c.head.Header.Height)
	if ledger.Height(c.state.Height()) > c.head.Header.Height {
		return fmt.Errorf("chain: state is at height %d but the newest block is %d: the block store is older than the state; restore both from one backup",
			c.state.Height(), c.head.Header.Height)
	}
	c.at = At{Time: c.cfg.Genesis.Start}
	if c.executed > 0 {
		b, err := c.Block(c.executed)
		if err != nil {
			return err
		}
		c.at = At{Height: c.executed, Time: b.Header.Time}
	}
	if err := c.restoreOutcomes(); err != nil {
		return err
	}
	if err := c.restoreWindows(); err != nil {
		return err
	}
	return c.replay()
}

func (c *Chain) checkNetwork() error {
	key := []byte{rowNetwork}
	have, err := c.cfg.Blocks.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		batch := c.cfg.Blocks.NewBatch()
		batch.Set(key, c.network[:])
		return c.cfg.Blocks.Apply(batch, true)
	}
	if err == nil && string(have) != string(c.network[:]) {
		err = fmt.Errorf("chain: the data directory belongs to network %x, the genesis file to %s", have, c.network)
	}
	return err
}

func (c *Chain) restoreHead() error {
	c.head = &ledger.Block{Header: ledger.Header{Network: c.network, Suite: c.suite.ID(),
		Wall: c.cfg.Genesis.Wall, Time: c.cfg.Genesis.Start, Validators: c.valHash, NextValidators: c.valHash}}
	c.headHash = c.network
	r := kv.Range{Start: []byte{rowBlock}, End: []byte{rowBlock + 1}, Limit: 1, Reverse: true}
	return c.cfg.Blocks.Iterate(r, func(_, value []byte) error {
		b, err := ledger.DecodeBlock(append([]byte(nil), value...))
		if err != nil {
			return fmt.Errorf("chain: the newest block is damaged: %w", err)
		}
		c.head, c.headHash = b, b.Header.Hash(c.suite)
		return nil
	})
}

// restoreGenesisState writes the state of height 0 into an empty store.
func (c *Chain) restoreGenesisState() error {
	if !c.state.Empty() {
		return nil
	}
	changes, err := exec.Genesis(exec.Config{Suite: c.suite, Genesis: c.cfg.Genesis})
	if err != nil {
		return err
	}
	_, err = c.state.Apply(0, writesOf(changes))
	return err
}

// restoreOutcomes rebuilds what headers need of the newest executed heights.
func (c *Chain) restoreOutcomes() error {
	lowest := ledger.Height(0)
	if c.executed > keepOutcomes {
		lowest = c.executed - keepOutcomes
	}
	for h := lowest; h <= c.executed; h++ {
		var row receiptsRow
		if h == 0 {
			row = receiptsRow{Offset: c.cfg.Genesis.Offset(), Eventful: true}
		} else if err := c.load(heightKey(rowReceipts, h), &row); err != nil {
			return fmt.Errorf("chain: receipts of executed height %d: %w", h, err)
		}
		roots, err := c.state.RootsAt(uint64(h))
		if err != nil {
			return fmt.Errorf("chain: roots of executed height %d: %w", h, err)
		}
		c.outcomes[h] = c.newOutcome(roots, &row)
	}
	return nil
}

// restoreWindows rebuilds the replay and duplicate windows from the blocks that still lie in them.
func (c *Chain) restoreWindows() error {
	oldest := c.head.Header.Wall - ledger.BatchAgeMax - ledger.TxWindowMax
	from := c.head.Header.Height
	var blocks []*ledger.Block
	for ; from > 0; from-- {
		b, err := c.Block(from)
		if err != nil {
			return err
		}
		if b.Header.Wall < oldest {
			break
		}
		blocks = append(blocks, b)
	}
	for i := len(blocks) - 1; i >= 0; i-- {
		b := blocks[i]
		payload, err := ledger.DecodePayload(b.Payload)
		if err != nil {
			return fmt.Errorf("chain: payload of block %d is damaged: %w", b.Header.Height, err)
		}
		c.noteOrdered(b, payload)
		if b.Header.Height > c.executed {
			continue
		}
		receipts, err := c.Receipts(b.Header.Height)
		if err != nil {
			return err
		}
		for j := range receipts {
			if receipts[j].Final && !receipts[j].Boundary {
				c.spent.add(receipts[j].Tx, b.Header.Wall+ledger.TxWindowMax)
			}
		}
	}
	return nil
}

// replay executes the committed blocks that state has not seen.
func (c *Chain) replay() error {
	for h := c.executed + 1; h <= c.head.Header.Height; h++ {
		b, err := c.Block(h)
		if err != nil {
			return err
		}
		if _, err := c.guardedExecute(b); err != nil {
			return fmt.Errorf("chain: replay of block %d: %w", h, err)
		}
	}
	return nil
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
