package identity

import (
	"slices"

	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// reservedRoles are the roles that only the root authority gives and takes.
const reservedRoles = ledger.RoleAuthority | ledger.RoleBank | ledger.RoleFactor | ledger.RoleRegulator | ledger.RoleCourt

// Genesis writes the root authority, its members and the root scope.
func Genesis(j *vm.Journal, g *ledger.Genesis) {
	p := ledger.Party{
		ID: g.Authority.ID, Name: g.Authority.Name, Scope: "/", Roles: ledger.RoleAuthority, Size: ledger.SizeLarge, Since: g.Start,
	}
	var issuer suite.PublicKey
	if len(g.Issuers) > 0 {
		issuer = g.Issuers[0].Key
	}
	for _, m := range g.Authority.Members {
		p.Members = append(p.Members, m.Key)
		vm.Store(j, ledger.MemberKey(m.Key), &ledger.Member{
			Party: p.ID, Key: m.Key, Caps: m.Caps, Person: m.Person, Issuer: issuer, NotBefore: g.Start, NotAfter: ledger.DateMax.Start(),
		})
	}
	vm.Store(j, ledger.PartyKey(p.ID), &p)
	vm.Store(j, ledger.ScopeKey("/"), &ledger.ScopeRecord{Path: "/", Authority: p.ID})
}

// PartyOnboard admits an organisation.
func PartyOnboard(c *vm.Context, op *ledger.PartyOnboard) error {
	if err := checkOnboard(c, op); err != nil {
		return err
	}
	p := ledger.Party{
		ID: op.ID, Name: op.Name, Scope: op.Scope, Roles: op.Roles, Size: op.Size, Evidence: op.Evidence,
		Policies: sortedPolicies(op.Policies), Since: c.Time,
	}
	for i := range op.Members {
		if err := grant(c, &p, &op.Members[i]); err != nil {
			return err
		}
	}
	if err := checkPolicies(c, &p); err != nil {
		return err
	}
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "party.onboarded", Party: c.Acting, Counterparty: p.ID, Note: p.Name})
	return nil
}

func checkOnboard(c *vm.Context, op *ledger.PartyOnboard) error {
	if err := op.Scope.Check(); err != nil {
		return ledger.Failf(ledger.CodeScope, "%v", err)
	}
	if !Governs(c.Journal, c.Acting, op.Scope) {
		return ledger.Failf(ledger.CodeScope, "%s is not the authority of an open scope %s or of one above it", c.Acting, op.Scope)
	}
	if err := op.ID.Check(); err != nil {
		return ledger.Failf(ledger.CodeArgument, "%v", err)
	}
	if Known(c.Journal, op.ID) {
		return ledger.Failf(ledger.CodePartyExists, "%s is a party already; one legal id is one party", op.ID)
	}
	switch {
	case op.Name == "" || len(op.Name) > ledger.NameBytesMax:
		return ledger.Failf(ledger.CodeArgument, "the name must have 1 to %d bytes, not %d", ledger.NameBytesMax, len(op.Name))
	case op.Size < ledger.SizeLarge || op.Size > ledger.SizeMicro:
		return ledger.Failf(ledger.CodeArgument, "size class %d is unknown", op.Size)
	case !op.Roles.Known():
		return ledger.Failf(ledger.CodeArgument, "the roles have unknown bits")
	case len(op.Members) == 0:
		return ledger.Failf(ledger.CodeLastAdmin, "a party needs at least one member key, an admin's")
	}
	if reserved := op.Roles & reservedRoles; reserved != 0 && !IsRoot(c.Journal, c.Acting) {
		return ledger.Failf(ledger.CodeRoleMissing, "only the root authority gives the roles %s", reserved)
	}
	return nil
}

// RoleGrant gives a party further roles.
func RoleGrant(c *vm.Context, op *ledger.RoleGrant) error {
	p, err := roleChange(c, op.Party, op.Roles)
	if err != nil {
		return err
	}
	if p.Roles.Has(op.Roles) {
		return ledger.Failf(ledger.CodeArgument, "%s has the roles %s already", p.ID, op.Roles)
	}
	p.Roles |= op.Roles
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "role.granted", Party: c.Acting, Counterparty: p.ID, Note: op.Roles.String()})
	return nil
}

// RoleRevoke takes roles from a party; what exists under them stays.
func RoleRevoke(c *vm.Context, op *ledger.RoleRevoke) error {
	p, err := roleChange(c, op.Party, op.Roles)
	if err != nil {
		return err
	}
	switch {
	case len(op.Reason) > ledger.TextBytesMax:
		return ledger.Failf(ledger.CodeArgument, "the reason has %d bytes, the most is %d", len(op.Reason), ledger.TextBytesMax)
	case !p.Roles.Has(op.Roles):
		return ledger.Failf(ledger.CodeRoleMissing, "%s has the roles %s, not %s", p.ID, p.Roles, op.Roles)
	case IsRoot(c.Journal, p.ID) && op.Roles.Has(ledger.RoleAuthority):
		return ledger.Failf(ledger.CodeArgument, "the root authority keeps its role: nobody could give it back")
	}
	p.Roles &^= op.Roles
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "role.revoked", Party: c.Acting, Counterparty: p.ID, Note: op.Roles.String() + ": " + op.Reason})
	return nil
}

