package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aval/api"
	"aval/codec"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// net1 is a network of one validator, with the key that certifies its blocks and one that signs transactions.
type net1 struct {
	s         suite.Suite
	genesis   ledger.Genesis
	validator suite.Signer
	member    suite.Signer
}

func newNet(t testing.TB, clock ledger.ClockMode) *net1 {
	t.Helper()
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	key := func(seed byte) suite.Signer {
		k, err := s.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	id, err := ledger.CompleteUSCC("91310000MA1FL0000")
	if err != nil {
		t.Fatal(err)
	}
	n := &net1{s: s, validator: key(1), member: key(2)}
	n.genesis = ledger.Genesis{Version: 1, Name: "one", Suite: s.ID(), Clock: clock, Wall: 1000, Start: 1000,
		Authority: ledger.GenesisParty{ID: id, Name: "A", Members: []ledger.GenesisMember{{Key: n.member.Public(), Caps: ledger.CapAdmin, Person: suite.Hash{1}}}},
		Issuers:   []ledger.IdentityIssuer{}, Observers: []ledger.Validator{},
		Validators: ledger.ValidatorSet{{Name: "v", Key: n.validator.Public()}}, Params: ledger.DefaultParams(1)}
	if clock == ledger.ClockLab {
		n.genesis.ClockKey = key(3).Public()
	}
	return n
}

// node answers as f says and counts requests.
func node(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return srv.URL
}

// dead returns the URL of a node that is gone.
func dead(t testing.TB) string {
	t.Helper()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	return srv.URL
}

// clientFor returns a client whose pauses take no time and are recorded.
func (n *net1) clientFor(t testing.TB, urls ...string) (*Client, *[]time.Duration) {
	t.Helper()
	c, err := New(Config{Endpoints: urls, Genesis: codec.MustMarshal(&n.genesis), Now: func() time.Time { return time.UnixMilli(5000) }})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var pauses []time.Duration
	c.sleep = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		pauses = append(pauses, d)
		return ctx.Err()
	}
	return c, &pauses
}

func (n *net1) tx(t testing.TB, c *Client) *ledger.SignedTx {
	t.Helper()
	tx, err := c.NewTx(ledger.NewOp(n.genesis.Authority.ID, &ledger.AccountOpen{Holder: n.genesis.Authority.ID}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Sign(tx, n.member); err != nil {
		t.Fatal(err)
	}
	return tx
}

// accept answers a submission with a receipt of code at height 7.
func (n *net1) accept(t testing.TB, code ledger.Code) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		tx, err := ledger.DecodeSignedTx(b)
		if err != nil || r.Header.Get("Content-Type") != api.MediaCBOR {
			t.Errorf("submitted %x as %s: %v", b, r.Header.Get("Content-Type"), err)
			return
		}
		if err := errors.Join(tx.CheckForm(n.genesis.NetworkID(n.s)), tx.VerifySignatures(n.s)); err != nil {
			t.Error(err)
		}
		reply(t, w, 200, n.outcome(tx, code))
	}
}

func (n *net1) outcome(tx *ledger.SignedTx, code ledger.Code) api.Outcome {
	id, signed := tx.Tx.ID(n.s), n.s.Hash(ledger.DomainSignedTx, codec.MustMarshal(tx))
	return api.Outcome{ID: id, Signed: signed, Stage: api.StageCommitted, Height: 7, Proven: true,
		Receipt: &ledger.Receipt{Height: 7, Tx: id, Signed: signed, Code: code, Message: "why", FailedOp: -1, Final: true}}
}

func reply(t testing.TB, w http.ResponseWriter, status int, v any) {
	media := api.MediaJSON
	if status >= 300 {
		media = api.MediaProblem
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func busy(t testing.TB, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", after)
		reply(t, w, 503, api.Refusal(ledger.Failf(ledger.CodeBusy, "full")))
	}
}

// times runs the handlers one after another; the last one stays.
func times(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		h(w, r)
	}
}

