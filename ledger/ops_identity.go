package ledger

import "aval/suite"

// ClockAdvance moves the lab clock forward to To, at most AdvanceMax ahead of ledger time. It is signed by the genesis clock key and
// names no party. The clock stops at each due date on the way until that day's work is done.
type ClockAdvance struct {
	To Time `cbor:"1,keyasint" json:"to"` // ledger time
}

// Kind returns KindClockAdvance.
func (*ClockAdvance) Kind() Kind { return KindClockAdvance }

// PartyOnboard admits an organisation. Acting: the authority of Scope or of a scope above it. Every member key in Members must sign
// too, and one of them must be an admin. Evidence is the fingerprint of the identity evidence seen.
type PartyOnboard struct {
	ID       PartyID       `cbor:"1,keyasint" json:"id"`
	Name     string        `cbor:"2,keyasint" json:"name"`
	Scope    Scope         `cbor:"3,keyasint" json:"scope"`
	Roles    Role          `cbor:"4,keyasint" json:"roles"`
	Size     Size          `cbor:"5,keyasint" json:"size"`
	Evidence suite.Hash    `cbor:"6,keyasint" json:"evidence"`
	Members  []MemberGrant `cbor:"7,keyasint" json:"members"`
	Policies []Policy      `cbor:"8,keyasint" json:"policies"`
}

// Kind returns KindPartyOnboard.
func (*PartyOnboard) Kind() Kind { return KindPartyOnboard }

// RoleGrant gives a party further roles. Acting: the root authority.
type RoleGrant struct {
	Party PartyID `cbor:"1,keyasint" json:"party"`
	Roles Role    `cbor:"2,keyasint" json:"roles"`
}

// Kind returns KindRoleGrant.
func (*RoleGrant) Kind() Kind { return KindRoleGrant }

// RoleRevoke takes roles from a party; what exists under them stays. Acting: the root authority.
type RoleRevoke struct {
	Party  PartyID `cbor:"1,keyasint" json:"party"`
	Roles  Role    `cbor:"2,keyasint" json:"roles"`
	Reason string  `cbor:"3,keyasint" json:"reason"`
}

// Kind returns KindRoleRevoke.
func (*RoleRevoke) Kind() Kind { return KindRoleRevoke }

// MemberAdd adds a member key to the acting party; the new key signs too.
type MemberAdd struct {
	Grant MemberGrant `cbor:"1,keyasint" json:"grant"`
}

// Kind returns KindMemberAdd.
func (*MemberAdd) Kind() Kind { return KindMemberAdd }

// MemberRevoke ends a member key of the acting party at once; the last admin key cannot be revoked.
type MemberRevoke struct {
	Key    suite.PublicKey `cbor:"1,keyasint" json:"key"`
	Reason string          `cbor:"2,keyasint" json:"reason"`
}

// Kind returns KindMemberRevoke.
func (*MemberRevoke) Kind() Kind { return KindMemberRevoke }

// MemberRotate replaces a member key by a new one of the same person with the same capabilities; the new key signs too.
type MemberRotate struct {
	Old   suite.PublicKey `cbor:"1,keyasint" json:"old"`
	Grant MemberGrant     `cbor:"2,keyasint" json:"grant"`
}

// Kind returns KindMemberRotate.
func (*MemberRotate) Kind() Kind { return KindMemberRotate }

// PolicySet replaces the acting party's policies; classes that are not named fall back to DefaultPolicy. If it asks for fewer
// makers, checkers or admins of a class than now, the signatures that the class asks for now are needed too. Refused if the
// members could not meet one of them.
type PolicySet struct {
	Policies []Policy `cbor:"1,keyasint" json:"policies"`
}

// Kind returns KindPolicySet.
func (*PolicySet) Kind() Kind { return KindPolicySet }

// ScopeOpen opens a scope under one of the acting party's own and names its authority.
type ScopeOpen struct {
	Path      Scope   `cbor:"1,keyasint" json:"path"`
	Authority PartyID `cbor:"2,keyasint" json:"authority"`
}

// Kind returns KindScopeOpen.
func (*ScopeOpen) Kind() Kind { return KindScopeOpen }
