package node

import (
	"testing"
	"time"

	"aval/internal/clock"
	"aval/suite"
)

func TestTurnstileBoundsEachPeerAlone(t *testing.T) {
	now := clock.NewFake(time.Unix(0, 0))
	door := newTurnstile(now)
	one, two := suite.PublicKey("one"), suite.PublicKey("two")
	fill := func() (entered int) {
		for door.enter(one) {
			entered++
		}
		return entered
	}
	if n := fill(); n != pushesMax || !door.enter(two) {
		t.Fatalf("%d of one peer are inside", n)
	}
	door.leave(two, true)
	door.leave(one, false)
	if n := fill(); n != 1 {
		t.Errorf("one left and %d more came in", n)
	}
	for range pushesMax { // every one is refused
		door.leave(one, true)
	}
	now.Advance(pushRefusedPause - 1)
	if n := fill(); n != 0 {
		t.Errorf("a moment after they were refused %d came in", n)
	}
	now.Advance(1)
	if n := fill(); n != pushesMax {
		t.Errorf("after the pause %d came in", n)
	}
	for range pushesMax {
		door.leave(one, false)
	}
	if len(door.inside) != 0 {
		t.Errorf("with nobody inside it remembers %v", door.inside)
	}
}
