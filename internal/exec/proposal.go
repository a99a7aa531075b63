package exec

import (
	"slices"

	"aval/codec"
	"aval/internal/native/identity"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// proposalCreate stores operations, with the signing keys of the acting party as the first approvals, and executes them
// at once if those are enough.
func (x *Executor) proposalCreate(c *vm.Context, op *ledger.ProposalCreate) error {
	if err := checkProposal(c, op); err != nil {
		return err
	}
	keys, err := c.Auth.RequireAny(c.Acting)
	if err != nil {
		return err
	}
	p := ledger.Proposal{
		ID: c.NewID(0), Maker: c.Acting, Ops: op.Ops, Parties: op.Parties, Expires: op.Expires, Note: op.Note,
		Status: ledger.ProposalOpen,
	}
	for _, party := range op.Parties {
		c.Emit(ledger.Event{Kind: "proposal.created", Subject: p.ID, Party: c.Acting, Counterparty: party, Note: op.Note})
	}
	return x.approve(c, &p, keys)
}

func checkProposal(c *vm.Context, op *ledger.ProposalCreate) error {
	refuse := func(format string, args ...any) error { return ledger.Failf(ledger.CodeArgument, format, args...) }
	switch {
	case len(op.Ops) == 0 || len(op.Ops) > ledger.TxOpsMax:
		return refuse("a proposal has 1 to %d operations, not %d", ledger.TxOpsMax, len(op.Ops))
	case len(op.Parties) == 0 || len(op.Parties) > ledger.ProposalPartiesMax:
		return refuse("a proposal names 1 to %d parties, not %d", ledger.ProposalPartiesMax, len(op.Parties))
	case op.Expires <= c.Time || op.Expires-c.Time > ledger.ProposalOpenMax:
		return refuse("a proposal expires after now, %s, and within %d days, not at %s", c.Time, ledger.ProposalOpenMax/ledger.Day, op.Expires)
	case len(op.Note) > ledger.TextBytesMax:
		return refuse("the note has %d bytes, the most is %d", len(op.Note), ledger.TextBytesMax)
	}
	for i, party := range op.Parties {
		if err := party.Check(); err != nil {
			return refuse("party %d: %v", i, err)
		}
		if slices.Contains(op.Parties[:i], party) {
			return refuse("%s is named twice", party)
		}
	}
	bytes := 0
	for i := range op.Ops {
		inner := &op.Ops[i]
		if _, err := inner.Decode(); err != nil {
			return refuse("operation %d of the proposal: %v", i, err)
		}
		if info, _ := inner.Kind.Info(); info.Class == ledger.ClassPropose || info.Class == ledger.ClassSystem {
			return refuse("operation %d of the proposal: %s cannot be proposed", i, inner.Kind)
		}
		if !slices.Contains(op.Parties, inner.Party) {
			return refuse("operation %d of the proposal is done in the name of a party that the proposal does not name", i)
		}
		bytes += len(codec.MustMarshal(inner))
	}
	if bytes > ledger.ProposalBytesMax {
		return ledger.Failf(ledger.CodeLimitExceeded, "the operations have %d bytes, the most is %d", bytes, ledger.ProposalBytesMax)
	}
	return nil
}

// proposalApprove adds the signing keys of the acting party as approvals; the last one needed executes the operations.
func (x *Executor) proposalApprove(c *vm.Context, op *ledger.ProposalApprove) error {
	p, err := openProposal(c, op.Proposal)
	if err != nil {
		return err
	}
	switch {
	case c.Time >= p.Expires:
		return ledger.Failf(ledger.CodeProposalExpired, "proposal %s expired at %s", p.ID, p.Expires)
	case !slices.Contains(p.Parties, c.Acting):
		return ledger.Failf(ledger.CodeNotAddressed, "proposal %s does not name %s", p.ID, c.Acting)
	}
	keys, err := c.Auth.RequireAny(c.Acting)
	if err != nil {
		return err
	}
	return x.approve(c, &p, keys)
}

// approve adds keys to the approvals, tries to execute and stores p. Operations that fail for want of a policy leave the
// proposal open; any other failure is the failure of the approval.
func (x *Executor) approve(c *vm.Context, p *ledger.Proposal, keys []suite.PublicKey) error {
	for _, key := range keys {
		if !slices.ContainsFunc(p.Approvals, func(k suite.PublicKey) bool { return string(k) == string(key) }) {
			p.Approvals = append(p.Approvals, key)
		}
	}
	if len(p.Approvals) > ledger.ProposalApprovalsMax {
		return ledger.Failf(ledger.CodeLimitExceeded, "a proposal holds the approvals of at most %d keys", ledger.ProposalApprovalsMax)
	}
	// Who approved and who signs this transaction has proved possession; only who approved counts for policies.
	inner := *c
	inner.Tx, inner.Acting = p.ID, ""
	inner.Auth = &approvers{Authorizer: identity.NewAuthorizer(c.Journal, c.Time, p.Approvals), now: c.Auth}
	failedOp, err := x.run(&inner, p.Ops)
	event := ledger.Event{Kind: "proposal.executed", Subject: p.ID, Party: c.Acting}
	switch {
	case err == nil:
		p.Status = ledger.ProposalExecuted
	case asFailure(err).Code.Spends():
		f := asFailure(err)
		return ledger.Failf(f.Code, "operation %d of the proposal: %s", failedOp, f.Message)
	default:
		event.Kind, event.Note = "proposal.approved", clip(asFailure(err).Message)
	}
	vm.Store(c.Journal, ledger.ProposalKey(p.ID), p)
	c.Emit(event)
	return nil
}

// approvers authorizes a proposal's operations.
type approvers struct {
	*identity.Authorizer
	now vm.Authorizer
}

// HasKey reports whether the holder of key has approved or signs now.
func (a *approvers) HasKey(key suite.PublicKey) bool {
	return a.Authorizer.HasKey(key) || a.now.HasKey(key)
}

// proposalWithdraw ends a proposal.
func proposalWithdraw(c *vm.Context, op *ledger.ProposalWithdraw) error {
	p, err := openProposal(c, op.Proposal)
	if err != nil {
		return err
	}
	if p.Maker != c.Acting {
		return ledger.Failf(ledger.CodeNotAddressed, "proposal %s was made by %s, who alone may withdraw it", p.ID, p.Maker)
	}
	p.Status = ledger.ProposalWithdrawn
	vm.Store(c.Journal, ledger.ProposalKey(p.ID), &p)
	c.Emit(ledger.Event{Kind: "proposal.withdrawn", Subject: p.ID, Party: c.Acting})
	return nil
}

func openProposal(c *vm.Context, id suite.Hash) (ledger.Proposal, error) {
	p, ok := vm.Load[ledger.Proposal](c.Journal, ledger.ProposalKey(id))
	switch {
	case !ok:
		return p, ledger.Failf(ledger.CodeProposalUnknown, "there is no proposal %s", id)
	case p.Status != ledger.ProposalOpen:
		return p, ledger.Failf(ledger.CodeProposalState, "proposal %s is executed or withdrawn", id)
	}
	return p, nil
}
