package sim

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"

	"aval/ledger"
	"aval/suite"
)

// start is the wall time at which every network begins, 2026-09-15 09:00 at UTC+8.
var start = ledger.CivilDate(2026, 9, 15).Start() + 9*ledger.Hour

// cast is a network's genesis and all keys behind it. It depends on the suite and the number of validators alone, and is made once.
type cast struct {
	suite      suite.Suite
	genesis    *ledger.Genesis
	network    suite.Hash
	validators []suite.Signer
	authority  firm
	clock      suite.Signer
	issuer     suite.Signer
	bank, core firm
	suppliers  []firm
}

// firm is a party with a key that makes and manages and one that checks.
type firm struct {
	id             ledger.PartyID
	name           string
	roles          ledger.Role
	maker, checker suite.Signer
}

// suppliers is how many there are.
const suppliers = 4

var casts struct {
	sync.Mutex
	made map[string]*cast
}

// castFor returns the cast of a suite and a number of validators.
func castFor(suiteName string, validators int) (*cast, error) {
	casts.Lock()
	defer casts.Unlock()
	key := suiteName + strconv.Itoa(validators)
	if c := casts.made[key]; c != nil {
		return c, nil
	}
	s, err := suite.ByName(suiteName)
	if err != nil {
		return nil, err
	}
	c := &cast{suite: s}
	if err := c.found(validators); err != nil {
		return nil, err
	}
	if casts.made == nil {
		casts.made = map[string]*cast{}
	}
	casts.made[key] = c
	return c, nil
}

// found makes keys and genesis.
func (c *cast) found(validators int) (err error) {
	signer := func(name string) suite.Signer {
		s, failed := c.suite.GenerateKey(&stream{suite: c.suite, seed: name})
		if failed != nil {
			err = failed
			return nil
		}
		return suite.Deterministic(s)
	}
	number := 0
	newFirm := func(name string, roles ledger.Role) firm {
		number++
		id, failed := ledger.CompleteUSCC(fmt.Sprintf("91990000MA%07d", number))
		if failed != nil {
			err = failed
		}
		return firm{id: id, name: name, roles: roles, maker: signer(name + ".m"), checker: signer(name + ".c")}
	}
	c.authority, c.bank, c.core = newFirm("authority", 0), newFirm("bank", ledger.RoleBank), newFirm("core", ledger.RoleCore|ledger.RoleSupplier)
	for i := range suppliers {
		c.suppliers = append(c.suppliers, newFirm(fmt.Sprintf("supplier-%d", i), ledger.RoleSupplier))
	}
	c.clock, c.issuer = signer("clock"), signer("issuer")
	g := &ledger.Genesis{Version: ledger.GenesisVersion, Name: "sim", Suite: c.suite.ID(), Clock: ledger.ClockLab, Wall: start, Start: start,
		Authority: ledger.GenesisParty{ID: c.authority.id, Name: "Root authority"}, Params: ledger.DefaultParams(validators)}
	for i := range validators {
		s := signer(fmt.Sprintf("validator-%d", i))
		c.validators = append(c.validators, s)
		if err == nil {
			g.Validators = append(g.Validators, ledger.Validator{Name: fmt.Sprintf("validator-%d", i), Key: s.Public()})
		}
	}
	if err != nil {
		return err
	}
	g.ClockKey = c.clock.Public()
	g.Issuers = []ledger.IdentityIssuer{{Name: "identity service", Key: c.issuer.Public()}}
	for _, m := range c.members(&c.authority) {
		g.Authority.Members = append(g.Authority.Members, ledger.GenesisMember{Key: m.signer.Public(), Caps: m.caps, Person: c.person(m.person, c.authority.id)})
	}
	c.genesis, c.network = g, g.NetworkID(c.suite)
	return g.Check(c.suite)
}

// member is one key of a firm.
type member struct {
	signer suite.Signer
	caps   ledger.Capability
	person string
}

func (c *cast) members(f *firm) []member {
	return []member{{f.maker, ledger.CapMaker | ledger.CapAdmin, f.name + " maker"}, {f.checker, ledger.CapChecker, f.name + " checker"}}
}

func (c *cast) person(name string, party ledger.PartyID) suite.Hash {
	return ledger.PersonCommitment(c.suite, []byte("the secret of the identity service"), name, party)
}

// onboard returns the operation that admits a firm.
func (c *cast) onboard(f *firm) (ledger.Op, error) {
	year := start + 365*ledger.Day
	op := &ledger.PartyOnboard{ID: f.id, Name: f.name, Scope: "/", Roles: f.roles, Size: ledger.SizeMedium}
	for _, m := range c.members(f) {
		credential, err := ledger.SignCredential(c.issuer, ledger.Credential{Network: c.network, Party: f.id, Key: m.signer.Public(), NotAfter: year,
			Person: c.person(m.person, f.id)})
		if err != nil {
			return ledger.Op{}, err
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: m.signer.Public(), Caps: m.caps, NotBefore: start, NotAfter: year, Credential: credential})
	}
	return ledger.NewOp(c.authority.id, op), nil
}

// stream is an endless deterministic source of bytes.
type stream struct {
	suite suite.Suite
	seed  string
	n     uint64
	rest  []byte
}

// Read fills b.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) < len(b) {
		h := s.suite.Hash("simulated key", []byte(s.seed), binary.BigEndian.AppendUint64(nil, s.n))
		s.n++
		s.rest = append(s.rest, h[:]...)
	}
	copy(b, s.rest)
	s.rest = s.rest[len(b):]
	return len(b), nil
}
