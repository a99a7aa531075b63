package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

// itemsMax bounds what All collects.
const itemsMax = 100_000

// All collects every page of a list, at most 100,000 items. Pages that change meanwhile may repeat or miss an item.
func All[T any](ctx context.Context, page func(ctx context.Context, page uint64) (*api.List[T], error)) ([]T, error) {
	var items []T
	for n := uint64(0); ; n++ {
		l, err := page(ctx, n)
		if err != nil {
			return nil, err
		}
		items = append(items, l.Items...)
		if len(items) > itemsMax {
			return nil, fmt.Errorf("the list has more than %d items; read it page by page", itemsMax)
		}
		if n+1 >= l.Pages() || len(l.Items) == 0 {
			return items, nil
		}
	}
}

func getPage[T any](ctx context.Context, c *Client, page uint64, pattern string, args ...string) (*api.List[T], error) {
	return getJSON[api.List[T]](ctx, c, api.Path(pattern, args...), url.Values{api.QueryPage: {strconv.FormatUint(page, 10)}})
}

// Transaction returns what became of the transaction that spent id.
func (c *Client) Transaction(ctx context.Context, id suite.Hash) (*api.Outcome, error) {
	return getJSON[api.Outcome](ctx, c, api.Path(api.PathTransaction, id.String()), nil)
}

// Attempt returns what became of one attempt, by the hash that includes its signatures.
func (c *Client) Attempt(ctx context.Context, signed suite.Hash) (*api.Outcome, error) {
	return getJSON[api.Outcome](ctx, c, api.Path(api.PathAttempt, signed.String()), nil)
}

// Party returns a party.
func (c *Client) Party(ctx context.Context, id ledger.PartyID) (*api.Party, error) {
	return getJSON[api.Party](ctx, c, api.Path(api.PathParty, string(id)), nil)
}

// PartyLots returns a page of what a party holds.
func (c *Client) PartyLots(ctx context.Context, id ledger.PartyID, page uint64) (*api.List[api.Lot], error) {
	return getPage[api.Lot](ctx, c, page, api.PathPartyLots, string(id))
}

// PartyIssued returns a page of the vouchers that a party has issued.
func (c *Client) PartyIssued(ctx context.Context, id ledger.PartyID, page uint64) (*api.List[api.Voucher], error) {
	return getPage[api.Voucher](ctx, c, page, api.PathPartyIssued, string(id))
}

// PartyIncoming returns a page of what waits for a party's answer.
func (c *Client) PartyIncoming(ctx context.Context, id ledger.PartyID, page uint64) (*api.List[api.Incoming], error) {
	return getPage[api.Incoming](ctx, c, page, api.PathPartyIncoming, string(id))
}

// PartyAccounts returns a page of a party's accounts.
func (c *Client) PartyAccounts(ctx context.Context, id ledger.PartyID, page uint64) (*api.List[api.Account], error) {
	return getPage[api.Account](ctx, c, page, api.PathPartyAccounts, string(id))
}

// Member returns a member key.
func (c *Client) Member(ctx context.Context, key suite.PublicKey) (*api.Member, error) {
	return getJSON[api.Member](ctx, c, api.Path(api.PathMember, key.String()), nil)
}

// Voucher returns a voucher.
func (c *Client) Voucher(ctx context.Context, id suite.Hash) (*api.Voucher, error) {
	return getJSON[api.Voucher](ctx, c, api.Path(api.PathVoucher, id.String()), nil)
}

// VoucherLots returns a page of a voucher's lots, in order of their ranges.
func (c *Client) VoucherLots(ctx context.Context, id suite.Hash, page uint64) (*api.List[api.Lot], error) {
	return getPage[api.Lot](ctx, c, page, api.PathVoucherLots, id.String())
}

// VoucherTransfers returns a page of a voucher's changes of hands, oldest first.
func (c *Client) VoucherTransfers(ctx context.Context, id suite.Hash, page uint64) (*api.List[api.Transfer], error) {
	return getPage[api.Transfer](ctx, c, page, api.PathVoucherTransfers, id.String())
}

// Lot returns the lot of a voucher that begins at from.
func (c *Client) Lot(ctx context.Context, voucher suite.Hash, from ledger.Fen) (*api.Lot, error) {
	return getJSON[api.Lot](ctx, c, api.Path(api.PathLot, voucher.String(), strconv.FormatUint(uint64(from), 10)), nil)
}

