package server

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

type partyInput struct {
	ID string `path:"id" minLength:"18" maxLength:"20" doc:"Legal id: unified social credit code or LEI"`
}

type partyPageInput struct {
	ID   string `path:"id" minLength:"18" maxLength:"20" doc:"Legal id: unified social credit code or LEI"`
	Page uint64 `query:"page" doc:"Number of the page, from 0"`
}

func (s *Server) routeParties(a huma.API) {
	get(a, api.PathParty, "get-party", "An organisation with its keys", "parties", s.party)
	get(a, api.PathPartyLots, "list-party-lots", "What a party holds", "parties", s.partyLots)
	get(a, api.PathPartyIssued, "list-party-issued", "The vouchers that a party has issued", "parties", s.partyIssued)
	get(a, api.PathPartyIncoming, "list-party-incoming", "What waits for a party's answer", "parties", s.partyIncoming)
	get(a, api.PathPartyAccounts, "list-party-accounts", "A party's accounts", "parties", s.partyAccounts)
	get(a, api.PathMember, "get-member", "A member key", "parties", s.member)
	get(a, api.PathAccount, "get-account", "One account", "money", s.account)
	get(a, api.PathHold, "get-hold", "Money set aside", "money", s.hold)
	get(a, api.PathMandate, "get-mandate", "An interbank mandate", "money", s.mandate)
}

func (s *Server) party(_ context.Context, in *partyInput) (*body[api.Party], error) {
	return read(s, func(r *reader) (api.Party, error) {
		p, err := record[ledger.Party](r, ledger.PartyKey(ledger.PartyID(in.ID)), "party", in.ID)
		if err != nil {
			return api.Party{}, err
		}
		var members []ledger.Member
		for _, key := range p.Members {
			if m, ok := vm.Load[ledger.Member](r.Journal, ledger.MemberKey(key)); ok {
				members = append(members, m)
			}
		}
		return api.NewParty(p, members, overdue(r, p.ID), r.at), nil
	})
}

// overdue returns what an issuer owes past its days of settlement, frozen ranges aside.
func overdue(r *reader, issuer ledger.PartyID) (sum ledger.Fen) {
	days, _ := vm.Load[ledger.Days](r.Journal, ledger.LadderDaysKey(issuer))
	for _, day := range days.Days {
		if day >= r.at.Time.Date() {
			break
		}
		owed, _ := vm.Load[ledger.LadderDay](r.Journal, ledger.LadderKey(issuer, day))
		sum += owed.Outstanding - min(owed.Frozen, owed.Outstanding)
	}
	return sum
}

func (s *Server) partyLots(_ context.Context, in *partyPageInput) (*body[api.List[api.Lot]], error) {
	return read(s, func(r *reader) (api.List[api.Lot], error) {
		return pageOf(r, ledger.LotsOf(ledger.PartyID(in.ID)), in.Page, func(ref ledger.LotRef) (api.Lot, error) {
			return lotView(r, ref.Voucher, ref.From)
		})
	})
}

func (s *Server) partyIssued(_ context.Context, in *partyPageInput) (*body[api.List[api.Voucher]], error) {
	return read(s, func(r *reader) (api.List[api.Voucher], error) {
		return rawPageOf(r, ledger.IssuedBy(ledger.PartyID(in.ID)), in.Page, func(id []byte) (api.Voucher, error) {
			return voucherView(r, suite.Hash(id))
		})
	})
}

func (s *Server) partyIncoming(_ context.Context, in *partyPageInput) (*body[api.List[api.Incoming]], error) {
	return read(s, func(r *reader) (api.List[api.Incoming], error) {
		return pageOf(r, ledger.Incoming(ledger.PartyID(in.ID)), in.Page, func(w ledger.Waiting) (api.Incoming, error) {
			return incomingView(r, w)
		})
	})
}

