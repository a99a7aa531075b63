package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"aval/api"
)

// SubmitBatch hands encoded transactions to one node in one request, and to another if that one does not answer, and returns
// in their order what became of them once all have come as far as wait says, were refused, or Config.AttemptTimeout is over.
// It tries each node at most twice. After an error, and for what is still pending, submitting the same bytes again is safe.
func (c *Client) SubmitBatch(ctx context.Context, txs [][]byte, wait api.Wait) ([]api.Submitted, error) {
	body, err := api.EncodeBatch(txs)
	if err != nil {
		return nil, err
	}
	timeout := c.cfg.AttemptTimeout
	query := url.Values{api.QueryWait: {string(wait)}, api.QueryTimeout: {strconv.FormatInt(min(timeout.Milliseconds(), api.TimeoutMax), 10)}}
	a, err := c.query(ctx, &call{method: http.MethodPost, path: api.PathBatches, query: query, body: body, media: api.MediaCBOR,
		accept: api.MediaCBOR, bytesMax: api.BatchResponseBytesMax, timeout: timeout + 2*time.Second})
	if err != nil {
		return nil, err
	}
	return api.DecodeSubmitted(a.body, len(txs))
}
