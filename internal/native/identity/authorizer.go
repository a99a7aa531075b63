package identity

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Authorizer judges the keys that signed against the records in a journal, at one ledger time. It reads the records anew
// at each question, because operations change them. It is not safe for concurrent use.
type Authorizer struct {
	journal *vm.Journal
	now     ledger.Time
	keys    []suite.PublicKey
	// members are where the records of keys stand, by index.
	members [][]byte
}

var _ vm.Authorizer = (*Authorizer)(nil)

// NewAuthorizer returns the authorizer for the keys that signed.
func NewAuthorizer(j *vm.Journal, now ledger.Time, keys []suite.PublicKey) *Authorizer {
	a := &Authorizer{journal: j, now: now, keys: keys, members: make([][]byte, len(keys))}
	for i, key := range keys {
		a.members[i] = ledger.MemberKey(key)
	}
	return a
}

// HasKey reports whether the holder of key has signed.
func (a *Authorizer) HasKey(key suite.PublicKey) bool {
	return slices.ContainsFunc(a.keys, func(k suite.PublicKey) bool { return bytes.Equal(k, key) })
}

// Require fails unless the signers meet party's policy for class, now, by distinct persons.
func (a *Authorizer) Require(party ledger.PartyID, class ledger.Class) error {
	p, err := lookParty(a.journal, party)
	if err != nil {
		return err
	}
	s := a.signers(party)
	policy := PolicyOf(p, class)
	if met(policy, s.valid) {
		return nil
	}
	if err := s.reason(party); err != nil {
		return err
	}
	have := tally(s.valid)
	switch {
	case metByPersons(policy, s.valid):
		return ledger.Failf(ledger.CodeSamePerson, "%s: %s for %s must be different persons by the word of one identity issuer; "+
			"those of two issuers may be the same", party, places(policy), class)
	case have.covers(policy):
		return ledger.Failf(ledger.CodeSamePerson, "%s: %s for %s must be different persons; the same person signed in two places",
			party, places(policy), class)
	}
	return ledger.Failf(ledger.CodePolicyUnmet, "%s: %s needs %s; has %s", party, class, places(policy), have)
}

// RequireAny fails unless at least one signer is a valid maker, checker or admin key of party, and returns the signing
// keys of party that are valid now.
func (a *Authorizer) RequireAny(party ledger.PartyID) ([]suite.PublicKey, error) {
	if _, err := lookParty(a.journal, party); err != nil {
		return nil, err
	}
	s := a.signers(party)
	var keys []suite.PublicKey
	for i := range s.valid {
		if s.valid[i].Caps&(ledger.CapMaker|ledger.CapChecker|ledger.CapAdmin) != 0 {
			keys = append(keys, s.valid[i].Key)
		}
	}
	if len(keys) > 0 {
		return keys, nil
	}
	if err := s.reason(party); err != nil {
		return nil, err
	}
	return nil, ledger.Failf(ledger.CodePolicyUnmet, "%s: this needs 1 maker, checker or admin; has none", party)
}

// signers are the signing keys of one party, by what they are worth now.
type signers struct {
	valid            []*ledger.Member
	revoked, expired *ledger.Member // the first of each
	now              ledger.Time
}

func (a *Authorizer) signers(party ledger.PartyID) signers {
	s := signers{now: a.now, valid: make([]*ledger.Member, 0, len(a.keys))}
	for i := range a.keys {
		m := vm.Peek[ledger.Member](a.journal, a.members[i])
		switch {
		case m == nil || m.Party != party:
		case m.RevokedAt != 0:
			if s.revoked == nil {
				s.revoked = m
			}
		case !inForce(m, a.now):
			if s.expired == nil {
				s.expired = m
			}
		default:
			s.valid = append(s.valid, m)
		}
	}
	return s
}

// reason returns why signatures that are there did not count, or that there is none, or nil.
func (s *signers) reason(party ledger.PartyID) error {
	switch {
	case s.revoked != nil:
		return ledger.Failf(ledger.CodeKeyRevoked, "%s: key %s was revoked at %s", party, s.revoked.Key, s.revoked.RevokedAt)
	case s.expired != nil:
		return ledger.Failf(ledger.CodeKeyExpired, "%s: key %s is valid from %s to %s, not at %s", party,
			s.expired.Key, s.expired.NotBefore, s.expired.NotAfter, s.now)
	case len(s.valid) == 0:
		return ledger.Failf(ledger.CodeKeyUnknown, "%s: no signature is by a member key of this party", party)
	}
	return nil
}