func roleChange(c *vm.Context, id ledger.PartyID, roles ledger.Role) (ledger.Party, error) {
	if !IsRoot(c.Journal, c.Acting) {
		return ledger.Party{}, ledger.Failf(ledger.CodeRoleMissing, "only the root authority gives and takes roles")
	}
	if roles == 0 || !roles.Known() {
		return ledger.Party{}, ledger.Failf(ledger.CodeArgument, "name at least one role, and known ones only")
	}
	return ownParty(c.Journal, id)
}

// ScopeOpen opens a scope under one of the acting party's own and names its authority.
func ScopeOpen(c *vm.Context, op *ledger.ScopeOpen) error {
	if err := op.Path.Check(); err != nil {
		return ledger.Failf(ledger.CodeScope, "%v", err)
	}
	if c.Get(ledger.ScopeKey(op.Path)) != nil {
		return ledger.Failf(ledger.CodeScope, "scope %s is open already", op.Path)
	}
	if !Governs(c.Journal, c.Acting, op.Path.Parent()) {
		return ledger.Failf(ledger.CodeScope, "%s is not the authority of an open scope %s or of one above it",
			c.Acting, op.Path.Parent())
	}
	if err := RequireRole(c.Journal, op.Authority, ledger.RoleAuthority); err != nil {
		return err
	}
	vm.Store(c.Journal, ledger.ScopeKey(op.Path), &ledger.ScopeRecord{Path: op.Path, Authority: op.Authority})
	c.Emit(ledger.Event{Kind: "scope.opened", Party: c.Acting, Counterparty: op.Authority, Note: string(op.Path)})
	return nil
}

// PolicySet replaces the acting party's policies. Whoever may manage the party may ask for more; to ask for less of a class, its
// present policy must be met besides, or one admin alone could do what takes a maker and a checker.
func PolicySet(c *vm.Context, op *ledger.PolicySet) error {
	p, err := ownParty(c.Journal, c.Acting)
	if err != nil {
		return err
	}
	before := p
	p.Policies = sortedPolicies(op.Policies)
	if err := checkPolicies(c, &p); err != nil {
		return err
	}
	for class := ledger.ClassAdmin; class <= ledger.ClassOrder; class++ {
		if !weaker(PolicyOf(&p, class), PolicyOf(&before, class)) {
			continue
		}
		if err := c.Auth.Require(p.ID, class); err != nil {
			return err
		}
	}
	vm.Store(c.Journal, ledger.PartyKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "policy.set", Party: p.ID})
	return nil
}

// weaker reports whether fewer fill any of the places than before.
func weaker(now, before ledger.Policy) bool {
	return now.Makers < before.Makers || now.Checkers < before.Checkers || now.Admins < before.Admins
}

func sortedPolicies(policies []ledger.Policy) []ledger.Policy {
	sorted := slices.Clone(policies)
	slices.SortStableFunc(sorted, func(a, b ledger.Policy) int { return int(a.Class) - int(b.Class) })
	return sorted
}

// checkPolicies verifies p's policies and that its members, as they stand now, can meet each of them and manage the party.
func checkPolicies(c *vm.Context, p *ledger.Party) error {
	if len(p.Policies) > ledger.PoliciesMax {
		return ledger.Failf(ledger.CodeArgument, "a party has at most %d policies, not %d", ledger.PoliciesMax, len(p.Policies))
	}
	members := live(c, p)
	if !met(PolicyOf(p, ledger.ClassAdmin), members) {
		return ledger.Failf(ledger.CodeLastAdmin, "%s could not be managed any more: its valid keys are %s, and %s needs %s", p.ID,
			tally(members), ledger.ClassAdmin, places(PolicyOf(p, ledger.ClassAdmin)))
	}
	for i, policy := range p.Policies {
		if err := policy.Check(); err != nil {
			return ledger.Failf(ledger.CodeArgument, "%v", err)
		}
		if i > 0 && p.Policies[i-1].Class == policy.Class {
			return ledger.Failf(ledger.CodeArgument, "there are two policies for %s", policy.Class)
		}
		if !met(policy, members) {
			return ledger.Failf(ledger.CodeArgument, "the members of %s could not meet %s for %s by distinct persons: the keys are %s",
				p.ID, places(policy), policy.Class, tally(members))
		}
	}
	return nil
}

// live returns the members of p whose keys are in force.
func live(c *vm.Context, p *ledger.Party) []*ledger.Member {
	var out []*ledger.Member
	for _, key := range p.Members {
		if m := vm.Peek[ledger.Member](c.Journal, ledger.MemberKey(key)); m != nil && inForce(m, c.Time) {
			out = append(out, m)
		}
	}
	return out
}

// accredited reports whether key is one of the identity issuers that the genesis names.
func accredited(c *vm.Context, key suite.PublicKey) bool {
	g := vm.Peek[ledger.Genesis](c.Journal, ledger.GenesisKey())
	return g != nil && slices.ContainsFunc(g.Issuers, func(i ledger.IdentityIssuer) bool { return string(i.Key) == string(key) })
}
