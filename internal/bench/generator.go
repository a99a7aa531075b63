package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"aval/api"
	"aval/client"
	"aval/ledger"
)

// Order says what the load process is to do. It is written as JSON to its standard input.
type Order struct {
	// Endpoints are the validators, which are used in turn.
	Endpoints []string `json:"endpoints"`
	// Files hold the lanes, in order; the first Skip of them are passed over.
	Files []string `json:"files"`
	Skip  int      `json:"skip"`
	// Rate is how many transactions to send in a second, whatever becomes of them. 0: as many as the network takes, with
	// InFlight under way at a time.
	Rate     float64 `json:"rate"`
	InFlight int     `json:"in_flight"`
	// Bulk is how many transactions go into one request at most. At a given rate a request is sent as soon as Least are due;
	// 0 is the same as 1.
	Bulk  int `json:"bulk"`
	Least int `json:"least"`
	// WarmUpMs is not counted, CountMs is.
	WarmUpMs int64 `json:"warm_up_ms"`
	CountMs  int64 `json:"count_ms"`
	// ProofEvery lets one in so many requests wait for the proof; 0 none.
	ProofEvery int `json:"proof_every"`
	// Patience is how long an answer may take, in ms.
	PatienceMs int64 `json:"patience_ms"`
}

// Validate reports every problem of o at once.
func (o *Order) Validate() error {
	var errs []error
	if len(o.Endpoints) == 0 || len(o.Files) == 0 {
		errs = append(errs, errors.New("load: endpoints and files are required"))
	}
	if o.Rate < 0 || o.Rate == 0 && o.InFlight < 1 || o.Bulk < 1 || o.Bulk > api.BatchTxsMax || o.Least < 0 || o.Least > o.Bulk {
		errs = append(errs, fmt.Errorf("load: a rate, or a number in flight, and 1 to %d transactions per request are required", api.BatchTxsMax))
	}
	if o.CountMs < 1 || o.WarmUpMs < 0 || o.PatienceMs < 1 || o.ProofEvery < 0 || o.Skip < 0 {
		errs = append(errs, errors.New("load: a time is missing, or a number negative"))
	}
	return errors.Join(errs...)
}

// Report is a line that the load process writes to its standard output as JSON.
type Report struct {
	// Event is "count" when counting begins, "end" when it ends, "tick" in between and "result" in the end.
	Event string `json:"event"`
	Tally Tally  `json:"tally"`
}

// Tally is what came of the load so far.
type Tally struct {
	// Sent, Committed, Failed, Refused and Unknown count all transactions: those sent; with a receipt of code 0; with another
	// receipt; refused without one; and those of which no answer came.
	Sent      int64 `json:"sent"`
	Committed int64 `json:"committed"`
	Failed    int64 `json:"failed"`
	Refused   int64 `json:"refused"`
	Unknown   int64 `json:"unknown"`
	// Busy counts those of Refused that were told to come back later.
	Busy int64 `json:"busy"`
	// Window counts those committed while counting, WindowMs is how long that was.
	Window   int64   `json:"window"`
	WindowMs float64 `json:"window_ms"`
	// Own counts those sent since counting began and committed.
	Own int64 `json:"own"`
	// Committing and Proving are latencies of transactions sent while counting.
	Committing histogram `json:"committing"`
	Proving    histogram `json:"proving"`
	// Lanes counts the lanes taken from the files.
	Lanes int `json:"lanes"`
	// RanOut says that the transactions did not suffice.
	RanOut bool `json:"ran_out"`
	// FirstFailure tells one reason for which transactions failed or were refused.
	FirstFailure string `json:"first_failure"`
	// CPUMs is the processor time of the load process.
	CPUMs int64 `json:"cpu_ms"`
}

