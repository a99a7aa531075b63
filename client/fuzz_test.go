package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"aval/api"
)

// answering answers every request with the same bytes.
type answering struct {
	status int
	media  string
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {a.media}, "Retry-After": {string(a.body[:min(4, len(a.body))])}},
		Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// FuzzAnswers has a node answer whatever it likes: the client says that it does not read, or takes it, and an answer that claims to be a
// problem becomes one with the status that it came with.
func FuzzAnswers(f *testing.F) {
	f.Add(uint16(200), api.MediaJSON, []byte(`{"height":"1","causes":[{"code":"quorum_lost"}]}`))
	f.Add(uint16(404), api.MediaProblem, []byte(`{"status":200,"name":"NOT_FOUND","hint":"x"}`))
	f.Add(uint16(503), "text/html", []byte("<html>"))
	f.Add(uint16(200), api.MediaJSON, bytes.Repeat([]byte("["), 20_000))
	f.Add(uint16(302), "", []byte{})
	f.Fuzz(func(t *testing.T, status uint16, media string, body []byte) {
		at := 200 + int(status)%400
		c, err := New(Config{Endpoints: []string{"http://node"}, HTTP: &http.Client{Transport: answering{at, media, body}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		call := &call{method: http.MethodGet, path: "/x", accept: api.MediaJSON, bytesMax: 1 << 16, timeout: c.cfg.AttemptTimeout}
		a, err := c.send(ctx, c.endpoints[0], call)
		var problem *api.Problem
		if errors.As(err, &problem) && (problem.Status != at || at < 300 || problem.Name == "") {
			t.Fatalf("status %d, %q: %+v", at, body, problem)
		}
		if at >= 300 || err != nil {
			return
		}
		if !bytes.Equal(a.body, body) {
			t.Fatalf("%q is read as %q", body, a.body)
		}
		cancel() // one attempt is enough
		_, _ = getJSON[api.Status](t.Context(), c, api.PathStatus, nil)
		_, _ = getJSON[api.Outcome](t.Context(), c, api.PathTransactions, nil)
		_, _ = api.DecodeSubmitted(a.body, 1)
		_, _ = c.Verify(a.body, 0)
	})
}
