package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/internal/chain"
	"aval/internal/intake"
	"aval/internal/kv"
	"aval/internal/server"
	"aval/ledger"
)

func TestSubmitJSONAndCBOR(t *testing.T) {
	n := start(t, options{})
	tx := n.n.Scope(t, "/a")
	first := n.submit(tx, "")
	if first.Stage == api.StagePending || first.Receipt == nil || first.Receipt.Code != ledger.CodeOK || first.Height != 1 || first.ID != n.id(tx) {
		t.Fatalf("outcome %+v", first)
	}
	// The same bytes again, in the other encoding, yield the same receipt.
	again := n.do(http.MethodPost, api.PathTransactions, api.MediaCBOR, bytes.NewReader(tx))
	if got := decode[api.Outcome](n, again); again.status != http.StatusOK || got.ID != first.ID || got.Height != 1 {
		t.Fatalf("again: %d %+v", again.status, got)
	}
	if got := n.submit(tx, "?wait=none"); got.Receipt == nil {
		t.Errorf("what is done is said to be pending: %+v", got)
	}
	other := n.n.Scope(t, "/b")
	if got := decode[api.Outcome](n, n.do(http.MethodPost, api.PathTransactions, api.MediaCBOR+"; charset=binary", bytes.NewReader(other))); got.Receipt.Code != ledger.CodeOK {
		t.Errorf("in CBOR: %+v", got)
	}
	// Without a content type it is JSON.
	b, err := json.Marshal(api.SubmitRequest{Tx: n.n.Scope(t, "/c")})
	if err != nil {
		t.Fatal(err)
	}
	if a := n.do(http.MethodPost, api.PathTransactions, "", bytes.NewReader(b)); a.status != http.StatusOK {
		t.Errorf("without a content type: %d %s", a.status, a.body)
	}
	failed := n.submit(n.n.Scope(t, "/a"), "")
	if failed.Receipt.Code != ledger.CodeScope || !failed.Receipt.Final {
		t.Errorf("a transaction that fails: %+v", failed.Receipt)
	}
}

func TestSubmitWaitsAsFarAsAsked(t *testing.T) {
	n := start(t, options{})
	proven := n.submit(n.n.Scope(t, "/a"), "?wait=proven")
	if !proven.Proven || proven.Stage != api.StageProven {
		t.Fatalf("proven: %+v", proven)
	}
	v := n.verdict(n.get(api.Path(api.PathTransactionProof, proven.ID.String())))
	if v.Receipt == nil || v.Receipt.Tx != proven.ID {
		t.Errorf("the proof shows %+v", v)
	}
	n.held.Store(true)
	tx := n.n.Scope(t, "/b")
	pending := n.submit(tx, "?wait=none")
	if pending.Stage != api.StagePending || pending.Receipt != nil || pending.ID != n.id(tx) || pending.Height != 0 {
		t.Fatalf("not waited for: %+v", pending)
	}
	p := n.problem("a wait that ends", n.do(http.MethodPost, api.PathTransactions+"?timeout_ms=20", api.MediaCBOR, bytes.NewReader(tx)),
		http.StatusGatewayTimeout, api.NameTimeout)
	if !p.Pending || p.Tx == nil || *p.Tx != pending.ID || *p.Signed != pending.Signed || !strings.Contains(p.Detail, "quorum lost: a test says so") {
		t.Errorf("a wait that ends: %+v", p)
	}
	n.problem("a lookup before", n.get(api.Path(api.PathTransaction, pending.ID.String())), http.StatusNotFound, api.NameNotFound)
	n.held.Store(false) // intake hands it in again
	if got := n.submit(tx, "?timeout_ms=30000"); got.Receipt == nil || got.ID != pending.ID {
		t.Errorf("in the end: %+v", got)
	}
}

func TestAttemptsAndLookups(t *testing.T) {
	n := start(t, options{})
	tx := n.n.NewTx(n.n.OpenScope("/a"))
	half := n.submit(n.n.Sign(t, tx, "authority.m"), "")
	if half.Receipt.Code != ledger.CodePolicyUnmet || half.Receipt.Final {
		t.Fatalf("half signed: %+v", half.Receipt)
	}
	n.problem("a lookup by id", n.get(api.Path(api.PathTransaction, half.ID.String())), http.StatusNotFound, api.NameNotFound)
	if got := decode[api.Outcome](n, n.get(api.Path(api.PathAttempt, half.Signed.String()))); got.Receipt.Code != ledger.CodePolicyUnmet {
		t.Errorf("the attempt: %+v", got)
	}
	full := n.submit(n.n.Sign(t, tx, "authority.a"), "")
	if got := decode[api.Outcome](n, n.get(api.Path(api.PathTransaction, full.ID.String()))); got.Receipt.Code != ledger.CodeOK || got.ID != half.ID || got.Signed == half.Signed {
		t.Errorf("the transaction: %+v", got)
	}
}

