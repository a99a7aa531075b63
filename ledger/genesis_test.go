package ledger_test

import (
	"strings"
	"testing"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

func TestGenesis(t *testing.T) {
	for _, s := range suite.All() {
		w := newWorld(t, s.Name(), ledger.ClockLab)
		b := codec.MustMarshal(&w.genesis)
		g, got, err := ledger.DecodeGenesis(b)
		if err != nil || got.ID() != s.ID() || g.NetworkID(s) != w.genesis.NetworkID(s) {
			t.Fatalf("%s: %v", s.Name(), err)
		}
		if g.Offset() != g.Start-g.Wall {
			t.Errorf("offset %d", g.Offset())
		}
	}
}

// TestGenesisRefuses lists what a genesis may not be. Every problem is reported, not just the first.
func TestGenesisRefuses(t *testing.T) {
	for name, change := range map[string]func(g *ledger.Genesis){
		"version":          func(g *ledger.Genesis) { g.Version = 2 },
		"no name":          func(g *ledger.Genesis) { g.Name = "" },
		"long name":        func(g *ledger.Genesis) { g.Name = strings.Repeat("x", ledger.NameBytesMax+1) },
		"suite":            func(g *ledger.Genesis) { g.Suite = 9 },
		"other suite":      func(g *ledger.Genesis) { g.Suite = suite.Intl },
		"clock mode":       func(g *ledger.Genesis) { g.Clock = 3 },
		"real with a key":  func(g *ledger.Genesis) { g.Clock = ledger.ClockReal },
		"real shifted":     func(g *ledger.Genesis) { g.Clock, g.ClockKey, g.Start = ledger.ClockReal, nil, g.Wall+1 },
		"no clock key":     func(g *ledger.Genesis) { g.ClockKey = nil },
		"before 1970":      func(g *ledger.Genesis) { g.Wall = -1 },
		"after 9999":       func(g *ledger.Genesis) { g.Start = ledger.DateMax.Start() + 1 },
		"authority id":     func(g *ledger.Genesis) { g.Authority.ID = "x" },
		"authority name":   func(g *ledger.Genesis) { g.Authority.Name = "" },
		"no admin":         func(g *ledger.Genesis) { g.Authority.Members[0].Caps = ledger.CapMaker },
		"capability":       func(g *ledger.Genesis) { g.Authority.Members[0].Caps |= 16 },
		"no person":        func(g *ledger.Genesis) { g.Authority.Members[0].Person = suite.Hash{} },
		"no validator":     func(g *ledger.Genesis) { g.Validators = nil },
		"many validators":  func(g *ledger.Genesis) { g.Validators = make(ledger.ValidatorSet, ledger.ValidatorsMax+1) },
		"validator twice":  func(g *ledger.Genesis) { g.Validators[1].Key = g.Validators[0].Key },
		"validator's key":  func(g *ledger.Genesis) { g.Validators[1].Key = make(suite.PublicKey, 33) },
		"validator's name": func(g *ledger.Genesis) { g.Validators[1].Name = "" },
		"observer's key":   func(g *ledger.Genesis) { g.Observers = []ledger.Validator{{Name: "o"}} },
		"many observers":   func(g *ledger.Genesis) { g.Observers = make([]ledger.Validator, ledger.ObserversMax+1) },
		"shared key":       func(g *ledger.Genesis) { g.Issuers = []ledger.IdentityIssuer{{Name: "i", Key: g.Validators[0].Key}} },
		"many issuers":     func(g *ledger.Genesis) { g.Issuers = make([]ledger.IdentityIssuer, ledger.IssuersMax+1) },
		"verify quorum 0":  func(g *ledger.Genesis) { g.Params.VerifyQuorum = 0 },
		"verify quorum 5":  func(g *ledger.Genesis) { g.Params.VerifyQuorum = 5 },
		"tenor 0":          func(g *ledger.Genesis) { g.Params.TenorDays = 0 },
		"tenor 367":        func(g *ledger.Genesis) { g.Params.TenorDays = 367 },
		"holidays":         func(g *ledger.Genesis) { g.Params.Calendar.Holidays = []ledger.Date{2, 1} },
		"workdays":         func(g *ledger.Genesis) { g.Params.Calendar.Workdays = []ledger.Date{1, 1} },
		"many holidays":    func(g *ledger.Genesis) { g.Params.Calendar.Holidays = make([]ledger.Date, ledger.HolidaysMax+1) },
	} {
		w := newWorld(t, "sm", ledger.ClockLab)
		change(&w.genesis)
		if _, _, err := ledger.DecodeGenesis(codec.MustMarshal(&w.genesis)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	w := newWorld(t, "sm", ledger.ClockLab)
	w.genesis.Name, w.genesis.Params.TenorDays, w.genesis.Authority.Name = "", 0, ""
	if err := w.genesis.Check(w.s); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three problems are reported as: %v", err)
	}
	if _, _, err := ledger.DecodeGenesis(make([]byte, ledger.GenesisBytesMax+1)); err == nil {
		t.Error("a genesis over the limit was decoded")
	}
}
