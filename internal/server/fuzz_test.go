package server

import (
	"errors"
	"testing"

	"aval/api"
	"aval/internal/appetite"
)

// FuzzSubmittedBytes reads bodies of submissions: what is taken is a transaction's bytes as sent, or what base64 says; everything else is
// a problem with a hint, at no more cost than its length lets it.
func FuzzSubmittedBytes(f *testing.F) {
	for _, seed := range []struct{ media, body string }{
		{api.MediaCBOR, "\xa1"}, {api.MediaJSON, `{"tx":"AAAA"}`}, {"", `{"tx":"AA=="}`}, {"application/json; charset=utf-8", `{"tx":""}`},
		{api.MediaJSON, `{"tx":"AAAA"}{`}, {api.MediaJSON, `[[[[[[`}, {api.MediaJSON, `{"fee":1}`}, {"text/plain", "x"}, {"a;b=c;b=c", "{}"},
	} {
		f.Add(seed.media, []byte(seed.body))
	}
	for _, b := range appetite.Malformed(1 << 12) {
		f.Add(api.MediaJSON, b)
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		in := &submitInput{ContentType: media, RawBody: body}
		tx, err := submittedBytes(in)
		var problem *api.Problem
		if err != nil && (!errors.As(err, &problem) || problem.Hint == "" || problem.Status < 400 || problem.Status > 499) {
			t.Fatalf("%q, %q: %v", media, body, err)
		}
		if len(tx) > len(body) {
			t.Fatalf("%d bytes were made of %d", len(tx), len(body))
		}
		appetite.Check(t, len(media)+len(body), func() { _, _ = submittedBytes(in) })
	})
}
