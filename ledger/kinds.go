package ledger

import "fmt"

// Kind numbers an operation. Numbers are appended and never reused.
type Kind uint16

// The operations.
const (
	KindClockAdvance Kind = 1

	KindPartyOnboard Kind = 100
	KindRoleGrant    Kind = 101
	KindRoleRevoke   Kind = 102
	KindMemberAdd    Kind = 103
	KindMemberRevoke Kind = 104
	KindMemberRotate Kind = 105
	KindPolicySet    Kind = 106
	KindScopeOpen    Kind = 107

	KindAccountOpen   Kind = 200
	KindMoneyMint     Kind = 201
	KindMoneyBurn     Kind = 202
	KindMoneyTransfer Kind = 203
	KindMoneyHold     Kind = 204
	KindHoldEnd       Kind = 205
	KindMandateGrant  Kind = 206
	KindMandateSettle Kind = 207

	KindLimitGrant       Kind = 300
	KindEvidenceRegister Kind = 310
	KindEvidenceConfirm  Kind = 311

	KindVoucherIssue  Kind = 400
	KindVoucherAccept Kind = 401
	KindVoucherReject Kind = 402
	KindVoucherExpire Kind = 403
	KindVoucherCancel Kind = 404
	KindVoucherOffer  Kind = 410
	KindOfferAccept   Kind = 411
	KindOfferReject   Kind = 412
	KindOfferExpire   Kind = 413
	KindOfferWithdraw Kind = 414
	KindPledgeCreate  Kind = 420
	KindPledgeRecord  Kind = 421
	KindPledgeRelease Kind = 422
	KindLotFreeze     Kind = 430
	KindLotUnfreeze   Kind = 431
	KindVoucherFund   Kind = 440
	KindDayFund       Kind = 441

	KindFinanceRequest  Kind = 500
	KindFinanceWithdraw Kind = 501
	KindFinanceQuote    Kind = 502
	KindFinanceAccept   Kind = 503
	KindFinanceApprove  Kind = 504
	KindFinanceRegister Kind = 505
	KindFinanceDisburse Kind = 506
	KindFinanceExpire   Kind = 507

	KindProposalCreate   Kind = 600
	KindProposalApprove  Kind = 601
	KindProposalWithdraw Kind = 602
)

// Body is an operation's body: a pointer to one of the types of this package.
type Body interface {
	// Kind returns the operation's number.
	Kind() Kind
}

// KindInfo describes a kind of operation.
type KindInfo struct {
	Kind Kind
	// Name is the stable dotted name, such as "voucher.issue".
	Name string
	// Class is what the acting party's policy is looked up by.
	Class Class
	// New returns a pointer to a zero body.
	New func() Body
}