// Generate is the load process: it reads an Order from stdin and writes Reports to stdout. When ctx ends it stops sending, waits
// for what is under way and writes the result.
func Generate(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var order Order
	if err := json.NewDecoder(stdin).Decode(&order); err != nil {
		return fmt.Errorf("load: the order does not read: %w", err)
	}
	if err := order.Validate(); err != nil {
		return err
	}
	g := &generator{order: &order, lanes: laneSource{reader: laneReader{paths: order.Files}}, to: json.NewEncoder(stdout)}
	g.lanes.wake = sync.NewCond(&g.lanes.mu)
	if err := g.lanes.skip(order.Skip); err != nil {
		return err
	}
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, MaxIdleConnsPerHost: 4096, IdleConnTimeout: time.Minute,
		DisableCompression: true}
	defer transport.CloseIdleConnections()
	for _, e := range order.Endpoints {
		c, err := client.New(client.Config{Endpoints: []string{e}, HTTP: &http.Client{Transport: transport},
			AttemptTimeout: time.Duration(order.PatienceMs) * time.Millisecond, UserAgent: "aval-bench"})
		if err != nil {
			return err
		}
		g.clients = append(g.clients, c)
	}
	return g.run(ctx)
}

// generator is one run of the load process.
type generator struct {
	order   *Order
	lanes   laneSource
	clients []*client.Client
	to      *json.Encoder

	// begin is when sending begins; counting is from counted to ended.
	begin, counted, ended time.Time

	mu    sync.Mutex
	tally Tally
	err   error // the first of writing or reading
}

func (g *generator) run(ctx context.Context) error {
	g.begin = time.Now()
	g.counted = g.begin.Add(time.Duration(g.order.WarmUpMs) * time.Millisecond)
	g.ended = g.counted.Add(time.Duration(g.order.CountMs) * time.Millisecond)
	sending, stop := context.WithDeadline(ctx, g.ended)
	defer stop()
	reported := make(chan struct{})
	finished, finish := context.WithCancel(context.Background())
	go func() {
		defer close(reported)
		g.report(finished)
	}()
	defer context.AfterFunc(sending, g.lanes.close)()
	if g.order.Rate > 0 {
		g.paced(sending)
	} else {
		g.saturate(sending)
	}
	g.mu.Lock()
	if now := time.Now(); now.Before(g.ended) { // interrupted, or out of transactions
		g.ended = now
	}
	g.tally.WindowMs = max(0, float64(g.ended.Sub(g.counted).Microseconds())/1000)
	g.mu.Unlock()
	finish()
	<-reported
	cpu, err := ownCPU()
	g.tally.CPUMs, g.tally.Lanes = cpu.Milliseconds(), g.lanes.read
	g.write("result", &g.tally)
	return errors.Join(g.err, err, g.lanes.reader.close())
}

// report writes a line when counting begins, four times a second, and when it ends.
func (g *generator) report(finished context.Context) {
	begin, end := time.NewTimer(time.Until(g.counted)), time.NewTimer(time.Until(g.ended))
	tick := time.NewTicker(250 * time.Millisecond)
	defer begin.Stop()
	defer end.Stop()
	defer tick.Stop()
	for {
		event := "tick"
		select {
		case <-finished.Done():
			return
		case <-begin.C:
			event = "count"
		case <-end.C:
			event = "end"
		case <-tick.C:
		}
		g.mu.Lock()
		brief := g.tally
		g.mu.Unlock()
		brief.Committing, brief.Proving = histogram{}, histogram{}
		g.write(event, &brief)
	}
}

func (g *generator) write(event string, t *Tally) {
	err := g.to.Encode(Report{Event: event, Tally: *t})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = errors.Join(g.err, err)
}

