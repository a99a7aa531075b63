package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

// load submits one transaction after another until ctx ends and keeps every acknowledgement.
type load struct {
	mu    sync.Mutex
	acked []*api.Outcome
	last  time.Time     // submission of the newest acknowledged transaction
	fresh chan struct{} // one token per acknowledgement
}

// loadPause is how often each client of a load submits, at most: long runs must still be checked whole.
const loadPause = 10 * time.Millisecond

// startLoad has one client per node submit, beginning at that node, until the function returned is called.
func (w *world) startLoad(ctx context.Context, nodes ...int) (*load, func()) {
	l := &load{fresh: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for k := range nodes {
		c := w.client(append(append([]int{}, nodes[k:]...), nodes[:k]...)...)
		wg.Add(1)
		go func() {
			defer wg.Done()
			pace := time.NewTicker(loadPause)
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				submitted := time.Now()
				o, err := w.openScope(ctx, c)
				if err != nil {
					if ctx.Err() == nil {
						w.t.Errorf("a transaction was lost: %v", err)
					}
					return
				}
				l.note(o, submitted)
			}
		}()
	}
	return l, func() { cancel(); wg.Wait() }
}

func (l *load) note(o *api.Outcome, submitted time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, o)
	if submitted.After(l.last) {
		l.last = submitted
	}
	select {
	case l.fresh <- struct{}{}:
	default:
	}
}

// count returns how many transactions were acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// within waits for d and returns after how long a transaction submitted from now on was first acknowledged; d if none was.
func (l *load) within(d time.Duration) time.Duration {
	start, first := time.Now(), d
	for end := time.After(d); ; {
		select {
		case <-l.fresh:
			l.mu.Lock()
			if l.last.After(start) {
				first = min(first, time.Since(start))
			}
			l.mu.Unlock()
		case <-end:
			return first
		}
	}
}

// next waits until a transaction submitted from now on is acknowledged, and returns how long that took.
func (l *load) next(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	deadline := time.After(patience)
	for {
		select {
		case <-l.fresh:
			l.mu.Lock()
			last := l.last
			l.mu.Unlock()
			if last.After(start) {
				return time.Since(start)
			}
		case <-deadline:
			t.Fatal("nothing was committed any more")
		}
	}
}

// TestKillAnyValidator kills validators at random moments under load; whatever was acknowledged is on every node.
func TestKillAnyValidator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sm")
	random := w.random("kills")
	rounds := 20
	switch {
	case *faults:
		rounds = 500
	case *figures:
		rounds = 40
	}
	l, stop := w.startLoad(t.Context(), 0, 1, 2, 3)
	l.next(t)
	var leaders, others spans
	var observed []string
	for round := range rounds {
		victim := random.IntN(4)
		first := w.leader((victim + 1) % 4)
		if round%2 == 0 { // every other time the one that hurts most
			victim = first
		}
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		w.kill(victim)
		took := l.next(t)
		if victim == first {
			leaders.add(took)
		} else {
			others.add(took)
		}
		t.Logf("round %d: %s killed, leader %v, next commit after %v", round, w.nodes[victim].Name, victim == first, took)
		w.start(victim)
		w.awaitUp(victim)
		if why := w.observes(victim); why != "" {
			observed = append(observed, why)
		}
		l.next(t)
	}
	stop()
	judge(t, len(observed) == 0, fmt.Sprintf("who was killed votes again at once; not so: %q", observed))
	t.Logf("next commit after the leader was killed: %s", &leaders)
	t.Logf("next commit after another was killed: %s", &others)
	judge(t, leaders.median() <= 3*time.Second && leaders.max() <= 4*time.Second, "after the leader is killed the next commit comes within 4 s, median 3 s")
	w.checkAcked(l)
}

// observes returns why node i observes before it votes, if it does, and returns when it does so no more: meanwhile it counts as one that
// fails.
func (w *world) observes(i int) (why string) {
	w.t.Helper()
	w.poll("it votes again", func() error {
		s, err := w.status(i)
		if err == nil && s.Engine.Observing {
			why = s.Cause
			err = &unexpected{out: why}
		}
		return err
	})
	return why
}

