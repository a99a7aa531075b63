package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// group makes a command that only holds others.
func group(use, short, example string, cmds ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(cmds...)
	return cmd
}

func newPartyCmd(s *session) *cobra.Command {
	return group("party", "Organisations: onboarding, keys, policies, roles, scopes",
		"  aval party show huachen\n  aval party incoming ruida",
		partyOnboard(s), partyAddKey(s), partyRevokeKey(s), partyRotateKey(s), partyPolicy(s), partyRole(s), partyScope(s),
		partyShow(s), partyLots(s), partyIssued(s), partyIncoming(s), partyMember(s))
}

func partyOnboard(s *session) *cobra.Command {
	return operation{
		use: "onboard", short: "Admit an organisation",
		more: "Its home scope must be open (aval party scope), each member has a credential of an identity issuer (aval credential issue), and the\n" +
			"key of each signs too, which proves that somebody holds it.",
		example: "  aval party onboard --as authority --id 91310000MA1FL0000N --name 'Huachen Auto' --scope /auto --roles core \\\n" +
			"    --size large --evidence licence.pdf --member admin.cred=admin --member li.cred=maker --member wang.cred=checker \\\n" +
			"    --sign authority-admin --sign hc-admin --sign hc-li --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.PartyOnboard{Size: ledger.SizeLarge}
			b.flag("id", "legal id: unified social credit code, or LEI", func(_ context.Context, text string) error {
				op.ID = ledger.PartyID(text)
				if err := op.ID.Check(); err != nil {
					return &exitError{code: exitUsage, err: err}
				}
				return nil
			})
			b.text(&op.Name, "name", "name")
			b.flag("scope", "home scope, such as /auto", into(&op.Scope, parseScope))
			b.flag("roles", "roles joined by +: core, supplier, bank, factor, regulator, operator, court", into(&op.Roles, parseRoles))
			b.flag("size", "large, medium, small or micro", into(&op.Size, parseSize)).optional()
			b.document(&op.Evidence, "evidence", "identity evidence that was seen")
			b.each("member", "credential file and capabilities of a member, as FILE=maker+checker; the key signs too", func(_ context.Context, text string) error {
				i := strings.LastIndexByte(text, '=')
				if i < 0 {
					return usage("%q is not of the form FILE=maker", text)
				}
				g, err := newGrant(text[:i], text[i+1:])
				op.Members = append(op.Members, g)
				return err
			})
			b.each("policy", "who signs what, as trade=maker+checker", func(_ context.Context, text string) error {
				p, err := parsePolicy(text)
				op.Policies = append(op.Policies, p)
				return err
			}).optional()
			return op
		},
	}.command(s)
}

func partyAddKey(s *session) *cobra.Command {
	return operation{
		use: "add-key", short: "Add a member key to your party; the new key signs too",
		example: "  aval party add-key --as huachen --credential zhao.cred --caps checker --sign hc-admin --sign hc-zhao",
		body: func(b *binder) ledger.Body {
			op := &ledger.MemberAdd{}
			bindGrant(b, &op.Grant, true)
			return op
		},
	}.command(s)
}

func partyRotateKey(s *session) *cobra.Command {
	return operation{
		use: "rotate-key", short: "Replace a member key by a new one of the same person; the new key signs too",
		example: "  aval party rotate-key --as huachen --old hc-li --credential li-2027.cred --sign hc-admin --sign hc-li-2027",
		body: func(b *binder) ledger.Body {
			op := &ledger.MemberRotate{}
			b.key(&op.Old, "old", "key to be replaced")
			bindGrant(b, &op.Grant, false)
			b.then(func(ctx context.Context) error {
				if op.Grant.Caps != 0 {
					return nil
				}
				c, err := b.s.connect()
				if err != nil {
					return err
				}
				m, err := c.Member(ctx, op.Old)
				if err == nil {
					op.Grant.Caps = m.Caps
				}
				return err
			})
			return op
		},
	}.command(s)
}

func partyRevokeKey(s *session) *cobra.Command {
	return operation{
		use: "revoke-key", short: "End a member key of your party at once",
		example: "  aval party revoke-key --as huachen --key hc-li --reason 'left the company' --sign hc-admin",
		body: func(b *binder) ledger.Body {
			op := &ledger.MemberRevoke{}
			b.key(&op.Key, "key", "key to be revoked")
			b.text(&op.Reason, "reason", "why")
			return op
		},
	}.command(s)
}

