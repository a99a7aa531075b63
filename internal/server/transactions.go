package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/internal/chain"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

type submitInput struct {
	Wait        string `query:"wait" enum:"none,committed,proven" default:"committed" doc:"How far the transaction must have come before the answer"`
	TimeoutMs   int64  `query:"timeout_ms" minimum:"1" maximum:"60000" default:"15000" doc:"How long to wait, ms"`
	ContentType string `header:"Content-Type"`
	RawBody     []byte
}

type submitOutput struct {
	Status int
	Body   api.Outcome
}

func (s *Server) routeTransactions(a huma.API) {
	schema := a.OpenAPI().Components.Schemas
	jsonBody := &huma.MediaType{Schema: huma.SchemaFromType(schema, typeOf[api.SubmitRequest]())}
	responses := problems(a, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	responses["202"] = &huma.Response{Description: "Taken in; nothing is certain yet",
		Content: map[string]*huma.MediaType{api.MediaJSON: {Schema: schema.Schema(typeOf[api.Outcome](), true, "Outcome")}}}
	huma.Register(a, huma.Operation{
		OperationID: "submit", Method: http.MethodPost, Path: api.PathTransactions, Tags: []string{"transactions"},
		Summary: "Submit a signed transaction and wait for its receipt",
		Description: "Answers 200 only after a quorum has certified the block. Submitting the same bytes again is safe and yields the same " +
			"receipt. A receipt with a code other than 0 says why nothing took effect.",
		MaxBodyBytes: api.RequestBytesMax + 1, SkipValidateBody: true, // bounded in readBody; the framework refuses its bound itself
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{api.MediaJSON: jsonBody, api.MediaCBOR: {Schema: binary()}}},
		Responses:   responses,
	}, s.submit)
	get(a, api.PathTransaction, "get-transaction", "Find the receipt that spent a transaction id", "transactions", s.transaction)
	get(a, api.PathAttempt, "get-attempt", "Find the receipt of an attempt that did not spend its id", "transactions", s.attempt)
	getFile(a, api.PathTransactionProof, "prove-transaction", "Fetch the portable proof of a receipt", "proofs", s.transactionProof)
}