// saturate keeps Order.InFlight transactions under way until sending ends or there are no more.
func (g *generator) saturate(sending context.Context) {
	workers := max(1, g.order.InFlight/g.order.Bulk)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for sending.Err() == nil {
				lanes, err := g.lanes.take(g.order.Bulk)
				if len(lanes) == 0 || err != nil {
					g.exhausted(sending, err)
					return
				}
				if busy := g.send(k, lanes, time.Now()); busy {
					pause(sending, 50*time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// pacedStep is how often due transactions are sent.
const pacedStep = time.Millisecond

// requestsMax bounds the requests under way of a paced load.
const requestsMax = 2048

// paced sends Order.Rate transactions in a second. Latency counts from when a transaction was due, even if it was sent later.
func (g *generator) paced(sending context.Context) {
	tick := time.NewTicker(pacedStep)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, requestsMax)
	requests := 0
	for sent := 0; ; {
		due := int(time.Since(g.begin).Seconds() * g.order.Rate)
		for due-sent >= max(1, g.order.Least) {
			at := g.begin.Add(time.Duration(float64(sent) / g.order.Rate * float64(time.Second)))
			lanes, err := g.lanes.takeNow(min(g.order.Bulk, due-sent))
			if err != nil {
				g.exhausted(sending, err)
				return
			}
			if len(lanes) == 0 { // every lane waits for its last step
				sent = due
				break
			}
			sent += len(lanes)
			k := requests
			requests++
			slots <- struct{}{}
			wg.Go(func() {
				g.send(k, lanes, at)
				<-slots
			})
		}
		select {
		case <-sending.Done():
			return
		case <-tick.C:
		}
	}
}

// exhausted notes why there are no more transactions, unless sending is over.
func (g *generator) exhausted(sending context.Context, err error) {
	if sending.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tally.RanOut = true
	if err != nil && !errors.Is(err, io.EOF) {
		g.err = errors.Join(g.err, err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// tries is how often what is still pending is submitted again before its outcome counts as unknown.
const tries = 4

// send submits the next step of each lane in request k, waits for the answer and counts it. due is from when latency counts.
// It reports whether the node was busy.
func (g *generator) send(k int, lanes []*lane, due time.Time) (busy bool) {
	wait := api.WaitCommitted
	if g.order.ProofEvery > 0 && k%g.order.ProofEvery == g.order.ProofEvery-1 {
		wait = api.WaitProven
	}
	g.mu.Lock()
	g.tally.Sent += int64(len(lanes))
	g.mu.Unlock()
	via := g.clients[k%len(g.clients)]
	left := lanes
	for range tries {
		txs := make([][]byte, len(left))
		for i, l := range left {
			txs[i] = l.txs[l.next]
		}
		// Not ctx: what was sent must be counted, and the patience bounds it.
		answers, err := via.SubmitBatch(context.Background(), txs, wait)
		if err != nil {
			g.note(err.Error())
			continue
		}
		var told bool
		left, told = g.settle(left, answers, due, wait)
		if busy = busy || told; len(left) == 0 {
			return busy
		}
	}
	g.mu.Lock()
	g.tally.Unknown += int64(len(left))
	g.mu.Unlock()
	g.lanes.drop(len(left))
	return busy
}

func (g *generator) note(failure string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tally.FirstFailure == "" {
		g.tally.FirstFailure = failure
	}
}

// settle counts answers and returns the lanes whose step is still pending.
func (g *generator) settle(lanes []*lane, answers []api.Submitted, due time.Time, wait api.Wait) (left []*lane, busy bool) {
	now := time.Now()
	dropped := 0
	var on []*lane
	g.mu.Lock()
	t := &g.tally
	inWindow := !now.Before(g.counted) && now.Before(g.ended)
	own := !due.Before(g.counted)
	for i := range answers {
		a := &answers[i]
		switch {
		case a.Stage == api.StagePending, a.Stage == api.StageCommitted && wait == api.WaitProven && a.Code == ledger.CodeOK:
			left = append(left, lanes[i])
			continue
		case a.Code == ledger.CodeOK:
			t.Committed++
			if inWindow {
				t.Window++
			}
			if own {
				t.Own++
				if wait == api.WaitProven {
					t.Proving.add(now.Sub(due))
				} else {
					t.Committing.add(now.Sub(due))
				}
			}
			on = append(on, lanes[i])
			continue
		case a.Stage == api.StageRefused:
			t.Refused++
			if a.Code == ledger.CodeBusy {
				t.Busy++
				busy = true
			}
		default:
			t.Failed++
		}
		if t.FirstFailure == "" {
			t.FirstFailure = fmt.Sprintf("%s (%d): %s", a.Code, uint16(a.Code), a.Message)
		}
		dropped++
	}
	g.mu.Unlock()
	g.lanes.drop(dropped)
	g.lanes.advance(on)
	return left, busy
}
