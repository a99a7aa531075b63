package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"

	"aval/api"
)

// problemBytesMax bounds the body of a problem.
const problemBytesMax = 64 << 10

// call is one request that any node may answer.
type call struct {
	method string
	path   string
	query  url.Values
	body   []byte
	media  string
	accept string
	// bytesMax bounds the answer.
	bytesMax int64
	// timeout bounds one attempt.
	timeout time.Duration
}

// answer is what a node said.
type answer struct {
	status     int
	body       []byte
	retryAfter time.Duration
}

func defaultHTTP() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			IdleConnTimeout:       30 * time.Second,
			MaxIdleConnsPerHost:   16,
			ResponseHeaderTimeout: (api.TimeoutMax + 5_000) * time.Millisecond,
		},
		// A node never redirects; following one would carry a transaction elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one attempt at one endpoint. Its error is nil for any status; only then is the answer set.
func (c *Client) send(ctx context.Context, base *url.URL, r *call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	u := *base
	full, err := url.Parse(u.String() + r.path)
	if err != nil {
		return nil, err
	}
	full.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, full.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("Accept", r.accept+", "+api.MediaProblem)
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	connected := false
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	}))
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		var verbose *url.Error // repeats method and address, which the caller names
		if errors.As(err, &verbose) {
			err = verbose.Err
		}
		var dial *net.OpError // repeats the address, too
		if errors.As(err, &dial) && dial.Op == "dial" {
			err = dial.Err
		}
		if !connected {
			err = &unsentError{err}
		}
		return nil, err
	}
	limit := r.bytesMax
	if resp.StatusCode >= 300 {
		limit = problemBytesMax
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	a := &answer{status: resp.StatusCode, body: body, retryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	if a.status >= 300 {
		return a, problemOf(resp, body)
	}
	return a, nil
}

// unsentError reports a request that never left, because no connection came about.
type unsentError struct{ cause error }

// Error returns the cause's text.
func (e *unsentError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *unsentError) Unwrap() error { return e.cause }

// problemOf reads a problem; an answer that is none, say of a proxy, is turned into one.
func problemOf(resp *http.Response, body []byte) *api.Problem {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p api.Problem
	if err == nil && (media == api.MediaProblem || media == api.MediaJSON) && json.Unmarshal(body, &p) == nil {
		p.Status = resp.StatusCode
		if p.Name != "" {
			return &p
		}
	}
	name := api.NameInternal
	switch resp.StatusCode {
	case http.StatusNotFound:
		name = api.NameNotFound
	case http.StatusGatewayTimeout:
		name = api.NameTimeout
	}
	return api.NewProblem(resp.StatusCode, name, "check that the URL is that of a node", "the answer was %s", resp.Status)
}

// retryAfter reads whole seconds; dates are not sent by nodes and count as nothing.
func retryAfter(header string) time.Duration {
	n, err := strconv.ParseUint(header, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// final reports whether another attempt could not help: the answer is about the request, not about the node.
func final(err error) bool {
	var p *api.Problem
	if errors.Is(err, ErrTooLarge) || !errors.As(err, &p) {
		return false
	}
	return p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}

// query tries every endpoint once, and those that failed for themselves once more after a pause.
func (c *Client) query(ctx context.Context, r *call) (*answer, error) {
	const rounds = 2
	var errs []error
	for round := range rounds {
		if round > 0 {
			if err := c.sleep(ctx, c.cfg.BackoffMin); err != nil {
				return nil, errors.Join(append(errs, err)...)
			}
		}
		errs = errs[:0]
		start := int(c.preferred.Load())
		for i := range c.endpoints {
			at := (start + i) % len(c.endpoints)
			a, err := c.send(ctx, c.endpoints[at], r)
			if err == nil {
				c.preferred.Store(uint32(at))
				return a, nil
			}
			if final(err) {
				return nil, err
			}
			errs = append(errs, fmt.Errorf("%s: %w", c.endpoints[at].Host, err))
			if ctx.Err() != nil {
				return nil, errors.Join(errs...)
			}
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(errs...))
}

// getJSON asks for a T.
func getJSON[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	a, err := c.query(ctx, &call{method: http.MethodGet, path: path, query: query, accept: api.MediaJSON,
		bytesMax: api.ResponseBytesMax, timeout: c.cfg.AttemptTimeout})
	if err != nil {
		return nil, err
	}
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		return nil, fmt.Errorf("the node's answer to %s does not read: %w", path, err)
	}
	return &v, nil
}

// getBytes asks for bytes of at most max.
func (c *Client) getBytes(ctx context.Context, path string, max int64) ([]byte, error) {
	a, err := c.query(ctx, &call{method: http.MethodGet, path: path, accept: api.MediaCBOR, bytesMax: max,
		timeout: c.cfg.AttemptTimeout})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}
