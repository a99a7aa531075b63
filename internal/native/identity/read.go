package identity

import (
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Party returns the record of id. Its lists are shared with others who read: they must not be changed in place.
func Party(j *vm.Journal, id ledger.PartyID) (ledger.Party, bool) {
	if p := vm.Peek[ledger.Party](j, ledger.PartyKey(id)); p != nil {
		return *p, true
	}
	return ledger.Party{}, false
}

// Known reports whether id is a party.
func Known(j *vm.Journal, id ledger.PartyID) bool { return j.Get(ledger.PartyKey(id)) != nil }

// Member returns the record of key.
func Member(j *vm.Journal, key suite.PublicKey) (ledger.Member, bool) {
	return vm.Load[ledger.Member](j, ledger.MemberKey(key))
}

// RequireParty is Party, with a failure with CodePartyUnknown.
func RequireParty(j *vm.Journal, id ledger.PartyID) (ledger.Party, error) {
	p, ok := Party(j, id)
	if !ok {
		return p, unknownParty(id)
	}
	return p, nil
}

// ownParty is RequireParty for those who change the record's lists.
func ownParty(j *vm.Journal, id ledger.PartyID) (ledger.Party, error) {
	p, ok := vm.Load[ledger.Party](j, ledger.PartyKey(id))
	if !ok {
		return p, unknownParty(id)
	}
	return p, nil
}

// lookParty is RequireParty for those who change nothing in the record.
func lookParty(j *vm.Journal, id ledger.PartyID) (*ledger.Party, error) {
	if p := vm.Peek[ledger.Party](j, ledger.PartyKey(id)); p != nil {
		return p, nil
	}
	return nil, unknownParty(id)
}

func unknownParty(id ledger.PartyID) error {
	return ledger.Failf(ledger.CodePartyUnknown, "%s is not a party of this network; onboard it first", quoted(id))
}

// RequireRole fails with CodeRoleMissing unless id is a party that has one of roles, or with CodePartyUnknown.
func RequireRole(j *vm.Journal, id ledger.PartyID, roles ledger.Role) error {
	p, err := lookParty(j, id)
	if err != nil {
		return err
	}
	if p.Roles&roles == 0 {
		return ledger.Failf(ledger.CodeRoleMissing, "%s has the roles %s; this needs %s", id, p.Roles, roles)
	}
	return nil
}

// IsRoot reports whether id is the root authority, the authority of scope "/".
func IsRoot(j *vm.Journal, id ledger.PartyID) bool {
	root := vm.Peek[ledger.ScopeRecord](j, ledger.ScopeKey("/"))
	return root != nil && root.Authority == id
}

// Governs reports whether id is the authority of an open scope or of one above it, and still has the role.
// It is false for a scope that is not open.
func Governs(j *vm.Journal, id ledger.PartyID, scope ledger.Scope) bool {
	if scope.Check() != nil || j.Get(ledger.ScopeKey(scope)) == nil {
		return false
	}
	if p, err := lookParty(j, id); err != nil || !p.Roles.Has(ledger.RoleAuthority) {
		return false
	}
	for {
		if rec := vm.Peek[ledger.ScopeRecord](j, ledger.ScopeKey(scope)); rec != nil && rec.Authority == id {
			return true
		}
		if scope == "/" {
			return false
		}
		scope = scope.Parent()
	}
}

// quoted bounds what an operation says before it goes into a message.
func quoted(id ledger.PartyID) ledger.PartyID {
	if len(id) > ledger.PartyIDBytesMax {
		return "the named id"
	}
	return id
}
