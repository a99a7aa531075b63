package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"aval/api"
	"aval/codec"
	"aval/ledger"
)

// fakeNode answers bulk submissions: answer says what becomes of a transaction at its n-th submission.
func fakeNode(t *testing.T, answer func(tx []byte, n int, wait string) api.Submitted) string {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		txs, err := api.DecodeBatch(body)
		if err != nil || r.URL.Path != api.PathBatches {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		out := make([]api.Submitted, len(txs))
		mu.Lock()
		for i, tx := range txs {
			seen[string(tx)]++
			out[i] = answer(tx, seen[string(tx)], r.URL.Query().Get(api.QueryWait))
		}
		mu.Unlock()
		w.Header().Set("Content-Type", api.MediaCBOR)
		if _, err := w.Write(codec.MustMarshal(out)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

var committed = api.Submitted{Stage: api.StageCommitted, Height: 1}

// laneFile writes n lanes of the given steps, each transaction with a number of its own in its last two bytes.
func laneFile(t *testing.T, n, steps int) string {
	t.Helper()
	var b []byte
	for i := range n {
		var lane [][]byte
		for k := range steps {
			lane = append(lane, []byte{byte(k), byte(i >> 8), byte(i)})
		}
		b = appendLane(b, lane)
	}
	path := filepath.Join(t.TempDir(), "lanes")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// generate runs the load process and returns its events and result.
func generate(ctx context.Context, t *testing.T, o Order) (events []string, result Tally) {
	t.Helper()
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Generate(ctx, bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var r Report
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		events = append(events, r.Event)
		result = r.Tally
	}
	return events, result
}

func order(url, file string) Order {
	return Order{Endpoints: []string{url, url}, Files: []string{file}, InFlight: 40, Bulk: 10, CountMs: 60_000, PatienceMs: 10_000}
}

func TestEveryTransactionIsSentOnceAndCounted(t *testing.T) {
	var step [2]atomic.Int64
	url := fakeNode(t, func(tx []byte, n int, _ string) api.Submitted {
		if n > 1 {
			t.Errorf("%x was sent %d times", tx, n)
		}
		step[tx[0]].Add(1)
		return committed
	})
	events, r := generate(t.Context(), t, order(url, laneFile(t, 500, 2)))
	if r.Sent != 1000 || r.Committed != 1000 || r.Window != 1000 || r.Own != 1000 || r.Refused+r.Failed+r.Unknown != 0 || !r.RanOut {
		t.Errorf("counted %+v", r)
	}
	if step[0].Load() != 500 || step[1].Load() != 500 || r.Committing.total != 1000 || r.Proving.total != 0 || r.WindowMs <= 0 {
		t.Errorf("steps %d and %d, %d latencies in %g ms", step[0].Load(), step[1].Load(), r.Committing.total, r.WindowMs)
	}
	if events[len(events)-1] != "result" {
		t.Errorf("events %v", events)
	}
}

func TestRefusalsFailuresAndPendingAreCountedApart(t *testing.T) {
	url := fakeNode(t, func(tx []byte, n int, _ string) api.Submitted {
		switch tx[2] % 5 {
		case 0:
			return api.Submitted{Stage: api.StageRefused, Code: ledger.CodeBusy, Message: "full"}
		case 1:
			return api.Submitted{Stage: api.StageCommitted, Code: ledger.CodeInsufficientFunds, Message: "poor", Height: 1}
		case 2:
			return api.Submitted{Stage: api.StagePending}
		case 3:
			if n == 1 {
				return api.Submitted{Stage: api.StagePending}
			}
		}
		return committed
	})
	_, r := generate(t.Context(), t, order(url, laneFile(t, 100, 1)))
	if r.Refused != 20 || r.Busy != 20 || r.Failed != 20 || r.Unknown != 20 || r.Committed != 40 {
		t.Errorf("counted %+v", r)
	}
	if !strings.Contains(r.FirstFailure, "full") && !strings.Contains(r.FirstFailure, "poor") {
		t.Errorf("first failure %q", r.FirstFailure)
	}
}

func TestPacedLoadKeepsItsRateAndAsksForProofs(t *testing.T) {
	url := fakeNode(t, func(_ []byte, n int, wait string) api.Submitted {
		if wait == string(api.WaitProven) && n == 2 {
			return api.Submitted{Stage: api.StageProven, Height: 1}
		}
		return committed
	})
	o := order(url, laneFile(t, 1000, 1))
	o.Rate, o.WarmUpMs, o.CountMs, o.ProofEvery = 200, 300, 700, 2
	events, r := generate(t.Context(), t, o)
	if r.Sent < 150 || r.Sent > 201 || r.Committed != r.Sent || r.RanOut {
		t.Errorf("counted %+v at 200 a second for 1 s", r)
	}
	if r.Proving.total == 0 || r.Committing.total == 0 || r.Proving.total+r.Committing.total != uint64(r.Own) || r.Own >= r.Sent {
		t.Errorf("%d and %d latencies of %d", r.Committing.total, r.Proving.total, r.Own)
	}
	if all := strings.Join(events, " "); strings.Count(all, "count") != 1 || r.WindowMs < 650 || r.WindowMs > 700 {
		t.Errorf("events %s, %g ms counted", all, r.WindowMs)
	}
}

// TestLeftoversAreSentOnce: what one load leaves the next one begins with, full requests only.
func TestLeftoversAreSentOnce(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	url := fakeNode(t, func(tx []byte, _ int, _ string) api.Submitted {
		mu.Lock()
		defer mu.Unlock()
		seen[string(tx)]++
		return committed
	})
	o := order(url, laneFile(t, 250, 1))
	o.Rate, o.Least, o.CountMs = 400, 10, 300
	_, first := generate(t.Context(), t, o)
	if first.Lanes < 90 || first.Lanes > 120 || first.Lanes%10 != 0 || int64(first.Lanes) != first.Sent {
		t.Fatalf("counted %+v at 400 a second for 0.3 s, ten in a request", first)
	}
	o = order(url, o.Files[0])
	o.Skip = first.Lanes
	_, second := generate(t.Context(), t, o)
	if first.Lanes+second.Lanes != 250 || len(seen) != 250 || !second.RanOut {
		t.Errorf("%d and %d lanes were taken, %d transactions came", first.Lanes, second.Lanes, len(seen))
	}
	for tx, n := range seen {
		if n != 1 {
			t.Errorf("%x was sent %d times", tx, n)
		}
	}
}

func TestInterruptedLoadStillReports(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var sent atomic.Int64
	url := fakeNode(t, func([]byte, int, string) api.Submitted {
		if sent.Add(1) == 100 {
			cancel()
		}
		return committed
	})
	_, r := generate(ctx, t, order(url, laneFile(t, 5000, 1)))
	if r.Sent < 100 || r.Sent == 5000 || r.Committed != r.Sent || r.RanOut {
		t.Errorf("counted %+v", r)
	}
}

func TestDeadNodeLeavesTheOutcomeUnknown(t *testing.T) {
	url := fakeNode(t, nil)
	o := order(strings.Replace(url, "127.0.0.1", "127.0.0.2", 1), laneFile(t, 3, 1))
	o.Endpoints = o.Endpoints[:1]
	o.PatienceMs = 1
	_, r := generate(t.Context(), t, o)
	if r.Unknown != 3 || r.FirstFailure == "" {
		t.Errorf("counted %+v", r)
	}
}

func TestBadOrdersAreRefused(t *testing.T) {
	for _, bad := range []string{``, `{}`, `{"endpoints":["http://x"],"files":["f"],"in_flight":1,"bulk":100000,"count_ms":1,"patience_ms":1}`,
		`{"endpoints":["http://x"],"files":["f"],"rate":1,"bulk":1,"least":2,"count_ms":1,"patience_ms":1}`,
		`{"endpoints":["x"],"files":["f"],"in_flight":1,"bulk":1,"count_ms":1,"patience_ms":1}`} {
		if err := Generate(t.Context(), strings.NewReader(bad), io.Discard); err == nil {
			t.Errorf("order %s was taken", bad)
		}
	}
	o := order("http://127.0.0.1:1", filepath.Join(t.TempDir(), "missing"))
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Generate(t.Context(), bytes.NewReader(in), io.Discard); err == nil {
		t.Error("a file that is missing was read")
	}
}
