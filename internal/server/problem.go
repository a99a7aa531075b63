package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/internal/chain"
	"aval/ledger"
	"aval/suite"
)

// asProblem gives the framework's own refusals (bad parameters) the shape of ours. Its type for errors can be replaced only
// for the whole program, so it is translated on the way out instead.
func asProblem(_ huma.Context, status string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code, err := strconv.Atoi(status)
	if err != nil {
		return nil, err
	}
	if code >= http.StatusInternalServerError {
		return internalProblem(), nil
	}
	details := []string{e.Detail}
	for _, d := range e.Errors {
		details = append(details, d.Error())
	}
	return api.NewProblem(code, api.NameArgument, "see "+api.PathOpenAPI, "%s", strings.Join(details, ": ")), nil
}

// problems documents the problems that an operation may answer with.
func problems(a huma.API, codes ...int) map[string]*huma.Response {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	out := map[string]*huma.Response{}
	add := func(key, description string) {
		out[key] = &huma.Response{Description: description, Content: map[string]*huma.MediaType{api.MediaProblem: {Schema: schema}}}
	}
	add("default", "Problem")
	for _, code := range codes {
		add(strconv.Itoa(code), http.StatusText(code))
	}
	return out
}

func writeProblem(w http.ResponseWriter, p *api.Problem) {
	w.Header().Set("Content-Type", api.MediaProblem)
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // the client is gone
	}
}

// internalProblem tells nothing about the inside; the log does.
func internalProblem() *api.Problem {
	return api.NewProblem(http.StatusInternalServerError, api.NameInternal, "ask the operator to look at the log", "the node failed to answer")
}

// problemOf turns an error into what the client sees.
func (s *Server) problemOf(err error) error {
	var problem *api.Problem
	var failure *ledger.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &failure):
		return api.Refusal(failure)
	case errors.Is(err, chain.ErrNotFound):
		return api.NewProblem(http.StatusNotFound, api.NameNotFound, "check the id, and whether this node has caught up", "%v", err)
	case errors.Is(err, chain.ErrPruned):
		return api.NewProblem(http.StatusGone, api.NamePruned, "ask a node that keeps older blocks", "%v", err)
	case errors.Is(err, chain.ErrNotProven):
		return api.NewProblem(http.StatusConflict, api.NameNotProven, "ask again in a moment", "%v", err)
	case errors.Is(err, chain.ErrClosed):
		return api.Refusal(ledger.Failf(ledger.CodeUnroutable, "this node is shutting down"))
	default:
		s.log.Error("query failed", slog.Any("error", err))
		return internalProblem()
	}
}

func missing(format string, args ...any) error {
	return api.NewProblem(http.StatusNotFound, api.NameNotFound, "check the id, and whether this node has caught up", format, args...)
}

func parseHash(what, text string) (h suite.Hash, err error) {
	if err := h.UnmarshalText([]byte(text)); err != nil {
		return h, api.NewProblem(http.StatusBadRequest, api.NameArgument, "give 64 hexadecimal digits", "%s %q: %v", what, text, err)
	}
	return h, nil
}
