package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"aval/api"
	"aval/codec"
	"aval/internal/fleet"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"aval": func() {
			os.Exit(Main(context.Background(), Machine(), os.Args[1:]))
		},
	})
}

// TestScripts runs testdata/script/*.txt. Beside testscript's own commands they have
//
//	proof KIND CLOCK        write genesis.cbor and proof.cbor of a network of our own; KIND is receipt, lot or absent
//	capture VAR REGEXP      set $VAR to the first group of REGEXP in the last standard output
//	freeport VAR            set $VAR to a port that is free, and so is the one LinkPortOffset above
//	await URL               wait until a node answers there
//	flip FILE               change one byte in the middle of a file
//	flipall FILE GENESIS    check that the proof in a file is refused after any change of one byte
//	status CODE CMD ARG…    run a command that must end with this exit code
//	onboard NAME ROLE       make three keys with credentials and onboard the party of that short name
//	paid VOUCHER            wait until the voucher is paid
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("AVAL_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("AVAL_PASSPHRASE", "correct horse")
			e.Setenv("AVAL_NEW_PASSPHRASE", "battery staple")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every command takes a second longer under the race detector
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"proof": scriptProof, "capture": scriptCapture, "freeport": scriptFreePort, "await": scriptAwait, "flip": scriptFlip, "flipall": scriptFlipAll,
			"status": scriptStatus, "onboard": scriptOnboard, "paid": scriptPaid,
		},
	})
}

func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VAR REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("no match for %s in:\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], m[1])
}

// givenPorts are those that a script of this process got: others that run beside it must not get them before they listen.
var givenPorts sync.Map

func scriptFreePort(ts *testscript.TestScript, _ bool, args []string) {
	for {
		port, err := fleet.FreePorts(context.Background(), 1)
		ts.Check(err)
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			ts.Setenv(args[0], strconv.Itoa(port))
			return
		}
	}
}

func scriptAwait(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0]+api.PathHealth, nil)
		ts.Check(err)
		resp, err := http.DefaultClient.Do(req)
		if err == nil && errors.Join(resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no node answers at %s: %v", args[0], err)
		case <-tick.C:
		}
	}
}

func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

func scriptFlipAll(ts *testscript.TestScript, _ bool, args []string) {
	good, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	raw, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	g, s, err := ledger.DecodeGenesis(raw)
	ts.Check(err)
	verify := func(b []byte) error {
		p, err := ledger.DecodeProof(b)
		if err == nil {
			_, err = ledger.VerifyProof(s, g, p, ledger.VerifyOptions{Lab: true})
		}
		return err
	}
	ts.Check(verify(good))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if verify(bad) == nil {
			ts.Fatalf("%s is still valid after byte %d was changed by %#x", args[0], i, 1<<(i%8))
		}
	}
}

func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func scriptOnboard(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	run := func(words ...string) { ts.Check(ts.Exec("aval", words...)) }
	onboard := []string{"party", "onboard", "--as", "authority", "--id", ts.Getenv("ID_" + name), "--name", name + " Ltd", "--scope", "/",
		"--roles", args[1], "--evidence", "net/genesis.cbor", "--sign", "authority-admin"}
	for _, who := range []string{"admin", "maker", "checker"} {
		key := name + "-" + who
		run("key", "new", key, "--iterations", "1000")
		run("credential", "issue", "--issuer", "identity", "--party", name, "--key", key, "--person", key, "--not-after", "2028-01-01", "--out", key+".cred")
		onboard = append(onboard, "--member", key+".cred="+who, "--sign", key)
	}
	run(onboard...)
}

func scriptPaid(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ts.Check(ts.Exec("aval", "voucher", "show", args[0]))
		if regexp.MustCompile(`State +paid`).MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("not paid in time:\n%s", ts.ReadFile("stdout"))
		case <-tick.C:
		}
	}
}

