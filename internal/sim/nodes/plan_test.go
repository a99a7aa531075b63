package nodes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is what a seed means: the network, and what goes wrong in it when.
type plan struct {
	seed                  uint64
	test                  string // that lives through such plans
	suite                 string
	validators, observers int
	clients               int
	// think is the longest pause of a client between two transactions.
	think time.Duration
	// byzantine is the validator that does not keep to the protocol; −1: none. It is a pair of twins, or tells lies.
	byzantine int
	twin      bool
	lies      []lie
	// keepPercent is how much of what was not synced survives a crash.
	keepPercent int
	events      []event

	// healed and level are how long the first block, and every node, took after healing; short says that a validator could
	// not be relied upon.
	healed, level time.Duration
	short         bool
}

// event is one thing that goes wrong.
type event struct {
	after time.Duration // since the event before
	kind  eventKind
	// a and b are sites, amount means what the kind needs.
	a, b   int
	amount int
	wait   time.Duration
	damage damage
	group  []int
}

type eventKind int

const (
	eventCrash    eventKind = iota // a loses power, returns after wait
	eventWrite                     // a loses power at write number amount, returns after wait
	eventStop                      // a stops in order, returns after wait
	eventOutage                    // all lose power, return after wait
	eventCut                       // the way from a to b is cut
	eventCutBoth                   // both ways are
	eventIsolate                   // all ways of a are
	eventSplit                     // group and the rest do not hear each other
	eventMend                      // all ways are good
	eventLoss                      // amount of 1000 messages are lost everywhere
	eventTwice                     // amount of 1000 messages come twice everywhere
	eventSlow                      // everything takes up to wait longer
	eventSlowFrom                  // what comes from a takes up to wait longer
	eventDrift                     // the clock of a is wrong by amount ms, which may pass
	eventJump                      // the clock of a is wrong by amount ms, which may not pass
	eventKinds
)

// weights say how often each kind is drawn.
var weights = [eventKinds]int{8, 8, 3, 1, 4, 4, 4, 4, 8, 4, 2, 3, 3, 3, 2}

func (e event) String() string {
	out := fmt.Sprintf("+%-6v ", e.after)
	switch e.kind {
	case eventCrash:
		out += fmt.Sprintf("crash of %d for %v", e.a, e.wait)
	case eventWrite:
		out += fmt.Sprintf("crash of %d at its write %d, for %v", e.a, e.amount, e.wait)
	case eventStop:
		out += fmt.Sprintf("%d stops for %v", e.a, e.wait)
	case eventOutage:
		out += fmt.Sprintf("power outage for %v", e.wait)
	case eventCut:
		out += fmt.Sprintf("cut %d→%d", e.a, e.b)
	case eventCutBoth:
		out += fmt.Sprintf("cut %d↔%d", e.a, e.b)
	case eventIsolate:
		out += fmt.Sprintf("%d is cut off", e.a)
	case eventSplit:
		out += fmt.Sprintf("%v is split off", e.group)
	case eventMend:
		out += "links mended"
	case eventLoss:
		out += fmt.Sprintf("%d‰ of messages are lost", e.amount)
	case eventTwice:
		out += fmt.Sprintf("%d‰ of messages come twice", e.amount)
	case eventSlow:
		out += fmt.Sprintf("messages take up to %v", e.wait)
	case eventSlowFrom:
		out += fmt.Sprintf("messages of %d take up to %v", e.a, e.wait)
	case eventDrift, eventJump:
		out += fmt.Sprintf("clock of %d is off by %d ms", e.a, e.amount)
	}
	if e.damage != damageNone {
		out += fmt.Sprintf(" (%s)", e.damage)
	}
	return out
}

