package chain

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/ledger"
	"aval/suite"
)

// restoreBytes is how much a Restorer writes at once.
const restoreBytes = 4 << 20

// Restorer fills empty stores with what a Frozen told, so that a chain opened over them goes on from there. It takes what it is
// given: whoever calls it has verified it. The chain executes the blocks above the height when it is opened, and compares the state
// with their roots.
type Restorer struct {
	cfg    Config
	height ledger.Height
	state  *state.Importer
	batch  *kv.Batch
	// offset is the clock's, from the state.
	offset ledger.Time
	// own are the receipts of the height itself.
	own receiptsRow
}

// NewRestorer begins to restore a height. Of the configuration it uses genesis, suite and stores, which must be empty.
func NewRestorer(cfg Config, height ledger.Height) (*Restorer, error) {
	if cfg.Genesis == nil || cfg.Suite == nil || cfg.Blocks == nil || cfg.State == nil {
		return nil, errors.New("chain: Genesis, Suite, Blocks and State are required")
	}
	err := cfg.Blocks.Iterate(kv.Range{Limit: 1}, func(key, _ []byte) error {
		return fmt.Errorf("chain: the store of blocks is not empty: it has the row %x", key)
	})
	if err != nil {
		return nil, err
	}
	im, err := state.NewImporter(state.Config{Store: cfg.State, Suite: cfg.Suite}, uint64(height))
	if err != nil {
		return nil, err
	}
	return &Restorer{cfg: cfg, height: height, state: im, batch: cfg.Blocks.NewBatch(), offset: cfg.Genesis.Offset()}, nil
}

// Block takes an encoded block of the given height.
func (r *Restorer) Block(height ledger.Height, encoded []byte) error {
	r.batch.Set(heightKey(rowBlock, height), encoded)
	return r.flush(false)
}

// Batch takes an encoded batch.
func (r *Restorer) Batch(digest suite.Hash, encoded []byte) error {
	r.batch.Set(hashKey(rowBatch, digest), encoded)
	return r.flush(false)
}

// Receipts takes the encoded receipts of a height up to the restored one.
func (r *Restorer) Receipts(height ledger.Height, encoded [][]byte) error {
	// Whether more work waited is asked of the newest heights only, which are executed again, and so is the offset, except after
	// the restored height itself: see Finish.
	row := receiptsRow{Receipts: encoded, Eventful: true, WorkLeft: true}
	if height == r.height {
		r.own = row
	}
	r.batch.Set(heightKey(rowReceipts, height), codec.MustMarshal(&row))
	for i, b := range encoded {
		var receipt ledger.Receipt
		if err := codec.Unmarshal(b, &receipt); err != nil {
			return fmt.Errorf("chain: receipt %d of height %d: %w", i, height, err)
		}
		setReceiptIndex(r.batch, &receipt, height)
	}
	return r.flush(false)
}

// State takes leaves of the state, in the order of their places.
func (r *Restorer) State(entries []state.Entry) error {
	for i := range entries {
		if e := &entries[i]; string(e.Key) == string(ledger.ClockKey()) && !e.Deleted {
			var clock ledger.ClockRecord
			if err := codec.Unmarshal(e.Value, &clock); err != nil {
				return fmt.Errorf("chain: the clock's record: %w", err)
			}
			r.offset = clock.Offset
		}
	}
	return r.state.Add(entries)
}

// Finish ends with the roots of the height and makes everything durable.
func (r *Restorer) Finish(roots state.Roots) error {
	network := r.cfg.Genesis.NetworkID(r.cfg.Suite)
	r.own.Offset = r.offset
	r.batch.Set(heightKey(rowReceipts, r.height), codec.MustMarshal(&r.own))
	r.batch.Set([]byte{rowNetwork}, network[:])
	r.batch.Set([]byte{rowFirst}, codec.MustMarshal(&firstRow{First: r.height + 1}))
	if err := r.flush(true); err != nil {
		return err
	}
	return r.state.Finish(roots)
}

// flush writes what has gathered if it is much, or at the end.
func (r *Restorer) flush(end bool) error {
	if !end && r.batch.Bytes() < restoreBytes {
		return nil
	}
	if err := r.cfg.Blocks.Apply(r.batch, end); err != nil {
		return fmt.Errorf("chain: restore: %w", err)
	}
	r.batch = r.cfg.Blocks.NewBatch()
	return nil
}
