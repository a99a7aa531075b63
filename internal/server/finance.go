package server

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/ledger"
)

type limitInput struct {
	Grantor string `path:"grantor" maxLength:"20" doc:"Legal id of the bank or factor"`
	Core    string `path:"core" maxLength:"20" doc:"Legal id of the core enterprise"`
	Purpose string `path:"purpose" enum:"issue,finance" doc:"What the limit bounds"`
}

func (s *Server) routeFinance(a huma.API) {
	get(a, api.PathRequest, "get-request", "A finance request", "finance", s.request)
	get(a, api.PathRequestQuotes, "list-request-quotes", "The quotes for a request, side by side", "finance", s.requestQuotes)
	get(a, api.PathLimit, "get-limit", "A credit limit", "finance", s.limit)
}

func (s *Server) request(_ context.Context, in *idInput) (*body[api.Request], error) {
	return byID(s, "request", in.ID, ledger.RequestKey, func(r *reader, q ledger.Request) (api.Request, error) {
		return api.NewRequest(q, r.at), nil
	})
}

func (s *Server) requestQuotes(_ context.Context, in *idPageInput) (*body[api.List[api.Quote]], error) {
	return byID(s, "request", in.ID, ledger.RequestKey, func(r *reader, q ledger.Request) (api.List[api.Quote], error) {
		items, err := quotes(r, &q)
		out := api.List[api.Quote]{AsOf: r.at, Page: in.Page, Count: uint64(len(items))}
		from := min(in.Page*api.PageSize, out.Count)
		out.Items = items[from:min(from+api.PageSize, out.Count)]
		return out, err
	})
}

func (s *Server) limit(_ context.Context, in *limitInput) (*body[api.Limit], error) {
	purpose := map[string]ledger.LimitPurpose{"issue": ledger.LimitIssue, "finance": ledger.LimitFinance}[in.Purpose]
	return read(s, func(r *reader) (api.Limit, error) {
		key := ledger.LimitKey(ledger.PartyID(in.Grantor), ledger.PartyID(in.Core), purpose)
		l, err := record[ledger.Limit](r, key, "the "+in.Purpose+" limit of "+in.Grantor+" for", in.Core)
		return api.NewLimit(l, r.at), err
	})
}

func parseHeight(text string) (ledger.Height, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, api.NewProblem(http.StatusBadRequest, api.NameArgument, "give a number", "height %q is not a number", text)
	}
	return ledger.Height(n), nil
}