func TestSubmitGoesToAnotherNode(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	hangup := func(w http.ResponseWriter, r *http.Request) {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	pending := func(w http.ResponseWriter, r *http.Request) {
		p := api.NewProblem(504, api.NameTimeout, "", "no quorum")
		p.Pending = true
		reply(t, w, 504, p)
	}
	for name, first := range map[string]string{
		"dead": dead(t), "hanging up": node(t, hangup), "busy": node(t, busy(t, "1")), "slow": node(t, pending),
		"broken":      node(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		"a chatterer": node(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }),
		"lying":       node(t, func(w http.ResponseWriter, r *http.Request) { reply(t, w, 200, api.Outcome{ID: suite.Hash{9}}) }),
	} {
		good := node(t, n.accept(t, ledger.CodeOK))
		c, pauses := n.clientFor(t, first, good)
		out, err := c.Submit(t.Context(), n.tx(t, c), api.WaitCommitted)
		if err != nil || out.Height != 7 || len(*pauses) != 0 {
			t.Errorf("with the first node %s: %+v, %v after pauses %v", name, out, err, *pauses)
		}
		if got := c.preferred.Load(); got != 1 {
			t.Errorf("with the first node %s the next request begins at node %d", name, got)
		}
	}
}

func TestSubmitHonoursRetryAfterAndBacksOff(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	c, pauses := n.clientFor(t, node(t, times(busy(t, "2"), busy(t, ""), busy(t, "60"), n.accept(t, ledger.CodeOK))))
	if _, err := c.Submit(t.Context(), n.tx(t, c), api.WaitCommitted); err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{2 * time.Second, 200 * time.Millisecond, 3 * time.Second}
	if fmt.Sprint(*pauses) != fmt.Sprint(want) {
		t.Errorf("paused %v, want %v", *pauses, want)
	}
}

func TestFailedReceiptIsAnErrorWithItsCode(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	c, _ := n.clientFor(t, node(t, n.accept(t, ledger.CodeCreditLimit)))
	out, err := c.Submit(t.Context(), n.tx(t, c), api.WaitCommitted)
	code, ok := CodeOf(err)
	if out == nil || !ok || code != ledger.CodeCreditLimit || !strings.Contains(err.Error(), "OVER_CREDIT_LIMIT (400): why") {
		t.Errorf("outcome %+v, error %v", out, err)
	}
}

func TestRefusalIsFinal(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	refuse := func(w http.ResponseWriter, r *http.Request) {
		reply(t, w, 403, api.Refusal(ledger.Failf(ledger.CodeSignature, "bad")))
	}
	c, pauses := n.clientFor(t, node(t, refuse), node(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the second node was asked") }))
	_, err := c.Submit(t.Context(), n.tx(t, c), api.WaitCommitted)
	if code, ok := CodeOf(err); !ok || code != ledger.CodeSignature || len(*pauses) != 0 {
		t.Errorf("refusal gives %v", err)
	}
	big, err := c.NewTx(ledger.NewOp("p", &ledger.VoucherReject{Reason: strings.Repeat("x", ledger.TxBytesMax)}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Submit(t.Context(), big, api.WaitNone)
	if code, _ := CodeOf(err); code != ledger.CodeTooLarge {
		t.Errorf("an oversized transaction gives %v", err)
	}
}

// A node took the transaction in and went silent; when the client asks again its window is over, but it was executed.
func TestRefusalAfterAnUnknownOutcomeIsSettledByLookup(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	var submitted *ledger.SignedTx
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathTransactions, times(
		func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, r *http.Request) {
			reply(t, w, 422, api.Refusal(ledger.Failf(ledger.CodeWindow, "late")))
		}))
	mux.HandleFunc("GET /v1/attempts/", func(w http.ResponseWriter, r *http.Request) {
		reply(t, w, 200, n.outcome(submitted, ledger.CodeOK))
	})
	c, _ := n.clientFor(t, node(t, mux.ServeHTTP))
	submitted = n.tx(t, c)
	out, err := c.Submit(t.Context(), submitted, api.WaitCommitted)
	if err != nil || out.Height != 7 {
		t.Errorf("settled as %+v, %v", out, err)
	}
}

func TestUnknownOutcomeIsSaidSo(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := n.clientFor(t, node(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	}))
	_, err := c.Submit(ctx, n.tx(t, c), api.WaitCommitted)
	var unknown *UnknownError
	if !errors.As(err, &unknown) {
		t.Errorf("a lost answer gives %v", err)
	}
	// A node that cannot be reached in time has not taken anything in either.
	never := Config{Endpoints: []string{"http://node.invalid"}, Genesis: codec.MustMarshal(&n.genesis), HTTP: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}}}
	slow, err := New(never)
	if err != nil {
		t.Fatal(err)
	}
	brief, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := slow.Submit(brief, n.tx(t, slow), api.WaitCommitted); errors.As(err, &unknown) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("a node that was not reached in time gives %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	c, _ = n.clientFor(t, dead(t))
	c.sleep = func(context.Context, time.Duration) error { cancel(); return context.Canceled }
	if _, err := c.Submit(gone, n.tx(t, c), api.WaitCommitted); errors.As(err, &unknown) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("a node that was never reached gives %v", err)
	}
}

