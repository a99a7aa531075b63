package cli

import (
	"context"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/ledger"
)

// listing is a command that prints every page of one of a party's lists.
func listing[T any](s *session, use, short, example string,
	page func(ctx context.Context, id ledger.PartyID, page uint64) (*api.List[T], error), show func(o *output, items []T),
) *cobra.Command {
	return query(s, use, short, example, func(b *binder) func(context.Context) error {
		var id ledger.PartyID
		b.arg("PARTY", into(&id, s.party))
		return func(ctx context.Context) error {
			items, err := client.All(ctx, func(ctx context.Context, n uint64) (*api.List[T], error) { return page(ctx, id, n) })
			if err != nil {
				return err
			}
			if items == nil {
				items = []T{}
			}
			return s.print(items, func(o *output) { show(o, items) })
		}
	})
}

func partyLots(s *session) *cobra.Command {
	return listing(s, "lots", "List what a party holds", "  aval party lots ruida",
		func(ctx context.Context, id ledger.PartyID, n uint64) (*api.List[api.Lot], error) {
			return s.client.PartyLots(ctx, id, n)
		},
		s.showHoldings)
}

func (s *session) showHoldings(o *output, lots []api.Lot) {
	var rows [][]string
	var sum ledger.Fen
	for i := range lots {
		l := &lots[i]
		sum += l.Amount
		rows = append(rows, []string{l.Voucher.String(), l.From.String(), l.Amount.String(), s.partyName(l.Issuer), l.Due.String(), s.lotText(l)})
	}
	o.table([]string{"voucher", ">from", ">amount", "owed by", "due", "state"}, rows)
	o.line("")
	o.line("%d lot(s), %s in all", len(lots), sum)
}

// lotText says in words what a lot is.
func (s *session) lotText(l *api.Lot) string {
	text, pledged := l.Effective, ""
	if l.Pledge != nil {
		pledged = "pledged to " + s.partyName(l.Pledge.Pledgee)
		if l.Pledge.Number == "" {
			pledged += ", not registered"
		}
	}
	if more := words(l.Frozen, "frozen", l.Pledged, pledged, l.Lapsed, "lock lapsed"); more != "" {
		text += ", " + more
	}
	return text
}

func partyIssued(s *session) *cobra.Command {
	return listing(s, "issued", "List the vouchers that a party has issued", "  aval party issued huachen",
		func(ctx context.Context, id ledger.PartyID, n uint64) (*api.List[api.Voucher], error) {
			return s.client.PartyIssued(ctx, id, n)
		},
		s.showVouchers)
}

func (s *session) showVouchers(o *output, vouchers []api.Voucher) {
	var rows [][]string
	for i := range vouchers {
		v := &vouchers[i]
		rows = append(rows, []string{v.ID.String(), s.partyName(v.Payee), v.Face.String(), v.Unpaid.String(), v.Voucher.Due.String(), v.State})
	}
	o.table([]string{"voucher", "payee", ">face", ">unpaid", "due", "state"}, rows)
}

func partyIncoming(s *session) *cobra.Command {
	return listing(s, "incoming", "List what waits for a party's answer", "  aval party incoming ruida",
		func(ctx context.Context, id ledger.PartyID, n uint64) (*api.List[api.Incoming], error) {
			return s.client.PartyIncoming(ctx, id, n)
		},
		func(o *output, items []api.Incoming) {
			var rows [][]string
			for i := range items {
				rows = append(rows, s.incomingRow(&items[i]))
			}
			o.table([]string{"what", "id", "from", ">amount", "answer by", "state"}, rows)
		})
}

func (s *session) incomingRow(in *api.Incoming) []string {
	switch {
	case in.Voucher != nil:
		v := in.Voucher
		return []string{in.Kind, in.ID.String(), s.partyName(v.Issuer), v.Face.String(), when(v.AcceptBy), v.State}
	case in.Offer != nil:
		f := in.Offer
		return []string{in.Kind, in.ID.String(), s.partyName(f.Transferor), f.Amount.String(), when(f.AcceptBy), f.State}
	case in.Request != nil:
		r := in.Request
		return []string{in.Kind, in.ID.String(), s.partyName(r.Holder), r.Amount.String(), when(r.AcceptBy), r.State}
	}
	return []string{in.Kind, in.ID.String(), "", "", "", ""}
}
