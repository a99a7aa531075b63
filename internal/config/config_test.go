package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"aval/ledger"
)

func none(string) (string, bool) { return "", false }

func home(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWrittenConfigurationIsReadBack(t *testing.T) {
	n := Default()
	n.Name = "validator-0"
	n.Peers = []Peer{{Name: "validator-1", Key: []byte{1, 2}, Address: "127.0.0.1:7081"}}
	b, err := n.Encode()
	if err != nil {
		t.Fatal(err)
	}
	n.Home = home(t, string(b))
	got, err := Load(n.Home, none, nil)
	if err != nil || !reflect.DeepEqual(*got, n) {
		t.Fatalf("wrote\n%s\nand read %+v, %v", b, got, err)
	}
	for _, s := range Settings() {
		last := s.Key[strings.LastIndex(s.Key, ".")+1:]
		if !strings.Contains(string(b), "\n"+last+" = ") && !strings.HasPrefix(string(b), last+" = ") {
			t.Errorf("the file does not show %s:\n%s", s.Key, b)
		}
	}
	if got.Path("data") != filepath.Join(n.Home, "data") || got.Path("/x") != "/x" || got.Path("") != "" {
		t.Error("paths are not relative to the home")
	}
}

func TestFlagsOverEnvironmentOverFile(t *testing.T) {
	dir := home(t, "name = 'file'\n[log]\nlevel = 'debug'\n[intake]\npending_max = 5\n")
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"AVAL_NODE_NAME": "env", "AVAL_NODE_LOG_FORMAT": "json"}[name]
		return v, ok
	}
	n, err := Load(dir, env, map[string]string{"name": "flag", "store.cache_bytes": "2000000"})
	if err != nil {
		t.Fatal(err)
	}
	if n.Name != "flag" || n.Log.Format != "json" || n.Log.Level != "debug" || n.Intake.PendingMax != 5 || n.Store.CacheBytes != 2_000_000 {
		t.Errorf("loaded %+v", n)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	dir := home(t, `role = "boss"
genesis = ""
[http]
listen = "nonsense"
[log]
level = "loud"
format = "xml"
[[peers]]
name = "a"
[[peers]]
name = "b"
key = "00"
address = "x"
[[peers]]
name = "c"
key = "00"
address = "h:1"
`)
	env := func(name string) (string, bool) { return "many", name == "AVAL_NODE_INTAKE_PENDING_MAX" }
	_, err := Load(dir, env, map[string]string{"intake.batch_age_ms": "0", "crypto.sm2": "quick"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"name must", `role "boss"`, "genesis must", `http.listen "nonsense"`, `log.level "loud"`,
		`log.format "xml"`, "peers[0] (a) has no key", "peers[0] (a) has no address", `peers[1].address "x"`,
		"peers[2] (c) repeats", "$AVAL_NODE_INTAKE_PENDING_MAX", "batch_age_ms must", `crypto.sm2 must be fast or library, not "quick"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestUnknownKeysAndBadTOMLNameTheirLine(t *testing.T) {
	_, err := Load(home(t, "name = 'n'\ncolour = 'red'\n[log]\nfmt = 'text'\n"), none, nil)
	if err == nil || !strings.Contains(err.Error(), `:2: unknown key "colour"`) || !strings.Contains(err.Error(), `:4: unknown key "log.fmt"`) {
		t.Errorf("unknown keys give: %v", err)
	}
	for _, bad := range []string{"name = \n", "name = 5\n", "[[peers]]\nkey = 'xyz'\n"} {
		if _, err := Load(home(t, bad), none, nil); err == nil || !strings.Contains(err.Error(), FileName+":") {
			t.Errorf("%q gives: %v", bad, err)
		}
	}
	if _, err := Load(t.TempDir(), none, nil); err == nil || !strings.Contains(err.Error(), "network init") {
		t.Errorf("a missing file gives: %v", err)
	}
}

func TestLoggerFollowsLevelAndFormat(t *testing.T) {
	for _, tc := range []struct {
		log  Log
		want string
	}{{Log{"warn", "text"}, "msg=loud"}, {Log{"error", "json"}, ""}, {Log{"info", "json"}, `"msg":"loud"`}} {
		var out bytes.Buffer
		logger, err := tc.log.Logger(&out)
		if err != nil {
			t.Fatal(err)
		}
		logger.Warn("loud")
		if !strings.Contains(out.String(), tc.want) || (tc.want == "") != (out.Len() == 0) {
			t.Errorf("%+v writes %q", tc.log, out.String())
		}
	}
}

func TestProfileIsReadBackAndChecked(t *testing.T) {
	dir := t.TempDir()
	p, err := LoadProfile(dir)
	if err != nil || len(p.Nodes) != 0 {
		t.Fatalf("a home without profile gives %+v, %v", p, err)
	}
	p.Nodes, p.Genesis, p.Parties["huachen"] = []string{"http://h:1"}, "genesis.cbor", "91310000MA1FL0000T"
	if err := p.Save(dir); err != nil {
		t.Fatal(err)
	}
	if _, err = LoadProfile(dir); err == nil || !strings.Contains(err.Error(), "huachen") {
		t.Errorf("a legal id with a wrong check digit gives %v", err)
	}
	id, err := ledger.CompleteUSCC("91310000MA1FL0000")
	if err != nil {
		t.Fatal(err)
	}
	p.Parties["huachen"] = string(id)
	if err := p.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadProfile(dir); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("saved %+v and read %+v, %v", p, got, err)
	}
}

func FuzzDecode(f *testing.F) {
	n := Default()
	b, err := n.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("name = 'x'\n[[peers]]\nkey='00'"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n Node
		if n.decode("f", b) != nil || n.Validate() != nil {
			return
		}
		again, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var m Node
		if err := m.decode("f", again); err != nil {
			t.Fatalf("what it wrote does not read: %v\n%s", err, again)
		}
	})
}