func partyPolicy(s *session) *cobra.Command {
	return operation{
		use: "policy", short: "Replace your party's policies: who must sign what",
		example: "  aval party policy --as huachen --policy trade=maker+checker --policy money=maker+checker+checker --sign hc-admin",
		body: func(b *binder) ledger.Body {
			op := &ledger.PolicySet{}
			b.each("policy", "as trade=maker+checker; every word is another person. Classes left out get one maker and one checker, admin one admin",
				func(_ context.Context, text string) error {
					p, err := parsePolicy(text)
					op.Policies = append(op.Policies, p)
					return err
				})
			return op
		},
	}.command(s)
}

func partyRole(s *session) *cobra.Command {
	grant := operation{
		use: "grant", short: "Give a party further roles",
		example: "  aval party role grant --as authority --party linhai --roles bank --sign authority-admin",
		body: func(b *binder) ledger.Body {
			op := &ledger.RoleGrant{}
			b.party(&op.Party, "party", "who gets them")
			b.flag("roles", "roles joined by +", into(&op.Roles, parseRoles))
			return op
		},
	}
	revoke := operation{
		use: "revoke", short: "Take roles from a party; what exists under them stays",
		example: "  aval party role revoke --as authority --party linhai --roles bank --reason 'licence ended' --sign authority-admin",
		body: func(b *binder) ledger.Body {
			op := &ledger.RoleRevoke{}
			b.party(&op.Party, "party", "who loses them")
			b.flag("roles", "roles joined by +", into(&op.Roles, parseRoles))
			b.text(&op.Reason, "reason", "why")
			return op
		},
	}
	return group("role", "Grant and revoke roles", grant.example, grant.command(s), revoke.command(s))
}

func partyScope(s *session) *cobra.Command {
	return operation{
		use: "scope", short: "Open a scope below one of your party's own and name its authority",
		example: "  aval party scope --as authority --path /auto --authority authority --sign authority-admin",
		body: func(b *binder) ledger.Body {
			op := &ledger.ScopeOpen{}
			b.flag("path", "path of the new scope", into(&op.Path, parseScope))
			b.party(&op.Authority, "authority", "who governs it")
			return op
		},
	}.command(s)
}

// bindGrant declares the flags of one member grant.
func bindGrant(b *binder, g *ledger.MemberGrant, capsRequired bool) {
	var from, until ledger.Time
	b.flag("credential", "credential file from the identity issuer", func(_ context.Context, path string) (err error) {
		g.Credential, err = readCredential(path)
		return err
	})
	f := b.flag("caps", "capabilities joined by +: maker, checker, admin, auditor", into(&g.Caps, parseCaps))
	if !capsRequired {
		f.optional()
	}
	b.moment(&from, "valid-from", "when the key begins to count").optional()
	b.moment(&until, "valid-until", "when it ends, if before the credential").optional()
	b.then(func(context.Context) error {
		g.Key, g.NotBefore, g.NotAfter = g.Credential.Key, from, g.Credential.NotAfter
		if until != 0 {
			g.NotAfter = min(g.NotAfter, until)
		}
		return nil
	})
}

func newGrant(path, caps string) (ledger.MemberGrant, error) {
	c, err := parseCaps(caps)
	if err != nil {
		return ledger.MemberGrant{}, err
	}
	cred, err := readCredential(path)
	return ledger.MemberGrant{Key: cred.Key, Caps: c, NotAfter: cred.NotAfter, Credential: cred}, err
}

// credentialBytesMax bounds a credential file.
const credentialBytesMax = 4096

func readCredential(path string) (c ledger.Credential, err error) {
	b, err := readFile(path, credentialBytesMax)
	if err != nil {
		return c, err
	}
	if c, err = decodeCredential(b); err != nil {
		return c, usage("%s is not a credential file: %w", path, err)
	}
	return c, nil
}

func decodeCredential(b []byte) (c ledger.Credential, err error) {
	err = codec.Unmarshal(b, &c)
	return c, err
}

