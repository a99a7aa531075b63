package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// How the load is offered.
const (
	// bulkTxs is how many transactions go into one request at saturation.
	bulkTxs = 100
	// pacedBulk bounds one request of a load at a given rate.
	pacedBulk = 100
	// patience is how long an answer may take.
	patience = 30 * time.Second
	// warmUp is not counted, less of a short load.
	warmUp = 3 * time.Second
	// lightShare is which share of the peak is a light load, and for how long it is measured at most.
	lightShare = 0.10
	lightMost  = 15 * time.Second
	// proofEvery lets one in so many requests of a light load wait for its proof.
	proofEvery = 4
)

// reserve is how much longer than the load they are for transactions that an earlier one left must be valid to be used.
const reserve = time.Minute

// signFor makes sure that so many transactions are signed ahead for a load of length span: it takes what an earlier load left,
// if that suffices, or signs new ones. None is used twice.
func (r *run) signFor(ctx context.Context, what string, txs int, span time.Duration) (*signed, error) {
	lanes := int(float64(txs)/r.work.steps()) + 1
	if left := r.file; left != nil {
		if left.lanes-left.used >= lanes && time.Until(left.validUntil) > span+reserve {
			return left, nil
		}
		if err := os.Remove(left.path); err != nil {
			return nil, err
		}
		r.file = nil
	}
	r.files++
	path := filepath.Join(r.dir, fmt.Sprintf("lanes-%d", r.files))
	begin := time.Now()
	out, err := sign(ctx, r.work, path, r.nextLane, lanes, func(done int) { r.out.show("sign ahead for %s: %d of %d", what, done, lanes) })
	if err != nil {
		return nil, err
	}
	r.file = out
	r.nextLane += out.lanes
	r.signing += out.cpu
	r.signed += out.txs
	r.out.say("signed ahead for %s: %d transactions, %d bytes each, in %.1f s", what, out.txs, out.bytes/int64(max(1, out.txs)), time.Since(begin).Seconds())
	return out, nil
}

// order returns an order to load every validator in turn.
func (r *run) order(file *signed, warm, counted time.Duration) *Order {
	o := &Order{Files: []string{file.path}, Skip: file.used, InFlight: r.cfg.InFlight, Bulk: min(bulkTxs, r.cfg.InFlight), WarmUpMs: warm.Milliseconds(), CountMs: counted.Milliseconds(),
		PatienceMs: patience.Milliseconds()}
	for _, node := range r.net.validators() {
		o.Endpoints = append(o.Endpoints, node.URL)
	}
	return o
}

// load runs one order, shows how it goes and books what was acknowledged. on may be nil.
func (r *run) load(ctx context.Context, what string, o *Order, on func(*Report)) (*Tally, error) {
	var last Tally
	begin := time.Now()
	lastAt := begin
	t, err := r.net.load(ctx, o, func(p *Report) {
		if on != nil {
			on(p)
		}
		if span := time.Since(lastAt); span > 900*time.Millisecond {
			r.out.show("%s: %.0f tx/s, %d committed, %d refused", what, float64(p.Tally.Committed-last.Committed)/span.Seconds(), p.Tally.Committed, p.Tally.Refused)
			last, lastAt = p.Tally, time.Now()
		}
	})
	if t == nil {
		return nil, err
	}
	r.file.used += t.Lanes
	r.made.add(o, t, time.Since(begin))
	r.acknowledged += t.Committed
	r.unknown += t.Unknown
	r.result.Transactions += t.Committed
	r.result.Refused += t.Refused
	r.result.Failed += t.Failed
	if t.FirstFailure != "" && r.result.FirstFailure == "" {
		r.result.FirstFailure = what + ": " + t.FirstFailure
	}
	if dead := r.net.fleet.Dead(); dead != nil {
		return t, dead
	}
	return t, err
}

// estimateTxs is how many transactions are signed for finding out about how many a second the network takes, and estimateTime
// for how long it is loaded with them at most.
const (
	estimateTxs  = 30_000
	estimateTime = 4 * time.Second
)

// spare is how many more transactions than the estimate asks for are signed at least, spareMost at most.
const (
	spare     = 1.25
	spareMost = 2
)

