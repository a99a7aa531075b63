package genesis

import (
	"errors"
	"fmt"
	"io"

	"aval/ledger"
	"aval/suite"
)

// Spec says what network to found.
type Spec struct {
	// Name is shown to people.
	Name string
	// Suite is the crypto suite.
	Suite suite.Suite
	// Clock is ClockReal or ClockLab.
	Clock ledger.ClockMode
	// Wall is now. Start is the ledger time at which a lab network begins; 0 means Wall.
	Wall, Start ledger.Time
	// AuthorityID and AuthorityName are the root authority's legal id and name.
	AuthorityID   ledger.PartyID
	AuthorityName string
	// Validators and Observers are how many nodes of each kind to make: one validator, or at least ledger.ValidatorsMin.
	Validators, Observers int
	// Params are the parameters; VerifyQuorum 0 means f + 1.
	Params ledger.Params
	// Rand is the source of keys; nil means crypto/rand.
	Rand io.Reader
}

// The names of the keys beside those of nodes, by which Keys holds them.
const (
	KeyAuthorityAdmin   = "authority-admin"
	KeyAuthorityMaker   = "authority-maker"
	KeyAuthorityChecker = "authority-checker"
	KeyIdentity         = "identity"
	KeyClock            = "clock"
)

// Network is a founded network with every private key of its beginning.
type Network struct {
	Genesis *ledger.Genesis
	Suite   suite.Suite
	// Validators and Observers are the node keys, in the order of the genesis.
	Validators, Observers []suite.Signer
	// Keys are the others by name: KeyAuthorityAdmin …; KeyClock in a lab network only.
	Keys map[string]suite.Signer
}

// Validate reports every problem of s at once.
func (s *Spec) Validate() error {
	var errs []error
	if s.Suite == nil {
		errs = append(errs, errors.New("no crypto suite is chosen"))
	}
	if s.Validators != 1 && s.Validators < ledger.ValidatorsMin || s.Validators > ledger.ValidatorsMax {
		errs = append(errs, fmt.Errorf("%d validators: choose one, for trying out, or %d to %d", s.Validators, ledger.ValidatorsMin, ledger.ValidatorsMax))
	}
	if s.Observers < 0 || s.Observers > ledger.ObserversMax {
		errs = append(errs, fmt.Errorf("%d observers: the most is %d", s.Observers, ledger.ObserversMax))
	}
	if s.Clock == ledger.ClockReal && s.Start != 0 && s.Start != s.Wall {
		errs = append(errs, errors.New("a network with a real clock starts now; only a lab network has a start of its own"))
	}
	return errors.Join(errs...)
}

// Found makes the keys and the genesis of a network.
func Found(spec Spec) (*Network, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	n := &Network{Suite: spec.Suite, Keys: map[string]suite.Signer{}}
	if err := n.makeKeys(&spec); err != nil {
		return nil, err
	}
	g := &ledger.Genesis{Version: ledger.GenesisVersion, Name: spec.Name, Suite: spec.Suite.ID(), Clock: spec.Clock,
		Wall: spec.Wall, Start: spec.Start, Params: spec.Params, Observers: []ledger.Validator{},
		Issuers: []ledger.IdentityIssuer{{Name: "identity", Key: n.Keys[KeyIdentity].Public()}}}
	if g.Start == 0 {
		g.Start = g.Wall
	}
	if spec.Clock == ledger.ClockLab {
		g.ClockKey = n.Keys[KeyClock].Public()
	}
	for i, key := range n.Validators {
		g.Validators = append(g.Validators, ledger.Validator{Name: ValidatorName(i), Key: key.Public()})
	}
	for i, key := range n.Observers {
		g.Observers = append(g.Observers, ledger.Validator{Name: ObserverName(i), Key: key.Public()})
	}
	if g.Params.VerifyQuorum == 0 {
		g.Params.VerifyQuorum = ledger.DefaultParams(spec.Validators).VerifyQuorum
	}
	g.Authority = ledger.GenesisParty{ID: spec.AuthorityID, Name: spec.AuthorityName}
	secret := IssuerSecret(spec.Suite, n.Keys[KeyIdentity])
	for _, m := range []struct {
		key  string
		caps ledger.Capability
	}{{KeyAuthorityAdmin, ledger.CapAdmin}, {KeyAuthorityMaker, ledger.CapMaker}, {KeyAuthorityChecker, ledger.CapChecker}} {
		person := ledger.PersonCommitment(spec.Suite, secret, m.key, spec.AuthorityID)
		g.Authority.Members = append(g.Authority.Members, ledger.GenesisMember{Key: n.Keys[m.key].Public(), Caps: m.caps, Person: person})
	}
	n.Genesis = g
	return n, g.Check(spec.Suite)
}

func (n *Network) makeKeys(spec *Spec) error {
	make1 := func() (suite.Signer, error) { return spec.Suite.GenerateKey(spec.Rand) }
	for range spec.Validators {
		key, err := make1()
		if err != nil {
			return err
		}
		n.Validators = append(n.Validators, key)
	}
	for range spec.Observers {
		key, err := make1()
		if err != nil {
			return err
		}
		n.Observers = append(n.Observers, key)
	}
	names := []string{KeyAuthorityAdmin, KeyAuthorityMaker, KeyAuthorityChecker, KeyIdentity}
	if spec.Clock == ledger.ClockLab {
		names = append(names, KeyClock)
	}
	for _, name := range names {
		key, err := make1()
		if err != nil {
			return err
		}
		n.Keys[name] = key
	}
	return nil
}

// ValidatorName returns what validator i is called.
func ValidatorName(i int) string { return fmt.Sprintf("validator-%d", i) }

// ObserverName returns what observer i is called.
func ObserverName(i int) string { return fmt.Sprintf("gateway-%d", i) }

// IssuerSecret derives the secret behind an identity issuer's person commitments from its private key, so that there is one
// thing to keep and to back up.
func IssuerSecret(s suite.Suite, issuer suite.Signer) []byte {
	h := s.Hash(ledger.DomainPerson, []byte("issuer secret"), issuer.Private())
	return h[:]
}
