package server

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/codec"
	"aval/internal/intake"
	"aval/ledger"
)

type batchOutput struct {
	Status      int
	ContentType string `header:"Content-Type"`
	RetryAfter  string `header:"Retry-After"`
	Body        []byte
}

func (s *Server) routeBatches(a huma.API) {
	file := map[string]*huma.MediaType{api.MediaCBOR: {Schema: binary()}}
	responses := problems(a, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	responses["200"] = &huma.Response{Description: "What became of each, in the order of the request", Content: file}
	huma.Register(a, huma.Operation{
		OperationID: "submit-batch", Method: http.MethodPost, Path: api.PathBatches, Tags: []string{"transactions"},
		Summary: "Submit many signed transactions and wait for their receipts",
		Description: "The body is a CBOR array of encoded transactions, the answer a CBOR array that says of each in brief what became of it. " +
			"They are independent of each other: some may be refused while others take effect. Submitting the same bytes again is safe.",
		MaxBodyBytes: api.BatchBytesMax + 1, SkipValidateBody: true, // bounded in readBody; the framework refuses its bound itself
		RequestBody: &huma.RequestBody{Required: true, Content: file}, Responses: responses,
	}, s.submitBatch)
}

// bodyBytesMax bounds the body of a request.
func bodyBytesMax(path string) int64 {
	if path == api.PathBatches {
		return api.BatchBytesMax
	}
	return api.RequestBytesMax
}

// submitBatch answers once every transaction has come as far as asked or was refused, or when the time is over.
func (s *Server) submitBatch(ctx context.Context, in *submitInput) (*batchOutput, error) {
	if media, _, err := mime.ParseMediaType(in.ContentType); err != nil || media != api.MediaCBOR {
		return nil, api.NewProblem(http.StatusUnsupportedMediaType, api.NameArgument, "send "+api.MediaCBOR, "content type %q", in.ContentType)
	}
	txs, err := api.DecodeBatch(in.RawBody)
	if err != nil {
		return nil, api.NewProblem(http.StatusBadRequest, api.NameArgument, "send a CBOR array of encoded transactions",
			"the body is not a bulk submission: %v", err)
	}
	out := &batchOutput{Status: http.StatusOK, ContentType: api.MediaCBOR}
	answers, tickets := make([]api.Submitted, len(txs)), make([]*intake.Ticket, len(txs))
	for i, admitted := range s.cfg.Intake.AdmitAll(txs) {
		if tickets[i] = admitted.Ticket; admitted.Err == nil {
			answers[i].Stage = api.StagePending
			continue
		}
		failure, err := refusal(admitted.Err)
		if err != nil {
			return nil, s.problemOf(err)
		}
		answers[i] = api.Submitted{Stage: api.StageRefused, Code: failure.Code, Message: failure.Message}
		if failure.Code == ledger.CodeBusy {
			out.RetryAfter = "1"
		}
	}
	if api.Wait(in.Wait) != api.WaitNone {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(in.TimeoutMs)*time.Millisecond)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()
		s.await(ctx, tickets, answers, api.Wait(in.Wait))
	}
	out.Body = codec.MustMarshal(answers)
	return out, nil
}

// refusal returns the failure with which a transaction was refused, or the error if it is this node's own.
func refusal(err error) (*ledger.Failure, error) {
	var failure *ledger.Failure
	switch {
	case errors.As(err, &failure):
		return failure, nil
	case errors.Is(err, intake.ErrClosed):
		return ledger.Failf(ledger.CodeUnroutable, "this node is shutting down"), nil
	case errors.Is(err, intake.ErrNotIncluded):
		return ledger.Failf(ledger.CodeWindow, "%v", err), nil
	}
	return nil, err
}

// await fills in what became of the transactions until ctx ends. What is not settled by then stays pending.
func (s *Server) await(ctx context.Context, tickets []*intake.Ticket, answers []api.Submitted, wait api.Wait) {
	var highest ledger.Height
	for i, t := range tickets {
		if t == nil {
			continue
		}
		receipt, err := t.Wait(ctx)
		if err == nil {
			answers[i] = api.Submitted{Stage: api.StageCommitted, Code: receipt.Code, Message: receipt.Message, Height: receipt.Height, Index: receipt.Index}
			highest = max(highest, receipt.Height)
		} else if failure, err := refusal(err); err == nil {
			answers[i] = api.Submitted{Stage: api.StageRefused, Code: failure.Code, Message: failure.Message}
		}
	}
	if wait == api.WaitProven && highest > 0 {
		_ = s.cfg.Chain.WaitCommitted(ctx, highest+ledger.Lag) // whether it came so far is looked up below
	}
	progress, _ := s.cfg.Chain.Progress()
	for i := range answers {
		if answers[i].Stage == api.StageCommitted && answers[i].Height <= progress.Proven {
			answers[i].Stage = api.StageProven
		}
	}
}
