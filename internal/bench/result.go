package bench

import (
	"fmt"
	"math"
	"time"

	"aval/ledger"
)

// Result is what was measured. Latencies are in ms, from sending a transaction (at a given rate: from when it was due) to the
// answer that it is committed or proven.
type Result struct {
	Suite      string  `json:"suite"`
	Validators int     `json:"validators"`
	Workload   string  `json:"workload"`
	Keys       int     `json:"keys"`
	Preload    int     `json:"preload"`
	DurationS  float64 `json:"duration_s"`
	Machine    machine `json:"machine"`
	Version    string  `json:"version"`
	Date       string  `json:"date"`
	// Interrupted says that the run was ended early; figures that were not measured are 0.
	Interrupted bool `json:"interrupted"`

	// TxPerS is committed transactions per second while counting.
	TxPerS float64 `json:"tx_per_s"`
	// P50MS and P99MS are under full load, LightP50MS and LightP99MS at 10 % of it, LightProofP50MS until proven.
	P50MS           float64 `json:"p50_ms"`
	P99MS           float64 `json:"p99_ms"`
	LightTxPerS     float64 `json:"light_tx_per_s"`
	LightP50MS      float64 `json:"light_p50_ms"`
	LightP99MS      float64 `json:"light_p99_ms"`
	LightProofP50MS float64 `json:"light_proof_p50_ms"`
	// CPUMSPerTx is the processor time of all validators from before the load until they came to rest, warm-up and compactions
	// included, per transaction that was committed in between.
	CPUMSPerTx float64 `json:"cpu_ms_per_tx"`
	Stages     []share `json:"stages"`
	// RSSMBPerValidator is the most resident memory that any validator had during the load.
	RSSMBPerValidator float64 `json:"rss_mb_per_validator"`
	// DiskBytesPerTx is by how much the data of all validators grew from before the load until they came to rest.
	DiskBytesPerTx float64 `json:"disk_bytes_per_tx"`
	VerifyUS       float64 `json:"verify_us"`
	// BoundRatio is the validators' processor time per transaction over that of f+1 verifications by the stock library of
	// every signature.
	BoundRatio float64 `json:"bound_ratio"`
	// Transactions, Refused and Failed count all loads of the run together.
	Transactions int64  `json:"transactions"`
	Refused      int64  `json:"refused"`
	Failed       int64  `json:"failed"`
	FirstFailure string `json:"first_failure"`

	// CatchUpTxPerS is how many transactions of the ledger a second an empty node fetched, executed and checked, from the start of
	// its process until it had executed the validators' newest block; CatchUpS is how long that took. MadeTxPerS is the rate at
	// which the same transactions were committed; the time of those that were offered at a given rate counts as if they had been
	// committed at TxPerS. CatchUpRatio is the one over the other, CatchUpCPUMSPerTx the node's processor time per transaction.
	CatchUpTxPerS     float64 `json:"catch_up_tx_per_s"`
	CatchUpS          float64 `json:"catch_up_s"`
	MadeTxPerS        float64 `json:"made_tx_per_s"`
	CatchUpRatio      float64 `json:"catch_up_ratio"`
	CatchUpCPUMSPerTx float64 `json:"catch_up_cpu_ms_per_tx"`

	SetupS float64 `json:"setup_s"`
	// SetupCPUMSPerKey is the processor time of all validators for setting one key up, SetupOwnMSPerKey that of this program.
	SetupCPUMSPerKey float64 `json:"setup_cpu_ms_per_key"`
	SetupOwnMSPerKey float64 `json:"setup_own_ms_per_key"`
	// SignUSPerTx is the processor time that making and signing one transaction took before the load, and LoadUSPerTx that of
	// the load process.
	SignUSPerTx float64   `json:"sign_us_per_tx"`
	LoadUSPerTx float64   `json:"load_us_per_tx"`
	RanOut      bool      `json:"ran_out"`
	Overload    *overload `json:"overload"`
	// WithLots is the full load once more, with live lots on the ledger that were not there before.
	WithLots *withLots `json:"with_lots"`
	Curve    []point   `json:"curve"`
	// Counted says what was counted on the ledgers.
	Counted []string `json:"counted"`
}

// overload is what happened when more was offered than the network takes.
type overload struct {
	Factor    float64 `json:"factor"`
	OfferedPS float64 `json:"offered_per_s"`
	TxPerS    float64 `json:"tx_per_s"`
	// ShareOfTop is that over the peak: the mean of the one before and PeakAfter, which was measured once more afterwards.
	ShareOfTop float64 `json:"share_of_peak"`
	PeakAfter  float64 `json:"peak_after"`
	Refused    int64   `json:"refused"`
	// ToldBusy counts the refusals that said when to come back.
	ToldBusy int64   `json:"told_busy"`
	RSSMB    float64 `json:"rss_mb_per_validator"`
	// CPUMSPerTx is the validators' processor time for each transaction that was committed, with what the refusals cost.
	CPUMSPerTx float64 `json:"cpu_ms_per_tx"`
}

// withLots is the full load with live lots on the ledger.
type withLots struct {
	Lots   int     `json:"lots"`
	SetupS float64 `json:"setup_s"`
	TxPerS float64 `json:"tx_per_s"`
	// ShareOfPeak is that over the throughput without them.
	ShareOfPeak float64 `json:"share_of_peak"`
	P50MS       float64 `json:"p50_ms"`
	P99MS       float64 `json:"p99_ms"`
	CPUMSPerTx  float64 `json:"cpu_ms_per_tx"`
	RSSMB       float64 `json:"rss_mb_per_validator"`
}

