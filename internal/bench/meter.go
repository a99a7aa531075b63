package bench

import (
	"context"
	"sync"
	"time"
)

// meter watches the validators during a load.
type meter struct {
	run    *run
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// ended is over when no more is to be watched, but what has begun may be finished.
	ended context.Context //nolint:containedctx // see ctx
	end   context.CancelFunc
	// cpuBefore is the validators' processor time before the load, diskBefore what their data took, committedBefore what had
	// been acknowledged.
	cpuBefore       time.Duration
	diskBefore      int64
	committedBefore int64

	mu       sync.Mutex
	rss      int64 // the most that any validator had
	err      error
	profiles *profiles
	ctx      context.Context //nolint:containedctx // the profile's, which ends with the meter
}

const rssEvery = 500 * time.Millisecond

// watch begins to watch; close ends it.
func (r *run) watch(ctx context.Context) (*meter, error) {
	m := &meter{run: r, committedBefore: r.acknowledged}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.ended, m.end = context.WithCancel(m.ctx)
	var err error
	if m.diskBefore, err = r.net.disk(); err == nil {
		m.cpuBefore, err = r.net.cpu()
	}
	if err != nil {
		m.cancel()
		return nil, err
	}
	m.tasks.Go(func() {
		for m.ended.Err() == nil {
			b, err := r.net.rss()
			m.mu.Lock()
			m.rss = max(m.rss, b)
			if err != nil && m.err == nil {
				m.err = err
			}
			m.mu.Unlock()
			pause(m.ended, rssEvery)
		}
	})
	return m, nil
}

// report is called with every report of the load process. When counting begins it starts profiling.
func (m *meter) report(p *Report) {
	if p.Event != "count" {
		return
	}
	m.tasks.Go(func() {
		got := m.run.net.profile(m.ctx, m.run.cfg.Duration-2*time.Second, func() bool { return m.ended.Err() != nil }, m.run.dir)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.profiles = got
	})
}

// finish ends watching and waits for what has begun.
func (m *meter) finish() {
	m.end()
	m.tasks.Wait()
}

// cost is what a load took of the validators until now.
type cost struct {
	// txs were committed, in cpu of processor time of all validators, whose data grew by disk; rss is the most resident memory
	// that any of them had.
	txs       int64
	cpu       time.Duration
	disk, rss int64
}

// cost ends watching and works out what the load took.
func (m *meter) cost() (c cost, err error) {
	m.finish()
	if m.err != nil {
		return c, m.err
	}
	c.rss, c.txs = m.rss, m.run.acknowledged-m.committedBefore
	if c.disk, err = m.run.net.disk(); err != nil {
		return c, err
	}
	c.disk -= m.diskBefore
	c.cpu, err = m.run.net.cpu()
	c.cpu -= m.cpuBefore
	return c, err
}

// perTx returns the processor time of one transaction, 0 without any.
func (c *cost) perTx() time.Duration { return c.cpu / time.Duration(max(1, c.txs)) }

// close ends watching at once and waits until it has ended.
func (m *meter) close() {
	m.end()
	m.cancel()
	m.tasks.Wait()
}
