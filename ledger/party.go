package ledger

import (
	"errors"
	"fmt"
	"strings"

	"aval/suite"
)

// PartyID is an organisation's legal id: a unified social credit code (GB 32100-2015, 18 characters) or a legal
// entity identifier (ISO 17442, 20 characters). As the id of the party is its legal id, one legal id is one party.
type PartyID string

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// Check verifies the form and the check digits of p.
func (p PartyID) Check() error {
	switch len(p) {
	case 18:
		return checkUSCC(string(p))
	case 20:
		return checkLEI(string(p))
	default:
		return fmt.Errorf("legal id %q has %d characters: a unified social credit code has 18, an LEI 20", string(p), len(p))
	}
}

// checkUSCC verifies the check character of GB 32100-2015: weights 3^i mod 31 over the first 17 characters.
func checkUSCC(s string) error {
	sum, weight := 0, 1
	for i := 0; i < 17; i++ {
		v := strings.IndexByte(usccAlphabet, s[i])
		if v < 0 {
			return fmt.Errorf("legal id %q: character %q cannot stand in a unified social credit code", s, s[i])
		}
		sum += v * weight
		weight = weight * 3 % 31
	}
	if want := usccAlphabet[(31-sum%31)%31]; s[17] != want {
		return fmt.Errorf("legal id %q: check character is %q, expected %q", s, s[17], want)
	}
	return nil
}

// checkLEI verifies the two check digits of ISO 17442 (ISO 7064 MOD 97-10).
func checkLEI(s string) error {
	rem := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			rem = (rem*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z' && i < 18:
			rem = (rem*100 + int(c-'A') + 10) % 97
		default:
			return fmt.Errorf("legal id %q: character %q cannot stand at position %d of an LEI", s, c, i+1)
		}
	}
	// 00, 01 and 99 would be second spellings of 97, 98 and 02 (ISO 7064, clause 8).
	if check := s[18:]; rem != 1 || check == "00" || check == "01" || check == "99" {
		return fmt.Errorf("legal id %q: the check digits of the LEI are wrong", s)
	}
	return nil
}

// CompleteUSCC returns the 17 given characters with their check character, for tests and demonstrations.
func CompleteUSCC(first17 string) (PartyID, error) {
	if len(first17) != 17 {
		return "", fmt.Errorf("%q has %d characters, not 17", first17, len(first17))
	}
	for i := 0; i < len(usccAlphabet); i++ {
		if id := first17 + usccAlphabet[i:i+1]; checkUSCC(id) == nil {
			return PartyID(id), nil
		}
	}
	return "", checkUSCC(first17 + "0")
}

// Scope is a path in the tree of scopes, such as "/", "/auto" or "/auto/huachen".
type Scope string

// Check verifies the form of s: "/" or segments of a-z, 0-9 and '-', each after a slash.
func (s Scope) Check() error {
	if s == "/" {
		return nil
	}
	if len(s) > ScopeBytesMax || !strings.HasPrefix(string(s), "/") {
		return fmt.Errorf("scope %q is not a path of at most %d bytes that begins with /", string(s), ScopeBytesMax)
	}
	segments := strings.Split(string(s[1:]), "/")
	if len(segments) > ScopeDepthMax {
		return fmt.Errorf("scope %q is deeper than %d", string(s), ScopeDepthMax)
	}
	for _, seg := range segments {
		if seg == "" || strings.Trim(seg, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("scope %q: a segment is made of a-z, 0-9 and '-'", string(s))
		}
	}
	return nil
}

// Parent returns the scope above s; the parent of "/" is "/".
func (s Scope) Parent() Scope {
	if i := strings.LastIndexByte(string(s), '/'); i > 0 {
		return s[:i]
	}
	return "/"
}

// Role is a set of bits saying what a party may be in a deal. Bits are appended and never reused.
type Role uint32

// The roles.
const (
	RoleAuthority Role = 1 << iota
	RoleCore
	RoleSupplier
	RoleBank
	RoleFactor
	RoleRegulator
	RoleOperator
	RoleCourt
)

// roleNames are in bit order.
var roleNames = []string{"authority", "core", "supplier", "bank", "factor", "regulator", "operator", "court"}

// Has reports whether all bits of want are set in r.
func (r Role) Has(want Role) bool { return r&want == want }

// Known reports whether r has no bit without a name.
func (r Role) Known() bool { return r < 1<<len(roleNames) }

// String returns the names of r's bits joined by "+", or "none".
func (r Role) String() string { return bitNames(uint32(r), roleNames) }

// ParseRole reads names joined by "+" or ",".
func ParseRole(s string) (Role, error) {
	n, err := parseBits(s, roleNames)
	return Role(n), err
}

// Capability is a set of bits saying what a member key may do for its party.
type Capability uint8

// The capabilities.
const (
	CapMaker Capability = 1 << iota
	CapChecker
	CapAdmin
	CapAuditor
)

var capNames = []string{"maker", "checker", "admin", "auditor"}

