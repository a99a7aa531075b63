package money

import (
	"cmp"
	"fmt"
	"slices"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
)

// CheckConservation verifies for every bank that the changed accounts hold as much more or less, over balance and held,
// as the bank has minted less what it has burnt in the same changes. An error means that this program is wrong.
func CheckConservation(changes []vm.Change) error {
	// Sums wrap modulo 2^64, which keeps equality.
	held, owed := map[ledger.PartyID]uint64{}, map[ledger.PartyID]uint64{}
	var banks []ledger.PartyID
	for i := range changes {
		c := &changes[i]
		switch ledger.TableOf(c.Key) {
		case ledger.TableAccount:
			before, after, err := decode[ledger.Account](c)
			if err != nil {
				return err
			}
			bank := cmp.Or(after.Bank, before.Bank)
			held[bank] += uint64(after.Balance+after.Held) - uint64(before.Balance+before.Held)
			banks = append(banks, bank)
		case ledger.TableSupply:
			before, after, err := decode[ledger.Supply](c)
			if err != nil {
				return err
			}
			bank := cmp.Or(after.Bank, before.Bank)
			owed[bank] += uint64(after.Minted-after.Burned) - uint64(before.Minted-before.Burned)
			banks = append(banks, bank)
		default:
		}
	}
	slices.Sort(banks)
	for _, bank := range slices.Compact(banks) {
		if held[bank] != owed[bank] {
			return fmt.Errorf("bank %s: accounts changed by %d fen, minted less burnt by %d", bank, int64(held[bank]), int64(owed[bank]))
		}
	}
	return nil
}

// decode returns the record before and after a change; a record that is not there is zero.
func decode[T any](c *vm.Change) (before, after T, err error) {
	for _, side := range []struct {
		bytes []byte
		into  *T
	}{{c.Old, &before}, {c.New, &after}} {
		if side.bytes == nil {
			continue
		}
		if err := codec.Unmarshal(side.bytes, side.into); err != nil {
			return before, after, fmt.Errorf("record %x: %w", c.Key, err)
		}
	}
	return before, after, nil
}
