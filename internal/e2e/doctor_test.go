package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/codec"
	"aval/internal/config"
	"aval/internal/doctor"
	"aval/internal/genesis"
	"aval/internal/keyfile"
	"aval/ledger"
)

// names waits until status of node i names a cause, in words that contain all of want, and returns it.
func (w *world) names(i int, code api.CauseCode, want ...string) (found api.Cause) {
	w.t.Helper()
	w.poll(fmt.Sprintf("%s names %s", w.nodes[i].Name, code), func() error {
		s, err := w.status(i)
		if err != nil {
			return err
		}
		for _, c := range s.Causes {
			missing := func(text string) bool { return !strings.Contains(c.Text, text) }
			if c.Code == code && !slices.ContainsFunc(want, missing) && c.Next != "" {
				found = c
				return nil
			}
		}
		return fmt.Errorf("it says %+v", s.Causes)
	})
	return found
}

// well waits until node i names no cause.
func (w *world) well(i int) {
	w.t.Helper()
	w.poll(w.nodes[i].Name+" is well", func() error {
		s, err := w.status(i)
		if err == nil && len(s.Causes) > 0 {
			err = fmt.Errorf("it says %+v", s.Causes)
		}
		return err
	})
}

// doctor examines and returns the one report and the exit code.
func (w *world) doctor(args ...string) (*doctor.Report, int) {
	w.t.Helper()
	out, err := w.aval(append([]string{"doctor", "--json"}, args...)...)
	var reports []*doctor.Report
	if jerr := json.Unmarshal([]byte(out), &reports); jerr != nil || len(reports) != 1 {
		w.t.Fatalf("aval doctor %s: %v, %v: %s", strings.Join(args, " "), err, jerr, out)
	}
	return reports[0], exitCode(err)
}

// finds fails unless the report has a check of that name and result whose words contain text.
func (w *world) finds(r *doctor.Report, name string, result doctor.Result, text string) {
	w.t.Helper()
	for _, c := range r.Checks {
		if c.Name == name && c.Result == result && strings.Contains(c.Text, text) && (result == doctor.OK) == (c.Next == "") {
			return
		}
	}
	w.t.Errorf("%s: no check %s is %s with %q among\n%+v", r.Subject, name, result, text, r.Checks)
}