// inForce reports whether m may sign at now. Both ends of its validity belong to it.
func inForce(m *ledger.Member, now ledger.Time) bool {
	return m.RevokedAt == 0 && m.NotBefore <= now && now <= m.NotAfter
}

// PolicyOf returns p's policy for class.
func PolicyOf(p *ledger.Party, class ledger.Class) ledger.Policy {
	for _, policy := range p.Policies {
		if policy.Class == class {
			return policy
		}
	}
	return ledger.DefaultPolicy(class)
}

// met reports whether distinct persons among members can fill every place of policy. All of them must be known by one identity
// issuer: each makes its own commitments, so that one person whom two issuers know looks like two.
func met(policy ledger.Policy, members []*ledger.Member) bool {
	for i := range members {
		same := func(m *ledger.Member) bool { return bytes.Equal(m.Issuer, members[i].Issuer) }
		if slices.ContainsFunc(members[:i], same) {
			continue
		}
		known := make([]*ledger.Member, 0, len(members)-i)
		for _, m := range members[i:] {
			if same(m) {
				known = append(known, m)
			}
		}
		if metByPersons(policy, known) {
			return true
		}
	}
	return false
}

// metByPersons is met if commitments tell all members apart. By Hall's theorem persons can fill the places if, for every set of
// capacities, at least as many of them have one of the set as there are places in it.
func metByPersons(policy ledger.Policy, members []*ledger.Member) bool {
	persons := personCaps(members)
	for set := ledger.Capability(1); set <= capsOfPlaces; set++ {
		have := 0
		for _, caps := range persons {
			if caps&set != 0 {
				have++
			}
		}
		if have < placesIn(policy, set) {
			return false
		}
	}
	return true
}

// capsOfPlaces are the capacities that a policy has places for; they are the lowest bits.
const capsOfPlaces = ledger.CapMaker | ledger.CapChecker | ledger.CapAdmin

// personCaps returns what each distinct person may do, over all its keys.
func personCaps(members []*ledger.Member) []ledger.Capability {
	persons, caps := make([]suite.Hash, 0, 4), make([]ledger.Capability, 0, len(members))
	for i := range members {
		at := slices.Index(persons, members[i].Person)
		if at < 0 {
			at = len(persons)
			persons, caps = append(persons, members[i].Person), append(caps, 0)
		}
		caps[at] |= members[i].Caps
	}
	return caps
}

func placesIn(policy ledger.Policy, set ledger.Capability) int {
	n := 0
	if set&ledger.CapMaker != 0 {
		n += int(policy.Makers)
	}
	if set&ledger.CapChecker != 0 {
		n += int(policy.Checkers)
	}
	if set&ledger.CapAdmin != 0 {
		n += int(policy.Admins)
	}
	return n
}

// counts says how many keys may fill which place.
type counts struct{ makers, checkers, admins int }

func tally(members []*ledger.Member) counts {
	var c counts
	for i := range members {
		if members[i].Caps&ledger.CapMaker != 0 {
			c.makers++
		}
		if members[i].Caps&ledger.CapChecker != 0 {
			c.checkers++
		}
		if members[i].Caps&ledger.CapAdmin != 0 {
			c.admins++
		}
	}
	return c
}

// covers reports whether the keys would do if one person could fill several places.
func (c counts) covers(p ledger.Policy) bool {
	return c.makers >= int(p.Makers) && c.checkers >= int(p.Checkers) && c.admins >= int(p.Admins)
}

// String returns words such as "1 maker and 2 checkers".
func (c counts) String() string {
	var words []string
	for _, w := range []struct {
		n    int
		noun string
	}{{c.makers, "maker"}, {c.checkers, "checker"}, {c.admins, "admin"}} {
		switch {
		case w.n == 1:
			words = append(words, "1 "+w.noun)
		case w.n > 1:
			words = append(words, fmt.Sprintf("%d %ss", w.n, w.noun))
		}
	}
	if len(words) == 0 {
		return "none of them"
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return words[0]
}

func places(p ledger.Policy) counts {
	return counts{int(p.Makers), int(p.Checkers), int(p.Admins)}
}