// estimate returns about how many transactions a second are to be signed so that they suffice: more than the network took in its
// best second, and if the processors were busy with other things, which may end, as many as they could have served. It
// warms everything up, too.
func (r *run) estimate(ctx context.Context) (float64, error) {
	if r.cfg.Rate > 0 {
		return r.cfg.Rate * 1.02, nil
	}
	span := max(shortest, min(estimateTime, r.cfg.Duration/2))
	file, err := r.signFor(ctx, "an estimate", int(estimateTxs*min(estimateTime, r.cfg.Duration/2)/estimateTime), 2*span)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	cpu, err := r.net.cpu()
	if err != nil {
		return 0, err
	}
	var seen fastest
	t, err := r.load(ctx, "estimate", r.order(file, span/4, span), func(p *Report) { seen.note(time.Since(begin), p.Tally.Committed) })
	if err != nil {
		return 0, err
	}
	if t.Committed == 0 && ctx.Err() == nil {
		return 0, fmt.Errorf("nothing was committed within %s: %s", time.Since(begin), t.FirstFailure)
	}
	after, err := r.net.cpu()
	if err != nil {
		return 0, err
	}
	busy := (after - cpu).Seconds() + float64(t.CPUMs)/1000
	return toSign(max(seen.rate, perSecond(t)), float64(t.Committed)*float64(runtime.NumCPU())/max(busy, 0.001)), ctx.Err()
}

// toSign returns how many transactions a second to sign if best were committed in the best second and the processors can
// serve possible.
func toSign(best, possible float64) float64 {
	return max(best*spare, min(best*spareMost, possible*1.1))
}

// fastest finds the best second of a load.
type fastest struct {
	at   []time.Duration
	done []int64
	rate float64
}

// note takes down how many were done until then.
func (f *fastest) note(at time.Duration, done int64) {
	f.at, f.done = append(f.at, at), append(f.done, done)
	for len(f.at) > 1 && at-f.at[1] >= time.Second {
		f.at, f.done = f.at[1:], f.done[1:]
	}
	if span := at - f.at[0]; span >= time.Second {
		f.rate = max(f.rate, float64(done-f.done[0])/span.Seconds())
	}
}

// peakTries is how often the full load is begun again because what was signed did not last for peakEnough of the time.
const (
	peakTries  = 3
	peakEnough = 0.75
)

// peak measures throughput, cost, memory and disk under full load, or at the rate that was asked for. rate is how many
// transactions to sign for a second.
func (r *run) peak(ctx context.Context, rate float64) error {
	for try := 1; ; try++ {
		again, err := r.tryPeak(ctx, rate, try == peakTries)
		if err != nil || !again {
			return err
		}
		rate *= 2
		r.out.say("the transactions signed ahead ran out: once more, with twice as many")
	}
}

// tryPeak reports whether what was signed lasted too short to measure anything; then nothing is, unless it is the last try.
func (r *run) tryPeak(ctx context.Context, rate float64, last bool) (again bool, err error) {
	count := int(rate*(r.warmUp()+r.cfg.Duration).Seconds()) + 2*r.cfg.InFlight
	file, err := r.signFor(ctx, "the load", count, r.warmUp()+r.cfg.Duration)
	if err != nil {
		return false, err
	}
	if err := r.net.idle(ctx); err != nil {
		return false, err
	}
	o := r.order(file, r.warmUp(), r.cfg.Duration)
	if r.cfg.Rate > 0 {
		o.Rate, o.Bulk = r.cfg.Rate, pacedBulk
	}
	m, err := r.watch(ctx)
	if err != nil {
		return false, err
	}
	defer m.close()
	t, err := r.load(ctx, "load", o, m.report)
	if t == nil {
		return false, err
	}
	if err == nil && !last && t.RanOut && t.WindowMs < peakEnough*float64(o.CountMs) {
		return true, ctx.Err()
	}
	return false, r.settlePeak(m, t, err)
}

// warmUp returns how long the full load is not counted.
func (r *run) warmUp() time.Duration { return min(warmUp, r.cfg.Duration/2) }

// settlePeak waits until everything that the load caused is done and works out the figures. It is done for an interrupted
// load too.
func (r *run) settlePeak(m *meter, t *Tally, err error) error {
	if err != nil {
		return err
	}
	r.out.say("load: %.0f tx/s; waiting for the validators to come to rest", perSecond(t))
	if err := r.net.idle(context.Background()); err != nil {
		return err
	}
	return r.result.setPeak(r, m, t)
}

func perSecond(t *Tally) float64 {
	if t.WindowMs <= 0 {
		return 0
	}
	return float64(t.Window) / t.WindowMs * 1000
}

// offered measures at a given rate for d, with at least so many transactions in a request.
func (r *run) offered(ctx context.Context, what string, rate float64, warm, d time.Duration, least, proofs int) (*Tally, error) {
	rate = max(rate, 1)
	file, err := r.signFor(ctx, what, int(rate*(warm+d).Seconds()*1.02)+10, warm+d)
	if err != nil {
		return nil, err
	}
	if err := r.net.idle(ctx); err != nil {
		return nil, err
	}
	o := r.order(file, warm, d)
	o.Rate, o.Bulk, o.Least, o.ProofEvery = rate, pacedBulk, least, proofs
	return r.load(ctx, what, o, nil)
}

