package ledger

import "fmt"

// Code numbers what became of a transaction. Numbers are appended and never reused.
type Code uint16

// The codes. Below 100 are refusals before execution, which leave no receipt.
const (
	CodeOK Code = 0

	CodeEncoding   Code = 1
	CodeTooLarge   Code = 2
	CodeNetwork    Code = 3
	CodeSignature  Code = 4
	CodeBusy       Code = 5
	CodeWindow     Code = 6
	CodeUnroutable Code = 7

	CodeExpired       Code = 100
	CodeReplay        Code = 101
	CodeClockAdvance  Code = 102
	CodeOverflow      Code = 103
	CodeArgument      Code = 104
	CodeLimitExceeded Code = 105

	CodePolicyUnmet  Code = 200
	CodeKeyUnknown   Code = 201
	CodeKeyRevoked   Code = 202
	CodeKeyExpired   Code = 203
	CodeSamePerson   Code = 204
	CodePartyUnknown Code = 205
	CodePartyExists  Code = 206
	CodeRoleMissing  Code = 207
	CodeCredential   Code = 208
	CodeScope        Code = 209
	CodeKeyExists    Code = 210
	CodePossession   Code = 211
	CodeLastAdmin    Code = 212
	CodeMembersFull  Code = 213

	CodeAccountUnknown    Code = 300
	CodeInsufficientFunds Code = 301
	CodeMandate           Code = 302
	CodeHoldUnknown       Code = 303
	CodeAccountExists     Code = 304

	CodeCreditLimit     Code = 400
	CodeInvoiceUnknown  Code = 401
	CodeInvoiceHeadroom Code = 402
	CodeInvoiceExists   Code = 403
	CodeInvoiceParties  Code = 404
	CodeConfirmation    Code = 405

	CodeVoucherUnknown Code = 500
	CodeVoucherState   Code = 501
	CodeLotUnknown     Code = 502
	CodeLotLocked      Code = 503
	CodeLotFrozen      Code = 504
	CodeLotPledged     Code = 505
	CodeLotPaid        Code = 506
	CodeNotHolder      Code = 507
	CodePartsMismatch  Code = 508
	CodeTenor          Code = 509
	CodeIssuerBarred   Code = 510
	CodeOfferUnknown   Code = 511
	CodeOfferExpired   Code = 512
	CodeOfferOpen      Code = 513
	CodeMatured        Code = 514
	CodeOrderUnknown   Code = 515
	CodeLotsMany       Code = 516
	CodePledgeState    Code = 517

	CodeRequestUnknown Code = 600
	CodeRequestState   Code = 601
	CodeQuoteUnknown   Code = 602
	CodeQuoteExpired   Code = 603
	CodeNotRegistered  Code = 604
	CodeTermsMismatch  Code = 605
	CodeNotAddressed   Code = 606

	CodeProposalUnknown Code = 700
	CodeProposalState   Code = 701
	CodeProposalExpired Code = 702

	CodeClock Code = 800
	// CodeRule is reserved for refusals by an enacted rule.
	CodeRule Code = 900
)

var codeNames = map[Code]string{
	CodeOK: "OK", CodeEncoding: "ENCODING", CodeTooLarge: "TOO_LARGE", CodeNetwork: "WRONG_NETWORK",
	CodeSignature: "BAD_SIGNATURE", CodeBusy: "BUSY", CodeWindow: "OUTSIDE_WINDOW", CodeUnroutable: "UNROUTABLE",
	CodeExpired: "EXPIRED", CodeReplay: "REPLAY", CodeClockAdvance: "CLOCK_ADVANCING", CodeOverflow: "OVERFLOW",
	CodeArgument: "BAD_ARGUMENT", CodeLimitExceeded: "PROTOCOL_LIMIT",
	CodePolicyUnmet: "POLICY_UNMET", CodeKeyUnknown: "KEY_UNKNOWN", CodeKeyRevoked: "KEY_REVOKED",
	CodeKeyExpired: "KEY_EXPIRED", CodeSamePerson: "SAME_PERSON", CodePartyUnknown: "PARTY_UNKNOWN",
	CodePartyExists: "PARTY_EXISTS", CodeRoleMissing: "ROLE_MISSING", CodeCredential: "BAD_CREDENTIAL",
	CodeScope: "BAD_SCOPE", CodeKeyExists: "KEY_EXISTS", CodePossession: "KEY_NOT_PROVEN",
	CodeLastAdmin: "LAST_ADMIN", CodeMembersFull: "MEMBERS_FULL",
	CodeAccountUnknown: "ACCOUNT_UNKNOWN", CodeInsufficientFunds: "INSUFFICIENT_FUNDS", CodeMandate: "NO_MANDATE",
	CodeHoldUnknown: "HOLD_UNKNOWN", CodeAccountExists: "ACCOUNT_EXISTS",
	CodeCreditLimit: "OVER_CREDIT_LIMIT", CodeInvoiceUnknown: "INVOICE_UNKNOWN",
	CodeInvoiceHeadroom: "INVOICE_OVERUSED", CodeInvoiceExists: "INVOICE_EXISTS",
	CodeInvoiceParties: "INVOICE_PARTIES", CodeConfirmation: "NOT_CONFIRMED",
	CodeVoucherUnknown: "VOUCHER_UNKNOWN", CodeVoucherState: "VOUCHER_STATE", CodeLotUnknown: "LOT_UNKNOWN",
	CodeLotLocked: "LOT_LOCKED", CodeLotFrozen: "LOT_FROZEN", CodeLotPledged: "LOT_PLEDGED", CodeLotPaid: "LOT_PAID",
	CodeNotHolder: "NOT_HOLDER", CodePartsMismatch: "PARTS_MISMATCH", CodeTenor: "BAD_TENOR",
	CodeIssuerBarred: "ISSUER_BARRED", CodeOfferUnknown: "OFFER_UNKNOWN", CodeOfferExpired: "OFFER_EXPIRED",
	CodeOfferOpen: "OFFER_OPEN", CodeMatured: "MATURED", CodeOrderUnknown: "ORDER_UNKNOWN", CodeLotsMany: "TOO_MANY_LOTS",
	CodePledgeState:    "PLEDGE_STATE",
	CodeRequestUnknown: "REQUEST_UNKNOWN", CodeRequestState: "REQUEST_STATE", CodeQuoteUnknown: "QUOTE_UNKNOWN",
	CodeQuoteExpired: "QUOTE_EXPIRED", CodeNotRegistered: "NOT_REGISTERED", CodeTermsMismatch: "TERMS_MISMATCH",
	CodeNotAddressed:    "NOT_ADDRESSED",
	CodeProposalUnknown: "PROPOSAL_UNKNOWN", CodeProposalState: "PROPOSAL_STATE", CodeProposalExpired: "PROPOSAL_EXPIRED",
	CodeClock: "CLOCK", CodeRule: "RULE",
}

// String returns the code's stable name.
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("CODE_%d", uint16(c))
}

// Spends reports whether a receipt with c spends the transaction's id. Attempts that failed for want of a policy,
// for their time, or because they were repeated do not: whoever completes the signatures may still submit.
func (c Code) Spends() bool {
	switch c {
	case CodePolicyUnmet, CodeKeyUnknown, CodeKeyRevoked, CodeKeyExpired, CodeSamePerson, CodePartyUnknown,
		CodePossession, CodeExpired, CodeReplay, CodeClockAdvance:
		return false
	default:
		return c >= 100 || c == CodeOK
	}
}
