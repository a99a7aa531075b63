package demo

import (
	"crypto/rand"
	"fmt"

	"aval/ledger"
	"aval/suite"
)

// identityService is the fictional accredited issuer of credentials.
type identityService struct {
	suite  suite.Suite
	signer suite.Signer
	secret []byte
}

// person returns what stands for a person, by the service's own name for it, in a party.
func (i *identityService) person(name string, party ledger.PartyID) suite.Hash {
	return ledger.PersonCommitment(i.suite, i.secret, name, party)
}

// key is one member key with its private half.
type key struct {
	// name is that of the key file: the party's alias, a dash, and the place it fills.
	name   string
	caps   ledger.Capability
	person string
	signer suite.Signer
}

// party is one organisation with its staff.
type party struct {
	organisation
	id                    ledger.PartyID
	admin, maker, checker key
	// second is another key of the maker's person, which may check; nil in most parties.
	second *key
}

// newParty makes the staff of an organisation: three persons with one key each, taken from signer by its name.
func newParty(o organisation, signer func(name string) (suite.Signer, error)) (*party, error) {
	id, err := o.id()
	if err != nil {
		return nil, err
	}
	p := &party{organisation: o, id: id}
	for _, place := range []struct {
		key  *key
		name string
		caps ledger.Capability
	}{{&p.admin, "admin", ledger.CapAdmin}, {&p.maker, "maker", ledger.CapMaker}, {&p.checker, "checker", ledger.CapChecker}} {
		name := o.alias + "-" + place.name
		*place.key = key{name: name, caps: place.caps, person: name}
		if place.key.signer, err = signer(name); err != nil {
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
	}
	return p, nil
}

// addSecond gives the maker's person a second key, which may check.
func (p *party) addSecond(s suite.Suite) error {
	signer, err := s.GenerateKey(rand.Reader)
	p.second = &key{name: p.alias + "-second", caps: ledger.CapChecker, person: p.maker.person, signer: signer}
	return err
}

// keys returns every key of p.
func (p *party) keys() []key {
	out := []key{p.admin, p.maker, p.checker}
	if p.second != nil {
		out = append(out, *p.second)
	}
	return out
}

// keyYears is how long member keys and credentials are valid.
const keyYears = 5

// onboard returns the operation that admits p, with credentials by the identity service.
func (i *identityService) onboard(network suite.Hash, p *party, from ledger.Time) (*ledger.PartyOnboard, error) {
	until := from + keyYears*365*ledger.Day
	op := &ledger.PartyOnboard{ID: p.id, Name: p.name, Scope: p.scope, Roles: p.roles, Size: p.size,
		Evidence: document(i.suite, "identity evidence of "+p.name), Members: []ledger.MemberGrant{}, Policies: []ledger.Policy{}}
	for _, k := range p.keys() {
		credential, err := ledger.SignCredential(i.signer, ledger.Credential{Network: network, Party: p.id, Key: k.signer.Public(),
			Person: i.person(k.person, p.id), NotAfter: until})
		if err != nil {
			return nil, err
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: k.signer.Public(), Caps: k.caps, NotBefore: from, NotAfter: until,
			Credential: credential})
	}
	return op, nil
}

// document returns the fingerprint of a document that exists in the story only.
func document(s suite.Suite, text string) suite.Hash {
	return s.Hash(ledger.DomainDocument, []byte(text))
}
