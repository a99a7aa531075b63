package ledger

import (
	"fmt"

	"aval/codec"
	"aval/suite"
)

// Message returns the bytes that an identity issuer signs under DomainCredential: the encoding of c with an empty Sig.
func (c *Credential) Message() []byte {
	unsigned := *c
	unsigned.Sig = nil
	return codec.MustMarshal(&unsigned)
}

// SignCredential returns c issued and signed by issuer.
func SignCredential(issuer suite.Signer, c Credential) (Credential, error) {
	c.Issuer = issuer.Public()
	sig, err := issuer.Sign(DomainCredential, c.Message())
	if err != nil {
		return Credential{}, fmt.Errorf("sign credential for %s: %w", c.Party, err)
	}
	c.Sig = sig
	return c, nil
}

// Verify reports whether c bears the signature of the issuer it names. Whether that issuer is accredited is for the
// caller to say.
func (c *Credential) Verify(s suite.Suite) bool {
	return s.Verify(c.Issuer, DomainCredential, c.Message(), c.Sig)
}

// PersonCommitment returns what stands for a person in a party: the same for all keys of that person there, and
// telling nothing to whoever lacks the issuer's secret. Person is the issuer's own name for the person.
func PersonCommitment(s suite.Suite, issuerSecret []byte, person string, party PartyID) suite.Hash {
	return s.Hash(DomainPerson, issuerSecret, []byte(person), []byte(party))
}
