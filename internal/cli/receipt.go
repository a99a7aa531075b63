package cli

import (
	"fmt"
	"strings"

	"aval/api"
	"aval/ledger"
)

// printOutcome prints what became of a transaction.
func (s *session) printOutcome(out *api.Outcome) error {
	return s.print(out, func(o *output) {
		r := out.Receipt
		switch {
		case r == nil:
			o.line("Taken in, not yet ordered. Ask again with   aval tx show %s", out.ID)
			return
		case r.Code != ledger.CodeOK:
			at := ""
			if r.FailedOp >= 0 {
				at = fmt.Sprintf(" in operation %d", r.FailedOp)
			}
			o.line("Refused: %s (%d)%s: %s", r.Code, uint16(r.Code), at, s.names().Replace(r.Message))
			o.line("Nothing took effect. %s", afterRefusal(r))
		default:
			o.line("Done at height %d, ledger time %s, %s.", r.Height, when(r.Time), out.Stage)
		}
		o.fields("Transaction", out.ID, "Attempt", attemptIfNotFinal(out))
		s.events(o, r.Events)
	})
}

// afterRefusal says what to do about a refusal.
func afterRefusal(r *ledger.Receipt) string {
	if r.Final {
		return "This is final; correct it and make a new transaction."
	}
	switch r.Code {
	case ledger.CodePolicyUnmet, ledger.CodeKeyUnknown, ledger.CodeSamePerson, ledger.CodePossession:
		return "Sign with what is missing too: with further --sign, or by passing a draft (--draft FILE, aval tx sign, aval tx submit)."
	case ledger.CodeKeyExpired, ledger.CodeKeyRevoked:
		return "Sign with a valid key: `aval party show PARTY` lists them, `aval party rotate-key` replaces one."
	case ledger.CodePartyUnknown:
		return "Correct the party, or have it onboarded first (aval party onboard)."
	case ledger.CodeExpired:
		return "Make a new transaction, and submit it in time."
	case ledger.CodeReplay:
		return "The transaction was decided before: `aval tx show ID` tells how."
	case ledger.CodeClockAdvance:
		return "The lab clock is on its way; do it again in a moment."
	default:
		return "This attempt is not final: the same transaction may be submitted again."
	}
}

// attemptIfNotFinal shows the hash by which an attempt that did not spend its id is found.
func attemptIfNotFinal(out *api.Outcome) string {
	if out.Receipt.Final {
		return ""
	}
	return out.Signed.String()
}

// events prints what happened, one line each, with the ids that later commands need.
func (s *session) events(o *output, events []ledger.Event) {
	names := s.names()
	for i := range events {
		e := &events[i]
		text := e.Kind
		if e.Party != "" {
			text += "  " + s.partyName(e.Party)
		}
		if e.Counterparty != "" && e.Counterparty != e.Party {
			text += " → " + s.partyName(e.Counterparty)
		}
		if e.Amount != 0 {
			text += "  " + e.Amount.String()
		}
		if e.To > e.From {
			text += "  [" + span(e.From, e.To) + "]"
		}
		switch {
		case e.Note == "":
		case e.Kind == "proposal.approved": // the note says why the last step has to wait
			text += "  not executed yet: " + names.Replace(e.Note)
		default:
			text += "  " + names.Replace(e.Note)
		}
		o.line("• %s", text)
		subject, ref := idNames(e.Kind)
		if !e.Subject.IsZero() {
			o.line("    %-8s %s", subject, e.Subject)
		}
		if !e.Ref.IsZero() {
			o.line("    %-8s %s", ref, e.Ref)
		}
	}
}

// idNames says what an event's two ids are the ids of.
func idNames(kind string) (subject, ref string) {
	noun, _, _ := strings.Cut(kind, ".")
	switch noun {
	case "invoice":
		return "invoice", "invoice"
	case "proposal":
		return "proposal", ""
	case "offer":
		return "voucher", "offer"
	case "finance":
		return "voucher", "request"
	}
	if kind == "lot.frozen" || kind == "lot.unfrozen" {
		return "voucher", "order"
	}
	return "voucher", "hold"
}

// txView is how a transaction is shown.
type txView struct {
	ID         string           `json:"id"`
	Signed     string           `json:"signed"`
	Network    string           `json:"network"`
	ValidUntil ledger.Time      `json:"valid_until"`
	Expired    bool             `json:"expired"`
	Operations []api.Operation  `json:"operations"`
	Signatures []signatureState `json:"signatures"`
}

// signatureState is one signature and whether it is right.
type signatureState struct {
	Key   string `json:"key"`
	Name  string `json:"name"`
	Valid bool   `json:"valid"`
}

// viewTx describes a transaction; the genesis has been loaded.
func (s *session) viewTx(tx *ledger.SignedTx) (*txView, error) {
	ops, err := api.NewOperations(tx.Tx.Ops)
	if err != nil {
		return nil, err
	}
	id := tx.Tx.ID(s.suite)
	v := &txView{ID: id.String(), Network: tx.Tx.Network.String(), ValidUntil: tx.Tx.ValidUntil,
		Expired: tx.Tx.ValidUntil < s.wall(), Operations: ops, Signatures: []signatureState{}}
	v.Signed = s.suite.Hash(ledger.DomainSignedTx, mustEncode(tx)).String()
	names := s.keyNames()
	for _, sig := range tx.Sigs {
		v.Signatures = append(v.Signatures, signatureState{Key: sig.Key.String(), Name: names[sig.Key.String()],
			Valid: s.suite.Verify(sig.Key, ledger.DomainTxSignature, id[:], sig.Sig)})
	}
	return v, nil
}

// keyNames maps the public keys of the user's key files to their names; without a readable directory it is empty.
func (s *session) keyNames() map[string]string {
	names := map[string]string{}
	dir, err := s.keys()
	if err != nil {
		return names
	}
	entries, err := dir.List()
	if err != nil {
		return names
	}
	for _, e := range entries {
		names[e.File.Public.String()] = e.Name
	}
	return names
}
