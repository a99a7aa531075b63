package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"aval/ledger"
)

// Many says which seeds are simulated.
type Many struct {
	// First is the first seed, Count how many. Default 1.
	First uint64
	Count int
	// Nodes is how many validators there are, 4 to 7. Suite is "sm" or "intl"; by default odd seeds take sm, even ones intl.
	Nodes int
	Suite string
	// Workers is how many seeds are simulated at once. Default: the processors.
	Workers int
	// Progress receives how far it is, and every seed that does not hold with the command that repeats it. Default: nobody.
	Progress io.Writer
	// Log receives what the nodes log, in words; only for one seed. Default: nobody.
	Log io.Writer
}

// Validate reports every problem of m at once.
func (m *Many) Validate() error {
	c := Config{Nodes: m.Nodes, Suite: m.Suite}
	errs := []error{c.Validate()}
	if m.Count < 0 || m.Workers < 0 {
		errs = append(errs, errors.New("sim: a count is negative"))
	}
	if m.Log != nil && m.Count > 1 {
		errs = append(errs, errors.New("sim: a log is written for one seed only"))
	}
	return errors.Join(errs...)
}

// Totals sums up many seeds.
type Totals struct {
	First uint64 `json:"first,string"`
	// Seeds is how many were simulated, Held how many of them held.
	Seeds int `json:"seeds"`
	Held  int `json:"held"`
	Nodes int `json:"nodes"`
	// Trace is the hash over the traces of all seeds, in order.
	Trace        string        `json:"trace"`
	Events       int           `json:"events"`
	Blocks       ledger.Height `json:"blocks"`
	Transactions int           `json:"transactions"`
	Vouchers     int           `json:"vouchers"`
	// Counts is how often what happened: faults by kind, and what they led to.
	Counts map[string]int `json:"counts"`
	// SimulatedSeconds is how long the networks lived, Seconds how long it took.
	SimulatedSeconds float64 `json:"simulated_seconds"`
	Seconds          float64 `json:"seconds"`
	SeedsPerSecond   float64 `json:"seeds_per_second"`
	// RecoveryMs is the longest time from the end of the faults to an answer at every node.
	RecoveryMs int64 `json:"recovery_ms"`
	// Failed are the seeds that do not hold.
	Failed []*Result `json:"failed"`
	// Traces are the traces of all seeds, if there are at most tracesMax.
	Traces map[uint64]string `json:"traces,omitempty"`
}

const (
	// tracesMax bounds the traces that are listed, failedMax the seeds after which a run that goes wrong ends.
	tracesMax = 1000
	failedMax = 20
	// progressEvery is how often it is said how far a run is.
	progressEvery = 5 * time.Second
)

// RunMany simulates many seeds. It ends early, with what it has, when ctx ends or too many seeds fail.
func RunMany(ctx context.Context, m Many) (*Totals, error) {
	if m.Count == 0 {
		m.Count = 1
	}
	if m.Workers == 0 {
		m.Workers = runtime.GOMAXPROCS(0)
	}
	if m.Progress == nil {
		m.Progress = io.Discard
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	t := &tally{m: m, begin: time.Now(), results: make([]*Result, m.Count)}
	var wg sync.WaitGroup
	for range min(m.Workers, m.Count) {
		wg.Go(func() { t.work(ctx) })
	}
	wg.Wait()
	return t.sum(), errors.Join(t.err, ctx.Err())
}

// tally is a run of many seeds.
type tally struct {
	m     Many
	begin time.Time

	mu      sync.Mutex
	next    int
	done    int
	failed  int
	said    time.Time
	results []*Result
	err     error
}

func (t *tally) work(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		i := t.next
		stop := i >= t.m.Count || t.err != nil || t.failed >= failedMax
		t.next++
		t.mu.Unlock()
		if stop {
			return
		}
		r, err := Run(Config{Seed: t.m.First + uint64(i), Nodes: t.m.Nodes, Suite: t.m.Suite, Log: t.m.Log})
		t.note(i, r, err)
	}
}

// note takes the result of one seed.
func (t *tally) note(i int, r *Result, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.err = errors.Join(t.err, err)
		return
	}
	t.results[i] = r
	t.done++
	if !r.Holds() {
		t.failed++
		for _, v := range r.Violations {
			t.say("seed %d: %s", r.Seed, v)
		}
		t.say("again: %s", r.Command())
	}
	if now := time.Now(); now.Sub(t.said) >= progressEvery && t.m.Count > 1 {
		t.said = now
		t.say("%d of %d seeds, %d do not hold, %.1f in a second", t.done, t.m.Count, t.failed, float64(t.done)/now.Sub(t.begin).Seconds())
	}
}

// say writes a line of progress; whether anybody reads it does not matter.
func (t *tally) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.m.Progress, format+"\n", args...)
}

// sum sums up what was simulated.
func (t *tally) sum() *Totals {
	out := &Totals{First: t.m.First, Nodes: t.m.Nodes, Counts: map[string]int{}, Failed: []*Result{}, Seconds: time.Since(t.begin).Seconds()}
	if t.m.Count <= tracesMax {
		out.Traces = map[uint64]string{}
	}
	all := sha256.New()
	for _, r := range t.results {
		if r == nil {
			continue
		}
		out.Seeds++
		if r.Holds() {
			out.Held++
		} else {
			out.Failed = append(out.Failed, r)
		}
		all.Write([]byte(r.Trace)) // a hash never fails
		if out.Traces != nil {
			out.Traces[r.Seed] = r.Trace
		}
		out.Events += r.Events
		out.Blocks += r.Blocks
		out.Transactions += r.Transactions
		out.Vouchers += r.Vouchers
		for what, n := range r.Counts {
			out.Counts[what] += n
		}
		out.SimulatedSeconds += float64(r.Simulated) / 1000
		out.RecoveryMs = max(out.RecoveryMs, r.Recovery)
	}
	out.Trace = hex.EncodeToString(all.Sum(nil)[:16])
	if out.Seconds > 0 {
		out.SeedsPerSecond = float64(out.Seeds) / out.Seconds
	}
	return out
}
