package nodes

import (
	"errors"
	"slices"
	"time"
)

// chaos lets everything happen that the plan says.
func (w *world) chaos() {
	for _, e := range w.plan.events {
		pause(w.t.Context(), e.after)
		w.note("%s", e)
		w.happen(e)
	}
}

func (w *world) happen(e event) {
	m := w.machines[e.a]
	switch e.kind {
	case eventCrash:
		m.lose(w.plan.keepPercent)
		w.returns(m, e)
	case eventWrite:
		m.disk.arm(e.amount)
		w.returns(m, e)
	case eventStop:
		w.tasks.Go(func() {
			if err := m.stop(); err != nil && m.honest && !m.damaged() {
				w.fail("%s does not stop: %v", m.base.Name, err)
			}
		})
		w.returns(m, e)
	case eventOutage:
		for _, other := range w.machines {
			other.lose(w.plan.keepPercent)
			w.returns(other, e)
		}
	case eventDrift, eventJump:
		m.clock.set(time.Duration(e.amount) * time.Millisecond)
	default:
		w.weather(e)
	}
}

// weather changes links.
func (w *world) weather(e event) {
	sites := len(w.machines)
	each := func(change func(from, to int, now *weather)) {
		for from := range sites {
			for to := range sites {
				w.net.change(from, to, func(now *weather) { change(from, to, now) })
			}
		}
	}
	switch e.kind {
	case eventCut:
		w.net.change(e.a, e.b, func(now *weather) { now.cut = true })
	case eventCutBoth:
		w.net.change(e.a, e.b, func(now *weather) { now.cut = true })
		w.net.change(e.b, e.a, func(now *weather) { now.cut = true })
	case eventIsolate:
		each(func(from, to int, now *weather) { now.cut = now.cut || from == e.a || to == e.a })
	case eventSplit:
		each(func(from, to int, now *weather) {
			now.cut = now.cut || slices.Contains(e.group, from) != slices.Contains(e.group, to)
		})
	case eventMend:
		w.net.mend()
	case eventLoss:
		each(func(_, _ int, now *weather) { now.lossPerMille = e.amount })
	case eventTwice:
		each(func(_, _ int, now *weather) { now.dupPerMille = e.amount })
	case eventSlow:
		each(func(_, _ int, now *weather) { now.jitter = e.wait })
	case eventSlowFrom:
		each(func(from, _ int, now *weather) {
			if from == e.a {
				now.jitter = e.wait
			}
		})
	}
}

// returns has a machine come back after a while if it is down then, damaged perhaps.
func (w *world) returns(m *machine, e event) {
	w.tasks.Go(func() {
		pause(w.t.Context(), e.wait)
		m.mu.Lock()
		down := m.down
		m.mu.Unlock()
		if !down {
			return
		}
		if e.damage != damageNone && m.hurt(e.damage) {
			w.note("%s: %s", m.base.Name, e.damage)
		}
		w.up(m)
	})
}

// up starts a machine if it is down. One with a damaged disk that refuses to start gets an empty one, as its operator would do.
func (w *world) up(m *machine) {
	if !m.busy.TryLock() {
		return // somebody else starts it
	}
	defer m.busy.Unlock()
	m.mu.Lock()
	down, closing := m.down, m.closing
	m.mu.Unlock()
	if !down {
		return
	}
	if closing != nil {
		<-closing
	}
	m.mu.Lock()
	refused := m.refused
	m.refused = false
	m.mu.Unlock()
	if refused {
		m.disk.wipe()
	}
	err := m.start()
	if err != nil && !errors.Is(err, errPower) && m.damaged() {
		w.note("%s refuses to start: %v", m.base.Name, err)
		m.disk.wipe()
		err = m.start()
	}
	switch {
	case err == nil:
		w.note("%s runs", m.base.Name)
	case errors.Is(err, errPower):
	default:
		w.fail("%s does not start: %v", m.base.Name, err)
	}
}

// hurt damages the disk of a machine that is down, and reports whether it was.
func (m *machine) hurt(k damage) bool {
	if !m.busy.TryLock() {
		return false
	}
	defer m.busy.Unlock()
	m.mu.Lock()
	down, closing := m.down, m.closing
	m.mu.Unlock()
	if !down {
		return false
	}
	if closing != nil {
		<-closing
	}
	if err := m.disk.suffer(k); err != nil {
		m.world.fail("%s: damage: %v", m.base.Name, err)
	}
	m.mu.Lock()
	m.wasHurt = true
	m.mu.Unlock()
	return true
}

// damaged reports whether the disk was damaged at some time.
func (m *machine) damaged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wasHurt
}
