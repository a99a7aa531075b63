package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
)

func init() {
	// The framework's own refusals (bad parameters, oversized or slow bodies) take the same shape as ours.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		details := []string{msg}
		for _, err := range errs {
			if err != nil {
				details = append(details, err.Error())
			}
		}
		name, hint := api.NameArgument, "see "+api.PathOpenAPI
		switch status {
		case http.StatusRequestEntityTooLarge:
			name, hint = api.NameTooLarge, "send at most what the interface allows"
		case http.StatusNotFound:
			name = api.NameNotFound
		case http.StatusRequestTimeout:
			name, hint = api.NameTimeout, "send the whole request without pauses"
		}
		return api.NewProblem(status, name, hint, "%s", strings.Join(details, ": "))
	}
}

func writeProblem(w http.ResponseWriter, p *api.Problem) {
	w.Header().Set("Content-Type", api.MediaProblem)
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // the client is gone
	}
}
