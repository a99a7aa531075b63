package cli

import (
	"github.com/spf13/cobra"

	"aval/codec"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

func newCredentialCmd(s *session) *cobra.Command {
	return group("credential", "Credentials: which person stands behind a key, by the word of an identity issuer",
		"  aval credential issue --issuer identity --party huachen --key hc-li --person 'Li Na' --not-after 2027-12-31 --out li.cred",
		credentialIssue(s), credentialShow(s))
}

func credentialIssue(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "issue", Short: "Sign a credential with an identity issuer's key",
		Long: "Issue binds a key to a person in a party. The person is written as a commitment that only the issuer can make, equal for all\n" +
			"keys of that person in that party; the name itself is not in the file.",
		Example: "  aval credential issue --issuer identity --party huachen --key hc-li --person 'Li Na' --not-after 2027-12-31 --out li.cred",
	}
	b := newBinder(s, cmd)
	var issuer, person, out string
	var party ledger.PartyID
	var key suite.PublicKey
	var last ledger.Date
	b.text(&issuer, "issuer", "name of the issuer's key")
	b.party(&party, "party", "the person's organisation")
	b.key(&key, "key", "the person's key")
	b.text(&person, "person", "the issuer's own name for the person")
	b.date(&last, "not-after", "last day")
	b.text(&out, "out", "file to write, which must not exist")
	cmd.Args = b.check
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.loadGenesis(); err != nil {
			return err
		}
		if err := b.resolve(cmd.Context(), args); err != nil {
			return err
		}
		if person == "" {
			return usage("--person must not be empty")
		}
		signer, err := s.signer(issuer)
		if err != nil {
			return err
		}
		c, err := ledger.SignCredential(signer, ledger.Credential{Network: s.genesis.NetworkID(s.suite), Party: party, Key: key,
			Person:   ledger.PersonCommitment(s.suite, genesis.IssuerSecret(s.suite, signer), person, party),
			NotAfter: (last + 1).Start() - 1})
		if err != nil {
			return err
		}
		if err := writeFile(out, codec.MustMarshal(&c), false); err != nil {
			return err
		}
		return s.printCredential(&c)
	}
	return cmd
}

func credentialShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Show a credential and whether it is genuine", Example: "  aval credential show li.cred", Args: needArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := s.loadGenesis(); err != nil {
				return err
			}
			c, err := readCredential(args[0])
			if err != nil {
				return err
			}
			return s.printCredential(&c)
		},
	}
}

// printCredential prints a credential and what the genesis says about it.
func (s *session) printCredential(c *ledger.Credential) error {
	if _, err := s.loadProfile(); err != nil {
		return err
	}
	issuer := ""
	for _, i := range s.genesis.Issuers {
		if string(i.Key) == string(c.Issuer) {
			issuer = i.Name
		}
	}
	v := struct {
		*ledger.Credential
		Signed     bool   `json:"signature_valid"`
		Accredited string `json:"accredited_issuer"`
		Network    bool   `json:"this_network"`
	}{c, c.Verify(s.suite), issuer, c.Network == s.genesis.NetworkID(s.suite)}
	return s.print(v, func(o *output) {
		by := "an issuer that the genesis does not name"
		if issuer != "" {
			by = issuer
		}
		o.fields("Key", c.Key, "Party", s.partyName(c.Party), "Person", c.Person, "Valid until", when(c.NotAfter), "Issuer", by,
			"Signature", validWord(v.Signed), "Network", map[bool]string{true: "this one", false: "ANOTHER ONE"}[v.Network])
	})
}

func validWord(ok bool) string {
	if ok {
		return "valid"
	}
	return "NOT VALID"
}
