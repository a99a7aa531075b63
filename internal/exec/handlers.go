package exec

import (
	"maps"

	"aval/internal/invariant"
	"aval/internal/native/identity"
	"aval/internal/native/money"
	"aval/internal/vm"
	"aval/ledger"
)

// handler executes one operation whose acting party's policy is met. Its errors are *ledger.Failure; what it wrote before
// failing is taken back.
type handler func(c *vm.Context, body ledger.Body) error

// on makes a handler of a function for one type of body.
func on[B ledger.Body](h func(*vm.Context, B) error) handler {
	return func(c *vm.Context, body ledger.Body) error {
		b, ok := body.(B)
		invariant.Check(ok, "a handler was given %T", body)
		return h(c, b)
	}
}

// newHandlers returns the handler of every kind of operation.
func (x *Executor) newHandlers() map[ledger.Kind]handler {
	handlers := map[ledger.Kind]handler{
		ledger.KindClockAdvance: on(clockAdvance),

		ledger.KindPartyOnboard: on(identity.PartyOnboard),
		ledger.KindRoleGrant:    on(identity.RoleGrant),
		ledger.KindRoleRevoke:   on(identity.RoleRevoke),
		ledger.KindMemberAdd:    on(identity.MemberAdd),
		ledger.KindMemberRevoke: on(identity.MemberRevoke),
		ledger.KindMemberRotate: on(identity.MemberRotate),
		ledger.KindPolicySet:    on(identity.PolicySet),
		ledger.KindScopeOpen:    on(identity.ScopeOpen),

		ledger.KindAccountOpen:   on(money.AccountOpen),
		ledger.KindMoneyMint:     on(money.MoneyMint),
		ledger.KindMoneyBurn:     on(money.MoneyBurn),
		ledger.KindMoneyTransfer: on(money.MoneyTransfer),
		ledger.KindMoneyHold:     on(money.MoneyHold),
		ledger.KindHoldEnd:       on(money.HoldEnd),
		ledger.KindMandateGrant:  on(money.MandateGrant),
		ledger.KindMandateSettle: on(money.MandateSettle),

		ledger.KindProposalCreate:   on(x.proposalCreate),
		ledger.KindProposalApprove:  on(x.proposalApprove),
		ledger.KindProposalWithdraw: on(proposalWithdraw),
	}
	maps.Copy(handlers, tradeHandlers())
	return handlers
}
