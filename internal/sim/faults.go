package sim

import (
	"time"

	"aval/internal/kv"
	"aval/internal/sim/check"
)

// plan is which faults befall a network. It is drawn from the seed.
type plan struct {
	// liars lie from the beginning; treacherous is a node whose disks may lie or rot, −1: none. Together at most f.
	liars       []int
	treacherous int
	// kinds are the faults that occur, every occurs about so often, until the faults end.
	kinds []func(*world)
	every time.Duration
	until time.Duration
}

// draw draws a plan.
func (w *world) draw() plan {
	r := w.chance
	p := plan{treacherous: -1, every: spread(r, 150*time.Millisecond, 1200*time.Millisecond), until: spread(r, 4*time.Second, 9*time.Second)}
	f := w.cast.genesis.Validators.Faulty()
	order := r.Perm(len(w.nodes))
	for _, i := range order[:f] {
		switch r.IntN(3) {
		case 0:
			p.liars = append(p.liars, i)
		case 1:
			p.treacherous = i
		default:
		}
	}
	if n := w.cfg.Liars; n > 0 {
		p.liars, p.treacherous = order[:n], -1
	}
	all := []func(*world){(*world).crash, (*world).crashAtWrite, (*world).partition, (*world).oneWay, (*world).isolate, (*world).loss,
		(*world).duplication, (*world).delay, (*world).skew, (*world).jump, (*world).slowDisk, (*world).fullDisk, (*world).writeError}
	if p.treacherous >= 0 {
		at := w.nodes[p.treacherous]
		all = append(all, func(w *world) { w.lie(at) }, func(w *world) { w.rot(at) })
	}
	if oneIn(r, 10) {
		return p // a quiet run
	}
	for _, kind := range all {
		if r.IntN(5) < 3 {
			p.kinds = append(p.kinds, kind)
		}
	}
	return p
}

// trouble lets faults happen until their time is over.
func (w *world) trouble(p plan) {
	for _, i := range p.liars {
		w.nodes[i].liar = newLiar(w.nodes[i])
		w.fault("liar", i)
	}
	var next func()
	next = func() {
		if w.now() > p.until || w.healed {
			return
		}
		p.kinds[w.chance.IntN(len(p.kinds))](w)
		w.after(spread(w.chance, p.every/4, 2*p.every), next)
	}
	if len(p.kinds) > 0 {
		w.after(spread(w.chance, 0, time.Second), next)
	}
}

// someone returns a random node.
func (w *world) someone() *node { return w.nodes[w.chance.IntN(len(w.nodes))] }

// for lets something be undone after a while.
func (w *world) later(undo func()) {
	w.after(spread(w.chance, 200*time.Millisecond, 3*time.Second), func() {
		if !w.healed {
			undo()
		}
	})
}

// crash cuts the power of a node.
func (w *world) crash() {
	n := w.someone()
	if !n.up {
		return
	}
	w.fault("crash", n.index)
	n.fall()
}

// fall takes the power from a node that runs.
func (n *node) fall() {
	n.cutPower()
	n.busyUntil = time.Time{}
	n.do(func() {})
}

// crashAtWrite cuts the power of a node at one of its next writes, be it in the middle of a batch.
func (w *world) crashAtWrite() {
	n := w.someone()
	d := n.all()[w.chance.IntN(3)]
	if !n.up {
		return
	}
	w.fault("crash at write", n.index)
	d.Arm(kv.Faults{CrashAtWrite: 1 + w.chance.IntN(30), LoseSync: n.lied})
}

// partition splits the network in two.
func (w *world) partition() {
	order := w.chance.Perm(len(w.nodes))
	cut := 1 + w.chance.IntN(len(order)-1)
	w.separate("partition", order[:cut], order[cut:], true)
}

// isolate cuts one node off.
func (w *world) isolate() {
	order := w.chance.Perm(len(w.nodes))
	w.separate("isolation", order[:1], order[1:], true)
}

// oneWay lets some nodes hear others who do not hear them.
func (w *world) oneWay() {
	order := w.chance.Perm(len(w.nodes))
	cut := 1 + w.chance.IntN(len(order)-1)
	w.separate("one-way partition", order[:cut], order[cut:], false)
}