func TestSubmitEndsWhenTheTransactionCanNoLongerBeIncluded(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	c, _ := n.clientFor(t, node(t, busy(t, "")))
	tx := n.tx(t, c)
	now := time.UnixMilli(5000)
	c.cfg.Now = func() time.Time { return now }
	c.sleep = func(_ context.Context, d time.Duration) error { now = now.Add(time.Minute); return nil }
	if _, err := c.Submit(t.Context(), tx, api.WaitCommitted); !errors.Is(err, ErrUnreachable) {
		t.Errorf("busy for ever gives %v", err)
	}
	if late := ledger.Time(now.UnixMilli()) - tx.Tx.ValidUntil; late < 0 || late > 2*ledger.Minute {
		t.Errorf("gave up %d ms after valid_until", int64(late))
	}
}

func TestQueriesAreBoundedAndRetried(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	flood := func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 6 {
			if _, err := w.Write(chunk); err != nil {
				return // the client hung up, as it should
			}
		}
	}
	c, _ := n.clientFor(t, node(t, flood))
	if _, err := c.NetworkInfo(t.Context()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an endless answer gives %v", err)
	}
	good := func(w http.ResponseWriter, r *http.Request) { reply(t, w, 200, api.Network{Name: "one"}) }
	c, _ = n.clientFor(t, dead(t), node(t, times(busy(t, "1"), good)))
	if info, err := c.NetworkInfo(t.Context()); err != nil || info.Name != "one" {
		t.Errorf("after a busy answer: %+v, %v", info, err)
	}
	c, _ = n.clientFor(t, node(t, func(w http.ResponseWriter, r *http.Request) {
		reply(t, w, 404, api.NewProblem(404, api.NameNotFound, "", "no such party"))
	}))
	if _, err := c.Party(t.Context(), "x"); !IsNotFound(err) {
		t.Errorf("a missing party gives %v", err)
	}
	redirect := node(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusTemporaryRedirect)
	})
	c, _ = n.clientFor(t, redirect)
	var p *api.Problem
	if _, err := c.NetworkInfo(t.Context()); !errors.As(err, &p) || p.Status != 307 {
		t.Errorf("a redirect gives %v", err)
	}
}

func TestAllCollectsEveryPage(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	c, _ := n.clientFor(t, node(t, func(w http.ResponseWriter, r *http.Request) {
		l := api.List[api.Account]{Count: 70, Items: make([]api.Account, 32)}
		switch r.URL.Query().Get("page") {
		case "2":
			l.Items = l.Items[:6]
		case "0", "1":
		default:
			t.Errorf("page %q asked", r.URL.Query().Get("page"))
		}
		reply(t, w, 200, l)
	}))
	items, err := All(t.Context(), func(ctx context.Context, page uint64) (*api.List[api.Account], error) {
		return c.PartyAccounts(ctx, "p", page)
	})
	if err != nil || len(items) != 70 {
		t.Errorf("collected %d items, %v", len(items), err)
	}
}

// proof returns a proof of one receipt at height, and what the node should answer.
func (n *net1) proof(t testing.TB, height ledger.Height, r ledger.Receipt) []byte {
	t.Helper()
	r.Height, r.Events, r.Rules = height, []ledger.Event{}, []ledger.RuleRef{}
	leaves := [][]byte{codec.MustMarshal(&r)}
	set := n.genesis.Validators.Hash(n.s)
	h := ledger.Header{Version: 1, Suite: n.s.ID(), Network: n.genesis.NetworkID(n.s), Height: height + ledger.Lag, Wall: 5000,
		Validators: set, NextValidators: set, ReceiptsRoot: merkle.Root(n.s, leaves)}
	sig, err := n.validator.Sign(ledger.DomainVote, h.VoteBytes(n.s))
	if err != nil {
		t.Fatal(err)
	}
	cert := ledger.Certificate{Votes: []ledger.Vote{{Sig: sig}}}
	p, err := ledger.NewReceiptProof(n.s, []ledger.ProofStep{}, h, cert, &r, leaves)
	if err != nil {
		t.Fatal(err)
	}
	return codec.MustMarshal(p)
}

