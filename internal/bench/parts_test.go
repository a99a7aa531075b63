package bench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/pprof/profile"

	"aval/suite"
)

// stack makes a sample of so many ns whose functions are given from the innermost.
func stack(ns int64, functions ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{1, ns}}
	for _, f := range functions {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
	}
	return s
}

func TestProcessorTimeGoesToTheInnermostStage(t *testing.T) {
	for _, tc := range []struct {
		want  stage
		stack []string
	}{
		{stageVerify, []string{"sm2P256MulInternal", "aval/suite.(*sm2Key).flag", "aval/suite.(*sm).Verify", "aval/internal/intake.(*Intake).admit", "net/http.(*conn).serve"}},
		{stageIntake, []string{"github.com/fxamacker/cbor/v2.encode", "aval/ledger.DecodeSignedTx", "aval/internal/intake.(*Intake).admit", "net/http.(*conn).serve"}},
		{stageState, []string{"sm3.block", "aval/suite.(*hashing).Sum", "aval/merkle.Inner", "aval/internal/state.(*State).Apply", "aval/internal/chain.(*Chain).execute"}},
		{stageStorage, []string{"github.com/cockroachdb/pebble/v2.(*DB).Get", "aval/internal/kv.(*pebbleStore).Get", "aval/internal/state.(*State).Get", "aval/internal/exec.(*Executor).Apply"}},
		{stageExecute, []string{"runtime.mallocgc", "aval/codec.Unmarshal", "aval/internal/native/money.move", "aval/internal/exec.(*Executor).Apply", "aval/internal/chain.(*Chain).execute"}},
		{stageCollector, []string{"runtime.scanObject", "runtime.gcAssistAlloc", "runtime.mallocgc", "aval/internal/exec.(*Executor).Apply"}},
		{stageConsensus, []string{"github.com/hyperledger-labs/SmartBFT/internal/bft.(*View).run"}},
		{stageNetwork, []string{"crypto/tls.(*Conn).Write", "aval/internal/transport.(*link).write"}},
		{stageHTTP, []string{"syscall.write", "net/http.(*conn).serve"}},
		{stageBlocks, []string{"aval/ledger.DecodeBatch", "aval/internal/chain.(*Chain).decodeBatch", "aval/internal/consensus/bft.(*instance).VerifyProposal"}},
		{stageRuntime, []string{"runtime.futex", "runtime.schedule"}},
	} {
		if got := stageOfStack(stack(1, tc.stack...)); got != tc.want {
			t.Errorf("%s is %q, want %q", tc.stack[0], got, tc.want)
		}
	}
	types := []*profile.ValueType{{Type: "samples"}, {Type: "cpu"}}
	p := &profiles{all: []*profile.Profile{{SampleType: types, Sample: []*profile.Sample{stack(30, "aval/internal/exec.a"), stack(10, "runtime.futex")}},
		{SampleType: types, Sample: []*profile.Sample{stack(60, "aval/internal/vm.b")}}}}
	for _, s := range p.split(200 * time.Microsecond) {
		want := map[stage]float64{stageExecute: 180, stageRuntime: 20}[s.Stage]
		if s.USPerTx < want-0.001 || s.USPerTx > want+0.001 {
			t.Errorf("%s takes %g µs, want %g", s.Stage, s.USPerTx, want)
		}
	}
	p.err = errors.New("no more profiles")
	if p.split(1) == nil {
		t.Error("a load that ended early has no split")
	}
	if none := (*profiles)(nil); none.split(1) != nil || (&profiles{err: p.err}).split(1) != nil {
		t.Error("a split without profiles")
	}
}

// example is a result whose figures are made up.
func example() *Result {
	r := &Result{Suite: "sm", Validators: 4, Workload: "transfer", Keys: 100, DurationS: 60, TxPerS: 9876.5, P50MS: 310, P99MS: 720.5, LightTxPerS: 987.6,
		LightP50MS: 21.4, LightP99MS: 60.1, LightProofP50MS: 44.2, CPUMSPerTx: 0.1512, RSSMBPerValidator: 180, DiskBytesPerTx: 2750, VerifyUS: 42.1,
		BoundRatio: 1.8, Transactions: 700_000, SignUSPerTx: 61.5, LoadUSPerTx: 8.2, Machine: machine{LoadAverage: "0.10 0.20 0.30"},
		Stages: []share{{stageVerify, 0.6, 90.7}, {stageExecute, 0.4, 60.5}}, Counted: []string{"all is there"},
		Curve: []point{{987.6, 987, 21.4, 60.1}, {5000, 4998, 35, 110}, {9000, 8990, 120, 400}}}
	r.setCatchUp(780_000, 90, 32*time.Second, 48*time.Second)
	r.Overload = &overload{Factor: 3, OfferedPS: 29_629, TxPerS: 8500, Refused: 120_000, ToldBusy: 120_000, RSSMB: 190, CPUMSPerTx: 0.171}
	r.Overload.compare(9876.5, 9800)
	r.WithLots = &withLots{Lots: 50_000, SetupS: 12, TxPerS: 8889, ShareOfPeak: 0.9, P50MS: 330, P99MS: 800, CPUMSPerTx: 0.16, RSSMB: 300}
	return r
}

// TestReports compares table and plot with testdata; regenerate with -rewrite.
func TestReports(t *testing.T) {
	datadriven.RunTest(t, "testdata/report.txt", func(t *testing.T, d *datadriven.TestData) string {
		r := example()
		for _, arg := range d.CmdArgs {
			switch arg.Key {
			case "interrupted":
				r = &Result{Suite: "intl", Validators: 4, Workload: "voucher", Interrupted: true, VerifyUS: 50}
			case "failures":
				r.Refused, r.Failed, r.RanOut, r.FirstFailure = 3, 2, true, "load: BUSY (5): full"
			}
		}
		if d.Cmd == "markdown" {
			return markdown(t, r, &Result{Suite: "intl", Validators: 4, Workload: "voucher", Interrupted: true, VerifyUS: 50})
		}
		if d.Cmd == "plot" {
			checkXML(t, r.plot())
			return r.plot()
		}
		return r.table()
	})
}