func parseScope(text string) (ledger.Scope, error) {
	if err := ledger.Scope(text).Check(); err != nil {
		return "", &exitError{code: exitUsage, err: err}
	}
	return ledger.Scope(text), nil
}

func parseRoles(text string) (ledger.Role, error) {
	r, err := ledger.ParseRole(text)
	if err != nil {
		return 0, &exitError{code: exitUsage, err: err}
	}
	return r, nil
}

func parseCaps(text string) (ledger.Capability, error) {
	c, err := ledger.ParseCapability(text)
	if err != nil {
		return 0, &exitError{code: exitUsage, err: err}
	}
	return c, nil
}

var sizeNames = []string{"large", "medium", "small", "micro"}

func parseSize(text string) (ledger.Size, error) {
	return pick(text, sizeNames, []ledger.Size{ledger.SizeLarge, ledger.SizeMedium, ledger.SizeSmall, ledger.SizeMicro})
}

// query is a command that asks a node and prints the answer.
func query(s *session, use, short, example string, declare func(b *binder) func(ctx context.Context) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example}
	b := newBinder(s, cmd)
	run := declare(b)
	cmd.Args = b.check
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := s.within(cmd.Context())
		defer cancel()
		if err := b.resolve(ctx, args); err != nil {
			return err
		}
		if _, err := s.connect(); err != nil {
			return err
		}
		return run(ctx)
	}
	return cmd
}

func partyShow(s *session) *cobra.Command {
	return query(s, "show", "Show an organisation, its keys and policies", "  aval party show huachen", func(b *binder) func(context.Context) error {
		var id ledger.PartyID
		b.arg("PARTY", into(&id, s.party))
		return func(ctx context.Context) error {
			p, err := s.client.Party(ctx, id)
			if err != nil {
				return err
			}
			return s.print(p, func(o *output) { s.showParty(o, p) })
		}
	})
}

func (s *session) showParty(o *output, p *api.Party) {
	size := "unknown"
	if i := int(p.Size) - 1; i >= 0 && i < len(sizeNames) {
		size = sizeNames[i]
	}
	o.fields("Party", p.ID, "Name", p.Name, "Scope", p.Scope, "Roles", strings.Join(p.RoleNames, ", "), "Size", size,
		"Paid at", s.partyName(p.Bank), "Since", when(p.Since), "Overdue", overdueText(p))
	o.line("")
	o.line("Policies (one maker and one checker where none is set; one admin for admin):")
	var rows [][]string
	for _, pol := range p.Policies {
		rows = append(rows, []string{pol.Class.String(), count(pol.Makers), count(pol.Checkers), count(pol.Admins)})
	}
	o.table([]string{"class", ">makers", ">checkers", ">admins"}, rows)
	o.line("")
	names := s.keyNames()
	rows = nil
	for i := range p.Keys {
		k := &p.Keys[i]
		rows = append(rows, []string{k.Key.String(), strings.Join(k.CapNames, "+"), when(k.NotAfter), yes(k.Valid), k.Person.String()[:8], names[k.Key.String()]})
	}
	o.table([]string{"key", "capabilities", "valid until", "valid", "person", "yours"}, rows)
}

func overdueText(p *api.Party) string {
	if !p.Barred {
		return ""
	}
	return p.Overdue.String() + ": the party may not issue"
}

func count(n uint8) string { return string('0' + rune(n)) }

func partyMember(s *session) *cobra.Command {
	return query(s, "key", "Show a member key, revoked ones too", "  aval party key hc-li", func(b *binder) func(context.Context) error {
		var key suite.PublicKey
		b.arg("KEY", into(&key, s.publicKey))
		return func(ctx context.Context) error {
			m, err := s.client.Member(ctx, key)
			if err != nil {
				return err
			}
			return s.print(m, func(o *output) {
				o.fields("Key", m.Key, "Party", s.partyName(m.Party), "Capabilities", strings.Join(m.CapNames, "+"), "Valid", yes(m.Valid),
					"From", when(m.NotBefore), "Until", when(m.NotAfter), "Revoked", when(m.RevokedAt), "Reason", m.Reason, "Person", m.Person)
			})
		}
	})
}