// checkAcked fails unless every node holds every acknowledged transaction at the height that was acknowledged.
func (w *world) checkAcked(l *load) {
	w.t.Helper()
	var top ledger.Height
	seen := map[suite.Hash]bool{}
	for _, o := range l.acked {
		if seen[o.ID] {
			w.t.Errorf("transaction %s was acknowledged twice", o.ID)
		}
		seen[o.ID] = true
		top = max(top, o.Height)
	}
	w.agree(top, 0, 1, 2, 3, 4)
	// All nodes have the same blocks, whose headers bind the receipts: for a long list, a sample of it on the others will do.
	random := w.random("sample")
	var wg sync.WaitGroup
	for i := range w.nodes {
		share := 1.0
		if i > 0 {
			share = min(1, 5000/float64(len(l.acked)))
		}
		var ask []*api.Outcome
		for _, o := range l.acked {
			if share == 1 || random.Float64() < share {
				ask = append(ask, o)
			}
		}
		wg.Go(func() { w.checkHolds(i, ask) })
	}
	wg.Wait()
	w.t.Logf("%d acknowledged transactions are on all nodes at their heights, up to %d", len(l.acked), top)
}

// checkHolds reports transactions that node i does not hold at the height that was acknowledged.
func (w *world) checkHolds(i int, acked []*api.Outcome) {
	c := w.client(i)
	for _, o := range acked {
		got, err := c.Transaction(w.t.Context(), o.ID)
		if err != nil || got.Height != o.Height {
			w.t.Errorf("%s: acknowledged transaction %s of height %d: %v, %+v", w.nodes[i].Name, o.ID, o.Height, err, got)
			return
		}
	}
}

// TestTwoDown stops at less than a quorum, says why, and goes on when one returns.
func TestTwoDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "intl")
	w.mustOpenScope(w.client(0))
	w.kill(2)
	w.kill(3)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	_, err := w.openScope(ctx, w.client(0))
	cancel()
	if err == nil {
		t.Fatal("two of four validators committed a transaction")
	}
	w.poll("status says why", func() error {
		out, err := w.aval("status", "--node", w.url(0))
		if exitCode(err) == 5 && strings.Contains(out, "quorum_lost: quorum lost") && strings.Contains(out, "validator-2") && strings.Contains(out, "validator-3") {
			return nil
		}
		return &unexpected{out, err}
	})
	w.start(3)
	start := time.Now()
	w.mustOpenScope(w.client(0))
	t.Logf("one returned: the next commit came %v after its start", time.Since(start))
	w.start(2)
	w.awaitUp(2)
	o := w.mustOpenScope(w.client(2))
	w.agree(o.Height, 0, 1, 2, 3, 4)
}

// unexpected is what a command printed when something else was expected.
type unexpected struct {
	out string
	err error
}

func (u *unexpected) Error() string { return "unexpected: " + u.out + " " + errText(u.err) }

// exitCode returns how a command ended, -1 if it did not run.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestReplayAfterRestart submits the same bytes again after every node was restarted.
func TestReplayAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sm")
	c := w.client(0)
	authority := w.net.Genesis.Authority.ID
	tx, err := c.NewTx(ledger.NewOp(authority, &ledger.ScopeOpen{Path: "/replay", Authority: authority}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Sign(tx, w.net.Keys["authority-admin"]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first, err := c.Submit(ctx, tx, api.WaitCommitted)
	if err != nil {
		t.Fatal(err)
	}
	w.agree(first.Height, 0, 1, 2, 3, 4)
	for i := range w.nodes {
		w.kill(i)
	}
	for i := range w.nodes {
		w.start(i)
	}
	for i := range w.nodes {
		w.awaitUp(i)
	}
	again, err := w.client(2).Submit(ctx, tx, api.WaitCommitted)
	if err != nil || again.Height != first.Height || again.Receipt.Index != first.Receipt.Index {
		t.Fatalf("the same bytes after a restart: %+v, %v; at first %+v", again, err, first)
	}
	w.mustOpenScope(w.client(1))
}

// settle waits until all nodes have executed what has been acknowledged so far, and the validators are in one view.
func (w *world) settle(l *load) {
	w.t.Helper()
	l.mu.Lock()
	var top ledger.Height
	for _, o := range l.acked {
		top = max(top, o.Height)
	}
	l.mu.Unlock()
	w.poll("all nodes are together again", func() error {
		views := map[uint64]bool{}
		for i := range w.nodes {
			s, err := w.status(i)
			if err != nil {
				return err
			}
			if s.Heights.Executed < top {
				return fmt.Errorf("%s is at height %d, not %d: %s", w.nodes[i].Name, s.Heights.Executed, top, s.Cause)
			}
			if i < 4 {
				views[s.Engine.View] = true
			}
		}
		if len(views) > 1 {
			return fmt.Errorf("the validators are in views %v", views)
		}
		return nil
	})
}
