package api

import (
	"fmt"
	"net/http"
	"strings"

	"aval/ledger"
	"aval/suite"
)

// Problem is why a call failed (RFC 9457), with members of our own: Code and Name say the same to a program as Detail to a
// person, and Hint says what to do. It is an error.
type Problem struct {
	// Type is a URI reference that identifies the problem type: "/problems/" and the name in lower case with dashes.
	Type   string `json:"type" doc:"Identifies the type of problem" example:"/problems/bad-signature"`
	Title  string `json:"title" doc:"The type of problem in words" example:"Forbidden"`
	Status int    `json:"status" doc:"HTTP status" example:"403"`
	Detail string `json:"detail" doc:"What happened this time"`
	// Code is a ledger.Code below 100, or 0 if the problem is not about a transaction.
	Code ledger.Code `json:"code" doc:"Number of the refusal, 0 if the problem is not about a transaction" example:"4"`
	// Name is the stable name of Code, or one of the names below.
	Name string `json:"name" doc:"Stable name of the refusal" example:"BAD_SIGNATURE"`
	Hint string `json:"hint" doc:"What to do next"`
	// Pending says that the transaction Tx was taken in and may still take effect: ask for it, or submit the same bytes again.
	Pending bool        `json:"pending,omitempty" doc:"True if the transaction was taken in and may still take effect"`
	Tx      *suite.Hash `json:"tx,omitempty" doc:"Id of the transaction"`
	Signed  *suite.Hash `json:"signed,omitempty" doc:"Hash of the transaction with its signatures"`
}

// The names of problems that are not refusals of a transaction.
const (
	NameNotFound  = "NOT_FOUND"
	NameNotProven = "NOT_PROVEN"
	// NamePruned is of what this node has given up, or never had: one that keeps everything has it.
	NamePruned   = "PRUNED"
	NameTimeout  = "TIMEOUT"
	NameArgument = "BAD_REQUEST"
	NameTooLarge = "REQUEST_TOO_LARGE"
	NameInternal = "INTERNAL"
)

// NewProblem makes a problem that is not a refusal of a transaction.
func NewProblem(status int, name, hint, format string, args ...any) *Problem {
	return &Problem{Type: problemType(name), Title: http.StatusText(status), Status: status,
		Detail: fmt.Sprintf(format, args...), Name: name, Hint: hint}
}

// Refusal makes the problem for a transaction that was refused without a receipt.
func Refusal(f *ledger.Failure) *Problem {
	status := RefusalStatus(f.Code)
	return &Problem{Type: problemType(f.Code.String()), Title: http.StatusText(status), Status: status,
		Detail: f.Message, Code: f.Code, Name: f.Code.String(), Hint: refusalHints[f.Code]}
}

// RefusalStatus returns the HTTP status for a refusal without a receipt.
func RefusalStatus(code ledger.Code) int {
	switch code {
	case ledger.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case ledger.CodeSignature:
		return http.StatusForbidden
	case ledger.CodeNetwork:
		return http.StatusConflict
	case ledger.CodeBusy, ledger.CodeUnroutable:
		return http.StatusServiceUnavailable
	case ledger.CodeEncoding:
		return http.StatusBadRequest
	default:
		return http.StatusUnprocessableEntity
	}
}

var refusalHints = map[ledger.Code]string{
	ledger.CodeEncoding:   "encode the transaction with the client, or compare your encoding with the published vectors",
	ledger.CodeTooLarge:   "spread the operations over several transactions",
	ledger.CodeNetwork:    "ask /v1/network which network this node serves, and sign for that one",
	ledger.CodeSignature:  "sign the transaction id again with the key that the signature names",
	ledger.CodeBusy:       "wait as long as Retry-After says and submit the same bytes again; that is safe",
	ledger.CodeWindow:     "make the transaction anew with valid_until at most ten minutes ahead, and check your clock",
	ledger.CodeUnroutable: "submit the same bytes to another node; that is safe",
}

// Error returns the problem in one line.
func (p *Problem) Error() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%s", p.Name)
	if p.Code != 0 {
		fmt.Fprintf(&sb, " (%d)", uint16(p.Code))
	}
	fmt.Fprintf(&sb, ": %s", p.Detail)
	if p.Hint != "" {
		fmt.Fprintf(&sb, "; %s", p.Hint)
	}
	return sb.String()
}

// GetStatus returns the HTTP status, as the server's framework asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of problems in place of that of plain JSON.
func (p *Problem) ContentType(asked string) string {
	if asked == MediaJSON {
		return MediaProblem
	}
	return asked
}

func problemType(name string) string {
	return "/problems/" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}