// change changes the configuration of node i, which is down.
func (w *world) change(i int, fn func(c *config.Node)) {
	w.t.Helper()
	c, err := config.Load(w.nodes[i].Home, func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	fn(c)
	text, err := c.Encode()
	if err == nil {
		err = os.WriteFile(filepath.Join(w.nodes[i].Home, config.FileName), text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestDoctorOnARunningNetwork makes one cause after the other on a network of processes, and reads what status and doctor call it.
func TestDoctorOnARunningNetwork(t *testing.T) {
	w := foundWorld(t, "intl")
	w.change(0, func(c *config.Node) { c.Intake.PendingMax = 1 })
	w.change(4, func(c *config.Node) { // the gateway has the addresses of two validators the wrong way round
		c.Peers[1].Address, c.Peers[2].Address = c.Peers[2].Address, c.Peers[1].Address
	})
	w.startAll()
	w.mustOpenScope(w.client(1))
	w.names(4, api.CauseWrongKey, "validator-1", "wants key")
	w.names(4, api.CauseWrongKey, "validator-2")
	w.end(4, os.Interrupt)

	w.well(0)
	if out, err := w.aval("status", "--node", w.url(0)); err != nil {
		t.Errorf("status of a network that is well: %v: %s", err, out)
	}
	r, code := w.doctor("--home", w.nodes[0].Home)
	if code != 0 {
		t.Errorf("doctor of a node that is well ends with %d: %+v", code, r.Checks)
	}
	for _, name := range []string{"configuration", "permissions", "genesis", "key", "peers", "answers", "execution", "quorum", "ordering", "progress", "disk", "links", "load"} {
		w.finds(r, name, doctor.OK, "")
	}
	w.finds(r, "lab clock", doctor.Warn, "nothing here is a real obligation")

	w.otherGenesis(3)
	w.lostQuorum()
}

// otherGenesis gives a validator a genesis of its own and has everybody say so.
func (w *world) otherGenesis(i int) {
	w.t.Helper()
	w.end(i, os.Interrupt)
	w.names(0, api.CauseUnreachable, w.nodes[i].Name, "connection refused")
	path, data := filepath.Join(w.nodes[i].Home, config.GenesisName), filepath.Join(w.nodes[i].Home, config.DataName)
	other := *w.net.Genesis
	other.Name = "another"
	w.must(os.Rename(data, data+".kept"), os.WriteFile(path, codec.MustMarshal(&other), 0o600))
	w.start(i)
	w.awaitUp(i)
	theirs, ours := other.NetworkID(w.net.Suite).String(), w.net.Genesis.NetworkID(w.net.Suite).String()
	w.names(0, api.CauseOtherGenesis, w.nodes[i].Name, theirs, ours)
	w.names(i, api.CauseOtherGenesis, w.nodes[0].Name, theirs, ours)
	w.names(i, api.CauseQuorumLost, "quorum lost", w.nodes[0].Name)
	w.mustOpenScope(w.client(1)) // the others go on
	w.end(i, os.Interrupt)
	w.must(os.RemoveAll(data), os.Rename(data+".kept", data), os.WriteFile(path, codec.MustMarshal(w.net.Genesis), 0o600))
	w.must(os.RemoveAll(filepath.Join(data, "engine")))
	r, _ := w.doctor("--home", w.nodes[i].Home)
	w.finds(r, "engine log", doctor.Warn, "will observe before it votes: the record of votes was lost")
	w.start(i)
	w.names(i, api.CauseObserving, "observing")
	w.poll("it votes again", func() error { // blocks must pass what it could have voted on
		w.mustOpenScope(w.client(1))
		s, err := w.status(i)
		if err == nil && s.Engine.Observing {
			err = fmt.Errorf("it observes until %d: %+v", s.Engine.ObserveUntil, s.Causes)
		}
		return err
	})
	w.well(i)
}

// lostQuorum ends two validators and fills the intake of a third.
func (w *world) lostQuorum() {
	w.t.Helper()
	w.kill(2)
	w.kill(3)
	w.names(0, api.CauseQuorumLost, "quorum lost: 2 of 4", "validator-2", "validator-3")
	out, err := w.aval("status", "--node", w.url(0), "--node", w.url(1))
	if exitCode(err) != 5 || !strings.Contains(out, "quorum_lost: ") || !strings.Contains(out, "→ start the validators that are missing") {
		w.t.Errorf("status without a quorum: %v: %s", err, out)
	}
	r, code := w.doctor("--node", w.url(0))
	w.finds(r, "quorum", doctor.Fail, "missing: validator-2")
	if code != 1 {
		w.t.Errorf("doctor ends with %d without a quorum", code)
	}
	c := w.client(0)
	authority := w.net.Genesis.Authority.ID
	for i := range 2 {
		tx, err := c.NewTx(ledger.NewOp(authority, &ledger.ScopeOpen{Path: ledger.Scope(fmt.Sprintf("/full%d", i)), Authority: authority}))
		w.must(err, c.Sign(tx, w.net.Keys[genesis.KeyAuthorityAdmin]))
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		_, err = c.Submit(ctx, tx, api.WaitNone)
		cancel()
		if (i == 0) != (err == nil) {
			w.t.Errorf("transaction %d at an intake with room for one: %v", i, err)
		}
	}
	w.names(0, api.CauseOverload, "overloaded: 1 transactions wait, 1 may")
	w.kill(1)
	if out, err := w.aval("status", "--node", w.url(1)); exitCode(err) != 1 {
		w.t.Errorf("status of a node that is down: %v: %s", err, out)
	}
	r, _ = w.doctor("--node", w.url(1))
	w.finds(r, "answers", doctor.Fail, "connection refused")
}

func (w *world) must(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestDoctorOnAStoppedHome spoils one thing after the other in a home and reads what doctor calls it; mended, nothing is left to say.
func TestDoctorOnAStoppedHome(t *testing.T) {
	w := newWorld(t, "sm")
	height := w.mustOpenScope(w.client(0)).Height
	w.agree(height, 0)
	w.end(0, os.Interrupt)
	home := w.nodes[0].Home
	r, code := w.doctor("--home", home)
	if code != 0 {
		t.Errorf("doctor of a home that is well ends with %d: %+v", code, r.Checks)
	}
	w.finds(r, "ports", doctor.OK, "free")
	w.finds(r, "stores", doctor.OK, "they open; block ")
	w.finds(r, "engine log", doctor.OK, "it fits the ledger")

	in := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	write := func(path string, text []byte) func() {
		before, err := os.ReadFile(path)
		w.must(err, os.WriteFile(path, text, 0o600))
		return func() { w.must(os.WriteFile(path, before, 0o600)) }
	}
	other := *w.net.Genesis
	other.Validators, other.Observers = slices.Concat(other.Validators[1:], other.Observers), nil
	for _, c := range []struct {
		name, text string
		result     doctor.Result
		spoil      func() (mend func())
	}{
		{"configuration", `unknown key "purple"`, doctor.Fail, func() func() {
			text, err := os.ReadFile(in(config.FileName))
			w.must(err)
			return write(in(config.FileName), append([]byte("purple = 1\n"), text...))
		}},
		{"configuration", "did you mean $AVAL_NODE_AUDIT?", doctor.Fail, func() func() {
			t.Setenv("AVAL_NODE_AUDITT", "true")
			return func() { w.must(os.Unsetenv("AVAL_NODE_AUDITT")) }
		}},
		{"permissions", "mode 644", doctor.Warn, func() func() {
			key := in(config.KeysName, config.NodeKeyName+keyfile.Ext)
			w.must(os.Chmod(key, 0o644))
			return func() { w.must(os.Chmod(key, 0o600)) }
		}},
		{"genesis", "codec", doctor.Fail, func() func() { return write(in(config.GenesisName), []byte("junk")) }},
		{"key", "wrong key: the genesis does not name", doctor.Fail, func() func() { return write(in(config.GenesisName), codec.MustMarshal(&other)) }},
		{"key", "not a key file", doctor.Fail, func() func() { return write(in(config.KeysName, config.NodeKeyName+keyfile.Ext), []byte("junk")) }},
		{"key", "wrong passphrase", doctor.Fail, func() func() {
			w.must(os.WriteFile(in("wrong"), []byte("wrong"), 0o600))
			text, err := os.ReadFile(in(config.FileName))
			w.must(err)
			return write(in(config.FileName), []byte(strings.Replace(string(text), "passphrase_file = ''", "passphrase_file = 'wrong'", 1)))
		}},
		{"ports", "another node, validator-1, answers", doctor.Fail, func() func() {
			text, err := os.ReadFile(in(config.FileName))
			w.must(err)
			return write(in(config.FileName), []byte(strings.Replace(string(text), w.nodes[0].HTTP, w.nodes[1].HTTP, 1)))
		}},
		{"ports", "address already in use", doctor.Fail, func() func() {
			l, err := net.Listen("tcp", w.nodes[0].Link)
			w.must(err)
			return func() { w.must(l.Close()) }
		}},
		{"links", "unreachable: validator-1", doctor.Warn, func() func() {
			w.end(1, os.Interrupt)
			return func() { w.start(1); w.awaitUp(1) }
		}},
		{"engine log", "the record of votes is damaged", doctor.Warn, func() func() { return write(in(config.DataName, "engine", "votes"), []byte("junk")) }},
		{"stores", "they do not open", doctor.Fail, func() func() {
			names, err := filepath.Glob(in(config.DataName, "blocks", "MANIFEST-*"))
			w.must(err)
			return write(names[len(names)-1], []byte("junk"))
		}},
		{"stores", "there are none yet", doctor.OK, func() func() {
			w.must(os.Rename(in(config.DataName), in("kept")))
			return func() { w.must(os.Rename(in("kept"), in(config.DataName))) }
		}},
	} {
		mend := c.spoil()
		r, code := w.doctor("--home", home)
		w.finds(r, c.name, c.result, c.text)
		if (code == 1) != (c.result == doctor.Fail) {
			t.Errorf("%s, %q: doctor ends with %d", c.name, c.text, code)
		}
		mend()
	}
	if r, code := w.doctor("--home", home); code != 0 {
		t.Errorf("after everything was mended doctor ends with %d: %+v", code, r.Checks)
	}
	w.start(0)
	w.awaitUp(0)
	w.agree(w.mustOpenScope(w.client(1)).Height, 0)
}

// TestDoctorOnAProfile asks for the nodes and keys of a person's home.
func TestDoctorOnAProfile(t *testing.T) {
	w := newWorld(t, "sm")
	w.well(4)
	r, code := w.doctor("--home", filepath.Join(w.dir, genesis.ClientDir))
	w.finds(r, "nodes", doctor.OK, "each of 5 answers")
	w.finds(r, "key authority-admin", doctor.OK, "party "+string(w.net.Genesis.Authority.ID))
	w.finds(r, "key clock", doctor.OK, "no party")
	if code != 0 {
		t.Errorf("it ends with %d: %+v", code, r.Checks)
	}
	response, err := http.Get(w.url(0) + api.PathMetrics)
	w.must(err)
	defer func() { w.must(response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("metrics: %s", response.Status)
	}
}
