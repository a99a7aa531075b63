package ledger

import (
	"errors"
	"fmt"

	"aval/codec"
	"aval/suite"
)

// GenesisVersion is the version of genesis files of this protocol.
const GenesisVersion = 1

// ClockMode says how ledger time runs.
type ClockMode uint8

// The modes.
const (
	// ClockReal is wall time; nothing can shift it.
	ClockReal ClockMode = 1
	// ClockLab may be moved forward by the clock key. Proofs from a lab network are marked as such.
	ClockLab ClockMode = 2
)

// Genesis fixes a network: its hash is the network id. Addresses are not in it.
type Genesis struct {
	Version uint8     `cbor:"1,keyasint" json:"version"`
	Name    string    `cbor:"2,keyasint" json:"name"`
	Suite   suite.ID  `cbor:"3,keyasint" json:"suite"`
	Clock   ClockMode `cbor:"4,keyasint" json:"clock"`
	// Wall is when the network begins; Start is the ledger time then, which in a real network equals Wall.
	Wall  Time `cbor:"5,keyasint" json:"wall"`
	Start Time `cbor:"6,keyasint" json:"start"`
	// ClockKey may advance the clock of a lab network; empty in a real one.
	ClockKey suite.PublicKey `cbor:"7,keyasint" json:"clock_key"`
	// Authority is the root authority, the party of scope "/".
	Authority GenesisParty `cbor:"8,keyasint" json:"authority"`
	// Issuers are the accredited identity issuers.
	Issuers    []IdentityIssuer `cbor:"9,keyasint" json:"issuers"`
	Validators ValidatorSet     `cbor:"10,keyasint" json:"validators"`
	// Observers are the full nodes that may follow and serve: gateways and archives.
	Observers []Validator `cbor:"11,keyasint" json:"observers"`
	Params    Params      `cbor:"12,keyasint" json:"params"`
}

// GenesisParty is the one party that exists from the start. Its members' credentials are the genesis itself.
type GenesisParty struct {
	ID      PartyID         `cbor:"1,keyasint" json:"id"`
	Name    string          `cbor:"2,keyasint" json:"name"`
	Members []GenesisMember `cbor:"3,keyasint" json:"members"`
}

// GenesisMember is a member key of the root authority. Person is a commitment by the first of the genesis' identity issuers.
type GenesisMember struct {
	Key    suite.PublicKey `cbor:"1,keyasint" json:"key"`
	Caps   Capability      `cbor:"2,keyasint" json:"caps"`
	Person suite.Hash      `cbor:"3,keyasint" json:"person"`
}

// IdentityIssuer vouches for which person holds which key.
type IdentityIssuer struct {
	Name string          `cbor:"1,keyasint" json:"name"`
	Key  suite.PublicKey `cbor:"2,keyasint" json:"key"`
}

// Params are the parameters of the network.
type Params struct {
	// VerifyQuorum is how many validators must have verified a batch: f+1 to n.
	VerifyQuorum uint16 `cbor:"1,keyasint" json:"verify_quorum"`
	// RetainHeights is how many heights of payload validators keep; 0 keeps all.
	RetainHeights uint64   `cbor:"2,keyasint" json:"retain_heights,string"`
	Calendar      Calendar `cbor:"3,keyasint" json:"calendar"`
	// TenorDays is the longest tenor of a voucher, at most TenorDaysMax.
	TenorDays uint16 `cbor:"4,keyasint" json:"tenor_days"`
	// GraceDays is how many days after the settlement day an unpaid voucher counts as in default.
	GraceDays uint16 `cbor:"5,keyasint" json:"grace_days"`
}

// DefaultParams returns the parameters that a new network of n validators starts from.
func DefaultParams(n int) Params {
	return Params{VerifyQuorum: uint16((n-1)/3 + 1), TenorDays: TenorDaysMax, GraceDays: 5}
}

// NetworkID returns the hash of g's encoding.
func (g *Genesis) NetworkID(s suite.Suite) suite.Hash {
	return s.Hash(DomainNetwork, codec.MustMarshal(g))
}

// Offset returns the clock offset with which the network begins.
func (g *Genesis) Offset() Time { return g.Start - g.Wall }

// DecodeGenesis strictly decodes and checks a genesis file and returns its suite.
func DecodeGenesis(b []byte) (*Genesis, suite.Suite, error) {
	if len(b) > GenesisBytesMax {
		return nil, nil, fmt.Errorf("the genesis has %d bytes, the most is %d", len(b), GenesisBytesMax)
	}
	var g Genesis
	if err := codec.Unmarshal(b, &g); err != nil {
		return nil, nil, fmt.Errorf("genesis: %w", err)
	}
	s, err := suite.ByID(g.Suite)
	if err != nil {
		return nil, nil, fmt.Errorf("genesis: %w", err)
	}
	return &g, s, g.Check(s)
}

