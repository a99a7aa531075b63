package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"aval/internal/vm"
	"aval/suite"
)

// Config says what to measure.
type Config struct {
	// Suite of the network. Default: sm.
	Suite suite.Suite
	// Validators is how many: one, or at least 4. Default 4.
	Validators int
	// Workload is "transfer" or "voucher". Default transfer.
	Workload string
	// Keys is how many distinct keys sign. Default 100,000.
	Keys int
	// Duration is for how long load is counted after the warm-up. Default 60 s.
	Duration time.Duration
	// Preload is how many live lots stand on the ledger before the load. ThenPreload is how many are put there after the other
	// loads, to measure the full load once more.
	Preload, ThenPreload int
	// Overload is how many times the measured peak is offered in a further step; 0 leaves it out. It keeps the load process
	// to a processor of its own, in the measurement of the peak too.
	Overload float64
	// Rate is how many transactions to offer in a second; 0 means as many as the network takes.
	Rate float64
	// CatchUp lets one more, empty node catch up with the validators in the end.
	CatchUp bool
	// InFlight is how many transactions are under way at saturation. Default 4,000.
	InFlight int
	// JSON is the file that receives the result, "-" for Stdout; empty: none. Plot receives a plot of latency against
	// throughput in SVG, for which latency is measured at several more rates; empty: none.
	JSON, Plot string
	// Dir keeps homes, logs and profiles; it must not exist, or be empty. Default: a temporary directory that is removed.
	Dir string
	// Program is the binary of nodes and load. Default: the one that runs.
	Program string
	Version string
	// Stdout receives the table, Stderr what is going on, as fits a terminal if Terminal.
	Stdout, Stderr io.Writer
	Terminal       bool
}

func (c *Config) setDefaults() error {
	if c.Suite == nil {
		s, err := suite.ByID(suite.SM)
		if err != nil {
			return err
		}
		c.Suite = s
	}
	if c.Workload == "" {
		c.Workload = WorkloadTransfer
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Validators, 4}, {&c.Keys, 100_000}, {&c.InFlight, 4000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Duration == 0 {
		c.Duration = time.Minute
	}
	return c.validate()
}

// The bounds of what can be asked for.
const (
	keysMin, keysMax  = 2, 10_000_000
	shortest, longest = 2 * time.Second, 4 * time.Minute
	inFlightMax       = 100_000
)

// WorkloadTransfer is the workload in which one signature moves money between two accounts.
const WorkloadTransfer = "transfer"

func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Workload != WorkloadTransfer && c.Workload != workloadVoucher {
		bad("workload %q is unknown; choose %s or %s", c.Workload, WorkloadTransfer, workloadVoucher)
	}
	if c.Keys < keysMin || c.Keys > keysMax {
		bad("%d keys: choose %d to %d", c.Keys, keysMin, keysMax)
	}
	if c.Duration < shortest || c.Duration > longest {
		bad("a duration of %s: choose %s to %s, since transactions that were signed ahead are valid for ten minutes", c.Duration, shortest, longest)
	}
	if c.InFlight < 1 || c.InFlight > inFlightMax {
		bad("%d transactions in flight: choose 1 to %d", c.InFlight, inFlightMax)
	}
	if c.Rate < 0 || c.Overload < 0 || c.Preload < 0 || c.ThenPreload < 0 {
		bad("rate, overload and preload cannot be negative")
	}
	if c.Preload > 0 && c.ThenPreload > 0 {
		bad("lots are preloaded either before all loads or before the last")
	}
	return errors.Join(errs...)
}

// run is one measurement.
type run struct {
	cfg  *Config
	out  *progress
	dir  string
	net  *network
	work workload
	lots *lots // nil without a preload
	// nextLane is the first lane that was not signed yet.
	nextLane int
	files    int
	// file is what was signed last, of which a load may have left something; nil at first.
	file   *signed
	result Result
	// acknowledged counts transactions with a receipt of success, unknown those of whose fate nothing is known.
	acknowledged, unknown int64
	signing               time.Duration
	signed                int
	made                  making
	// caughtUp says that the empty node has all that the validators have.
	caughtUp bool
}

// Run measures and prints what it found. When ctx ends early it prints what was measured until then.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	dir, cleanUp, err := workDir(cfg.Dir)
	if err != nil {
		return err
	}
	r := &run{cfg: &cfg, dir: dir, out: newProgress(cfg.Stderr, cfg.Terminal)}
	defer func() {
		r.out.finish()
		if err == nil || ctx.Err() != nil {
			err = errors.Join(err, cleanUp())
		} else {
			err = fmt.Errorf("%w\nthe nodes' logs are in %s", err, filepath.Join(dir, "net"))
		}
	}()
	r.result.describe(&cfg)
	err = r.measure(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		r.result.Interrupted, err = true, nil
	}
	if r.net != nil && r.net.fleet != nil {
		err = errors.Join(err, r.conclude(err == nil))
	}
	if err == nil || r.result.TxPerS > 0 { // what was measured before something failed is worth having, too
		r.out.finish()
		err = errors.Join(err, r.result.write(&cfg))
	}
	return err
}

