package client

import (
	"errors"
	"fmt"
	"net/http"

	"aval/api"
	"aval/ledger"
)

// FailedError reports a transaction that was executed and refused: its receipt has a code other than 0.
type FailedError struct {
	Outcome *api.Outcome
}

// Error names the code and says which operation failed and why.
func (e *FailedError) Error() string {
	r := e.Outcome.Receipt
	if r.FailedOp >= 0 {
		return fmt.Sprintf("%s (%d) in operation %d: %s", r.Code, uint16(r.Code), r.FailedOp, r.Message)
	}
	return fmt.Sprintf("%s (%d): %s", r.Code, uint16(r.Code), r.Message)
}

// UnknownError reports a transaction of which no answer came: it may or may not take effect until its valid_until. To learn
// which, submit the same bytes again.
type UnknownError struct {
	// Cause is the last failure.
	Cause error
}

// Error says what is not known and why.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("the transaction may or may not have taken effect: %v; submit the same transaction again to learn which", e.Cause)
}

// Unwrap returns the last failure.
func (e *UnknownError) Unwrap() error { return e.Cause }

// ErrTooLarge reports an answer beyond the bound for its kind.
var ErrTooLarge = errors.New("the node's answer is too large")

// ErrUnreachable reports that no node answered; the error that wraps it lists what each did.
var ErrUnreachable = errors.New("no node answered")

// CodeOf returns the ledger's code for why a transaction failed, whether with a receipt or without.
func CodeOf(err error) (ledger.Code, bool) {
	var failed *FailedError
	if errors.As(err, &failed) {
		return failed.Outcome.Receipt.Code, true
	}
	var problem *api.Problem
	if errors.As(err, &problem) && problem.Code != 0 {
		return problem.Code, true
	}
	return 0, false
}

// IsNotFound reports whether err is a node's answer that it has no such thing.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsNotProven reports whether err is a node's answer that the proof cannot be made yet.
func IsNotProven(err error) bool {
	var problem *api.Problem
	return errors.As(err, &problem) && problem.Name == api.NameNotProven
}

func hasStatus(err error, status int) bool {
	var problem *api.Problem
	return errors.As(err, &problem) && problem.Status == status
}