func TestSubmitProvenComparesAnswerAndProof(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	for _, tc := range []struct {
		name   string
		proven func(out api.Outcome) ledger.Receipt
		ok     bool
	}{
		{"the same", func(o api.Outcome) ledger.Receipt { return *o.Receipt }, true},
		{"another code", func(o api.Outcome) ledger.Receipt { r := *o.Receipt; r.Code = 400; return r }, false},
		{"an attempt that was not final", func(o api.Outcome) ledger.Receipt { r := *o.Receipt; r.Final = false; return r }, false},
		{"another transaction", func(o api.Outcome) ledger.Receipt { r := *o.Receipt; r.Tx = suite.Hash{5}; return r }, false},
	} {
		var tx *ledger.SignedTx
		mux := http.NewServeMux()
		mux.HandleFunc("POST "+api.PathTransactions, n.accept(t, ledger.CodeOK))
		mux.HandleFunc("GET /v1/transactions/{id}/proof", times(
			func(w http.ResponseWriter, r *http.Request) {
				reply(t, w, 409, api.NewProblem(409, api.NameNotProven, "", "wait"))
			},
			func(w http.ResponseWriter, r *http.Request) {
				if _, err := w.Write(n.proof(t, 7, tc.proven(n.outcome(tx, ledger.CodeOK)))); err != nil {
					t.Error(err)
				}
			}))
		c, pauses := n.clientFor(t, node(t, mux.ServeHTTP))
		tx = n.tx(t, c)
		out, proof, err := c.SubmitProven(t.Context(), tx)
		if (err == nil) != tc.ok || out == nil || len(*pauses) != 1 {
			t.Errorf("%s proven: %+v, %v, pauses %v", tc.name, out, err, *pauses)
		}
		if tc.ok && (proof.Verdict.Header.Height != 9 || len(proof.Verdict.Signers) != 1) {
			t.Errorf("verdict %+v", proof.Verdict)
		}
	}
}

func TestVerifyPinsAndRefusesLabAndStale(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	c, _ := n.clientFor(t, dead(t))
	dir := PinDir(filepath.Join(t.TempDir(), "pins"))
	c.cfg.Pins = dir
	file := n.proof(t, 3, ledger.Receipt{FailedOp: -1})
	if _, err := c.Verify(file, 0); err != nil {
		t.Fatal(err)
	}
	pin, err := dir.Load(c.Network())
	if err != nil || pin == nil || pin.Height != 5 {
		t.Fatalf("pinned %+v, %v", pin, err)
	}
	if _, err := c.Verify(n.proof(t, 1, ledger.Receipt{FailedOp: -1}), 0); err != nil {
		t.Fatal(err)
	}
	if pin, err = dir.Load(c.Network()); err != nil || pin.Height != 5 {
		t.Errorf("an older proof moved the pin to %+v, %v", pin, err)
	}
	c.cfg.Now = func() time.Time { return time.UnixMilli(90_000) }
	if v, err := c.Verify(file, ledger.Second); !errors.Is(err, ledger.ErrStaleProof) || v == nil {
		t.Errorf("a stale proof gives %+v, %v", v, err)
	}
	if err := os.WriteFile(dir.path(c.Network()), []byte{0xa0}, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(file, 0); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("a damaged pin gives %v", err)
	}
	lab := newNet(t, ledger.ClockLab)
	c, _ = lab.clientFor(t, dead(t))
	if _, err := c.Verify(lab.proof(t, 3, ledger.Receipt{FailedOp: -1}), 0); !errors.Is(err, ledger.ErrLabProof) {
		t.Errorf("a lab proof gives %v", err)
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New(Config{Endpoints: []string{"ftp://x", "nonsense"}, Genesis: []byte{1}, Validity: time.Hour})
	for _, want := range []string{"ftp://x", "nonsense", "genesis", "Validity"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %s: %v", want, err)
		}
	}
	c, err := New(Config{Endpoints: []string{"http://localhost:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewTx(); !errors.Is(err, ErrNoGenesis) {
		t.Errorf("without a genesis NewTx gives %v", err)
	}
}

func FuzzPin(f *testing.F) {
	n := newNet(f, ledger.ClockReal)
	pin := ledger.GenesisPin(n.s, &n.genesis)
	f.Add(codec.MustMarshal(&pin))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePin(b)
		if err == nil && !bytes.Equal(codec.MustMarshal(p), b) {
			t.Fatalf("%x decodes to something else", b)
		}
	})
}