// Offer returns an offer.
func (c *Client) Offer(ctx context.Context, id suite.Hash) (*api.Offer, error) {
	return getJSON[api.Offer](ctx, c, api.Path(api.PathOffer, id.String()), nil)
}

// Request returns a finance request.
func (c *Client) Request(ctx context.Context, id suite.Hash) (*api.Request, error) {
	return getJSON[api.Request](ctx, c, api.Path(api.PathRequest, id.String()), nil)
}

// RequestQuotes returns a page of the quotes for a finance request.
func (c *Client) RequestQuotes(ctx context.Context, id suite.Hash, page uint64) (*api.List[api.Quote], error) {
	return getPage[api.Quote](ctx, c, page, api.PathRequestQuotes, id.String())
}

// Invoice returns an invoice by its fingerprint.
func (c *Client) Invoice(ctx context.Context, fingerprint suite.Hash) (*api.Invoice, error) {
	return getJSON[api.Invoice](ctx, c, api.Path(api.PathInvoice, fingerprint.String()), nil)
}

// Limit returns a credit limit in its newest version.
func (c *Client) Limit(ctx context.Context, grantor, core ledger.PartyID, purpose ledger.LimitPurpose) (*api.Limit, error) {
	word := map[ledger.LimitPurpose]string{ledger.LimitIssue: "issue", ledger.LimitFinance: "finance"}[purpose]
	return getJSON[api.Limit](ctx, c, api.Path(api.PathLimit, string(grantor), string(core), word), nil)
}

// Hold returns money set aside.
func (c *Client) Hold(ctx context.Context, id suite.Hash) (*api.Hold, error) {
	return getJSON[api.Hold](ctx, c, api.Path(api.PathHold, id.String()), nil)
}

// Mandate returns an interbank mandate.
func (c *Client) Mandate(ctx context.Context, debtor, creditor ledger.PartyID) (*api.Mandate, error) {
	return getJSON[api.Mandate](ctx, c, api.Path(api.PathMandate, string(debtor), string(creditor)), nil)
}

// Account returns a party's account with a bank.
func (c *Client) Account(ctx context.Context, bank, holder ledger.PartyID) (*api.Account, error) {
	return getJSON[api.Account](ctx, c, api.Path(api.PathAccount, string(bank), string(holder)), nil)
}

// Proposal returns a stored list of operations. The bodies of its operations are maps.
func (c *Client) Proposal(ctx context.Context, id suite.Hash) (*api.Proposal, error) {
	return getJSON[api.Proposal](ctx, c, api.Path(api.PathProposal, id.String()), nil)
}

// Block returns a block's header, certificate and receipts in brief.
func (c *Client) Block(ctx context.Context, height ledger.Height) (*api.Block, error) {
	return getJSON[api.Block](ctx, c, api.Path(api.PathBlock, strconv.FormatUint(uint64(height), 10)), nil)
}

// NetworkInfo returns what a node says of its network.
func (c *Client) NetworkInfo(ctx context.Context) (*api.Network, error) {
	return getJSON[api.Network](ctx, c, api.PathNetwork, nil)
}

// Status returns the status of one node, by its place in Config.Endpoints, and of no other.
func (c *Client) Status(ctx context.Context, endpoint int) (*api.Status, error) {
	if endpoint < 0 || endpoint >= len(c.endpoints) {
		return nil, fmt.Errorf("there is no endpoint %d of %d", endpoint, len(c.endpoints))
	}
	return getJSON[api.Status](ctx, c.only(endpoint), api.PathStatus, nil)
}

// FetchGenesis returns the genesis file that a node serves. It proves nothing: compare its network id with one obtained
// from the operators before trusting it.
func (c *Client) FetchGenesis(ctx context.Context) ([]byte, error) {
	return c.getBytes(ctx, api.PathGenesis, ledger.GenesisBytesMax)
}

// only returns a client that speaks to one endpoint.
func (c *Client) only(endpoint int) *Client {
	return &Client{cfg: c.cfg, endpoints: c.endpoints[endpoint : endpoint+1], sleep: c.sleep}
}

// Get asks for any JSON resource, for what this package has no method for.
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	return getJSON[T](ctx, c, path, query)
}