// point is one point of the plot.
type point struct {
	OfferedPS float64 `json:"offered_per_s"`
	TxPerS    float64 `json:"tx_per_s"`
	P50MS     float64 `json:"p50_ms"`
	P99MS     float64 `json:"p99_ms"`
}

func (r *Result) describe(c *Config) {
	r.Suite, r.Validators, r.Workload, r.Keys, r.Preload = c.Suite.Name(), c.Validators, c.Workload, c.Keys, c.Preload
	r.DurationS, r.Version, r.Machine = c.Duration.Seconds(), c.Version, describeMachine()
	r.Date = time.Now().UTC().Format(time.DateOnly)
	r.Stages, r.Curve, r.Counted = []share{}, []point{}, []string{}
}

func newPoint(rate float64, t *Tally) point {
	return point{OfferedPS: rate, TxPerS: round(perSecond(t)), P50MS: ms(t.Committing.quantile(0.5)), P99MS: ms(t.Committing.quantile(0.99))}
}

func (r *Result) addPoint(rate float64, t *Tally) {
	r.Curve = append(r.Curve, newPoint(round(rate), t))
}

// setPeak works out the figures of the full load.
func (r *Result) setPeak(run *run, m *meter, t *Tally) error {
	c, err := m.cost()
	if err != nil {
		return err
	}
	p := newPoint(0, t)
	r.TxPerS, r.P50MS, r.P99MS, r.RanOut = p.TxPerS, p.P50MS, p.P99MS, t.RanOut
	r.RSSMBPerValidator = megabytes(c.rss)
	if run.signed > 0 {
		r.SignUSPerTx = round(micros(run.signing) / float64(run.signed))
	}
	if c.txs == 0 {
		return nil
	}
	r.DiskBytesPerTx = math.Round(float64(c.disk) / float64(c.txs))
	r.LoadUSPerTx = round(float64(t.CPUMs) * 1000 / float64(c.txs))
	r.CPUMSPerTx = round4(millis(c.perTx()))
	f := ledger.ValidatorSet(make([]ledger.Validator, r.Validators)).Faulty()
	r.BoundRatio = round(micros(c.perTx()) / (float64(f+1) * r.VerifyUS * run.work.signatures()))
	if split := m.profiles.split(c.perTx()); split != nil {
		r.Stages = split
	} else if m.profiles != nil && m.profiles.err != nil {
		run.out.say("no split by stage: %v", m.profiles.err)
	}
	return nil
}

// setSetup works out what setting up took since the validators and this program had used so much processor time.
func (r *Result) setSetup(run *run, nodesBefore, ownBefore time.Duration) error {
	nodes, err := run.net.cpu()
	if err != nil {
		return err
	}
	own, err := ownCPU()
	r.SetupCPUMSPerKey = round(millis(nodes-nodesBefore) / float64(r.Keys))
	r.SetupOwnMSPerKey = round(millis(own-ownBefore) / float64(r.Keys))
	return err
}

func (r *Result) setLight(rate float64, t *Tally) {
	p := newPoint(rate, t)
	r.LightTxPerS, r.LightP50MS, r.LightP99MS = round(rate), p.P50MS, p.P99MS
	r.LightProofP50MS = ms(t.Proving.quantile(0.5))
	r.addPoint(rate, t)
}

func (r *Result) setOverload(run *run, m *meter, rate float64, t *Tally) error {
	c, err := m.cost()
	if err != nil {
		return err
	}
	r.Overload = &overload{Factor: run.cfg.Overload, OfferedPS: round(rate), TxPerS: round(perSecond(t)), ShareOfTop: round(perSecond(t) / r.TxPerS),
		Refused: t.Refused, ToldBusy: t.Busy, RSSMB: megabytes(c.rss), CPUMSPerTx: round4(millis(c.perTx()))}
	return nil
}

// compare relates what was committed to the peak before and after.
func (o *overload) compare(before, after float64) {
	o.PeakAfter, o.ShareOfTop = round(after), round(o.TxPerS/((before+after)/2))
}

func (r *Result) setWithLots(run *run, m *meter, setup time.Duration, t *Tally) error {
	c, err := m.cost()
	if err != nil {
		return err
	}
	p := newPoint(0, t)
	r.WithLots = &withLots{Lots: run.cfg.ThenPreload, SetupS: round(setup.Seconds()), TxPerS: p.TxPerS, ShareOfPeak: round(p.TxPerS / r.TxPerS),
		P50MS: p.P50MS, P99MS: p.P99MS, CPUMSPerTx: round4(millis(c.perTx())), RSSMB: megabytes(c.rss)}
	return nil
}

func ms(d time.Duration) float64 { return round(millis(d)) }

func megabytes(b int64) float64 { return math.Round(float64(b) / (1 << 20)) }

// round keeps two digits after the point, round4 four.
func round(x float64) float64 { return math.Round(x*100) / 100 }

func round4(x float64) float64 { return math.Round(x*10_000) / 10_000 }

// String returns the figures as a table.
func (r *Result) String() string { return r.table() }

var _ fmt.Stringer = (*Result)(nil)
