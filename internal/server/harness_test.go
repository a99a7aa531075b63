package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/api"
	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/consensus"
	"aval/internal/consensus/solo"
	"aval/internal/intake"
	"aval/internal/kv"
	"aval/internal/server"
	"aval/ledger"
	"aval/suite"
)

// node is a whole node behind a real socket: chain, engine, intake and server.
type node struct {
	*testing.T
	n        *chaintest.Network
	chain    *chain.Chain
	intake   *intake.Intake
	server   *server.Server
	registry *prometheus.Registry
	url      string
	// held keeps batches from the engine while it is true.
	held atomic.Bool
}

// options change how a node is made. Nil fields change nothing.
type options struct {
	network chaintest.Options
	intake  func(*intake.Config)
	server  func(*server.Config)
	chain   func(*chain.Config)
}

func start(t *testing.T, o options) *node {
	t.Helper()
	n := &node{T: t, n: chaintest.New(t, o.network), registry: prometheus.NewRegistry()}
	log := slog.New(slog.DiscardHandler)
	var in atomic.Pointer[intake.Intake]
	chainConfig := n.n.Config(t, kv.NewMemory(), kv.NewMemory())
	chainConfig.Registerer = n.registry
	chainConfig.OnExecuted = func(h *ledger.Header, receipts []ledger.Receipt) {
		if in := in.Load(); in != nil {
			in.Executed(h, receipts)
		}
	}
	if o.chain != nil {
		o.chain(&chainConfig)
	}
	var err error
	if n.chain, err = chain.Open(chainConfig); err != nil {
		t.Fatal(err)
	}
	engine, err := solo.New(solo.Config{Suite: n.n.Suite, Signer: n.n.Signer("validator-0"), Ledger: n.chain, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	intakeConfig := intake.Config{Chain: n.chain, Signer: n.n.Signer("validator-0"), Clock: clock.Real(), Logger: log, Registerer: n.registry,
		Push: func(context.Context, uint16, []byte) ([]byte, error) {
			return nil, errors.New("a validator alone pushes to nobody")
		},
		Order: func(ctx context.Context, request []byte) error {
			if n.held.Load() {
				return nil
			}
			if err := engine.Submit(ctx, request); !errors.Is(err, consensus.ErrDuplicate) {
				return err
			}
			return nil
		}}
	if o.intake != nil {
		o.intake(&intakeConfig)
	}
	if n.intake, err = intake.New(intakeConfig); err != nil {
		t.Fatal(err)
	}
	in.Store(n.intake)
	serverConfig := server.Config{Chain: n.chain, Intake: n.intake, Status: n.status, Registry: n.registry, Logger: log, Version: "test"}
	if o.server != nil {
		o.server(&serverConfig)
	}
	if n.server, err = server.New(serverConfig); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.url = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	ticked := make(chan struct{})
	go n.tick(ctx, engine, ticked)
	t.Cleanup(func() {
		cancel()
		<-ticked
		err := errors.Join(n.server.Shutdown(context.Background()), <-served, n.intake.Close())
		engine.Stop()
		if err = errors.Join(err, n.chain.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// tick asks for blocks while the chain wants any.
func (n *node) tick(ctx context.Context, engine consensus.Engine, done chan struct{}) {
	defer close(done)
	for {
		_, changed := n.chain.Progress()
		tick, need, err := n.chain.NeedTick()
		if err != nil {
			n.Error(err)
		}
		if need {
			if err := engine.Submit(ctx, chaintest.TickRequest(tick)); err != nil && !errors.Is(err, consensus.ErrDuplicate) && ctx.Err() == nil {
				n.Logf("tick %d: %v", tick.Height, err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) status() api.Status {
	p, _ := n.chain.Progress()
	g := n.n.Genesis
	return api.Status{
		Node: api.NodeInfo{Name: "validator-0", Role: "dev", Key: g.Validators[0].Key, Version: "test", Started: chaintest.Start},
		Network: api.Network{Name: g.Name, ID: n.n.ID, Suite: n.n.Suite.Name(), Clock: "real", Time: p.Time, Wall: n.n.Now(), Height: p.Committed,
			Validators: g.Validators, Genesis: api.GenesisSummary{Wall: g.Wall, Start: g.Start, Authority: g.Authority.ID, Issuers: g.Issuers, Params: g.Params}},
		Heights: api.Heights{Committed: p.Committed, Executed: p.Executed, Proven: p.Proven, Network: p.Committed, LastCommit: p.Wall},
		Engine:  api.Engine{Name: "solo", Leader: "validator-0"},
		Cause:   "quorum lost: a test says so",
		Peers:   []api.Peer{{Name: "gateway", Role: "gateway", Key: g.Validators[0].Key, Address: "127.0.0.1:1", Height: 1 << 60, Skew: -5}},
		Disk:    api.Disk{DataBytes: 1 << 60, FreeBytes: 1 << 61},
	}
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and returns the answer, which must come.
func (n *node) do(method, path, contentType string, body io.Reader) answer {
	n.Helper()
	request, err := http.NewRequestWithContext(n.Context(), method, n.url+path, body)
	if err != nil {
		n.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		n.Fatal(err)
	}
	b, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		n.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, b}
}

func (n *node) get(path string) answer {
	n.Helper()
	return n.do(http.MethodGet, path, "", nil)
}

// submit sends a transaction in JSON and returns its outcome.
func (n *node) submit(tx []byte, query string) api.Outcome {
	n.Helper()
	b, err := json.Marshal(api.SubmitRequest{Tx: tx})
	if err != nil {
		n.Fatal(err)
	}
	a := n.do(http.MethodPost, api.PathTransactions+query, api.MediaJSON, bytes.NewReader(b))
	if a.status != http.StatusOK && a.status != http.StatusAccepted {
		n.Fatalf("submitted: %d %s", a.status, a.body)
	}
	return decode[api.Outcome](n, a)
}

// run submits a transaction of operations and returns its receipt, which must be of success.
func (n *node) run(signers []string, ops ...ledger.Op) *ledger.Receipt {
	n.Helper()
	out := n.submit(n.n.Tx(n, signers, ops...), "")
	if out.Receipt == nil || out.Receipt.Code != ledger.CodeOK {
		n.Fatalf("%s is %+v", ops[0].Kind, out.Receipt)
	}
	return out.Receipt
}

// decode reads an answer strictly, so that what is not documented is noticed.
func decode[T any](n *node, a answer) (out T) {
	n.Helper()
	if got := a.header.Get("Content-Type"); got != api.MediaJSON {
		n.Fatalf("the answer is %q: %s", got, a.body)
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		n.Fatalf("%v in %s", err, a.body)
	}
	return out
}

// problem reads an answer that must be a problem with a status and a name.
func (n *node) problem(what string, a answer, status int, name string) api.Problem {
	n.Helper()
	var p api.Problem
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	if err != nil || a.header.Get("Content-Type") != api.MediaProblem {
		n.Fatalf("%s: no problem but %d %q %s (%v)", what, a.status, a.header.Get("Content-Type"), a.body, err)
	}
	if a.status != status || p.Status != status || p.Name != name {
		n.Errorf("%s: %d %s; want %d %s", what, a.status, a.body, status, name)
	}
	if p.Title == "" || p.Detail == "" || p.Hint == "" || !strings.HasPrefix(p.Type, "/problems/") {
		n.Errorf("%s: the problem is incomplete: %s", what, a.body)
	}
	return p
}

// until asks again and again, each time over the network, until something is so.
func (n *node) until(what string, so func() bool) {
	n.Helper()
	for begin := time.Now(); !so(); {
		if time.Since(begin) > time.Minute {
			n.Fatalf("not within a minute: %s", what)
		}
	}
}

// verdict verifies the proof file in an answer.
func (n *node) verdict(a answer) *ledger.Verdict {
	n.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != api.MediaCBOR {
		n.Fatalf("no proof but %d %s", a.status, a.body)
	}
	p, err := ledger.DecodeProof(a.body)
	if err != nil {
		n.Fatal(err)
	}
	v, err := ledger.VerifyProof(n.n.Suite, n.n.Genesis, p, ledger.VerifyOptions{})
	if err != nil {
		n.Fatal(err)
	}
	return v
}

func (n *node) id(tx []byte) suite.Hash {
	n.Helper()
	signed, err := ledger.DecodeSignedTx(tx)
	if err != nil {
		n.Fatal(err)
	}
	return signed.Tx.ID(n.n.Suite)
}
