package money

import (
	"fmt"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
)

// CheckConservation verifies for every bank that the changed accounts hold as much more or less, over balance and held,
// as the bank has minted less what it has burnt in the same changes. An error means that this program is wrong.
//
// It runs over every change of every block, so it reads the few numbers that it needs from the records and leaves the rest alone;
// whose money it is stands in the key.
func CheckConservation(changes []vm.Change) error {
	books := map[string]*bankChange{}
	var order []*bankChange // of first appearance: changes come sorted by key
	for i := range changes {
		c := &changes[i]
		table := ledger.TableOf(c.Key)
		if table != ledger.TableAccount && table != ledger.TableSupply {
			continue
		}
		name := bankOf(c.Key)
		b := books[string(name)]
		if b == nil {
			b = &bankChange{bank: ledger.PartyID(name)}
			books[string(name)], order = b, append(order, b)
		}
		var err error
		if table == ledger.TableAccount {
			err = b.account(c)
		} else {
			err = b.supply(c)
		}
		if err != nil {
			return err
		}
	}
	for _, b := range order {
		if b.held != b.owed {
			return fmt.Errorf("bank %s: accounts changed by %d fen, minted less burnt by %d", b.bank, int64(b.held), int64(b.owed))
		}
	}
	return nil
}

// bankChange is by how much what a bank's accounts hold and what it owes have changed. Sums wrap modulo 2^64, which keeps equality.
type bankChange struct {
	bank       ledger.PartyID
	held, owed uint64
}

// The numbers of the fields that count, as ledger.Account and ledger.Supply have them.
const (
	fieldBalance, fieldHeld  = 3, 4
	fieldMinted, fieldBurned = 2, 3
)

func (b *bankChange) account(c *vm.Change) error {
	oldBalance, oldHeld, err := numbers(c.Key, c.Old, fieldBalance, fieldHeld)
	if err != nil {
		return err
	}
	balance, held, err := numbers(c.Key, c.New, fieldBalance, fieldHeld)
	b.held += balance + held - oldBalance - oldHeld
	return err
}

func (b *bankChange) supply(c *vm.Change) error {
	oldMinted, oldBurned, err := numbers(c.Key, c.Old, fieldMinted, fieldBurned)
	if err != nil {
		return err
	}
	minted, burned, err := numbers(c.Key, c.New, fieldMinted, fieldBurned)
	b.owed += minted - burned - (oldMinted - oldBurned)
	return err
}

// numbers returns two fields of a record; those of a record that is not there are zero.
func numbers(key, record []byte, first, second uint64) (a, b uint64, err error) {
	if record == nil {
		return 0, 0, nil
	}
	a, ok := codec.Uint(record, first)
	b, also := codec.Uint(record, second)
	if !ok || !also {
		return 0, 0, fmt.Errorf("record %x is not one of money", key)
	}
	return a, b, nil
}

// bankOf returns the bank in the key of an account or a supply: behind the table, with its length before it.
func bankOf(key []byte) []byte {
	if len(key) < 2 || len(key) < 2+int(key[1]) {
		return nil
	}
	return key[2 : 2+int(key[1])]
}
