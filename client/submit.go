package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"aval/api"
	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Do makes a transaction of ops, signs it, submits it and waits until it is committed. A transaction that was refused is an
// error: *FailedError with its outcome if it has a receipt, *api.Problem if not.
func (c *Client) Do(ctx context.Context, ops []ledger.Op, signers ...suite.Signer) (*api.Outcome, error) {
	tx, err := c.NewTx(ops...)
	if err != nil {
		return nil, err
	}
	if err := c.Sign(tx, signers...); err != nil {
		return nil, err
	}
	return c.Submit(ctx, tx, api.WaitCommitted)
}

// Submit hands tx to one node, and to another if that one fails, until it has come as far as wait says, ctx ends, or the
// transaction can no longer be included. The outcome is also returned with a *FailedError.
func (c *Client) Submit(ctx context.Context, tx *ledger.SignedTx, wait api.Wait) (*api.Outcome, error) {
	b, err := codec.Marshal(tx)
	if err != nil {
		return nil, err
	}
	if len(b) > ledger.TxBytesMax {
		return nil, api.Refusal(ledger.Failf(ledger.CodeTooLarge, "the transaction has %d bytes, the most is %d", len(b), ledger.TxBytesMax))
	}
	s := submission{c: c, body: b, wait: wait, validUntil: tx.Tx.ValidUntil}
	if c.suite != nil {
		s.id, s.signed = tx.Tx.ID(c.suite), c.suite.Hash(ledger.DomainSignedTx, b)
	}
	out, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	if out.Receipt != nil && out.Receipt.Code != ledger.CodeOK {
		return out, &FailedError{out}
	}
	return out, nil
}

// submission is one transaction on its way.
type submission struct {
	c          *Client
	body       []byte
	wait       api.Wait
	validUntil ledger.Time
	id, signed suite.Hash
	// begun is true once a node may have taken the transaction in, so that a refusal does not settle its fate.
	begun bool
}

// graceAfterWindow is how long after valid_until an answer is still sought, for clocks that differ.
const graceAfterWindow = 15 * ledger.Second

func (s *submission) run(ctx context.Context) (*api.Outcome, error) {
	pause := s.c.cfg.BackoffMin
	var last error // why the nodes did not answer; that the time was over says less
	for {
		out, wanted, err := s.round(ctx)
		if err == nil {
			return out, nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if final(err) {
			return s.settle(ctx, err)
		}
		now := ledger.Time(s.c.cfg.Now().UnixMilli())
		if ctx.Err() != nil || now > s.validUntil+graceAfterWindow {
			return nil, s.giveUp(last)
		}
		if s.c.sleep(ctx, min(max(pause, wanted), s.c.cfg.BackoffMax)) != nil {
			return nil, s.giveUp(last)
		}
		pause = min(2*pause, s.c.cfg.BackoffMax)
	}
}

// round tries every endpoint once. It returns the longest pause that a node asked for.
func (s *submission) round(ctx context.Context) (*api.Outcome, time.Duration, error) {
	var errs []error
	var wanted time.Duration
	c := s.c
	start := int(c.preferred.Load())
	for i := range c.endpoints {
		at := (start + i) % len(c.endpoints)
		out, pause, err := s.attempt(ctx, c.endpoints[at])
		if err == nil {
			c.preferred.Store(uint32(at))
			return out, 0, nil
		}
		if final(err) {
			return nil, 0, err
		}
		wanted = max(wanted, pause)
		errs = append(errs, fmt.Errorf("%s: %w", c.endpoints[at].Host, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, wanted, errors.Join(errs...)
}

// attempt submits to one endpoint.
func (s *submission) attempt(ctx context.Context, base *url.URL) (*api.Outcome, time.Duration, error) {
	timeout := s.c.cfg.AttemptTimeout
	ask := min(timeout.Milliseconds(), api.TimeoutMax)
	query := url.Values{api.QueryWait: {string(s.wait)}, api.QueryTimeout: {strconv.FormatInt(ask, 10)}}
	a, err := s.c.send(ctx, base, &call{method: http.MethodPost, path: api.PathTransactions, query: query, body: s.body,
		media: api.MediaCBOR, accept: api.MediaJSON, bytesMax: api.ResponseBytesMax, timeout: timeout + 2*time.Second})
	if err != nil {
		s.begun = s.begun || mayHaveBegun(err)
		if a != nil {
			return nil, a.retryAfter, err
		}
		return nil, 0, err
	}
	s.begun = true
	var out api.Outcome
	if err := json.Unmarshal(a.body, &out); err != nil {
		return nil, 0, fmt.Errorf("the node's answer does not read: %w", err)
	}
	if s.c.suite != nil && (out.ID != s.id || out.Signed != s.signed) {
		return nil, 0, fmt.Errorf("the node answered about transaction %s, not %s", out.ID, s.id)
	}
	if s.wait != api.WaitNone && out.Receipt == nil {
		return nil, 0, errors.New("the node answered without a receipt")
	}
	return &out, 0, nil
}

// mayHaveBegun reports whether a node that gave err may have taken the transaction in.
func mayHaveBegun(err error) bool {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.Pending || p.Code == 0 && p.Status >= 500
	}
	var unsent *unsentError
	return !errors.As(err, &unsent)
}

// settle judges a refusal that came after a node may have taken the transaction in: it may have been executed meanwhile.
func (s *submission) settle(ctx context.Context, refusal error) (*api.Outcome, error) {
	if !s.begun || s.c.suite == nil {
		return nil, refusal
	}
	for _, path := range []string{api.Path(api.PathAttempt, s.signed.String()), api.Path(api.PathTransaction, s.id.String())} {
		out, err := getJSON[api.Outcome](ctx, s.c, path, nil)
		if err == nil && out.Signed == s.signed && out.Receipt != nil {
			return out, nil
		}
	}
	return nil, refusal
}

func (s *submission) giveUp(cause error) error {
	if s.begun {
		return &UnknownError{cause}
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, cause)
}
