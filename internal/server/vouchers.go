package server

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

type idPageInput struct {
	ID   string `path:"id" minLength:"64" maxLength:"64" doc:"64 hexadecimal digits"`
	Page uint64 `query:"page" maximum:"1000000" doc:"Number of the page, from 0"`
}

type lotInput struct {
	Voucher string `path:"voucher" minLength:"64" maxLength:"64" doc:"Voucher id, 64 hexadecimal digits"`
	From    uint64 `path:"from" doc:"First fen of the lot"`
}

type invoiceInput struct {
	Fingerprint string `path:"fingerprint" minLength:"64" maxLength:"64" doc:"64 hexadecimal digits"`
}

func (s *Server) routeVouchers(a huma.API) {
	get(a, api.PathVoucher, "get-voucher", "A voucher", "vouchers", s.voucher)
	get(a, api.PathVoucherLots, "list-voucher-lots", "The lots of a voucher, in order of their ranges", "vouchers", s.voucherLots)
	get(a, api.PathVoucherTransfers, "list-voucher-transfers", "Who passed which range to whom", "vouchers", s.voucherTransfers)
	get(a, api.PathLot, "get-lot", "The lot that begins at a fen", "vouchers", s.lot)
	get(a, api.PathOffer, "get-offer", "An offer", "vouchers", s.offer)
	get(a, api.PathInvoice, "get-invoice", "Trade evidence", "vouchers", s.invoice)
	get(a, api.PathProposal, "get-proposal", "A stored list of operations", "proposals", s.proposal)
}

func voucherView(r *reader, id suite.Hash) (api.Voucher, error) {
	v, err := record[ledger.Voucher](r, ledger.VoucherKey(id), "voucher", id.String())
	return api.NewVoucher(v, r.grace, r.at), err
}

func lotView(r *reader, voucher suite.Hash, from ledger.Fen) (api.Lot, error) {
	v, err := record[ledger.Voucher](r, ledger.VoucherKey(voucher), "voucher", voucher.String())
	if err != nil {
		return api.Lot{}, err
	}
	l, err := record[ledger.Lot](r, ledger.LotKey(voucher, from), "lot", fmt.Sprintf("%s/%d", voucher, uint64(from)))
	return api.NewLot(l, &v, r.at), err
}

func (s *Server) voucher(_ context.Context, in *idInput) (*body[api.Voucher], error) {
	return byID(s, "voucher", in.ID, ledger.VoucherKey, func(r *reader, v ledger.Voucher) (api.Voucher, error) {
		return api.NewVoucher(v, r.grace, r.at), nil
	})
}

// voucherLots walks the chain of lots from 0 to the face.
func (s *Server) voucherLots(_ context.Context, in *idPageInput) (*body[api.List[api.Lot]], error) {
	return byID(s, "voucher", in.ID, ledger.VoucherKey, func(r *reader, v ledger.Voucher) (api.List[api.Lot], error) {
		out := api.List[api.Lot]{AsOf: r.at, Page: in.Page, Count: uint64(v.Lots), Items: []api.Lot{}}
		from := ledger.Fen(0)
		for i := uint64(0); i < uint64(v.Lots) && from < v.Face && i < (in.Page+1)*api.PageSize; i++ {
			l, err := record[ledger.Lot](r, ledger.LotKey(v.ID, from), "lot", from.String())
			if err != nil {
				return out, err
			}
			if i >= in.Page*api.PageSize {
				out.Items = append(out.Items, api.NewLot(l, &v, r.at))
			}
			from = l.To
		}
		return out, nil
	})
}

func (s *Server) voucherTransfers(_ context.Context, in *idPageInput) (*body[api.List[api.Transfer]], error) {
	return byID(s, "voucher", in.ID, ledger.VoucherKey, func(r *reader, v ledger.Voucher) (api.List[api.Transfer], error) {
		out := api.List[api.Transfer]{AsOf: r.at, Page: in.Page, Count: uint64(v.Transfers), Items: []api.Transfer{}}
		for n := in.Page * api.PageSize; n < uint64(v.Transfers) && n < (in.Page+1)*api.PageSize; n++ {
			t, err := record[ledger.Transfer](r, ledger.TransferKey(v.ID, uint32(n)), "transfer", fmt.Sprint(n))
			if err != nil {
				return out, err
			}
			out.Items = append(out.Items, api.Transfer{Transfer: t, Amount: t.To - t.From})
		}
		return out, nil
	})
}

func (s *Server) lot(_ context.Context, in *lotInput) (*body[api.Lot], error) {
	voucher, err := parseHash("voucher", in.Voucher)
	if err != nil {
		return nil, err
	}
	return read(s, func(r *reader) (api.Lot, error) { return lotView(r, voucher, ledger.Fen(in.From)) })
}

func (s *Server) offer(_ context.Context, in *idInput) (*body[api.Offer], error) {
	return byID(s, "offer", in.ID, ledger.OfferKey, func(r *reader, o ledger.Offer) (api.Offer, error) {
		return api.NewOffer(o, r.at), nil
	})
}

func (s *Server) invoice(_ context.Context, in *invoiceInput) (*body[api.Invoice], error) {
	return byID(s, "invoice", in.Fingerprint, ledger.InvoiceKey, func(r *reader, i ledger.Invoice) (api.Invoice, error) {
		return api.NewInvoice(i, r.at), nil
	})
}

func (s *Server) proposal(_ context.Context, in *idInput) (*body[api.Proposal], error) {
	return byID(s, "proposal", in.ID, ledger.ProposalKey, func(r *reader, p ledger.Proposal) (api.Proposal, error) {
		return api.NewProposal(p, r.at)
	})
}

// quotes reads the quotes of a request in the order in which their funders first quoted.
func quotes(r *reader, q *ledger.Request) ([]api.Quote, error) {
	v, err := record[ledger.Voucher](r, ledger.VoucherKey(q.Voucher), "voucher", q.Voucher.String())
	if err != nil {
		return nil, err
	}
	out := []api.Quote{}
	for _, funder := range q.Quoted {
		if quote, ok := vm.Load[ledger.Quote](r.Journal, ledger.QuoteKey(q.ID, funder)); ok {
			out = append(out, api.NewQuote(quote, q, &v, r.at))
		}
	}
	return out, nil
}