// markdown writes results to files and returns their table.
func markdown(t *testing.T, results ...*Result) string {
	t.Helper()
	var files []string
	for i, r := range results {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(t.TempDir(), string(rune('a'+i))+".json"))
		if err := os.WriteFile(files[i], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := Table(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Table([]string{filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("a file that is missing was read")
	}
	return text
}

func checkXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}

func TestJSONHasTheAgreedKeys(t *testing.T) {
	b, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"tx_per_s", "p50_ms", "p99_ms", "light_p50_ms", "light_p99_ms", "light_proof_p50_ms", "cpu_ms_per_tx",
		"rss_mb_per_validator", "disk_bytes_per_tx", "verify_us", "bound_ratio", "transactions", "refused",
		"catch_up_tx_per_s", "catch_up_ratio", "catch_up_cpu_ms_per_tx"} {
		if _, ok := members[key].(float64); !ok {
			t.Errorf("%s is %v, not a number", key, members[key])
		}
	}
}

func TestSystemFigures(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownCPU()
	if err != nil {
		t.Fatal(err)
	}
	for spent := own; spent < own+30*time.Millisecond; {
		if spent, err = ownCPU(); err != nil {
			t.Fatal(err)
		}
	}
	after, err := processCPU(os.Getpid())
	if err != nil || after-before < 20*time.Millisecond || after-before > 10*time.Second {
		t.Errorf("30 ms of work are %v in /proc, %v", after-before, err)
	}
	if rss, err := processRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("this process has %d bytes, %v", rss, err)
	}
	if _, err := processCPU(-1); err == nil {
		t.Error("process -1 has processor time")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	empty, err := diskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "c"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := diskUsage(dir)
	if err != nil || full-empty < 100_000 || full-empty > 200_000 {
		t.Errorf("a file of 100,000 bytes takes %d, %v", full-empty, err)
	}
	if m := describeMachine(); m.Processors < 1 || m.Go == "" || m.LoadAverage == "" {
		t.Errorf("the machine is %+v", m)
	}
}

func TestStockVerificationHasACost(t *testing.T) {
	for _, name := range []string{"sm", "intl"} {
		s, err := suite.ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := verifyCost(s)
		if err != nil || d < time.Microsecond || d > 10*time.Millisecond {
			t.Errorf("one verification in suite %s takes %v, %v", name, d, err)
		}
	}
}

func TestBooksMustAgree(t *testing.T) {
	same := books{head: 7, hash: suite.Hash{1}, receipts: 10}
	for _, tc := range []struct {
		name    string
		change  func(b *books)
		unknown int64
		good    bool
	}{
		{"all the same", func(*books) {}, 0, true},
		{"a receipt is missing", func(b *books) { b.receipts = 9 }, 0, false},
		{"one more than acknowledged", func(b *books) { b.receipts = 11 }, 0, false},
		{"one more, one unknown", func(b *books) { b.receipts = 11 }, 1, true},
		{"another block", func(b *books) { b.hash = suite.Hash{2} }, 0, false},
		{"ahead by an empty block", func(b *books) { b.head, b.hash = 8, suite.Hash{2} }, 0, true},
	} {
		other := same
		tc.change(&other)
		if err := agree([]books{same, other}, 10, tc.unknown); (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestEnoughIsSignedForTheBestSecond(t *testing.T) {
	var f fastest
	done := int64(0)
	for i := range 20 { // quarters of a second: slow, then fast, then slow
		f.note(time.Duration(i)*250*time.Millisecond, done)
		done += 100
		if i >= 8 && i < 13 {
			done += 400
		}
	}
	if f.rate != 2000 {
		t.Errorf("the best second had %g, want 2000", f.rate)
	}
	if (&fastest{}).rate != 0 {
		t.Error("a rate from nothing")
	}
	for _, tc := range []struct{ best, possible, want float64 }{{1000, 1000, 1250}, {1000, 1600, 1760}, {1000, 9000, 2000}, {1000, 10, 1250}} {
		if got := toSign(tc.best, tc.possible); got < tc.want-0.01 || got > tc.want+0.01 {
			t.Errorf("best %g, possible %g: %g are signed, want %g", tc.best, tc.possible, got, tc.want)
		}
	}
}

// Blocks of a load at a given rate came as slowly as they were asked for: the time that they took says nothing.
func TestMakingCountsPacedLoadsAtThePeak(t *testing.T) {
	m := making{full: 10 * time.Second}
	m.add(&Order{InFlight: 1}, &Tally{Committed: 5000}, 5*time.Second)
	m.add(&Order{Rate: 100}, &Tally{Committed: 2000}, 20*time.Second)
	if got := m.seconds(1000); got != 17 {
		t.Errorf("%g s, want 10 + 5 + 2000/1000", got)
	}
	var r Result
	r.setCatchUp(8500, m.seconds(1000), 8*time.Second, 17*time.Second)
	if r.MadeTxPerS != 500 || r.CatchUpTxPerS != 1062.5 || r.CatchUpRatio != 2.13 || r.CatchUpCPUMSPerTx != 2 {
		t.Errorf("%+v", r)
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	c := Config{Workload: "mine", Keys: 1, Duration: time.Hour, Rate: -1, InFlight: -1}
	err := c.setDefaults()
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{"mine", "1 keys", "1h0m0s", "negative", "flight"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in: %v", want, err)
		}
	}
}
