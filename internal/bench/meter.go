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
	// diskBefore is what the data took before the load, committedBefore what had been acknowledged.
	diskBefore      int64
	committedBefore int64

	mu sync.Mutex
	// cpuCounted is the validators' processor time when counting began.
	cpuCounted time.Duration
	counting   bool
	rss        int64 // the most that any validator had
	rssFirst   int64 // when the load began
	err        error
	profiles   *profiles
	ctx        context.Context //nolint:containedctx // the profile's, which ends with the meter
}

const rssEvery = 500 * time.Millisecond

// watch begins to watch; close ends it.
func (r *run) watch(ctx context.Context) (*meter, error) {
	m := &meter{run: r, committedBefore: r.acknowledged}
	m.ctx, m.cancel = context.WithCancel(ctx)
	var err error
	if m.diskBefore, err = r.net.disk(); err != nil {
		m.cancel()
		return nil, err
	}
	m.tasks.Go(func() {
		for m.ctx.Err() == nil {
			b, err := r.net.rss()
			m.mu.Lock()
			if m.rss = max(m.rss, b); m.rssFirst == 0 {
				m.rssFirst = b
			}
			if err != nil && m.err == nil {
				m.err = err
			}
			m.mu.Unlock()
			pause(m.ctx, rssEvery)
		}
	})
	return m, nil
}

// report is called with every report of the load process. When counting begins it reads the clocks and starts profiling.
func (m *meter) report(p *Report) {
	if p.Event != "count" {
		return
	}
	cpu, err := m.run.net.cpu()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cpuCounted, m.counting = cpu, err == nil
	if err != nil {
		m.err = err
		return
	}
	m.tasks.Go(func() {
		got := m.run.net.profile(m.ctx, m.run.cfg.Duration-2*time.Second, m.run.dir)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.profiles = got
	})
}

// close ends watching and waits until it has ended.
func (m *meter) close() {
	m.cancel()
	m.tasks.Wait()
}
