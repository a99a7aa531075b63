package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aval/ledger"
	"aval/suite"
)

func newProposalCmd(s *session) *cobra.Command {
	return group("proposal", "Operations that wait for approval longer than ten minutes",
		"  aval voucher issue … --add-to issue.tx\n  aval proposal create --as huachen --ops issue.tx --expires 3d --sign hc-li\n  aval proposal approve 4d2e… --as huachen --sign hc-wang",
		proposalCreate(s), proposalApprove(s), proposalWithdraw(s), proposalShow(s))
}

func proposalCreate(s *session) *cobra.Command {
	return operation{
		use: "create", short: "Store the operations of a draft until enough keys have approved; your signatures count",
		example: "  aval proposal create --as huachen --ops issue.tx --expires 3d --note 'September vouchers' --sign hc-li",
		body: func(b *binder) ledger.Body {
			op := &ledger.ProposalCreate{}
			b.flag("ops", "draft file whose operations are proposed", func(_ context.Context, path string) error {
				if err := s.loadGenesis(); err != nil {
					return err
				}
				tx, err := s.readDraft(path)
				if err != nil {
					return err
				}
				op.Ops = tx.Tx.Ops
				for i := range op.Ops {
					if !slices.Contains(op.Parties, op.Ops[i].Party) {
						op.Parties = append(op.Parties, op.Ops[i].Party)
					}
				}
				return nil
			})
			b.each("party", "further party whose members may approve, because it must sign too", func(_ context.Context, text string) error {
				id, err := s.party(text)
				if err == nil && !slices.Contains(op.Parties, id) {
					op.Parties = append(op.Parties, id)
				}
				return err
			}).optional()
			b.moment(&op.Expires, "expires", "until when it may be approved")
			b.text(&op.Note, "note", "what to tell those who approve").optional()
			return op
		},
	}.command(s)
}

func proposalApprove(s *session) *cobra.Command {
	return operation{
		use: "approve", short: "Approve a proposal; the last approval needed executes it", example: "  aval proposal approve 4d2e… --as huachen --sign hc-wang",
		body: func(b *binder) ledger.Body {
			op := &ledger.ProposalApprove{}
			b.id(&op.Proposal, "PROPOSAL")
			return op
		},
	}.command(s)
}

func proposalWithdraw(s *session) *cobra.Command {
	return operation{
		use: "withdraw", short: "End a proposal that your party made", example: "  aval proposal withdraw 4d2e… --as huachen --sign hc-li",
		body: func(b *binder) ledger.Body {
			op := &ledger.ProposalWithdraw{}
			b.id(&op.Proposal, "PROPOSAL")
			return op
		},
	}.command(s)
}

func proposalShow(s *session) *cobra.Command {
	return query(s, "show", "Show a proposal, what it would do and who has approved", "  aval proposal show 4d2e…", func(b *binder) func(context.Context) error {
		var id suite.Hash
		b.id(&id, "PROPOSAL")
		return func(ctx context.Context) error {
			p, err := s.client.Proposal(ctx, id)
			if err != nil {
				return err
			}
			ops, err := typed(p.Operations)
			if err != nil {
				return err
			}
			var asked []string
			for _, id := range p.Parties {
				asked = append(asked, s.partyName(id))
			}
			return s.print(p, func(o *output) {
				o.fields("Proposal", p.ID, "State", p.State, "By", s.partyName(p.Maker), "Asked", strings.Join(asked, ", "), "Expires", when(p.Expires), "Note", p.Note)
				s.showOperations(o, ops)
				names := s.keyNames()
				for _, k := range p.Approvals {
					o.line("Approved by %s %s", k, names[k.String()])
				}
			})
		}
	})
}
