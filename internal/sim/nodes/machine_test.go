package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aval/internal/clock"
	"aval/internal/node"
	"aval/internal/transport"
	"aval/ledger"
)

// skewed is a clock that is wrong by so much. Its timers run as all do.
type skewed struct {
	clock.Clock
	mu  sync.Mutex
	off time.Duration
}

// Now implements clock.Clock.
func (s *skewed) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Clock.Now().Add(s.off)
}

func (s *skewed) set(off time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

// machine is a site with its disk and clock, and the node that runs on it from time to time.
type machine struct {
	world *world
	site  int
	base  node.Config
	disk  *disk
	clock *skewed
	liar  *liar
	// honest says whether the node counts when things are judged.
	honest bool
	// busy is held by whoever starts the node or damages its disk. It is only tried.
	busy sync.Mutex

	// mu guards the rest. It is never held over anything that takes time.
	mu    sync.Mutex
	node  *node.Node
	links *endpoint
	down  bool // it is down, or going down
	// wasHurt says that its disk was damaged at some time.
	wasHurt bool
	// refused says that its node will not run with this disk.
	refused bool
	// closing is closed when the last node that ran has ended.
	closing chan struct{}
}

// running returns the node if it runs.
func (m *machine) running() *node.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil
	}
	return m.node
}

// endpoint returns the links of the newest node, nil before the first.
func (m *machine) endpoint() *endpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links
}

// start starts the node. An error is what the node itself says.
func (m *machine) start() error {
	cfg := m.base
	cfg.DataDir, cfg.Clock = m.disk.home(), m.clock
	cfg.Logger = m.world.logger(m.site)
	cfg.OpenStore, cfg.OpenLog = m.disk.open, m.disk.openLog
	cfg.OpenLinks = func(c transport.Config) (node.Links, error) {
		e := newEndpoint(m.world.net, m.site, c)
		e.liar = m.liar
		m.mu.Lock()
		m.links, m.down = e, false
		m.mu.Unlock()
		return e, nil
	}
	n, err := node.Start(context.Background(), cfg)
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.down, m.node = true, nil
		return err
	}
	m.mu.Lock()
	if m.down { // the power went out while it started
		m.mu.Unlock()
		return errors.Join(errPower, discard(n.Close()))
	}
	m.node = n
	links := m.links
	m.mu.Unlock()
	m.world.watch(m, n, links)
	return nil
}

// errPower says that a node was not started because the power went out.
var errPower = errors.New("the power went out")

// discard drops an error of a node that has lost its disk.
func discard(error) error { return nil }

// lose cuts the power: nothing that the node does from now on is seen by anybody, and the disk is as it is now.
func (m *machine) lose(keepPercent int) {
	m.mu.Lock()
	if m.down || m.links == nil {
		m.mu.Unlock()
		return
	}
	m.down = true
	n, links := m.node, m.links
	m.node = nil
	closing := make(chan struct{})
	m.closing = closing
	m.mu.Unlock()
	links.freeze()
	if err := m.disk.crash(keepPercent); err != nil {
		m.world.fail("%s: copy of the disk: %v", m.base.Name, err)
	}
	m.world.tasks.Go(func() {
		defer close(closing)
		if n != nil {
			_ = discard(n.Close())
		}
	})
}

// stop ends the node in order.
func (m *machine) stop() error {
	m.mu.Lock()
	n := m.node
	m.node, m.down = nil, true
	if n == nil {
		m.mu.Unlock()
		return nil
	}
	closing := make(chan struct{})
	m.closing = closing
	m.mu.Unlock()
	defer close(closing)
	return n.Close()
}

// logger writes what happens to a site where -v shows it, with -log.
func (w *world) logger(site int) *slog.Logger {
	if !*verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With(slog.Int("site", site))
}

// watch reports what a node commits and executes to the judge, until it ends. A node that is frozen is not believed.
func (w *world) watch(m *machine, n *node.Node, links *endpoint) {
	w.tasks.Go(func() {
		err := n.Wait()
		if err == nil || !links.open() {
			return
		}
		if m.damaged() { // its operator gives it an empty disk
			w.note("%s stopped itself: %v", m.base.Name, err)
			m.mu.Lock()
			m.refused = true
			m.mu.Unlock()
			_ = discard(m.stop())
			w.up(m)
			return
		}
		if m.honest {
			w.fail("%s stopped itself: %v", m.base.Name, err)
		}
	})
	if !m.honest {
		return
	}
	w.tasks.Go(func() {
		next := ledger.Height(1)
		for {
			p, changed := n.Chain().Progress()
			if !links.open() {
				return
			}
			for ; next <= p.Committed; next++ {
				b, err := n.Chain().Block(next)
				if err != nil {
					w.note("%s: block %d: %v", m.base.Name, next, err)
					return
				}
				w.judge.Committed(m.site, b)
			}
			select {
			case <-changed:
			case <-links.ctx.Done():
				return
			}
		}
	})
}

// fail records a violation of what this package itself judges.
func (w *world) fail(format string, args ...any) {
	w.note("FAILED: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}
