package identity

import (
	"slices"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// MemberAdd adds a member key to the acting party.
func MemberAdd(c *vm.Context, op *ledger.MemberAdd) error {
	p, err := ownParty(c.Journal, c.Acting)
	if err != nil {
		return err
	}
	if err := grant(c, &p, &op.Grant); err != nil {
		return err
	}
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "member.added", Party: p.ID, Note: op.Grant.Key.String() + " " + op.Grant.Caps.String()})
	return nil
}

// MemberRevoke ends a member key of the acting party at once.
func MemberRevoke(c *vm.Context, op *ledger.MemberRevoke) error {
	p, err := ownParty(c.Journal, c.Acting)
	if err != nil {
		return err
	}
	if len(op.Reason) > ledger.TextBytesMax {
		return ledger.Failf(ledger.CodeArgument, "the reason has %d bytes, the most is %d", len(op.Reason), ledger.TextBytesMax)
	}
	m, err := standing(c, op.Key)
	if err != nil {
		return err
	}
	revoke(c, &p, &m, op.Reason)
	if !met(PolicyOf(&p, ledger.ClassAdmin), live(c, &p)) {
		return ledger.Failf(ledger.CodeLastAdmin, "without this key the members of %s could not manage it any more; add another admin first",
			p.ID)
	}
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "member.revoked", Party: p.ID, Note: op.Key.String() + " " + op.Reason})
	return nil
}

// MemberRotate replaces a member key by a new one of the same person with the same capabilities.
func MemberRotate(c *vm.Context, op *ledger.MemberRotate) error {
	p, err := ownParty(c.Journal, c.Acting)
	if err != nil {
		return err
	}
	old, err := standing(c, op.Old)
	if err != nil {
		return err
	}
	if op.Grant.Caps != old.Caps {
		return ledger.Failf(ledger.CodeArgument, "a rotation keeps the capabilities: the old key is %s, the new one %s",
			old.Caps, op.Grant.Caps)
	}
	if op.Grant.Credential.Person != old.Person {
		return ledger.Failf(ledger.CodeCredential, "a rotation keeps the person: the credential names another than the old key's")
	}
	if string(op.Grant.Credential.Issuer) != string(old.Issuer) {
		return ledger.Failf(ledger.CodeCredential, "a rotation keeps the identity issuer: another one does not know whether the person is the same")
	}
	revoke(c, &p, &old, "rotated")
	if err := grant(c, &p, &op.Grant); err != nil {
		return err
	}
	if !met(PolicyOf(&p, ledger.ClassAdmin), live(c, &p)) {
		return ledger.Failf(ledger.CodeLastAdmin, "until the new key is valid the members of %s could not manage it", p.ID)
	}
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "member.rotated", Party: p.ID, Note: op.Old.String() + " to " + op.Grant.Key.String()})
	return nil
}

// standing returns the acting party's member record of key, if it is not revoked.
func standing(c *vm.Context, key suite.PublicKey) (ledger.Member, error) {
	if len(key) != c.Suite.PublicKeySize() {
		return ledger.Member{}, ledger.Failf(ledger.CodeArgument, "a key of this network has %d bytes, not %d",
			c.Suite.PublicKeySize(), len(key))
	}
	m, ok := Member(c.Journal, key)
	if !ok || m.Party != c.Acting {
		return m, ledger.Failf(ledger.CodeArgument, "key %s is no member key of %s", key, c.Acting)
	}
	if m.RevokedAt != 0 {
		return m, ledger.Failf(ledger.CodeArgument, "key %s was revoked at %s already", key, m.RevokedAt)
	}
	return m, nil
}

// revoke ends m and takes it off p's list; the caller stores p.
func revoke(c *vm.Context, p *ledger.Party, m *ledger.Member, reason string) {
	m.RevokedAt, m.Reason = c.Time, reason
	vm.Store(c.Journal, ledger.MemberKey(m.Key), m)
	p.Members = slices.DeleteFunc(slices.Clone(p.Members), func(k suite.PublicKey) bool { return string(k) == string(m.Key) })
}

// grant makes g's key a member key of p and puts it on p's list; the caller stores p.
func grant(c *vm.Context, p *ledger.Party, g *ledger.MemberGrant) error {
	if err := checkGrant(c, p, g); err != nil {
		return err
	}
	p.Members = append(slices.Clone(p.Members), g.Key)
	vm.Store(c.Journal, ledger.MemberKey(g.Key), &ledger.Member{
		Party: p.ID, Key: g.Key, Caps: g.Caps, Person: g.Credential.Person, Issuer: g.Credential.Issuer,
		NotBefore: g.NotBefore, NotAfter: min(g.NotAfter, g.Credential.NotAfter),
	})
	return nil
}

func checkGrant(c *vm.Context, p *ledger.Party, g *ledger.MemberGrant) error {
	if err := c.Suite.CheckPublicKey(g.Key); err != nil {
		return ledger.Failf(ledger.CodeArgument, "member key: %v", err)
	}
	switch {
	case !c.Auth.HasKey(g.Key):
		return ledger.Failf(ledger.CodePossession, "the holder of the new key %s must sign too", g.Key)
	case g.Caps == 0 || !g.Caps.Known():
		return ledger.Failf(ledger.CodeArgument, "a member key needs at least one capability, and known ones only")
	case g.NotAfter < g.NotBefore || g.NotAfter < c.Time:
		return ledger.Failf(ledger.CodeArgument, "the key would be valid from %s to %s, which is over or empty", g.NotBefore, g.NotAfter)
	case len(p.Members) >= ledger.MembersMax:
		return ledger.Failf(ledger.CodeMembersFull, "%s has %d member keys, the most; revoke one first", p.ID, len(p.Members))
	}
	if m, ok := Member(c.Journal, g.Key); ok {
		return ledger.Failf(ledger.CodeKeyExists, "key %s is or was a member key of %s; a key serves once", g.Key, m.Party)
	}
	return checkCredential(c, p.ID, g)
}

func checkCredential(c *vm.Context, party ledger.PartyID, g *ledger.MemberGrant) error {
	cred := &g.Credential
	refuse := func(format string, args ...any) error {
		return ledger.Failf(ledger.CodeCredential, "the credential of key %s "+format, append([]any{g.Key}, args...)...)
	}
	switch {
	case cred.Network != c.Network:
		return refuse("is for another network")
	case cred.Party != party:
		return refuse("is for party %s, not %s", quoted(cred.Party), party)
	case string(cred.Key) != string(g.Key):
		return refuse("is for another key")
	case cred.Person.IsZero():
		return refuse("names no person")
	case cred.NotAfter < c.Time:
		return refuse("expired at %s", cred.NotAfter)
	case !accredited(c, cred.Issuer):
		return refuse("is by an issuer that the genesis does not name")
	case !cred.Verify(c.Suite):
		return refuse("is not signed by its issuer")
	}
	return nil
}
