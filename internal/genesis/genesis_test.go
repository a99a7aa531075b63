package genesis

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

func spec(t *testing.T, name string) Spec {
	t.Helper()
	s, err := suite.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	id, err := ledger.CompleteUSCC("91310000MA1FL0000")
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: "test", Suite: s, Clock: ledger.ClockLab, Wall: 1_800_000_000_000, Start: 1_790_000_000_000, AuthorityID: id,
		AuthorityName: "Authority", Validators: 4, Observers: 1, Params: ledger.Params{TenorDays: 366, GraceDays: 5}}
}

func TestWrittenNetworkIsWhole(t *testing.T) {
	for _, s := range suite.All() {
		n, err := Found(spec(t, s.Name()))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "net")
		layout := Layout{Dir: dir, BasePort: 8080, Passphrase: []byte("secret"), Iterations: 1}
		nodes, err := n.Write(layout)
		if err != nil || len(nodes) != 5 {
			t.Fatalf("wrote %v, %v", nodes, err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, config.GenesisName))
		if err != nil {
			t.Fatal(err)
		}
		g, _, err := ledger.DecodeGenesis(raw)
		if err != nil || g.NetworkID(s) != n.Genesis.NetworkID(s) || g.Offset() != -10_000_000_000 {
			t.Fatalf("genesis %+v, %v", g, err)
		}
		for i, node := range nodes {
			checkHome(t, g, node, i)
		}
		entries, err := keyfile.Dir(filepath.Join(dir, ClientDir, config.KeysName)).List()
		if err != nil || len(entries) != 5 {
			t.Fatalf("the client's keys are %v, %v", entries, err)
		}
		p, err := config.LoadProfile(filepath.Join(dir, ClientDir))
		if err != nil || len(p.Nodes) != 5 || p.Nodes[0] != "http://127.0.0.1:8084" || p.Parties["authority"] != string(g.Authority.ID) {
			t.Errorf("profile %+v, %v", p, err)
		}
		if _, err := n.Write(layout); !errors.Is(err, fs.ErrExist) {
			t.Errorf("writing it again gives %v", err)
		}
	}
}

func checkHome(t *testing.T, g *ledger.Genesis, node Node, i int) {
	t.Helper()
	c, err := config.Load(node.Home, func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := keyfile.Read(c.Path(c.Key))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := f.Open([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	want, peers := append(g.Validators, g.Observers...)[i], 3
	if i >= len(g.Validators) {
		peers = 4
	}
	if string(signer.Public()) != string(want.Key) || c.Name != want.Name || len(c.Peers) != peers {
		t.Errorf("node %d is %s with %d peers, the genesis names %s", i, c.Name, len(c.Peers), want.Name)
	}
	for _, p := range c.Peers {
		if p.Address == c.Link.Listen {
			t.Errorf("%s has itself as a peer", c.Name)
		}
	}
	if info, err := os.Stat(c.Path(c.DataDir)); err != nil || !info.IsDir() {
		t.Errorf("%s has no data directory: %v", c.Name, err)
	}
}

func TestAuthorityHasThreePersons(t *testing.T) {
	n, err := Found(spec(t, "intl"))
	if err != nil {
		t.Fatal(err)
	}
	persons := map[suite.Hash]bool{}
	for _, m := range n.Genesis.Authority.Members {
		persons[m.Person] = true
	}
	if len(persons) != 3 {
		t.Errorf("%d persons stand behind admin, maker and checker", len(persons))
	}
}

func TestFoundRefuses(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"two validators":        func(s *Spec) { s.Validators = 2 },
		"no validators":         func(s *Spec) { s.Validators = 0 },
		"observers":             func(s *Spec) { s.Observers = -1 },
		"only a lab network":    func(s *Spec) { s.Clock = ledger.ClockReal },
		"no crypto suite":       func(s *Spec) { s.Suite = nil },
		"legal id":              func(s *Spec) { s.AuthorityID = "X" },
		"tenor_days":            func(s *Spec) { s.Params.TenorDays = 0 },
		"name must have 1 to":   func(s *Spec) { s.Name = "" },
		"authority's name must": func(s *Spec) { s.AuthorityName = "" },
	} {
		bad := spec(t, "intl")
		change(&bad)
		_, err := Found(bad)
		if name == "two validators" {
			name = "2 validators"
		}
		if name == "no validators" {
			name = "0 validators"
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, err := Found(spec(t, "intl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{0, 64_600} {
		if _, err := n.Write(Layout{Dir: filepath.Join(t.TempDir(), "x"), BasePort: port, Passphrase: []byte("x"), Iterations: 1}); err == nil {
			t.Errorf("base port %d is accepted", port)
		}
	}
}