// String describes the plan.
func (p *plan) String() string {
	out := fmt.Sprintf("%s\nseed %d: %s, %d validators, %d observers, %d clients; a crash keeps %d%% of what was not synced", p.command(), p.seed, p.suite,
		p.validators, p.observers, p.clients, p.keepPercent)
	if p.byzantine >= 0 {
		out += fmt.Sprintf("\nvalidator %d is byzantine: twin %t, lies %v", p.byzantine, p.twin, p.lies)
	}
	lines := []string{out}
	for _, e := range p.events {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
}

// command returns what repeats the plan.
func (p *plan) command() string {
	return fmt.Sprintf("go test ./internal/sim/nodes -run '^%s$' -v -seed %d", p.test, p.seed)
}

func (p *plan) sites() int {
	n := p.validators + p.observers
	if p.twin {
		n++
	}
	return n
}

// faulty returns how many validators may be.
func (p *plan) faulty() int { return (p.validators - 1) / 3 }

// newPlan draws the plan of a seed. Byzantine plans have a validator that does not keep to the protocol; in others disks are
// damaged and clocks jump, of no more validators than may be faulty.
func newPlan(test string, seed uint64, byzantine bool) *plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &plan{test: test, seed: seed, suite: "intl", validators: 4, observers: rng.IntN(2), clients: 2 + rng.IntN(2),
		think: time.Duration(50+rng.IntN(400)) * time.Millisecond, byzantine: -1, keepPercent: rng.IntN(3) * 50}
	if rng.IntN(4) == 0 {
		p.suite = "sm"
	}
	if rng.IntN(10) == 0 {
		p.validators, p.clients = 7, 2
	}
	if byzantine {
		p.observers = 0
		p.byzantine = rng.IntN(p.validators)
		if p.twin = rng.IntN(2) == 0; !p.twin || rng.IntN(3) == 0 {
			p.lies = drawLies(rng)
		}
	}
	hurt := map[int]bool{} // whose disk or clock is no good
	if byzantine {
		for range p.faulty() {
			hurt[-1-len(hurt)] = true // nobody's may be
		}
	}
	for at := time.Duration(0); at < chaosLength; {
		e := p.draw(rng, hurt)
		at += e.after
		p.events = append(p.events, e)
	}
	return p
}

// chaosLength is for how long things go wrong, in virtual time.
const chaosLength = 15 * time.Second

func (p *plan) draw(rng *rand.Rand, hurt map[int]bool) event {
	ms := func(least, most int) time.Duration {
		return time.Duration(least+rng.IntN(most-least)) * time.Millisecond
	}
	e := event{after: ms(50, 1200), a: rng.IntN(p.sites()), b: rng.IntN(p.sites()), wait: ms(10, 4000)}
	sum := 0
	for _, w := range weights {
		sum += w
	}
	for draw := rng.IntN(sum); draw >= weights[e.kind]; e.kind++ {
		draw -= weights[e.kind]
	}
	// mayHurt tells whether something may happen to a that makes it faulty.
	mayHurt := func() bool {
		if e.a >= p.validators {
			return p.byzantine < 0
		}
		if hurt[e.a] || len(hurt) < p.faulty() {
			hurt[e.a] = true
			return true
		}
		return false
	}
	switch e.kind {
	case eventCrash, eventWrite, eventStop:
		e.amount = 1 + rng.IntN(60)
		if k := damage(rng.IntN(3 * int(damageKinds))); k < damageKinds && mayHurt() {
			e.damage = k
		}
	case eventSplit:
		e.group = rng.Perm(p.sites())[:1+rng.IntN(p.sites()/2)]
		slices.Sort(e.group)
	case eventLoss, eventTwice:
		e.amount = rng.IntN(300)
	case eventSlow:
		e.wait = ms(1, 400)
	case eventSlowFrom:
		e.wait = ms(10, 3000)
	case eventDrift:
		e.amount = rng.IntN(400) - 200
	case eventJump:
		if e.amount = (rng.IntN(240) - 120) * 1000; !mayHurt() {
			e.kind, e.amount = eventDrift, 100
		}
	}
	return e
}