func (w *world) separate(kind string, a, b []int, both bool) {
	w.fault(kind, a[0])
	w.net.cut(a, b, 1)
	if both {
		w.net.cut(b, a, 1)
	}
	w.later(func() {
		w.net.cut(a, b, -1)
		if both {
			w.net.cut(b, a, -1)
		}
	})
}

// loss loses parcels for a while.
func (w *world) loss() {
	w.fault("loss", 0)
	w.net.lose = 10 + w.chance.IntN(300)
	w.later(func() { w.net.lose = 0 })
}

// duplication lets parcels come twice for a while.
func (w *world) duplication() {
	w.fault("duplication", 0)
	w.net.twice = 10 + w.chance.IntN(300)
	w.later(func() { w.net.twice = 0 })
}

// delay makes links slow for a while.
func (w *world) delay() {
	w.fault("delay", 0)
	w.net.lagest = spread(w.chance, 20*time.Millisecond, 800*time.Millisecond)
	w.later(func() { w.net.lagest = 5 * time.Millisecond })
}

// skew lets a clock be off by little.
func (w *world) skew() {
	n := w.someone()
	w.fault("skew", n.index)
	n.skew = spread(w.chance, -200*time.Millisecond, 200*time.Millisecond)
}

// jump lets a clock jump far for a while.
func (w *world) jump() {
	n := w.someone()
	w.fault("clock jump", n.index)
	far := []time.Duration{time.Second, 10 * time.Second, 11 * time.Minute, 2 * time.Hour}[w.chance.IntN(4)]
	n.skew = spread(w.chance, -far, far)
	w.later(func() { n.skew = 0 })
}

// slowDisk makes synced writes of a node slow for a while.
func (w *world) slowDisk() {
	n := w.someone()
	w.fault("slow disk", n.index)
	n.slow = spread(w.chance, 5*time.Millisecond, 150*time.Millisecond)
	w.later(func() { n.slow = 0 })
}

// fullDisk leaves a node no room for a while.
func (w *world) fullDisk() {
	n := w.someone()
	if !n.up {
		return
	}
	w.fault("full disk", n.index)
	n.full = true
	for _, d := range n.all() {
		d.Arm(kv.Faults{Full: true, LoseSync: n.lied})
	}
	w.later(func() {
		n.full = false
		for _, d := range n.all() {
			d.Arm(kv.Faults{})
		}
	})
}

// writeError fails one of the next writes of a node.
func (w *world) writeError() {
	n := w.someone()
	if !n.up {
		return
	}
	w.fault("write error", n.index)
	n.all()[w.chance.IntN(3)].Arm(kv.Faults{ApplyErrorAt: 1 + w.chance.IntN(20), LoseSync: n.lied})
}

// lie lets the disks of a node say that writes are durable which are not.
func (w *world) lie(n *node) {
	if !n.up {
		return
	}
	w.fault("lost fsync", n.index)
	n.lied = true
	for _, d := range n.all() {
		d.Arm(kv.Faults{LoseSync: true})
	}
}

// rot flips a bit on a disk of a node while it is down.
func (w *world) rot(n *node) {
	if n.up {
		w.fault("crash", n.index)
		n.fall()
	}
	for _, d := range n.all() {
		if err := d.Restart(0); err != nil {
			w.judge.Report(check.Progress, "disk of node %d: %v", n.index, err)
		}
		d.Crash()
	}
	d := n.all()[w.chance.IntN(3)]
	key, err := d.FlipBit(w.chance.Uint64(), w.chance.Uint64())
	if err == nil && key != nil {
		w.fault("bit flip", n.index)
		n.damaged = true
	}
}

// heal ends all faults but the lies, and helps nodes as operators would: rotten disks are replaced, clocks set.
func (w *world) heal() {
	w.healed = true
	w.net.calm()
	w.note("healed", 0, 0, nil)
	for _, n := range w.nodes {
		n.skew, n.slow, n.full = spread(w.chance, -100*time.Millisecond, 100*time.Millisecond), 0, false
		n.busyUntil = time.Time{}
		if n.damaged && n.up {
			n.stop()
		}
		if n.damaged {
			n.replace()
		}
		for _, d := range n.all() {
			d.Arm(kv.Faults{})
		}
		if n.up {
			n.pump()
		} else {
			n.restart()
		}
	}
}
