package demo

import (
	"crypto/rand"
	"time"

	"aval/codec"
	"aval/internal/genesis"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

// sealIterations is the cost of opening the keys that this package makes. Their passphrase is random, so that stretching it
// protects nothing more.
const sealIterations = 1000

// plan says what network to make.
type plan struct {
	name       string
	suite      suite.Suite
	clock      ledger.ClockMode
	start      ledger.Time // ledger time at the beginning of a lab network; 0 for now
	validators int
	gateways   int
	calendar   ledger.Calendar
	cast       []organisation
}

// network is a network with every key there is to it.
type network struct {
	suite    suite.Suite
	genesis  *ledger.Genesis
	file     []byte // the encoded genesis
	id       suite.Hash
	identity *identityService
	clock    suite.Signer // nil in a real network
	parties  map[string]*party
	cast     []organisation
	// founded is nil for a network that was not made just now.
	founded *genesis.Network
}

// newNetwork makes keys for everybody and the genesis that names those who exist from the start.
func newNetwork(p plan) (*network, error) {
	root, err := p.cast[0].id()
	if err != nil {
		return nil, err
	}
	params := ledger.DefaultParams(p.validators)
	params.Calendar = p.calendar
	f, err := genesis.Found(genesis.Spec{Name: p.name, Suite: p.suite, Clock: p.clock, Wall: ledger.Time(time.Now().UnixMilli()), Start: p.start,
		AuthorityID: root, AuthorityName: p.cast[0].name, Validators: p.validators, Observers: p.gateways, Params: params})
	if err != nil {
		return nil, err
	}
	n := &network{founded: f}
	if err := n.setGenesis(p.suite, f.Genesis); err != nil {
		return nil, err
	}
	return n, n.setStaff(p.cast, func(name string) (suite.Signer, error) {
		if signer, ok := f.Keys[name]; ok {
			return signer, nil
		}
		return p.suite.GenerateKey(rand.Reader)
	})
}

func (n *network) setGenesis(s suite.Suite, g *ledger.Genesis) (err error) {
	n.suite, n.genesis, n.id = s, g, g.NetworkID(s)
	n.file, err = codec.Marshal(g)
	return err
}

// setStaff takes every key that is not a node's from signer, by its name.
func (n *network) setStaff(cast []organisation, signer func(name string) (suite.Signer, error)) error {
	issuer, err := signer(genesis.KeyIdentity)
	if err != nil {
		return err
	}
	n.identity = &identityService{suite: n.suite, signer: issuer, secret: genesis.IssuerSecret(n.suite, issuer)}
	if n.genesis.Clock == ledger.ClockLab {
		if n.clock, err = signer(genesis.KeyClock); err != nil {
			return err
		}
	}
	n.cast, n.parties = cast, map[string]*party{}
	for _, o := range cast {
		if n.parties[o.alias], err = newParty(o, signer); err != nil {
			return err
		}
	}
	return nil
}

// nodeName returns what node i is called: validators first, then gateways.
func (n *network) nodeName(i int) string {
	if v := n.genesis.Validators; i < len(v) {
		return v[i].Name
	}
	return n.genesis.Observers[i-len(n.genesis.Validators)].Name
}

// seal writes every key that is not a node's to dir, encrypted under the passphrase, but for those that are there.
func (n *network) seal(dir keyfile.Dir, passphrase []byte) error {
	write := func(name, label string, signer suite.Signer) error {
		if _, err := dir.Load(name); err == nil {
			return nil
		}
		f, err := keyfile.Seal(n.suite, signer, keyfile.Config{Label: label, Passphrase: passphrase, Iterations: sealIterations})
		if err != nil {
			return err
		}
		_, err = dir.Create(name, f)
		return err
	}
	for _, o := range n.cast {
		for _, k := range n.parties[o.alias].keys() {
			if err := write(k.name, o.name+", "+k.caps.String(), k.signer); err != nil {
				return err
			}
		}
	}
	if n.clock != nil {
		if err := write(genesis.KeyClock, "lab clock", n.clock); err != nil {
			return err
		}
	}
	return write(genesis.KeyIdentity, "identity issuer", n.identity.signer)
}

// demoCalendar is the bank holidays of China that touch the demo case (to be verified against the State Council's notice for 2026).
func demoCalendar() ledger.Calendar {
	day := ledger.CivilDate
	return ledger.Calendar{
		Holidays: []ledger.Date{day(2026, 9, 25), day(2026, 10, 1), day(2026, 10, 2), day(2026, 10, 5), day(2026, 10, 6), day(2026, 10, 7),
			day(2027, 1, 1)},
		Workdays: []ledger.Date{day(2026, 9, 20), day(2026, 10, 10)},
	}
}