// light measures latency under a tenth of the peak.
func (r *run) light(ctx context.Context) error {
	rate := r.result.TxPerS * lightShare
	t, err := r.offered(ctx, "a light load", rate, warmUp/3, min(lightMost, max(shortest, r.cfg.Duration/2)), 1, proofEvery)
	if err != nil {
		return err
	}
	r.result.setLight(rate, t)
	r.out.say("light load of %.0f tx/s: p50 %.0f ms, p99 %.0f ms, proven p50 %.0f ms", rate, r.result.LightP50MS, r.result.LightP99MS, r.result.LightProofP50MS)
	return ctx.Err()
}

// curveShares are the shares of the peak at which latency is measured for the plot, curveTime for how long each.
var curveShares = []float64{0.3, 0.6, 0.8, 0.95}

const curveTime = 3 * time.Second

// curve measures latency at several rates.
func (r *run) curve(ctx context.Context) error {
	for _, s := range curveShares {
		rate := r.result.TxPerS * s
		t, err := r.offered(ctx, fmt.Sprintf("%.0f %% of the peak", 100*s), rate, warmUp/3, min(curveTime, r.cfg.Duration), 1, 0)
		if err != nil {
			return err
		}
		r.result.addPoint(rate, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// overloadMost is for how long more than the peak is offered, againMost for how long the peak is measured once more after that.
const (
	overloadMost = 20 * time.Second
	againMost    = 10 * time.Second
)

// overload offers a multiple of the peak, in requests as large as those of the peak, and measures what is still committed. The peak
// is measured again afterwards, so that what changes with time, here and on the machine, does not count for or against it.
func (r *run) overload(ctx context.Context) error {
	rate := r.result.TxPerS * r.cfg.Overload
	m, err := r.watch(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	t, err := r.offered(ctx, fmt.Sprintf("%.3g times the peak", r.cfg.Overload), rate, warmUp, min(overloadMost, r.cfg.Duration), pacedBulk, 0)
	if err != nil {
		return err
	}
	if err := r.net.idle(context.Background()); err != nil {
		return err
	}
	if err := r.result.setOverload(r, m, rate, t); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	d := min(againMost, r.cfg.Duration)
	if t, err = r.saturated(ctx, "the peak once more", d, nil); err != nil {
		return err
	}
	r.result.Overload.compare(r.result.TxPerS, perSecond(t))
	r.out.say("%.0f tx/s at %.3g times the peak, which is %.0f tx/s after it: %.0f %%", r.result.Overload.TxPerS, r.cfg.Overload, perSecond(t), 100*r.result.Overload.ShareOfTop)
	return ctx.Err()
}

// saturated loads the validators with as much as they take, for d, and waits until they come to rest. m, if any, watches.
func (r *run) saturated(ctx context.Context, what string, d time.Duration, m **meter) (*Tally, error) {
	warm := min(warmUp, d/2)
	file, err := r.signFor(ctx, what, int(r.result.TxPerS*spare*(warm+d).Seconds())+2*r.cfg.InFlight, warm+d)
	if err != nil {
		return nil, err
	}
	if err := r.net.idle(ctx); err != nil {
		return nil, err
	}
	if m != nil {
		if *m, err = r.watch(ctx); err != nil {
			return nil, err
		}
	}
	t, err := r.load(ctx, what, r.order(file, warm, d), nil)
	if err != nil {
		return nil, err
	}
	return t, r.net.idle(context.Background())
}

// lotsMost is for how long the load with lots on the ledger is counted.
const lotsMost = 15 * time.Second

// withLots puts live lots on the ledger and measures the full load again.
func (r *run) withLots(ctx context.Context) error {
	begin := time.Now()
	if err := r.preload(ctx, r.cfg.ThenPreload); err != nil {
		return err
	}
	took := time.Since(begin)
	r.out.say("%d live lots are put on the ledger in %.1f s", r.cfg.ThenPreload, took.Seconds())
	var m *meter
	t, err := r.saturated(ctx, "the load with lots", min(lotsMost, r.cfg.Duration), &m)
	if m != nil {
		defer m.close()
	}
	if err != nil {
		return err
	}
	if err := r.result.setWithLots(r, m, took, t); err != nil {
		return err
	}
	r.out.say("load with lots: %.0f tx/s, %.0f %% of that without", r.result.WithLots.TxPerS, 100*r.result.WithLots.ShareOfPeak)
	return ctx.Err()
}