func TestBusyNodeSaysWhenToComeBack(t *testing.T) {
	n := start(t, options{intake: func(c *intake.Config) { c.PendingMax = 1 }})
	n.held.Store(true)
	n.submit(n.n.Scope(t, "/a"), "?wait=none")
	a := n.do(http.MethodPost, api.PathTransactions, api.MediaCBOR, bytes.NewReader(n.n.Scope(t, "/b")))
	p := n.problem("a busy node", a, http.StatusServiceUnavailable, "BUSY")
	if a.header.Get("Retry-After") != "1" || p.Code != ledger.CodeBusy {
		t.Errorf("a busy node: %v %+v", a.header, p)
	}
	if err := n.intake.Close(); err != nil {
		t.Fatal(err)
	}
	a = n.do(http.MethodPost, api.PathTransactions, api.MediaCBOR, bytes.NewReader(n.n.Scope(t, "/c")))
	n.problem("a node that shuts down", a, http.StatusServiceUnavailable, "UNROUTABLE")
	if a.header.Get("Retry-After") == "" {
		t.Error("a node that shuts down does not say when to come back")
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	n := start(t, options{})
	for _, path := range []string{"/", "/v1", "/v2/status", "/v1/transactions/", "/v1/parties", "/favicon.ico"} {
		n.problem(path, n.get(path), http.StatusNotFound, api.NameNotFound)
	}
	for method, path := range map[string]string{http.MethodGet: api.PathTransactions, http.MethodDelete: api.PathStatus, http.MethodPut: "/v1/blocks/1",
		http.MethodPatch: api.PathMetrics, http.MethodPost: api.PathOpenAPI} {
		a := n.do(method, path, "", nil)
		if p := n.problem(method+" "+path, a, http.StatusMethodNotAllowed, api.NameArgument); a.header.Get("Allow") == "" {
			t.Errorf("%s %s: %+v", method, path, p)
		}
	}
	if a := n.do(http.MethodHead, api.PathStatus, "", nil); a.status != http.StatusOK || len(a.body) != 0 {
		t.Errorf("the head of the status: %d, %d bytes", a.status, len(a.body))
	}
}

// The time for sending a request does not cut short the wait for its answer.
func TestWaitIsLongerThanTheTimeForTheRequest(t *testing.T) {
	n := start(t, options{server: func(c *server.Config) { c.HeaderTimeout, c.RequestTimeout = 100*time.Millisecond, 100*time.Millisecond }})
	n.held.Store(true)
	release := time.AfterFunc(600*time.Millisecond, func() { n.held.Store(false) })
	defer release.Stop()
	if got := n.submit(n.n.Scope(t, "/a"), "?timeout_ms=30000"); got.Receipt == nil || got.Receipt.Code != ledger.CodeOK {
		t.Errorf("after a wait: %+v", got)
	}
}

func TestShutdownAnswersWhoWaits(t *testing.T) {
	n := start(t, options{})
	n.held.Store(true)
	tx := n.n.Scope(t, "/a")
	n.submit(tx, "?wait=none")
	got := make(chan answer)
	go func() {
		got <- n.do(http.MethodPost, api.PathTransactions, api.MediaCBOR, bytes.NewReader(tx))
	}()
	// The request is in once the metrics count it as open.
	n.until("the request arrives", func() bool {
		return strings.Contains(string(n.get(api.PathMetrics).body), "aval_http_requests_open 2")
	})
	if err := n.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := n.problem("who waited", <-got, http.StatusGatewayTimeout, api.NameTimeout); !p.Pending {
		t.Errorf("who waited is told %+v", p)
	}
}

func TestBrokenChainIsUnhealthy(t *testing.T) {
	var blocks *kv.Faulty
	n := start(t, options{chain: func(c *chain.Config) {
		var err error
		if blocks, err = kv.NewFaulty(kv.NewMemory(), kv.Faults{}); err != nil {
			t.Fatal(err)
		}
		c.Blocks, c.OnBroken = blocks, func(error) {}
	}})
	if h := decode[api.Health](n, n.get(api.PathHealth)); !h.OK {
		t.Fatalf("healthy: %+v", h)
	}
	n.submit(n.n.Scope(t, "/a"), "")
	blocks.Crash()
	a := n.do(http.MethodPost, api.PathTransactions+"?timeout_ms=200", api.MediaCBOR, bytes.NewReader(n.n.Scope(t, "/b")))
	if a.status < 500 {
		t.Errorf("with the store gone: %d %s", a.status, a.body)
	}
	if b, err := n.chain.Assemble(t.Context(), nil, 0, nil); err == nil && n.chain.Commit(b) == nil { // unless a tick was first
		t.Fatal("a block is stored without a store")
	}
	a = n.get(api.PathHealth)
	if h := decode[api.Health](n, a); a.status != http.StatusServiceUnavailable || h.OK || h.Cause == "" {
		t.Errorf("unhealthy: %d %s", a.status, a.body)
	}
	p := n.problem("a read", n.get("/v1/blocks/1"), http.StatusInternalServerError, api.NameInternal)
	if strings.Contains(p.Detail, "crash") {
		t.Errorf("the inside is shown: %s", p.Detail)
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	_, err := server.New(server.Config{ConnectionsMax: -1})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("a bad configuration: %v", err)
	}
	n := start(t, options{})
	if _, err := server.New(server.Config{Chain: n.chain, Intake: n.intake, Status: n.status, Registry: n.registry}); err == nil {
		t.Error("two servers share one set of metrics")
	}
}
