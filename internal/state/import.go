package state

import (
	"errors"
	"fmt"

	"aval/internal/kv"
	"aval/suite"
)

// importBytes is how much an Importer writes at once.
const importBytes = 4 << 20

// Importer writes the state of one height, as Frozen tells it, into an empty store. It does not judge what it writes: Open
// compares all of it with the root.
type Importer struct {
	cfg    Config
	height uint64
	batch  *kv.Batch
	seq    uint64
	last   []byte
	row    []byte
}

// NewImporter begins to write the state of a height. It fails if the store is not empty.
func NewImporter(c Config, height uint64) (*Importer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	err := c.Store.Iterate(kv.Range{Limit: 1}, func(key, _ []byte) error {
		return fmt.Errorf("state: the store is not empty: it has the row %x", key)
	})
	if err != nil {
		return nil, err
	}
	return &Importer{cfg: c, height: height, batch: c.Store.NewBatch()}, nil
}

// Add writes leaves. They come in order of their places, none twice.
func (im *Importer) Add(entries []Entry) error {
	for i := range entries {
		e := &entries[i]
		r := row{deleted: e.Deleted, height: e.Height, previous: e.Previous, key: e.Key, value: e.Value}
		im.row = r.append(im.row[:0])
		if _, err := decodeRow(im.row); err != nil || e.Height > im.height {
			return fmt.Errorf("state: an entry of height %d in the state of height %d: %w", e.Height, im.height, errors.Join(err, ErrWrites))
		}
		im.set(im.row)
		if im.batch.Bytes() >= importBytes {
			if err := im.flush(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish ends the log with the roots of the height and makes it durable. Only then can it be opened.
func (im *Importer) Finish(roots Roots) error {
	if im.seq == 0 {
		return fmt.Errorf("%w: a state without entries", ErrWrites)
	}
	m := marker{base: true, suite: im.cfg.Suite.ID(), height: im.height, first: im.seq, head: im.seq, leaves: im.seq,
		state: roots.State, writeSet: roots.WriteSet, expired: tombstone{0, suite.Hash{}}}
	im.set(m.append(nil))
	return im.flush(true)
}

func (im *Importer) set(row []byte) {
	im.last = appendKey(im.last[:0], im.seq)
	im.batch.Set(im.last, row)
	im.seq++
}

func (im *Importer) flush(sync bool) error {
	if err := im.cfg.Store.Apply(im.batch, sync); err != nil {
		return fmt.Errorf("state: import height %d: %w", im.height, err)
	}
	im.batch = im.cfg.Store.NewBatch()
	return nil
}
