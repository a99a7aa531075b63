package engine

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"aval/codec"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// record is what a validator must never forget: what it signed last, and what it is locked on.
type record struct {
	Height ledger.Height `cbor:"1,keyasint"`
	// View is the newest view in which something was signed at Height. Prepared and Committed are the headers; zero: none.
	View      uint64     `cbor:"2,keyasint"`
	Prepared  suite.Hash `cbor:"3,keyasint"`
	Committed suite.Hash `cbor:"4,keyasint"`
	// Voted is the header voted for at Height; zero: none.
	Voted suite.Hash `cbor:"5,keyasint"`
	// Lock is of Height, nil: none.
	Lock *lock `cbor:"6,keyasint"`
	// ObserveUntil is the height up to which nothing may be signed.
	ObserveUntil ledger.Height `cbor:"7,keyasint"`
}

// lock is a block that a quorum prepared.
type lock struct {
	Block []byte `cbor:"1,keyasint"`
	Proof Proof  `cbor:"2,keyasint"`
}

// sealed is a record with its checksum.
type sealed struct {
	Body []byte `cbor:"1,keyasint"`
	Sum  uint32 `cbor:"2,keyasint"`
}

var recordKey = []byte{'v'}

// observeAlways stands for a height that is not known yet.
const observeAlways ledger.Height = math.MaxUint64

// load reads the record. One that is not there, where one must have been, or is damaged, makes the validator observe.
func (e *Engine) load() error {
	raw, err := e.cfg.Store.Get(recordKey)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("engine: the record of votes: %w", err)
	}
	lost := errors.Is(err, kv.ErrNotFound) && e.cfg.Ledger.Head().Header.Height > 0
	if err == nil {
		var s sealed
		if codec.Unmarshal(raw, &s) != nil || crc32.ChecksumIEEE(s.Body) != s.Sum || codec.Unmarshal(s.Body, &e.record) != nil {
			e.record, lost = record{}, true
		}
	}
	switch {
	case lost || e.cfg.Restored:
		return e.write(record{ObserveUntil: observeAlways})
	case err != nil: // the first start: from now on a record that is not there is lost
		return e.write(record{})
	}
	return nil
}

// write makes a record durable and then the present one.
func (e *Engine) write(r record) error {
	body := codec.MustMarshal(&r)
	batch := e.cfg.Store.NewBatch()
	batch.Set(recordKey, codec.MustMarshal(&sealed{Body: body, Sum: crc32.ChecksumIEEE(body)}))
	if err := e.cfg.Store.Apply(batch, true); err != nil {
		return fmt.Errorf("engine: write the record of votes: %w", err)
	}
	e.record = r
	return nil
}

// Observing reports whether this validator may not sign because it forgot what it signed.
func (e *Engine) Observing() bool { return e.record.ObserveUntil >= e.height }

// Settle ends the uncertainty of a validator that observes: head is at least the newest block of a quorum of other validators. What
// this validator signed before was at the next height at most.
func (e *Engine) Settle(head ledger.Height) error {
	if e.record.ObserveUntil != observeAlways {
		return nil
	}
	return e.write(record{ObserveUntil: head + 1})
}

// Unsettled reports whether Settle must be called before this validator can ever sign again.
func (e *Engine) Unsettled() bool { return e.record.ObserveUntil == observeAlways }

// at returns the record as it is before something is signed in a view of the height in work; ok says whether it may be.
func (e *Engine) at(view uint64) (r record, ok bool) {
	r = e.record
	switch {
	case e.height <= r.ObserveUntil || r.Height > e.height:
		return r, false
	case r.Height < e.height:
		return record{Height: e.height, View: view, ObserveUntil: r.ObserveUntil}, true
	case r.View > view:
		return r, false
	case r.View < view:
		r.View, r.Prepared, r.Committed = view, suite.Hash{}, suite.Hash{}
	}
	return r, true
}

// lockAt returns the lock at the height in work, or nil.
func (e *Engine) lockAt() *lock {
	if e.record.Height != e.height {
		return nil
	}
	return e.record.Lock
}