// scriptProof makes a proof of a network with one validator, without any node.
func scriptProof(ts *testscript.TestScript, _ bool, args []string) {
	s, err := suite.ByName("intl")
	ts.Check(err)
	id, err := ledger.CompleteUSCC("91310000MA1FL0000")
	ts.Check(err)
	clock := ledger.ClockReal
	if args[1] == "lab" {
		clock = ledger.ClockLab
	}
	n, err := genesis.Found(genesis.Spec{Name: "script", Suite: s, Clock: clock, Wall: 1_700_000_000_000, AuthorityID: id, AuthorityName: "A",
		Validators: 1, Params: ledger.DefaultParams(1)})
	ts.Check(err)
	set := n.Genesis.Validators.Hash(s)
	h := ledger.Header{Version: 1, Suite: s.ID(), Network: n.Genesis.NetworkID(s), Height: 9, Wall: 1_700_000_001_000, Time: 1_700_000_001_000,
		Validators: set, NextValidators: set}
	certify := func() ledger.Certificate {
		sig, err := n.Validators[0].Sign(ledger.DomainVote, h.VoteBytes(s))
		ts.Check(err)
		return ledger.Certificate{Votes: []ledger.Vote{{Sig: sig}}}
	}
	var p *ledger.Proof
	if args[0] == "receipt" {
		r := ledger.Receipt{Height: 7, Tx: suite.Hash{0xab}, FailedOp: -1, Final: true, Events: []ledger.Event{}, Rules: []ledger.RuleRef{}}
		leaves := [][]byte{codec.MustMarshal(&r)}
		h.ReceiptsRoot = merkle.Root(s, leaves)
		p, err = ledger.NewReceiptProof(s, []ledger.ProofStep{}, h, certify(), &r, leaves)
	} else {
		key := ledger.LotKey(suite.Hash{0xcd}, 100)
		path := &merkle.StateProof{Version: 1, End: merkle.EndEmpty}
		if args[0] == "lot" {
			value := codec.MustMarshal(&ledger.Lot{Voucher: suite.Hash{0xcd}, From: 100, To: 300, Holder: id, State: ledger.LotHeld})
			path = &merkle.StateProof{Version: 1, End: merkle.EndValue, Height: 5, Previous: merkle.HeightNone, Value: value}
			hasher := merkle.NewHasher(s)
			h.StateRoot = hasher.Leaf(&merkle.Leaf{Key: hasher.Key(key), Height: 5, Previous: merkle.HeightNone, Value: hasher.Value(value)})
		}
		p, err = ledger.NewStateProof([]ledger.ProofStep{}, h, certify(), key, path)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("genesis.cbor"), codec.MustMarshal(n.Genesis), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("proof.cbor"), codec.MustMarshal(p), 0o600))
}

// TestEveryCommandExplainsItself walks the whole tree: a short text, an example that is a command of ours, no stray period.
func TestEveryCommandExplainsItself(t *testing.T) {
	root := newRoot(&session{sys: Machine()})
	walk(root, func(path string, use, short, example string) {
		if short == "" || strings.HasSuffix(short, ".") {
			t.Errorf("%s: short text %q", path, short)
		}
		if !strings.Contains(example, "aval ") {
			t.Errorf("%s has no example", path)
		}
		for line := range strings.Lines(example) {
			checkExample(t, path, strings.TrimSpace(line))
		}
	})
}

// checkExample finds the command of an example and refuses flags that it does not have.
func checkExample(t *testing.T, path, line string) {
	t.Helper()
	words := strings.Fields(line)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		words = words[1:] // environment
	}
	if len(words) < 2 || words[0] != "aval" {
		return
	}
	root := newRoot(&session{sys: Machine()})
	cmd, _, err := root.Find(words[1:])
	if err != nil || cmd == root {
		t.Errorf("%s: the example %q is no command of ours", path, line)
		return
	}
	for _, w := range words {
		name, isFlag := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && cmd.Flags().Lookup(name) == nil && root.PersistentFlags().Lookup(name) == nil {
			t.Errorf("%s: the example %q uses --%s, which %s does not have", path, line, name, cmd.CommandPath())
		}
	}
}

// TestEveryOperationHasACommand compares the commands with the ledger's kinds.
func TestEveryOperationHasACommand(t *testing.T) {
	seen := map[string]bool{}
	root := newRoot(&session{sys: Machine()})
	walkLong(root, func(long string) {
		if m := regexp.MustCompile(`Operation ([a-z.]+);`).FindStringSubmatch(long); m != nil {
			seen[m[1]] = true
		}
	})
	for _, info := range ledger.Kinds() {
		if !seen[info.Name] {
			t.Errorf("no command does %s", info.Name)
		}
	}
}
