package node

import (
	"slices"
	"testing"

	"aval/ledger"
)

// Everybody else is asked, once, those that hold the batch first, and each of them is the first now and then.
func TestAskOrder(t *testing.T) {
	n := &Node{index: 2, cfg: Config{Genesis: &ledger.Genesis{Validators: make(ledger.ValidatorSet, 7)}}}
	holders := []uint16{1, 2, 4, 6, 6, 9} // the node itself, one twice, and one that does not exist
	first := map[uint16]bool{}
	for range 500 {
		order := n.askOrder(holders)
		first[order[0]] = true
		front, rest := slices.Sorted(slices.Values(order[:3])), slices.Sorted(slices.Values(order[3:]))
		if !slices.Equal(front, []uint16{1, 4, 6}) || !slices.Equal(rest, []uint16{0, 3, 5}) {
			t.Fatalf("asked in the order %v", order)
		}
	}
	if len(first) != 3 {
		t.Errorf("asked first: %v", first)
	}
	if !slices.Equal(holders, []uint16{1, 2, 4, 6, 6, 9}) {
		t.Errorf("the caller's list is changed: %v", holders)
	}
}
