package api

import (
	"net/url"
	"strings"
)

// The paths. Parameters stand in braces; Path fills them in.
const (
	PathTransactions     = "/v1/transactions"
	PathBatches          = "/v1/batches"
	PathTransaction      = "/v1/transactions/{id}"
	PathTransactionProof = "/v1/transactions/{id}/proof"
	PathAttempt          = "/v1/attempts/{signed}"
	PathStateProof       = "/v1/state/{key}/proof"
	PathParty            = "/v1/parties/{id}"
	PathPartyLots        = "/v1/parties/{id}/lots"
	PathPartyIssued      = "/v1/parties/{id}/issued"
	PathPartyIncoming    = "/v1/parties/{id}/incoming"
	PathPartyAccounts    = "/v1/parties/{id}/accounts"
	PathMember           = "/v1/members/{key}"
	PathVoucher          = "/v1/vouchers/{id}"
	PathVoucherLots      = "/v1/vouchers/{id}/lots"
	PathVoucherTransfers = "/v1/vouchers/{id}/transfers"
	PathLot              = "/v1/lots/{voucher}/{from}"
	PathOffer            = "/v1/offers/{id}"
	PathRequest          = "/v1/requests/{id}"
	PathRequestQuotes    = "/v1/requests/{id}/quotes"
	PathInvoice          = "/v1/invoices/{fingerprint}"
	PathLimit            = "/v1/limits/{grantor}/{core}/{purpose}"
	PathHold             = "/v1/holds/{id}"
	PathMandate          = "/v1/mandates/{debtor}/{creditor}"
	PathAccount          = "/v1/accounts/{bank}/{holder}"
	PathProposal         = "/v1/proposals/{id}"
	PathBlock            = "/v1/blocks/{height}"
	PathStatus           = "/v1/status"
	PathNetwork          = "/v1/network"
	PathGenesis          = "/v1/genesis"
	PathHealth           = "/healthz"
	PathMetrics          = "/metrics"
	PathOpenAPI          = "/openapi.json"
)

// The query parameters.
const (
	// QueryWait says what to wait for, see Wait.
	QueryWait = "wait"
	// QueryTimeout bounds the waiting, in ms; see TimeoutDefault and TimeoutMax.
	QueryTimeout = "timeout_ms"
	// QueryPage selects a page of a list, from 0.
	QueryPage = "page"
)

// The media types.
const (
	// MediaCBOR is a raw transaction, a proof file or a genesis file.
	MediaCBOR = "application/cbor"
	// MediaJSON is everything else.
	MediaJSON = "application/json"
	// MediaProblem is a Problem (RFC 9457 section 3).
	MediaProblem = "application/problem+json"
)

// The bounds of the interface.
const (
	// PageSize is how many items a page of a list has, but for the last.
	PageSize = 32
	// TimeoutDefault and TimeoutMax bound how long a submission waits, in ms.
	TimeoutDefault = 15_000
	TimeoutMax     = 60_000
	// RequestBytesMax bounds the body of a request: a transaction in base64 within JSON.
	RequestBytesMax = 96 << 10
	// ResponseBytesMax bounds the body of any answer; a client refuses to read more.
	ResponseBytesMax = 4 << 20
)

// Path fills the parameters of pattern, in order, with args escaped for a path. Missing arguments leave their braces.
func Path(pattern string, args ...string) string {
	var sb strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "{")
		sb.WriteString(before)
		if !found || len(args) == 0 {
			if found {
				sb.WriteString("{" + rest)
			}
			return sb.String()
		}
		_, pattern, _ = strings.Cut(rest, "}")
		sb.WriteString(url.PathEscape(args[0]))
		args = args[1:]
	}
}