// submit answers once the transaction has come as far as asked.
func (s *Server) submit(ctx context.Context, in *submitInput) (*submitOutput, error) {
	tx, err := submittedBytes(in)
	if err != nil {
		return nil, err
	}
	ticket, err := s.cfg.Intake.Admit(tx)
	if err != nil {
		return nil, s.refused(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.TimeoutMs)*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	if api.Wait(in.Wait) == api.WaitNone {
		cancel()
	}
	receipt, err := ticket.Wait(ctx)
	switch {
	case err == nil:
	case api.Wait(in.Wait) == api.WaitNone && errors.Is(err, context.Canceled):
		pending := api.Outcome{ID: ticket.ID, Signed: ticket.Signed, Stage: api.StagePending}
		return &submitOutput{Status: http.StatusAccepted, Body: pending}, nil
	default:
		return nil, s.unfinished(ticket, err)
	}
	out := &submitOutput{Status: http.StatusOK, Body: s.outcome(receipt)}
	if api.Wait(in.Wait) == api.WaitProven && !out.Body.Proven {
		if err := s.cfg.Chain.WaitCommitted(ctx, receipt.Height+ledger.Lag); err != nil {
			return nil, s.unfinished(ticket, err)
		}
		out.Body = s.outcome(receipt)
	}
	return out, nil
}

func submittedBytes(in *submitInput) ([]byte, error) {
	media, _, err := mime.ParseMediaType(in.ContentType)
	if err != nil && in.ContentType != "" {
		media = in.ContentType
	}
	switch media {
	case api.MediaCBOR:
		return in.RawBody, nil
	case api.MediaJSON, "":
	default:
		return nil, api.NewProblem(http.StatusUnsupportedMediaType, api.NameArgument, "send "+api.MediaJSON+" or "+api.MediaCBOR, "content type %q", in.ContentType)
	}
	request, err := decodeSubmission(in.RawBody)
	if err != nil {
		return nil, api.NewProblem(http.StatusBadRequest, api.NameArgument, `send {"tx": "<base64 of the encoded transaction>"}`, "the body is not a submission: %v", err)
	}
	return request.Tx, nil
}

// decodeSubmission reads one JSON object and nothing after it.
func decodeSubmission(b []byte) (request api.SubmitRequest, err error) {
	if nested(b) {
		return request, errors.New("there are values inside values")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return request, err
	}
	if _, more := d.Token(); !errors.Is(more, io.EOF) {
		err = errors.New("something follows the JSON object")
	}
	return request, err
}

// nested reports whether more than one bracket is open anywhere outside texts. The reader of JSON remembers each.
func nested(b []byte) bool {
	depth, text, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case text && c == '\\':
			escaped = true
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth > 1 {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// refused turns an error of Admit into a problem; a busy node says when to come back.
func (s *Server) refused(err error) error {
	var failure *ledger.Failure
	if errors.Is(err, intake.ErrClosed) {
		failure = ledger.Failf(ledger.CodeUnroutable, "this node is shutting down")
	} else if !errors.As(err, &failure) {
		return s.problemOf(err)
	}
	problem := api.Refusal(failure)
	if problem.Status == http.StatusServiceUnavailable {
		return huma.ErrorWithHeaders(problem, http.Header{"Retry-After": []string{"1"}})
	}
	return problem
}

// unfinished says that a transaction was taken in but has not come as far as asked.
func (s *Server) unfinished(t *intake.Ticket, err error) error {
	if errors.Is(err, intake.ErrNotIncluded) {
		return api.Refusal(ledger.Failf(ledger.CodeWindow, "%v", err))
	}
	cause := s.cfg.Status().Cause
	if cause == "" {
		cause = "it is still waiting to be ordered or proven"
	}
	p := api.NewProblem(http.StatusGatewayTimeout, api.NameTimeout, "submit the same bytes again, here or at another node: that is safe",
		"the transaction was taken in, but %s", cause)
	p.Pending, p.Tx, p.Signed = true, &t.ID, &t.Signed
	return p
}

func (s *Server) outcome(r *ledger.Receipt) api.Outcome {
	progress, _ := s.cfg.Chain.Progress()
	out := api.Outcome{ID: r.Tx, Signed: r.Signed, Height: r.Height, Receipt: r, Stage: api.StageCommitted, Proven: progress.Proven >= r.Height}
	if out.Proven {
		out.Stage = api.StageProven
	}
	return out
}

type idInput struct {
	ID string `path:"id" minLength:"64" maxLength:"64" doc:"64 hexadecimal digits"`
}

type signedInput struct {
	Signed string `path:"signed" minLength:"64" maxLength:"64" doc:"64 hexadecimal digits"`
}

func (s *Server) transaction(_ context.Context, in *idInput) (*body[api.Outcome], error) {
	return s.found("transaction id", in.ID, s.cfg.Chain.FindTx)
}

func (s *Server) attempt(_ context.Context, in *signedInput) (*body[api.Outcome], error) {
	return s.found("attempt", in.Signed, s.cfg.Chain.FindAttempt)
}

func (s *Server) found(what, text string, find func(suite.Hash) (chain.Position, error)) (*body[api.Outcome], error) {
	id, err := parseHash(what, text)
	if err != nil {
		return nil, err
	}
	position, err := find(id)
	if err != nil {
		return nil, s.problemOf(err)
	}
	receipt, err := s.cfg.Chain.Receipt(position)
	if err != nil {
		return nil, s.problemOf(err)
	}
	return &body[api.Outcome]{s.outcome(receipt)}, nil
}

func (s *Server) transactionProof(_ context.Context, in *idInput) (*raw, error) {
	id, err := parseHash("transaction id", in.ID)
	if err != nil {
		return nil, err
	}
	position, err := s.cfg.Chain.FindTx(id)
	if err != nil {
		return nil, s.problemOf(err)
	}
	return s.proof(s.cfg.Chain.ProveReceipt(position))
}