// measure makes every step of the run.
func (r *run) measure(ctx context.Context) (err error) {
	verify, err := verifyCost(r.cfg.Suite)
	if err != nil {
		return err
	}
	r.result.VerifyUS = micros(verify)
	r.out.say("one verification by the stock library of suite %s: %.1f µs", r.cfg.Suite.Name(), r.result.VerifyUS)
	observers := 0
	if r.cfg.CatchUp {
		observers = 1
	}
	if r.net, err = found(r.cfg.Suite, r.cfg.Validators, observers, r.dir); err != nil {
		return err
	}
	if r.cfg.Overload > 0 {
		if err := r.net.pin(runtime.NumCPU()); err != nil {
			return err
		}
	}
	if err := r.net.start(ctx, r.cfg.Program); err != nil {
		return err
	}
	r.out.say("%d validators run, suite %s", r.cfg.Validators, r.cfg.Suite.Name())
	if err := r.setUp(ctx); err != nil {
		return err
	}
	perSecond, err := r.estimate(ctx)
	if err != nil {
		return err
	}
	if err := r.peak(ctx, perSecond); err != nil {
		return err
	}
	return r.furtherSteps(ctx)
}

// furtherSteps measures what follows from the peak.
func (r *run) furtherSteps(ctx context.Context) error {
	if r.result.TxPerS == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	if err := r.light(ctx); err != nil {
		return err
	}
	if r.cfg.Plot != "" {
		if err := r.curve(ctx); err != nil {
			return err
		}
	}
	if r.cfg.Overload > 0 {
		if err := r.overload(ctx); err != nil {
			return err
		}
	}
	if r.cfg.ThenPreload > 0 {
		if err := r.withLots(ctx); err != nil {
			return err
		}
	}
	if r.cfg.CatchUp {
		return r.catchUp(ctx)
	}
	return nil
}

// setUp brings the ledger to where the load can begin.
func (r *run) setUp(ctx context.Context) error {
	r.work = newTransfer(r.cfg.Suite, r.net.id, r.cfg.Keys)
	if r.cfg.Workload == workloadVoucher {
		r.work = &vouchers{suite: r.cfg.Suite, network: r.net.id, keys: r.cfg.Keys}
	}
	nodes, err := r.net.cpu()
	if err != nil {
		return err
	}
	own, err := ownCPU()
	if err != nil {
		return err
	}
	if err := r.submit(ctx, r.work.setUp); err != nil {
		return err
	}
	r.result.SetupS = r.made.full.Seconds()
	if err := r.result.setSetup(r, nodes, own); err != nil {
		return err
	}
	r.out.say("%d keys are set up through the public interface in %.1f s; each took the validators %.2f ms of processor time and this program %.2f ms", r.cfg.Keys,
		r.result.SetupS, r.result.SetupCPUMSPerKey, r.result.SetupOwnMSPerKey)
	if r.cfg.Preload > 0 {
		if err := r.preload(ctx, r.cfg.Preload); err != nil {
			return err
		}
	}
	return r.net.idle(ctx)
}

// submit makes a part of the setup and books what was acknowledged.
func (r *run) submit(ctx context.Context, part func(ctx context.Context, s *setup) error) error {
	begin := time.Now()
	s, err := newSetup(r.net.founded, r.net.clients, r.out)
	if err != nil {
		return err
	}
	err = part(ctx, s)
	r.acknowledged += s.done.Load()
	r.unknown += s.unknown.Load()
	r.made.full += time.Since(begin)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("set up: %w", err), r.net.fleet.Dead())
	}
	return nil
}

// preload puts live lots on the ledger.
func (r *run) preload(ctx context.Context, count int) error {
	l := &lots{want: count}
	if err := r.submit(ctx, l.setUp); err != nil {
		return err
	}
	r.lots = l
	return nil
}

// conclude stops all nodes and counts on their ledgers, if all went well so far.
func (r *run) conclude(well bool) error {
	var homes []string
	for i, node := range r.net.fleet.Nodes {
		if i >= len(r.net.validators()) && !r.caughtUp {
			break
		}
		homes = append(homes, node.Home)
	}
	if err := r.net.stop(); err != nil || !well || r.work == nil || r.result.SetupS == 0 {
		return err
	}
	r.out.say("the nodes have stopped; counting on their ledgers")
	all, err := count(r.net.founded, homes, r.countBooks)
	if err != nil {
		return err
	}
	r.result.Counted = append(slices.Clone(all[0].lines), fmt.Sprintf("%d transactions took effect on each of %d ledgers, %d were acknowledged",
		all[0].receipts, len(all), r.acknowledged))
	return agree(all, r.acknowledged, r.unknown)
}

// countBooks checks the books of one validator.
func (r *run) countBooks(j *vm.Journal) ([]string, error) {
	lines, err := r.work.count(j)
	if err != nil || r.lots == nil {
		return lines, err
	}
	line, err := r.lots.count(j)
	return append(lines, line), err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func millis(d time.Duration) float64 { return micros(d) / 1000 }