// Known reports whether c has no bit without a name.
func (c Capability) Known() bool { return c < 1<<len(capNames) }

// String returns the names of c's bits joined by "+", or "none".
func (c Capability) String() string { return bitNames(uint32(c), capNames) }

// ParseCapability reads names joined by "+" or ",".
func ParseCapability(s string) (Capability, error) {
	n, err := parseBits(s, capNames)
	return Capability(n), err
}

// Class groups operations for policies.
type Class uint8

// The classes.
const (
	// ClassAdmin is the management of the party itself: members, policies, scopes, onboarding.
	ClassAdmin Class = 1
	// ClassMoney moves cash: mint, burn, transfer, hold, fund, disburse.
	ClassMoney Class = 2
	// ClassTrade makes and moves vouchers and their evidence.
	ClassTrade Class = 3
	// ClassFinance decides on credit: limits, requests, quotes, approvals, pledges.
	ClassFinance Class = 4
	// ClassOrder is an act of a court or supervisor: freeze and unfreeze.
	ClassOrder Class = 5
	// ClassPropose stores, approves or withdraws a proposal: one key of the party, maker or checker, is enough,
	// as what is proposed still needs its own class's policy.
	ClassPropose Class = 6
	// ClassSystem is signed by keys of the genesis, not by a party.
	ClassSystem Class = 7
)

var classNames = map[Class]string{
	ClassAdmin: "admin", ClassMoney: "money", ClassTrade: "trade", ClassFinance: "finance",
	ClassOrder: "order", ClassPropose: "propose", ClassSystem: "system",
}

// String returns the name of c.
func (c Class) String() string {
	if s, ok := classNames[c]; ok {
		return s
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Policy says how many distinct persons must sign an operation of Class, and in which capacities. A person who
// holds several capacities fills one place only.
type Policy struct {
	Class    Class `cbor:"1,keyasint" json:"class"`
	Makers   uint8 `cbor:"2,keyasint" json:"makers"`
	Checkers uint8 `cbor:"3,keyasint" json:"checkers"`
	Admins   uint8 `cbor:"4,keyasint" json:"admins"`
}

// DefaultPolicy is what holds for a class that a party has set no policy for: one admin for ClassAdmin, one maker
// and one checker for everything else.
func DefaultPolicy(c Class) Policy {
	if c == ClassAdmin {
		return Policy{Class: c, Admins: 1}
	}
	return Policy{Class: c, Makers: 1, Checkers: 1}
}

// Check verifies the class and that one to PolicySignersMax signatures are asked for.
func (p Policy) Check() error {
	if p.Class < ClassAdmin || p.Class > ClassOrder {
		return fmt.Errorf("a policy cannot be set for %s", p.Class)
	}
	n := int(p.Makers) + int(p.Checkers) + int(p.Admins)
	if n < 1 || n > PolicySignersMax {
		return fmt.Errorf("a policy asks for 1 to %d signatures, not %d", PolicySignersMax, n)
	}
	return nil
}

// Size is an enterprise's size class, which the protection of small companies' payments reads.
type Size uint8

// The size classes of the 2011 classification standard for enterprises.
const (
	SizeLarge  Size = 1
	SizeMedium Size = 2
	SizeSmall  Size = 3
	SizeMicro  Size = 4
)

// Credential binds a member key to a person in a party. It is signed by an accredited identity issuer, never by
// the party's own admin. The signature is over the encoding of the credential with an empty Sig, under
// DomainCredential.
type Credential struct {
	Network  suite.Hash      `cbor:"1,keyasint" json:"network"`
	Issuer   suite.PublicKey `cbor:"2,keyasint" json:"issuer"`
	Party    PartyID         `cbor:"3,keyasint" json:"party"`
	Key      suite.PublicKey `cbor:"4,keyasint" json:"key"`
	Person   suite.Hash      `cbor:"5,keyasint" json:"person"`
	NotAfter Time            `cbor:"6,keyasint" json:"not_after"`
	Sig      suite.Signature `cbor:"7,keyasint" json:"sig"`
}

// MemberGrant makes Key a member key. The key itself must sign the transaction, which proves its possession.
type MemberGrant struct {
	Key        suite.PublicKey `cbor:"1,keyasint" json:"key"`
	Caps       Capability      `cbor:"2,keyasint" json:"caps"`
	NotBefore  Time            `cbor:"3,keyasint" json:"not_before"`
	NotAfter   Time            `cbor:"4,keyasint" json:"not_after"`
	Credential Credential      `cbor:"5,keyasint" json:"credential"`
}

func bitNames(bits uint32, names []string) string {
	var out []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "+")
}

func parseBits(s string, names []string) (uint32, error) {
	var bits uint32
next:
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == '+' || r == ',' }) {
		for i, name := range names {
			if word == name {
				bits |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("%q is none of %s", word, strings.Join(names, ", "))
	}
	if bits == 0 {
		return 0, errors.New("name at least one of " + strings.Join(names, ", "))
	}
	return bits, nil
}