// kindList is every operation there is.
var kindList = []KindInfo{
	{KindClockAdvance, "clock.advance", ClassSystem, func() Body { return new(ClockAdvance) }},
	{KindPartyOnboard, "party.onboard", ClassAdmin, func() Body { return new(PartyOnboard) }},
	{KindRoleGrant, "role.grant", ClassAdmin, func() Body { return new(RoleGrant) }},
	{KindRoleRevoke, "role.revoke", ClassAdmin, func() Body { return new(RoleRevoke) }},
	{KindMemberAdd, "member.add", ClassAdmin, func() Body { return new(MemberAdd) }},
	{KindMemberRevoke, "member.revoke", ClassAdmin, func() Body { return new(MemberRevoke) }},
	{KindMemberRotate, "member.rotate", ClassAdmin, func() Body { return new(MemberRotate) }},
	{KindPolicySet, "policy.set", ClassAdmin, func() Body { return new(PolicySet) }},
	{KindScopeOpen, "scope.open", ClassAdmin, func() Body { return new(ScopeOpen) }},
	{KindAccountOpen, "account.open", ClassMoney, func() Body { return new(AccountOpen) }},
	{KindMoneyMint, "money.mint", ClassMoney, func() Body { return new(MoneyMint) }},
	{KindMoneyBurn, "money.burn", ClassMoney, func() Body { return new(MoneyBurn) }},
	{KindMoneyTransfer, "money.transfer", ClassMoney, func() Body { return new(MoneyTransfer) }},
	{KindMoneyHold, "money.hold", ClassMoney, func() Body { return new(MoneyHold) }},
	{KindHoldEnd, "hold.end", ClassMoney, func() Body { return new(HoldEnd) }},
	{KindMandateGrant, "mandate.grant", ClassMoney, func() Body { return new(MandateGrant) }},
	{KindMandateSettle, "mandate.settle", ClassMoney, func() Body { return new(MandateSettle) }},
	{KindLimitGrant, "limit.grant", ClassFinance, func() Body { return new(LimitGrant) }},
	{KindEvidenceRegister, "evidence.register", ClassTrade, func() Body { return new(EvidenceRegister) }},
	{KindEvidenceConfirm, "evidence.confirm", ClassTrade, func() Body { return new(EvidenceConfirm) }},
	{KindVoucherIssue, "voucher.issue", ClassTrade, func() Body { return new(VoucherIssue) }},
	{KindVoucherAccept, "voucher.accept", ClassTrade, func() Body { return new(VoucherAccept) }},
	{KindVoucherReject, "voucher.reject", ClassTrade, func() Body { return new(VoucherReject) }},
	{KindVoucherExpire, "voucher.expire", ClassTrade, func() Body { return new(VoucherExpire) }},
	{KindVoucherCancel, "voucher.cancel", ClassTrade, func() Body { return new(VoucherCancel) }},
	{KindVoucherOffer, "voucher.offer", ClassTrade, func() Body { return new(VoucherOffer) }},
	{KindOfferAccept, "offer.accept", ClassTrade, func() Body { return new(OfferAccept) }},
	{KindOfferReject, "offer.reject", ClassTrade, func() Body { return new(OfferReject) }},
	{KindOfferExpire, "offer.expire", ClassTrade, func() Body { return new(OfferExpire) }},
	{KindOfferWithdraw, "offer.withdraw", ClassTrade, func() Body { return new(OfferWithdraw) }},
	{KindPledgeCreate, "pledge.create", ClassFinance, func() Body { return new(PledgeCreate) }},
	{KindPledgeRecord, "pledge.record", ClassFinance, func() Body { return new(PledgeRecord) }},
	{KindPledgeRelease, "pledge.release", ClassFinance, func() Body { return new(PledgeRelease) }},
	{KindLotFreeze, "lot.freeze", ClassOrder, func() Body { return new(LotFreeze) }},
	{KindLotUnfreeze, "lot.unfreeze", ClassOrder, func() Body { return new(LotUnfreeze) }},
	{KindVoucherFund, "voucher.fund", ClassMoney, func() Body { return new(VoucherFund) }},
	{KindDayFund, "day.fund", ClassMoney, func() Body { return new(DayFund) }},
	{KindFinanceRequest, "finance.request", ClassFinance, func() Body { return new(FinanceRequest) }},
	{KindFinanceWithdraw, "finance.withdraw", ClassFinance, func() Body { return new(FinanceWithdraw) }},
	{KindFinanceQuote, "finance.quote", ClassFinance, func() Body { return new(FinanceQuote) }},
	{KindFinanceAccept, "finance.accept", ClassFinance, func() Body { return new(FinanceAccept) }},
	{KindFinanceApprove, "finance.approve", ClassFinance, func() Body { return new(FinanceApprove) }},
	{KindFinanceRegister, "finance.register", ClassFinance, func() Body { return new(FinanceRegister) }},
	{KindFinanceDisburse, "finance.disburse", ClassMoney, func() Body { return new(FinanceDisburse) }},
	{KindFinanceExpire, "finance.expire", ClassFinance, func() Body { return new(FinanceExpire) }},
	{KindProposalCreate, "proposal.create", ClassPropose, func() Body { return new(ProposalCreate) }},
	{KindProposalApprove, "proposal.approve", ClassPropose, func() Body { return new(ProposalApprove) }},
	{KindProposalWithdraw, "proposal.withdraw", ClassPropose, func() Body { return new(ProposalWithdraw) }},
}

var kinds = func() map[Kind]KindInfo {
	m := make(map[Kind]KindInfo, len(kindList))
	for _, info := range kindList {
		m[info.Kind] = info
	}
	return m
}()

// Kinds returns every kind of operation in numeric order.
func Kinds() []KindInfo { return append([]KindInfo(nil), kindList...) }

// Info returns the description of k.
func (k Kind) Info() (KindInfo, bool) {
	info, ok := kinds[k]
	return info, ok
}

// Guarded reports whether a batch that holds an operation of this kind needs a quorum of verifications instead of
// f + 1: whatever changes keys, parties and policies, makes money, or carries out a court's order; and proposals, which
// may do any of these.
func (k Kind) Guarded() bool {
	switch info := kinds[k]; info.Class {
	case ClassAdmin, ClassSystem, ClassOrder, ClassPropose:
		return true
	default:
		return k == KindMoneyMint
	}
}

// String returns the stable name of k.
func (k Kind) String() string {
	if info, ok := kinds[k]; ok {
		return info.Name
	}
	return fmt.Sprintf("kind %d", uint16(k))
}

// MarshalText returns the stable name of k.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a stable name.
func (k *Kind) UnmarshalText(b []byte) error {
	for _, info := range kindList {
		if info.Name == string(b) {
			*k = info.Kind
			return nil
		}
	}
	return fmt.Errorf("operation %q is unknown", b)
}
