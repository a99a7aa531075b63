package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aval/suite"
)

// runPatience bounds a whole run; it is long because machines are shared.
const runPatience = 4 * time.Minute

// measureSmall runs a small measurement and returns its result and the table.
func measureSmall(ctx context.Context, t *testing.T, cfg Config) (*Result, string) {
	t.Helper()
	t.Setenv(childEnv, "1")
	var table, said bytes.Buffer
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Suite, cfg.Duration, cfg.Keys, cfg.InFlight = s, shortest, 40, 100
	cfg.JSON, cfg.Stdout = filepath.Join(t.TempDir(), "result.json"), &table
	if cfg.Stderr == nil {
		cfg.Stderr = &said
	}
	ctx, cancel := context.WithTimeout(ctx, runPatience)
	defer cancel()
	if err := Run(ctx, cfg); err != nil {
		t.Fatalf("%v\n%s\n%s", err, said.String(), table.String())
	}
	raw, err := os.ReadFile(cfg.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return &r, table.String()
}

// TestWholeRuns measures real validators, small.
func TestWholeRuns(t *testing.T) {
	for _, cfg := range []Config{{Workload: WorkloadTransfer, CatchUp: true, ThenPreload: 500}, {Workload: workloadVoucher, Preload: 500}} {
		t.Run(cfg.Workload, func(t *testing.T) {
			r, table := measureSmall(t.Context(), t, cfg)
			t.Log(table)
			if r.TxPerS <= 0 || r.CPUMSPerTx <= 0 || r.BoundRatio <= 0 || r.LightP50MS <= 0 || r.LightProofP50MS < r.LightP50MS/2 || r.P99MS < r.P50MS ||
				r.RSSMBPerValidator <= 0 || r.DiskBytesPerTx <= 0 || r.Transactions == 0 {
				t.Errorf("the result is %+v", r)
			}
			if r.WithLots != nil != (cfg.ThenPreload > 0) || r.WithLots != nil && (r.WithLots.TxPerS <= 0 || r.WithLots.RSSMB <= 0 || r.WithLots.ShareOfPeak <= 0) {
				t.Errorf("with lots: %+v", r.WithLots)
			}
			if r.CatchUpRatio > 0 != cfg.CatchUp || r.CatchUpTxPerS > 0 != cfg.CatchUp || r.CatchUpCPUMSPerTx > 0 != cfg.CatchUp || r.MadeTxPerS > 0 != cfg.CatchUp ||
				strings.Contains(table, "5 ledgers") != cfg.CatchUp {
				t.Errorf("catching up: %+v", r)
			}
			if r.Failed != 0 || r.Interrupted || len(r.Counted) < 2 {
				t.Errorf("failed %d, first %q, counted %q", r.Failed, r.FirstFailure, r.Counted)
			}
		})
	}
}

// cutter ends a run once it says that something has come.
type cutter struct {
	at     string
	cancel context.CancelFunc
	mu     sync.Mutex
	said   bytes.Buffer
}

// Write implements io.Writer.
func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said.Write(b)
	if strings.Contains(c.said.String(), c.at) {
		c.cancel()
	}
	return len(b), nil
}

func TestInterruptedRunPrintsWhatWasMeasured(t *testing.T) {
	for _, tc := range []struct {
		at       string
		measured bool
	}{{"keys are set up", false}, {"an empty node starts", true}} {
		t.Run(tc.at, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, table := measureSmall(ctx, t, Config{Stderr: &cutter{at: tc.at, cancel: cancel}, Terminal: true, CatchUp: true})
			if !r.Interrupted || !strings.Contains(table, "interrupted") || tc.measured && r.CPUMSPerTx <= 0 || (r.LightP50MS != 0) != tc.measured || r.CatchUpRatio != 0 {
				t.Errorf("the result is %+v\n%s", r, table)
			}
		})
	}
}
