package demo

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"aval/codec"
	"aval/internal/config"
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
	start      ledger.Time // ledger time at the beginning of a lab network
	validators int
	gateway    bool
	calendar   ledger.Calendar
	cast       []organisation
}

// network is a network that was made, with every key there is to it.
type network struct {
	suite     suite.Suite
	genesis   *ledger.Genesis
	file      []byte // the encoded genesis
	id        suite.Hash
	identity  *identityService
	clock     suite.Signer // nil in a real network
	nodes     []nodeKey    // validators first, then the gateway
	parties   map[string]*party
	authority *party
}

// nodeKey is one node's name, role and key.
type nodeKey struct {
	name, role string
	signer     suite.Signer
}

// newNetwork makes keys for everybody and the genesis that names those who exist from the start.
func newNetwork(p plan) (*network, error) {
	n := &network{suite: p.suite, parties: map[string]*party{}}
	var err error
	if n.identity, err = newIdentityService(p.suite); err != nil {
		return nil, err
	}
	for _, o := range p.cast {
		member, err := newParty(p.suite, o)
		if err != nil {
			return nil, err
		}
		n.parties[o.alias] = member
	}
	n.authority = n.parties[authority]
	wall := ledger.Time(time.Now().UnixMilli())
	n.genesis = &ledger.Genesis{Version: ledger.GenesisVersion, Name: p.name, Suite: p.suite.ID(), Clock: p.clock, Wall: wall, Start: wall,
		Authority:  ledger.GenesisParty{ID: n.authority.id, Name: n.authority.name},
		Issuers:    []ledger.IdentityIssuer{{Name: "Fictional Identity Service", Key: n.identity.signer.Public()}},
		Validators: ledger.ValidatorSet{}, Observers: []ledger.Validator{}, Params: ledger.DefaultParams(p.validators)}
	n.genesis.Params.Calendar = p.calendar
	for _, k := range n.authority.keys() {
		n.genesis.Authority.Members = append(n.genesis.Authority.Members, ledger.GenesisMember{Key: k.signer.Public(), Caps: k.caps,
			Person: n.identity.person(k.person, n.authority.id)})
	}
	if p.clock == ledger.ClockLab {
		if n.clock, err = p.suite.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
		n.genesis.Start, n.genesis.ClockKey = p.start, n.clock.Public()
	}
	if err := n.addNodes(p); err != nil {
		return nil, err
	}
	if err := n.genesis.Check(p.suite); err != nil {
		return nil, err
	}
	n.file, err = codec.Marshal(n.genesis)
	n.id = n.genesis.NetworkID(p.suite)
	return n, err
}

func (n *network) addNodes(p plan) error {
	add := func(name, role string) error {
		signer, err := p.suite.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		n.nodes = append(n.nodes, nodeKey{name, role, signer})
		entry := ledger.Validator{Name: name, Key: signer.Public()}
		if role == roleGateway {
			n.genesis.Observers = append(n.genesis.Observers, entry)
		} else {
			n.genesis.Validators = append(n.genesis.Validators, entry)
		}
		return nil
	}
	for i := range p.validators {
		if err := add(fmt.Sprintf("validator-%d", i), roleValidator); err != nil {
			return err
		}
	}
	if p.gateway {
		return add("gateway", roleGateway)
	}
	return nil
}

// The roles of nodes, as in their configuration.
const (
	roleValidator = "validator"
	roleGateway   = "gateway"
)

// place is where one node listens.
type place struct{ http, link string }

// writeHomes writes a home for every node below dir and returns their paths. Nothing is overwritten.
func (n *network) writeHomes(dir string, places []place, passphrase []byte) ([]string, error) {
	var peers []config.Peer
	for i, k := range n.nodes {
		if k.role == roleValidator {
			peers = append(peers, config.Peer{Name: k.name, Key: k.signer.Public(), Address: places[i].link})
		}
	}
	var homes []string
	for i, k := range n.nodes {
		home := filepath.Join(dir, k.name)
		c := config.Default()
		c.Name, c.Role, c.HTTP.Listen, c.Link.Listen = k.name, k.role, places[i].http, places[i].link
		c.Peers = nil
		for _, p := range peers {
			if p.Name != k.name {
				c.Peers = append(c.Peers, p)
			}
		}
		if err := n.writeHome(home, &c, k.signer, passphrase); err != nil {
			return nil, err
		}
		homes = append(homes, home)
	}
	return homes, nil
}

// writeHome writes what stands in the home of one node: genesis, configuration and key.
func (n *network) writeHome(home string, c *config.Node, signer suite.Signer, passphrase []byte) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := createFile(filepath.Join(home, config.GenesisName), n.file); err != nil {
		return err
	}
	b, err := c.Encode()
	if err != nil {
		return err
	}
	if err := createFile(filepath.Join(home, config.FileName), b); err != nil {
		return err
	}
	return sealKey(n.suite, keyfile.Dir(filepath.Join(home, config.KeysName)), config.NodeKeyName, c.Name, signer, passphrase)
}

// sealKey writes a private key, encrypted under the passphrase.
func sealKey(s suite.Suite, dir keyfile.Dir, name, label string, signer suite.Signer, passphrase []byte) error {
	f, err := keyfile.Seal(s, signer, keyfile.Config{Label: label, Passphrase: passphrase, Iterations: sealIterations})
	if err != nil {
		return err
	}
	_, err = dir.Create(name, f)
	return err
}

// createFile writes a new file, readable by its owner only.
func createFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// newPassphrase returns 192 random bits in letters, digits, '-' and '_'.
func newPassphrase() []byte {
	raw := make([]byte, 24)
	rand.Read(raw) // never fails: the runtime stops the program if the system has no randomness
	return []byte(base64.RawURLEncoding.EncodeToString(raw))
}

// demoCalendar is the bank holidays of China that touch the demo case (to be verified against the State Council's notice for 2026).
func demoCalendar() ledger.Calendar {
	day := func(y, m, d int) ledger.Date { return ledger.CivilDate(y, m, d) }
	return ledger.Calendar{
		Holidays: []ledger.Date{day(2026, 9, 25), day(2026, 10, 1), day(2026, 10, 2), day(2026, 10, 5), day(2026, 10, 6), day(2026, 10, 7),
			day(2027, 1, 1)},
		Workdays: []ledger.Date{day(2026, 9, 20), day(2026, 10, 10)},
	}
}