func incomingView(r *reader, w ledger.Waiting) (out api.Incoming, err error) {
	out.ID = w.ID
	switch w.Kind {
	case ledger.WaitingVoucher:
		v, err := voucherView(r, w.ID)
		out.Kind, out.Voucher = "voucher", &v
		return out, err
	case ledger.WaitingOffer:
		o, err := record[ledger.Offer](r, ledger.OfferKey(w.ID), "offer", w.ID.String())
		view := api.NewOffer(o, r.at)
		out.Kind, out.Offer = "offer", &view
		return out, err
	default:
		q, err := record[ledger.Request](r, ledger.RequestKey(w.ID), "request", w.ID.String())
		view := api.NewRequest(q, r.at)
		out.Kind, out.Request = "request", &view
		return out, err
	}
}

func (s *Server) partyAccounts(_ context.Context, in *partyPageInput) (*body[api.List[api.Account]], error) {
	return read(s, func(r *reader) (api.List[api.Account], error) {
		holder := ledger.PartyID(in.ID)
		return rawPageOf(r, ledger.AccountsOf(holder), in.Page, func(raw []byte) (api.Account, error) {
			bank := ledger.PartyID(raw)
			a, err := record[ledger.Account](r, ledger.AccountKey(bank, holder), "account", string(bank))
			return api.Account{Account: a, AsOf: r.at}, err
		})
	})
}

type memberInput struct {
	Key string `path:"key" minLength:"64" maxLength:"66" doc:"Public key in hexadecimal"`
}

func (s *Server) member(_ context.Context, in *memberInput) (*body[api.Member], error) {
	key, err := hex.DecodeString(in.Key)
	if err != nil {
		return nil, api.NewProblem(http.StatusBadRequest, api.NameArgument, "give the key in hexadecimal", "key %q: %v", in.Key, err)
	}
	return read(s, func(r *reader) (api.Member, error) {
		m, err := record[ledger.Member](r, ledger.MemberKey(key), "member key", in.Key)
		return api.NewMember(m, r.at), err
	})
}

type accountInput struct {
	Bank   string `path:"bank" maxLength:"20" doc:"Legal id of the bank"`
	Holder string `path:"holder" maxLength:"20" doc:"Legal id of the holder"`
}

func (s *Server) account(_ context.Context, in *accountInput) (*body[api.Account], error) {
	return read(s, func(r *reader) (api.Account, error) {
		key := ledger.AccountKey(ledger.PartyID(in.Bank), ledger.PartyID(in.Holder))
		a, err := record[ledger.Account](r, key, "the account with "+in.Bank+" of", in.Holder)
		return api.Account{Account: a, AsOf: r.at}, err
	})
}

func (s *Server) hold(_ context.Context, in *idInput) (*body[api.Hold], error) {
	return byID(s, "hold", in.ID, ledger.HoldKey, func(r *reader, h ledger.Hold) (api.Hold, error) {
		return api.Hold{Hold: h, AsOf: r.at}, nil
	})
}

type mandateInput struct {
	Debtor   string `path:"debtor" maxLength:"20" doc:"Legal id of the paying bank"`
	Creditor string `path:"creditor" maxLength:"20" doc:"Legal id of the receiving bank"`
}

func (s *Server) mandate(_ context.Context, in *mandateInput) (*body[api.Mandate], error) {
	return read(s, func(r *reader) (api.Mandate, error) {
		key := ledger.MandateKey(ledger.PartyID(in.Debtor), ledger.PartyID(in.Creditor))
		m, err := record[ledger.Mandate](r, key, "the mandate of "+in.Debtor+" towards", in.Creditor)
		return api.NewMandate(m, r.at), err
	})
}

// byID reads one record that stands under a hash.
func byID[R, V any](s *Server, what, text string, key func(suite.Hash) []byte, view func(*reader, R) (V, error)) (*body[V], error) {
	id, err := parseHash(what, text)
	if err != nil {
		return nil, err
	}
	return read(s, func(r *reader) (v V, err error) {
		rec, err := record[R](r, key(id), what, text)
		if err != nil {
			return v, err
		}
		return view(r, rec)
	})
}
