package exectest

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/cockroachdb/datadriven"

	"aval/codec"
	"aval/ledger"
)

// onboard declares a party with the default keys and onboards it.
func (s *script) onboard(name string, a args) (string, error) {
	if _, ok := s.parties[name]; !ok {
		s.DeclareParty(name, ledger.PartyID(a.text("id", "")))
	}
	op := &ledger.PartyOnboard{ID: s.parties[name], Name: a.text("name", strings.ToUpper(name[:1])+name[1:]), Scope: "/"}
	for _, f := range []struct{ arg, otherwise string }{{"scope", "/"}, {"roles", "supplier"}, {"size", "medium"}} {
		v, _ := field(reflect.ValueOf(op).Elem(), f.arg)
		if err := s.scalar(a.text(f.arg, f.otherwise), v); err != nil {
			return "", fmt.Errorf("%s: %w", f.arg, err)
		}
	}
	by := a.text("by", "authority")
	signers := []string{by + ".a"}
	for _, k := range defaultKeys {
		m, err := s.DeclareMember(name, k.suffix, k.caps, name+"."+k.suffix)
		if err != nil {
			return "", err
		}
		op.Members = append(op.Members, m.Grant)
		signers = append(signers, m.Name)
	}
	return s.do(signers, ledger.NewOp(s.party(by), op))
}

// bank onboards a bank, opens accounts with it and mints.
func (s *script) bank(name string, a args) (string, error) {
	out := ""
	if _, ok := s.parties[name]; !ok {
		a.d.CmdArgs = append(a.d.CmdArgs, datadriven.CmdArg{Key: "roles", Vals: []string{"bank"}})
		var err error
		if out, err = s.onboard(name, a); err != nil {
			return "", err
		}
	}
	for _, holder := range a.list("holders") {
		id := s.party(holder)
		ops := []ledger.Op{ledger.NewOp(s.parties[name], &ledger.AccountOpen{Holder: id})}
		if a.has("amount") {
			fen, err := amount(a.text("amount", ""))
			if err != nil {
				return "", err
			}
			ops = append(ops, ledger.NewOp(s.parties[name], &ledger.MoneyMint{Holder: id, Amount: fen, Ref: "opening"}))
		}
		receipt, err := s.do([]string{name, holder}, ops...)
		if err != nil {
			return "", err
		}
		out += receipt
	}
	return out, nil
}

// do signs ops by the named keys and makes a block of them.
func (s *script) do(signers []string, ops ...ledger.Op) (string, error) {
	keys, err := s.keys(signers)
	if err != nil {
		return "", err
	}
	t := s.NewTx(ops...)
	for _, m := range keys {
		if err := t.Sign(s.Suite, m.Signer); err != nil {
			return "", err
		}
	}
	return s.send(codec.MustMarshal(t), false)
}

// declare makes a key known, with the credential that the arguments describe.
func (s *script) declare(name string, a args) (err error) {
	party, suffix, ok := strings.Cut(name, ".")
	if _, known := s.parties[party]; !ok || !known {
		return fmt.Errorf("%q is not PARTY.key", name)
	}
	caps, err := ledger.ParseCapability(a.text("caps", "maker"))
	if err != nil {
		return err
	}
	m, err := s.DeclareMember(party, suffix, caps, a.text("person", name))
	if err != nil {
		return err
	}
	c := m.Grant.Credential
	for arg, at := range map[string]*ledger.Time{"from": &m.Grant.NotBefore, "until": &m.Grant.NotAfter, "cred-until": &c.NotAfter} {
		if a.has(arg) {
			if *at, err = s.time(a.text(arg, "")); err != nil {
				return err
			}
		}
	}
	if p := a.text("cred-party", ""); p != "" {
		c.Party = s.party(p)
	}
	if k := a.text("cred-key", ""); k != "" {
		other, err := s.member(k)
		if err != nil {
			return err
		}
		c.Key = other.Signer.Public()
	}
	if a.has("cred-network") {
		c.Network[0] ^= 1
	}
	issuer := s.issuer
	if other := a.text("cred-issuer", ""); other != "" {
		// An issuer knows its own secret only, so it stands for a person by another commitment.
		issuer = s.Signer(other)
		c.Person = ledger.PersonCommitment(s.Suite, []byte("the secret of "+other), a.text("person", name), c.Party)
	}
	if err := s.credential(m, issuer, c); err != nil {
		return err
	}
	if a.has("cred-tampered") {
		m.Grant.Credential.Sig[9] ^= 1
	}
	return nil
}

// propose stores operations in a proposal that the name is bound to.
func (s *script) propose(name string, a args, input string) (string, error) {
	ops, err := s.ops(input)
	if err != nil {
		return "", err
	}
	create := &ledger.ProposalCreate{Note: a.text("note", "")}
	if create.Expires, err = s.time(a.text("expires", "+10d")); err != nil {
		return "", err
	}
	for _, p := range a.list("parties") {
		create.Parties = append(create.Parties, s.party(p))
	}
	for _, n := range ops {
		create.Ops = append(create.Ops, n.op)
	}
	keys, err := s.keys(a.list("by"))
	if err != nil || len(keys) == 0 {
		return "", fmt.Errorf("by: %w", err)
	}
	t := s.NewTx(ledger.NewOp(s.party(keys[0].Party), create))
	s.bindIDs(name, t.Tx.ID(s.Suite), 0)
	for i, n := range ops {
		if n.name != "" {
			s.bindIDs(n.name, s.hashes[name], i)
		}
	}
	for _, m := range keys {
		if err := t.Sign(s.Suite, m.Signer); err != nil {
			return "", err
		}
	}
	return s.send(codec.MustMarshal(t), false)
}

// onProposal approves or withdraws in the name of the first signer's party.
func (s *script) onProposal(name string, a args, body ledger.Body) (string, error) {
	names := append(append([]string(nil), a.list("by")...), a.list("also")...)
	keys, err := s.keys(names)
	if err != nil || len(keys) == 0 {
		return "", fmt.Errorf("%s by: %w", name, err)
	}
	return s.do(names, ledger.NewOp(s.party(keys[0].Party), body))
}