// Check reports every problem of g at once.
func (g *Genesis) Check(s suite.Suite) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("genesis: "+format, args...)) }
	if g.Version != GenesisVersion {
		bad("version %d is not %d", g.Version, GenesisVersion)
	}
	if g.Name == "" || len(g.Name) > NameBytesMax {
		bad("the name must have 1 to %d bytes", NameBytesMax)
	}
	switch g.Clock {
	case ClockReal:
		if g.Start != g.Wall || len(g.ClockKey) != 0 {
			bad("a real clock starts at its wall time and has no clock key")
		}
	case ClockLab:
		if err := s.CheckPublicKey(g.ClockKey); err != nil {
			bad("clock key: %v", err)
		}
	default:
		bad("clock mode %d is unknown", g.Clock)
	}
	for what, t := range []Time{g.Wall, g.Start} {
		if t < 0 || t > DateMax.Start() {
			bad("%s %d is not between 1970 and 9999", []string{"wall", "start"}[what], int64(t))
		}
	}
	g.checkKeys(s, bad)
	g.checkAuthority(bad)
	g.checkParams(bad)
	if n := len(codec.MustMarshal(g)); n > GenesisBytesMax {
		bad("it has %d bytes, the most is %d", n, GenesisBytesMax)
	}
	return errors.Join(errs...)
}

func (g *Genesis) checkAuthority(bad func(string, ...any)) {
	a := &g.Authority
	if err := a.ID.Check(); err != nil {
		bad("authority: %v", err)
	}
	if a.Name == "" || len(a.Name) > NameBytesMax {
		bad("the authority's name must have 1 to %d bytes", NameBytesMax)
	}
	for i, m := range a.Members {
		if m.Caps == 0 || !m.Caps.Known() || m.Person.IsZero() {
			bad("member %d of the authority needs known capabilities and a person", i)
		}
	}
}

func (g *Genesis) checkKeys(s suite.Suite, bad func(string, ...any)) {
	seen := map[string]string{}
	check := func(what, name string, k suite.PublicKey) {
		if name == "" || len(name) > NameBytesMax {
			bad("%s: the name must have 1 to %d bytes", what, NameBytesMax)
		}
		if err := s.CheckPublicKey(k); err != nil {
			bad("%s: %v", what, err)
		}
		if other, dup := seen[string(k)]; dup {
			bad("%s and %s share a key", other, what)
		}
		seen[string(k)] = what
	}
	if n := len(g.Validators); n < 1 || n > ValidatorsMax {
		bad("1 to %d validators are allowed, not %d", ValidatorsMax, n)
	}
	if len(g.Observers) > ObserversMax || len(g.Issuers) > IssuersMax || len(g.Authority.Members) > MembersMax {
		bad("too many observers, issuers or members of the authority")
	}
	for i, v := range g.Validators {
		check(fmt.Sprintf("validator %d (%s)", i, v.Name), v.Name, v.Key)
	}
	for i, v := range g.Observers {
		check(fmt.Sprintf("observer %d (%s)", i, v.Name), v.Name, v.Key)
	}
	for i, v := range g.Issuers {
		check(fmt.Sprintf("identity issuer %d (%s)", i, v.Name), v.Name, v.Key)
	}
	admins := 0
	for i, m := range g.Authority.Members {
		check(fmt.Sprintf("member %d of the authority", i), "member", m.Key)
		if m.Caps&CapAdmin != 0 {
			admins++
		}
	}
	if admins == 0 {
		bad("the authority has no admin key")
	}
}

func (g *Genesis) checkParams(bad func(string, ...any)) {
	p := &g.Params
	if n := len(g.Validators); int(p.VerifyQuorum) < g.Validators.Faulty()+1 || int(p.VerifyQuorum) > n {
		bad("verify_quorum %d is not between f+1 and n", p.VerifyQuorum)
	}
	if p.TenorDays < 1 || p.TenorDays > TenorDaysMax {
		bad("tenor_days must be 1 to %d", TenorDaysMax)
	}
	for _, days := range [][]Date{p.Calendar.Holidays, p.Calendar.Workdays} {
		if len(days) > HolidaysMax {
			bad("a calendar list has more than %d days", HolidaysMax)
		}
		for i := 1; i < len(days); i++ {
			if days[i-1] >= days[i] {
				bad("calendar days must be sorted without repeats, %s is not", days[i])
			}
		}
	}
}
